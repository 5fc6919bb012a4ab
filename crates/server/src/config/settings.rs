//! The typed values of the directives.

use std::collections::BTreeMap;

use redkeep_store::value::EncodingLimits;

use super::table;

/// `save <seconds> <changes>`: a snapshot is due after so many seconds when so many changes were made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SavePoint {
    /// Seconds since the last snapshot.
    pub seconds: u64,
    /// Changes since the last snapshot.
    pub changes: u64,
}

impl SavePoint {
    pub(super) fn show(points: &[SavePoint]) -> String {
        points.iter().map(|p| format!("{} {}", p.seconds, p.changes)).collect::<Vec<_>>().join(" ")
    }
}

/// How much output may wait for one client of a class before it is disconnected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputLimit {
    /// Bytes at which it is disconnected at once; 0 for none.
    pub hard: u64,
    /// Bytes at which it is disconnected after `soft_seconds`; 0 for none.
    pub soft: u64,
    /// See `soft`.
    pub soft_seconds: u64,
}

/// `client-output-buffer-limit`, by class of client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputLimits {
    /// Ordinary clients.
    pub normal: OutputLimit,
    /// Replicas.
    pub replica: OutputLimit,
    /// Subscribers.
    pub pubsub: OutputLimit,
}

impl Default for OutputLimits {
    fn default() -> Self {
        let limit = |hard, soft, soft_seconds| OutputLimit { hard, soft, soft_seconds };
        OutputLimits {
            normal: limit(0, 0, 0),
            replica: limit(256 << 20, 64 << 20, 60),
            pubsub: limit(32 << 20, 8 << 20, 60),
        }
    }
}

impl OutputLimits {
    pub(super) fn set(&mut self, words: &[&str]) -> Result<(), String> {
        if words.is_empty() || !words.len().is_multiple_of(4) {
            return Err("Wrong number of arguments in buffer limit configuration.".into());
        }
        let mut changed = *self;
        for class in words.chunks_exact(4) {
            let memory = |word: &str| super::parse_memory(word);
            let limit = (memory(class[1]), memory(class[2]), class[3].parse::<u64>().ok());
            let (Some(hard), Some(soft), Some(soft_seconds)) = limit else {
                return Err(
                    "Error in hard, soft or soft_seconds setting in buffer limit configuration.".into()
                );
            };
            let slot = match class[0].to_ascii_lowercase().as_str() {
                "normal" => &mut changed.normal,
                "replica" | "slave" => &mut changed.replica,
                "pubsub" => &mut changed.pubsub,
                _ => return Err("Invalid client class specified in buffer limit configuration.".into()),
            };
            *slot = OutputLimit { hard, soft, soft_seconds };
        }
        *self = changed;
        Ok(())
    }

    pub(super) fn show(&self) -> String {
        [("normal", self.normal), ("slave", self.replica), ("pubsub", self.pubsub)]
            .map(|(class, l)| format!("{class} {} {} {}", l.hard, l.soft, l.soft_seconds))
            .join(" ")
    }
}

/// Every setting that means something to the server. Defaults are those of [`table::DIRECTIVES`].
#[derive(Debug, Clone)]
#[allow(missing_docs)] // each field is the directive of the same name, documented in the table
pub struct Settings {
    pub bind: Vec<String>,
    pub port: i64,
    pub unixsocket: String,
    pub unixsocketperm: u32,
    pub tcp_backlog: i64,
    pub timeout: i64,
    pub tcp_keepalive: i64,
    pub protected_mode: bool,
    pub io_threads: i64,
    pub databases: i64,
    pub maxclients: i64,
    pub requirepass: String,
    pub masterauth: String,
    pub masteruser: String,
    pub loglevel: &'static str,
    pub logfile: String,
    pub daemonize: bool,
    pub pidfile: String,
    pub dir: String,
    pub dbfilename: String,
    pub save: Vec<SavePoint>,
    pub rdbcompression: bool,
    pub rdbchecksum: bool,
    pub proto_max_bulk_len: u64,
    pub client_query_buffer_limit: u64,
    pub output_limits: OutputLimits,
    pub encoding: EncodingLimits,
    pub hash_max_listpack_entries: i64,
    pub hash_max_listpack_value: i64,
    pub list_max_listpack_size: i64,
    pub set_max_intset_entries: i64,
    pub set_max_listpack_entries: i64,
    pub set_max_listpack_value: i64,
    pub zset_max_listpack_entries: i64,
    pub zset_max_listpack_value: i64,
    pub maxmemory: u64,
    pub hz: i64,
    pub keyspace_events: u32,
    pub replicaof: Option<(String, u16)>,
    pub replica_read_only: bool,
    pub replica_serve_stale_data: bool,
    pub replica_priority: i64,
    pub replica_announced: bool,
    pub replica_announce_ip: String,
    pub replica_announce_port: i64,
    pub repl_backlog_size: u64,
    pub repl_backlog_ttl: i64,
    pub repl_timeout: i64,
    pub repl_ping_replica_period: i64,
    pub repl_diskless_sync_delay: i64,
    pub min_replicas_to_write: i64,
    pub min_replicas_max_lag: i64,
    pub shutdown_timeout: i64,
    /// Accepted directives without meaning here, as they were given.
    pub accepted: BTreeMap<String, String>,
}

