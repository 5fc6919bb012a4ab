#![allow(unsafe_code)]
//! Byte strings behind one thin pointer: the elements of hash tables.
//!
//! A slot of a hash table holds one of these for each element, so each word of it counts: a `Box<[u8]>` takes two and
//! a `Vec<u8>` three. Here the length lives in the allocation, before the bytes, which safe Rust cannot say. Everything
//! unsafe is in [`Thin`]; [`ThinBytes`] owns one, [`SharedMember`] counts its owners.
//!
//! ```text
//! +--------------+---------------------------------+-------+
//! | prefix, P B  | length: 1 B, or 0xFF and 8 B    | bytes |
//! +--------------+---------------------------------+-------+
//! ```
//!
//! Invariants: the pointer comes from [`Thin::allocate`], the length is never changed after it, and all bytes are
//! initialised.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::fmt;
use std::marker::PhantomData;
use std::ptr::NonNull;

/// Lengths from here on take nine bytes.
const LONG: u8 = u8::MAX;
const LONG_LEN: usize = 1 + size_of::<u64>();

/// One allocation as drawn above, with a prefix of `P` bytes. Not an owner: who frees it is the business of the types
/// around it.
struct Thin<const P: usize> {
    start: NonNull<u8>,
}

impl<const P: usize> Copy for Thin<P> {}

impl<const P: usize> Clone for Thin<P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<const P: usize> Thin<P> {
    fn length_len(len: usize) -> usize {
        if len < usize::from(LONG) { 1 } else { LONG_LEN }
    }

    fn layout(len: usize) -> Layout {
        let size =
            len.checked_add(P + Self::length_len(len)).expect("slices in memory are far from usize::MAX");
        Layout::from_size_align(size, 1).expect("slices in memory are shorter than isize::MAX")
    }

    /// Allocates the concatenation of `parts`, with a prefix.
    fn allocate(prefix: [u8; P], parts: &[&[u8]]) -> Self {
        let len = parts.iter().map(|part| part.len()).sum::<usize>();
        let layout = Self::layout(len);
        // SAFETY: the size is at least one, that of the length.
        let Some(start) = NonNull::new(unsafe { alloc(layout) }) else { handle_alloc_error(layout) };
        let mut at = 0;
        let mut append = |bytes: &[u8]| {
            // SAFETY: what is appended adds up to the layout's size, and a new allocation overlaps nothing.
            unsafe { start.add(at).copy_from_nonoverlapping(NonNull::from(bytes).cast(), bytes.len()) };
            at += bytes.len();
        };
        append(&prefix);
        if len < usize::from(LONG) {
            append(&[len as u8]);
        } else {
            append(&[LONG]);
            append(&(len as u64).to_ne_bytes());
        }
        parts.iter().for_each(|part| append(part));
        debug_assert_eq!(at, layout.size());
        Self { start }
    }

    /// # Safety
    /// The allocation has not been freed.
    #[inline]
    unsafe fn len(self) -> usize {
        // SAFETY: after the prefix comes the length, in one of two forms.
        unsafe {
            let at = self.start.add(P);
            match at.read() {
                LONG => at.add(1).cast::<u64>().read_unaligned() as usize,
                short => usize::from(short),
            }
        }
    }

    /// # Safety
    /// The allocation has not been freed.
    #[inline]
    unsafe fn bytes(self) -> NonNull<[u8]> {
        // SAFETY: the bytes follow the length, in the same allocation.
        unsafe {
            let len = self.len();
            NonNull::slice_from_raw_parts(self.start.add(P + Self::length_len(len)), len)
        }
    }

    /// # Safety
    /// The allocation has not been freed.
    unsafe fn heap_size(self) -> usize {
        // SAFETY: as the caller promises.
        Self::layout(unsafe { self.len() }).size()
    }

    /// # Safety
    /// The allocation has not been freed, and nobody uses it afterwards.
    unsafe fn free(self) {
        // SAFETY: the length is the one it was allocated with, so the layout is too.
        unsafe { dealloc(self.start.as_ptr(), Self::layout(self.len())) }
    }
}

/// An owned byte string of one word. Its length is fixed.
pub(crate) struct ThinBytes(Thin<0>);

// SAFETY: it owns its bytes as a Box<[u8]> does.
unsafe impl Send for ThinBytes {}
// SAFETY: a shared reference gives out nothing but a shared slice.
unsafe impl Sync for ThinBytes {}

impl ThinBytes {
    /// The concatenation of `parts`.
    pub(crate) fn concat(parts: &[&[u8]]) -> Self {
        Self(Thin::allocate([], parts))
    }

