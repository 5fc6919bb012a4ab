//! `sentinel.conf`: read, never written.
//!
//! The file and the command line say the same things in the same words: one directive a line. Two tables know them,
//! one for the directives of any Redis server, one for those that begin with the word `sentinel`. The latter are applied
//! after the former, and in three rounds whatever their order in the file: what `monitor` depends on, `monitor`, and what
//! needs the master to be known.
//!
//! What changes while a sentinel runs is kept in its state directory, so the file may be read-only. A file that Redis
//! Sentinel has written is read with everything that it remembers.

mod directives;
mod error;
mod sentinel;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use redkeep_resp::inline::split_words;

pub use error::ConfigError;

use crate::core::ids::{Addr, Epoch, SentinelId};
use crate::core::topology::Settings;
use crate::local::Local;
use crate::raft::PeerAddress;

/// The port of a sentinel that is told none.
pub const DEFAULT_PORT: u16 = 26379;
/// `bootstrap-settle-ms` of a sentinel that is told none.
pub const DEFAULT_SETTLE_MS: u64 = 5000;

/// How loud the log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Everything.
    Debug,
    /// Much.
    Verbose,
    /// What an operator wants to see.
    Notice,
    /// Only what needs attention.
    Warning,
}

/// A master as the configuration file describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MasterConfig {
    /// Where it is.
    pub address: Addr,
    /// Its settings.
    pub settings: Settings,
    /// `config-epoch`, as Redis Sentinel wrote it.
    pub epoch: Epoch,
    /// `known-replica`
    pub replicas: BTreeSet<Addr>,
    /// `known-sentinel`, those with an id.
    pub sentinels: BTreeMap<SentinelId, Addr>,
}

/// Everything that a sentinel is told at its start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentinelConfig {
    /// `port`; 0: any free one.
    pub port: u16,
    /// `bind`: the addresses to listen on. One with a `-` before it may be missing.
    pub bind: Vec<String>,
    /// `protected-mode`
    pub protected_mode: bool,
    /// `dir`: the state directory is made in it.
    pub dir: Option<PathBuf>,
    /// `daemonize`
    pub daemonize: bool,
    /// `pidfile`
    pub pidfile: Option<PathBuf>,
    /// `loglevel`
    pub loglevel: LogLevel,
    /// `logfile`; none: standard output.
    pub logfile: Option<PathBuf>,
    /// `tcp-backlog`
    pub tcp_backlog: u32,
    /// `sentinel myid`
    pub myid: Option<SentinelId>,
    /// `sentinel monitor` and what belongs to it.
    pub masters: BTreeMap<String, MasterConfig>,
    /// What this sentinel keeps to itself.
    pub local: Local,
    /// `sentinel peers`: all sentinels of the group, which is then not discovered.
    pub peers: Vec<PeerAddress>,
    /// `sentinel bootstrap-settle-ms`
    pub settle_ms: u64,
}

impl Default for SentinelConfig {
    fn default() -> Self {
        Self {
            port: DEFAULT_PORT,
            bind: vec!["*".to_owned(), "-::*".to_owned()],
            protected_mode: false,
            dir: None,
            daemonize: false,
            pidfile: None,
            loglevel: LogLevel::Notice,
            logfile: None,
            tcp_backlog: 511,
            myid: None,
            masters: BTreeMap::new(),
            local: Local::default(),
            peers: Vec::new(),
            settle_ms: DEFAULT_SETTLE_MS,
        }
    }
}

/// A line that is not empty and no comment.
struct Line {
    number: usize,
    text: String,
    words: Vec<String>,
}

impl Line {
    fn error(&self, reason: impl Into<String>) -> ConfigError {
        ConfigError { line: self.number, text: self.text.clone(), reason: reason.into() }
    }
}

impl SentinelConfig {
    /// Reads the text of a configuration file.
    ///
    /// # Errors
    /// The first line that cannot be followed, with Redis's words for what is wrong with it.
    ///
    /// ```
    /// use redkeep_sentinel::config::SentinelConfig;
    ///
    /// let config = SentinelConfig::parse("port 26380\nsentinel monitor mymaster 127.0.0.1 6379 2\n")?;
    /// assert_eq!(config.port, 26380);
    /// assert_eq!(config.masters["mymaster"].settings.quorum, 2);
    ///
    /// let error = SentinelConfig::parse("port 26380\nfoo bar").unwrap_err();
    /// assert_eq!((error.line, error.reason.as_str()), (2, "Bad directive or wrong number of arguments"));
    /// # Ok::<(), redkeep_sentinel::config::ConfigError>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let mut config = Self::default();
        config.apply(text)?;
        Ok(config)
    }

    /// Applies further lines: those of the command line, or those that a running sentinel has kept.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn apply(&mut self, text: &str) -> Result<(), ConfigError> {
        let mut sentinel_lines = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let mut line = Line { number: index + 1, text: line.to_owned(), words: Vec::new() };
            let words = split_words(line.text.as_bytes());
            let words = words.map_err(|_| line.error("Unbalanced quotes in configuration line"))?;
            line.words = words.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect();
            match line.words.split_first() {
                None => {}
                Some((first, _)) if first.eq_ignore_ascii_case("sentinel") => sentinel_lines.push(line),
                Some((first, rest)) => {
                    directives::apply(self, first, rest).map_err(|reason| line.error(reason))?;
                }
            }
        }
        sentinel::apply_all(self, &sentinel_lines)
    }
}

/// Whether a script can be run.
pub(crate) fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// The host of an instance: an IP address, or, where that is allowed, a name that resolves. The name itself is kept if
/// names are announced; else its address now.
fn resolve(local: &Local, host: &str) -> Option<String> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Some(ip.to_string());
    }
    if !local.resolve_hostnames {
        return None;
    }
    let mut found = std::net::ToSocketAddrs::to_socket_addrs(&(host, 0)).ok()?;
    let first = found.next()?;
    Some(if local.announce_hostnames { host.to_owned() } else { first.ip().to_string() })
}
