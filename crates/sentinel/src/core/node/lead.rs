//! The leader's half: what its driver decides for each master is carried out.

use super::{Instance, Node, Output, Request, Standing};
use crate::core::failover::{Act, Driver, Primary, Replica, Situation};
use crate::core::ids::Addr;
use crate::core::info::Role;
use crate::core::ranking::{Candidate, Predecessor, choose};
use crate::core::topology::Master;

impl Node {
    pub(super) fn lead_changed(&mut self, leading: bool) {
        if self.leading == leading {
            return;
        }
        self.leading = leading;
        self.proposals.clear();
        // A leader knows of orders only what it gave itself.
        self.watches.values_mut().for_each(|watch| watch.driver = Driver::default());
        self.touched.extend(self.watches.keys().cloned());
    }

    pub(super) fn lead(&mut self, now: u64, name: &str) {
        let grouped = match self.standing {
            Standing::Alone => false,
            Standing::Joining(_) | Standing::Joined => true,
        };
        if !self.leading || !grouped {
            return;
        }
        let observing = self.is_observing(now, name);
        let Some(master) = self.topology.masters.get(name) else { return };
        let Some(watch) = self.watches.get_mut(name) else { return };
        let primary = watch.instances.get(master.primary());
        let replicas: Vec<Replica> = master
            .replicas
            .iter()
            .filter_map(|addr| watch.instances.get(addr).map(|instance| replica(now, addr, instance)))
            .collect();
        let situation = Situation {
            me: self.identity.id,
            name,
            master,
            odown: watch.odown_since.is_some(),
            sdown_since: primary.and_then(|primary| primary.verdict.down_since()),
            sane: primary.is_some_and(|primary| is_sane(now, primary, self.timings.info_period_ms)),
            observing,
            primary: primary.map(primary_of),
            replicas: &replicas,
        };
        let acts = watch.driver.step(now, &situation);
        acts.into_iter().for_each(|act| self.act(now, name, act));
    }

    fn act(&mut self, now: u64, name: &str, act: Act) {
        match act {
            Act::Propose(command) => self.out.push(Output::Propose(command)),
            Act::Order { replica, primary } => {
                if let Some(link) = self.instance_link(name, &replica) {
                    self.send(link, Request::Follow(primary));
                }
            }
            Act::Ask(replica) => self.ask_info(now, name, &replica),
            Act::Announce(kind, replica) => self.announce_instance(kind, name, &replica),
        }
    }

    /// Whether some replica could take over now: what `SENTINEL FAILOVER` asks before it begins.
    #[must_use]
    pub fn has_good_replica(&self, now: u64, name: &str) -> bool {
        let Some(master) = self.topology.masters.get(name) else { return false };
        let Some(watch) = self.watches.get(name) else { return false };
        let primary = watch.instances.get(master.primary());
        let down_ms =
            primary.and_then(|primary| primary.verdict.down_since()).map(|since| now.saturating_sub(since));
        let predecessor = Predecessor { down_ms, down_after_ms: master.settings.down_after_ms };
        choose(candidates(now, master, &watch.instances).iter(), predecessor).is_some()
    }
}

fn candidates(
    now: u64,
    master: &Master,
    instances: &std::collections::BTreeMap<Addr, Instance>,
) -> Vec<Candidate> {
    let known =
        master.replicas.iter().filter_map(|addr| instances.get(addr).map(|instance| (addr, instance)));
    known.map(|(addr, instance)| candidate(now, addr, instance)).collect()
}

fn candidate(now: u64, addr: &Addr, instance: &Instance) -> Candidate {
    let detector = &instance.link.detector;
    Candidate {
        addr: addr.clone(),
        down: instance.verdict.is_down(),
        connected: detector.is_connected(),
        ping_age_ms: detector.acceptable_ago_ms(now),
        info_age_ms: instance.info_age_ms(now),
        link_down_ms: instance.info.link_down_ms.unwrap_or(0),
        never_linked: instance.info.never_linked(),
        reports_master: instance.role == Role::Master,
        priority: instance.info.priority,
        offset: instance.info.offset,
        run_id: instance.run_id.clone(),
    }
}

fn replica(now: u64, addr: &Addr, instance: &Instance) -> Replica {
    Replica {
        candidate: candidate(now, addr, instance),
        connected_at: instance.link.detector.connected_at(),
        role: instance.role_heard_at.map(|at| (instance.role, at)),
        follows: instance.info.master.clone(),
        link_up: instance.info.link_up,
        info_at: instance.info_at,
    }
}

fn primary_of(instance: &Instance) -> Primary {
    let connected_at = instance.link.detector.connected_at();
    Primary {
        heard: instance.info_at.is_some_and(|heard| connected_at.is_none_or(|at| heard >= at)),
        restarted: instance.restarted,
        offset: instance.info.offset,
    }
}

/// Nobody is told to follow a master that is not beyond doubt.
fn is_sane(now: u64, primary: &Instance, info_period_ms: u64) -> bool {
    primary.link.detector.is_connected()
        && !primary.verdict.is_down()
        && primary.role == Role::Master
        && primary.info_age_ms(now).is_some_and(|age| age <= info_period_ms.saturating_mul(2))
}
