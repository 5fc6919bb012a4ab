//! What handlers are given, and what they return.

use std::cell::Cell;

use redkeep_replication::ReplOffset;
use redkeep_resp::ReplyWriter;
use redkeep_store::{Access, AccessContext, EntryRef, Key, KeyHash, Keyspace, Owned, Pass, Shared};

use super::{Args, Effect};
use crate::config::Settings;
use crate::engine::Engine;
use crate::notify;
use crate::observers::Observers;
use crate::repl::ReplicaRequest;
use crate::session::Session;
use crate::stats::SlotStats;

/// What a command did.
#[derive(Debug)]
pub enum Outcome {
    /// Nothing that others have to know of.
    Unchanged,
    /// It changed the keyspace, and the request itself is what is propagated.
    Changed,
    /// It changed the keyspace, and this is propagated in its place.
    ChangedAs(Effect),
    /// It changed no key, but replicas are to execute it too: PUBLISH.
    Announced,
    /// The reply comes later; the connection executes nothing else meanwhile.
    Suspend(Suspension),
    /// The connection ends once its replies are sent.
    Close,
    /// The connection is a replica's from now on.
    BecomeReplica(ReplicaRequest),
}

/// What a suspended connection waits for.
#[derive(Debug)]
pub enum Suspension {
    /// `WAIT`: until so many replicas have acknowledged the offset, or the time is over (0: never).
    Replicas {
        /// How many.
        count: usize,
        /// Up to where.
        offset: ReplOffset,
        /// The epoch of the role in which that was written.
        epoch: u64,
        /// How long, in milliseconds.
        timeout_ms: u64,
    },
    /// `SAVE`: until the snapshot is on disk.
    Save,
    /// `SHUTDOWN`: until the process ends, or the shutdown fails.
    Shutdown {
        /// Whether to save a snapshot first; `None` leaves it to the save points.
        save: Option<bool>,
        /// Without waiting for replicas.
        now: bool,
        /// Even if saving fails.
        force: bool,
    },
}

/// For handlers that run under the locks of their declared keys.
pub struct Keyed<'a, 'k> {
    /// The server.
    pub engine: &'a Engine,
    /// The configuration.
    pub settings: &'a Settings,
    /// The connection.
    pub session: &'a Session,
    /// The locked keys.
    pub access: &'a mut Access<'k, Observers>,
    /// Where the reply goes.
    pub reply: ReplyWriter<'a>,
    /// The time of the batch: milliseconds since 1970.
    pub now_ms: u64,
    /// A source of random numbers.
    pub random: &'a mut fastrand::Rng,
    /// The counters of this worker.
    pub stats: &'a SlotStats,
    /// The position of the first declared key, and its hash.
    pub(crate) first: (usize, KeyHash),
    /// How many of the keys that were found expired have been told of.
    pub(crate) told_expired: Cell<usize>,
}

