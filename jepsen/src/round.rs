//! One round: start, write, strike, heal, settle, read back, judge.

use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::checker::{self, Verdict};
use crate::cluster::{Cluster, Hosts};
use crate::history::{Clock, History, NodeIndex, Write};
use crate::link::Link;
use crate::nemesis::{Field, Nemesis};
use crate::network::{Host, Network};
use crate::system::{Settings, System};
use crate::workload::Workload;
use crate::writer::{Shared, Writer};

/// How long reading everything back may take.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
const READ_RETRY: Duration = Duration::from_millis(200);

/// What a round is about.
#[derive(Clone, Debug, Serialize)]
pub struct Plan {
    /// The system under test.
    pub system: System,
    /// The fault.
    pub nemesis: Nemesis,
    /// Configuration beside the addresses.
    pub settings: Settings,
    /// Number of clients.
    pub clients: usize,
    /// Between two writes of a client.
    pub pace: Duration,
    /// Timeout of the impatient clients' writes.
    pub op_timeout: Duration,
    /// Writing before the fault.
    pub warm_up: Duration,
    /// Writing after the fault is healed.
    pub after_heal: Duration,
}

/// How a round went.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// What the checkers found.
    pub verdict: Verdict,
    /// Whether there was one primary with all replicas in sync at the end.
    pub settled: bool,
    /// Nodes that called themselves primary at the end.
    pub masters_at_end: usize,
}

/// Runs a round. `keep` says, from the outcome, whether the folder with logs and data is kept; it is named on stderr then.
///
/// # Errors
/// When the cluster does not start, a nemesis cannot strike, or nothing can be read at the end.
pub async fn run(
    plan: &Plan,
    network: &Network,
    hosts: &Hosts,
    keep: impl Fn(&Outcome) -> bool,
) -> Result<Outcome> {
    let mut cluster = Cluster::start(&plan.system, hosts, &plan.settings).await?;
    let result = play(plan, network, &mut cluster).await;
    if result.as_ref().map_or(true, keep) {
        eprintln!("logs and data of this round are in {}", cluster.keep().display());
    }
    result
}

async fn play(plan: &Plan, network: &Network, cluster: &mut Cluster<'_>) -> Result<Outcome> {
    let hosts = cluster.hosts();
    let primary = cluster.health().await.agreed.context("the cluster settled a moment ago")?;
    let clock = Clock::start();
    let (stop, stopped) = watch::channel(false);
    let (acknowledged_by, acknowledgements) = watch::channel(None);
    let shared = Shared {
        sentinels: hosts.sentinel_addresses(),
        nodes: hosts.node_addresses(),
        pace: plan.pace,
        op_timeout: plan.op_timeout,
        clock,
        acknowledged_by,
        stop: stopped,
    };
    let mainland = start_writers(0..plan.clients / 2, &shared, None)?;
    let island = start_writers(plan.clients / 2..plan.clients, &shared, Some(hosts.island.clone()))?;
    sleep(plan.warm_up).await;
    let field = Field { network, island: &hosts.island, clock, acknowledged_by: acknowledgements };
    let struck = plan.nemesis.strike(primary, cluster, field).await;
    sleep(plan.after_heal).await;
    stop.send_replace(true);
    let mut history = History { fault: Some((struck?, primary)), ..History::default() };
    for site in [mainland, island] {
        history.writes.extend(site.join().expect("writers do not panic"));
    }
    judge(plan, cluster, history).await
}

async fn judge(plan: &Plan, cluster: &mut Cluster<'_>, mut history: History) -> Result<Outcome> {
    let settled = cluster.settles().await;
    cluster.expect_all_alive()?;
    let reading = read_back(plan.clients, cluster, &mut history);
    timeout(READ_TIMEOUT, reading).await.context("nothing could be read at the end")?;
    let masters_at_end = cluster.health().await.masters.len();
    Ok(Outcome { verdict: checker::check(&history), settled, masters_at_end })
}

/// Starts these clients on a thread of its own, which lives on the host if there is one.
fn start_writers(
    clients: std::ops::Range<usize>,
    shared: &Shared,
    host: Option<Host>,
) -> Result<JoinHandle<Vec<Write>>> {
    let shared = shared.clone();
    let thread = std::thread::Builder::new().name("writers".to_owned());
    let site = thread.spawn(move || {
        if let Some(host) = host {
            host.enter().expect("the host was made before");
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime needs only memory and a few files").block_on(async {
            let mut writers: JoinSet<Vec<Write>> =
                clients.map(|id| Writer::new(id, shared.clone()).run()).collect();
            let mut writes = Vec::new();
            while let Some(done) = writers.join_next().await {
                writes.extend(done.expect("a writer does not panic"));
            }
            writes
        })
    });
    Ok(site?)
}

/// Reads all keys, again until it works: a cluster that did not settle may still be moving.
async fn read_back(clients: usize, cluster: &Cluster<'_>, history: &mut History) {
    loop {
        if let Some(primary) = cluster.most_named_primary().await
            && read_all(clients, cluster, primary, history).await.is_ok()
        {
            return;
        }
        sleep(READ_RETRY).await;
    }
}

async fn read_all(
    clients: usize,
    cluster: &Cluster<'_>,
    primary: NodeIndex,
    history: &mut History,
) -> Result<()> {
    let mut link = Link::open(cluster.hosts().nodes[primary].address()).await?;
    for client in 0..clients {
        let values = Workload::of_client(client).read(client, &mut link).await?;
        history.final_values.insert(client, values);
    }
    Ok(())
}
