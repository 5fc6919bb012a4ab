//! One running member of the group: what the rest of the sentinel talks to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use openraft::Raft;
use parking_lot::RwLock;
use tokio::sync::{Semaphore, broadcast, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::bootstrap::Bootstrap;
use super::engine::{Engine, MAX_REQUESTS, MAX_SERVED_RAFT, MAX_SERVED_REQUESTS};
use super::keeper::{Call, Chores, Keeper, MAX_CALLS, Tickets};
use super::network::{LinkFactory, Links};
use super::storage::{Payload, Storage, Types};
use super::wire::Change;
use super::{
    Applied, AppliedCommand, Events, GroupError, GroupId, GroupOptions, Machine, Member, NodeId, OpenError,
    PeerAddress, PublicId, Sighting, Timings, codec, serve,
};

/// Where this sentinel stands towards a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It belongs to none and looks for others.
    Searching,
    /// It has promised to be in this group, which has not begun.
    Promised(GroupId),
    /// It has bound itself to this running group and asks to be taken in.
    Joining(GroupId),
    /// It is a learner or voter of this group.
    Member(GroupId),
    /// The group has forgotten it. Only a new directory makes it a (new) member again.
    Forgotten(GroupId),
}

/// A member's part in Raft.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It receives the log and does not vote.
    Learner,
    /// It votes and follows.
    Follower,
    /// It asks for votes.
    Candidate,
    /// It leads.
    Leader,
}

/// Who leads, and what this sentinel has to do with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leadership {
    /// Where this sentinel stands.
    pub standing: Standing,
    /// Its part in Raft.
    pub role: Role,
    /// Raft's term.
    pub term: u64,
    /// The leader, as far as is known here.
    pub leader: Option<Member>,
}

/// Everything that `INFO` and `CKQUORUM` may want to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Who leads, and this sentinel's own part.
    pub leadership: Leadership,
    /// This sentinel, with its own Raft identity and announced address.
    pub me: Member,
    /// Voters of the newest membership known here, by node.
    pub voters: Vec<Member>,
    /// Learners of that membership.
    pub learners: Vec<Member>,
    /// On the leader: milliseconds since a majority last acknowledged it.
    pub quorum_ack_age_ms: Option<u64>,
    /// Last entry in the log.
    pub last_log_index: u64,
    /// Last entry applied to the state.
    pub applied_index: u64,
    /// Last entry that the newest snapshot holds; 0 without one.
    pub snapshot_index: u64,
}

/// The running member. Clones are handles to the same member; it runs until [`shutdown`](Self::shutdown), or until the
/// last handle is gone.
pub struct Group<M: Machine> {
    handle: Arc<Handle>,
    applied: watch::Receiver<Applied<M>>,
    /// Weak, so that receivers learn of the end.
    events: broadcast::WeakSender<Option<Arc<AppliedCommand<M>>>>,
}

struct Handle {
    engine: Arc<Engine>,
    keeper: mpsc::Sender<Call>,
    /// Stops the keeper, by a message or by being dropped.
    stop: watch::Sender<()>,
}

impl<M: Machine> Clone for Group<M> {
    fn clone(&self) -> Self {
        Self { handle: Arc::clone(&self.handle), applied: self.applied.clone(), events: self.events.clone() }
    }
}

