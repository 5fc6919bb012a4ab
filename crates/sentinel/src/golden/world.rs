//! What a script drives: one sentinel, the links that it holds, and a group that commits when it is told to.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::render;
use super::words::Words;
use crate::core::detector::Loss;
use crate::core::hello::Hello;
use crate::core::ids::{Addr, Epoch, SentinelId};
use crate::core::info::Role;
use crate::core::node::{Identity, Input, LinkEvent, LinkId, Node, Output, Pong, Request, TICK_MS, Target};
use crate::core::topology::{Applied, Cause, Command, Monitored, Setting, Settings, Stage, Topology};
use crate::raft::GroupId;

const NAME: &str = "m";

#[derive(Default)]
pub(super) struct World {
    now: u64,
    node: Option<Node>,
    links: BTreeMap<LinkId, Target>,
    proposals: VecDeque<Command>,
    routine: bool,
    /// Those that answer every PING by themselves.
    alive: BTreeSet<LinkId>,
}

fn id(word: &str) -> SentinelId {
    let n = word
        .strip_prefix('s')
        .and_then(|n| n.parse().ok())
        .unwrap_or_else(|| panic!("{word} is no sentinel"));
    SentinelId::from_bytes([n; 20])
}

fn addr(word: &str) -> Addr {
    match word.strip_prefix('s') {
        Some(n) => Addr::new(format!("10.0.1.{n}"), 26379),
        None if word.contains(':') => word.parse().unwrap(),
        None => Addr::new(format!("10.0.0.{word}"), 6379),
    }
}

impl World {
    fn node(&mut self) -> &mut Node {
        self.node.as_mut().expect("the script begins with `sentinel`")
    }

    fn link(&self, word: &str) -> LinkId {
        let wanted = addr(word);
        let found = self.links.iter().find(|(_, target)| match target {
            Target::Instance { addr, .. } | Target::Sentinel { addr } => *addr == wanted,
        });
        *found.unwrap_or_else(|| panic!("there is no link to {word}")).0
    }

    /// Does what one line says, and tells what the sentinel does about it.
    pub(super) fn line(&mut self, line: &str) -> Vec<String> {
        let mut words = Words::new(line);
        let outputs = match words.next() {
            "sentinel" => self.begin(&mut words),
            "wait" => self.wait(&mut words),
            "+routine" => {
                self.routine = true;
                Vec::new()
            }
            "-routine" => {
                self.routine = false;
                Vec::new()
            }
            "group" => {
                let topology = self.node().topology().clone();
                self.step(Input::Group(Box::new(topology)))
            }
            "empty-group" => self.step(Input::Group(Box::default())),
            // Time passes, and this process stands still.
            "pause" => {
                self.now += words.next().parse::<u64>().unwrap();
                Vec::new()
            }
            "alive" => {
                while let Some(word) = words.maybe() {
                    self.alive.insert(self.link(word));
                }
                Vec::new()
            }
            "silent" => {
                let link = self.link(words.next());
                self.alive.remove(&link);
                Vec::new()
            }
            "lead" => {
                let leading = words.next() == "on";
                self.step(Input::Leading(leading))
            }
            "commit" => self.commit(&mut words),
            "lose-proposals" => {
                self.proposals.clear();
                Vec::new()
            }
            "failover" => {
                let base = self.node().topology().masters[NAME].configuration.epoch;
                let (name, cause, leader) = (NAME.to_owned(), Cause::Forced, id("s1"));
                self.apply(Command::StartFailover { name, base, cause, leader })
            }
            "set" => self.set(&mut words),
            "takeover" => self.apply(Command::TakeOver { name: NAME.to_owned(), taken_over: true }),
            "hello" => self.hello(&mut words),
            "report" => self.report(&mut words),
            "answering" => self.answering(&mut words),
            verb => self.link_event(verb, &mut words),
        };
        words.end();
        self.check();
        outputs
    }

    fn begin(&mut self, words: &mut Words<'_>) -> Vec<String> {
        let identity = Identity {
            id: id(words.next()),
            port: 26379,
            announce_host: Some("10.0.1.1".into()),
            announce_port: None,
        };
        let mut settings = Settings::new(u32::try_from(words.number("quorum").unwrap_or(2)).unwrap());
        settings.down_after_ms = words.number("down-after").unwrap_or(1000);
        settings.failover_timeout_ms = words.number("failover-timeout").unwrap_or(10_000);
        let mut seed = Monitored::new(identity.id, NAME, addr("1"), settings);
        for word in words.take("replicas").into_iter().flat_map(|list| list.split(',')) {
            seed.replicas.insert(addr(word));
        }
        for word in words.take("sentinels").into_iter().flat_map(|list| list.split(',')) {
            seed.sentinels.insert(id(word), addr(word));
        }
        let (node, outputs) = Node::new(0, identity, vec![seed], None);
        self.node = Some(node);
        self.tell(outputs)
    }

