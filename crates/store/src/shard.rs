//! A shard: the piece of a database that one lock guards.
//!
//! The shard owns its entries and keeps two tables of pointers to them: all of them, and those with a
//! time to live, so that expiry and the volatile eviction policies need not search. Whatever changes
//! an entry's address or gives it or takes from it an expiry goes through [`Held`], which keeps the two
//! tables agreeing.
//!
//! What others want to know without the lock (where the buckets are, how many keys there are) is
//! repeated in [`Hint`]: good for a prefetch and a count, and for nothing that must be exact.
#![allow(unsafe_code)] // The state lies under a raw lock, whose holding the borrow checker cannot see.

use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicPtr, AtomicU8, AtomicU32, Ordering};

use parking_lot::RawMutex;
use parking_lot::lock_api::RawMutex as _;

use crate::entry::{EntryPtr, EntryRef, Owned};
use crate::key::{Key, KeyHash, KeyHasher};
use crate::keyspace::Pool;
use crate::prefetch::CACHE_LINE;
use crate::table::{self, Table};

/// A shard with an `A` attached. Lock, hint and main table share the first cache line.
#[repr(C, align(64))]
pub(crate) struct Shard<A> {
    lock: RawMutex,
    hint: Hint,
    state: UnsafeCell<State<A>>,
}

// SAFETY: the state is reached only by who holds the lock or owns the gate, and everything in it may be
// used from another thread: tables and entries are `Send` by themselves, `A` by this bound.
unsafe impl<A: Send> Sync for Shard<A> {}
// SAFETY: as above.
unsafe impl<A: Send> Send for Shard<A> {}

/// What the lock guards.
#[repr(C)]
pub(crate) struct State<A> {
    /// All entries, owned.
    entries: Table,
    /// The number of the last snapshot that had all entries of the shard.
    pub(crate) captured: u64,
    /// The greatest log offset noted for the shard.
    pub(crate) last_write: u64,
    /// Those of the entries that have an expiry.
    volatile: Table,
    /// What the server keeps here.
    pub(crate) attachment: A,
}

/// No more lines are prefetched than this: what follows in one allocation, the processor sees coming.
const PREFETCHED_LINES_MAX: usize = 4;

/// What is known of a shard without locking it.
struct Hint {
    buckets: AtomicPtr<()>,
    mask: AtomicU32,
    len: AtomicU32,
    volatile_len: AtomicU32,
    /// Cache lines of the entry that was inserted last: what a prefetch takes for usual here.
    usual_lines: AtomicU8,
}

impl<A: Default> Shard<A> {
    /// An empty shard, of which snapshot `captured` has everything.
    pub(crate) fn new(captured: u64) -> Self {
        let entries = Table::new();
        let (buckets, mask) = entries.address();
        let hint = Hint {
            buckets: AtomicPtr::new(buckets),
            mask: AtomicU32::new(mask),
            len: AtomicU32::new(0),
            volatile_len: AtomicU32::new(0),
            usual_lines: AtomicU8::new(1),
        };
        let volatile = Table::new();
        let attachment = A::default();
        let state = State { entries, captured, last_write: 0, volatile, attachment };
        Self { lock: RawMutex::INIT, hint, state: UnsafeCell::new(state) }
    }
}

impl<A> Shard<A> {
    #[inline]
    pub(crate) fn lock(&self) {
        self.lock.lock();
    }

    /// # Safety
    /// The caller holds the lock, and uses nothing it guards any more.
    #[inline]
    pub(crate) unsafe fn unlock(&self) {
        // SAFETY: the caller holds it.
        unsafe { self.lock.unlock() };
    }

    /// The state and what keeps it consistent.
    ///
    /// # Safety
    /// For as long as `'a` lasts the caller holds the lock or owns the gate, and reaches the state
    /// through nothing else.
    #[inline]
    pub(crate) unsafe fn held<'a>(&'a self, hasher: &'a KeyHasher) -> Held<'a, A> {
        // SAFETY: by the contract nobody else reaches the state.
        Held { state: unsafe { &mut *self.state.get() }, hint: &self.hint, hasher }
    }

    /// The state, for reading.
    ///
    /// # Safety
    /// For as long as the reference is used the caller holds the lock or owns the gate, and nobody
    /// changes the state.
    #[inline]
    pub(crate) unsafe fn peek(&self) -> &State<A> {
        // SAFETY: by the contract nobody changes it.
        unsafe { &*self.state.get() }
    }

    /// How many keys there are, or were a moment ago.
    #[inline]
    pub(crate) fn len(&self) -> u32 {
        self.hint.len.load(Ordering::Relaxed)
    }

    /// How many keys with an expiry there are, or were a moment ago.
    #[inline]
    pub(crate) fn volatile_len(&self) -> u32 {
        self.hint.volatile_len.load(Ordering::Relaxed)
    }

