//! MULTI, EXEC, DISCARD, WATCH, UNWATCH.

use redkeep_store::{AccessContext, ExpiryMode, Key, Stamp};

use super::{Args, CommandResult, CommandSpec, Group, Hold, KeyUse, Outcome, Sessional, command, flag, from};
use crate::engine::Engine;
use crate::error::CommandError;
use crate::observers::WatchedKey;
use crate::session::{Session, Watch};
use crate::transaction::Transaction;

const ALWAYS: u32 = flag::NOSCRIPT | flag::LOADING | flag::STALE | flag::ALLOW_BUSY | flag::UNQUEUED;

pub(super) const COMMANDS: &[CommandSpec] = &[
    command("multi", 1, Group::Transactions)
        .flags(ALWAYS | flag::FAST)
        .doc("1.2.0", "Starts a transaction.")
        .sessional(multi),
    command("exec", 1, Group::Transactions)
        .flags(flag::NOSCRIPT | flag::LOADING | flag::STALE | flag::SKIP_SLOWLOG | flag::UNQUEUED)
        .doc("1.2.0", "Executes all commands in a transaction.")
        .transaction(),
    command("discard", 1, Group::Transactions)
        .flags(ALWAYS | flag::FAST)
        .doc("2.0.0", "Discards a transaction.")
        .sessional(discard),
    command("watch", -2, Group::Transactions)
        .flags(ALWAYS | flag::FAST)
        .keys(&[from(1, KeyUse::ReadOnly)])
        .doc("2.2.0", "Monitors changes to keys to determine the execution of a transaction.")
        .sessional(watch),
    command("unwatch", 1, Group::Transactions)
        .flags(flag::NOSCRIPT | flag::LOADING | flag::STALE | flag::ALLOW_BUSY | flag::FAST)
        .doc("2.2.0", "Forgets about watched keys of a transaction.")
        .sessional(unwatch_command),
];

fn multi(cx: &mut Sessional<'_>, _: Args<'_>) -> CommandResult {
    if cx.session.transaction.is_some() {
        return Err(CommandError::new("ERR MULTI calls can not be nested"));
    }
    cx.session.transaction = Some(Box::new(Transaction::default()));
    cx.session.client.queued.store(0, std::sync::atomic::Ordering::Relaxed);
    cx.reply.ok();
    Ok(Outcome::Unchanged)
}

fn discard(cx: &mut Sessional<'_>, _: Args<'_>) -> CommandResult {
    if cx.session.transaction.is_none() {
        return Err(CommandError::new("ERR DISCARD without MULTI"));
    }
    cx.session.end_transaction();
    unwatch(cx.engine, cx.session, cx.hold);
    cx.reply.ok();
    Ok(Outcome::Unchanged)
}

fn watch(cx: &mut Sessional<'_>, args: Args<'_>) -> CommandResult {
    if cx.session.transaction.is_some() {
        return Err(CommandError::new("ERR WATCH inside MULTI is not allowed"));
    }
    let db = cx.session.db;
    let watch = cx.session.watch.get_or_insert_default();
    for name in args.from(1) {
        if watch.keys.iter().any(|watched| watched.db == db && *watched.key == *name) {
            continue;
        }
        let key = cx.engine.keyspace.key(name);
        let mut access = cx.hold.lock(&cx.engine.keyspace, db, &[key], looking(cx.now_ms));
        let was_expired = access.peek(key).is_some_and(|entry| entry.is_expired(cx.now_ms));
        access.attachment(key).watch(name, &watch.flag, was_expired);
        watch.keys.push(WatchedKey { db, key: name.into(), was_expired });
    }
    cx.reply.ok();
    Ok(Outcome::Unchanged)
}

fn unwatch_command(cx: &mut Sessional<'_>, _: Args<'_>) -> CommandResult {
    unwatch(cx.engine, cx.session, cx.hold);
    cx.reply.ok();
    Ok(Outcome::Unchanged)
}

/// Ends all that a connection watches.
pub(crate) fn unwatch(engine: &Engine, session: &mut Session, hold: Hold<'_>) {
    if let Some(watch) = session.watch.take() {
        unwatch_keys(engine, &watch, hold);
    }
}

/// Whether a watched key has expired since, though nobody has removed it yet.
pub(crate) fn has_watch_expired(engine: &Engine, watch: &Watch, hold: Hold<'_>, now_ms: u64) -> bool {
    watch.keys.iter().filter(|watched| !watched.was_expired).any(|watched| {
        let key = engine.keyspace.key(&watched.key);
        let access = hold.lock(&engine.keyspace, watched.db, &[key], looking(now_ms));
        access.peek(key).is_some_and(|entry| entry.is_expired(now_ms))
    })
}

/// Takes watched keys from their shards.
pub(crate) fn unwatch_keys(engine: &Engine, watch: &Watch, hold: Hold<'_>) {
    for watched in &watch.keys {
        let key: Key<'_> = engine.keyspace.key(&watched.key);
        let mut access = hold.lock(&engine.keyspace, watched.db, &[key], looking(0));
        access.attachment(key).unwatch(&watched.key, &watch.flag);
    }
}

/// An access that leaves every key as it is.
fn looking(now_ms: u64) -> AccessContext {
    AccessContext { now_ms, stamp: Stamp::Keep(Default::default()), expiry: ExpiryMode::Ignore }
}
