//! Lists: LPUSH, RPOP, LRANGE and their kin.

use redkeep_store::List;
use redkeep_store::value::{End, Place, PositionQuery, resolve_range};

use super::parse::{bounded, integer, non_negative};
use super::values::{Taken, edit, edit_or_insert, leading_keys, pop_count, read, taken, write_scalar};
use super::{
    Args, CommandResult, CommandSpec, Effect, Group, KeyUse, Keyed, Outcome, at, command, first, flag,
};
use crate::error::CommandError;
use crate::notify;

const READ: u32 = flag::READONLY;
const WRITE: u32 = flag::WRITE | flag::DENYOOM;

pub(super) const COMMANDS: &[CommandSpec] = &[
    command("lpush", -3, Group::List)
        .flags(WRITE | flag::FAST)
        .keys(&[first(KeyUse::ReadWriteInsert)])
        .doc("1.0.0", "Adds elements at the head of a list, which is made if it does not exist.")
        .keyed(|cx, args| push(cx, args, End::Front)),
    command("rpush", -3, Group::List)
        .flags(WRITE | flag::FAST)
        .keys(&[first(KeyUse::ReadWriteInsert)])
        .doc("1.0.0", "Adds elements at the tail of a list, which is made if it does not exist.")
        .keyed(|cx, args| push(cx, args, End::Back)),
    command("lpushx", -3, Group::List)
        .flags(WRITE | flag::FAST)
        .keys(&[first(KeyUse::ReadWriteInsert)])
        .doc("2.2.0", "Adds elements at the head of a list that exists.")
        .keyed(|cx, args| push_to_existing(cx, args, End::Front)),
    command("rpushx", -3, Group::List)
        .flags(WRITE | flag::FAST)
        .keys(&[first(KeyUse::ReadWriteInsert)])
        .doc("2.2.0", "Adds elements at the tail of a list that exists.")
        .keyed(|cx, args| push_to_existing(cx, args, End::Back)),
    command("lpop", -2, Group::List)
        .flags(flag::WRITE | flag::FAST)
        .keys(&[first(KeyUse::ReadWriteAccessDelete)])
        .doc("1.0.0", "Removes and returns elements from the head of a list.")
        .keyed(|cx, args| pop(cx, args, End::Front)),
    command("rpop", -2, Group::List)
        .flags(flag::WRITE | flag::FAST)
        .keys(&[first(KeyUse::ReadWriteAccessDelete)])
        .doc("1.0.0", "Removes and returns elements from the tail of a list.")
        .keyed(|cx, args| pop(cx, args, End::Back)),
    command("llen", 2, Group::List)
        .flags(READ | flag::FAST)
        .keys(&[first(KeyUse::ReadOnly)])
        .doc("1.0.0", "Returns the length of a list.")
        .keyed(length),
    command("lrange", 4, Group::List)
        .flags(READ)
        .keys(&[first(KeyUse::ReadAccess)])
        .doc("1.0.0", "Returns a range of elements of a list.")
        .keyed(range),
    command("lindex", 3, Group::List)
        .flags(READ)
        .keys(&[first(KeyUse::ReadAccess)])
        .doc("1.0.0", "Returns the element at an index of a list.")
        .keyed(index),
    command("lset", 4, Group::List)
        .flags(WRITE)
        .keys(&[first(KeyUse::ReadWriteUpdate)])
        .doc("1.0.0", "Replaces the element at an index of a list.")
        .keyed(set),
    command("linsert", 5, Group::List)
        .flags(WRITE)
        .keys(&[first(KeyUse::ReadWriteInsert)])
        .doc("2.2.0", "Inserts an element before or after another one of a list.")
        .keyed(insert),
    command("lrem", 4, Group::List)
        .flags(flag::WRITE)
        .keys(&[first(KeyUse::ReadWriteDelete)])
        .doc("1.0.0", "Removes equal elements from a list.")
        .keyed(remove),
    command("ltrim", 4, Group::List)
        .flags(flag::WRITE)
        .keys(&[first(KeyUse::ReadWriteDelete)])
        .doc("1.0.0", "Keeps only a range of elements of a list.")
        .keyed(trim),
    command("lpos", -3, Group::List)
        .flags(READ)
        .keys(&[first(KeyUse::ReadAccess)])
        .doc("6.0.6", "Returns the indices of equal elements of a list.")
        .keyed(positions),
    command("lmove", 5, Group::List)
        .flags(WRITE)
        .keys(&[first(KeyUse::ReadWriteAccessDelete), at(2, KeyUse::ReadWriteInsert)])
        .doc("6.2.0", "Moves an element from one end of a list to one end of another, and returns it.")
        .keyed(|cx, args| {
            let (from, to) = (end(args.get(3))?, end(args.get(4))?);
            move_element(cx, args, from, to)
        }),
    command("rpoplpush", 3, Group::List)
        .flags(WRITE)
        .keys(&[first(KeyUse::ReadWriteAccessDelete), at(2, KeyUse::ReadWriteInsert)])
        .doc("1.2.0", "Moves the last element of a list to the head of another, and returns it.")
        .keyed(|cx, args| move_element(cx, args, End::Back, End::Front)),
    command("lmpop", -4, Group::List)
        .flags(flag::WRITE)
        .counted_keys(0, 1, KeyUse::ReadWriteAccessDelete)
        .doc("7.0.0", "Removes and returns elements from the first of several lists that has any.")
        .keyed(pop_first),
];

