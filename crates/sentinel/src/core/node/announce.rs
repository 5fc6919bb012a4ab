//! What a committed change means for the links, and what subscribers hear of it.
//!
//! Redis's rule of who says what is kept: everybody announces the outcome (`+switch-master`, `+slave`, `+sentinel`,
//! `+monitor`), the leader alone the steps of a failover.

use super::{Node, Output};
use crate::core::event::{Event, Instance as Described, Kind, Subject};
use crate::core::ids::{Addr, SentinelId};
use crate::core::info::Role;
use crate::core::topology::{AbortReason, Change, EndReason, Reconfiguration, Setting};

impl Node {
    /// Takes committed changes in: links, judgements, announcements (none if `aloud` is false).
    pub(super) fn changed(&mut self, now: u64, changes: Vec<Change>, aloud: bool) {
        self.match_links(now);
        for change in changes {
            let said = self.out.len();
            self.take_in(now, &change);
            self.say(change);
            if !aloud {
                let mut index = 0;
                self.out.retain(|output| {
                    index += 1;
                    index <= said || !matches!(output, Output::Announce(_))
                });
            }
        }
    }

    /// What a change does to what was observed so far.
    fn take_in(&mut self, now: u64, change: &Change) {
        match change {
            Change::Switched { name, from, to, .. } => self.switched(now, name, from, to),
            Change::Reset { name } => {
                let primary = self.topology.masters.get(name).map(|master| master.primary().clone());
                if let Some(primary) = primary {
                    self.ask_info(now, name, &primary);
                }
                self.touched.insert(name.clone());
            }
            Change::Monitored { name }
            | Change::Set { name, .. }
            | Change::ReplicaAdded { name, .. }
            | Change::FailoverStarted { name }
            | Change::Selected { name }
            | Change::Rejected { name, .. }
            | Change::Reconfigured { name, .. }
            | Change::Ended { name, .. }
            | Change::Aborted { name, .. }
            | Change::TakenOver { name, .. } => {
                self.touched.insert(name.clone());
            }
            Change::Removed { .. }
            | Change::ReplicaForgotten { .. }
            | Change::SentinelAdded { .. }
            | Change::SentinelMoved { .. }
            | Change::SentinelAddressLost { .. }
            | Change::SentinelForgotten { .. } => {}
        }
    }

    fn switched(&mut self, now: u64, name: &str, from: &Addr, to: &Addr) {
        let Some(watch) = self.watches.get_mut(name) else { return };
        watch.odown_since = None;
        for (addr, role) in [(from, Role::Replica), (to, Role::Master)] {
            if let Some(instance) = watch.instances.get_mut(addr) {
                instance.recast(now, role);
            }
        }
        for addr in watch.instances.keys().cloned().collect::<Vec<_>>() {
            self.ask_info(now, name, &addr);
            self.hello_instance(now, name, &addr);
        }
        self.touched.insert(name.to_owned());
    }

    fn say(&mut self, change: Change) {
        match change {
            Change::Monitored { name } => {
                let quorum = self.topology.masters.get(&name).map_or(0, |master| master.settings.quorum);
                self.say_master(Kind::Monitor, &name, Some(format!("quorum {quorum}")));
            }
            Change::Removed { name, address } => {
                self.tell(Kind::Unmonitor, Described::master(&name, &address))
            }
            Change::Set { name, settings } => {
                for setting in settings {
                    self.say_master(Kind::Set, &name, Some(describe_setting(setting)));
                }
            }
            Change::Reset { name } => self.say_master(Kind::ResetMaster, &name, None),
            Change::ReplicaAdded { name, replica } => self.announce_instance(Kind::Replica, &name, &replica),
            Change::ReplicaForgotten { name, replica } => {
                self.announce_instance(Kind::ReplicaForgotten, &name, &replica);
            }
            Change::SentinelAdded { name, id } => self.say_sentinel(Kind::Sentinel, &name, id),
            Change::SentinelMoved { name, id } => self.say_sentinel(Kind::SentinelAddressSwitch, &name, id),
            Change::SentinelAddressLost { name, id, address } => {
                self.say_sentinel_at(Kind::SentinelInvalidAddress, &name, id, &address);
            }
            Change::SentinelForgotten { name, id } => {
                self.say_sentinel_at(Kind::SentinelForgotten, &name, id, &Addr::new("?", 0));
            }
            Change::FailoverStarted { name } => self.say_started(&name),
            Change::Switched { name, from, to, followed } => self.say_switched(&name, &from, &to, followed),
            Change::TakenOver { name, taken_over } => {
                let kind = if taken_over { Kind::TakeOver } else { Kind::GiveBack };
                self.say_master(kind, &name, None);
            }
            Change::Selected { .. }
            | Change::Rejected { .. }
            | Change::Reconfigured { .. }
            | Change::Ended { .. }
            | Change::Aborted { .. } => {
                if self.leading {
                    self.say_step(change);
                }
            }
        }
    }

