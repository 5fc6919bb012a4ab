//! Values as bytes: DUMP and RESTORE, in the format of RDB files.

use redkeep_rdb::{DEFAULT_MAX_STRING_LEN, Encoder, Limits, Loaded};
use redkeep_store::{Access, AccessBits, Expire, ExpiryMode, Key, Owned};

use crate::commands::parse::integer;
use crate::commands::{
    Args, CommandResult, CommandSpec, Effect, Group, KeyUse, Keyed, Outcome, command, first, flag,
};
use crate::error::CommandError;
use crate::notify;
use crate::observers::Observers;

pub(in crate::commands) const COMMANDS: &[CommandSpec] = &[
    command("dump", 2, Group::Generic)
        .flags(flag::READONLY)
        .keys(&[first(KeyUse::ReadAccess)])
        .doc("2.6.0", "Returns the value at a key as bytes that RESTORE takes.")
        .keyed(dump),
    command("restore", -4, Group::Generic)
        .flags(flag::WRITE | flag::DENYOOM | flag::DANGEROUS)
        .keys(&[first(KeyUse::OverwriteUpdate)])
        .doc("2.6.0", "Makes a key with a value that DUMP returned.")
        .keyed(restore),
];

fn dump(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    let mut encoder = Encoder::new(cx.settings.rdbcompression);
    let key = cx.key(args, 1);
    match cx.read(key) {
        (Some(entry), reply) => {
            let mut payload = Vec::new();
            redkeep_rdb::dump(&mut payload, &mut encoder, entry.value());
            reply.bulk(&payload);
        }
        (None, reply) => reply.null(),
    }
    Ok(Outcome::Unchanged)
}

/// How the restored key was used.
#[derive(Clone, Copy)]
enum Use {
    /// Just now.
    Unsaid,
    /// So many seconds ago.
    Idle(u32),
    /// So often; nothing keeps count here, so it is used just now.
    Freq,
}

struct Options {
    replace: bool,
    absolute: bool,
    used: Use,
}

impl Options {
    fn parse(args: Args<'_>) -> Result<Self, CommandError> {
        let mut options = Options { replace: false, absolute: false, used: Use::Unsaid };
        let mut at = 4;
        while at < args.len() {
            let more = at + 1 < args.len();
            if args.is(at, "replace") {
                options.replace = true;
            } else if args.is(at, "absttl") {
                options.absolute = true;
            } else if args.is(at, "idletime") && more && !matches!(options.used, Use::Freq) {
                at += 1;
                let seconds = u64::try_from(integer(args.get(at))?)
                    .map_err(|_| CommandError::new("ERR Invalid IDLETIME value, must be >= 0"))?;
                options.used = Use::Idle(u32::try_from(seconds).unwrap_or(u32::MAX));
            } else if args.is(at, "freq") && more && !matches!(options.used, Use::Idle(_)) {
                at += 1;
                if !(0..=255).contains(&integer(args.get(at))?) {
                    return Err(CommandError::new("ERR Invalid FREQ value, must be >= 0 and <= 255"));
                }
                options.used = Use::Freq;
            } else {
                return Err(CommandError::SYNTAX);
            }
            at += 1;
        }
        Ok(options)
    }
}

fn restore(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    let options = Options::parse(args)?;
    let key = cx.key(args, 1);
    if !options.replace && cx.access.find(key).is_some() {
        return Err(CommandError::BUSY_KEY);
    }
    let expire_ms = expiry(args.get(2), options.absolute, cx.now_ms)?;
    let max_string_len = cx.settings.proto_max_bulk_len.max(DEFAULT_MAX_STRING_LEN);
    let limits = Limits { encodings: cx.settings.encoding.clone(), max_string_len, ..Limits::default() };
    let loaded = redkeep_rdb::restore(args.get(3), &limits)
        .map_err(|error| CommandError::new(format!("ERR {error}")))?;
    cx.reply.ok();
    // On a replica it is for the primary to delete the key.
    let deletes = cx.access.context().expiry == ExpiryMode::Delete;
    if deletes && expire_ms.is_some_and(|expire_ms| expire_ms <= cx.now_ms) {
        return Ok(replace_with_nothing(cx, key));
    }
    let old = put(cx.access, key, loaded, expire_ms);
    cx.discard(old);
    if let Use::Idle(seconds) = options.used {
        let clock = (cx.now_ms / 1000) as u32;
        cx.access.set_access_bits(key, AccessBits::lru(clock.wrapping_sub(seconds)));
    }
    cx.notify(key, notify::NEW, "new");
    cx.changed(key, notify::GENERIC, "restore");
    Ok(match expire_ms {
        Some(expire_ms) if !options.absolute => Outcome::ChangedAs(with_absolute_expiry(args, expire_ms)),
        _ => Outcome::Changed,
    })
}

/// The time to live, as the time at which the key expires; 0 is none.
fn expiry(word: &[u8], absolute: bool, now_ms: u64) -> Result<Option<u64>, CommandError> {
    let ttl = integer(word)?;
    let ttl = u64::try_from(ttl).map_err(|_| CommandError::new("ERR Invalid TTL value, must be >= 0"))?;
    Ok(match (ttl, absolute) {
        (0, _) => None,
        (expire_ms, true) => Some(expire_ms),
        (ttl_ms, false) => Some(now_ms.saturating_add(ttl_ms)),
    })
}

/// A value that has expired already takes the place of what was there, and is gone at once.
fn replace_with_nothing(cx: &mut Keyed<'_, '_>, key: Key<'_>) -> Outcome {
    let old = cx.access.remove(key);
    if old.is_none() {
        return Outcome::Unchanged;
    }
    cx.discard(old);
    cx.changed(key, notify::GENERIC, "del");
    Outcome::ChangedAs(Effect::command(&[b"DEL", key.bytes]))
}

/// Puts a value at a key, and returns what was there.
pub(super) fn put(
    access: &mut Access<'_, Observers>,
    key: Key<'_>,
    value: Loaded<'_>,
    expire_ms: Option<u64>,
) -> Option<Owned> {
    match value {
        Loaded::String(bytes) => access.set_string(key, &bytes, expire_ms.map_or(Expire::None, Expire::At)),
        Loaded::Value(value) => access.insert(key, value, expire_ms),
    }
}

fn with_absolute_expiry(args: Args<'_>, expire_ms: u64) -> Effect {
    let expire_ms = expire_ms.to_string();
    let mut words: Vec<&[u8]> = args.from(0).collect();
    words[2] = expire_ms.as_bytes();
    words.push(b"ABSTTL");
    Effect::command(&words)
}
