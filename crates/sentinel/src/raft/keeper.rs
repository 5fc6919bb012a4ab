//! The task that keeps a member in its group: it drives [`bootstrap`](super::bootstrap) until there is a group, and then
//! sees to what Raft does not do by itself.
//!
//! It owns the bootstrap machine, the binding on disk and the directory's lock. Its one loop takes
//!
//! 1. the end: all handles are gone, or [`shutdown`](super::Group::shutdown) was called;
//! 2. a [`Call`] of a handle or of another member;
//! 3. the end of something that it has started ([`Done`]);
//! 4. a change of Raft's metrics: members, leader, failure;
//! 5. the tick, every [`TICK`].
//!
//! Once the group has begun its chores are: to have this member's new address committed, to become a voter, to finish a
//! membership change that a former leader left half done, and to notice that the group has forgotten this member, which
//! nobody would tell it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::bootstrap::{Binding, Bootstrap, Input, Output, Promise, Report};
use super::engine::Engine;
use super::storage::WriterGone;
use super::storage::dir::DataDir;
use super::storage::identity::BindingFile;
use super::wire::{Change, MembershipView, Reply, Request};
use super::{GroupId, Member, NodeId, PeerAddress, PublicId, Sighting};

/// Calls that may wait for the keeper. Sightings beyond are dropped, questions of others refused as busy.
pub(super) const MAX_CALLS: usize = 1024;

/// Things that it may have started and that have not ended. Questions beyond are left to the next round.
const MAX_UNDER_WAY: usize = 128;

const TICK: Duration = Duration::from_millis(100);
const CHORE_EVERY: Duration = Duration::from_secs(1);
const QUESTION_TIMEOUT: Duration = Duration::from_millis(1000);

/// A member that knows no leader for this long asks others whether it still belongs to the group.
const LONELY_AFTER: Duration = Duration::from_secs(2);

/// How long the log's writer may take to end.
const CLOSING: Duration = Duration::from_secs(10);

/// What a handle or another member wants of the keeper.
pub(super) enum Call {
    Sighted(Sighting),
    Unsighted(PublicId),
    Report(oneshot::Sender<Report>),
    Promise { from: NodeId, promise: Promise, answer: oneshot::Sender<bool> },
}

/// The end of something that the keeper has started.
pub(super) enum Done {
    /// A question, with its answer if one came.
    Asked(Option<Input>),
    /// The attempt to be taken into the group.
    Joined,
    /// A chore, with what another member says of the membership if that was asked.
    Chore(Option<MembershipView>),
}

/// Why the loop ends.
struct Stop(String);

pub(super) struct Keeper {
    pub(super) engine: Arc<Engine>,
    pub(super) bootstrap: Bootstrap,
    pub(super) binding_file: BindingFile,
    pub(super) calls: mpsc::Receiver<Call>,
    /// Changes, or is closed, when the member is to stop.
    pub(super) stop: watch::Receiver<()>,
    pub(super) started: Instant,
    pub(super) under_way: JoinSet<Done>,
    pub(super) tickets: Tickets,
    pub(super) chores: Chores,
    /// The lock of the directory, and who still writes in it.
    pub(super) dir: DataDir,
    pub(super) writer_gone: WriterGone,
}

/// Who waits for the answer to which promise asked for.
#[derive(Default)]
pub(super) struct Tickets {
    next: u64,
    waiting: BTreeMap<u64, oneshot::Sender<bool>>,
}

/// What the chores remember.
pub(super) struct Chores {
    last: Instant,
    led: Instant,
    under_way: bool,
    joining: bool,
    was_joint: bool,
    turn: usize,
}

impl Chores {
    pub(super) fn new(now: Instant) -> Self {
        Self { last: now, led: now, under_way: false, joining: false, was_joint: false, turn: 0 }
    }
}

impl Keeper {
    /// Runs until the member stops; then closes everything.
    pub(super) async fn run(mut self) {
        let why = match self.keep().await {
            Ok(()) => "it was shut down".to_owned(),
            Err(Stop(why)) => {
                tracing::error!(%why, "this sentinel's member of the group stops");
                why
            }
        };
        self.under_way.shutdown().await;
        if let Err(error) = self.engine.raft.shutdown().await {
            tracing::error!(%error, "raft did not shut down cleanly");
        }
        if tokio::time::timeout(CLOSING, self.writer_gone.wait()).await.is_err() {
            tracing::error!("the log's writer has not ended");
        }
        drop(self.dir);
        self.engine.stopped.send_replace(Some(why));
    }

