//! Strings that are numbers: INCR and its relatives.

use redkeep_resp::parse_integer;
use redkeep_store::{Expire, Key, ValueMut};

use super::{store, string};
use crate::commands::long_double::LongDouble;
use crate::commands::parse::integer;
use crate::commands::{
    Args, CommandResult, CommandSpec, Effect, Group, KeyUse, Keyed, Outcome, command, first, flag,
};
use crate::error::CommandError;
use crate::notify;

const WRITE: u32 = flag::WRITE | flag::DENYOOM | flag::FAST;

pub(in crate::commands) const COMMANDS: &[CommandSpec] = &[
    command("incr", 2, Group::String)
        .flags(WRITE)
        .keys(&[first(KeyUse::ReadWriteAccessUpdate)])
        .doc("1.0.0", "Adds one to the integer at a key; an absent key counts as 0.")
        .keyed(incr),
    command("decr", 2, Group::String)
        .flags(WRITE)
        .keys(&[first(KeyUse::ReadWriteAccessUpdate)])
        .doc("1.0.0", "Subtracts one from the integer at a key; an absent key counts as 0.")
        .keyed(decr),
    command("incrby", 3, Group::String)
        .flags(WRITE)
        .keys(&[first(KeyUse::ReadWriteAccessUpdate)])
        .doc("1.0.0", "Adds a number to the integer at a key; an absent key counts as 0.")
        .keyed(incrby),
    command("decrby", 3, Group::String)
        .flags(WRITE)
        .keys(&[first(KeyUse::ReadWriteAccessUpdate)])
        .doc("1.0.0", "Subtracts a number from the integer at a key; an absent key counts as 0.")
        .keyed(decrby),
    command("incrbyfloat", 3, Group::String)
        .flags(WRITE)
        .keys(&[first(KeyUse::ReadWriteAccessUpdate)])
        .doc("2.6.0", "Adds a number to the floating point number at a key; an absent key counts as 0.")
        .keyed(incrbyfloat),
];

#[inline]
fn incr(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    add(cx, args, 1)
}

fn decr(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    add(cx, args, -1)
}

fn incrby(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    add(cx, args, integer(args.get(2))?)
}

fn decrby(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    let decrement = integer(args.get(2))?;
    let increment = decrement.checked_neg().ok_or(CommandError::new("ERR decrement would overflow"))?;
    add(cx, args, increment)
}

#[inline]
fn add(cx: &mut Keyed<'_, '_>, args: Args<'_>, increment: i64) -> CommandResult {
    let key = cx.key(args, 1);
    let sum = add_in_place(cx, key, increment)?;
    let sum = match sum {
        Sum::Stored(sum) => sum,
        Sum::NoRoom(sum) => {
            store(cx, key, itoa::Buffer::new().format(sum).as_bytes(), Expire::Keep);
            sum
        }
    };
    cx.changed(key, notify::STRING, "incrby");
    cx.reply.integer(sum);
    Ok(Outcome::Changed)
}

enum Sum {
    /// It is in its place.
    Stored(i64),
    /// It has another number of digits than what was there, and is to be stored.
    NoRoom(i64),
}

/// Adds to the integer at a key. Mostly the sum has as many digits as before, and is written over them.
#[inline]
fn add_in_place(cx: &mut Keyed<'_, '_>, key: Key<'_>, increment: i64) -> Result<Sum, CommandError> {
    let Some(mut entry) = cx.access.find_mut(key) else { return Ok(Sum::NoRoom(increment)) };
    let ValueMut::String(bytes) = entry.value_mut() else { return Err(CommandError::WRONG_TYPE) };
    let value = parse_integer(bytes).ok_or(CommandError::NOT_INTEGER)?;
    let sum = value.checked_add(increment).ok_or(CommandError::OVERFLOW)?;
    let mut digits = itoa::Buffer::new();
    let digits = digits.format(sum).as_bytes();
    if digits.len() != bytes.len() {
        return Ok(Sum::NoRoom(sum));
    }
    bytes.copy_from_slice(digits);
    Ok(Sum::Stored(sum))
}

fn incrbyfloat(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    let key = cx.key(args, 1);
    let number = |text| LongDouble::parse(text).ok_or(CommandError::NOT_FLOAT);
    let value = string(cx.access.find(key))?.map_or(Ok(LongDouble::Zero), number)?;
    let sum = value.checked_add(number(args.get(2))?).and_then(LongDouble::print);
    let sum = sum.ok_or(CommandError::NOT_FINITE)?;
    store(cx, key, sum.as_bytes(), Expire::Keep);
    cx.changed(key, notify::STRING, "incrbyfloat");
    cx.reply.bulk_str(&sum);
    Ok(Outcome::ChangedAs(Effect::command(&[b"SET", key.bytes, sum.as_bytes(), b"KEEPTTL"])))
}
