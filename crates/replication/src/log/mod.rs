//! The replication log: the one place that every effect goes through, on its way to replicas, to the append-only file,
//! and to those who come back later (the backlog).
//!
//! **Many writers.** A worker appends while it holds the locks of the shards that the effect changed, so the order in the
//! log agrees with the order on every key. Under a lock of a few instructions it *reserves* a range; it copies its bytes
//! outside that lock. Readers see up to the beginning of the earliest copy under way (module `publish`), which is always
//! the end of a whole effect.
//!
//! **Many readers, one copy.** The bytes stand in blocks. The log holds as many as the backlog's size demands; a
//! [`Reader`] holds the block it stands in, and with it all later ones. So the memory is bounded by the backlog's size
//! or by how far the slowest reader may fall behind, whichever is more, and not multiplied by the number of readers. As
//! in Redis, what is kept for a slow reader serves the others' partial resyncs too.
//!
//! **SELECT** is decided where the order is decided, in the append: an effect in another database than the one before
//! is preceded by Redis's own `SELECT`.
//!
//! Invariants:
//! - a byte is written once, by the thread that reserved it, before it is published, and never changed afterwards;
//! - positions go up without gaps; only [`Log::reset`] moves them otherwise, and then no reader lives on;
//! - while the log is inactive nothing is appended and the offset stands still.

mod block;
mod publish;
mod reader;
mod reserve;
mod spin;
mod tail;
mod waiters;
mod wire;

#[cfg(test)]
mod tests;

use crate::ids::ReplOffset;
use publish::Publication;
use spin::{Backoff, SpinLock};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tail::{Garbage, NO_DB, Tail};
use waiters::Waiters;

pub use reader::{ReadError, Reader};

/// The replication log.
///
/// ```
/// use redkeep_replication::{Log, ReplOffset};
///
/// let log = Log::new(1, 1024 * 1024);
/// log.activate();
/// let mut replica = log.reader(ReplOffset(0), 0).expect("the log begins here");
///
/// let end = log.append(0, 0, b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n");
///
/// let stream = replica.peek(1024).expect("it is not behind").to_vec();
/// assert_eq!(stream, b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n");
/// replica.consume(stream.len());
/// assert_eq!(replica.offset(), end);
/// ```
pub struct Log {
    active: AtomicBool,
    /// Counts the times that the content was discarded, so that readers of the old content notice.
    generation: AtomicU64,
    publication: Publication,
    tail: SpinLock<Tail>,
    waiters: Waiters,
}

/// What of a log can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Available {
    /// The oldest position that a reader can start from. INFO's `repl_backlog_first_byte_offset` is its
    /// [`ReplOffset::next_byte`].
    pub first: ReplOffset,
    /// The end of what is published.
    pub end: ReplOffset,
}

impl Available {
    /// Whether a reader can start from `offset`.
    pub fn contains(&self, offset: ReplOffset) -> bool {
        self.first <= offset && offset <= self.end
    }

    /// The bytes between both: INFO's `repl_backlog_histlen`.
    pub fn histlen(&self) -> u64 {
        self.end.since(self.first)
    }
}

/// What one command did: whole requests in Redis's stream format, and the database that they are meant for.
#[derive(Clone, Copy, Debug)]
pub struct Effect<'a> {
    /// The number of the database.
    pub db: usize,
    /// The requests.
    pub bytes: &'a [u8],
}

impl Log {
    /// An inactive log at offset 0. Up to `slots` threads append at the same time, each with its own slot: one for each
    /// worker and each background user. It keeps at least the last `backlog_size` bytes (`repl-backlog-size`).
    pub fn new(slots: usize, backlog_size: u64) -> Arc<Log> {
        Arc::new(Log {
            active: AtomicBool::new(false),
            generation: AtomicU64::new(0),
            publication: Publication::new(slots),
            tail: SpinLock::new(Tail::new(backlog_size)),
            waiters: Waiters::default(),
        })
    }

    /// Whether effects are to be appended. To be asked before each append; it costs one relaxed load.
    #[inline]
    pub fn is_active(&self) -> bool {
        self.active.load(Ordering::Relaxed)
    }

    /// Begins to take effects, at the present end. To be called while nothing executes, so that no effect is half in.
    pub fn activate(&self) {
        self.tail.lock().active = true;
        self.active.store(true, Ordering::Release);
    }

    /// Takes no more effects and frees what it holds; the offset stays. Readers are told [`ReadError::Discarded`]. To be
    /// called while nothing executes.
    pub fn deactivate(&self) {
        self.active.store(false, Ordering::Release);
        self.discard(self.end(), false);
    }

    /// Starts over at `offset`, active and empty: what a replica does when it has loaded a snapshot that shows this
    /// offset, and a node that has restored its dataset. Readers are told [`ReadError::Discarded`]. To be called while
    /// nothing executes.
    pub fn reset(&self, offset: ReplOffset) {
        self.discard(offset, true);
        self.active.store(true, Ordering::Release);
    }

    /// Makes the next [`Self::append`] say its database whatever it was: at the point of every full resync, where a new
    /// reader of the stream knows of none.
    pub fn force_select(&self) {
        self.tail.lock().db = NO_DB;
    }

    /// The end of the log, copies under way included: INFO's `master_repl_offset`.
    #[inline]
    pub fn end(&self) -> ReplOffset {
        ReplOffset(self.publication.end())
    }

    /// The end of what readers may see; always the end of a whole effect.
    pub fn published(&self) -> ReplOffset {
        ReplOffset(self.publication.published())
    }

    /// What can be read; `None` while the log is inactive.
    pub fn available(&self) -> Option<Available> {
        let tail = self.tail.lock();
        let end = self.publication.published();
        let first = tail.first(self.publication.end()).min(end);
        tail.active.then_some(Available { first: ReplOffset(first), end: ReplOffset(end) })
    }

    /// Keeps at least the last `backlog_size` bytes from now on (`repl-backlog-size`). What a shrinking log can spare is
    /// freed at once.
    pub fn resize(&self, backlog_size: u64) {
        self.tail.lock().set_backlog_size(backlog_size);
        self.trim();
    }

    /// The bytes of memory held for the log: INFO's `mem_total_replication_buffers`.
    pub fn memory(&self) -> u64 {
        self.tail.lock().memory()
    }

    /// A reader from the position `from`, or `None` if that is not held. Once more than `limit` bytes behind, it is told
    /// [`ReadError::Lagged`] (the hard limit of `client-output-buffer-limit replica`); 0 is no limit.
    pub fn reader(self: &Arc<Self>, from: ReplOffset, limit: u64) -> Option<Reader> {
        Reader::new(Arc::clone(self), from.0, limit)
    }

    fn trim(&self) {
        let garbage = {
            let mut tail = self.tail.lock();
            tail.trim(self.publication.published(), self.publication.end())
        };
        drop(garbage);
    }

    /// Under one hold of the lock, so that the generation changes before the end does: see `Reader::readable`.
    fn discard(&self, offset: ReplOffset, active: bool) {
        let garbage: Garbage = {
            let mut tail = self.tail.lock();
            let mut backoff = Backoff::default();
            while !self.publication.all_idle() {
                backoff.wait();
            }
            self.generation.fetch_add(1, Ordering::Relaxed);
            self.publication.jump(offset.0);
            tail.active = active;
            tail.waiting = false;
            tail.clear()
        };
        drop(garbage);
        self.waiters.wake_all();
    }
}
