//! Sets: an intset while all members are integers, else a listpack, else a hash table.
//!
//! The changes between them are Redis 7.2's: an intset that gets a member that is no integer becomes a listpack if that
//! is within the limits; one that gets too long becomes a table at once. No set moves back.

use super::dict::{self, Dict, Keyed};
use super::scalar::{Needle, parse_int};
use super::thin::ThinBytes;
use super::{Below, EncodingLimits, Intset, IntsetIter, Listpack, ListpackIter, Scalar, ScalarBuf, sample};

/// A set of distinct members.
///
/// ```
/// use redkeep_store::value::{EncodingLimits, Set};
/// let (mut set, limits) = (Set::new(), EncodingLimits::default());
/// assert!(set.add(b"7", &limits) && !set.add(b"7", &limits));
/// assert_eq!(set.encoding(), "intset");
/// assert!(set.add(b"seven", &limits));
/// assert_eq!(set.encoding(), "listpack");
/// ```
#[derive(Clone, Debug)]
pub struct Set {
    repr: Repr,
}

#[derive(Clone, Debug)]
enum Repr {
    Ints(Intset),
    Packed(Listpack),
    Table(Box<Dict<ThinBytes>>),
}

impl Keyed for ThinBytes {
    #[inline]
    fn key(&self) -> &[u8] {
        self.as_slice()
    }
}

impl Default for Set {
    fn default() -> Self {
        Self::new()
    }
}

impl Set {
    /// An empty set; its first member decides the encoding.
    pub fn new() -> Self {
        Self { repr: Repr::Ints(Intset::new()) }
    }

    /// An empty set that is about to take about `members` members, the first of them `first`.
    pub fn with_hint(first: &[u8], members: usize, limits: &EncodingLimits) -> Self {
        let repr = if parse_int(first).is_some() && members <= limits.set_max_intset_entries {
            Repr::Ints(Intset::new())
        } else if members <= limits.set_max_listpack_entries {
            Repr::Packed(Listpack::new())
        } else {
            Repr::Table(Box::new(Dict::new()))
        };
        Self { repr }
    }

    /// Number of members.
    pub fn len(&self) -> usize {
        match &self.repr {
            Repr::Ints(ints) => ints.len(),
            Repr::Packed(pack) => pack.len(),
            Repr::Table(table) => table.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// `"intset"`, `"listpack"` or `"hashtable"`.
    pub fn encoding(&self) -> &'static str {
        match &self.repr {
            Repr::Ints(_) => "intset",
            Repr::Packed(_) => "listpack",
            Repr::Table(_) => "hashtable",
        }
    }

    /// Bytes of heap memory, estimated from `samples` members (0: all).
    pub fn heap_size(&self, samples: usize) -> usize {
        match &self.repr {
            Repr::Ints(ints) => ints.heap_size(),
            Repr::Packed(pack) => pack.heap_size(),
            Repr::Table(table) => {
                let elements = sample::estimate(table.iter(), table.len(), samples, ThinBytes::heap_size);
                size_of_val(&**table) + table.heap_size() + elements
            }
        }
    }

    /// How many allocations there are to free.
    pub fn free_effort(&self) -> usize {
        match &self.repr {
            Repr::Ints(_) | Repr::Packed(_) => 1,
            Repr::Table(table) => table.len(),
        }
    }

    /// Whether `member` is in the set.
    pub fn contains(&self, member: &[u8]) -> bool {
        match &self.repr {
            Repr::Ints(ints) => parse_int(member).is_some_and(|int| ints.contains(int)),
            Repr::Packed(pack) => pack.find(Needle::new(member), 1).is_some(),
            Repr::Table(table) => table.get(member).is_some(),
        }
    }

    /// Adds a member; false if it was there.
    pub fn add(&mut self, member: &[u8], limits: &EncodingLimits) -> bool {
        match &mut self.repr {
            Repr::Ints(ints) => match parse_int(member) {
                Some(int) => {
                    let added = ints.insert(int);
                    if ints.len() > max_ints(limits) {
                        self.convert_to_table();
                    }
                    return added;
                }
                None => self.leave_ints(member, limits),
            },
            Repr::Packed(pack) => {
                if pack.find(Needle::new(member), 1).is_some() {
                    return false;
                }
                if !fits_packed(pack.len(), member.len(), limits) || !pack.has_room(member.len()) {
                    self.convert_to_table();
                }
            }
            Repr::Table(_) => {}
        }
        self.add_unpacked(member)
    }

    /// Removes a member; false if it was not there.
    pub fn remove(&mut self, member: &[u8]) -> bool {
        match &mut self.repr {
            Repr::Ints(ints) => parse_int(member).is_some_and(|int| ints.remove(int)),
            Repr::Packed(pack) => {
                let Some(at) = pack.find(Needle::new(member), 1) else { return false };
                pack.remove_at(at);
                true
            }
            Repr::Table(table) => table.remove(member).is_some(),
        }
    }

    /// All members: ascending for an intset, in order of insertion for a listpack, else in no particular order.
    pub fn iter(&self) -> SetIter<'_> {
        SetIter(match &self.repr {
            Repr::Ints(ints) => IterRepr::Ints(ints.iter()),
            Repr::Packed(pack) => IterRepr::Packed(pack.iter()),
            Repr::Table(table) => IterRepr::Table(table.iter()),
        })
    }

