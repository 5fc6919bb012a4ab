//! Tests against a plain map, through growing and shrinking.

use std::collections::{HashMap, HashSet};

use super::*;
use crate::entry::{Mark, Meta, Owned};
use crate::recency::AccessBits;

const META: Meta = Meta { expire_ms: None, bits: AccessBits(0), mark: Mark::of(0) };

/// A table that owns its entries, beside the map that says what must be in it.
struct Checked {
    table: Table,
    model: HashMap<Vec<u8>, EntryPtr>,
    hasher: KeyHasher,
}

impl Checked {
    fn new() -> Self {
        Self { table: Table::new(), model: HashMap::new(), hasher: KeyHasher::new(3) }
    }

    fn key<'a>(&self, bytes: &'a [u8]) -> Key<'a> {
        Key { bytes, hash: self.hasher.hash(bytes) }
    }

    fn insert(&mut self, bytes: &[u8]) {
        let hash = self.key(bytes).hash;
        let entry = Owned::string(bytes, b"v", META).into_ptr();
        if let Some(old) = self.model.insert(bytes.to_vec(), entry) {
            // SAFETY: the new entry lives until `remove` or `drop`, the old one is freed once.
            unsafe {
                assert!(self.table.replace(hash, old, entry));
                drop(Owned::from_ptr(old));
            }
        } else {
            // SAFETY: the entry lives until `remove` or `drop`.
            unsafe { self.table.insert(hash, entry, &self.hasher) };
        }
    }

    fn remove(&mut self, bytes: &[u8]) {
        let hash = self.key(bytes).hash;
        if let Some(entry) = self.model.remove(bytes) {
            assert!(self.table.remove(hash, entry, &self.hasher));
            assert!(!self.table.remove(hash, entry, &self.hasher));
            // SAFETY: it came from `insert`, and nobody has it any more.
            drop(unsafe { Owned::from_ptr(entry) });
        }
        assert_eq!(self.table.find(self.key(bytes)), None);
    }

    fn check(&self) {
        assert_eq!(self.table.len() as usize, self.model.len());
        for (key, entry) in &self.model {
            assert_eq!(self.table.find(self.key(key)), Some(*entry));
        }
        let mut seen = HashSet::new();
        self.table.for_each(|entry| assert!(seen.insert(entry.as_raw()), "an entry is there twice"));
        assert_eq!(seen.len(), self.model.len());
    }

    /// Cursors are followed from 0 until they come back, with `between` called after each step.
    fn scan(&mut self, mut between: impl FnMut(&mut Self)) -> HashSet<Vec<u8>> {
        let mut seen = HashSet::new();
        let mut cursor = 0;
        loop {
            cursor = self.table.scan(cursor, &mut |entry| {
                // SAFETY: it is in the table, so it lives.
                seen.insert(unsafe { entry.get() }.key().to_vec());
            });
            if cursor == 0 {
                return seen;
            }
            between(self);
        }
    }
}

impl Drop for Checked {
    fn drop(&mut self) {
        for entry in self.model.values() {
            // SAFETY: it came from `insert`, and the table is not used any more.
            drop(unsafe { Owned::from_ptr(*entry) });
        }
    }
}

fn name(n: usize) -> Vec<u8> {
    format!("key:{n}").into_bytes()
}

#[test]
fn random_changes_agree_with_a_map() {
    for seed in 0..20 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut checked = Checked::new();
        let keys = [5, 50, 500, 3000][seed as usize % 4];
        for round in 0..12 {
            // Rounds that mostly insert alternate with rounds that mostly remove.
            let inserts = if round % 2 == 0 { 80 } else { 15 };
            for _ in 0..keys {
                let key = name(random.usize(..keys));
                if random.u32(..100) < inserts { checked.insert(&key) } else { checked.remove(&key) }
            }
            checked.check();
        }
    }
}

#[test]
fn emptying_gives_the_memory_back() {
    let mut checked = Checked::new();
    (0..20_000).for_each(|n| checked.insert(&name(n)));
    let grown = checked.table.main_mask;
    assert!(grown >= 4095, "20000 entries need 4096 buckets");
    (0..19_900).for_each(|n| checked.remove(&name(n)));
    checked.check();
    assert!(checked.table.main_mask <= 127, "100 entries keep {} buckets", checked.table.main_mask + 1);
    (19_900..20_000).for_each(|n| checked.remove(&name(n)));
    assert_eq!((checked.table.main_mask, checked.table.old.is_null()), (0, true));
    checked.insert(b"again");
    checked.check();
}

