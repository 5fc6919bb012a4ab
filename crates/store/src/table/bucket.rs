//! A bucket: one cache line with seven slots, and the chain that begins in it.
//!
//! ```text
//! byte   0..7   the tags of the slots, 0 for an empty slot
//! byte   7      1 if the bucket is chained, else 0
//! byte   8..64  seven slots: pointers to entries; if chained, the last one points to the child bucket
//! ```
//!
//! Looking a key up compares all tags at once and follows only the pointers whose tag fits, so a key
//! that is absent costs one cache miss and hardly ever a second.
//!
//! Invariants: the tag of a chained bucket's last slot is 0, so it is never taken for an entry. A
//! chain is as short as it can be: a child holds at least two entries, and only the last bucket of a
//! chain has empty slots.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr;

use super::tags::{self, Slots, WIDTH};
use crate::entry::EntryPtr;

/// Slots in a bucket, of which one is lost when the bucket is chained.
pub(super) const SLOTS: usize = 7;
const CHAIN_BYTE: usize = 7;
const LAST: usize = SLOTS - 1;

/// A bucket.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Bucket {
    tags: [u8; WIDTH],
    slots: [*mut (); SLOTS],
}

const _: () = assert!(size_of::<Bucket>() == 64, "a bucket is a cache line");

impl Bucket {
    pub(super) const EMPTY: Self = Self { tags: [0; WIDTH], slots: [ptr::null_mut(); SLOTS] };

    #[inline]
    pub(super) fn is_chained(&self) -> bool {
        self.tags[CHAIN_BYTE] != 0
    }

    /// The slots whose entries have this tag.
    #[inline]
    pub(super) fn with_tag(&self, tag: u8) -> Slots {
        tags::equal(&self.tags, tag).below(SLOTS)
    }

    #[inline]
    fn vacant(&self) -> Slots {
        tags::equal(&self.tags, 0).below(if self.is_chained() { LAST } else { SLOTS })
    }

    /// The slots that hold an entry.
    #[inline]
    pub(super) fn occupied(&self) -> Slots {
        tags::equal(&self.tags, 0).not().below(SLOTS)
    }

    /// The entry in a slot that holds one.
    #[inline]
    pub(super) fn entry(&self, slot: usize) -> EntryPtr {
        EntryPtr::from_raw(self.slots[slot]).expect("a slot with a tag holds an entry")
    }

    #[inline]
    pub(super) fn tag(&self, slot: usize) -> u8 {
        self.tags[slot]
    }

    /// Puts another entry of the same tag into a slot.
    #[inline]
    pub(super) fn replace(&mut self, slot: usize, entry: EntryPtr) {
        self.slots[slot] = entry.as_raw();
    }

    fn fill(&mut self, slot: usize, tag: u8, entry: EntryPtr) {
        self.tags[slot] = tag;
        self.slots[slot] = entry.as_raw();
    }

    fn clear(&mut self, slot: usize) {
        self.tags[slot] = 0;
        self.slots[slot] = ptr::null_mut();
    }

    /// The next bucket of the chain.
    #[inline]
    pub(super) fn child(&self) -> Option<*mut Bucket> {
        self.is_chained().then(|| self.slots[LAST].cast())
    }

    fn set_child(&mut self, child: *mut Bucket) {
        self.tags[LAST] = 0;
        self.tags[CHAIN_BYTE] = 1;
        self.slots[LAST] = child.cast();
    }

    fn unchain(&mut self) {
        self.tags[CHAIN_BYTE] = 0;
        self.slots[LAST] = ptr::null_mut();
    }
}

/// Puts an entry into the chain that begins at `home`.
///
/// # Safety
/// `home` is a whole chain that nobody else uses.
pub(super) unsafe fn put(home: *mut Bucket, tag: u8, entry: EntryPtr) {
    let mut at = home;
    loop {
        // SAFETY: `at` is a bucket of the chain.
        let bucket = unsafe { &mut *at };
        if let Some(slot) = bucket.vacant().first() {
            return bucket.fill(slot, tag, entry);
        }
        at = bucket.child().unwrap_or_else(|| {
            let child = allocate(1);
            let mut first = Bucket::EMPTY;
            first.fill(0, bucket.tag(LAST), bucket.entry(LAST));
            // SAFETY: `allocate` gave us the memory for a bucket.
            unsafe { child.write(first) };
            bucket.set_child(child);
            child
        });
    }
}

/// Takes the entry in `slot` of `holder` out of the chain that begins at `home`, and fills the hole
/// from the chain's end.
///
/// # Safety
/// `home` is a whole chain that nobody else uses, `holder` a bucket of it, and the slot holds an entry.
pub(super) unsafe fn take(home: *mut Bucket, holder: *mut Bucket, slot: usize) {
    // SAFETY: all buckets that are reached are buckets of the chain, and no two references to one are
    // held at a time.
    unsafe {
        let Some((parent, last)) = last_link(home) else {
            return (*holder).clear(slot);
        };
        let spare = (*last).occupied().last().expect("a child holds at least two entries");
        let (tag, entry) = ((*last).tag(spare), (*last).entry(spare));
        (*last).clear(spare);
        if (holder, slot) != (last, spare) {
            (*holder).fill(slot, tag, entry);
        }
        let mut left = (*last).occupied();
        if let (Some(only), None) = (left.next(), left.next()) {
            let (tag, entry) = ((*last).tag(only), (*last).entry(only));
            (*parent).unchain();
            (*parent).fill(LAST, tag, entry);
            release(last, 1);
        }
    }
}

/// The last bucket of a chain and the one before it; `None` for a chain of one.
///
/// # Safety
/// `home` is a whole chain that is not being written.
unsafe fn last_link(home: *mut Bucket) -> Option<(*mut Bucket, *mut Bucket)> {
    // SAFETY: every child of a bucket of the chain is one too.
    unsafe {
        let mut parent = home;
        let mut last = (*parent).child()?;
        while let Some(child) = (*last).child() {
            (parent, last) = (last, child);
        }
        Some((parent, last))
    }
}

/// Empties a chain: frees its children, and leaves `home` empty. The entries are the caller's.
///
/// # Safety
/// `home` is a whole chain that nobody else uses.
pub(super) unsafe fn empty(home: *mut Bucket) {
    // SAFETY: every child is a bucket of the chain, and is released once, when it has been read.
    unsafe {
        let mut next = (*home).child();
        *home = Bucket::EMPTY;
        while let Some(child) = next {
            next = (*child).child();
            release(child, 1);
        }
    }
}

/// Memory for `count` buckets in a row. They are nothing yet: each has to be written before it is used.
/// To write all of them at once could take a millisecond.
pub(super) fn allocate(count: usize) -> *mut Bucket {
    let layout = layout(count);
    // SAFETY: the layout is not empty, since no caller wants no buckets.
    let memory = unsafe { alloc(layout) };
    if memory.is_null() {
        handle_alloc_error(layout);
    }
    memory.cast()
}

/// Frees buckets without looking at what they hold.
///
/// # Safety
/// `first` came from `allocate(count)`, and nobody uses it any more.
pub(super) unsafe fn release(first: *mut Bucket, count: usize) {
    // SAFETY: by the contract this is the layout they were allocated with.
    unsafe { dealloc(first.cast(), layout(count)) };
}

fn layout(count: usize) -> Layout {
    debug_assert!(count > 0);
    Layout::array::<Bucket>(count).expect("a table of pointers is smaller than what they point to")
}
