//! Sets: SADD, SMEMBERS, SPOP and their kin. What combines several sets is in [`combine`].

mod combine;

use redkeep_resp::ReplyWriter;
use redkeep_store::Set;

use super::parse::non_negative;
use super::scan_options::{ScanOptions, cursor, write_empty_scan, write_scan};
use super::values::{Picks, Taken, below, edit, edit_or_insert, peek, read, repeat, taken, write_scalar};
use super::{
    Args, CommandResult, CommandSpec, Effect, Group, KeyUse, Keyed, Outcome, at, command, first, flag, from,
};
use crate::error::CommandError;
use crate::notify;
use combine::{Operation, cardinality, combine, combine_and_store};

const READ: u32 = flag::READONLY;
const READ_FAST: u32 = flag::READONLY | flag::FAST;
const STORE: u32 = flag::WRITE | flag::DENYOOM;

/// Most members that one propagated SREM names.
const REMOVED_TOGETHER: usize = 1024;

pub(super) const COMMANDS: &[CommandSpec] = &[
    command("sadd", -3, Group::Set)
        .flags(flag::WRITE | flag::DENYOOM | flag::FAST)
        .keys(&[first(KeyUse::ReadWriteInsert)])
        .doc("1.0.0", "Adds members to a set, which is made if it does not exist.")
        .keyed(add),
    command("srem", -3, Group::Set)
        .flags(flag::WRITE | flag::FAST)
        .keys(&[first(KeyUse::ReadWriteDelete)])
        .doc("1.0.0", "Removes members from a set.")
        .keyed(remove),
    command("smembers", 2, Group::Set)
        .flags(READ)
        .keys(&[first(KeyUse::ReadAccess)])
        .doc("1.0.0", "Returns all members of a set.")
        .keyed(members),
    command("sismember", 3, Group::Set)
        .flags(READ_FAST)
        .keys(&[first(KeyUse::ReadOnly)])
        .doc("1.0.0", "Tells whether a set has a member.")
        .keyed(is_member),
    command("smismember", -3, Group::Set)
        .flags(READ_FAST)
        .keys(&[first(KeyUse::ReadAccess)])
        .doc("6.2.0", "Tells which of several members a set has.")
        .keyed(are_members),
    command("scard", 2, Group::Set)
        .flags(READ_FAST)
        .keys(&[first(KeyUse::ReadOnly)])
        .doc("1.0.0", "Returns the number of members of a set.")
        .keyed(length),
    command("spop", -2, Group::Set)
        .flags(flag::WRITE | flag::FAST)
        .keys(&[first(KeyUse::ReadWriteAccessDelete)])
        .doc("1.0.0", "Removes and returns random members of a set.")
        .keyed(pop),
    command("srandmember", -2, Group::Set)
        .flags(READ)
        .keys(&[first(KeyUse::ReadAccess)])
        .doc("1.0.0", "Returns random members of a set.")
        .keyed(random_members),
    command("smove", 4, Group::Set)
        .flags(flag::WRITE | flag::FAST)
        .keys(&[first(KeyUse::ReadWriteAccessDelete), at(2, KeyUse::ReadWriteInsert)])
        .doc("1.0.0", "Moves a member from one set to another.")
        .keyed(move_member),
    command("sinter", -2, Group::Set)
        .flags(READ)
        .keys(&[from(1, KeyUse::ReadAccess)])
        .doc("1.0.0", "Returns the members that all of several sets have.")
        .keyed(|cx, args| combine(cx, args, Operation::Intersection)),
    command("sinterstore", -3, Group::Set)
        .flags(STORE)
        .keys(&[first(KeyUse::OverwriteUpdate), from(2, KeyUse::ReadAccess)])
        .doc("1.0.0", "Stores the members that all of several sets have.")
        .keyed(|cx, args| combine_and_store(cx, args, Operation::Intersection)),
    command("sintercard", -3, Group::Set)
        .flags(READ)
        .counted_keys(0, 1, KeyUse::ReadAccess)
        .doc("7.0.0", "Returns how many members all of several sets have.")
        .keyed(cardinality),
    command("sunion", -2, Group::Set)
        .flags(READ)
        .keys(&[from(1, KeyUse::ReadAccess)])
        .doc("1.0.0", "Returns the members that any of several sets has.")
        .keyed(|cx, args| combine(cx, args, Operation::Union)),
    command("sunionstore", -3, Group::Set)
        .flags(STORE)
        .keys(&[first(KeyUse::OverwriteUpdate), from(2, KeyUse::ReadAccess)])
        .doc("1.0.0", "Stores the members that any of several sets has.")
        .keyed(|cx, args| combine_and_store(cx, args, Operation::Union)),
    command("sdiff", -2, Group::Set)
        .flags(READ)
        .keys(&[from(1, KeyUse::ReadAccess)])
        .doc("1.0.0", "Returns the members of a set that no other of several sets has.")
        .keyed(|cx, args| combine(cx, args, Operation::Difference)),
    command("sdiffstore", -3, Group::Set)
        .flags(STORE)
        .keys(&[first(KeyUse::OverwriteUpdate), from(2, KeyUse::ReadAccess)])
        .doc("1.0.0", "Stores the members of a set that no other of several sets has.")
        .keyed(|cx, args| combine_and_store(cx, args, Operation::Difference)),
    command("sscan", -3, Group::Set)
        .flags(READ)
        .keys(&[first(KeyUse::ReadAccess)])
        .doc("2.8.0", "Goes over the members of a set in steps.")
        .keyed(scan),
];

