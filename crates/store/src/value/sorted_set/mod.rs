//! Sorted sets: a listpack in order, or a hash table with a counted tree.
//!
//! Members are ordered by score, then by their bytes; a *rank* is a place in that order, 0 for the lowest. Intervals of
//! scores or of members are turned into ranges of ranks first ([`SortedSet::score_range`], [`SortedSet::lex_range`]), and
//! everything else works on those: counting is the length of the range, `LIMIT` a part of it, `REV` its reversal.
//!
//! The large encoding is named `"skiplist"` for clients that ask, which is what Redis has in its place.

mod packed;
mod ranked;
mod score;

pub use score::{LexBound, LexRange, ScoreBound, ScoreRange};

use super::{Below, EncodingLimits, End, Listpack, Scalar, ScalarBuf, sample};
use packed::Packed;
use ranked::Ranked;
use std::ops::Range;

/// A set of distinct members with scores, in the order of the scores.
///
/// ```
/// use redkeep_store::value::{AddOptions, AddOutcome, EncodingLimits, SortedSet};
/// let (mut ages, limits) = (SortedSet::new(), EncodingLimits::default());
/// ages.add(b"otto", 42.0, AddOptions::default(), &limits);
/// ages.add(b"anna", 24.0, AddOptions::default(), &limits);
/// assert_eq!(ages.rank(b"otto"), Some(1));
/// let birthday = AddOptions { increment: true, ..AddOptions::default() };
/// assert_eq!(ages.add(b"anna", 1.0, birthday, &limits), AddOutcome::Updated(25.0));
/// ```
#[derive(Clone, Debug)]
pub struct SortedSet {
    repr: Repr,
}

#[derive(Clone, Debug)]
enum Repr {
    Packed(Packed),
    Ranked(Box<Ranked>),
}

/// The options of `ZADD`. Which may stand together is the command's to check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AddOptions {
    /// `NX`: only add.
    pub only_add: bool,
    /// `XX`: only update.
    pub only_update: bool,
    /// `GT`: update only to a greater score.
    pub greater: bool,
    /// `LT`: update only to a smaller score.
    pub less: bool,
    /// `INCR`, `ZINCRBY`: the score given is added to the present one.
    pub increment: bool,
}

/// What [`SortedSet::add`] did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum AddOutcome {
    /// The member is new, with this score.
    Added(f64),
    /// The member was there and has this new score.
    Updated(f64),
    /// The member was there with this score already.
    Unchanged(f64),
    /// An option stood against it; nothing was done.
    Skipped,
    /// The score would not be a number; nothing was done.
    NotANumber,
}

impl Default for SortedSet {
    fn default() -> Self {
        Self::new()
    }
}

impl SortedSet {
    /// An empty sorted set.
    pub fn new() -> Self {
        Self { repr: Repr::Packed(Packed::new()) }
    }

    /// An empty sorted set that is about to take `members` members, the longest of `longest` bytes.
    pub fn with_hint(members: usize, longest: usize, limits: &EncodingLimits) -> Self {
        if members <= limits.zset_max_listpack_entries && longest <= limits.zset_max_listpack_value {
            Self::new()
        } else {
            Self { repr: Repr::Ranked(Box::new(Ranked::new())) }
        }
    }

