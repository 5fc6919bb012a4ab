//! What all parts of a server share.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use redkeep_replication::log::Log;
use redkeep_resp::ReplyWriter;
use redkeep_store::{Exclusive, Keyspace, Shared};
use tokio::sync::Notify;

use crate::client::Clients;
use crate::commands::Suspension;
use crate::config::{Config, Settings};
use crate::disposal::Disposal;
use crate::notify;
use crate::observers::Observers;
use crate::persist::{self, Persistence};
use crate::pubsub::PubSub;
use crate::repl::Replication;
use crate::shutdown::{self, Shutdown};
use crate::stats::Stats;

/// Conditions under which commands are refused; bits of [`Engine::policy`].
pub mod policy {
    /// A replica that takes no writes from clients.
    pub const READ_ONLY: u32 = 1;
    /// A data set is being loaded.
    pub const LOADING: u32 = 1 << 1;
    /// A replica whose link is down, told not to serve stale data.
    pub const STALE: u32 = 1 << 2;
    /// Memory is over `maxmemory`.
    pub const OUT_OF_MEMORY: u32 = 1 << 3;
    /// Fewer good replicas than `min-replicas-to-write`.
    pub const NO_REPLICAS: u32 = 1 << 4;
    /// This server follows another: what clients change is not logged, and keys expire when the primary says so.
    pub const REPLICA: u32 = 1 << 5;
    /// The server is about to end: writes of clients wait, so that none is acknowledged that would be lost.
    pub const SHUTTING_DOWN: u32 = 1 << 6;
}

/// The reply to those who waited for acknowledgements of another role's history.
const ROLE_CHANGED: &str =
    "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)";

/// Users of the gate and of the log that are no workers; each has a slot after those of the workers.
#[derive(Debug, Clone, Copy)]
#[repr(usize)]
pub enum Background {
    /// Periodic work: expiry.
    Cron,
    /// The link to the primary, which applies its stream, and loading.
    Upstream,
    /// Snapshots.
    Snapshot,
    /// Pings to replicas and other entries of the log that belong to links.
    Links,
}

const BACKGROUND_SLOTS: usize = 4;

/// What the program around a server gives it.
#[derive(Clone, Copy)]
pub struct Host {
    /// How many bytes the process has allocated, for `used_memory` and `maxmemory`.
    pub memory: fn() -> usize,
    /// Changes how much is logged, for `CONFIG SET loglevel`.
    pub set_loglevel: Option<fn(&str)>,
}

impl Default for Host {
    /// Memory is what the kernel says is in RAM; the log level is the program's own business.
    fn default() -> Self {
        Host { memory: || crate::info::resident_bytes() as usize, set_loglevel: None }
    }
}

/// The reply of a command that had to wait.
#[derive(Debug)]
pub enum SuspendedReply {
    /// `+OK`.
    Ok,
    /// A number.
    Integer(i64),
    /// An error line.
    Error(String),
}

impl SuspendedReply {
    /// Writes it.
    pub fn write(&self, reply: &mut ReplyWriter<'_>) {
        match self {
            SuspendedReply::Ok => reply.ok(),
            SuspendedReply::Integer(n) => reply.integer(*n),
            SuspendedReply::Error(line) => reply.error(line),
        }
    }
}

/// A server without its threads and sockets.
pub struct Engine {
    /// All keys.
    pub keyspace: Keyspace<Observers>,
    /// The configuration.
    pub config: Config,
    /// Where large values are dropped.
    pub disposal: Disposal,
    /// The replication log.
    pub log: Arc<Log>,
    /// All connections.
    pub clients: Clients,
    /// All subscriptions.
    pub pubsub: PubSub,
    /// All counters.
    pub stats: Stats,
    /// The role, the primary, the replicas.
    pub replication: Replication,
    /// Snapshots on disk.
    pub persistence: Persistence,
    /// Held by the snapshot that runs.
    pub snapshots: Arc<tokio::sync::Mutex<()>>,
    /// How the server ends.
    pub shutdown: Shutdown,
    /// Woken when the gate is released.
    pub gate_released: Notify,
    /// Woken when clients may write again.
    pub writes_resumed: Notify,
    /// Bits of [`policy`].
    pub policy: AtomicU32,
    /// 40 random hexadecimal digits, new at each start.
    pub run_id: String,
    /// When it started.
    pub started: Instant,
    /// The port it listens on, for those who ask.
    pub port: u16,
    workers: usize,
    memory: fn() -> usize,
    set_loglevel: Option<fn(&str)>,
}

impl Engine {
    /// A server with no keys, as it is configured and reached on `port`.
    pub fn new(settings: Settings, file: Option<PathBuf>, port: u16, host: &Host) -> Arc<Self> {
        let workers = settings.workers();
        let slots = workers + BACKGROUND_SLOTS;
        let log = Log::new(slots, settings.repl_backlog_size);
        Arc::new(Engine {
            keyspace: Keyspace::new(settings.databases as usize, fastrand::u64(..), slots),
            disposal: Disposal::default(),
            replication: Replication::default(),
            snapshots: Arc::default(),
            persistence: Persistence::default(),
            config: Config::new(settings, file),
            log,
            clients: Clients::default(),
            pubsub: PubSub::default(),
            stats: Stats::new(slots),
            shutdown: Shutdown::default(),
            gate_released: Notify::new(),
            writes_resumed: Notify::new(),
            policy: AtomicU32::new(0),
            run_id: (0..40).map(|_| fastrand::digit(16)).collect(),
            started: Instant::now(),
            port,
            workers,
            memory: host.memory,
            set_loglevel: host.set_loglevel,
        })
    }

