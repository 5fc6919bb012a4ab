//! From the bytes of a value to a value of the store, in every encoding since the first.
//!
//! A value is either one string (a string, or a whole aggregate packed into a blob), which is decoded at once, or a
//! count and then that many elements, which is decoded an element at a time: [`begin`] gives a [`Growing`] and each
//! [`Growing::step`] takes one element from the input. A step that finds too few bytes has changed nothing and costs next
//! to nothing, since an element is at most two strings and skipping a string does not look at it. So nothing is parsed
//! twice, and no more is buffered than one element, however large the aggregate.
//!
//! The count is never believed: it ends the loop, but memory is taken only for elements whose bytes are there.

use std::borrow::Cow;

use redkeep_store::value::{
    AddOptions, AddOutcome, EncodingLimits, End, Hash, Intset, List, Listpack, Set, SortedSet, Value,
};

use crate::Limits;
use crate::error::{ErrorKind, Fault};
use crate::legacy::{ziplist_to_listpack, zipmap_to_listpack};
use crate::opcodes::ValueType;
use crate::primitives::{Cursor, Text};

/// In a quicklist of the second kind: the node is one element.
pub(crate) const NODE_PLAIN: u64 = 1;
/// In a quicklist of the second kind: the node is a listpack.
pub(crate) const NODE_PACKED: u64 = 2;

/// The store is told to expect at most one element for this many bytes that are at hand...
const BYTES_A_HINT: usize = 4;
/// ... and at most this many, so that whatever it does with the hint, a false count gains nothing.
const MAX_HINT: usize = 1 << 20;

/// A value that was read, ready to go into the store.
#[derive(Clone, Debug)]
pub enum Loaded<'a> {
    /// A string.
    String(Cow<'a, [u8]>),
    /// An aggregate; never an empty one.
    Value(Value),
}

impl Loaded<'_> {
    /// The same value, independent of the input.
    pub fn into_owned(self) -> Loaded<'static> {
        match self {
            Loaded::String(bytes) => Loaded::String(Cow::Owned(bytes.into_owned())),
            Loaded::Value(value) => Loaded::Value(value),
        }
    }
}

/// What the first bytes of a value led to.
pub(crate) enum Begun<'a> {
    /// The value is complete.
    Done(Loaded<'a>),
    /// It is an aggregate without elements, which Redis never has in its keyspace.
    Empty,
    /// Its elements follow.
    Growing(Box<Growing>),
}

/// An aggregate that is being read.
pub(crate) struct Growing {
    aggregate: Aggregate,
    remaining: u64,
}

/// The aggregate so far, by the layout of its elements.
enum Aggregate {
    /// Elements as strings.
    List(List),
    /// Ziplists.
    ListOfZiplists(List),
    /// Listpacks and plain elements.
    ListOfNodes(List),
    /// Members as strings.
    Set(Set),
    /// Fields and values as strings.
    Hash(Hash),
    /// Members with scores as text.
    SortedSetText(SortedSet),
    /// Members with scores in eight bytes.
    SortedSet(SortedSet),
}

/// Reads a value of type `value_type` up to its end or its first element.
#[inline]
pub(crate) fn begin<'a>(
    cursor: &mut Cursor<'a>,
    value_type: ValueType,
    limits: &Limits,
) -> Result<Begun<'a>, Fault> {
    if value_type == ValueType::String {
        return Ok(Begun::Done(Loaded::String(cursor.string()?.into_cow())));
    }
    match Aggregate::of_elements(value_type) {
        Some(aggregate) => {
            let remaining = cursor.length()?;
            if remaining == 0 {
                return Ok(Begun::Empty);
            }
            Ok(Begun::Growing(Box::new(Growing { aggregate, remaining })))
        }
        None => packed(cursor, value_type, &limits.encodings),
    }
}

/// Reads a whole value, which the input must hold. `None` is an aggregate without elements.
pub(crate) fn whole<'a>(
    cursor: &mut Cursor<'a>,
    value_type: ValueType,
    limits: &Limits,
) -> Result<Option<Loaded<'a>>, Fault> {
    match begin(cursor, value_type, limits)? {
        Begun::Done(loaded) => Ok(Some(loaded)),
        Begun::Empty => Ok(None),
        Begun::Growing(mut growing) => {
            while !growing.is_complete() {
                growing.step(cursor, &limits.encodings)?;
            }
            Ok(growing.finish(&limits.encodings))
        }
    }
}

