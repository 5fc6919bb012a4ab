//! Reading primitives from bytes that may not all be there yet.

use super::*;
use crate::error::{ErrorKind, Fault, RdbError};
use crate::lzf;

/// A place in the bytes at hand. Every method either advances over one whole primitive or fails.
#[derive(Clone)]
pub(crate) struct Cursor<'a> {
    input: &'a [u8],
    at: usize,
    /// Offset in the file of `input[0]`, for errors.
    base: u64,
    max_string_len: u64,
}

/// A length as it stands in the file: a number, or the mark that an encoded string follows.
enum Length {
    Number(u64),
    Encoded(u8),
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(input: &'a [u8], at: usize, base: u64, max_string_len: u64) -> Self {
        Cursor { input, at, base, max_string_len }
    }

    /// Index into the input of the next byte.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Offset in the file of the next byte.
    pub(crate) fn offset(&self) -> u64 {
        self.base + self.at as u64
    }

    /// How many bytes are at hand from here on.
    pub(crate) fn remaining(&self) -> usize {
        self.input.len() - self.at
    }

    /// The error that the part beginning at `offset` is wrong in the way of `kind`.
    pub(crate) fn wrong_at(offset: u64, kind: ErrorKind) -> Fault {
        Fault::Wrong(RdbError { kind, offset })
    }

    /// The next `len` bytes.
    #[inline]
    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], Fault> {
        match self.input[self.at..].split_at_checked(len) {
            Some((taken, _)) => {
                self.at += len;
                Ok(taken)
            }
            None => Err(Fault::Incomplete { missing: len - (self.input.len() - self.at) }),
        }
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let taken = self.take(N)?;
        Ok(taken.try_into().expect("take gives as many bytes as it is asked for"))
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Fault> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn u64_le(&mut self) -> Result<u64, Fault> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub(crate) fn i64_le(&mut self) -> Result<i64, Fault> {
        Ok(i64::from_le_bytes(self.array()?))
    }

    pub(crate) fn i32_le(&mut self) -> Result<i32, Fault> {
        Ok(i32::from_le_bytes(self.array()?))
    }

    /// A double in eight bytes.
    pub(crate) fn binary_double(&mut self) -> Result<f64, Fault> {
        Ok(f64::from_le_bytes(self.array()?))
    }

    /// A double as text behind one byte of length, as sorted sets had it before Redis 4.
    pub(crate) fn text_double(&mut self) -> Result<f64, Fault> {
        let offset = self.offset();
        match self.u8()? {
            TEXT_NAN => Ok(f64::NAN),
            TEXT_INFINITY => Ok(f64::INFINITY),
            TEXT_NEG_INFINITY => Ok(f64::NEG_INFINITY),
            len => parse_double(self.take(usize::from(len))?)
                .ok_or_else(|| Self::wrong_at(offset, ErrorKind::Corrupt("a score is not a number"))),
        }
    }

    /// A length, count or other unsigned number.
    #[inline]
    pub(crate) fn length(&mut self) -> Result<u64, Fault> {
        let offset = self.offset();
        match self.any_length()? {
            Length::Number(len) => Ok(len),
            Length::Encoded(_) => Err(Self::wrong_at(
                offset,
                ErrorKind::Corrupt("an encoded string stands where a length should"),
            )),
        }
    }

    #[inline]
    fn any_length(&mut self) -> Result<Length, Fault> {
        let offset = self.offset();
        let first = self.u8()?;
        let low = first & 0x3f;
        match (first >> 6, first) {
            (LEN_6, _) => Ok(Length::Number(u64::from(low))),
            (LEN_14, _) => Ok(Length::Number(u64::from(low) << 8 | u64::from(self.u8()?))),
            (ENCODED, _) => Ok(Length::Encoded(low)),
            (_, LEN_32) => Ok(Length::Number(u64::from(u32::from_be_bytes(self.array()?)))),
            (_, LEN_64) => Ok(Length::Number(u64::from_be_bytes(self.array()?))),
            _ => Err(Self::wrong_at(offset, ErrorKind::Corrupt("unknown form of a length"))),
        }
    }

    /// A string in any of its forms.
    #[inline]
    pub(crate) fn string(&mut self) -> Result<Text<'a>, Fault> {
        let offset = self.offset();
        match self.any_length()? {
            Length::Number(len) => {
                let len = self.string_len(len, offset)?;
                Ok(Text::Slice(self.take(len)?))
            }
            Length::Encoded(ENCODED_INT8) => Ok(Text::from_integer(self.u8()?.cast_signed().into())),
            Length::Encoded(ENCODED_INT16) => {
                Ok(Text::from_integer(i16::from_le_bytes(self.array()?).into()))
            }
            Length::Encoded(ENCODED_INT32) => Ok(Text::from_integer(self.i32_le()?)),
            Length::Encoded(ENCODED_LZF) => self.lzf_string(offset),
            Length::Encoded(_) => {
                Err(Self::wrong_at(offset, ErrorKind::Corrupt("unknown encoding of a string")))
            }
        }
    }

    fn lzf_string(&mut self, offset: u64) -> Result<Text<'a>, Fault> {
        let packed_len = self.length()?;
        let len = self.length()?;
        let (packed_len, len) = (self.string_len(packed_len, offset)?, self.string_len(len, offset)?);
        let packed = self.take(packed_len)?;
        match lzf::decompress(packed, len) {
            Ok(bytes) => Ok(Text::Expanded(bytes)),
            Err(error) => Err(Self::wrong_at(offset, ErrorKind::Corrupt(error.sentence()))),
        }
    }

    /// `len` as the length of a string in memory, if it is within the limit.
    fn string_len(&self, len: u64, offset: u64) -> Result<usize, Fault> {
        let limit = self.max_string_len;
        match usize::try_from(len) {
            Ok(fits) if len <= limit => Ok(fits),
            _ => Err(Self::wrong_at(offset, ErrorKind::StringTooLong { len, limit })),
        }
    }
}

