//! What a command does with its keys: the view of the shards it has locked.
//!
//! Here come together the things that every command must not forget, so that none can: an expired key is
//! as if absent, and in the right mode removed and reported; a lookup stamps the key's recency; before
//! anything is changed or removed, a running snapshot gets the old state.
//!
//! References that come out of here borrow the [`Access`], so none outlives the locks, and none is held
//! while another key is changed. Side by side, for reading, several keys can be had with
//! [`Access::peek`].
#![allow(unsafe_code)] // Entries are found as pointers; holding their shard is what makes them references.

mod locked;
mod strings;
#[cfg(test)]
mod tests;

use std::fmt;
use std::marker::PhantomData;

use smallvec::SmallVec;

use crate::entry::{EntryMut, EntryPtr, EntryRef, Mark, Meta, Owned};
use crate::key::{Key, KeyHash};
use crate::recency::{AccessBits, Stamp};
use crate::value::Value;

pub(crate) use locked::Locked;

/// What a command brings along when it locks.
#[derive(Clone, Copy, Debug)]
pub struct AccessContext {
    /// The time: milliseconds since 1970.
    pub now_ms: u64,
    /// How keys that are looked up are stamped.
    pub stamp: Stamp,
    /// What happens to a key found expired.
    pub expiry: ExpiryMode,
}

/// What happens to a key found expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpiryMode {
    /// It is removed, and can be had from [`Access::take_expired`], to be propagated as a deletion.
    Delete,
    /// It is as if absent, but stays until it is overwritten: on a replica it is for the primary to
    /// remove it.
    Hide,
    /// It is found like any other: when the primary's stream is applied, and when loading.
    Ignore,
}

/// What a write does to a key's time to live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expire {
    /// Leaves it as it is; a new key has none.
    Keep,
    /// Takes it away.
    None,
    /// Sets it: milliseconds since 1970.
    At(u64),
}

impl Expire {
    /// The expiry that results for a key with expiry `old`.
    #[inline]
    fn resolve(self, old: Option<u64>) -> Option<u64> {
        match self {
            Expire::Keep => old,
            Expire::None => None,
            Expire::At(expire_ms) => Some(expire_ms),
        }
    }
}

/// The locked shards of one command in one database. Dropping it unlocks them.
///
/// # Panics
/// Every method that takes a [`Key`] panics if the key's shard is not among those locked.
pub struct Access<'k, A> {
    locked: Locked<'k, A>,
    db: usize,
    cx: AccessContext,
    expired: Vec<Owned>,
    /// Locks are released on the thread that took them.
    not_send: PhantomData<*const ()>,
}

/// What a lookup meets.
enum Found {
    Nothing,
    /// A key that has expired and has to stay.
    Hidden(EntryPtr),
    Live(EntryPtr),
}

/// What [`Access::expire_bucket`] did.
pub(crate) struct ExpiredBucket {
    /// The cursor of the next bucket; 0 at the end.
    pub(crate) next: u64,
    pub(crate) examined: usize,
    pub(crate) expired: usize,
}

impl<'k, A: Default + Send> Access<'k, A> {
    #[inline]
    pub(crate) fn new(locked: Locked<'k, A>, db: usize, cx: AccessContext) -> Self {
        Self { locked, db, cx, expired: Vec::new(), not_send: PhantomData }
    }

    /// The database's number.
    pub fn db(&self) -> usize {
        self.db
    }

    /// The context given when locking.
    pub fn context(&self) -> &AccessContext {
        &self.cx
    }

