//! What concerns more than one database, or all keys of one: COPY, MOVE, SWAPDB, FLUSHDB, FLUSHALL.
//!
//! These own the keyspace while they run. Other commands lock keys of one database only.

use std::borrow::Cow;

use redkeep_rdb::Loaded;
use redkeep_resp::parse_integer;
use redkeep_store::{Key, Value, ValueRef};

use super::dump::put;
use crate::commands::parse::integer;
use crate::commands::{
    Args, CommandResult, CommandSpec, Exclusive, Group, KeyUse, Outcome, at, command, first, flag,
};
use crate::error::CommandError;
use crate::notify;

const FLUSH: u32 = flag::WRITE | flag::DANGEROUS | flag::ALL_KEYS;

pub(in crate::commands) const COMMANDS: &[CommandSpec] = &[
    command("copy", -3, Group::Generic)
        .flags(flag::WRITE | flag::DENYOOM)
        .keys(&[first(KeyUse::ReadAccess), at(2, KeyUse::OverwriteUpdate)])
        .doc("6.2.0", "Copies the value at a key to another key, of this or of another database.")
        .exclusive(copy),
    command("move", 3, Group::Generic)
        .flags(flag::WRITE | flag::FAST)
        .keys(&[first(KeyUse::ReadWriteAccessDelete)])
        .doc("1.0.0", "Moves a key to another database.")
        .exclusive(move_key),
    command("swapdb", 3, Group::Server)
        .flags(flag::WRITE | flag::FAST | flag::DANGEROUS | flag::ALL_KEYS)
        .doc("4.0.0", "Exchanges two databases.")
        .exclusive(swapdb),
    command("flushdb", -1, Group::Server)
        .flags(FLUSH)
        .doc("1.0.0", "Deletes all keys of the database.")
        .exclusive(flushdb),
    command("flushall", -1, Group::Server)
        .flags(FLUSH)
        .doc("1.0.0", "Deletes all keys of all databases.")
        .exclusive(flushall),
];

/// The number of a database, which Redis reads as a C int before it looks whether there is one.
fn database(cx: &Exclusive<'_>, word: &[u8]) -> Result<usize, CommandError> {
    let number = integer(word)?;
    let Ok(number) = i32::try_from(number) else {
        return Err(CommandError::new(format!(
            "ERR value is out of range, value must between {} and {}",
            i32::MIN,
            i32::MAX
        )));
    };
    existing(cx, i64::from(number))
}

fn existing(cx: &Exclusive<'_>, number: i64) -> Result<usize, CommandError> {
    let databases = cx.engine.keyspace.databases();
    usize::try_from(number).ok().filter(|db| *db < databases).ok_or(CommandError::DB_INDEX)
}

fn copy(cx: &mut Exclusive<'_>, args: Args<'_>) -> CommandResult {
    let db = cx.session.db;
    let (mut to_db, mut replace) = (db, false);
    let mut i = 3;
    while i < args.len() {
        if args.is(i, "replace") {
            replace = true;
        } else if args.is(i, "db") && i + 1 < args.len() {
            i += 1;
            to_db = database(cx, args.get(i))?;
        } else {
            return Err(CommandError::SYNTAX);
        }
        i += 1;
    }
    let keyspace = &cx.engine.keyspace;
    let (from, to) = (keyspace.key(args.get(1)), keyspace.key(args.get(2)));
    if db == to_db && from.bytes == to.bytes {
        return Err(CommandError::SAME_OBJECT);
    }
    if !cx.look(db, from) || (cx.with_keys(to_db, |access| access.find(to).is_some()) && !replace) {
        cx.reply.integer(0);
        return Ok(Outcome::Unchanged);
    }
    let copied = cx.with_keys(db, |access| access.peek(from).map(|e| (copy_of(e.value()), e.expire_ms())));
    if let Some((value, expire_ms)) = copied {
        let old = cx.with_keys(to_db, |access| put(access, to, value, expire_ms));
        old.into_iter().for_each(|old| cx.engine.disposal.value(old));
    }
    tell_of_new(cx, to_db, to);
    cx.changed(to_db, to, notify::GENERIC, "copy_to");
    cx.reply.integer(1);
    Ok(Outcome::Changed)
}

