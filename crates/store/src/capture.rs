//! Snapshots without fork: the exact state at one instant, collected while writing goes on.
//!
//! A snapshot begins while its caller owns the gate: it takes the next number, and from then on every
//! entry that does not carry the number's mark still has to be handed to the sink. That happens in
//! one of two ways, whichever comes first: [`Snapshot::step`] comes by, which goes through the tables
//! bucket by bucket in the background; or a write comes by, which hands the old state over before it
//! changes or removes the entry. Either sets the mark. New entries are born with it.
//!
//! ```text
//! entry:  unmarked --- step, or the write about to change it: sink.capture ---> marked
//! shard:  captured < number --- the scan of the shard comes to its end ---> captured == number
//! ```
//!
//! A write to a shard that is captured looks at nothing more than that. A flush takes whole databases
//! away by ownership; the snapshot has its own share in them and goes on.
//!
//! Marks have three bits. An aborted snapshot leaves marks of its number behind, and nobody tidies up:
//! a later snapshot has another mark. Only when a number's mark comes round again in a shard that no
//! snapshot has finished since, the shard's marks are reset at the first touch. That takes seven aborted
//! snapshots in a row, and then a pass over one shard's headers.
#![allow(unsafe_code)] // Marks are set in entries that the tables hold by pointer.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;

use crate::database::Database;
use crate::entry::{EntryPtr, EntryRef, Mark};
use crate::gate::{Gate, Pass};
use crate::key::SHARDS;
use crate::shard::Held;
use crate::value::ValueRef;

/// Takes what a snapshot captures.
///
/// It is called under a shard's lock, by whichever thread writes or scans: it must be quick, must not
/// wait for anything that needs the keyspace, and must not call the keyspace.
pub trait CaptureSink: Send + Sync {
    /// One key of database `db` as it was when the snapshot began. Each key comes once, in no order;
    /// `db` is the number that the database had then. A key that had expired but was not removed yet
    /// comes like any other.
    fn capture(&self, db: usize, key: &[u8], expire_ms: Option<u64>, value: ValueRef<'_>);
}

/// There is a running snapshot, and there can be one at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotRunning;

impl fmt::Display for SnapshotRunning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a snapshot is running already")
    }
}

impl std::error::Error for SnapshotRunning {}

/// What a keyspace, its databases and its running snapshot know together.
pub(crate) struct Capture {
    /// The number of the last snapshot begun. Changed only by who owns the gate.
    number: AtomicU64,
    /// Where the running snapshot's captures go; `None` if none is running.
    sink: RwLock<Option<Arc<dyn CaptureSink>>>,
}

impl Capture {
    pub(crate) fn new() -> Self {
        Self { number: AtomicU64::new(0), sink: RwLock::new(None) }
    }

    /// The number of the last snapshot begun. It does not change under a pass.
    #[inline]
    pub(crate) fn number(&self) -> u64 {
        self.number.load(Ordering::Relaxed)
    }

    /// Begins the next snapshot; the caller owns the gate.
    pub(crate) fn begin(&self, sink: &Arc<dyn CaptureSink>) -> Result<u64, SnapshotRunning> {
        let mut slot = self.sink.write();
        if slot.is_some() {
            return Err(SnapshotRunning);
        }
        *slot = Some(Arc::clone(sink));
        let number = self.number() + 1;
        self.number.store(number, Ordering::Relaxed);
        Ok(number)
    }

    fn end(&self) {
        *self.sink.write() = None;
    }

    /// Has the running snapshot, if there is one, take `entry` of a shard that is not captured yet.
    #[cold]
    pub(crate) fn save<A>(&self, db: usize, held: &mut Held<'_, A>, entry: EntryPtr) {
        let number = self.number();
        prepare(held, number);
        mark(entry, number, |entry| {
            if let Some(sink) = &*self.sink.read() {
                hand_over(&**sink, db, entry);
            }
        });
    }

    /// Makes sure that no entry of a shard that is not captured yet carries the present number's mark
    /// by mistake, before one that is born with it comes in.
    #[cold]
    pub(crate) fn prepare<A>(&self, held: &mut Held<'_, A>) {
        prepare(held, self.number());
    }
}

