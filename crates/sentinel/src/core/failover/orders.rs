//! When which instance was given an order or asked a question, so that neither is repeated at every turn.

use std::collections::BTreeMap;

use super::{ASK_PERIOD_MS, Replica};
use crate::core::ids::Addr;
use crate::core::info::Role;

/// What the driver sent in this stage. Bounded by the number of replicas, which the topology bounds.
#[derive(Clone, Debug, Default)]
pub(super) struct Orders {
    given: BTreeMap<Addr, Given>,
    asked_at: BTreeMap<Addr, u64>,
}

/// When an order was given.
#[derive(Clone, Copy, Debug)]
struct Given {
    first: u64,
    last: u64,
}

impl Orders {
    pub(super) fn clear(&mut self) {
        self.given.clear();
        self.asked_at.clear();
    }

    pub(super) fn given(&mut self, now: u64, replica: &Addr) {
        self.given.entry(replica.clone()).or_insert(Given { first: now, last: now }).last = now;
    }

    /// When the order was given for the first time in this stage.
    pub(super) fn first_given_at(&self, replica: &Addr) -> Option<u64> {
        self.given.get(replica).map(|given| given.first)
    }

    /// When the order was given last.
    pub(super) fn given_at(&self, replica: &Addr) -> Option<u64> {
        self.given.get(replica).map(|given| given.last)
    }

    /// Whether an order is to be sent: none was, or the link was made anew since, or `repeat_ms` have passed.
    pub(super) fn is_due(&self, now: u64, replica: &Replica, repeat_ms: u64) -> bool {
        let Some(given) = self.given_at(replica.addr()) else { return true };
        replica.connected_at.is_some_and(|since| since > given) || now >= given + repeat_ms
    }

    /// Whether the replica has said after its order that it is a master.
    pub(super) fn has_become_master(&self, replica: &Replica) -> bool {
        let given = self.given_at(replica.addr());
        matches!((replica.role, given), (Some((Role::Master, at)), Some(given)) if at >= given)
    }

    /// Whether a question may be asked now; it counts as asked then.
    pub(super) fn may_ask(&mut self, now: u64, replica: &Addr) -> bool {
        let due = self.asked_at.get(replica).is_none_or(|at| now >= at + ASK_PERIOD_MS);
        if due {
            self.asked_at.insert(replica.clone(), now);
        }
        due
    }
}
