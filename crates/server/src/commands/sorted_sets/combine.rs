//! Unions, intersections and differences of sorted sets, and of sets, whose members all have the score 1.

use std::ops::Range;

use redkeep_store::value::{AddOptions, EncodingLimits, Scalar, ScalarBuf};
use redkeep_store::{Access, Key, Set, SortedSet, ValueRef};
use smallvec::SmallVec;

use super::super::parse::{bounded, float, integer};
use super::super::values::{open_pairs, store};
use super::super::{CommandResult, Keyed, Outcome};
use super::Args;
use super::range::write_member;
use crate::error::CommandError;
use crate::notify;
use crate::observers::Observers;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Union,
    Intersection,
    Difference,
}

/// How the scores of a member that several sets have become one.
#[derive(Clone, Copy)]
enum Aggregation {
    Sum,
    Min,
    Max,
}

impl Aggregation {
    fn of(self, left: f64, right: f64) -> f64 {
        match self {
            // Opposite infinities have no sum; it is said to be 0.
            Aggregation::Sum => number_or_zero(left + right),
            Aggregation::Min => left.min(right),
            Aggregation::Max => left.max(right),
        }
    }
}

fn number_or_zero(score: f64) -> f64 {
    if score.is_nan() { 0.0 } else { score }
}

/// What follows the keys.
struct Options {
    weights: Option<SmallVec<[f64; 8]>>,
    aggregation: Aggregation,
    with_scores: bool,
    /// Most members that are counted; 0 for all.
    limit: usize,
}

/// Which options a command takes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Takes {
    /// Those of ZUNION and ZINTER.
    Scores,
    /// Those of ZUNIONSTORE and ZINTERSTORE.
    Weights,
    /// Those of ZDIFF.
    WithScores,
    /// Those of ZINTERCARD.
    Limit,
    /// ZDIFFSTORE has none.
    Nothing,
}

impl Options {
    fn parse(args: Args<'_>, keys: Range<usize>, takes: Takes) -> Result<Self, CommandError> {
        let mut options =
            Options { weights: None, aggregation: Aggregation::Sum, with_scores: false, limit: 0 };
        let weighs = matches!(takes, Takes::Scores | Takes::Weights);
        let mut at = keys.end;
        while at < args.len() {
            let behind = args.len() - at - 1;
            if weighs && behind >= keys.len() && args.is(at, "weights") {
                options.weights = Some(weights(args, at + 1..at + 1 + keys.len())?);
                at += keys.len();
            } else if weighs && behind >= 1 && args.is(at, "aggregate") {
                at += 1;
                options.aggregation = aggregation(args.get(at))?;
            } else if matches!(takes, Takes::Scores | Takes::WithScores) && args.is(at, "withscores") {
                options.with_scores = true;
            } else if takes == Takes::Limit && behind >= 1 && args.is(at, "limit") {
                at += 1;
                options.limit = bounded(args.get(at), 0, i64::MAX, CommandError::LIMIT)? as usize;
            } else {
                return Err(CommandError::SYNTAX);
            }
            at += 1;
        }
        Ok(options)
    }
}

fn weights(args: Args<'_>, positions: Range<usize>) -> Result<SmallVec<[f64; 8]>, CommandError> {
    let weight = |i| float(args.get(i)).ok_or_else(|| CommandError::new("ERR weight value is not a float"));
    positions.map(weight).collect()
}

fn aggregation(word: &[u8]) -> Result<Aggregation, CommandError> {
    match word {
        _ if word.eq_ignore_ascii_case(b"sum") => Ok(Aggregation::Sum),
        _ if word.eq_ignore_ascii_case(b"min") => Ok(Aggregation::Min),
        _ if word.eq_ignore_ascii_case(b"max") => Ok(Aggregation::Max),
        _ => Err(CommandError::SYNTAX),
    }
}

