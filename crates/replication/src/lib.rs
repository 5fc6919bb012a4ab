//! Replication without sockets: the log that every write goes through, the history that a log belongs to, and the
//! state machines of both ends of a replication link.
//!
//! | module | what it answers |
//! |---|---|
//! | [`log`] | where do effects go, and how do many readers follow them without copies? |
//! | [`history`] | may this replica continue from there, or does it need everything? |
//! | [`core::replica_link`] | what does a replica say to its master next? |
//! | [`core::replica_session`] | what does a primary say to one of its replicas next? |
//! | [`core::acks`] | who has how much? (`WAIT`, `min-replicas-to-write`) |
//!
//! Nothing here opens a socket, reads a clock or draws a random number. Times are `now_ms: u64`, milliseconds on any
//! clock that does not go back; random bytes are arguments.

pub mod core;
pub mod history;
pub mod ids;
pub mod log;

pub use history::{Decision, History, Refusal, Request};
pub use ids::{ReplId, ReplOffset, ReplicaId};
pub use log::{Available, Effect, Log, ReadError, Reader};
