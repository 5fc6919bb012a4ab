//! Intersections, unions and differences of sets.
//!
//! All sets are borrowed side by side, and the result is visited member by member: it is written into the reply
//! directly, counted, or made a set of its own. Only a union has to remember what it has visited.

use redkeep_store::value::{EncodingLimits, Scalar, ScalarBuf};
use redkeep_store::{Access, Key, Set};
use smallvec::SmallVec;

use super::super::parse::bounded;
use super::super::values::{peek, store, write_scalar};
use super::super::{Args, CommandResult, Keyed, Outcome};
use super::write_set;
use crate::error::CommandError;
use crate::notify;
use crate::observers::Observers;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Intersection,
    Union,
    Difference,
}

impl Operation {
    const fn store_event(self) -> &'static str {
        match self {
            Operation::Intersection => "sinterstore",
            Operation::Union => "sunionstore",
            Operation::Difference => "sdiffstore",
        }
    }
}

type Keys<'a> = SmallVec<[Key<'a>; 8]>;
type Sources<'a> = SmallVec<[Option<&'a Set>; 8]>;

/// SINTER, SUNION, SDIFF.
pub(super) fn combine(cx: &mut Keyed<'_, '_>, args: Args<'_>, operation: Operation) -> CommandResult {
    let keys = look_up(cx, args, 1..args.len())?;
    let sources = sources(cx.access, &keys)?;
    let reply = &mut cx.reply;
    match operation {
        Operation::Union => match &sources.iter().flatten().collect::<SmallVec<[_; 8]>>()[..] {
            [only] => write_set(reply, only),
            _ => write_set(reply, &result(operation, &sources, &cx.settings.encoding)),
        },
        Operation::Intersection | Operation::Difference => {
            let set = reply.deferred_array();
            let mut members = 0;
            visit(operation, &sources, &mut |member| {
                write_scalar(reply, member);
                members += 1;
                true
            });
            reply.finish_set(set, members);
        }
    }
    Ok(Outcome::Unchanged)
}

/// SINTERSTORE, SUNIONSTORE, SDIFFSTORE.
pub(super) fn combine_and_store(
    cx: &mut Keyed<'_, '_>,
    args: Args<'_>,
    operation: Operation,
) -> CommandResult {
    let destination = cx.key(args, 1);
    let keys = look_up(cx, args, 2..args.len())?;
    let result = result(operation, &sources(cx.access, &keys)?, &cx.settings.encoding);
    let len = result.len();
    store(cx, destination, result, len, (notify::SET, operation.store_event()))
}

/// SINTERCARD.
pub(super) fn cardinality(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    let numkeys = bounded(args.get(1), 1, i64::MAX, CommandError::NUMKEYS)? as usize;
    if numkeys > args.len() - 2 {
        return Err(CommandError::KEY_COUNT);
    }
    let end = 2 + numkeys;
    let mut limit = 0;
    for i in (end..args.len()).step_by(2) {
        if i + 1 == args.len() || !args.is(i, "limit") {
            return Err(CommandError::SYNTAX);
        }
        limit = bounded(args.get(i + 1), 0, i64::MAX, CommandError::LIMIT)? as usize;
    }
    let keys = look_up(cx, args, 2..end)?;
    let sources = sources(cx.access, &keys)?;
    let mut members = 0;
    visit(Operation::Intersection, &sources, &mut |_| {
        members += 1;
        members != limit
    });
    cx.reply.integer(members as i64);
    Ok(Outcome::Unchanged)
}

/// Looks up the keys at these positions, up to the first that holds another type.
fn look_up<'a>(
    cx: &mut Keyed<'_, '_>,
    args: Args<'a>,
    mut positions: std::ops::Range<usize>,
) -> Result<Keys<'a>, CommandError> {
    positions.try_fold(Keys::new(), |mut keys, i| {
        let key = cx.key(args, i);
        cx.look(key);
        peek::<Set>(cx.access, key)?;
        keys.push(key);
        Ok(keys)
    })
}

/// The sets at these keys, which were looked up; `None` for those that do not exist.
fn sources<'a>(access: &'a Access<'_, Observers>, keys: &[Key<'_>]) -> Result<Sources<'a>, CommandError> {
    keys.iter().map(|key| peek::<Set>(access, *key)).collect()
}

/// The result as a set.
fn result(operation: Operation, sources: &Sources<'_>, limits: &EncodingLimits) -> Set {
    let mut result = Set::new();
    visit(operation, sources, &mut |member| {
        result.add(member.as_bytes(&mut ScalarBuf::new()), limits);
        true
    });
    result
}

/// Visits the members of the result until `visit` returns false; those of a union perhaps more than once.
fn visit(operation: Operation, sources: &Sources<'_>, visit: &mut dyn FnMut(Scalar<'_>) -> bool) {
    match operation {
        Operation::Intersection => {
            let Some(mut sets) = sources.iter().copied().collect::<Option<SmallVec<[&Set; 8]>>>() else {
                return;
            };
            sets.sort_by_key(|set| set.len());
            let [smallest, others @ ..] = &sets[..] else { return };
            let in_all = |member: &Scalar<'_>| contained(others, *member).all(|is_in| is_in);
            let _ = smallest.iter().filter(in_all).all(visit);
        }
        Operation::Union => {
            let _ = sources.iter().flatten().flat_map(|set| set.iter()).all(visit);
        }
        Operation::Difference => {
            let [Some(set), others @ ..] = &sources[..] else { return };
            let mut others: SmallVec<[&Set; 8]> = others.iter().flatten().copied().collect();
            let members: usize = others.iter().map(|other| other.len()).sum();
            if set.len().saturating_mul(others.len()) / 2 > set.len() + members {
                return difference_by_removal(set, &others, visit);
            }
            // The larger a set, the likelier it ends the search.
            others.sort_by_key(|set| std::cmp::Reverse(set.len()));
            let in_none = |member: &Scalar<'_>| !contained(&others, *member).any(|is_in| is_in);
            let _ = set.iter().filter(in_none).all(visit);
        }
    }
}

/// Visits what is left of a set that is copied and then rid of the members of the others: for many small sets
/// this is cheaper than to ask each of them for each member.
fn difference_by_removal(set: &Set, others: &[&Set], visit: &mut dyn FnMut(Scalar<'_>) -> bool) {
    let mut rest = set.clone();
    for member in others.iter().flat_map(|other| other.iter()) {
        rest.remove(member.as_bytes(&mut ScalarBuf::new()));
    }
    let _ = rest.iter().all(visit);
}

/// Whether each of `sets` has the member.
fn contained<'a>(sets: &'a [&Set], member: Scalar<'a>) -> impl Iterator<Item = bool> {
    sets.iter().map(move |set| set.contains(member.as_bytes(&mut ScalarBuf::new())))
}
