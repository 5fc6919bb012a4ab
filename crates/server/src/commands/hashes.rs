//! Hashes: HSET, HGET, HDEL and their kin.

use redkeep_resp::ReplyWriter;
use redkeep_store::Hash;
use redkeep_store::value::{Scalar, ScalarBuf};

use super::long_double::LongDouble;
use super::parse::integer;
use super::scan_options::{ScanOptions, cursor, write_empty_scan, write_scan};
use super::values::{
    Picks, Taken, below, edit, edit_or_insert, open_pair, open_pairs, peek, read, repeat, taken, write_scalar,
};
use super::{Args, CommandResult, CommandSpec, Effect, Group, KeyUse, Keyed, Outcome, command, first, flag};
use crate::error::CommandError;
use crate::notify;

const READ: u32 = flag::READONLY;
const READ_FAST: u32 = flag::READONLY | flag::FAST;
const WRITE_FAST: u32 = flag::WRITE | flag::DENYOOM | flag::FAST;

pub(super) const COMMANDS: &[CommandSpec] = &[
    command("hset", -4, Group::Hash)
        .flags(WRITE_FAST)
        .keys(&[first(KeyUse::ReadWriteUpdate)])
        .doc("2.0.0", "Sets the values of fields of a hash.")
        .keyed(|cx, args| set(cx, args, SetReply::Added)),
    command("hsetnx", 4, Group::Hash)
        .flags(WRITE_FAST)
        .keys(&[first(KeyUse::ReadWriteInsert)])
        .doc("2.0.0", "Sets a field of a hash, if it does not exist.")
        .keyed(set_if_absent),
    command("hmset", -4, Group::Hash)
        .flags(WRITE_FAST)
        .keys(&[first(KeyUse::ReadWriteUpdate)])
        .doc("2.0.0", "Sets the values of fields of a hash.")
        .keyed(|cx, args| set(cx, args, SetReply::Ok)),
    command("hget", 3, Group::Hash)
        .flags(READ_FAST)
        .keys(&[first(KeyUse::ReadAccess)])
        .doc("2.0.0", "Returns the value of a field of a hash.")
        .keyed(get),
    command("hmget", -3, Group::Hash)
        .flags(READ_FAST)
        .keys(&[first(KeyUse::ReadAccess)])
        .doc("2.0.0", "Returns the values of several fields of a hash.")
        .keyed(get_several),
    command("hgetall", 2, Group::Hash)
        .flags(READ)
        .keys(&[first(KeyUse::ReadAccess)])
        .doc("2.0.0", "Returns all fields and values of a hash.")
        .keyed(get_all),
    command("hdel", -3, Group::Hash)
        .flags(flag::WRITE | flag::FAST)
        .keys(&[first(KeyUse::ReadWriteDelete)])
        .doc("2.0.0", "Removes fields from a hash, and the hash with its last field.")
        .keyed(delete),
    command("hlen", 2, Group::Hash)
        .flags(READ_FAST)
        .keys(&[first(KeyUse::ReadOnly)])
        .doc("2.0.0", "Returns the number of fields of a hash.")
        .keyed(length),
    command("hexists", 3, Group::Hash)
        .flags(READ_FAST)
        .keys(&[first(KeyUse::ReadOnly)])
        .doc("2.0.0", "Tells whether a field of a hash exists.")
        .keyed(exists),
    command("hkeys", 2, Group::Hash)
        .flags(READ)
        .keys(&[first(KeyUse::ReadAccess)])
        .doc("2.0.0", "Returns all fields of a hash.")
        .keyed(|cx, args| get_halves(cx, args, |(field, _)| field)),
    command("hvals", 2, Group::Hash)
        .flags(READ)
        .keys(&[first(KeyUse::ReadAccess)])
        .doc("2.0.0", "Returns all values of a hash.")
        .keyed(|cx, args| get_halves(cx, args, |(_, value)| value)),
    command("hincrby", 4, Group::Hash)
        .flags(WRITE_FAST)
        .keys(&[first(KeyUse::ReadWriteAccessUpdate)])
        .doc("2.0.0", "Adds an integer to the value of a field of a hash.")
        .keyed(increment),
    command("hincrbyfloat", 4, Group::Hash)
        .flags(WRITE_FAST)
        .keys(&[first(KeyUse::ReadWriteAccessUpdate)])
        .doc("2.6.0", "Adds a floating point number to the value of a field of a hash.")
        .keyed(increment_by_float),
    command("hstrlen", 3, Group::Hash)
        .flags(READ_FAST)
        .keys(&[first(KeyUse::ReadOnly)])
        .doc("3.2.0", "Returns the length of the value of a field of a hash.")
        .keyed(value_length),
    command("hrandfield", -2, Group::Hash)
        .flags(READ)
        .keys(&[first(KeyUse::ReadAccess)])
        .doc("6.2.0", "Returns random fields of a hash.")
        .keyed(random_fields),
    command("hscan", -3, Group::Hash)
        .flags(READ)
        .keys(&[first(KeyUse::ReadAccess)])
        .doc("2.8.0", "Goes over the fields and values of a hash in steps.")
        .keyed(scan),
];

