//! The cluster of a round: three data nodes, three sentinels, and what they say about themselves.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;
use tokio::time::sleep;

use crate::history::NodeIndex;
use crate::link::{self, Link};
use crate::network::{Host, Network};
use crate::process::Process;
use crate::system::{MASTER_NAME, Settings, System};

const SIZE: usize = 3;
/// How long a new cluster, or one after a fault, may take to have one primary and two replicas in sync.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(60);
/// Sentinels look for replicas every ten seconds; those that are linked when they start are seen at once.
const LINK_TIMEOUT: Duration = Duration::from_secs(3);
const POLL: Duration = Duration::from_millis(100);

/// Where everything runs. Made once; the clusters of all rounds use the same hosts.
pub struct Hosts {
    /// Data nodes; the first starts as primary.
    pub nodes: Vec<Host>,
    /// Sentinels.
    pub sentinels: Vec<Host>,
    /// Half of the clients, when the network is to be cut.
    pub island: Host,
}

impl Hosts {
    /// Makes all hosts.
    ///
    /// # Errors
    /// When the network cannot.
    pub fn new(network: &mut Network) -> Result<Hosts> {
        let mut group = |kind: &str, port| -> Result<Vec<Host>> {
            (1..=SIZE).map(|number| network.host(&format!("{kind}-{number}"), port)).collect()
        };
        Ok(Hosts {
            nodes: group("node", 6379)?,
            sentinels: group("sentinel", 26379)?,
            island: network.host("island", 0)?,
        })
    }

    /// Addresses of the data nodes.
    pub fn node_addresses(&self) -> Vec<SocketAddr> {
        self.nodes.iter().map(Host::address).collect()
    }

    /// Addresses of the sentinels.
    pub fn sentinel_addresses(&self) -> Vec<SocketAddr> {
        self.sentinels.iter().map(Host::address).collect()
    }
}

/// A running cluster. Dropping it kills its processes and, unless told to keep it, removes its folder.
pub struct Cluster<'a> {
    system: System,
    hosts: &'a Hosts,
    // Processes come before the folder: fields are dropped in this order.
    nodes: Vec<Process>,
    sentinels: Vec<Process>,
    folder: TempDir,
}

/// What can be seen of a cluster from outside.
#[derive(Debug, Default)]
pub struct Health {
    /// The node that every sentinel names.
    pub agreed: Option<NodeIndex>,
    /// Nodes that say they are a primary.
    pub masters: Vec<NodeIndex>,
    /// Replicas of the agreed primary that hold all it has.
    pub in_sync: usize,
    /// Sentinels that know both others and both replicas, and could replace the primary.
    pub informed_sentinels: usize,
}

impl Health {
    /// One primary, known to all, with all others in sync.
    pub fn is_settled(&self) -> bool {
        self.agreed.is_some_and(|primary| self.masters == [primary]) && self.in_sync == SIZE - 1
    }
}

