//! Intset, byte for byte Redis's own: a sorted array of distinct integers, all of the width that the widest needs.
//!
//! ```text
//! +-------------------------+------------+-----------------------------------+
//! | width: 2, 4 or 8, 4 B   | members, 4 | members, ascending, width B each  |   all little-endian
//! +-------------------------+------------+-----------------------------------+
//! ```
//!
//! A member that needs more width widens all; the width never shrinks. RDB files hold intsets as they are, so
//! [`Intset::from_bytes`] checks all that the rest relies on.

use super::listpack::reserve;

const HEADER_LEN: usize = 8;
/// Narrowest members.
const MIN_WIDTH: usize = 2;

/// A sorted array of distinct integers in one allocation.
///
/// ```
/// use redkeep_store::value::Intset;
/// let mut intset = Intset::new();
/// assert!(intset.insert(5) && intset.insert(-70_000) && !intset.insert(5));
/// assert_eq!(intset.iter().collect::<Vec<_>>(), [-70_000, 5]);
/// assert_eq!(Intset::from_bytes(intset.as_bytes().to_vec()), Some(intset));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Intset {
    bytes: Vec<u8>,
}

/// Iterator over the members of an [`Intset`], from either end.
pub type IntsetIter<'a> = std::iter::Map<std::slice::ChunksExact<'a, u8>, fn(&'a [u8]) -> i64>;

impl Default for Intset {
    fn default() -> Self {
        Self::new()
    }
}

impl Intset {
    /// An empty intset.
    pub fn new() -> Self {
        let mut intset = Self { bytes: vec![0; HEADER_LEN] };
        intset.set_width(MIN_WIDTH);
        intset
    }

    /// The intset with these bytes, if they are one: of a known width, complete, strictly ascending, and not empty,
    /// which Redis refuses too.
    pub fn from_bytes(bytes: Vec<u8>) -> Option<Self> {
        let width = read_u32(bytes.get(..4)?) as usize;
        let len = read_u32(bytes.get(4..HEADER_LEN)?) as usize;
        if !matches!(width, 2 | 4 | 8) || len == 0 {
            return None;
        }
        if len.checked_mul(width)?.checked_add(HEADER_LEN)? != bytes.len() {
            return None;
        }
        let intset = Self { bytes };
        intset.iter().is_sorted_by(|a, b| a < b).then_some(intset)
    }

    /// The bytes, as RDB has them.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Number of members.
    #[inline]
    pub fn len(&self) -> usize {
        read_u32(&self.bytes[4..HEADER_LEN]) as usize
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The members in ascending order.
    pub fn iter(&self) -> IntsetIter<'_> {
        self.bytes[HEADER_LEN..].chunks_exact(self.width()).map(read_member as fn(&'_ [u8]) -> i64)
    }

    /// Whether `member` is there.
    pub fn contains(&self, member: i64) -> bool {
        self.search(member).is_ok()
    }

    /// Adds a member; false if it was there.
    pub fn insert(&mut self, member: i64) -> bool {
        let Err(index) = self.search(member) else { return false };
        self.widen(width_of(member));
        let (width, len) = (self.width(), self.len());
        let at = HEADER_LEN + index * width;
        let old_len = self.bytes.len();
        reserve(&mut self.bytes, old_len + width);
        self.bytes.resize(old_len + width, 0);
        self.bytes.copy_within(at..old_len, at + width);
        self.bytes[at..at + width].copy_from_slice(&member.to_le_bytes()[..width]);
        self.set_len(len + 1);
        true
    }

    /// Removes a member; false if it was not there.
    pub fn remove(&mut self, member: i64) -> bool {
        let Ok(index) = self.search(member) else { return false };
        let (width, len) = (self.width(), self.len());
        let at = HEADER_LEN + index * width;
        self.bytes.drain(at..at + width);
        self.set_len(len - 1);
        true
    }

    /// The member with an index in ascending order.
    pub fn get(&self, index: usize) -> Option<i64> {
        let width = self.width();
        let at = HEADER_LEN + index.checked_mul(width)?;
        self.bytes.get(at..at.checked_add(width)?).map(read_member)
    }

    pub(crate) fn heap_size(&self) -> usize {
        self.bytes.capacity()
    }

    /// The index of the member, or the one that it would have.
    fn search(&self, member: i64) -> Result<usize, usize> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            let found = self.get(middle).expect("the middle is below the number of members");
            match found.cmp(&member) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return Ok(middle),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        Err(low)
    }

    /// Rewrites the members at a greater width, if they are narrower.
    fn widen(&mut self, width: usize) {
        if width <= self.width() {
            return;
        }
        let mut wide = Self { bytes: Vec::new() };
        reserve(&mut wide.bytes, HEADER_LEN + (self.len() + 1) * width);
        wide.bytes.extend_from_slice(&self.bytes[..HEADER_LEN]);
        wide.set_width(width);
        for member in self.iter() {
            wide.bytes.extend_from_slice(&member.to_le_bytes()[..width]);
        }
        *self = wide;
    }

    #[inline]
    fn width(&self) -> usize {
        read_u32(&self.bytes[..4]) as usize
    }

    fn set_width(&mut self, width: usize) {
        self.bytes[..4].copy_from_slice(&(width as u32).to_le_bytes());
    }

    fn set_len(&mut self, len: usize) {
        let len = u32::try_from(len).expect("an intset is converted long before its count overflows");
        self.bytes[4..HEADER_LEN].copy_from_slice(&len.to_le_bytes());
    }
}

impl std::fmt::Debug for Intset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

fn width_of(member: i64) -> usize {
    match member {
        -0x8000..=0x7FFF => 2,
        -0x8000_0000..=0x7FFF_FFFF => 4,
        _ => 8,
    }
}

#[inline]
fn read_u32(bytes: &[u8]) -> u32 {
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

#[inline]
fn read_member(bytes: &[u8]) -> i64 {
    let mut wide = [0; 8];
    wide[8 - bytes.len()..].copy_from_slice(bytes);
    i64::from_le_bytes(wide) >> (64 - 8 * bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn golden_bytes() {
        let mut intset = Intset::new();
        assert_eq!(intset.as_bytes(), [2, 0, 0, 0, 0, 0, 0, 0]);
        intset.insert(5);
        intset.insert(-1);
        assert_eq!(intset.as_bytes(), [2, 0, 0, 0, 2, 0, 0, 0, 0xFF, 0xFF, 5, 0]);
        intset.insert(32_768);
        let golden = [4, 0, 0, 0, 3, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 5, 0, 0, 0, 0, 0x80, 0, 0];
        assert_eq!(intset.as_bytes(), golden);
        intset.remove(-1);
        intset.remove(5);
        intset.insert(i64::MIN);
        let golden = [8, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 0, 0x80, 0, 0, 0, 0, 0, 0];
        assert_eq!(intset.as_bytes(), golden);
    }

    #[test]
    fn what_is_not_an_intset_is_refused() {
        for bytes in [
            &[][..],
            &[2, 0, 0, 0],
            &[2, 0, 0, 0, 0, 0, 0, 0],
            &[3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0],
            &[2, 0, 0, 0, 2, 0, 0, 0, 1, 0],
            &[2, 0, 0, 0, 1, 0, 0, 0, 1, 0, 2, 0],
            &[2, 0, 0, 0, 2, 0, 0, 0, 1, 0, 1, 0],
            &[2, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0],
            &[8, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF],
        ] {
            assert_eq!(Intset::from_bytes(bytes.to_vec()), None, "{bytes:?}");
        }
    }

    fn member() -> impl Strategy<Value = i64> {
        prop_oneof![
            -9i64..9,
            any::<i16>().prop_map(i64::from),
            any::<i32>().prop_map(i64::from),
            any::<i64>()
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn edits_are_those_of_a_sorted_set(edits in prop::collection::vec((any::<bool>(), member()), 1..80)) {
            let (mut intset, mut model) = (Intset::new(), BTreeSet::new());
            for (remove, member) in edits {
                if remove {
                    prop_assert_eq!(intset.remove(member), model.remove(&member));
                } else {
                    prop_assert_eq!(intset.insert(member), model.insert(member));
                }
                prop_assert!(intset.iter().eq(model.iter().copied()));
                prop_assert_eq!(intset.contains(member), !remove);
                prop_assert_eq!(intset.get(model.len()), None);
            }
            if !model.is_empty() {
                prop_assert_eq!(Intset::from_bytes(intset.as_bytes().to_vec()), Some(intset));
            }
        }

        #[test]
        fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..40), width in 0u8..9) {
            let mut bytes = bytes;
            if let Some(first) = bytes.first_mut() {
                *first = width;
            }
            if let Some(intset) = Intset::from_bytes(bytes) {
                prop_assert_eq!(intset.iter().count(), intset.len());
            }
        }
    }
}
