//! What may be asked of the topology, and what comes of it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::super::ids::{Addr, Epoch, SentinelId};
use super::{Reconfiguration, Setting, Settings};

/// A change that the group may commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// What a configuration file says. A name that the group knows, or has removed, stays as it is.
    Seed(Monitored),
    /// `SENTINEL MONITOR`
    Monitor(Monitored),
    /// `SENTINEL REMOVE`
    Remove {
        /// The sentinel that was asked.
        by: SentinelId,
        /// The master's name.
        name: String,
    },
    /// `SENTINEL SET`, as far as it concerns everybody.
    Set {
        /// The master's name.
        name: String,
        /// Applied in order.
        settings: Vec<Setting>,
    },
    /// `SENTINEL RESET`: forget the replicas, the failover, and the sentinels that have no vote.
    Reset {
        /// The masters' names.
        names: Vec<String>,
        /// Sentinels with a vote, which are never forgotten this way.
        voters: BTreeSet<SentinelId>,
    },
    /// The master's own list names a replica.
    ReplicaSeen {
        /// The master's name.
        name: String,
        /// Where the replica listens.
        replica: Addr,
    },
    /// A sentinel announced itself for a master.
    SentinelSeen {
        /// The master's name.
        name: String,
        /// The sentinel's public id.
        id: SentinelId,
        /// Where it listens.
        address: Addr,
    },
    /// `SENTINEL FORGET`: an instance that will not come back is dropped from the master's lists.
    Forget {
        /// The master's name.
        name: String,
        /// The replica.
        replica: Addr,
    },
    /// A sentinel left the group for good.
    SentinelGone {
        /// Its public id.
        id: SentinelId,
    },
    /// Begin a failover, if nothing has changed since the proposer looked.
    StartFailover {
        /// The master's name.
        name: String,
        /// The configuration's epoch that the proposer saw.
        base: Epoch,
        /// Why.
        cause: Cause,
        /// The proposer.
        leader: SentinelId,
    },
    /// A replica was chosen.
    Selected {
        /// The master's name.
        name: String,
        /// The failover's epoch.
        epoch: Epoch,
        /// The chosen replica.
        candidate: Addr,
    },
    /// The chosen replica failed: choose another.
    Rejected {
        /// The master's name.
        name: String,
        /// The failover's epoch.
        epoch: Epoch,
        /// The replica that failed.
        candidate: Addr,
    },
    /// The chosen replica says that it is a master.
    Promoted {
        /// The master's name.
        name: String,
        /// The failover's epoch.
        epoch: Epoch,
        /// The new master.
        candidate: Addr,
    },
    /// A replica is further on its way to the new master.
    Reconfigured {
        /// The master's name.
        name: String,
        /// The failover's epoch.
        epoch: Epoch,
        /// The replica.
        replica: Addr,
        /// How far it is now.
        progress: Reconfiguration,
    },
    /// The failover is over.
    End {
        /// The master's name.
        name: String,
        /// The failover's epoch.
        epoch: Epoch,
        /// How it ended.
        reason: EndReason,
    },
    /// The failover is given up; the master stays who it was.
    Abort {
        /// The master's name.
        name: String,
        /// The failover's epoch.
        epoch: Epoch,
        /// Why.
        reason: AbortReason,
    },
    /// Foreign sentinels made another instance the master; follow them.
    Follow {
        /// The master's name.
        name: String,
        /// The foreign configuration's epoch, which must be newer than ours.
        epoch: Epoch,
        /// The master that they announce.
        primary: Addr,
        /// Who announced it.
        by: SentinelId,
        /// Where that sentinel listens.
        at: Addr,
    },
    /// An operator gives the decision over a master to this group, or back to foreign sentinels.
    TakeOver {
        /// The master's name.
        name: String,
        /// Whether the group acts although foreign sentinels announce themselves.
        taken_over: bool,
    },
}

/// A master as an operator describes it, and what a sentinel without a group has found out about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Monitored {
    /// The sentinel that was told.
    pub by: SentinelId,
    /// The master's name.
    pub name: String,
    /// Where it is.
    pub address: Addr,
    /// Its settings.
    pub settings: Settings,
    /// Replicas known already.
    pub replicas: BTreeSet<Addr>,
    /// Sentinels known already.
    pub sentinels: BTreeMap<SentinelId, Addr>,
    /// The epoch of the configuration, when it comes from a state that Redis Sentinel left.
    pub epoch: Epoch,
}

impl Monitored {
    /// A master of which nothing is known but what `sentinel monitor` says.
    #[must_use]
    pub fn new(by: SentinelId, name: impl Into<String>, address: Addr, settings: Settings) -> Self {
        Self {
            by,
            name: name.into(),
            address,
            settings,
            replicas: BTreeSet::new(),
            sentinels: BTreeMap::new(),
            epoch: Epoch(0),
        }
    }
}