/// Reads an aggregate that is one blob.
fn packed<'a>(
    cursor: &mut Cursor<'a>,
    value_type: ValueType,
    limits: &EncodingLimits,
) -> Result<Begun<'a>, Fault> {
    let offset = cursor.offset();
    let mut blob = || cursor.string();
    let value = match value_type {
        ValueType::HashZipmap => hash(zipmap_to_listpack(blob()?.bytes()), limits),
        ValueType::HashZiplist => hash(ziplist_to_listpack(blob()?.bytes()), limits),
        ValueType::HashListpack => hash(listpack(blob()?), limits),
        ValueType::SortedSetZiplist => sorted_set(ziplist_to_listpack(blob()?.bytes()), limits),
        ValueType::SortedSetListpack => sorted_set(listpack(blob()?), limits),
        ValueType::ListZiplist => ziplist_to_listpack(blob()?.bytes()).map(|pack| {
            let mut list = List::new();
            list.append_packed(pack);
            list.normalize(limits);
            list.into()
        }),
        ValueType::SetIntset => intset(blob()?, limits),
        ValueType::SetListpack => listpack(blob()?).and_then(|pack| {
            Set::from_listpack(pack, limits).map(Value::from).ok_or("a set has a member twice")
        }),
        other => return Err(Cursor::wrong_at(offset, ErrorKind::UnsupportedType(other))),
    };
    match value {
        Ok(value) if value.as_ref().is_empty() => Ok(Begun::Empty),
        Ok(value) => Ok(Begun::Done(Loaded::Value(value))),
        Err(sentence) => Err(Cursor::wrong_at(offset, ErrorKind::Corrupt(sentence))),
    }
}

