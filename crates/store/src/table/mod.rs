//! The hash table of a shard: thin pointers to entries in buckets of one cache line.
//!
//! What a table for a server must do that a general one need not:
//!
//! - **One miss a lookup.** A key's home is one bucket, fixed by its hash; what does not fit hangs off
//!   that bucket as a chain (see [`bucket`]). So the bucket can be prefetched knowing only the hash.
//! - **No pause.** Growing and shrinking move the entries a few buckets at a time, at each insertion
//!   and removal. Until they are done there are two arrays, and exactly one of them can hold a key: its
//!   bucket in the old array if that has not been moved yet, else its bucket in the new one.
//! - **Scans that survive resizing.** [`Table::scan`] counts buckets with the bits of the cursor
//!   reversed. When the array doubles, bucket `b` splits into `b` and `b + n`, which follow each other in
//!   that order, so what lies behind the cursor stays behind it. The idea is Pieter Noordhuis's, in Redis.
//!
//! The table neither owns its entries nor frees them; who inserts one promises that it lives until it is
//! removed.
#![allow(unsafe_code)] // Buckets are a cache line of tags and pointers, linked by hand.

mod bucket;
mod scan;
mod tags;
#[cfg(test)]
mod tests;

use std::ptr;

use crate::entry::EntryPtr;
use crate::key::{Key, KeyHash, KeyHasher};
use crate::prefetch::prefetch;
use bucket::Bucket;

/// The array grows when there are more than 11 entries for each two buckets of seven slots: about a
/// fifth of the buckets are chained by then, and after doubling about one in a hundred is.
const GROW_AT: (u64, u64) = (11, 2);

/// How many buckets are moved at each insertion and removal. Growing begins with 5.5 entries a bucket
/// and is due again after as many insertions, so any number above 0 is enough.
const MOVED_AT_ONCE: u32 = 2;

/// More buckets than a shard can fill; bits above are the shard's and the tag's.
const MAX_BUCKETS: u32 = 1 << 31;

/// A table. See the [module](self).
pub(crate) struct Table {
    /// The array that entries are moved to; [`NONE`] if there is none yet. While there is an old array,
    /// only those buckets are written yet that correspond to moved ones: see [`Table::is_written`].
    main: *mut Bucket,
    /// The array that entries are moved from; null if they are not being moved.
    old: *mut Bucket,
    main_mask: u32,
    old_mask: u32,
    /// Buckets of `old` below this number are moved, and empty.
    moved: u32,
    len: u32,
}

// SAFETY: the table owns its buckets. What its entries demand is up to those who promised their life.
unsafe impl Send for Table {}

struct Nothing(Bucket);
// SAFETY: it is never written: an insertion into it allocates first, and nothing can be found in it.
unsafe impl Sync for Nothing {}

/// Stands for the array of a table that has none, so that a lookup need not ask.
static NONE: Nothing = Nothing(Bucket::EMPTY);

impl Table {
    /// An empty table, which allocates nothing.
    pub(crate) const fn new() -> Self {
        let main = (&raw const NONE.0).cast_mut();
        Self { main, old: ptr::null_mut(), main_mask: 0, old_mask: 0, moved: 0, len: 0 }
    }

    /// How many entries there are.
    #[inline]
    pub(crate) fn len(&self) -> u32 {
        self.len
    }

    /// Where the array is that a key most likely is in, and the mask that gives its bucket there: for
    /// [`prefetch_bucket`].
    #[inline]
    pub(crate) fn address(&self) -> (*mut (), u32) {
        (self.main.cast(), self.main_mask)
    }

    #[inline]
    fn home(&self, hash: KeyHash) -> *mut Bucket {
        let low = hash.0 as u32;
        if !self.old.is_null() {
            let index = low & self.old_mask;
            if index >= self.moved {
                // SAFETY: the mask keeps the index within the array.
                return unsafe { self.old.add(index as usize) };
            }
        }
        // SAFETY: as above.
        unsafe { self.main.add((low & self.main_mask) as usize) }
    }

    /// The entry of `key`.
    #[inline]
    pub(crate) fn find(&self, key: Key<'_>) -> Option<EntryPtr> {
        let tag = key.hash.tag();
        let mut at = self.home(key.hash);
        loop {
            // SAFETY: `at` is a bucket of a chain of ours, and we are borrowed.
            let bucket = unsafe { &*at };
            for slot in bucket.with_tag(tag) {
                let entry = bucket.entry(slot);
                // SAFETY: entries live as long as they are in the table.
                if same(unsafe { entry.get() }.key(), key.bytes) {
                    return Some(entry);
                }
            }
            at = bucket.child()?;
        }
    }