/// Reads `LEFT` or `RIGHT`.
fn end(word: &[u8]) -> Result<End, CommandError> {
    match word {
        _ if word.eq_ignore_ascii_case(b"left") => Ok(End::Front),
        _ if word.eq_ignore_ascii_case(b"right") => Ok(End::Back),
        _ => Err(CommandError::SYNTAX),
    }
}

const fn push_event(end: End) -> &'static str {
    match end {
        End::Front => "lpush",
        End::Back => "rpush",
    }
}

const fn pop_event(end: End) -> &'static str {
    match end {
        End::Front => "lpop",
        End::Back => "rpop",
    }
}

fn push(cx: &mut Keyed<'_, '_>, args: Args<'_>, end: End) -> CommandResult {
    let key = cx.key(args, 1);
    let limits = &cx.settings.encoding;
    let len = edit_or_insert(cx, key, List::new, |list: &mut List| {
        args.from(2).for_each(|element| list.push(end, element, limits));
        list.len()
    })?;
    cx.changed(key, notify::LIST, push_event(end));
    cx.count_more_changes(args.len() - 3);
    cx.reply.integer(len as i64);
    Ok(Outcome::Changed)
}

fn push_to_existing(cx: &mut Keyed<'_, '_>, args: Args<'_>, end: End) -> CommandResult {
    let key = cx.key(args, 1);
    let limits = &cx.settings.encoding;
    let Some(list) = edit::<List>(cx.access, key)? else {
        cx.reply.integer(0);
        return Ok(Outcome::Unchanged);
    };
    args.from(2).for_each(|element| list.push(end, element, limits));
    cx.reply.integer(list.len() as i64);
    cx.changed(key, notify::LIST, push_event(end));
    cx.count_more_changes(args.len() - 3);
    Ok(Outcome::Changed)
}

fn pop(cx: &mut Keyed<'_, '_>, args: Args<'_>, end: End) -> CommandResult {
    if args.len() > 3 {
        return Err(CommandError::wrong_arity(pop_event(end)));
    }
    let count = match args.len() {
        3 => Some(non_negative(args.get(2))?),
        _ => None,
    };
    let key = cx.key(args, 1);
    let limits = &cx.settings.encoding;
    let Some(list) = edit::<List>(cx.access, key)? else {
        match count {
            Some(_) => cx.reply.null_array(),
            None => cx.reply.null(),
        }
        return Ok(Outcome::Unchanged);
    };
    let popped = count.unwrap_or(1).min(list.len());
    if count.is_some() {
        cx.reply.array(popped);
    }
    for _ in 0..popped {
        list.pop(end, limits, |element| write_scalar(&mut cx.reply, element));
    }
    if popped == 0 {
        return Ok(Outcome::Unchanged);
    }
    let all = list.is_empty();
    taken(cx, key, (notify::LIST, pop_event(end)), Taken { count: popped, all });
    Ok(Outcome::Changed)
}

