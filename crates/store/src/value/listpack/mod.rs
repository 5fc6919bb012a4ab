//! Listpack, byte for byte Redis's own: a sequence of elements in one allocation, walked from either end.
//!
//! ```text
//! +----------------+--------------------+---------+-----+---------+------+
//! | total bytes, 4 | elements, 2 (LE)   | entry 0 | ... | entry n | 0xFF |
//! +----------------+--------------------+---------+-----+---------+------+
//! ```
//!
//! The layout of an entry is in [`entry`]. The count of elements is exact up to 65534; 65535 means that they have to be
//! counted, and stays when elements are removed. RDB files hold listpacks as they are, so these bytes come from outside: [`Listpack::from_bytes`] checks
//! every one of them, and everything else relies on that.
//!
//! A *position* is the offset of an entry, or of the final byte. An edit at a position invalidates those behind it.

mod check;
mod entry;

use super::scalar::{Needle, Scalar};
use entry::Body;

const HEADER_LEN: usize = 6;
const END: u8 = 0xFF;
/// The count of elements that says: count them.
const COUNT_UNKNOWN: u16 = u16::MAX;
/// Largest listpack that is ever grown. Redis's own limit; the header could say four times as much.
const MAX_LEN: usize = 1 << 30;

/// A sequence of elements in one allocation.
///
/// ```
/// use redkeep_store::value::{Listpack, Scalar};
/// let mut pack = Listpack::new();
/// pack.push_back(b"hello");
/// pack.push_back(b"42");
/// assert_eq!(pack.iter().collect::<Vec<_>>(), [Scalar::Bytes(b"hello"), Scalar::Int(42)]);
/// assert_eq!(Listpack::from_bytes(pack.as_bytes().to_vec()), Some(pack));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Listpack {
    bytes: Vec<u8>,
}

impl Default for Listpack {
    fn default() -> Self {
        Self::new()
    }
}

impl Listpack {
    /// An empty listpack.
    pub fn new() -> Self {
        let mut pack = Self { bytes: vec![0; HEADER_LEN + 1] };
        pack.bytes[HEADER_LEN] = END;
        pack.set_total();
        pack
    }

    /// The listpack with these bytes, if they are one. No bytes make it panic, or read outside of them.
    pub fn from_bytes(bytes: Vec<u8>) -> Option<Self> {
        check::is_listpack(&bytes).then_some(Self { bytes })
    }

    /// The bytes, as RDB has them.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Number of elements. Walks over them when there are, or once were, more than 65534.
    #[inline]
    pub fn len(&self) -> usize {
        match self.count_field() {
            COUNT_UNKNOWN => self.iter().count(),
            count => usize::from(count),
        }
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.bytes[HEADER_LEN] == END
    }

    /// Adds an element at the end.
    ///
    /// # Panics
    /// Past 4 GiB. [`Listpack::has_room`] says no long before.
    pub fn push_back(&mut self, element: &[u8]) {
        self.insert_at(self.end(), element);
    }

    /// Adds an element at the start.
    ///
    /// # Panics
    /// Past 4 GiB. [`Listpack::has_room`] says no long before.
    pub fn push_front(&mut self, element: &[u8]) {
        self.insert_at(HEADER_LEN, element);
    }

    /// Whether elements of `added` bytes together can be added, without passing 1 GiB.
    pub fn has_room(&self, added: usize) -> bool {
        added <= MAX_LEN.saturating_sub(self.bytes.len())
    }