    /// One step of `SSCAN`: calls `visit` for about `count` members and returns the next cursor, 0 at the end. Packed
    /// sets are visited whole.
    pub fn scan(&self, cursor: u64, count: usize, visit: &mut dyn FnMut(Scalar<'_>)) -> u64 {
        match &self.repr {
            Repr::Table(table) => {
                table.scan(cursor, count, &mut |member| visit(Scalar::Bytes(member.as_slice())))
            }
            _ => {
                self.iter().for_each(visit);
                0
            }
        }
    }

    /// A random member.
    pub fn random(&self, below: Below<'_>) -> Option<Scalar<'_>> {
        if self.is_empty() {
            return None;
        }
        match &self.repr {
            Repr::Ints(ints) => ints.get(below(ints.len())).map(Scalar::Int),
            Repr::Packed(pack) => pack.seek(below(pack.len())).map(|at| pack.get(at)),
            Repr::Table(table) => table.random(below).map(|member| Scalar::Bytes(member.as_slice())),
        }
    }

    /// `count` different random members (all, if there are no more), in random order.
    pub fn random_distinct(&self, count: usize, below: Below<'_>) -> Vec<Scalar<'_>> {
        match &self.repr {
            Repr::Table(table) if sample::is_sparse(count, table.len()) => {
                let drawn = sample::draw_distinct(count, || table.random(below), ThinBytes::as_slice);
                drawn.into_iter().map(|member| Scalar::Bytes(member.as_slice())).collect()
            }
            _ => sample::pick(self.iter().collect(), count, below),
        }
    }

    /// Removes a random member and gives it to `read`; `None` if the set is empty.
    pub fn pop_random<R>(&mut self, below: Below<'_>, read: impl FnOnce(Scalar<'_>) -> R) -> Option<R> {
        let member = self.random(below)?.to_vec();
        self.remove(&member);
        Some(read(Scalar::Bytes(&member)))
    }

    /// The intset, if this is the encoding; for RDB.
    pub fn as_intset(&self) -> Option<&Intset> {
        match &self.repr {
            Repr::Ints(ints) => Some(ints),
            _ => None,
        }
    }

    /// The listpack, if this is the encoding; for RDB.
    pub fn as_listpack(&self) -> Option<&Listpack> {
        match &self.repr {
            Repr::Packed(pack) => Some(pack),
            _ => None,
        }
    }

    /// The set of this intset, converted if it is past the limits.
    pub fn from_intset(intset: Intset, limits: &EncodingLimits) -> Self {
        let too_long = intset.len() > max_ints(limits);
        let mut set = Self { repr: Repr::Ints(intset) };
        if too_long {
            set.convert_to_table();
        }
        set
    }

    /// The set of these members, converted if they are past the limits; `None` if one is there twice.
    pub fn from_listpack(pack: Listpack, limits: &EncodingLimits) -> Option<Self> {
        if sample::has_duplicates(pack.iter()) {
            return None;
        }
        let packed = pack.len() <= limits.set_max_listpack_entries
            && pack.iter().all(|member| member.len() <= limits.set_max_listpack_value);
        let mut set = Self { repr: Repr::Packed(pack) };
        if !packed {
            set.convert_to_table();
        }
        Some(set)
    }

    /// Gives up the intset, for a member that is no integer.
    fn leave_ints(&mut self, member: &[u8], limits: &EncodingLimits) {
        let Repr::Ints(ints) = &self.repr else { return };
        let text_len = |int: Option<i64>| int.map_or(0, |int| Scalar::Int(int).len());
        let longest = text_len(ints.get(0)).max(text_len(ints.iter().next_back())).max(member.len());
        if !fits_packed(ints.len(), longest, limits) {
            return self.convert_to_table();
        }
        let mut pack = Listpack::new();
        for int in ints.iter() {
            pack.push_back(Scalar::Int(int).as_bytes(&mut ScalarBuf::new()));
        }
        let has_room = pack.has_room(member.len());
        self.repr = Repr::Packed(pack);
        if !has_room {
            self.convert_to_table();
        }
    }

    fn add_unpacked(&mut self, member: &[u8]) -> bool {
        match &mut self.repr {
            Repr::Ints(_) => unreachable!("integers are added as such, others are not added to an intset"),
            Repr::Packed(pack) => {
                pack.push_back(member);
                true
            }
            Repr::Table(table) => table.insert_with(member, || ThinBytes::concat(&[member])),
        }
    }

    fn convert_to_table(&mut self) {
        let mut table = Box::new(Dict::new());
        for member in self.iter() {
            let mut buf = ScalarBuf::new();
            let member = member.as_bytes(&mut buf);
            table.insert_with(member, || ThinBytes::concat(&[member]));
        }
        self.repr = Repr::Table(table);
    }
}

/// Most members of an intset: however it is configured, its size in bytes is a 32-bit number.
fn max_ints(limits: &EncodingLimits) -> usize {
    limits.set_max_intset_entries.min(1 << 27)
}

/// Whether a member of `longest` bytes can join `len` packed ones.
fn fits_packed(len: usize, longest: usize, limits: &EncodingLimits) -> bool {
    len < limits.set_max_listpack_entries && longest <= limits.set_max_listpack_value
}

impl<'a> IntoIterator for &'a Set {
    type Item = Scalar<'a>;
    type IntoIter = SetIter<'a>;

    fn into_iter(self) -> SetIter<'a> {
        self.iter()
    }
}

/// Iterator over the members of a [`Set`].
#[derive(Clone)]
pub struct SetIter<'a>(IterRepr<'a>);

