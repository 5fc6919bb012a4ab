//! The sentinel's main loop: the only place where the node is stepped, and where its outputs are carried out.
//!
//! What wakes it:
//!
//! | arm | brings |
//! |---|---|
//! | `links` | what happened on links to instances and sentinels |
//! | `inputs` | what clients and other sentinels said on our own port |
//! | `applied` | commands that the group applied |
//! | `leadership` | who leads |
//! | `lead` | the proof that it is we |
//! | `sleep` | the moment at which the node wants to be stepped |
//! | `stop` | the end |
//!
//! The node is behind a lock, so that clients read it without a detour; the lock is held for one step and never over
//! an await.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Semaphore, broadcast, mpsc, watch};
use tokio::time::{Instant, sleep_until};

use crate::core::event::{Event, Kind};
use crate::core::ids::Addr;
use crate::core::node::{Input, LinkEvent, LinkId, Node, Output};
use crate::core::topology::{Applied, Command, Topology};
use crate::lead::Lead;
use crate::link::Links;
use crate::local::SharedLocal;
use crate::raft::{Delivery, Events, Group, GroupError, PeerAddress, Sighting, Source, Standing};
use crate::scripts::called_for;

/// Inputs from clients that wait for the main loop. When it is full a client's hello or report is dropped; they come
/// again.
pub(crate) const INPUT_QUEUE: usize = 1024;
/// What links report. When it is full the links' tasks wait, and so do the instances behind them.
pub(crate) const LINK_QUEUE: usize = 1024;
/// Events kept for a slow subscriber; one that falls further behind is disconnected.
pub(crate) const EVENT_QUEUE: usize = 4096;
/// Calls of scripts that wait for the task that runs them.
pub(crate) const SCRIPT_QUEUE: usize = 256;
/// Proposals under way. More are not made: what calls for them will still be so a moment later.
const MAX_PROPOSALS: usize = 64;

/// What the parts of a running sentinel share.
pub(crate) struct Shared {
    pub(crate) node: Mutex<Node>,
    pub(crate) group: Group<Topology>,
    pub(crate) local: SharedLocal,
    pub(crate) events: broadcast::Sender<Arc<Event>>,
    pub(crate) inputs: mpsc::Sender<Input>,
    pub(crate) started: Instant,
    /// At which moments the sentinel is to stop as if it crashed.
    pub(crate) simulated_failures: AtomicU8,
    /// Set to stop the sentinel.
    pub(crate) stop: watch::Sender<bool>,
}

/// Stop when a failover that we lead has begun.
pub(crate) const CRASH_AFTER_ELECTION: u8 = 1;
/// Stop when a replica that we promoted says that it is a master, before anybody hears of it.
pub(crate) const CRASH_AFTER_PROMOTION: u8 = 2;

impl Shared {
    /// Milliseconds since the sentinel started: the only clock that decisions see.
    pub(crate) fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Whether there is a group to decide anything.
    pub(crate) fn is_grouped(&self) -> bool {
        is_member(self.group.leadership().standing)
    }

    /// Has the group apply an operator's command, or, without a group, applies it to our own draft.
    pub(crate) async fn change(&self, command: Command) -> Result<Applied, GroupError> {
        if self.is_grouped() {
            return self.group.propose(command).await;
        }
        // The same command on the same topology: what it answers here it will do in the main loop.
        let answer = self.node.lock().topology().clone().apply(command.clone());
        let full = |_| GroupError::Busy;
        self.inputs
            .send_timeout(Input::Draft(Box::new(command)), Duration::from_secs(1))
            .await
            .map_err(full)?;
        Ok(answer)
    }
}

/// Whether this sentinel has, or had, a voice in a group, so that the group's topology counts.
fn is_member(standing: Standing) -> bool {
    match standing {
        Standing::Member(_) | Standing::Forgotten(_) => true,
        Standing::Searching | Standing::Promised(_) | Standing::Joining(_) => false,
    }
}

/// The main loop and what only it touches.
pub(crate) struct Runtime {
    pub(crate) shared: Arc<Shared>,
    pub(crate) links: Links,
    pub(crate) link_events: mpsc::Receiver<(LinkId, LinkEvent)>,
    pub(crate) inputs: mpsc::Receiver<Input>,
    pub(crate) stop: watch::Receiver<bool>,
    /// Entries up to this one were applied before the last stop, and are not announced again.
    pub(crate) replayed: u64,
    pub(crate) proposals: Arc<Semaphore>,
    /// Calls of scripts, as their arguments. When it is full a call is dropped, as Redis drops them.
    pub(crate) scripts: mpsc::Sender<Vec<String>>,
    /// What the group applies; subscribed to before the node's topology was read, so that nothing is missed.
    pub(crate) deliveries: Events<Topology>,
    /// Index of the topology that the node holds.
    pub(crate) applied: Option<u64>,
    pub(crate) lead: Lead,
}

impl Runtime {
    pub(crate) fn proposals() -> Arc<Semaphore> {
        Arc::new(Semaphore::new(MAX_PROPOSALS))
    }

    /// Runs until it is stopped. `first` is what the node wanted done when it was made.
    pub(crate) async fn run(mut self, first: Vec<Output>) {
        let mut group_runs = true;
        let mut leadership = self.shared.group.watch_leadership();
        self.carry_out(first);
        self.enter_group();
        loop {
            let now = self.shared.now_ms();
            let wake = self.shared.node.lock().next_wake(now);
            let wake = self.shared.started + Duration::from_millis(wake);
            tokio::select! {
                Some((link, event)) = self.link_events.recv() => self.step(Input::Link(link, event)),
                Some(input) = self.inputs.recv() => self.step(input),
                delivery = self.deliveries.next(), if group_runs => match delivery {
                    Some(delivery) => self.delivered(delivery),
                    None => group_runs = false,
                },
                Ok(()) = leadership.changed() => self.enter_group(),
                Some(()) = self.lead.proved() => {}
                () = sleep_until(wake) => self.step(Input::Tick),
                _ = self.stop.changed() => return,
            }
            self.check_lead();
            self.check_alone();
        }
    }

