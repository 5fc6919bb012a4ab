//! Doubles as Redis prints them: C's `%.17g`.
//!
//! 17 significant digits name every double exactly. Trailing zeros are dropped, and the number is written
//! with an exponent when that is below -4 or at least 17: `3`, `3.1000000000000001`, `1e+17`, `inf`.

use std::io::Write as _;

/// Significant digits that `%.17g` prints at most.
const DIGITS: usize = 17;

/// Room for one printed double. The longest has 24 characters: `-2.2250738585072014e-308`.
pub type DoubleBuf = [u8; 32];

/// Prints `value` into `buf` and returns what was printed.
///
/// ```
/// let mut buf = [0; 32];
/// assert_eq!(redkeep_resp::format_double(0.1, &mut buf), "0.10000000000000001");
/// assert_eq!(redkeep_resp::format_double(-17.0, &mut buf), "-17");
/// assert_eq!(redkeep_resp::format_double(f64::INFINITY, &mut buf), "inf");
/// ```
pub fn format_double(value: f64, buf: &mut DoubleBuf) -> &str {
    let len = if value.is_nan() {
        put(buf, "nan")
    } else if value.is_infinite() {
        put(buf, if value > 0.0 { "inf" } else { "-inf" })
    } else if let Some(integer) = small_integer(value) {
        put(buf, itoa::Buffer::new().format(integer))
    } else {
        print_general(value, buf)
    };
    std::str::from_utf8(&buf[..len]).expect("only ASCII was printed")
}

/// Integers of at most 15 digits have a short cut; -0 is not one of them, for it keeps its sign.
fn small_integer(value: f64) -> Option<i64> {
    let integer = value as i64;
    let exact = integer as f64 == value && integer.unsigned_abs() < 1_000_000_000_000_000;
    let negative_zero = integer == 0 && value.is_sign_negative();
    (exact && !negative_zero).then_some(integer)
}

fn put(buf: &mut DoubleBuf, text: &str) -> usize {
    buf[..text.len()].copy_from_slice(text.as_bytes());
    text.len()
}

fn print_general(value: f64, buf: &mut DoubleBuf) -> usize {
    let scientific = Scientific::of(value);
    let mut out = &mut buf[..];
    let digits = scientific.significant();
    let sign = if value.is_sign_negative() { "-" } else { "" };
    let (first, rest) = digits.split_at(1);
    let result = match scientific.exponent {
        exponent if exponent < -4 || exponent >= DIGITS as i32 => {
            let point = if rest.is_empty() { "" } else { "." };
            let exponent_sign = if exponent < 0 { '-' } else { '+' };
            write!(out, "{sign}{first}{point}{rest}e{exponent_sign}{:02}", exponent.abs())
        }
        exponent if exponent < 0 => {
            let zeros = "000".split_at((-exponent - 1) as usize).0;
            write!(out, "{sign}0.{zeros}{digits}")
        }
        exponent => {
            let integer_digits = exponent as usize + 1;
            match digits.split_at_checked(integer_digits) {
                Some((integer, "")) => write!(out, "{sign}{integer}"),
                Some((integer, fraction)) => write!(out, "{sign}{integer}.{fraction}"),
                None => write!(out, "{sign}{digits:0<integer_digits$}"),
            }
        }
    };
    result.expect("a double has at most 24 characters");
    let unused = out.len();
    buf.len() - unused
}

/// A finite number as 17 rounded digits and a decimal exponent.
struct Scientific {
    digits: [u8; DIGITS],
    exponent: i32,
}

impl Scientific {
    fn of(value: f64) -> Self {
        let mut text = [0u8; 32];
        let mut out = &mut text[..];
        write!(out, "{:.*e}", DIGITS - 1, value.abs()).expect("17 digits and an exponent fit");
        let unused = out.len();
        let len = text.len() - unused;
        // d.dddddddddddddddde-xxx
        let mut digits = [text[0]; DIGITS];
        digits[1..].copy_from_slice(&text[2..DIGITS + 1]);
        let exponent = std::str::from_utf8(&text[DIGITS + 2..len]).expect("only ASCII was printed");
        Scientific { digits, exponent: exponent.parse().expect("an exponent follows the e") }
    }

    /// The digits without trailing zeros; at least one.
    fn significant(&self) -> &str {
        let digits = std::str::from_utf8(&self.digits).expect("only digits were printed");
        let trimmed = digits.trim_end_matches('0');
        if trimmed.is_empty() { "0" } else { trimmed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn printed(value: f64) -> String {
        format_double(value, &mut [0; 32]).to_owned()
    }

    #[test]
    fn what_c_prints() {
        let cases = [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (-1.5, "-1.5"),
            (3.1, "3.1000000000000001"),
            (0.0001, "0.0001"),
            (0.00012345, "0.00012344999999999999"),
            (0.00001, "1.0000000000000001e-05"),
            (1e-10, "1e-10"),
            (123456.789, "123456.789"),
            (1e15, "1000000000000000"),
            (1e16, "10000000000000000"),
            (1e17, "1e+17"),
            (12345678901234567.0, "12345678901234568"),
            (123456789012345678.0, "1.2345678901234568e+17"),
            (1e300, "1.0000000000000001e+300"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::MIN_POSITIVE, "2.2250738585072014e-308"),
            (5e-324, "4.9406564584124654e-324"),
            (-f64::MIN_POSITIVE, "-2.2250738585072014e-308"),
            (9007199254740993.0, "9007199254740992"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (f64::NAN, "nan"),
        ];
        for (value, text) in cases {
            assert_eq!(printed(value), text);
        }
    }

    proptest! {
        #[test]
        fn every_double_survives(bits: u64) {
            let value = f64::from_bits(bits);
            let back: f64 = printed(value).parse().expect("a number");
            prop_assert!(back.to_bits() == bits || value.is_nan());
        }

        #[test]
        fn integers_print_like_any_other_double(integer in -1_000_000_000_000_000i64..1_000_000_000_000_000) {
            let (short, mut buf) = (printed(integer as f64), [0; 32]);
            let len = print_general(integer as f64, &mut buf);
            prop_assert_eq!(short.as_bytes(), &buf[..len]);
        }
    }
}
