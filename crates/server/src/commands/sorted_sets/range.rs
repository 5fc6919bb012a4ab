//! Ranges of a sorted set: by rank, by score or by string; in either direction; read, counted, stored or removed.
//!
//! Whatever a range is given by, it is a range of ranks once the set is known. [`Query::ranks`] is that step, and all
//! the commands here are about it.

use std::ops::Range;

use redkeep_resp::ReplyWriter;
use redkeep_store::SortedSet;
use redkeep_store::value::{
    AddOptions, End, LexBound, LexRange, Scalar, ScalarBuf, ScoreBound, ScoreRange, resolve_range,
};

use super::super::parse::{integer, score_bound};
use super::super::values::{Taken, edit, open_pair, open_pairs, peek, read, store, taken, write_scalar};
use super::super::{CommandResult, Keyed, Outcome};
use super::Args;
use crate::error::CommandError;
use crate::notify;

/// What the two ends of a range are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Rank,
    Score,
    Lex,
}

/// What a command's name says of its range; its options say the rest.
#[derive(Clone, Copy)]
pub(super) struct Form {
    kind: Option<Kind>,
    from: Option<End>,
    /// The position of the key. The ends of the range follow.
    key: usize,
    stores: bool,
}

impl Form {
    /// ZRANGE
    pub(super) const ANY: Form = Form { kind: None, from: None, key: 1, stores: false };
    /// ZRANGESTORE
    const STORE: Form = Form { kind: None, from: None, key: 2, stores: true };

    /// One of the older commands.
    pub(super) const fn of(kind: Kind, from: End) -> Form {
        Form { kind: Some(kind), from: Some(from), key: 1, stores: false }
    }
}

/// The ends of a range.
enum Span<'a> {
    Ranks(i64, i64),
    Scores(ScoreRange),
    Members(LexRange<'a>),
}

impl<'a> Span<'a> {
    /// The lower end is argument `min`, the upper one argument `max`.
    fn parse(args: Args<'a>, kind: Kind, min: usize, max: usize) -> Result<Self, CommandError> {
        let (min, max) = (args.get(min), args.get(max));
        Ok(match kind {
            Kind::Rank => Span::Ranks(integer(min)?, integer(max)?),
            Kind::Score => {
                let bound = |word| {
                    let (score, exclusive) = score_bound(word)?;
                    Some(ScoreBound { score, exclusive })
                };
                let ends = bound(min).zip(bound(max));
                let (min, max) = ends.ok_or_else(|| CommandError::new("ERR min or max is not a float"))?;
                Span::Scores(ScoreRange { min, max })
            }
            Kind::Lex => {
                let ends = lex_bound(min).zip(lex_bound(max));
                let (min, max) =
                    ends.ok_or_else(|| CommandError::new("ERR min or max not valid string range item"))?;
                Span::Members(LexRange { min, max })
            }
        })
    }

    /// The ranks of what lies between the ends. Where they are ranks themselves, they count from `from`.
    fn ranks(&self, set: &SortedSet, from: End) -> Range<usize> {
        match self {
            Span::Scores(range) => set.score_range(range),
            Span::Members(range) => set.lex_range(range),
            Span::Ranks(start, stop) => {
                let len = set.len();
                let ranks = resolve_range(*start, *stop, len).unwrap_or(0..0);
                match from {
                    End::Front => ranks,
                    End::Back => len - ranks.end..len - ranks.start,
                }
            }
        }
    }
}

/// `-`, `+`, `[member` or `(member`.
fn lex_bound(word: &[u8]) -> Option<LexBound<'_>> {
    match word {
        b"-" => Some(LexBound::Lowest),
        b"+" => Some(LexBound::Highest),
        [b'[', member @ ..] => Some(LexBound::Included(member)),
        [b'(', member @ ..] => Some(LexBound::Excluded(member)),
        _ => None,
    }
}

/// A range of a sorted set as a command asks for it.
struct Query<'a> {
    span: Span<'a>,
    from: End,
    with_scores: bool,
    /// Of what lies in the span, how many are skipped, and how many are taken then: all, if this is negative.
    limit: Option<(i64, i64)>,
}

