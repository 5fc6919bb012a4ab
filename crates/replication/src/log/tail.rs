//! What the log's lock protects: where the next bytes go, and which blocks are held.
//!
//! Blocks follow each other without gaps; each is filled to its end before the next begins. The front is given up block
//! by block, never more than the backlog can spare, and never a block that a reader holds or a copy may still be writing
//! into.

use super::block::{Block, Segment};
use std::collections::VecDeque;
use std::sync::Arc;

/// The largest block. Big enough that taking a new one is rare, small enough that what a reader pins beyond its own
/// position is little.
const MAX_BLOCK_LEN: u64 = 256 * 1024;
/// The smallest block, for tiny backlogs.
const MIN_BLOCK_LEN: u64 = 16 * 1024;
/// A backlog is made of about this many blocks, so that giving up a block at a time keeps it near its size.
const BLOCKS_PER_BACKLOG: u64 = 16;

/// The database of the last effect is not known: the next one says it anew.
pub(super) const NO_DB: usize = usize::MAX;

pub(super) struct Tail {
    pub(super) active: bool,
    /// The unreserved rest of the last block.
    pub(super) room: Segment,
    /// The database that a reader of the stream is in at its end, or [`NO_DB`].
    pub(super) db: usize,
    /// Somebody waits for new bytes. Whoever reserves next takes this and wakes them once it has copied.
    pub(super) waiting: bool,
    blocks: VecDeque<Arc<Block>>,
    /// A block that was given up, to be used again: a full backlog then turns over without allocating.
    spare: Option<Arc<Block>>,
    backlog_size: u64,
}

/// Blocks that left the log, to be freed after its lock.
#[must_use = "to be dropped after the lock"]
pub(super) struct Garbage(#[expect(dead_code, reason = "held only to be dropped later")] Vec<Arc<Block>>);

impl Tail {
    pub(super) fn new(backlog_size: u64) -> Tail {
        Tail {
            active: false,
            room: Segment::EMPTY,
            db: NO_DB,
            waiting: false,
            blocks: VecDeque::new(),
            spare: None,
            backlog_size,
        }
    }

    /// The length of blocks from now on.
    pub(super) fn block_len(&self) -> usize {
        (self.backlog_size / BLOCKS_PER_BACKLOG).clamp(MIN_BLOCK_LEN, MAX_BLOCK_LEN) as usize
    }

    pub(super) fn set_backlog_size(&mut self, backlog_size: u64) {
        self.backlog_size = backlog_size;
    }

    /// The oldest position held, in a log that ends at `end`.
    pub(super) fn first(&self, end: u64) -> u64 {
        self.blocks.front().map_or(end, |block| block.start())
    }

    /// The bytes of memory held.
    pub(super) fn memory(&self) -> u64 {
        self.blocks.iter().chain(&self.spare).map(|block| block.len() as u64).sum()
    }

    /// The block with the byte at this position.
    pub(super) fn block_at(&self, offset: u64) -> Option<&Arc<Block>> {
        let after = self.blocks.partition_point(|block| block.start() <= offset);
        let block = self.blocks.get(after.checked_sub(1)?)?;
        (offset < block.end()).then_some(block)
    }

    /// Adds a block that nobody else holds. The room before it must be used up.
    pub(super) fn link(&mut self, mut block: Arc<Block>, end: u64) {
        assert_eq!(self.room.len(), 0, "a block of the log is filled before the next one begins");
        Arc::get_mut(&mut block).expect("a block to be linked has one holder").place_at(end);
        self.room = block.segment();
        self.blocks.push_back(block);
    }

    pub(super) fn take_spare(&mut self) -> Option<Arc<Block>> {
        self.spare.take()
    }

    /// Gives up the front, as far as the backlog's size allows. `end` is the end of what is reserved.
    pub(super) fn trim(&mut self, published: u64, end: u64) -> Garbage {
        let keep_from = end.saturating_sub(self.backlog_size).min(published);
        let mut garbage = Vec::new();
        while let Some(front) = self.blocks.front() {
            // Nobody can come to hold it in between: a block is taken hold of under the lock, or by who holds it.
            if front.end() > keep_from || Arc::strong_count(front) > 1 {
                break;
            }
            let given_up = self.blocks.pop_front().expect("there is a front");
            if self.spare.is_none() && given_up.len() == self.block_len() {
                self.spare = Some(given_up);
            } else {
                garbage.push(given_up);
            }
        }
        if self.blocks.is_empty() {
            self.room = Segment::EMPTY;
        }
        Garbage(garbage)
    }

    /// Gives up everything.
    pub(super) fn clear(&mut self) -> Garbage {
        self.room = Segment::EMPTY;
        self.db = NO_DB;
        let blocks = std::mem::take(&mut self.blocks);
        Garbage(blocks.into_iter().chain(self.spare.take()).collect())
    }
}