    /// Fetches the bucket of `hash` into the cache, if the table has not just moved.
    #[inline]
    pub(crate) fn prefetch_bucket(&self, hash: KeyHash) {
        let buckets = self.hint.buckets.load(Ordering::Relaxed);
        table::prefetch_bucket(buckets, self.hint.mask.load(Ordering::Relaxed), hash);
    }
}

impl<A> State<A> {
    /// The entry of `key`. It stays where it is until a method of [`Held`] that takes it, or removes it.
    #[inline]
    pub(crate) fn find(&self, key: Key<'_>) -> Option<EntryPtr> {
        self.entries.find(key)
    }
}

impl<A> Drop for State<A> {
    fn drop(&mut self) {
        // SAFETY: the shard owns its entries, and nobody looks into the tables after this.
        self.entries.for_each(|entry| drop(unsafe { Owned::from_ptr(entry) }));
    }
}

/// A shard that is locked, or owned through the gate.
pub(crate) struct Held<'a, A> {
    pub(crate) state: &'a mut State<A>,
    hint: &'a Hint,
    hasher: &'a KeyHasher,
}

impl<'a, A> Held<'a, A> {
    /// All entries.
    #[inline]
    pub(crate) fn entries(&self) -> &Table {
        &self.state.entries
    }

    /// Fetches the entries that `hash` may stand for into the cache.
    #[inline]
    pub(crate) fn prefetch_entries(&self, hash: KeyHash) {
        self.state.entries.prefetch_entries(hash, self.hint.usual_lines.load(Ordering::Relaxed));
    }

    /// The entries with an expiry.
    #[inline]
    pub(crate) fn volatile(&self) -> &Table {
        &self.state.volatile
    }