#[test]
fn equal_hashes_make_a_chain_that_comes_apart_again() {
    let mut checked = Checked::new();
    let same_hash = KeyHash(0x7700_0000_0000_0000);
    let entries: Vec<_> = (0..40).map(|n| Owned::string(&name(n), b"", META).into_ptr()).collect();
    for (n, &entry) in entries.iter().enumerate() {
        // SAFETY: the entries live until the end of the test. Their hash is the same before and after
        // growing only in the part that counts here: the table is not asked to move them.
        unsafe { bucket::put(checked.bucket_for_chain(), same_hash.tag(), entry) };
        checked.table.len += 1;
        assert_eq!(checked.chain_entries().len(), n + 1);
    }
    let mut left: Vec<_> = entries.clone();
    let mut random = fastrand::Rng::with_seed(9);
    while !left.is_empty() {
        let entry = left.swap_remove(random.usize(..left.len()));
        let (holder, slot) = checked.table.locate(same_hash, entry).expect("it was put there");
        // SAFETY: it was found there, in the only chain of the table.
        unsafe { bucket::take(checked.table.main, holder, slot) };
        checked.table.len -= 1;
        let there: HashSet<_> = checked.chain_entries().into_iter().collect();
        assert_eq!(there, left.iter().map(|entry| entry.as_raw()).collect());
        assert_eq!(checked.chain_buckets(), left.len().saturating_sub(2) / 6 + 1);
    }
    for entry in entries {
        // SAFETY: the table has none of them any more.
        drop(unsafe { Owned::from_ptr(entry) });
    }
}

impl Checked {
    fn bucket_for_chain(&mut self) -> *mut Bucket {
        if self.table.is_unallocated() {
            self.table.resize(1);
        }
        self.table.main
    }

    fn chain_entries(&self) -> Vec<*mut ()> {
        let mut entries = Vec::new();
        self.table.for_each(|entry| entries.push(entry.as_raw()));
        entries
    }

    fn chain_buckets(&self) -> usize {
        // SAFETY: the chain is the table's, which is borrowed.
        std::iter::successors(Some(self.table.main), |at| unsafe { (**at).child() }).count()
    }
}

#[test]
fn a_scan_sees_what_stays_while_the_table_grows_and_shrinks() {
    for seed in 0..30 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut checked = Checked::new();
        let stay = 200;
        (0..stay).for_each(|n| checked.insert(&name(n)));
        let start = [0, 300, 3000][seed as usize % 3];
        (stay..stay + start).for_each(|n| checked.insert(&name(n)));
        let mut next = stay + start;
        let mut oldest = stay;
        let seen = checked.scan(|checked| {
            let growing = random.bool();
            for _ in 0..random.usize(..200) {
                if growing {
                    checked.insert(&name(next));
                    next += 1;
                } else if oldest < next {
                    checked.remove(&name(oldest));
                    oldest += 1;
                }
            }
        });
        assert!((0..stay).all(|n| seen.contains(&name(n))), "seed {seed}");
        checked.check();
    }
}

#[test]
fn a_scan_of_a_table_at_rest_sees_everything_once() {
    let mut checked = Checked::new();
    (0..1000).for_each(|n| checked.insert(&name(n)));
    let mut count = 0;
    let mut cursor = 0;
    loop {
        cursor = checked.table.scan(cursor, &mut |_| count += 1);
        if cursor == 0 {
            break;
        }
    }
    assert_eq!(count, 1000);
}

#[test]
fn picks_are_about_even() {
    let mut checked = Checked::new();
    assert_eq!(checked.table.pick(1), None);
    (0..300).for_each(|n| checked.insert(&name(n)));
    let mut picks: HashMap<*mut (), u32> = HashMap::new();
    let mut random = fastrand::Rng::with_seed(4);
    for _ in 0..300 * 100 {
        let entry = checked.table.pick(random.u64(..)).expect("the table is not empty");
        *picks.entry(entry.as_raw()).or_default() += 1;
    }
    assert_eq!(picks.len(), 300);
    // 100 are expected; six standard deviations are allowed.
    assert!(picks.values().all(|n| (40..=160).contains(n)), "{:?}", picks.values().collect::<Vec<_>>());
    (1..300).for_each(|n| checked.remove(&name(n)));
    assert!(checked.table.pick(5).is_some());
}

#[test]
fn keys_of_every_length_are_told_apart() {
    for len in 0..70 {
        let key = vec![b'x'; len];
        assert!(same(&key, &key.clone()));
        for position in 0..len {
            let mut other = key.clone();
            other[position] = b'y';
            assert!(!same(&key, &other), "length {len}, position {position}");
        }
        assert!(!same(&key, &vec![b'x'; len + 1]));
    }
}
