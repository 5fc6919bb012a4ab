//! The floating point numbers of INCRBYFLOAT and HINCRBYFLOAT.
//!
//! Redis computes these with C's `long double`: on x86-64 a mantissa of 64 bits, where Rust's largest type has 53. The
//! difference shows: 3 + 1.1 is 4.1 there, and 4.09999999999999964 with 53 bits. So reading, adding and printing are
//! done here in integers, each rounded once, to the nearest and halves to even. Numbers too close to zero for an
//! exponent of 15 bits are kept, since what is printed cannot tell.

/// Redis takes no longer text for a number, in bytes.
const MAX_TEXT: usize = 5 * 1024 - 1;

/// Decimals that are printed at most.
const DECIMALS: usize = 17;

/// The exponent of the largest numbers, for a mantissa that is an integer of 64 bits.
const MAX_EXPONENT: i64 = 16383 - 63;

/// Numbers below two to this power are read as zero, which is an error.
const UNDERFLOW: i64 = -16446;

/// Numbers below ten to this power are below two to the power of [`UNDERFLOW`].
const DECIMAL_UNDERFLOW: i64 = -4951;

/// Decimal exponents are cut off here: far outside of what a number can have.
const EXPONENT_BOUND: i64 = 20_000;

/// Redis's `long double`, without NaN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LongDouble {
    /// Zero, of either sign: it is printed without one.
    Zero,
    /// A number.
    Finite {
        /// Whether it is below zero.
        negative: bool,
        /// The top bit is set.
        mantissa: u64,
        /// The number is the mantissa times two to this power.
        exponent: i64,
    },
    /// Too large, of either sign.
    Infinite,
}

use LongDouble::{Finite, Infinite, Zero};

impl LongDouble {
    /// Reads what C's `strtold` reads, with nothing before or behind it; `None` for anything else, for a number out
    /// of range, and for NaN.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        if text.len() > MAX_TEXT {
            return None;
        }
        let (negative, digits) = match text {
            [b'-', digits @ ..] => (true, digits),
            [b'+', digits @ ..] => (false, digits),
            digits => (false, digits),
        };
        if digits.eq_ignore_ascii_case(b"inf") || digits.eq_ignore_ascii_case(b"infinity") {
            return Some(Infinite);
        }
        let number = match digits {
            [b'0', b'x' | b'X', digits @ ..] => Written::parse(digits, 16, b'p')?.hexadecimal(negative),
            digits => Written::parse(digits, 10, b'e')?.decimal(negative),
        };
        match number {
            Infinite => None,
            Finite { exponent, .. } if exponent + 64 <= UNDERFLOW => None,
            number => Some(number),
        }
    }

    /// The sum; `None` if it is not finite.
    pub(super) fn checked_add(self, other: Self) -> Option<Self> {
        let (large, small) = match (self, other) {
            (Infinite, _) | (_, Infinite) => return None,
            (Zero, number) | (number, Zero) => return Some(number),
            (one, two) if one.magnitude() >= two.magnitude() => (one, two),
            (one, two) => (two, one),
        };
        let Finite { negative, mantissa, exponent } = large else { return None };
        let Finite { negative: small_negative, mantissa: small, exponent: small_exponent } = small else {
            return None;
        };
        // Below the mantissa there are 63 more bits; what is shifted out of them leaves its trace in the last.
        let large = u128::from(mantissa) << 63;
        let small = u128::from(small) << 63;
        let small = match u32::try_from(exponent - small_exponent) {
            Ok(shift @ 0..=127) => (small >> shift) | u128::from(small & ((1 << shift) - 1) != 0),
            _ => 1,
        };
        let sum = if negative == small_negative { large + small } else { large - small };
        match rounded(negative, &Big::from(sum), exponent - 63, false) {
            Infinite => None,
            sum => Some(sum),
        }
    }

    /// Orders numbers by their distance from zero.
    fn magnitude(self) -> (i64, u64) {
        match self {
            Zero => (i64::MIN, 0),
            Finite { mantissa, exponent, .. } => (exponent, mantissa),
            Infinite => (i64::MAX, 0),
        }
    }

    /// Prints it as Redis does: in decimal, with up to 17 decimals and no zeros at the end. `None` if it is not finite.
    pub(super) fn print(self) -> Option<String> {
        let (negative, mantissa, exponent) = match self {
            Zero => return Some("0".into()),
            Finite { negative, mantissa, exponent } => (negative, mantissa, exponent),
            Infinite => return None,
        };
        let scaled = u128::from(mantissa) * 10u128.pow(DECIMALS as u32);
        let scaled = match u32::try_from(exponent) {
            Ok(exponent) => {
                let mut scaled = Big::from(scaled);
                scaled.shift_left(exponent as usize);
                scaled
            }
            Err(_) => Big::from(half_to_even(scaled, exponent.unsigned_abs())),
        };
        let digits = format!("{:0>width$}", scaled.into_decimal(), width = DECIMALS + 1);
        let (integer, decimals) = digits.split_at(digits.len() - DECIMALS);
        let decimals = decimals.trim_end_matches('0');
        let point = if decimals.is_empty() { "" } else { "." };
        let sign = if negative && !(integer == "0" && decimals.is_empty()) { "-" } else { "" };
        Some(format!("{sign}{integer}{point}{decimals}"))
    }
}

