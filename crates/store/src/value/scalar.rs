//! Elements as they are read out of an encoding, and Redis's rule for which bytes count as an integer.
//!
//! Packed encodings store an element that *is* the decimal text of an `i64` as that integer. Reading gives the integer
//! back as [`Scalar::Int`], so that nobody formats text only to have it parsed again; [`Scalar::as_bytes`] makes the
//! text when it is wanted. The rule loses nothing: only the one canonical text of an integer becomes an integer.

use std::cmp::Ordering;

/// Longest decimal text of an `i64`: a sign and nineteen digits.
const MAX_INT_LEN: usize = 20;
/// Longest string that Redis keeps together with its object header.
const EMBEDDED_STRING_LEN: usize = 44;

/// An element of an aggregate. `Int(7)` and `Bytes(b"7")` are the same element and compare equal.
#[derive(Clone, Copy, Debug)]
pub enum Scalar<'a> {
    /// An element that is stored as an integer.
    Int(i64),
    /// Any other element.
    Bytes(&'a [u8]),
}

/// Room for the text of a [`Scalar::Int`].
#[derive(Clone, Default)]
pub struct ScalarBuf(itoa::Buffer);

impl ScalarBuf {
    /// An empty buffer; it lives on the stack.
    pub fn new() -> Self {
        Self::default()
    }
}

impl std::fmt::Debug for ScalarBuf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ScalarBuf")
    }
}

impl<'a> Scalar<'a> {
    /// The element's bytes; the text of an integer is made in `buf`.
    ///
    /// ```
    /// use redkeep_store::value::{Scalar, ScalarBuf};
    /// let mut buf = ScalarBuf::new();
    /// assert_eq!(Scalar::Int(-5).as_bytes(&mut buf), b"-5");
    /// assert_eq!(Scalar::Bytes(b"x").as_bytes(&mut buf), b"x");
    /// ```
    #[inline]
    pub fn as_bytes<'b>(&self, buf: &'b mut ScalarBuf) -> &'b [u8]
    where
        'a: 'b,
    {
        match *self {
            Self::Int(value) => buf.0.format(value).as_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }

    /// A copy of the element's bytes.
    pub fn to_vec(&self) -> Vec<u8> {
        self.as_bytes(&mut ScalarBuf::new()).to_vec()
    }

    /// Length of the element's bytes.
    #[allow(clippy::len_without_is_empty, reason = "emptiness of an element is no question anybody asks")]
    pub fn len(&self) -> usize {
        self.as_bytes(&mut ScalarBuf::new()).len()
    }

    /// The element as an integer, if it is the canonical text of one.
    pub fn as_int(&self) -> Option<i64> {
        match *self {
            Self::Int(value) => Some(value),
            Self::Bytes(bytes) => parse_int(bytes),
        }
    }

    /// Order of the element's bytes against others, as `memcmp` has it.
    pub fn cmp_bytes(&self, other: &[u8]) -> Ordering {
        self.as_bytes(&mut ScalarBuf::new()).cmp(other)
    }
}

impl PartialEq for Scalar<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (*self, *other) {
            (Self::Int(a), Self::Int(b)) => a == b,
            (Self::Bytes(a), Self::Bytes(b)) => a == b,
            (Self::Int(int), Self::Bytes(bytes)) | (Self::Bytes(bytes), Self::Int(int)) => {
                parse_int(bytes) == Some(int)
            }
        }
    }
}

impl Eq for Scalar<'_> {}

impl PartialEq<[u8]> for Scalar<'_> {
    fn eq(&self, other: &[u8]) -> bool {
        *self == Scalar::Bytes(other)
    }
}

/// What is looked for in a packed encoding: the bytes, and the integer they are the text of, worked out once.
#[derive(Clone, Copy)]
pub(crate) struct Needle<'a> {
    bytes: &'a [u8],
    int: Option<i64>,
}

impl<'a> Needle<'a> {
    #[inline]
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, int: parse_int(bytes) }
    }

    #[inline]
    pub(crate) fn matches(&self, element: Scalar<'_>) -> bool {
        match element {
            Scalar::Int(value) => self.int == Some(value),
            Scalar::Bytes(bytes) => bytes == self.bytes,
        }
    }
}

/// The integer whose canonical decimal text `bytes` is: an optional minus, no leading zero, no plus, no space, no `-0`,
/// within `i64`. So the text can always be made again from the integer, byte for byte.
///
/// ```
/// use redkeep_store::value::parse_int;
/// assert_eq!(parse_int(b"-12"), Some(-12));
/// assert_eq!(parse_int(b"9223372036854775808"), None);
/// assert!([&b"+1"[..], b"01", b"-0", b" 1", b""].iter().all(|text| parse_int(text).is_none()));
/// ```
#[inline]
pub fn parse_int(bytes: &[u8]) -> Option<i64> {
    if bytes.len() > MAX_INT_LEN {
        return None;
    }
    let (negative, digits) = match bytes {
        b"0" => return Some(0),
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if !matches!(digits.first(), Some(b'1'..=b'9')) {
        return None;
    }
    let mut magnitude = 0u64;
    for &digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        magnitude = magnitude.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    if negative { 0i64.checked_sub_unsigned(magnitude) } else { i64::try_from(magnitude).ok() }
}

/// What `OBJECT ENCODING` says of a string.
pub(crate) fn string_encoding(bytes: &[u8]) -> &'static str {
    if parse_int(bytes).is_some() {
        "int"
    } else if bytes.len() <= EMBEDDED_STRING_LEN {
        "embstr"
    } else {
        "raw"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_the_canonical_text_is_an_integer() {
        for text in ["", "-", "-0", "00", "01", "-01", "+1", " 1", "1 ", "1.0", "0x1", "1a", "--1"] {
            assert_eq!(parse_int(text.as_bytes()), None, "{text:?}");
        }
        for text in
            ["9223372036854775808", "-9223372036854775809", "99999999999999999999", "18446744073709551616"]
        {
            assert_eq!(parse_int(text.as_bytes()), None, "{text:?}");
        }
        for value in [0, 1, -1, 10, i64::MAX, i64::MIN] {
            assert_eq!(parse_int(value.to_string().as_bytes()), Some(value));
        }
    }

    #[test]
    fn scalars_compare_as_bytes() {
        assert_eq!(Scalar::Int(7), Scalar::Bytes(b"7"));
        assert_ne!(Scalar::Int(7), Scalar::Bytes(b"07"));
        assert_eq!(Scalar::Int(10).cmp_bytes(b"9"), Ordering::Less);
        assert!(Needle::new(b"12").matches(Scalar::Bytes(b"12")));
        assert!(Needle::new(b"12").matches(Scalar::Int(12)));
        assert!(!Needle::new(b"012").matches(Scalar::Int(12)));
    }

    #[test]
    fn encodings_of_strings() {
        assert_eq!(string_encoding(b"12"), "int");
        assert_eq!(string_encoding(&[b'x'; 44]), "embstr");
        assert_eq!(string_encoding(&[b'x'; 45]), "raw");
    }

    proptest! {
        #[test]
        fn an_integer_comes_back_from_its_text(value: i64) {
            prop_assert_eq!(parse_int(value.to_string().as_bytes()), Some(value));
        }

        #[test]
        fn what_parses_is_canonical(text in "-?[0-9]{0,21}") {
            if let Some(value) = parse_int(text.as_bytes()) {
                prop_assert_eq!(value.to_string(), text);
            }
        }
    }
}
