//! One entry of a listpack: a body, then the body's length once more, to be read from behind.
//!
//! | first byte of the body | what follows                     | element                                    |
//! |------------------------|----------------------------------|--------------------------------------------|
//! | `0xxxxxxx`             |                                  | integer 0 to 127                           |
//! | `10llllll`             | `l` bytes                        | string of up to 63 bytes                   |
//! | `110xxxxx`             | 1 byte                           | signed integer of 13 bits, high bits first |
//! | `1110llll`             | 1 byte of the length, the bytes  | string of up to 4095 bytes                 |
//! | `0xF0`                 | 4 bytes of length, LE, the bytes | string                                     |
//! | `0xF1` to `0xF4`       | 2, 3, 4 or 8 bytes, LE           | signed integer                             |
//!
//! The length behind the body has seven bits a byte, the highest first; all but the first have the top bit set, so that
//! a reader that comes from behind knows where to stop.

use super::super::scalar::{Scalar, parse_int};

const STR_32: u8 = 0xF0;
const INT_16: u8 = 0xF1;
const INT_24: u8 = 0xF2;
const INT_32: u8 = 0xF3;
const INT_64: u8 = 0xF4;

/// First length of a string that no longer fits the short forms.
const STR_6_LIMIT: usize = 1 << 6;
const STR_12_LIMIT: usize = 1 << 12;

/// What is to be written as an entry's body.
pub(super) enum Body<'a> {
    Int(i64),
    Str(&'a [u8]),
}

impl<'a> Body<'a> {
    pub(super) fn of(element: &'a [u8]) -> Self {
        parse_int(element).map_or(Self::Str(element), Self::Int)
    }

    fn len(&self) -> usize {
        match *self {
            Self::Int(value) => match value {
                0..=127 => 1,
                -4096..=4095 => 2,
                _ => 1 + int_width(value),
            },
            Self::Str(bytes) => bytes.len() + str_head_len(bytes.len()),
        }
    }

    /// Length of the whole entry.
    pub(super) fn total_len(&self) -> usize {
        with_back_len(self.len())
    }

    /// Writes the whole entry; `out` has exactly its length.
    pub(super) fn write(&self, out: &mut [u8]) {
        let (body, back) = out.split_at_mut(self.len());
        match *self {
            Self::Int(value) => write_int(value, body),
            Self::Str(bytes) => write_str(bytes, body),
        }
        write_back_len(body.len(), back);
    }
}

fn str_head_len(len: usize) -> usize {
    match len {
        0..STR_6_LIMIT => 1,
        STR_6_LIMIT..STR_12_LIMIT => 2,
        _ => 5,
    }
}

/// Bytes that the integer needs beside its first byte, if it is past the short forms.
fn int_width(value: i64) -> usize {
    match value {
        -0x8000..=0x7FFF => 2,
        -0x80_0000..=0x7F_FFFF => 3,
        -0x8000_0000..=0x7FFF_FFFF => 4,
        _ => 8,
    }
}

fn write_int(value: i64, body: &mut [u8]) {
    match body.len() {
        1 => body[0] = value as u8,
        2 => {
            let bits = value as u16 & 0x1FFF;
            body.copy_from_slice(&(0xC000 | bits).to_be_bytes());
        }
        len => {
            body[0] = match len - 1 {
                2 => INT_16,
                3 => INT_24,
                4 => INT_32,
                _ => INT_64,
            };
            body[1..].copy_from_slice(&value.to_le_bytes()[..len - 1]);
        }
    }
}

fn write_str(bytes: &[u8], body: &mut [u8]) {
    let (head, data) = body.split_at_mut(body.len() - bytes.len());
    match head.len() {
        1 => head[0] = 0x80 | bytes.len() as u8,
        2 => head.copy_from_slice(&(0xE000 | bytes.len() as u16).to_be_bytes()),
        _ => {
            head[0] = STR_32;
            head[1..].copy_from_slice(&(bytes.len() as u32).to_le_bytes());
        }
    }
    data.copy_from_slice(bytes);
}

