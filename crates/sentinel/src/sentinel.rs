//! The embeddable sentinel: made by a builder, held by a handle.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU8;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use redkeep_resp::net::Listener;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::api::{self, Api};
use crate::config::{MasterConfig, SentinelConfig};
use crate::core::event::Event;
use crate::core::ids::{Addr, SentinelId};
use crate::core::node::{Identity, Node, Output};
use crate::core::topology::{Monitored, Settings, Topology};
use crate::lead::Lead;
use crate::link::{LinkContext, Links, PeerTransport};
use crate::local::SharedLocal;
use crate::private::PrivateFiles;
use crate::raft::storage::dir::replace;
use crate::raft::{
    BootstrapOptions, Group, GroupOptions, OpenError, PeerAddress, Sighting, Source, Standing, Timings,
};
use crate::runtime::{EVENT_QUEUE, INPUT_QUEUE, LINK_QUEUE, Runtime, SCRIPT_QUEUE, Shared, outward_host};
use crate::scripts;

/// Why a sentinel did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// It cannot listen.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Where.
        address: String,
        /// Why not.
        source: io::Error,
    },
    /// Its state directory cannot be used.
    #[error("{}: {source}", dir.display())]
    State {
        /// The directory.
        dir: PathBuf,
        /// What is wrong.
        source: io::Error,
    },
    /// Its part in the group cannot be opened.
    #[error(transparent)]
    Group(#[from] OpenError),
}

/// Makes a [`Sentinel`].
#[derive(Clone, Debug, Default)]
pub struct SentinelBuilder {
    config: SentinelConfig,
    config_file: Option<PathBuf>,
    state_dir: Option<PathBuf>,
    timings: Timings,
}

impl SentinelBuilder {
    /// Takes a whole configuration; what was set before is lost.
    #[must_use]
    pub fn config(mut self, config: SentinelConfig) -> Self {
        self.config = config;
        self
    }

    /// The path that `INFO` shows as the configuration file's.
    #[must_use]
    pub fn config_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.config_file = Some(path.into());
        self
    }

    /// Listens on this address and port; port 0: any free one.
    #[must_use]
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.config.bind = vec![address.ip().to_string()];
        self.config.port = address.port();
        self
    }

    /// Keeps the state in a directory below this one, named after the port.
    #[must_use]
    pub fn dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.config.dir = Some(dir.into());
        self
    }

    /// Keeps the state in exactly this directory, whatever the port.
    #[must_use]
    pub fn state_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.state_dir = Some(dir.into());
        self
    }

    /// Monitors a master.
    #[must_use]
    pub fn monitor(mut self, name: impl Into<String>, address: Addr, settings: Settings) -> Self {
        let master = MasterConfig {
            address,
            settings,
            epoch: Default::default(),
            replicas: Default::default(),
            sentinels: Default::default(),
        };
        self.config.masters.insert(name.into(), master);
        self
    }

    /// How long the set of sentinels must have been the same before they form a group. Default: 5 s.
    #[must_use]
    pub fn settle(mut self, duration: Duration) -> Self {
        self.config.settle_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        self
    }

    /// Raft's timings; all sentinels of a group should have the same.
    #[must_use]
    pub fn timings(mut self, timings: Timings) -> Self {
        self.timings = timings;
        self
    }

    /// Changes the configuration in place, for what has no method of its own.
    #[must_use]
    pub fn configure(mut self, change: impl FnOnce(&mut SentinelConfig)) -> Self {
        change(&mut self.config);
        self
    }

    /// Starts the sentinel on the current tokio runtime.
    ///
    /// # Errors
    /// When it cannot listen, or cannot use its state directory.
    pub async fn start(self) -> Result<Sentinel, StartError> {
        let Self { mut config, config_file, state_dir, timings } = self;
        let listeners = listen(&config)?;
        let port = listeners.first().and_then(Listener::local_addr).map_or(config.port, |addr| addr.port());
        let local_addr = listeners.first().and_then(Listener::local_addr);
        let dir = state_dir.unwrap_or_else(|| {
            config.dir.clone().unwrap_or_else(|| PathBuf::from(".")).join(format!("redkeep-sentinel-{port}"))
        });
        let state = |source| StartError::State { dir: dir.clone(), source };
        std::fs::create_dir_all(&dir).map_err(state)?;
        let private = PrivateFiles::open(dir.clone()).map_err(state)?;
        private.read(&mut config).map_err(state)?;
        let id = public_id(&dir, config.myid).map_err(state)?;
        let identity = Identity {
            id,
            port,
            announce_host: config.local.announce_ip.clone(),
            announce_port: config.local.announce_port,
        };
        let local: SharedLocal = Arc::new(RwLock::new(config.local.clone()));
        let group = open_group(&config, &identity, dir, timings, &local).await?;
        let started = Started { config, config_file, identity, group, local, private, listeners, local_addr };
        Ok(started.run())
    }
}

