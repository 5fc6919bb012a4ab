//! How strangers become one group: a pure state machine, without clock, randomness or I/O.
//!
//! **The problem.** Sentinels are given a master to watch, not a list of each other. They find one another by hellos, each
//! in its own time, and must end up as *one* Raft group, through crashes, lost and doubled messages; and nobody may ever
//! start a second one.
//!
//! **The answer.**
//!
//! ```text
//!              a group is seen                      its membership arrives
//!   Searching ────────────────► Joined (asks in) ──────────────────────────► begun
//!       │                          ▲                                           ▲
//!       │ lowest id of a settled   │ the promise is void,                      │
//!       │ set on which all agree,  │ and a group is seen                       │
//!       ▼ or asked by that         │                                           │
//!   Promised ──────────────────────┴───────────────────────────────────────────┘
//!              lowest id only: all have promised, so initialise Raft
//! ```
//! The set of sentinels has *settled* when it was the same for a while, and each of it was heard three times since. Then
//! the one of lowest public id asks the others what they see. If all see the same set and none is bound, it draws up a
//! [`Promise`]: this group, with exactly these voters. It promises that itself, then has everybody promise it, and only
//! then initialises Raft with these voters.
//!
//! **Why there is one group.** A directory promises once, on disk, before it says so ([`Output::Bind`] carries what may be
//! said after it). A group needs the promise of *every* voter, so of two groups that share a voter at most one can begin;
//! and only one voter, the lowest, initialises it, from the promise on its disk. The promise names Raft identities, not
//! public ids: a sentinel that lost its directory cannot fulfil what the old one promised.
//!
//! A promise is *void* when one of its voters has bound itself otherwise (they lost sight of each other at the wrong
//! moment). That voter will never give it, so that group can never begin, and who gave it may join a running group. It may
//! not promise another: that nobody does is what makes a void promise stay void.
//!
//! **Caveats.** Two sets that never heard of each other become two groups; data nodes obey the first that configures them.
//! If a directory is lost between its promise and the beginning of its group, or if sentinels promise crosswise and no
//! group runs, those promises hold their sentinels until the directories are removed.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{BootstrapOptions, GroupId, Member, NodeId, PeerAddress, PublicId, Sighting, Source};

/// So often must each sentinel of a settled set have been heard.
pub const HELLOS: u32 = 3;

/// A sentinel that is known by hellos only is forgotten after this silence, in milliseconds: five hellos.
pub const SIGHTING_TTL_MS: u64 = 10_000;

/// Between two rounds of the same question, in milliseconds.
pub const ASK_EVERY_MS: u64 = 500;

/// A report older than this says nothing any more, in milliseconds.
const REPORT_TTL_MS: u64 = 2 * ASK_EVERY_MS;

/// More sentinels than this are not kept in mind; hellos of further ones are ignored.
pub const MAX_SEEN: usize = 64;

/// The promise to take part in a group with exactly these voters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promise {
    /// The group.
    pub group: GroupId,
    /// Its first voters.
    pub members: BTreeSet<Member>,
}

impl Promise {
    /// The only one who may initialise the group: the voter of lowest public id.
    #[must_use]
    pub fn initiator(&self) -> Option<&Member> {
        self.members.iter().min_by_key(|member| member.public_id)
    }

    fn public_ids(&self) -> BTreeSet<PublicId> {
        self.members.iter().map(|member| member.public_id).collect()
    }

    fn names(&self, me: &Member) -> bool {
        self.members.iter().any(|member| member.node == me.node && member.public_id == me.public_id)
    }
}

/// What a directory is bound to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Binding {
    /// It promised to be among the first of a group.
    Promised(Promise),
    /// It saw a running group, and joins that.
    Joined(GroupId),
}

impl Binding {
    /// Whether a directory that is bound like this, or unbound, may ever be bound like `next`.
    #[must_use]
    pub fn may_become(now: Option<&Self>, next: &Self) -> bool {
        match (now, next) {
            (None, _) => true,
            (Some(Self::Promised(promise)), Self::Joined(group)) => promise.group != *group,
            (Some(_), _) => false,
        }
    }