    fn wait(&mut self, words: &mut Words<'_>) -> Vec<String> {
        let end = self.now + words.next().parse::<u64>().unwrap();
        let mut lines = Vec::new();
        while self.now < end {
            let now = self.now;
            self.now = self.node().next_wake(now).clamp(now + 1, now + TICK_MS).min(end);
            lines.extend(self.step(Input::Tick));
            for link in self.alive.clone() {
                lines.extend(self.step(Input::Link(link, LinkEvent::Pong(Pong::Pong))));
            }
        }
        lines
    }

    fn commit(&mut self, words: &mut Words<'_>) -> Vec<String> {
        let all = words.maybe() == Some("all");
        let mut lines = Vec::new();
        while let Some(command) = self.proposals.pop_front() {
            lines.extend(self.apply(command));
            if !all {
                break;
            }
        }
        lines
    }

    fn apply(&mut self, command: Command) -> Vec<String> {
        let refused = match self.node().topology().clone().apply(command.clone()) {
            Applied::Changed(_) => None,
            Applied::Refused(refusal) => Some(format!("refused: {refusal}")),
        };
        let lines = self.step(Input::Applied { command: Box::new(command), fresh: true });
        refused.into_iter().chain(lines).collect()
    }

    fn set(&mut self, words: &mut Words<'_>) -> Vec<String> {
        let mut settings = Vec::new();
        settings.extend(
            words.number("parallel-syncs").map(|n| Setting::ParallelSyncs(u32::try_from(n).unwrap())),
        );
        settings.extend(words.number("refused-after").map(Setting::RefusedAfter));
        settings.extend(words.number("reboot-after").map(Setting::MasterRebootDownAfter));
        self.apply(Command::Set { name: NAME.to_owned(), settings })
    }

    fn hello(&mut self, words: &mut Words<'_>) -> Vec<String> {
        let from = words.next();
        let hello = Hello {
            from: words.take("from").map_or_else(|| addr(from), addr),
            id: id(from),
            epoch: Epoch(0),
            master: NAME.to_owned(),
            address: addr(words.take("master").unwrap_or("1")),
            config_epoch: Epoch(words.number("epoch").unwrap_or(0)),
        };
        self.step(Input::Hello(hello.to_string()))
    }

    fn report(&mut self, words: &mut Words<'_>) -> Vec<String> {
        let from = id(words.next());
        let down = words.take("down").map(|word| (NAME.to_owned(), addr(word)));
        self.step(Input::Report { from, down: down.into_iter().collect() })
    }

