//! What a member is opened with, and what the sentinel tells it of others.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use openraft::{Config, SnapshotPolicy};

use super::storage::{KEEP_BEHIND_SNAPSHOT, SNAPSHOT_EVERY};
use super::wire::{MAX_ENTRIES_A_MESSAGE, SNAPSHOT_CHUNK_BYTES};
use super::{GroupId, OpenError, PeerAddress, PublicId, Transport};

/// For one piece of a snapshot, or for the last one and its fsync, in milliseconds.
const SNAPSHOT_TIMEOUT_MS: u64 = 3000;

/// So many entries are purged at once.
const PURGE_BATCH: u64 = 64;

/// What [`Group::open`](super::Group::open) needs.
#[derive(Clone)]
pub struct GroupOptions {
    /// The member's own directory, `<dir>/redkeep-sentinel-<port>`; made if it is missing, locked while in use.
    pub dir: PathBuf,
    /// The sentinel's `myid`.
    pub public_id: PublicId,
    /// The address under which the others reach this sentinel (announce-ip and announce-port, where given).
    pub address: PeerAddress,
    /// Heartbeats, elections, deadlines.
    pub timings: Timings,
    /// How the group begins.
    pub bootstrap: BootstrapOptions,
    /// The way to the others.
    pub transport: Arc<dyn Transport>,
}

/// Raft's timings. Every member of a group should have the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timings {
    /// Between two heartbeats of the leader, in milliseconds. Default 50.
    pub heartbeat_ms: u64,
    /// Shortest election timeout, in milliseconds; above `heartbeat_ms`. Default 150: two heartbeats may be late on a
    /// busy machine before anybody asks for votes.
    pub election_min_ms: u64,
    /// Longest election timeout, in milliseconds; above `election_min_ms`. Followers refuse votes for this long after
    /// they heard the leader, so it is most of the time that a dead leader costs. Default 300.
    pub election_max_ms: u64,
    /// How long [`Group::propose`](super::Group::propose) and the other requests try before they give up, in
    /// milliseconds. Default 5000.
    pub request_timeout_ms: u64,
}

impl Default for Timings {
    fn default() -> Self {
        Self { heartbeat_ms: 50, election_min_ms: 150, election_max_ms: 300, request_timeout_ms: 5000 }
    }
}

impl Timings {
    pub(super) fn raft_config(&self) -> Result<Config, OpenError> {
        if self.heartbeat_ms == 0 || self.request_timeout_ms == 0 {
            return Err(OpenError::Timings("heartbeat and request timeout must be above 0".to_owned()));
        }
        let config = Config {
            cluster_name: "sentinels".to_owned(),
            heartbeat_interval: self.heartbeat_ms,
            election_timeout_min: self.election_min_ms,
            election_timeout_max: self.election_max_ms,
            install_snapshot_timeout: SNAPSHOT_TIMEOUT_MS,
            max_payload_entries: MAX_ENTRIES_A_MESSAGE,
            replication_lag_threshold: 2 * SNAPSHOT_EVERY,
            snapshot_policy: SnapshotPolicy::LogsSinceLast(SNAPSHOT_EVERY),
            snapshot_max_chunk_size: SNAPSHOT_CHUNK_BYTES,
            max_in_snapshot_log_to_keep: KEEP_BEHIND_SNAPSHOT,
            purge_batch_size: PURGE_BATCH,
            ..Config::default()
        };
        config.validate().map_err(|error| OpenError::Timings(error.to_string()))
    }

    pub(super) fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }

    /// How long a request waits for there to be a leader: a few elections.
    pub(super) fn leader_patience_ms(&self) -> u64 {
        4 * self.election_max_ms
    }

    /// A leader that no quorum has acknowledged for this long is taken to have none, and proposals fail at once.
    pub(super) fn quorum_patience_ms(&self) -> u64 {
        2 * self.election_max_ms
    }
}

/// How the group begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootstrapOptions {
    /// How long the set of sentinels must have been the same, in milliseconds; a set of one waits twice as long.
    /// Default 5000.
    pub settle_ms: u64,
    /// `sentinel peers`: all the sentinels of the group, with or without this one. If it is not empty nothing is
    /// discovered and nothing waited for: the group starts as soon as all of them answer and agree.
    pub peers: Vec<PeerAddress>,
}

impl Default for BootstrapOptions {
    fn default() -> Self {
        Self { settle_ms: 5000, peers: Vec::new() }
    }
}

/// Another sentinel was heard of. Given to [`Group::sighted`](super::Group::sighted) at every hello, and once for every
/// `known-sentinel` line at the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// Its public id.
    pub public_id: PublicId,
    /// The address that it announces.
    pub address: PeerAddress,
    /// The group that it says it belongs to, if its hello says so.
    pub group: Option<GroupId>,
    /// Where this is known from.
    pub source: Source,
}

/// Where a [`Sighting`] comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A hello: it was alive a moment ago. Forgotten again when no more of them come.
    Hello,
    /// A `known-sentinel` line of the configuration file: belongs to the set until it is told otherwise.
    Configured,
}
