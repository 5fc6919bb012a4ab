//! The hash table behind large sets, hashes and sorted sets: linear hashing over buckets of one cache line.
//!
//! A table that doubles has to move everything, at once (a stall) or beside the old one (two tables to look through).
//! With linear hashing the table has *any* number of buckets and grows by one at a time: the next bucket in turn is
//! split in two. Each insertion does a small constant amount of work, the load stays the same at every size, and the
//! buckets live in chunks that never move.
//!
//! With `n` buckets, `2^k <= n < 2^(k+1)`, the low `k` bits of the hash name a bucket `b`; if `b + 2^k < n`, then `b` has
//! been split and one more bit decides between `b` and `b + 2^k`.
//!
//! A bucket has six slots, one byte of each hash beside them (the *tag*) so that a lookup seldom touches an element in
//! vain, and a pointer to an overflow bucket. The slots of a chain are filled from the front, without gaps.
//!
//! **Scanning.** Read the bits of the hash backwards, as a binary fraction in `[0, 1)`. Then each bucket is an interval,
//! a split halves one, and a merge joins two halves. The cursor is a point: a step visits the whole bucket around the
//! point and moves to that bucket's end. So whatever splits and merges happen between the steps, an element that is in
//! the table from the first to the last is visited at least once, and the cursor needs no state.

use super::Below;
use foldhash::SharedSeed;
use foldhash::quality::FoldHasher;
use std::hash::Hasher;

/// Slots in a bucket, so that it fills a cache line of 64 bytes.
const SLOTS: usize = 6;
/// Buckets in a chunk, which is one allocation of 16 KiB.
const CHUNK: usize = 256;
/// Above this many elements a bucket the table grows.
const MAX_LOAD: usize = 4;
/// Below this many elements a bucket the table shrinks.
const MIN_LOAD: usize = 2;
/// Chains are seldom longer, so that [`Dict::random`] may choose one of so many places in a bucket.
const TYPICAL_LONGEST_CHAIN: usize = 16;
/// The tag of an empty slot; those of full ones have the top bit set.
const EMPTY: u8 = 0;

/// An element of a [`Dict`], found by a part of its bytes.
pub(crate) trait Keyed {
    /// The key; it must not change while the element is in a table.
    fn key(&self) -> &[u8];
}

#[repr(align(64))]
#[derive(Clone)]
struct Bucket<E> {
    tags: [u8; SLOTS],
    slots: [Option<E>; SLOTS],
    overflow: Option<Box<Bucket<E>>>,
}

impl<E> Bucket<E> {
    fn new() -> Self {
        Self { tags: [EMPTY; SLOTS], slots: [const { None }; SLOTS], overflow: None }
    }

    /// This bucket and those that overflowed from it.
    fn chain(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |bucket| bucket.overflow.as_deref())
    }

    fn elements(&self) -> impl Iterator<Item = &E> {
        self.chain().flat_map(|bucket| bucket.slots.iter().map_while(Option::as_ref))
    }

    fn push(&mut self, tag: u8, element: E) {
        match self.tags.iter().position(|&tag| tag == EMPTY) {
            Some(slot) => {
                self.tags[slot] = tag;
                self.slots[slot] = Some(element);
            }
            None => self.overflow.get_or_insert_with(|| Box::new(Self::new())).push(tag, element),
        }
    }

    /// Takes the last element of the chain.
    fn pop(&mut self) -> Option<(u8, E)> {
        if let Some(overflow) = &mut self.overflow {
            let popped = overflow.pop();
            if overflow.tags[0] == EMPTY {
                self.overflow = None;
            }
            return popped;
        }
        let slot = self.tags.iter().rposition(|&tag| tag != EMPTY)?;
        let tag = std::mem::replace(&mut self.tags[slot], EMPTY);
        self.slots[slot].take().map(|element| (tag, element))
    }
}

impl<E: Keyed> Bucket<E> {
    #[inline]
    fn slot_of(&self, tag: u8, key: &[u8]) -> Option<usize> {
        (0..SLOTS).find(|&slot| {
            self.tags[slot] == tag && self.slots[slot].as_ref().is_some_and(|element| element.key() == key)
        })
    }