fn length(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    let key = cx.key(args, 1);
    let len = read::<List>(cx, key)?.map_or(0, |(list, _)| list.len());
    cx.reply.integer(len as i64);
    Ok(Outcome::Unchanged)
}

fn range(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    let (start, stop) = (integer(args.get(2))?, integer(args.get(3))?);
    let key = cx.key(args, 1);
    match read::<List>(cx, key)? {
        Some((list, reply)) => {
            let range = resolve_range(start, stop, list.len()).unwrap_or(0..0);
            reply.array(range.len());
            list.range(range).for_each(|element| write_scalar(reply, element));
        }
        None => cx.reply.array(0),
    }
    Ok(Outcome::Unchanged)
}

fn index(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    let key = cx.key(args, 1);
    let Some((list, reply)) = read::<List>(cx, key)? else {
        cx.reply.null();
        return Ok(Outcome::Unchanged);
    };
    match list.get(integer(args.get(2))?) {
        Some(element) => write_scalar(reply, element),
        None => reply.null(),
    }
    Ok(Outcome::Unchanged)
}

fn set(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    let key = cx.key(args, 1);
    let limits = &cx.settings.encoding;
    let list = edit::<List>(cx.access, key)?.ok_or(CommandError::NO_SUCH_KEY)?;
    if !list.set(integer(args.get(2))?, args.get(3), limits) {
        return Err(CommandError::INDEX_OUT_OF_RANGE);
    }
    cx.changed(key, notify::LIST, "lset");
    cx.reply.ok();
    Ok(Outcome::Changed)
}

fn insert(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    let place = match () {
        () if args.is(2, "before") => Place::Before,
        () if args.is(2, "after") => Place::After,
        () => return Err(CommandError::SYNTAX),
    };
    let key = cx.key(args, 1);
    let limits = &cx.settings.encoding;
    let Some(list) = edit::<List>(cx.access, key)? else {
        cx.reply.integer(0);
        return Ok(Outcome::Unchanged);
    };
    if !list.insert(place, args.get(3), args.get(4), limits) {
        cx.reply.integer(-1);
        return Ok(Outcome::Unchanged);
    }
    cx.reply.integer(list.len() as i64);
    cx.changed(key, notify::LIST, "linsert");
    Ok(Outcome::Changed)
}

fn remove(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    let count = integer(args.get(2))?;
    let key = cx.key(args, 1);
    let limits = &cx.settings.encoding;
    let Some(list) = edit::<List>(cx.access, key)? else {
        cx.reply.integer(0);
        return Ok(Outcome::Unchanged);
    };
    let removed = list.remove(args.get(3), count, limits);
    let all = list.is_empty();
    cx.reply.integer(removed as i64);
    if removed == 0 {
        return Ok(Outcome::Unchanged);
    }
    taken(cx, key, (notify::LIST, "lrem"), Taken { count: removed, all });
    Ok(Outcome::Changed)
}

fn trim(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    let (start, stop) = (integer(args.get(2))?, integer(args.get(3))?);
    let key = cx.key(args, 1);
    let limits = &cx.settings.encoding;
    cx.reply.ok();
    let Some(list) = edit::<List>(cx.access, key)? else { return Ok(Outcome::Unchanged) };
    let before = list.len();
    list.trim(resolve_range(start, stop, before).unwrap_or(0..0), limits);
    let after = list.len();
    // The event is sent even when the list is as it was.
    taken(cx, key, (notify::LIST, "ltrim"), Taken { count: before - after, all: after == 0 });
    Ok(if after == before { Outcome::Unchanged } else { Outcome::Changed })
}

fn positions(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    let (query, is_single) = position_query(args)?;
    let key = cx.key(args, 1);
    let Some((list, reply)) = read::<List>(cx, key)? else {
        if is_single {
            cx.reply.null();
        } else {
            cx.reply.array(0);
        }
        return Ok(Outcome::Unchanged);
    };
    let array = reply.deferred_array();
    let mut matches = 0;
    list.positions(args.get(2), query, &mut |index| {
        reply.integer(index as i64);
        matches += 1;
    });
    if !is_single {
        reply.finish_array(array, matches);
    } else if matches == 0 {
        reply.null();
    }
    Ok(Outcome::Unchanged)
}