    /// The group.
    #[must_use]
    pub fn group(&self) -> GroupId {
        match self {
            Self::Promised(promise) => promise.group,
            Self::Joined(group) => *group,
        }
    }
}

/// What a sentinel says of itself when it is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Who answers.
    pub me: Member,
    /// The set that it sees, itself included.
    pub seen: BTreeSet<PublicId>,
    /// The group that it is bound to.
    pub bound: Option<GroupId>,
    /// Whether that group has begun, as far as it knows.
    pub begun: bool,
}

/// What the machine is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Time went on.
    Tick,
    /// A sentinel was heard of.
    Sighted(Sighting),
    /// A sentinel is to be forgotten.
    Unsighted(PublicId),
    /// Whether a set of one may start a group.
    AllowAlone(bool),
    /// This sentinel's announced address.
    Readdressed(PeerAddress),
    /// The answer to [`Output::AskReport`].
    Reported {
        /// Who was asked.
        at: PeerAddress,
        /// What came.
        report: Report,
    },
    /// Another sentinel asks for a promise; the answer is [`Output::Answer`].
    PromiseAsked {
        /// Who asks.
        from: NodeId,
        /// What for.
        promise: Promise,
        /// To tell answers apart.
        ticket: u64,
    },
    /// The answer to [`Output::AskPromise`] was yes.
    Granted {
        /// Who promised.
        by: NodeId,
        /// Which group.
        group: GroupId,
    },
    /// The group has begun: Raft knows a membership.
    Begun,
}

/// What the machine wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Ask the sentinel at this address for its [`Report`].
    AskReport(PeerAddress),
    /// Write the binding to disk; then, and only then, do what follows. If it cannot be written the member must stop.
    Bind(Binding, Vec<Output>),
    /// Ask the sentinel at this address for this promise.
    AskPromise(PeerAddress, Promise),
    /// Answer a [`Input::PromiseAsked`]: granted or not.
    Answer {
        /// Which question.
        ticket: u64,
        /// Whether the promise is given.
        granted: bool,
    },
    /// Initialise Raft with these voters, if that has not been done.
    InitialiseGroup(Promise),
    /// Ask the sentinel at this address to have the group take this one in.
    JoinAsLearner(PeerAddress, GroupId),
}

#[derive(Debug)]
struct Seen {
    address: PeerAddress,
    group: Option<GroupId>,
    configured: bool,
    hellos: u32,
    last_ms: u64,
}

#[derive(Debug)]
struct Reported {
    at: PeerAddress,
    at_ms: u64,
    report: Report,
}

/// The state machine of one sentinel. `now_ms` is any clock that does not go back.
#[derive(Debug)]
pub struct Bootstrap {
    me: Member,
    options: BootstrapOptions,
    /// The id of the group that this sentinel would start.
    fresh: GroupId,
    binding: Option<Binding>,
    begun: bool,
    alone_allowed: bool,
    seen: BTreeMap<PublicId, Seen>,
    /// When the set last changed.
    changed_ms: u64,
    reports: BTreeMap<PublicId, Reported>,
    /// Who the listed addresses turned out to be, perhaps this sentinel itself.
    identified: BTreeMap<PeerAddress, PublicId>,
    granted: BTreeSet<NodeId>,
    /// When the last round of questions went out.
    asked_ms: Option<u64>,
    /// Turns through those who can take this sentinel in.
    turn: usize,
}

impl Bootstrap {
    /// The machine of a sentinel that has just started. `binding` is what its disk says; `fresh` is drawn at random, for
    /// the case that this one comes to start a group.
    #[must_use]
    pub fn new(
        now_ms: u64,
        me: Member,
        options: BootstrapOptions,
        binding: Option<Binding>,
        fresh: GroupId,
    ) -> Self {
        Self {
            me,
            options,
            fresh,
            binding,
            begun: false,
            alone_allowed: false,
            seen: BTreeMap::new(),
            changed_ms: now_ms,
            reports: BTreeMap::new(),
            identified: BTreeMap::new(),
            granted: BTreeSet::new(),
            asked_ms: None,
            turn: 0,
        }
    }

