//! Which bytes may be read: everything before the earliest write that is still under way.
//!
//! Several threads copy into the log at once, each into its own reserved range. A *slot* says where its owner's copy
//! begins while it is under way. The order of the four steps carries the proof:
//!
//! 1. under the log's lock, the writer stores its slot, *then* the new end;
//! 2. outside the lock it copies, *then* it stores its slot as idle;
//! 3. a reader loads the end, *then* the slots.
//!
//! All stores release and all loads acquire. A reader that sees an end sees the slots of all ranges before that end, as
//! they were at their reservation or later, since reservations follow each other under the lock. Where it sees a slot
//! that has moved on, it also sees the copy that came before. So the least of what it saw bounds finished bytes only.

use crossbeam_utils::CachePadded;
use std::sync::atomic::{AtomicU64, Ordering};

/// No write is under way in this slot.
const IDLE: u64 = u64::MAX;

pub(super) struct Publication {
    end: CachePadded<AtomicU64>,
    slots: Box<[CachePadded<AtomicU64>]>,
}

impl Publication {
    pub(super) fn new(slots: usize) -> Publication {
        let slots = (0..slots).map(|_| CachePadded::new(AtomicU64::new(IDLE))).collect();
        Publication { end: CachePadded::new(AtomicU64::new(0)), slots }
    }

    /// The end of what is reserved.
    #[inline]
    pub(super) fn end(&self) -> u64 {
        self.end.load(Ordering::Acquire)
    }

    /// The end of what may be read.
    pub(super) fn published(&self) -> u64 {
        let end = self.end();
        self.slots.iter().map(|slot| slot.load(Ordering::Acquire)).fold(end, u64::min)
    }

    /// Whether this slot is free. Only meaningful under the log's lock.
    #[inline]
    pub(super) fn is_idle(&self, slot: usize) -> bool {
        self.slots[slot].load(Ordering::Acquire) == IDLE
    }

    /// Whether no copy is under way. Under the log's lock it stays so.
    pub(super) fn all_idle(&self) -> bool {
        self.slots.iter().all(|slot| slot.load(Ordering::Acquire) == IDLE)
    }

    /// Under the log's lock, for an idle slot: a copy begins at `start`, the present end; the end moves to `end`.
    #[inline]
    pub(super) fn begin(&self, slot: usize, start: u64, end: u64) {
        self.slots[slot].store(start, Ordering::Release);
        self.end.store(end, Ordering::Release);
    }

    /// The copy is done.
    #[inline]
    pub(super) fn finish(&self, slot: usize) {
        self.slots[slot].store(IDLE, Ordering::Release);
    }

    /// Under the log's lock, while all slots are idle: the log goes on at another position.
    pub(super) fn jump(&self, end: u64) {
        self.end.store(end, Ordering::Release);
    }
}