impl<'a> Keyed<'a, '_> {
    /// The key that is argument `i`.
    #[inline]
    pub fn key<'b>(&self, args: Args<'b>, i: usize) -> Key<'b> {
        let bytes = args.get(i);
        if self.first.0 == i { Key { bytes, hash: self.first.1 } } else { self.engine.keyspace.key(bytes) }
    }

    /// Says that `key` was changed, and how: `class` and `event` are those of keyspace notifications.
    #[inline]
    pub fn changed(&mut self, key: Key<'_>, class: u32, event: &str) {
        let observers = self.access.attachment(key);
        if !observers.is_idle() {
            observers.touch(key.bytes);
        }
        self.notify(key, class, event);
    }

    /// Publishes a keyspace notification without touching the key.
    #[inline]
    pub fn notify(&self, key: Key<'_>, class: u32, event: &str) {
        if self.settings.keyspace_events & class != 0 {
            self.tell_of_expired();
            self.engine.publish_event(self.settings, self.access.db(), key.bytes, class, event);
        }
    }

    /// Publishes which keys were found expired, before what has become of them since.
    pub(crate) fn tell_of_expired(&self) {
        let (db, expired) = (self.access.db(), self.access.expired());
        for owned in &expired[self.told_expired.get()..] {
            self.engine.publish_event(self.settings, db, owned.key(), notify::EXPIRED, "expired");
        }
        self.told_expired.set(expired.len());
    }

    /// Looks a key up for a command that reads it, which counts as a hit or a miss; and the reply to write what is
    /// found to.
    #[inline]
    pub fn read(&mut self, key: Key<'_>) -> (Option<EntryRef<'_>>, &mut ReplyWriter<'a>) {
        let db = self.access.db();
        let found = self.access.find(key);
        if found.is_some() {
            self.stats.hits.add(1);
        } else {
            self.stats.misses.add(1);
            self.engine.publish_event(self.settings, db, key.bytes, notify::KEY_MISS, "keymiss");
        }
        (found, &mut self.reply)
    }

    /// Looks a key up for a command that reads it, which counts as a hit or a miss. Answers whether it is there;
    /// it can then be had by [`Access::peek`].
    #[inline]
    pub fn look(&mut self, key: Key<'_>) -> bool {
        let found = self.access.find(key).is_some();
        self.count_lookup(key, found);
        found
    }

    /// Counts a lookup of a reading command, and tells of a miss.
    #[inline]
    pub fn count_lookup(&self, key: Key<'_>, found: bool) {
        if found {
            self.stats.hits.add(1);
        } else {
            self.stats.misses.add(1);
            self.notify(key, notify::KEY_MISS, "keymiss");
        }
    }

    /// Counts changes beyond the one that each changing command counts as.
    pub fn count_more_changes(&self, n: usize) {
        self.stats.dirty.add(n as u64);
    }

    /// Drops what was at a key: elsewhere, if that takes long.
    #[inline]
    pub fn discard(&self, old: Option<Owned>) {
        if let Some(old) = old {
            self.engine.disposal.value(old);
        }
    }
}

/// For handlers that go over the keyspace.
pub struct Scanning<'a> {
    /// The server.
    pub engine: &'a Engine,
    /// The configuration.
    pub settings: &'a Settings,
    /// The connection.
    pub session: &'a Session,
    /// What lets the handler look at the keyspace.
    pub hold: Hold<'a>,
    /// Where the reply goes.
    pub reply: ReplyWriter<'a>,
    /// The time of the batch: milliseconds since 1970.
    pub now_ms: u64,
    /// A source of random numbers.
    pub random: &'a mut fastrand::Rng,
}

/// For handlers that own the keyspace.
pub struct Exclusive<'a> {
    /// The server.
    pub engine: &'a Engine,
    /// The configuration.
    pub settings: &'a Settings,
    /// The connection.
    pub session: &'a Session,
    /// The claim on the gate.
    pub claim: &'a mut redkeep_store::Exclusive,
    /// How keys are looked at.
    pub context: AccessContext,
    /// Where the reply goes.
    pub reply: ReplyWriter<'a>,
    /// The time of the batch: milliseconds since 1970.
    pub now_ms: u64,
    /// A source of random numbers.
    pub random: &'a mut fastrand::Rng,
    /// The counters of this worker.
    pub stats: &'a SlotStats,
    /// Keys that were found expired and removed, with their databases.
    pub(crate) expired: &'a mut Vec<(usize, Owned)>,
}

