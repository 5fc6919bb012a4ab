//! The systems under test: programs and configuration.
//!
//! Both are given the same `redis.conf` and `sentinel.conf`. Lines that only one system understands, or that a run wants to
//! try, come in through [`Settings`].

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Serialize;

/// The name of the one master that the sentinels watch.
pub const MASTER_NAME: &str = "jepsen";
/// Sentinels that must agree that the master is down.
const QUORUM: u32 = 2;
const FAILOVER_TIMEOUT_MS: u32 = 10_000;

/// Which system a round is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(into = "String")]
pub enum System {
    /// This project's server and sentinel, in one binary.
    Redkeep {
        /// The binary.
        binary: PathBuf,
    },
    /// `redis-server` and `redis-sentinel` of the machine.
    Redis,
}

impl fmt::Display for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            System::Redkeep { .. } => "redkeep",
            System::Redis => "redis",
        })
    }
}

impl From<System> for String {
    fn from(system: System) -> String {
        system.to_string()
    }
}

/// What a configuration file is made from, beside the addresses.
#[derive(Clone, Debug, Serialize)]
pub struct Settings {
    /// `down-after-milliseconds` of the sentinels.
    pub down_after_ms: u32,
    /// More lines for the servers' configuration.
    pub server_lines: Vec<String>,
    /// More lines for Redkeep's servers only.
    pub redkeep_lines: Vec<String>,
}

impl System {
    /// The command that starts a data node.
    pub fn server(&self, conf: &Path) -> Command {
        self.command("redis-server", "server", conf)
    }

    /// The command that starts a sentinel.
    pub fn sentinel(&self, conf: &Path) -> Command {
        self.command("redis-sentinel", "sentinel", conf)
    }

    fn command(&self, redis_program: &str, role: &str, conf: &Path) -> Command {
        let mut command = match self {
            System::Redkeep { binary } => {
                let mut command = Command::new(binary);
                command.arg(role);
                command
            }
            System::Redis => Command::new(redis_program),
        };
        command.arg(conf);
        command
    }

    /// `redis.conf` for a data node; a replica of `primary` if there is one.
    pub fn server_conf(
        &self,
        own: SocketAddr,
        primary: Option<SocketAddr>,
        dir: &Path,
        settings: &Settings,
    ) -> String {
        let mut lines = common(own, dir);
        lines.push("save \"\"".to_owned());
        lines.push("repl-diskless-sync-delay 0".to_owned());
        if let Some(primary) = primary {
            lines.push(format!("replicaof {} {}", primary.ip(), primary.port()));
        }
        lines.extend(settings.server_lines.iter().cloned());
        if let System::Redkeep { .. } = self {
            lines.extend(settings.redkeep_lines.iter().cloned());
        }
        lines.join("\n") + "\n"
    }

    /// `sentinel.conf` for a sentinel that watches `primary`.
    pub fn sentinel_conf(
        &self,
        own: SocketAddr,
        primary: SocketAddr,
        dir: &Path,
        settings: &Settings,
    ) -> String {
        let mut lines = common(own, dir);
        lines.push(format!("sentinel monitor {MASTER_NAME} {} {} {QUORUM}", primary.ip(), primary.port()));
        lines.push(format!("sentinel down-after-milliseconds {MASTER_NAME} {}", settings.down_after_ms));
        lines.push(format!("sentinel failover-timeout {MASTER_NAME} {FAILOVER_TIMEOUT_MS}"));
        lines.join("\n") + "\n"
    }
}

fn common(own: SocketAddr, dir: &Path) -> Vec<String> {
    vec![
        format!("port {}", own.port()),
        format!("bind {}", own.ip()),
        "protected-mode no".to_owned(),
        format!("dir {}", dir.display()),
        "logfile log.txt".to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_systems_get_the_same_but_for_what_only_redkeep_knows() {
        let own = "127.0.0.1:1".parse().expect("an address");
        let settings = Settings {
            down_after_ms: 5,
            server_lines: vec!["maxclients 7".to_owned()],
            redkeep_lines: vec!["loglevel trace".to_owned()],
        };
        let conf = |system: System| system.server_conf(own, Some(own), Path::new("d"), &settings);
        let (redis, redkeep) = (conf(System::Redis), conf(System::Redkeep { binary: PathBuf::new() }));
        assert!(redis.contains("replicaof 127.0.0.1 1\n") && redis.contains("maxclients 7\n"));
        assert_eq!(redkeep, format!("{redis}loglevel trace\n"));
    }
}
