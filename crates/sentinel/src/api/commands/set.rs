//! SENTINEL SET, CONFIG and DEBUG: settings of a master, of this sentinel, and of its clockwork.

use std::path::Path;
use std::sync::atomic::Ordering;

use redkeep_resp::glob;

use super::query::NO_SUCH_MASTER;
use super::{Call, Outcome};
use crate::api::pending::Work;
use crate::core::event::{Event, Instance, Kind};
use crate::core::node::Timings;
use crate::core::topology::{Command, Setting, parse_millis};
use crate::local::{Local, LocalMaster};
use crate::runtime::{CRASH_AFTER_ELECTION, CRASH_AFTER_PROMOTION};

/// What an option of SET changes.
enum Change {
    /// The whole group knows it.
    Shared(Setting),
    /// This sentinel keeps it to itself.
    Private(Box<dyn FnOnce(&mut LocalMaster)>),
}

pub(super) fn set(call: &mut Call<'_, '_>) -> Outcome {
    let name = call.text(2).into_owned();
    let master =
        call.api.shared.node.lock().topology().masters.get(&name).map(|master| master.primary().clone());
    let Some(primary) = master else { return call.error(NO_SUCH_MASTER) };
    let (mut settings, mut told) = (Vec::new(), Vec::new());
    let mut local: Option<Box<Local>> = None;
    let mut index = 3;
    while index < call.args.len() {
        let takes = if call.is(index, "rename-command") { 2 } else { 1 };
        if index + takes >= call.args.len() {
            return unknown_option(call, index);
        }
        match option(call, index) {
            Ok(Some(Change::Shared(setting))) => settings.push(setting),
            Ok(Some(Change::Private(change))) => {
                let local = local.get_or_insert_with(|| Box::new(call.api.shared.local.read().clone()));
                change(local.masters.entry(name.clone()).or_default());
                let described = Instance::master(&name, &primary);
                told.push(Event::noted(Kind::Set, described, note(call, index, takes)));
            }
            Ok(None) => return unknown_option(call, index),
            Err(error) => return call.error(error),
        }
        index += 1 + takes;
    }
    let command = (!settings.is_empty()).then_some(Command::Set { name, settings });
    Outcome::later(Work::Set { local, told, command })
}

/// What subscribers hear of a private option: never a password.
fn note(call: &Call<'_, '_>, index: usize, takes: usize) -> String {
    let option = call.text(index).to_ascii_lowercase();
    if option == "auth-pass" {
        return format!("{option} ******");
    }
    let values = (index + 1..=index + takes).map(|index| call.text(index).into_owned());
    [option].into_iter().chain(values).collect::<Vec<_>>().join(" ")
}

fn unknown_option(call: &mut Call<'_, '_>, index: usize) -> Outcome {
    let option = call.text(index);
    call.error(format!("ERR Unknown option or number of arguments for SENTINEL SET '{option}'"))
}

