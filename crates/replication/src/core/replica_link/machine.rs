//! The link as its shell sees it.

use super::following::Following;
use super::wire;
use super::{Event, Input, LinkConfig, Output};
use crate::core::Position;
use bytes::Bytes;

/// The replica's side of one link; see the module for its states.
///
/// ```
/// use redkeep_replication::core::replica_link::{Input, Link, LinkConfig, Master, Output};
///
/// let config = LinkConfig { listening_port: 6380, announce_ip: None, credentials: None, timeout_ms: 60_000 };
/// let mut link = Link::new(config);
/// let master = Master { host: "127.0.0.1".into(), port: 6379 };
///
/// let outputs = link.step(0, Input::Follow { master: master.clone(), own: None });
/// assert!(outputs.contains(&Output::Connect(master)));
///
/// let outputs = link.step(1, Input::Connected);
/// assert!(outputs.contains(&Output::Send("*1\r\n$4\r\nPING\r\n".into())));
/// ```
#[derive(Debug)]
pub struct Link {
    config: LinkConfig,
    /// Outlives a change of masters: what was reached with one is offered to the next.
    position: Option<Position>,
    following: Option<Following>,
}

/// What INFO and ROLE say about a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// ROLE's word: `none` (of a node that follows nobody), `connect`, `connecting`, `handshake`, `sync`, `connected`.
    pub role_state: &'static str,
    /// `master_link_status`.
    pub up: bool,
    /// `master_last_io_seconds_ago` in milliseconds; known while the link is up.
    pub last_io_ms_ago: Option<u64>,
    /// `master_link_down_since_seconds` in milliseconds; known once a link was lost.
    pub down_for_ms: Option<u64>,
    /// Present while a snapshot is being received or loaded (`master_sync_in_progress`).
    pub sync: Option<SyncProgress>,
}

/// How far a snapshot has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyncProgress {
    /// `master_sync_total_bytes`; not known of a snapshot that ends with a mark.
    pub total_bytes: Option<u64>,
    /// `master_sync_read_bytes`.
    pub read_bytes: u64,
    /// `master_sync_last_io_seconds_ago` in milliseconds.
    pub last_io_ms_ago: u64,
}

/// One step: what it needs to know and what comes of it.
pub(super) struct Step<'a> {
    pub(super) now_ms: u64,
    pub(super) config: &'a LinkConfig,
    pub(super) position: &'a mut Option<Position>,
    pub(super) out: Vec<Output>,
}

impl Step<'_> {
    pub(super) fn log(&mut self, event: Event) {
        self.out.push(Output::Log(event));
    }

    pub(super) fn send(&mut self, bytes: impl Into<Bytes>) {
        self.out.push(Output::Send(bytes.into()));
    }

    pub(super) fn send_ack(&mut self) {
        if let Some(position) = *self.position {
            self.send(wire::ack(position.offset));
        }
    }
}

impl Link {
    /// A link that follows nobody.
    pub fn new(config: LinkConfig) -> Link {
        Link { config, position: None, following: None }
    }

    /// Takes another configuration, for all that is said from now on.
    pub fn configure(&mut self, config: LinkConfig) {
        self.config = config;
    }

    /// The history and the offset that this node has reached with its masters: what has been applied.
    pub fn position(&self) -> Option<Position> {
        self.position
    }

    /// Whether the shell may read from the connection. It may not while a complete snapshot is being loaded: what
    /// follows it waits in the socket.
    pub fn wants_bytes(&self) -> bool {
        self.following.as_ref().is_some_and(Following::wants_bytes)
    }

    /// Takes one input. The outputs are to be carried out in their order. Inputs about a connection or a load that is
    /// no longer there are ignored.
    ///
    /// # Panics
    /// On bytes that were read while [`Self::wants_bytes`] said no to loading: there would be no bound to them.
    pub fn step(&mut self, now_ms: u64, input: Input) -> Vec<Output> {
        let Link { config, position, following } = self;
        let mut step = Step { now_ms, config, position, out: Vec::new() };
        match input {
            Input::Follow { master, own } => {
                let down_since_ms = match following.take() {
                    Some(old) => old.abandon(&mut step),
                    None => {
                        *step.position = own;
                        None
                    }
                };
                step.log(Event::Connecting(master.clone()));
                *following = Some(Following::begin(master, down_since_ms, &mut step));
            }
            Input::Unfollow => {
                if let Some(old) = following.take() {
                    old.abandon(&mut step);
                }
                *step.position = None;
            }
            other => {
                if let Some(following) = following {
                    following.step(&mut step, other);
                }
            }
        }
        step.out
    }

    /// What INFO and ROLE say.
    pub fn status(&self, now_ms: u64) -> Status {
        let nobody =
            Status { role_state: "none", up: false, last_io_ms_ago: None, down_for_ms: None, sync: None };
        self.following.as_ref().map_or(nobody, |following| following.status(now_ms))
    }
}
