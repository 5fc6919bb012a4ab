//! The chosen replica is made the master, unless the old one comes back first.
//!
//! A lost connection says little, so a candidate fails only when it is down, or late. As long as it certainly copies the
//! old master, the failover can still be called off.

use super::comeback::Comeback;
use super::{Act, Driver, PROMOTION_PATIENCE_MS, Replica, Situation};
use crate::core::event::Kind;
use crate::core::ids::Addr;
use crate::core::info::Role;
use crate::core::topology::{AbortReason, Command, Failover};

/// What the old master's return means for the promotion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    GoOn,
    /// The candidate must first say what it is: another leader may have given the order.
    Ask,
    CallOff,
}

impl Driver {
    pub(super) fn promote(
        &mut self,
        now: u64,
        entered: u64,
        situation: &Situation<'_>,
        failover: &Failover,
        candidate: &Addr,
        acts: &mut Vec<Act>,
    ) {
        let known = situation.replica(candidate);
        let replica = known.filter(|replica| replica.is_reachable());
        if situation.sane && situation.comeback(now, failover) == Comeback::Intact {
            match self.called_off(now, entered, replica) {
                Verdict::GoOn => {}
                Verdict::Ask => return replica.into_iter().for_each(|replica| self.ask(now, replica, acts)),
                Verdict::CallOff => {
                    return self.abort(now, situation, failover, AbortReason::MasterReturned, acts);
                }
            }
        }
        if let Some(replica) = replica
            && self.has_promoted(now, situation, failover, replica, acts)
        {
            return;
        }
        let down = known.is_none_or(|replica| replica.candidate.down);
        let failed = down || now >= entered + PROMOTION_PATIENCE_MS;
        if failed && has_alternative(now, situation, failover, candidate) {
            let (name, epoch) = (situation.name.to_owned(), failover.epoch);
            self.propose(now, Command::Rejected { name, epoch, candidate: candidate.clone() }, acts);
        } else if now >= entered.saturating_add(situation.master.settings.failover_timeout_ms) {
            self.abort(now, situation, failover, AbortReason::ReplicaTimeout, acts);
        }
    }

    /// The old master is back: may the candidate, if it is reached, stay what it is?
    fn called_off(&mut self, now: u64, entered: u64, replica: Option<&Replica>) -> Verdict {
        let Some(replica) = replica else {
            let since = *self.unreachable_since.get_or_insert(now);
            return if now >= since + PROMOTION_PATIENCE_MS { Verdict::CallOff } else { Verdict::GoOn };
        };
        self.unreachable_since = None;
        if self.orders.given_at(replica.addr()).is_some() {
            return Verdict::GoOn;
        }
        let late = now >= entered + PROMOTION_PATIENCE_MS;
        match replica.role {
            Some((role, at)) if at >= entered || late => match role {
                Role::Master => Verdict::GoOn,
                Role::Replica => Verdict::CallOff,
            },
            None if late => Verdict::CallOff,
            Some(_) | None => Verdict::Ask,
        }
    }

    /// Gives the order, or looks for its effect, which is proposed when it is there.
    fn has_promoted(
        &mut self,
        now: u64,
        situation: &Situation<'_>,
        failover: &Failover,
        replica: &Replica,
        acts: &mut Vec<Act>,
    ) -> bool {
        let candidate = replica.addr();
        if self.orders.is_due(now, replica, PROMOTION_PATIENCE_MS) {
            if self.orders.given_at(candidate).is_none() {
                acts.push(Act::Announce(Kind::StateWaitPromotion, candidate.clone()));
            }
            self.order(now, replica, None, acts);
        } else if self.orders.has_become_master(replica) {
            let (name, epoch) = (situation.name.to_owned(), failover.epoch);
            self.propose(now, Command::Promoted { name, epoch, candidate: candidate.clone() }, acts);
            return true;
        } else {
            self.ask(now, replica, acts);
        }
        false
    }
}

fn has_alternative(now: u64, situation: &Situation<'_>, failover: &Failover, candidate: &Addr) -> bool {
    let others = situation.replicas.iter().map(|replica| &replica.candidate);
    let mut others =
        others.filter(|other| other.addr != *candidate && !failover.rejected.contains(&other.addr));
    others.any(|other| other.is_eligible(situation.predecessor(now)))
}
