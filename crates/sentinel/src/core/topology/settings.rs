//! What an operator sets for a master and the whole group keeps.

use serde::{Deserialize, Serialize};

/// The longest time that a setting may be, ms: so that sums of a few cannot overflow, signed or not.
pub const MAX_MILLIS: u64 = i64::MAX as u64 / 4;

/// `down-after-milliseconds` of a master that sets none.
pub const DEFAULT_DOWN_AFTER_MS: u64 = 30_000;
/// `failover-timeout` of a master that sets none.
pub const DEFAULT_FAILOVER_TIMEOUT_MS: u64 = 180_000;
/// `refused-after-milliseconds` of a master that sets none.
pub const DEFAULT_REFUSED_AFTER_MS: u64 = 100;

/// The settings of a master.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// How many sentinels must see the master down.
    pub quorum: u32,
    /// Silence for longer than this is a failure, ms.
    pub down_after_ms: u64,
    /// Refused or reset connections for longer than this are a failure, ms; 0 gives them no weight of their own.
    pub refused_after_ms: u64,
    /// What bounds each stage of a failover, ms.
    pub failover_timeout_ms: u64,
    /// How many replicas are pointed to the new master at once.
    pub parallel_syncs: u32,
    /// How long a master that restarted (a new run id) may go on loading before it counts as down, ms; 0: for ever.
    pub master_reboot_down_after_ms: u64,
}

impl Settings {
    /// Redis's defaults, with the quorum that `sentinel monitor` gives.
    #[must_use]
    pub fn new(quorum: u32) -> Self {
        Self {
            quorum,
            down_after_ms: DEFAULT_DOWN_AFTER_MS,
            refused_after_ms: DEFAULT_REFUSED_AFTER_MS,
            failover_timeout_ms: DEFAULT_FAILOVER_TIMEOUT_MS,
            parallel_syncs: 1,
            master_reboot_down_after_ms: 0,
        }
    }

    /// Takes one setting over.
    pub fn set(&mut self, setting: Setting) {
        match setting {
            Setting::Quorum(quorum) => self.quorum = quorum,
            Setting::DownAfter(ms) => self.down_after_ms = ms,
            Setting::RefusedAfter(ms) => self.refused_after_ms = ms,
            Setting::FailoverTimeout(ms) => self.failover_timeout_ms = ms,
            Setting::ParallelSyncs(count) => self.parallel_syncs = count,
            Setting::MasterRebootDownAfter(ms) => self.master_reboot_down_after_ms = ms,
        }
    }
}

/// Reads a time in milliseconds. What is longer than [`MAX_MILLIS`] is no time.
#[must_use]
pub fn parse_millis(text: &str) -> Option<u64> {
    text.parse().ok().filter(|ms| *ms <= MAX_MILLIS)
}

/// One setting of a master, as `SENTINEL SET` and the configuration file give it. Times are milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Setting {
    /// `quorum`
    Quorum(u32),
    /// `down-after-milliseconds`
    DownAfter(u64),
    /// `refused-after-milliseconds`
    RefusedAfter(u64),
    /// `failover-timeout`
    FailoverTimeout(u64),
    /// `parallel-syncs`
    ParallelSyncs(u32),
    /// `master-reboot-down-after-period`
    MasterRebootDownAfter(u64),
}
