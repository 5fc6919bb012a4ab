//! Applying a committed command: pure, total, equal on every sentinel.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use super::{
    Applied, Cause, Change, Command, Configuration, EndReason, Failover, Master, Monitored, Reconfiguration,
    Refusal, Stage, Topology,
};
use crate::core::ids::{Addr, Epoch, SentinelId};
use crate::raft::Machine;

/// Most masters in a topology. Names come from operators, so this only stops a runaway script.
pub const MAX_MASTERS: usize = 4096;
/// Most replicas of a master. They come from INFO, which any instance at that address may write.
pub const MAX_REPLICAS: usize = 1024;
/// Most sentinels of a master. They come from a pub/sub channel to which clients of the master may write.
pub const MAX_SENTINELS: usize = 256;

type Outcome = Result<Vec<Change>, Refusal>;

impl Machine for Topology {
    type Command = Command;
    type Response = Applied;

    fn apply(&mut self, _index: u64, command: Command) -> Applied {
        Topology::apply(self, command)
    }
}

impl Topology {
    /// Applies one committed command.
    pub fn apply(&mut self, command: Command) -> Applied {
        match self.try_apply(command) {
            Ok(changes) => Applied::Changed(changes),
            Err(refusal) => Applied::Refused(refusal),
        }
    }

    fn try_apply(&mut self, command: Command) -> Outcome {
        match command {
            Command::Seed(monitored) => self.seed(monitored),
            Command::Monitor(monitored) => self.monitor(monitored),
            Command::Remove { by, name } => self.remove(by, name),
            Command::Set { name, settings } => {
                let master = self.master_mut(&name)?;
                settings.iter().for_each(|setting| master.settings.set(*setting));
                Ok(vec![Change::Set { name, settings }])
            }
            Command::Reset { names, voters } => self.reset(names, &voters),
            Command::ReplicaSeen { name, replica } => self.replica_seen(name, replica),
            Command::SentinelSeen { name, id, address } => self.sentinel_seen(name, id, address),
            Command::Forget { name, replica } => self.forget(name, replica),
            Command::SentinelGone { id } => Ok(self.sentinel_gone(&id)),
            Command::StartFailover { name, base, cause, leader } => self.start(name, base, cause, leader),
            Command::Selected { name, epoch, candidate } => self.select(name, epoch, candidate),
            Command::Rejected { name, epoch, candidate } => self.reject(name, epoch, candidate),
            Command::Promoted { name, epoch, candidate } => self.promote(name, epoch, &candidate),
            Command::Reconfigured { name, epoch, replica, progress } => {
                self.reconfigured(name, epoch, replica, progress)
            }
            Command::End { name, epoch, reason } => self.end(name, epoch, reason),
            Command::Abort { name, epoch, reason } => {
                let master = self.master_mut(&name)?;
                let candidate = master.candidate().cloned();
                if matches!(failover_of(master, epoch)?.stage, Stage::Reconfiguring { .. }) {
                    return Err(Refusal::Stale);
                }
                master.failover = None;
                Ok(vec![Change::Aborted { name, reason, candidate }])
            }
            Command::Follow { name, epoch, primary, by, at } => self.follow(name, epoch, primary, (by, at)),
            Command::TakeOver { name, taken_over } => {
                self.master_mut(&name)?.taken_over = taken_over;
                Ok(vec![Change::TakenOver { name, taken_over }])
            }
        }
    }

    fn master_mut(&mut self, name: &str) -> Result<&mut Master, Refusal> {
        self.masters.get_mut(name).ok_or(Refusal::NoSuchMaster)
    }

    fn seed(&mut self, monitored: Monitored) -> Outcome {
        if self.removed.contains_key(&monitored.name) {
            return Ok(Vec::new());
        }
        if let Some(known) = self.masters.get_mut(&monitored.name) {
            known.told.insert(monitored.by);
            return Ok(Vec::new());
        }
        self.insert(monitored)
    }

    /// A script gives MONITOR to each sentinel in turn: the first one makes the entry, and the others, which
    /// have it from the group, agree as long as the script says the same to all.
    fn monitor(&mut self, monitored: Monitored) -> Outcome {
        let Some(known) = self.masters.get_mut(&monitored.name) else {
            return self.insert(monitored);
        };
        let same_place = [&known.monitored, known.primary()].contains(&&monitored.address);
        let same = same_place && known.settings.quorum == monitored.settings.quorum;
        if same && known.told.insert(monitored.by) { Ok(Vec::new()) } else { Err(Refusal::Duplicate) }
    }

