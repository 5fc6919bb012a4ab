//! What decides, apart from what acts: state machines `step(now_ms, input) -> outputs` that use no socket, no clock and
//! no random source. A thin shell carries their outputs out, in order, and feeds back what came of them.
//!
//! Each machine leaves the shell nothing to decide. In return the shell promises two things: it reports nothing about
//! a connection that it was told to close, and it carries the outputs of one step out before it takes the next.

pub mod acks;
pub mod keepalive;
pub mod replica_link;
pub mod replica_session;

use crate::ids::{ReplId, ReplOffset};

/// A point in a history: what a replica holds, or what a snapshot shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The history.
    pub id: ReplId,
    /// How much of it.
    pub offset: ReplOffset,
}

/// The number of bytes in the mark that ends a snapshot of unknown length.
pub const MARK_LEN: usize = 40;

/// How the receiver of a snapshot knows its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayloadEnd {
    /// Its length in bytes was said before (`$<bytes>`).
    Length(u64),
    /// Forty random bytes follow it, which were said before (`$EOF:<mark>`).
    Mark([u8; MARK_LEN]),
}

/// How loud a line of the log is, in Redis's levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// For developers.
    Debug,
    /// Worth a line in production.
    Notice,
    /// Something is wrong.
    Warning,
}
