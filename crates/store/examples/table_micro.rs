//! Times the keyspace alone: one thread, random keys, batches with prefetch as the server makes them.
//!
//! ```text
//! cargo run --release -p redkeep-store --example table_micro [keys] [value bytes]
//! ```
//!
//! Prints nanoseconds of processor time an operation, the slowest single insertion while the tables grew
//! (in real time, so other load on the machine shows), and the growth of the process's memory in bytes a
//! key. Everything that a server adds (parsing, the log, sockets) is left out; hashing, locking,
//! prefetching and stamping are in.

use std::hint::black_box;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use redkeep_store::{AccessContext, Expire, ExpiryMode, Key, KeyHash, Keyspace, Shared, Stamp, ValueRef};

const BATCH: usize = 64;
const ROUNDS: usize = 8;

fn main() {
    let mut args = std::env::args().skip(1).map(|arg| arg.parse().expect("a number"));
    let keys: usize = args.next().unwrap_or(1_000_000);
    let value = vec![b'v'; args.next().unwrap_or(3)];
    let names: Vec<Name> = (0..keys).map(name).collect();

    let keyspace: Keyspace<()> = Keyspace::new(1, fastrand::u64(..), 1);
    let pass = keyspace.gate().enter(0).expect("nobody has claimed the gate");
    let before = resident_bytes();
    let slowest = fill(&keyspace, &pass, &names, &value);
    let grown = resident_bytes().saturating_sub(before);
    assert_eq!(keyspace.len(&pass, 0), keys);
    println!("{keys} keys of 16 + {} bytes: {:.1} bytes a key", value.len(), grown as f64 / keys as f64);
    println!("slowest insertion {slowest:?}");

    // In the order of use, as requests lie in a read buffer.
    let requests: Vec<Name> = (0..keys).map(|_| names[fastrand::usize(..keys)]).collect();
    for round in 0..ROUNDS {
        let set = time(&requests, |batch| {
            in_batch(&keyspace, &pass, batch, |key| {
                let mut access = keyspace.lock(&pass, 0, key.hash, context());
                drop(access.set_string(key, &value, Expire::None));
            });
        });
        let get = time(&requests, |batch| {
            in_batch(&keyspace, &pass, batch, |key| {
                let mut access = keyspace.lock(&pass, 0, key.hash, context());
                let entry = access.find(key).expect("all keys are set");
                if let ValueRef::String(bytes) = entry.value() {
                    black_box(bytes.last());
                }
            });
        });
        println!("round {round}: SET {set:.1} ns, GET {get:.1} ns");
    }
}

type Name = [u8; 16];

fn name(n: usize) -> Name {
    format!("key:{n:012}").into_bytes().try_into().expect("four and twelve are sixteen")
}

fn context() -> AccessContext {
    AccessContext { now_ms: 1_000_000, stamp: Stamp::Lru { clock: 1_000 }, expiry: ExpiryMode::Delete }
}

/// Sets every key once, and answers what the slowest took.
fn fill(keyspace: &Keyspace<()>, pass: &Shared<'_>, names: &[Name], value: &[u8]) -> Duration {
    let mut slowest = Duration::ZERO;
    for name in names {
        let key = keyspace.key(name);
        let start = Instant::now();
        drop(keyspace.lock(pass, 0, key.hash, context()).set_string(key, value, Expire::None));
        slowest = slowest.max(start.elapsed());
    }
    slowest
}

/// Does `work` for a batch of keys the way a worker does: hash and prefetch all, then execute all.
fn in_batch(keyspace: &Keyspace<()>, pass: &Shared<'_>, batch: &[Name], mut work: impl FnMut(Key<'_>)) {
    let prefetcher = keyspace.prefetcher(pass, 0);
    let mut hashes = [KeyHash(0); BATCH];
    for (hash, name) in hashes.iter_mut().zip(batch) {
        *hash = keyspace.key(name).hash;
        prefetcher.bucket(*hash);
    }
    for &hash in &hashes[..batch.len()] {
        prefetcher.entry(hash);
    }
    for (&hash, bytes) in hashes.iter().zip(batch) {
        work(Key { bytes, hash });
    }
}

/// Nanoseconds of processor time an operation.
fn time(requests: &[Name], mut run: impl FnMut(&[Name])) -> f64 {
    let start = processor_time();
    requests.chunks(BATCH).for_each(&mut run);
    (processor_time() - start).as_nanos() as f64 / requests.len() as f64
}

/// The processor time of this thread; real time where that is not known.
fn processor_time() -> Duration {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    std::fs::read_to_string("/proc/thread-self/schedstat")
        .ok()
        .and_then(|text| text.split(' ').next().and_then(|field| field.parse().ok()))
        .map_or_else(|| START.elapsed(), Duration::from_nanos)
}

/// The process's resident memory; 0 where it is not known.
fn resident_bytes() -> usize {
    const PAGE: usize = 4096;
    let pages = std::fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|text| text.split(' ').nth(1).and_then(|field| field.parse::<usize>().ok()));
    pages.unwrap_or(0) * PAGE
}