/// The public id: the configured one, else the one made at the first start.
fn public_id(dir: &std::path::Path, configured: Option<SentinelId>) -> io::Result<SentinelId> {
    let path = dir.join("myid");
    if let Some(id) = configured {
        return Ok(id);
    }
    match std::fs::read_to_string(&path) {
        Ok(text) => text.trim().parse().map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let id = SentinelId::from_bytes(std::array::from_fn(|_| fastrand::u8(..)));
            replace(&path, format!("{id}\n").as_bytes())?;
            Ok(id)
        }
        Err(error) => Err(error),
    }
}

/// Listens on all configured addresses. Port 0 is chosen once, and then the same for all.
fn listen(config: &SentinelConfig) -> Result<Vec<Listener>, StartError> {
    let mut listeners: Vec<Listener> = Vec::new();
    let mut port = config.port;
    for text in &config.bind {
        let optional = text.starts_with('-');
        let host = text.trim_start_matches('-');
        let ip = match host {
            "*" => Some(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
            "::*" => Some(IpAddr::V6(Ipv6Addr::UNSPECIFIED)),
            host => host.parse().ok(),
        };
        let failed = |source| StartError::Listen { address: format!("{host}:{port}"), source };
        let ip = ip.ok_or_else(|| failed(io::Error::from(io::ErrorKind::InvalidInput)))?;
        match Listener::tcp(SocketAddr::new(ip, port), config.tcp_backlog) {
            Ok(listener) => {
                port = listener.local_addr().map_or(port, |addr| addr.port());
                listeners.push(listener);
            }
            Err(error) if optional => tracing::debug!(host, %error, "not listening there"),
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(listeners)
}

async fn open_group(
    config: &SentinelConfig,
    identity: &Identity,
    dir: PathBuf,
    timings: Timings,
    local: &SharedLocal,
) -> Result<Group<Topology>, OpenError> {
    let first = config.masters.values().next();
    let outward = identity.announce_host.clone().or_else(|| outward_host(&first?.address));
    let host = outward.unwrap_or_else(|| Ipv4Addr::LOCALHOST.to_string());
    let group = Group::open(GroupOptions {
        dir,
        public_id: identity.id,
        address: PeerAddress::new(host, identity.announce_port.unwrap_or(identity.port)),
        timings,
        bootstrap: BootstrapOptions { settle_ms: config.settle_ms, peers: config.peers.clone() },
        transport: Arc::new(PeerTransport::new(Arc::clone(local))),
    })
    .await?;
    for (id, address) in config.masters.values().flat_map(|master| &master.sentinels) {
        if *id != identity.id {
            let address = PeerAddress::from(address);
            let (public_id, group_id, source) = (*id, None, Source::Configured);
            group.sighted(Sighting { public_id, address, group: group_id, source });
        }
    }
    Ok(group)
}

/// Everything that a sentinel runs on, opened and not running.
struct Started {
    config: SentinelConfig,
    config_file: Option<PathBuf>,
    identity: Identity,
    group: Group<Topology>,
    local: SharedLocal,
    private: PrivateFiles,
    listeners: Vec<Listener>,
    local_addr: Option<SocketAddr>,
}

impl Started {
    /// Makes the node and spawns everything: the main loop, the scripts' task, and one task for each listener.
    fn run(self) -> Sentinel {
        let deliveries = self.group.events();
        let applied = self.group.watch().borrow().clone();
        let member = matches!(self.group.leadership().standing, Standing::Member(_) | Standing::Forgotten(_));
        let (node, first) = self.node(member.then(|| Topology::clone(&applied.state)));
        let (inputs, input_queue) = mpsc::channel(INPUT_QUEUE);
        let (link_events, link_queue) = mpsc::channel(LINK_QUEUE);
        let (stop, stopping) = watch::channel(false);
        let (scripts, script_calls) = mpsc::channel(SCRIPT_QUEUE);
        let script_queue = scripts::Queue::default();
        let shared = Arc::new(Shared {
            node: Mutex::new(node),
            group: self.group.clone(),
            local: Arc::clone(&self.local),
            events: broadcast::Sender::new(EVENT_QUEUE),
            inputs,
            started: Instant::now(),
            simulated_failures: AtomicU8::new(0),
            stop,
        });
        let context = LinkContext { me: self.identity.id, local: self.local, events: link_events };
        let runtime = Runtime {
            shared: Arc::clone(&shared),
            links: Links::new(context),
            link_events: link_queue,
            inputs: input_queue,
            stop: stopping.clone(),
            replayed: self.group.status().last_log_index,
            proposals: Runtime::proposals(),
            scripts,
            deliveries,
            applied: member.then_some(applied.index),
            lead: Lead::default(),
        };
        let api = Arc::new(Api {
            shared: Arc::clone(&shared),
            clients: Default::default(),
            port: self.identity.port,
            config_file: self.config_file.map_or_else(String::new, |path| path.display().to_string()),
            run_id: SentinelId::from_bytes(std::array::from_fn(|_| fastrand::u8(..))).to_string(),
            statistics: Default::default(),
            protected: self.config.protected_mode,
            private: self.private,
            scripts: script_queue.clone(),
        });
        let mut tasks = JoinSet::new();
        for listener in self.listeners {
            tasks.spawn(api::serve(Arc::clone(&api), listener, stopping.clone()));
        }
        tasks.spawn(scripts::run(script_calls, script_queue, shared.events.clone()));
        tasks.spawn(runtime.run(first));
        Sentinel { shared, tasks, local_addr: self.local_addr }
    }

    fn node(&self, group: Option<Topology>) -> (Node, Vec<Output>) {
        let by = self.identity.id;
        let seeds = self.config.masters.iter().map(|(name, master)| Monitored {
            replicas: master.replicas.clone(),
            sentinels: master.sentinels.clone(),
            epoch: master.epoch,
            ..Monitored::new(by, name.clone(), master.address.clone(), master.settings.clone())
        });
        Node::new(0, self.identity.clone(), seeds.collect(), group)
    }
}

/// A running sentinel. Dropping it stops it without waiting; [`shutdown`](Self::shutdown) waits.
///
/// It touches nothing global: no signals, no working directory, no logging; several run in one process.
///
/// ```
/// use redkeep_sentinel::{Addr, Sentinel, Settings};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// let sentinel = Sentinel::builder()
///     .listen("127.0.0.1:0".parse()?)
///     .dir(dir.path())
///     .monitor("mymaster", Addr::new("127.0.0.1", 6379), Settings::new(2))
///     .start()
///     .await?;
/// assert_eq!(sentinel.master_addr("mymaster"), Some(Addr::new("127.0.0.1", 6379)));
/// sentinel.shutdown().await;
/// # Ok(())
/// # }
/// ```
pub struct Sentinel {
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
    local_addr: Option<SocketAddr>,
}

impl Sentinel {
    /// A sentinel with Redis's defaults, to be told what to monitor.
    #[must_use]
    pub fn builder() -> SentinelBuilder {
        SentinelBuilder::default()
    }

    /// The first address that it listens on.
    #[must_use]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.local_addr
    }

    /// Its public id, as `SENTINEL MYID` gives it.
    #[must_use]
    pub fn id(&self) -> SentinelId {
        self.shared.node.lock().identity().id
    }

    /// Where the master of this name is, as `SENTINEL GET-MASTER-ADDR-BY-NAME` answers it.
    #[must_use]
    pub fn master_addr(&self, name: &str) -> Option<Addr> {
        let node = self.shared.node.lock();
        node.topology().masters.get(name).map(|master| master.primary().clone())
    }

    /// Whether this sentinel leads its group, and so carries out failovers.
    #[must_use]
    pub fn is_leader(&self) -> bool {
        self.shared.node.lock().is_leading()
    }

    /// The group of sentinels that this one belongs to.
    #[must_use]
    pub fn group(&self) -> &Group<Topology> {
        &self.shared.group
    }

    /// What happens from now on. Its own subscribers see the same.
    #[must_use]
    pub fn events(&self) -> EventStream {
        EventStream { receiver: self.shared.events.subscribe() }
    }

    /// Waits until a client has stopped the sentinel with SHUTDOWN.
    pub async fn stopped(&self) {
        let mut stop = self.shared.stop.subscribe();
        // The sender is ours, so the wait cannot fail.
        drop(stop.wait_for(|stop| *stop).await);
    }

    /// Stops the sentinel: clients are disconnected, the group's files closed and unlocked.
    pub async fn shutdown(mut self) {
        self.shared.stop.send_replace(true);
        while self.tasks.join_next().await.is_some() {}
        self.shared.group.shutdown().await;
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        self.shared.stop.send_replace(true);
    }
}

/// The events of a sentinel, in order.
pub struct EventStream {
    receiver: broadcast::Receiver<Arc<Event>>,
}

impl EventStream {
    /// Waits for the next event; `None` when the sentinel has stopped. A receiver that is too slow misses the oldest,
    /// and goes on with the next that is left.
    pub async fn next(&mut self) -> Option<Arc<Event>> {
        loop {
            match self.receiver.recv().await {
                Ok(event) => return Some(event),
                Err(broadcast::error::RecvError::Lagged(missed)) => {
                    tracing::warn!(missed, "a receiver of events is too slow");
                }
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}