    /// Fetches the first `lines` cache lines of the entries that `hash` may stand for into the cache.
    #[inline]
    pub(crate) fn prefetch_entries(&self, hash: KeyHash, lines: u8) {
        // SAFETY: a home is a bucket of ours, and we are borrowed.
        let bucket = unsafe { &*self.home(hash) };
        for slot in bucket.with_tag(hash.tag()) {
            bucket.entry(slot).prefetch(lines);
        }
        if let Some(child) = bucket.child() {
            prefetch(child);
        }
    }

    /// Inserts an entry whose key is not in the table.
    ///
    /// # Safety
    /// The entry lives, and its key stays what it is, until it is removed or replaced.
    pub(crate) unsafe fn insert(&mut self, hash: KeyHash, entry: EntryPtr, hasher: &KeyHasher) {
        self.move_some(hasher);
        let buckets = self.buckets();
        let full = u64::from(self.len) * GROW_AT.1 >= u64::from(buckets) * GROW_AT.0;
        if full && self.old.is_null() && buckets < MAX_BUCKETS {
            self.resize(if self.is_unallocated() { 1 } else { buckets * 2 });
            self.move_some(hasher);
        }
        // SAFETY: a home is a chain of ours, and we are borrowed mutably.
        unsafe { bucket::put(self.home(hash), hash.tag(), entry) };
        self.len += 1;
    }

    /// Removes an entry, if it is there.
    pub(crate) fn remove(&mut self, hash: KeyHash, entry: EntryPtr, hasher: &KeyHasher) -> bool {
        let Some((holder, slot)) = self.locate(hash, entry) else { return false };
        // SAFETY: the entry was found there, in the chain of its home, and we are borrowed mutably.
        unsafe { bucket::take(self.home(hash), holder, slot) };
        self.len -= 1;
        if self.len == 0 {
            self.give_back();
            return true;
        }
        self.move_some(hasher);
        if self.old.is_null() && self.len < self.main_mask {
            // From less than one entry a bucket to between one and two.
            self.resize((self.len / 2).max(1).next_power_of_two());
        }
        true
    }

    /// Puts `new` in the place of `old`, if that is there. Both have the same key.
    ///
    /// # Safety
    /// As for [`Table::insert`].
    pub(crate) unsafe fn replace(&mut self, hash: KeyHash, old: EntryPtr, new: EntryPtr) -> bool {
        let Some((holder, slot)) = self.locate(hash, old) else { return false };
        // SAFETY: a located bucket is ours, and we are borrowed mutably.
        unsafe { (*holder).replace(slot, new) };
        true
    }

    /// The bucket and slot that hold this very entry.
    fn locate(&self, hash: KeyHash, entry: EntryPtr) -> Option<(*mut Bucket, usize)> {
        let mut at = self.home(hash);
        loop {
            // SAFETY: `at` is a bucket of a chain of ours, and we are borrowed.
            let bucket = unsafe { &*at };
            if let Some(slot) = bucket.with_tag(hash.tag()).find(|&slot| bucket.entry(slot) == entry) {
                return Some((at, slot));
            }
            at = bucket.child()?;
        }
    }

    /// Gives back the arrays of a table that has become empty, but for a single bucket.
    fn give_back(&mut self) {
        debug_assert_eq!(self.len, 0, "so there are no children either");
        self.release_old();
        if self.main_mask > 0 {
            self.release_main();
            self.main = Self::new().main;
            self.main_mask = 0;
        }
    }

    fn buckets(&self) -> u32 {
        if self.is_unallocated() { 0 } else { self.main_mask + 1 }
    }

    fn is_unallocated(&self) -> bool {
        ptr::eq(self.main, &raw const NONE.0)
    }

    /// Begins moving to an array of `buckets` buckets.
    fn resize(&mut self, buckets: u32) {
        debug_assert!(self.old.is_null() && buckets.is_power_of_two());
        if !self.is_unallocated() {
            (self.old, self.old_mask, self.moved) = (self.main, self.main_mask, 0);
        }
        self.main = bucket::allocate(buckets as usize);
        self.main_mask = buckets - 1;
        if self.old.is_null() {
            self.write_empty(0..buckets);
        }
    }

    /// Whether a bucket of the main array has been written: all have, unless entries are being moved
    /// there and none of those that belong in this bucket were.
    #[inline]
    fn is_written(&self, index: u32) -> bool {
        self.old.is_null() || index & self.old_mask < self.moved
    }

    /// Writes buckets of the main array for the first time.
    fn write_empty(&mut self, indices: impl Iterator<Item = u32>) {
        for index in indices {
            debug_assert!(index <= self.main_mask);
            // SAFETY: the callers' indices are within the array, and the buckets not in use yet.
            unsafe { self.main.add(index as usize).write(Bucket::EMPTY) };
        }
    }

    /// Goes on moving, if the table is being resized.
    #[inline]
    fn move_some(&mut self, hasher: &KeyHasher) {
        if !self.old.is_null() {
            self.move_buckets(hasher);
        }
    }

