//! Entries by ownership: making, reshaping and freeing them.

use std::alloc::{alloc, dealloc, handle_alloc_error};
use std::fmt;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;

use super::layout::{Compact, Long, Mark, Shape, Word};
use super::{EntryPtr, EntryRef};
use crate::recency::AccessBits;
use crate::value::{Value, ValueRef, ValueType};

/// What an entry is given beside key and value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Meta {
    pub(crate) expire_ms: Option<u64>,
    pub(crate) bits: AccessBits,
    pub(crate) mark: Mark,
}

/// A key with its value that no database holds (any more). Dropping it drops the value; it may be sent
/// to another thread for that.
pub struct Owned(EntryPtr);

// SAFETY: an entry is its bytes and perhaps a `Value`, which is `Send` (checked below).
unsafe impl Send for Owned {}
const _: fn() = || {
    fn send<T: Send>() {}
    send::<Value>();
};

impl Owned {
    /// A string.
    #[inline]
    pub(crate) fn string(key: &[u8], value: &[u8], meta: Meta) -> Self {
        let shape = Shape::fitting(key.len(), value.len(), meta.expire_ms.is_some());
        let entry = allocate(shape, ValueType::String, key, value.len(), meta);
        // SAFETY: `allocate` made room for the value behind the key.
        unsafe {
            let to = entry.byte(shape.key_at() + key.len());
            to.copy_from_nonoverlapping(value.as_ptr(), value.len());
        }
        Self(entry)
    }

    /// An aggregate.
    pub(crate) fn aggregate(key: &[u8], value: Box<Value>, meta: Meta) -> Self {
        let shape = Shape::fitting(key.len(), size_of::<*mut Value>(), meta.expire_ms.is_some());
        let kind = value.value_type();
        let entry = allocate(shape, kind, key, size_of::<*mut Value>(), meta);
        // SAFETY: `allocate` made room for the pointer behind the key.
        unsafe {
            let to = entry.byte(shape.key_at() + key.len());
            to.cast::<*mut Value>().write_unaligned(Box::into_raw(value));
        }
        Self(entry)
    }

    /// The same value under another key. Only a string is copied.
    pub(crate) fn renamed(self, key: &[u8], meta: Meta) -> Self {
        if let ValueRef::String(value) = self.value() {
            return Self::string(key, value, meta);
        }
        let entry = ManuallyDrop::new(self).0;
        // SAFETY: the entry is ours and not a string, so it owns a box. We take that, and free the rest
        // without dropping the value.
        let value = unsafe {
            let value = Box::from_raw(entry.get().boxed());
            free(entry);
            value
        };
        Self::aggregate(key, value, meta)
    }

    /// The same entry with another expiry.
    pub(crate) fn with_expire(self, expire_ms: Option<u64>) -> Self {
        let header = self.entry().header();
        let shape = Shape::fitting(header.shape.key_len, header.value_len, expire_ms.is_some());
        self.reshaped(shape, expire_ms)
    }

    /// The same string with room for at least `len` bytes and as many again up to `SPARE_MAX`, so that
    /// appending byte by byte costs constant time a byte.
    pub(crate) fn with_room(self, len: usize) -> Self {
        /// Redis's own bound for what it allocates ahead.
        const SPARE_MAX: usize = 1 << 20;
        let header = self.entry().header();
        let capacity = len.saturating_add(len.min(SPARE_MAX));
        let shape = Shape::growable(header.shape.key_len, capacity, header.shape.expires);
        let expire_ms = self.expire_ms();
        self.reshaped(shape, expire_ms)
    }

    fn reshaped(self, shape: Shape, expire_ms: Option<u64>) -> Self {
        let header = self.entry().header();
        let meta = Meta { expire_ms, bits: header.word.bits(), mark: header.word.mark() };
        let entry = allocate(shape, header.word.kind(), self.key(), header.value_len, meta);
        let old = ManuallyDrop::new(self).0;
        // SAFETY: both have room for the value. The copy takes over the box of an aggregate, so the old
        // entry is freed without dropping its value.
        unsafe {
            let to = entry.byte(shape.key_at() + shape.key_len);
            to.copy_from_nonoverlapping(old.byte(header.value_at()), header.value_len);
            free(old);
        }
        Self(entry)
    }

