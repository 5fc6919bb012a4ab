//! LZF, the light compression of RDB strings.
//!
//! A compressed string is a sequence of runs. A control byte below 32 is followed by that many literal bytes and one more.
//! Any other is a reference to earlier output: its upper three bits are the length (7: the next byte is added), always two
//! more than said; its lower five with the following byte are the distance, one more than said. So a reference is 3 to 264
//! bytes long and reaches 8192 bytes back, and no input byte can become more than [`MAX_EXPANSION`] bytes of output.

const MAX_LITERAL: usize = 32;
const MIN_MATCH: usize = 3;
const MAX_MATCH: usize = 264;
const MAX_DISTANCE: usize = 1 << 13;
const TABLE_BITS: u32 = 14;

/// The most bytes of output that one byte of input can stand for: three bytes make at most 264.
pub const MAX_EXPANSION: usize = MAX_MATCH / 3;

/// Compresses strings one after another, keeping its table of places between them.
///
/// The table is never cleared from string to string: places are counted on, and those before the current string are
/// ignored, so the result depends on the string alone.
pub struct Compressor {
    /// For each hash of three bytes, the place they were last seen at, in the count of `base`.
    places: Box<[u32]>,
    /// The place of the current string's first byte.
    base: u32,
}

impl Compressor {
    /// A compressor with an empty table (64 KiB).
    pub fn new() -> Self {
        Compressor { places: vec![0; 1 << TABLE_BITS].into_boxed_slice(), base: 1 }
    }

    /// Appends `input` in compressed form to `out` if that takes at most `limit` bytes; otherwise leaves `out` as it
    /// was and returns false.
    pub fn compress(&mut self, input: &[u8], limit: usize, out: &mut Vec<u8>) -> bool {
        let mark = out.len();
        let Ok(len) = u32::try_from(input.len()) else { return false };
        if self.base.checked_add(len).is_none() {
            self.places.fill(0);
            self.base = 1;
        }
        let fits = self.base.checked_add(len).is_some() && self.run(input, mark.saturating_add(limit), out);
        self.base = self.base.saturating_add(len);
        if !fits {
            out.truncate(mark);
        }
        fits
    }

    /// Compresses until the end, or until `out` is longer than `end`.
    fn run(&mut self, input: &[u8], end: usize, out: &mut Vec<u8>) -> bool {
        let mut at = 0;
        let mut literals_from = 0;
        while at + MIN_MATCH <= input.len() {
            let Some(earlier) = self.exchange(input, at) else {
                at += 1;
                if at - literals_from == MAX_LITERAL {
                    push_literals(out, &input[literals_from..at]);
                    literals_from = at;
                    if out.len() > end {
                        return false;
                    }
                }
                continue;
            };
            push_literals(out, &input[literals_from..at]);
            let len = match_len(input, earlier, at);
            push_reference(out, at - earlier, len);
            if out.len() > end {
                return false;
            }
            for inside in at + 1..(at + len).min(input.len().saturating_sub(MIN_MATCH - 1)) {
                self.exchange(input, inside);
            }
            at += len;
            literals_from = at;
        }
        push_literals(out, &input[literals_from..]);
        out.len() <= end
    }

    /// Notes that the three bytes at `at` stand there; gives the earlier place that has the same three, if within reach.
    #[inline]
    fn exchange(&mut self, input: &[u8], at: usize) -> Option<usize> {
        let three = [input[at], input[at + 1], input[at + 2]];
        let hash = u32::from_le_bytes([three[0], three[1], three[2], 0]).wrapping_mul(0x9E37_79B1);
        let slot = &mut self.places[(hash >> (32 - TABLE_BITS)) as usize];
        let place = std::mem::replace(slot, self.base + at as u32);
        let earlier = place.checked_sub(self.base)? as usize;
        (at - earlier <= MAX_DISTANCE && input[earlier..earlier + MIN_MATCH] == three).then_some(earlier)
    }
}

impl Default for Compressor {
    fn default() -> Self {
        Compressor::new()
    }
}

fn match_len(input: &[u8], earlier: usize, at: usize) -> usize {
    let most = (input.len() - at).min(MAX_MATCH);
    let same = input[earlier..].iter().zip(&input[at..at + most]).take_while(|(a, b)| a == b).count();
    debug_assert!(same >= MIN_MATCH, "a place is only given out when its three bytes are the same");
    same
}

fn push_literals(out: &mut Vec<u8>, literals: &[u8]) {
    for run in literals.chunks(MAX_LITERAL) {
        out.push((run.len() - 1) as u8);
        out.extend_from_slice(run);
    }
}

fn push_reference(out: &mut Vec<u8>, distance: usize, len: usize) {
    let (distance, len) = (distance - 1, len - 2);
    let high = (distance >> 8) as u8;
    if len < 7 {
        out.push(((len as u8) << 5) | high);
    } else {
        out.push((7 << 5) | high);
        out.push((len - 7) as u8);
    }
    out.push(distance as u8);
}

/// What is wrong with bytes that claim to be compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.sentence())]
pub enum LzfError {
    /// The announced length is beyond what the compressed bytes can stand for.
    Impossible,
    /// A run or a reference is cut off.
    Truncated,
    /// A reference points before the beginning of the output.
    BadReference,
    /// The output is shorter or longer than announced.
    WrongLength,
}

