//! Where a snapshot ends in the bytes that arrive.

use crate::core::{MARK_LEN, PayloadEnd};
use bytes::{Bytes, BytesMut};
use memchr::memmem;

/// The snapshot's bytes up to its end.
#[derive(Debug)]
pub(super) enum Payload {
    Length { left: u64 },
    Mark { mark: [u8; MARK_LEN], tail: Bytes },
}

/// What was cut off.
#[derive(Debug, Default)]
pub(super) struct Cut {
    /// Bytes of the snapshot, in order; empty ones mean nothing.
    pub(super) pieces: [Bytes; 2],
    /// The snapshot is complete; what is left of the input follows it.
    pub(super) complete: bool,
}

impl Payload {
    pub(super) fn new(end: PayloadEnd) -> Payload {
        match end {
            PayloadEnd::Length(left) => Payload::Length { left },
            PayloadEnd::Mark(mark) => Payload::Mark { mark, tail: Bytes::new() },
        }
    }

    /// The bytes still to come, where that is known.
    pub(super) fn left(&self) -> Option<u64> {
        match self {
            Payload::Length { left } => Some(*left),
            Payload::Mark { .. } => None,
        }
    }

    /// Takes what belongs to the snapshot off the front of `bytes`.
    pub(super) fn cut(&mut self, bytes: &mut Bytes) -> Cut {
        match self {
            Payload::Length { left } => {
                let len = (bytes.len() as u64).min(*left);
                *left -= len;
                let piece =
                    bytes.split_to(usize::try_from(len).expect("it is the length of a buffer at most"));
                Cut { pieces: [piece, Bytes::new()], complete: *left == 0 }
            }
            Payload::Mark { mark, tail } => cut_at_mark(mark, tail, bytes),
        }
    }
}

/// Redis looks for the mark at the end of what it has read; here it is found wherever it stands. The last bytes of the
/// input may be the beginning of the mark and are held back in `tail`; only they are ever copied.
fn cut_at_mark(mark: &[u8; MARK_LEN], tail: &mut Bytes, bytes: &mut Bytes) -> Cut {
    const HELD_BACK: usize = MARK_LEN - 1;
    let reach = bytes.len().min(HELD_BACK);
    let seam = [&tail[..], &bytes[..reach]].concat();
    if let Some(at) = memmem::find(&seam, mark) {
        let _mark = bytes.split_to(at + MARK_LEN - tail.len());
        let payload = Bytes::from(seam).slice(..at);
        *tail = Bytes::new();
        return Cut { pieces: [payload, Bytes::new()], complete: true };
    }
    if let Some(at) = memmem::find(bytes, mark) {
        let payload = bytes.split_to(at);
        let _mark = bytes.split_to(MARK_LEN);
        return Cut { pieces: [std::mem::take(tail), payload], complete: true };
    }
    if bytes.len() >= HELD_BACK {
        let payload = bytes.split_to(bytes.len() - HELD_BACK);
        let before = std::mem::replace(tail, std::mem::take(bytes));
        return Cut { pieces: [before, payload], complete: false };
    }
    bytes.clear();
    let mut short = BytesMut::from(&seam[..]);
    let payload = short.split_to(seam.len().saturating_sub(HELD_BACK));
    *tail = short.freeze();
    Cut { pieces: [payload.freeze(), Bytes::new()], complete: false }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A mark that can nearly match in many places.
    fn mark() -> [u8; MARK_LEN] {
        let mut mark = [b'a'; MARK_LEN];
        mark[MARK_LEN - 1] = b'b';
        mark
    }

    proptest! {
        #[test]
        fn the_end_is_found_however_the_bytes_are_split(
            payload in proptest::collection::vec(prop_oneof![9 => Just(b'a'), 1 => Just(b'b'), 1 => Just(b'x')], 0..200),
            after in proptest::collection::vec(any::<u8>(), 0..60),
            pieces in proptest::collection::vec(1..90usize, 1..40),
            with_mark in any::<bool>(),
        ) {
            // The obvious twin: the payload ends before the first place where the mark stands.
            let mark_bytes = if with_mark { mark().to_vec() } else { Vec::new() };
            let wire = [payload.clone(), mark_bytes, after].concat();
            let (end, end_len, len) = if with_mark {
                let len = wire.windows(MARK_LEN).position(|window| window == mark()).expect("it is there");
                (PayloadEnd::Mark(mark()), MARK_LEN, len)
            } else {
                (PayloadEnd::Length(payload.len() as u64), 0, payload.len())
            };
            let (mut reader, mut seen, mut rest, mut complete) = (Payload::new(end), Vec::new(), Vec::new(), false);
            let mut unread = Bytes::from(wire.clone());
            for piece in pieces.iter().cycle() {
                let mut bytes = unread.split_to(unread.len().min(*piece));
                if !complete {
                    let cut = reader.cut(&mut bytes);
                    cut.pieces.iter().for_each(|piece| seen.extend_from_slice(piece));
                    complete = cut.complete;
                }
                rest.extend_from_slice(&bytes);
                if unread.is_empty() {
                    break;
                }
            }
            prop_assert!(complete);
            prop_assert_eq!(&seen, &wire[..len]);
            prop_assert_eq!(&rest, &wire[len + end_len..]);
        }
    }
}