    /// What this sentinel is bound to.
    #[must_use]
    pub fn binding(&self) -> Option<&Binding> {
        self.binding.as_ref()
    }

    /// What it answers when it is asked.
    #[must_use]
    pub fn report(&self) -> Report {
        Report {
            me: self.me.clone(),
            seen: self.set(),
            bound: self.binding.as_ref().map(Binding::group),
            begun: self.begun,
        }
    }

    /// One step. The outputs are to be done in their order, before the next step.
    pub fn step(&mut self, now_ms: u64, input: Input) -> Vec<Output> {
        match input {
            Input::Tick => return self.tick(now_ms),
            Input::Sighted(sighting) => self.sighted(now_ms, sighting),
            Input::Unsighted(public_id) => self.unsighted(now_ms, public_id),
            Input::AllowAlone(allowed) => self.alone_allowed = allowed,
            Input::Readdressed(address) => self.me.address = address,
            Input::Reported { at, report } => self.reported(now_ms, at, report),
            Input::PromiseAsked { from, promise, ticket } => {
                return self.promise_asked(from, promise, ticket);
            }
            Input::Granted { by, group } => return self.granted(by, group),
            Input::Begun => self.begun = true,
        }
        Vec::new()
    }

    /// Whether the sentinels are listed, and not to be discovered.
    fn listed(&self) -> bool {
        !self.options.peers.is_empty()
    }

    fn set(&self) -> BTreeSet<PublicId> {
        let mut set: BTreeSet<PublicId> = match self.listed() {
            true => self.reports.keys().copied().collect(),
            false => self.seen.keys().copied().collect(),
        };
        set.insert(self.me.public_id);
        set
    }

    fn sighted(&mut self, now_ms: u64, sighting: Sighting) {
        if sighting.public_id == self.me.public_id {
            return;
        }
        let known = self.seen.contains_key(&sighting.public_id);
        if !known {
            if self.seen.len() >= MAX_SEEN {
                return;
            }
            self.set_changed(now_ms);
        }
        let seen = self.seen.entry(sighting.public_id).or_insert_with(|| Seen {
            address: sighting.address.clone(),
            group: None,
            configured: false,
            hellos: 0,
            last_ms: now_ms,
        });
        seen.address = sighting.address;
        seen.group = sighting.group.or(seen.group);
        seen.last_ms = now_ms;
        match sighting.source {
            Source::Hello => seen.hellos = seen.hellos.saturating_add(1),
            Source::Configured => seen.configured = true,
        }
    }

    fn unsighted(&mut self, now_ms: u64, public_id: PublicId) {
        if self.seen.remove(&public_id).is_some() {
            self.set_changed(now_ms);
        }
    }

    fn set_changed(&mut self, now_ms: u64) {
        self.changed_ms = now_ms;
        self.seen.values_mut().for_each(|seen| seen.hellos = 0);
        if !self.listed() {
            self.reports.clear();
        }
    }

    fn reported(&mut self, now_ms: u64, at: PeerAddress, report: Report) {
        let who = report.me.public_id;
        let expected = match self.listed() {
            true => self.options.peers.contains(&at),
            false => self.seen.contains_key(&who),
        };
        if !expected {
            return;
        }
        if self.listed() {
            self.identified.insert(at.clone(), who);
        }
        if who != self.me.public_id {
            self.reports.insert(who, Reported { at, at_ms: now_ms, report });
        }
    }

    fn promise_asked(&mut self, from: NodeId, promise: Promise, ticket: u64) -> Vec<Output> {
        let answer = |granted| Output::Answer { ticket, granted };
        match &self.binding {
            Some(Binding::Promised(given)) => vec![answer(*given == promise)],
            Some(Binding::Joined(_)) => vec![answer(false)],
            None => {
                // A promise that outlived its initiator would bind this sentinel to nobody; so all of it must be in sight.
                // Not more: who has seen one more sentinel than the initiator must promise, too, or nobody ever begins.
                let sound = promise.names(&self.me)
                    && promise.initiator().is_some_and(|initiator| initiator.node == from)
                    && promise.public_ids().is_subset(&self.set())
                    && self.groups_seen().next().is_none();
                if sound {
                    self.bind(Binding::Promised(promise), vec![answer(true)])
                } else {
                    vec![answer(false)]
                }
            }
        }
    }

