//! What hangs on a shard besides its keys: the clients that WATCH one of them.
//!
//! It lives under the shard's lock, so that a write and the look at who watches are one step. A shard
//! that nobody observes costs a write one comparison.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hashbrown::HashMap;

/// Set when a watched key was touched; the client's EXEC then fails.
#[derive(Debug, Default)]
pub struct WatchFlag(AtomicBool);

impl WatchFlag {
    /// Whether a watched key was touched.
    pub fn is_touched(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// Says that a watched key was touched.
    pub fn touch(&self) {
        self.0.store(true, Ordering::Release);
    }
}

/// A watched key: database and name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WatchedKey {
    /// Number of the database.
    pub db: usize,
    /// The key.
    pub key: Box<[u8]>,
    /// Whether it was there, but expired, when WATCH was called: that it goes then is no change.
    pub was_expired: bool,
}

/// Who watches a key.
struct Watcher {
    flag: Arc<WatchFlag>,
    /// Whether the key that is there was expired already when it was watched.
    was_expired: bool,
}

type Watchers = HashMap<Box<[u8]>, Vec<Watcher>, foldhash::fast::RandomState>;

/// The observers of one shard of one database.
#[derive(Default)]
pub struct Observers(Option<Box<Watchers>>);

impl Observers {
    /// Whether nobody observes this shard.
    #[inline]
    pub fn is_idle(&self) -> bool {
        self.0.is_none()
    }

    /// Lets `flag` be set when `key` is touched, which `was_expired` already or not.
    pub fn watch(&mut self, key: &[u8], flag: &Arc<WatchFlag>, was_expired: bool) {
        let watchers = self.0.get_or_insert_default().entry(key.into()).or_default();
        if !watchers.iter().any(|other| Arc::ptr_eq(&other.flag, flag)) {
            watchers.push(Watcher { flag: flag.clone(), was_expired });
        }
    }

    /// Takes back [`watch`](Self::watch).
    pub fn unwatch(&mut self, key: &[u8], flag: &Arc<WatchFlag>) {
        let Some(keys) = &mut self.0 else { return };
        if let Some(watchers) = keys.get_mut(key) {
            watchers.retain(|other| !Arc::ptr_eq(&other.flag, flag));
            if watchers.is_empty() {
                keys.remove(key);
            }
        }
        if keys.is_empty() {
            self.0 = None;
        }
    }

    /// `key` was touched.
    pub fn touch(&self, key: &[u8]) {
        if let Some(watchers) = self.0.as_ref().and_then(|keys| keys.get(key)) {
            watchers.iter().for_each(|watcher| watcher.flag.touch());
        }
    }

    /// `key` was removed since it had expired: news to those who knew it alive.
    pub fn touch_expired(&mut self, key: &[u8]) {
        for watcher in self.0.iter_mut().filter_map(|keys| keys.get_mut(key)).flatten() {
            if !std::mem::take(&mut watcher.was_expired) {
                watcher.flag.touch();
            }
        }
    }

    /// The keys that somebody watches.
    pub fn watched(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().flat_map(|keys| keys.keys()).map(|key| &**key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_touch_reaches_those_who_watch_the_key() {
        let (mut observers, one, two) = (Observers::default(), Arc::default(), Arc::default());
        observers.watch(b"a", &one, false);
        observers.watch(b"b", &two, false);
        observers.touch(b"a");
        assert!(one.is_touched() && !two.is_touched());
        observers.unwatch(b"a", &one);
        observers.unwatch(b"b", &two);
        assert!(observers.is_idle());
        observers.touch(b"b");
        assert!(!two.is_touched());
    }
}
