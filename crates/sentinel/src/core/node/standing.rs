//! From a sentinel with a topology of its own to a member of a group.

use super::{Node, Output};
use crate::core::event::{Event, Instance, Kind};
use crate::core::topology::{Applied, Change, Command, Monitored, Topology};

/// How this sentinel stands to the group.
#[derive(Clone, Debug)]
pub enum Standing {
    /// It belongs to no group; its topology is its own.
    Alone,
    /// It belongs to a group that has not answered yet what becomes of the masters in its configuration file. The
    /// group's topology is kept here; what is shown is that with those masters laid over it.
    Joining(Box<Topology>),
    /// Its topology is the group's.
    Joined,
}

impl Node {
    /// The first moment: the group's topology if there is one, and what the configuration file says.
    pub(super) fn begin(&mut self, now: u64, group: Option<Topology>) {
        match group {
            Some(topology) => {
                self.standing = Standing::Joining(Box::new(topology));
                self.overlay();
            }
            None => {
                for seed in self.seeds.values().cloned() {
                    self.topology.apply(Command::Seed(seed));
                }
            }
        }
        self.match_links(now);
        for (name, master) in &self.topology.masters {
            let note = format!("quorum {}", master.settings.quorum);
            let described = Instance::master(name, master.primary());
            self.out.push(Output::Announce(Event::noted(Kind::Monitor, described, note)));
        }
    }

    /// The group's state came as a whole.
    pub(super) fn group_state(&mut self, now: u64, topology: Topology) {
        if matches!(self.standing, Standing::Alone) {
            self.draft_seeds();
        }
        let before = std::mem::take(&mut self.topology);
        self.standing = Standing::Joining(Box::new(topology));
        self.overlay();
        let changes = differences(&before, &self.topology);
        self.changed(now, changes, true);
        self.propose_seeds(now);
    }

    /// The group applied a command.
    pub(super) fn applied(&mut self, now: u64, command: Command, fresh: bool) {
        let changes = match &mut self.standing {
            Standing::Alone => return,
            Standing::Joined => self.topology.apply(command),
            Standing::Joining(group) => {
                // A seed of ours is shown already when the group takes it.
                let seed = matches!(command, Command::Seed(_));
                let applied = group.apply(command);
                let before = std::mem::take(&mut self.topology);
                self.overlay();
                if seed { Applied::Changed(differences(&before, &self.topology)) } else { applied }
            }
        };
        match changes {
            Applied::Changed(changes) => self.changed(now, changes, fresh),
            Applied::Refused(_) => {}
        }
    }

    /// A command for a sentinel without a group changes its own topology.
    pub(super) fn drafted(&mut self, now: u64, command: Command) {
        if !matches!(self.standing, Standing::Alone) {
            return;
        }
        match self.topology.apply(command) {
            Applied::Changed(changes) => self.changed(now, changes, true),
            Applied::Refused(_) => {}
        }
    }

    /// What this sentinel has found out alone is what it proposes to the group.
    fn draft_seeds(&mut self) {
        let by = self.identity.id;
        let masters = self.topology.masters.iter().map(|(name, master)| {
            let seed = Monitored {
                by,
                name: name.clone(),
                address: master.primary().clone(),
                settings: master.settings.clone(),
                replicas: master.replicas.clone(),
                sentinels: master.sentinels.clone(),
                epoch: master.configuration.epoch,
            };
            (name.clone(), seed)
        });
        self.seeds = masters.collect();
    }

    /// Shows the group's topology, with the seeds that it has not answered laid over it; without any left, the node
    /// has joined.
    fn overlay(&mut self) {
        let Standing::Joining(group) = &self.standing else { return };
        let by = self.identity.id;
        let answered = |name: &String| {
            let told = group.masters.get(name).map(|master| master.told.contains(&by));
            told.unwrap_or_else(|| group.removed.contains_key(name))
        };
        self.seeds.retain(|name, _| !answered(name));
        self.topology = Topology::clone(group);
        for seed in self.seeds.values().cloned() {
            self.topology.apply(Command::Seed(seed));
        }
        if self.seeds.is_empty() {
            self.standing = Standing::Joined;
        }
    }

    pub(super) fn propose_seeds(&mut self, now: u64) {
        if matches!(self.standing, Standing::Joining(_)) {
            for seed in self.seeds.values().cloned().collect::<Vec<_>>() {
                self.propose(now, Command::Seed(seed));
            }
        }
    }
}

/// What subscribers have to know of a change that was seen only from before and after.
fn differences(before: &Topology, after: &Topology) -> Vec<Change> {
    let mut changes = Vec::new();
    for (name, old) in &before.masters {
        let (name, address) = (name.clone(), old.primary().clone());
        match after.masters.get(&name) {
            None => changes.push(Change::Removed { name, address }),
            Some(new) if *new.primary() != address => {
                let to = new.primary().clone();
                changes.push(Change::Switched { name, from: address, to, followed: None });
            }
            Some(_) => {}
        }
    }
    for (name, new) in &after.masters {
        let old = before.masters.get(name);
        if old.is_none() {
            changes.push(Change::Monitored { name: name.clone() });
        }
        let unknown =
            new.replicas.iter().filter(|replica| old.is_none_or(|old| !old.replicas.contains(*replica)));
        let unknown = unknown.filter(|replica| old.is_none_or(|old| old.primary() != *replica)).cloned();
        changes.extend(unknown.map(|replica| Change::ReplicaAdded { name: name.clone(), replica }));
        let met = new.sentinels.keys().filter(|id| old.is_none_or(|old| !old.sentinels.contains_key(*id)));
        changes.extend(met.map(|id| Change::SentinelAdded { name: name.clone(), id: *id }));
    }
    changes
}