    fn insert(&mut self, monitored: Monitored) -> Outcome {
        if self.masters.len() >= MAX_MASTERS {
            return Err(Refusal::TooMany);
        }
        if !monitored.epoch.is_plausible_after(self.epoch) {
            return Err(Refusal::ImplausibleEpoch);
        }
        let Monitored { by, name, address, settings, mut replicas, sentinels, epoch } = monitored;
        replicas.remove(&address);
        self.removed.remove(&name);
        self.epoch = self.epoch.max(epoch);
        let mut changes = vec![Change::Monitored { name: name.clone() }];
        let added = replicas.iter().cloned();
        changes.extend(added.map(|replica| Change::ReplicaAdded { name: name.clone(), replica }));
        let met = sentinels.keys().copied();
        changes.extend(met.map(|id| Change::SentinelAdded { name: name.clone(), id }));
        let master = Master {
            monitored: address.clone(),
            told: BTreeSet::from([by]),
            settings,
            configuration: Configuration { epoch, primary: address },
            replicas,
            sentinels,
            failover: None,
            taken_over: false,
        };
        self.masters.insert(name, master);
        Ok(changes)
    }

    /// The same script with REMOVE: what the group has removed on behalf of one sentinel, each of the others
    /// may remove once, too.
    fn remove(&mut self, by: SentinelId, name: String) -> Outcome {
        if let Some(master) = self.masters.remove(&name) {
            if self.removed.len() >= MAX_MASTERS {
                self.removed.pop_first();
            }
            self.removed.insert(name.clone(), BTreeSet::from([by]));
            return Ok(vec![Change::Removed { name, address: master.configuration.primary }]);
        }
        let told = self.removed.get_mut(&name).ok_or(Refusal::NoSuchMaster)?;
        if told.insert(by) { Ok(Vec::new()) } else { Err(Refusal::NoSuchMaster) }
    }

    /// Refused during a failover: a replica that was promoted already would be forgotten, and with it what it holds.
    fn reset(&mut self, names: Vec<String>, voters: &BTreeSet<SentinelId>) -> Outcome {
        let mut named = names.iter().filter_map(|name| self.masters.get(name));
        if named.any(|master| master.failover.is_some()) {
            return Err(Refusal::InProgress);
        }
        let mut changes = Vec::new();
        for name in names {
            let Some(master) = self.masters.get_mut(&name) else { continue };
            master.replicas.clear();
            master.sentinels.retain(|id, _| voters.contains(id));
            changes.push(Change::Reset { name });
        }
        Ok(changes)
    }

    fn replica_seen(&mut self, name: String, replica: Addr) -> Outcome {
        let master = self.master_mut(&name)?;
        if *master.primary() == replica || master.replicas.contains(&replica) {
            return Ok(Vec::new());
        }
        if master.replicas.len() >= MAX_REPLICAS {
            return Err(Refusal::TooMany);
        }
        master.replicas.insert(replica.clone());
        Ok(vec![Change::ReplicaAdded { name, replica }])
    }

    fn sentinel_seen(&mut self, name: String, id: SentinelId, address: Addr) -> Outcome {
        let master = self.master_mut(&name)?;
        if master.sentinels.get(&id) == Some(&address) {
            return Ok(Vec::new());
        }
        if master.sentinels.len() >= MAX_SENTINELS && !master.sentinels.contains_key(&id) {
            return Err(Refusal::TooMany);
        }
        let mut changes = Vec::new();
        for (other, place) in master.sentinels.iter_mut().filter(|(_, place)| **place == address) {
            let lost = std::mem::replace(place, Addr::new(address.host.clone(), 0));
            changes.push(Change::SentinelAddressLost { name: name.clone(), id: *other, address: lost });
        }
        changes.push(match master.sentinels.entry(id) {
            Entry::Vacant(place) => {
                place.insert(address);
                Change::SentinelAdded { name, id }
            }
            Entry::Occupied(mut place) => {
                place.insert(address);
                Change::SentinelMoved { name, id }
            }
        });
        Ok(changes)
    }

    fn forget(&mut self, name: String, replica: Addr) -> Outcome {
        let master = self.master_mut(&name)?;
        if master.candidate() == Some(&replica) {
            return Err(Refusal::InProgress);
        }
        if !master.replicas.remove(&replica) {
            return Err(Refusal::NoSuchReplica);
        }
        if let Some(Failover { stage: Stage::Reconfiguring { replicas }, .. }) = &mut master.failover {
            replicas.remove(&replica);
        }
        Ok(vec![Change::ReplicaForgotten { name, replica }])
    }

    fn sentinel_gone(&mut self, id: &SentinelId) -> Vec<Change> {
        let knew = self.masters.iter_mut().filter_map(|(name, master)| {
            let name = name.clone();
            master.sentinels.remove(id).map(|_| Change::SentinelForgotten { name, id: *id })
        });
        knew.collect()
    }