impl<M: Machine> Group<M> {
    /// Opens the directory (making it, and with it a new Raft identity, if it is missing), reads and verifies what is in
    /// it, and starts the member on the current tokio runtime.
    pub async fn open(options: GroupOptions) -> Result<Self, OpenError> {
        let config = Arc::new(options.timings.raft_config()?);
        let path = options.dir.clone();
        let storage: Storage<M> = tokio::task::spawn_blocking(move || Storage::open(&path))
            .await
            .map_err(|error| OpenError::Raft(format!("the directory's reader failed: {error}")))??;
        let Storage { dir, node, binding, binding_file, log, writer_gone, state } = storage;
        let me = Member { node, public_id: options.public_id, address: options.address };
        let links = Links::new(node, options.transport, binding.clone());
        let retry = Duration::from_millis(options.timings.heartbeat_ms);
        let factory = LinkFactory { links: Arc::clone(&links), retry };
        let (applied, events) = (state.watch(), state.events());
        let begun = state.has_member(node) || log.has_member(node);
        let raft = Raft::new(node, config, factory, log, state).await;
        let raft = raft.map_err(|fatal| OpenError::Raft(fatal.to_string()))?;
        let now = Instant::now();
        let fresh = GroupId::from_bytes(std::array::from_fn(|_| fastrand::u8(..)));
        let bootstrap = Bootstrap::new(0, me.clone(), options.bootstrap, binding, fresh);
        let engine = Arc::new(engine(raft, links, options.timings, me, begun));
        let (keeper, calls) = mpsc::channel(MAX_CALLS);
        let (stop, stopping) = watch::channel(());
        let task = Keeper {
            engine: Arc::clone(&engine),
            bootstrap,
            binding_file,
            calls,
            stop: stopping,
            started: now,
            under_way: JoinSet::new(),
            tickets: Tickets::default(),
            chores: Chores::new(now),
            dir,
            writer_gone,
        };
        tokio::spawn(task.run());
        Ok(Self { handle: Arc::new(Handle { engine, keeper, stop }), applied, events })
    }

    fn engine(&self) -> &Engine {
        &self.handle.engine
    }

    /// Has the group apply `command`, from whichever member it is called, and returns the response once a majority has
    /// it on disk and the leader applied it. Ends within `request_timeout_ms`; see [`GroupError`] for what each failure
    /// says about the command's fate.
    pub async fn propose(&self, command: M::Command) -> Result<M::Response, GroupError> {
        let command = codec::encode(&command).map_err(|error| GroupError::Refused(error.to_string()))?;
        let response = self.engine().propose(Payload::from(command)).await?;
        // It is applied, but what it answered is lost.
        codec::decode(&response.0).map_err(|_| GroupError::Timeout)
    }

    /// The state that this member has applied. It may lag behind the leader's: see [`read_index`](Self::read_index).
    #[must_use]
    pub fn state(&self) -> Arc<M> {
        Arc::clone(&self.applied.borrow().state)
    }