    /// Gives the entry away as a pointer, for a table to hold.
    #[inline]
    pub(crate) fn into_ptr(self) -> EntryPtr {
        ManuallyDrop::new(self).0
    }

    /// Where the entry is.
    #[inline]
    pub(crate) fn entry_ptr(&self) -> EntryPtr {
        self.0
    }

    /// Takes the entry back.
    ///
    /// # Safety
    /// The pointer came from [`Owned::into_ptr`], and nobody else takes it or uses it any more.
    #[inline]
    pub(crate) unsafe fn from_ptr(entry: EntryPtr) -> Self {
        Self(entry)
    }

    /// The entry, for reading.
    #[inline]
    pub fn entry(&self) -> EntryRef<'_> {
        // SAFETY: it is ours, and borrowed as long as the reference exists.
        unsafe { self.0.get() }
    }

    /// The key.
    pub fn key(&self) -> &[u8] {
        self.entry().key()
    }

    /// The value.
    pub fn value(&self) -> ValueRef<'_> {
        self.entry().value()
    }

    /// The value's type.
    pub fn value_type(&self) -> ValueType {
        self.entry().value_type()
    }

    /// When the key would have expired: milliseconds since 1970.
    pub fn expire_ms(&self) -> Option<u64> {
        self.entry().expire_ms()
    }
}

impl Drop for Owned {
    #[inline]
    fn drop(&mut self) {
        if self.value_type() != ValueType::String {
            // SAFETY: the entry is ours and not a string, so it owns a box.
            drop(unsafe { Box::from_raw(self.entry().boxed()) });
        }
        // SAFETY: the entry is ours, and this is its end.
        unsafe { free(self.0) };
    }
}

impl fmt::Debug for Owned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.entry().fmt(f)
    }
}

/// Allocates an entry and writes header and key; the `value_len` bytes of the value are left to the
/// caller.
#[inline]
fn allocate(shape: Shape, kind: ValueType, key: &[u8], value_len: usize, meta: Meta) -> EntryPtr {
    let layout = shape.layout();
    // SAFETY: no layout of a shape is empty, since each has a header.
    let memory = unsafe { alloc(layout) };
    let Some(memory) = NonNull::new(memory) else { handle_alloc_error(layout) };
    let entry = EntryPtr(memory.cast());
    let word = Word::new(shape, kind, meta.bits, meta.mark);
    // SAFETY: the memory is new, aligned, and large enough for the header of its shape and for the key.
    unsafe {
        if shape.long {
            entry.long().write(Long {
                word,
                key_len: u32::try_from(key.len()).expect("no key is as long as 4 GiB"),
                value_len: value_len as u64,
                capacity: shape.capacity as u64,
                expire_ms: meta.expire_ms.unwrap_or(0),
            });
        } else {
            let (key_len, value_len) = (key.len() as u16, value_len as u16);
            entry.0.as_ptr().write(Compact { word, key_len, value_len });
            if let Some(expire_ms) = meta.expire_ms {
                (*entry.expiring()).expire_ms = expire_ms;
            }
        }
        entry.byte(shape.key_at()).copy_from_nonoverlapping(key.as_ptr(), key.len());
    }
    entry
}

/// Frees the entry's memory and drops nothing.
///
/// # Safety
/// The entry is alive and nobody uses it any more.
#[inline]
unsafe fn free(entry: EntryPtr) {
    // SAFETY: the header gives the layout that the entry was allocated with: in the compact form the
    // value's length may have changed, but never so that the size did.
    unsafe {
        let layout = entry.header().shape.layout();
        dealloc(entry.0.as_ptr().cast(), layout);
    }
}
