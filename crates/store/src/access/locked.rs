//! The locks that an [`Access`](super::Access) holds.
#![allow(unsafe_code)] // Which shards are locked is known only at run time.

use crate::database::Database;
use crate::gate::{Exclusive, Pass};
use crate::key::KeyHash;
use crate::shard::{Held, State};

/// Some shards of a database, locked; or all of them, owned through the gate. Dropping it unlocks.
pub(crate) struct Locked<'k, A> {
    database: &'k Database<A>,
    shards: Shards,
}

/// Which shards are locked; a hash of another is a mistake of the caller's.
enum Shards {
    One(usize),
    /// In ascending order, each once.
    Several(Box<[u16]>),
    All,
}

impl<'k, A> Locked<'k, A> {
    /// Locks one shard. The pass says that nobody owns it without a lock.
    #[inline]
    pub(crate) fn one(_pass: &'k impl Pass, database: &'k Database<A>, shard: usize) -> Self {
        database.shard(shard).lock();
        Self { database, shards: Shards::One(shard) }
    }

    /// Locks several shards, given in ascending order, each once.
    pub(crate) fn many(pass: &'k impl Pass, database: &'k Database<A>, shards: &[u16]) -> Self {
        if let [shard] = *shards {
            return Self::one(pass, database, usize::from(shard));
        }
        debug_assert!(shards.is_sorted_by(|left, right| left < right), "the order keeps deadlocks out");
        shards.iter().for_each(|shard| database.shard(usize::from(*shard)).lock());
        Self { database, shards: Shards::Several(shards.into()) }
    }

    /// All shards of the database that `find` gives, without locking: as long as they are used, their owner
    /// is borrowed mutably, and so can let nobody else in.
    pub(crate) fn all(owner: &'k mut Exclusive, find: impl FnOnce(&'k Exclusive) -> &'k Database<A>) -> Self {
        Self { database: find(owner), shards: Shards::All }
    }

    #[inline]
    pub(crate) fn database(&self) -> &'k Database<A> {
        self.database
    }

    /// Whether this is all shards.
    pub(crate) fn is_all(&self) -> bool {
        matches!(self.shards, Shards::All)
    }

    /// The shard of `hash`.
    ///
    /// # Panics
    /// If it is not among the locked ones.
    #[inline]
    pub(crate) fn shard_of(&mut self, hash: KeyHash) -> Held<'_, A> {
        self.shard(hash.shard())
    }

    /// The shard numbered `shard`.
    ///
    /// # Panics
    /// If it is not among the locked ones.
    #[inline]
    pub(crate) fn shard(&mut self, shard: usize) -> Held<'_, A> {
        self.check(shard);
        // SAFETY: it is locked, or owned, as long as this value lives; and we are borrowed mutably.
        unsafe { self.database.shard(shard).held(self.database.hasher()) }
    }

    /// What the lock of the shard numbered `shard` guards, for reading.
    ///
    /// # Panics
    /// If it is not among the locked ones.
    #[inline]
    pub(crate) fn peek(&self, shard: usize) -> &State<A> {
        self.check(shard);
        // SAFETY: it is locked, or owned, as long as this value lives; and as long as we are borrowed
        // shared, nothing comes out of here through which it could be changed.
        unsafe { self.database.shard(shard).peek() }
    }

    #[inline]
    fn check(&self, shard: usize) {
        if !matches!(self.shards, Shards::One(only) if only == shard) {
            self.check_several(shard);
        }
    }

    #[inline(never)]
    fn check_several(&self, shard: usize) {
        let locked = match &self.shards {
            Shards::One(only) => *only == shard,
            Shards::Several(shards) => shards.binary_search(&(shard as u16)).is_ok(),
            Shards::All => true,
        };
        assert!(locked, "the shard of this key is not among those locked for the command");
    }

    /// Calls `visit` for each of the shards.
    pub(crate) fn for_each(&mut self, mut visit: impl FnMut(Held<'_, A>)) {
        match &self.shards {
            &Shards::One(only) => visit(self.shard(only)),
            Shards::Several(shards) => {
                for shard in shards.clone() {
                    visit(self.shard(usize::from(shard)));
                }
            }
            Shards::All => (0..self.database.shards().len()).for_each(|shard| visit(self.shard(shard))),
        }
    }
}

impl<A> Locked<'_, A> {
    /// The greatest log offset noted for any of the shards.
    #[inline]
    pub(crate) fn last_write(&self) -> u64 {
        let whole = self.database.last_write();
        let of = |shard: usize| self.peek(shard).last_write;
        match &self.shards {
            &Shards::One(only) => whole.max(of(only)),
            Shards::Several(shards) => {
                shards.iter().fold(whole, |last, shard| last.max(of(usize::from(*shard))))
            }
            Shards::All => (0..self.database.shards().len()).fold(whole, |last, shard| last.max(of(shard))),
        }
    }
}

impl<A> Locked<'_, A> {
    /// # Safety
    /// None of the shards is used any more.
    #[cold]
    unsafe fn unlock_several(&self) {
        if let Shards::Several(shards) = &self.shards {
            for shard in shards {
                // SAFETY: it was locked when this was made, and is not used any more.
                unsafe { self.database.shard(usize::from(*shard)).unlock() };
            }
        }
    }
}

impl<A> Drop for Locked<'_, A> {
    #[inline]
    fn drop(&mut self) {
        match self.shards {
            // SAFETY: it was locked when this was made, and is not used any more.
            Shards::One(only) => unsafe { self.database.shard(only).unlock() },
            // SAFETY: they are not used any more.
            _ => unsafe { self.unlock_several() },
        }
    }
}
