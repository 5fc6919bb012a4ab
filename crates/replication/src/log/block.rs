#![allow(unsafe_code)]
//! A piece of the log's memory: bytes that are each written once, by the thread that reserved them, and read by anybody
//! after they were published.
//!
//! A block knows nothing of who reserved or published what; that is the business of [`super::Log`], which is the only
//! one to write. The block is where the two halves of that bargain are stated.

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::ptr::NonNull;

pub(super) struct Block {
    /// The position in the log of the first byte.
    start: u64,
    bytes: Box<[UnsafeCell<MaybeUninit<u8>>]>,
}

// SAFETY: the bytes are written only through `Segment`, whose maker promises that its range is reserved exclusively, and
// read only through `Block::read`, whose caller promises that the range has been published, which orders the reads after
// the writes. No byte is written after it was published.
unsafe impl Sync for Block {}

impl Block {
    pub(super) fn new(len: usize) -> Block {
        let bytes = Box::<[UnsafeCell<MaybeUninit<u8>>]>::new_uninit_slice(len);
        // SAFETY: a cell of possibly uninitialized bytes needs no initialization.
        Block { start: 0, bytes: unsafe { bytes.assume_init() } }
    }

    /// Gives a new or recycled block, which nobody else holds, its place.
    pub(super) fn place_at(&mut self, start: u64) {
        self.start = start;
    }

    pub(super) fn start(&self) -> u64 {
        self.start
    }

    pub(super) fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// All of the block as room to write.
    pub(super) fn segment(&self) -> Segment {
        let cursor = NonNull::new(UnsafeCell::raw_get(self.bytes.as_ptr()).cast());
        Segment { cursor: cursor.expect("a box has an address"), len: self.bytes.len() }
    }

    /// The bytes of a range of log positions.
    ///
    /// # Safety
    /// The range lies within the block, and all of it has been published to this thread.
    pub(super) unsafe fn read(&self, range: Range<u64>) -> &[u8] {
        debug_assert!(self.start <= range.start && range.end <= self.end());
        let at = (range.start - self.start) as usize;
        let len = (range.end - range.start) as usize;
        // SAFETY: the range is within the allocation; published bytes are initialized and never written again while
        // the block lives.
        unsafe { std::slice::from_raw_parts(self.bytes.as_ptr().add(at).cast(), len) }
    }
}

/// Room in a block: `len` bytes from `cursor` that one thread may write.
#[derive(Clone, Copy)]
pub(super) struct Segment {
    cursor: NonNull<u8>,
    len: usize,
}

// SAFETY: a segment is an exclusive right to a range of bytes, which any one thread may use. (It is `Copy` for the sake
// of the lock's content; who splits it keeps the parts apart.)
unsafe impl Send for Segment {}

impl Segment {
    /// No room.
    pub(super) const EMPTY: Segment = Segment { cursor: NonNull::dangling(), len: 0 };

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Cuts off the first `len` bytes, or as many as there are.
    #[inline]
    pub(super) fn take(&mut self, len: usize) -> Segment {
        let taken = Segment { cursor: self.cursor, len: len.min(self.len) };
        // SAFETY: the segment lies within one allocation and `taken` is no longer than it.
        self.cursor = unsafe { self.cursor.add(taken.len) };
        self.len -= taken.len;
        taken
    }

    /// Writes as much of `bytes` as there is room for at the front, and keeps the rest of the room. How much it was.
    ///
    /// # Safety
    /// The segment's bytes are reserved by this thread and not yet published, and their block is alive.
    #[inline]
    pub(super) unsafe fn fill(&mut self, bytes: &[u8]) -> usize {
        let room = self.take(bytes.len());
        // SAFETY: by the caller's promise the room is this thread's alone; it cannot overlap `bytes`, to which the
        // caller holds a shared reference.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), room.cursor.as_ptr(), room.len) };
        room.len
    }
}
