//! Entries borrowed, for reading and for changing in place.

use std::fmt;
use std::marker::PhantomData;

use super::layout::{Mark, Shape};
use super::{EntryPtr, Header};
use crate::recency::AccessBits;
use crate::value::{Value, ValueMut, ValueRef, ValueType};

/// A key with its value, borrowed for reading.
#[derive(Clone, Copy)]
pub struct EntryRef<'a> {
    entry: EntryPtr,
    lifetime: PhantomData<&'a Value>,
}

impl<'a> EntryRef<'a> {
    /// Only for [`EntryPtr::get`], whose contract every method here builds on.
    #[inline]
    pub(super) fn new(entry: EntryPtr) -> Self {
        Self { entry, lifetime: PhantomData }
    }

    #[inline]
    pub(super) fn header(self) -> Header {
        // SAFETY: the entry is alive and not written as long as this reference exists.
        unsafe { self.entry.header() }
    }

    /// The key.
    #[inline]
    pub fn key(self) -> &'a [u8] {
        let shape = self.header().shape;
        // SAFETY: `key_len` initialised bytes lie at `key_at`, unchanged for `'a`.
        unsafe { std::slice::from_raw_parts(self.entry.byte(shape.key_at()), shape.key_len) }
    }

    /// The value.
    #[inline]
    pub fn value(self) -> ValueRef<'a> {
        let header = self.header();
        if header.word.is_string() {
            // SAFETY: of a string, `value_len` initialised bytes lie at `value_at`, unchanged for `'a`.
            let bytes =
                unsafe { std::slice::from_raw_parts(self.entry.byte(header.value_at()), header.value_len) };
            return ValueRef::String(bytes);
        }
        // SAFETY: any other entry owns the box its value is, and that is not written for `'a`.
        unsafe { (*self.boxed()).as_ref() }
    }

    /// The pointer in place of the value of an aggregate.
    ///
    /// # Safety
    /// The entry is not a string.
    #[inline]
    pub(super) unsafe fn boxed(self) -> *mut Value {
        let at = self.header().value_at();
        // SAFETY: the pointer that was written on creation lies there, at any alignment.
        unsafe { self.entry.byte(at).cast::<*mut Value>().read_unaligned() }
    }

    /// The value's type, without looking at the value.
    #[inline]
    pub fn value_type(self) -> ValueType {
        self.header().word.kind()
    }

    /// When the key expires: milliseconds since 1970.
    #[inline]
    pub fn expire_ms(self) -> Option<u64> {
        let word = self.header().word;
        if !word.expires() {
            return None;
        }
        // SAFETY: the word says which of the two headers with an expiry this is.
        Some(unsafe {
            if word.is_long() { (*self.entry.long()).expire_ms } else { (*self.entry.expiring()).expire_ms }
        })
    }

    /// Whether the key is expired at `now_ms`: from the millisecond after its expiry on, as in Redis.
    #[inline]
    pub fn is_expired(self, now_ms: u64) -> bool {
        self.expire_ms().is_some_and(|expire_ms| expire_ms < now_ms)
    }

    /// When, or how often, the key was used; a lookup that stamps has stamped it already.
    #[inline]
    pub fn access_bits(self) -> AccessBits {
        self.header().word.bits()
    }

    /// Bytes of memory that the entry takes itself, without what an aggregate holds outside.
    pub fn allocated(self) -> usize {
        self.header().shape.size()
    }

    #[inline]
    pub(crate) fn mark(self) -> Mark {
        self.header().word.mark()
    }
}

impl fmt::Debug for EntryRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EntryRef")
            .field("key", &self.key().escape_ascii().to_string())
            .field("value_type", &self.value_type())
            .field("expire_ms", &self.expire_ms())
            .finish_non_exhaustive()
    }
}

/// A key with its value, borrowed for changing the value. A running snapshot has it already.
pub struct EntryMut<'a> {
    entry: EntryPtr,
    lifetime: PhantomData<&'a mut Value>,
}

