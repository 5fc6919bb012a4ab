//! Hashes: a listpack of alternating fields and values, or a hash table.
//!
//! An element of the table is one allocation with field and value; setting a value of the same length overwrites it in
//! place. A hash that has become a table stays one.

use super::dict::{self, Dict, Keyed};
use super::scalar::Needle;
use super::thin::ThinBytes;
use super::{Below, EncodingLimits, Listpack, ListpackIter, Scalar, sample};

/// A hash: fields with values.
///
/// ```
/// use redkeep_store::value::{EncodingLimits, Hash, Scalar};
/// let (mut hash, limits) = (Hash::new(), EncodingLimits::default());
/// assert!(hash.set(b"name", b"anna", &limits));
/// assert!(!hash.set(b"name", b"otto", &limits));
/// assert_eq!(hash.get(b"name"), Some(Scalar::Bytes(b"otto")));
/// assert_eq!(hash.encoding(), "listpack");
/// ```
#[derive(Clone, Debug)]
pub struct Hash {
    repr: Repr,
}

#[derive(Clone, Debug)]
enum Repr {
    Packed(Listpack),
    Table(Box<Dict<Pair>>),
}

/// A field with its value, one after the other, behind the length of the field.
#[derive(Clone)]
struct Pair(ThinBytes);

/// Lengths of fields from here on take nine bytes.
const LONG_FIELD: u8 = u8::MAX;

impl Pair {
    fn new(field: &[u8], value: &[u8]) -> Self {
        match u8::try_from(field.len()) {
            Ok(len) if len < LONG_FIELD => Self(ThinBytes::concat(&[&[len], field, value])),
            _ => {
                let len = (field.len() as u64).to_ne_bytes();
                Self(ThinBytes::concat(&[&[LONG_FIELD], &len, field, value]))
            }
        }
    }

    /// Where the field begins, and where the value does.
    fn offsets(&self) -> (usize, usize) {
        match self.0.as_slice() {
            [LONG_FIELD, rest @ ..] => {
                let len = rest.first_chunk().expect("a long field has its length in eight bytes");
                (9, 9 + u64::from_ne_bytes(*len) as usize)
            }
            [len, ..] => (1, 1 + usize::from(*len)),
            [] => unreachable!("a pair begins with the length of its field"),
        }
    }

    fn field(&self) -> &[u8] {
        let (field, value) = self.offsets();
        &self.0.as_slice()[field..value]
    }

    fn value(&self) -> &[u8] {
        &self.0.as_slice()[self.offsets().1..]
    }

    fn set_value(&mut self, value: &[u8]) {
        let at = self.offsets().1;
        let old = &mut self.0.as_mut_slice()[at..];
        if old.len() == value.len() {
            old.copy_from_slice(value);
        } else {
            *self = Self::new(self.field(), value);
        }
    }

    fn as_scalars(&self) -> (Scalar<'_>, Scalar<'_>) {
        (Scalar::Bytes(self.field()), Scalar::Bytes(self.value()))
    }
}

impl Keyed for Pair {
    fn key(&self) -> &[u8] {
        self.field()
    }
}

impl std::fmt::Debug for Pair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "\"{}\": \"{}\"", self.field().escape_ascii(), self.value().escape_ascii())
    }
}

impl Default for Hash {
    fn default() -> Self {
        Self::new()
    }
}

impl Hash {
    /// An empty hash.
    pub fn new() -> Self {
        Self { repr: Repr::Packed(Listpack::new()) }
    }

    /// An empty hash that is about to take about `fields` fields.
    pub fn with_hint(fields: usize, limits: &EncodingLimits) -> Self {
        match fields {
            _ if fields <= limits.hash_max_listpack_entries => Self::new(),
            _ => Self { repr: Repr::Table(Box::new(Dict::new())) },
        }
    }