impl<'a> Cluster<'a> {
    /// Starts all processes and waits until the cluster is settled and accepts a write.
    ///
    /// # Errors
    /// When a process ends by itself, or the cluster does not settle in time. The folder with the logs is then kept and named.
    pub async fn start(system: &System, hosts: &'a Hosts, settings: &Settings) -> Result<Cluster<'a>> {
        let folder = tempfile::Builder::new().prefix("redkeep-jepsen-").tempdir()?;
        let mut cluster =
            Cluster { system: system.clone(), hosts, nodes: Vec::new(), sentinels: Vec::new(), folder };
        let started = cluster.start_all(settings).await;
        match started {
            Ok(()) => Ok(cluster),
            Err(error) => {
                let logs = cluster.keep();
                Err(error.context(format!("the cluster did not start; its logs are in {}", logs.display())))
            }
        }
    }

    async fn start_all(&mut self, settings: &Settings) -> Result<()> {
        let hosts = self.hosts;
        let first = hosts.nodes[0].address();
        for (index, host) in hosts.nodes.iter().enumerate() {
            let dir = self.make_dir(host)?;
            let primary = (index > 0).then_some(first);
            let text = self.system.server_conf(host.address(), primary, &dir, settings);
            std::fs::write(dir.join("node.conf"), text)?;
            let process = self.start_node(index)?;
            self.nodes.push(process);
        }
        self.wait_for_links().await;
        for host in &hosts.sentinels {
            let dir = self.make_dir(host)?;
            let conf = dir.join("sentinel.conf");
            std::fs::write(&conf, self.system.sentinel_conf(host.address(), first, &dir, settings))?;
            self.sentinels.push(Process::start(host, self.system.sentinel(&conf))?);
        }
        self.wait_until_it_serves().await
    }

    fn make_dir(&self, host: &Host) -> Result<PathBuf> {
        let dir = self.folder.path().join(host.name());
        std::fs::create_dir(&dir)?;
        Ok(dir)
    }

    fn start_node(&self, index: NodeIndex) -> Result<Process> {
        let host = &self.hosts.nodes[index];
        Process::start(host, self.system.server(&self.folder.path().join(host.name()).join("node.conf")))
    }

    /// Gives replicas time to link, if they do so without being told by sentinels.
    async fn wait_for_links(&self) {
        let start = Instant::now();
        while start.elapsed() < LINK_TIMEOUT && self.replicas_in_sync(0).await < SIZE - 1 {
            sleep(POLL).await;
        }
    }

    async fn wait_until_it_serves(&mut self) -> Result<()> {
        let start = Instant::now();
        loop {
            self.expect_all_alive()?;
            let health = self.health().await;
            if health.is_settled()
                && health.informed_sentinels == SIZE
                && self.accepts_writes(health.masters[0]).await
            {
                return Ok(());
            }
            if start.elapsed() > SETTLE_TIMEOUT {
                bail!("not ready after {SETTLE_TIMEOUT:?}: {health:?}");
            }
            sleep(POLL).await;
        }
    }

    /// Fails if a process has ended by itself.
    ///
    /// # Errors
    /// With the name of its host and its exit status.
    pub fn expect_all_alive(&mut self) -> Result<()> {
        let hosts = self.hosts.nodes.iter().chain(&self.hosts.sentinels);
        for (process, host) in self.nodes.iter_mut().chain(&mut self.sentinels).zip(hosts) {
            process.expect_alive().with_context(|| host.name().to_owned())?;
        }
        Ok(())
    }

    async fn accepts_writes(&self, node: NodeIndex) -> bool {
        let Ok(mut link) = Link::open(self.hosts.nodes[node].address()).await else { return false };
        link.ask(&["SET", "jepsen:probe", "1"]).await.is_ok()
    }

    /// Waits until there is one primary with all others in sync. False when that takes too long.
    pub async fn settles(&self) -> bool {
        let start = Instant::now();
        while start.elapsed() < SETTLE_TIMEOUT {
            if self.health().await.is_settled() {
                return true;
            }
            sleep(POLL).await;
        }
        false
    }

    /// Asks everybody.
    pub async fn health(&self) -> Health {
        let mut health = Health { agreed: self.agreed_primary().await, ..Health::default() };
        for index in 0..SIZE {
            if self.info(index).await.is_ok_and(|info| info.get("role").is_some_and(|role| role == "master"))
            {
                health.masters.push(index);
            }
        }
        if let Some(primary) = health.agreed {
            health.in_sync = self.replicas_in_sync(primary).await;
        }
        for sentinel in self.hosts.sentinel_addresses() {
            health.informed_sentinels += usize::from(is_informed(sentinel).await.unwrap_or(false));
        }
        health
    }

    /// The node that most sentinels name, for reading where they do not all agree.
    pub async fn most_named_primary(&self) -> Option<NodeIndex> {
        let mut votes: HashMap<NodeIndex, usize> = HashMap::new();
        for node in self.named_primaries().await.into_iter().flatten() {
            *votes.entry(node).or_default() += 1;
        }
        votes.into_iter().max_by_key(|(_, count)| *count).map(|(node, _)| node)
    }

    async fn agreed_primary(&self) -> Option<NodeIndex> {
        let named = self.named_primaries().await;
        let first = *named.first()?;
        named.iter().all(|other| *other == first).then_some(first)?
    }

    async fn named_primaries(&self) -> Vec<Option<NodeIndex>> {
        let nodes = self.hosts.node_addresses();
        let mut named = Vec::new();
        for sentinel in self.hosts.sentinel_addresses() {
            let address = link::primary_address(sentinel).await.ok();
            named.push(address.and_then(|address| nodes.iter().position(|node| *node == address)));
        }
        named
    }

    async fn replicas_in_sync(&self, primary: NodeIndex) -> usize {
        let Ok(primary_info) = self.info(primary).await else { return 0 };
        let address = self.hosts.nodes[primary].address();
        let mut in_sync = 0;
        for index in (0..SIZE).filter(|index| *index != primary) {
            let Ok(info) = self.info(index).await else { continue };
            let is = |field: &str, value: &str| info.get(field).is_some_and(|found| found == value);
            let linked = is("role", "slave")
                && is("master_link_status", "up")
                && is("master_host", &address.ip().to_string())
                && is("master_port", &address.port().to_string());
            let offset = |info: &HashMap<String, String>, field: &str| info.get(field)?.parse::<u64>().ok();
            let behind = offset(&info, "slave_repl_offset") < offset(&primary_info, "master_repl_offset");
            in_sync += usize::from(linked && !behind);
        }
        in_sync
    }

    async fn info(&self, node: NodeIndex) -> Result<HashMap<String, String>> {
        Link::open(self.hosts.nodes[node].address()).await?.info().await
    }

    /// A data node's process.
    pub fn node(&mut self, index: NodeIndex) -> &mut Process {
        &mut self.nodes[index]
    }

    /// Starts a killed data node again, with the configuration and data that it left.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn restart(&mut self, index: NodeIndex) -> Result<()> {
        self.nodes[index] = self.start_node(index)?;
        Ok(())
    }

    /// Where it runs.
    pub fn hosts(&self) -> &'a Hosts {
        self.hosts
    }

    /// Ends the cluster but keeps its folder, with configuration, logs and data.
    pub fn keep(mut self) -> PathBuf {
        self.folder.disable_cleanup(true);
        self.folder.path().to_path_buf()
    }
}

/// Whether the sentinel knows both others and both replicas.
async fn is_informed(sentinel: SocketAddr) -> Result<bool> {
    let mut link = Link::open(sentinel).await?;
    let reply = link.ask(&["SENTINEL", "master", MASTER_NAME]).await?;
    let pairs = reply.into_pairs().context("SENTINEL master gave no map")?;
    let number = |name: &str| {
        pairs.iter().find(|(key, _)| key.as_str() == Some(name)).and_then(|(_, value)| value.as_int())
    };
    let others = (SIZE - 1) as i64;
    // An error while nobody could lead a failover: a group of sentinels takes some seconds to find itself.
    link.ask(&["SENTINEL", "CKQUORUM", MASTER_NAME]).await?;
    Ok(number("num-other-sentinels") == Some(others) && number("num-slaves") == Some(others))
}
