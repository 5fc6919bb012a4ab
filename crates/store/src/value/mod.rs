//! The aggregate value types: lists, sets, hashes and sorted sets.
//!
//! Each type starts out in a *packed* encoding, a few bytes of Redis's own layout ([`Listpack`], [`Intset`]), which
//! costs one allocation and is searched by walking it. When it outgrows the [`EncodingLimits`] it moves to an
//! *indexed* encoding: hash table, hash table with a counted tree, or deque of listpacks. The names that
//! `encoding()` gives, and the thresholds at which they change, are Redis 7.2's. Sets, hashes and sorted sets never
//! move back; a list does.
//!
//! What holds for all of them:
//!
//! - Elements are read as [`Scalar`]: packed encodings keep integers as integers.
//! - Nothing here reads a clock or a random source. Random picks are given a function `below`, which returns a uniform
//!   number in `0..n` for an `n` that is never zero.
//! - Emptiness is the caller's business: a command that leaves an aggregate empty must remove its key.
//! - Mutators never fail and never panic on any element that fits in memory.

mod bptree;
mod dict;
mod hash;
mod intset;
mod list;
mod listpack;
mod sample;
mod scalar;
mod set;
mod sorted_set;
mod thin;

pub use hash::{Hash, HashIter};
pub use intset::{Intset, IntsetIter};
pub use list::{List, ListIter, NodeRef, Place, PositionQuery};
pub use listpack::{Listpack, ListpackIter};
pub use scalar::{Scalar, ScalarBuf, parse_int};
pub use set::{Set, SetIter};
pub use sorted_set::{
    AddOptions, AddOutcome, LexBound, LexRange, ScoreBound, ScoreRange, SortedSet, SortedSetIter,
};

use std::ops::Range;

/// One end of a list or of a sorted set, where `Front` is the lowest rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The head of a list; the lowest rank of a sorted set.
    Front,
    /// The tail of a list; the highest rank of a sorted set.
    Back,
}

/// A uniform number in `0..n`, for any `n` above zero: the random source of the functions that pick elements.
pub type Below<'a> = &'a mut dyn FnMut(usize) -> usize;

/// Up to where the packed encodings reach. The fields are the configuration directives of the same names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodingLimits {
    /// Most fields of a packed hash.
    pub hash_max_listpack_entries: usize,
    /// Longest field or value of a packed hash, in bytes.
    pub hash_max_listpack_value: usize,
    /// Positive: most elements in a node of a list. Negative, -1 to -5: most bytes, 4 KiB doubled at each step.
    pub list_max_listpack_size: i32,
    /// Most members of a set that is kept as a sorted array of integers.
    pub set_max_intset_entries: usize,
    /// Most members of a packed set.
    pub set_max_listpack_entries: usize,
    /// Longest member of a packed set, in bytes.
    pub set_max_listpack_value: usize,
    /// Most members of a packed sorted set.
    pub zset_max_listpack_entries: usize,
    /// Longest member of a packed sorted set, in bytes.
    pub zset_max_listpack_value: usize,
}

impl Default for EncodingLimits {
    /// Redis's defaults.
    fn default() -> Self {
        Self {
            hash_max_listpack_entries: 128,
            hash_max_listpack_value: 64,
            list_max_listpack_size: -2,
            set_max_intset_entries: 512,
            set_max_listpack_entries: 128,
            set_max_listpack_value: 64,
            zset_max_listpack_entries: 128,
            zset_max_listpack_value: 64,
        }
    }
}

/// What kind of value a key holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValueType {
    /// A string of bytes.
    String,
    /// A [`List`].
    List,
    /// A [`Set`].
    Set,
    /// A [`SortedSet`].
    SortedSet,
    /// A [`Hash`](struct@Hash).
    Hash,
}

impl ValueType {
    /// The name that `TYPE` replies and `SCAN ... TYPE` takes.
    pub const fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::List => "list",
            Self::Set => "set",
            Self::SortedSet => "zset",
            Self::Hash => "hash",
        }
    }
}

/// An aggregate by ownership. (Strings live in their entry and have no type of their own.)
#[derive(Clone, Debug)]
pub enum Value {
    /// A list.
    List(List),
    /// A set.
    Set(Set),
    /// A sorted set.
    SortedSet(SortedSet),
    /// A hash.
    Hash(Hash),
}

