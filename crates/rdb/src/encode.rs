//! From values of the store to bytes that Redis 7.0 loads.
//!
//! Packed values are written as the blobs they are, the others a string at a time. Packed sets are the exception: their
//! blob is newer than version 10 of the format, so they are written member by member.

use redkeep_store::value::{Hash, List, NodeRef, Scalar, Set, SortedSet, ValueRef};

use crate::decode::{NODE_PACKED, NODE_PLAIN};
use crate::item::Attributes;
use crate::lzf::Compressor;
use crate::opcodes::{Opcode, ValueType};
use crate::primitives::encode as put;

/// Where an [`Encoder`] puts its bytes.
///
/// A large aggregate is encoded an element at a time; after each, [`checkpoint`](Output::checkpoint) gives the output the
/// chance to pass on what it has, so that it need not hold the whole. `Vec<u8>` is an output that holds everything.
pub trait Output {
    /// The buffer that the next bytes are appended to.
    fn buffer(&mut self) -> &mut Vec<u8>;

    /// The buffer ends with a complete element; it may be emptied.
    fn checkpoint(&mut self) {}
}

impl Output for Vec<u8> {
    fn buffer(&mut self) -> &mut Vec<u8> {
        self
    }
}

/// Encodes entries and values, one after another.
///
/// It keeps the tables of the compression between them (64 KiB), so have one for each thread and not for each value.
pub struct Encoder {
    compressor: Option<Compressor>,
}

impl Encoder {
    /// An encoder that compresses strings of more than 20 bytes if that makes them smaller, or not (`rdbcompression`).
    pub fn new(compression: bool) -> Self {
        Encoder { compressor: compression.then(Compressor::new) }
    }

    /// Appends a key with its attributes and value, as they stand in a file.
    pub fn entry(&mut self, out: &mut impl Output, key: &[u8], attributes: &Attributes, value: ValueRef<'_>) {
        let buffer = out.buffer();
        put_attributes(buffer, attributes);
        buffer.push(type_of(value).byte());
        self.string(buffer, key);
        self.value(out, value);
    }

    /// Appends a value, without the byte that says its type.
    pub(crate) fn value(&mut self, out: &mut impl Output, value: ValueRef<'_>) {
        match value {
            ValueRef::String(bytes) => self.string(out.buffer(), bytes),
            ValueRef::List(list) => self.list(out, list),
            ValueRef::Set(set) => self.set(out, set),
            ValueRef::SortedSet(sorted_set) => self.sorted_set(out, sorted_set),
            ValueRef::Hash(hash) => self.hash(out, hash),
        }
        out.checkpoint();
    }

    #[inline]
    pub(crate) fn string(&mut self, buffer: &mut Vec<u8>, bytes: &[u8]) {
        put::string(buffer, bytes, self.compressor.as_mut());
    }

    #[inline]
    fn scalar(&mut self, buffer: &mut Vec<u8>, scalar: Scalar<'_>) {
        match scalar {
            Scalar::Int(value) => put::integer(buffer, value),
            Scalar::Bytes(bytes) => self.string(buffer, bytes),
        }
    }

    /// A blob. It is never an integer's text, so only compression is tried.
    fn blob(&mut self, out: &mut impl Output, blob: &[u8]) {
        self.string(out.buffer(), blob);
    }

    fn list(&mut self, out: &mut impl Output, list: &List) {
        put::length(out.buffer(), list.node_count() as u64);
        for node in list.nodes() {
            match node {
                NodeRef::Packed(pack) => {
                    put::length(out.buffer(), NODE_PACKED);
                    self.blob(out, pack.as_bytes());
                }
                NodeRef::Plain(element) => {
                    put::length(out.buffer(), NODE_PLAIN);
                    self.string(out.buffer(), element);
                }
            }
            out.checkpoint();
        }
    }

    fn set(&mut self, out: &mut impl Output, set: &Set) {
        if let Some(intset) = set.as_intset() {
            return self.blob(out, intset.as_bytes());
        }
        put::length(out.buffer(), set.len() as u64);
        for member in set.iter() {
            self.scalar(out.buffer(), member);
            out.checkpoint();
        }
    }

    fn sorted_set(&mut self, out: &mut impl Output, sorted_set: &SortedSet) {
        if let Some(pack) = sorted_set.as_listpack() {
            return self.blob(out, pack.as_bytes());
        }
        let len = sorted_set.len();
        put::length(out.buffer(), len as u64);
        // From the highest down: Redis's skiplist takes each new lowest member without a search.
        for (member, score) in sorted_set.range_rev(0..len) {
            let buffer = out.buffer();
            self.scalar(buffer, member);
            buffer.extend_from_slice(&score.to_le_bytes());
            out.checkpoint();
        }
    }

    fn hash(&mut self, out: &mut impl Output, hash: &Hash) {
        if let Some(pack) = hash.as_listpack() {
            return self.blob(out, pack.as_bytes());
        }
        put::length(out.buffer(), hash.len() as u64);
        for (field, value) in hash.iter() {
            let buffer = out.buffer();
            self.scalar(buffer, field);
            self.scalar(buffer, value);
            out.checkpoint();
        }
    }
}

/// The layout that a value is written in.
pub(crate) fn type_of(value: ValueRef<'_>) -> ValueType {
    match value {
        ValueRef::String(_) => ValueType::String,
        ValueRef::List(_) => ValueType::ListQuicklist2,
        ValueRef::Set(set) if set.as_intset().is_some() => ValueType::SetIntset,
        ValueRef::Set(_) => ValueType::Set,
        ValueRef::SortedSet(sorted_set) if sorted_set.as_listpack().is_some() => ValueType::SortedSetListpack,
        ValueRef::SortedSet(_) => ValueType::SortedSet2,
        ValueRef::Hash(hash) if hash.as_listpack().is_some() => ValueType::HashListpack,
        ValueRef::Hash(_) => ValueType::Hash,
    }
}

fn put_attributes(buffer: &mut Vec<u8>, attributes: &Attributes) {
    if let Some(expire_ms) = attributes.expire_ms {
        buffer.push(Opcode::ExpireTimeMs.byte());
        buffer.extend_from_slice(&expire_ms.to_le_bytes());
    }
    if let Some(idle_seconds) = attributes.idle_seconds {
        buffer.push(Opcode::Idle.byte());
        put::length(buffer, idle_seconds);
    }
    if let Some(freq) = attributes.freq {
        buffer.extend_from_slice(&[Opcode::Freq.byte(), freq]);
    }
}