/// What HSET and its older form reply.
#[derive(Clone, Copy)]
enum SetReply {
    /// The number of new fields.
    Added,
    /// OK.
    Ok,
}

fn set(cx: &mut Keyed<'_, '_>, args: Args<'_>, form: SetReply) -> CommandResult {
    if !args.len().is_multiple_of(2) {
        return Err(CommandError::wrong_arity(match form {
            SetReply::Added => "hset",
            SetReply::Ok => "hmset",
        }));
    }
    let key = cx.key(args, 1);
    let limits = &cx.settings.encoding;
    let fields = (args.len() - 2) / 2;
    let added = edit_or_insert(
        cx,
        key,
        || Hash::with_hint(fields, limits),
        |hash: &mut Hash| {
            let set = |i: usize| hash.set(args.get(i), args.get(i + 1), limits);
            (2..args.len()).step_by(2).map(set).filter(|new| *new).count()
        },
    )?;
    cx.changed(key, notify::HASH, "hset");
    cx.count_more_changes(fields - 1);
    match form {
        SetReply::Added => cx.reply.integer(added as i64),
        SetReply::Ok => cx.reply.ok(),
    }
    Ok(Outcome::Changed)
}

fn set_if_absent(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    let key = cx.key(args, 1);
    let limits = &cx.settings.encoding;
    let set = |hash: &mut Hash| hash.set_if_absent(args.get(2), args.get(3), limits);
    let is_new = edit_or_insert(cx, key, Hash::new, set)?;
    cx.reply.integer(is_new.into());
    if !is_new {
        return Ok(Outcome::Unchanged);
    }
    cx.changed(key, notify::HASH, "hset");
    Ok(Outcome::Changed)
}

fn get(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    let key = cx.key(args, 1);
    match read::<Hash>(cx, key)?.and_then(|(hash, reply)| Some((hash.get(args.get(2))?, reply))) {
        Some((value, reply)) => write_scalar(reply, value),
        None => cx.reply.null(),
    }
    Ok(Outcome::Unchanged)
}

fn get_several(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    let key = cx.key(args, 1);
    let fields = args.from(2);
    match read::<Hash>(cx, key)? {
        Some((hash, reply)) => {
            reply.array(fields.len());
            for field in fields {
                match hash.get(field) {
                    Some(value) => write_scalar(reply, value),
                    None => reply.null(),
                }
            }
        }
        None => {
            cx.reply.array(fields.len());
            fields.for_each(|_| cx.reply.null());
        }
    }
    Ok(Outcome::Unchanged)
}

fn get_all(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    let key = cx.key(args, 1);
    match read::<Hash>(cx, key)? {
        Some((hash, reply)) => {
            reply.map(hash.len());
            for (field, value) in hash {
                write_scalar(reply, field);
                write_scalar(reply, value);
            }
        }
        None => cx.reply.map(0),
    }
    Ok(Outcome::Unchanged)
}

fn get_halves(
    cx: &mut Keyed<'_, '_>,
    args: Args<'_>,
    half: for<'a> fn((Scalar<'a>, Scalar<'a>)) -> Scalar<'a>,
) -> CommandResult {
    let key = cx.key(args, 1);
    match read::<Hash>(cx, key)? {
        Some((hash, reply)) => {
            reply.array(hash.len());
            hash.iter().for_each(|pair| write_scalar(reply, half(pair)));
        }
        None => cx.reply.array(0),
    }
    Ok(Outcome::Unchanged)
}

fn delete(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    let key = cx.key(args, 1);
    let Some(hash) = edit::<Hash>(cx.access, key)? else {
        cx.reply.integer(0);
        return Ok(Outcome::Unchanged);
    };
    let removed = args.from(2).filter(|field| hash.remove(field)).count();
    let all = hash.is_empty();
    cx.reply.integer(removed as i64);
    if removed == 0 {
        return Ok(Outcome::Unchanged);
    }
    taken(cx, key, (notify::HASH, "hdel"), Taken { count: removed, all });
    Ok(Outcome::Changed)
}

fn length(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    let key = cx.key(args, 1);
    let len = read::<Hash>(cx, key)?.map_or(0, |(hash, _)| hash.len());
    cx.reply.integer(len as i64);
    Ok(Outcome::Unchanged)
}

fn exists(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    let key = cx.key(args, 1);
    let exists = read::<Hash>(cx, key)?.is_some_and(|(hash, _)| hash.contains(args.get(2)));
    cx.reply.integer(exists.into());
    Ok(Outcome::Unchanged)
}

