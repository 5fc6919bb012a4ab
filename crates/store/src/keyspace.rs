//! All databases, and the ways into them.
//!
//! Every way in wants a [`Pass`]: the caller is inside the gate or owns it, so no database goes away
//! under it. From there a command locks the shards of its keys and works on them through an
//! [`Access`]; `scan.rs` has what walks over shards by itself.

mod scan;

use std::fmt;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::access::{Access, AccessContext, Locked};
use crate::capture::{Capture, CaptureSink, Snapshot, SnapshotRunning};
use crate::database::{Database, Slot};
use crate::gate::{Exclusive, Gate, Pass};
use crate::key::{Key, KeyHash, KeyHasher};

pub use scan::{ExpireCursor, Pool, SliceReport};

/// All databases, with an `A` attached to each of their shards.
///
/// ```
/// use redkeep_store::{AccessContext, Expire, ExpiryMode, Keyspace, Stamp, ValueRef};
///
/// let keyspace: Keyspace<()> = Keyspace::new(16, 0x5eed, 1);
/// let pass = keyspace.gate().enter(0).expect("nobody has claimed the gate");
/// let cx = AccessContext { now_ms: 1_000, stamp: Stamp::Lru { clock: 1 }, expiry: ExpiryMode::Delete };
///
/// let key = keyspace.key(b"greeting");
/// let mut access = keyspace.lock(&pass, 0, key.hash, cx);
/// access.set_string(key, b"hello", Expire::At(2_000));
/// let entry = access.find(key).expect("it was set");
/// assert!(matches!(entry.value(), ValueRef::String(b"hello")));
/// assert_eq!(entry.expire_ms(), Some(2_000));
/// ```
pub struct Keyspace<A> {
    slots: Box<[Slot<A>]>,
    hasher: KeyHasher,
    gate: Gate,
    capture: Arc<Capture>,
}

impl<A: Default + Send> Keyspace<A> {
    /// A keyspace of `databases` empty databases, whose gate has `slots` slots. `seed` should be
    /// secret: it keeps others from computing which keys collide.
    pub fn new(databases: usize, seed: u64, slots: usize) -> Self {
        Self {
            slots: (0..databases).map(|_| Slot::empty()).collect(),
            hasher: KeyHasher::new(seed),
            gate: Gate::new(slots),
            capture: Arc::new(Capture::new()),
        }
    }

    /// How many databases there are.
    pub fn databases(&self) -> usize {
        self.slots.len()
    }

