//! What the leader does next about one master.
//!
//! Problem: a failover is a series of orders to instances that may be dead, slow or half-configured, given by a
//! leader that may die between any two of them. So the [record](super::topology::Failover) in the replicated topology
//! says how far it is, and the [`Driver`] is a pure function of that record and of what this sentinel observes. It
//! keeps nothing that a new leader would miss: only when it gave which order, so as not to give it at every turn.
//! A new leader gives an order again that may have been given already; all of them may come twice.
//!
//! | stage | the driver | moves on |
//! |---|---|---|
//! | no record | starts a failover at ODOWN, sets replicas right that follow nobody or somebody else | `StartFailover` |
//! | elected | waits a moment for fresh INFO, then takes the best replica | `Selected`, or `Abort` if there is none or the master is back |
//! | waiting-promotion | sends the promotion, until the replica says that it is a master | `Promoted`; `Rejected` if it fails and another could do; `Abort` if the master is back before, or at last |
//! | reconfiguring | points the other replicas to it, `parallel-syncs` at a time | `End` |
//!
//! Invariants: an order is given only for a stage that the group has committed. Nothing is ordered while the group
//! merely observes a master that foreign sentinels look after.

mod comeback;
mod orders;
mod promote;
mod reconfigure;

use super::event::Kind;
use super::ids::{Addr, SentinelId};
use super::info::Role;
use super::proposals::Proposals;
use super::ranking::{Candidate, Predecessor, choose};
use super::topology::{AbortReason, Cause, Command, EndReason, Failover, Master, Stage};
use comeback::Comeback;
pub use comeback::Primary;
use orders::Orders;

/// How long the choice of a replica waits for INFO that is newer than the master's failure, ms.
pub const INFO_PATIENCE_MS: u64 = 200;
/// How long a failover without any good replica waits for one, ms.
pub const NO_REPLICA_PATIENCE_MS: u64 = 1000;
/// After a failover that found no good replica, the next one waits for a good replica, or for this long, ms.
pub const NO_REPLICA_PAUSE_MS: u64 = 10_000;
/// How long a chosen replica may take before another one is chosen, ms.
pub const PROMOTION_PATIENCE_MS: u64 = 1000;
/// Least time between a failover that was given up and the next one, ms.
pub const RETRY_PAUSE_MS: u64 = 500;
/// How long a replica may take to report the new master before it is given up, ms.
pub const RECONFIGURATION_TIMEOUT_MS: u64 = 10_000;
/// An order that shows no effect is given again after this long, ms.
pub const REPEAT_ORDER_MS: u64 = 2000;
/// While an effect is waited for, the instance is asked this often, ms.
pub const ASK_PERIOD_MS: u64 = 100;

/// What this sentinel observes of one replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replica {
    /// What its ranking depends on.
    pub candidate: Candidate,
    /// Since when the link to it stands.
    pub connected_at: Option<u64>,
    /// The role that it last reported, and when.
    pub role: Option<(Role, u64)>,
    /// Whom it says it copies.
    pub follows: Option<Addr>,
    /// Its link to that master is up.
    pub link_up: bool,
    /// When its last INFO came.
    pub info_at: Option<u64>,
}

impl Replica {
    fn addr(&self) -> &Addr {
        &self.candidate.addr
    }

    fn is_reachable(&self) -> bool {
        self.candidate.connected && !self.candidate.down
    }

    fn follows(&self, primary: &Addr) -> bool {
        matches!(self.role, Some((Role::Replica, _)))
            && self.follows.as_ref().is_some_and(|addr| addr.may_be(primary))
    }
}

/// All that the driver may look at.
#[derive(Clone, Debug)]
pub struct Situation<'a> {
    /// This sentinel.
    pub me: SentinelId,
    /// The master's name.
    pub name: &'a str,
    /// What the group has agreed on.
    pub master: &'a Master,
    /// A quorum sees the master down.
    pub odown: bool,
    /// Since when this sentinel sees it down.
    pub sdown_since: Option<u64>,
    /// This sentinel sees the master up and calling itself a master, and has heard from it lately.
    pub sane: bool,
    /// Foreign sentinels look after this master.
    pub observing: bool,
    /// What the master itself says.
    pub primary: Option<Primary>,
    /// The replicas, in the order of their addresses.
    pub replicas: &'a [Replica],
}

impl Situation<'_> {
    fn predecessor(&self, now: u64) -> Predecessor {
        let down_ms = self.sdown_since.map(|since| now.saturating_sub(since));
        Predecessor { down_ms, down_after_ms: self.master.settings.down_after_ms }
    }

    fn replica(&self, addr: &Addr) -> Option<&Replica> {
        self.replicas.iter().find(|replica| replica.addr() == addr)
    }
}

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Have the group commit this.
    Propose(Command),
    /// Make an instance follow a master, or, with none, be one.
    Order {
        /// The instance.
        replica: Addr,
        /// Whom to follow.
        primary: Option<Addr>,
    },
    /// Ask an instance for INFO.
    Ask(Addr),
    /// Announce something about a replica.
    Announce(Kind, Addr),
}

/// The leader's driver for one master.
#[derive(Clone, Debug, Default)]
pub struct Driver {
    proposals: Proposals,
    orders: Orders,
    /// The failover and stage that the driver is in, and since when.
    entered: Option<(Mark, u64)>,
    /// No failover is started before this.
    not_before: u64,
    /// Without a good replica, no failover is started before this.
    not_without_replica_before: u64,
    /// Since when, in this stage, the master answers and has not said what it holds.
    unheard_since: Option<u64>,
    /// Since when, in this stage, the chosen replica is not reached.
    unreachable_since: Option<u64>,
}

