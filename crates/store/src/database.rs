//! A database: its shards, and where they lie in the keyspace.
//!
//! [`Slot`] is a database's place in the keyspace. It is empty until the database is first locked, and is
//! filled by whoever comes first. It is emptied, or exchanged, only by the owner of the gate; so a
//! reference to what it holds is good for as long as a pass is held.
#![allow(unsafe_code)] // A slot is an atomic pointer; the gate is what keeps its target alive.

use std::fmt;
use std::marker::PhantomData;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering};

use crate::capture::Capture;
use crate::gate::{Exclusive, Pass};
use crate::key::{KeyHasher, SHARDS};
use crate::shard::{Held, Shard};

/// The keys of one database. Outside of the keyspace it is what a flush took out; dropping it frees the
/// keys, which may take long and may be done on any thread.
pub struct Database<A> {
    shards: Box<[Shard<A>; SHARDS]>,
    hasher: KeyHasher,
    capture: Arc<Capture>,
    /// The database's number when the last snapshot began.
    origin: AtomicUsize,
    /// The greatest log offset noted for the whole database at once.
    last_write: AtomicU64,
}

impl<A: Default> Database<A> {
    fn new(hasher: KeyHasher, capture: Arc<Capture>, number: usize) -> Self {
        let captured = capture.number();
        let shards: Box<[_]> = (0..SHARDS).map(|_| Shard::new(captured)).collect();
        let shards = shards.try_into().ok().expect("there are so many");
        Self { shards, hasher, capture, origin: AtomicUsize::new(number), last_write: AtomicU64::new(0) }
    }
}

impl<A> Database<A> {
    #[inline]
    pub(crate) fn shard(&self, index: usize) -> &Shard<A> {
        &self.shards[index]
    }

    #[inline]
    pub(crate) fn shards(&self) -> &[Shard<A>] {
        &*self.shards
    }

    #[inline]
    pub(crate) fn hasher(&self) -> &KeyHasher {
        &self.hasher
    }

    #[inline]
    pub(crate) fn capture(&self) -> &Capture {
        &self.capture
    }

    /// The database's number when the last snapshot began.
    pub(crate) fn origin(&self) -> usize {
        self.origin.load(Ordering::Relaxed)
    }

    pub(crate) fn set_origin(&self, number: usize) {
        self.origin.store(number, Ordering::Relaxed);
    }

    pub(crate) fn last_write(&self) -> u64 {
        self.last_write.load(Ordering::Relaxed)
    }

    pub(crate) fn written_at(&self, offset: u64) {
        self.last_write.fetch_max(offset, Ordering::Relaxed);
    }

    /// How many keys there are.
    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.len() as usize).sum()
    }

    /// How many keys with an expiry there are.
    pub(crate) fn volatile_len(&self) -> usize {
        self.shards.iter().map(|shard| shard.volatile_len() as usize).sum()
    }

    /// Calls `work` with one shard under its lock. The pass says that nobody owns all shards without
    /// locking them.
    #[inline]
    pub(crate) fn with_shard<R>(
        &self,
        _pass: &impl Pass,
        index: usize,
        work: impl FnOnce(&mut Held<'_, A>) -> R,
    ) -> R {
        struct Locked<'a, A>(&'a Shard<A>);
        impl<A> Drop for Locked<'_, A> {
            #[inline]
            fn drop(&mut self) {
                // SAFETY: it was locked when this was made, and `work` has returned or unwound.
                unsafe { self.0.unlock() };
            }
        }
        let shard = self.shard(index);
        shard.lock();
        let locked = Locked(shard);
        // SAFETY: it is locked as long as `locked` lives, and this is the only way to it here.
        let mut held = unsafe { locked.0.held(&self.hasher) };
        work(&mut held)
    }

    /// Exchanges what is attached to the shards of two databases.
    fn swap_attachments(&self, other: &Self, _owner: &mut Exclusive) {
        for (left, right) in self.shards.iter().zip(&*other.shards) {
            // SAFETY: the owner of the gate owns all shards, and the two are different.
            let (left, right) = unsafe { (left.held(&self.hasher), right.held(&other.hasher)) };
            std::mem::swap(&mut left.state.attachment, &mut right.state.attachment);
        }
    }
}

impl<A> fmt::Debug for Database<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// A database's place in the keyspace.
pub(crate) struct Slot<A> {
    /// Null, or from `Arc::into_raw`.
    database: AtomicPtr<Database<A>>,
    owns: PhantomData<Arc<Database<A>>>,
}

