//! The beginning of a group: golden scripts of one sentinel, and seeded schedules of several, with lost, late and doubled
//! messages, crashes between any two steps, and lost directories.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod raft_support;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use raft_support::{address, public_id};
use redkeep_sentinel::raft::bootstrap::{Binding, Bootstrap, Input, Output, Promise, Report};
use redkeep_sentinel::raft::{BootstrapOptions, GroupId, Member, NodeId, Sighting, Source};

fn member(number: u16) -> Member {
    Member { node: number.into(), public_id: public_id(number), address: address(number) }
}

fn hello(number: u16, group: Option<GroupId>, source: Source) -> Input {
    Input::Sighted(Sighting { public_id: public_id(number), address: address(number), group, source })
}

mod golden {
    use super::*;

    const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/raft-bootstrap");

    /// Runs every script of the directory; each line that does not begin with `=` is an input, those that do are what
    /// came out. `REDKEEP_BLESS=1` writes down what comes out now, to be read before it is kept.
    #[test]
    fn scripts() {
        let mut count = 0;
        for file in std::fs::read_dir(SCRIPTS).unwrap() {
            let path = file.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            let now = replay(&text, &path);
            count += 1;
            if std::env::var_os("REDKEEP_BLESS").is_some() {
                std::fs::write(&path, &now).unwrap();
            } else {
                assert_eq!(now, text, "{}", path.display());
            }
        }
        assert!(count >= 7, "only {count} scripts were found");
    }

    fn replay(text: &str, path: &Path) -> String {
        let mut machine: Option<Bootstrap> = None;
        let mut out = String::new();
        for line in text.lines().filter(|line| !line.starts_with('=')) {
            writeln!(out, "{line}").unwrap();
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                [] | ["#", ..] => {}
                ["sentinel", words @ ..] => machine = Some(sentinel(words)),
                [at, words @ ..] => {
                    let now_ms = at.parse().unwrap_or_else(|_| panic!("{}: {line}", path.display()));
                    let machine = machine.as_mut().expect("the first line names the sentinel");
                    show(&mut out, "=", &machine.step(now_ms, input(words)));
                }
            }
        }
        out
    }

    fn sentinel(words: &[&str]) -> Bootstrap {
        let mut options = BootstrapOptions::default();
        let (mut me, mut binding) = (0, None);
        for pair in words.chunks(2) {
            match pair {
                ["id", value] => me = value.parse().unwrap(),
                ["peers", value] => options.peers = numbers(value).into_iter().map(address).collect(),
                ["promised", value] => binding = Some(Binding::Promised(promise('f', value))),
                ["joined", value] => binding = Some(Binding::Joined(group(value))),
                other => panic!("unknown: {other:?}"),
            }
        }
        Bootstrap::new(0, member(me), options, binding, group("f"))
    }

    fn input(words: &[&str]) -> Input {
        match words {
            ["tick"] => Input::Tick,
            ["hello", who] => hello(who.parse().unwrap(), None, Source::Hello),
            ["hello", who, "of", it] => hello(who.parse().unwrap(), Some(group(it)), Source::Hello),
            ["known", who] => hello(who.parse().unwrap(), None, Source::Configured),
            ["forget", who] => Input::Unsighted(public_id(who.parse().unwrap())),
            ["alone", allowed] => Input::AllowAlone(*allowed == "yes"),
            ["moved", to] => Input::Readdressed(address(to.parse().unwrap())),
            ["report", who, "at", at, "sees", seen, rest @ ..] => report(who, at, seen, rest),
            ["report", who, "sees", seen, rest @ ..] => report(who, who, seen, rest),
            ["asked", "by", from, "for", it, members] => Input::PromiseAsked {
                from: from.parse().unwrap(),
                promise: promise(it.chars().next().unwrap(), members),
                ticket: 0,
            },
            ["granted", "by", who, "for", it] => {
                Input::Granted { by: who.parse().unwrap(), group: group(it) }
            }
            ["begun"] => Input::Begun,
            other => panic!("unknown: {other:?}"),
        }
    }

    fn report(who: &str, at: &str, seen: &str, rest: &[&str]) -> Input {
        let (bound, begun) = match rest {
            [] => (None, false),
            ["bound", it] => (Some(group(it)), false),
            ["member", it] => (Some(group(it)), true),
            other => panic!("unknown: {other:?}"),
        };
        let seen = numbers(seen).into_iter().map(public_id).collect();
        let report = Report { me: member(who.parse().unwrap()), seen, bound, begun };
        Input::Reported { at: address(at.parse().unwrap()), report }
    }

    fn numbers(list: &str) -> Vec<u16> {
        list.split(',').map(|number| number.parse().unwrap()).collect()
    }

    /// `2` is sentinel 2; `2x` is sentinel 2 with another directory.
    fn promise(letter: char, members: &str) -> Promise {
        let members = members.split(',').map(|name| {
            let number = name.trim_end_matches('x').parse().unwrap();
            let node = if name.ends_with('x') { 1000 } else { 0 } + NodeId::from(number);
            Member { node, ..member(number) }
        });
        Promise { group: group(&letter.to_string()), members: members.collect() }
    }

    fn group(letter: &str) -> GroupId {
        GroupId::from_bytes([letter.as_bytes()[0]; 20])
    }

    fn letter(group: &GroupId) -> char {
        char::from(group.as_bytes()[0])
    }

    fn show_promise(promise: &Promise) -> String {
        let members: Vec<String> =
            promise.members.iter().map(|member| member.address.port.to_string()).collect();
        format!("{} {}", letter(&promise.group), members.join(","))
    }

    fn show(out: &mut String, indent: &str, outputs: &[Output]) {
        for output in outputs {
            match output {
                Output::AskReport(at) => writeln!(out, "{indent} ask {} to report", at.port),
                Output::AskPromise(at, promise) => {
                    writeln!(out, "{indent} ask {} to promise {}", at.port, show_promise(promise))
                }
                Output::Answer { granted, .. } => writeln!(out, "{indent} answer {granted}"),
                Output::InitialiseGroup(promise) => {
                    writeln!(out, "{indent} initialise {}", show_promise(promise))
                }
                Output::JoinAsLearner(at, group) => {
                    writeln!(out, "{indent} ask {} to be taken into {}", at.port, letter(group))
                }
                Output::Bind(binding, then) => {
                    let what = match binding {
                        Binding::Promised(promise) => format!("promised {}", show_promise(promise)),
                        Binding::Joined(group) => format!("joined {}", letter(group)),
                    };
                    writeln!(out, "{indent} write {what}, then").unwrap();
                    show(out, &format!("{indent}  "), then);
                    Ok(())
                }
            }
            .unwrap();
        }
    }
}