/// Members of a set of either kind.
#[derive(Clone, Copy)]
enum Members<'a> {
    Plain(&'a Set),
    Scored(&'a SortedSet),
}

impl<'a> Members<'a> {
    fn len(self) -> usize {
        match self {
            Members::Plain(set) => set.len(),
            Members::Scored(set) => set.len(),
        }
    }

    fn score(self, member: &[u8]) -> Option<f64> {
        match self {
            Members::Plain(set) => set.contains(member).then_some(1.0),
            Members::Scored(set) => set.score(member),
        }
    }

    fn iter(self) -> impl Iterator<Item = (Scalar<'a>, f64)> {
        let (plain, scored) = match self {
            Members::Plain(set) => (Some(set), None),
            Members::Scored(set) => (None, Some(set)),
        };
        let plain = plain.into_iter().flatten().map(|member| (member, 1.0));
        plain.chain(scored.into_iter().flatten())
    }
}

/// One of the sets that are combined.
#[derive(Clone, Copy)]
struct Source<'a> {
    /// `None` if the key does not exist.
    members: Option<Members<'a>>,
    weight: f64,
}

impl Source<'_> {
    fn len(&self) -> usize {
        self.members.map_or(0, Members::len)
    }

    fn score(&self, member: &[u8]) -> Option<f64> {
        Some(number_or_zero(self.members?.score(member)? * self.weight))
    }
}

type Sources<'a> = SmallVec<[Source<'a>; 8]>;

/// ZUNION, ZINTER, ZDIFF
pub(super) fn combine(cx: &mut Keyed<'_, '_>, args: Args<'_>, operation: Operation) -> CommandResult {
    let (name, takes) = match operation {
        Operation::Union => ("zunion", Takes::Scores),
        Operation::Intersection => ("zinter", Takes::Scores),
        Operation::Difference => ("zdiff", Takes::WithScores),
    };
    let (keys, positions) = look_up(cx, args, 1, name)?;
    let mut sources = sources(cx.access, &keys)?;
    let options = Options::parse(args, positions, takes)?;
    weigh(&mut sources, &options);
    let result = result(operation, &sources, options.aggregation, &cx.settings.encoding);
    open_pairs(&mut cx.reply, result.len(), options.with_scores);
    result.iter().for_each(|pair| write_member(&mut cx.reply, pair, options.with_scores));
    Ok(Outcome::Unchanged)
}

/// ZUNIONSTORE, ZINTERSTORE, ZDIFFSTORE
pub(super) fn combine_and_store(
    cx: &mut Keyed<'_, '_>,
    args: Args<'_>,
    operation: Operation,
) -> CommandResult {
    let (name, takes) = match operation {
        Operation::Union => ("zunionstore", Takes::Weights),
        Operation::Intersection => ("zinterstore", Takes::Weights),
        Operation::Difference => ("zdiffstore", Takes::Nothing),
    };
    let (keys, positions) = look_up(cx, args, 2, name)?;
    let result = {
        let mut sources = sources(cx.access, &keys)?;
        let options = Options::parse(args, positions, takes)?;
        weigh(&mut sources, &options);
        result(operation, &sources, options.aggregation, &cx.settings.encoding)
    };
    let len = result.len();
    let destination = cx.key(args, 1);
    store(cx, destination, result, len, (notify::ZSET, name))
}

/// ZINTERCARD
pub(super) fn cardinality(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    let (keys, positions) = look_up(cx, args, 1, "zintercard")?;
    let sources = sources(cx.access, &keys)?;
    let options = Options::parse(args, positions, Takes::Limit)?;
    let mut count = 0;
    intersect(&sources, Aggregation::Sum, &mut |_, _| {
        count += 1;
        count != options.limit
    });
    cx.reply.integer(count as i64);
    Ok(Outcome::Unchanged)
}

type Keys<'a> = SmallVec<[Key<'a>; 8]>;

/// Looks up the keys whose number is argument `count`, up to the first that holds another type. Gives their positions as well.
fn look_up<'a>(
    cx: &mut Keyed<'_, '_>,
    args: Args<'a>,
    count: usize,
    name: &str,
) -> Result<(Keys<'a>, Range<usize>), CommandError> {
    let numkeys = integer(args.get(count))?;
    if numkeys < 1 {
        return Err(CommandError::new(format!("ERR at least 1 input key is needed for '{name}' command")));
    }
    let first = count + 1;
    let numkeys = usize::try_from(numkeys).ok().filter(|n| *n <= args.len() - first);
    let positions = first..first + numkeys.ok_or(CommandError::SYNTAX)?;
    let mut keys = Keys::new();
    for i in positions.clone() {
        let key = cx.key(args, i);
        cx.look(key);
        members(cx.access, key)?;
        keys.push(key);
    }
    Ok((keys, positions))
}

