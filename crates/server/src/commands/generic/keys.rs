//! Single keys: DEL, UNLINK, EXISTS, TOUCH, TYPE, RENAME, RENAMENX.

use super::glance;
use crate::commands::{
    Args, CommandResult, CommandSpec, Group, KeyUse, Keyed, Outcome, at, command, first, flag, from,
};
use crate::error::CommandError;
use crate::notify;

pub(in crate::commands) const COMMANDS: &[CommandSpec] = &[
    command("del", -2, Group::Generic)
        .flags(flag::WRITE)
        .keys(&[from(1, KeyUse::Remove)])
        .doc("1.0.0", "Deletes keys.")
        .keyed(del),
    command("unlink", -2, Group::Generic)
        .flags(flag::WRITE | flag::FAST)
        .keys(&[from(1, KeyUse::Remove)])
        .doc("4.0.0", "Deletes keys and frees their values in the background.")
        .keyed(del),
    command("exists", -2, Group::Generic)
        .flags(flag::READONLY | flag::FAST)
        .keys(&[from(1, KeyUse::ReadOnly)])
        .doc("1.0.0", "Counts how many of the keys exist.")
        .keyed(exists),
    command("touch", -2, Group::Generic)
        .flags(flag::READONLY | flag::FAST)
        .keys(&[from(1, KeyUse::ReadOnly)])
        .doc("3.2.1", "Counts how many of the keys exist and marks them as used just now.")
        .keyed(touch),
    command("type", 2, Group::Generic)
        .flags(flag::READONLY | flag::FAST)
        .keys(&[first(KeyUse::ReadOnly)])
        .doc("1.0.0", "Returns the type of the value at a key.")
        .keyed(type_of),
    command("rename", 3, Group::Generic)
        .flags(flag::WRITE)
        .keys(&[first(KeyUse::ReadWriteAccessDelete), at(2, KeyUse::OverwriteUpdate)])
        .doc("1.0.0", "Renames a key, over another one if there is one.")
        .keyed(rename),
    command("renamenx", 3, Group::Generic)
        .flags(flag::WRITE | flag::FAST)
        .keys(&[first(KeyUse::ReadWriteAccessDelete), at(2, KeyUse::OverwriteInsert)])
        .doc("1.0.0", "Renames a key if there is none of the new name.")
        .keyed(renamenx),
];

/// Large values are freed in the background by either name.
fn del(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    let mut deleted = 0;
    for i in 1..args.len() {
        let key = cx.key(args, i);
        if let Some(old) = cx.access.remove(key) {
            cx.discard(Some(old));
            cx.changed(key, notify::GENERIC, "del");
            deleted += 1;
        }
    }
    cx.reply.integer(deleted as i64);
    if deleted == 0 {
        return Ok(Outcome::Unchanged);
    }
    cx.count_more_changes(deleted - 1);
    Ok(Outcome::Changed)
}

fn exists(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    let mut found = 0;
    for i in 1..args.len() {
        let key = cx.key(args, i);
        found += i64::from(glance(cx, key).is_some());
    }
    cx.reply.integer(found);
    Ok(Outcome::Unchanged)
}

fn touch(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    let mut found = 0;
    for i in 1..args.len() {
        let key = cx.key(args, i);
        found += i64::from(cx.look(key));
    }
    cx.reply.integer(found);
    Ok(Outcome::Unchanged)
}

fn type_of(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    let key = cx.key(args, 1);
    let name = glance(cx, key).map_or("none", |entry| entry.value_type().name());
    cx.reply.simple(name);
    Ok(Outcome::Unchanged)
}

fn rename(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    let renamed = move_value(cx, args, true)?;
    cx.reply.ok();
    Ok(if renamed { Outcome::Changed } else { Outcome::Unchanged })
}

fn renamenx(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    let renamed = move_value(cx, args, false)?;
    cx.reply.integer(i64::from(renamed));
    Ok(if renamed { Outcome::Changed } else { Outcome::Unchanged })
}

/// Moves the value of a key to another, with its time to live. Answers whether anything was done: not where both are
/// the same, and not where the other exists and may not be replaced.
fn move_value(cx: &mut Keyed<'_, '_>, args: Args<'_>, replace: bool) -> Result<bool, CommandError> {
    let (from, to) = (cx.key(args, 1), cx.key(args, 2));
    if cx.access.find(from).is_none() {
        return Err(CommandError::NO_SUCH_KEY);
    }
    if from.bytes == to.bytes || (!replace && cx.access.find(to).is_some()) {
        return Ok(false);
    }
    let Some(moved) = cx.access.remove(from) else { return Ok(false) };
    let expire_ms = moved.expire_ms();
    let replaced = cx.access.insert_owned(to, moved, expire_ms);
    cx.discard(replaced);
    cx.notify(to, notify::NEW, "new");
    cx.changed(from, notify::GENERIC, "rename_from");
    cx.changed(to, notify::GENERIC, "rename_to");
    Ok(true)
}