/// Several machines, their disks, and what is under way between them.
struct World {
    rng: fastrand::Rng,
    now_ms: u64,
    nodes: Vec<Node>,
    mail: Vec<Mail>,
    chaos: bool,
    /// Every initialisation that ever was: which node did it, and what.
    begun: Vec<(NodeId, Promise)>,
    options: BootstrapOptions,
    next_node: NodeId,
    wipes: bool,
    /// Who asked for which promise, by ticket.
    tickets: Vec<(u16, GroupId)>,
    /// Pairs that do not hear each other.
    cut: BTreeSet<(u16, u16)>,
}

#[derive(Debug)]
struct Node {
    number: u16,
    machine: Bootstrap,
    disk: Disk,
    /// Whom it will replicate to, as a member of a begun group.
    knows: BTreeSet<u16>,
    alone: bool,
}

#[derive(Debug, Default)]
struct Disk {
    node: NodeId,
    binding: Option<Binding>,
    /// Raft's own: the group that it has a membership of.
    raft: Option<GroupId>,
}

#[derive(Clone, Debug)]
enum Mail {
    Hello { to: u16, from: u16, group: Option<GroupId> },
    AskReport { to: u16, from: u16 },
    Report { to: u16, from: u16, report: Report },
    AskPromise { to: u16, from: u16, from_node: NodeId, promise: Promise },
    Granted { to: u16, from: u16, by: NodeId, group: GroupId },
    Join { to: u16, from: u16, from_node: NodeId, group: GroupId },
    Append { to: u16, from: u16, to_node: NodeId, group: GroupId },
}

impl Mail {
    fn ends(&self) -> (u16, u16) {
        let (Mail::Hello { to, from, .. }
        | Mail::AskReport { to, from }
        | Mail::Report { to, from, .. }
        | Mail::AskPromise { to, from, .. }
        | Mail::Granted { to, from, .. }
        | Mail::Join { to, from, .. }
        | Mail::Append { to, from, .. }) = self;
        (*to.min(from), *to.max(from))
    }
}

