//! Whom there is to watch: replicas from the master's INFO, sentinels from their hellos.

use super::{FOREIGN_SILENCE_MS, Nature, Node, Output, Standing};
use crate::core::hello::Hello;
use crate::core::ids::{Addr, SentinelId};
use crate::core::topology::Command;

impl Node {
    /// The master's INFO lists its replicas. The leader tells the group, everybody else only looks.
    pub(super) fn found_replicas(&mut self, now: u64, name: &str, addr: &Addr, found: Vec<Addr>) {
        let Some(master) = self.topology.masters.get(name) else { return };
        if master.primary() != addr {
            return;
        }
        let unknown = found.into_iter().filter(|replica| !master.replicas.contains(replica));
        for replica in unknown.collect::<Vec<_>>() {
            self.suggest(now, Command::ReplicaSeen { name: name.to_owned(), replica });
        }
    }

    /// An announcement was heard, on whatever way.
    pub(super) fn hello(&mut self, now: u64, text: &str) {
        let Some(hello) = Hello::parse(text) else { return };
        let Some(master) = self.topology.masters.get(&hello.master) else { return };
        if self.is_monitored(&hello.from) {
            return;
        }
        if master.sentinels.get(&hello.id) != Some(&hello.from) {
            let (name, id, address) = (hello.master.clone(), hello.id, hello.from.clone());
            self.suggest(now, Command::SentinelSeen { name, id, address });
        }
        if hello.id == self.identity.id {
            return;
        }
        let Some(peer) = self.peers.get_mut(&hello.id) else { return };
        peer.hello_heard_at = now;
        match peer.nature {
            Nature::Foreign => self.heard_foreign(now, hello),
            Nature::Unknown => {}
            Nature::Kin(_) => {
                self.sight(hello.id);
                // Before we are in a group, those who are know better than our configuration file.
                if matches!(self.standing, Standing::Alone) {
                    self.follow(now, hello);
                }
            }
        }
    }

    /// Whether a server that is watched listens there. No sentinel does, then: whoever may publish to the master made the
    /// announcement up.
    fn is_monitored(&self, addr: &Addr) -> bool {
        let mut masters = self.topology.masters.values();
        masters.any(|master| master.primary() == addr || master.replicas.contains(addr))
    }

    /// Foreign sentinels look after this master: we follow them, and do nothing on our own.
    fn heard_foreign(&mut self, now: u64, hello: Hello) {
        if let Some(watch) = self.watches.get_mut(&hello.master) {
            watch.foreign_at = Some(now);
        }
        self.follow(now, hello);
    }

    fn follow(&mut self, now: u64, hello: Hello) {
        let Some(master) = self.topology.masters.get(&hello.master) else { return };
        if hello.config_epoch <= master.configuration.epoch || master.taken_over {
            return;
        }
        let Hello { from: at, id: by, master: name, address: primary, config_epoch: epoch, .. } = hello;
        self.suggest(now, Command::Follow { name, epoch, primary, by, at });
    }

    /// Whether foreign sentinels look after a master, and nobody told us to take over.
    #[must_use]
    pub fn is_observing(&self, now: u64, name: &str) -> bool {
        let taken_over = self.topology.masters.get(name).is_some_and(|master| master.taken_over);
        let foreign_at = self.watches.get(name).and_then(|watch| watch.foreign_at);
        !taken_over && foreign_at.is_some_and(|at| now.saturating_sub(at) < FOREIGN_SILENCE_MS)
    }

    /// Has a discovery committed: by the group if we lead it, in our own draft if there is none.
    pub(super) fn suggest(&mut self, now: u64, command: Command) {
        match self.standing {
            Standing::Alone => self.drafted(now, command),
            Standing::Joining(_) | Standing::Joined => {
                if self.leading {
                    self.propose(now, command);
                }
            }
        }
    }

    pub(super) fn propose(&mut self, now: u64, command: Command) {
        if self.proposals.admit(now, &command) {
            self.out.push(Output::Propose(command));
        }
    }

    /// Tells the group of a sentinel of our kind.
    pub(super) fn sight(&mut self, id: SentinelId) {
        let Some(peer) = self.peers.get(&id) else { return };
        match peer.nature {
            Nature::Kin(group) => self.out.push(Output::Sighted { id, address: peer.addr.clone(), group }),
            Nature::Unknown | Nature::Foreign => {}
        }
    }
}