fn listpack(blob: Text<'_>) -> Result<Listpack, &'static str> {
    Listpack::from_bytes(blob.into_cow().into_owned()).ok_or("a listpack contradicts itself")
}

fn intset(blob: Text<'_>, limits: &EncodingLimits) -> Result<Value, &'static str> {
    let intset = Intset::from_bytes(blob.into_cow().into_owned()).ok_or("an intset contradicts itself")?;
    Ok(Set::from_intset(intset, limits).into())
}

fn hash(pack: Result<Listpack, &'static str>, limits: &EncodingLimits) -> Result<Value, &'static str> {
    let hash = Hash::from_listpack(pack?, limits);
    hash.map(Value::from).ok_or("a packed hash has a field twice or without a value")
}

fn sorted_set(pack: Result<Listpack, &'static str>, limits: &EncodingLimits) -> Result<Value, &'static str> {
    let sorted_set = SortedSet::from_listpack(pack?, limits);
    sorted_set.map(Value::from).ok_or("a packed sorted set has a member twice or without a proper score")
}

impl Aggregate {
    /// An empty aggregate for the types that are a count and elements.
    fn of_elements(value_type: ValueType) -> Option<Self> {
        Some(match value_type {
            ValueType::List => Aggregate::List(List::new()),
            ValueType::ListQuicklist => Aggregate::ListOfZiplists(List::new()),
            ValueType::ListQuicklist2 => Aggregate::ListOfNodes(List::new()),
            ValueType::Set => Aggregate::Set(Set::new()),
            ValueType::Hash => Aggregate::Hash(Hash::new()),
            ValueType::SortedSet => Aggregate::SortedSetText(SortedSet::new()),
            ValueType::SortedSet2 => Aggregate::SortedSet(SortedSet::new()),
            _ => return None,
        })
    }
}

impl Growing {
    /// Whether every element is there.
    pub(crate) fn is_complete(&self) -> bool {
        self.remaining == 0
    }

    /// Takes one more element from the input, of which there must be one to come.
    pub(crate) fn step(&mut self, cursor: &mut Cursor<'_>, limits: &EncodingLimits) -> Result<(), Fault> {
        let expected = usize::try_from(self.remaining).unwrap_or(usize::MAX);
        let hint = expected.min(cursor.remaining() / BYTES_A_HINT).min(MAX_HINT);
        let offset = cursor.offset();
        let sound = match &mut self.aggregate {
            Aggregate::List(list) => {
                list.push(End::Back, cursor.string()?.bytes(), limits);
                Ok(())
            }
            Aggregate::ListOfZiplists(list) => {
                ziplist_to_listpack(cursor.string()?.bytes()).map(|pack| list.append_packed(pack))
            }
            Aggregate::ListOfNodes(list) => node(list, cursor)?,
            Aggregate::Set(set) => add_member(set, cursor.string()?.bytes(), hint, limits),
            Aggregate::Hash(hash) => {
                let (field, value) = (cursor.string()?, cursor.string()?);
                add_field(hash, field.bytes(), value.bytes(), hint, limits)
            }
            Aggregate::SortedSetText(sorted_set) => {
                let (member, score) = (cursor.string()?, cursor.text_double()?);
                add_scored(sorted_set, member.bytes(), score, hint, limits)
            }
            Aggregate::SortedSet(sorted_set) => {
                let (member, score) = (cursor.string()?, cursor.binary_double()?);
                add_scored(sorted_set, member.bytes(), score, hint, limits)
            }
        };
        self.remaining -= 1;
        sound.map_err(|sentence| Cursor::wrong_at(offset, ErrorKind::Corrupt(sentence)))
    }

    /// The complete aggregate; `None` if it came out empty, which a list of empty nodes does.
    pub(crate) fn finish(self, limits: &EncodingLimits) -> Option<Loaded<'static>> {
        let value: Value = match self.aggregate {
            Aggregate::List(list) => list.into(),
            Aggregate::ListOfZiplists(mut list) | Aggregate::ListOfNodes(mut list) => {
                list.normalize(limits);
                list.into()
            }
            Aggregate::Set(set) => set.into(),
            Aggregate::Hash(hash) => hash.into(),
            Aggregate::SortedSetText(sorted_set) | Aggregate::SortedSet(sorted_set) => sorted_set.into(),
        };
        (!value.as_ref().is_empty()).then_some(Loaded::Value(value))
    }
}

/// Whether an element was in order, or what was wrong with it.
type Sound = Result<(), &'static str>;

fn node(list: &mut List, cursor: &mut Cursor<'_>) -> Result<Sound, Fault> {
    let (container, blob) = (cursor.length()?, cursor.string()?);
    Ok(match container {
        NODE_PLAIN => {
            list.append_plain(blob.into_cow().into_owned());
            Ok(())
        }
        NODE_PACKED => listpack(blob).map(|pack| list.append_packed(pack)),
        _ => Err("a node of a list is neither plain nor packed"),
    })
}

fn add_member(set: &mut Set, member: &[u8], hint: usize, limits: &EncodingLimits) -> Sound {
    if set.is_empty() {
        *set = Set::with_hint(member, hint, limits);
    }
    if set.add(member, limits) { Ok(()) } else { Err("a set has a member twice") }
}

fn add_field(hash: &mut Hash, field: &[u8], value: &[u8], hint: usize, limits: &EncodingLimits) -> Sound {
    if hash.is_empty() {
        *hash = Hash::with_hint(hint, limits);
    }
    if hash.set_if_absent(field, value, limits) { Ok(()) } else { Err("a hash has a field twice") }
}

fn add_scored(
    sorted_set: &mut SortedSet,
    member: &[u8],
    score: f64,
    hint: usize,
    limits: &EncodingLimits,
) -> Sound {
    if sorted_set.is_empty() {
        *sorted_set = SortedSet::with_hint(hint, member.len(), limits);
    }
    match sorted_set.add(member, score, AddOptions { only_add: true, ..AddOptions::default() }, limits) {
        AddOutcome::Added(_) => Ok(()),
        AddOutcome::NotANumber => Err("a score is not a number"),
        AddOutcome::Updated(_) | AddOutcome::Unchanged(_) | AddOutcome::Skipped => {
            Err("a sorted set has a member twice")
        }
    }
}