/// Which stage of which failover: what makes a stage another one, without its details.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Mark {
    Elected(u64),
    WaitingPromotion(u64, Addr),
    Reconfiguring(u64),
}

impl Mark {
    fn of(failover: &Failover) -> Self {
        let epoch = failover.epoch.0;
        match &failover.stage {
            Stage::Elected => Self::Elected(epoch),
            Stage::WaitingPromotion { candidate } => Self::WaitingPromotion(epoch, candidate.clone()),
            Stage::Reconfiguring { .. } => Self::Reconfiguring(epoch),
        }
    }
}

impl Driver {
    /// What is to be done now. To be called when anything has changed, and from time to time.
    pub fn step(&mut self, now: u64, situation: &Situation<'_>) -> Vec<Act> {
        let mut acts = Vec::new();
        match &situation.master.failover {
            None => {
                self.entered = None;
                self.start(now, situation, &mut acts);
                self.repair(now, situation, &mut acts);
            }
            Some(failover) => {
                let entered = self.enter(now, Mark::of(failover));
                match &failover.stage {
                    Stage::Elected => self.select(now, entered, situation, failover, &mut acts),
                    Stage::WaitingPromotion { candidate } => {
                        self.promote(now, entered, situation, failover, candidate, &mut acts);
                    }
                    Stage::Reconfiguring { replicas } => {
                        self.reconfigure(now, entered, situation, failover, replicas, &mut acts);
                    }
                }
            }
        }
        acts
    }

    /// Since when the driver is in this stage; its first sight of it is the beginning.
    fn enter(&mut self, now: u64, mark: Mark) -> u64 {
        match &self.entered {
            Some((known, since)) if *known == mark => *since,
            _ => {
                self.entered = Some((mark, now));
                self.orders.clear();
                (self.unheard_since, self.unreachable_since) = (None, None);
                now
            }
        }
    }

    fn propose(&mut self, now: u64, command: Command, acts: &mut Vec<Act>) {
        if self.proposals.admit(now, &command) {
            acts.push(Act::Propose(command));
        }
    }

    fn ask(&mut self, now: u64, replica: &Replica, acts: &mut Vec<Act>) {
        if replica.candidate.connected && self.orders.may_ask(now, replica.addr()) {
            acts.push(Act::Ask(replica.addr().clone()));
        }
    }

    fn start(&mut self, now: u64, situation: &Situation<'_>, acts: &mut Vec<Act>) {
        if !situation.odown || situation.observing || now < self.not_before {
            return;
        }
        let mut candidates = situation.replicas.iter().map(|replica| &replica.candidate);
        let some = candidates.any(|candidate| candidate.is_eligible(situation.predecessor(now)));
        if !some && now < self.not_without_replica_before {
            return;
        }
        let command = Command::StartFailover {
            name: situation.name.to_owned(),
            base: situation.master.configuration.epoch,
            cause: Cause::Down,
            leader: situation.me,
        };
        self.propose(now, command, acts);
    }

    fn select(
        &mut self,
        now: u64,
        entered: u64,
        situation: &Situation<'_>,
        failover: &Failover,
        acts: &mut Vec<Act>,
    ) {
        match situation.comeback(now, failover) {
            Comeback::None | Comeback::Bereft => self.unheard_since = None,
            Comeback::Unheard if now < *self.unheard_since.get_or_insert(now) + INFO_PATIENCE_MS => return,
            Comeback::Unheard | Comeback::Intact => {
                return self.abort(now, situation, failover, AbortReason::MasterReturned, acts);
            }
        }
        // INFO from before the master failed says how far a replica was then, not how far it got.
        let stale_before = situation.sdown_since.unwrap_or(entered).min(entered);
        let mut waiting = false;
        for replica in situation.replicas.iter().filter(|replica| replica.is_reachable()) {
            if replica.info_at.is_none_or(|at| at < stale_before) {
                waiting = true;
                self.ask(now, replica, acts);
            }
        }
        if waiting && now < entered + INFO_PATIENCE_MS {
            return;
        }
        let untried = situation.replicas.iter().map(|replica| &replica.candidate);
        let untried = untried.filter(|candidate| !failover.rejected.contains(&candidate.addr));
        match choose(untried, situation.predecessor(now)) {
            Some(chosen) => {
                let (name, epoch) = (situation.name.to_owned(), failover.epoch);
                let candidate = chosen.addr.clone();
                self.propose(now, Command::Selected { name, epoch, candidate }, acts);
            }
            None if now >= entered + NO_REPLICA_PATIENCE_MS => {
                self.not_without_replica_before = now + NO_REPLICA_PAUSE_MS;
                self.abort(now, situation, failover, AbortReason::NoGoodReplica, acts);
            }
            None => {}
        }
    }

    fn abort(
        &mut self,
        now: u64,
        situation: &Situation<'_>,
        failover: &Failover,
        reason: AbortReason,
        acts: &mut Vec<Act>,
    ) {
        self.not_before = now + RETRY_PAUSE_MS;
        let command = Command::Abort { name: situation.name.to_owned(), epoch: failover.epoch, reason };
        self.propose(now, command, acts);
    }

    fn end(
        &mut self,
        now: u64,
        situation: &Situation<'_>,
        failover: &Failover,
        reason: EndReason,
        acts: &mut Vec<Act>,
    ) {
        let command = Command::End { name: situation.name.to_owned(), epoch: failover.epoch, reason };
        self.propose(now, command, acts);
    }

    /// Sends `replica` to follow `primary`, or to be master.
    fn order(&mut self, now: u64, replica: &Replica, primary: Option<&Addr>, acts: &mut Vec<Act>) {
        self.orders.given(now, replica.addr());
        acts.push(Act::Order { replica: replica.addr().clone(), primary: primary.cloned() });
    }
}