    #[inline(never)]
    fn move_buckets(&mut self, hasher: &KeyHasher) {
        let end = (self.moved + MOVED_AT_ONCE).min(self.old_mask + 1);
        let growing = self.main_mask > self.old_mask;
        if growing {
            // Each entry must be read for its hash: let the misses overlap.
            for index in self.moved..end {
                self.each_in(index, |_, entry| entry.prefetch(1));
            }
        }
        for index in self.moved..end {
            // None if the array shrinks and this bucket joins one that has been written.
            self.write_empty((index..=self.main_mask).step_by(self.old_mask as usize + 1));
            let (main, mask) = (self.main, self.main_mask);
            self.each_in(index, |tag, entry| {
                // SAFETY: entries live as long as they are in the table.
                let low = if growing { hasher.hash(unsafe { entry.get() }.key()).0 as u32 } else { index };
                // SAFETY: the mask keeps the index within the array, which is ours.
                unsafe { bucket::put(main.add((low & mask) as usize), tag, entry) };
            });
            // SAFETY: the bucket is one of the old array, which is ours.
            unsafe { bucket::empty(self.old.add(index as usize)) };
        }
        self.moved = end;
        if end > self.old_mask {
            self.release_old();
        }
    }

    /// Calls `visit` for each entry in the chain of bucket `index` of the old array.
    fn each_in(&self, index: u32, mut visit: impl FnMut(u8, EntryPtr)) {
        // SAFETY: the callers' indices are within the old array.
        let home = unsafe { self.old.add(index as usize) };
        // SAFETY: it is a chain of ours, and we are borrowed.
        unsafe { each_in_chain(home, &mut visit) };
    }

    /// Calls `visit` for each bucket of both arrays that is in use.
    fn each_home(&self, mut visit: impl FnMut(*mut Bucket)) {
        // SAFETY: the masks keep the indices within the arrays.
        unsafe {
            if !self.is_unallocated() {
                let written = (0..=self.main_mask).filter(|index| self.is_written(*index));
                written.for_each(|index| visit(self.main.add(index as usize)));
            }
            if !self.old.is_null() {
                (self.moved..=self.old_mask).for_each(|index| visit(self.old.add(index as usize)));
            }
        }
    }

    /// Calls `visit` for each entry.
    pub(crate) fn for_each(&self, mut visit: impl FnMut(EntryPtr)) {
        self.each_home(|home| {
            // SAFETY: it is a chain of ours, and we are borrowed.
            unsafe { each_in_chain(home, &mut |_, entry| visit(entry)) };
        });
    }

    /// Frees the old array, whose children are freed already.
    fn release_old(&mut self) {
        if !self.old.is_null() {
            // SAFETY: it was allocated with this number of buckets, and is forgotten here.
            unsafe { bucket::release(self.old, self.old_mask as usize + 1) };
            self.old = ptr::null_mut();
        }
    }

    /// Frees the main array, whose children are freed already. The caller sets another.
    fn release_main(&mut self) {
        if !self.is_unallocated() {
            // SAFETY: it was allocated with this number of buckets, and the caller forgets it.
            unsafe { bucket::release(self.main, self.main_mask as usize + 1) };
        }
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        self.each_home(|home| {
            // SAFETY: a home is a chain of ours, and this is its end. Entries are not looked at.
            unsafe { bucket::empty(home) }
        });
        self.release_old();
        self.release_main();
    }
}

/// Calls `visit` for each entry of a chain, with its tag.
///
/// # Safety
/// `home` is a whole chain that is not being written meanwhile.
unsafe fn each_in_chain(home: *mut Bucket, visit: &mut dyn FnMut(u8, EntryPtr)) {
    let mut next = Some(home);
    while let Some(at) = next {
        // SAFETY: every child of a bucket of the chain is one too.
        let bucket = unsafe { &*at };
        for slot in bucket.occupied() {
            visit(bucket.tag(slot), bucket.entry(slot));
        }
        next = bucket.child();
    }
}

/// Fetches the bucket of `hash` into the cache, in a table that was at this [`Table::address`] a while
/// ago. Only a hint, and harmless if it is there no more.
#[inline]
pub(crate) fn prefetch_bucket(address: *mut (), mask: u32, hash: KeyHash) {
    prefetch(address.cast::<Bucket>().wrapping_add((hash.0 as u32 & mask) as usize));
}

/// Whether two keys are equal. Lengths up to 32, which most keys have, are compared without a call.
#[inline]
fn same(left: &[u8], right: &[u8]) -> bool {
    if left.len() != right.len() {
        return false;
    }
    match (left.len(), left, right) {
        (8..=16, l, r) => l.first_chunk::<8>() == r.first_chunk() && l.last_chunk::<8>() == r.last_chunk(),
        (17..=32, l, r) => l.first_chunk::<16>() == r.first_chunk() && l.last_chunk::<16>() == r.last_chunk(),
        (_, l, r) => l == r,
    }
}