/// The options of LPOS, and whether one index is asked for rather than an array of them.
fn position_query(args: Args<'_>) -> Result<(PositionQuery, bool), CommandError> {
    let mut query = PositionQuery { rank: 1, count: 1, max_len: 0 };
    let mut is_single = true;
    let limit = |word, error| Ok(bounded(word, 0, i64::MAX, CommandError::new(error))? as usize);
    for i in (3..args.len()).step_by(2) {
        if i + 1 == args.len() {
            return Err(CommandError::SYNTAX);
        }
        let word = args.get(i + 1);
        if args.is(i, "rank") {
            query.rank = rank(word)?;
        } else if args.is(i, "count") {
            query.count = limit(word, "ERR COUNT can't be negative")?;
            is_single = false;
        } else if args.is(i, "maxlen") {
            query.max_len = limit(word, "ERR MAXLEN can't be negative")?;
        } else {
            return Err(CommandError::SYNTAX);
        }
    }
    Ok((query, is_single))
}

fn rank(word: &[u8]) -> Result<i64, CommandError> {
    match integer(word)? {
        0 => Err(CommandError::new(
            "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... \
             or use negative to start from the end of the list",
        )),
        i64::MIN => Err(CommandError::new(format!(
            "ERR value is out of range, value must between {} and {}",
            -i64::MAX,
            i64::MAX
        ))),
        rank => Ok(rank),
    }
}

fn move_element(cx: &mut Keyed<'_, '_>, args: Args<'_>, from: End, to: End) -> CommandResult {
    let (source, destination) = (cx.key(args, 1), cx.key(args, 2));
    let limits = &cx.settings.encoding;
    if edit::<List>(cx.access, source)?.is_none() {
        cx.reply.null();
        return Ok(Outcome::Unchanged);
    }
    // Before anything is taken, the destination has to be one that takes it.
    edit::<List>(cx.access, destination)?;
    let Some(list) = edit::<List>(cx.access, source)? else { unreachable!("it was just there") };
    let Some(element) = list.pop(from, limits, |element| element.to_vec()) else {
        unreachable!("a list that is empty is not kept")
    };
    // A list that is rotated may be empty for a moment, and stays nevertheless.
    edit_or_insert(cx, destination, List::new, |list: &mut List| list.push(to, &element, limits))?;
    let all = edit::<List>(cx.access, source)?.is_none_or(|list| list.is_empty());
    cx.changed(destination, notify::LIST, push_event(to));
    taken(cx, source, (notify::LIST, pop_event(from)), Taken { count: 1, all });
    cx.reply.bulk(&element);
    Ok(Outcome::Changed)
}

fn pop_first(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    let (keys, end, count) = pop_first_options(args)?;
    let limits = &cx.settings.encoding;
    for i in keys {
        let key = cx.key(args, i);
        let Some(list) = edit::<List>(cx.access, key)? else { continue };
        let popped = count.min(list.len());
        cx.reply.array(2);
        cx.reply.bulk(key.bytes);
        cx.reply.array(popped);
        for _ in 0..popped {
            list.pop(end, limits, |element| write_scalar(&mut cx.reply, element));
        }
        let all = list.is_empty();
        taken(cx, key, (notify::LIST, pop_event(end)), Taken { count: popped, all });
        let name: &[u8] = match end {
            End::Front => b"LPOP",
            End::Back => b"RPOP",
        };
        let popped = popped.to_string();
        return Ok(Outcome::ChangedAs(Effect::command(&[name, key.bytes, popped.as_bytes()])));
    }
    cx.reply.null_array();
    Ok(Outcome::Unchanged)
}

/// The positions of the keys of LMPOP, its end and its count.
fn pop_first_options(args: Args<'_>) -> Result<(std::ops::Range<usize>, End, usize), CommandError> {
    let keys = leading_keys(args, 1)?;
    let end = end(args.get(keys.end))?;
    let count = pop_count(args, keys.end + 1)?;
    Ok((keys, end, count))
}
