//! The process's allocator, and the count of what it has given out: `used_memory`.
//!
//! Eviction and every memory figure rest on that count, so it is taken at each allocation, and it counts
//! what the allocator really takes for a size rather than the size. The price is about a nanosecond: each
//! of the first [`OWNERS`] threads, which include all that serve clients, has a counter of its own, to be
//! changed without a locked instruction; threads beyond them share [`SHARED`] counters. Memory that one
//! thread takes and another gives back makes single counters drift apart, their sum stays true.
#![allow(unsafe_code)] // A global allocator is unsafe to implement; this one passes every call on.

#[cfg(feature = "jemalloc")]
mod jemalloc;

use std::{
    alloc::{GlobalAlloc, Layout},
    cell::Cell,
    sync::atomic::{AtomicIsize, AtomicUsize, Ordering::Relaxed},
};

#[cfg(feature = "jemalloc")]
type Inner = tikv_jemallocator::Jemalloc;
#[cfg(feature = "jemalloc")]
const INNER: Inner = tikv_jemallocator::Jemalloc;
#[cfg(not(feature = "jemalloc"))]
type Inner = std::alloc::System;
#[cfg(not(feature = "jemalloc"))]
const INNER: Inner = std::alloc::System;

#[global_allocator]
static ALLOCATOR: Counting<Inner> = Counting(INNER);

/// The allocator's name, for INFO and `--version`.
pub(crate) const ALLOCATOR_NAME: &str = if cfg!(feature = "jemalloc") { "jemalloc" } else { "libc" };

/// Threads with a counter of their own.
const OWNERS: usize = 128;
/// Counters for all other threads.
const SHARED: usize = 8;

/// One thread's sum, on cache lines of its own (processors fetch them in pairs).
#[repr(align(128))]
struct Counter(AtomicIsize);

static COUNTERS: [Counter; OWNERS + SHARED] = [const { Counter(AtomicIsize::new(0)) }; OWNERS + SHARED];

/// How many threads have asked for a counter. A thread that ends leaves its counter alone, with its sum.
static THREADS: AtomicUsize = AtomicUsize::new(0);

const UNKNOWN: usize = usize::MAX;

thread_local! {
    /// Index of this thread's counter. Constant at first and without a destructor, so that reaching it
    /// never allocates, and works to the thread's very end.
    static MINE: Cell<usize> = const { Cell::new(UNKNOWN) };
}

/// Bytes that the process has allocated and not given back, the allocator's rounding included.
pub(crate) fn used() -> usize {
    let sum = COUNTERS.iter().fold(0isize, |sum, counter| sum.wrapping_add(counter.0.load(Relaxed)));
    // A thread may have given back what another has taken but is only now counting.
    usize::try_from(sum).unwrap_or(0)
}

/// Has memory that is not needed any more given back to the kernel without anybody allocating. To be called once the process
/// forks no more.
pub(crate) fn release_in_background() {
    #[cfg(feature = "jemalloc")]
    if let Err(error) = jemalloc::release_in_background() {
        tracing::warn!("memory that was freed may stay with the process: {error}");
    }
}

#[inline]
fn count(change: isize) {
    let index = MINE.get();
    if index < OWNERS {
        // Only this thread writes here, so nothing is lost between the load and the store.
        let mine = &COUNTERS[index].0;
        mine.store(mine.load(Relaxed).wrapping_add(change), Relaxed);
    } else {
        count_shared(index, change);
    }
}

#[cold]
fn count_shared(index: usize, change: isize) {
    let index = if index == UNKNOWN { assign() } else { index };
    COUNTERS[index].0.fetch_add(change, Relaxed);
}

fn assign() -> usize {
    let thread = THREADS.fetch_add(1, Relaxed);
    let index = if thread < OWNERS { thread } else { OWNERS + thread % SHARED };
    MINE.set(index);
    index
}

/// What the allocator takes for an allocation: glibc keeps a header of 8 bytes and works in steps of 16, from
/// 32 on.
#[inline]
#[cfg(not(feature = "jemalloc"))]
fn taken(size: usize, _align: usize) -> usize {
    (size + 8).next_multiple_of(16).max(32)
}

