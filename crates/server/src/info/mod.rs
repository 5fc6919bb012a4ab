//! INFO: what a server says of itself.

use std::fmt::Write as _;
use std::sync::atomic::Ordering;

use redkeep_replication::ReplId;

use crate::commands::{Hold, by_id, count};
use crate::config::Settings;
use crate::engine::{Engine, policy};
use crate::repl::monotonic_ms;
use redkeep_resp::REDIS_VERSION;

/// The sections that `INFO` shows when none is named, in order.
const DEFAULT: &[&str] =
    &["server", "clients", "memory", "persistence", "stats", "replication", "cpu", "cluster", "keyspace"];

/// Sections that are shown only when they are named, or with `all`.
const FURTHER: &[&str] = &["commandstats"];

/// What a section is written from.
struct Source<'a> {
    engine: &'a Engine,
    settings: &'a Settings,
    hold: Hold<'a>,
}

/// The text of the named sections: `all`, `everything`, `default`, or names in any case.
pub fn render(engine: &Engine, settings: &Settings, hold: Hold<'_>, names: &[String]) -> String {
    let source = Source { engine, settings, hold };
    let named = |name: &str| names.iter().any(|given| given == name);
    let all = named("all") || named("everything");
    let default = names.is_empty() || named("default") || all;
    let mut text = String::new();
    for section in DEFAULT.iter().chain(FURTHER) {
        let wanted = named(section) || (default && DEFAULT.contains(section)) || all;
        if wanted {
            if !text.is_empty() {
                text.push_str("\r\n");
            }
            source.section(section, &mut text);
        }
    }
    text
}

/// `bytes` for people: `1.50M`.
fn human(bytes: u64) -> String {
    const UNITS: &[(u64, &str)] = &[(1 << 40, "T"), (1 << 30, "G"), (1 << 20, "M"), (1 << 10, "K")];
    match UNITS.iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, letter)) => format!("{:.2}{letter}", bytes as f64 / *unit as f64),
        None => format!("{bytes}B"),
    }
}

macro_rules! fields {
    ($text:expr, $($name:literal : $value:expr),* $(,)?) => {{ $(let _ = write!($text, "{}:{}\r\n", $name, $value);)* }};
}