    /// Number of fields.
    pub fn len(&self) -> usize {
        match &self.repr {
            Repr::Packed(pack) => pack.len() / 2,
            Repr::Table(table) => table.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// `"listpack"` or `"hashtable"`.
    pub fn encoding(&self) -> &'static str {
        match &self.repr {
            Repr::Packed(_) => "listpack",
            Repr::Table(_) => "hashtable",
        }
    }

    /// Bytes of heap memory, estimated from `samples` fields (0: all).
    pub fn heap_size(&self, samples: usize) -> usize {
        match &self.repr {
            Repr::Packed(pack) => pack.heap_size(),
            Repr::Table(table) => {
                let elements =
                    sample::estimate(table.iter(), table.len(), samples, |pair| pair.0.heap_size());
                size_of_val(&**table) + table.heap_size() + elements
            }
        }
    }

    /// How many allocations there are to free.
    pub fn free_effort(&self) -> usize {
        match &self.repr {
            Repr::Packed(_) => 1,
            Repr::Table(table) => table.len(),
        }
    }

    /// The value of a field.
    pub fn get(&self, field: &[u8]) -> Option<Scalar<'_>> {
        match &self.repr {
            Repr::Packed(pack) => {
                let at = pack.find(Needle::new(field), 2)?;
                Some(pack.get(pack.next(at)))
            }
            Repr::Table(table) => table.get(field).map(|pair| Scalar::Bytes(pair.value())),
        }
    }

    /// Whether a field is there.
    pub fn contains(&self, field: &[u8]) -> bool {
        self.get(field).is_some()
    }

    /// Sets a field; true if it is new.
    pub fn set(&mut self, field: &[u8], value: &[u8], limits: &EncodingLimits) -> bool {
        self.make_room(field, value, limits);
        match &mut self.repr {
            Repr::Packed(pack) => match pack.find(Needle::new(field), 2) {
                Some(at) => {
                    pack.replace_at(pack.next(at), value);
                    return false;
                }
                None => {
                    pack.push_back(field);
                    pack.push_back(value);
                }
            },
            Repr::Table(table) => match table.get_mut(field) {
                Some(pair) => {
                    pair.set_value(value);
                    return false;
                }
                None => {
                    table.insert_with(field, || Pair::new(field, value));
                }
            },
        }
        if matches!(self.repr, Repr::Packed(_)) && self.len() > limits.hash_max_listpack_entries {
            self.convert();
        }
        true
    }

    /// Sets a field that is not there yet; false if it was, and then nothing is changed.
    pub fn set_if_absent(&mut self, field: &[u8], value: &[u8], limits: &EncodingLimits) -> bool {
        !self.contains(field) && self.set(field, value, limits)
    }

    /// Removes a field; false if it was not there.
    pub fn remove(&mut self, field: &[u8]) -> bool {
        match &mut self.repr {
            Repr::Packed(pack) => {
                let Some(at) = pack.find(Needle::new(field), 2) else { return false };
                let end = pack.next(pack.next(at));
                pack.remove_span(at, end, 2);
                true
            }
            Repr::Table(table) => table.remove(field).is_some(),
        }
    }

