//! The replica's side of a replication link.
//!
//! ```text
//!            Follow                Connected            all answered            +FULLRESYNC
//!  Idle ───────────► Connecting ───────────► Greeting ─────────────► Asking ─────────────────► Header
//!   ▲                 ▲      │                  │                    │    │ +CONTINUE             │ $<bytes> | $EOF:<mark>
//!   │ Unfollow        │      ▼ (any failure)    ▼                    ▼    ▼                       ▼
//!   └─ from anywhere  └──── Waiting ◄─────────────────────────── (failure)  Streaming ◄─ Loading ◄─ Receiving
//!                     back-off over              ▲                               │  Loaded
//!                                                └───────────────────────────────┘ Disconnected, silence
//! ```
//!
//! The machine cuts what the master sends into lines, payload and stream itself, so the shell only moves bytes.

mod events;
mod following;
mod handshake;
mod machine;
mod payload;
mod wire;

use super::{PayloadEnd, Position};
use crate::ids::{ReplId, ReplOffset};
use bytes::Bytes;
use std::fmt;

pub use events::Event;
pub use machine::{Link, Status, SyncProgress};

/// Where the master is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Master {
    /// Its host, as configured.
    pub host: String,
    /// Its port.
    pub port: u16,
}

/// The credentials for the master (`masteruser`, `masterauth`).
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user; without one, the default user's password is given alone.
    pub user: Option<Vec<u8>>,
    /// The password.
    pub password: Vec<u8>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

/// What the link needs to know of the configuration; it may change at any time ([`Link::configure`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkConfig {
    /// The port that the master shall show for this replica (`replica-announce-port`, else the own port).
    pub listening_port: u16,
    /// The address that the master shall show for this replica (`replica-announce-ip`).
    pub announce_ip: Option<String>,
    /// What to authenticate with, if anything.
    pub credentials: Option<Credentials>,
    /// `repl-timeout` in milliseconds.
    pub timeout_ms: u64,
}

/// What happens to a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// `REPLICAOF host port`: from now on, follow this master. `own` is where this node's log stands under its own
    /// history; it is used when the node was no replica until now. A replica that changes its master offers the new
    /// one the position that it reached with the old one.
    Follow {
        /// The new master.
        master: Master,
        /// What this node holds, if a master could continue from there.
        own: Option<Position>,
    },
    /// `REPLICAOF NO ONE`.
    Unfollow,
    /// The connection that [`Output::Connect`] asked for is open.
    Connected,
    /// Bytes arrived. Not to be given while [`Link::wants_bytes`] says no.
    Received(Bytes),
    /// The connection could not be opened, or it ended; with the reason for the log.
    Disconnected(String),
    /// The snapshot announced by [`Output::StartPayload`] is loaded and takes the place of the old data.
    Loaded,
    /// It could not be loaded; with the reason for the log.
    LoadFailed(String),
    /// The stream's effects have been applied, and appended to the own log, up to here. All that was received of a
    /// stream is applied, or given up for good, before its end is reported.
    Applied(ReplOffset),
    /// The stream brought `REPLCONF GETACK`.
    AckRequested,
    /// Time passed. To be given at least every [`TICK_MS`] milliseconds.
    Tick,
}

/// The longest time between two [`Input::Tick`]s, in milliseconds.
pub const TICK_MS: u64 = 100;

/// What the shell has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Open a connection, then report [`Input::Connected`] or [`Input::Disconnected`].
    Connect(Master),
    /// Send these bytes on it.
    Send(Bytes),
    /// Close it, or stop opening it, and report nothing more about it.
    Close,
    /// A full resync begins: make a loader for the snapshot, and close the links of this node's own replicas. What it
    /// shows is `position`: when it is loaded, the log is reset to that offset, and the history restarted under that
    /// id. The old data may be kept until then.
    StartPayload {
        /// What the snapshot shows.
        position: Position,
        /// How long it is, where that was said.
        end: PayloadEnd,
    },
    /// The next bytes of the snapshot.
    Payload(Bytes),
    /// The snapshot is complete: load what is left of it, then report [`Input::Loaded`] or [`Input::LoadFailed`].
    EndPayload,
    /// Drop the loader; report nothing of it.
    AbortPayload,
    /// The master continues from where this replica stood. With an id, the master has gone on under another one:
    /// branch the history at the log's end, and close the links of this node's own replicas, which have to learn it.
    Continue {
        /// The new id, if it is a new one.
        new_id: Option<ReplId>,
    },
    /// Bytes of the stream, which begins where the snapshot or the own log ended. Apply what is complete of it, append
    /// the same bytes to the own log as they are, and report [`Input::Applied`]. What is not complete when the link
    /// ends is forgotten: it comes again.
    Stream(Bytes),
    /// A line for the log.
    Log(Event),
}
