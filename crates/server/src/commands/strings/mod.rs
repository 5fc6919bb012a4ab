//! Strings.
//!
//! A string lies in its entry, so most of these are one lookup and a copy. GET, SET and INCR without options are
//! the commands that a server executes most: nothing is parsed or allocated for them beyond the entry itself.

pub(super) mod counters;
pub(super) mod edit;
pub(super) mod get;
pub(super) mod lcs;
mod options;
pub(super) mod set;

use redkeep_resp::ReplyWriter;
use redkeep_store::{EntryRef, Expire, Key, ValueRef};

use super::Keyed;
use crate::error::CommandError;
use crate::notify;

/// The string that an entry holds.
///
/// # Errors
/// If it holds another type.
#[inline]
fn string(entry: Option<EntryRef<'_>>) -> Result<Option<&[u8]>, CommandError> {
    match entry.map(EntryRef::value) {
        None => Ok(None),
        Some(ValueRef::String(bytes)) => Ok(Some(bytes)),
        Some(_) => Err(CommandError::WRONG_TYPE),
    }
}

/// Looks a string up for a command that reads it; and the reply to write it to.
///
/// # Errors
/// If the key holds another type.
#[inline]
fn read<'c, 'a>(
    cx: &'c mut Keyed<'a, '_>,
    key: Key<'_>,
) -> Result<(Option<&'c [u8]>, &'c mut ReplyWriter<'a>), CommandError> {
    let (entry, reply) = cx.read(key);
    Ok((string(entry)?, reply))
}

/// Puts a string at a key, whatever was there.
#[inline]
fn store(cx: &mut Keyed<'_, '_>, key: Key<'_>, value: &[u8], expire: Expire) {
    tell_if_new(cx, key);
    let old = cx.access.set_string(key, value, expire);
    cx.discard(old);
}

/// Publishes that a key is new, if it is not there and anybody wants to know. To be called before it is made.
#[inline]
fn tell_if_new(cx: &Keyed<'_, '_>, key: Key<'_>) {
    if cx.settings.keyspace_events & notify::NEW != 0 && cx.access.peek(key).is_none() {
        cx.notify(key, notify::NEW, "new");
    }
}
