//! Aggregates in the keyspace: they are moved, never copied, and dropped once.

use std::sync::{Arc, Mutex};

use redkeep_store::value::{EncodingLimits, End};
use redkeep_store::{
    AccessContext, CaptureSink, Expire, ExpiryMode, Keyspace, List, Owned, Stamp, Value, ValueMut, ValueRef,
    ValueType,
};

fn cx() -> AccessContext {
    AccessContext { now_ms: 0, stamp: Stamp::Lru { clock: 0 }, expiry: ExpiryMode::Delete }
}

fn list(elements: &[&str]) -> Value {
    let mut list = List::new();
    let limits = EncodingLimits::default();
    elements.iter().for_each(|element| list.push(End::Back, element.as_bytes(), &limits));
    Value::List(list)
}

fn address(value: ValueRef<'_>) -> *const List {
    let ValueRef::List(list) = value else { panic!("it is a list") };
    list
}

#[test]
fn an_aggregate_is_moved_and_not_copied() {
    let keyspace: Keyspace<()> = Keyspace::new(1, 1, 1);
    let pass = keyspace.gate().enter(0).expect("nobody else is here");
    let (from, to) = (keyspace.key(b"from"), keyspace.key(b"another name, and a longer one"));
    let mut access = keyspace.lock_many(&pass, 0, &[from.hash, to.hash], cx());
    assert!(access.insert(from, list(&["a", "b"]), None).is_none());
    let first = address(access.peek(from).expect("it is there").value());

    assert!(access.set_expire(from, Some(50)));
    assert!(access.set_expire(from, Some(60)));
    assert_eq!(address(access.peek(from).expect("it is there").value()), first);

    let owned = access.remove(from).expect("it is there");
    assert!(access.set_string(to, b"in the way", Expire::None).is_none());
    let replaced = access.insert_owned(to, owned, Some(70)).expect("a string was there");
    assert_eq!(replaced.value_type(), ValueType::String);
    let moved = access.find(to).expect("it is there");
    assert_eq!((address(moved.value()), moved.expire_ms()), (first, Some(70)));

    let replaced = access.set_string(to, b"", Expire::Keep).expect("a list was there");
    assert_eq!(replaced.value_type(), ValueType::List);
    assert_eq!(access.find(to).expect("it is there").expire_ms(), Some(70));
    fn may_be_dropped_elsewhere(_: impl Send + 'static) {}
    may_be_dropped_elsewhere(replaced);
}

#[test]
fn strings_and_aggregates_do_not_mix() {
    let keyspace: Keyspace<()> = Keyspace::new(1, 1, 1);
    let pass = keyspace.gate().enter(0).expect("nobody else is here");
    let key = keyspace.key(b"key");
    let mut access = keyspace.lock(&pass, 0, key.hash, cx());
    access.insert(key, list(&["a"]), None);
    assert_eq!(access.append(key, b"tail"), None);
    assert!(access.string_mut(key, 9).is_none());
    let mut entry = access.find_mut(key).expect("it is there");
    let ValueMut::List(list) = entry.value_mut() else { panic!("it is a list") };
    list.push(End::Back, b"b", &EncodingLimits::default());
    assert_eq!(entry.value().len(), 2);
}

#[derive(Default)]
struct Lengths(Mutex<Vec<(Vec<u8>, usize)>>);

impl CaptureSink for Lengths {
    fn capture(&self, _db: usize, key: &[u8], _expire_ms: Option<u64>, value: ValueRef<'_>) {
        self.0.lock().expect("nothing panics under it").push((key.to_vec(), value.len()));
    }
}

#[test]
fn an_aggregate_is_captured_before_it_is_changed() {
    let keyspace: Keyspace<()> = Keyspace::new(1, 1, 1);
    let [changed, removed, kept] = [b"changed", b"removed", b"kept+++"].map(|name| keyspace.key(name));
    let mut owner = keyspace.gate().try_claim().expect("nobody else is here");
    let mut access = keyspace.lock_all(&mut owner, 0, cx());
    for (key, elements) in [(changed, &["a"][..]), (removed, &["a", "b"]), (kept, &["a", "b", "c"])] {
        access.insert(key, list(elements), None);
    }
    drop(access);
    let lengths = Arc::new(Lengths::default());
    let sink = Arc::clone(&lengths) as Arc<dyn CaptureSink>;
    let mut snapshot = keyspace.begin_snapshot(&mut owner, sink).expect("none is running");
    drop(owner);

    let pass = keyspace.gate().enter(0).expect("nobody else is here");
    let mut access = keyspace.lock_many(&pass, 0, &[changed.hash, removed.hash], cx());
    if let ValueMut::List(list) = access.find_mut(changed).expect("it is there").value_mut() {
        list.push(End::Front, b"new", &EncodingLimits::default());
    }
    let removed: Option<Owned> = access.remove(removed);
    assert!(removed.is_some());
    drop(access);
    while !snapshot.step(&pass, 10) {}
    let mut captured = lengths.0.lock().expect("nothing panics under it").clone();
    captured.sort();
    let expected = [("changed", 1), ("kept+++", 3), ("removed", 2)];
    assert_eq!(captured, expected.map(|(key, len)| (key.as_bytes().to_vec(), len)));
}