impl<'a> EntryMut<'a> {
    /// Only for [`EntryPtr::get_mut`], whose contract every method here builds on.
    #[inline]
    pub(super) fn new(entry: EntryPtr) -> Self {
        Self { entry, lifetime: PhantomData }
    }

    /// The same entry, for reading.
    #[inline]
    pub fn as_ref(&self) -> EntryRef<'_> {
        EntryRef::new(self.entry)
    }

    /// The key.
    #[inline]
    pub fn key(&self) -> &[u8] {
        self.as_ref().key()
    }

    /// The value.
    #[inline]
    pub fn value(&self) -> ValueRef<'_> {
        self.as_ref().value()
    }

    /// The value's type, without looking at the value.
    #[inline]
    pub fn value_type(&self) -> ValueType {
        self.as_ref().value_type()
    }

    /// When the key expires: milliseconds since 1970.
    #[inline]
    pub fn expire_ms(&self) -> Option<u64> {
        self.as_ref().expire_ms()
    }

    /// The value, to be changed. A string keeps its length this way; [`Access`](crate::Access) has
    /// what changes it.
    #[inline]
    pub fn value_mut(&mut self) -> ValueMut<'_> {
        if self.as_ref().header().word.is_string() {
            return ValueMut::String(self.string());
        }
        // SAFETY: it is not a string, so it owns its box, and we are its only user.
        unsafe { (*self.as_ref().boxed()).as_mut() }
    }

    /// The value, to be changed for as long as the entry was borrowed.
    #[inline]
    pub fn into_value_mut(self) -> ValueMut<'a> {
        let header = self.as_ref().header();
        if header.word.is_string() {
            // SAFETY: of a string, `value_len` initialised bytes lie at `value_at`; nobody else uses them for `'a`,
            // since this reference ends here.
            let bytes = unsafe {
                std::slice::from_raw_parts_mut(self.entry.byte(header.value_at()), header.value_len)
            };
            return ValueMut::String(bytes);
        }
        // SAFETY: it is not a string, so it owns its box, of which we were the only user for `'a`.
        unsafe { (*self.as_ref().boxed()).as_mut() }
    }

    /// The bytes of a string.
    fn string(&mut self) -> &mut [u8] {
        let header = self.as_ref().header();
        debug_assert!(header.word.is_string());
        // SAFETY: of a string, `value_len` initialised bytes lie at `value_at`; we are its only user.
        unsafe { std::slice::from_raw_parts_mut(self.entry.byte(header.value_at()), header.value_len) }
    }

    #[inline]
    pub(crate) fn set_bits(&mut self, bits: AccessBits) {
        let word = self.as_ref().header().word.with_bits(bits);
        // SAFETY: every form begins with the word; we are its only user.
        unsafe { (*self.entry.0.as_ptr()).word = word };
    }

    #[inline]
    pub(crate) fn set_mark(&mut self, mark: Mark) {
        let word = self.as_ref().header().word.with_mark(mark);
        // SAFETY: every form begins with the word; we are its only user.
        unsafe { (*self.entry.0.as_ptr()).word = word };
    }

    /// Sets the expiry if the form has room for it; answers whether it has.
    #[inline]
    pub(crate) fn try_set_expire(&mut self, expire_ms: Option<u64>) -> bool {
        let word = self.as_ref().header().word;
        if word.is_long() {
            // SAFETY: the word says that this is the long form; we are its only user.
            unsafe {
                (*self.entry.long()).expire_ms = expire_ms.unwrap_or(0);
                (*self.entry.long()).word = word.with_expires(expire_ms.is_some());
            }
            return true;
        }
        match expire_ms {
            // SAFETY: the word says that this is the compact form with an expiry.
            Some(expire_ms) if word.expires() => unsafe { (*self.entry.expiring()).expire_ms = expire_ms },
            None if !word.expires() => {}
            _ => return false,
        }
        true
    }

    /// Overwrites a string with another where it lies, if the other has the form and the room for it.
    #[inline]
    pub(crate) fn try_overwrite(&mut self, value: &[u8], expire_ms: Option<u64>) -> bool {
        let header = self.as_ref().header();
        let shape = header.shape;
        if !header.word.is_string() {
            return false;
        }
        if shape.long {
            // Neither too short for its room, nor for its form.
            if value.len() > shape.capacity
                || value.len() < shape.capacity / 2
                || value.len() <= usize::from(u16::MAX)
            {
                return false;
            }
        } else {
            let wanted = Shape::fitting(shape.key_len, value.len(), expire_ms.is_some());
            if wanted.long || wanted.expires != shape.expires || wanted.size() != shape.size() {
                return false;
            }
        }
        // SAFETY: both branches have made sure that the allocation has room for the value.
        unsafe { self.write_value_at(0, value) };
        self.try_set_expire(expire_ms)
    }

    /// Puts `tail` at `offset` of a string and lets the string end with it.
    ///
    /// # Safety
    /// The entry is a string of at least `offset` bytes, and its allocation has room for the result,
    /// in the compact form without becoming another size.
    unsafe fn write_value_at(&mut self, offset: usize, tail: &[u8]) {
        let header = self.as_ref().header();
        let len = offset + tail.len();
        // SAFETY: the caller says that there is room; `tail` cannot overlap what we alone use.
        unsafe {
            let to = self.entry.byte(header.value_at() + offset);
            to.copy_from_nonoverlapping(tail.as_ptr(), tail.len());
            self.set_value_len(header, len);
        }
    }

    /// # Safety
    /// The allocation has room for `len` bytes of value, the first `len` are initialised, and in the
    /// compact form its size is the same with them.
    unsafe fn set_value_len(&mut self, header: Header, len: usize) {
        // SAFETY: the header says which form this is; we are its only user.
        unsafe {
            if header.shape.long {
                (*self.entry.long()).value_len = len as u64;
            } else {
                (*self.entry.0.as_ptr()).value_len = len as u16;
            }
        }
    }

    /// How many bytes a string can be extended to where it lies.
    fn room(&self) -> usize {
        let header = self.as_ref().header();
        if header.shape.long {
            return header.shape.capacity;
        }
        (header.shape.size() - header.value_at()).min(usize::from(u16::MAX))
    }

    /// Extends a string with zero bytes to `len` if it is shorter, where it lies; answers whether it has
    /// the room.
    pub(crate) fn try_extend(&mut self, len: usize) -> bool {
        let header = self.as_ref().header();
        if len > self.room() {
            return false;
        }
        let old = header.value_len;
        if len > old {
            // SAFETY: there is room, and `room` stays within the size that the compact form has.
            unsafe {
                self.entry.byte(header.value_at() + old).write_bytes(0, len - old);
                self.set_value_len(header, len);
            }
        }
        true
    }

    /// Appends to a string where it lies; answers whether it has the room.
    pub(crate) fn try_append(&mut self, tail: &[u8]) -> bool {
        let old = self.as_ref().header().value_len;
        let fits = old + tail.len() <= self.room();
        if fits {
            // SAFETY: there is room, and `room` stays within the size that the compact form has.
            unsafe { self.write_value_at(old, tail) };
        }
        fits
    }
}

impl<'a> EntryMut<'a> {
    /// The bytes of a string, for as long as the entry is borrowed; `None` for another type.
    pub(crate) fn into_string(mut self) -> Option<&'a mut [u8]> {
        if !self.as_ref().header().word.is_string() {
            return None;
        }
        let bytes: *mut [u8] = self.string();
        // SAFETY: `self` was the entry's only user for `'a`, and ends here.
        Some(unsafe { &mut *bytes })
    }
}

impl fmt::Debug for EntryMut<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}