    /// The elements, from either end.
    pub fn iter(&self) -> ListpackIter<'_> {
        ListpackIter { bytes: &self.bytes, front: HEADER_LEN, back: self.end() }
    }

    /// Number of bytes.
    pub(crate) fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn heap_size(&self) -> usize {
        self.bytes.capacity()
    }

    /// The position behind the last element.
    #[inline]
    pub(crate) fn end(&self) -> usize {
        self.bytes.len() - 1
    }

    /// The position of the first element, or the end.
    #[inline]
    pub(crate) fn first(&self) -> usize {
        HEADER_LEN
    }

    /// The position after that of an element.
    #[inline]
    pub(crate) fn next(&self, position: usize) -> usize {
        position + entry::total_len(&self.bytes[position..])
    }

    /// The position before another one, which may be the end.
    #[inline]
    pub(crate) fn previous(&self, position: usize) -> Option<usize> {
        (position > HEADER_LEN).then(|| position - entry::total_len_before(&self.bytes[..position]))
    }

    /// The element at a position.
    #[inline]
    pub(crate) fn get(&self, position: usize) -> Scalar<'_> {
        entry::decode(&self.bytes[position..])
    }

    /// The position of an element by its index, reached from the nearer end. The number of elements is the end.
    pub(crate) fn seek(&self, index: usize) -> Option<usize> {
        let len = self.len();
        if index > len {
            return None;
        }
        if index <= len / 2 {
            return Some((0..index).fold(self.first(), |position, _| self.next(position)));
        }
        (index..len).try_fold(self.end(), |position, _| self.previous(position))
    }

    /// The position of the first element that matches, of those whose index is a multiple of `step`.
    pub(crate) fn find(&self, needle: Needle<'_>, step: usize) -> Option<usize> {
        let mut position = self.first();
        while position < self.end() {
            if needle.matches(self.get(position)) {
                return Some(position);
            }
            for _ in 0..step {
                position = self.next(position);
            }
        }
        None
    }

    /// The elements from a position on.
    pub(crate) fn iter_from(&self, position: usize) -> ListpackIter<'_> {
        ListpackIter { bytes: &self.bytes, front: position, back: self.end() }
    }

    /// The elements before a position.
    pub(crate) fn iter_until(&self, position: usize) -> ListpackIter<'_> {
        ListpackIter { bytes: &self.bytes, front: HEADER_LEN, back: position }
    }

    /// Inserts before a position and returns the position after the new element.
    pub(crate) fn insert_at(&mut self, position: usize, element: &[u8]) -> usize {
        let after = self.write(position, position, element);
        self.add_count(1);
        after
    }

    /// Replaces the element at a position and returns the position after it.
    pub(crate) fn replace_at(&mut self, position: usize, element: &[u8]) -> usize {
        self.write(position, self.next(position), element)
    }

    /// Removes the element at a position, where the next one is then.
    pub(crate) fn remove_at(&mut self, position: usize) {
        self.remove_span(position, self.next(position), 1);
    }

    /// Removes the `count` elements between two positions.
    pub(crate) fn remove_span(&mut self, from: usize, to: usize, count: usize) {
        self.bytes.drain(from..to);
        self.set_total();
        self.subtract_count(count);
    }

    /// Removes the elements for which `keep` says no, in one pass.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(Scalar<'_>) -> bool) {
        let (mut read, mut write, mut removed) = (HEADER_LEN, HEADER_LEN, 0);
        while read < self.end() {
            let next = self.next(read);
            if keep(self.get(read)) {
                self.bytes.copy_within(read..next, write);
                write += next - read;
            } else {
                removed += 1;
            }
            read = next;
        }
        self.remove_span(write, read, removed);
    }

    /// Cuts the listpack in two before the element with an index.
    pub(crate) fn split_off(&mut self, index: usize) -> Self {
        let at = self.seek(index).expect("split within the listpack");
        let moved = self.len() - index;
        let mut right = Self::new();
        right.extend_raw(&self.bytes[at..self.end()], moved);
        self.remove_span(at, self.end(), moved);
        self.bytes.shrink_to_fit();
        right
    }

    /// Adds the elements of another one at the end.
    pub(crate) fn append(&mut self, other: &Self) {
        self.extend_raw(&other.bytes[HEADER_LEN..other.end()], other.len());
    }

    fn extend_raw(&mut self, entries: &[u8], count: usize) {
        let end = self.end();
        self.resize_gap(end, end, entries.len());
        self.bytes[end..end + entries.len()].copy_from_slice(entries);
        self.set_total();
        self.add_count(count);
    }

    /// Puts the element's entry in the place of the bytes `from..to`, and returns the position behind it.
    fn write(&mut self, from: usize, to: usize, element: &[u8]) -> usize {
        let body = Body::of(element);
        let len = body.total_len();
        self.resize_gap(from, to, len);
        body.write(&mut self.bytes[from..from + len]);
        self.set_total();
        from + len
    }

    /// Makes the bytes `from..to` be `len` bytes instead, with any content.
    fn resize_gap(&mut self, from: usize, to: usize, len: usize) {
        let old_len = self.bytes.len();
        let new_len = old_len - (to - from) + len;
        if new_len > old_len {
            assert!(new_len <= u32::MAX as usize, "a listpack's length is a 32-bit number");
            reserve(&mut self.bytes, new_len);
            self.bytes.resize(new_len, 0);
        }
        self.bytes.copy_within(to..old_len, from + len);
        self.bytes.truncate(new_len);
    }

    fn set_total(&mut self) {
        let total = self.bytes.len() as u32;
        self.bytes[..4].copy_from_slice(&total.to_le_bytes());
    }

    fn count_field(&self) -> u16 {
        u16::from_le_bytes([self.bytes[4], self.bytes[5]])
    }

    fn set_count_field(&mut self, count: u16) {
        self.bytes[4..6].copy_from_slice(&count.to_le_bytes());
    }

    fn add_count(&mut self, added: usize) {
        let count = usize::from(self.count_field()) + added;
        self.set_count_field(u16::try_from(count).unwrap_or(COUNT_UNKNOWN));
    }

    fn subtract_count(&mut self, removed: usize) {
        let count = self.count_field();
        if count != COUNT_UNKNOWN {
            self.set_count_field(count - removed as u16);
        }
    }
}

impl std::fmt::Debug for Listpack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<'a> IntoIterator for &'a Listpack {
    type Item = Scalar<'a>;
    type IntoIter = ListpackIter<'a>;

    fn into_iter(self) -> ListpackIter<'a> {
        self.iter()
    }
}

/// Grows the capacity to at least `len` bytes, in the steps of common allocators' size classes: exact enough to waste
/// little, coarse enough that most pushes do not reach the allocator.
pub(super) fn reserve(bytes: &mut Vec<u8>, len: usize) {
    if len <= bytes.capacity() {
        return;
    }
    let step = (len.next_power_of_two() / 8).max(16);
    let capacity = len.next_multiple_of(step);
    bytes.reserve_exact(capacity - bytes.len());
}

/// Iterator over the elements of a [`Listpack`], from either end.
#[derive(Clone)]
pub struct ListpackIter<'a> {
    bytes: &'a [u8],
    front: usize,
    back: usize,
}

impl<'a> Iterator for ListpackIter<'a> {
    type Item = Scalar<'a>;

    #[inline]
    fn next(&mut self) -> Option<Scalar<'a>> {
        if self.front >= self.back {
            return None;
        }
        let entry = &self.bytes[self.front..];
        self.front += entry::total_len(entry);
        Some(entry::decode(entry))
    }
}

impl<'a> DoubleEndedIterator for ListpackIter<'a> {
    #[inline]
    fn next_back(&mut self) -> Option<Scalar<'a>> {
        if self.front >= self.back {
            return None;
        }
        self.back -= entry::total_len_before(&self.bytes[..self.back]);
        Some(entry::decode(&self.bytes[self.back..]))
    }
}

impl std::fmt::Debug for ListpackIter<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

#[cfg(test)]
mod tests;
