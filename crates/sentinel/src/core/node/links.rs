//! The links to other processes, as the node sees them: by number, made and ended so that they match the topology.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use super::{Instance, MAX_PENDING, Node, Output, Peer, Watch};
use crate::core::detector::Loss;
use crate::core::ids::{Addr, SentinelId};
use crate::core::info::Role;
use crate::raft::GroupId;

/// The number of a link. Never used twice, so that what a closed link still says is not taken for its successor's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// The other end of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A master or replica, with the credentials of this master; its hello channel is listened to.
    Instance {
        /// The master's name.
        master: String,
        /// Where the instance listens.
        addr: Addr,
    },
    /// Another sentinel.
    Sentinel {
        /// Where it listens.
        addr: Addr,
    },
}

/// What is sent on a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// `PING`
    Ping,
    /// `INFO`
    Info,
    /// An announcement on the hello channel.
    Hello(String),
    /// One transaction: follow this master, or none; write the configuration; send all clients away. Then `ROLE`.
    Follow(Option<Addr>),
    /// `SCRIPT KILL`
    KillScript,
    /// Which group do you belong to?
    Group,
    /// The masters that we see down.
    Report(Vec<(String, Addr)>),
}

/// A reply to PING.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pong {
    /// `PONG`
    Pong,
    /// `LOADING` or `MASTERDOWN`: alive.
    Alive,
    /// `BUSY`: a script runs.
    Busy,
    /// Any other error.
    Unacceptable,
}

/// What happened on a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkEvent {
    /// The connection was made, from this address of ours.
    Connected {
        /// Our end of it.
        local_host: String,
    },
    /// The connection ended, or could not be made.
    Lost(Loss),
    /// The reply to PING.
    Pong(Pong),
    /// The reply to INFO; none if it was an error.
    Info(Option<String>),
    /// The reply to ROLE.
    Role(Role),
    /// The reply to an order.
    Followed(Result<(), String>),
    /// The reply to the question for the group; none if the other side does not know the question.
    Group(Option<Option<GroupId>>),
    /// Any other reply.
    Acknowledged,
    /// An announcement was heard on the hello channel.
    Hello(String),
}

impl LinkEvent {
    /// Whether one request less is pending.
    fn is_reply(&self) -> bool {
        match self {
            Self::Pong(_) | Self::Info(_) | Self::Followed(_) | Self::Group(_) | Self::Acknowledged => true,
            Self::Connected { .. } | Self::Lost(_) | Self::Role(_) | Self::Hello(_) => false,
        }
    }
}

/// Whose link it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Instance(String, Addr),
    Peer(SentinelId),
}

impl Node {
    fn next_link(&mut self, key: Key) -> LinkId {
        self.last_link += 1;
        let link = LinkId(self.last_link);
        self.links.insert(link, key);
        link
    }

    fn open(&mut self, key: Key, target: Target) -> LinkId {
        let link = self.next_link(key);
        self.out.push(Output::Open(link, target));
        link
    }

    fn close(&mut self, link: LinkId) {
        self.links.remove(&link);
        self.out.push(Output::Close(link));
    }

    /// Makes the links match the topology: one to each instance and to each other sentinel, whatever its role. A link
    /// outlives a switch of roles.
    pub(super) fn match_links(&mut self, now: u64) {
        let mut watches = std::mem::take(&mut self.watches);
        watches.retain(|name, watch| {
            let known = self.topology.masters.contains_key(name);
            if !known {
                watch.instances.values().for_each(|instance| self.close(instance.link.id));
            }
            known
        });
        let names: Vec<String> = self.topology.masters.keys().cloned().collect();
        for name in names {
            let mut watch = watches.remove(&name).unwrap_or_default();
            self.match_instances(now, &name, &mut watch);
            self.watches.insert(name, watch);
        }
        self.match_peers(now);
    }

    fn match_instances(&mut self, now: u64, name: &str, watch: &mut Watch) {
        let master = &self.topology.masters[name];
        let primary = master.primary().clone();
        let wanted: BTreeSet<Addr> = master.replicas.iter().cloned().chain([primary.clone()]).collect();
        let others: BTreeSet<SentinelId> = master.sentinels.keys().copied().collect();
        watch.sentinels.retain(|id, _| others.contains(id));
        watch.instances.retain(|addr, instance| {
            let keep = wanted.contains(addr);
            if !keep {
                self.close(instance.link.id);
            }
            keep
        });
        for addr in wanted {
            let role = if addr == primary { Role::Master } else { Role::Replica };
            if let Entry::Vacant(vacant) = watch.instances.entry(addr.clone()) {
                let target = Target::Instance { master: name.to_owned(), addr: addr.clone() };
                let link = self.open(Key::Instance(name.to_owned(), addr), target);
                vacant.insert(Instance::new(now, link, role));
            }
        }
    }

    fn match_peers(&mut self, now: u64) {
        let me = self.identity.id;
        let known = self.topology.masters.values().flat_map(|master| &master.sentinels);
        let wanted: BTreeMap<SentinelId, Addr> = known
            .filter(|(id, addr)| **id != me && addr.port != 0)
            .map(|(id, addr)| (*id, addr.clone()))
            .collect();
        let mut peers = std::mem::take(&mut self.peers);
        peers.retain(|id, peer| {
            let keep = wanted.get(id) == Some(&peer.addr);
            if !keep {
                self.close(peer.link.id);
            }
            keep
        });
        for (id, addr) in wanted {
            let peer = peers.remove(&id).unwrap_or_else(|| {
                let link = self.open(Key::Peer(id), Target::Sentinel { addr: addr.clone() });
                Peer::new(now, link, addr)
            });
            self.peers.insert(id, peer);
        }
    }

    /// Sends a request, unless the other side has left too many unanswered.
    pub(super) fn send(&mut self, link: LinkId, request: Request) -> bool {
        let Some(state) = self.link_mut(link) else { return false };
        if !state.detector.is_connected() || state.pending >= MAX_PENDING {
            return false;
        }
        state.pending += 1;
        self.out.push(Output::Send(link, request));
        true
    }

    pub(super) fn link_mut(&mut self, link: LinkId) -> Option<&mut super::LinkState> {
        match self.links.get(&link)? {
            Key::Instance(name, addr) => {
                let instance = self.watches.get_mut(name)?.instances.get_mut(addr)?;
                Some(&mut instance.link)
            }
            Key::Peer(id) => Some(&mut self.peers.get_mut(id)?.link),
        }
    }

    /// What concerns the link as such, whoever is at its end.
    pub(super) fn note_link(&mut self, now: u64, link: LinkId, event: &LinkEvent) {
        let Some(state) = self.link_mut(link) else { return };
        if event.is_reply() {
            state.pending = state.pending.saturating_sub(1);
        }
        match event {
            LinkEvent::Connected { local_host } => state.connected(now, local_host),
            LinkEvent::Lost(loss) => state.lost(now, *loss),
            LinkEvent::Pong(pong) => {
                let acceptable = match pong {
                    Pong::Pong | Pong::Alive => true,
                    Pong::Busy | Pong::Unacceptable => false,
                };
                state.detector.replied(now, acceptable);
            }
            LinkEvent::Info(_) => state.info_pending = false,
            LinkEvent::Role(_)
            | LinkEvent::Followed(_)
            | LinkEvent::Group(_)
            | LinkEvent::Acknowledged
            | LinkEvent::Hello(_) => {}
        }
    }
}
