#![allow(unsafe_code)]
//! Appending: reserve under the lock, copy outside it.
//!
//! The fast path is one effect, in the database of the one before, that fits into the last block. Everything else
//! (a SELECT, a new block, several pieces, a busy slot) goes through `gather`, which shares only the two steps.

use super::block::{Block, Segment};
use super::spin::{Backoff, Guard};
use super::tail::{NO_DB, Tail};
use super::wire::{self, Select};
use super::{Effect, Log};
use crate::ids::ReplOffset;
use std::sync::Arc;

/// What an append has to do with databases.
#[derive(Clone, Copy)]
enum Databases {
    /// It begins in one and ends in one.
    Uses { first: usize, last: usize },
    /// It is for all or none.
    Unaffected,
    /// It may contain SELECTs itself.
    Unknown,
}

impl Databases {
    /// The SELECT that has to come first, after a stream that has ended in `current`.
    fn select(self, current: usize) -> Option<Select> {
        match self {
            Databases::Uses { first, .. } => (first != current).then(|| Select::new(first)),
            Databases::Unaffected | Databases::Unknown => None,
        }
    }

    /// Where the stream ends after it.
    fn after(self, current: usize) -> usize {
        match self {
            Databases::Uses { last, .. } => last,
            Databases::Unaffected => current,
            Databases::Unknown => NO_DB,
        }
    }
}

/// A range of the log that one thread writes.
struct Reservation {
    segments: Vec<Segment>,
    select: Option<Select>,
    end: u64,
    wake: bool,
}

impl Log {
    /// Appends one effect of database `db`, after a SELECT where one is needed, and returns the end after it.
    ///
    /// To be called only while the log is active, with the locks of the keys held. `slot` is the caller's own; a slot
    /// that is used by another thread at that moment is waited for.
    ///
    /// # Panics
    /// If there is no such slot, or the log is inactive.
    #[inline]
    pub fn append(&self, slot: usize, db: usize, bytes: &[u8]) -> ReplOffset {
        let mut tail = self.tail.lock();
        if tail.db != db || tail.room.len() < bytes.len() || !self.publication.is_idle(slot) {
            drop(tail);
            let databases = Databases::Uses { first: db, last: db };
            return self.gather(slot, databases, bytes.len(), |write| write(bytes));
        }
        let start = self.publication.end();
        let end = start + bytes.len() as u64;
        let mut room = tail.room.take(bytes.len());
        self.publication.begin(slot, start, end);
        let wake = std::mem::take(&mut tail.waiting);
        drop(tail);
        // SAFETY: the room was cut off the log's under its lock, so it is this thread's alone until `finish`; the log
        // keeps the blocks of unpublished ranges.
        unsafe { room.fill(bytes) };
        self.publication.finish(slot);
        if wake {
            self.waiters.wake_all();
        }
        ReplOffset(end)
    }