impl Source<'_> {
    fn section(&self, name: &str, text: &mut String) {
        let mut title = name.to_owned();
        title[..1].make_ascii_uppercase();
        if name == "cpu" {
            title = "CPU".into();
        }
        let _ = write!(text, "# {title}\r\n");
        match name {
            "server" => self.server(text),
            "clients" => self.clients(text),
            "memory" => self.memory(text),
            "persistence" => self.persistence(text),
            "stats" => self.stats(text),
            "replication" => self.replication(text),
            "cpu" => cpu(text),
            "commandstats" => self.commandstats(text),
            "cluster" => fields!(text, "cluster_enabled": 0),
            "keyspace" => self.keyspace(text),
            _ => {}
        }
    }

    fn server(&self, text: &mut String) {
        let engine = self.engine;
        let uptime = engine.started.elapsed().as_secs();
        fields!(text,
            "redis_version": REDIS_VERSION,
            "redkeep_version": env!("CARGO_PKG_VERSION"),
            "redis_mode": "standalone",
            "os": format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            "arch_bits": usize::BITS,
            "process_id": std::process::id(),
            "run_id": engine.run_id,
            "tcp_port": engine.port,
            "server_time_usec": Engine::now_ms() * 1000,
            "uptime_in_seconds": uptime,
            "uptime_in_days": uptime / 86400,
            "hz": self.settings.hz,
            "configured_hz": self.settings.hz,
            "config_file": engine.config.file().map_or_else(String::new, |file| file.display().to_string()),
            "io_threads_active": engine.workers(),
        );
    }

    fn clients(&self, text: &mut String) {
        let clients = self.engine.clients.list();
        let blocked = clients.iter().filter(|client| client.is_blocked()).count();
        let pubsub =
            clients.iter().filter(|client| client.kind() == crate::client::ClientKind::Pubsub).count();
        let replicas =
            clients.iter().filter(|client| client.kind() == crate::client::ClientKind::Replica).count();
        fields!(text,
            "connected_clients": clients.len() - replicas,
            "cluster_connections": 0,
            "maxclients": self.settings.maxclients,
            "blocked_clients": blocked,
            "pubsub_clients": pubsub,
        );
    }

    fn memory(&self, text: &mut String) {
        let used = self.engine.used_memory() as u64;
        let peak = self.engine.stats.peak_memory.load(Ordering::Relaxed);
        let rss = resident_bytes();
        fields!(text,
            "used_memory": used,
            "used_memory_human": human(used),
            "used_memory_rss": rss,
            "used_memory_rss_human": human(rss),
            "used_memory_peak": peak,
            "used_memory_peak_human": human(peak),
            "maxmemory": self.settings.maxmemory,
            "maxmemory_human": human(self.settings.maxmemory),
            "maxmemory_policy": "noeviction",
            "mem_fragmentation_ratio": format!("{:.2}", rss as f64 / used.max(1) as f64),
            "mem_total_replication_buffers": self.engine.log.memory(),
            "lazyfree_pending_objects": self.engine.disposal.pending(),
            "lazyfreed_objects": self.engine.disposal.dropped(),
        );
    }

    fn persistence(&self, text: &mut String) {
        let persistence = &self.engine.persistence;
        let loading = self.engine.policy.load(Ordering::Relaxed) & policy::LOADING != 0;
        fields!(text,
            "loading": u8::from(loading),
            "rdb_changes_since_last_save": persistence.changes(self.engine),
            "rdb_bgsave_in_progress": u8::from(persistence.is_saving()),
            "rdb_last_save_time": persistence.last_save_seconds(),
            "rdb_last_bgsave_status": if persistence.last_save_ok() { "ok" } else { "err" },
            "rdb_saves": persistence.saves(),
            "aof_enabled": 0,
        );
    }

    fn stats(&self, text: &mut String) {
        let stats = &self.engine.stats;
        let read = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        fields!(text,
            "total_connections_received": read(&stats.connections),
            "total_commands_processed": stats.commands_processed(),
            "instantaneous_ops_per_sec": read(&stats.instantaneous_ops),
            "total_net_input_bytes": stats.sum(|slot| slot.bytes_in.get()),
            "total_net_output_bytes": stats.sum(|slot| slot.bytes_out.get()),
            "rejected_connections": read(&stats.rejected_connections),
            "sync_full": read(&stats.sync_full),
            "sync_partial_ok": read(&stats.sync_partial_ok),
            "sync_partial_err": read(&stats.sync_partial_err),
            "expired_keys": stats.sum(|slot| slot.expired.get()),
            "keyspace_hits": stats.sum(|slot| slot.hits.get()),
            "keyspace_misses": stats.sum(|slot| slot.misses.get()),
            "pubsub_channels": self.engine.pubsub.channel_count(),
            "pubsub_patterns": self.engine.pubsub.patterns(),
            "total_error_replies": stats.sum(|slot| slot.errors.get()),
        );
    }

    fn replication(&self, text: &mut String) {
        let (engine, replication) = (self.engine, &self.engine.replication);
        match replication.master() {
            Some(master) => {
                fields!(text, "role": "slave", "master_host": master.host, "master_port": master.port);
                self.link(text);
            }
            None => fields!(text, "role": "master"),
        }
        let replicas = replication.replicas();
        let now_ms = monotonic_ms(engine);
        fields!(text, "connected_slaves": replicas.len());
        for (i, replica) in replicas.iter().enumerate() {
            let lag = now_ms.saturating_sub(replica.acked_at_ms) / 1000;
            let _ = write!(
                text,
                "slave{i}:ip={},port={},state={},offset={},lag={lag}\r\n",
                replica.ip, replica.port, replica.state, replica.acked.0
            );
        }
        if self.settings.min_replicas_to_write > 0 {
            let lag = self.settings.min_replicas_max_lag.max(0) as u64;
            fields!(text, "min_slaves_good_slaves": replication.good_replicas(engine, lag));
        }
        let history = replication.history();
        let previous = history.previous();
        let backlog = engine.log.available();
        fields!(text,
            "master_failover_state": "no-failover",
            "master_replid": history.id(),
            "master_replid2": previous.map_or_else(|| "0".repeat(40), |previous| ReplId::to_string(&previous.id)),
            "master_repl_offset": engine.log.end().0,
            "second_repl_offset": previous.map_or(-1, |previous| previous.shared_until.next_byte() as i64),
            "repl_backlog_active": u8::from(engine.log.is_active()),
            "repl_backlog_size": self.settings.repl_backlog_size,
            "repl_backlog_first_byte_offset": backlog.map_or(0, |backlog| backlog.first.next_byte()),
            "repl_backlog_histlen": backlog.map_or(0, |backlog| backlog.histlen()),
        );
    }

    fn link(&self, text: &mut String) {
        let link = self.engine.replication.link();
        let up = link.is_some_and(|link| link.up);
        let seconds = |ms: Option<u64>| ms.map_or(-1, |ms| (ms / 1000) as i64);
        let offset = self.engine.log.end().0;
        fields!(text,
            "master_link_status": if up { "up" } else { "down" },
            "master_last_io_seconds_ago": seconds(link.and_then(|link| link.last_io_ms_ago)),
            "master_sync_in_progress": u8::from(link.is_some_and(|link| link.sync.is_some())),
            "slave_read_repl_offset": offset,
            "slave_repl_offset": offset,
        );
        if !up {
            fields!(text, "master_link_down_since_seconds": seconds(link.and_then(|link| link.down_for_ms)));
        }
        fields!(text,
            "slave_priority": self.settings.replica_priority,
            "slave_read_only": u8::from(self.settings.replica_read_only),
            "replica_announced": u8::from(self.settings.replica_announced),
        );
    }

    fn commandstats(&self, text: &mut String) {
        let stats = &self.engine.stats;
        for id in 0..count() {
            let calls = stats.sum(|slot| slot.commands[id].calls.get());
            let rejected = stats.sum(|slot| slot.commands[id].rejected.get());
            if calls == 0 && rejected == 0 {
                continue;
            }
            let usec = stats.sum(|slot| slot.commands[id].nanos.get()) / 1000;
            let failed = stats.sum(|slot| slot.commands[id].failed.get());
            let _ = write!(
                text,
                "cmdstat_{}:calls={calls},usec={usec},usec_per_call={:.2},rejected_calls={rejected},failed_calls={failed}\r\n",
                by_id(id).full_name,
                usec as f64 / calls.max(1) as f64,
            );
        }
    }

    fn keyspace(&self, text: &mut String) {
        for db in 0..self.engine.keyspace.databases() {
            let keys = self.hold.len(&self.engine.keyspace, db);
            if keys > 0 {
                let expires = self.hold.volatile_len(&self.engine.keyspace, db);
                let _ = write!(text, "db{db}:keys={keys},expires={expires},avg_ttl=0\r\n");
            }
        }
    }
}

fn cpu(text: &mut String) {
    let seconds = |time: rustix::time::Timespec| format!("{}.{:06}", time.tv_sec, time.tv_nsec / 1000);
    let total = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    fields!(text, "used_cpu_user": seconds(total));
}

/// Memory of the process that is in RAM, from the kernel's own account; 0 where it gives none.
pub(crate) fn resident_bytes() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|statm| statm.split_ascii_whitespace().nth(1)?.parse::<u64>().ok());
    pages.unwrap_or(0) * rustix::param::page_size() as u64
}

#[cfg(test)]
mod tests {
    use super::human;

    #[test]
    fn sizes_for_people() {
        assert_eq!([human(0), human(1023), human(1024), human(1 << 20)], ["0B", "1023B", "1.00K", "1.00M"]);
    }
}
