//! Random histories of commands and snapshots against a plain map.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use proptest::prelude::*;

use super::*;
use crate::capture::{CaptureSink, Snapshot, SnapshotRunning};
use crate::keyspace::{ExpireCursor, Keyspace};
use crate::value::ValueRef;

/// One step of a random history; keys are numbers below 24.
#[derive(Clone, Debug)]
enum Step {
    Set(u8, usize, Option<u64>),
    SetKeepingExpiry(u8, usize),
    Append(u8, usize),
    Patch(u8, usize),
    Remove(u8),
    Rename(u8, u8),
    Expire(u8, Option<u64>),
    Find(u8),
    Wait(u64),
    ExpireSlice(usize),
    Flush,
    Swap,
    BeginSnapshot,
    GoOnWithSnapshot(usize),
    AbortSnapshot,
}

/// Lengths on both sides of every size at which the form of an entry changes.
fn length() -> impl Strategy<Value = usize> {
    prop_oneof![0usize..40, 90usize..130, Just(65_530), Just(65_535), Just(65_536), Just(70_000)]
}

fn step() -> impl Strategy<Value = Step> {
    let key = 0u8..24;
    let expiry = proptest::option::of(0u64..200);
    prop_oneof![
        4 => (key.clone(), length(), expiry.clone()).prop_map(|(k, len, at)| Step::Set(k, len, at)),
        3 => (key.clone(), length()).prop_map(|(k, len)| Step::SetKeepingExpiry(k, len)),
        3 => (key.clone(), length()).prop_map(|(k, len)| Step::Append(k, len)),
        2 => (key.clone(), length()).prop_map(|(k, len)| Step::Patch(k, len)),
        2 => key.clone().prop_map(Step::Remove),
        2 => (key.clone(), key.clone()).prop_map(|(from, to)| Step::Rename(from, to)),
        3 => (key.clone(), expiry).prop_map(|(k, at)| Step::Expire(k, at)),
        3 => key.prop_map(Step::Find),
        2 => (1u64..30).prop_map(Step::Wait),
        1 => (1usize..20).prop_map(Step::ExpireSlice),
        1 => Just(Step::Flush),
        1 => Just(Step::Swap),
        2 => Just(Step::BeginSnapshot),
        2 => (1usize..12).prop_map(Step::GoOnWithSnapshot),
        1 => Just(Step::AbortSnapshot),
    ]
}

/// Keys with their value and expiry.
type Model = BTreeMap<Vec<u8>, (Vec<u8>, Option<u64>)>;

/// Collects what a snapshot captures.
#[derive(Default)]
struct Collector(Mutex<[Model; 2]>);

impl CaptureSink for Collector {
    fn capture(&self, db: usize, key: &[u8], expire_ms: Option<u64>, value: ValueRef<'_>) {
        let twice = self.0.lock()[db].insert(key.to_vec(), (string(value), expire_ms));
        assert!(twice.is_none(), "a key is captured once");
    }
}

/// A running snapshot, and what it has to have captured in the end.
struct Running {
    snapshot: Snapshot<u64>,
    collector: Arc<Collector>,
    expected: [Model; 2],
}

fn string(value: ValueRef<'_>) -> Vec<u8> {
    let ValueRef::String(bytes) = value else { panic!("all keys of this test are strings") };
    bytes.to_vec()
}

/// A keyspace of two databases and what must be in them. Expired keys stay in the model until the
/// keyspace says that it removed them.
struct World {
    keyspace: Keyspace<u64>,
    models: [Model; 2],
    now_ms: u64,
    expiry: ExpiryMode,
    running: Option<Running>,
}

fn name(key: u8) -> Vec<u8> {
    // Some keys are longer than a compact entry can have.
    if key == 0 { vec![b'k'; 66_000] } else { format!("key:{key}").into_bytes() }
}

fn bytes(key: u8, len: usize) -> Vec<u8> {
    (0..len).map(|i| key.wrapping_add(i as u8)).collect()
}

impl World {
    fn new(expiry: ExpiryMode) -> Self {
        let keyspace = Keyspace::new(2, 7, 1);
        Self { keyspace, models: [Model::new(), Model::new()], now_ms: 100, expiry, running: None }
    }

    fn cx(&self) -> AccessContext {
        AccessContext { now_ms: self.now_ms, stamp: Stamp::Lru { clock: 9 }, expiry: self.expiry }
    }

    fn alive(&self, key: &[u8]) -> Option<&(Vec<u8>, Option<u64>)> {
        self.models[0].get(key).filter(|(_, at)| at.is_none_or(|at| at >= self.now_ms))
    }

