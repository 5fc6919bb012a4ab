//! Who is who: the identities of sentinels, groups and voters, and where they are reached.
//!
//! A sentinel has two identities that must not be confused. Its [`PublicId`] is what Redis calls `myid`: it is in the
//! configuration file, in hellos and in `SENTINEL SENTINELS`, and it survives anything. Its [`NodeId`] is the voter that
//! Raft knows; it is made together with the data directory and lost with it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The voter that Raft knows: random, made with the data directory, never reused.
pub type NodeId = u64;

/// The text was not 40 lower-case hexadecimal digits, or not `host:port`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid {what}: '{text}'")]
pub struct ParseIdError {
    what: &'static str,
    text: String,
}

const ID_BYTES: usize = 20;

macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        pub struct $name([u8; ID_BYTES]);

        impl $name {
            /// The identity whose 20 bytes are these; the shell takes them from its random source.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; ID_BYTES]) -> Self {
                Self(bytes)
            }

            /// The 20 bytes behind the 40 digits.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; ID_BYTES] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                parse_hex(text).map(Self).ok_or_else(|| ParseIdError { what: $what, text: text.to_owned() })
            }
        }
    };
}

hex_id! {
    /// The sentinel's public id, `myid` of the configuration file: 40 lower-case hexadecimal digits, ordered as they
    /// read.
    ///
    /// ```
    /// use redkeep_sentinel::raft::PublicId;
    /// let id: PublicId = "00000000000000000000000000000000000000ff".parse().unwrap();
    /// assert_eq!(id.as_bytes()[19], 255);
    /// assert!("00FF".parse::<PublicId>().is_err());
    /// ```
    PublicId, "sentinel id"
}

hex_id! {
    /// The identity of a Raft group, 40 hexadecimal digits drawn at random by the sentinel that starts it. Data nodes
    /// bind to the first group that configures them.
    GroupId, "group id"
}

fn parse_hex(text: &str) -> Option<[u8; ID_BYTES]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * ID_BYTES {
        return None;
    }
    let mut bytes = [0; ID_BYTES];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = hex_digit(pair[0])? << 4 | hex_digit(pair[1])?;
    }
    Some(bytes)
}

fn hex_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

/// Where a sentinel is reached: the address that it announces, an IP or (with `resolve-hostnames`) a name, and the port
/// that serves both clients and Raft.
///
/// ```
/// use redkeep_sentinel::raft::PeerAddress;
/// let address: PeerAddress = "[::1]:26379".parse().unwrap();
/// assert_eq!((address.host.as_str(), address.port), ("::1", 26379));
/// assert_eq!(address.to_string(), "[::1]:26379");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct PeerAddress {
    /// An IP address without brackets, or a host name.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

impl PeerAddress {
    /// The address of this host and port.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self { host: host.into(), port }
    }
}

impl fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl FromStr for PeerAddress {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let invalid = || ParseIdError { what: "address", text: text.to_owned() };
        let (host, port) = text.rsplit_once(':').ok_or_else(invalid)?;
        let port = port.parse().map_err(|_| invalid())?;
        let host = match host.strip_prefix('[') {
            Some(bracketed) => bracketed.strip_suffix(']').ok_or_else(invalid)?,
            None if host.contains(':') => return Err(invalid()),
            None => host,
        };
        if host.is_empty() {
            return Err(invalid());
        }
        Ok(Self::new(host, port))
    }
}

/// A sentinel as the group knows it: one voter (or learner), whose it is, and where it is reached.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Member {
    /// The Raft identity.
    pub node: NodeId,
    /// The sentinel's own identity.
    pub public_id: PublicId,
    /// Where it is reached; may change, by a committed change.
    pub address: PeerAddress,
}
