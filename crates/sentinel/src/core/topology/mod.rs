//! What the group of sentinels agrees on.
//!
//! Problem: every sentinel has to answer "who is the master?" the same way, and a failover that one of them
//! began must be finished by another if the first dies. So all of it, the monitored masters, their settings,
//! where they are, who replicates them, and the failover under way with its stage, is one replicated value.
//! It changes only by a [`Command`] that the Raft group has committed; [`Topology::apply`] is pure, so that
//! equal histories give equal topologies on every sentinel.
//!
//! ```text
//!                    StartFailover          Selected               Promoted             End
//!   (no record) ───────────────▶ Elected ───────────▶ WaitingPromotion ──▶ Reconfiguring ──▶ (done: no record)
//!                                  ▲  │ Abort               │  │ Abort
//!                                  │  ▼                     │  ▼
//!                                  │ (no record)            │ (no record)
//!                                  └──────── Rejected ──────┘
//! ```
//!
//! Invariants:
//! - Epochs only grow. A failover takes the next epoch, and [`Configuration::epoch`] is the epoch of the
//!   failover that made it, so no two configurations of a master share one.
//! - A command that speaks of a failover names its epoch; one that comes late is refused and changes nothing.
//! - The master's own address is never among its replicas.
//! - What is private to a sentinel (credentials, scripts, what it announces) is not here.

mod apply;
mod command;
mod settings;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub use self::apply::{MAX_MASTERS, MAX_REPLICAS, MAX_SENTINELS};
pub use self::command::{AbortReason, Applied, Cause, Change, Command, EndReason, Monitored, Refusal};
pub use self::settings::{
    DEFAULT_DOWN_AFTER_MS, DEFAULT_FAILOVER_TIMEOUT_MS, DEFAULT_REFUSED_AFTER_MS, MAX_MILLIS, Setting,
    Settings, parse_millis,
};
use super::ids::{Addr, Epoch, SentinelId};

/// The replicated state. It starts empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topology {
    /// The epoch of the latest failover of any master.
    pub epoch: Epoch,
    /// The monitored masters by name.
    pub masters: BTreeMap<String, Master>,
    /// Names that were removed, each with the sentinels that were told so. An entry keeps an old
    /// configuration file from bringing the master back; monitoring the name again ends it.
    pub removed: BTreeMap<String, BTreeSet<SentinelId>>,
}

/// A monitored master.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Master {
    /// Where the operator said that it was, when it was first monitored.
    pub monitored: Addr,
    /// Which sentinels were told to monitor it, by their operator or their configuration file.
    pub told: BTreeSet<SentinelId>,
    /// What the operator set.
    pub settings: Settings,
    /// Who is the master, and since which epoch.
    pub configuration: Configuration,
    /// The instances that are, or should be, replicas.
    pub replicas: BTreeSet<Addr>,
    /// The sentinels that watch it.
    pub sentinels: BTreeMap<SentinelId, Addr>,
    /// The failover under way.
    pub failover: Option<Failover>,
    /// An operator told the group to act although foreign sentinels watch this master.
    pub taken_over: bool,
}

/// Who is the master. One value is replaced by the next as a whole and never edited, so that what else a
/// configuration may come to name (the members that are in sync, say) changes under the same comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configuration {
    /// The epoch of the failover that made it; 0 for the one that the operator gave.
    pub epoch: Epoch,
    /// The address of the master.
    pub primary: Addr,
}

/// A failover that has begun and is not over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failover {
    /// Its own epoch: the name of this attempt.
    pub epoch: Epoch,
    /// Why it was started.
    pub cause: Cause,
    /// Who proposed it; shown as the leader that was voted for.
    pub leader: SentinelId,
    /// The address of the master that is replaced.
    pub from: Addr,
    /// Candidates that failed in this attempt, and are not to be taken again.
    pub rejected: BTreeSet<Addr>,
    /// How far it is.
    pub stage: Stage,
}

/// How far a failover is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// The group agreed to replace the master; no replica is chosen.
    Elected,
    /// A replica was chosen and is being told to become master.
    WaitingPromotion {
        /// The chosen replica.
        candidate: Addr,
    },
    /// The chosen replica is the master; the others are being pointed to it.
    Reconfiguring {
        /// Replicas that were told so already, and how far each is.
        replicas: BTreeMap<Addr, Reconfiguration>,
    },
}

/// How far a replica is on its way to the new master.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Reconfiguration {
    /// It was sent the new master's address.
    Sent,
    /// It reports the new address, and its link is not up.
    InProgress,
    /// It follows the new master.
    Done,
    /// It did not take the new address in time. It will be set right when the failover is over.
    GivenUp,
}

impl Master {
    /// The address that clients should use.
    #[must_use]
    pub fn primary(&self) -> &Addr {
        &self.configuration.primary
    }

    /// The replica that a failover has chosen and not yet made master.
    #[must_use]
    pub fn candidate(&self) -> Option<&Addr> {
        match &self.failover.as_ref()?.stage {
            Stage::WaitingPromotion { candidate } => Some(candidate),
            Stage::Elected | Stage::Reconfiguring { .. } => None,
        }
    }

    /// How far `replica` is in a failover that reconfigures.
    #[must_use]
    pub fn reconfiguration(&self, replica: &Addr) -> Option<Reconfiguration> {
        match &self.failover.as_ref()?.stage {
            Stage::Reconfiguring { replicas } => replicas.get(replica).copied(),
            Stage::Elected | Stage::WaitingPromotion { .. } => None,
        }
    }
}