    fn say_started(&mut self, name: &str) {
        let Some(master) = self.topology.masters.get(name) else { return };
        let Some(failover) = &master.failover else { return };
        let (epoch, leader, leading) = (failover.epoch, failover.leader, self.leading);
        let subject = Subject::Epoch { name: name.to_owned(), epoch };
        self.out.push(Output::Announce(Event { kind: Kind::NewEpoch, subject }));
        if leading {
            self.say_master(Kind::TryFailover, name, None);
        }
        let subject = Subject::Vote { name: name.to_owned(), leader, epoch };
        self.out.push(Output::Announce(Event { kind: Kind::VoteForLeader, subject }));
        if leading {
            self.say_master(Kind::ElectedLeader, name, None);
            self.say_master(Kind::StateSelectReplica, name, None);
        }
    }

    /// The steps of a failover, named with the master's address at its beginning.
    fn say_step(&mut self, change: Change) {
        match change {
            Change::Selected { name } => {
                let candidate =
                    self.topology.masters.get(&name).and_then(|master| master.candidate().cloned());
                if let Some(candidate) = candidate {
                    self.announce_instance(Kind::SelectedReplica, &name, &candidate);
                    self.announce_instance(Kind::StateSendPromotion, &name, &candidate);
                }
            }
            Change::Rejected { name, candidate } => {
                self.announce_instance(Kind::CandidateFailed, &name, &candidate);
                self.say_master(Kind::StateSelectReplica, &name, None);
            }
            Change::Reconfigured { name, replica, progress } => {
                let kind = match progress {
                    Reconfiguration::Sent => Kind::ReconfigurationSent,
                    Reconfiguration::InProgress => Kind::ReconfigurationInProgress,
                    Reconfiguration::Done => Kind::ReconfigurationDone,
                    Reconfiguration::GivenUp => Kind::ReconfigurationTimeout,
                };
                self.announce_instance(kind, &name, &replica);
            }
            Change::Ended { name, from, reason } => {
                let old = Described::master(&name, &from);
                if reason == EndReason::TimedOut {
                    self.tell(Kind::FailoverEndForTimeout, old.clone());
                }
                self.tell(Kind::FailoverEnd, old);
            }
            Change::Aborted { name, reason, candidate } => match (reason, candidate) {
                (AbortReason::NoGoodReplica, _) => self.say_master(Kind::AbortNoGoodReplica, &name, None),
                (AbortReason::MasterReturned, _) => self.say_master(Kind::AbortMasterReturned, &name, None),
                (AbortReason::ReplicaTimeout, Some(replica)) => {
                    self.announce_instance(Kind::AbortReplicaTimeout, &name, &replica);
                }
                (AbortReason::ReplicaTimeout, None) => {
                    self.say_master(Kind::AbortReplicaTimeout, &name, None)
                }
            },
            Change::Monitored { .. }
            | Change::Removed { .. }
            | Change::Set { .. }
            | Change::Reset { .. }
            | Change::ReplicaAdded { .. }
            | Change::ReplicaForgotten { .. }
            | Change::SentinelAdded { .. }
            | Change::SentinelMoved { .. }
            | Change::SentinelAddressLost { .. }
            | Change::SentinelForgotten { .. }
            | Change::FailoverStarted { .. }
            | Change::Switched { .. }
            | Change::TakenOver { .. } => {}
        }
    }

