//! The layout that all files of the directory share: a header, then frames.
//!
//! ```text
//! file    magic "RKSENTNL" | kind u16 | format version u16 | crc32c of the 12 bytes before      (16 bytes)
//! frame   length u32 | crc32c of the payload u32 | crc32c of (offset of the frame, the 8 bytes before) u32
//!         payload | end mark 0xA5                                                               (13 bytes + payload)
//! ```
//! All numbers are little-endian.
//!
//! **What a crash may leave** is an unfinished last write: the file ends within a frame, or was made longer before its
//! blocks were written, which then read as zeros. [`Scan`] tells that from damage: the length has a checksum of its own,
//! so a flipped bit cannot make a frame seem to run over the end; and the end mark is not zero, so a last frame that has
//! it was written whole. What is unfinished was never acknowledged and is cut off; anything else is an error, for what
//! stood there may have been promised to somebody.

use std::ops::Range;
use std::path::Path;

use crc::{CRC_32_ISCSI, Crc};

use crate::raft::OpenError;

/// The format version that this program writes, and the highest that it reads.
pub const FORMAT_VERSION: u16 = 1;

/// Bytes before the first frame.
pub const HEADER_BYTES: usize = 16;

/// Bytes of a frame besides its payload.
pub const FRAME_OVERHEAD: usize = FRAME_HEAD + 1;

const MAGIC: &[u8; 8] = b"RKSENTNL";
const FRAME_HEAD: usize = 12;
const END_MARK: u8 = 0xA5;
const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// What a file is, so that one cannot be taken for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Kind {
    /// Node identity.
    Identity = 1,
    /// The group that the directory is bound to.
    Binding = 2,
    /// Log and vote.
    Log = 3,
    /// The state as of some log index.
    Snapshot = 4,
}

/// The header of a file of this kind.
pub fn header(kind: Kind) -> [u8; HEADER_BYTES] {
    let mut bytes = [0; HEADER_BYTES];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..10].copy_from_slice(&(kind as u16).to_le_bytes());
    bytes[10..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
    let checksum = CRC.checksum(&bytes[..12]);
    bytes[12..].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

/// Appends a frame that will stand at `offset` of its file.
pub fn append(out: &mut Vec<u8>, offset: u64, payload: &[u8]) {
    let length = u32::try_from(payload.len()).expect("the codec bounds what is written far below 4 GiB");
    let start = out.len();
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&CRC.checksum(payload).to_le_bytes());
    let checksum = head_checksum(offset, &out[start..start + 8]);
    out.extend_from_slice(&checksum.to_le_bytes());
    out.extend_from_slice(payload);
    out.push(END_MARK);
}

fn head_checksum(offset: u64, head: &[u8]) -> u32 {
    let mut digest = CRC.digest();
    digest.update(&offset.to_le_bytes());
    digest.update(head);
    digest.finalize()
}

/// A whole file: header and frames.
pub fn file<'a>(kind: Kind, payloads: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut out = header(kind).to_vec();
    for payload in payloads {
        let offset = out.len() as u64;
        append(&mut out, offset, payload);
    }
    out
}

/// What was found in a file.
#[derive(Debug, PartialEq, Eq)]
pub struct Scan {
    /// The payloads, as ranges of the file's bytes.
    pub payloads: Vec<Range<usize>>,
    /// Where the last whole frame ends. Less than the file's length if the last write was not finished.
    pub end: usize,
}

/// Reads a file's frames. `path` is for the error only.
pub fn scan(path: &Path, kind: Kind, bytes: &[u8]) -> Result<Scan, OpenError> {
    check_header(path, kind, bytes)?;
    let mut scan = Scan { payloads: Vec::new(), end: HEADER_BYTES };
    while scan.end < bytes.len() {
        match frame_at(bytes, scan.end) {
            Frame::Whole(payload) => {
                scan.end = payload.end + 1;
                scan.payloads.push(payload);
            }
            Frame::Unfinished => break,
            Frame::Damaged(what) => return Err(corrupt(path, scan.end, what)),
        }
    }
    Ok(scan)
}

/// Reads a file that is only ever replaced as a whole, and so cannot be unfinished.
pub fn scan_whole(
    path: &Path,
    kind: Kind,
    bytes: &[u8],
    frames: usize,
) -> Result<Vec<Range<usize>>, OpenError> {
    let scan = scan(path, kind, bytes)?;
    if scan.end != bytes.len() {
        return Err(corrupt(path, scan.end, "the file was cut"));
    }
    if scan.payloads.len() != frames {
        return Err(corrupt(
            path,
            HEADER_BYTES,
            format!("{} records instead of {frames}", scan.payloads.len()),
        ));
    }
    Ok(scan.payloads)
}

/// The error that says that `path` is damaged at `offset`.
pub fn corrupt(path: &Path, offset: usize, what: impl Into<String>) -> OpenError {
    OpenError::Corrupt { file: path.to_owned(), offset: offset as u64, what: what.into() }
}