    /// Connections are made, and PING and INFO answered, to the master 1 and its replicas.
    fn answering(&mut self, words: &mut Words<'_>) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(word) = words.maybe() {
            let link = self.link(word);
            lines.extend(self.step(Input::Link(link, connected())));
            lines.extend(self.step(Input::Link(link, LinkEvent::Pong(Pong::Pong))));
            if let Target::Instance { .. } = self.links[&link] {
                let info = if word == "1" { "role:master" } else { REPLICA_OF_1 };
                let text = format!("run_id:run{word}\r\n{info}");
                lines.extend(self.step(Input::Link(link, LinkEvent::Info(Some(text)))));
            }
        }
        lines
    }

    fn link_event(&mut self, verb: &str, words: &mut Words<'_>) -> Vec<String> {
        let link = self.link(words.next());
        if verb == "lose" {
            self.alive.remove(&link);
        }
        let event = match verb {
            "connect" => connected(),
            "lose" => LinkEvent::Lost(match words.next() {
                "refused" => Loss::Refused,
                "reset" => Loss::Reset,
                "silent" => Loss::Silent,
                word => panic!("{word} is no loss"),
            }),
            "pong" => LinkEvent::Pong(match words.maybe() {
                None => Pong::Pong,
                Some("alive") => Pong::Alive,
                Some("busy") => Pong::Busy,
                Some(word) => panic!("{word} is no pong"),
            }),
            "role" => LinkEvent::Role(role(words.next())),
            "followed" => LinkEvent::Followed(Ok(())),
            "kin" => LinkEvent::Group(Some(words.take("group").map(|_| GroupId::from_bytes([7; 20])))),
            "foreign" => LinkEvent::Group(None),
            "info" => LinkEvent::Info(Some(info(words))),
            verb => panic!("{}: {verb} means nothing", words.line()),
        };
        self.step(Input::Link(link, event))
    }

    fn step(&mut self, input: Input) -> Vec<String> {
        let now = self.now;
        let outputs = self.node().step(now, input);
        self.tell(outputs)
    }

    fn tell(&mut self, outputs: Vec<Output>) -> Vec<String> {
        let mut lines = Vec::new();
        for output in outputs {
            let routine = render::is_routine(&output);
            let line = self.take(output);
            if self.routine || !routine {
                lines.push(format!("{:>6} {line}", self.now));
            }
        }
        lines
    }

    fn take(&mut self, output: Output) -> String {
        let to = |links: &BTreeMap<LinkId, Target>, link| render::target(&links[&link]);
        match output {
            Output::Open(link, target) => {
                let line = format!("open {}", render::target(&target));
                assert!(self.links.insert(link, target).is_none(), "a link's number is used once");
                line
            }
            Output::Close(link) => {
                self.alive.remove(&link);
                let target = self.links.remove(&link).expect("only open links are closed");
                format!("close {}", render::target(&target))
            }
            Output::Reconnect(link) => format!("reconnect {}", to(&self.links, link)),
            Output::Send(link, request) => {
                self.check_order(link, &request);
                format!("{} <- {}", to(&self.links, link), render::request(&request))
            }
            Output::Propose(command) => {
                let line = format!("propose {}", render::command(&command));
                self.proposals.push_back(command);
                line
            }
            Output::Announce(event) => render::event(&event),
            Output::Sighted { id, group, .. } => {
                format!(
                    "sighted {}{}",
                    render::sentinel(&id),
                    if group.is_some() { " of a group" } else { "" }
                )
            }
        }
    }

    /// An order is given only for a stage that was committed, and only by the leader.
    fn check_order(&mut self, link: LinkId, request: &Request) {
        let Request::Follow(primary) = request else { return };
        let Target::Instance { addr, .. } = self.links[&link].clone() else {
            panic!("an order to a sentinel")
        };
        let node = self.node();
        assert!(node.is_leading(), "only the leader gives orders");
        let master = &node.topology().masters[NAME];
        match primary {
            None => assert_eq!(master.candidate(), Some(&addr), "only the chosen replica is promoted"),
            Some(primary) => {
                assert_eq!(primary, master.primary(), "replicas follow the master");
                assert_ne!(primary, &addr, "nobody follows himself");
            }
        }
    }

    fn check(&mut self) {
        let topology: &Topology = self.node().topology();
        for master in topology.masters.values() {
            assert!(!master.replicas.contains(master.primary()));
            assert!(master.configuration.epoch <= topology.epoch);
            if let Some(failover) = &master.failover {
                assert!(failover.epoch <= topology.epoch);
                let switched = matches!(failover.stage, Stage::Reconfiguring { .. });
                assert_eq!(switched, master.configuration.epoch == failover.epoch);
            }
        }
        let wanted = topology.masters.values().map(|master| 1 + master.replicas.len()).sum::<usize>();
        let peers = self.node().peers().len();
        assert_eq!(self.links.len(), wanted + peers, "one link to each instance and sentinel");
    }
}

const REPLICA_OF_1: &str = "role:slave\r\nmaster_host:10.0.0.1\r\nmaster_port:6379\r\nmaster_link_status:up\r\nslave_repl_offset:100";

fn connected() -> LinkEvent {
    LinkEvent::Connected { local_host: "10.0.1.1".into() }
}

fn role(word: &str) -> Role {
    match word {
        "master" => Role::Master,
        "replica" => Role::Replica,
        word => panic!("{word} is no role"),
    }
}

fn info(words: &mut Words<'_>) -> String {
    let mut lines = vec![format!("role:{}", role(words.next()).as_str())];
    lines.extend(words.take("run").map(|run| format!("run_id:{run}")));
    lines.extend(words.number("priority").map(|n| format!("slave_priority:{n}")));
    let of = if lines[0] == "role:master" { "master" } else { "slave" };
    lines.extend(words.number("offset").map(|n| format!("{of}_repl_offset:{n}")));
    lines.extend(words.take("link-down").map(|n| format!("master_link_down_since_seconds:{n}")));
    lines.extend(words.take("link").map(|link| format!("master_link_status:{link}")));
    if let Some(of) = words.take("of") {
        let of = addr(of);
        lines.push(format!("master_host:{}\r\nmaster_port:{}", of.host, of.port));
    }
    for (n, word) in words.take("replicas").into_iter().flat_map(|list| list.split(',')).enumerate() {
        let replica = addr(word);
        lines.push(format!("slave{n}:ip={},port={},state=online", replica.host, replica.port));
    }
    lines.join("\r\n")
}