impl Default for Settings {
    fn default() -> Self {
        let mut settings = Settings::zero();
        for directive in table::DIRECTIVES {
            let words = directive.kind.words_of(directive.default);
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            directive.kind.set(&mut settings, &words).expect("the table's defaults are valid");
        }
        settings.derive();
        settings
    }
}

impl Settings {
    fn zero() -> Self {
        Settings {
            bind: Vec::new(),
            port: 0,
            unixsocket: String::new(),
            unixsocketperm: 0,
            tcp_backlog: 0,
            timeout: 0,
            tcp_keepalive: 0,
            protected_mode: false,
            io_threads: 0,
            databases: 0,
            maxclients: 0,
            requirepass: String::new(),
            masterauth: String::new(),
            masteruser: String::new(),
            loglevel: "notice",
            logfile: String::new(),
            daemonize: false,
            pidfile: String::new(),
            dir: String::new(),
            dbfilename: String::new(),
            save: Vec::new(),
            rdbcompression: false,
            rdbchecksum: false,
            proto_max_bulk_len: 0,
            client_query_buffer_limit: 0,
            output_limits: OutputLimits::default(),
            encoding: EncodingLimits::default(),
            hash_max_listpack_entries: 0,
            hash_max_listpack_value: 0,
            list_max_listpack_size: 0,
            set_max_intset_entries: 0,
            set_max_listpack_entries: 0,
            set_max_listpack_value: 0,
            zset_max_listpack_entries: 0,
            zset_max_listpack_value: 0,
            maxmemory: 0,
            hz: 0,
            keyspace_events: 0,
            replicaof: None,
            replica_read_only: false,
            replica_serve_stale_data: false,
            replica_priority: 0,
            replica_announced: false,
            replica_announce_ip: String::new(),
            replica_announce_port: 0,
            repl_backlog_size: 0,
            repl_backlog_ttl: 0,
            repl_timeout: 0,
            repl_ping_replica_period: 0,
            repl_diskless_sync_delay: 0,
            min_replicas_to_write: 0,
            min_replicas_max_lag: 0,
            shutdown_timeout: 0,
            accepted: BTreeMap::new(),
        }
    }

    pub(super) fn set_save(&mut self, words: &[&str]) -> Result<(), String> {
        let words: Vec<&str> = words.iter().copied().filter(|word| !word.is_empty()).collect();
        if !words.len().is_multiple_of(2) {
            return Err("Invalid save parameters".into());
        }
        let mut points = Vec::new();
        for pair in words.chunks_exact(2) {
            match (pair[0].parse::<u64>(), pair[1].parse::<u64>()) {
                (Ok(seconds), Ok(changes)) if seconds >= 1 => points.push(SavePoint { seconds, changes }),
                _ => return Err("Invalid save parameters".into()),
            }
        }
        self.save = points;
        Ok(())
    }

    /// Brings the fields that follow from others up to date.
    pub(super) fn derive(&mut self) {
        let size = |n: i64| usize::try_from(n).unwrap_or(0);
        self.encoding.hash_max_listpack_entries = size(self.hash_max_listpack_entries);
        self.encoding.hash_max_listpack_value = size(self.hash_max_listpack_value);
        self.encoding.list_max_listpack_size =
            self.list_max_listpack_size.clamp(i32::MIN.into(), i32::MAX.into()) as _;
        self.encoding.set_max_intset_entries = size(self.set_max_intset_entries);
        self.encoding.set_max_listpack_entries = size(self.set_max_listpack_entries);
        self.encoding.set_max_listpack_value = size(self.set_max_listpack_value);
        self.encoding.zset_max_listpack_entries = size(self.zset_max_listpack_entries);
        self.encoding.zset_max_listpack_value = size(self.zset_max_listpack_value);
    }

    /// The number of worker threads: `io-threads`, or the number of cores where that is 0.
    pub fn workers(&self) -> usize {
        match usize::try_from(self.io_threads) {
            Ok(n) if n > 0 => n,
            _ => std::thread::available_parallelism().map_or(1, usize::from),
        }
    }
}
