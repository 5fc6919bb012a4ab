//! ZPOPMIN, ZPOPMAX, ZMPOP.

use redkeep_resp::{Protocol, ReplyWriter};
use redkeep_store::SortedSet;
use redkeep_store::value::End;

use super::super::parse::non_negative;
use super::super::values::{Taken, edit, leading_keys, pop_count, taken, write_scalar};
use super::super::{CommandResult, Effect, Keyed, Outcome};
use super::Args;
use crate::error::CommandError;
use crate::notify;

const fn event(end: End) -> &'static str {
    match end {
        End::Front => "zpopmin",
        End::Back => "zpopmax",
    }
}

/// Moves `count` members with their scores into the reply. `nested` has an array for each pair.
fn pop_into(reply: &mut ReplyWriter<'_>, set: &mut SortedSet, end: End, count: usize, nested: bool) {
    for _ in 0..count {
        set.pop(end, |member, score| {
            if nested {
                reply.array(2);
            }
            write_scalar(reply, member);
            reply.double(score);
        });
    }
}

/// ZPOPMIN, ZPOPMAX
pub(super) fn pop(cx: &mut Keyed<'_, '_>, args: Args<'_>, end: End) -> CommandResult {
    let count = match args.len() {
        2 => None,
        3 => Some(non_negative(args.get(2))?),
        _ => return Err(CommandError::SYNTAX),
    };
    let key = cx.key(args, 1);
    let set = edit::<SortedSet>(cx.access, key)?;
    let Some(set) = set.filter(|_| count != Some(0)) else {
        cx.reply.array(0);
        return Ok(Outcome::Unchanged);
    };
    let popped = count.unwrap_or(1).min(set.len());
    let nested = count.is_some() && cx.reply.protocol() == Protocol::Resp3;
    cx.reply.array(if nested { popped } else { popped * 2 });
    pop_into(&mut cx.reply, set, end, popped, nested);
    let all = set.is_empty();
    taken(cx, key, (notify::ZSET, event(end)), Taken { count: popped, all });
    Ok(Outcome::Changed)
}

/// ZMPOP
pub(super) fn pop_first(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    let keys = leading_keys(args, 1)?;
    let end = match () {
        () if args.is(keys.end, "min") => End::Front,
        () if args.is(keys.end, "max") => End::Back,
        () => return Err(CommandError::SYNTAX),
    };
    let count = pop_count(args, keys.end + 1)?;
    for i in keys {
        let key = cx.key(args, i);
        let Some(set) = edit::<SortedSet>(cx.access, key)? else { continue };
        let popped = count.min(set.len());
        cx.reply.array(2);
        cx.reply.bulk(key.bytes);
        cx.reply.array(popped);
        pop_into(&mut cx.reply, set, end, popped, true);
        let all = set.is_empty();
        taken(cx, key, (notify::ZSET, event(end)), Taken { count: popped, all });
        let name: &[u8] = match end {
            End::Front => b"ZPOPMIN",
            End::Back => b"ZPOPMAX",
        };
        let popped = popped.to_string();
        return Ok(Outcome::ChangedAs(Effect::command(&[name, key.bytes, popped.as_bytes()])));
    }
    cx.reply.null_array();
    Ok(Outcome::Unchanged)
}
