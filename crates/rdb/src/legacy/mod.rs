//! The blobs that small aggregates stood in before listpacks: ziplist and zipmap.
//!
//! Each is one string of the file that holds a whole aggregate, or a node of a list. The readers here are iterators that
//! trust nothing: every length is checked against the bytes there are, the announced size and count against what is found,
//! and links backwards against the entry they should lead to. They take no memory. What they give goes into a listpack,
//! whose blob the store knows by itself.
//!
//! An iterator that has given an error must not be asked again; the callers stop at the first one.

mod ziplist;
mod zipmap;

use redkeep_store::value::{Listpack, ScalarBuf};

/// The bytes of a blob that are not read yet.
#[derive(Clone)]
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    fn u8(&mut self) -> Option<u8> {
        Some(self.array::<1>()?[0])
    }

    /// Four bytes as a length.
    fn len_le(&mut self) -> Option<usize> {
        usize::try_from(u32::from_le_bytes(self.array()?)).ok()
    }

    /// A signed integer of `N` bytes, little-endian.
    fn int_le<const N: usize>(&mut self) -> Option<i64> {
        let bytes = self.array::<N>()?;
        let fill = if bytes[N - 1] & 0x80 == 0 { 0 } else { 0xff };
        let mut wide = [fill; 8];
        wide[..N].copy_from_slice(&bytes);
        Some(i64::from_le_bytes(wide))
    }
}

/// The elements of the ziplist that `blob` is, as a listpack.
pub(crate) fn ziplist_to_listpack(blob: &[u8]) -> Result<Listpack, &'static str> {
    let mut pack = Listpack::new();
    let mut digits = ScalarBuf::new();
    for element in ziplist::read(blob)? {
        pack.push_back(element?.as_bytes(&mut digits));
    }
    Ok(pack)
}

/// The alternating fields and values of the zipmap that `blob` is, as a listpack.
pub(crate) fn zipmap_to_listpack(blob: &[u8]) -> Result<Listpack, &'static str> {
    let mut pack = Listpack::new();
    for pair in zipmap::read(blob)? {
        let (field, value) = pair?;
        pack.push_back(field);
        pack.push_back(value);
    }
    Ok(pack)
}
