//! The directives.

use super::kind::{Field, Kind};
use super::settings::Settings;

/// One directive of the configuration file.
pub struct Directive {
    /// Its name.
    pub name: &'static str,
    /// Older names of the same.
    pub aliases: &'static [&'static str],
    /// What it takes, and where it is kept.
    pub kind: Kind,
    /// Its default, as a line of the file would have it.
    pub default: &'static str,
    /// Whether `CONFIG SET` may change it.
    pub mutable: bool,
    /// What it does, for the reference.
    pub doc: &'static str,
}

/// The directive of this name or alias, in lower case.
pub fn find(name: &str) -> Option<&'static Directive> {
    DIRECTIVES.iter().find(|directive| directive.name == name || directive.aliases.contains(&name))
}

macro_rules! field {
    ($field:ident) => {
        Field { get: |s: &Settings| &s.$field, get_mut: |s: &mut Settings| &mut s.$field }
    };
}

const fn fixed(name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Directive {
    Directive { name, aliases: &[], kind, default, mutable: false, doc }
}

const fn mutable(name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Directive {
    Directive { name, aliases: &[], kind, default, mutable: true, doc }
}

impl Directive {
    const fn alias(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }
}

const INT_MAX: i64 = i32::MAX as i64;
const NOT_YET_AOF: &str = "this version keeps no append only file";

/// Every directive that means something here, by area.
pub const DIRECTIVES: &[Directive] = &[
    // Network
    fixed(
        "bind",
        Kind::Words(field!(bind)),
        "* -::*",
        "Addresses to listen on; a leading '-' allows one to be unavailable.",
    ),
    fixed("port", Kind::Int(field!(port), 0, 65535), "6379", "TCP port; 0 for none."),
    fixed("unixsocket", Kind::Text(field!(unixsocket)), "", "Path of a unix socket to listen on."),
    fixed(
        "unixsocketperm",
        Kind::Octal(field!(unixsocketperm)),
        "0",
        "Permissions of the unix socket, in octal; 0 leaves them to the umask.",
    ),
    fixed("tcp-backlog", Kind::Int(field!(tcp_backlog), 0, INT_MAX), "511", "Length of the accept queue."),
    mutable(
        "timeout",
        Kind::Int(field!(timeout), 0, INT_MAX),
        "0",
        "Seconds after which an idle client is disconnected; 0 for never.",
    ),
    mutable(
        "tcp-keepalive",
        Kind::Int(field!(tcp_keepalive), 0, INT_MAX),
        "300",
        "Seconds between keep-alive probes; 0 for none.",
    ),
    mutable(
        "protected-mode",
        Kind::Bool(field!(protected_mode)),
        "yes",
        "Refuse clients from other machines while no password is set.",
    ),
    fixed(
        "io-threads",
        Kind::Int(field!(io_threads), 0, 128),
        "0",
        "Worker threads; 0 takes the number of cores.",
    ),
    mutable(
        "maxclients",
        Kind::Int(field!(maxclients), 1, INT_MAX),
        "10000",
        "Most clients connected at once.",
    ),
    mutable(
        "proto-max-bulk-len",
        Kind::Memory(field!(proto_max_bulk_len), 1 << 20, u32::MAX as u64 / 2),
        "512mb",
        "Largest single argument.",
    ),
    mutable(
        "client-query-buffer-limit",
        Kind::Memory(field!(client_query_buffer_limit), 1 << 20, u32::MAX as u64),
        "1gb",
        "Largest single request.",
    ),
    mutable(
        "client-output-buffer-limit",
        Kind::OutputLimits,
        "normal 0 0 0 slave 256mb 64mb 60 pubsub 32mb 8mb 60",
        "Output that may wait for a client: class, hard limit, soft limit, seconds.",
    ),
    // Security
    mutable("requirepass", Kind::Text(field!(requirepass)), "", "Password of the default user."),
    mutable(
        "masterauth",
        Kind::Text(field!(masterauth)),
        "",
        "Password that a replica gives to its primary.",
    ),
    mutable(
        "masteruser",
        Kind::Text(field!(masteruser)),
        "",
        "User name that a replica gives to its primary.",
    ),
    // General
    mutable(
        "loglevel",
        Kind::Enum(field!(loglevel), &["debug", "verbose", "notice", "warning", "nothing"]),
        "notice",
        "How much is logged.",
    ),
    fixed("logfile", Kind::Text(field!(logfile)), "", "File to log to; empty for the standard output."),
    fixed("daemonize", Kind::Bool(field!(daemonize)), "no", "Run in the background."),
    fixed("pidfile", Kind::Text(field!(pidfile)), "", "File that holds the process id."),
    fixed("databases", Kind::Int(field!(databases), 1, 1 << 14), "16", "Number of databases."),
    mutable("hz", Kind::Int(field!(hz), 1, 500), "10", "How often a second periodic work is done."),
    mutable(
        "shutdown-timeout",
        Kind::Int(field!(shutdown_timeout), 0, INT_MAX),
        "10",
        "Seconds that a shutdown waits for replicas to catch up.",
    ),
    // Memory and encodings
    mutable(
        "maxmemory",
        Kind::Memory(field!(maxmemory), 0, u64::MAX),
        "0",
        "Memory above which commands that need more are refused; 0 for no limit.",
    ),
    mutable(
        "maxmemory-policy",
        Kind::Only("noeviction", "this version does not evict keys"),
        "noeviction",
        "What to do when memory is full.",
    ),
    mutable(
        "hash-max-listpack-entries",
        Kind::Int(field!(hash_max_listpack_entries), 0, INT_MAX),
        "128",
        "Most fields of a hash in the compact encoding.",
    )
    .alias(&["hash-max-ziplist-entries"]),
    mutable(
        "hash-max-listpack-value",
        Kind::Int(field!(hash_max_listpack_value), 0, INT_MAX),
        "64",
        "Longest field or value of a hash in the compact encoding.",
    )
    .alias(&["hash-max-ziplist-value"]),
    mutable(
        "list-max-listpack-size",
        Kind::Int(field!(list_max_listpack_size), -5, INT_MAX),
        "-2",
        "Size of a list's nodes: elements, or -1 to -5 for 4 to 64 KiB.",
    )
    .alias(&["list-max-ziplist-size"]),
    mutable(
        "set-max-intset-entries",
        Kind::Int(field!(set_max_intset_entries), 0, INT_MAX),
        "512",
        "Most members of a set of integers in the compact encoding.",
    ),
    mutable(
        "set-max-listpack-entries",
        Kind::Int(field!(set_max_listpack_entries), 0, INT_MAX),
        "128",
        "Most members of a set in the compact encoding.",
    ),
    mutable(
        "set-max-listpack-value",
        Kind::Int(field!(set_max_listpack_value), 0, INT_MAX),
        "64",
        "Longest member of a set in the compact encoding.",
    ),
    mutable(
        "zset-max-listpack-entries",
        Kind::Int(field!(zset_max_listpack_entries), 0, INT_MAX),
        "128",
        "Most members of a sorted set in the compact encoding.",
    )
    .alias(&["zset-max-ziplist-entries"]),
    mutable(
        "zset-max-listpack-value",
        Kind::Int(field!(zset_max_listpack_value), 0, INT_MAX),
        "64",
        "Longest member of a sorted set in the compact encoding.",
    )
    .alias(&["zset-max-ziplist-value"]),
    mutable("notify-keyspace-events", Kind::KeyspaceEvents, "", "Classes of events that are published."),
    // Files
    mutable("dir", Kind::Text(field!(dir)), "./", "Working directory for data files."),
    mutable("dbfilename", Kind::Text(field!(dbfilename)), "dump.rdb", "Name of the snapshot file."),
    mutable("save", Kind::Save, "3600 1 300 100 60 10000", "When a snapshot is due: seconds and changes."),
    mutable("rdbcompression", Kind::Bool(field!(rdbcompression)), "yes", "Compress strings in snapshots."),
    fixed("rdbchecksum", Kind::Bool(field!(rdbchecksum)), "yes", "End snapshots with a checksum."),
    mutable("appendonly", Kind::Only("no", NOT_YET_AOF), "no", "Keep an append only file."),
    // Replication
    fixed("replicaof", Kind::ReplicaOf, "", "The primary to follow: host and port.").alias(&["slaveof"]),
    mutable(
        "replica-read-only",
        Kind::Bool(field!(replica_read_only)),
        "yes",
        "Refuse writes of clients on a replica.",
    )
    .alias(&["slave-read-only"]),
    mutable(
        "replica-serve-stale-data",
        Kind::Bool(field!(replica_serve_stale_data)),
        "yes",
        "Serve reads while the link to the primary is down.",
    )
    .alias(&["slave-serve-stale-data"]),
    mutable(
        "replica-priority",
        Kind::Int(field!(replica_priority), 0, INT_MAX),
        "100",
        "Rank for promotion by a sentinel; 0 for never.",
    )
    .alias(&["slave-priority"]),
    mutable(
        "replica-announced",
        Kind::Bool(field!(replica_announced)),
        "yes",
        "Whether sentinels are told of this replica.",
    ),
    mutable(
        "replica-announce-ip",
        Kind::Text(field!(replica_announce_ip)),
        "",
        "Address that a replica tells its primary.",
    )
    .alias(&["slave-announce-ip"]),
    mutable(
        "replica-announce-port",
        Kind::Int(field!(replica_announce_port), 0, 65535),
        "0",
        "Port that a replica tells its primary.",
    )
    .alias(&["slave-announce-port"]),
    mutable(
        "repl-backlog-size",
        Kind::Memory(field!(repl_backlog_size), 16 << 10, u64::MAX),
        "1mb",
        "Bytes of the replication log kept for replicas that return.",
    ),
    mutable(
        "repl-backlog-ttl",
        Kind::Int(field!(repl_backlog_ttl), 0, INT_MAX),
        "3600",
        "Seconds after which a primary without replicas drops the replication log; 0 for never.",
    ),
    mutable(
        "repl-timeout",
        Kind::Int(field!(repl_timeout), 1, INT_MAX),
        "60",
        "Seconds of silence after which a replication link is given up.",
    ),
    mutable(
        "repl-ping-replica-period",
        Kind::Int(field!(repl_ping_replica_period), 1, INT_MAX),
        "10",
        "Seconds between pings to replicas.",
    )
    .alias(&["repl-ping-slave-period"]),
    mutable(
        "repl-diskless-sync-delay",
        Kind::Int(field!(repl_diskless_sync_delay), 0, INT_MAX),
        "0",
        "Seconds to wait for further replicas before a snapshot is sent.",
    ),
    mutable(
        "min-replicas-to-write",
        Kind::Int(field!(min_replicas_to_write), 0, INT_MAX),
        "0",
        "Fewest good replicas with which writes are accepted.",
    )
    .alias(&["min-slaves-to-write"]),
    mutable(
        "min-replicas-max-lag",
        Kind::Int(field!(min_replicas_max_lag), 0, INT_MAX),
        "10",
        "Seconds of silence up to which a replica is good.",
    )
    .alias(&["min-slaves-max-lag"]),
    // What this server is not
    fixed(
        "cluster-enabled",
        Kind::Only("no", "Redkeep is not a cluster node"),
        "no",
        "Run as a node of a Redis cluster.",
    ),
    fixed("tls-port", Kind::Only("0", "this version speaks no TLS"), "0", "Port for TLS connections."),
];