    /// Number of members.
    pub fn len(&self) -> usize {
        match &self.repr {
            Repr::Packed(packed) => packed.len(),
            Repr::Ranked(ranked) => ranked.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// `"listpack"` or `"skiplist"`.
    pub fn encoding(&self) -> &'static str {
        match &self.repr {
            Repr::Packed(_) => "listpack",
            Repr::Ranked(_) => "skiplist",
        }
    }

    /// Bytes of heap memory, estimated from `samples` members (0: all).
    pub fn heap_size(&self, samples: usize) -> usize {
        match &self.repr {
            Repr::Packed(packed) => packed.as_listpack().heap_size(),
            Repr::Ranked(ranked) => size_of_val(&**ranked) + ranked.heap_size(samples),
        }
    }

    /// How many allocations there are to free.
    pub fn free_effort(&self) -> usize {
        match &self.repr {
            Repr::Packed(_) => 1,
            Repr::Ranked(ranked) => ranked.len(),
        }
    }

    /// The score of a member.
    pub fn score(&self, member: &[u8]) -> Option<f64> {
        match &self.repr {
            Repr::Packed(packed) => packed.score(member),
            Repr::Ranked(ranked) => ranked.score(member),
        }
    }

    /// Whether a member is there.
    pub fn contains(&self, member: &[u8]) -> bool {
        self.score(member).is_some()
    }

    /// Adds or updates a member under the options of `ZADD`. With `increment`, the outcome's score is the sum.
    pub fn add(
        &mut self,
        member: &[u8],
        score: f64,
        options: AddOptions,
        limits: &EncodingLimits,
    ) -> AddOutcome {
        if score.is_nan() {
            return AddOutcome::NotANumber;
        }
        let Some(old) = self.score(member) else {
            if options.only_update {
                return AddOutcome::Skipped;
            }
            self.insert_new(member, score, limits);
            return AddOutcome::Added(score);
        };
        if options.only_add {
            return AddOutcome::Skipped;
        }
        let new = if options.increment { old + score } else { score };
        if new.is_nan() {
            return AddOutcome::NotANumber;
        }
        if (options.greater && new <= old) || (options.less && new >= old) {
            return AddOutcome::Skipped;
        }
        if new == old {
            return AddOutcome::Unchanged(new);
        }
        match &mut self.repr {
            Repr::Packed(packed) => {
                packed.remove(member);
                packed.insert(member, new);
            }
            Repr::Ranked(ranked) => ranked.update(member, old, new),
        }
        AddOutcome::Updated(new)
    }

    /// Removes a member and returns its score.
    pub fn remove(&mut self, member: &[u8]) -> Option<f64> {
        match &mut self.repr {
            Repr::Packed(packed) => packed.remove(member),
            Repr::Ranked(ranked) => ranked.remove(member),
        }
    }

    /// The rank of a member, 0 for the lowest; `len() - 1 - rank` is the reverse rank.
    pub fn rank(&self, member: &[u8]) -> Option<usize> {
        self.rank_and_score(member).map(|(rank, _)| rank)
    }

    /// The rank of a member, and its score.
    pub fn rank_and_score(&self, member: &[u8]) -> Option<(usize, f64)> {
        match &self.repr {
            Repr::Packed(packed) => packed.rank(member),
            Repr::Ranked(ranked) => ranked.rank(member),
        }
    }

    /// The member at a rank, with its score.
    pub fn get(&self, rank: usize) -> Option<(Scalar<'_>, f64)> {
        (rank < self.len()).then(|| match &self.repr {
            Repr::Packed(packed) => packed.get(rank),
            Repr::Ranked(ranked) => ranked.get(rank),
        })
    }

    /// The ranks of the members with scores in `range`; may be empty.
    ///
    /// ```
    /// # use redkeep_store::value::*;
    /// # let (mut set, limits) = (SortedSet::new(), EncodingLimits::default());
    /// for (member, score) in [(b"a", 1.0), (b"b", 2.0), (b"c", 3.0)] {
    ///     set.add(member, score, AddOptions::default(), &limits);
    /// }
    /// let min = ScoreBound { score: 1.0, exclusive: true };
    /// let max = ScoreBound { score: f64::INFINITY, exclusive: false };
    /// assert_eq!(set.score_range(&ScoreRange { min, max }), 1..3);
    /// ```
    pub fn score_range(&self, range: &ScoreRange) -> Range<usize> {
        let start = self.partition_point(|_, score| range.is_above(score));
        let end = self.partition_point(|_, score| !range.is_below(score));
        start..end.max(start)
    }

    /// The ranks of the members in `range`; may be empty.
    pub fn lex_range(&self, range: &LexRange<'_>) -> Range<usize> {
        let start = self.partition_point(|member, _| range.is_above(member));
        let end = self.partition_point(|member, _| !range.is_below(member));
        start..end.max(start)
    }

    /// All members with their scores, lowest rank first.
    pub fn iter(&self) -> SortedSetIter<'_> {
        self.range(0..self.len())
    }

