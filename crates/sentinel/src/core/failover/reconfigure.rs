//! Pointing replicas to their master: the last stage of a failover, and every day after it.

use std::collections::BTreeMap;

use super::{Act, Driver, RECONFIGURATION_TIMEOUT_MS, REPEAT_ORDER_MS, Replica, Situation};
use crate::core::event::Kind;
use crate::core::ids::Addr;
use crate::core::info::Role;
use crate::core::topology::{Command, EndReason, Failover, Reconfiguration};

impl Driver {
    pub(super) fn reconfigure(
        &mut self,
        now: u64,
        entered: u64,
        situation: &Situation<'_>,
        failover: &Failover,
        progress: &BTreeMap<Addr, Reconfiguration>,
        acts: &mut Vec<Act>,
    ) {
        // The new master has failed in turn: what is left to reconfigure is the next failover's.
        if situation.odown {
            return self.end(now, situation, failover, EndReason::TimedOut, acts);
        }
        let others = || situation.replicas.iter().filter(|replica| *replica.addr() != failover.from);
        if now >= entered.saturating_add(situation.master.settings.failover_timeout_ms) {
            let left: Vec<&Replica> =
                others().filter(|replica| self.is_left_behind(replica, progress)).collect();
            for replica in left {
                self.order(now, replica, Some(situation.master.primary()), acts);
                acts.push(Act::Announce(Kind::ReconfigurationSentAtEnd, replica.addr().clone()));
            }
            return self.end(now, situation, failover, EndReason::TimedOut, acts);
        }
        let mut syncing = others().filter(|replica| self.is_syncing(replica, progress)).count();
        for replica in others() {
            self.advance(now, entered, situation, failover, (replica, progress), &mut syncing, acts);
        }
        if let Some(old) = situation.replica(&failover.from) {
            self.set_right(now, situation, old, acts);
        }
        let done = |replica: &Replica| {
            matches!(progress.get(replica.addr()), Some(Reconfiguration::Done | Reconfiguration::GivenUp))
        };
        if others().all(|replica| done(replica) || replica.candidate.down) {
            self.end(now, situation, failover, EndReason::Complete, acts);
        }
    }

    /// Whether a replica was sent to the new master and has not arrived; the order counts before its commit does.
    fn is_syncing(&self, replica: &Replica, progress: &BTreeMap<Addr, Reconfiguration>) -> bool {
        let on_its_way = match progress.get(replica.addr()) {
            Some(Reconfiguration::Sent | Reconfiguration::InProgress) => true,
            Some(Reconfiguration::Done | Reconfiguration::GivenUp) => false,
            None => self.orders.given_at(replica.addr()).is_some(),
        };
        on_its_way && !replica.candidate.down
    }

    /// Whether a replica was not even sent to the new master when the time was over.
    fn is_left_behind(&self, replica: &Replica, progress: &BTreeMap<Addr, Reconfiguration>) -> bool {
        let sent = progress.contains_key(replica.addr()) || self.orders.given_at(replica.addr()).is_some();
        replica.candidate.connected && !sent
    }

    /// Takes one replica a step further.
    #[expect(
        clippy::too_many_arguments,
        reason = "they are the arguments of the stage, and one replica of it"
    )]
    fn advance(
        &mut self,
        now: u64,
        entered: u64,
        situation: &Situation<'_>,
        failover: &Failover,
        (replica, progress): (&Replica, &BTreeMap<Addr, Reconfiguration>),
        syncing: &mut usize,
        acts: &mut Vec<Act>,
    ) {
        let primary = situation.master.primary();
        let known = progress.get(replica.addr()).copied();
        let next = match known {
            Some(Reconfiguration::Done | Reconfiguration::GivenUp) => return,
            _ if !replica.is_reachable() => return,
            _ if replica.follows(primary) && replica.link_up => Reconfiguration::Done,
            Some(Reconfiguration::InProgress) => return self.ask(now, replica, acts),
            _ if replica.follows(primary) => Reconfiguration::InProgress,
            Some(Reconfiguration::Sent) => {
                let given = self.orders.first_given_at(replica.addr());
                if now >= given.unwrap_or(entered) + RECONFIGURATION_TIMEOUT_MS {
                    Reconfiguration::GivenUp
                } else {
                    if self.orders.is_due(now, replica, REPEAT_ORDER_MS) {
                        self.order(now, replica, Some(primary), acts);
                    }
                    return self.ask(now, replica, acts);
                }
            }
            None => {
                let ordered = self.orders.given_at(replica.addr()).is_some();
                if !ordered {
                    if *syncing >= situation.master.settings.parallel_syncs as usize {
                        return;
                    }
                    *syncing += 1;
                    self.order(now, replica, Some(primary), acts);
                }
                Reconfiguration::Sent
            }
        };
        let (name, epoch) = (situation.name.to_owned(), failover.epoch);
        let replica = replica.addr().clone();
        self.propose(now, Command::Reconfigured { name, epoch, replica, progress: next }, acts);
    }

    /// Without a failover: replicas that came back as masters, or follow somebody else, are set right, while the
    /// master itself is beyond doubt.
    pub(super) fn repair(&mut self, now: u64, situation: &Situation<'_>, acts: &mut Vec<Act>) {
        if situation.sane && !situation.odown {
            for replica in situation.replicas {
                self.set_right(now, situation, replica, acts);
            }
        }
    }

    fn set_right(&mut self, now: u64, situation: &Situation<'_>, replica: &Replica, acts: &mut Vec<Act>) {
        let primary = situation.master.primary();
        let wrong = match (replica.role, &replica.follows) {
            (Some((Role::Master, at)), _) => Some((Kind::ConvertToReplica, at)),
            (Some((Role::Replica, at)), Some(other)) if !other.may_be(primary) => {
                Some((Kind::FixReplicaConfig, at))
            }
            (Some((Role::Replica, _)), _) | (None, _) => None,
        };
        let Some((kind, reported_at)) = wrong else { return };
        let unheeded = self.orders.given_at(replica.addr()).is_some_and(|given| reported_at <= given);
        if situation.observing || !replica.is_reachable() {
            return;
        }
        if unheeded {
            return self.ask(now, replica, acts);
        }
        if self.orders.is_due(now, replica, REPEAT_ORDER_MS) {
            self.order(now, replica, Some(primary), acts);
            acts.push(Act::Announce(kind, replica.addr().clone()));
        }
    }
}