fn check_header(path: &Path, kind: Kind, bytes: &[u8]) -> Result<(), OpenError> {
    let Some(found) = bytes.first_chunk::<HEADER_BYTES>() else {
        return Err(corrupt(path, 0, "the header is cut"));
    };
    if &found[..8] != MAGIC || u32_at(found, 12) != CRC.checksum(&found[..12]) {
        return Err(corrupt(path, 0, "the header is not one of ours"));
    }
    let version = u16::from_le_bytes([found[10], found[11]]);
    if version == 0 || version > FORMAT_VERSION {
        return Err(OpenError::Version { file: path.to_owned(), found: version, known: FORMAT_VERSION });
    }
    if found[8..10] != (kind as u16).to_le_bytes() {
        return Err(corrupt(path, 8, "this is a file of another kind"));
    }
    Ok(())
}

enum Frame {
    Whole(Range<usize>),
    Unfinished,
    Damaged(&'static str),
}

fn frame_at(bytes: &[u8], offset: usize) -> Frame {
    let rest = &bytes[offset..];
    let Some((head, body)) = rest.split_at_checked(FRAME_HEAD) else { return Frame::Unfinished };
    if u32_at(head, 8) != head_checksum(offset as u64, &head[..8]) {
        let never_written = body.iter().all(|&byte| byte == 0);
        return match never_written {
            true => Frame::Unfinished,
            false => Frame::Damaged("the checksum of a record's length is wrong"),
        };
    }
    let length = u32_at(rest, 0) as usize;
    let Some(frame) = rest.get(..FRAME_HEAD + length + 1) else { return Frame::Unfinished };
    let payload = &frame[FRAME_HEAD..FRAME_HEAD + length];
    let mark = frame[FRAME_HEAD + length];
    if mark == END_MARK && u32_at(rest, 4) == CRC.checksum(payload) {
        return Frame::Whole(offset + FRAME_HEAD..offset + FRAME_HEAD + length);
    }
    if frame.len() == rest.len() && mark == 0 {
        return Frame::Unfinished;
    }
    Frame::Damaged("the checksum of a record is wrong")
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAYLOADS: [&[u8]; 3] = [b"one", b"", b"the third and last"];

    fn sample() -> Vec<u8> {
        file(Kind::Log, PAYLOADS)
    }

    fn read(bytes: &[u8]) -> Result<Scan, OpenError> {
        scan(Path::new("log"), Kind::Log, bytes)
    }

    #[test]
    fn reads_what_was_written() {
        let bytes = sample();
        let scan = read(&bytes).unwrap();
        let payloads: Vec<&[u8]> = scan.payloads.iter().map(|range| &bytes[range.clone()]).collect();
        assert_eq!(payloads, PAYLOADS);
        assert_eq!(scan.end, bytes.len());
    }

    #[test]
    fn a_last_record_cut_anywhere_is_unfinished() {
        let whole = sample();
        let last = whole.len() - PAYLOADS[2].len() - FRAME_OVERHEAD;
        for length in last..whole.len() {
            let scan = read(&whole[..length]).unwrap();
            assert_eq!((scan.payloads.len(), scan.end), (2, last), "cut to {length}");
        }
    }

    #[test]
    fn a_last_record_whose_end_reads_as_zeros_is_unfinished() {
        let whole = sample();
        let last = whole.len() - PAYLOADS[2].len() - FRAME_OVERHEAD;
        for from in last..whole.len() {
            let mut bytes = whole.clone();
            bytes[from..].fill(0);
            let scan = read(&bytes).unwrap();
            assert_eq!((scan.payloads.len(), scan.end), (2, last), "zeros from {from}");
        }
    }

    #[test]
    fn every_flipped_bit_is_an_error_that_names_the_place() {
        let whole = sample();
        for at in 0..whole.len() {
            for bit in 0..8 {
                let mut bytes = whole.clone();
                bytes[at] ^= 1 << bit;
                match read(&bytes) {
                    Err(OpenError::Corrupt { offset, .. }) => assert!(offset as usize <= at),
                    Err(OpenError::Version { .. }) => panic!("the header's checksum comes first"),
                    other => panic!("bit {bit} of byte {at}: {other:?}"),
                }
            }
        }
    }

    #[test]
    fn a_later_version_is_told_apart_from_damage() {
        let mut bytes = sample();
        bytes[10..12].copy_from_slice(&(FORMAT_VERSION + 1).to_le_bytes());
        let checksum = CRC.checksum(&bytes[..12]);
        bytes[12..16].copy_from_slice(&checksum.to_le_bytes());
        assert!(matches!(read(&bytes), Err(OpenError::Version { found: 2, known: 1, .. })));
    }

    #[test]
    fn a_record_in_the_wrong_place_is_damage() {
        let mut bytes = header(Kind::Log).to_vec();
        append(&mut bytes, 999, b"moved");
        assert!(matches!(read(&bytes), Err(OpenError::Corrupt { offset: 16, .. })));
    }
}
