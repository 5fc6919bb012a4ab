//! OBJECT: what a server knows of a value besides what it is.
//!
//! None of this counts as a use of the key.

use redkeep_store::EntryRef;

use crate::commands::introspection::help;
use crate::commands::{
    Args, CommandResult, CommandSpec, Group, KeySpec, KeyUse, Keyed, Outcome, Sessional, at, command, flag,
};
use crate::error::CommandError;

const KEY: &[KeySpec] = &[at(2, KeyUse::ReadOnly)];

pub(in crate::commands) const COMMANDS: &[CommandSpec] = &[command("object", -2, Group::Generic)
    .doc("2.2.3", "Tells what a server knows of a value.")
    .subcommands(&[
        command("encoding", 3, Group::Generic)
            .flags(flag::READONLY)
            .keys(KEY)
            .doc("2.2.3", "Returns the name of the encoding of a value.")
            .keyed(encoding),
        command("freq", 3, Group::Generic)
            .flags(flag::READONLY)
            .keys(KEY)
            .doc("4.0.0", "Returns the counter of uses of a key, on a logarithmic scale.")
            .keyed(freq),
        command("help", 2, Group::Generic)
            .flags(flag::LOADING | flag::STALE)
            .doc("6.2.0", "Lists the subcommands.")
            .sessional(object_help),
        command("idletime", 3, Group::Generic)
            .flags(flag::READONLY)
            .keys(KEY)
            .doc("2.2.3", "Returns the seconds since a key was last used.")
            .keyed(idletime),
        command("refcount", 3, Group::Generic)
            .flags(flag::READONLY)
            .keys(KEY)
            .doc("2.2.3", "Returns the number of references to a value.")
            .keyed(refcount),
    ])];

/// The entry of the key that an OBJECT command is about.
fn subject<'c>(cx: &'c Keyed<'_, '_>, args: Args<'_>) -> Option<EntryRef<'c>> {
    cx.access.peek(cx.key(args, 2))
}

fn encoding(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    match subject(cx, args).map(|entry| entry.value().encoding()) {
        Some(name) => cx.reply.bulk_str(name),
        None => cx.reply.null(),
    }
    Ok(Outcome::Unchanged)
}

fn freq(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    if subject(cx, args).is_some() {
        return Err(CommandError::new(
            "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when \
             switching between policies at runtime LRU and LFU data will take some time to adjust.",
        ));
    }
    cx.reply.null();
    Ok(Outcome::Unchanged)
}

fn idletime(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    let clock = (cx.now_ms / 1000) as u32;
    match subject(cx, args).map(|entry| entry.access_bits().idle_seconds(clock)) {
        Some(seconds) => cx.reply.integer(i64::from(seconds)),
        None => cx.reply.null(),
    }
    Ok(Outcome::Unchanged)
}

/// A value has one owner.
fn refcount(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    if subject(cx, args).is_some() {
        cx.reply.integer(1);
    } else {
        cx.reply.null();
    }
    Ok(Outcome::Unchanged)
}

fn object_help(cx: &mut Sessional<'_>, _: Args<'_>) -> CommandResult {
    let lines = [
        ("ENCODING <key>", "Return the encoding of the value at <key>."),
        ("FREQ <key>", "Return the counter of uses of <key>, on a logarithmic scale."),
        ("IDLETIME <key>", "Return the seconds since <key> was last used."),
        ("REFCOUNT <key>", "Return the number of references to the value at <key>."),
    ];
    help(&mut cx.reply, "OBJECT", &lines);
    Ok(Outcome::Unchanged)
}