/// The set of either kind at a key that was looked up.
fn members<'a>(access: &'a Access<'_, Observers>, key: Key<'_>) -> Result<Option<Members<'a>>, CommandError> {
    match access.peek(key).map(|entry| entry.value()) {
        None => Ok(None),
        Some(ValueRef::Set(set)) => Ok(Some(Members::Plain(set))),
        Some(ValueRef::SortedSet(set)) => Ok(Some(Members::Scored(set))),
        Some(ValueRef::String(_) | ValueRef::List(_) | ValueRef::Hash(_)) => Err(CommandError::WRONG_TYPE),
    }
}

fn sources<'a>(access: &'a Access<'_, Observers>, keys: &[Key<'_>]) -> Result<Sources<'a>, CommandError> {
    keys.iter().map(|key| Ok(Source { members: members(access, *key)?, weight: 1.0 })).collect()
}

fn weigh(sources: &mut Sources<'_>, options: &Options) {
    let weights = options.weights.iter().flatten();
    sources.iter_mut().zip(weights).for_each(|(source, weight)| source.weight = *weight);
}

fn result(
    operation: Operation,
    sources: &Sources<'_>,
    aggregation: Aggregation,
    limits: &EncodingLimits,
) -> SortedSet {
    match operation {
        Operation::Union => union(sources, aggregation, limits),
        Operation::Difference => difference(sources, limits),
        Operation::Intersection => {
            let mut result = SortedSet::new();
            intersect(sources, aggregation, &mut |member, score| {
                result.add(member, score, AddOptions::default(), limits);
                true
            });
            result
        }
    }
}

/// The smallest set first: this is the order in which Redis adds scores up.
fn by_size<'a>(sources: &Sources<'a>) -> Sources<'a> {
    let mut sources = sources.clone();
    sources.sort_by_key(Source::len);
    sources
}

fn union(sources: &Sources<'_>, aggregation: Aggregation, limits: &EncodingLimits) -> SortedSet {
    let mut result = SortedSet::new();
    for source in by_size(sources) {
        for (member, score) in source.members.into_iter().flat_map(Members::iter) {
            let mut buf = ScalarBuf::new();
            let member = member.as_bytes(&mut buf);
            let score = number_or_zero(score * source.weight);
            let score = result.score(member).map_or(score, |old| aggregation.of(old, score));
            result.add(member, score, AddOptions::default(), limits);
        }
    }
    result
}

/// Visits the members that all have, with their scores, until `visit` returns false.
fn intersect(sources: &Sources<'_>, aggregation: Aggregation, visit: &mut dyn FnMut(&[u8], f64) -> bool) {
    let sources = by_size(sources);
    let [smallest, others @ ..] = &sources[..] else { return };
    for (member, score) in smallest.members.into_iter().flat_map(Members::iter) {
        let mut buf = ScalarBuf::new();
        let member = member.as_bytes(&mut buf);
        let score = others.iter().try_fold(number_or_zero(score * smallest.weight), |score, other| {
            Some(aggregation.of(score, other.score(member)?))
        });
        if score.is_some_and(|score| !visit(member, score)) {
            return;
        }
    }
}

/// What the first has and no other, by whichever way is shorter: to ask the others for each of its members, or to
/// remove all of their members from it.
fn difference(sources: &Sources<'_>, limits: &EncodingLimits) -> SortedSet {
    let [first, others @ ..] = &sources[..] else { return SortedSet::new() };
    let members: usize = others.iter().map(Source::len).sum();
    let asks = first.len().saturating_mul(others.len()) / 2 <= first.len() + members;
    let mut result = SortedSet::new();
    for (member, score) in first.members.into_iter().flat_map(Members::iter) {
        let mut buf = ScalarBuf::new();
        let member = member.as_bytes(&mut buf);
        if !asks || !others.iter().any(|other| other.score(member).is_some()) {
            result.add(member, score, AddOptions::default(), limits);
        }
    }
    if !asks {
        for (member, _) in others.iter().filter_map(|other| other.members).flat_map(Members::iter) {
            result.remove(member.as_bytes(&mut ScalarBuf::new()));
        }
    }
    result
}