impl LzfError {
    /// The error in words.
    pub const fn sentence(self) -> &'static str {
        match self {
            LzfError::Impossible => "a compressed string announces more bytes than it can hold",
            LzfError::Truncated => "a compressed string is cut off",
            LzfError::BadReference => "a compressed string refers to bytes before its beginning",
            LzfError::WrongLength => "a compressed string is not as long as announced",
        }
    }
}

/// The string of exactly `len` bytes that `input` is the compressed form of.
///
/// Memory is taken only when `input` is long enough to stand for `len` bytes.
///
/// ```
/// use redkeep_rdb::lzf::{Compressor, decompress};
/// let mut packed = Vec::new();
/// assert!(Compressor::new().compress(&[b'x'; 500], 496, &mut packed));
/// assert!(packed.len() < 20);
/// assert_eq!(decompress(&packed, 500), Ok(vec![b'x'; 500]));
/// ```
pub fn decompress(input: &[u8], len: usize) -> Result<Vec<u8>, LzfError> {
    if len > input.len().saturating_mul(MAX_EXPANSION) {
        return Err(LzfError::Impossible);
    }
    let mut out = Vec::with_capacity(len);
    let mut rest = input.iter();
    while let Some(&control) = rest.next() {
        if usize::from(control) < MAX_LITERAL {
            let run = usize::from(control) + 1;
            let (literals, after) = rest.as_slice().split_at_checked(run).ok_or(LzfError::Truncated)?;
            if out.len() + run > len {
                return Err(LzfError::WrongLength);
            }
            out.extend_from_slice(literals);
            rest = after.iter();
        } else {
            let mut next = || rest.next().copied().map(usize::from).ok_or(LzfError::Truncated);
            let run = match control >> 5 {
                7 => 9 + next()?,
                short => usize::from(short) + 2,
            };
            let distance = ((usize::from(control) & 0x1f) << 8 | next()?) + 1;
            copy_back(&mut out, distance, run, len)?;
        }
    }
    if out.len() == len { Ok(out) } else { Err(LzfError::WrongLength) }
}

/// Appends `run` bytes that begin `distance` before the end; what is being appended may be among them.
fn copy_back(out: &mut Vec<u8>, distance: usize, run: usize, limit: usize) -> Result<(), LzfError> {
    if out.len() + run > limit {
        return Err(LzfError::WrongLength);
    }
    let from = out.len().checked_sub(distance).ok_or(LzfError::BadReference)?;
    let end = out.len() + run;
    while out.len() < end {
        // What stands after `from` repeats itself with the period `distance`, so each round may copy all of it.
        let len = (out.len() - from).min(end - out.len());
        out.extend_from_within(from..from + len);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn compress(input: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        assert!(Compressor::new().compress(input, usize::MAX, &mut out));
        out
    }

    #[test]
    fn reads_runs_and_overlapping_references() {
        assert_eq!(decompress(&[2, b'a', b'b', b'c', 0x20, 2], 6).unwrap(), b"abcabc");
        assert_eq!(decompress(&[0, b'z', 0xe0, 10, 0], 20).unwrap(), [b'z'; 20]);
        assert_eq!(decompress(&[], 0).unwrap(), b"");
    }

    #[test]
    fn refuses_what_is_wrong() {
        assert_eq!(decompress(&[5, b'a'], 6), Err(LzfError::Truncated));
        assert_eq!(decompress(&[0, b'a', 0x20], 4), Err(LzfError::Truncated));
        assert_eq!(decompress(&[0, b'a', 0xe0, 1], 4), Err(LzfError::Truncated));
        assert_eq!(decompress(&[0, b'a', 0x20, 1], 4), Err(LzfError::BadReference));
        assert_eq!(decompress(&[0, b'a', 0x20, 0], 3), Err(LzfError::WrongLength));
        assert_eq!(decompress(&[0, b'a', 0x20, 0], 5), Err(LzfError::WrongLength));
        assert_eq!(decompress(&[0, b'a'], usize::MAX), Err(LzfError::Impossible));
    }

    #[test]
    fn gives_up_where_the_limit_is_and_leaves_the_output_alone() {
        let noise: Vec<u8> = (0..255).map(|i: u8| i.wrapping_mul(91)).collect();
        let mut out = b"before".to_vec();
        assert!(!Compressor::new().compress(&noise, noise.len() - 4, &mut out));
        assert_eq!(out, b"before");
    }

    #[test]
    fn the_result_does_not_depend_on_the_strings_before() {
        let text = b"the quick brown fox and the quick brown dog and the quick brown cow";
        let mut used = Compressor::new();
        let mut sink = Vec::new();
        used.compress(b"the quick brown owl and others", usize::MAX, &mut sink);
        used.base = u32::MAX - 10;
        for _ in 0..3 {
            let mut out = Vec::new();
            used.compress(text, usize::MAX, &mut out);
            assert_eq!(out, compress(text));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn what_was_compressed_comes_back(
            words in proptest::collection::vec(proptest::collection::vec(0u8..4, 0..40), 0..60),
            repeat in 1usize..30,
        ) {
            let input = words.concat().repeat(repeat);
            let packed = compress(&input);
            prop_assert_eq!(decompress(&packed, input.len()).unwrap(), input);
        }

        #[test]
        fn any_bytes_are_refused_or_read_but_never_panic(
            input in proptest::collection::vec(any::<u8>(), 0..200), len in 0usize..4000,
        ) {
            if let Ok(out) = decompress(&input, len) {
                prop_assert_eq!(out.len(), len);
            }
        }
    }
}
