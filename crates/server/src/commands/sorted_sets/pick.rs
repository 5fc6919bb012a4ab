//! ZRANDMEMBER, ZSCAN.

use redkeep_resp::format_double;
use redkeep_store::SortedSet;

use super::super::scan_options::{ScanOptions, cursor, write_empty_scan, write_scan};
use super::super::values::{Picks, below, open_pairs, peek, read, repeat, write_scalar};
use super::super::{CommandResult, Keyed, Outcome};
use super::Args;
use super::range::write_member;
use crate::error::CommandError;

/// ZRANDMEMBER
pub(super) fn random_members(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    let key = cx.key(args, 1);
    if args.len() == 2 {
        cx.look(key);
        let set = peek::<SortedSet>(cx.access, key)?;
        match set.and_then(|set| set.random(&mut below(cx.random))) {
            Some((member, _)) => write_scalar(&mut cx.reply, member),
            None => cx.reply.null(),
        }
        return Ok(Outcome::Unchanged);
    }
    let mut picks = Picks::parse(args.get(2))?;
    let with_scores = args.len() == 4;
    if args.len() > 4 || (with_scores && !args.is(3, "withscores")) {
        return Err(CommandError::SYNTAX);
    }
    if with_scores {
        picks = picks.of_pairs()?;
    }
    cx.look(key);
    let Some(set) = peek::<SortedSet>(cx.access, key)? else {
        cx.reply.array(0);
        return Ok(Outcome::Unchanged);
    };
    let mut below = below(cx.random);
    match picks {
        Picks::Distinct(count) => {
            let picked = set.random_distinct(count, &mut below);
            open_pairs(&mut cx.reply, picked.len(), with_scores);
            picked.into_iter().for_each(|pair| write_member(&mut cx.reply, pair, with_scores));
        }
        Picks::Repeated(count) => {
            open_pairs(&mut cx.reply, count, with_scores);
            repeat(&mut cx.reply, count, |reply| {
                set.random(&mut below).into_iter().for_each(|pair| write_member(reply, pair, with_scores));
            })?;
        }
    }
    Ok(Outcome::Unchanged)
}

/// ZSCAN
pub(super) fn scan(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    let cursor = cursor(args.get(2))?;
    let key = cx.key(args, 1);
    let Some((set, reply)) = read::<SortedSet>(cx, key)? else {
        write_empty_scan(&mut cx.reply);
        return Ok(Outcome::Unchanged);
    };
    let options = ScanOptions::of_elements(args, 3)?;
    write_scan(reply, |reply| {
        let mut written = 0;
        let next = set.scan(cursor, options.count, &mut |member, score| {
            if options.matches_scalar(member) {
                write_scalar(reply, member);
                // A string in RESP3 too.
                reply.bulk_str(format_double(score, &mut Default::default()));
                written += 2;
            }
        });
        (next, written)
    });
    Ok(Outcome::Unchanged)
}