/// A value of any type, for reading.
#[derive(Clone, Copy, Debug)]
pub enum ValueRef<'a> {
    /// The bytes of a string.
    String(&'a [u8]),
    /// A list.
    List(&'a List),
    /// A set.
    Set(&'a Set),
    /// A sorted set.
    SortedSet(&'a SortedSet),
    /// A hash.
    Hash(&'a Hash),
}

/// A value of any type, for changing in place.
#[derive(Debug)]
pub enum ValueMut<'a> {
    /// The bytes of a string, whose length cannot be changed this way.
    String(&'a mut [u8]),
    /// A list.
    List(&'a mut List),
    /// A set.
    Set(&'a mut Set),
    /// A sorted set.
    SortedSet(&'a mut SortedSet),
    /// A hash.
    Hash(&'a mut Hash),
}

impl Value {
    /// The same value, borrowed.
    pub fn as_ref(&self) -> ValueRef<'_> {
        match self {
            Self::List(list) => ValueRef::List(list),
            Self::Set(set) => ValueRef::Set(set),
            Self::SortedSet(sorted_set) => ValueRef::SortedSet(sorted_set),
            Self::Hash(hash) => ValueRef::Hash(hash),
        }
    }

    /// The same value, borrowed for changes.
    pub fn as_mut(&mut self) -> ValueMut<'_> {
        match self {
            Self::List(list) => ValueMut::List(list),
            Self::Set(set) => ValueMut::Set(set),
            Self::SortedSet(sorted_set) => ValueMut::SortedSet(sorted_set),
            Self::Hash(hash) => ValueMut::Hash(hash),
        }
    }

    /// The type of the value.
    pub fn value_type(&self) -> ValueType {
        self.as_ref().value_type()
    }
}

impl From<List> for Value {
    fn from(list: List) -> Self {
        Self::List(list)
    }
}

impl From<Set> for Value {
    fn from(set: Set) -> Self {
        Self::Set(set)
    }
}

impl From<SortedSet> for Value {
    fn from(sorted_set: SortedSet) -> Self {
        Self::SortedSet(sorted_set)
    }
}

impl From<Hash> for Value {
    fn from(hash: Hash) -> Self {
        Self::Hash(hash)
    }
}

impl<'a> ValueRef<'a> {
    /// The type of the value.
    pub fn value_type(self) -> ValueType {
        match self {
            Self::String(_) => ValueType::String,
            Self::List(_) => ValueType::List,
            Self::Set(_) => ValueType::Set,
            Self::SortedSet(_) => ValueType::SortedSet,
            Self::Hash(_) => ValueType::Hash,
        }
    }

    /// What `OBJECT ENCODING` replies.
    pub fn encoding(self) -> &'static str {
        match self {
            Self::String(bytes) => scalar::string_encoding(bytes),
            Self::List(list) => list.encoding(),
            Self::Set(set) => set.encoding(),
            Self::SortedSet(sorted_set) => sorted_set.encoding(),
            Self::Hash(hash) => hash.encoding(),
        }
    }

    /// Number of elements; for a string, of bytes.
    pub fn len(self) -> usize {
        match self {
            Self::String(bytes) => bytes.len(),
            Self::List(list) => list.len(),
            Self::Set(set) => set.len(),
            Self::SortedSet(sorted_set) => sorted_set.len(),
            Self::Hash(hash) => hash.len(),
        }
    }

    /// Whether there are no elements; for a string, no bytes.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Bytes of heap memory behind the value, estimated from the first `samples` elements of what is not packed
    /// (all of them when `samples` is 0). A string counts its bytes.
    pub fn heap_size(self, samples: usize) -> usize {
        match self {
            Self::String(bytes) => bytes.len(),
            Self::List(list) => list.heap_size(samples),
            Self::Set(set) => set.heap_size(samples),
            Self::SortedSet(sorted_set) => sorted_set.heap_size(samples),
            Self::Hash(hash) => hash.heap_size(samples),
        }
    }

    /// How many allocations have to be freed to drop the value: what decides between dropping it at once and handing
    /// it to another thread.
    pub fn free_effort(self) -> usize {
        match self {
            Self::String(_) => 1,
            Self::List(list) => list.node_count(),
            Self::Set(set) => set.free_effort(),
            Self::SortedSet(sorted_set) => sorted_set.free_effort(),
            Self::Hash(hash) => hash.free_effort(),
        }
    }
}

/// The ranks `start..=stop` of `LRANGE`, `LTRIM`, `ZRANGE` and `ZREMRANGEBYRANK` as a range of indices below `len`:
/// negative ones count from the end, and what lies outside is cut off. `None` when nothing is left.
///
/// ```
/// use redkeep_store::value::resolve_range;
/// assert_eq!(resolve_range(0, -1, 3), Some(0..3));
/// assert_eq!(resolve_range(-100, 1, 3), Some(0..2));
/// assert_eq!(resolve_range(2, 1, 3), None);
/// assert_eq!(resolve_range(3, 10, 3), None);
/// ```
pub fn resolve_range(start: i64, stop: i64, len: usize) -> Option<Range<usize>> {
    let len = i64::try_from(len).unwrap_or(i64::MAX);
    let from_end = |index: i64| if index < 0 { index.saturating_add(len) } else { index };
    let start = from_end(start).max(0);
    let stop = from_end(stop).min(len - 1);
    (start <= stop).then(|| start as usize..stop as usize + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One value of each type, with members from 0 up.
    fn values(members: usize, limits: &EncodingLimits) -> [Value; 4] {
        let (mut list, mut set, mut hash) = (List::new(), Set::new(), Hash::new());
        let mut sorted_set = SortedSet::new();
        for i in 0..members {
            let member = format!("member:{i}").into_bytes();
            list.push(End::Back, &member, limits);
            assert!(set.add(&member, limits) && hash.set(&member, &member, limits));
            sorted_set.add(&member, i as f64, AddOptions::default(), limits);
        }
        [list.into(), set.into(), sorted_set.into(), hash.into()]
    }

    #[test]
    fn values_go_between_threads_and_are_small() {
        fn is_send_and_sync<T: Send + Sync>() {}
        is_send_and_sync::<Value>();
        is_send_and_sync::<SortedSetIter<'_>>();
        assert!(size_of::<Value>() <= 40);
    }

    #[test]
    fn names_of_types_and_encodings() {
        let limits = EncodingLimits::default();
        let names = |members| {
            values(members, &limits).map(|value| (value.value_type().name(), value.as_ref().encoding()))
        };
        let [list, set, zset, hash] = ["list", "set", "zset", "hash"];
        let packed = "listpack";
        assert_eq!(names(9), [(list, packed), (set, packed), (zset, packed), (hash, packed)]);
        let indexed = [(list, "quicklist"), (set, "hashtable"), (zset, "skiplist"), (hash, "hashtable")];
        assert_eq!(names(1000), indexed);
        assert_eq!(ValueRef::String(b"12").encoding(), "int");
    }

    #[test]
    fn sizes_are_close_and_estimates_near() {
        for value in values(5000, &EncodingLimits::default()) {
            let value = value.as_ref();
            let (exact, estimate) = (value.heap_size(0), value.heap_size(200));
            assert!((5000 * 11..5000 * 80).contains(&exact), "{exact}");
            assert!(exact.abs_diff(estimate) < exact / 5, "{exact} {estimate}");
            assert_eq!((value.len(), value.is_empty()), (5000, false));
            let expected = if value.encoding() == "quicklist" { 2..50 } else { 5000..5001 };
            assert!(expected.contains(&value.free_effort()));
        }
        assert!(values(5, &EncodingLimits::default()).iter().all(|value| value.as_ref().free_effort() == 1));
    }

    #[test]
    fn ranges_are_clipped_at_the_extremes() {
        assert_eq!(resolve_range(i64::MIN, i64::MAX, 3), Some(0..3));
        assert_eq!(resolve_range(i64::MAX, i64::MIN, 3), None);
        assert_eq!(resolve_range(0, -1, 0), None);
        assert_eq!(resolve_range(-2, -2, 3), Some(1..2));
        assert_eq!(resolve_range(0, -4, 3), None);
    }
}
