//! What is done to the primary, and how it is undone.

use std::fmt;
use std::time::Duration;

use anyhow::Result;
use clap::ValueEnum;
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::cluster::Cluster;
use crate::history::{Clock, Micros, NodeIndex};
use crate::network::{Host, Network};

/// How long a switch is waited for before the fault is healed anyway.
const SWITCH_TIMEOUT: Duration = Duration::from_secs(60);
/// From the switch until a killed primary is started again.
const RESTART_AFTER: Duration = Duration::from_secs(3);
/// From the switch until a stopped primary goes on.
const RESUME_AFTER: Duration = Duration::from_secs(5);
/// How long the network is cut.
const CUT_FOR: Duration = Duration::from_secs(20);

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Nemesis {
    /// The primary is killed (`SIGKILL`) and started again some seconds after the switch.
    Kill,
    /// The primary is stopped (`SIGSTOP`) and goes on some seconds after the switch, as after a paused virtual machine.
    Pause,
    /// The primary, one sentinel and half of the clients are cut off from the rest for 20 seconds.
    Partition,
}

impl fmt::Display for Nemesis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Nemesis::Kill => "kill",
            Nemesis::Pause => "pause",
            Nemesis::Partition => "partition",
        })
    }
}

/// What a nemesis works with.
pub struct Field<'a> {
    /// The network that may be cut.
    pub network: &'a Network,
    /// Where half of the clients are when the network is cut.
    pub island: &'a Host,
    /// The round's clock.
    pub clock: Clock,
    /// The node of the latest acknowledged write.
    pub acknowledged_by: watch::Receiver<Option<NodeIndex>>,
}

impl Nemesis {
    /// Whether the network has to be one that can be cut.
    pub fn needs_namespaces(self) -> bool {
        self == Nemesis::Partition
    }

    /// Does it to the node, waits, undoes it, and returns when it began.
    ///
    /// # Errors
    /// When a process does not obey or the network cannot be cut.
    pub async fn strike(
        self,
        primary: NodeIndex,
        cluster: &mut Cluster<'_>,
        mut field: Field<'_>,
    ) -> Result<Micros> {
        let began = field.clock.now();
        match self {
            Nemesis::Kill => {
                cluster.node(primary).kill()?;
                field.wait_for_switch(primary).await;
                sleep(RESTART_AFTER).await;
                cluster.restart(primary)?;
            }
            Nemesis::Pause => {
                cluster.node(primary).stop()?;
                field.wait_for_switch(primary).await;
                sleep(RESUME_AFTER).await;
                cluster.node(primary).resume()?;
            }
            Nemesis::Partition => {
                let hosts = cluster.hosts();
                let sentinel = &hosts.sentinels[fastrand::usize(..hosts.sentinels.len())];
                let minority = [&hosts.nodes[primary], sentinel, field.island];
                field.network.cut(&minority)?;
                sleep(CUT_FOR).await;
                field.network.heal(&minority)?;
            }
        }
        Ok(began)
    }
}

impl Field<'_> {
    /// Waits until another node acknowledges. If none does in time, the history will show it.
    async fn wait_for_switch(&mut self, primary: NodeIndex) {
        let switched = self.acknowledged_by.wait_for(|node| node.is_some_and(|node| node != primary));
        let _ = timeout(SWITCH_TIMEOUT, switched).await;
    }
}
