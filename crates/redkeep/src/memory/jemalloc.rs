//! How jemalloc is set up for a store of many small entries that live long.
//!
//! - `thp:always`: its memory is of huge pages where the kernel has them to give. A lookup among millions of keys then
//!   seldom waits for an address to be translated. The usual objection is that after a fork each write copies a huge
//!   page; nothing here forks.
//! - `cache_oblivious:false`: a shard's array of buckets is a power of two of pages, and stays that. jemalloc would give
//!   each a page more, to spread the beginnings of arrays over the cache's sets; buckets are looked up at random.
#![allow(unsafe_code)] // Symbols and settings of a C library.

/// What jemalloc reads before `main`; `MALLOC_CONF` in the environment goes over it. The first word is the pointer to C's
/// string that jemalloc looks for.
#[cfg(target_os = "linux")] // Elsewhere its symbols have a prefix.
#[used]
#[unsafe(export_name = "malloc_conf")]
static CONF: &[u8; 33] = b"thp:always,cache_oblivious:false\0";

/// Starts the thread that gives memory back to the kernel when it has not been needed for a while. Without it that is
/// done by who allocates, so that after a FLUSHALL a server without clients would keep everything.
pub(super) fn release_in_background() -> Result<(), std::io::Error> {
    let mut on = true;
    let (nothing, length) = (std::ptr::null_mut(), std::ptr::null_mut());
    // SAFETY: the setting of this name is a C bool, the old value of which is not asked for.
    let error = unsafe {
        let name = c"background_thread".as_ptr();
        tikv_jemalloc_sys::mallctl(name, nothing, length, (&raw mut on).cast(), size_of::<bool>())
    };
    if error == 0 { Ok(()) } else { Err(std::io::Error::from_raw_os_error(error)) }
}
