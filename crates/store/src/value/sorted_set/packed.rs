//! Small sorted sets: a listpack of alternating members and scores, in order.

use super::super::scalar::Needle;
use super::super::{Listpack, ListpackIter, Scalar};
use super::score;
use std::cmp::Ordering;

/// A listpack with members at even indices and their scores behind them, ordered by score, then by member.
#[derive(Clone, Debug)]
pub(super) struct Packed(Listpack);

impl Packed {
    pub(super) fn new() -> Self {
        Self(Listpack::new())
    }

    /// The same elements as a sorted set, if every second one is a score and all is in order.
    pub(super) fn from_ordered(pack: Listpack) -> Result<Self, Listpack> {
        let mut last: Option<(Scalar<'_>, f64)> = None;
        let mut elements = pack.iter();
        while let Some(member) = elements.next() {
            let score = elements.next().and_then(score::parse);
            let in_order = |score| last.is_none_or(|last| compare(last, score, &member.to_vec()).is_lt());
            match score {
                Some(score) if in_order(score) => last = Some((member, score)),
                _ => return Err(pack),
            }
        }
        Ok(Self(pack))
    }

    pub(super) fn as_listpack(&self) -> &Listpack {
        &self.0
    }

    pub(super) fn into_listpack(self) -> Listpack {
        self.0
    }

    pub(super) fn len(&self) -> usize {
        self.0.len() / 2
    }

    pub(super) fn score(&self, member: &[u8]) -> Option<f64> {
        self.0.find(Needle::new(member), 2).map(|at| self.score_at(at))
    }

    /// The rank of a member and its score.
    pub(super) fn rank(&self, member: &[u8]) -> Option<(usize, f64)> {
        let needle = Needle::new(member);
        let found = self.iter().enumerate().find(|(_, (member, _))| needle.matches(*member));
        found.map(|(rank, (_, score))| (rank, score))
    }

    /// Adds a member that is not there.
    pub(super) fn insert(&mut self, member: &[u8], score: f64) {
        let mut at = self.0.first();
        while at < self.0.end() && compare((self.0.get(at), self.score_at(at)), score, member).is_lt() {
            at = self.after(at);
        }
        let after = self.0.insert_at(at, member);
        self.0.insert_at(after, score::format(score).as_bytes());
    }

    pub(super) fn remove(&mut self, member: &[u8]) -> Option<f64> {
        let at = self.0.find(Needle::new(member), 2)?;
        let score = self.score_at(at);
        self.0.remove_span(at, self.after(at), 2);
        Some(score)
    }

    /// Removes the members at ranks `from..to`.
    pub(super) fn remove_range(&mut self, from: usize, to: usize) {
        let at = |rank| self.0.seek(2 * rank).expect("ranks are checked against the length");
        self.0.remove_span(at(from), at(to), 2 * (to - from));
    }

    /// The number of leading members for which `before` is true.
    pub(super) fn partition_point(&self, mut before: impl FnMut(Scalar<'_>, f64) -> bool) -> usize {
        self.iter().take_while(|(member, score)| before(*member, *score)).count()
    }

    /// The member at a rank below the length.
    pub(super) fn get(&self, rank: usize) -> (Scalar<'_>, f64) {
        let at = self.0.seek(2 * rank).expect("the rank is below the length");
        (self.0.get(at), self.score_at(at))
    }

    pub(super) fn iter(&self) -> Iter<'_> {
        Iter(self.0.iter())
    }

    /// The members from a rank on, which is not above the length.
    pub(super) fn iter_from(&self, rank: usize) -> Iter<'_> {
        Iter(self.0.iter_from(self.0.seek(2 * rank).unwrap_or(self.0.end())))
    }

    /// The members before a rank, which is not above the length.
    pub(super) fn iter_until(&self, rank: usize) -> Iter<'_> {
        Iter(self.0.iter_until(self.0.seek(2 * rank).unwrap_or(self.0.end())))
    }

    /// The position after the pair at a position.
    fn after(&self, at: usize) -> usize {
        self.0.next(self.0.next(at))
    }

    fn score_at(&self, at: usize) -> f64 {
        parse_checked(self.0.get(self.0.next(at)))
    }
}

fn parse_checked(element: Scalar<'_>) -> f64 {
    score::parse(element).expect("what is behind a member was written, or checked, as a score")
}

/// Order of a member against another score and member.
fn compare((member, score): (Scalar<'_>, f64), other_score: f64, other_member: &[u8]) -> Ordering {
    score::compare(score, other_score).then_with(|| member.cmp_bytes(other_member))
}

/// Iterator over members and scores, from either end.
#[derive(Clone, Debug)]
pub(super) struct Iter<'a>(ListpackIter<'a>);

impl<'a> Iterator for Iter<'a> {
    type Item = (Scalar<'a>, f64);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        Some((self.0.next()?, parse_checked(self.0.next()?)))
    }
}

impl DoubleEndedIterator for Iter<'_> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        let score = parse_checked(self.0.next_back()?);
        Some((self.0.next_back()?, score))
    }
}