fn option(call: &Call<'_, '_>, index: usize) -> Result<Option<Change>, String> {
    let (option, value) = (call.text(index).to_ascii_lowercase(), call.text(index + 1).into_owned());
    let invalid = || format!("ERR Invalid argument '{value}' for SENTINEL SET '{option}'");
    let millis = || parse_millis(&value).filter(|ms| *ms > 0).ok_or_else(invalid);
    let count = || value.parse::<u32>().ok().filter(|count| *count > 0).ok_or_else(invalid);
    let unless_empty = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Ok(Some(match option.as_str() {
        "down-after-milliseconds" => Change::Shared(Setting::DownAfter(millis()?)),
        "refused-after-milliseconds" => {
            Change::Shared(Setting::RefusedAfter(parse_millis(&value).ok_or_else(invalid)?))
        }
        "failover-timeout" => Change::Shared(Setting::FailoverTimeout(millis()?)),
        "parallel-syncs" => Change::Shared(Setting::ParallelSyncs(count()?)),
        "quorum" => Change::Shared(Setting::Quorum(count()?)),
        "master-reboot-down-after-period" => {
            Change::Shared(Setting::MasterRebootDownAfter(parse_millis(&value).ok_or_else(invalid)?))
        }
        "auth-pass" => {
            let value = unless_empty(&value);
            Change::Private(Box::new(|master| master.auth_pass = value))
        }
        "auth-user" => {
            let value = unless_empty(&value);
            Change::Private(Box::new(|master| master.auth_user = value))
        }
        "rename-command" => {
            let renamed = call.text(index + 2).into_owned();
            if value.is_empty() || renamed.is_empty() {
                return Err(invalid());
            }
            let command = value.to_ascii_lowercase();
            Change::Private(Box::new(move |master| rename(master, command, renamed)))
        }
        "notification-script" | "client-reconfig-script" => {
            if call.api.shared.local.read().deny_scripts_reconfig {
                return Err("ERR Reconfiguration of scripts path is denied for security reasons. Check the \
                            deny-scripts-reconfig configuration directive in your Sentinel configuration"
                    .to_owned());
            }
            if !value.is_empty() && !crate::config::is_executable(Path::new(&value)) {
                return Err(invalid());
            }
            let path = unless_empty(&value).map(Into::into);
            let notifies = option == "notification-script";
            Change::Private(Box::new(move |master| {
                let place = if notifies {
                    &mut master.notification_script
                } else {
                    &mut master.client_reconfig_script
                };
                *place = path;
            }))
        }
        _ => return Ok(None),
    }))
}

/// A command renamed to itself is not renamed any more.
fn rename(master: &mut LocalMaster, command: String, renamed: String) {
    if renamed.eq_ignore_ascii_case(&command) {
        master.renamed.remove(&command);
    } else {
        master.renamed.insert(command, renamed);
    }
}

const CONFIG_FORMS: &str = "ERR Only SENTINEL CONFIG GET <option> / SET <option> <value> are supported.";

pub(super) fn config(call: &mut Call<'_, '_>) -> Outcome {
    match call.args.len() {
        4 if call.is(2, "get") => config_get(call),
        5 if call.is(2, "set") => config_set(call),
        _ => call.error(CONFIG_FORMS),
    }
}

fn config_get(call: &mut Call<'_, '_>) -> Outcome {
    let local = call.api.shared.local.read().clone();
    let yes_no = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
    let all = [
        ("resolve-hostnames", yes_no(local.resolve_hostnames)),
        ("announce-hostnames", yes_no(local.announce_hostnames)),
        ("announce-ip", local.announce_ip.unwrap_or_default()),
        ("announce-port", local.announce_port.unwrap_or(0).to_string()),
        ("sentinel-user", local.sentinel_user.unwrap_or_default()),
        ("sentinel-pass", local.sentinel_pass.unwrap_or_default()),
    ];
    let wanted: Vec<_> =
        all.iter().filter(|(name, _)| glob::matches_ignoring_case(call.args[3], name.as_bytes())).collect();
    call.reply.map(wanted.len());
    for (name, value) in wanted {
        call.reply.bulk_str(name);
        call.reply.bulk_str(value);
    }
    Outcome::Done
}

