//! How a server is named: `host:port`, `[v6]:port`, or the path of a unix socket.

use std::{fmt, net::SocketAddr, path::PathBuf, str::FromStr};

/// The address of a server.
///
/// ```
/// use redkeep_resp::net::Address;
/// let address: Address = "[::1]:6379".parse()?;
/// assert_eq!(address, Address::tcp("::1", 6379));
/// assert_eq!(address.to_string(), "[::1]:6379");
/// assert_eq!("/run/redis.sock".parse::<Address>()?, Address::Unix("/run/redis.sock".into()));
/// # Ok::<(), redkeep_resp::net::AddressError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Address {
    /// A host's name or IP address, without brackets, and a port.
    Tcp {
        /// Name or IP address.
        host: String,
        /// Port.
        port: u16,
    },
    /// The path of a unix socket.
    Unix(PathBuf),
}

impl Address {
    /// A TCP address.
    pub fn tcp(host: impl Into<String>, port: u16) -> Self {
        Address::Tcp { host: host.into(), port }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Address::tcp(address.ip().to_string(), address.port())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Address::Tcp { host, port } => write!(f, "{host}:{port}"),
            Address::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

/// The text names no server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not an address: expected HOST:PORT, [IPV6]:PORT or the path of a unix socket")]
pub struct AddressError(String);

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if let Some(path) = text.strip_prefix("unix:") {
            return Ok(Address::Unix(path.into()));
        }
        if text.contains('/') {
            return Ok(Address::Unix(text.into()));
        }
        tcp(text).ok_or_else(|| AddressError(text.to_owned()))
    }
}

fn tcp(text: &str) -> Option<Address> {
    let (host, port) = text.rsplit_once(':')?;
    let host = match host.strip_prefix('[') {
        Some(bracketed) => bracketed.strip_suffix(']')?,
        // A bare IPv6 address would leave open where it ends.
        None if host.contains(':') => return None,
        None => host,
    };
    let port = port.parse().ok().filter(|_| port.starts_with(|first: char| first.is_ascii_digit()))?;
    (!host.is_empty()).then(|| Address::tcp(host, port))
}
