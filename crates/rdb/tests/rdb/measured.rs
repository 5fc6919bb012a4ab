//! An allocator that measures, for the tests of hostile input.
#![allow(unsafe_code, reason = "a global allocator can only be implemented in unsafe code")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, which notes the largest request of each thread.
struct Measured;

thread_local! {
    static LARGEST: Cell<usize> = const { Cell::new(0) };
}

fn note(size: usize) {
    LARGEST.with(|largest| largest.set(largest.get().max(size)));
}

// SAFETY: every call is passed on to the system's allocator unchanged; noting a size in a thread-local cell that needs
// neither initialisation nor destruction allocates nothing.
unsafe impl GlobalAlloc for Measured {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size);
        // SAFETY: the caller keeps the contract of `realloc`.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// Forgets what this thread asked for so far.
pub(crate) fn forget() {
    LARGEST.with(|largest| largest.set(0));
}

/// The largest request of this thread since then, in bytes.
pub(crate) fn largest() -> usize {
    LARGEST.with(Cell::get)
}

#[global_allocator]
static ALLOCATOR: Measured = Measured;