impl<'a> Query<'a> {
    fn parse(args: Args<'a>, form: Form) -> Result<Self, CommandError> {
        let (mut kind, mut from) = (form.kind, form.from);
        let (mut with_scores, mut limit) = (false, None);
        let mut at = form.key + 3;
        while at < args.len() {
            if !form.stores && args.is(at, "withscores") {
                with_scores = true;
            } else if args.is(at, "limit") && at + 2 < args.len() {
                limit = Some((integer(args.get(at + 1))?, integer(args.get(at + 2))?));
                at += 2;
            } else if from.is_none() && args.is(at, "rev") {
                from = Some(End::Back);
            } else if kind.is_none() && args.is(at, "bylex") {
                kind = Some(Kind::Lex);
            } else if kind.is_none() && args.is(at, "byscore") {
                kind = Some(Kind::Score);
            } else {
                return Err(CommandError::SYNTAX);
            }
            at += 1;
        }
        let (kind, from) = (kind.unwrap_or(Kind::Rank), from.unwrap_or(End::Front));
        if kind == Kind::Rank && limit.is_some_and(|(_, count)| count != -1) {
            return Err(CommandError::new(
                "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX",
            ));
        }
        if kind == Kind::Lex && with_scores {
            return Err(CommandError::new(
                "ERR syntax error, WITHSCORES not supported in combination with BYLEX",
            ));
        }
        let (first, second) = (form.key + 1, form.key + 2);
        // Where the highest come first, the upper end is given first, unless ends are ranks.
        let (min, max) =
            if from == End::Back && kind != Kind::Rank { (second, first) } else { (first, second) };
        let span = Span::parse(args, kind, min, max)?;
        let limit = limit.filter(|_| kind != Kind::Rank);
        Ok(Query { span, from, with_scores, limit })
    }

    /// The ranks of what is asked for.
    fn ranks(&self, set: &SortedSet) -> Range<usize> {
        let Range { start, end } = self.span.ranks(set, self.from);
        let Some((offset, count)) = self.limit else { return start..end };
        // A negative offset skips everything.
        let skipped = usize::try_from(offset).unwrap_or(usize::MAX).min(end - start);
        let taken = usize::try_from(count).unwrap_or(usize::MAX).min(end - start - skipped);
        match self.from {
            End::Front => start + skipped..start + skipped + taken,
            End::Back => end - skipped - taken..end - skipped,
        }
    }

    fn write(&self, reply: &mut ReplyWriter<'_>, set: &SortedSet) {
        let ranks = self.ranks(set);
        open_pairs(reply, ranks.len(), self.with_scores);
        let members = match self.from {
            End::Front => set.range(ranks),
            End::Back => set.range_rev(ranks),
        };
        members.for_each(|pair| write_member(reply, pair, self.with_scores));
    }
}

/// Writes a member of an array opened by [`open_pairs`], with its score if that is wanted.
pub(super) fn write_member(
    reply: &mut ReplyWriter<'_>,
    (member, score): (Scalar<'_>, f64),
    with_score: bool,
) {
    if with_score {
        open_pair(reply);
    }
    write_scalar(reply, member);
    if with_score {
        reply.double(score);
    }
}

/// ZRANGE, ZREVRANGE, ZRANGEBYSCORE, ZREVRANGEBYSCORE, ZRANGEBYLEX, ZREVRANGEBYLEX
pub(super) fn range(cx: &mut Keyed<'_, '_>, args: Args<'_>, form: Form) -> CommandResult {
    let query = Query::parse(args, form)?;
    let key = cx.key(args, form.key);
    match read::<SortedSet>(cx, key)? {
        Some((set, reply)) => query.write(reply, set),
        None => cx.reply.array(0),
    }
    Ok(Outcome::Unchanged)
}

/// ZRANGESTORE
pub(super) fn store_range(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    let query = Query::parse(args, Form::STORE)?;
    let (destination, source) = (cx.key(args, 1), cx.key(args, Form::STORE.key));
    let limits = &cx.settings.encoding;
    cx.look(source);
    let mut result = SortedSet::new();
    if let Some(set) = peek::<SortedSet>(cx.access, source)? {
        for (member, score) in set.range(query.ranks(set)) {
            result.add(member.as_bytes(&mut ScalarBuf::new()), score, AddOptions::default(), limits);
        }
    }
    let len = result.len();
    store(cx, destination, result, len, (notify::ZSET, "zrangestore"))
}

/// ZCOUNT, ZLEXCOUNT
pub(super) fn count(cx: &mut Keyed<'_, '_>, args: Args<'_>, kind: Kind) -> CommandResult {
    let span = Span::parse(args, kind, 2, 3)?;
    let key = cx.key(args, 1);
    let count = read::<SortedSet>(cx, key)?.map_or(0, |(set, _)| span.ranks(set, End::Front).len());
    cx.reply.integer(count as i64);
    Ok(Outcome::Unchanged)
}

/// ZREMRANGEBYRANK, ZREMRANGEBYSCORE, ZREMRANGEBYLEX
pub(super) fn remove(cx: &mut Keyed<'_, '_>, args: Args<'_>, kind: Kind, event: &str) -> CommandResult {
    let span = Span::parse(args, kind, 2, 3)?;
    let key = cx.key(args, 1);
    let Some(set) = edit::<SortedSet>(cx.access, key)? else {
        cx.reply.integer(0);
        return Ok(Outcome::Unchanged);
    };
    let removed = set.remove_range(span.ranks(set, End::Front));
    let all = set.is_empty();
    cx.reply.integer(removed as i64);
    if removed == 0 {
        return Ok(Outcome::Unchanged);
    }
    taken(cx, key, (notify::ZSET, event), Taken { count: removed, all });
    Ok(Outcome::Changed)
}