    /// The gate over all shards.
    #[inline]
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Hashes a key.
    #[inline]
    pub fn key<'a>(&self, bytes: &'a [u8]) -> Key<'a> {
        Key { bytes, hash: self.hasher.hash(bytes) }
    }

    /// Locks the shard of `hash`. With an [`Exclusive`] it locks all the same.
    ///
    /// A thread that locks the same shard twice waits for itself for ever. All that is said of panics
    /// here holds for every method that takes a pass and a database.
    ///
    /// # Panics
    /// If there is no such database, or the pass belongs to another keyspace.
    #[inline]
    pub fn lock<'k>(
        &'k self,
        pass: &'k impl Pass,
        db: usize,
        hash: KeyHash,
        cx: AccessContext,
    ) -> Access<'k, A> {
        let database = self.database(pass, db);
        Access::new(Locked::one(pass, database, hash.shard()), db, cx)
    }

    /// Locks the shards of `hashes`, in ascending order. A thread that needs two databases at once
    /// locks the one with the lower number first, or claims the gate.
    pub fn lock_many<'k>(
        &'k self,
        pass: &'k impl Pass,
        db: usize,
        hashes: &[KeyHash],
        cx: AccessContext,
    ) -> Access<'k, A> {
        let mut shards: SmallVec<[u16; 8]> = hashes.iter().map(|hash| hash.shard() as u16).collect();
        shards.sort_unstable();
        shards.dedup();
        let database = self.database(pass, db);
        Access::new(Locked::many(pass, database, &shards), db, cx)
    }

    /// All shards of a database without locking any: who owns the gate owns them.
    pub fn lock_all<'k>(&'k self, owner: &'k mut Exclusive, db: usize, cx: AccessContext) -> Access<'k, A> {
        Access::new(Locked::all(owner, |owner| self.database(owner, db)), db, cx)
    }

    /// What fetches keys of database `db` into the processor's cache ahead of their use.
    #[inline]
    pub fn prefetcher<'k, P: Pass>(&'k self, pass: &'k P, db: usize) -> Prefetcher<'k, A, P> {
        Prefetcher { database: self.existing(pass, db), pass }
    }

    /// How many keys a database has, those included that are expired but not removed yet. Takes no
    /// lock.
    pub fn len(&self, pass: &impl Pass, db: usize) -> usize {
        self.existing(pass, db).map_or(0, Database::len)
    }

    /// Whether a database has no keys. Takes no lock.
    pub fn is_empty(&self, pass: &impl Pass, db: usize) -> bool {
        self.len(pass, db) == 0
    }

    /// How many keys of a database have a time to live, those included that are expired but not removed
    /// yet. Takes no lock.
    pub fn volatile_len(&self, pass: &impl Pass, db: usize) -> usize {
        self.existing(pass, db).map_or(0, Database::volatile_len)
    }

    /// Empties a database. What it held is returned, to be dropped wherever that disturbs nobody; a
    /// running snapshot goes on capturing it. What is attached to the shards stays. `None` if the
    /// database is empty.
    pub fn flush(&self, owner: &mut Exclusive, db: usize) -> Option<Arc<Database<A>>> {
        self.gate.check(&*owner);
        self.slots[db].flush(owner, &self.hasher, &self.capture, db)
    }

    /// Exchanges the keys of two databases. What is attached to the shards stays; log offsets noted for
    /// them go along.
    pub fn swap(&self, owner: &mut Exclusive, left: usize, right: usize) {
        if left != right {
            // Both exist then, so that attachments have a place to stay at.
            self.database(&*owner, left);
            self.database(&*owner, right);
            self.slots[left].swap(&self.slots[right], owner);
        }
    }

    /// Begins a snapshot: `sink` will be given every key as it is at this instant. The gate may be
    /// released then; it is [`Snapshot::step`] that does the work.
    ///
    /// # Errors
    /// If a snapshot is running already.
    pub fn begin_snapshot(
        &self,
        owner: &mut Exclusive,
        sink: Arc<dyn CaptureSink>,
    ) -> Result<Snapshot<A>, SnapshotRunning> {
        self.gate.check(&*owner);
        let number = self.capture.begin(&sink)?;
        let mut databases = Vec::new();
        for (db, slot) in self.slots.iter().enumerate() {
            if let Some(database) = slot.share(&*owner) {
                database.set_origin(db);
                databases.push(database);
            }
        }
        Ok(Snapshot::new(Arc::clone(&self.capture), self.gate.clone(), sink, number, databases))
    }

    /// Database `db`, if anybody has ever locked something in it.
    #[inline]
    fn existing<'k>(&'k self, pass: &'k impl Pass, db: usize) -> Option<&'k Database<A>> {
        self.gate.check(pass);
        self.slots[db].get(pass)
    }

    #[inline]
    fn database<'k>(&'k self, pass: &'k impl Pass, db: usize) -> &'k Database<A> {
        self.gate.check(pass);
        self.slots[db].get_or_make(pass, &self.hasher, &self.capture, db)
    }
}

/// Fetches keys of one database into the processor's cache: for a batch of commands all buckets first, then all
/// entries, so that the waits for memory overlap.
pub struct Prefetcher<'k, A, P> {
    database: Option<&'k Database<A>>,
    pass: &'k P,
}

impl<A: Default + Send, P: Pass> Prefetcher<'_, A, P> {
    /// Fetches the bucket of `hash`. Takes no lock.
    #[inline]
    pub fn bucket(&self, hash: KeyHash) {
        if let Some(database) = self.database {
            database.shard(hash.shard()).prefetch_bucket(hash);
        }
    }

    /// Fetches the entries that `hash` may stand for. Takes the shard's lock to find them; do it some time after
    /// [`Prefetcher::bucket`].
    #[inline]
    pub fn entry(&self, hash: KeyHash) {
        if let Some(database) = self.database {
            database.with_shard(self.pass, hash.shard(), |held| held.prefetch_entries(hash));
        }
    }
}

impl<A, P> fmt::Debug for Prefetcher<'_, A, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prefetcher").field("database", &self.database).finish_non_exhaustive()
    }
}

impl<A> fmt::Debug for Keyspace<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyspace").field("databases", &self.slots.len()).finish_non_exhaustive()
    }
}