    /// Appends the effects of one transaction as one contiguous range, between MULTI and EXEC, and returns the end after
    /// it. As in Redis 7, a single effect is appended without them. Otherwise as [`Self::append`].
    ///
    /// # Panics
    /// As [`Self::append`].
    pub fn append_transaction(&self, slot: usize, effects: &[Effect<'_>]) -> ReplOffset {
        match effects {
            [] => self.end(),
            [only] => self.append(slot, only.db, only.bytes),
            [first, .., last] => {
                let mut len = 0;
                wire::transaction(effects, |piece| len += piece.len());
                let databases = Databases::Uses { first: first.db, last: last.db };
                self.gather(slot, databases, len, |write| wire::transaction(effects, write))
            }
        }
    }

    /// Appends what concerns the links and no database ([`crate::core::keepalive`]), and returns the end after it.
    ///
    /// # Panics
    /// As [`Self::append`].
    pub fn append_link(&self, slot: usize, bytes: &[u8]) -> ReplOffset {
        self.gather(slot, Databases::Unaffected, bytes.len(), |write| write(bytes))
    }

    /// Appends what a replica received from its master as it is, so that both logs agree byte by byte, and returns the
    /// end after it. `at` is the position that the bytes have in the master's log.
    ///
    /// # Panics
    /// As [`Self::append`], and if the log does not end at `at`.
    pub fn append_raw(&self, slot: usize, at: ReplOffset, bytes: &[u8]) -> ReplOffset {
        assert_eq!(at, self.end(), "a replica's log goes on where its master's bytes do");
        self.gather(slot, Databases::Unknown, bytes.len(), |write| write(bytes))
    }

    /// Appends `len` bytes that `pieces` hands over in order.
    #[cold]
    fn gather(
        &self,
        slot: usize,
        databases: Databases,
        len: usize,
        pieces: impl FnOnce(&mut dyn FnMut(&[u8])),
    ) -> ReplOffset {
        let Reservation { segments, select, end, wake } = self.reserve(slot, databases, len);
        let mut segments = segments.into_iter();
        let mut current = Segment::EMPTY;
        let mut write = |mut bytes: &[u8]| {
            while !bytes.is_empty() {
                if current.len() == 0 {
                    current = segments.next().expect("as many bytes were reserved as there are to write");
                }
                // SAFETY: the segments were cut off the log's room under its lock, so they are this thread's alone
                // until `finish`; the log keeps the blocks of unpublished ranges.
                let written = unsafe { current.fill(bytes) };
                bytes = &bytes[written..];
            }
        };
        if let Some(select) = &select {
            write(select.as_bytes());
        }
        pieces(&mut write);
        self.publication.finish(slot);
        if wake {
            self.waiters.wake_all();
        }
        ReplOffset(end)
    }

    fn reserve(&self, slot: usize, databases: Databases, len: usize) -> Reservation {
        let mut fresh: Vec<Arc<Block>> = Vec::new();
        loop {
            let mut tail = self.lock_with_slot(slot);
            let select = databases.select(tail.db);
            let total = len + select.as_ref().map_or(0, |select| select.as_bytes().len());
            let start = self.publication.end();
            let garbage = tail.trim(self.publication.published(), start);
            if tail.room.len() < total {
                fresh.extend(tail.take_spare());
                let room = tail.room.len() + fresh.iter().map(|block| block.len()).sum::<usize>();
                if room < total {
                    let block_len = tail.block_len();
                    drop(tail);
                    let wanted = (total - room).div_ceil(block_len);
                    fresh.extend((0..wanted).map(|_| Arc::new(Block::new(block_len))));
                    continue;
                }
            }
            let segments = cut(&mut tail, &mut fresh, start, total);
            tail.db = databases.after(tail.db);
            let end = start + total as u64;
            self.publication.begin(slot, start, end);
            let wake = std::mem::take(&mut tail.waiting);
            drop(tail);
            drop(garbage);
            return Reservation { segments, select, end, wake };
        }
    }

    /// The lock, at a moment when the slot is free.
    fn lock_with_slot(&self, slot: usize) -> Guard<'_, Tail> {
        let mut backoff = Backoff::default();
        loop {
            let tail = self.tail.lock();
            assert!(tail.active, "nothing is appended to an inactive log");
            if self.publication.is_idle(slot) {
                return tail;
            }
            drop(tail);
            backoff.wait();
        }
    }
}

/// Cuts `total` bytes off the log's room, linking blocks as they are needed.
fn cut(tail: &mut Tail, fresh: &mut Vec<Arc<Block>>, start: u64, total: usize) -> Vec<Segment> {
    let mut segments = Vec::with_capacity(1 + fresh.len());
    let mut left = total;
    while left > 0 {
        if tail.room.len() == 0 {
            let block = fresh.pop().expect("there are blocks for all the bytes");
            tail.link(block, start + (total - left) as u64);
        }
        let segment = tail.room.take(left);
        left -= segment.len();
        segments.push(segment);
    }
    segments
}

#[cfg(test)]
mod tests {
    //! What may and may not happen while a copy is under way, which the other tests meet only by chance.

    use super::*;
    use crate::log::ReadError;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::task::{Context, Poll, Wake, Waker};

    const BACKLOG: u64 = 16 * 1024;