    fn bind(&mut self, binding: Binding, then: Vec<Output>) -> Vec<Output> {
        let allowed = Binding::may_become(self.binding.as_ref(), &binding);
        assert!(allowed, "a sentinel promises once, and leaves its promise only to join a group");
        self.binding = Some(binding.clone());
        vec![Output::Bind(binding, then)]
    }

    fn granted(&mut self, by: NodeId, group: GroupId) -> Vec<Output> {
        let Some(Binding::Promised(promise)) = &self.binding else { return Vec::new() };
        if promise.group == group && promise.members.iter().any(|member| member.node == by) {
            self.granted.insert(by);
        }
        self.initialise()
    }

    fn initialise(&self) -> Vec<Output> {
        match &self.binding {
            Some(Binding::Promised(promise)) if !self.begun && self.missing(promise).is_empty() => {
                vec![Output::InitialiseGroup(promise.clone())]
            }
            _ => Vec::new(),
        }
    }

    /// The voters whose promise is not known here. Never empty where this sentinel is not the initiator.
    fn missing<'a>(&self, promise: &'a Promise) -> Vec<&'a Member> {
        let mine = |member: &&Member| {
            let initiator = promise.initiator().is_some_and(|initiator| initiator.node == self.me.node);
            initiator && member.node == self.me.node
        };
        promise
            .members
            .iter()
            .filter(|member| !mine(member) && !self.granted.contains(&member.node))
            .collect()
    }

    fn tick(&mut self, now_ms: u64) -> Vec<Output> {
        if self.begun {
            return Vec::new();
        }
        self.expire(now_ms);
        if let Some(group) = self.group_to_join() {
            self.asked_ms = Some(now_ms);
            let then = self.join(group).into_iter().collect();
            return self.bind(Binding::Joined(group), then);
        }
        if let (None, Some(promise)) = (&self.binding, self.agreed(now_ms)) {
            self.asked_ms = Some(now_ms);
            let then = self.follow_up(&promise);
            return self.bind(Binding::Promised(promise), then);
        }
        if self.asked_ms.is_some_and(|asked_ms| now_ms < asked_ms + ASK_EVERY_MS) {
            return Vec::new();
        }
        self.asked_ms = Some(now_ms);
        match self.binding.clone() {
            None => self.ask_reports(now_ms),
            Some(Binding::Joined(group)) => self.join(group).into_iter().collect(),
            Some(Binding::Promised(promise)) => self.follow_up(&promise),
        }
    }

    /// A running group that this sentinel is free to join.
    fn group_to_join(&self) -> Option<GroupId> {
        match &self.binding {
            None => self.groups_seen().next(),
            Some(Binding::Promised(promise)) => {
                let other = self.groups_seen().find(|group| *group != promise.group)?;
                self.is_void(promise).then_some(other)
            }
            Some(Binding::Joined(_)) => None,
        }
    }

    /// Whether one of the voters has bound itself otherwise. It will never promise this, so the group can never begin.
    fn is_void(&self, promise: &Promise) -> bool {
        let elsewhere = |report: &Report| {
            let named = promise.members.iter().any(|member| member.node == report.me.node);
            named && report.bound.is_some_and(|group| group != promise.group)
        };
        self.reports.values().any(|reported| elsewhere(&reported.report))
    }

    fn expire(&mut self, now_ms: u64) {
        let before = self.seen.len();
        self.seen.retain(|_, seen| seen.configured || now_ms < seen.last_ms + SIGHTING_TTL_MS);
        if self.seen.len() != before {
            self.set_changed(now_ms);
        }
        self.reports.retain(|_, reported| now_ms < reported.at_ms + REPORT_TTL_MS);
    }

    /// The groups that are known to have begun.
    fn groups_seen(&self) -> impl Iterator<Item = GroupId> {
        let hellos = self.seen.values().filter_map(|seen| seen.group);
        let reports = self.reports.values().filter_map(|it| it.report.bound.filter(|_| it.report.begun));
        hellos.chain(reports)
    }

    /// Asks one of those who are in the group, each in its turn.
    fn join(&mut self, group: GroupId) -> Option<Output> {
        let hellos = self.seen.values().filter(|seen| seen.group == Some(group)).map(|seen| &seen.address);
        let reports = self.reports.values();
        let reports = reports.filter(|it| it.report.begun && it.report.bound == Some(group)).map(|it| &it.at);
        let doors: BTreeSet<&PeerAddress> = hellos.chain(reports).collect();
        self.turn = self.turn.wrapping_add(1);
        let door = doors.iter().nth(self.turn % doors.len().max(1))?;
        Some(Output::JoinAsLearner((*door).clone(), group))
    }

    fn ask_reports(&self, now_ms: u64) -> Vec<Output> {
        if self.listed() {
            let others = self.options.peers.iter().filter(|address| **address != self.me.address);
            return others.cloned().map(Output::AskReport).collect();
        }
        let lowest = self.set().first() == Some(&self.me.public_id);
        if !(lowest && self.settled(now_ms)) {
            return Vec::new();
        }
        self.seen.values().map(|seen| Output::AskReport(seen.address.clone())).collect()
    }

    fn settled(&self, now_ms: u64) -> bool {
        let settle_ms = match self.seen.is_empty() {
            true => 2 * self.options.settle_ms,
            false => self.options.settle_ms,
        };
        now_ms >= self.changed_ms + settle_ms
            && self.seen.values().all(|seen| seen.configured || seen.hellos >= HELLOS)
    }

    /// The promise that this sentinel may now ask of all, if all is agreed.
    fn agreed(&self, now_ms: u64) -> Option<Promise> {
        let set = self.set();
        let complete = match self.listed() {
            true => self.all_identified(&set),
            false => self.settled(now_ms) && (set.len() > 1 || self.alone_allowed),
        };
        if !complete || set.first() != Some(&self.me.public_id) {
            return None;
        }
        let mut members = BTreeSet::from([self.me.clone()]);
        for public_id in set.iter().filter(|public_id| **public_id != self.me.public_id) {
            let Reported { at, report, .. } = self.reports.get(public_id)?;
            if report.seen != set || report.bound.is_some() {
                return None;
            }
            members.insert(Member { address: at.clone(), ..report.me.clone() });
        }
        let nodes: BTreeSet<NodeId> = members.iter().map(|member| member.node).collect();
        (nodes.len() == set.len()).then_some(Promise { group: self.fresh, members })
    }

    /// Whether every listed address is somebody of the set: one that has answered of late, or this sentinel itself.
    fn all_identified(&self, set: &BTreeSet<PublicId>) -> bool {
        let identified =
            |address| self.identified.get(address).is_some_and(|public_id| set.contains(public_id));
        self.options.peers.iter().all(|address| *address == self.me.address || identified(address))
    }

    /// What a promise calls for: the initiator asks who has not promised yet, and initialises when none is left. The
    /// others wait, and if the group has begun without reaching them (their address has changed) make themselves known.
    /// And if another group runs, all ask whether the promise is void.
    fn follow_up(&mut self, promise: &Promise) -> Vec<Output> {
        let mut outputs: Vec<Output> = self.join(promise.group).into_iter().collect();
        if self.groups_seen().any(|group| group != promise.group) {
            let others = promise.members.iter().filter(|member| member.node != self.me.node);
            outputs.extend(others.map(|member| Output::AskReport(self.address_of(member))));
        }
        if promise.initiator().is_some_and(|initiator| initiator.node == self.me.node) {
            let missing = self.missing(promise);
            match missing.is_empty() {
                true => outputs.push(Output::InitialiseGroup(promise.clone())),
                false => outputs.extend(
                    missing.iter().map(|member| Output::AskPromise(self.address_of(member), promise.clone())),
                ),
            }
        }
        outputs
    }

    /// Where a voter was last heard, which counts more than what the promise says.
    fn address_of(&self, member: &Member) -> PeerAddress {
        self.seen.get(&member.public_id).map_or_else(|| member.address.clone(), |seen| seen.address.clone())
    }
}