/// Number of bytes in which a body's length stands behind it. The longest length of each size is given away, as Redis
/// does; the readers on both sides compute this instead of looking.
fn back_len_size(body_len: usize) -> usize {
    match body_len {
        0..=127 => 1,
        128..16_383 => 2,
        16_383..2_097_151 => 3,
        2_097_151..268_435_455 => 4,
        _ => 5,
    }
}

/// Length of an entry whose body has this length.
#[inline]
fn with_back_len(body_len: usize) -> usize {
    body_len + back_len_size(body_len)
}

fn write_back_len(body_len: usize, back: &mut [u8]) {
    let mut rest = body_len;
    for byte in back.iter_mut().rev() {
        *byte = 0x80 | (rest & 0x7F) as u8;
        rest >>= 7;
    }
    back[0] &= 0x7F;
}

/// Reads the length at the end of `before`, which ends where an entry does.
fn read_back_len(before: &[u8]) -> usize {
    let mut len = 0;
    for (i, &byte) in before.iter().rev().enumerate() {
        len |= usize::from(byte & 0x7F) << (7 * i);
        if byte & 0x80 == 0 {
            break;
        }
    }
    len
}

/// Length of the whole entry that `bytes` begins with.
#[inline]
pub(super) fn total_len(bytes: &[u8]) -> usize {
    with_back_len(body_len(bytes))
}

/// Length of the whole entry that `before` ends with.
#[inline]
pub(super) fn total_len_before(before: &[u8]) -> usize {
    with_back_len(read_back_len(before))
}

/// Length of the body that `bytes` begins with.
#[inline]
fn body_len(bytes: &[u8]) -> usize {
    match bytes[0] {
        0..=0x7F => 1,
        head @ 0x80..=0xBF => 1 + usize::from(head & 0x3F),
        0xC0..=0xDF => 2,
        head @ 0xE0..=0xEF => 2 + (usize::from(head & 0x0F) << 8 | usize::from(bytes[1])),
        STR_32 => 5 + read_u32(&bytes[1..]),
        INT_16 => 3,
        INT_24 => 4,
        INT_32 => 5,
        _ => 9,
    }
}

/// The element whose entry `bytes` begins with.
#[inline]
pub(super) fn decode(bytes: &[u8]) -> Scalar<'_> {
    match bytes[0] {
        head @ 0..=0x7F => Scalar::Int(i64::from(head)),
        head @ 0x80..=0xBF => Scalar::Bytes(&bytes[1..1 + usize::from(head & 0x3F)]),
        head @ 0xC0..=0xDF => Scalar::Int(sign_extend(u64::from(head & 0x1F) << 8 | u64::from(bytes[1]), 13)),
        0xE0..=0xEF => Scalar::Bytes(&bytes[2..body_len(bytes)]),
        STR_32 => Scalar::Bytes(&bytes[5..body_len(bytes)]),
        _ => {
            let data = &bytes[1..body_len(bytes)];
            let mut wide = [0; 8];
            wide[..data.len()].copy_from_slice(data);
            Scalar::Int(sign_extend(u64::from_le_bytes(wide), 8 * data.len() as u32))
        }
    }
}

fn sign_extend(value: u64, bits: u32) -> i64 {
    let shift = 64 - bits;
    (value << shift) as i64 >> shift
}

fn read_u32(bytes: &[u8]) -> usize {
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize
}

/// Length of the whole entry that `bytes` begins with, if there is one, complete and with both lengths right.
pub(super) fn checked_total_len(bytes: &[u8]) -> Option<usize> {
    let head_len = match *bytes.first()? {
        0..=0xDF | INT_16..=INT_64 => 1,
        0xE0..=0xEF => 2,
        STR_32 => 5,
        _ => return None,
    };
    if bytes.len() < head_len {
        return None;
    }
    let body_len = body_len(bytes);
    let total = with_back_len(body_len);
    let back = bytes.get(body_len..total)?;
    let mut expected = [0; 5];
    let expected = &mut expected[..back.len()];
    write_back_len(body_len, expected);
    (back == expected).then_some(total)
}