    #[inline]
    fn find(&self, tag: u8, key: &[u8]) -> Option<&E> {
        let mut bucket = self;
        loop {
            if let Some(slot) = bucket.slot_of(tag, key) {
                return bucket.slots[slot].as_ref();
            }
            bucket = bucket.overflow.as_deref()?;
        }
    }

    fn find_mut(&mut self, tag: u8, key: &[u8]) -> Option<&mut E> {
        match self.slot_of(tag, key) {
            Some(slot) => self.slots[slot].as_mut(),
            None => self.overflow.as_deref_mut()?.find_mut(tag, key),
        }
    }

    /// Takes an element out; the chain's last one moves into the gap.
    fn remove(&mut self, tag: u8, key: &[u8]) -> Option<E> {
        self.find(tag, key)?;
        let (last_tag, last) = self.pop()?;
        if last_tag == tag && last.key() == key {
            return Some(last);
        }
        self.replace(tag, key, last_tag, last)
    }

    fn replace(&mut self, tag: u8, key: &[u8], new_tag: u8, new: E) -> Option<E> {
        match self.slot_of(tag, key) {
            Some(slot) => {
                self.tags[slot] = new_tag;
                self.slots[slot].replace(new)
            }
            None => self.overflow.as_deref_mut()?.replace(tag, key, new_tag, new),
        }
    }
}

/// A hash table of elements that bring their keys with them.
#[derive(Clone)]
pub(crate) struct Dict<E> {
    chunks: Vec<Vec<Bucket<E>>>,
    buckets: usize,
    len: usize,
}

/// The hash of a key, the same for all tables of the process and unknown outside of it.
#[inline]
fn hash(key: &[u8]) -> u64 {
    let mut hasher = FoldHasher::with_seed(0, SharedSeed::global_random());
    hasher.write(key);
    hasher.finish()
}

#[inline]
fn tag(hash: u64) -> u8 {
    0x80 | (hash >> 57) as u8
}