    /// All fields with their values: in order of insertion for a listpack, else in no particular order.
    pub fn iter(&self) -> HashIter<'_> {
        HashIter(match &self.repr {
            Repr::Packed(pack) => IterRepr::Packed(pack.iter()),
            Repr::Table(table) => IterRepr::Table(table.iter()),
        })
    }

    /// One step of `HSCAN`: calls `visit` for about `count` fields and returns the next cursor, 0 at the end. A listpack
    /// is visited whole.
    pub fn scan(&self, cursor: u64, count: usize, visit: &mut dyn FnMut(Scalar<'_>, Scalar<'_>)) -> u64 {
        match &self.repr {
            Repr::Packed(_) => {
                self.iter().for_each(|(field, value)| visit(field, value));
                0
            }
            Repr::Table(table) => table.scan(cursor, count, &mut |pair| {
                let (field, value) = pair.as_scalars();
                visit(field, value);
            }),
        }
    }

    /// A random field with its value.
    pub fn random(&self, below: Below<'_>) -> Option<(Scalar<'_>, Scalar<'_>)> {
        match &self.repr {
            Repr::Packed(_) if self.is_empty() => None,
            Repr::Packed(pack) => {
                let at = pack.seek(2 * below(self.len()))?;
                Some((pack.get(at), pack.get(pack.next(at))))
            }
            Repr::Table(table) => table.random(below).map(Pair::as_scalars),
        }
    }

    /// `count` different random fields (all, if there are no more), in random order.
    pub fn random_distinct(&self, count: usize, below: Below<'_>) -> Vec<(Scalar<'_>, Scalar<'_>)> {
        match &self.repr {
            Repr::Table(table) if sample::is_sparse(count, table.len()) => {
                let drawn = sample::draw_distinct(count, || table.random(below), Pair::field);
                drawn.into_iter().map(Pair::as_scalars).collect()
            }
            _ => sample::pick(self.iter().collect(), count, below),
        }
    }

    /// The listpack of alternating fields and values, if this is the encoding; for RDB.
    pub fn as_listpack(&self) -> Option<&Listpack> {
        match &self.repr {
            Repr::Packed(pack) => Some(pack),
            Repr::Table(_) => None,
        }
    }

    /// The hash of these alternating fields and values, converted if they are past the limits; `None` if a value is
    /// missing or a field is there twice.
    pub fn from_listpack(pack: Listpack, limits: &EncodingLimits) -> Option<Self> {
        if !pack.len().is_multiple_of(2) || sample::has_duplicates(pack.iter().step_by(2)) {
            return None;
        }
        let too_long = pack.iter().any(|element| element.len() > limits.hash_max_listpack_value);
        let mut hash = Self { repr: Repr::Packed(pack) };
        if too_long || hash.len() > limits.hash_max_listpack_entries {
            hash.convert();
        }
        Some(hash)
    }

    /// Converts if this field or this value cannot be packed.
    fn make_room(&mut self, field: &[u8], value: &[u8], limits: &EncodingLimits) {
        let Repr::Packed(pack) = &self.repr else { return };
        let longest = field.len().max(value.len());
        if longest > limits.hash_max_listpack_value || !pack.has_room(field.len().saturating_add(value.len()))
        {
            self.convert();
        }
    }

    fn convert(&mut self) {
        let mut table = Box::new(Dict::new());
        for (field, value) in self.iter() {
            let (mut field_buf, mut value_buf) = Default::default();
            let field = field.as_bytes(&mut field_buf);
            table.insert_with(field, || Pair::new(field, value.as_bytes(&mut value_buf)));
        }
        self.repr = Repr::Table(table);
    }
}

impl<'a> IntoIterator for &'a Hash {
    type Item = (Scalar<'a>, Scalar<'a>);
    type IntoIter = HashIter<'a>;

    fn into_iter(self) -> HashIter<'a> {
        self.iter()
    }
}

/// Iterator over the fields of a [`Hash`](struct@Hash) with their values.
#[derive(Clone)]
pub struct HashIter<'a>(IterRepr<'a>);

#[derive(Clone)]
enum IterRepr<'a> {
    Packed(ListpackIter<'a>),
    Table(dict::Iter<'a, Pair>),
}

impl<'a> Iterator for HashIter<'a> {
    type Item = (Scalar<'a>, Scalar<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            IterRepr::Packed(elements) => Some((elements.next()?, elements.next()?)),
            IterRepr::Table(pairs) => pairs.next().map(Pair::as_scalars),
        }
    }
}

