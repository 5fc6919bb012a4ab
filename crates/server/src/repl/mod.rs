//! Replication: the role of this server, the link to its primary, the links of its replicas.
//!
//! The machines of `redkeep-replication` decide; here their outputs are carried out. [`Replication`] is what the rest
//! of the server sees. The role changes only while the gate is owned, so no command runs half under one role.

mod feed;
mod snapshots;
mod upstream;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use parking_lot::Mutex;
use redkeep_replication::core::acks::{Ack, AckBoard};
use redkeep_replication::core::replica_link::{Master, Status};
use redkeep_replication::core::{Position, replica_session};
use redkeep_replication::{History, Log, ReplId, ReplOffset, ReplicaId};
use redkeep_resp::net::Stream;
use tokio::sync::{Notify, mpsc};

use crate::client::{Client, ClientKind};
use crate::config::Settings;
use crate::engine::{Engine, policy};
use crate::session::Session;

pub(crate) use feed::serve_replica;
pub(crate) use snapshots::{SnapshotRequest, serve_snapshots};
pub(crate) use upstream::{UpstreamCommand, follow};

/// Commands to the link that wait; a REPLICAOF beyond that is refused.
const UPSTREAM_QUEUE: usize = 64;

/// Connections that wait to become replicas' links, and links that wait for a snapshot.
const REPLICA_QUEUE: usize = 256;

/// What a connection asked for when it became a replica's.
#[derive(Debug, Clone)]
pub enum ReplicaRequest {
    /// `PSYNC`.
    Psync(redkeep_replication::Request),
    /// `SYNC`.
    Sync,
}

/// A connection that leaves its worker to become a replica's link.
pub(crate) struct NewReplica {
    pub(crate) machine: replica_session::Session,
    pub(crate) client: Arc<Client>,
    pub(crate) stream: std::net::TcpStream,
    pub(crate) input: Vec<u8>,
    pub(crate) request: ReplicaRequest,
}

/// A replica, as INFO and ROLE show it.
#[derive(Debug, Clone)]
pub struct ReplicaInfo {
    /// Which it is.
    pub id: ReplicaId,
    /// The address that it gave or was seen at.
    pub ip: String,
    /// The port that it listens on.
    pub port: u16,
    /// `wait_bgsave`, `send_bulk` or `online`.
    pub state: &'static str,
    /// What it acknowledged.
    pub acked: ReplOffset,
    /// When it last did.
    pub acked_at_ms: u64,
}

/// What became of an order to change the role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum RoleChange {
    /// The role is the new one.
    Changed,
    /// It was so already.
    Already,
    /// The link to the primary takes no orders, so the role stays as it is.
    Unavailable,
}

struct State {
    history: History,
    master: Option<Master>,
    link: Option<Status>,
    replicas: Vec<ReplicaInfo>,
    no_replicas_since: Option<Instant>,
}

/// The ends of the queues, for the tasks that serve them.
pub(crate) struct Queues {
    pub(crate) upstream: mpsc::Receiver<UpstreamCommand>,
    pub(crate) replicas: mpsc::Receiver<NewReplica>,
    pub(crate) snapshots: mpsc::Receiver<SnapshotRequest>,
}

/// The replication state of a server.
pub struct Replication {
    state: Mutex<State>,
    is_replica: AtomicBool,
    /// Goes up whenever the role or the primary changes: what was received before is not applied after.
    epoch: AtomicU64,
    /// The database that is selected where this replica stands in the primary's stream.
    stream_db: AtomicUsize,
    acks: Mutex<AckBoard>,
    acked: Notify,
    upstream: mpsc::Sender<UpstreamCommand>,
    replicas: mpsc::Sender<NewReplica>,
    snapshots: mpsc::Sender<SnapshotRequest>,
    queues: Mutex<Option<Queues>>,
}

/// A random replication id.
fn random_id() -> ReplId {
    ReplId::from_random(std::array::from_fn(|_| fastrand::u8(..)))
}

/// Milliseconds on a clock that does not go back.
pub(crate) fn monotonic_ms(engine: &Engine) -> u64 {
    engine.started.elapsed().as_millis() as u64
}

impl Default for Replication {
    fn default() -> Self {
        let (upstream, upstream_queue) = mpsc::channel(UPSTREAM_QUEUE);
        let (replicas, replica_queue) = mpsc::channel(REPLICA_QUEUE);
        let (snapshots, snapshot_queue) = mpsc::channel(REPLICA_QUEUE);
        Replication {
            state: Mutex::new(State {
                history: History::new(random_id()),
                master: None,
                link: None,
                replicas: Vec::new(),
                no_replicas_since: None,
            }),
            is_replica: AtomicBool::new(false),
            epoch: AtomicU64::new(0),
            stream_db: AtomicUsize::new(0),
            acks: Mutex::default(),
            acked: Notify::new(),
            upstream,
            replicas,
            snapshots,
            queues: Mutex::new(Some(Queues {
                upstream: upstream_queue,
                replicas: replica_queue,
                snapshots: snapshot_queue,
            })),
        }
    }
}