impl<E> Dict<E> {
    pub(crate) fn new() -> Self {
        Self { chunks: vec![vec![Bucket::new()]], buckets: 1, len: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The bucket of a hash, and the mask of the bits that name it.
    #[inline]
    fn address(&self, hash: u64) -> (usize, u64) {
        let half = 1u64 << self.buckets.ilog2();
        let low = hash & (half - 1);
        let mask = if low + half < self.buckets as u64 { 2 * half - 1 } else { half - 1 };
        ((hash & mask) as usize, mask)
    }

    #[inline]
    fn bucket(&self, index: usize) -> &Bucket<E> {
        &self.chunks[index / CHUNK][index % CHUNK]
    }

    #[inline]
    fn bucket_mut(&mut self, index: usize) -> &mut Bucket<E> {
        &mut self.chunks[index / CHUNK][index % CHUNK]
    }

    pub(crate) fn iter(&self) -> Iter<'_, E> {
        Iter { chunks: self.chunks.iter(), buckets: [].iter(), bucket: None, slot: 0 }
    }

    /// Visits the bucket at a cursor and returns the next cursor, 0 at the end. Any cursor is valid.
    pub(crate) fn scan_step(&self, cursor: u64, visit: &mut dyn FnMut(&E)) -> u64 {
        let (index, mask) = self.address(cursor);
        self.bucket(index).elements().for_each(visit);
        (cursor | !mask).reverse_bits().wrapping_add(1).reverse_bits()
    }

    /// Steps until about `count` elements were visited, or ten times as many buckets if they are sparse.
    pub(crate) fn scan(&self, mut cursor: u64, count: usize, visit: &mut dyn FnMut(&E)) -> u64 {
        let mut visited = 0;
        for _ in 0..count.max(1).saturating_mul(10) {
            cursor = self.scan_step(cursor, &mut |element| {
                visited += 1;
                visit(element);
            });
            if cursor == 0 || visited >= count {
                break;
            }
        }
        cursor
    }

    /// A random element; uniform, but for the few at the end of exceptionally long chains.
    pub(crate) fn random(&self, below: Below<'_>) -> Option<&E> {
        if self.len == 0 {
            return None;
        }
        loop {
            let bucket = self.bucket(below(self.buckets));
            let in_chain = bucket.elements().count();
            let chosen = below(in_chain.max(TYPICAL_LONGEST_CHAIN));
            if let Some(element) = bucket.elements().nth(chosen) {
                return Some(element);
            }
        }
    }

    /// Bytes of the table itself.
    pub(crate) fn heap_size(&self) -> usize {
        let slots: usize = self.chunks.iter().map(Vec::capacity).sum();
        slots * size_of::<Bucket<E>>() + self.chunks.capacity() * size_of::<Vec<Bucket<E>>>()
    }

    fn push_bucket(&mut self) {
        if self.buckets.is_multiple_of(CHUNK) {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        self.chunks.last_mut().expect("a chunk was just made").push(Bucket::new());
        self.buckets += 1;
    }

    fn pop_bucket(&mut self) -> Bucket<E> {
        let chunk = self.chunks.last_mut().expect("the first bucket is never popped");
        let bucket = chunk.pop().expect("chunks are dropped when empty");
        self.buckets -= 1;
        if self.buckets.is_multiple_of(CHUNK) {
            self.chunks.pop();
        }
        bucket
    }
}

impl<E: Keyed> Dict<E> {
    #[inline]
    pub(crate) fn get(&self, key: &[u8]) -> Option<&E> {
        let hash = hash(key);
        self.bucket(self.address(hash).0).find(tag(hash), key)
    }

    pub(crate) fn get_mut(&mut self, key: &[u8]) -> Option<&mut E> {
        let hash = hash(key);
        let index = self.address(hash).0;
        self.bucket_mut(index).find_mut(tag(hash), key)
    }

    /// Adds what `make` makes, unless there is an element with this key, its key. Returns whether it was added.
    pub(crate) fn insert_with(&mut self, key: &[u8], make: impl FnOnce() -> E) -> bool {
        let hash = hash(key);
        let index = self.address(hash).0;
        let bucket = self.bucket_mut(index);
        if bucket.find(tag(hash), key).is_some() {
            return false;
        }
        bucket.push(tag(hash), make());
        self.len += 1;
        if self.len > self.buckets * MAX_LOAD {
            self.split();
        }
        true
    }

    /// Takes the element with this key out.
    pub(crate) fn remove(&mut self, key: &[u8]) -> Option<E> {
        let hash = hash(key);
        let index = self.address(hash).0;
        let removed = self.bucket_mut(index).remove(tag(hash), key)?;
        self.len -= 1;
        if self.buckets > 1 && self.len < self.buckets * MIN_LOAD {
            self.merge();
        }
        Some(removed)
    }

    /// Adds a bucket and gives it its part of the one that has its elements until now.
    fn split(&mut self) {
        let source = self.buckets - (1 << self.buckets.ilog2());
        self.push_bucket();
        let mut old = std::mem::replace(self.bucket_mut(source), Bucket::new());
        while let Some((tag, element)) = old.pop() {
            let index = self.address(hash(element.key())).0;
            self.bucket_mut(index).push(tag, element);
        }
    }

    /// Removes the last bucket; its elements go back to the one that it was split from.
    fn merge(&mut self) {
        let mut last = self.pop_bucket();
        let target = self.buckets - (1 << self.buckets.ilog2());
        while let Some((tag, element)) = last.pop() {
            self.bucket_mut(target).push(tag, element);
        }
    }
}

impl<E: std::fmt::Debug> std::fmt::Debug for Dict<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// Iterator over the elements of a [`Dict`].
pub(crate) struct Iter<'a, E> {
    chunks: std::slice::Iter<'a, Vec<Bucket<E>>>,
    buckets: std::slice::Iter<'a, Bucket<E>>,
    bucket: Option<&'a Bucket<E>>,
    slot: usize,
}

impl<E> Clone for Iter<'_, E> {
    fn clone(&self) -> Self {
        Self {
            chunks: self.chunks.clone(),
            buckets: self.buckets.clone(),
            bucket: self.bucket,
            slot: self.slot,
        }
    }
}

impl<'a, E> Iterator for Iter<'a, E> {
    type Item = &'a E;

