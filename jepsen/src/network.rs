//! Hosts for the processes of a cluster, and the network between them that can be cut.
//!
//! In namespaces every host is a network namespace with one address, plugged into a bridge by a veth pair:
//!
//! ```text
//!   harness ─┐
//!   redis-1 ─┤ mainland (bridge)        island (bridge) ├─ whoever is cut off
//!   redis-2 ─┘                                          └─
//! ```
//!
//! The harness itself is on the mainland. Cutting hosts off moves their plugs to the other bridge, so that they still reach
//! each other but nobody else, in both directions and at once; healing moves them back. No packet filter is involved, and
//! connections survive a cut as they would survive a pulled cable.
//!
//! Without namespaces every host is this machine's loopback, with ports that were free; nothing can be cut there.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::ops::Range;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

const MAINLAND: &str = "mainland";
const ISLAND: &str = "island";
/// Addresses are `10.77.0.n`, the harness's own with n = 1.
const SUBNET: [u8; 3] = [10, 77, 0];
const FIRST_HOST: u8 = 11;
/// Below the range from which the kernel takes the ports of outgoing connections: a server that is started again must find
/// its port free.
const LOOPBACK_PORTS: Range<u16> = 10_000..32_000;
const PORT_ATTEMPTS: u32 = 100;

/// A place where processes run, and the address at which others reach it.
#[derive(Clone, Debug)]
pub struct Host {
    name: String,
    address: SocketAddr,
    /// The file that stands for its network namespace, if it has one.
    namespace: Option<PathBuf>,
}

impl Host {
    /// What the harness calls it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its address with the port of the server that runs there.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Runs the closure on a thread of its own that lives on this host. Processes and threads that it starts stay there.
    ///
    /// # Errors
    /// When the host's namespace cannot be entered.
    pub fn run<T: Send>(&self, action: impl FnOnce() -> T + Send) -> Result<T> {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                self.enter()?;
                Ok(action())
            });
            thread.join().expect("the closure does not panic")
        })
    }

    /// Moves the calling thread to this host, for good.
    ///
    /// # Errors
    /// When the host's namespace cannot be entered.
    pub fn enter(&self) -> Result<()> {
        let Some(path) = &self.namespace else { return Ok(()) };
        let file = File::open(path).with_context(|| format!("host {} has no namespace", self.name))?;
        move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
            .with_context(|| format!("cannot enter the namespace of {}", self.name))
    }
}

/// The network between the hosts.
pub struct Network {
    namespaces: bool,
    hosts: u8,
}

impl Network {
    /// All hosts are this machine's loopback.
    pub fn loopback() -> Network {
        Network { namespaces: false, hosts: 0 }
    }

    /// Hosts are namespaces. To be called once, in a network namespace that belongs to the run ([`crate::isolation`]).
    ///
    /// # Errors
    /// When the bridges cannot be made.
    pub fn namespaces() -> Result<Network> {
        ip("link set lo up")?;
        for bridge in [MAINLAND, ISLAND] {
            ip(&format!("link add {bridge} type bridge"))?;
            ip(&format!("link set {bridge} up"))?;
        }
        ip(&format!("addr add {}/24 dev {MAINLAND}", address(1)))?;
        Ok(Network { namespaces: true, hosts: 0 })
    }

    /// Whether [`Network::cut`] works.
    pub fn can_be_cut(&self) -> bool {
        self.namespaces
    }

    /// Makes a host. The port is the one its server will listen on; on loopback it is replaced by a free one.
    ///
    /// # Errors
    /// When the namespace cannot be made or plugged in.
    pub fn host(&mut self, name: &str, port: u16) -> Result<Host> {
        if !self.namespaces {
            let address = (Ipv4Addr::LOCALHOST, free_port()?).into();
            return Ok(Host { name: name.to_owned(), address, namespace: None });
        }
        let own = address(FIRST_HOST + self.hosts);
        self.hosts += 1;
        ip(&format!("netns add {name}"))?;
        ip(&format!("link add {} type veth peer name eth0 netns {name}", plug(name)))?;
        ip(&format!("link set {} master {MAINLAND} up", plug(name)))?;
        ip(&format!("-n {name} addr add {own}/24 dev eth0"))?;
        ip(&format!("-n {name} link set eth0 up"))?;
        ip(&format!("-n {name} link set lo up"))?;
        let namespace = Some(PathBuf::from("/run/netns").join(name));
        Ok(Host { name: name.to_owned(), address: SocketAddr::new(own, port), namespace })
    }

    /// Cuts these hosts off from all others; among themselves they stay connected.
    ///
    /// # Errors
    /// On loopback, and when a plug cannot be moved.
    pub fn cut(&self, hosts: &[&Host]) -> Result<()> {
        self.plug_into(ISLAND, hosts)
    }

    /// Connects these hosts with all others again.
    ///
    /// # Errors
    /// As [`Network::cut`].
    pub fn heal(&self, hosts: &[&Host]) -> Result<()> {
        self.plug_into(MAINLAND, hosts)
    }

    fn plug_into(&self, bridge: &str, hosts: &[&Host]) -> Result<()> {
        if !self.namespaces {
            bail!(
                "without namespaces the network cannot be cut: root, or user namespaces, and iproute2 are needed"
            );
        }
        hosts.iter().try_for_each(|host| ip(&format!("link set {} master {bridge}", plug(&host.name))))
    }
}

/// The harness's end of a host's cable. Interface names have at most 15 bytes.
fn plug(host: &str) -> String {
    format!("v-{host}")
}

fn address(host: u8) -> IpAddr {
    Ipv4Addr::new(SUBNET[0], SUBNET[1], SUBNET[2], host).into()
}

/// A port of the loopback on which nobody listens.
fn free_port() -> Result<u16> {
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    (0..PORT_ATTEMPTS).map(|_| fastrand::u16(LOOPBACK_PORTS)).find(is_free).context("no free port")
}

fn ip(arguments: &str) -> Result<()> {
    let output = Command::new("ip").args(arguments.split(' ')).output().context("iproute2 is needed")?;
    if !output.status.success() {
        bail!("ip {arguments}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
