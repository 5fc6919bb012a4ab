//! Who is down? Our own judgement, and the quorum's over the masters.

use super::{Node, Output, Watch};
use crate::core::detector::Limits;
use crate::core::event::{Event, Instance as Described, Kind};
use crate::core::ids::{Addr, SentinelId};
use crate::core::info::Role;
use crate::core::topology::Master;

impl Node {
    /// Judges everything that belongs to one master.
    pub(super) fn judge(&mut self, now: u64, name: &str) {
        let Some(master) = self.topology.masters.get(name) else { return };
        let Some(watch) = self.watches.get_mut(name) else { return };
        let limits = limits_of(master);
        let primary = master.primary().clone();
        let info_period_ms = self.timings.info_period_ms;
        let mut changed: Vec<(Described, bool)> = Vec::new();
        let mut primary_changed = None;
        for (addr, instance) in &mut watch.instances {
            let unfit = *addr == primary && is_unfit(now, instance, master, info_period_ms);
            let Some(down) = instance.verdict.step(now, &instance.link.detector, limits, unfit) else {
                continue;
            };
            instance.restarted &= !down;
            if *addr == primary {
                primary_changed = Some(down);
                changed.push((Described::master(name, addr), down));
            } else {
                changed.push((Described::replica(addr, name, &primary), down));
            }
        }
        for (id, addr) in master.sentinels.iter().filter(|(id, _)| **id != self.identity.id) {
            let Some(peer) = self.peers.get(id) else { continue };
            let verdict = watch.sentinels.entry(*id).or_default();
            if let Some(down) = verdict.step(now, &peer.link.detector, limits, false) {
                changed.push((Described::sentinel(id, addr, name, &primary), down));
            }
        }
        for (described, down) in changed {
            let kind = if down { Kind::SubjectivelyDown } else { Kind::SubjectivelyUp };
            self.out.push(Output::Announce(Event::of(kind, described)));
        }
        if let Some(down) = primary_changed {
            self.report(now);
            if down {
                // How far each replica got will decide who takes over.
                self.ask_replicas(now, name, &primary);
            }
        }
        self.judge_together(now, name);
    }

    fn ask_replicas(&mut self, now: u64, name: &str, primary: &Addr) {
        let replicas = self.watches[name].instances.keys().filter(|addr| *addr != primary);
        for addr in replicas.cloned().collect::<Vec<_>>() {
            self.ask_info(now, name, &addr);
        }
    }

    fn judge_together(&mut self, now: u64, name: &str) {
        let Some(master) = self.topology.masters.get(name) else { return };
        let Some(watch) = self.watches.get_mut(name) else { return };
        let primary = master.primary();
        let quorum = master.settings.quorum;
        let votes = tally(now, watch, master, &self.identity.id);
        let down = votes >= quorum;
        if down == watch.odown_since.is_some() {
            return;
        }
        watch.odown_since = down.then_some(now);
        let described = Described::master(name, primary);
        self.out.push(Output::Announce(if down {
            Event::noted(Kind::ObjectivelyDown, described, format!("#quorum {votes}/{quorum}"))
        } else {
            Event::of(Kind::ObjectivelyUp, described)
        }));
    }

    /// Another sentinel tells which masters it sees down; the others it sees up.
    pub(super) fn reported(&mut self, now: u64, from: SentinelId, down: Vec<(String, Addr)>) {
        for (name, watch) in &mut self.watches {
            let known =
                self.topology.masters.get(name).is_some_and(|master| master.sentinels.contains_key(&from));
            match down.iter().find(|(of, _)| of == name) {
                Some((_, addr)) if known => watch.views.down(now, from, addr.clone()),
                Some(_) | None => watch.views.up(&from),
            }
            self.touched.insert(name.clone());
        }
    }

    /// When the next judgement falls though nothing is heard.
    pub(super) fn judgement_due(&self) -> Option<u64> {
        let due = self.watches.iter().filter_map(|(name, watch)| {
            let limits = limits_of(self.topology.masters.get(name)?);
            let deadlines = watch.instances.values();
            deadlines.filter_map(|instance| instance.verdict.deadline(&instance.link.detector, limits)).min()
        });
        due.min()
    }
}

fn limits_of(master: &Master) -> Limits {
    let settings = &master.settings;
    Limits { down_after_ms: settings.down_after_ms, refused_after_ms: settings.refused_after_ms }
}

/// A master may answer and be none: it says for long that it is a replica, or it came back empty-handed and is not
/// ready in time.
fn is_unfit(now: u64, instance: &super::Instance, master: &Master, info_period_ms: u64) -> bool {
    let settings = &master.settings;
    let demoted_ms = now.saturating_sub(instance.role_since);
    let demoted = instance.role == Role::Replica
        && demoted_ms > settings.down_after_ms.saturating_add(info_period_ms.saturating_mul(2));
    let rebooted = instance.rebooted_at.is_some_and(|at| {
        settings.master_reboot_down_after_ms != 0
            && now.saturating_sub(at) > settings.master_reboot_down_after_ms
    });
    demoted || rebooted
}

fn tally(now: u64, watch: &Watch, master: &Master, me: &SentinelId) -> u32 {
    let ours = watch.instances.get(master.primary()).is_some_and(|instance| instance.verdict.is_down());
    let others = master.sentinels.keys().filter(|id| *id != me);
    watch.views.tally(now, master.primary(), ours, others)
}