/// jemalloc's size classes: 8, then steps of 16 to 128, then four steps for each doubling. What it does with
/// large sizes depends on how it was built, so there it is asked.
#[inline]
#[cfg(feature = "jemalloc")]
fn taken(size: usize, align: usize) -> usize {
    const LARGE: usize = 16 * 1024;
    if size > LARGE || align > LARGE {
        let flags = tikv_jemalloc_sys::MALLOCX_ALIGN(align);
        // SAFETY: the size is not 0, and the function only computes.
        return unsafe { tikv_jemalloc_sys::nallocx(size, flags) };
    }
    let size = size.next_multiple_of(align);
    if size <= 8 {
        return 8;
    }
    let step = if size <= 128 { 16 } else { 1 << ((size - 1).ilog2() - 2) };
    size.next_multiple_of(step)
}

/// Counts what passes through to the allocator `A`.
struct Counting<A>(A);

// SAFETY: every call goes to `A` unchanged and its answer comes back unchanged. Counting neither
// allocates nor unwinds: it touches statics and a thread-local that has no destructor.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Counting<A> {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are passed on.
        let pointer = unsafe { self.0.alloc(layout) };
        if !pointer.is_null() {
            count(taken(layout.size(), layout.align()) as isize);
        }
        pointer
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are passed on.
        let pointer = unsafe { self.0.alloc_zeroed(layout) };
        if !pointer.is_null() {
            count(taken(layout.size(), layout.align()) as isize);
        }
        pointer
    }

    #[inline]
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(taken(layout.size(), layout.align()) as isize));
        // SAFETY: the caller's promises are passed on.
        unsafe { self.0.dealloc(pointer, layout) }
    }

    #[inline]
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's promises are passed on.
        let moved = unsafe { self.0.realloc(pointer, layout, size) };
        if !moved.is_null() {
            let (new, old) = (taken(size, layout.align()), taken(layout.size(), layout.align()));
            count(new as isize - old as isize);
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{hint::black_box, sync::Barrier, thread};

    /// The other tests of this process allocate too, little compared with this.
    const PLENTY: usize = 64 << 20;

    fn grew_by(before: usize) -> isize {
        used() as isize - before as isize
    }

    #[test]
    fn what_is_taken_is_counted_until_it_is_given_back() {
        let before = used();
        let mut memory = black_box(vec![0u8; PLENTY]);
        assert!(grew_by(before) > PLENTY as isize * 9 / 10);
        memory.truncate(PLENTY / 2);
        memory.shrink_to_fit();
        assert!(grew_by(before) < PLENTY as isize * 6 / 10);
        drop(memory);
        assert!(grew_by(before).abs() < PLENTY as isize / 10);
    }

    #[test]
    fn threads_may_give_back_what_others_took() {
        let threads = OWNERS + 20;
        let before = used();
        let (all_there, memory) = (Barrier::new(threads), std::sync::Mutex::new(Vec::new()));
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    all_there.wait();
                    let mine = vec![1u8; PLENTY / threads];
                    memory.lock().expect("not poisoned").push(mine);
                });
            }
        });
        assert!(grew_by(before) > PLENTY as isize * 9 / 10);
        thread::spawn(move || drop(memory)).join().expect("ended well");
        assert!(grew_by(before).abs() < PLENTY as isize / 10);
    }

    #[test]
    #[cfg(all(target_env = "gnu", not(feature = "jemalloc")))]
    fn glibc_takes_what_is_counted() {
        assert_eq!([1, 24, 25, 40, 41].map(|size| taken(size, 8)), [32, 32, 48, 48, 64]);
        // Above the mmap threshold sizes are whole pages, which is not modelled.
        for size in 1..5000 {
            let memory = black_box(vec![0u8; size]);
            // SAFETY: the pointer is that of a live allocation of the system allocator.
            let usable = unsafe { libc::malloc_usable_size(memory.as_ptr().cast_mut().cast()) };
            // A recycled chunk may be one step larger, where the rest would be too small to be a chunk.
            let difference = (usable + 8) - taken(size, 1);
            assert!(difference == 0 || difference == 16, "{size}: {usable}");
        }
    }

    #[test]
    #[cfg(feature = "jemalloc")]
    fn jemalloc_takes_what_is_counted() {
        let sizes = (1..20_000).chain((20_000..1 << 22).step_by(4999));
        for (size, align) in sizes.flat_map(|size| [(size, 1), (size, 16), (size, 64), (size, 4096)]) {
            let layout = Layout::from_size_align(size, align).expect("a power of two");
            // SAFETY: the size is not 0, and the pointer is given back below under the same layout.
            let (pointer, usable) = unsafe {
                let pointer = INNER.alloc(layout);
                (pointer, tikv_jemallocator::usable_size(pointer))
            };
            assert_eq!(usable, taken(size, align), "{size} aligned to {align}");
            // SAFETY: allocated above.
            unsafe { INNER.dealloc(pointer, layout) };
        }
    }
}