/// The number that `text` is, in the notations that C's `strtod` and Rust's parser share.
pub(crate) fn parse_double(text: &[u8]) -> Option<f64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor(input: &[u8]) -> Cursor<'_> {
        Cursor::new(input, 0, 0, 1 << 20)
    }

    #[test]
    fn lengths_of_every_form() {
        for (bytes, expected) in [
            (&[0x00][..], 0),
            (&[0x3f], 63),
            (&[0x40, 64], 64),
            (&[0x7f, 0xff], 16383),
            (&[0x80, 0, 0, 0x40, 0], 16384),
            (&[0x81, 0, 0, 0, 1, 0, 0, 0, 0], 1 << 32),
        ] {
            assert_eq!(cursor(bytes).length(), Ok(expected));
            let cut = cursor(&bytes[..bytes.len() - 1]).length();
            assert_eq!(cut, Err(Fault::Incomplete { missing: 1 }));
        }
        assert!(matches!(cursor(&[0x82]).length(), Err(Fault::Wrong(_))));
        assert!(matches!(cursor(&[0xc0, 1]).length(), Err(Fault::Wrong(_))));
    }

    #[test]
    fn strings_of_every_form() {
        for (bytes, expected) in [
            (&b"\x03abc"[..], &b"abc"[..]),
            (b"\xc0\xff", b"-1"),
            (b"\xc1\x00\x80", b"-32768"),
            (b"\xc2\xff\xff\xff\x7f", b"2147483647"),
            (b"\xc3\x05\x14\x00z\xe0\x0a\x00", b"zzzzzzzzzzzzzzzzzzzz"),
        ] {
            assert_eq!(cursor(bytes).string().unwrap().bytes(), expected);
        }
        assert!(matches!(cursor(b"\xc4").string(), Err(Fault::Wrong(_))));
    }

    #[test]
    fn a_string_that_has_not_arrived_says_how_much_is_missing() {
        assert_eq!(cursor(b"\x05ab").string().unwrap_err(), Fault::Incomplete { missing: 3 });
        let too_long = cursor(&[0x80, 0x7f, 0, 0, 0]).string().unwrap_err();
        let kind = ErrorKind::StringTooLong { len: 0x7f00_0000, limit: 1 << 20 };
        assert_eq!(too_long, Fault::Wrong(RdbError { kind, offset: 0 }));
    }

    #[test]
    fn doubles_in_text() {
        assert_eq!(cursor(b"\x031.5").text_double(), Ok(1.5));
        assert_eq!(cursor(&[TEXT_INFINITY]).text_double(), Ok(f64::INFINITY));
        assert_eq!(cursor(&[TEXT_NEG_INFINITY]).text_double(), Ok(f64::NEG_INFINITY));
        assert!(cursor(&[TEXT_NAN]).text_double().unwrap().is_nan());
        assert!(matches!(cursor(b"\x021x").text_double(), Err(Fault::Wrong(_))));
    }
}