// A slot is as shareable as what it holds: `AtomicPtr` alone would be always.
const _: fn() = || {
    fn shared<T: Send + Sync>() {}
    fn check<A: Send>() {
        shared::<Slot<A>>();
    }
    let _ = check::<()>;
};

impl<A> Slot<A> {
    pub(crate) fn empty() -> Self {
        Self { database: AtomicPtr::new(ptr::null_mut()), owns: PhantomData }
    }

    /// The database, if there is one.
    #[inline]
    pub(crate) fn get<'a>(&'a self, _pass: &'a impl Pass) -> Option<&'a Database<A>> {
        // SAFETY: the slot keeps its share as long as nobody owns the gate and takes it out, which the
        // pass excludes: an owner that does must borrow its own pass mutably.
        unsafe { self.database.load(Ordering::Acquire).as_ref() }
    }

    /// A share in the database, if there is one.
    pub(crate) fn share(&self, pass: &impl Pass) -> Option<Arc<Database<A>>> {
        let database = ptr::from_ref(self.get(pass)?);
        // SAFETY: it came from `Arc::into_raw`, and the slot's own share keeps it alive meanwhile.
        unsafe {
            Arc::increment_strong_count(database);
            Some(Arc::from_raw(database))
        }
    }

    /// Takes the database out.
    fn take(&self, _owner: &mut Exclusive) -> Option<Arc<Database<A>>> {
        from_raw(self.database.swap(ptr::null_mut(), Ordering::AcqRel))
    }

    fn put(&self, database: Option<Arc<Database<A>>>, _owner: &mut Exclusive) {
        let database = database.map_or(ptr::null_mut(), |database| Arc::into_raw(database).cast_mut());
        drop(from_raw(self.database.swap(database, Ordering::AcqRel)));
    }
}

impl<A: Default> Slot<A> {
    /// The database, made if there is none: number `number`, hashing with `hasher`.
    #[inline]
    pub(crate) fn get_or_make<'a>(
        &'a self,
        pass: &'a impl Pass,
        hasher: &KeyHasher,
        capture: &Arc<Capture>,
        number: usize,
    ) -> &'a Database<A> {
        if let Some(database) = self.get(pass) {
            return database;
        }
        self.make(hasher, capture, number);
        self.get(pass).expect("nobody empties a slot while a pass is held")
    }

    #[cold]
    fn make(&self, hasher: &KeyHasher, capture: &Arc<Capture>, number: usize) {
        let made = Arc::new(Database::new(hasher.clone(), Arc::clone(capture), number));
        let made = Arc::into_raw(made).cast_mut();
        let (success, failure) = (Ordering::AcqRel, Ordering::Relaxed);
        if self.database.compare_exchange(ptr::null_mut(), made, success, failure).is_err() {
            // Somebody else was first.
            drop(from_raw(made));
        }
    }

    /// Takes the keys out, and leaves an empty database with what is attached. `None` if there are none.
    pub(crate) fn flush(
        &self,
        owner: &mut Exclusive,
        hasher: &KeyHasher,
        capture: &Arc<Capture>,
        number: usize,
    ) -> Option<Arc<Database<A>>> {
        if self.get(&*owner)?.len() == 0 {
            return None;
        }
        let flushed = self.take(owner)?;
        let fresh = Arc::new(Database::new(hasher.clone(), Arc::clone(capture), number));
        fresh.swap_attachments(&flushed, owner);
        fresh.written_at(flushed.last_write());
        self.put(Some(fresh), owner);
        Some(flushed)
    }

    /// Exchanges the keys with those of another slot, but not what is attached.
    pub(crate) fn swap(&self, other: &Self, owner: &mut Exclusive) {
        let (left, right) = (self.take(owner), other.take(owner));
        if let (Some(left), Some(right)) = (&left, &right) {
            left.swap_attachments(right, owner);
        }
        self.put(right, owner);
        other.put(left, owner);
    }
}

/// # Safety of the callers
/// Private to this module: `database` is null or came from `Arc::into_raw`, with a share that is given up.
fn from_raw<A>(database: *mut Database<A>) -> Option<Arc<Database<A>>> {
    // SAFETY: as the callers say.
    (!database.is_null()).then(|| unsafe { Arc::from_raw(database) })
}

impl<A> Drop for Slot<A> {
    fn drop(&mut self) {
        drop(from_raw(*self.database.get_mut()));
    }
}
