//! Single members: ZADD, ZINCRBY, ZREM, ZCARD, ZSCORE, ZMSCORE, ZRANK, ZREVRANK.

use redkeep_store::SortedSet;
use redkeep_store::value::{AddOptions, AddOutcome, End};
use smallvec::SmallVec;

use super::super::parse::float;
use super::super::values::{Taken, edit, edit_or_insert, read, taken};
use super::super::{CommandResult, Keyed, Outcome};
use super::Args;
use crate::error::CommandError;
use crate::notify;

/// What an addition came to.
#[derive(Default)]
struct Added {
    new: usize,
    updated: usize,
    /// The score of the last member that no option stood against.
    score: Option<f64>,
}

/// The options of ZADD.
#[derive(Default)]
struct Options {
    add: AddOptions,
    /// `CH`: the reply counts changed scores too.
    count_updates: bool,
}

/// ZADD
pub(super) fn add(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    let (options, first) = parse_options(args)?;
    let pairs = (first..args.len()).step_by(2).map(|i| Ok((float_at(args, i)?, args.get(i + 1))));
    let pairs: SmallVec<[(f64, &[u8]); 4]> = pairs.collect::<Result<_, CommandError>>()?;
    let added = add_pairs(cx, args, &pairs, options.add)?;
    if options.add.increment {
        match added.score {
            Some(score) => cx.reply.double(score),
            None => cx.reply.null(),
        }
    } else {
        let updated = if options.count_updates { added.updated } else { 0 };
        cx.reply.integer((added.new + updated) as i64);
    }
    Ok(outcome(&added))
}

/// ZINCRBY
pub(super) fn increment(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    let options = AddOptions { increment: true, ..AddOptions::default() };
    let added = add_pairs(cx, args, &[(float_at(args, 2)?, args.get(3))], options)?;
    let Some(score) = added.score else { unreachable!("no option stands against it") };
    cx.reply.double(score);
    Ok(outcome(&added))
}

fn outcome(added: &Added) -> Outcome {
    if added.new + added.updated == 0 { Outcome::Unchanged } else { Outcome::Changed }
}

fn float_at(args: Args<'_>, i: usize) -> Result<f64, CommandError> {
    float(args.get(i)).ok_or(CommandError::NOT_FLOAT)
}

/// The options of ZADD, and where the pairs of scores and members begin.
fn parse_options(args: Args<'_>) -> Result<(Options, usize), CommandError> {
    let mut options = Options::default();
    let mut at = 2;
    while at < args.len() {
        match () {
            () if args.is(at, "nx") => options.add.only_add = true,
            () if args.is(at, "xx") => options.add.only_update = true,
            () if args.is(at, "gt") => options.add.greater = true,
            () if args.is(at, "lt") => options.add.less = true,
            () if args.is(at, "incr") => options.add.increment = true,
            () if args.is(at, "ch") => options.count_updates = true,
            () => break,
        }
        at += 1;
    }
    let words = args.len() - at;
    if words == 0 || !words.is_multiple_of(2) {
        return Err(CommandError::SYNTAX);
    }
    let AddOptions { only_add, only_update, greater, less, increment } = options.add;
    if only_add && only_update {
        return Err(CommandError::new("ERR XX and NX options at the same time are not compatible"));
    }
    if [only_add, greater, less].iter().filter(|given| **given).count() > 1 {
        return Err(CommandError::new("ERR GT, LT, and/or NX options at the same time are not compatible"));
    }
    if increment && words > 2 {
        return Err(CommandError::new("ERR INCR option supports a single increment-element pair"));
    }
    Ok((options, at))
}

