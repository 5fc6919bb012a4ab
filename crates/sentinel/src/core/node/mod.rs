//! One sentinel as a pure machine: all that it observes, and all that it does about it.
//!
//! ```text
//!   links ──┐                          ┌──▶ links        (PING, INFO, hello, orders)
//!   group ──┼──▶ observe ──▶ act ──────┼──▶ group        (proposals)
//!   peers ──┘        │                 └──▶ subscribers  (events)
//!                    └── judge: who is down?
//! ```
//!
//! Observing and acting are two halves. Everybody observes; only the sentinel that leads the Raft group, and has
//! heard from a majority a moment ago, acts ([`Input::Leading`]).
//!
//! Before there is a group the node keeps a topology of its own, made of its configuration file and of what it
//! discovers, so that it answers clients and finds its peers from the first moment; it never fails anything over.
//! When the group begins, that draft is proposed to it, master by master, and until the group has answered the node
//! shows the group's topology with the rest of its draft laid over it.
//!
//! Invariants: [`Node::step`] is deterministic. What it remembers is bounded: instances and sentinels by the
//! topology's limits, requests on a link by [`MAX_PENDING`].

mod announce;
mod discover;
mod hear;
mod instance;
mod judge;
mod lead;
mod links;
mod peer;
mod rounds;
mod standing;

use std::collections::{BTreeMap, BTreeSet};

pub use self::instance::{Instance, LinkState};
pub use self::links::{LinkEvent, LinkId, Pong, Request, Target};
pub use self::peer::{Nature, Peer};
pub use self::standing::Standing;
use super::detector::Verdict;
use super::event::Event;
use super::failover::Driver;
use super::ids::{Addr, SentinelId};
use super::proposals::Proposals;
use super::quorum::Views;
use super::topology::{Command, DEFAULT_DOWN_AFTER_MS, DEFAULT_FAILOVER_TIMEOUT_MS, Monitored, Topology};
use crate::raft::GroupId;
use links::Key;

/// Most requests without a reply on one link; more are not sent.
pub const MAX_PENDING: u32 = 100;
/// The shell steps the node at least this often, ms.
pub const TICK_MS: u64 = 100;
/// A step that comes this much later than the one before finds a process that stood still, ms.
const STALL_MS: u64 = 300;
/// Most masters that one report names.
const MAX_REPORTED: usize = 4096;
/// A foreign sentinel that was silent for this long does not look after a master any more, ms.
pub const FOREIGN_SILENCE_MS: u64 = 30_000;

/// Who this sentinel is.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Its public id.
    pub id: SentinelId,
    /// The port that it serves.
    pub port: u16,
    /// `announce-ip`
    pub announce_host: Option<String>,
    /// `announce-port`
    pub announce_port: Option<u16>,
}

/// Periods and patience, ms: what `SENTINEL DEBUG` shows and sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timings {
    /// INFO to everybody.
    pub info_period_ms: u64,
    /// PING, at most; a shorter `down-after-milliseconds` makes it more often.
    pub ping_period_ms: u64,
    /// Our views to the other sentinels, besides at every change.
    pub report_period_ms: u64,
    /// Hello on every instance.
    pub hello_period_ms: u64,
    /// `down-after-milliseconds` of a master that is monitored from now on.
    pub default_down_after_ms: u64,
    /// `failover-timeout` of a master that is monitored from now on.
    pub default_failover_timeout_ms: u64,
    /// A connection is given this long before it is made anew on suspicion.
    pub min_link_reconnect_ms: u64,
    /// Standing still for longer than this is TILT.
    pub tilt_trigger_ms: u64,
    /// TILT lasts this long after the last time.
    pub tilt_period_ms: u64,
}

impl Default for Timings {
    fn default() -> Self {
        Self {
            info_period_ms: 10_000,
            ping_period_ms: 1000,
            report_period_ms: 1000,
            hello_period_ms: 2000,
            default_down_after_ms: DEFAULT_DOWN_AFTER_MS,
            default_failover_timeout_ms: DEFAULT_FAILOVER_TIMEOUT_MS,
            min_link_reconnect_ms: 15_000,
            tilt_trigger_ms: 2000,
            tilt_period_ms: 30_000,
        }
    }
}

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Input {
    /// Time has passed.
    Tick,
    /// Something happened on a link.
    Link(LinkId, LinkEvent),
    /// An announcement was published to this sentinel.
    Hello(String),
    /// Another sentinel told which masters it sees down.
    Report {
        /// That sentinel.
        from: SentinelId,
        /// Names and addresses of the masters.
        down: Vec<(String, Addr)>,
    },
    /// The group's state as a whole: at the beginning, and when commands were missed.
    Group(Box<Topology>),
    /// The group applied a command.
    Applied {
        /// The command.
        command: Box<Command>,
        /// It is new, and not replayed after a restart.
        fresh: bool,
    },
    /// This sentinel leads the group, confirmed by a majority a moment ago; or does not.
    Leading(bool),
    /// An operator's command to a sentinel that has no group yet.
    Draft(Box<Command>),
}

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Make a link and keep it made.
    Open(LinkId, Target),
    /// End a link.
    Close(LinkId),
    /// Make the connections of a link anew.
    Reconnect(LinkId),
    /// Send a request on a link.
    Send(LinkId, Request),
    /// Have the group commit a command.
    Propose(Command),
    /// Tell subscribers.
    Announce(Event),
    /// A sentinel of our kind was heard of; tell the group.
    Sighted {
        /// Its id.
        id: SentinelId,
        /// Where it listens.
        address: Addr,
        /// The group that it belongs to.
        group: Option<GroupId>,
    },
}