    /// The members with these ranks, lowest first. Ranks past the end are cut off.
    pub fn range(&self, ranks: Range<usize>) -> SortedSetIter<'_> {
        let ranks = self.clip(ranks);
        let remaining = ranks.len();
        let repr = match &self.repr {
            Repr::Packed(packed) => IterRepr::Packed(packed.iter_from(ranks.start)),
            Repr::Ranked(ranked) => IterRepr::Ranked(ranked.range(ranks)),
        };
        SortedSetIter { repr, remaining }
    }

    /// The members with these ranks, highest first. Ranks past the end are cut off.
    pub fn range_rev(&self, ranks: Range<usize>) -> SortedSetIter<'_> {
        let ranks = self.clip(ranks);
        let remaining = ranks.len();
        let repr = match &self.repr {
            Repr::Packed(packed) => IterRepr::PackedRev(packed.iter_until(ranks.end).rev()),
            Repr::Ranked(ranked) => IterRepr::Ranked(ranked.range_rev(ranks)),
        };
        SortedSetIter { repr, remaining }
    }

    /// Removes the members with these ranks; returns how many. Ranks past the end are cut off.
    pub fn remove_range(&mut self, ranks: Range<usize>) -> usize {
        let ranks = self.clip(ranks);
        match &mut self.repr {
            Repr::Packed(packed) => packed.remove_range(ranks.start, ranks.end),
            Repr::Ranked(ranked) => ranked.remove_range(ranks.start, ranks.end),
        }
        ranks.len()
    }

    /// Takes the lowest (`Front`) or highest (`Back`) member and gives it to `read`; `None` if the set is empty.
    pub fn pop<R>(&mut self, end: End, read: impl FnOnce(Scalar<'_>, f64) -> R) -> Option<R> {
        let rank = match end {
            End::Front => 0,
            End::Back => self.len().checked_sub(1)?,
        };
        let (member, score) = self.get(rank)?;
        let result = read(member, score);
        self.remove_range(rank..rank + 1);
        Some(result)
    }

    /// One step of `ZSCAN`: calls `visit` for about `count` members and returns the next cursor, 0 at the end. A
    /// listpack is visited whole.
    pub fn scan(&self, cursor: u64, count: usize, visit: &mut dyn FnMut(Scalar<'_>, f64)) -> u64 {
        match &self.repr {
            Repr::Packed(packed) => {
                packed.iter().for_each(|(member, score)| visit(member, score));
                0
            }
            Repr::Ranked(ranked) => ranked.scan(cursor, count, visit),
        }
    }

    /// A random member.
    pub fn random(&self, below: Below<'_>) -> Option<(Scalar<'_>, f64)> {
        match self.len() {
            0 => None,
            len => self.get(below(len)),
        }
    }

    /// `count` different random members (all, if there are no more), in random order.
    pub fn random_distinct(&self, count: usize, below: Below<'_>) -> Vec<(Scalar<'_>, f64)> {
        let len = self.len();
        if sample::is_sparse(count, len) {
            let ranks = sample::draw_distinct(count, || Some(below(len)), |rank| rank);
            return ranks.into_iter().filter_map(|rank| self.get(rank)).collect();
        }
        sample::pick(self.iter().collect(), count, below)
    }

    /// The listpack of alternating members and scores, if this is the encoding; for RDB.
    pub fn as_listpack(&self) -> Option<&Listpack> {
        match &self.repr {
            Repr::Packed(packed) => Some(packed.as_listpack()),
            Repr::Ranked(_) => None,
        }
    }

    /// The sorted set of these alternating members and scores, put in order and converted if need be; `None` if a score
    /// is missing or no number, or a member is there twice.
    pub fn from_listpack(pack: Listpack, limits: &EncodingLimits) -> Option<Self> {
        if !pack.len().is_multiple_of(2) || sample::has_duplicates(pack.iter().step_by(2)) {
            return None;
        }
        let longest = pack.iter().step_by(2).map(|member| member.len()).max().unwrap_or(0);
        let fits = Self::with_hint(pack.len() / 2, longest, limits);
        let unordered = match Packed::from_ordered(pack) {
            Ok(packed) if matches!(fits.repr, Repr::Packed(_)) => {
                return Some(Self { repr: Repr::Packed(packed) });
            }
            Ok(packed) => packed.into_listpack(),
            Err(pack) => pack,
        };
        let (mut set, mut elements) = (fits, unordered.iter());
        while let Some(member) = elements.next() {
            let score = score::parse(elements.next()?)?;
            set.insert_new(member.as_bytes(&mut ScalarBuf::new()), score, limits);
        }
        Some(set)
    }

    /// Adds a member that is not there.
    fn insert_new(&mut self, member: &[u8], score: f64, limits: &EncodingLimits) {
        if let Repr::Packed(packed) = &self.repr {
            let fits = packed.len() < limits.zset_max_listpack_entries
                && member.len() <= limits.zset_max_listpack_value
                && packed.as_listpack().has_room(member.len());
            if !fits {
                self.convert();
            }
        }
        match &mut self.repr {
            Repr::Packed(packed) => packed.insert(member, score),
            Repr::Ranked(ranked) => ranked.insert(member, score),
        }
    }

    fn convert(&mut self) {
        let mut ranked = Box::new(Ranked::new());
        for (member, score) in self.iter() {
            ranked.push(member.as_bytes(&mut ScalarBuf::new()), score);
        }
        self.repr = Repr::Ranked(ranked);
    }

    fn partition_point(&self, before: impl FnMut(Scalar<'_>, f64) -> bool) -> usize {
        match &self.repr {
            Repr::Packed(packed) => packed.partition_point(before),
            Repr::Ranked(ranked) => ranked.partition_point(before),
        }
    }

    fn clip(&self, ranks: Range<usize>) -> Range<usize> {
        let end = ranks.end.min(self.len());
        ranks.start.min(end)..end
    }
}

impl<'a> IntoIterator for &'a SortedSet {
    type Item = (Scalar<'a>, f64);
    type IntoIter = SortedSetIter<'a>;

    fn into_iter(self) -> SortedSetIter<'a> {
        self.iter()
    }
}

/// Iterator over a range of a [`SortedSet`], in either direction.
#[derive(Clone)]
pub struct SortedSetIter<'a> {
    repr: IterRepr<'a>,
    remaining: usize,
}

#[derive(Clone)]
enum IterRepr<'a> {
    Packed(packed::Iter<'a>),
    PackedRev(std::iter::Rev<packed::Iter<'a>>),
    Ranked(ranked::Iter<'a>),
}

impl<'a> Iterator for SortedSetIter<'a> {
    type Item = (Scalar<'a>, f64);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.remaining = self.remaining.checked_sub(1)?;
        match &mut self.repr {
            IterRepr::Packed(members) => members.next(),
            IterRepr::PackedRev(members) => members.next(),
            IterRepr::Ranked(members) => members.next(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.remaining, Some(self.remaining))
    }
}

impl ExactSizeIterator for SortedSetIter<'_> {}

impl std::fmt::Debug for SortedSetIter<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.clone()).finish()
    }
}

#[cfg(test)]
mod tests;