    struct Count(AtomicU64);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    impl Log {
        /// Reserves without copying, as a thread does that has lost its processor in between.
        fn begin(&self, slot: usize, bytes: &[u8]) -> Reservation {
            self.reserve(slot, Databases::Unaffected, bytes.len())
        }

        /// Does the rest, for an effect that lies in one block.
        fn finish(&self, slot: usize, reservation: Reservation, bytes: &[u8]) {
            let [mut segment] = reservation.segments[..] else { panic!("the effect lies in one block") };
            // SAFETY: the segment is reserved by this thread, which has not finished.
            unsafe { segment.fill(bytes) };
            self.publication.finish(slot);
            if reservation.wake {
                self.waiters.wake_all();
            }
        }
    }

    fn active() -> Arc<Log> {
        let log = Log::new(2, BACKLOG);
        log.activate();
        log
    }

    #[test]
    fn nothing_after_an_unfinished_copy_is_shown_or_given_up() {
        let log = active();
        let mut reader = log.reader(ReplOffset(0), 0).unwrap();
        log.append_link(0, b"first");
        let unfinished = log.begin(0, b"second");
        let filling = vec![b'x'; 40_000];
        log.append_link(1, &filling);
        assert_eq!((log.published(), log.end()), (ReplOffset(5), ReplOffset(40_011)));
        assert_eq!(reader.peek(100), Ok(&b"first"[..]));
        drop(reader);
        let held = log.available().unwrap();
        assert_eq!(held.first, ReplOffset(0), "the block of an unfinished copy is kept");
        assert_eq!(held.end, ReplOffset(5));
        log.finish(0, unfinished, b"second");
        assert_eq!(log.published(), log.end());
        let mut late = log.reader(ReplOffset(5), 0).unwrap();
        assert_eq!(late.peek(6), Ok(&b"second"[..]));
        drop(late);
        assert!(log.available().unwrap().first > ReplOffset(0));
    }

    #[test]
    fn a_slot_in_use_is_waited_for() {
        let log = active();
        log.append(1, 0, b"so that the next append needs no SELECT");
        let from = log.end();
        let unfinished = log.begin(0, b"one");
        std::thread::scope(|scope| {
            let second = scope.spawn(|| log.append(0, 0, b"two"));
            std::thread::sleep(std::time::Duration::from_millis(20));
            assert!(!second.is_finished());
            assert_eq!((log.published(), log.end()), (from, from.plus(3)));
            log.finish(0, unfinished, b"one");
            assert_eq!(second.join().expect("it goes on"), from.plus(6));
        });
        assert_eq!(log.reader(from, 0).unwrap().peek(100), Ok(&b"onetwo"[..]));
    }

    #[test]
    fn a_reader_that_waits_beside_an_unfinished_copy_looks_again() {
        let log = active();
        let mut reader = log.reader(ReplOffset(0), 0).unwrap();
        let count = Arc::new(Count(AtomicU64::new(0)));
        let waker = Waker::from(Arc::clone(&count));
        let unfinished = log.begin(0, b"one");
        assert!(!unfinished.wake, "it was reserved before anybody waited");
        assert_eq!(reader.poll_ready(&mut Context::from_waker(&waker)), Poll::Pending);
        assert_eq!(count.0.load(Ordering::Relaxed), 1, "the copy would not wake it, so it is woken at once");
        log.finish(0, unfinished, b"one");
        assert_eq!(reader.poll_ready(&mut Context::from_waker(&waker)), Poll::Ready(()));
    }

    #[test]
    fn a_log_is_discarded_after_the_copies_under_way() {
        let log = active();
        let mut reader = log.reader(ReplOffset(0), 0).unwrap();
        let unfinished = log.begin(0, b"one");
        std::thread::scope(|scope| {
            let discarding = scope.spawn(|| log.reset(ReplOffset(7)));
            std::thread::sleep(std::time::Duration::from_millis(20));
            assert!(!discarding.is_finished());
            assert_eq!(reader.peek(100), Ok(&b""[..]));
            log.finish(0, unfinished, b"one");
        });
        assert_eq!(reader.peek(100), Err(ReadError::Discarded));
        assert_eq!(log.published(), ReplOffset(7));
    }
}