/// What is observed of one master and what belongs to it.
#[derive(Debug, Default)]
pub struct Watch {
    /// The master and its replicas, by address.
    pub instances: BTreeMap<Addr, Instance>,
    /// Since when a quorum sees the master down.
    pub odown_since: Option<u64>,
    /// Our judgement of the other sentinels, under this master's limits.
    pub sentinels: BTreeMap<SentinelId, Verdict>,
    /// When a foreign sentinel last announced itself for this master.
    pub foreign_at: Option<u64>,
    views: Views,
    driver: Driver,
}

impl Watch {
    /// Whether another sentinel says that the master at `primary` is down.
    #[must_use]
    pub fn says_down(&self, now: u64, sentinel: &SentinelId, primary: &Addr) -> bool {
        self.views.says_down(now, sentinel, primary)
    }
}

/// One sentinel.
#[derive(Debug)]
pub struct Node {
    identity: Identity,
    timings: Timings,
    topology: Topology,
    standing: Standing,
    seeds: BTreeMap<String, Monitored>,
    leading: bool,
    watches: BTreeMap<String, Watch>,
    peers: BTreeMap<SentinelId, Peer>,
    links: BTreeMap<LinkId, Key>,
    last_link: u64,
    last_step: u64,
    tilt_since: Option<u64>,
    last_report: u64,
    last_hello_to_peers: u64,
    proposals: Proposals,
    touched: BTreeSet<String>,
    out: Vec<Output>,
}

impl Node {
    /// A sentinel that monitors what its configuration file says. `group` is the topology of the group that it
    /// belongs to already, as it was when it stopped.
    #[must_use]
    pub fn new(
        now: u64,
        identity: Identity,
        seeds: Vec<Monitored>,
        group: Option<Topology>,
    ) -> (Self, Vec<Output>) {
        let mut node = Self {
            identity,
            timings: Timings::default(),
            topology: Topology::default(),
            standing: Standing::Alone,
            seeds: seeds.into_iter().map(|seed| (seed.name.clone(), seed)).collect(),
            leading: false,
            watches: BTreeMap::new(),
            peers: BTreeMap::new(),
            links: BTreeMap::new(),
            last_link: 0,
            last_step: now,
            tilt_since: None,
            last_report: now,
            last_hello_to_peers: now,
            proposals: Proposals::default(),
            touched: BTreeSet::new(),
            out: Vec::new(),
        };
        node.begin(now, group);
        let out = std::mem::take(&mut node.out);
        (node, out)
    }

    /// Takes one input. Time must not go back.
    pub fn step(&mut self, now: u64, input: Input) -> Vec<Output> {
        self.notice_stall(now);
        match input {
            Input::Tick => {
                self.touched.extend(self.watches.keys().cloned());
                self.rounds(now);
                self.propose_seeds(now);
            }
            Input::Link(link, event) => self.heard(now, link, event),
            Input::Hello(text) => self.hello(now, &text),
            Input::Report { from, down } => self.reported(now, from, down),
            Input::Group(topology) => self.group_state(now, *topology),
            Input::Applied { command, fresh } => self.applied(now, *command, fresh),
            Input::Leading(leading) => self.lead_changed(leading),
            Input::Draft(command) => self.drafted(now, *command),
        }
        for name in std::mem::take(&mut self.touched) {
            self.judge(now, &name);
            self.lead(now, &name);
        }
        std::mem::take(&mut self.out)
    }

    /// When [`step`](Self::step) must be called at the latest, though nothing happens.
    #[must_use]
    pub fn next_wake(&self, now: u64) -> u64 {
        self.judgement_due().into_iter().chain([now + TICK_MS]).min().unwrap_or(now).max(now)
    }

    /// Who this sentinel is.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Changes what this sentinel announces of itself.
    pub fn set_announced(&mut self, host: Option<String>, port: Option<u16>) {
        self.identity.announce_host = host;
        self.identity.announce_port = port;
    }

    /// The periods in use.
    #[must_use]
    pub fn timings(&self) -> Timings {
        self.timings
    }

    /// Changes the periods.
    pub fn set_timings(&mut self, timings: Timings) {
        self.timings = timings;
    }

    /// What this sentinel answers from: the group's topology, or its own before there is a group.
    #[must_use]
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    /// How this sentinel stands to the group.
    #[must_use]
    pub fn standing(&self) -> &Standing {
        &self.standing
    }

    /// Whether it leads the group.
    #[must_use]
    pub fn is_leading(&self) -> bool {
        self.leading
    }

    /// What is observed of a master.
    #[must_use]
    pub fn watch(&self, name: &str) -> Option<&Watch> {
        self.watches.get(name)
    }

    /// The other sentinels.
    #[must_use]
    pub fn peers(&self) -> &BTreeMap<SentinelId, Peer> {
        &self.peers
    }

    /// Since when the sentinel is in TILT.
    #[must_use]
    pub fn tilt_since(&self) -> Option<u64> {
        self.tilt_since
    }
}