    async fn keep(&mut self) -> Result<(), Stop> {
        let mut metrics = self.engine.raft.metrics();
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = self.stop.changed() => return Ok(()),
                Some(call) = self.calls.recv() => self.call(call).await?,
                Some(done) = self.under_way.join_next() => self.done(done).await?,
                Ok(()) = metrics.changed() => self.observe().await?,
                _ = ticks.tick() => self.tick().await?,
            }
        }
    }

    async fn call(&mut self, call: Call) -> Result<(), Stop> {
        match call {
            Call::Sighted(sighting) => self.step(Input::Sighted(sighting)).await,
            Call::Unsighted(public_id) => self.step(Input::Unsighted(public_id)).await,
            Call::Report(answer) => {
                // Who asked may have gone.
                drop(answer.send(self.bootstrap.report()));
                Ok(())
            }
            Call::Promise { from, promise, answer } => {
                let ticket = self.tickets.next;
                self.tickets.next += 1;
                self.tickets.waiting.insert(ticket, answer);
                self.step(Input::PromiseAsked { from, promise, ticket }).await
            }
        }
    }

    async fn done(&mut self, done: Result<Done, tokio::task::JoinError>) -> Result<(), Stop> {
        match done.map_err(|error| Stop(format!("a task of the keeper failed: {error}")))? {
            Done::Asked(None) => Ok(()),
            Done::Asked(Some(input)) => {
                self.step(input).await?;
                self.step(Input::Tick).await
            }
            Done::Joined => {
                self.chores.joining = false;
                Ok(())
            }
            Done::Chore(view) => {
                self.chores.under_way = false;
                if let Some(view) = view {
                    self.compare(&view);
                }
                Ok(())
            }
        }
    }

    /// Takes note of what Raft has come to know.
    async fn observe(&mut self) -> Result<(), Stop> {
        let metrics = self.engine.metrics();
        if let Err(fatal) = &metrics.running_state {
            return Err(Stop(fatal.to_string()));
        }
        let members: BTreeMap<NodeId, Member> =
            metrics.membership_config.nodes().map(|(node, member)| (*node, member.clone())).collect();
        if members.contains_key(&self.engine.links.me) {
            self.engine.begun.store(true, Ordering::Relaxed);
        }
        self.engine.links.set_members(members);
        if metrics.current_leader.is_some() {
            self.chores.led = Instant::now();
            if self.engine.forgotten.swap(false, Ordering::Relaxed) {
                self.engine.raft.runtime_config().elect(true);
            }
        }
        if self.engine.has_begun() {
            self.step(Input::Begun).await?;
        }
        self.engine.publish_leadership();
        Ok(())
    }

    async fn tick(&mut self) -> Result<(), Stop> {
        self.step(Input::AllowAlone(self.engine.alone_allowed.load(Ordering::Relaxed))).await?;
        let address = self.engine.me.read().address.clone();
        self.step(Input::Readdressed(address)).await?;
        self.step(Input::Tick).await?;
        self.observe().await?;
        if self.engine.has_begun() && !self.chores.under_way && self.chores.last.elapsed() >= CHORE_EVERY {
            self.chores.last = Instant::now();
            self.chore();
        }
        Ok(())
    }

    async fn step(&mut self, input: Input) -> Result<(), Stop> {
        let now_ms = self.started.elapsed().as_millis() as u64;
        let mut outputs = std::collections::VecDeque::from(self.bootstrap.step(now_ms, input));
        while let Some(output) = outputs.pop_front() {
            match output {
                Output::Bind(binding, then) => {
                    self.bind(binding).await?;
                    outputs.extend(then);
                }
                Output::Answer { ticket, granted } => {
                    if let Some(answer) = self.tickets.waiting.remove(&ticket) {
                        // Who asked may have gone, and will ask again.
                        let _ = answer.send(granted);
                    }
                }
                Output::AskReport(at) => self.ask_report(at),
                Output::AskPromise(at, promise) => self.ask_promise(at, promise),
                Output::InitialiseGroup(promise) => self.initialise(&promise).await,
                Output::JoinAsLearner(at, group) => self.join(at, group),
            }
        }
        Ok(())
    }

    async fn bind(&mut self, binding: Binding) -> Result<(), Stop> {
        let (file, written) = (self.binding_file.clone(), binding.clone());
        let outcome = tokio::task::spawn_blocking(move || file.write(&written)).await;
        match outcome {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(Stop(error.to_string())),
            Err(error) => return Err(Stop(format!("the binding's task failed: {error}"))),
        }
        tracing::info!(group = %binding.group(), joined = matches!(binding, Binding::Joined(_)), "bound to a group");
        self.engine.links.binding.send_replace(Some(binding));
        self.engine.publish_leadership();
        Ok(())
    }

    fn spawn(&mut self, work: impl Future<Output = Done> + Send + 'static) {
        self.under_way.spawn(work);
    }

    fn has_room(&self) -> bool {
        self.under_way.len() < MAX_UNDER_WAY
    }

    fn ask_report(&mut self, at: PeerAddress) {
        if !self.has_room() {
            return;
        }
        let links = Arc::clone(&self.engine.links);
        self.spawn(async move {
            let reply = links.call_address(&at, None, Request::Report, QUESTION_TIMEOUT).await;
            match reply {
                Ok(Reply::Report(report)) => Done::Asked(Some(Input::Reported { at, report })),
                _ => Done::Asked(None),
            }
        });
    }

    fn ask_promise(&mut self, at: PeerAddress, promise: Promise) {
        if !self.has_room() {
            return;
        }
        let links = Arc::clone(&self.engine.links);
        self.spawn(async move {
            let group = promise.group;
            match links.call_address(&at, None, Request::Promise(promise), QUESTION_TIMEOUT).await {
                Ok(Reply::Promised { by }) => Done::Asked(Some(Input::Granted { by, group })),
                other => {
                    tracing::debug!(%at, %group, ?other, "no promise yet");
                    Done::Asked(None)
                }
            }
        });
    }

    async fn initialise(&mut self, promise: &Promise) {
        let members: BTreeMap<NodeId, Member> =
            promise.members.iter().map(|member| (member.node, member.clone())).collect();
        match self.engine.raft.initialize(members).await {
            Ok(()) => {
                tracing::info!(group = %promise.group, voters = promise.members.len(), "the group has begun")
            }
            // Most likely it was done a moment ago, and the metrics lag behind.
            Err(error) => tracing::debug!(%error, "the group is not initialised"),
        }
    }

    fn join(&mut self, at: PeerAddress, group: GroupId) {
        if self.chores.joining || !self.has_room() {
            return;
        }
        self.chores.joining = true;
        let (links, me) = (Arc::clone(&self.engine.links), self.engine.me.read().clone());
        let timeout = self.engine.timings.request_timeout();
        self.spawn(async move {
            match links.call_address(&at, None, Request::Join(me), timeout).await {
                Ok(_) => tracing::info!(%group, "taken into the group"),
                Err(error) => tracing::info!(%at, %group, %error, "not taken into the group yet"),
            }
            Done::Joined
        });
    }

    /// Does the chore that is most urgent, if any is.
    fn chore(&mut self) {
        let membership = self.engine.raft.metrics().borrow().membership_config.membership().clone();
        let leader = self.engine.raft.metrics().borrow().current_leader;
        let me = self.engine.me.read().clone();
        let recorded = membership.get_node(&me.node);
        let is_voter = membership.voter_ids().any(|node| node == me.node);
        let is_joint = membership.get_joint_config().len() > 1;
        let was_joint = std::mem::replace(&mut self.chores.was_joint, is_joint);
        match recorded {
            None => {}
            Some(_) if leader.is_none() && self.chores.led.elapsed() < LONELY_AFTER => {}
            Some(_) if leader.is_none() => self.ask_membership(),
            Some(_) if !is_voter => self.change(Change::Join(me)),
            Some(recorded) if recorded.address != me.address => self.change(Change::Readdress(me)),
            _ if leader == Some(me.node) && is_joint && was_joint => self.finish_change(),
            _ => {}
        }
    }

    fn change(&mut self, change: Change) {
        self.chores.under_way = true;
        let engine = Arc::clone(&self.engine);
        self.spawn(async move {
            if let Err(error) = engine.change(change.clone()).await {
                tracing::info!(?change, %error, "the membership is not changed yet");
            }
            Done::Chore(None)
        });
    }

    fn finish_change(&mut self) {
        self.chores.under_way = true;
        let engine = Arc::clone(&self.engine);
        self.spawn(async move {
            // Without the permit somebody is at it.
            if let Ok(_permit) = engine.changing.try_acquire() {
                let finished =
                    tokio::time::timeout(engine.timings.request_timeout(), engine.finish_change()).await;
                tracing::info!(
                    done = matches!(finished, Ok(Ok(()))),
                    "a half-done membership change was found"
                );
            }
            Done::Chore(None)
        });
    }

    fn ask_membership(&mut self) {
        let me = self.engine.links.me;
        let others: Vec<Member> =
            self.engine.links.members().into_iter().filter(|member| member.node != me).collect();
        self.chores.turn = self.chores.turn.wrapping_add(1);
        let Some(member) = others.get(self.chores.turn % others.len().max(1)).cloned() else { return };
        self.chores.under_way = true;
        let links = Arc::clone(&self.engine.links);
        self.spawn(async move {
            match links.call(&member, Request::Membership, QUESTION_TIMEOUT).await {
                Ok(Reply::Membership(view)) => Done::Chore(Some(view)),
                _ => Done::Chore(None),
            }
        });
    }

    /// A newer membership without this member means that the group has forgotten it. It stops to ask for votes, which
    /// nobody would give; should the leader call it after all, [`observe`](Self::observe) takes that back.
    fn compare(&mut self, view: &MembershipView) {
        let engine = &self.engine;
        let newer = view.log_index > engine.membership_view().log_index;
        let lonely = engine.raft.metrics().borrow().current_leader.is_none();
        if newer
            && lonely
            && !view.nodes.contains(&engine.links.me)
            && !engine.forgotten.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(
                "the group has forgotten this sentinel; with a new directory it would be taken in again"
            );
            engine.raft.runtime_config().elect(false);
            engine.publish_leadership();
        }
    }
}
