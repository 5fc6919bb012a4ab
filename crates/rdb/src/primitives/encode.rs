//! Writing primitives.

use redkeep_store::value::parse_int;

use super::*;
use crate::lzf::Compressor;

/// Length of the longest text that is written as an integer, `-2147483648`.
const MAX_INTEGER_LEN: usize = 11;
/// Strings up to this length are not worth compressing.
const MIN_COMPRESSED: usize = 21;
/// A compressed string has to be smaller than the plain one by at least this.
const MIN_GAIN: usize = 4;

pub(crate) fn length(out: &mut Vec<u8>, len: u64) {
    match len {
        0..0x40 => out.push(len as u8),
        0x40..0x4000 => out.extend_from_slice(&[LEN_14 << 6 | (len >> 8) as u8, len as u8]),
        0x4000..=0xffff_ffff => {
            out.push(LEN_32);
            out.extend_from_slice(&(len as u32).to_be_bytes());
        }
        _ => {
            out.push(LEN_64);
            out.extend_from_slice(&len.to_be_bytes());
        }
    }
}

/// A string as its length and its bytes.
pub(crate) fn plain(out: &mut Vec<u8>, bytes: &[u8]) {
    length(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// A string in the shortest form: an integer, compressed if there is a compressor and it gains something, or plain.
#[inline]
pub(crate) fn string(out: &mut Vec<u8>, bytes: &[u8], compressor: Option<&mut Compressor>) {
    if let Some(value) = short_integer(bytes) {
        return integer_form(out, value);
    }
    if bytes.len() >= MIN_COMPRESSED
        && let Some(compressor) = compressor
        && compressed(out, bytes, compressor)
    {
        return;
    }
    plain(out, bytes);
}

/// The string that is the decimal notation of `value`.
pub(crate) fn integer(out: &mut Vec<u8>, value: i64) {
    match i32::try_from(value) {
        Ok(value) => integer_form(out, value),
        Err(_) => plain(out, value.to_string().as_bytes()),
    }
}

fn integer_form(out: &mut Vec<u8>, value: i32) {
    if let Ok(value) = i8::try_from(value) {
        out.extend_from_slice(&[ENCODED << 6 | ENCODED_INT8, value.cast_unsigned()]);
    } else if let Ok(value) = i16::try_from(value) {
        out.push(ENCODED << 6 | ENCODED_INT16);
        out.extend_from_slice(&value.to_le_bytes());
    } else {
        out.push(ENCODED << 6 | ENCODED_INT32);
        out.extend_from_slice(&value.to_le_bytes());
    }
}

/// The integer that `bytes` are the text of, if it has 32 bits.
fn short_integer(bytes: &[u8]) -> Option<i32> {
    if bytes.len() > MAX_INTEGER_LEN { None } else { i32::try_from(parse_int(bytes)?).ok() }
}

/// Appends the compressed form if it is small enough; else leaves `out` as it was.
fn compressed(out: &mut Vec<u8>, bytes: &[u8], compressor: &mut Compressor) -> bool {
    // The lengths stand before what they count: room for the longest is kept and closed up afterwards.
    const MAX_HEADER: usize = 1 + 5 + 5;
    let mark = out.len();
    out.extend_from_slice(&[0; MAX_HEADER]);
    let limit = bytes.len() - MIN_GAIN;
    if u32::try_from(bytes.len()).is_err() || !compressor.compress(bytes, limit, out) {
        out.truncate(mark);
        return false;
    }
    let packed_len = out.len() - mark - MAX_HEADER;
    let mut header = Vec::with_capacity(MAX_HEADER);
    header.push(ENCODED << 6 | ENCODED_LZF);
    length(&mut header, packed_len as u64);
    length(&mut header, bytes.len() as u64);
    out[mark..mark + header.len()].copy_from_slice(&header);
    out.copy_within(mark + MAX_HEADER.., mark + header.len());
    out.truncate(mark + header.len() + packed_len);
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(bytes: &[u8]) -> Vec<u8> {
        let mut out = b"before".to_vec();
        string(&mut out, bytes, Some(&mut Compressor::new()));
        out.split_off(6)
    }

    #[test]
    fn the_shortest_form_is_taken() {
        assert_eq!(encoded(b"12"), b"\xc0\x0c");
        assert_eq!(encoded(b"-129"), b"\xc1\x7f\xff");
        assert_eq!(encoded(b"2147483647"), b"\xc2\xff\xff\xff\x7f");
        assert_eq!(encoded(b"-2147483648"), b"\xc2\x00\x00\x00\x80");
        for plain in [&b"2147483648"[..], b"-0", b"01", b"+1", b"-", b"", b"1 ", b"99999999999"] {
            let mut expected = vec![plain.len() as u8];
            expected.extend_from_slice(plain);
            assert_eq!(encoded(plain), expected);
        }
        assert_eq!(encoded(&[b'z'; 20])[0], 20);
        assert_eq!(encoded(&[b'z'; 21])[0], 0xc3);
    }

    #[test]
    fn large_integers_are_written_as_their_digits() {
        let mut out = Vec::new();
        integer(&mut out, 1 << 40);
        assert_eq!(out, b"\x0d1099511627776");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn strings_and_lengths_come_back(
            bytes in proptest::collection::vec(prop_oneof![any::<u8>(), b'0'..=b'9'], 0..20),
            repeat in 1usize..200, len in any::<u64>(), shift in 0u32..64,
        ) {
            let bytes = bytes.repeat(repeat);
            let mut out = encoded(&bytes);
            length(&mut out, len >> shift);
            let mut cursor = Cursor::new(&out, 0, 0, u64::MAX);
            let text = cursor.string().unwrap();
            prop_assert_eq!(text.bytes(), &bytes[..]);
            prop_assert_eq!(cursor.length(), Ok(len >> shift));
            prop_assert_eq!(cursor.at(), out.len());
        }
    }
}
