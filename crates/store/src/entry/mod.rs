//! Entries: one allocation per key, holding its header, the key and, for a string, the value.
//!
//! A lookup in a table that is larger than the caches costs one miss for the bucket and one for the
//! entry; there is nothing more to follow for a string. Aggregates lie in a box of their own, whose
//! pointer takes the value's place. [`layout`] draws the bytes.
//!
//! Four types stand for one entry. [`Owned`] owns it. [`EntryPtr`] is what tables hold: a thin
//! pointer that promises nothing. [`EntryRef`] and [`EntryMut`] borrow it, and exist only while
//! whoever made them holds the shard.
#![allow(unsafe_code)] // A thin pointer to a header with two runs of bytes behind it is not a Rust type.

mod layout;
mod owned;
mod view;

use std::ptr::NonNull;

use crate::prefetch::{CACHE_LINE, prefetch};
use layout::{Compact, CompactExpiring, Long, Shape, Word};

pub(crate) use layout::Mark;
pub(crate) use owned::Meta;
pub use owned::Owned;
pub use view::{EntryMut, EntryRef};

/// A thin pointer to an entry, alive or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct EntryPtr(NonNull<Compact>);

impl EntryPtr {
    /// The entry, for reading.
    ///
    /// # Safety
    /// For as long as `'a` lasts the entry is not freed, and changed through nothing else.
    #[inline]
    pub(crate) unsafe fn get<'a>(self) -> EntryRef<'a> {
        EntryRef::new(self)
    }

    /// The entry, for changing it in place.
    ///
    /// # Safety
    /// For as long as `'a` lasts the entry is not freed, and reached through nothing else.
    #[inline]
    pub(crate) unsafe fn get_mut<'a>(self) -> EntryMut<'a> {
        EntryMut::new(self)
    }

    /// Asks the processor to fetch the first `lines` cache lines of the entry. Harmless whatever is there.
    #[inline]
    pub(crate) fn prefetch(self, lines: u8) {
        for line in 0..usize::from(lines) {
            prefetch(self.0.as_ptr().wrapping_byte_add(line * CACHE_LINE));
        }
    }

    /// The pointer as tables store it.
    #[inline]
    pub(crate) fn as_raw(self) -> *mut () {
        self.0.as_ptr().cast()
    }

    /// The inverse of [`EntryPtr::as_raw`].
    #[inline]
    pub(crate) fn from_raw(raw: *mut ()) -> Option<Self> {
        NonNull::new(raw.cast()).map(Self)
    }

    #[inline]
    fn long(self) -> *mut Long {
        self.0.as_ptr().cast()
    }

    #[inline]
    fn expiring(self) -> *mut CompactExpiring {
        self.0.as_ptr().cast()
    }

    /// # Safety
    /// The entry is alive and not being written.
    #[inline]
    unsafe fn header(self) -> Header {
        let compact = self.0.as_ptr();
        // SAFETY: every form begins with the word, and the word says which form it is.
        unsafe {
            let word = (*compact).word;
            if word.is_long() {
                let long = self.long();
                Header {
                    word,
                    value_len: (*long).value_len as usize,
                    shape: Shape {
                        long: true,
                        expires: word.expires(),
                        key_len: (*long).key_len as usize,
                        capacity: (*long).capacity as usize,
                    },
                }
            } else {
                let value_len = usize::from((*compact).value_len);
                let key_len = usize::from((*compact).key_len);
                let expires = word.expires();
                Header {
                    word,
                    value_len,
                    shape: Shape { long: false, expires, key_len, capacity: value_len },
                }
            }
        }
    }

    /// The address `offset` bytes into the allocation.
    ///
    /// # Safety
    /// The entry is alive and at least `offset` bytes long.
    #[inline]
    unsafe fn byte(self, offset: usize) -> *mut u8 {
        // SAFETY: the caller says that it is inside of the allocation.
        unsafe { self.0.as_ptr().cast::<u8>().add(offset) }
    }
}

/// An entry's header, read.
#[derive(Clone, Copy)]
struct Header {
    word: Word,
    shape: Shape,
    value_len: usize,
}

impl Header {
    #[inline]
    fn value_at(self) -> usize {
        self.shape.key_at() + self.shape.key_len
    }
}