fn config_set(call: &mut Call<'_, '_>) -> Outcome {
    let (option, value) = (call.text(3).to_ascii_lowercase(), call.text(4).into_owned());
    let mut local = call.api.shared.local.read().clone();
    let unless_empty = || (!value.is_empty()).then(|| value.clone());
    let yes_no = match value.to_ascii_lowercase().as_str() {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    };
    let known = match option.as_str() {
        "resolve-hostnames" => yes_no.map(|yes| local.resolve_hostnames = yes).is_some(),
        "announce-hostnames" => yes_no.map(|yes| local.announce_hostnames = yes).is_some(),
        "announce-ip" => replace(&mut local.announce_ip, unless_empty()),
        "announce-port" => {
            value.parse().map(|port: u16| local.announce_port = (port != 0).then_some(port)).is_ok()
        }
        "sentinel-user" => replace(&mut local.sentinel_user, unless_empty()),
        "sentinel-pass" => replace(&mut local.sentinel_pass, unless_empty()),
        _ => {
            let option = call.text(3);
            return call.error(format!("ERR Invalid argument '{option}' to SENTINEL CONFIG SET"));
        }
    };
    if known {
        return Outcome::later(Work::Set { local: Some(Box::new(local)), told: Vec::new(), command: None });
    }
    let option = call.text(3);
    call.error(format!("ERR Invalid value '{value}' to SENTINEL CONFIG SET '{option}'"))
}

/// Any text will do.
fn replace(place: &mut Option<String>, value: Option<String>) -> bool {
    *place = value;
    true
}

type Period = (&'static str, fn(&mut Timings) -> &mut u64);

/// The periods that DEBUG shows and sets, ms.
const PERIODS: &[Period] = &[
    ("INFO-PERIOD", |timings| &mut timings.info_period_ms),
    ("PING-PERIOD", |timings| &mut timings.ping_period_ms),
    ("ASK-PERIOD", |timings| &mut timings.report_period_ms),
    ("PUBLISH-PERIOD", |timings| &mut timings.hello_period_ms),
    ("DEFAULT-DOWN-AFTER", |timings| &mut timings.default_down_after_ms),
    ("DEFAULT-FAILOVER-TIMEOUT", |timings| &mut timings.default_failover_timeout_ms),
    ("TILT-TRIGGER", |timings| &mut timings.tilt_trigger_ms),
    ("TILT-PERIOD", |timings| &mut timings.tilt_period_ms),
    ("MIN-LINK-RECONNECT-PERIOD", |timings| &mut timings.min_link_reconnect_ms),
];

/// What `SIMULATE-FAILURE` knows.
const FAILURES: &[(&str, u8)] =
    &[("crash-after-election", CRASH_AFTER_ELECTION), ("crash-after-promotion", CRASH_AFTER_PROMOTION)];

pub(super) fn simulate_failure(call: &mut Call<'_, '_>) -> Outcome {
    let mut flags = 0;
    for index in 2..call.args.len() {
        if call.is(index, "help") {
            call.reply.array(FAILURES.len());
            FAILURES.iter().for_each(|(name, _)| call.reply.bulk_str(name));
            return Outcome::Done;
        }
        match FAILURES.iter().find(|(name, _)| call.is(index, name)) {
            Some((_, flag)) => flags |= flag,
            None => return call.error("ERR Unknown failure simulation specified"),
        }
    }
    call.api.shared.simulated_failures.store(flags, Ordering::Relaxed);
    call.ok()
}

pub(super) fn debug(call: &mut Call<'_, '_>) -> Outcome {
    let mut timings = call.api.shared.node.lock().timings();
    if call.args.len() == 2 {
        call.reply.map(PERIODS.len());
        for (name, period) in PERIODS {
            call.reply.bulk_str(name);
            call.reply.bulk_str(&period(&mut timings).to_string());
        }
        return Outcome::Done;
    }
    for index in (2..call.args.len()).step_by(2) {
        let known = PERIODS.iter().find(|(name, _)| call.is(index, name));
        let option = call.text(index);
        let (Some((_, period)), true) = (known, index + 1 < call.args.len()) else {
            return call
                .error(format!("ERR Unknown option or number of arguments for SENTINEL DEBUG '{option}'"));
        };
        let value = call.text(index + 1);
        match parse_millis(&value) {
            Some(ms) if ms > 0 => *period(&mut timings) = ms,
            Some(_) | None => {
                return call.error(format!("ERR Invalid argument '{value}' for SENTINEL DEBUG '{option}'"));
            }
        }
    }
    call.api.shared.node.lock().set_timings(timings);
    call.ok()
}
