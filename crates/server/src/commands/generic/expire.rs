//! The time to live: EXPIRE, TTL and their relatives, PERSIST.
//!
//! An expiry is propagated as the time at which the key expires, and one in the past as a deletion.

use redkeep_store::{ExpiryMode, Key};

use super::glance;
use crate::commands::parse::{ExpiryUnit, expiry_at, integer, text};
use crate::commands::{
    Args, CommandResult, CommandSpec, Effect, Group, KeyUse, Keyed, Outcome, command, first, flag,
};
use crate::error::CommandError;
use crate::notify;

const WRITE: u32 = flag::WRITE | flag::FAST;
const READ: u32 = flag::READONLY | flag::FAST;

pub(in crate::commands) const COMMANDS: &[CommandSpec] = &[
    command("expire", -3, Group::Generic)
        .flags(WRITE)
        .keys(&[first(KeyUse::ReadWriteUpdate)])
        .doc("1.0.0", "Lets a key expire after some seconds.")
        .keyed(expire),
    command("pexpire", -3, Group::Generic)
        .flags(WRITE)
        .keys(&[first(KeyUse::ReadWriteUpdate)])
        .doc("2.6.0", "Lets a key expire after some milliseconds.")
        .keyed(pexpire),
    command("expireat", -3, Group::Generic)
        .flags(WRITE)
        .keys(&[first(KeyUse::ReadWriteUpdate)])
        .doc("1.2.0", "Lets a key expire at a unix time in seconds.")
        .keyed(expireat),
    command("pexpireat", -3, Group::Generic)
        .flags(WRITE)
        .keys(&[first(KeyUse::ReadWriteUpdate)])
        .doc("2.6.0", "Lets a key expire at a unix time in milliseconds.")
        .keyed(pexpireat),
    command("persist", 2, Group::Generic)
        .flags(WRITE)
        .keys(&[first(KeyUse::ReadWriteUpdate)])
        .doc("2.2.0", "Lets a key live until it is deleted.")
        .keyed(persist),
    command("ttl", 2, Group::Generic)
        .flags(READ)
        .keys(&[first(KeyUse::ReadAccess)])
        .doc("1.0.0", "Returns the time to live of a key in seconds.")
        .keyed(ttl),
    command("pttl", 2, Group::Generic)
        .flags(READ)
        .keys(&[first(KeyUse::ReadAccess)])
        .doc("2.6.0", "Returns the time to live of a key in milliseconds.")
        .keyed(pttl),
    command("expiretime", 2, Group::Generic)
        .flags(READ)
        .keys(&[first(KeyUse::ReadAccess)])
        .doc("7.0.0", "Returns the unix time in seconds at which a key expires.")
        .keyed(expiretime),
    command("pexpiretime", 2, Group::Generic)
        .flags(READ)
        .keys(&[first(KeyUse::ReadAccess)])
        .doc("7.0.0", "Returns the unix time in milliseconds at which a key expires.")
        .keyed(pexpiretime),
];

/// Under which conditions an expiry is set.
#[derive(Clone, Copy, Default)]
struct Conditions {
    nx: bool,
    xx: bool,
    gt: bool,
    lt: bool,
}

impl Conditions {
    fn parse(args: Args<'_>) -> Result<Self, CommandError> {
        let mut conditions = Conditions::default();
        for word in args.from(3) {
            let condition = match word.to_ascii_lowercase().as_slice() {
                b"nx" => &mut conditions.nx,
                b"xx" => &mut conditions.xx,
                b"gt" => &mut conditions.gt,
                b"lt" => &mut conditions.lt,
                _ => return Err(CommandError::new(format!("ERR Unsupported option {}", text(word)))),
            };
            *condition = true;
        }
        let Conditions { nx, xx, gt, lt } = conditions;
        if nx && (xx || gt || lt) {
            return Err(CommandError::new(
                "ERR NX and XX, GT or LT options at the same time are not compatible",
            ));
        }
        if gt && lt {
            return Err(CommandError::new("ERR GT and LT options at the same time are not compatible"));
        }
        Ok(conditions)
    }

    /// Whether they hold for a key that expires at `current`, and is to expire at `new`. A key without expiry counts
    /// as one that expires after all others.
    fn hold(self, current: Option<u64>, new: i64) -> bool {
        let current = current.map(|current| i64::try_from(current).unwrap_or(i64::MAX));
        !(self.nx && current.is_some()
            || self.xx && current.is_none()
            || self.gt && current.is_none_or(|current| new <= current)
            || self.lt && current.is_some_and(|current| new >= current))
    }
}

