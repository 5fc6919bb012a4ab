//! Setting strings: SET and the older commands that it has replaced, MSET and MSETNX.
//!
//! A relative time to live is propagated as the time at which the key expires.

use redkeep_store::{Expire, Key};

use super::options::{Condition, Options, Taker, Ttl, positive_expiry};
use super::{read, store};
use crate::commands::parse::ExpiryUnit;
use crate::commands::{
    Args, CommandResult, CommandSpec, Effect, Group, KeySpec, KeyUse, Keyed, Outcome, command, first, flag,
};
use crate::error::CommandError;
use crate::notify;

const WRITE: u32 = flag::WRITE | flag::DENYOOM;

pub(in crate::commands) const COMMANDS: &[CommandSpec] = &[
    command("set", -3, Group::String)
        .flags(WRITE)
        .keys(&[first(KeyUse::ReadWriteAccessUpdate)])
        .doc("1.0.0", "Sets a key to a string, whatever it held before.")
        .keyed(set),
    command("setnx", 3, Group::String)
        .flags(WRITE | flag::FAST)
        .keys(&[first(KeyUse::OverwriteInsert)])
        .doc("1.0.0", "Sets a key to a string if it does not exist.")
        .keyed(setnx),
    command("setex", 4, Group::String)
        .flags(WRITE)
        .keys(&[first(KeyUse::OverwriteUpdate)])
        .doc("2.0.0", "Sets a key to a string that expires after some seconds.")
        .keyed(setex),
    command("psetex", 4, Group::String)
        .flags(WRITE)
        .keys(&[first(KeyUse::OverwriteUpdate)])
        .doc("2.6.0", "Sets a key to a string that expires after some milliseconds.")
        .keyed(psetex),
    command("getset", 3, Group::String)
        .flags(WRITE | flag::FAST)
        .keys(&[first(KeyUse::ReadWriteAccessUpdate)])
        .doc("1.0.0", "Sets a key to a string and returns the string that it held before.")
        .keyed(getset),
    command("mset", -3, Group::String)
        .flags(WRITE)
        .keys(&[KeySpec { first: 1, last: -1, step: 2, usage: KeyUse::OverwriteUpdate }])
        .doc("1.0.1", "Sets several keys to strings in one step.")
        .keyed(mset),
    command("msetnx", -3, Group::String)
        .flags(WRITE)
        .keys(&[KeySpec { first: 1, last: -1, step: 2, usage: KeyUse::OverwriteInsert }])
        .doc("1.0.1", "Sets several keys to strings in one step if none of them exists.")
        .keyed(msetnx),
];

#[inline]
fn set(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    if args.len() > 3 {
        return set_with_options(cx, args);
    }
    let key = cx.key(args, 1);
    put(cx, key, args.get(2), Expire::None);
    cx.reply.ok();
    Ok(Outcome::Changed)
}

/// Stores a string and says so.
#[inline]
fn put(cx: &mut Keyed<'_, '_>, key: Key<'_>, value: &[u8], expire: Expire) {
    store(cx, key, value, expire);
    cx.changed(key, notify::STRING, "set");
}

fn set_with_options(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    let options = Options::parse(args, 3, Taker::Set)?;
    let expire_ms = options.expire_ms(cx.now_ms, "set")?;
    let (key, value) = (cx.key(args, 1), args.get(2));
    if options.get {
        reply_with_old(cx, key)?;
    }
    let met = match options.condition {
        Condition::Any => true,
        Condition::Absent => cx.access.find(key).is_none(),
        Condition::Present => cx.access.find(key).is_some(),
    };
    if !met {
        if !options.get {
            cx.reply.null();
        }
        return Ok(Outcome::Unchanged);
    }
    if !options.get {
        cx.reply.ok();
    }
    if let Some(expire_ms) = expire_ms {
        return Ok(put_expiring(cx, key, value, expire_ms));
    }
    put(cx, key, value, if options.ttl == Ttl::Keep { Expire::Keep } else { Expire::None });
    Ok(if options.get { Outcome::ChangedAs(without_get(args)) } else { Outcome::Changed })
}

/// Stores a string that expires, and says so.
fn put_expiring(cx: &mut Keyed<'_, '_>, key: Key<'_>, value: &[u8], expire_ms: u64) -> Outcome {
    put(cx, key, value, Expire::At(expire_ms));
    cx.notify(key, notify::GENERIC, "expire");
    let expire_ms = expire_ms.to_string();
    Outcome::ChangedAs(Effect::command(&[b"SET", key.bytes, value, b"PXAT", expire_ms.as_bytes()]))
}

/// Replies with the string at a key.
fn reply_with_old(cx: &mut Keyed<'_, '_>, key: Key<'_>) -> Result<(), CommandError> {
    match read(cx, key)? {
        (Some(old), reply) => reply.bulk(old),
        (None, reply) => reply.null(),
    }
    Ok(())
}

/// The request without the option GET, whose reply nobody needs who only repeats the change.
fn without_get(args: Args<'_>) -> Effect {
    let options = args.from(3).filter(|word| !word.eq_ignore_ascii_case(b"get"));
    let words: Vec<&[u8]> = [&b"SET"[..], args.get(1), args.get(2)].into_iter().chain(options).collect();
    Effect::command(&words)
}

fn setnx(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    let key = cx.key(args, 1);
    if cx.access.find(key).is_some() {
        cx.reply.integer(0);
        return Ok(Outcome::Unchanged);
    }
    put(cx, key, args.get(2), Expire::None);
    cx.reply.integer(1);
    Ok(Outcome::Changed)
}

fn setex(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    set_expiring(cx, args, ExpiryUnit::Seconds, "setex")
}

fn psetex(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    set_expiring(cx, args, ExpiryUnit::Millis, "psetex")
}

fn set_expiring(cx: &mut Keyed<'_, '_>, args: Args<'_>, unit: ExpiryUnit, command: &str) -> CommandResult {
    let expire_ms = positive_expiry(args.get(2), unit, cx.now_ms, command)?;
    let key = cx.key(args, 1);
    cx.reply.ok();
    Ok(put_expiring(cx, key, args.get(3), expire_ms))
}

fn getset(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    let (key, value) = (cx.key(args, 1), args.get(2));
    reply_with_old(cx, key)?;
    put(cx, key, value, Expire::None);
    Ok(Outcome::ChangedAs(Effect::command(&[b"SET", key.bytes, value])))
}

fn mset(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    if args.len().is_multiple_of(2) {
        return Err(CommandError::wrong_arity("mset"));
    }
    put_all(cx, args);
    cx.reply.ok();
    Ok(Outcome::Changed)
}

fn msetnx(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    if args.len().is_multiple_of(2) {
        return Err(CommandError::wrong_arity("msetnx"));
    }
    for i in (1..args.len()).step_by(2) {
        let key = cx.key(args, i);
        if cx.access.find(key).is_some() {
            cx.reply.integer(0);
            return Ok(Outcome::Unchanged);
        }
    }
    put_all(cx, args);
    cx.reply.integer(1);
    Ok(Outcome::Changed)
}

fn put_all(cx: &mut Keyed<'_, '_>, args: Args<'_>) {
    for i in (1..args.len()).step_by(2) {
        let key = cx.key(args, i);
        put(cx, key, args.get(i + 1), Expire::None);
    }
    cx.count_more_changes(args.len() / 2 - 1);
}