fn add(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    let key = cx.key(args, 1);
    let limits = &cx.settings.encoding;
    let new = || Set::with_hint(args.get(2), args.len() - 2, limits);
    let added = edit_or_insert(cx, key, new, |set: &mut Set| {
        args.from(2).filter(|member| set.add(member, limits)).count()
    })?;
    cx.reply.integer(added as i64);
    if added == 0 {
        return Ok(Outcome::Unchanged);
    }
    cx.changed(key, notify::SET, "sadd");
    cx.count_more_changes(added - 1);
    Ok(Outcome::Changed)
}

fn remove(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    let key = cx.key(args, 1);
    let Some(set) = edit::<Set>(cx.access, key)? else {
        cx.reply.integer(0);
        return Ok(Outcome::Unchanged);
    };
    let removed = args.from(2).filter(|member| set.remove(member)).count();
    let all = set.is_empty();
    cx.reply.integer(removed as i64);
    if removed == 0 {
        return Ok(Outcome::Unchanged);
    }
    taken(cx, key, (notify::SET, "srem"), Taken { count: removed, all });
    Ok(Outcome::Changed)
}

fn members(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    let key = cx.key(args, 1);
    match read::<Set>(cx, key)? {
        Some((set, reply)) => write_set(reply, set),
        None => cx.reply.set(0),
    }
    Ok(Outcome::Unchanged)
}

fn write_set(reply: &mut ReplyWriter<'_>, set: &Set) {
    reply.set(set.len());
    set.iter().for_each(|member| write_scalar(reply, member));
}

fn is_member(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    let key = cx.key(args, 1);
    let is_member = read::<Set>(cx, key)?.is_some_and(|(set, _)| set.contains(args.get(2)));
    cx.reply.integer(is_member.into());
    Ok(Outcome::Unchanged)
}

fn are_members(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    let key = cx.key(args, 1);
    let members = args.from(2);
    match read::<Set>(cx, key)? {
        Some((set, reply)) => {
            reply.array(members.len());
            members.for_each(|member| reply.integer(set.contains(member).into()));
        }
        None => {
            cx.reply.array(members.len());
            members.for_each(|_| cx.reply.integer(0));
        }
    }
    Ok(Outcome::Unchanged)
}

fn length(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    let key = cx.key(args, 1);
    let len = read::<Set>(cx, key)?.map_or(0, |(set, _)| set.len());
    cx.reply.integer(len as i64);
    Ok(Outcome::Unchanged)
}

fn pop(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    match args.len() {
        2 => pop_one(cx, args),
        3 => pop_several(cx, args),
        _ => Err(CommandError::SYNTAX),
    }
}

fn pop_one(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    let key = cx.key(args, 1);
    let Some(set) = edit::<Set>(cx.access, key)? else {
        cx.reply.null();
        return Ok(Outcome::Unchanged);
    };
    let popped = set.pop_random(&mut below(cx.random), |member| {
        write_scalar(&mut cx.reply, member);
        member.to_vec()
    });
    let Some(popped) = popped else { unreachable!("a set that is empty is not kept") };
    let all = set.is_empty();
    taken(cx, key, (notify::SET, "spop"), Taken { count: 1, all });
    Ok(Outcome::ChangedAs(Effect::command(&[b"SREM", key.bytes, &popped])))
}

