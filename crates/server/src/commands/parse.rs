//! Reading arguments: numbers, expiry times, options.

use redkeep_resp::parse_integer;

use crate::error::CommandError;

/// A 64-bit integer, as strictly as Redis reads one.
pub(crate) fn integer(word: &[u8]) -> Result<i64, CommandError> {
    parse_integer(word).ok_or(CommandError::NOT_INTEGER)
}

/// A count that is not negative. What is no integer gets the same error as what is negative.
pub(crate) fn non_negative(word: &[u8]) -> Result<usize, CommandError> {
    Ok(bounded(word, 0, i64::MAX, CommandError::NOT_POSITIVE)? as usize)
}

/// An integer within bounds, or `error`.
pub(crate) fn bounded(word: &[u8], min: i64, max: i64, error: CommandError) -> Result<i64, CommandError> {
    match parse_integer(word) {
        Some(n) if (min..=max).contains(&n) => Ok(n),
        _ => Err(error),
    }
}

/// A floating point number: not a NaN, not out of range, without blanks around it.
pub(crate) fn float(word: &[u8]) -> Option<f64> {
    let number = any_float(word)?;
    let says_infinity = || word.iter().any(|byte| byte.eq_ignore_ascii_case(&b'i'));
    let mantissa = || word.iter().take_while(|byte| !byte.eq_ignore_ascii_case(&b'e'));
    let out_of_range = if number == 0.0 {
        mantissa().any(|byte| (b'1'..=b'9').contains(byte))
    } else {
        number.is_infinite() && !says_infinity()
    };
    (!out_of_range).then_some(number)
}

/// The bound of a range of scores, and whether it is exclusive: `1.5`, `(1.5`. Redis reads it less strictly than
/// other numbers: what is out of range is infinite, blanks may come first, and nothing at all is 0.
pub(crate) fn score_bound(word: &[u8]) -> Option<(f64, bool)> {
    let (text, exclusive) = match word {
        [b'(', text @ ..] => (text, true),
        text => (text, false),
    };
    let score = if text.is_empty() { 0.0 } else { any_float(text.trim_ascii_start())? };
    Some((score, exclusive))
}

/// What C's `strtod` reads, but for hexadecimal.
fn any_float(word: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(word).ok()?;
    let digits = text.trim_start_matches(['+', '-']);
    let named = matches!(digits.to_ascii_lowercase().as_str(), "inf" | "infinity");
    let begins_as_number = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    // Rust reads "nan" as well.
    if text.len() - digits.len() > 1 || !(named || begins_as_number) {
        return None;
    }
    text.parse().ok()
}

/// The number of a database.
pub(crate) fn database(word: &[u8], databases: usize) -> Result<usize, CommandError> {
    let n = parse_integer(word).ok_or(CommandError::NOT_INTEGER)?;
    usize::try_from(n).ok().filter(|n| *n < databases).ok_or(CommandError::DB_INDEX)
}

/// Text for an error or a log line.
pub(crate) fn text(word: &[u8]) -> String {
    String::from_utf8_lossy(word).into_owned()
}

/// The unit and base of an expiry argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExpiryUnit {
    /// Seconds from now: EX.
    Seconds,
    /// Milliseconds from now: PX.
    Millis,
    /// A unix time in seconds: EXAT.
    UnixSeconds,
    /// A unix time in milliseconds: PXAT.
    UnixMillis,
}

/// The expiry as a unix time in milliseconds. It may lie in the past, and then be negative.
///
/// # Errors
/// Where it overflows, Redis's error, which names `command`.
pub(crate) fn expiry_at(
    value: i64,
    unit: ExpiryUnit,
    now_ms: u64,
    command: &str,
) -> Result<i64, CommandError> {
    let error = || CommandError::invalid_expire(command);
    let (factor, base) = match unit {
        ExpiryUnit::Seconds => (1000, now_ms as i64),
        ExpiryUnit::Millis => (1, now_ms as i64),
        ExpiryUnit::UnixSeconds => (1000, 0),
        ExpiryUnit::UnixMillis => (1, 0),
    };
    value.checked_mul(factor).and_then(|ms| ms.checked_add(base)).ok_or_else(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_read_as_redis_reads_them() {
        for (word, expected) in [
            ("1", Some(1.0)),
            ("-1.5e3", Some(-1500.0)),
            (".5", Some(0.5)),
            ("+inf", Some(f64::INFINITY)),
            ("-Infinity", Some(f64::NEG_INFINITY)),
            ("nan", None),
            ("", None),
            (" 1", None),
            ("1 ", None),
            ("--1", None),
            ("e5", None),
            ("1e400", None),
            ("1e-400", None),
            ("0e-400", Some(0.0)),
        ] {
            assert_eq!(float(word.as_bytes()), expected, "{word:?}");
        }
    }

    #[test]
    fn bounds_are_read_as_redis_reads_them() {
        for (word, expected) in [
            ("1.5", Some((1.5, false))),
            ("(1.5", Some((1.5, true))),
            ("-inf", Some((f64::NEG_INFINITY, false))),
            ("(1e400", Some((f64::INFINITY, true))),
            ("", Some((0.0, false))),
            ("(", Some((0.0, true))),
            (" 7", Some((7.0, false))),
            ("7 ", None),
            (" ", None),
            ("((1", None),
            ("nan", None),
        ] {
            assert_eq!(score_bound(word.as_bytes()), expected, "{word:?}");
        }
    }

    #[test]
    fn expiries_do_not_overflow() {
        assert_eq!(expiry_at(5, ExpiryUnit::Seconds, 1000, "set").unwrap(), 6000);
        assert!(expiry_at(i64::MAX, ExpiryUnit::Seconds, 1000, "set").is_err());
        assert!(expiry_at(i64::MAX, ExpiryUnit::Millis, 1000, "set").is_err());
        assert_eq!(expiry_at(-5, ExpiryUnit::UnixMillis, 1000, "set").unwrap(), -5);
    }
}
