//! Integers as Redis reads them off the wire.

/// Reads a signed 64-bit decimal, strictly: only the one spelling that printing the number would give.
/// So no `+`, no leading zeros, no `-0`, no blanks.
///
/// ```
/// use redkeep_resp::parse_integer;
/// assert_eq!(parse_integer(b"-12"), Some(-12));
/// assert_eq!(parse_integer(b"012"), None);
/// assert_eq!(parse_integer(b"9223372036854775808"), None);
/// ```
pub fn parse_integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    match digits {
        [] => return None,
        [b'0'] => return (!negative).then_some(0),
        [b'0', ..] => return None,
        _ => {}
    }
    // Counted downwards, since i64::MIN has no positive twin.
    let below_zero = digits.iter().try_fold(0i64, |sum, &byte| {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        sum.checked_mul(10)?.checked_sub(i64::from(digit))
    })?;
    if negative { Some(below_zero) } else { below_zero.checked_neg() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_of_the_range_are_inside() {
        for n in [i64::MIN, i64::MIN + 1, -1, 0, 1, 10, i64::MAX] {
            assert_eq!(parse_integer(n.to_string().as_bytes()), Some(n));
        }
        assert_eq!(parse_integer(b"-9223372036854775809"), None);
        assert_eq!(parse_integer(b"99999999999999999999999"), None);
    }

    #[test]
    fn other_spellings_are_refused() {
        for text in ["", "-", "+1", "-0", "00", "01", "-01", " 1", "1 ", "1a", "0x1", "1.0", "--1"] {
            assert_eq!(parse_integer(text.as_bytes()), None, "{text:?}");
        }
    }
}
