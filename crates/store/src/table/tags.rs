//! Comparing the eight one-byte tags of a bucket at once.

#[cfg(target_arch = "x86_64")]
use sse2 as best;
#[cfg(not(target_arch = "x86_64"))]
use swar as best;

/// How many tags are compared at once.
pub(super) const WIDTH: usize = 8;

/// A set of slot numbers below eight, iterated in ascending order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slots(u8);

impl Slots {
    #[inline]
    pub(super) fn not(self) -> Self {
        Self(!self.0)
    }

    /// Those below `end`, which is at most 7.
    #[inline]
    pub(super) fn below(self, end: usize) -> Self {
        Self(self.0 & ((1 << end) - 1))
    }

    #[inline]
    pub(super) fn first(self) -> Option<usize> {
        (self.0 != 0).then(|| self.0.trailing_zeros() as usize)
    }

    pub(super) fn last(self) -> Option<usize> {
        self.0.checked_ilog2().map(|slot| slot as usize)
    }
}

impl Iterator for Slots {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        let slot = self.first()?;
        self.0 &= self.0 - 1;
        Some(slot)
    }
}

/// The positions at which `tags` has `tag`.
#[inline]
pub(super) fn equal(tags: &[u8; WIDTH], tag: u8) -> Slots {
    Slots(best::equal(tags, tag))
}

#[cfg(target_arch = "x86_64")]
mod sse2 {
    #![allow(unsafe_code)] // Vector instructions are intrinsics.
    use std::arch::x86_64::{_mm_cmpeq_epi8, _mm_loadl_epi64, _mm_movemask_epi8, _mm_set1_epi8};

    #[inline]
    pub(super) fn equal(tags: &[u8; 8], tag: u8) -> u8 {
        // SAFETY: SSE2 is part of x86-64, and the load reads the eight bytes that there are.
        unsafe {
            let tags = _mm_loadl_epi64(tags.as_ptr().cast());
            let same = _mm_cmpeq_epi8(tags, _mm_set1_epi8(tag.cast_signed()));
            // The upper eight lanes compared zeros; the mask keeps the lower eight.
            _mm_movemask_epi8(same) as u8
        }
    }
}

/// The same in one 64-bit register, for processors without vectors of bytes.
#[cfg(any(test, not(target_arch = "x86_64")))]
mod swar {
    #[inline]
    pub(super) fn equal(tags: &[u8; 8], tag: u8) -> u8 {
        const LOW_BITS: u64 = u64::from_ne_bytes([0x7f; 8]);
        let differing = u64::from_le_bytes(*tags) ^ u64::from_ne_bytes([tag; 8]);
        // The top bit of a byte is set unless all eight bits are zero; no carry leaves its byte.
        let nonzero = ((differing & LOW_BITS) + LOW_BITS) | differing;
        let same = (!nonzero >> 7) & u64::from_ne_bytes([1; 8]);
        // Gathers bit 8i into bit 56 + i: every partial product lands on a bit of its own.
        (same.wrapping_mul(0x0102_0408_1020_4080) >> 56) as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn naive(tags: &[u8; 8], tag: u8) -> u8 {
        tags.iter().enumerate().fold(0, |mask, (i, &t)| mask | u8::from(t == tag) << i)
    }

    #[test]
    fn every_way_of_comparing_agrees_with_the_plain_one() {
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..20_000 {
            // Few different values, and those that carries and signs could confuse.
            let tags: [u8; 8] = std::array::from_fn(|_| [0, 1, 0x7f, 0x80, 0x81, 0xff][random.usize(..6)]);
            for tag in [0, 1, 0x7f, 0x80, 0x81, 0xff, random.u8(..)] {
                assert_eq!(best::equal(&tags, tag), naive(&tags, tag), "{tags:?} {tag}");
                assert_eq!(swar::equal(&tags, tag), naive(&tags, tag), "{tags:?} {tag}");
            }
        }
    }

    #[test]
    fn slots_are_a_set() {
        let slots = Slots(0b1010_0110);
        assert_eq!(slots.collect::<Vec<_>>(), [1, 2, 5, 7]);
        assert_eq!(slots.below(5).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(slots.not().below(7).collect::<Vec<_>>(), [0, 3, 4, 6]);
        assert_eq!((slots.first(), slots.last()), (Some(1), Some(7)));
        assert_eq!((Slots(0).first(), Slots(0).last()), (None, None));
    }
}
