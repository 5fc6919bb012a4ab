//! Reading strings: GET, MGET, STRLEN, GETRANGE, SUBSTR; and GETDEL and GETEX, which read and then do something to
//! the key.

use redkeep_store::{ExpiryMode, Key, ValueRef};

use super::options::{Options, Taker, Ttl};
use super::read;
use crate::commands::parse::integer;
use crate::commands::{
    Args, CommandResult, CommandSpec, Effect, Group, KeyUse, Keyed, Outcome, command, first, flag, from,
};
use crate::notify;

pub(in crate::commands) const COMMANDS: &[CommandSpec] = &[
    command("get", 2, Group::String)
        .flags(flag::READONLY | flag::FAST)
        .keys(&[first(KeyUse::ReadAccess)])
        .doc("1.0.0", "Returns the string at a key.")
        .keyed(get),
    command("mget", -2, Group::String)
        .flags(flag::READONLY | flag::FAST)
        .keys(&[from(1, KeyUse::ReadAccess)])
        .doc("1.0.0", "Returns the strings at several keys, none for those that hold something else.")
        .keyed(mget),
    command("strlen", 2, Group::String)
        .flags(flag::READONLY | flag::FAST)
        .keys(&[first(KeyUse::ReadOnly)])
        .doc("2.2.0", "Returns the length of a string in bytes.")
        .keyed(strlen),
    command("getrange", 4, Group::String)
        .flags(flag::READONLY)
        .keys(&[first(KeyUse::ReadAccess)])
        .doc("2.4.0", "Returns a part of a string.")
        .keyed(getrange),
    command("substr", 4, Group::String)
        .flags(flag::READONLY)
        .keys(&[first(KeyUse::ReadAccess)])
        .doc("1.0.0", "Returns a part of a string; the old name of GETRANGE.")
        .keyed(getrange),
    command("getdel", 2, Group::String)
        .flags(flag::WRITE | flag::FAST)
        .keys(&[first(KeyUse::ReadWriteAccessDelete)])
        .doc("6.2.0", "Returns the string at a key and deletes the key.")
        .keyed(getdel),
    command("getex", -2, Group::String)
        .flags(flag::WRITE | flag::FAST)
        .keys(&[first(KeyUse::ReadWriteAccessUpdate)])
        .doc("6.2.0", "Returns the string at a key and sets or removes its time to live.")
        .keyed(getex),
];

#[inline]
fn get(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    let key = cx.key(args, 1);
    match read(cx, key)? {
        (Some(value), reply) => reply.bulk(value),
        (None, reply) => reply.null(),
    }
    Ok(Outcome::Unchanged)
}

fn mget(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    cx.reply.array(args.len() - 1);
    for i in 1..args.len() {
        let key = cx.key(args, i);
        let (entry, reply) = cx.read(key);
        match entry.map(|entry| entry.value()) {
            Some(ValueRef::String(value)) => reply.bulk(value),
            _ => reply.null(),
        }
    }
    Ok(Outcome::Unchanged)
}

fn strlen(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    let key = cx.key(args, 1);
    let (value, reply) = read(cx, key)?;
    reply.integer(value.map_or(0, <[u8]>::len) as i64);
    Ok(Outcome::Unchanged)
}

fn getrange(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    let (start, end) = (integer(args.get(2))?, integer(args.get(3))?);
    let key = cx.key(args, 1);
    let (value, reply) = read(cx, key)?;
    reply.bulk(value.map_or(b"", |value| part(value, start, end)));
    Ok(Outcome::Unchanged)
}

/// The bytes from `start` to `end`, both included; negative ones count from the end of the string.
fn part(value: &[u8], start: i64, end: i64) -> &[u8] {
    let len = value.len() as i64;
    if (start < 0 && end < 0 && start > end) || len == 0 {
        return b"";
    }
    let from_end = |at: i64| if at < 0 { at.saturating_add(len).max(0) } else { at };
    let (start, end) = (from_end(start), from_end(end).min(len - 1));
    if start > end { b"" } else { &value[start as usize..=end as usize] }
}

fn getdel(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    let key = cx.key(args, 1);
    let (Some(value), reply) = read(cx, key)? else {
        cx.reply.null();
        return Ok(Outcome::Unchanged);
    };
    reply.bulk(value);
    Ok(delete(cx, key))
}

/// Deletes a key that is there.
fn delete(cx: &mut Keyed<'_, '_>, key: Key<'_>) -> Outcome {
    cx.access.remove(key);
    cx.changed(key, notify::GENERIC, "del");
    Outcome::ChangedAs(Effect::command(&[b"DEL", key.bytes]))
}

fn getex(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    let options = Options::parse(args, 2, Taker::GetEx)?;
    let now_ms = cx.now_ms;
    let key = cx.key(args, 1);
    let (Some(value), reply) = read(cx, key)? else {
        cx.reply.null();
        return Ok(Outcome::Unchanged);
    };
    let expire_ms = options.expire_ms(now_ms, "getex")?;
    reply.bulk(value);
    if let Some(expire_ms) = expire_ms {
        // On a replica it is for the primary to delete the key.
        if expire_ms <= now_ms && cx.access.context().expiry == ExpiryMode::Delete {
            return Ok(delete(cx, key));
        }
        cx.access.set_expire(key, Some(expire_ms));
        cx.changed(key, notify::GENERIC, "expire");
        let expire_ms = expire_ms.to_string();
        return Ok(Outcome::ChangedAs(Effect::command(&[b"PEXPIREAT", key.bytes, expire_ms.as_bytes()])));
    }
    let volatile = cx.access.peek(key).is_some_and(|entry| entry.expire_ms().is_some());
    if options.ttl != Ttl::Persist || !volatile {
        return Ok(Outcome::Unchanged);
    }
    cx.access.set_expire(key, None);
    cx.changed(key, notify::GENERIC, "persist");
    Ok(Outcome::ChangedAs(Effect::command(&[b"PERSIST", key.bytes])))
}

#[cfg(test)]
mod tests {
    use super::part;

    #[test]
    fn parts_are_cut_as_redis_cuts_them() {
        for (start, end, expected) in [
            (0, 3, "This"),
            (0, -1, "This is"),
            (-2, -1, "is"),
            (5, 100, "is"),
            (0, -100, "T"),
            (-100, 1, "Th"),
            (7, 9, ""),
            (-1, -2, ""),
            (i64::MIN, i64::MAX, "This is"),
        ] {
            assert_eq!(part(b"This is", start, end), expected.as_bytes(), "{start} {end}");
        }
        assert_eq!(part(b"", 0, -1), b"");
    }
}