    /// Steps the node; first it learns whether it still leads, so that it acts on nothing without the right to.
    fn step(&mut self, input: Input) {
        self.check_lead();
        self.take(input);
    }

    fn take(&mut self, input: Input) {
        let now = self.shared.now_ms();
        let outputs = self.shared.node.lock().step(now, input);
        self.carry_out(outputs);
    }

    fn delivered(&mut self, delivery: Delivery<Topology>) {
        match delivery {
            Delivery::Command(command) => {
                if self.applied.is_some_and(|known| command.index > known) {
                    let fresh = command.index > self.replayed;
                    self.step(Input::Applied { command: Box::new(command.command.clone()), fresh });
                    self.applied = Some(command.index);
                }
            }
            Delivery::Missed => self.reload(),
        }
    }

    /// Takes the group's topology as a whole.
    fn reload(&mut self) {
        if !self.shared.is_grouped() {
            return;
        }
        let state = self.shared.group.watch().borrow().clone();
        self.step(Input::Group(Box::new(Topology::clone(&state.state))));
        self.applied = Some(state.index);
    }

    /// The group has begun, or taken this sentinel in.
    fn enter_group(&mut self) {
        if self.applied.is_none() && self.shared.is_grouped() {
            self.reload();
        }
    }

    fn check_lead(&mut self) {
        let leads = self.lead.check(self.shared.now_ms(), &self.shared.group, self.applied);
        if leads != self.shared.node.lock().is_leading() {
            tracing::info!(leads, "leadership of the group");
            self.take(Input::Leading(leads));
        }
    }

    /// Without a group: may this sentinel be one by itself?
    fn check_alone(&self) {
        if self.applied.is_none() {
            let node = self.shared.node.lock();
            let masters = &node.topology().masters;
            let alone = !masters.is_empty() && masters.values().all(|master| master.settings.quorum == 1);
            self.shared.group.allow_alone(alone);
        }
    }

    fn carry_out(&mut self, outputs: Vec<Output>) {
        for output in outputs {
            match output {
                Output::Open(link, target) => self.links.open(link, target),
                Output::Close(link) => self.links.close(link),
                Output::Reconnect(link) => self.links.reconnect(link),
                Output::Send(link, request) => self.links.send(link, request),
                Output::Propose(command) => self.propose(command),
                Output::Announce(event) => self.announce(event),
                Output::Sighted { id, address, group } => {
                    self.shared.group.sighted(Sighting {
                        public_id: id,
                        address: PeerAddress::from(&address),
                        group,
                        source: Source::Hello,
                    });
                    self.readdress();
                }
            }
        }
    }

    /// What an operator asked for, to see the others finish what we began.
    fn fail_as_told(&self, event: &Event) {
        let flag = match event.kind {
            Kind::ElectedLeader => CRASH_AFTER_ELECTION,
            Kind::PromotedReplica => CRASH_AFTER_PROMOTION,
            _ => return,
        };
        if self.shared.simulated_failures.load(Ordering::Relaxed) & flag != 0 {
            tracing::warn!("stopping, as SENTINEL SIMULATE-FAILURE asked for");
            self.shared.stop.send_replace(true);
        }
    }

    fn announce(&self, event: Event) {
        self.fail_as_told(&event);
        tracing::info!(target: "redkeep_sentinel::event", "{event}");
        let leading = self.shared.node.lock().is_leading();
        for call in called_for(&event, leading, &self.shared.local) {
            if self.scripts.try_send(call).is_err() {
                tracing::warn!("a script is not run: too many wait");
            }
        }
        // An error only says that nobody listens.
        drop(self.shared.events.send(Arc::new(event)));
    }

    /// Proposals are not waited for: what came of them is seen in the topology.
    fn propose(&self, command: Command) {
        let Ok(permit) = Arc::clone(&self.proposals).try_acquire_owned() else {
            return tracing::debug!("a proposal was dropped: too many are under way");
        };
        let group = self.shared.group.clone();
        tokio::spawn(async move {
            if let Err(error) = group.propose(command).await {
                tracing::debug!(%error, "a proposal failed");
            }
            drop(permit);
        });
    }

    /// The group learns under which address the others hear us.
    fn readdress(&self) {
        let node = self.shared.node.lock();
        let heard = node.peers().values().find_map(|peer| peer.link.local_host.clone());
        let identity = node.identity();
        let Some(host) = identity.announce_host.clone().or(heard) else { return };
        let address = PeerAddress::new(host, identity.announce_port.unwrap_or(identity.port));
        drop(node);
        if self.shared.group.me().address != address {
            tracing::info!(%address, "the others reach this sentinel here");
            self.shared.group.readdress(address);
        }
    }
}

/// Where the others will reach a sentinel that has no connection yet: the address from which it would speak to `master`.
/// Nothing is sent.
pub(crate) fn outward_host(master: &Addr) -> Option<String> {
    let any = if master.host.contains(':') { "[::]:0" } else { "0.0.0.0:0" };
    let socket = std::net::UdpSocket::bind(any).ok()?;
    socket.connect((master.host.as_str(), master.port)).ok()?;
    Some(socket.local_addr().ok()?.ip().to_string())
}