fn pop_several(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    let count = non_negative(args.get(2))?;
    let key = cx.key(args, 1);
    let set = edit::<Set>(cx.access, key)?;
    let Some(set) = set.filter(|_| count > 0) else {
        cx.reply.set(0);
        return Ok(Outcome::Unchanged);
    };
    if count >= set.len() {
        let count = set.len();
        write_set(&mut cx.reply, set);
        taken(cx, key, (notify::SET, "spop"), Taken { count, all: true });
        return Ok(Outcome::ChangedAs(Effect::command(&[b"DEL", key.bytes])));
    }
    let picked = set.random_distinct(count, &mut below(cx.random));
    let popped: Vec<Vec<u8>> = picked.into_iter().map(|member| member.to_vec()).collect();
    cx.reply.set(popped.len());
    for member in &popped {
        set.remove(member);
        cx.reply.bulk(member);
    }
    cx.changed(key, notify::SET, "spop");
    cx.count_more_changes(popped.len() - 1);
    let mut effect = Effect::default();
    for members in popped.chunks(REMOVED_TOGETHER) {
        let mut words: Vec<&[u8]> = vec![b"SREM", key.bytes];
        words.extend(members.iter().map(Vec::as_slice));
        effect.push(&words);
    }
    Ok(Outcome::ChangedAs(effect))
}

fn random_members(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    let picks = match args.len() {
        2 => None,
        3 => Some(Picks::parse(args.get(2))?),
        _ => return Err(CommandError::SYNTAX),
    };
    let key = cx.key(args, 1);
    cx.look(key);
    let set = peek::<Set>(cx.access, key)?;
    let mut below = below(cx.random);
    match (picks, set) {
        (None, None) => cx.reply.null(),
        (Some(_), None) => cx.reply.array(0),
        (None, Some(set)) => {
            set.random(&mut below).into_iter().for_each(|member| write_scalar(&mut cx.reply, member));
        }
        (Some(Picks::Distinct(count)), Some(set)) => {
            let picked = set.random_distinct(count, &mut below);
            cx.reply.array(picked.len());
            picked.into_iter().for_each(|member| write_scalar(&mut cx.reply, member));
        }
        (Some(Picks::Repeated(count)), Some(set)) => {
            cx.reply.array(count);
            repeat(&mut cx.reply, count, |reply| {
                set.random(&mut below).into_iter().for_each(|member| write_scalar(reply, member));
            })?;
        }
    }
    Ok(Outcome::Unchanged)
}

fn move_member(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    let (source, destination) = (cx.key(args, 1), cx.key(args, 2));
    let member = args.get(3);
    let limits = &cx.settings.encoding;
    if cx.access.find(source).is_none() {
        cx.reply.integer(0);
        return Ok(Outcome::Unchanged);
    }
    peek::<Set>(cx.access, source)?;
    cx.access.find(destination);
    peek::<Set>(cx.access, destination)?;
    let Some(set) = edit::<Set>(cx.access, source)? else { unreachable!("it was just there") };
    if source.bytes == destination.bytes || !set.contains(member) {
        cx.reply.integer(set.contains(member).into());
        return Ok(Outcome::Unchanged);
    }
    set.remove(member);
    let all = set.is_empty();
    taken(cx, source, (notify::SET, "srem"), Taken { count: 1, all });
    let new = || Set::with_hint(member, 1, limits);
    if edit_or_insert(cx, destination, new, |set: &mut Set| set.add(member, limits))? {
        cx.changed(destination, notify::SET, "sadd");
    }
    cx.reply.integer(1);
    Ok(Outcome::Changed)
}

fn scan(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    let cursor = cursor(args.get(2))?;
    let key = cx.key(args, 1);
    let Some((set, reply)) = read::<Set>(cx, key)? else {
        write_empty_scan(&mut cx.reply);
        return Ok(Outcome::Unchanged);
    };
    let options = ScanOptions::of_elements(args, 3)?;
    write_scan(reply, |reply| {
        let mut written = 0;
        let next = set.scan(cursor, options.count, &mut |member| {
            if options.matches_scalar(member) {
                write_scalar(reply, member);
                written += 1;
            }
        });
        (next, written)
    });
    Ok(Outcome::Unchanged)
}