impl Replication {
    /// The queues, once, for the tasks that serve them.
    pub(crate) fn take_queues(&self) -> Option<Queues> {
        self.queues.lock().take()
    }

    /// Whether this server follows another.
    #[inline]
    pub fn is_replica(&self) -> bool {
        self.is_replica.load(Ordering::Acquire)
    }

    /// See the field.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// The database that is selected at the end of the log, where that is not said anew: on a replica, whose log is
    /// its primary's stream byte for byte.
    pub(crate) fn stream_db(&self) -> Option<usize> {
        self.is_replica().then(|| self.stream_db.load(Ordering::Acquire))
    }

    /// See [`Replication::stream_db`].
    pub(crate) fn set_stream_db(&self, db: usize) {
        self.stream_db.store(db, Ordering::Release);
    }

    /// The history and the end of the log.
    pub fn position(&self, engine: &Engine) -> Position {
        Position { id: self.state.lock().history.id(), offset: engine.log.end() }
    }

    /// The history.
    pub fn history(&self) -> History {
        self.state.lock().history
    }

    /// The primary that is followed.
    pub fn master(&self) -> Option<Master> {
        self.state.lock().master.clone()
    }

    /// The state of the link to the primary.
    pub fn link(&self) -> Option<Status> {
        self.state.lock().link
    }

    /// The replicas, in the order in which they came.
    pub fn replicas(&self) -> Vec<ReplicaInfo> {
        self.state.lock().replicas.clone()
    }

    /// Changes the role: follows `master`, or nobody. The caller owns the gate.
    ///
    /// Whoever waits for acknowledgements is woken, and what clients wrote before is nothing to wait for any more.
    pub fn change_role(&self, engine: &Engine, settings: &Settings, master: Option<Master>) -> RoleChange {
        let mut state = self.state.lock();
        if state.master == master {
            return RoleChange::Already;
        }
        let Ok(permit) = self.upstream.try_reserve() else {
            tracing::warn!("the link to the primary does not take commands; the role stays as it is");
            return RoleChange::Unavailable;
        };
        let epoch = self.epoch.fetch_add(1, Ordering::AcqRel) + 1;
        let command = match &master {
            Some(master) => {
                // What was not logged cannot be continued from.
                let own = engine
                    .log
                    .is_active()
                    .then(|| Position { id: state.history.id(), offset: engine.log.end() });
                UpstreamCommand::Follow { master: master.clone(), own, epoch }
            }
            None => {
                state.history.branch(random_id(), engine.log.end());
                UpstreamCommand::Unfollow { epoch }
            }
        };
        permit.send(command);
        let was_replica = state.master.is_some();
        state.master = master;
        state.link = None;
        let is_replica = state.master.is_some();
        self.is_replica.store(is_replica, Ordering::Release);
        self.set_policies(engine, settings, &state);
        drop(state);
        engine.log.force_select();
        engine.clients.list().iter().for_each(|client| client.written_up_to.set(ReplOffset(0)));
        if was_replica != is_replica {
            // Replicas have to learn of the new history, or that theirs is no primary any more.
            self.close_replicas(engine);
        }
        self.acked.notify_waiters();
        RoleChange::Changed
    }

    /// Brings the policies that follow from the role and the configuration up to date.
    pub fn refresh_policy(&self, engine: &Engine, settings: &Settings) {
        self.set_policies(engine, settings, &self.state.lock());
    }

    /// The state stays locked meanwhile, so that no policy of an older role is set after those of a newer one.
    fn set_policies(&self, engine: &Engine, settings: &Settings, state: &State) {
        let replica = state.master.is_some();
        let link_up = state.link.is_some_and(|link| link.up);
        engine.set_policy(policy::REPLICA, replica);
        engine.set_policy(policy::READ_ONLY, replica && settings.replica_read_only);
        engine.set_policy(policy::STALE, replica && !link_up && !settings.replica_serve_stale_data);
        let wanted = settings.min_replicas_to_write.max(0) as usize;
        let lag = settings.min_replicas_max_lag.max(0) as u64;
        let enough = wanted == 0 || lag == 0 || self.good_replicas(engine, lag) >= wanted;
        engine.set_policy(policy::NO_REPLICAS, !replica && !enough);
    }

    /// How many replicas have spoken within so many seconds.
    pub fn good_replicas(&self, engine: &Engine, max_lag_secs: u64) -> usize {
        self.acks.lock().count_good(monotonic_ms(engine), max_lag_secs)
    }

    fn close_replicas(&self, engine: &Engine) {
        for client in engine.clients.list() {
            if client.kind() == ClientKind::Replica {
                client.close();
            }
        }
    }

    /// Tells the link about settings that it uses.
    pub fn reconfigure(&self) {
        let _ = self.upstream.try_send(UpstreamCommand::Reconfigure);
    }

    /// A replica's replica asked how far this node is; so its primary is told, too.
    pub(crate) fn request_own_ack(&self) {
        let _ = self.upstream.try_send(UpstreamCommand::AckRequested);
    }