/// `number` divided by two to the power of `shift`, which is above 0.
fn half_to_even(number: u128, shift: u64) -> u128 {
    if shift >= 128 {
        return 0; // The callers' numbers are below 2^121.
    }
    let (quotient, rest, half) = (number >> shift, number & ((1 << shift) - 1), 1 << (shift - 1));
    let up = rest > half || (rest == half && quotient & 1 == 1);
    quotient + u128::from(up)
}

/// `number` times two to the power of `exponent`, in 64 bits. `inexact` says that the number was a little larger, and
/// may be said only of one with more than 65 bits.
fn rounded(negative: bool, number: &Big, exponent: i64, inexact: bool) -> LongDouble {
    let bits = number.bits();
    if bits == 0 {
        return Zero;
    }
    let dropped = bits.saturating_sub(64);
    let mut mantissa = number.bits_from(dropped);
    let mut exponent = exponent + dropped as i64;
    if bits < 64 {
        mantissa <<= 64 - bits;
        exponent -= 64 - bits as i64;
    } else if dropped > 0 && number.bit(dropped - 1) {
        let above_half = inexact || number.any_below(dropped - 1);
        if above_half || mantissa & 1 == 1 {
            mantissa = mantissa.checked_add(1).unwrap_or_else(|| {
                exponent += 1;
                1 << 63
            });
        }
    }
    if exponent > MAX_EXPONENT { Infinite } else { Finite { negative, mantissa, exponent } }
}

/// A number as it is written: digits without the point, and the power of the base that they are multiplied by.
struct Written {
    digits: Big,
    count: i64,
    /// How many digits stand behind the point.
    decimals: i64,
    exponent: i64,
}

impl Written {
    fn parse(text: &[u8], radix: u32, marker: u8) -> Option<Self> {
        let mut written = Written { digits: Big::default(), count: 0, decimals: 0, exponent: 0 };
        let (mut point, mut any) = (false, false);
        let mut rest = text;
        while let [byte, behind @ ..] = rest {
            if *byte == b'.' && !point {
                point = true;
            } else if let Some(digit) = char::from(*byte).to_digit(radix) {
                any = true;
                written.digits.multiply_add(u64::from(radix), u64::from(digit));
                written.count += 1;
                written.decimals += i64::from(point);
            } else {
                break;
            }
            rest = behind;
        }
        written.exponent = match rest {
            [] => 0,
            [first, exponent @ ..] if first.eq_ignore_ascii_case(&marker) => parse_exponent(exponent)?,
            _ => return None,
        };
        any.then_some(written)
    }

    fn hexadecimal(self, negative: bool) -> LongDouble {
        rounded(negative, &self.digits, self.exponent - 4 * self.decimals, false)
    }

    fn decimal(self, negative: bool) -> LongDouble {
        let mut digits = self.digits;
        if digits.bits() == 0 {
            return Zero;
        }
        let exponent = self.exponent - self.decimals;
        // The number is below ten to the power of this sum.
        if exponent + self.count < DECIMAL_UNDERFLOW {
            return Finite { negative, mantissa: 1 << 63, exponent: 2 * UNDERFLOW };
        }
        if exponent > 2 * MAX_TEXT as i64 {
            return Infinite;
        }
        if exponent >= 0 {
            digits.multiply_power_of_ten(exponent as usize);
            return rounded(negative, &digits, 0, false);
        }
        let power = exponent.unsigned_abs() as usize;
        // So many bits that 66 remain when those of the power of ten are gone: log2(10) is less than 10/3.
        let shift = (power * 10 / 3 + 68).saturating_sub(digits.bits());
        digits.shift_left(shift);
        let inexact = digits.divide_power_of_ten(power);
        rounded(negative, &digits, -(shift as i64), inexact)
    }
}

fn parse_exponent(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let exponent =
        digits.iter().fold(0, |n: i64, digit| (n * 10 + i64::from(digit - b'0')).min(EXPONENT_BOUND));
    Some(if negative { -exponent } else { exponent })
}

/// A natural number of any size: digits of 64 bits, the least first, the last of them not zero.
#[derive(Default)]
struct Big(Vec<u64>);

/// The largest power of ten in 64 bits, and its exponent.
const CHUNK: (u64, usize) = (10_000_000_000_000_000_000, 19);

impl From<u128> for Big {
    fn from(number: u128) -> Self {
        let mut big = Big(vec![number as u64, (number >> 64) as u64]);
        big.trim();
        big
    }
}

impl Big {
    fn trim(&mut self) {
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
    }

    fn bits(&self) -> usize {
        self.0.last().map_or(0, |top| self.0.len() * 64 - top.leading_zeros() as usize)
    }