    fn start(&mut self, name: String, base: Epoch, cause: Cause, leader: SentinelId) -> Outcome {
        let epoch = self.epoch.next().ok_or(Refusal::ImplausibleEpoch)?;
        let master = self.master_mut(&name)?;
        if master.failover.is_some() {
            return Err(Refusal::InProgress);
        }
        if master.configuration.epoch != base {
            return Err(Refusal::Stale);
        }
        let from = master.primary().clone();
        let rejected = BTreeSet::new();
        master.failover = Some(Failover { epoch, cause, leader, from, rejected, stage: Stage::Elected });
        self.epoch = epoch;
        Ok(vec![Change::FailoverStarted { name }])
    }

    fn select(&mut self, name: String, epoch: Epoch, candidate: Addr) -> Outcome {
        let master = self.master_mut(&name)?;
        if !master.replicas.contains(&candidate) {
            return Err(Refusal::NoSuchReplica);
        }
        let failover = failover_of(master, epoch)?;
        if failover.stage != Stage::Elected || failover.rejected.contains(&candidate) {
            return Err(Refusal::Stale);
        }
        failover.stage = Stage::WaitingPromotion { candidate };
        Ok(vec![Change::Selected { name }])
    }

    fn reject(&mut self, name: String, epoch: Epoch, candidate: Addr) -> Outcome {
        let failover = failover_of(self.master_mut(&name)?, epoch)?;
        if failover.stage != (Stage::WaitingPromotion { candidate: candidate.clone() }) {
            return Err(Refusal::Stale);
        }
        failover.stage = Stage::Elected;
        failover.rejected.insert(candidate.clone());
        Ok(vec![Change::Rejected { name, candidate }])
    }

    fn promote(&mut self, name: String, epoch: Epoch, candidate: &Addr) -> Outcome {
        let master = self.master_mut(&name)?;
        let failover = failover_of(master, epoch)?;
        if failover.stage != (Stage::WaitingPromotion { candidate: candidate.clone() }) {
            return Err(Refusal::Stale);
        }
        let switched = switch(master, name, epoch, candidate, None)?;
        failover_of(master, epoch)?.stage = Stage::Reconfiguring { replicas: BTreeMap::new() };
        Ok(vec![switched])
    }

    fn reconfigured(
        &mut self,
        name: String,
        epoch: Epoch,
        replica: Addr,
        progress: Reconfiguration,
    ) -> Outcome {
        let master = self.master_mut(&name)?;
        if !master.replicas.contains(&replica) {
            return Err(Refusal::NoSuchReplica);
        }
        let Stage::Reconfiguring { replicas } = &mut failover_of(master, epoch)?.stage else {
            return Err(Refusal::Stale);
        };
        if replicas.get(&replica).is_some_and(|known| *known >= progress) {
            return Ok(Vec::new());
        }
        replicas.insert(replica.clone(), progress);
        Ok(vec![Change::Reconfigured { name, replica, progress }])
    }

    fn end(&mut self, name: String, epoch: Epoch, reason: EndReason) -> Outcome {
        let master = self.master_mut(&name)?;
        let failover = failover_of(master, epoch)?;
        if !matches!(failover.stage, Stage::Reconfiguring { .. }) {
            return Err(Refusal::Stale);
        }
        let from = failover.from.clone();
        master.failover = None;
        Ok(vec![Change::Ended { name, from, reason }])
    }

    fn follow(&mut self, name: String, epoch: Epoch, primary: Addr, by: (SentinelId, Addr)) -> Outcome {
        if !epoch.is_plausible_after(self.epoch) {
            return Err(Refusal::ImplausibleEpoch);
        }
        let seen = self.epoch.max(epoch);
        let master = self.master_mut(&name)?;
        if master.failover.is_some() {
            return Err(Refusal::InProgress);
        }
        if epoch <= master.configuration.epoch {
            return Err(Refusal::Stale);
        }
        let mut changes = Vec::new();
        if *master.primary() == primary {
            master.configuration.epoch = epoch;
        } else {
            changes.push(switch(master, name, epoch, &primary, Some(by))?);
        }
        self.epoch = seen;
        Ok(changes)
    }
}

/// The failover of `master` under way, if it is the one that `epoch` names.
fn failover_of(master: &mut Master, epoch: Epoch) -> Result<&mut Failover, Refusal> {
    master.failover.as_mut().filter(|failover| failover.epoch == epoch).ok_or(Refusal::Stale)
}

/// Makes `to` the master, under an epoch that must be new. The old one goes on as a replica, so that it is found and set right on its return.
fn switch(
    master: &mut Master,
    name: String,
    epoch: Epoch,
    to: &Addr,
    followed: Option<(SentinelId, Addr)>,
) -> Result<Change, Refusal> {
    if epoch <= master.configuration.epoch {
        return Err(Refusal::Stale);
    }
    let next = Configuration { epoch, primary: to.clone() };
    let from = std::mem::replace(&mut master.configuration, next).primary;
    master.replicas.remove(to);
    master.replicas.insert(from.clone());
    Ok(Change::Switched { name, from, to: to.clone(), followed })
}
