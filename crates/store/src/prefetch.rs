//! Asking the processor to fetch a cache line ahead of its use.
#![allow(unsafe_code)] // The processor's instruction is an intrinsic that takes a raw pointer.

/// Bytes that the processor fetches at a time: on all but few.
pub(crate) const CACHE_LINE: usize = 64;

/// Fetches the cache line at `address`, if the processor has a way to be asked. Any address will do.
#[inline]
pub(crate) fn prefetch<T>(address: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch reads nothing that the program could see and does not fault. SSE is baseline.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(address.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}