fn expire(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    set_expiry(cx, args, ExpiryUnit::Seconds, "expire")
}

fn pexpire(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    set_expiry(cx, args, ExpiryUnit::Millis, "pexpire")
}

fn expireat(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    set_expiry(cx, args, ExpiryUnit::UnixSeconds, "expireat")
}

fn pexpireat(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    set_expiry(cx, args, ExpiryUnit::UnixMillis, "pexpireat")
}

fn set_expiry(cx: &mut Keyed<'_, '_>, args: Args<'_>, unit: ExpiryUnit, command: &str) -> CommandResult {
    let conditions = Conditions::parse(args)?;
    let at = expiry_at(integer(args.get(2))?, unit, cx.now_ms, command)?;
    let key = cx.key(args, 1);
    let current = cx.access.find(key).map(|entry| entry.expire_ms());
    if !current.is_some_and(|current| conditions.hold(current, at)) {
        cx.reply.integer(0);
        return Ok(Outcome::Unchanged);
    }
    cx.reply.integer(1);
    // On a replica it is for the primary to delete the key.
    if at <= cx.now_ms as i64 && cx.access.context().expiry == ExpiryMode::Delete {
        let old = cx.access.remove(key);
        cx.discard(old);
        cx.changed(key, notify::GENERIC, "del");
        return Ok(Outcome::ChangedAs(Effect::command(&[b"DEL", key.bytes])));
    }
    cx.access.set_expire(key, Some(u64::try_from(at).unwrap_or(0)));
    cx.changed(key, notify::GENERIC, "expire");
    let at = at.to_string();
    Ok(Outcome::ChangedAs(Effect::command(&[b"PEXPIREAT", key.bytes, at.as_bytes()])))
}

fn persist(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    let key = cx.key(args, 1);
    let volatile = cx.access.find(key).is_some_and(|entry| entry.expire_ms().is_some());
    cx.reply.integer(i64::from(volatile));
    if !volatile {
        return Ok(Outcome::Unchanged);
    }
    cx.access.set_expire(key, None);
    cx.changed(key, notify::GENERIC, "persist");
    Ok(Outcome::Changed)
}

fn ttl(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    let now_ms = cx.now_ms;
    reply_with_expiry(cx, args, |at| to_seconds(at.saturating_sub(now_ms)))
}

fn pttl(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    let now_ms = cx.now_ms;
    reply_with_expiry(cx, args, |at| at.saturating_sub(now_ms))
}

fn expiretime(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    reply_with_expiry(cx, args, to_seconds)
}

fn pexpiretime(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    reply_with_expiry(cx, args, |at| at)
}

/// To the nearest second.
fn to_seconds(ms: u64) -> u64 {
    ms.saturating_add(500) / 1000
}

/// Replies with what `show` makes of the expiry of a key; -1 if it has none, -2 if there is no key.
fn reply_with_expiry(cx: &mut Keyed<'_, '_>, args: Args<'_>, show: impl FnOnce(u64) -> u64) -> CommandResult {
    let key: Key<'_> = cx.key(args, 1);
    let shown = match glance(cx, key).map(|entry| entry.expire_ms()) {
        None => -2,
        Some(None) => -1,
        Some(Some(at)) => i64::try_from(show(at)).unwrap_or(i64::MAX),
    };
    cx.reply.integer(shown);
    Ok(Outcome::Unchanged)
}

#[cfg(test)]
mod tests {
    use super::Conditions;

    #[test]
    fn no_expiry_is_later_than_any() {
        let none = Conditions::default();
        let (gt, lt) = (Conditions { gt: true, ..none }, Conditions { lt: true, ..none });
        let (nx, xx) = (Conditions { nx: true, ..none }, Conditions { xx: true, ..none });
        let held =
            |c: Conditions| [c.hold(None, 5), c.hold(Some(4), 5), c.hold(Some(5), 5), c.hold(Some(6), 5)];
        assert_eq!(held(none), [true; 4]);
        assert_eq!(held(gt), [false, true, false, false]);
        assert_eq!(held(lt), [true, false, false, true]);
        assert_eq!(held(nx), [true, false, false, false]);
        assert_eq!(held(xx), [false, true, true, true]);
    }
}
