//! Where things lie in an entry's allocation.
//!
//! ```text
//! compact            word:4  key_len:2  value_len:2                                     key  value
//! compact, expiring  word:4  key_len:2  value_len:2  expire_ms:8                        key  value
//! long               word:4  key_len:4  value_len:8  capacity:8  expire_ms:8            key  value
//! ```
//!
//! A 16-byte key with a 3-byte value thus takes 27 bytes. The long form is for what does not fit the
//! two-byte lengths, and for strings that grow: only there may the value be shorter than the room it
//! has, and an expiry is set without moving anything.
//!
//! The word holds, from its low end: 24 bits of recency, the form, whether the key expires, the type
//! of the value (3 bits), and the mark of the last snapshot that has the entry (3 bits).

use std::alloc::Layout;

use crate::recency::{self, AccessBits};
use crate::value::ValueType;

const LONG: u32 = 1 << 24;
const EXPIRES: u32 = 1 << 25;
const KIND_SHIFT: u32 = 26;
const MARK_SHIFT: u32 = 29;

/// Which snapshot has an entry: the low three bits of the snapshot's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark(u32);

impl Mark {
    /// So many snapshots in a row have different marks.
    pub(crate) const DISTINCT: u64 = 8;

    /// The mark of snapshot `number`.
    #[inline]
    pub(crate) const fn of(number: u64) -> Self {
        Self((number % Self::DISTINCT) as u32)
    }
}

/// The first four bytes of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word(u32);

impl Word {
    #[inline]
    pub(super) fn new(shape: Shape, kind: ValueType, bits: AccessBits, mark: Mark) -> Self {
        let kind = match kind {
            ValueType::String => 0,
            ValueType::List => 1,
            ValueType::Set => 2,
            ValueType::SortedSet => 3,
            ValueType::Hash => 4,
        };
        let long = if shape.long { LONG } else { 0 };
        let word = (bits.0 & recency::BITS) | kind << KIND_SHIFT | mark.0 << MARK_SHIFT | long;
        Self(word).with_expires(shape.expires)
    }

    #[inline]
    pub(super) fn is_long(self) -> bool {
        self.0 & LONG != 0
    }

    #[inline]
    pub(super) fn expires(self) -> bool {
        self.0 & EXPIRES != 0
    }

    #[inline]
    pub(super) fn kind(self) -> ValueType {
        match self.0 >> KIND_SHIFT & 7 {
            0 => ValueType::String,
            1 => ValueType::List,
            2 => ValueType::Set,
            3 => ValueType::SortedSet,
            _ => ValueType::Hash,
        }
    }

    #[inline]
    pub(super) fn is_string(self) -> bool {
        self.0 >> KIND_SHIFT & 7 == 0
    }

    #[inline]
    pub(super) fn bits(self) -> AccessBits {
        AccessBits(self.0 & recency::BITS)
    }

    #[inline]
    pub(super) fn mark(self) -> Mark {
        Mark(self.0 >> MARK_SHIFT)
    }

    #[inline]
    pub(super) fn with_bits(self, bits: AccessBits) -> Self {
        Self(self.0 & !recency::BITS | bits.0 & recency::BITS)
    }

    #[inline]
    pub(super) fn with_mark(self, mark: Mark) -> Self {
        Self(self.0 & !(7 << MARK_SHIFT) | mark.0 << MARK_SHIFT)
    }

    #[inline]
    pub(super) fn with_expires(self, expires: bool) -> Self {
        Self(if expires { self.0 | EXPIRES } else { self.0 & !EXPIRES })
    }
}

/// The header of the compact form.
#[repr(C, align(8))]
pub(super) struct Compact {
    pub(super) word: Word,
    pub(super) key_len: u16,
    pub(super) value_len: u16,
}

/// The header of the compact form of a key that expires.
#[repr(C)]
pub(super) struct CompactExpiring {
    pub(super) compact: Compact,
    pub(super) expire_ms: u64,
}

/// The header of the long form.
#[repr(C)]
pub(super) struct Long {
    pub(super) word: Word,
    pub(super) key_len: u32,
    pub(super) value_len: u64,
    pub(super) capacity: u64,
    pub(super) expire_ms: u64,
}

/// What decides the size of an entry's allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) long: bool,
    pub(super) expires: bool,
    pub(super) key_len: usize,
    /// Bytes for the value. In the compact form all of them are in use.
    pub(super) capacity: usize,
}

impl Shape {
    /// The smallest shape for a key and a value of these lengths.
    #[inline]
    pub(super) fn fitting(key_len: usize, value_len: usize, expires: bool) -> Self {
        let long = key_len.max(value_len) > usize::from(u16::MAX);
        Self { long, expires, key_len, capacity: value_len }
    }

    /// The shape of a string that grows, with room for `capacity` bytes.
    pub(super) fn growable(key_len: usize, capacity: usize, expires: bool) -> Self {
        Self { long: true, expires, key_len, capacity }
    }

    /// Where the key begins.
    #[inline]
    pub(super) fn key_at(self) -> usize {
        match (self.long, self.expires) {
            (true, _) => size_of::<Long>(),
            (false, true) => size_of::<CompactExpiring>(),
            (false, false) => size_of::<Compact>(),
        }
    }

    /// The size of the allocation. Rounded up, so that a value whose length changes a little can
    /// stay where it is; allocators round so far anyway.
    #[inline]
    pub(super) fn size(self) -> usize {
        (self.key_at() + self.key_len + self.capacity).next_multiple_of(align_of::<Compact>())
    }

    #[inline]
    pub(super) fn layout(self) -> Layout {
        Layout::from_size_align(self.size(), align_of::<Compact>())
            .expect("lengths of slices in memory do not add up to more than the address space")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_entry_fits_in_32_bytes() {
        assert_eq!(Shape::fitting(16, 3, false).size(), 32);
        assert_eq!(Shape::fitting(16, 8, false).size(), 32);
        assert_eq!(Shape::fitting(16, 3, true).size(), 40);
        assert_eq!(Shape::fitting(16, 100, false).size(), 128);
    }

    #[test]
    fn lengths_that_need_more_than_two_bytes_take_the_long_form() {
        assert!(!Shape::fitting(65_535, 65_535, false).long);
        assert!(Shape::fitting(65_536, 0, false).long);
        assert!(Shape::fitting(0, 65_536, true).long);
    }

    #[test]
    fn the_fields_of_the_word_do_not_touch_each_other() {
        let shape = Shape { long: true, expires: true, key_len: 1, capacity: 1 };
        let word = Word::new(shape, ValueType::Hash, AccessBits(recency::BITS), Mark::of(7));
        assert!(word.is_long() && word.expires() && !word.is_string());
        let word = word.with_bits(AccessBits(0)).with_mark(Mark::of(2)).with_expires(false);
        assert!(word.is_long() && !word.expires());
        assert_eq!((word.kind(), word.bits(), word.mark()), (ValueType::Hash, AccessBits(0), Mark::of(10)));
    }
}