    /// The applied state as it changes; the newest value only.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Applied<M>> {
        self.applied.clone()
    }

    /// Every command that this member applies from now on.
    #[must_use]
    pub fn events(&self) -> Events<M> {
        let receiver = match self.events.upgrade() {
            Some(events) => events.subscribe(),
            // The member has stopped: a channel that is closed already.
            None => broadcast::Sender::new(1).subscribe(),
        };
        Events::new(receiver)
    }

    /// A read barrier: when it returns, [`state`](Self::state) holds everything that was committed anywhere before the
    /// call. Gives the index that was waited for.
    pub async fn read_index(&self) -> Result<u64, GroupError> {
        let deadline = self.engine().deadline();
        let index = self.engine().read_index().await?;
        let mut applied = self.applied.clone();
        match timeout_at(deadline, applied.wait_for(|applied| applied.index >= index)).await {
            Ok(Ok(_)) => Ok(index),
            Ok(Err(_)) => Err(GroupError::Stopped("it was shut down".to_owned())),
            Err(_) => Err(GroupError::Timeout),
        }
    }

    /// Whether this member leads, as far as it knows. A leader that was cut off believes so for a while; what must be
    /// certain goes through [`propose`](Self::propose) or [`read_index`](Self::read_index).
    #[must_use]
    pub fn is_leader(&self) -> bool {
        self.leadership().role == Role::Leader
    }

    /// The leader, as far as is known here.
    #[must_use]
    pub fn leader(&self) -> Option<Member> {
        self.leadership().leader
    }

    /// Who leads now, as far as is known here.
    #[must_use]
    pub fn leadership(&self) -> Leadership {
        self.engine().leadership_now()
    }

    /// Who leads, as it changes; the newest value only, and a moment later than [`leadership`](Self::leadership).
    #[must_use]
    pub fn watch_leadership(&self) -> watch::Receiver<Leadership> {
        self.engine().leadership.subscribe()
    }

    /// This sentinel as a member: its Raft identity and announced address.
    #[must_use]
    pub fn me(&self) -> Member {
        self.engine().me.read().clone()
    }

    /// The group that this sentinel announces in its hellos: the one that it is a member of. `None` before that group has
    /// begun, and after it has forgotten this sentinel.
    #[must_use]
    pub fn group_id(&self) -> Option<GroupId> {
        match self.engine().standing() {
            Standing::Member(group) => Some(group),
            Standing::Searching | Standing::Promised(_) | Standing::Joining(_) | Standing::Forgotten(_) => {
                None
            }
        }
    }

    /// Everything for `INFO`.
    #[must_use]
    pub fn status(&self) -> Status {
        self.engine().status()
    }

    /// Another sentinel was heard of. Never waits; while the member is overwhelmed sightings are dropped, since more
    /// will come.
    pub fn sighted(&self, sighting: Sighting) {
        drop(self.handle.keeper.try_send(Call::Sighted(sighting)));
    }

    /// Discovery is to forget a configured or seen sentinel (`SENTINEL RESET`), until it is sighted again. Members of the
    /// group are not touched. As [`sighted`](Self::sighted), it is dropped while the member is overwhelmed.
    pub fn unsighted(&self, public_id: PublicId) {
        drop(self.handle.keeper.try_send(Call::Unsighted(public_id)));
    }

    /// Whether this sentinel may start a group of its own if it never sees another: every monitored master has quorum 1.
    /// False until told.
    pub fn allow_alone(&self, allowed: bool) {
        self.engine().alone_allowed.store(allowed, Ordering::Relaxed);
    }

    /// This sentinel's announced address has changed: the group learns it by a committed change, in its own time.
    pub fn readdress(&self, address: PeerAddress) {
        self.engine().me.write().address = address;
    }

    /// Adds a sentinel: as a learner, then, when it has caught up, as a voter. A member of the same public id under
    /// another node is replaced if it is no longer heard of, and the request refused if it is. Sentinels that find the
    /// group by themselves need not be added.
    pub async fn add_member(&self, member: Member) -> Result<(), GroupError> {
        self.engine().change(Change::Join(member)).await
    }

    /// Removes the voter or learner of this node. It is done when it is committed. The last voter cannot be removed.
    pub async fn remove_member(&self, node: NodeId) -> Result<(), GroupError> {
        self.engine().change(Change::Remove(node)).await
    }

    /// `SENTINEL FORGET`: removes every member of this public id. [`GroupError::Refused`] if there is none.
    pub async fn forget(&self, public_id: PublicId) -> Result<(), GroupError> {
        self.engine().change(Change::Forget(public_id)).await
    }

    /// Answers a message of another member; what the server calls for `SENTINEL RAFT <message>` of an authenticated
    /// peer. Always gives a reply, also to garbage.
    pub async fn handle(&self, message: Bytes) -> Bytes {
        serve::handle(self.engine(), &self.handle.keeper, &message).await
    }

    /// Stops the member and waits until its files are closed and the directory is unlocked. Later requests get
    /// [`GroupError::Stopped`].
    pub async fn shutdown(&self) {
        self.handle.stop.send_replace(());
        let mut stopped = self.engine().stopped.subscribe();
        // An error would mean that the engine is gone, which this handle keeps.
        drop(stopped.wait_for(Option::is_some).await);
    }
}

fn engine(raft: Raft<Types>, links: Arc<Links>, timings: Timings, me: Member, begun: bool) -> Engine {
    let leadership = Leadership { standing: Standing::Searching, role: Role::Learner, term: 0, leader: None };
    let engine = Engine {
        raft,
        links,
        timings,
        me: RwLock::new(me),
        alone_allowed: AtomicBool::new(false),
        leadership: watch::Sender::new(leadership),
        begun: AtomicBool::new(begun),
        forgotten: AtomicBool::new(false),
        changing: Semaphore::new(1),
        requests: Semaphore::new(MAX_REQUESTS),
        served: Semaphore::new(MAX_SERVED_REQUESTS),
        served_raft: Semaphore::new(MAX_SERVED_RAFT),
        stopped: watch::Sender::new(None),
    };
    engine.publish_leadership();
    engine
}
