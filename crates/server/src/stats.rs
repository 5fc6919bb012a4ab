//! Counters: written by one thread each, read by INFO.

use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_utils::CachePadded;

use crate::commands;

/// A counter with a single writer at a time: adding is a load and a store, not a locked instruction.
#[derive(Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`. Only the owner of the counter may call this.
    #[inline]
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    /// The count.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Sets it back to nothing.
    pub fn reset(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

/// Calls and time of one command.
#[derive(Default)]
pub struct CommandCounter {
    /// How often it ran.
    pub calls: Counter,
    /// How long it ran, in nanoseconds; within a batch the time is shared out evenly.
    pub nanos: Counter,
    /// How often it was refused before it ran.
    pub rejected: Counter,
    /// How often it failed.
    pub failed: Counter,
}

/// What one slot counts.
pub struct SlotStats {
    /// By number of command.
    pub commands: Box<[CommandCounter]>,
    /// Lookups of keys by reading commands that found them.
    pub hits: Counter,
    /// Lookups of keys by reading commands that did not.
    pub misses: Counter,
    /// Bytes read from clients.
    pub bytes_in: Counter,
    /// Bytes written to clients.
    pub bytes_out: Counter,
    /// Changes of the keyspace.
    pub dirty: Counter,
    /// Keys that expired.
    pub expired: Counter,
    /// Error replies.
    pub errors: Counter,
}

impl Default for SlotStats {
    fn default() -> Self {
        SlotStats {
            commands: (0..commands::count()).map(|_| CommandCounter::default()).collect(),
            hits: Counter::default(),
            misses: Counter::default(),
            bytes_in: Counter::default(),
            bytes_out: Counter::default(),
            dirty: Counter::default(),
            expired: Counter::default(),
            errors: Counter::default(),
        }
    }
}

/// The counters of a server.
pub struct Stats {
    slots: Box<[CachePadded<SlotStats>]>,
    /// Connections accepted.
    pub connections: AtomicU64,
    /// Connections refused because there were too many.
    pub rejected_connections: AtomicU64,
    /// Full resynchronisations of replicas.
    pub sync_full: AtomicU64,
    /// Partial resynchronisations accepted.
    pub sync_partial_ok: AtomicU64,
    /// Partial resynchronisations refused.
    pub sync_partial_err: AtomicU64,
    /// Commands a second, over the last periods.
    pub instantaneous_ops: AtomicU64,
    /// Highest memory in use that was seen.
    pub peak_memory: AtomicU64,
}

impl Stats {
    /// Counters for so many slots.
    pub fn new(slots: usize) -> Self {
        Stats {
            slots: (0..slots).map(|_| CachePadded::default()).collect(),
            connections: AtomicU64::default(),
            rejected_connections: AtomicU64::default(),
            sync_full: AtomicU64::default(),
            sync_partial_ok: AtomicU64::default(),
            sync_partial_err: AtomicU64::default(),
            instantaneous_ops: AtomicU64::default(),
            peak_memory: AtomicU64::default(),
        }
    }

    /// The counters of one slot, for its owner to write.
    pub fn slot(&self, slot: usize) -> &SlotStats {
        &self.slots[slot]
    }

    /// A sum over all slots.
    pub fn sum(&self, counter: impl Fn(&SlotStats) -> u64) -> u64 {
        self.slots.iter().map(|slot| counter(slot)).sum()
    }

    /// Commands executed.
    pub fn commands_processed(&self) -> u64 {
        self.sum(|slot| slot.commands.iter().map(|command| command.calls.get()).sum())
    }

    /// `CONFIG RESETSTAT`. Counts that are being added at the same moment may survive it.
    pub fn reset(&self) {
        for slot in &self.slots {
            for command in &slot.commands {
                command.calls.reset();
                command.nanos.reset();
                command.rejected.reset();
                command.failed.reset();
            }
            for counter in
                [&slot.hits, &slot.misses, &slot.bytes_in, &slot.bytes_out, &slot.expired, &slot.errors]
            {
                counter.reset();
            }
        }
        for total in [&self.connections, &self.rejected_connections, &self.sync_full, &self.sync_partial_ok] {
            total.store(0, Ordering::Relaxed);
        }
        self.sync_partial_err.store(0, Ordering::Relaxed);
    }
}
