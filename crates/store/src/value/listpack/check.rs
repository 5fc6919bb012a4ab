//! Whether bytes from outside are a listpack.

use super::{COUNT_UNKNOWN, END, HEADER_LEN, entry};

/// Checks the header's lengths, each entry, and the final byte: all that the other functions rely on.
pub(super) fn is_listpack(bytes: &[u8]) -> bool {
    let Some((header, rest)) = bytes.split_at_checked(HEADER_LEN) else { return false };
    let Some((&END, entries)) = rest.split_last() else { return false };
    let total = u32::from_le_bytes([header[0], header[1], header[2], header[3]]);
    let count = u16::from_le_bytes([header[4], header[5]]);
    if total as usize != bytes.len() {
        return false;
    }
    match count_entries(entries) {
        Some(entries) => count == COUNT_UNKNOWN || usize::from(count) == entries,
        None => false,
    }
}

/// Number of entries of which `bytes` consist, if they do.
fn count_entries(mut bytes: &[u8]) -> Option<usize> {
    let mut count = 0;
    while !bytes.is_empty() {
        bytes = &bytes[entry::checked_total_len(bytes)?..];
        count += 1;
    }
    Some(count)
}
