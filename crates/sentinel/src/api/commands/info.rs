//! INFO.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use redkeep_resp::REDIS_VERSION;

use super::group::role_word;
use super::query::master_lines;
use super::{Call, CommandSpec, Outcome};
use crate::api::Api;
use crate::raft::{Member, Standing};

pub(super) const COMMANDS: &[CommandSpec] =
    &[CommandSpec::new("info", -1, &[], "Return information about the sentinel", info)];

type Section = (&'static str, fn(&Api) -> String);

const SECTIONS: &[Section] = &[
    ("Server", server),
    ("Clients", clients),
    ("Stats", stats),
    ("CPU", cpu),
    ("Sentinel", sentinel),
    ("Raft", raft),
];

fn info(call: &mut Call<'_, '_>) -> Outcome {
    let asked = &call.args[1..];
    let everything = ["default", "all", "everything"];
    let wants = |name: &str| asked.iter().any(|word| word.eq_ignore_ascii_case(name.as_bytes()));
    let all = asked.is_empty() || everything.iter().any(|word| wants(word));
    let mut text = String::new();
    for (name, section) in SECTIONS.iter().filter(|(name, _)| all || wants(name)) {
        if !text.is_empty() {
            text.push_str("\r\n");
        }
        let _ = write!(text, "# {name}\r\n{}", section(call.api));
    }
    call.reply.verbatim("txt", text.as_bytes());
    Outcome::Done
}

fn fields<const N: usize>(fields: [(&str, String); N]) -> String {
    fields.iter().fold(String::new(), |mut text, (field, value)| {
        let _ = write!(text, "{field}:{value}\r\n");
        text
    })
}

fn server(api: &Api) -> String {
    let uptime = api.shared.started.elapsed().as_secs();
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let system = rustix::system::uname();
    let os = [system.sysname(), system.release(), system.machine()]
        .map(|part| part.to_string_lossy().into_owned());
    fields([
        ("redis_version", REDIS_VERSION.to_owned()),
        ("redkeep_version", env!("CARGO_PKG_VERSION").to_owned()),
        ("redis_mode", "sentinel".to_owned()),
        ("os", os.join(" ")),
        ("arch_bits", usize::BITS.to_string()),
        ("process_id", std::process::id().to_string()),
        ("run_id", api.run_id.clone()),
        ("tcp_port", api.port.to_string()),
        ("server_time_usec", unix.as_micros().to_string()),
        ("uptime_in_seconds", uptime.to_string()),
        ("uptime_in_days", (uptime / 86_400).to_string()),
        ("config_file", api.config_file.clone()),
    ])
}

fn clients(api: &Api) -> String {
    fields([
        ("connected_clients", api.clients.count().to_string()),
        ("maxclients", crate::api::session::MAX_CLIENTS.to_string()),
        ("blocked_clients", "0".to_owned()),
    ])
}

fn stats(api: &Api) -> String {
    let counted = |counter: &AtomicU64| counter.load(Ordering::Relaxed).to_string();
    let statistics = &api.statistics;
    fields([
        ("total_connections_received", counted(&statistics.connections)),
        ("total_commands_processed", counted(&statistics.commands)),
        ("total_net_input_bytes", counted(&statistics.bytes_in)),
        ("total_net_output_bytes", counted(&statistics.bytes_out)),
        ("rejected_connections", counted(&statistics.rejected)),
        ("total_error_replies", counted(&statistics.errors)),
    ])
}

/// From `/proc`, in whole clock ticks; nothing where there is no such file.
fn cpu(_: &Api) -> String {
    const TICKS_PER_SECOND: f64 = 100.0;
    let Ok(stat) = std::fs::read_to_string("/proc/self/stat") else { return String::new() };
    // The second field is a name in parentheses, which may hold anything.
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: Vec<f64> =
        after_name.split_whitespace().skip(11).take(4).filter_map(|field| field.parse().ok()).collect();
    let seconds = |index: usize| format!("{:.6}", ticks.get(index).unwrap_or(&0.0) / TICKS_PER_SECOND);
    fields([
        ("used_cpu_sys", seconds(1)),
        ("used_cpu_user", seconds(0)),
        ("used_cpu_sys_children", seconds(3)),
        ("used_cpu_user_children", seconds(2)),
    ])
}

fn sentinel(api: &Api) -> String {
    let node = api.shared.node.lock();
    let now = api.shared.now_ms();
    let scripts = api.scripts.snapshot();
    let failures = api.shared.simulated_failures.load(Ordering::Relaxed);
    let tilt = node.tilt_since();
    let tilt_seconds =
        tilt.map_or_else(|| "-1".to_owned(), |since| (now.saturating_sub(since) / 1000).to_string());
    let counts = fields([
        ("sentinel_masters", node.topology().masters.len().to_string()),
        ("sentinel_tilt", u8::from(tilt.is_some()).to_string()),
        ("sentinel_tilt_since_seconds", tilt_seconds),
        ("sentinel_running_scripts", scripts.iter().filter(|job| job.running.is_some()).count().to_string()),
        ("sentinel_scripts_queue_length", scripts.len().to_string()),
        ("sentinel_simulate_failure_flags", failures.to_string()),
    ]);
    counts + &master_lines(&node)
}

/// The group, which Redis Sentinel does not have.
fn raft(api: &Api) -> String {
    let status = api.shared.group.status();
    let leadership = &status.leadership;
    let (standing, group) = match leadership.standing {
        Standing::Searching => ("searching", String::new()),
        Standing::Promised(id) => ("promised", id.to_string()),
        Standing::Joining(id) => ("joining", id.to_string()),
        Standing::Member(id) => ("member", id.to_string()),
        Standing::Forgotten(id) => ("forgotten", id.to_string()),
    };
    let leader = leadership.leader.as_ref();
    let quorum_ack = status.quorum_ack_age_ms.map_or_else(|| "-1".to_owned(), |age| age.to_string());
    let mut text = fields([
        ("raft_standing", standing.to_owned()),
        ("raft_group", group),
        ("raft_role", role_word(leadership.role).to_owned()),
        ("raft_term", leadership.term.to_string()),
        ("raft_node", status.me.node.to_string()),
        ("raft_leader", leader.map_or_else(String::new, |leader| leader.public_id.to_string())),
        ("raft_leader_address", leader.map_or_else(String::new, |leader| leader.address.to_string())),
        ("raft_quorum_ack_age_ms", quorum_ack),
        ("raft_last_log_index", status.last_log_index.to_string()),
        ("raft_applied_index", status.applied_index.to_string()),
        ("raft_snapshot_index", status.snapshot_index.to_string()),
        ("raft_voters", status.voters.len().to_string()),
        ("raft_learners", status.learners.len().to_string()),
    ]);
    let mut list = |kind: &str, members: &[Member]| {
        for (index, member) in members.iter().enumerate() {
            let Member { node, public_id, address } = member;
            let _ = write!(text, "raft_{kind}{index}:node={node},id={public_id},address={address}\r\n");
        }
    };
    list("voter", &status.voters);
    list("learner", &status.learners);
    text
}