#[derive(Clone)]
enum IterRepr<'a> {
    Ints(IntsetIter<'a>),
    Packed(ListpackIter<'a>),
    Table(dict::Iter<'a, ThinBytes>),
}

impl<'a> Iterator for SetIter<'a> {
    type Item = Scalar<'a>;

    #[inline]
    fn next(&mut self) -> Option<Scalar<'a>> {
        match &mut self.0 {
            IterRepr::Ints(ints) => ints.next().map(Scalar::Int),
            IterRepr::Packed(members) => members.next(),
            IterRepr::Table(members) => members.next().map(|member| Scalar::Bytes(member.as_slice())),
        }
    }
}

impl std::fmt::Debug for SetIter<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.clone()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    type Model = BTreeSet<Vec<u8>>;

    fn model_of<'a>(members: impl IntoIterator<Item = Scalar<'a>>) -> Model {
        let mut model = Model::new();
        for member in members {
            assert!(model.insert(member.to_vec()), "each member once");
        }
        model
    }

    fn small_limits() -> EncodingLimits {
        EncodingLimits {
            set_max_intset_entries: 12,
            set_max_listpack_entries: 8,
            set_max_listpack_value: 6,
            ..Default::default()
        }
    }

    fn set_of(members: impl IntoIterator<Item = impl ToString>, limits: &EncodingLimits) -> Set {
        let mut set = Set::new();
        members.into_iter().for_each(|member| assert!(set.add(member.to_string().as_bytes(), limits)));
        set
    }

    #[test]
    fn thresholds_are_redis_s() {
        let limits = EncodingLimits::default();
        assert_eq!(set_of(0..512, &limits).encoding(), "intset");
        assert_eq!(set_of(0..513, &limits).encoding(), "hashtable");
        let with = |ints: i64, member: &str| {
            let mut set = set_of(0..ints, &limits);
            assert!(set.add(member.as_bytes(), &limits));
            set.encoding()
        };
        assert_eq!(with(127, "x"), "listpack");
        assert_eq!(with(128, "x"), "hashtable");
        assert_eq!(with(0, &"x".repeat(64)), "listpack");
        assert_eq!(with(0, &"x".repeat(65)), "hashtable");
        let narrow = EncodingLimits { set_max_listpack_value: 2, ..EncodingLimits::default() };
        let mut set = set_of([100], &narrow);
        set.add(b"x", &narrow);
        assert_eq!(set.encoding(), "hashtable", "the integers would be too long");
    }

    #[test]
    fn hints_choose_the_encoding() {
        let limits = EncodingLimits::default();
        let hint = |first: &str, members| Set::with_hint(first.as_bytes(), members, &limits).encoding();
        assert_eq!((hint("1", 512), hint("1", 513)), ("intset", "hashtable"));
        assert_eq!((hint("x", 128), hint("x", 129)), ("listpack", "hashtable"));
    }

    #[test]
    fn what_rdb_brings_is_checked_and_converted() {
        let limits = small_limits();
        let from = |members: &[&str]| {
            let mut pack = Listpack::new();
            members.iter().for_each(|member| pack.push_back(member.as_bytes()));
            Set::from_listpack(pack, &limits)
        };
        assert!(from(&["a", "1", "a"]).is_none());
        assert_eq!(from(&["a", "1"]).unwrap().encoding(), "listpack");
        assert_eq!(from(&["1234567"]).unwrap().encoding(), "hashtable");
        let mut intset = Intset::new();
        (0..13).for_each(|i| assert!(intset.insert(i)));
        assert_eq!(Set::from_intset(intset, &limits).encoding(), "hashtable");
    }

    fn member() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            20 => (-20i64..20).prop_map(|i| i.to_string().into_bytes()),
            1 => any::<i64>().prop_map(|i| i.to_string().into_bytes()),
            2 => prop::collection::vec(b'a'..b'd', 0..7),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn edits_are_those_of_a_set(edits in prop::collection::vec((0u8..4, member()), 1..80), seed: u64) {
            let (mut set, mut model, limits) = (Set::new(), Model::new(), small_limits());
            let mut random = fastrand::Rng::with_seed(seed);
            let mut below = |n: usize| random.usize(..n);
            for (kind, member) in edits {
                match kind {
                    0 => prop_assert_eq!(set.remove(&member), model.remove(&member)),
                    _ => prop_assert_eq!(set.add(&member, &limits), model.insert(member.clone())),
                }
                prop_assert_eq!(set.contains(&member), kind != 0);
                prop_assert_eq!(set.len(), model.len());
                prop_assert!(model.len() > 12 || set.encoding() != "hashtable" || set.as_intset().is_none());
            }
            prop_assert_eq!(&model_of(&set), &model);
            prop_assert_eq!(&model_of(&set.clone()), &model);

            let (mut scanned, mut cursor) = (Model::new(), 0);
            loop {
                cursor = set.scan(cursor, 3, &mut |member| { scanned.insert(member.to_vec()); });
                if cursor == 0 {
                    break;
                }
            }
            prop_assert_eq!(&scanned, &model);

            for count in [0, 1, model.len() / 4, model.len(), model.len() + 1] {
                let picked = model_of(set.random_distinct(count, &mut below));
                prop_assert_eq!(picked.len(), count.min(model.len()));
                prop_assert!(picked.is_subset(&model));
            }
            while let Some(popped) = set.pop_random(&mut below, |member| member.to_vec()) {
                prop_assert!(model.remove(&popped));
                prop_assert_eq!(set.len(), model.len());
            }
            prop_assert!(model.is_empty() && set.random(&mut below).is_none());
        }
    }
}