    /// The hash function of the keyspace.
    pub(crate) fn hasher(&self) -> &'a KeyHasher {
        self.hasher
    }

    /// Visits a bucket, as [`Table::scan`] does.
    pub(crate) fn scan(&self, cursor: u64, visit: &mut dyn FnMut(EntryRef<'_>)) -> u64 {
        // SAFETY: entries of the shard live, and as long as we are borrowed nobody changes them.
        self.state.entries.scan(cursor, &mut |entry| visit(unsafe { entry.get() }))
    }

    /// An entry chosen by a random number, as [`Table::pick`] does.
    pub(crate) fn pick(&self, pool: Pool, random: u64) -> Option<EntryRef<'_>> {
        let table = match pool {
            Pool::All => &self.state.entries,
            Pool::Volatile => &self.state.volatile,
        };
        // SAFETY: entries of the shard live, and as long as we are borrowed nobody changes them.
        table.pick(random).map(|entry| unsafe { entry.get() })
    }

    /// The attachment, for as long as the shard is held.
    pub(crate) fn into_attachment(self) -> &'a mut A {
        &mut self.state.attachment
    }

    /// Inserts an entry whose key, of hash `hash`, is absent; answers where it is.
    #[inline]
    pub(crate) fn insert(&mut self, hash: KeyHash, entry: Owned) -> EntryPtr {
        let expires = entry.expire_ms().is_some();
        self.note_size(&entry);
        let entry = entry.into_ptr();
        // SAFETY: the shard owns the entry now, and frees none without removing it.
        unsafe { self.state.entries.insert(hash, entry, self.hasher) };
        self.index_expiry(hash, None, expires.then_some(entry));
        self.publish();
        entry
    }

    /// Removes an entry of this shard; `None` if it is not there.
    #[inline]
    pub(crate) fn remove(&mut self, hash: KeyHash, entry: EntryPtr) -> Option<Owned> {
        if !self.state.entries.remove(hash, entry, self.hasher) {
            return None;
        }
        // SAFETY: the shard owned it, and it is no longer in the table.
        let entry = unsafe { Owned::from_ptr(entry) };
        if entry.expire_ms().is_some() {
            self.index_expiry(hash, Some(entry.entry_ptr()), None);
        }
        self.publish();
        Some(entry)
    }

    /// Puts `new` in the place of `old`, an entry of this shard with the same key, which is returned.
    pub(crate) fn replace(&mut self, hash: KeyHash, old: EntryPtr, new: Owned) -> Owned {
        let new_expires = new.expire_ms().is_some();
        self.note_size(&new);
        let new = new.into_ptr();
        self.readdress(hash, old, new);
        // SAFETY: the shard owned it, and `readdress` has taken it out of the table.
        let old = unsafe { Owned::from_ptr(old) };
        let was_volatile = old.expire_ms().is_some().then(|| old.entry_ptr());
        self.index_expiry(hash, was_volatile, new_expires.then_some(new));
        self.publish();
        old
    }

    /// Overwrites a string of this shard where it lies, if it has the room; answers whether it has.
    #[inline]
    pub(crate) fn overwrite(
        &mut self,
        hash: KeyHash,
        entry: EntryPtr,
        value: &[u8],
        expire_ms: Option<u64>,
    ) -> bool {
        // SAFETY: entries of the shard live, and we are its only user.
        let mut target = unsafe { entry.get_mut() };
        let expired = target.expire_ms().is_some();
        let done = target.try_overwrite(value, expire_ms);
        if done && expired != expire_ms.is_some() {
            self.expiry_changed(hash, entry, expired);
        }
        done
    }

    /// Sets or takes away the expiry of an entry of this shard, which may move it.
    pub(crate) fn set_expire(&mut self, hash: KeyHash, entry: EntryPtr, expire_ms: Option<u64>) {
        // SAFETY: entries of the shard live, and we are its only user.
        let mut target = unsafe { entry.get_mut() };
        let expired = target.expire_ms().is_some();
        if target.try_set_expire(expire_ms) {
            if expired != expire_ms.is_some() {
                self.expiry_changed(hash, entry, expired);
            }
            return;
        }
        self.reshape(hash, entry, |owned| owned.with_expire(expire_ms));
    }

    /// Gives a string of this shard room for `len` bytes and more to come, which moves it.
    pub(crate) fn make_room(&mut self, hash: KeyHash, entry: EntryPtr, len: usize) -> EntryPtr {
        self.reshape(hash, entry, |owned| owned.with_room(len))
    }

    fn reshape(&mut self, hash: KeyHash, entry: EntryPtr, reshape: impl FnOnce(Owned) -> Owned) -> EntryPtr {
        // SAFETY: entries of the shard live, and we are its only user.
        let was_volatile = unsafe { entry.get() }.expire_ms().is_some().then_some(entry);
        // SAFETY: the shard owned it. The tables still point to where it was, but before they are used
        // again they are told where it is.
        let reshaped = reshape(unsafe { Owned::from_ptr(entry) });
        let expires = reshaped.expire_ms().is_some();
        let moved = reshaped.into_ptr();
        self.readdress(hash, entry, moved);
        self.index_expiry(hash, was_volatile, expires.then_some(moved));
        self.publish();
        moved
    }

    #[inline]
    fn note_size(&mut self, entry: &Owned) {
        let lines = entry.entry().allocated().div_ceil(CACHE_LINE);
        self.hint.usual_lines.store(lines.min(PREFETCHED_LINES_MAX) as u8, Ordering::Relaxed);
    }

    /// Tells the main table that what was at `old` is at `new`.
    fn readdress(&mut self, hash: KeyHash, old: EntryPtr, new: EntryPtr) {
        // SAFETY: the shard owns the entry at `new`, and frees none without removing it.
        let known = unsafe { self.state.entries.replace(hash, old, new) };
        assert!(known, "only entries of this shard are replaced");
    }

    fn expiry_changed(&mut self, hash: KeyHash, entry: EntryPtr, was_volatile: bool) {
        let (old, new) = if was_volatile { (Some(entry), None) } else { (None, Some(entry)) };
        self.index_expiry(hash, old, new);
        self.publish();
    }

    /// Keeps the table of volatile entries up to date: `old` is in it, `new` has to be.
    #[inline]
    fn index_expiry(&mut self, hash: KeyHash, old: Option<EntryPtr>, new: Option<EntryPtr>) {
        let volatile = &mut self.state.volatile;
        let known = match (old, new) {
            (None, None) => true,
            (Some(old), None) => volatile.remove(hash, old, self.hasher),
            // SAFETY: the shard owns what is put in, and frees nothing without taking it out.
            (Some(old), Some(new)) => unsafe { volatile.replace(hash, old, new) },
            (None, Some(new)) => {
                // SAFETY: as above.
                unsafe { volatile.insert(hash, new, self.hasher) };
                true
            }
        };
        assert!(known, "the volatile table has every entry with an expiry");
    }

    /// Repeats in the hint what may have changed.
    #[inline]
    fn publish(&mut self) {
        let (buckets, mask) = self.state.entries.address();
        self.hint.buckets.store(buckets, Ordering::Relaxed);
        self.hint.mask.store(mask, Ordering::Relaxed);
        self.hint.len.store(self.state.entries.len(), Ordering::Relaxed);
        self.hint.volatile_len.store(self.state.volatile.len(), Ordering::Relaxed);
    }

    /// Panics unless the two tables agree.
    #[cfg(test)]
    pub(crate) fn check(&self) {
        let mut volatile = 0;
        self.state.entries.for_each(|entry| {
            // SAFETY: entries of the shard live.
            let entry_ref = unsafe { entry.get() };
            let key = Key { bytes: entry_ref.key(), hash: self.hasher.hash(entry_ref.key()) };
            let expires = entry_ref.expire_ms().is_some();
            volatile += u32::from(expires);
            assert_eq!(self.state.volatile.find(key), expires.then_some(entry));
        });
        assert_eq!(self.state.volatile.len(), volatile);
        assert_eq!(self.hint.volatile_len.load(Ordering::Relaxed), volatile);
        assert_eq!(self.hint.len.load(Ordering::Relaxed), self.state.entries.len());
    }
}