    /// Finds `key` for reading: deals with its expiry and stamps its use.
    #[inline]
    pub fn find(&mut self, key: Key<'_>) -> Option<EntryRef<'_>> {
        let entry = self.live(key)?;
        self.touch(key.hash, entry);
        // SAFETY: we hold its shard, and are borrowed mutably as long as the reference is used.
        Some(unsafe { entry.get() })
    }

    /// Finds `key` for reading without stamping. An expired key is as if absent and stays.
    ///
    /// Since this borrows the access only shared, the entries of several keys can be held side by
    /// side: first [`find`](Self::find) each of them, then `peek` at all.
    #[inline]
    pub fn peek(&self, key: Key<'_>) -> Option<EntryRef<'_>> {
        let entry = self.locked.peek(key.hash.shard()).find(key)?;
        // SAFETY: we hold its shard, and nobody changes it as long as we are borrowed shared.
        let entry = unsafe { entry.get() };
        (!self.is_expired(entry)).then_some(entry)
    }

    /// Finds `key` for changing its value in place: as [`find`](Self::find), and a running snapshot gets
    /// it first.
    #[inline]
    pub fn find_mut(&mut self, key: Key<'_>) -> Option<EntryMut<'_>> {
        let entry = self.live(key)?;
        self.save(key.hash, entry);
        self.touch(key.hash, entry);
        // SAFETY: we hold its shard, and are borrowed mutably as long as the reference is used.
        Some(unsafe { entry.get_mut() })
    }

    /// Puts `value` at `key`, in place of whatever was there, which is returned: it may be large, and
    /// dropped elsewhere.
    pub fn insert(&mut self, key: Key<'_>, value: Value, expire_ms: Option<u64>) -> Option<Owned> {
        let found = self.look_up(key);
        let meta = self.meta(expire_ms, &found);
        self.put(key.hash, found, Owned::aggregate(key.bytes, Box::new(value), meta))
    }

    /// Puts the value of `owned` at `key`, in place of whatever was there, which is returned. An
    /// aggregate is not copied. The time to live is `expire_ms`; the recency is that of `owned`.
    pub fn insert_owned(&mut self, key: Key<'_>, owned: Owned, expire_ms: Option<u64>) -> Option<Owned> {
        let found = self.look_up(key);
        let meta = Meta { expire_ms, bits: owned.entry().access_bits(), mark: self.mark() };
        self.put(key.hash, found, owned.renamed(key.bytes, meta))
    }

    /// Removes `key`, and returns what was there. To find it expired is to find nothing.
    pub fn remove(&mut self, key: Key<'_>) -> Option<Owned> {
        let entry = self.live(key)?;
        self.save(key.hash, entry);
        self.locked.shard_of(key.hash).remove(key.hash, entry)
    }

    /// Sets or takes away the time to live of `key`; answers whether the key exists.
    pub fn set_expire(&mut self, key: Key<'_>, expire_ms: Option<u64>) -> bool {
        let Some(entry) = self.live(key) else { return false };
        self.save(key.hash, entry);
        self.locked.shard_of(key.hash).set_expire(key.hash, entry, expire_ms);
        true
    }

    /// Sets the recency of `key` (RESTORE with IDLETIME or FREQ, loading); answers whether the key
    /// exists.
    pub fn set_access_bits(&mut self, key: Key<'_>, bits: AccessBits) -> bool {
        let Some(entry) = self.live(key) else { return false };
        // SAFETY: we hold its shard and are borrowed mutably.
        unsafe { entry.get_mut() }.set_bits(bits);
        true
    }

    /// The keys that this access found expired, and removed, since the last call.
    #[inline]
    pub fn take_expired(&mut self) -> Vec<Owned> {
        std::mem::take(&mut self.expired)
    }

    /// The keys that [`take_expired`](Self::take_expired) would give.
    pub fn expired(&self) -> &[Owned] {
        &self.expired
    }

    /// Whether [`take_expired`](Self::take_expired) has something to give.
    #[inline]
    pub fn has_expired(&self) -> bool {
        !self.expired.is_empty()
    }

    /// What the server keeps beside the shard of `key`.
    #[inline]
    pub fn attachment(&mut self, key: Key<'_>) -> &mut A {
        self.locked.shard_of(key.hash).into_attachment()
    }

    /// Calls `visit` with what the server keeps beside each of the locked shards.
    pub fn for_each_attachment(&mut self, visit: &mut dyn FnMut(&mut A)) {
        self.locked.for_each(|held| visit(held.into_attachment()));
    }

    /// Notes that the log entry that ends at `offset` changed something in the locked shards.
    #[inline]
    pub fn written_at(&mut self, offset: u64) {
        if self.locked.is_all() {
            return self.locked.database().written_at(offset);
        }
        self.locked.for_each(|held| held.state.last_write = held.state.last_write.max(offset));
    }

    /// The greatest offset noted by anybody for the shards locked here; 0 for none.
    #[inline]
    pub fn last_write(&self) -> u64 {
        self.locked.last_write()
    }

    #[inline]
    fn is_expired(&self, entry: EntryRef<'_>) -> bool {
        entry.is_expired(self.cx.now_ms) && self.cx.expiry != ExpiryMode::Ignore
    }

    /// The entry of `key`, unless it is expired.
    #[inline]
    fn live(&mut self, key: Key<'_>) -> Option<EntryPtr> {
        match self.look_up(key) {
            Found::Live(entry) => Some(entry),
            Found::Hidden(_) | Found::Nothing => None,
        }
    }

    /// Looks `key` up and deals with its expiry.
    #[inline]
    fn look_up(&mut self, key: Key<'_>) -> Found {
        let Some(entry) = self.locked.shard_of(key.hash).state.find(key) else { return Found::Nothing };
        // SAFETY: we hold its shard and are borrowed mutably.
        if !self.is_expired(unsafe { entry.get() }) {
            return Found::Live(entry);
        }
        if self.cx.expiry == ExpiryMode::Hide {
            return Found::Hidden(entry);
        }
        self.expire(key.hash, entry);
        Found::Nothing
    }

    /// Removes an expired entry and remembers it.
    #[cold]
    fn expire(&mut self, hash: KeyHash, entry: EntryPtr) {
        self.save(hash, entry);
        self.expired.extend(self.locked.shard_of(hash).remove(hash, entry));
    }

    /// Removes what is expired in a bucket of volatile keys of the shard numbered `shard`.
    pub(crate) fn expire_bucket(&mut self, shard: usize, bucket: u64) -> ExpiredBucket {
        let held = self.locked.shard(shard);
        let (now_ms, hasher) = (self.cx.now_ms, held.hasher());
        let mut examined = 0;
        let mut expired: SmallVec<[(KeyHash, EntryPtr); 8]> = SmallVec::new();
        let next = held.volatile().scan(bucket, &mut |entry| {
            examined += 1;
            // SAFETY: we hold its shard and are borrowed mutably.
            let entry_ref = unsafe { entry.get() };
            if entry_ref.is_expired(now_ms) {
                expired.push((hasher.hash(entry_ref.key()), entry));
            }
        });
        expired.iter().for_each(|&(hash, entry)| self.expire(hash, entry));
        ExpiredBucket { next, examined, expired: expired.len() }
    }

    /// Has a running snapshot take an entry that is about to be changed or removed.
    #[inline]
    fn save(&mut self, hash: KeyHash, entry: EntryPtr) {
        let database = self.locked.database();
        let mut held = self.locked.shard_of(hash);
        if held.state.captured != database.capture().number() {
            database.capture().save(database.origin(), &mut held, entry);
        }
    }

    /// The mark that new entries are born with.
    #[inline]
    fn mark(&self) -> Mark {
        Mark::of(self.locked.database().capture().number())
    }

    /// Stamps the use of an entry.
    #[inline]
    fn touch(&mut self, hash: KeyHash, entry: EntryPtr) {
        // SAFETY: we hold its shard and are borrowed mutably.
        let mut entry = unsafe { entry.get_mut() };
        let bits = self.cx.stamp.touched(entry.as_ref().access_bits(), hash.0);
        entry.set_bits(bits);
    }

    /// What a new entry gets that takes the place of what was found.
    #[inline]
    fn meta(&self, expire_ms: Option<u64>, found: &Found) -> Meta {
        let bits = match (found, self.cx.stamp) {
            // SAFETY: we hold its shard, and it has not been removed since it was found.
            (Found::Live(entry), Stamp::Keep(_) | Stamp::Lfu(_)) => unsafe { entry.get() }.access_bits(),
            _ => self.cx.stamp.fresh(),
        };
        Meta { expire_ms, bits, mark: self.mark() }
    }

    /// Puts an entry in the place of what was found, which is returned.
    fn put(&mut self, hash: KeyHash, found: Found, entry: Owned) -> Option<Owned> {
        match found {
            Found::Live(old) | Found::Hidden(old) => {
                self.save(hash, old);
                Some(self.locked.shard_of(hash).replace(hash, old, entry))
            }
            Found::Nothing => {
                self.put_new(hash, entry);
                None
            }
        }
    }

    #[inline]
    fn put_new(&mut self, hash: KeyHash, entry: Owned) -> EntryPtr {
        let capture = self.locked.database().capture();
        let mut held = self.locked.shard_of(hash);
        if held.state.captured != capture.number() {
            capture.prepare(&mut held);
        }
        held.insert(hash, entry)
    }
}

impl<A> fmt::Debug for Access<'_, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").field("db", &self.db).field("cx", &self.cx).finish_non_exhaustive()
    }
}
