#![allow(unsafe_code)]
//! Following the log.
//!
//! A reader holds the block it stands in. The log gives up blocks from the front only, so that all later ones stay too,
//! and a reader never loses what it has not yet read: it is told to give up ([`ReadError::Lagged`]) instead. Whoever
//! drives it asks at least once in a while, also while the peer's socket is full: nobody else frees its memory.

use super::Log;
use super::block::Block;
use crate::ids::ReplOffset;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

/// Why a reader cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// It is further behind than its limit.
    #[error("the reader is {behind} bytes behind the replication log, which is over its limit")]
    Lagged {
        /// By how many bytes.
        behind: u64,
    },
    /// The log was discarded, or went on elsewhere.
    #[error("the replication log was discarded")]
    Discarded,
}

/// A position in the log that moves as it is read. See [`Log`] for an example.
pub struct Reader {
    generation: u64,
    /// Holds the byte at `offset`, or ends there.
    block: Arc<Block>,
    offset: u64,
    /// The end of what was shown.
    shown: u64,
    /// 0: none.
    limit: u64,
    /// After `block`, so that the block is let go before the log is asked what it can free.
    following: Following,
}

/// That a reader exists.
struct Following {
    log: Arc<Log>,
    /// Names the reader among those that wait.
    id: u64,
}

impl Reader {
    pub(super) fn new(log: Arc<Log>, from: u64, limit: u64) -> Option<Reader> {
        static NEXT_ID: AtomicU64 = AtomicU64::new(0);
        let (block, generation) = log.hold_block(from)?;
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        let following = Following { log, id };
        Some(Reader { generation, block, offset: from, shown: from, limit, following })
    }

    /// The next bytes, at most `max` and as many as stand together; none when everything has been read. Showing them
    /// does not take them: see [`Self::consume`].
    ///
    /// # Errors
    /// When the reader is too far behind, or the log was discarded. Both are final.
    pub fn peek(&mut self, max: usize) -> Result<&[u8], ReadError> {
        let published = self.readable()?;
        if published == self.offset {
            return Ok(&[]);
        }
        if self.block.end() == self.offset {
            self.block = self.log().next_block(self.offset, self.generation).ok_or(ReadError::Discarded)?;
            self.log().trim();
        }
        let end = published.min(self.block.end()).min(self.offset.saturating_add(max as u64));
        self.shown = end;
        // SAFETY: the block holds `offset`, `end` is not past it, and everything before `published` is published.
        Ok(unsafe { self.block.read(self.offset..end) })
    }

    /// Takes `len` of the bytes that the last [`Self::peek`] showed.
    ///
    /// # Panics
    /// If it did not show so many.
    pub fn consume(&mut self, len: usize) {
        assert!(len as u64 <= self.shown - self.offset, "a reader takes no more than it was shown");
        self.offset += len as u64;
    }

    /// Where the reader stands.
    pub fn offset(&self) -> ReplOffset {
        ReplOffset(self.offset)
    }

    /// How many published bytes it has not taken.
    pub fn behind(&self) -> u64 {
        self.log().publication.published().saturating_sub(self.offset)
    }

    /// Changes the limit; 0 is none.
    pub fn set_limit(&mut self, limit: u64) {
        self.limit = limit;
    }

    /// Waits until there is something to [`Self::peek`], be it an error.
    pub async fn ready(&mut self) {
        std::future::poll_fn(|cx| self.poll_ready(cx)).await;
    }

    /// [`Self::ready`], to be polled by hand.
    pub fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.readable() != Ok(self.offset) {
            return Poll::Ready(());
        }
        self.log().waiters.register(self.following.id, cx.waker());
        let mut tail = self.log().tail.lock();
        // Writers look for waiting readers when they reserve. One that reserved before has not seen this reader, so it
        // is not relied upon: either its bytes are here by now, or it is looked for again.
        tail.waiting = true;
        let settled = self.log().publication.all_idle();
        drop(tail);
        if self.readable() != Ok(self.offset) {
            return Poll::Ready(());
        }
        if !settled {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    fn log(&self) -> &Log {
        &self.following.log
    }

    /// The published end, never before this reader's position, if the reader may go on.
    fn readable(&self) -> Result<u64, ReadError> {
        let published = self.log().publication.published();
        // The generation changes before the end does. So if it is still this reader's, `published` belongs to it too,
        // except that slots of a later one may have made it smaller, which the position makes up for.
        if self.log().generation.load(Ordering::Acquire) != self.generation {
            return Err(ReadError::Discarded);
        }
        let behind = published.saturating_sub(self.offset);
        if self.limit > 0 && behind > self.limit {
            return Err(ReadError::Lagged { behind });
        }
        Ok(published.max(self.offset))
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.log.waiters.remove(self.id);
        self.log.trim();
    }
}

impl Log {
    /// The block to read from at `from`, and the generation that it belongs to.
    fn hold_block(&self, from: u64) -> Option<(Arc<Block>, u64)> {
        // For a log whose last block is full, or that has none.
        let mut fresh = None;
        loop {
            let mut tail = self.tail.lock();
            let end = self.publication.end();
            if !tail.active || from < tail.first(end) || from > end {
                return None;
            }
            if from == end && tail.room.len() == 0 {
                let Some(block) = fresh.take() else {
                    let len = tail.block_len();
                    drop(tail);
                    fresh = Some(Arc::new(Block::new(len)));
                    continue;
                };
                tail.link(block, end);
            }
            let block = tail.block_at(from).expect("every position held is in a block");
            return Some((Arc::clone(block), self.generation.load(Ordering::Relaxed)));
        }
    }

    /// The block that begins at `offset`, which a reader of this generation has reached.
    fn next_block(&self, offset: u64, generation: u64) -> Option<Arc<Block>> {
        let tail = self.tail.lock();
        if self.generation.load(Ordering::Relaxed) != generation {
            return None;
        }
        let block = tail.block_at(offset).expect("what follows a held block is held");
        Some(Arc::clone(block))
    }
}
