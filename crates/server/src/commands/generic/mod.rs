//! Keys of any type, and whole databases.

pub(super) mod databases;
pub(super) mod dump;
pub(super) mod expire;
pub(super) mod keys;
pub(super) mod object;
pub(super) mod scan;
#[cfg(test)]
mod tests;

use redkeep_store::{EntryRef, Key};

use super::Keyed;

/// Looks a key up for a command that wants to know something about it, and does not use it: it is not stamped. An
/// expired key is removed as by any lookup.
fn glance<'c>(cx: &'c mut Keyed<'_, '_>, key: Key<'_>) -> Option<EntryRef<'c>> {
    let found = cx.access.peek(key).is_some() || cx.access.find(key).is_some();
    cx.count_lookup(key, found);
    cx.access.peek(key)
}
