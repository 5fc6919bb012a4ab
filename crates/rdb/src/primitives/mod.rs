//! The small parts that everything in an RDB is made of: lengths, strings, doubles.
//!
//! A *length* is 1, 2, 5 or 9 bytes, told by the upper two bits of the first. Where a string is expected, the fourth
//! pattern of those bits says that no plain bytes follow but an integer or an LZF string.
//!
//! Reading is by [`Cursor`], which never looks behind the bytes at hand: it says how many are missing, and only then is
//! memory taken. Writing is by the functions of [`encode`].

mod cursor;
pub(crate) mod encode;
mod text;

pub(crate) use cursor::Cursor;
pub(crate) use text::Text;

/// The two upper bits: a length of 6 bits.
pub(crate) const LEN_6: u8 = 0;
/// The two upper bits: a length of 14 bits.
pub(crate) const LEN_14: u8 = 1;
/// The whole byte: a length of 32 bits follows, big-endian.
pub(crate) const LEN_32: u8 = 0x80;
/// The whole byte: a length of 64 bits follows, big-endian.
pub(crate) const LEN_64: u8 = 0x81;
/// The two upper bits: the lower six say how the string is encoded.
pub(crate) const ENCODED: u8 = 3;

/// An encoded string: one byte, signed.
pub(crate) const ENCODED_INT8: u8 = 0;
/// An encoded string: two bytes, little-endian, signed.
pub(crate) const ENCODED_INT16: u8 = 1;
/// An encoded string: four bytes, little-endian, signed.
pub(crate) const ENCODED_INT32: u8 = 2;
/// An encoded string: the compressed length, the true length, the compressed bytes.
pub(crate) const ENCODED_LZF: u8 = 3;

/// In place of the length of a text double: not a number.
pub(crate) const TEXT_NAN: u8 = 253;
/// In place of the length of a text double: positive infinity.
pub(crate) const TEXT_INFINITY: u8 = 254;
/// In place of the length of a text double: negative infinity.
pub(crate) const TEXT_NEG_INFINITY: u8 = 255;
