//! Directives that Redis has and that have no meaning here. They are accepted, so that existing files work,
//! kept as text, and shown by `CONFIG GET`.

use super::Settings;

/// Name and Redis's default of each.
const ACCEPTED: &[(&str, &str)] = &[
    ("always-show-logo", "no"),
    ("activedefrag", "no"),
    ("active-defrag-cycle-max", "25"),
    ("active-defrag-cycle-min", "1"),
    ("active-defrag-ignore-bytes", "104857600"),
    ("active-defrag-max-scan-fields", "1000"),
    ("active-defrag-threshold-lower", "10"),
    ("active-defrag-threshold-upper", "100"),
    ("active-expire-effort", "1"),
    ("activerehashing", "yes"),
    ("aof-load-truncated", "yes"),
    ("aof-rewrite-incremental-fsync", "yes"),
    ("aof-timestamp-enabled", "no"),
    ("aof-use-rdb-preamble", "yes"),
    ("aof_rewrite_cpulist", ""),
    ("appenddirname", "appendonlydir"),
    ("appendfilename", "appendonly.aof"),
    ("appendfsync", "everysec"),
    ("auto-aof-rewrite-min-size", "67108864"),
    ("auto-aof-rewrite-percentage", "100"),
    ("bgsave_cpulist", ""),
    ("bio_cpulist", ""),
    ("busy-reply-threshold", "5000"),
    ("crash-log-enabled", "yes"),
    ("crash-memcheck-enabled", "yes"),
    ("disable-thp", "yes"),
    ("dynamic-hz", "yes"),
    ("hll-sparse-max-bytes", "3000"),
    ("ignore-warnings", ""),
    ("io-threads-do-reads", "no"),
    ("jemalloc-bg-thread", "yes"),
    ("latency-monitor-threshold", "0"),
    ("lazyfree-lazy-eviction", "no"),
    ("lazyfree-lazy-expire", "no"),
    ("lazyfree-lazy-server-del", "no"),
    ("lazyfree-lazy-user-del", "no"),
    ("lazyfree-lazy-user-flush", "no"),
    ("lfu-decay-time", "1"),
    ("lfu-log-factor", "10"),
    ("list-compress-depth", "0"),
    ("locale-collate", ""),
    ("lua-time-limit", "5000"),
    ("maxmemory-eviction-tenacity", "10"),
    ("maxmemory-samples", "5"),
    ("no-appendfsync-on-rewrite", "no"),
    ("oom-score-adj", "no"),
    ("oom-score-adj-values", "0 200 800"),
    ("proc-title-template", "{title} {listen-addr} {server-mode}"),
    ("rdb-del-sync-files", "no"),
    ("rdb-save-incremental-fsync", "yes"),
    ("repl-disable-tcp-nodelay", "no"),
    ("repl-diskless-load", "disabled"),
    ("repl-diskless-sync", "yes"),
    ("repl-diskless-sync-max-replicas", "0"),
    ("replica-ignore-disk-write-errors", "no"),
    ("replica-ignore-maxmemory", "yes"),
    ("replica-lazy-flush", "no"),
    ("sanitize-dump-payload", "no"),
    ("server_cpulist", ""),
    ("set-proc-title", "yes"),
    ("slowlog-log-slower-than", "10000"),
    ("slowlog-max-len", "128"),
    ("socket-mark-id", "0"),
    ("stop-writes-on-bgsave-error", "yes"),
    ("stream-node-max-bytes", "4096"),
    ("stream-node-max-entries", "100"),
    ("supervised", "no"),
    ("syslog-enabled", "no"),
    ("syslog-facility", "local0"),
    ("syslog-ident", "redis"),
    ("tracking-table-max-keys", "1000000"),
];

/// Whether `name`, in lower case, is accepted without a meaning.
pub fn is_accepted(name: &str) -> bool {
    ACCEPTED.iter().any(|(accepted, _)| *accepted == name)
}

/// Every accepted directive with its value: as given, or Redis's default.
pub fn values(settings: &Settings) -> impl Iterator<Item = (&'static str, &str)> {
    ACCEPTED
        .iter()
        .map(|(name, default)| (*name, settings.accepted.get(*name).map_or(*default, String::as_str)))
}

/// The names, for the reference.
pub fn names() -> impl Iterator<Item = &'static str> {
    ACCEPTED.iter().map(|(name, _)| *name)
}