    fn say_switched(&mut self, name: &str, from: &Addr, to: &Addr, followed: Option<(SentinelId, Addr)>) {
        let failing_over = self.topology.masters.get(name).and_then(|master| master.failover.as_ref());
        let teacher = match (&followed, failing_over) {
            (Some((id, at)), _) => Some((*id, at.clone())),
            (None, Some(failover)) if !self.leading => {
                let at = self.peers.get(&failover.leader).map(|peer| peer.addr.clone());
                at.map(|at| (failover.leader, at))
            }
            (None, _) => None,
        };
        if self.leading && followed.is_none() {
            self.tell(Kind::PromotedReplica, Described::replica(to, name, from));
            self.tell(Kind::StateReconfigureReplicas, Described::master(name, from));
        }
        if let Some((id, at)) = teacher {
            self.tell(Kind::ConfigUpdateFrom, Described::sentinel(&id, &at, name, from));
        }
        let subject = Subject::Switch { name: name.to_owned(), from: from.clone(), to: to.clone() };
        self.out.push(Output::Announce(Event { kind: Kind::SwitchMaster, subject }));
        let replicas = self.topology.masters.get(name).map(|master| master.replicas.clone());
        for replica in replicas.unwrap_or_default() {
            self.tell(Kind::Replica, Described::replica(&replica, name, to));
        }
    }

    pub(super) fn tell(&mut self, kind: Kind, described: Described) {
        self.out.push(Output::Announce(Event::of(kind, described)));
    }

    fn say_master(&mut self, kind: Kind, name: &str, note: Option<String>) {
        let Some(master) = self.topology.masters.get(name) else { return };
        let subject = Subject::Instance(Described::master(name, master.primary()), note);
        self.out.push(Output::Announce(Event { kind, subject }));
    }

    fn say_sentinel(&mut self, kind: Kind, name: &str, id: SentinelId) {
        let address = self.topology.masters.get(name).and_then(|master| master.sentinels.get(&id).cloned());
        if let Some(address) = address {
            self.say_sentinel_at(kind, name, id, &address);
        }
    }

    fn say_sentinel_at(&mut self, kind: Kind, name: &str, id: SentinelId, address: &Addr) {
        let Some(master) = self.topology.masters.get(name) else { return };
        if id != self.identity.id {
            self.tell(kind, Described::sentinel(&id, address, name, master.primary()));
        }
    }

    /// Announces something about an instance of a master. During a failover replicas are named with the master that is
    /// being replaced, as Redis's leader does.
    pub(super) fn announce_instance(&mut self, kind: Kind, name: &str, addr: &Addr) {
        if let Some(described) = self.describe(name, addr) {
            self.tell(kind, described);
        }
    }

    pub(super) fn describe(&self, name: &str, addr: &Addr) -> Option<Described> {
        let master = self.topology.masters.get(name)?;
        if master.primary() == addr {
            return Some(Described::master(name, addr));
        }
        let of = match &master.failover {
            Some(failover) if failover.from != *addr => &failover.from,
            Some(_) | None => master.primary(),
        };
        Some(Described::replica(addr, name, of))
    }
}

fn describe_setting(setting: Setting) -> String {
    match setting {
        Setting::Quorum(quorum) => format!("quorum {quorum}"),
        Setting::DownAfter(ms) => format!("down-after-milliseconds {ms}"),
        Setting::RefusedAfter(ms) => format!("refused-after-milliseconds {ms}"),
        Setting::FailoverTimeout(ms) => format!("failover-timeout {ms}"),
        Setting::ParallelSyncs(count) => format!("parallel-syncs {count}"),
        Setting::MasterRebootDownAfter(ms) => format!("master-reboot-down-after-period {ms}"),
    }
}
