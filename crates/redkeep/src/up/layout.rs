//! Who runs where: the shape of a cluster on one machine, decided before anything is touched.

use crate::cli::UpArgs;
use anyhow::{Context as _, Result, bail, ensure};
use redkeep_resp::net::Address;
use std::{
    fmt, io,
    net::{Ipv4Addr, TcpListener},
};

/// How far the sentinels' ports are from the servers', unless told otherwise: 26379 is the sentinels'
/// port everywhere, 6379 the servers'.
const SENTINEL_PORT_DISTANCE: u16 = 20_000;

/// The shape of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) port: u16,
    pub(crate) replicas: u16,
    pub(crate) sentinel_port: u16,
    pub(crate) sentinels: u16,
}

/// What a process of the cluster is. Primary and replica are not told apart: a failover changes that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Server,
    Sentinel,
}

/// One process of the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Member {
    pub(crate) kind: Kind,
    pub(crate) port: u16,
}

impl Kind {
    /// The word for it, which is also the command that starts one.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Server => "server",
            Kind::Sentinel => "sentinel",
        }
    }
}

impl Member {
    /// Where it listens.
    pub(crate) fn address(self) -> Address {
        Address::tcp(Ipv4Addr::LOCALHOST.to_string(), self.port)
    }

    /// The name of its folder in the cluster's directory.
    pub(crate) fn folder_name(self) -> String {
        format!("{}-{}", self.kind.name(), self.port)
    }
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.name(), self.address())
    }
}

impl Layout {
    /// The layout that was asked for.
    pub(crate) fn new(args: &UpArgs) -> Result<Self> {
        let sentinel_port = match args.sentinel_port {
            Some(port) => port,
            None => args.port.checked_add(SENTINEL_PORT_DISTANCE).with_context(|| {
                format!("there is no port {SENTINEL_PORT_DISTANCE} above {}: give --sentinel-port", args.port)
            })?,
        };
        let layout =
            Layout { port: args.port, replicas: args.replicas, sentinel_port, sentinels: args.sentinels };
        layout.check()?;
        Ok(layout)
    }

    fn check(&self) -> Result<()> {
        let last_server = self.port.checked_add(self.replicas);
        let last_sentinel = self.sentinel_port.checked_add(self.sentinels - 1);
        let (Some(last_server), Some(last_sentinel)) = (last_server, last_sentinel) else {
            bail!("the ports go beyond {}", u16::MAX);
        };
        ensure!(self.port > 0 && self.sentinel_port > 0, "port 0 is no port");
        ensure!(
            last_server < self.sentinel_port || last_sentinel < self.port,
            "the servers' ports {}-{last_server} and the sentinels' ports {}-{last_sentinel} overlap",
            self.port,
            self.sentinel_port
        );
        Ok(())
    }

    /// All servers, the first primary first.
    pub(crate) fn servers(self) -> impl Iterator<Item = Member> {
        (0..=self.replicas).map(move |n| Member { kind: Kind::Server, port: self.port + n })
    }

    /// All sentinels.
    pub(crate) fn sentinels(self) -> impl Iterator<Item = Member> {
        (0..self.sentinels).map(move |n| Member { kind: Kind::Sentinel, port: self.sentinel_port + n })
    }

    /// All processes, servers first.
    pub(crate) fn members(self) -> impl Iterator<Item = Member> {
        self.servers().chain(self.sentinels())
    }

    /// How many sentinels must agree that a primary is down.
    pub(crate) fn quorum(self) -> u16 {
        self.sentinels / 2 + 1
    }

    /// Fails with the names of all ports that something else listens on.
    pub(crate) fn check_ports_are_free(self) -> Result<()> {
        let mut taken = Vec::new();
        for member in self.members() {
            match TcpListener::bind((Ipv4Addr::LOCALHOST, member.port)) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                    taken.push(format!("{} (for a {})", member.port, member.kind.name()));
                }
                Err(error) => return Err(error).with_context(|| format!("port {}", member.port)),
            }
        }
        match &taken[..] {
            [] => Ok(()),
            [port] => bail!("port {port} is taken"),
            ports => bail!("these ports are taken: {}", ports.join(", ")),
        }
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |count: u16, one: &'static str| match count {
            1 => format!("1 {one}"),
            count => format!("{count} {one}s"),
        };
        write!(
            f,
            "{} from port {} and {} from port {}",
            plural(self.replicas + 1, "server"),
            self.port,
            plural(self.sentinels, "sentinel"),
            self.sentinel_port
        )
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Arguments as the command line gives them.
    pub(crate) fn args(port: u16, replicas: u16, sentinels: u16) -> UpArgs {
        UpArgs { replicas, sentinels, port, sentinel_port: None, dir: "redkeep-data".into() }
    }

    fn error(args: &UpArgs) -> String {
        Layout::new(args).expect_err("an impossible layout").to_string()
    }

    #[test]
    fn ports_follow_each_other() {
        let layout = Layout::new(&args(6379, 2, 3)).expect("a good layout");
        let ports: Vec<u16> = layout.members().map(|member| member.port).collect();
        assert_eq!(ports, [6379, 6380, 6381, 26379, 26380, 26381]);
        assert_eq!(layout.to_string(), "3 servers from port 6379 and 3 sentinels from port 26379");
    }

    #[test]
    fn a_quorum_is_a_majority() {
        let quorum = |sentinels| Layout::new(&args(6379, 0, sentinels)).expect("a good layout").quorum();
        assert_eq!([1, 2, 3, 4, 5].map(quorum), [1, 2, 2, 3, 3]);
    }

    #[test]
    fn impossible_layouts_are_refused() {
        assert!(error(&args(45_536, 0, 1)).contains("--sentinel-port"));
        assert!(error(&args(45_535, 0, 2)).contains("beyond 65535"));
        assert!(error(&args(0, 0, 1)).contains("port 0"));
        let overlapping = UpArgs { sentinel_port: Some(6381), ..args(6379, 2, 1) };
        assert!(error(&overlapping).contains("overlap"));
        let below = UpArgs { sentinel_port: Some(6376), ..args(6379, 2, 3) };
        assert!(Layout::new(&below).is_ok());
    }

    #[test]
    fn taken_ports_are_named() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let layout = Layout { port, replicas: 0, sentinel_port: port, sentinels: 1 };
        let error = layout.check_ports_are_free().expect_err("taken").to_string();
        assert!(error.contains(&format!("{port} (for a server)")), "{error}");
    }
}