fn value_length(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    let key = cx.key(args, 1);
    let value = read::<Hash>(cx, key)?.and_then(|(hash, _)| hash.get(args.get(2)));
    let len = value.map_or(0, |value| value.len());
    cx.reply.integer(len as i64);
    Ok(Outcome::Unchanged)
}

fn increment(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    let by = integer(args.get(3))?;
    let key = cx.key(args, 1);
    let limits = &cx.settings.encoding;
    let sum = edit_or_insert(cx, key, Hash::new, |hash: &mut Hash| {
        let old = match hash.get(args.get(2)) {
            Some(value) => {
                value.as_int().ok_or_else(|| CommandError::new("ERR hash value is not an integer"))?
            }
            None => 0,
        };
        let sum = old.checked_add(by).ok_or(CommandError::OVERFLOW)?;
        hash.set(args.get(2), Scalar::Int(sum).as_bytes(&mut ScalarBuf::new()), limits);
        Ok::<i64, CommandError>(sum)
    })??;
    cx.changed(key, notify::HASH, "hincrby");
    cx.reply.integer(sum);
    Ok(Outcome::Changed)
}

fn increment_by_float(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    let by = LongDouble::parse(args.get(3)).ok_or(CommandError::NOT_FLOAT)?;
    if by == LongDouble::Infinite {
        return Err(CommandError::new("ERR value is NaN or Infinity"));
    }
    let key = cx.key(args, 1);
    let limits = &cx.settings.encoding;
    let sum = edit_or_insert(cx, key, Hash::new, |hash: &mut Hash| {
        let old = match hash.get(args.get(2)) {
            Some(value) => LongDouble::parse(value.as_bytes(&mut ScalarBuf::new()))
                .ok_or_else(|| CommandError::new("ERR hash value is not a float"))?,
            None => LongDouble::Zero,
        };
        let sum = old.checked_add(by).and_then(LongDouble::print).ok_or(CommandError::NOT_FINITE)?;
        hash.set(args.get(2), sum.as_bytes(), limits);
        Ok::<String, CommandError>(sum)
    })??;
    cx.changed(key, notify::HASH, "hincrbyfloat");
    cx.reply.bulk_str(&sum);
    // Replicas and log readers must not add again: their arithmetic might round otherwise.
    Ok(Outcome::ChangedAs(Effect::command(&[b"HSET", args.get(1), args.get(2), sum.as_bytes()])))
}

fn random_fields(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    let key = cx.key(args, 1);
    if args.len() == 2 {
        cx.look(key);
        let hash = peek::<Hash>(cx.access, key)?;
        match hash.and_then(|hash| hash.random(&mut below(cx.random))) {
            Some((field, _)) => write_scalar(&mut cx.reply, field),
            None => cx.reply.null(),
        }
        return Ok(Outcome::Unchanged);
    }
    let mut picks = Picks::parse(args.get(2))?;
    let paired = args.len() == 4;
    if args.len() > 4 || (paired && !args.is(3, "withvalues")) {
        return Err(CommandError::SYNTAX);
    }
    if paired {
        picks = picks.of_pairs()?;
    }
    cx.look(key);
    let Some(hash) = peek::<Hash>(cx.access, key)? else {
        cx.reply.array(0);
        return Ok(Outcome::Unchanged);
    };
    let write = |reply: &mut ReplyWriter<'_>, (field, value)| {
        if paired {
            open_pair(reply);
        }
        write_scalar(reply, field);
        if paired {
            write_scalar(reply, value);
        }
    };
    let mut below = below(cx.random);
    match picks {
        Picks::Distinct(count) => {
            let picked = hash.random_distinct(count, &mut below);
            open_pairs(&mut cx.reply, picked.len(), paired);
            picked.into_iter().for_each(|pair| write(&mut cx.reply, pair));
        }
        Picks::Repeated(count) => {
            open_pairs(&mut cx.reply, count, paired);
            repeat(&mut cx.reply, count, |reply| {
                hash.random(&mut below).into_iter().for_each(|pair| write(reply, pair));
            })?;
        }
    }
    Ok(Outcome::Unchanged)
}

fn scan(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    let cursor = cursor(args.get(2))?;
    let key = cx.key(args, 1);
    let Some((hash, reply)) = read::<Hash>(cx, key)? else {
        write_empty_scan(&mut cx.reply);
        return Ok(Outcome::Unchanged);
    };
    let options = ScanOptions::of_elements(args, 3)?;
    write_scan(reply, |reply| {
        let mut written = 0;
        let next = hash.scan(cursor, options.count, &mut |field, value| {
            if options.matches_scalar(field) {
                write_scalar(reply, field);
                write_scalar(reply, value);
                written += 2;
            }
        });
        (next, written)
    });
    Ok(Outcome::Unchanged)
}
