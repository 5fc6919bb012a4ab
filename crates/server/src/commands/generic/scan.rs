//! Going over a database: KEYS, SCAN, RANDOMKEY, DBSIZE.
//!
//! None of these sees a database at one instant: shards are looked at one after the other while other workers go on.

use redkeep_resp::glob;
use redkeep_store::{AccessContext, EntryRef, ExpiryMode, Stamp};

use crate::commands::scan_options::{ScanOptions, cursor};
use crate::commands::{Args, CommandResult, CommandSpec, Group, Outcome, Scanning, command, flag};

/// How often RANDOMKEY tries to hit upon a key that has not expired before it goes and looks for one.
const RANDOM_TRIES: usize = 100;

pub(in crate::commands) const COMMANDS: &[CommandSpec] = &[
    command("keys", 2, Group::Generic)
        .flags(flag::READONLY | flag::DANGEROUS | flag::ALL_KEYS)
        .doc("1.0.0", "Returns all keys that match a pattern.")
        .scanning(keys),
    command("scan", -2, Group::Generic)
        .flags(flag::READONLY | flag::ALL_KEYS)
        .doc("2.8.0", "Goes over the keys of the database step by step.")
        .scanning(scan),
    command("randomkey", 1, Group::Generic)
        .flags(flag::READONLY | flag::ALL_KEYS)
        .doc("1.0.0", "Returns a random key.")
        .scanning(randomkey),
    command("dbsize", 1, Group::Server)
        .flags(flag::READONLY | flag::FAST | flag::ALL_KEYS)
        .doc("1.0.0", "Returns the number of keys of the database.")
        .scanning(dbsize),
];

fn keys(cx: &mut Scanning<'_>, args: Args<'_>) -> CommandResult {
    let pattern = args.get(1);
    let all = pattern == b"*";
    let list = cx.reply.deferred_array();
    let mut found = 0;
    let reply = &mut cx.reply;
    // In one call, so that each shard is gone over under its lock, and no key comes twice.
    cx.hold.scan(&cx.engine.keyspace, cx.session.db, 0, usize::MAX, cx.now_ms, &mut |key, _| {
        if all || glob::matches(pattern, key) {
            reply.bulk(key);
            found += 1;
        }
    });
    cx.reply.finish_array(list, found);
    Ok(Outcome::Unchanged)
}

fn scan(cx: &mut Scanning<'_>, args: Args<'_>) -> CommandResult {
    let from = cursor(args.get(1))?;
    let options = ScanOptions::of_keys(args, 2)?;
    let of_type = |entry: EntryRef<'_>| {
        let name = entry.value_type().name().as_bytes();
        options.value_type.is_none_or(|wanted| wanted.eq_ignore_ascii_case(name))
    };
    let mut found: Vec<Box<[u8]>> = Vec::new();
    let (keyspace, db) = (&cx.engine.keyspace, cx.session.db);
    let next = cx.hold.scan(keyspace, db, from, options.count, cx.now_ms, &mut |key, entry| {
        if options.matches(key) && of_type(entry) {
            found.push(key.into());
        }
    });
    cx.reply.array(2);
    cx.reply.bulk_str(&next.to_string());
    cx.reply.array(found.len());
    found.iter().for_each(|key| cx.reply.bulk(key));
    Ok(Outcome::Unchanged)
}

fn randomkey(cx: &mut Scanning<'_>, _: Args<'_>) -> CommandResult {
    match random_live_key(cx).or_else(|| first_live_key(cx)) {
        Some(key) => cx.reply.bulk(&key),
        None => cx.reply.null(),
    }
    Ok(Outcome::Unchanged)
}

/// A random key that has not expired, if luck has it.
fn random_live_key(cx: &mut Scanning<'_>) -> Option<Box<[u8]>> {
    let (keyspace, db) = (&cx.engine.keyspace, cx.session.db);
    let stamp = Stamp::Keep(Default::default());
    let context = AccessContext { now_ms: cx.now_ms, stamp, expiry: ExpiryMode::Hide };
    for _ in 0..RANDOM_TRIES {
        let name = cx.hold.random_key(keyspace, db, cx.random.u64(..))?;
        let key = keyspace.key(&name);
        if cx.hold.lock(keyspace, db, &[key], context).peek(key).is_some() {
            return Some(name);
        }
    }
    None
}

/// Some key that has not expired.
fn first_live_key(cx: &mut Scanning<'_>) -> Option<Box<[u8]>> {
    let mut found = None;
    let mut cursor = 0;
    loop {
        let (keyspace, db) = (&cx.engine.keyspace, cx.session.db);
        cursor = cx.hold.scan(keyspace, db, cursor, 1, cx.now_ms, &mut |key, _| found = Some(key.into()));
        if cursor == 0 || found.is_some() {
            return found;
        }
    }
}

fn dbsize(cx: &mut Scanning<'_>, _: Args<'_>) -> CommandResult {
    let len = cx.hold.len(&cx.engine.keyspace, cx.session.db);
    cx.reply.integer(len as i64);
    Ok(Outcome::Unchanged)
}