    /// The number of workers; their slots are those below it.
    pub fn workers(&self) -> usize {
        self.workers
    }

    /// The slot of a user of the gate that is no worker.
    pub fn background_slot(&self, user: Background) -> usize {
        self.workers + user as usize
    }

    /// The wall clock: milliseconds since 1970.
    pub fn now_ms() -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_millis() as u64
    }

    /// Bytes allocated by the process.
    pub fn used_memory(&self) -> usize {
        let used = (self.memory)();
        self.stats.peak_memory.fetch_max(used as u64, Ordering::Relaxed);
        used
    }

    /// Waits until the gate is not claimed.
    pub async fn wait_for_gate(&self) {
        loop {
            let released = self.gate_released.notified();
            tokio::pin!(released);
            released.as_mut().enable();
            if !self.keyspace.gate().is_claimed() {
                return;
            }
            released.await;
        }
    }

    /// Waits until clients may write: for ever, if the server ends.
    pub async fn wait_for_writes(&self) {
        loop {
            let resumed = self.writes_resumed.notified();
            tokio::pin!(resumed);
            resumed.as_mut().enable();
            if self.policy.load(Ordering::Acquire) & policy::SHUTTING_DOWN == 0 {
                return;
            }
            resumed.await;
        }
    }

    /// Enters the gate, waiting while it is claimed.
    pub async fn enter(&self, slot: usize) -> Shared<'_> {
        loop {
            if let Some(shared) = self.keyspace.gate().enter(slot) {
                return shared;
            }
            self.wait_for_gate().await;
        }
    }

    /// Claims the gate, waiting while somebody else has. Release it by [`Engine::release`].
    pub async fn claim(&self) -> Exclusive {
        loop {
            if let Some(claim) = self.keyspace.gate().try_claim() {
                return claim;
            }
            self.wait_for_gate().await;
        }
    }

    /// Releases the gate and wakes those who wait for it.
    pub fn release(&self, claim: Exclusive) {
        drop(claim);
        self.gate_released.notify_waiters();
    }

    /// Waits for what suspended a connection; the reply that it then gets.
    pub async fn wait_out(self: &Arc<Self>, suspension: Suspension) -> SuspendedReply {
        match suspension {
            Suspension::Replicas { count, offset, epoch, timeout_ms } => {
                match self.replication.wait(count, offset, epoch, timeout_ms).await {
                    Some(have) => SuspendedReply::Integer(have as i64),
                    None => SuspendedReply::Error(ROLE_CHANGED.into()),
                }
            }
            // What a client began goes on when it disconnects; so the next two are tasks of their own.
            Suspension::Save => {
                let engine = self.clone();
                match tokio::spawn(async move { persist::save(&engine).await }).await {
                    Ok(Ok(())) => SuspendedReply::Ok,
                    Ok(Err(error)) => SuspendedReply::Error(format!("ERR {error}")),
                    Err(error) => SuspendedReply::Error(format!("ERR {error}")),
                }
            }
            Suspension::Shutdown { save, now, force } => {
                let engine = self.clone();
                match tokio::spawn(async move { shutdown::prepare(&engine, save, now, force).await }).await {
                    // The process ends before the reply could be sent, and Redis sends none.
                    Ok(Ok(())) => std::future::pending().await,
                    _ => SuspendedReply::Error("ERR Errors trying to SHUTDOWN. Check logs.".into()),
                }
            }
        }
    }

    /// Does what follows from settings that have changed.
    pub fn apply_settings(&self, settings: &Settings) {
        self.log.resize(settings.repl_backlog_size);
        self.replication.reconfigure();
        self.replication.refresh_policy(self, settings);
        if let Some(set_level) = self.set_loglevel {
            set_level(settings.loglevel);
        }
    }

    /// Sets or clears bits of [`policy`].
    pub fn set_policy(&self, bits: u32, on: bool) {
        if on {
            self.policy.fetch_or(bits, Ordering::Release);
        } else {
            self.policy.fetch_and(!bits, Ordering::Release);
        }
    }

    /// Publishes a keyspace notification, if the configuration asks for its class.
    pub fn publish_event(&self, settings: &Settings, db: usize, key: &[u8], class: u32, event: &str) {
        if settings.keyspace_events & class == 0 {
            return;
        }
        let limit = &settings.output_limits.pubsub;
        if settings.keyspace_events & notify::KEYSPACE != 0 {
            let channel = [format!("__keyspace@{db}__:").as_bytes(), key].concat();
            self.pubsub.publish(&channel, event.as_bytes(), limit);
        }
        if settings.keyspace_events & notify::KEYEVENT != 0 {
            let channel = format!("__keyevent@{db}__:{event}");
            self.pubsub.publish(channel.as_bytes(), key, limit);
        }
    }
}