impl World {
    fn new(seed: u64, count: u16, listed: bool, wipes: bool) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let settle_ms = rng.choice([300, 1000, 5000]).expect("there are three");
        let mut options = BootstrapOptions { settle_ms, ..BootstrapOptions::default() };
        if listed {
            options.peers = (1..=count).map(address).collect();
        }
        let mut world = Self {
            now_ms: 0,
            nodes: Vec::new(),
            mail: Vec::new(),
            chaos: true,
            begun: Vec::new(),
            options,
            next_node: 1,
            wipes,
            tickets: Vec::new(),
            cut: BTreeSet::new(),
            rng: rng.fork(),
        };
        for number in 1..=count {
            let alone = rng.u8(0..4) == 0;
            let disk = world.fresh_disk();
            let machine = world.machine(number, &disk);
            world.nodes.push(Node { number, machine, disk, knows: BTreeSet::new(), alone });
        }
        world
    }

    fn fresh_disk(&mut self) -> Disk {
        self.next_node += 1;
        Disk { node: self.next_node, ..Disk::default() }
    }

    fn machine(&mut self, number: u16, disk: &Disk) -> Bootstrap {
        let me = Member { node: disk.node, ..member(number) };
        let fresh = GroupId::from_bytes(std::array::from_fn(|_| self.rng.u8(..)));
        let mut machine = Bootstrap::new(self.now_ms, me, self.options.clone(), disk.binding.clone(), fresh);
        if disk.raft.is_some() {
            machine.step(self.now_ms, Input::Begun);
        }
        machine
    }

    fn run(&mut self) {
        for _ in 0..self.rng.usize(1..5) {
            self.era();
            for _ in 0..self.rng.usize(0..300) {
                self.act();
            }
        }
        self.chaos = false;
        self.cut.clear();
        // Everything is delivered, and nobody fails: then all must end up in a group.
        for _ in 0..120 {
            self.now_ms += 500;
            for from in 0..self.nodes.len() {
                self.say_hello(from);
                self.replicate(from);
                self.step(from, Input::AllowAlone(self.nodes[from].alone));
                self.step(from, Input::Tick);
            }
            while !self.mail.is_empty() {
                let mail = self.mail.remove(0);
                self.deliver(mail);
            }
        }
    }

    fn act(&mut self) {
        let at = self.rng.usize(0..self.nodes.len());
        match self.rng.u8(0..100) {
            0..=29 => self.now_ms += self.rng.u64(0..700),
            30..=44 => self.say_hello(at),
            45..=64 => {
                self.step(at, Input::AllowAlone(self.nodes[at].alone));
                self.step(at, Input::Tick);
            }
            65..=69 => self.replicate(at),
            70..=96 => self.deliver_any(),
            97 => self.toggle_link(at),
            98 => self.crash(at),
            _ if self.wipes && self.rng.u8(0..4) == 0 => self.wipe(at),
            _ => {}
        }
    }

    /// Half a minute or so in which the sentinels are split in two, and what is said across arrives later.
    fn era(&mut self) {
        let sides: Vec<bool> = self.nodes.iter().map(|_| self.rng.bool()).collect();
        let same = |(one, other): (u16, u16)| sides[usize::from(one - 1)] == sides[usize::from(other - 1)];
        for _ in 0..self.rng.usize(5..40) {
            self.now_ms += 1000;
            for at in 0..self.nodes.len() {
                self.say_hello(at);
                self.step(at, Input::AllowAlone(self.nodes[at].alone));
                self.step(at, Input::Tick);
            }
            let (here, across) =
                std::mem::take(&mut self.mail).into_iter().partition(|mail| same(mail.ends()));
            self.mail = across;
            self.mail.retain(|mail| !matches!(mail, Mail::Hello { .. }));
            for mail in Vec::from_iter::<Vec<Mail>>(here) {
                match self.rng.u8(0..8) {
                    0 => self.mail.push(mail),
                    _ => self.deliver(mail),
                }
            }
        }
    }

    fn deliver_any(&mut self) {
        if self.mail.is_empty() {
            return;
        }
        let index = self.rng.usize(0..self.mail.len());
        match self.rng.u8(0..10) {
            0 => drop(self.mail.swap_remove(index)),
            1 => self.deliver(self.mail[index].clone()),
            _ => {
                let mail = self.mail.swap_remove(index);
                self.deliver(mail);
            }
        }
    }

    fn crash(&mut self, at: usize) {
        let disk = std::mem::take(&mut self.nodes[at].disk);
        self.nodes[at].machine = self.machine(self.nodes[at].number, &disk);
        self.nodes[at].disk = disk;
    }

    fn wipe(&mut self, at: usize) {
        self.nodes[at].disk = self.fresh_disk();
        self.nodes[at].knows.clear();
        self.crash(at);
    }

    fn say_hello(&mut self, from: usize) {
        let group = self.nodes[from].disk.raft;
        let (from, count) = (self.nodes[from].number, self.nodes.len() as u16);
        self.mail.extend((1..=count).filter(|to| *to != from).map(|to| Mail::Hello { to, from, group }));
    }

    /// What Raft does: who is in a group tells those that it knows of.
    fn replicate(&mut self, from: usize) {
        let number = self.nodes[from].number;
        let Some(group) = self.nodes[from].disk.raft else { return };
        for to in self.nodes[from].knows.clone() {
            let to_node = self.nodes[usize::from(to - 1)].disk.node;
            self.mail.push(Mail::Append { to, from: number, to_node, group });
        }
    }

    fn toggle_link(&mut self, at: usize) {
        let (one, other) = (self.nodes[at].number, self.rng.u16(1..=self.nodes.len() as u16));
        let pair = (one.min(other), one.max(other));
        if !self.cut.remove(&pair) {
            self.cut.insert(pair);
        }
    }

    fn deliver(&mut self, mail: Mail) {
        if self.cut.contains(&mail.ends()) {
            return;
        }
        match mail {
            Mail::Hello { to, from, group } => self.step_number(to, hello(from, group, Source::Hello)),
            Mail::AskReport { to, from } => {
                let report = self.nodes[usize::from(to - 1)].machine.report();
                self.mail.push(Mail::Report { to: from, from: to, report });
            }
            Mail::Report { to, from, report } => {
                self.step_number(to, Input::Reported { at: address(from), report })
            }
            Mail::AskPromise { to, from, from_node, promise } => {
                self.tickets.push((from, promise.group));
                let ticket = self.tickets.len() as u64 - 1;
                self.step_number(to, Input::PromiseAsked { from: from_node, promise, ticket });
            }
            Mail::Granted { to, by, group, .. } => self.step_number(to, Input::Granted { by, group }),
            Mail::Join { to, from, from_node, group } => {
                let door = &mut self.nodes[usize::from(to - 1)];
                if door.disk.raft == Some(group) {
                    door.knows.insert(from);
                    self.mail.push(Mail::Append { to: from, from: to, to_node: from_node, group });
                }
            }
            Mail::Append { to, to_node, group, .. } => {
                let node = &mut self.nodes[usize::from(to - 1)];
                let bound = node.disk.binding.as_ref().map(Binding::group);
                if node.disk.node == to_node && bound == Some(group) {
                    node.disk.raft = Some(group);
                    self.step_number(to, Input::Begun);
                }
            }
        }
    }

    fn step_number(&mut self, number: u16, input: Input) {
        self.step(usize::from(number - 1), input);
    }

    fn step(&mut self, at: usize, input: Input) {
        let outputs = self.nodes[at].machine.step(self.now_ms, input);
        self.perform(at, outputs);
    }

    /// Does what the machine wants; between any two things the process may die.
    fn perform(&mut self, at: usize, outputs: Vec<Output>) {
        let me = self.nodes[at].number;
        for output in outputs {
            if self.chaos && self.rng.u8(0..50) == 0 {
                return self.crash(at);
            }
            let from_node = self.nodes[at].disk.node;
            match output {
                Output::AskReport(to) => self.mail.push(Mail::AskReport { to: to.port, from: me }),
                Output::AskPromise(to, promise) => {
                    self.mail.push(Mail::AskPromise { to: to.port, from: me, from_node, promise });
                }
                Output::Answer { ticket, granted } => {
                    let (to, group) = self.tickets[ticket as usize];
                    if granted {
                        self.mail.push(Mail::Granted { to, from: me, by: from_node, group });
                    }
                }
                Output::Bind(binding, then) => {
                    let disk = &mut self.nodes[at].disk;
                    assert!(Binding::may_become(disk.binding.as_ref(), &binding), "{me} is bound: {disk:?}");
                    assert!(disk.raft.is_none(), "{me} left its group: {disk:?}");
                    disk.binding = Some(binding);
                    self.perform(at, then);
                }
                Output::InitialiseGroup(promise) => self.initialise(at, promise),
                Output::JoinAsLearner(to, group) => {
                    self.mail.push(Mail::Join { to: to.port, from: me, from_node, group });
                }
            }
        }
    }

    fn initialise(&mut self, at: usize, promise: Promise) {
        if self.nodes[at].disk.raft.is_some() {
            return;
        }
        let expected = Some(Binding::Promised(promise.clone()));
        for voter in &promise.members {
            // A directory that was lost has promised, too, but cannot show it.
            let found = self.nodes.iter().find(|node| node.disk.node == voter.node);
            assert!(
                found.is_none_or(|node| node.disk.binding == expected),
                "begun without {voter:?}: {found:?}"
            );
        }
        let node = &mut self.nodes[at];
        node.disk.raft = Some(promise.group);
        node.knows = promise.members.iter().map(|member| member.address.port).collect();
        self.begun.push((node.disk.node, promise));
        self.step(at, Input::Begun);
    }

    /// Of any two beginnings: the same group was begun by the same node with the same voters, and different groups have
    /// no voter in common.
    fn check(&self, seed: u64) {
        for (index, (node, promise)) in self.begun.iter().enumerate() {
            for (other_node, other) in &self.begun[..index] {
                if promise.group == other.group {
                    assert_eq!((node, promise), (other_node, other), "seed {seed}: one group begun twice");
                }
                let voters =
                    |it: &Promise| it.members.iter().map(|member| member.node).collect::<BTreeSet<_>>();
                assert!(voters(promise).is_disjoint(&voters(other)), "seed {seed}: two groups share a voter");
            }
        }
        for node in &self.nodes {
            let bound = node.disk.binding.as_ref().map(Binding::group);
            assert!(node.disk.raft.is_none() || node.disk.raft == bound, "seed {seed}: in a group unbound");
        }
    }
}

