//! Doubles as Redis prints them since 7.2.
//!
//! The digits are the fewest that name the double: `3.1`, where older versions printed `3.1000000000000001`. Whole
//! numbers are written in full as long as they are exact in an `i64`; others get an exponent when they are very large
//! or very small: `1e+300`, `1e-7`, but `0.000001`.

use std::io::Write as _;

/// Most digits that name a double.
const DIGITS: usize = 17;

/// Whole numbers of at most this size are written in full.
const MAX_WHOLE: f64 = (i64::MAX / 2) as f64;

/// Room for one printed double. The longest has 24 characters: `-2.2250738585072014e-308`.
pub type DoubleBuf = [u8; 32];

/// Prints `value` into `buf` and returns what was printed.
///
/// ```
/// let mut buf = [0; 32];
/// assert_eq!(redkeep_resp::format_double(0.1, &mut buf), "0.1");
/// assert_eq!(redkeep_resp::format_double(-17.0, &mut buf), "-17");
/// assert_eq!(redkeep_resp::format_double(f64::INFINITY, &mut buf), "inf");
/// ```
pub fn format_double(value: f64, buf: &mut DoubleBuf) -> &str {
    let len = if value.is_nan() {
        put(buf, "nan")
    } else if value.is_infinite() {
        put(buf, if value > 0.0 { "inf" } else { "-inf" })
    } else if value == 0.0 {
        put(buf, if value.is_sign_negative() { "-0" } else { "0" })
    } else if value.abs() <= MAX_WHOLE && value.fract() == 0.0 {
        put(buf, itoa::Buffer::new().format(value as i64))
    } else {
        print_general(value, buf)
    };
    std::str::from_utf8(&buf[..len]).expect("only ASCII was printed")
}

fn put(buf: &mut DoubleBuf, text: &str) -> usize {
    buf[..text.len()].copy_from_slice(text.as_bytes());
    text.len()
}

fn print_general(value: f64, buf: &mut DoubleBuf) -> usize {
    let scientific = Scientific::of(value);
    let digits = scientific.digits();
    // The powers of ten of the first and of the last digit.
    let (first, last) = (scientific.exponent, scientific.exponent - (digits.len() as i32 - 1));
    let sign = if value.is_sign_negative() { "-" } else { "" };
    let mut out = &mut buf[..];
    let result = if last >= 0 && first.unsigned_abs() < digits.len() as u32 + 7 {
        write!(out, "{sign}{digits:0<width$}", width = first as usize + 1)
    } else if last < 0 && (last > -7 || first.abs() < 4) {
        match usize::try_from(first) {
            Ok(first) => {
                let (whole, decimals) = digits.split_at(first + 1);
                write!(out, "{sign}{whole}.{decimals}")
            }
            Err(_) => write!(out, "{sign}0.{digits:0>width$}", width = last.unsigned_abs() as usize),
        }
    } else {
        let (head, tail) = digits.split_at(1);
        let point = if tail.is_empty() { "" } else { "." };
        write!(out, "{sign}{head}{point}{tail}e{first:+}")
    };
    result.expect("a double has at most 24 characters");
    let unused = out.len();
    buf.len() - unused
}

/// A finite number as its shortest digits and the power of ten of the first of them.
struct Scientific {
    digits: [u8; DIGITS],
    len: usize,
    exponent: i32,
}

impl Scientific {
    fn of(value: f64) -> Self {
        let mut text = [0u8; 32];
        let mut out = &mut text[..];
        write!(out, "{:e}", value.abs()).expect("17 digits and an exponent fit");
        let unused = out.len();
        let text = std::str::from_utf8(&text[..32 - unused]).expect("only ASCII was printed");
        let (mantissa, exponent) = text.split_once('e').expect("an exponent follows the digits");
        let mut scientific =
            Scientific { digits: [0; DIGITS], len: 0, exponent: exponent.parse().expect("it is a number") };
        for digit in mantissa.bytes().filter(u8::is_ascii_digit) {
            scientific.digits[scientific.len] = digit;
            scientific.len += 1;
        }
        scientific
    }

    fn digits(&self) -> &str {
        std::str::from_utf8(&self.digits[..self.len]).expect("only digits were printed")
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
    fn what_redis_prints() {
        let cases = [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (-1.5, "-1.5"),
            (3.1, "3.1"),
            (0.1 + 0.2, "0.30000000000000004"),
            (0.0001, "0.0001"),
            (0.000001, "0.000001"),
            (0.0000001, "1e-7"),
            (0.00012345, "1.2345e-4"),
            (0.0001234567, "1.234567e-4"),
            (0.00001234567, "1.234567e-5"),
            (1.5e-10, "1.5e-10"),
            (123456.789, "123456.789"),
            (1e15, "1000000000000000"),
            (1e18, "1000000000000000000"),
            (4611686018427387904.0, "4611686018427387904"),
            (-4611686018427387904.0, "-4611686018427387904"),
            (1e19, "1e+19"),
            (12345678901234567890.0, "12345678901234567000"),
            (1e22, "1e+22"),
            (1.2345678901234567e23, "123456789012345670000000"),
            (1.2345678901234568e24, "1.2345678901234568e+24"),
            (5e18, "5e+18"),
            (-123456789012345.67, "-123456789012345.67"),
            (-1e300, "-1e+300"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::MIN_POSITIVE, "2.2250738585072014e-308"),
            (5e-324, "5e-324"),
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
    }
}
