//! The sentinels' Raft group: how several sentinels come to hold one and the same state.
//!
//! **The problem.** Sentinels must agree on who the primary is, and on every change of that, through crashes, lost
//! messages and partitions; and a new set of sentinels must become *one* group without being told who belongs to it.
//!
//! **The shape of the answer.** A [`Group`] is one running member. It replicates a [`Machine`], a state that changes
//! only by applying commands in the order of the Raft log; openraft does the consensus, this module gives it a disk, a
//! wire and a beginning:
//!
//! | part | what it does |
//! |---|---|
//! | [`codec`] | the one encoding of everything that is written or sent |
//! | [`storage`] | log, vote, identity, promise and snapshot on disk, fsynced before they count |
//! | [`bootstrap`] | the pure state machine by which strangers become one group |
//! | `keeper` | the task that drives it, joins a running group and reports a changed address |
//! | `engine`, `serve` | requests to the leader, and the answers to what others ask |
//! | `wire`, `network` | messages between members, over a [`Transport`] that the caller gives |
//! | `members` | adding, replacing and removing members by committed changes |
//! | [`group`] | [`Group`] itself: propose, read, watch |
//!
//! **Invariants.**
//! - Nothing is told to another sentinel before the disk has it: votes, log entries and promises are fsynced first.
//! - The Raft [`NodeId`] lives only in the data directory. A sentinel whose directory was wiped is another voter, even
//!   under the same [`PublicId`]; so a vote that was forgotten can never be given twice.
//! - A directory promises once to start a group, and takes part in no other unless that one can never begin.
//! - Every wait has an end, every message, queue and log a named bound.

pub mod bootstrap;
pub mod codec;
mod engine;
mod error;
pub mod group;
mod identity;
mod keeper;
mod machine;
mod members;
mod network;
mod options;
mod serve;
pub mod storage;
mod transport;
mod wire;

pub use error::{GroupError, OpenError};
pub use group::{Group, Leadership, Role, Standing, Status};
pub use identity::{GroupId, Member, NodeId, ParseIdError, PeerAddress, PublicId};
pub use machine::{Applied, AppliedCommand, Delivery, EVENT_BACKLOG, Events, Machine};
pub use members::MAX_MEMBERS;
pub use options::{BootstrapOptions, GroupOptions, Sighting, Source, Timings};
pub use transport::{Transport, TransportError, TransportFuture};
pub use wire::{MAX_COMMAND_BYTES, MAX_MESSAGE_BYTES};
