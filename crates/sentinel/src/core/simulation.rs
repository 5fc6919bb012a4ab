//! Three sentinels and three servers in one seed: everything fails for a while, then everything heals.
//!
//! The group is an ideal log, since Raft is tested elsewhere: whoever the schedule makes leader may append, and everybody
//! applies the same commands in the same order, some later than others. Servers are the few things that a sentinel sees of
//! them. Faults: servers are killed and come back as masters of nothing, sentinels restart, leaders change in the middle of
//! a failover, proposals are lost, links break.
//!
//! Held at every step: a promotion goes only to the committed candidate. Held at the end: all sentinels show one topology,
//! its master is a master, and everybody else follows it.

use std::collections::{BTreeMap, VecDeque};

use super::detector::Loss;
use super::ids::{Addr, SentinelId};
use super::node::{Identity, Input, LinkEvent, LinkId, Node, Output, Pong, Request, Target};
use super::topology::{Applied, Command, Monitored, Settings, Topology};
use crate::core::info::Role;

const SENTINELS: usize = 3;
const SERVERS: u16 = 3;
const STEP_MS: u64 = 10;
const FAULTY_MS: u64 = 20_000;
const HEALING_MS: u64 = 30_000;
/// How many schedules a test run tries; `SIMULATION_SEEDS` in the environment says otherwise.
const SEEDS: u64 = 12;

/// xorshift64*: all that a schedule needs of chance.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 33) % bound
    }

    /// True once in about `ms` of simulated time.
    fn every(&mut self, ms: u64) -> bool {
        self.below(ms / STEP_MS) == 0
    }
}

struct Server {
    up: bool,
    follows: Option<Addr>,
    offset: u64,
    run: u64,
}

struct Link {
    target: Target,
    connected: bool,
    try_at: u64,
}

struct Guard {
    node: Node,
    links: BTreeMap<LinkId, Link>,
    applied: usize,
    inbox: VecDeque<(u64, Input)>,
}

struct World {
    seed: u64,
    now: u64,
    chance: Chance,
    faulty: bool,
    servers: BTreeMap<Addr, Server>,
    guards: Vec<Guard>,
    leader: usize,
    log: Vec<Command>,
    state: Topology,
}

fn server(n: u16) -> Addr {
    Addr::new("10.0.0.1", 6379 + n)
}

fn id(n: usize) -> SentinelId {
    SentinelId::from_bytes([u8::try_from(n + 1).unwrap(); 20])
}

fn place(n: usize) -> Addr {
    Addr::new("10.0.1.1", 26379 + u16::try_from(n).unwrap())
}

