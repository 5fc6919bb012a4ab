//! What an instance says of itself in `INFO`: the few fields that a sentinel acts on.

use super::ids::Addr;

/// Most `slaveN` lines that are read of one INFO.
pub const MAX_REPLICA_LINES: usize = 1024;

/// The role that an instance reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It takes writes.
    Master,
    /// It copies another instance.
    Replica,
}

impl Role {
    /// Redis's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Master => "master",
            Self::Replica => "slave",
        }
    }
}

/// The fields that were found. What an instance does not say keeps Redis's assumption for a silent one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// `run_id`
    pub run_id: String,
    /// `role`
    pub role: Option<Role>,
    /// `slaveN`: the replicas that a master sees.
    pub replicas: Vec<Addr>,
    /// `master_host` and `master_port` of a replica.
    pub master: Option<Addr>,
    /// `master_link_status:up`
    pub link_up: bool,
    /// `master_link_down_since_seconds`, in ms; `None` when it never linked, which Redis tells as -1 seconds.
    pub link_down_ms: Option<u64>,
    /// `slave_priority`; 0: never promote.
    pub priority: u32,
    /// `slave_repl_offset` of a replica, `master_repl_offset` of a master.
    pub offset: u64,
    /// `replica_announced`
    pub announced: bool,
}

impl Default for Info {
    fn default() -> Self {
        Self {
            run_id: String::new(),
            role: None,
            replicas: Vec::new(),
            master: None,
            link_up: false,
            link_down_ms: Some(0),
            priority: 100,
            offset: 0,
            announced: true,
        }
    }
}

impl Info {
    /// Reads the text of an INFO reply. Unknown and malformed lines are skipped.
    ///
    /// ```
    /// use redkeep_sentinel::core::info::{Info, Role};
    ///
    /// let info = Info::parse("# Replication\r\nrole:slave\r\nslave_repl_offset:42\r\n");
    /// assert_eq!((info.role, info.offset), (Some(Role::Replica), 42));
    /// ```
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut info = Self::default();
        let (mut host, mut port, mut written) = (None, None, 0);
        for (key, value) in text.lines().filter_map(|line| line.trim_end().split_once(':')) {
            match key {
                "run_id" => value.clone_into(&mut info.run_id),
                "role" => info.role = role(value),
                "master_host" => host = Some(value),
                "master_port" => port = value.parse().ok(),
                "master_link_status" => info.link_up = value.eq_ignore_ascii_case("up"),
                "master_link_down_since_seconds" => {
                    info.link_down_ms = value.parse().map_or(info.link_down_ms, since);
                }
                "slave_priority" => info.priority = value.parse().unwrap_or(info.priority),
                "slave_repl_offset" => info.offset = value.parse().unwrap_or(info.offset),
                "master_repl_offset" => written = value.parse().unwrap_or(written),
                "replica_announced" => info.announced = value != "0",
                _ if is_replica_line(key) && info.replicas.len() < MAX_REPLICA_LINES => {
                    info.replicas.extend(replica(value));
                }
                _ => {}
            }
        }
        info.master = host.zip(port).map(|(host, port)| Addr::new(host, port));
        if info.role == Some(Role::Master) {
            info.offset = written;
        }
        info
    }

    /// A replica whose link is down and never was up: what it holds, it has not from this master.
    #[must_use]
    pub fn never_linked(&self) -> bool {
        !self.link_up && self.link_down_ms.is_none()
    }
}

/// Negative seconds: never.
fn since(seconds: i64) -> Option<u64> {
    u64::try_from(seconds).ok().map(|seconds| seconds.saturating_mul(1000))
}

fn role(value: &str) -> Option<Role> {
    match value {
        "master" => Some(Role::Master),
        "slave" => Some(Role::Replica),
        _ => None,
    }
}

fn is_replica_line(key: &str) -> bool {
    key.strip_prefix("slave").is_some_and(|n| !n.is_empty() && n.bytes().all(|byte| byte.is_ascii_digit()))
}

/// `ip=…,port=…,state=…` of Redis 2.8 and later.
fn replica(value: &str) -> Option<Addr> {
    let field = |name: &str| value.split(',').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    let port = field("port")?.parse().ok().filter(|port| *port != 0)?;
    field("ip").filter(|ip| !ip.is_empty()).map(|ip| Addr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_master_lists_its_replicas() {
        let info = Info::parse(
            "# Server\r\nrun_id:abc\r\n# Replication\r\nrole:master\r\nconnected_slaves:2\r\n\
             slave0:ip=10.0.0.2,port=6380,state=online,offset=1,lag=0\r\nslave1:ip=,port=6381,state=online\r\n\
             slave2:ip=10.0.0.3,port=0\r\nslave3:port=6382,ip=10.0.0.4\r\nslaves:ip=1.1.1.1,port=1\r\n",
        );
        assert_eq!(info.run_id, "abc");
        assert_eq!(info.role, Some(Role::Master));
        assert_eq!(info.replicas, [Addr::new("10.0.0.2", 6380), Addr::new("10.0.0.4", 6382)]);
        assert_eq!(info.master, None);
    }

    #[test]
    fn a_replica_says_whom_it_copies() {
        let info = Info::parse(
            "role:slave\r\nmaster_host:10.0.0.1\r\nmaster_port:6379\r\nmaster_link_status:down\r\n\
             master_link_down_since_seconds:7\r\nslave_priority:0\r\nslave_repl_offset:99\r\nreplica_announced:0\r\n",
        );
        assert_eq!(info.master, Some(Addr::new("10.0.0.1", 6379)));
        assert_eq!((info.link_up, info.link_down_ms), (false, Some(7000)));
        assert_eq!((info.priority, info.offset, info.announced), (0, 99, false));
    }

    #[test]
    fn a_replica_that_never_linked_says_minus_one() {
        let down = "role:slave\r\nmaster_link_status:down\r\nmaster_link_down_since_seconds:";
        let info = |seconds: i64| Info::parse(&format!("{down}{seconds}\r\n"));
        assert!(info(-1).never_linked());
        assert!(!info(0).never_linked() && !Info::default().never_linked());
    }

    #[test]
    fn a_master_tells_its_own_offset() {
        let text = "slave_repl_offset:7\r\nmaster_repl_offset:9\r\n";
        assert_eq!(Info::parse(&format!("role:slave\r\n{text}")).offset, 7);
        assert_eq!(Info::parse(&format!("role:master\r\n{text}")).offset, 9);
    }

    #[test]
    fn nonsense_is_skipped() {
        let info = Info::parse("role:king\nslave_priority:-1\nno colon\n:\nmaster_link_down_since_seconds:x");
        assert_eq!(info, Info::default());
    }
}