impl std::fmt::Debug for HashIter<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.clone()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    type Model = BTreeMap<Vec<u8>, Vec<u8>>;

    fn model_of<'a>(pairs: impl IntoIterator<Item = (Scalar<'a>, Scalar<'a>)>) -> Model {
        let mut model = Model::new();
        for (field, value) in pairs {
            assert!(model.insert(field.to_vec(), value.to_vec()).is_none(), "each field once");
        }
        model
    }

    fn small_limits() -> EncodingLimits {
        EncodingLimits { hash_max_listpack_entries: 8, hash_max_listpack_value: 10, ..Default::default() }
    }

    #[test]
    fn pairs_with_short_and_long_fields() {
        for (field, value) in [(0, 0), (1, 3), (254, 1), (255, 0), (256, 300), (70_000, 2)] {
            let (field, mut value) = (vec![b'f'; field], vec![b'v'; value]);
            let mut pair = Pair::new(&field, &value);
            assert!(pair.field() == field && pair.value() == value);
            value.push(b'w');
            pair.set_value(&value);
            value.fill(b'z');
            pair.set_value(&value);
            assert!(pair.field() == field && pair.value() == value);
        }
    }

    #[test]
    fn thresholds_are_redis_s() {
        let limits = EncodingLimits::default();
        let mut hash = Hash::new();
        (0..128).for_each(|i| assert!(hash.set(i.to_string().as_bytes(), b"v", &limits)));
        assert_eq!(hash.encoding(), "listpack");
        assert!(!hash.set(b"0", &[b'x'; 64], &limits));
        assert_eq!(hash.encoding(), "listpack");
        assert!(hash.set(b"128", b"v", &limits));
        assert_eq!((hash.encoding(), hash.len()), ("hashtable", 129));

        let mut hash = Hash::new();
        hash.set(b"f", &[b'x'; 65], &limits);
        assert_eq!(hash.encoding(), "hashtable");
        assert_eq!(Hash::with_hint(129, &limits).encoding(), "hashtable");
        assert_eq!(Hash::with_hint(128, &limits).encoding(), "listpack");
    }

    #[test]
    fn listpacks_that_are_no_hash_are_refused() {
        let limits = small_limits();
        let from = |elements: &[&str]| {
            let mut pack = Listpack::new();
            elements.iter().for_each(|element| pack.push_back(element.as_bytes()));
            Hash::from_listpack(pack, &limits)
        };
        assert!(from(&["a", "1", "b"]).is_none());
        assert!(from(&["a", "1", "a", "2"]).is_none());
        assert_eq!(from(&["a", "1", "b", "1"]).unwrap().encoding(), "listpack");
        assert_eq!(from(&["a", "0123456789x"]).unwrap().encoding(), "hashtable");
    }

    fn field() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            (0u8..20).prop_map(|i| i.to_string().into_bytes()),
            (0u8..20).prop_map(|i| format!("f{i}").into_bytes()),
        ]
    }

    fn value() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            9 => any::<i8>().prop_map(|i| i.to_string().into_bytes()),
            1 => prop::collection::vec(any::<u8>(), 0..14),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]

        #[test]
        fn edits_are_those_of_a_map(edits in prop::collection::vec((0u8..5, field(), value()), 1..120), seed: u64) {
            let (mut hash, mut model, limits) = (Hash::new(), Model::new(), small_limits());
            for (kind, field, value) in edits {
                match kind {
                    0 => prop_assert_eq!(hash.remove(&field), model.remove(&field).is_some()),
                    1 => {
                        let absent = !model.contains_key(&field);
                        prop_assert_eq!(hash.set_if_absent(&field, &value, &limits), absent);
                        model.entry(field.clone()).or_insert(value);
                    }
                    _ => prop_assert_eq!(hash.set(&field, &value, &limits), model.insert(field.clone(), value).is_none()),
                }
                prop_assert_eq!(hash.get(&field).map(|value| value.to_vec()), model.get(&field).cloned());
                prop_assert_eq!(hash.len(), model.len());
            }
            prop_assert_eq!(&model_of(&hash), &model);
            prop_assert_eq!(&model_of(&hash.clone()), &model);
            if let Some(pack) = hash.as_listpack() {
                prop_assert_eq!(&model_of(&Hash::from_listpack(pack.clone(), &limits).unwrap()), &model);
            }

            let (mut scanned, mut cursor) = (Model::new(), 0);
            loop {
                cursor = hash.scan(cursor, 3, &mut |field, value| { scanned.insert(field.to_vec(), value.to_vec()); });
                if cursor == 0 {
                    break;
                }
            }
            prop_assert_eq!(&scanned, &model);

            let mut random = fastrand::Rng::with_seed(seed);
            let mut below = |n: usize| random.usize(..n);
            for count in [0, 1, model.len() / 4, model.len(), model.len() + 1] {
                let picked = model_of(hash.random_distinct(count, &mut below));
                prop_assert_eq!(picked.len(), count.min(model.len()));
                prop_assert!(picked.iter().all(|(field, value)| model.get(field) == Some(value)));
            }
            let any = hash.random(&mut below).map(|(field, value)| (field.to_vec(), value.to_vec()));
            prop_assert_eq!(any.is_some(), !model.is_empty());
            prop_assert!(any.is_none_or(|(field, value)| model.get(&field) == Some(&value)));
        }
    }
}