fn copy_of(value: ValueRef<'_>) -> Loaded<'static> {
    match value {
        ValueRef::String(bytes) => Loaded::String(Cow::Owned(bytes.to_vec())),
        ValueRef::List(list) => Loaded::Value(Value::List(list.clone())),
        ValueRef::Set(set) => Loaded::Value(Value::Set(set.clone())),
        ValueRef::SortedSet(sorted_set) => Loaded::Value(Value::SortedSet(sorted_set.clone())),
        ValueRef::Hash(hash) => Loaded::Value(Value::Hash(hash.clone())),
    }
}

fn tell_of_new(cx: &Exclusive<'_>, db: usize, key: Key<'_>) {
    cx.engine.publish_event(cx.settings, db, key.bytes, notify::NEW, "new");
}

fn move_key(cx: &mut Exclusive<'_>, args: Args<'_>) -> CommandResult {
    let (db, to_db) = (cx.session.db, database(cx, args.get(2))?);
    if db == to_db {
        return Err(CommandError::SAME_OBJECT);
    }
    let key = cx.engine.keyspace.key(args.get(1));
    let movable = cx.with_keys(db, |access| access.find(key).is_some())
        && !cx.with_keys(to_db, |access| access.find(key).is_some());
    let moved = if movable { cx.with_keys(db, |access| access.remove(key)) } else { None };
    cx.reply.integer(i64::from(moved.is_some()));
    let Some(moved) = moved else { return Ok(Outcome::Unchanged) };
    let expire_ms = moved.expire_ms();
    cx.with_keys(to_db, |access| access.insert_owned(key, moved, expire_ms));
    tell_of_new(cx, to_db, key);
    cx.changed(db, key, notify::GENERIC, "move_from");
    cx.changed(to_db, key, notify::GENERIC, "move_to");
    Ok(Outcome::Changed)
}

fn swapdb(cx: &mut Exclusive<'_>, args: Args<'_>) -> CommandResult {
    let number = |i, error| {
        let number = parse_integer(args.get(i)).filter(|n| i32::try_from(*n).is_ok());
        number.ok_or(CommandError::new(error))
    };
    let left = number(1, "ERR invalid first DB index")?;
    let right = number(2, "ERR invalid second DB index")?;
    let (left, right) = (existing(cx, left)?, existing(cx, right)?);
    cx.engine.swap(cx.claim, left, right);
    cx.reply.ok();
    Ok(Outcome::Changed)
}

fn flushdb(cx: &mut Exclusive<'_>, args: Args<'_>) -> CommandResult {
    let db = cx.session.db;
    flush(cx, args, db..db + 1)
}

fn flushall(cx: &mut Exclusive<'_>, args: Args<'_>) -> CommandResult {
    let databases = cx.engine.keyspace.databases();
    flush(cx, args, 0..databases)
}

/// Empties databases. What they held is freed in the background, whatever mode is asked for: nobody can tell.
fn flush(cx: &mut Exclusive<'_>, args: Args<'_>, databases: std::ops::Range<usize>) -> CommandResult {
    let mode_is_known = args.len() == 1 || (args.len() == 2 && (args.is(1, "async") || args.is(1, "sync")));
    if !mode_is_known {
        return Err(CommandError::SYNTAX);
    }
    let mut changed = false;
    for db in databases {
        if let Some(flushed) = cx.engine.flush(cx.claim, db) {
            cx.engine.disposal.database(flushed);
            changed = true;
        }
    }
    cx.reply.ok();
    // Replicas are told even if there was nothing to delete here: they may have keys that should not be there.
    Ok(if changed { Outcome::Changed } else { Outcome::Announced })
}