    /// Takes a connection over that asked to be a replica's.
    pub(crate) fn adopt(
        &self,
        engine: &Engine,
        session: Session,
        stream: Stream,
        input: Vec<u8>,
        request: ReplicaRequest,
    ) {
        let client = session.client.clone();
        let accepted = match stream {
            Stream::Tcp(stream) => stream.into_std().ok(),
            Stream::Unix(_) => None,
        };
        let (Some(stream), Some(machine)) = (accepted, session.replica) else {
            tracing::warn!("a replica has to connect over TCP");
            engine.clients.remove(client.id);
            return;
        };
        client.set_kind(ClientKind::Replica);
        let id = client.id;
        let replica = NewReplica { machine: *machine, client, stream, input, request };
        if self.replicas.try_send(replica).is_err() {
            engine.clients.remove(id);
        }
    }

    /// `WAIT`: until `count` replicas have everything up to `offset`, or the time is over. How many have; `None` when
    /// the role is no longer that of `epoch`, and the offset one of another history.
    pub async fn wait(&self, count: usize, offset: ReplOffset, epoch: u64, timeout_ms: u64) -> Option<usize> {
        let acknowledged = || (self.epoch() == epoch).then(|| self.acknowledged(offset));
        let enough = async {
            loop {
                let acked = self.acked.notified();
                tokio::pin!(acked);
                acked.as_mut().enable();
                let have = acknowledged();
                if have.is_none_or(|have| have >= count) {
                    return have;
                }
                acked.await;
            }
        };
        if timeout_ms == 0 {
            return enough.await;
        }
        match tokio::time::timeout(std::time::Duration::from_millis(timeout_ms), enough).await {
            Ok(have) => have,
            Err(_) => acknowledged(),
        }
    }

    /// How many replicas have everything up to `offset`.
    pub fn acknowledged(&self, offset: ReplOffset) -> usize {
        self.acks.lock().count_acked(offset)
    }

    /// Waits until every replica that is online has everything up to `offset`.
    pub async fn wait_for_all(&self, offset: ReplOffset) {
        loop {
            let changed = self.acked.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let behind = |replica: &ReplicaInfo| replica.state == "online" && replica.acked < offset;
            if !self.state.lock().replicas.iter().any(behind) {
                return;
            }
            changed.await;
        }
    }

    /// A replica's news.
    pub(crate) fn update_replica(&self, info: ReplicaInfo) {
        if info.state == "online" {
            self.acks.lock().record(info.id, Ack { offset: info.acked, at_ms: info.acked_at_ms });
        }
        let mut state = self.state.lock();
        state.no_replicas_since = None;
        match state.replicas.iter_mut().find(|known| known.id == info.id) {
            Some(known) => *known = info,
            None => state.replicas.push(info),
        }
        drop(state);
        self.acked.notify_waiters();
    }

    /// A replica's link has ended.
    pub(crate) fn forget_replica(&self, id: ReplicaId) {
        self.acks.lock().remove(id);
        let mut state = self.state.lock();
        state.replicas.retain(|replica| replica.id != id);
        if state.replicas.is_empty() {
            state.no_replicas_since = Some(Instant::now());
        }
        drop(state);
        self.acked.notify_waiters();
    }

    /// Whether there are links of replicas.
    pub fn has_replicas(&self) -> bool {
        !self.state.lock().replicas.is_empty()
    }

    /// Whether a primary has been without replicas for so long that its log can go.
    pub(crate) fn is_log_idle(&self, ttl_seconds: i64) -> bool {
        let state = self.state.lock();
        let since = state.no_replicas_since.filter(|_| state.master.is_none() && ttl_seconds > 0);
        since.is_some_and(|since| since.elapsed().as_secs() >= ttl_seconds as u64)
    }

    /// Begins to log effects, under a new history: what happened before was not logged. The caller owns the gate.
    pub(crate) fn activate_log(&self, log: &Log) {
        if !log.is_active() {
            self.state.lock().history.restart(random_id());
            log.activate();
        }
    }

    /// Stops logging. The caller owns the gate.
    pub(crate) fn deactivate_log(&self, log: &Log) {
        log.deactivate();
        let mut state = self.state.lock();
        state.history.restart(random_id());
        state.no_replicas_since = None;
    }

    /// The data set is now what the primary had at `position`. The caller owns the gate.
    pub(crate) fn restart_at(&self, log: &Log, position: Position) {
        self.state.lock().history.restart(position.id);
        log.reset(position.offset);
    }

    /// The primary goes on under another id. The caller owns the gate.
    pub(crate) fn branch(&self, engine: &Engine, id: ReplId) {
        self.state.lock().history.branch(id, engine.log.end());
        self.close_replicas(engine);
    }

    /// How the link stands that belongs to the role of `epoch`.
    pub(crate) fn set_link(&self, status: Status, epoch: u64) {
        let mut state = self.state.lock();
        if state.master.is_some() && self.epoch() == epoch {
            state.link = Some(status);
        }
    }

    pub(crate) async fn request_snapshot(&self, request: SnapshotRequest) -> bool {
        self.snapshots.send(request).await.is_ok()
    }
}
