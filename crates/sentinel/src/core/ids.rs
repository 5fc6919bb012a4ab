//! Names of things: epochs, sentinels, addresses.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Nobody makes so many failovers while a sentinel is not looking.
const MAX_EPOCHS_AHEAD: u64 = 1 << 20;

/// Redis Sentinel's logical clock: every failover gets the next one, and a configuration carries the
/// epoch of the failover that made it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Epoch(pub u64);

impl Epoch {
    /// The epoch after this one, if there is one.
    #[must_use]
    pub fn next(self) -> Option<Self> {
        self.0.checked_add(1).map(Self)
    }

    /// Whether this epoch can be reached from `other` by failovers. One that is further ahead than that was made up, and
    /// would take the epochs of later failovers away.
    #[must_use]
    pub fn is_plausible_after(self, other: Self) -> bool {
        self.0 <= other.0.saturating_add(MAX_EPOCHS_AHEAD)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The public name of a sentinel: 40 lower-case hexadecimal digits, as `SENTINEL MYID` shows them.
pub use crate::raft::PublicId as SentinelId;

/// Where an instance listens. Port 0 says that its address is not known any more.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Addr {
    /// An IP address, or a host name where names are allowed.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

impl Addr {
    /// An address from its two halves.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self { host: host.into(), port }
    }

    /// Whether both may mean the same place. Addresses are compared as addresses and names as names; whether a
    /// name stands for an address only a resolver could tell, so there the port decides.
    #[must_use]
    pub fn may_be(&self, other: &Self) -> bool {
        let ip = |host: &str| host.parse::<core::net::IpAddr>().ok();
        let same_host = match (ip(&self.host), ip(&other.host)) {
            (Some(ours), Some(theirs)) => ours == theirs,
            (None, None) => self.host.eq_ignore_ascii_case(&other.host),
            (Some(_), None) | (None, Some(_)) => true,
        };
        self.port == other.port && same_host
    }
}

/// `host:port`, the name that Sentinel gives to a replica (without brackets around IPv6, as Redis does).
impl fmt::Display for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl From<&Addr> for crate::raft::PeerAddress {
    fn from(addr: &Addr) -> Self {
        Self::new(addr.host.clone(), addr.port)
    }
}

/// A text that is not `host:port`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not host:port")]
pub struct MalformedAddr(String);

impl FromStr for Addr {
    type Err = MalformedAddr;

    fn from_str(text: &str) -> Result<Self, MalformedAddr> {
        let malformed = || MalformedAddr(text.to_owned());
        let (host, port) = text.rsplit_once(':').ok_or_else(malformed)?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let port = port.parse().map_err(|_| malformed())?;
        if host.is_empty() { Err(malformed()) } else { Ok(Self::new(host, port)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_host_and_port() {
        assert_eq!("10.0.0.1:6379".parse(), Ok(Addr::new("10.0.0.1", 6379)));
        assert_eq!("[::1]:6379".parse(), Ok(Addr::new("::1", 6379)));
        assert!("6379".parse::<Addr>().is_err());
        assert!(":6379".parse::<Addr>().is_err());
        assert!("a:70000".parse::<Addr>().is_err());
    }

    #[test]
    fn a_name_may_stand_for_any_address() {
        let may_be = |a: &str, b: &str| Addr::new(a, 1).may_be(&Addr::new(b, 1));
        assert!(may_be("::1", "0:0:0:0:0:0:0:1"));
        assert!(!may_be("10.0.0.1", "10.0.0.2"));
        assert!(may_be("DB", "db") && !may_be("db", "cache"));
        assert!(may_be("db", "10.0.0.1"));
        assert!(!Addr::new("db", 1).may_be(&Addr::new("db", 2)));
    }
}