    #[inline]
    fn next(&mut self) -> Option<&'a E> {
        loop {
            if let Some(bucket) = self.bucket {
                if let Some(Some(element)) = bucket.slots.get(self.slot) {
                    self.slot += 1;
                    return Some(element);
                }
                self.slot = 0;
                self.bucket = bucket.overflow.as_deref();
                continue;
            }
            match self.buckets.next() {
                Some(bucket) => self.bucket = Some(bucket),
                None => self.buckets = self.chunks.next()?.iter(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::thin::ThinBytes;
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    fn add(dict: &mut Dict<ThinBytes>, key: &[u8]) -> bool {
        dict.insert_with(key, || ThinBytes::concat(&[key]))
    }

    #[test]
    fn a_bucket_is_a_cache_line() {
        assert_eq!(size_of::<Bucket<ThinBytes>>(), 64);
    }

    #[test]
    fn the_table_grows_and_shrinks_with_its_elements() {
        let mut dict = Dict::new();
        for i in 0..20_000u32 {
            assert!(add(&mut dict, &i.to_le_bytes()));
            assert!(dict.buckets * MAX_LOAD >= dict.len());
        }
        assert_eq!(dict.chunks.len(), dict.buckets.div_ceil(CHUNK));
        for i in 0..20_000u32 {
            assert!(!add(&mut dict, &i.to_le_bytes()));
            assert_eq!(dict.remove(&i.to_le_bytes()).unwrap().as_slice(), i.to_le_bytes());
        }
        assert_eq!((dict.len(), dict.buckets, dict.chunks.len()), (0, 1, 1));
    }

    #[test]
    fn random_elements_are_about_uniform() {
        let mut dict = Dict::new();
        (0..100u8).for_each(|i| assert!(add(&mut dict, &[i])));
        let mut random = fastrand::Rng::with_seed(7);
        let mut hits = BTreeMap::new();
        for _ in 0..100_000 {
            *hits.entry(dict.random(&mut |n| random.usize(..n)).unwrap().key()[0]).or_insert(0) += 1;
        }
        assert_eq!(hits.len(), 100);
        assert!(hits.values().all(|hits| (800..1200).contains(hits)), "{hits:?}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn edits_are_those_of_a_set(edits in prop::collection::vec((0u8..3, 0u8..80), 1..400)) {
            let (mut dict, mut model) = (Dict::new(), BTreeSet::new());
            for (kind, key) in edits {
                if kind == 0 {
                    prop_assert_eq!(dict.remove(&[key]).is_some(), model.remove(&key));
                } else {
                    prop_assert_eq!(add(&mut dict, &[key]), model.insert(key));
                }
                prop_assert_eq!(dict.get(&[key]).is_some(), kind != 0);
                prop_assert_eq!(dict.len(), model.len());
            }
            prop_assert_eq!(dict.iter().map(|element| element.key()[0]).collect::<BTreeSet<_>>(), model);
            prop_assert_eq!(dict.iter().count(), dict.len());
        }

        #[test]
        fn a_scan_visits_whatever_stays(
            start in 0u16..600,
            changes in prop::collection::vec((any::<bool>(), 0u16..200), 0..60),
        ) {
            let mut dict = Dict::new();
            (0..start).for_each(|i| assert!(add(&mut dict, &i.to_le_bytes())));
            let (mut stays, mut next): (BTreeSet<u16>, u16) = ((0..start).collect(), start);
            let (mut seen, mut cursor, mut changes) = (BTreeSet::new(), 0, changes.into_iter());
            loop {
                cursor = dict.scan_step(cursor, &mut |element| {
                    seen.insert(u16::from_le_bytes(element.key().try_into().unwrap()));
                });
                if cursor == 0 {
                    break;
                }
                match changes.next() {
                    Some((true, many)) => for _ in 0..many {
                        add(&mut dict, &next.to_le_bytes());
                        next += 1;
                    },
                    Some((false, many)) => for _ in 0..many {
                        if let Some(gone) = stays.pop_last() {
                            dict.remove(&gone.to_le_bytes());
                        }
                    },
                    None => {}
                }
            }
            prop_assert!(stays.is_subset(&seen));
        }

        #[test]
        fn any_cursor_is_valid(cursor: u64, elements in 0u16..100) {
            let mut dict = Dict::new();
            (0..elements).for_each(|i| assert!(add(&mut dict, &i.to_le_bytes())));
            let mut cursor = dict.scan_step(cursor, &mut |_| {});
            for _ in 0..200 {
                if cursor == 0 {
                    break;
                }
                cursor = dict.scan_step(cursor, &mut |_| {});
            }
            prop_assert_eq!(cursor, 0);
        }
    }
}
