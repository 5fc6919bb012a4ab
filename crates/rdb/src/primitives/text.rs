//! A string as it stands in the file: mostly a slice of it, sometimes made on the way.

use std::borrow::Cow;

/// The digits of the longest integer that strings are encoded as, `-2147483648`.
const MAX_DIGITS: usize = 11;

/// A string that was read.
#[derive(Clone, Debug)]
pub(crate) enum Text<'a> {
    /// Plain bytes of the input.
    Slice(&'a [u8]),
    /// The decimal digits of an integer, right-aligned.
    Digits { from: u8, digits: [u8; MAX_DIGITS] },
    /// What a compressed string was expanded to.
    Expanded(Vec<u8>),
}

impl<'a> Text<'a> {
    /// The string that the decimal notation of `value` is.
    pub(crate) fn from_integer(value: i32) -> Self {
        let mut digits = [0; MAX_DIGITS];
        let mut from = MAX_DIGITS;
        let mut rest = value.unsigned_abs();
        loop {
            from -= 1;
            digits[from] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        if value < 0 {
            from -= 1;
            digits[from] = b'-';
        }
        Text::Digits { from: from as u8, digits }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Text::Slice(slice) => slice,
            Text::Digits { from, digits } => &digits[usize::from(*from)..],
            Text::Expanded(bytes) => bytes,
        }
    }

    pub(crate) fn into_cow(self) -> Cow<'a, [u8]> {
        match self {
            Text::Slice(slice) => Cow::Borrowed(slice),
            Text::Expanded(bytes) => Cow::Owned(bytes),
            digits @ Text::Digits { .. } => Cow::Owned(digits.bytes().to_vec()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_become_their_digits() {
        for value in [0, 7, -1, 10, 1234567890, i32::MAX, i32::MIN] {
            assert_eq!(Text::from_integer(value).bytes(), value.to_string().as_bytes());
        }
    }
}
