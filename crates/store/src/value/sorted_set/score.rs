//! Scores: their order, their text in a listpack, and intervals of them.

use super::super::Scalar;
use std::cmp::Ordering;
use std::io::Write;

/// Integers up to here, in both directions, are exact in an `f64` and kept as integers in a listpack.
const EXACT_INT: f64 = (1u64 << 52) as f64;

/// The text of a score, made in place: the longest are 24 bytes.
pub(super) struct ScoreText {
    bytes: [u8; 32],
    len: usize,
}

impl ScoreText {
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// Order of scores, which are never NaN; both zeroes are equal.
pub(super) fn compare(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or(Ordering::Equal)
}

/// The shortest text that gives the same score when parsed. Integers have no decimals, so that a listpack keeps them as
/// integers.
pub(super) fn format(score: f64) -> ScoreText {
    let mut bytes = [0; 32];
    let mut rest = &mut bytes[..];
    let written = if score.fract() == 0.0 && score.abs() <= EXACT_INT {
        write!(rest, "{}", score as i64)
    } else {
        write!(rest, "{score:?}")
    };
    written.expect("no score's text is longer than 24 bytes");
    let len = 32 - rest.len();
    ScoreText { bytes, len }
}

/// The score that an element of a listpack stands for; `None` for what is no number.
pub(super) fn parse(element: Scalar<'_>) -> Option<f64> {
    match element {
        Scalar::Int(int) => Some(int as f64),
        Scalar::Bytes(text) => {
            let score: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
            (!score.is_nan()).then_some(score)
        }
    }
}

/// A bound of [`ScoreRange`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScoreBound {
    /// The score; infinities are bounds like any other.
    pub score: f64,
    /// Whether the score itself is outside.
    pub exclusive: bool,
}

/// An interval of scores (`ZRANGEBYSCORE`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScoreRange {
    /// The lower bound.
    pub min: ScoreBound,
    /// The upper bound.
    pub max: ScoreBound,
}

impl ScoreRange {
    /// Whether the score is below the interval.
    pub(super) fn is_above(&self, score: f64) -> bool {
        score < self.min.score || (self.min.exclusive && score == self.min.score)
    }

    /// Whether the score is above the interval.
    pub(super) fn is_below(&self, score: f64) -> bool {
        score > self.max.score || (self.max.exclusive && score == self.max.score)
    }
}

/// A bound of [`LexRange`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LexBound<'a> {
    /// `-`: before every member.
    Lowest,
    /// `+`: after every member.
    Highest,
    /// `[member`.
    Included(&'a [u8]),
    /// `(member`.
    Excluded(&'a [u8]),
}

/// An interval of members (`ZRANGEBYLEX`); it means something only if all scores are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LexRange<'a> {
    /// The lower bound.
    pub min: LexBound<'a>,
    /// The upper bound.
    pub max: LexBound<'a>,
}

impl LexRange<'_> {
    /// Whether the member is below the interval.
    pub(super) fn is_above(&self, member: Scalar<'_>) -> bool {
        match self.min {
            LexBound::Lowest => false,
            LexBound::Highest => true,
            LexBound::Included(bound) => member.cmp_bytes(bound).is_lt(),
            LexBound::Excluded(bound) => member.cmp_bytes(bound).is_le(),
        }
    }

    /// Whether the member is above the interval.
    pub(super) fn is_below(&self, member: Scalar<'_>) -> bool {
        match self.max {
            LexBound::Lowest => true,
            LexBound::Highest => false,
            LexBound::Included(bound) => member.cmp_bytes(bound).is_gt(),
            LexBound::Excluded(bound) => member.cmp_bytes(bound).is_ge(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn texts() {
        for (score, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (3.0, "3"),
            (-17.0, "-17"),
            (1.5, "1.5"),
            (0.1, "0.1"),
            (4503599627370496.0, "4503599627370496"),
            (1e300, "1e300"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(format(score).as_bytes(), text.as_bytes());
        }
        assert_eq!(parse(Scalar::Bytes(b"1e+20")), Some(1e20));
        assert_eq!(parse(Scalar::Bytes(b"2.1000000000000001")), Some(2.1));
        for text in ["nan", "-nan", "", "x", " 1"] {
            assert_eq!(parse(Scalar::Bytes(text.as_bytes())), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_score_comes_back_from_its_text(score in prop::num::f64::ANY) {
            if !score.is_nan() {
                prop_assert_eq!(parse(Scalar::Bytes(format(score).as_bytes())), Some(score));
            }
        }
    }
}