/// Resets the marks of a shard if among them may be one that equals `number`'s by coming round.
fn prepare<A>(held: &mut Held<'_, A>, number: u64) {
    // The marks in the shard are of numbers from `captured` to `number - 1`.
    if number - held.state.captured < Mark::DISTINCT {
        return;
    }
    held.entries().for_each(|entry| {
        // SAFETY: entries of a shard live, and whoever holds it is their only user.
        unsafe { entry.get_mut() }.set_mark(Mark::of(number - 1));
    });
    held.state.captured = number - 1;
}

/// Calls `save` if the entry does not have the mark of `number` yet, and sets it.
fn mark(entry: EntryPtr, number: u64, save: impl FnOnce(EntryRef<'_>)) {
    // SAFETY: the callers hold the entry's shard and are its only users.
    let mut entry = unsafe { entry.get_mut() };
    if entry.as_ref().mark() != Mark::of(number) {
        save(entry.as_ref());
        entry.set_mark(Mark::of(number));
    }
}

fn hand_over(sink: &dyn CaptureSink, db: usize, entry: EntryRef<'_>) {
    sink.capture(db, entry.key(), entry.expire_ms(), entry.value());
}

/// A running snapshot. It owns what it needs, so it may be moved to a background thread. Dropping it
/// before it is done aborts it.
pub struct Snapshot<A> {
    capture: Arc<Capture>,
    gate: Gate,
    sink: Arc<dyn CaptureSink>,
    number: u64,
    /// The databases still to go through, the present one last.
    databases: Vec<Arc<Database<A>>>,
    /// Where in the present database the scan is.
    shard: usize,
    cursor: u64,
    done: bool,
}

impl<A: Default + Send> Snapshot<A> {
    /// How many entries at most are gone through (about) before the shard's lock is released in between.
    const AT_ONCE: usize = 64;

    pub(crate) fn new(
        capture: Arc<Capture>,
        gate: Gate,
        sink: Arc<dyn CaptureSink>,
        number: u64,
        mut databases: Vec<Arc<Database<A>>>,
    ) -> Self {
        databases.reverse();
        Self { capture, gate, sink, number, databases, shard: 0, cursor: 0, done: false }
    }

    /// Goes through about `budget` entries more; answers whether all is done. Then the sink has been
    /// called for the last time and the keyspace has let go of it.
    ///
    /// # Panics
    /// If the pass belongs to another keyspace.
    pub fn step(&mut self, pass: &impl Pass, budget: usize) -> bool {
        self.gate.check(pass);
        let mut left = budget.max(1);
        while let Some(database) = self.databases.last() {
            if self.shard == SHARDS {
                self.databases.pop();
                (self.shard, self.cursor) = (0, 0);
                continue;
            }
            if left == 0 {
                return false;
            }
            let database = Arc::clone(database);
            let seen = self.piece(pass, &database, left.min(Self::AT_ONCE));
            left = left.saturating_sub(seen);
        }
        self.finish();
        true
    }

    /// Goes through a piece of the present shard under its lock; answers how many entries it saw.
    fn piece(&mut self, pass: &impl Pass, database: &Database<A>, budget: usize) -> usize {
        let (number, sink, db) = (self.number, &self.sink, database.origin());
        let mut cursor = self.cursor;
        let mut seen = 0;
        let captured = database.with_shard(pass, self.shard, |held| {
            if held.state.captured != number {
                prepare(held, number);
                loop {
                    cursor = held.entries().scan(cursor, &mut |entry| {
                        seen += 1;
                        mark(entry, number, |entry| hand_over(&**sink, db, entry));
                    });
                    if cursor == 0 {
                        held.state.captured = number;
                        break;
                    }
                    if seen >= budget {
                        return false;
                    }
                }
            }
            true
        });
        self.cursor = cursor;
        if captured {
            self.shard += 1;
        }
        seen
    }

    fn finish(&mut self) {
        if !self.done {
            self.done = true;
            self.capture.end();
        }
    }
}

impl<A> Drop for Snapshot<A> {
    fn drop(&mut self) {
        if !self.done {
            self.capture.end();
        }
    }
}

impl<A> fmt::Debug for Snapshot<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("number", &self.number)
            .field("done", &self.done)
            .finish_non_exhaustive()
    }
}
