#![allow(unsafe_code)]
//! Large sorted sets: a hash table that finds a member's score and a counted tree that knows its rank, over the same
//! members.
//!
//! Member and score are one allocation that both structures point to ([`SharedMember`]). The tree's entries have a copy
//! of the score beside the pointer, so that a search touches members only where scores are equal. Invariant: both hold
//! the same members, and the three scores of each are the same.
//!
//! The only unsafe statement is that a `Ranked` may go to another thread: its members' counted pointers are not atomic,
//! but all of them are within it, and go with it.

use super::super::bptree::{self, CountedTree};
use super::super::dict::{Dict, Keyed};
use super::super::thin::SharedMember;
use super::super::{Scalar, sample};
use super::score;
use std::ops::Range;

#[derive(Debug)]
pub(super) struct Ranked {
    table: Dict<SharedMember>,
    tree: CountedTree<Entry>,
}

// SAFETY: no SharedMember or clone of one ever leaves its Ranked (nothing here returns or stores one outside, and Clone
// makes new members), so all the pointers to a member move between threads together.
unsafe impl Send for Ranked {}
// SAFETY: through a shared reference, members are neither cloned nor dropped, nor are scores set: there are only reads.
unsafe impl Sync for Ranked {}

#[derive(Clone, Debug)]
struct Entry {
    score: f64,
    member: SharedMember,
}

impl Entry {
    #[inline]
    fn is_before(&self, score: f64, member: &[u8]) -> bool {
        score::compare(self.score, score).then_with(|| self.member.as_slice().cmp(member)).is_lt()
    }

    fn as_pair(&self) -> (Scalar<'_>, f64) {
        (Scalar::Bytes(self.member.as_slice()), self.score)
    }
}

impl Keyed for SharedMember {
    #[inline]
    fn key(&self) -> &[u8] {
        self.as_slice()
    }
}

impl Clone for Ranked {
    fn clone(&self) -> Self {
        let mut clone = Self::new();
        for entry in self.tree.range(0..self.len()) {
            clone.push(entry.member.as_slice(), entry.score);
        }
        clone
    }
}

impl Ranked {
    pub(super) fn new() -> Self {
        Self { table: Dict::new(), tree: CountedTree::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.tree.len()
    }

    pub(super) fn heap_size(&self, samples: usize) -> usize {
        let members = sample::estimate(self.table.iter(), self.len(), samples, SharedMember::heap_size);
        self.table.heap_size() + self.tree.heap_size(samples) + members
    }

    pub(super) fn score(&self, member: &[u8]) -> Option<f64> {
        self.table.get(member).map(SharedMember::score)
    }

    /// The rank of a member and its score.
    pub(super) fn rank(&self, member: &[u8]) -> Option<(usize, f64)> {
        let score = self.score(member)?;
        Some((self.rank_of(member, score), score))
    }

    /// The rank that a member with this score has or would have.
    fn rank_of(&self, member: &[u8], score: f64) -> usize {
        self.tree.partition_point(|entry| entry.is_before(score, member))
    }

    /// Adds a member that is not there.
    pub(super) fn insert(&mut self, member: &[u8], score: f64) {
        self.insert_at(self.rank_of(member, score), member, score);
    }

    /// Adds a member that is not there and comes behind all others.
    pub(super) fn push(&mut self, member: &[u8], score: f64) {
        self.insert_at(self.len(), member, score);
    }

    fn insert_at(&mut self, rank: usize, member: &[u8], score: f64) {
        let shared = SharedMember::new(member, score);
        let in_table = shared.clone();
        if self.table.insert_with(member, || in_table) {
            self.tree.insert(rank, Entry { score, member: shared });
        }
    }

    /// Gives a member that is there, with the score `old`, another score.
    pub(super) fn update(&mut self, member: &[u8], old: f64, new: f64) {
        let entry = self.tree.remove(self.rank_of(member, old));
        entry.member.set_score(new);
        self.tree.insert(self.rank_of(member, new), Entry { score: new, ..entry });
    }

    pub(super) fn remove(&mut self, member: &[u8]) -> Option<f64> {
        let score = self.table.remove(member)?.score();
        self.tree.remove(self.rank_of(member, score));
        Some(score)
    }

    /// Removes the members at ranks `from..to`.
    pub(super) fn remove_range(&mut self, from: usize, to: usize) {
        // From the end, since what is behind an entry moves.
        for rank in (from..to).rev() {
            let entry = self.tree.remove(rank);
            self.table.remove(entry.member.as_slice());
        }
    }

    /// The number of leading members for which `before` is true.
    pub(super) fn partition_point(&self, mut before: impl FnMut(Scalar<'_>, f64) -> bool) -> usize {
        self.tree.partition_point(|entry| {
            let (member, score) = entry.as_pair();
            before(member, score)
        })
    }

    /// The member at a rank below the length.
    pub(super) fn get(&self, rank: usize) -> (Scalar<'_>, f64) {
        self.tree.get(rank).expect("the rank is below the length").as_pair()
    }

    pub(super) fn range(&self, ranks: Range<usize>) -> Iter<'_> {
        Iter(self.tree.range(ranks))
    }

    pub(super) fn range_rev(&self, ranks: Range<usize>) -> Iter<'_> {
        Iter(self.tree.range_rev(ranks))
    }

    pub(super) fn scan(&self, cursor: u64, count: usize, visit: &mut dyn FnMut(Scalar<'_>, f64)) -> u64 {
        self.table.scan(cursor, count, &mut |member| visit(Scalar::Bytes(member.as_slice()), member.score()))
    }
}

/// Iterator over members and scores in one direction.
#[derive(Clone)]
pub(super) struct Iter<'a>(bptree::Iter<'a, Entry>);

// SAFETY: it is a shared reference to a Ranked, which is Sync, and gives out no member's pointer.
unsafe impl Send for Iter<'_> {}
// SAFETY: as above.
unsafe impl Sync for Iter<'_> {}

impl<'a> Iterator for Iter<'a> {
    type Item = (Scalar<'a>, f64);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(Entry::as_pair)
    }
}