    /// Runs `work` on the keys' shards, and has the model forget what was removed as expired.
    fn access<R>(&mut self, keys: &[&[u8]], work: impl FnOnce(&mut Access<'_, u64>, &[Key<'_>]) -> R) -> R {
        let pass = self.keyspace.gate().enter(0).expect("nobody else is here");
        let keys: Vec<_> = keys.iter().map(|key| self.keyspace.key(key)).collect();
        let hashes: Vec<_> = keys.iter().map(|key| key.hash).collect();
        let mut access = self.keyspace.lock_many(&pass, 0, &hashes, self.cx());
        let result = work(&mut access, &keys);
        for expired in access.take_expired() {
            let (value, at) = self.models[0].remove(expired.key()).expect("only keys that are there expire");
            assert!(at.is_some_and(|at| at < self.now_ms), "only expired keys expire");
            assert_eq!(string(expired.value()), value);
        }
        result
    }

    fn apply(&mut self, step: &Step) {
        match *step {
            Step::Set(key, len, at) => self.set(key, len, at.map_or(Expire::None, Expire::At)),
            Step::SetKeepingExpiry(key, len) => self.set(key, len, Expire::Keep),
            Step::Append(key, len) => self.append(key, len),
            Step::Patch(key, len) => self.patch(key, len),
            Step::Remove(key) => {
                let key = name(key);
                let expected = self.alive(&key).cloned();
                let removed = self.access(&[&key], |access, keys| access.remove(keys[0]));
                assert_eq!(
                    removed.as_ref().map(|owned| owned.expire_ms()),
                    expected.as_ref().map(|(_, at)| *at)
                );
                if expected.is_some() {
                    self.models[0].remove(&key);
                }
            }
            Step::Rename(from, to) => self.rename(from, to),
            Step::Expire(key, at) => {
                let key = name(key);
                let there = self.alive(&key).is_some();
                assert_eq!(self.access(&[&key], |access, keys| access.set_expire(keys[0], at)), there);
                if there {
                    self.models[0].get_mut(&key).expect("it is there").1 = at;
                }
            }
            Step::Find(key) => self.find(key),
            Step::Wait(ms) => self.now_ms += ms,
            Step::ExpireSlice(budget) => self.expire_slice(budget),
            Step::Flush => {
                let mut owner = self.keyspace.gate().try_claim().expect("nobody else is here");
                let flushed = self.keyspace.flush(&mut owner, 0);
                assert_eq!(flushed.is_some(), !self.models[0].is_empty());
                self.models[0].clear();
            }
            Step::Swap => {
                let mut owner = self.keyspace.gate().try_claim().expect("nobody else is here");
                self.keyspace.swap(&mut owner, 0, 1);
                self.models.swap(0, 1);
            }
            Step::BeginSnapshot => self.begin_snapshot(),
            Step::GoOnWithSnapshot(budget) => self.step_snapshot(budget),
            Step::AbortSnapshot => self.running = None,
        }
    }

    fn set(&mut self, key: u8, len: usize, expire: Expire) {
        let (key, value) = (name(key), bytes(key, len));
        let at = expire.resolve(self.alive(&key).and_then(|(_, at)| *at));
        self.access(&[&key], |access, keys| drop(access.set_string(keys[0], &value, expire)));
        self.models[0].insert(key, (value, at));
    }

    fn append(&mut self, key: u8, len: usize) {
        let (key, tail) = (name(key), bytes(key, len));
        let (mut value, at) = self.alive(&key).cloned().unwrap_or_default();
        value.extend_from_slice(&tail);
        let grown = self.access(&[&key], |access, keys| access.append(keys[0], &tail));
        assert_eq!(grown, Some(value.len()));
        self.models[0].insert(key, (value, at));
    }

    fn patch(&mut self, key: u8, len: usize) {
        let key = name(key);
        let (mut value, at) = self.alive(&key).cloned().unwrap_or_default();
        value.resize(value.len().max(len), 0);
        let seen = self.access(&[&key], |access, keys| {
            let string = access.string_mut(keys[0], len).expect("all keys are strings");
            if let Some(last) = string.last_mut() {
                *last ^= 0x55;
            }
            string.to_vec()
        });
        if let Some(last) = value.last_mut() {
            *last ^= 0x55;
        }
        assert_eq!(seen, value);
        self.models[0].insert(key, (value, at));
    }

    fn rename(&mut self, from: u8, to: u8) {
        let (from, to) = (name(from), name(to));
        let moved = self.alive(&from).cloned();
        self.access(&[&from, &to], |access, keys| {
            let Some(owned) = access.remove(keys[0]) else { return };
            let at = owned.expire_ms();
            access.insert_owned(keys[1], owned, at);
        });
        if let Some(moved) = moved {
            self.models[0].remove(&from);
            self.models[0].insert(to, moved);
        }
    }

    fn find(&mut self, key: u8) {
        let key = name(key);
        let expected = self.alive(&key).cloned();
        let read = |entry: EntryRef<'_>| (string(entry.value()), entry.expire_ms());
        let peeked = self.access(&[&key], |access, keys| access.peek(keys[0]).map(read));
        let found = self.access(&[&key], |access, keys| access.find(keys[0]).map(read));
        assert_eq!(peeked, expected);
        assert_eq!(found, expected);
    }

    fn expire_slice(&mut self, budget: usize) {
        let pass = self.keyspace.gate().enter(0).expect("nobody else is here");
        let (cx, model, now_ms) = (self.cx(), &mut self.models[0], self.now_ms);
        let mut cursor = ExpireCursor::default();
        loop {
            let report = self.keyspace.expire_slice(&pass, 0, &mut cursor, budget, cx, &mut |access| {
                for expired in access.take_expired() {
                    let (_, at) = model.remove(expired.key()).expect("only keys that are there expire");
                    assert!(at.is_some_and(|at| at < now_ms));
                }
            });
            if report.wrapped || self.expiry != ExpiryMode::Delete {
                break;
            }
        }
        if self.expiry == ExpiryMode::Delete {
            assert!(
                model.values().all(|(_, at)| at.is_none_or(|at| at >= now_ms)),
                "a whole cycle misses none"
            );
        }
    }

    fn begin_snapshot(&mut self) {
        let mut owner = self.keyspace.gate().try_claim().expect("nobody else is here");
        let collector = Arc::new(Collector::default());
        match self.keyspace.begin_snapshot(&mut owner, Arc::clone(&collector) as Arc<dyn CaptureSink>) {
            Ok(snapshot) => {
                assert!(self.running.is_none());
                let expected = self.models.clone();
                self.running = Some(Running { snapshot, collector, expected });
            }
            Err(SnapshotRunning) => assert!(self.running.is_some()),
        }
    }

    /// Goes on with the running snapshot; if that is its end, all must have been captured.
    fn step_snapshot(&mut self, budget: usize) {
        let Some(running) = &mut self.running else { return };
        let pass = self.keyspace.gate().enter(0).expect("nobody else is here");
        if running.snapshot.step(&pass, budget) {
            assert_eq!(*running.collector.0.lock(), running.expected);
            assert!(running.snapshot.step(&pass, budget), "done is done");
            self.running = None;
        }
    }

    /// Everything that can be asked without changing anything.
    fn check(&self) {
        for (db, model) in self.models.iter().enumerate() {
            let pass = self.keyspace.gate().enter(0).expect("nobody else is here");
            assert_eq!(self.keyspace.len(&pass, db), model.len());
            let volatile = model.values().filter(|(_, at)| at.is_some()).count();
            assert_eq!(self.keyspace.volatile_len(&pass, db), volatile);
            let mut scanned = Model::new();
            let mut cursor = 0;
            loop {
                // At time 0 nothing is expired.
                cursor = self.keyspace.scan(&pass, db, cursor, 3, 0, &mut |key, entry| {
                    scanned.insert(key.to_vec(), (string(entry.value()), entry.expire_ms()));
                });
                if cursor == 0 {
                    break;
                }
            }
            assert_eq!(&scanned, model);
            assert_eq!(self.keyspace.random_key(&pass, db, 5).is_some(), !model.is_empty());
        }
        let mut owner = self.keyspace.gate().try_claim().expect("nobody else is here");
        for db in 0..self.models.len() {
            self.keyspace.lock_all(&mut owner, db, self.cx()).locked.for_each(|held| held.check());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn histories_agree_with_a_map(
        steps in proptest::collection::vec(step(), 1..120),
        expiry in prop_oneof![Just(ExpiryMode::Delete), Just(ExpiryMode::Hide)],
    ) {
        let mut world = World::new(expiry);
        for step in &steps {
            world.apply(step);
        }
        world.check();
        while world.running.is_some() {
            world.step_snapshot(7);
        }
        world.check();
    }
}

#[test]
fn aborted_snapshots_leave_nothing_that_a_later_one_could_mistake() {
    let mut random = fastrand::Rng::with_seed(11);
    let mut world = World::new(ExpiryMode::Delete);
    (1..24).for_each(|key| world.set(key, 8, Expire::None));
    // Marks come round after eight snapshots: every number of aborted ones up to twice that is tried.
    for aborted in 0..=16 {
        for _ in 0..aborted {
            world.begin_snapshot();
            world.set(random.u8(1..24), random.usize(..30), Expire::None);
            world.apply(&Step::Remove(random.u8(1..24)));
            world.step_snapshot(random.usize(1..3));
            world.running = None;
        }
        world.begin_snapshot();
        while world.running.is_some() {
            world.set(random.u8(1..24), random.usize(..30), Expire::Keep);
            world.step_snapshot(random.usize(1..4));
        }
    }
}

fn context() -> AccessContext {
    AccessContext { now_ms: 0, stamp: Stamp::Lru { clock: 5 }, expiry: ExpiryMode::Delete }
}

#[test]
#[should_panic(expected = "not among those locked")]
fn a_key_of_another_shard_is_refused() {
    let keyspace: Keyspace<()> = Keyspace::new(1, 1, 1);
    let pass = keyspace.gate().enter(0).expect("nobody else is here");
    let (one, other) = (keyspace.key(b"one"), keyspace.key(b"other"));
    assert_ne!(one.hash.shard(), other.hash.shard());
    keyspace.lock(&pass, 0, one.hash, context()).find(other);
}

#[test]
#[should_panic(expected = "not among those locked")]
fn a_key_of_another_shard_than_several_is_refused() {
    let keyspace: Keyspace<()> = Keyspace::new(1, 1, 1);
    let pass = keyspace.gate().enter(0).expect("nobody else is here");
    let [one, two, other] = [b"one", b"two", b"six"].map(|key| keyspace.key(key));
    let access = keyspace.lock_many(&pass, 0, &[two.hash, one.hash, one.hash], context());
    assert!(access.peek(one).is_none() && access.peek(two).is_none());
    access.peek(other);
}

#[test]
fn lookups_stamp_and_peeks_do_not() {
    let keyspace: Keyspace<()> = Keyspace::new(1, 1, 1);
    let pass = keyspace.gate().enter(0).expect("nobody else is here");
    let key = keyspace.key(b"key");
    let bits_after = |stamp, work: &dyn Fn(&mut Access<'_, ()>)| {
        let mut access = keyspace.lock(&pass, 0, key.hash, AccessContext { stamp, ..context() });
        work(&mut access);
        access.peek(key).map(|entry| entry.access_bits().0)
    };
    let lru = |clock| Stamp::Lru { clock };
    assert_eq!(bits_after(lru(5), &|access| drop(access.set_string(key, b"1", Expire::None))), Some(5));
    assert_eq!(bits_after(lru(6), &|access| assert!(access.peek(key).is_some())), Some(5));
    assert_eq!(bits_after(lru(7), &|access| assert!(access.find(key).is_some())), Some(7));
    assert_eq!(
        bits_after(Stamp::Keep(AccessBits(0)), &|access| assert!(access.find(key).is_some())),
        Some(7)
    );
    assert_eq!(bits_after(lru(8), &|access| drop(access.set_string(key, b"2", Expire::None))), Some(8));
    assert_eq!(bits_after(lru(9), &|access| assert!(access.set_access_bits(key, AccessBits(3)))), Some(3));
}

#[test]
fn attachments_and_offsets_belong_to_shards_and_stay() {
    let keyspace: Keyspace<u64> = Keyspace::new(2, 1, 1);
    let [one, two] = [b"one", b"two"].map(|key| keyspace.key(key));
    let pass = keyspace.gate().enter(0).expect("nobody else is here");
    {
        let mut access = keyspace.lock_many(&pass, 0, &[one.hash, two.hash], context());
        *access.attachment(one) = 1;
        *access.attachment(two) = 2;
        access.set_string(one, b"value", Expire::None);
        access.written_at(70);
        assert_eq!(access.last_write(), 70);
    }
    drop(pass);
    let mut owner = keyspace.gate().try_claim().expect("nobody else is here");
    keyspace.swap(&mut owner, 0, 1);
    *keyspace.lock_all(&mut owner, 1, context()).attachment(one) = 10;
    assert!(keyspace.flush(&mut owner, 1).is_some());
    assert_eq!(*keyspace.lock_all(&mut owner, 1, context()).attachment(one), 10);
    {
        let mut access = keyspace.lock_all(&mut owner, 0, context());
        let mut sum = 0;
        access.for_each_attachment(&mut |attachment| sum += *attachment);
        assert_eq!((sum, *access.attachment(two)), (3, 2));
        access.written_at(90);
    }
    drop(owner);
    let pass = keyspace.gate().enter(0).expect("nobody else is here");
    assert_eq!(keyspace.lock(&pass, 0, one.hash, context()).last_write(), 90);
    assert_eq!(keyspace.len(&pass, 0), 0);
}

#[test]
fn appending_byte_by_byte_moves_the_string_seldom() {
    let keyspace: Keyspace<()> = Keyspace::new(1, 1, 1);
    let pass = keyspace.gate().enter(0).expect("nobody else is here");
    let key = keyspace.key(b"log");
    let mut access = keyspace.lock(&pass, 0, key.hash, context());
    let mut sizes = std::collections::BTreeSet::new();
    for n in 1..=100_000 {
        assert_eq!(access.append(key, b"x"), Some(n));
        sizes.insert(access.peek(key).expect("it is there").allocated());
    }
    assert!(sizes.len() <= 20, "{} different sizes", sizes.len());
}