impl Exclusive<'_> {
    /// Lets `work` use the keys of a database.
    pub fn with_keys<R>(&mut self, db: usize, work: impl FnOnce(&mut Access<'_, Observers>) -> R) -> R {
        let mut access = self.engine.keyspace.lock_all(self.claim, db, self.context);
        let result = work(&mut access);
        for owned in access.take_expired() {
            access.attachment(self.engine.keyspace.key(owned.key())).touch_expired(owned.key());
            self.engine.publish_event(self.settings, db, owned.key(), notify::EXPIRED, "expired");
            self.expired.push((db, owned));
        }
        result
    }

    /// Looks a key of a database up for a command that reads it, which counts as a hit or a miss.
    pub fn look(&mut self, db: usize, key: Key<'_>) -> bool {
        let found = self.with_keys(db, |access| access.find(key).is_some());
        if found {
            self.stats.hits.add(1);
        } else {
            self.stats.misses.add(1);
            self.engine.publish_event(self.settings, db, key.bytes, notify::KEY_MISS, "keymiss");
        }
        found
    }

    /// Says that `key` of a database was changed, and how: `class` and `event` are those of keyspace notifications.
    pub fn changed(&mut self, db: usize, key: Key<'_>, class: u32, event: &str) {
        self.with_keys(db, |access| access.attachment(key).touch(key.bytes));
        self.engine.publish_event(self.settings, db, key.bytes, class, event);
    }
}

/// For handlers that touch no key.
pub struct Sessional<'a> {
    /// The server.
    pub engine: &'a Engine,
    /// The configuration.
    pub settings: &'a Settings,
    /// The connection.
    pub session: &'a mut Session,
    /// What lets the handler look at the keyspace (WATCH, INFO).
    pub hold: Hold<'a>,
    /// Where the reply goes.
    pub reply: ReplyWriter<'a>,
    /// The time of the batch: milliseconds since 1970.
    pub now_ms: u64,
}

/// A pass through the gate of either kind.
#[derive(Clone, Copy)]
pub enum Hold<'a> {
    /// Beside other workers.
    Shared(&'a Shared<'a>),
    /// Alone.
    Exclusive(&'a redkeep_store::Exclusive),
}

macro_rules! with_pass {
    ($hold:expr, $pass:ident => $body:expr) => {
        match $hold {
            Hold::Shared($pass) => $body,
            Hold::Exclusive($pass) => $body,
        }
    };
}

type Keys = Keyspace<Observers>;

impl Hold<'_> {
    /// Locks the shards of some keys of one database.
    pub fn lock<'k>(
        &'k self,
        keyspace: &'k Keys,
        db: usize,
        keys: &[Key<'_>],
        context: AccessContext,
    ) -> Access<'k, Observers> {
        fn lock<'k>(
            pass: &'k impl Pass,
            keyspace: &'k Keys,
            db: usize,
            keys: &[Key<'_>],
            context: AccessContext,
        ) -> Access<'k, Observers> {
            match keys {
                [key] => keyspace.lock(pass, db, key.hash, context),
                keys => {
                    let hashes: smallvec::SmallVec<[_; 8]> = keys.iter().map(|key| key.hash).collect();
                    keyspace.lock_many(pass, db, &hashes, context)
                }
            }
        }
        with_pass!(self, pass => lock(*pass, keyspace, db, keys, context))
    }

    /// Whether the holder is alone: inside a transaction, which must not wait.
    pub fn is_exclusive(&self) -> bool {
        matches!(self, Hold::Exclusive(_))
    }

    /// See [`Keyspace::len`].
    #[allow(clippy::len_without_is_empty)] // of a database, not of the pass
    pub fn len(&self, keyspace: &Keys, db: usize) -> usize {
        with_pass!(self, pass => keyspace.len(*pass, db))
    }

    /// See [`Keyspace::volatile_len`].
    pub fn volatile_len(&self, keyspace: &Keys, db: usize) -> usize {
        with_pass!(self, pass => keyspace.volatile_len(*pass, db))
    }

    /// See [`Keyspace::random_key`].
    pub fn random_key(&self, keyspace: &Keys, db: usize, random: u64) -> Option<Box<[u8]>> {
        with_pass!(self, pass => keyspace.random_key(*pass, db, random))
    }

    /// See [`Keyspace::scan`].
    pub fn scan(
        &self,
        keyspace: &Keys,
        db: usize,
        cursor: u64,
        count: usize,
        now_ms: u64,
        visit: &mut dyn FnMut(&[u8], EntryRef<'_>),
    ) -> u64 {
        with_pass!(self, pass => keyspace.scan(*pass, db, cursor, count, now_ms, visit))
    }
}