const SEEDS: u64 = 400;

/// Sentinels that promised crosswise wait for ever if no group runs: see the machine's caveats. Anything else must end in
/// a group.
fn is_crosswise(world: &World) -> bool {
    let promised = |node: &Node| matches!(node.disk.binding, Some(Binding::Promised(_)));
    world.begun.is_empty() && world.nodes.iter().filter(|node| promised(node)).count() > 1
}

#[test]
fn no_schedule_begins_two_groups_of_one_set_and_every_one_ends_in_a_group() {
    let mut sizes: BTreeMap<usize, u32> = BTreeMap::new();
    let mut crosswise = 0;
    for seed in 0..SEEDS {
        let mut world = World::new(seed, 2 + (seed % 4) as u16, seed % 5 == 0, false);
        world.run();
        world.check(seed);
        if is_crosswise(&world) {
            crosswise += 1;
            continue;
        }
        for node in &world.nodes {
            assert!(
                node.disk.raft.is_some(),
                "seed {seed}: {} is in no group: {:#?}",
                node.number,
                world.nodes
            );
        }
        for (_, promise) in &world.begun {
            *sizes.entry(promise.members.len()).or_default() += 1;
        }
    }
    assert!(crosswise <= SEEDS / 100, "{crosswise} of {SEEDS} ended crosswise");
    assert!(
        (2..=5).all(|size| sizes.get(&size).is_some_and(|count| *count > 10)),
        "too few groups: {sizes:?}"
    );
}

#[test]
fn no_schedule_with_lost_directories_begins_two_groups_that_share_a_voter() {
    let mut begun = 0;
    for seed in 0..SEEDS {
        let mut world = World::new(seed, 2 + (seed % 4) as u16, seed % 5 == 0, true);
        world.run();
        world.check(seed);
        begun += world.begun.len();
    }
    assert!(begun > SEEDS as usize / 2, "too few groups: {begun}");
}
