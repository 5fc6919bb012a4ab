//! Changing parts of strings: APPEND, SETRANGE.

use super::{string, tell_if_new};
use crate::commands::parse::integer;
use crate::commands::{
    Args, CommandResult, CommandSpec, Group, KeyUse, Keyed, Outcome, command, first, flag,
};
use crate::error::CommandError;
use crate::notify;
use crate::session::Origin;

pub(in crate::commands) const COMMANDS: &[CommandSpec] = &[
    command("append", 3, Group::String)
        .flags(flag::WRITE | flag::DENYOOM | flag::FAST)
        .keys(&[first(KeyUse::ReadWriteInsert)])
        .doc("2.0.0", "Appends to the string at a key, which is made if it does not exist.")
        .keyed(append),
    command("setrange", 4, Group::String)
        .flags(flag::WRITE | flag::DENYOOM)
        .keys(&[first(KeyUse::ReadWriteUpdate)])
        .doc("2.2.0", "Overwrites a part of a string, which grows by zero bytes where it is too short.")
        .keyed(setrange),
];

/// Whether a string of `len` bytes may be made. What the primary made is never too long.
fn check_len(cx: &Keyed<'_, '_>, len: u64) -> Result<(), CommandError> {
    if len > cx.settings.proto_max_bulk_len && cx.session.origin == Origin::Client {
        return Err(CommandError::STRING_TOO_LONG);
    }
    Ok(())
}

fn append(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    let (key, tail) = (cx.key(args, 1), args.get(2));
    if let Some(old) = string(cx.access.find(key))? {
        let len = old.len() + tail.len();
        check_len(cx, len as u64)?;
    }
    tell_if_new(cx, key);
    let len = cx.access.append(key, tail).ok_or(CommandError::WRONG_TYPE)?;
    cx.changed(key, notify::STRING, "append");
    cx.reply.integer(len as i64);
    Ok(Outcome::Changed)
}

fn setrange(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    let offset = integer(args.get(2))?;
    let offset = u64::try_from(offset).map_err(|_| CommandError::new("ERR offset is out of range"))?;
    let (key, value) = (cx.key(args, 1), args.get(3));
    let old_len = string(cx.access.find(key))?.map_or(0, <[u8]>::len);
    if value.is_empty() {
        cx.reply.integer(old_len as i64);
        return Ok(Outcome::Unchanged);
    }
    let end = offset.saturating_add(value.len() as u64);
    check_len(cx, end)?;
    tell_if_new(cx, key);
    let (start, end) = (offset as usize, end as usize);
    let bytes = cx.access.string_mut(key, end).ok_or(CommandError::WRONG_TYPE)?;
    bytes[start..end].copy_from_slice(value);
    cx.changed(key, notify::STRING, "setrange");
    cx.reply.integer(old_len.max(end) as i64);
    Ok(Outcome::Changed)
}