/// Why a failover was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause {
    /// A quorum of sentinels sees the master down.
    Down,
    /// `SENTINEL FAILOVER`
    Forced,
}

/// Why a failover was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AbortReason {
    /// No replica can take over.
    NoGoodReplica,
    /// The chosen replica did not become master in time.
    ReplicaTimeout,
    /// The master answers again, before a replica was promoted.
    MasterReturned,
}

/// How a failover ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EndReason {
    /// Every replica that can be reached follows the new master.
    Complete,
    /// Some replica took too long, and was left to be set right later.
    TimedOut,
}

/// What an applied command changed: enough to announce it without looking at the state before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// A master is monitored from now on.
    Monitored {
        /// Its name.
        name: String,
    },
    /// A master is not monitored any more.
    Removed {
        /// Its name.
        name: String,
        /// Where it was.
        address: Addr,
    },
    /// Settings have new values.
    Set {
        /// The master's name.
        name: String,
        /// What was set.
        settings: Vec<Setting>,
    },
    /// Replicas of a master, and sentinels that are no members, were forgotten.
    Reset {
        /// The master's name.
        name: String,
    },
    /// A replica is known from now on.
    ReplicaAdded {
        /// The master's name.
        name: String,
        /// The replica.
        replica: Addr,
    },
    /// A replica is not known any more.
    ReplicaForgotten {
        /// The master's name.
        name: String,
        /// The replica.
        replica: Addr,
    },
    /// A sentinel is known from now on.
    SentinelAdded {
        /// The master's name.
        name: String,
        /// The sentinel.
        id: SentinelId,
    },
    /// A sentinel has another address.
    SentinelMoved {
        /// The master's name.
        name: String,
        /// The sentinel.
        id: SentinelId,
    },
    /// Another sentinel has taken this one's address.
    SentinelAddressLost {
        /// The master's name.
        name: String,
        /// The sentinel whose address is not known any more.
        id: SentinelId,
        /// The address that it had.
        address: Addr,
    },
    /// A sentinel is not known any more.
    SentinelForgotten {
        /// The master's name.
        name: String,
        /// The sentinel.
        id: SentinelId,
    },
    /// A failover has begun: see the record.
    FailoverStarted {
        /// The master's name.
        name: String,
    },
    /// A replica was chosen: see the record.
    Selected {
        /// The master's name.
        name: String,
    },
    /// The chosen replica failed.
    Rejected {
        /// The master's name.
        name: String,
        /// The replica.
        candidate: Addr,
    },
    /// Another instance is the master.
    Switched {
        /// The master's name.
        name: String,
        /// The old master's address.
        from: Addr,
        /// The new master's address.
        to: Addr,
        /// The foreign sentinel that was followed, with its address; none when the group decided.
        followed: Option<(SentinelId, Addr)>,
    },
    /// A replica is further on its way to the new master.
    Reconfigured {
        /// The master's name.
        name: String,
        /// The replica.
        replica: Addr,
        /// How far it is.
        progress: Reconfiguration,
    },
    /// The failover is over.
    Ended {
        /// The master's name.
        name: String,
        /// The address that was replaced.
        from: Addr,
        /// How it ended.
        reason: EndReason,
    },
    /// The failover was given up.
    Aborted {
        /// The master's name.
        name: String,
        /// Why.
        reason: AbortReason,
        /// The replica that had been chosen.
        candidate: Option<Addr>,
    },
    /// The decision over a master was given to the group, or back.
    TakenOver {
        /// The master's name.
        name: String,
        /// Whether the group acts.
        taken_over: bool,
    },
}

/// What became of a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Applied {
    /// It holds now; the list says what changed, and is empty if it held before.
    Changed(Vec<Change>),
    /// It was refused and nothing changed.
    Refused(Refusal),
}

/// Why a command was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// The master is not monitored.
    #[error("No such master with that name")]
    NoSuchMaster,
    /// This sentinel was told of the name before, or the group knows it with other values.
    #[error("Duplicate master name.")]
    Duplicate,
    /// A failover of this master is under way.
    #[error("Failover already in progress")]
    InProgress,
    /// The state moved on since the proposer looked.
    #[error("The configuration has changed meanwhile")]
    Stale,
    /// The instance is not a replica of this master.
    #[error("No such replica")]
    NoSuchReplica,
    /// As many as this version keeps are known already.
    #[error("Too many masters, replicas or sentinels")]
    TooMany,
    /// An epoch that no sentinel can have reached.
    #[error("The epoch is out of range")]
    ImplausibleEpoch,
}