fn add_pairs(
    cx: &mut Keyed<'_, '_>,
    args: Args<'_>,
    pairs: &[(f64, &[u8])],
    options: AddOptions,
) -> Result<Added, CommandError> {
    let key = cx.key(args, 1);
    let limits = &cx.settings.encoding;
    let longest = || pairs.iter().map(|(_, member)| member.len()).max().unwrap_or(0);
    let new = || SortedSet::with_hint(pairs.len(), longest(), limits);
    let added = edit_or_insert(cx, key, new, |set: &mut SortedSet| {
        let mut added = Added::default();
        for (score, member) in pairs {
            added.score = match set.add(member, *score, options, limits) {
                AddOutcome::Added(score) => {
                    added.new += 1;
                    Some(score)
                }
                AddOutcome::Updated(score) => {
                    added.updated += 1;
                    Some(score)
                }
                AddOutcome::Unchanged(score) => Some(score),
                AddOutcome::Skipped => None,
                AddOutcome::NotANumber => {
                    return Err(CommandError::new("ERR resulting score is not a number (NaN)"));
                }
            };
        }
        Ok(added)
    })??;
    let changes = added.new + added.updated;
    if changes > 0 {
        cx.changed(key, notify::ZSET, if options.increment { "zincr" } else { "zadd" });
        cx.count_more_changes(changes - 1);
    }
    Ok(added)
}

/// ZREM
pub(super) fn remove(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    let key = cx.key(args, 1);
    let Some(set) = edit::<SortedSet>(cx.access, key)? else {
        cx.reply.integer(0);
        return Ok(Outcome::Unchanged);
    };
    let removed = args.from(2).filter(|member| set.remove(member).is_some()).count();
    let all = set.is_empty();
    cx.reply.integer(removed as i64);
    if removed == 0 {
        return Ok(Outcome::Unchanged);
    }
    taken(cx, key, (notify::ZSET, "zrem"), Taken { count: removed, all });
    Ok(Outcome::Changed)
}

/// ZCARD
pub(super) fn length(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    let key = cx.key(args, 1);
    let len = read::<SortedSet>(cx, key)?.map_or(0, |(set, _)| set.len());
    cx.reply.integer(len as i64);
    Ok(Outcome::Unchanged)
}

/// ZSCORE
pub(super) fn score(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    let key = cx.key(args, 1);
    match read::<SortedSet>(cx, key)?.and_then(|(set, _)| set.score(args.get(2))) {
        Some(score) => cx.reply.double(score),
        None => cx.reply.null(),
    }
    Ok(Outcome::Unchanged)
}

/// ZMSCORE
pub(super) fn scores(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    let key = cx.key(args, 1);
    let members = args.from(2);
    match read::<SortedSet>(cx, key)? {
        Some((set, reply)) => {
            reply.array(members.len());
            for member in members {
                match set.score(member) {
                    Some(score) => reply.double(score),
                    None => reply.null(),
                }
            }
        }
        None => {
            cx.reply.array(members.len());
            members.for_each(|_| cx.reply.null());
        }
    }
    Ok(Outcome::Unchanged)
}

/// ZRANK, ZREVRANK
pub(super) fn rank(cx: &mut Keyed<'_, '_>, args: Args<'_>, from: End) -> CommandResult {
    let with_score = args.len() == 4;
    if args.len() > 4 {
        return Err(CommandError::wrong_arity(match from {
            End::Front => "zrank",
            End::Back => "zrevrank",
        }));
    }
    if with_score && !args.is(3, "withscore") {
        return Err(CommandError::SYNTAX);
    }
    let key = cx.key(args, 1);
    let found = read::<SortedSet>(cx, key)?.and_then(|(set, _)| {
        let (rank, score) = set.rank_and_score(args.get(2))?;
        let rank = match from {
            End::Front => rank,
            End::Back => set.len() - 1 - rank,
        };
        Some((rank as i64, score))
    });
    match found {
        Some((rank, score)) if with_score => {
            cx.reply.array(2);
            cx.reply.integer(rank);
            cx.reply.double(score);
        }
        Some((rank, _)) => cx.reply.integer(rank),
        None if with_score => cx.reply.null_array(),
        None => cx.reply.null(),
    }
    Ok(Outcome::Unchanged)
}