    fn bit(&self, at: usize) -> bool {
        self.0[at / 64] >> (at % 64) & 1 == 1
    }

    fn any_below(&self, at: usize) -> bool {
        let (word, bit) = (at / 64, at % 64);
        self.0[..word].iter().any(|&word| word != 0) || self.0[word] & ((1 << bit) - 1) != 0
    }

    /// The 64 bits from bit `at` on.
    fn bits_from(&self, at: usize) -> u64 {
        let word = |i: usize| u128::from(self.0.get(i).copied().unwrap_or(0));
        let pair = word(at / 64 + 1) << 64 | word(at / 64);
        (pair >> (at % 64)) as u64
    }

    fn multiply_add(&mut self, factor: u64, summand: u64) {
        let mut carry = u128::from(summand);
        for word in &mut self.0 {
            carry += u128::from(*word) * u128::from(factor);
            *word = carry as u64;
            carry >>= 64;
        }
        if carry != 0 {
            self.0.push(carry as u64);
        }
    }

    /// Divides, and returns the remainder.
    fn divide(&mut self, divisor: u64) -> u64 {
        let mut rest = 0u128;
        for word in self.0.iter_mut().rev() {
            let part = rest << 64 | u128::from(*word);
            *word = (part / u128::from(divisor)) as u64;
            rest = part % u128::from(divisor);
        }
        self.trim();
        rest as u64
    }

    fn multiply_power_of_ten(&mut self, power: usize) {
        chunks(power).for_each(|chunk| self.multiply_add(chunk, 0));
    }

    /// Divides, and says whether something remained.
    fn divide_power_of_ten(&mut self, power: usize) -> bool {
        chunks(power).fold(false, |rest, chunk| (self.divide(chunk) != 0) | rest)
    }

    fn shift_left(&mut self, bits: usize) {
        self.multiply_add(1 << (bits % 64), 0);
        if !self.0.is_empty() {
            self.0.splice(..0, std::iter::repeat_n(0, bits / 64));
        }
    }

    fn into_decimal(mut self) -> String {
        let mut chunks = Vec::new();
        while !self.0.is_empty() {
            chunks.push(self.divide(CHUNK.0));
        }
        let first = chunks.pop().unwrap_or(0).to_string();
        chunks.iter().rev().fold(first, |text, chunk| text + &format!("{chunk:019}"))
    }
}

/// Powers of ten that together make this one.
fn chunks(power: usize) -> impl Iterator<Item = u64> {
    let (whole, rest) = (power / CHUNK.1, power % CHUNK.1);
    std::iter::repeat_n(CHUNK.0, whole).chain([10u64.pow(rest as u32)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(one: &str, two: &str) -> Option<String> {
        LongDouble::parse(one.as_bytes())?.checked_add(LongDouble::parse(two.as_bytes())?)?.print()
    }

    #[test]
    fn sums_are_those_of_64_bits() {
        for (one, two, expected) in [
            ("3.0", "1.1", "4.1"),
            ("0.1", "0.2", "0.3"),
            ("10.50", "0.1", "10.6"),
            ("5.0e3", "2.0e2", "5200"),
            ("1", "-1", "0"),
            ("-1.5", "0.5", "-1"),
            ("17179869184", "17179869184.25", "34359738368.25"),
            ("1e17", "0.0000001", "100000000000000000"),
            ("18446744073709551615", "0", "18446744073709551615"),
            ("18446744073709551615", "1", "18446744073709551616"),
            ("9007199254740993", "-0", "9007199254740993"),
            ("-0.00000000000000000001", "0", "0"),
            ("0x10", "0x.8p1", "17"),
            ("1e-4940", "1", "1"),
        ] {
            assert_eq!(sum(one, two).as_deref(), Some(expected), "{one} + {two}");
            assert_eq!(sum(two, one).as_deref(), Some(expected), "{two} + {one}");
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in [
            "", "-", ".", "abc", "1a", " 1", "1 ", "1e", "1e+", "0x", "nan", "--1", "1e5000", "-1e5000",
            "1e-5000",
        ] {
            assert_eq!(LongDouble::parse(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(LongDouble::parse(&[b'1'; MAX_TEXT + 1]), None);
        assert_eq!(LongDouble::parse(b"-Infinity"), Some(Infinite));
        assert_eq!(sum("inf", "1"), None);
        assert_eq!(sum("1.1e4932", "1.1e4932"), None);
    }

    /// Doubles are among the numbers, and the standard library prints them exactly.
    #[test]
    fn doubles_are_read_and_printed_exactly() {
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..2000 {
            let double = f64::from_bits(random.u64(..) & !(0x7ff << 52) | random.u64(960..1150) << 52);
            let expected = format!("{double:.17}");
            let expected = expected.trim_end_matches('0').trim_end_matches('.');
            let expected = if expected == "-0" { "0" } else { expected };
            let number = LongDouble::parse(format!("{double:.1074}").as_bytes()).unwrap();
            assert_eq!(number.print().as_deref(), Some(expected), "{double:e}");
        }
    }
}