impl World {
    fn new(seed: u64) -> Self {
        let mut servers = BTreeMap::new();
        for n in 0..SERVERS {
            let follows = (n != 0).then(|| server(0));
            servers.insert(server(n), Server { up: true, follows, offset: 0, run: u64::from(n) });
        }
        let settings = Settings { down_after_ms: 1000, failover_timeout_ms: 5000, ..Settings::new(2) };
        let mut seeded = Monitored::new(id(0), "m", server(0), settings);
        seeded.sentinels = (0..SENTINELS).map(|n| (id(n), place(n))).collect();
        seeded.replicas = (1..SERVERS).map(server).collect();
        let mut state = Topology::default();
        state.apply(Command::Seed(seeded));
        let chance = Chance(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let mut world = Self {
            seed,
            now: 0,
            chance,
            faulty: true,
            servers,
            guards: Vec::new(),
            leader: 0,
            log: Vec::new(),
            state,
        };
        for n in 0..SENTINELS {
            let guard = world.guard(n);
            world.guards.push(guard);
        }
        world
    }

    /// A sentinel that starts with what the group has committed.
    fn guard(&self, n: usize) -> Guard {
        let port = 26379 + u16::try_from(n).unwrap();
        let identity =
            Identity { id: id(n), port, announce_host: Some("10.0.1.1".into()), announce_port: None };
        let (node, outputs) = Node::new(self.now, identity, Vec::new(), Some(self.state.clone()));
        let mut guard =
            Guard { node, links: BTreeMap::new(), applied: self.log.len(), inbox: VecDeque::new() };
        for output in outputs {
            if let Output::Open(link, target) = output {
                guard.links.insert(link, Link { target, connected: false, try_at: self.now });
            }
        }
        guard
    }

    fn run(&mut self) {
        while self.now < FAULTY_MS + HEALING_MS {
            self.now += STEP_MS;
            self.faulty = self.now < FAULTY_MS;
            if self.faulty {
                self.break_something();
            } else if self.servers.values().any(|server| !server.up) {
                self.servers.values_mut().for_each(|server| server.up = true);
            }
            self.replicate();
            for n in 0..SENTINELS {
                self.turn(n);
            }
        }
        self.check_peace();
    }

    fn break_something(&mut self) {
        for addr in self.servers.keys().cloned().collect::<Vec<_>>() {
            let up = self.servers[&addr].up;
            let happens = if up { self.chance.every(4000) } else { self.chance.every(1500) };
            if happens {
                let run = self.chance.next();
                let server = self.servers.get_mut(&addr).unwrap();
                // A restarted process knows nothing of whom it followed.
                *server = Server { up: !up, follows: None, offset: server.offset, run };
            }
        }
        if self.chance.every(3000) {
            self.leader = usize::try_from(self.chance.below(SENTINELS as u64)).unwrap();
        }
        if self.chance.every(6000) {
            let n = usize::try_from(self.chance.below(SENTINELS as u64)).unwrap();
            self.guards[n] = self.guard(n);
        }
    }

    /// Masters move on, and replicas with them.
    fn replicate(&mut self) {
        let offsets: BTreeMap<Addr, u64> = self
            .servers
            .iter()
            .filter(|(_, server)| server.up && server.follows.is_none())
            .map(|(addr, server)| (addr.clone(), server.offset + 1))
            .collect();
        for (addr, server) in self.servers.iter_mut().filter(|(_, server)| server.up) {
            let source = server.follows.as_ref().unwrap_or(addr);
            server.offset = offsets.get(source).copied().unwrap_or(server.offset);
        }
    }

    /// One sentinel's turn: commits it has not seen, its links, its clock.
    fn turn(&mut self, n: usize) {
        let lags = self.faulty && self.chance.below(4) == 0;
        while !lags && self.guards[n].applied < self.log.len() {
            let command = self.log[self.guards[n].applied].clone();
            self.guards[n].applied += 1;
            self.step(n, Input::Applied { command: Box::new(command), fresh: true });
        }
        // Only who has applied everything can have proved that it leads.
        let leads = self.leader == n && self.guards[n].applied == self.log.len();
        if self.guards[n].node.is_leading() != leads {
            self.step(n, Input::Leading(leads));
        }
        for link in self.guards[n].links.keys().copied().collect::<Vec<_>>() {
            self.tend(n, link);
        }
        while self.guards[n].inbox.front().is_some_and(|(at, _)| *at <= self.now) {
            let (_, input) = self.guards[n].inbox.pop_front().unwrap();
            self.step(n, input);
        }
        self.step(n, Input::Tick);
    }

    /// Makes and breaks the connection of one link.
    fn tend(&mut self, n: usize, id: LinkId) {
        let Some(link) = self.guards[n].links.get(&id) else { return };
        let up = match &link.target {
            Target::Instance { addr, .. } => self.servers[addr].up,
            Target::Sentinel { .. } => true,
        };
        let blip = self.faulty && self.chance.every(8000);
        let link = self.guards[n].links.get_mut(&id).unwrap();
        let event = match link.connected {
            true if !up || blip => {
                link.connected = false;
                link.try_at = self.now + 20;
                LinkEvent::Lost(Loss::Reset)
            }
            false if self.now >= link.try_at && up => {
                link.connected = true;
                LinkEvent::Connected { local_host: "10.0.1.1".into() }
            }
            false if self.now >= link.try_at => {
                link.try_at = self.now + 40;
                LinkEvent::Lost(Loss::Refused)
            }
            true | false => return,
        };
        self.step(n, Input::Link(id, event));
    }

    fn step(&mut self, n: usize, input: Input) {
        // What was said on a connection that broke since is not heard.
        if let Input::Link(id, event) = &input {
            let connected = self.guards[n].links.get(id).is_some_and(|link| link.connected);
            let about_connection = matches!(event, LinkEvent::Connected { .. } | LinkEvent::Lost(_));
            if !connected && !about_connection {
                return;
            }
        }
        for output in self.guards[n].node.step(self.now, input) {
            self.carry_out(n, output);
        }
    }

    fn carry_out(&mut self, n: usize, output: Output) {
        match output {
            Output::Open(id, target) => {
                let link = Link { target, connected: false, try_at: self.now };
                self.guards[n].links.insert(id, link);
            }
            Output::Close(id) => {
                self.guards[n].links.remove(&id);
            }
            Output::Reconnect(id) => {
                let link = self.guards[n].links.get_mut(&id).unwrap();
                link.connected = false;
                link.try_at = self.now + 20;
                self.guards[n].inbox.push_back((self.now, Input::Link(id, LinkEvent::Lost(Loss::Silent))));
            }
            Output::Propose(command) => self.commit(command),
            Output::Send(id, request) => self.serve(n, id, request),
            Output::Announce(_) | Output::Sighted { .. } => {}
        }
    }

    fn commit(&mut self, command: Command) {
        if self.faulty && self.chance.below(5) == 0 {
            return;
        }
        let before = self.state.masters["m"].configuration.epoch;
        match self.state.apply(command.clone()) {
            Applied::Changed(_) | Applied::Refused(_) => self.log.push(command),
        }
        let after = self.state.masters["m"].configuration.epoch;
        assert!(after >= before, "seed {}: the configuration's epoch went back", self.seed);
    }

    /// What the other end of a link does with a request.
    fn serve(&mut self, n: usize, id: LinkId, request: Request) {
        match self.guards[n].links[&id].target.clone() {
            Target::Sentinel { addr } => self.serve_sentinel(n, id, &addr, request),
            Target::Instance { addr, .. } => self.serve_instance(n, id, &addr, request),
        }
    }

    fn later(&mut self, n: usize, input: Input) {
        let at = self.now + STEP_MS * self.chance.below(4);
        let inbox = &mut self.guards[n].inbox;
        let at = inbox.back().map_or(at, |(last, _)| at.max(*last));
        inbox.push_back((at, input));
    }

    fn serve_sentinel(&mut self, n: usize, id: LinkId, addr: &Addr, request: Request) {
        let peer = (0..SENTINELS).find(|peer| place(*peer) == *addr).unwrap();
        let answer = match request {
            Request::Ping => LinkEvent::Pong(Pong::Pong),
            Request::Group => LinkEvent::Group(Some(None)),
            Request::Hello(text) => {
                self.later(peer, Input::Hello(text));
                LinkEvent::Acknowledged
            }
            Request::Report(down) => {
                self.later(peer, Input::Report { from: self::id(n), down });
                LinkEvent::Acknowledged
            }
            Request::Info | Request::Follow(_) | Request::KillScript => panic!("{request:?} to a sentinel"),
        };
        self.later(n, Input::Link(id, answer));
    }

    fn serve_instance(&mut self, n: usize, id: LinkId, addr: &Addr, request: Request) {
        if let Request::Follow(None) = request {
            let topology = self.guards[n].node.topology();
            assert_eq!(topology.masters["m"].candidate(), Some(addr), "seed {}: who is promoted", self.seed);
        }
        if !self.servers[addr].up {
            return;
        }
        let answer = match request {
            Request::Ping => LinkEvent::Pong(Pong::Pong),
            Request::Info => LinkEvent::Info(Some(self.info(addr))),
            Request::Hello(text) => {
                (0..SENTINELS).for_each(|peer| self.later(peer, Input::Hello(text.clone())));
                LinkEvent::Acknowledged
            }
            Request::Follow(primary) => {
                self.later(n, Input::Link(id, LinkEvent::Followed(Ok(()))));
                let role = if primary.is_some() { Role::Replica } else { Role::Master };
                self.servers.get_mut(addr).unwrap().follows = primary;
                LinkEvent::Role(role)
            }
            Request::KillScript | Request::Group | Request::Report(_) => panic!("{request:?} to an instance"),
        };
        self.later(n, Input::Link(id, answer));
    }

    fn info(&self, addr: &Addr) -> String {
        let server = &self.servers[addr];
        let mut lines =
            vec![format!("run_id:{}", server.run), format!("slave_repl_offset:{}", server.offset)];
        match &server.follows {
            Some(of) => {
                let source = self.servers.get(of);
                let up = source.is_some_and(|source| source.up && source.follows.is_none());
                let status = if up { "up" } else { "down" };
                lines.push("role:slave".to_owned());
                lines.push(format!("master_host:{}\r\nmaster_port:{}", of.host, of.port));
                lines.push(format!("master_link_status:{status}"));
            }
            None => {
                lines.push("role:master".to_owned());
                let replicas =
                    self.servers.iter().filter(|(_, other)| other.up && other.follows.as_ref() == Some(addr));
                for (n, (replica, _)) in replicas.enumerate() {
                    lines.push(format!("slave{n}:ip={},port={},state=online", replica.host, replica.port));
                }
            }
        }
        lines.join("\r\n")
    }

    fn check_peace(&self) {
        let seed = self.seed;
        let master = &self.state.masters["m"];
        assert_eq!(master.failover, None, "seed {seed}: a failover is left");
        for guard in &self.guards {
            assert_eq!(*guard.node.topology(), self.state, "seed {seed}: the sentinels disagree");
        }
        for (addr, server) in &self.servers {
            if addr == master.primary() {
                assert_eq!(server.follows, None, "seed {seed}: the master is none");
            } else {
                assert!(master.replicas.contains(addr), "seed {seed}: {addr} is forgotten");
                assert_eq!(server.follows.as_ref(), Some(master.primary()), "seed {seed}: {addr} strays");
            }
        }
    }
}

#[test]
fn whatever_breaks_heals() {
    let seeds = std::env::var("SIMULATION_SEEDS").map_or(SEEDS, |seeds| seeds.parse().unwrap());
    let mut failovers = 0;
    for seed in 1..=seeds {
        let mut world = World::new(seed);
        world.run();
        failovers += world.state.epoch.0;
    }
    println!("{failovers} failovers in {seeds} schedules");
    assert!(failovers > seeds, "only {failovers} failovers: the faults are too kind");
}
