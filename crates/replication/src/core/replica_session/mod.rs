//! The primary's side of one replica.
//!
//! ```text
//!             full resync            Started              Ready                 Sent, length known
//!  Greeting ──────────────► Queued ─────────► Saving ─────────────► Sending ─────────────────────► Online
//!     │                                                                │ Sent, with mark             ▲  ▲
//!     │                                                                └────► AwaitingAck ───────────┘  │
//!     │ can continue                                                                      first ACK     │
//!     └─────────────────────────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! `Greeting` is a connection like any other: until it asks to be a replica it may only have told something about
//! itself. Where a mark ended the snapshot the stream waits for the first acknowledgement, since a Redis replica looks
//! for the mark at the end of what it has read.

mod events;
mod machine;
mod options;

use super::acks::Ack;
use super::{PayloadEnd, Position};
use crate::history::{History, Request};
use crate::ids::ReplOffset;
use crate::log::Available;
use bytes::Bytes;

pub use events::{Event, EventKind};
pub use machine::Session;
pub use options::Options;

/// What the primary is at the moment of a request to be a replica.
#[derive(Clone, Copy, Debug)]
pub struct Primary<'a> {
    /// Its history.
    pub history: &'a History,
    /// What its log holds. To be sure of it, first take a [`crate::Reader`] at [`Request::offset`]: what it holds is
    /// not trimmed.
    pub backlog: Option<Available>,
    /// False if it is itself a replica whose master is not there (`-NOMASTERLINK`).
    pub can_serve: bool,
}

/// What happens to a session.
#[derive(Clone, Debug)]
pub enum Input<'a> {
    /// `REPLCONF`, with the arguments after the name.
    Replconf(&'a [&'a [u8]]),
    /// `PSYNC`, with its arguments as read by [`Request::parse`] (which finds the error to reply, if any).
    Psync(Request, Primary<'a>),
    /// `SYNC`, of replicas from before PSYNC, which acknowledge nothing.
    Sync(Primary<'a>),
    /// An empty line: it says that the replica is alive while it loads its snapshot.
    Newline,
    /// A snapshot for this replica has begun at this point of the log.
    SnapshotStarted(Position),
    /// Its first byte can be sent. A mark is drawn by the shell.
    SnapshotReady(PayloadEnd),
    /// Some of it has been written to the connection.
    PayloadProgress,
    /// All of it has been written.
    PayloadSent,
    /// There is no snapshot; with nothing to send, the link ends.
    SnapshotFailed,
    /// Time passed. To be given about once a second.
    Tick,
}

/// What the shell has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send these bytes on the connection.
    Send(Bytes),
    /// Provide a snapshot: report `SnapshotStarted`, `SnapshotReady` and `PayloadSent`. The replica's reader of the
    /// log is to be taken at the position of `SnapshotStarted`.
    WantSnapshot,
    /// Write the snapshot's bytes.
    SendPayload,
    /// From now on, write the stream from the replica's reader, which stands here.
    StartStream(ReplOffset),
    /// The replica has come online with this, or has acknowledged it: for [`super::acks::AckBoard`].
    Acked(Ack),
    /// The client sent `REPLCONF GETACK`: if this node is a replica, its own link gets `AckRequested`.
    AckRequested,
    /// End the connection, and with it the snapshot made for it alone.
    Close,
    /// A line for the log.
    Log(Event),
}
