//! The keyspace under threads: what holds for one command at a time holds for many at once.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use redkeep_store::{AccessContext, CaptureSink, Expire, ExpiryMode, Keyspace, Shared, Stamp, ValueRef};

const WRITERS: usize = 3;
const SNAPSHOT_SLOT: usize = WRITERS;
const KEYS: u64 = 4000;

fn cx() -> AccessContext {
    AccessContext { now_ms: 0, stamp: Stamp::Lru { clock: 0 }, expiry: ExpiryMode::Delete }
}

fn number(value: ValueRef<'_>) -> u64 {
    let ValueRef::String(bytes) = value else { panic!("all keys here are strings") };
    std::str::from_utf8(bytes).expect("a number").parse().expect("a number")
}

fn enter<A: Default + Send>(keyspace: &Keyspace<A>, slot: usize) -> Shared<'_> {
    loop {
        if let Some(pass) = keyspace.gate().enter(slot) {
            return pass;
        }
        std::thread::yield_now();
    }
}

fn everything(keyspace: &Keyspace<()>, pass: &impl redkeep_store::Pass) -> HashMap<Vec<u8>, u64> {
    let mut all = HashMap::new();
    let mut cursor = 0;
    loop {
        cursor = keyspace.scan(pass, 0, cursor, 100, 0, &mut |key, entry| {
            all.insert(key.to_vec(), number(entry.value()));
        });
        if cursor == 0 {
            return all;
        }
    }
}

#[derive(Default)]
struct Collector(Mutex<HashMap<Vec<u8>, u64>>);

impl CaptureSink for Collector {
    fn capture(&self, _db: usize, key: &[u8], _expire_ms: Option<u64>, value: ValueRef<'_>) {
        let twice = self.0.lock().expect("no test thread panics").insert(key.to_vec(), number(value));
        assert_eq!(twice, None, "a key is captured once");
    }
}

/// Writes at random until told to stop: values of all lengths, deletions, keys that are new.
fn write(keyspace: &Keyspace<()>, slot: usize, stop: &AtomicBool) {
    let mut random = fastrand::Rng::with_seed(slot as u64);
    while !stop.load(Ordering::Relaxed) {
        let pass = enter(keyspace, slot);
        for _ in 0..50 {
            let name = format!("key:{}", random.u64(..KEYS * 2));
            let key = keyspace.key(name.as_bytes());
            let mut access = keyspace.lock(&pass, 0, key.hash, cx());
            if random.u8(..4) == 0 {
                drop(access.remove(key));
            } else {
                let value = (random.u64(..) >> random.u8(..64)).to_string();
                let expire = if random.bool() { Expire::At(1) } else { Expire::None };
                drop(access.set_string(key, value.as_bytes(), expire));
            }
        }
    }
}

#[test]
fn snapshots_are_exact_while_threads_write() {
    let keyspace: Keyspace<()> = Keyspace::new(1, 3, WRITERS + 1);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for slot in 0..WRITERS {
            let (keyspace, stop) = (&keyspace, &stop);
            scope.spawn(move || write(keyspace, slot, stop));
        }
        for _ in 0..6 {
            let collector = Arc::new(Collector::default());
            let sink = Arc::clone(&collector) as Arc<dyn CaptureSink>;
            let (mut snapshot, expected) = loop {
                let Some(mut owner) = keyspace.gate().try_claim() else { continue };
                let expected = everything(&keyspace, &owner);
                break (keyspace.begin_snapshot(&mut owner, sink).expect("none is running"), expected);
            };
            while !snapshot.step(&enter(&keyspace, SNAPSHOT_SLOT), 100) {
                std::thread::yield_now();
            }
            assert!(*collector.0.lock().expect("no test thread panics") == expected);
        }
        stop.store(true, Ordering::Relaxed);
    });
}

/// Threads move amounts between accounts; whoever owns the gate finds the sum unchanged.
#[test]
fn commands_on_several_shards_are_atomic() {
    const ACCOUNTS: u64 = 12;
    let keyspace: Keyspace<()> = Keyspace::new(1, 4, WRITERS);
    let account = |n: u64| format!("account:{n}").into_bytes();
    let transfer = |slot: usize| {
        let mut random = fastrand::Rng::with_seed(slot as u64);
        for _ in 0..3000 {
            let (from, to) = (account(random.u64(..ACCOUNTS)), account(random.u64(..ACCOUNTS)));
            let (from, to) = (keyspace.key(&from), keyspace.key(&to));
            let pass = enter(&keyspace, slot);
            let mut access = keyspace.lock_many(&pass, 0, &[from.hash, to.hash], cx());
            let balance = access.find(from).map_or(0, |entry| number(entry.value()));
            let amount = random.u64(..=balance);
            drop(access.set_string(from, (balance - amount).to_string().as_bytes(), Expire::None));
            let balance = access.find(to).map_or(0, |entry| number(entry.value()));
            drop(access.set_string(to, (balance + amount).to_string().as_bytes(), Expire::None));
        }
    };
    let mut owner = keyspace.gate().try_claim().expect("nobody else is here yet");
    let mut access = keyspace.lock_all(&mut owner, 0, cx());
    for n in 0..ACCOUNTS {
        let name = account(n);
        drop(access.set_string(keyspace.key(&name), b"1000", Expire::None));
    }
    drop(access);
    drop(owner);
    std::thread::scope(|scope| {
        let transfers: Vec<_> = (0..WRITERS).map(|slot| scope.spawn(move || transfer(slot))).collect();
        while !transfers.iter().all(|thread| thread.is_finished()) {
            let owner = keyspace.gate().try_claim().expect("only this thread claims");
            assert_eq!(everything(&keyspace, &owner).values().sum::<u64>(), ACCOUNTS * 1000);
            drop(owner);
            std::thread::yield_now();
        }
    });
}

#[test]
fn scans_beside_writers_miss_nothing_that_stays() {
    let keyspace: Keyspace<()> = Keyspace::new(1, 5, 2);
    let stay = |n: u64| format!("stay:{n}").into_bytes();
    let pass = enter(&keyspace, 0);
    for n in 0..500 {
        let name = stay(n);
        let key = keyspace.key(&name);
        drop(keyspace.lock(&pass, 0, key.hash, cx()).set_string(key, b"1", Expire::None));
    }
    drop(pass);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| write(&keyspace, 1, &stop));
        for _ in 0..20 {
            let seen = everything(&keyspace, &enter(&keyspace, 0));
            assert!((0..500).all(|n| seen.contains_key(&stay(n))));
        }
        stop.store(true, Ordering::Relaxed);
    });
}