    #[inline]
    pub(crate) fn as_slice(&self) -> &[u8] {
        // SAFETY: freed only by drop; the slice borrows self.
        unsafe { self.0.bytes().as_ref() }
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: freed only by drop; the slice borrows self, which is the only way to the bytes.
        unsafe { self.0.bytes().as_mut() }
    }

    pub(crate) fn heap_size(&self) -> usize {
        // SAFETY: freed only by drop.
        unsafe { self.0.heap_size() }
    }
}

impl Drop for ThinBytes {
    fn drop(&mut self) {
        // SAFETY: the owner goes, so nobody is left.
        unsafe { self.0.free() }
    }
}

impl Clone for ThinBytes {
    fn clone(&self) -> Self {
        Self::concat(&[self.as_slice()])
    }
}

impl fmt::Debug for ThinBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b\"{}\"", self.as_slice().escape_ascii())
    }
}

/// Owners, then the score.
const MEMBER_PREFIX: usize = 1 + size_of::<f64>();

/// A member of a sorted set with its score, owned by each of the structures that index it: a counted pointer of one
/// word that stays on its thread, as `Rc` does. Clones are never many: one in the hash table, one in the tree's leaf,
/// one for each level of the tree above.
pub(crate) struct SharedMember(Thin<MEMBER_PREFIX>, PhantomData<*const u8>);

impl SharedMember {
    pub(crate) fn new(member: &[u8], score: f64) -> Self {
        let mut prefix = [1; MEMBER_PREFIX];
        prefix[1..].copy_from_slice(&score.to_ne_bytes());
        Self(Thin::allocate(prefix, &[member]), PhantomData)
    }

    #[inline]
    pub(crate) fn as_slice(&self) -> &[u8] {
        // SAFETY: an owner keeps the allocation, and the bytes never change.
        unsafe { self.0.bytes().as_ref() }
    }

    #[inline]
    pub(crate) fn score(&self) -> f64 {
        // SAFETY: the score follows the count of owners; no reference to it is ever made.
        unsafe { self.0.start.add(1).cast::<f64>().read_unaligned() }
    }

    pub(crate) fn set_score(&self, score: f64) {
        // SAFETY: as in score(); the type is not Sync, so nobody reads it at this moment.
        unsafe { self.0.start.add(1).cast::<f64>().write_unaligned(score) }
    }

    pub(crate) fn heap_size(&self) -> usize {
        // SAFETY: an owner keeps the allocation.
        unsafe { self.0.heap_size() }
    }

    fn owners(&self) -> u8 {
        // SAFETY: the count is the first byte; no reference to it is ever made.
        unsafe { self.0.start.read() }
    }

    fn set_owners(&self, owners: u8) {
        // SAFETY: as in owners(); the type is neither Send nor Sync.
        unsafe { self.0.start.write(owners) }
    }
}

impl Clone for SharedMember {
    fn clone(&self) -> Self {
        self.set_owners(
            self.owners().checked_add(1).expect("a member has an owner for each level of a tree"),
        );
        Self(self.0, PhantomData)
    }
}

impl Drop for SharedMember {
    fn drop(&mut self) {
        match self.owners() {
            // SAFETY: the last owner goes, so nobody is left.
            1 => unsafe { self.0.free() },
            owners => self.set_owners(owners - 1),
        }
    }
}

impl fmt::Debug for SharedMember {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b\"{}\": {}", self.as_slice().escape_ascii(), self.score())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_word_and_no_word_for_none() {
        assert_eq!(size_of::<Option<ThinBytes>>(), size_of::<usize>());
        assert_eq!(size_of::<Option<SharedMember>>(), size_of::<usize>());
    }

    #[test]
    fn bytes_of_every_length_form_come_back() {
        for len in [0, 1, 7, 253, 254, 255, 256, 70_000] {
            let bytes: Vec<u8> = (0..len).map(|i| i as u8).collect();
            let (left, right) = bytes.split_at(len / 3);
            let mut thin = ThinBytes::concat(&[left, right]);
            assert_eq!(thin.as_slice(), bytes);
            assert_eq!(thin.clone().as_slice(), bytes);
            assert_eq!(thin.heap_size(), len + if len < 255 { 1 } else { 9 });
            thin.as_mut_slice().fill(b'x');
            assert!(thin.as_slice().iter().all(|&byte| byte == b'x'));
        }
    }

    #[test]
    fn owners_of_a_member_see_its_score() {
        let member = SharedMember::new(b"alice", 1.5);
        let other = member.clone();
        other.set_score(-0.25);
        drop(other);
        assert_eq!(member.score(), -0.25);
        assert_eq!(member.as_slice(), b"alice");
        assert_eq!(member.heap_size(), 1 + 8 + 1 + 5);
    }
}
