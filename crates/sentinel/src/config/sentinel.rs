//! The directives that begin with the word `sentinel`.

use std::path::PathBuf;

use super::{ConfigError, Line, MasterConfig, SentinelConfig, is_executable, resolve};
use crate::core::ids::{Addr, Epoch};
use crate::core::topology::{Setting, Settings, parse_millis};
use crate::local::LocalMaster;

/// When a directive is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Round {
    /// `monitor` depends on it.
    BeforeMonitor,
    Monitor,
    /// It may name a master.
    AfterMonitor,
}

/// One directive.
struct Directive {
    name: &'static str,
    /// How many arguments it takes, at least and at most.
    args: (usize, usize),
    round: Round,
    apply: fn(&mut SentinelConfig, &[String]) -> Result<(), String>,
}

const fn before(
    name: &'static str,
    apply: fn(&mut SentinelConfig, &[String]) -> Result<(), String>,
) -> Directive {
    Directive { name, args: (1, 1), round: Round::BeforeMonitor, apply }
}

const fn after(
    name: &'static str,
    args: usize,
    apply: fn(&mut SentinelConfig, &[String]) -> Result<(), String>,
) -> Directive {
    Directive { name, args: (args, args), round: Round::AfterMonitor, apply }
}

const DIRECTIVES: &[Directive] = &[
    before("resolve-hostnames", |config, args| {
        config.local.resolve_hostnames = yes_no(&args[0], "resolve-hostnames option")?;
        Ok(())
    }),
    before("announce-hostnames", |config, args| {
        config.local.announce_hostnames = yes_no(&args[0], "announce-hostnames option")?;
        Ok(())
    }),
    before("announce-ip", |config, args| {
        config.local.announce_ip = (!args[0].is_empty()).then(|| args[0].clone());
        Ok(())
    }),
    before("announce-port", |config, args| {
        let port: u16 = args[0].parse().map_err(|_| "Invalid port number.".to_owned())?;
        config.local.announce_port = (port != 0).then_some(port);
        Ok(())
    }),
    before("deny-scripts-reconfig", |config, args| {
        config.local.deny_scripts_reconfig = yes_no(&args[0], "deny-scripts-reconfig options")?;
        Ok(())
    }),
    before("sentinel-user", |config, args| {
        config.local.sentinel_user = Some(args[0].clone());
        Ok(())
    }),
    before("sentinel-pass", |config, args| {
        config.local.sentinel_pass = Some(args[0].clone());
        Ok(())
    }),
    before("myid", |config, args| {
        let malformed = |_| "Malformed Sentinel id in myid option.".to_owned();
        config.myid = Some(args[0].parse().map_err(malformed)?);
        Ok(())
    }),
    Directive {
        name: "peers",
        args: (1, 64),
        round: Round::BeforeMonitor,
        apply: |config, args| {
            let peers: Result<_, _> = args.iter().map(|peer| peer.parse()).collect();
            config.peers = peers.map_err(|_| "Peers must be given as host:port.".to_owned())?;
            Ok(())
        },
    },
    before("bootstrap-settle-ms", |config, args| {
        config.settle_ms = positive_millis(&args[0], "Invalid bootstrap-settle-ms.")?;
        Ok(())
    }),
    before("current-epoch", |_, args| integer(&args[0]).map(drop)),
    Directive { name: "monitor", args: (4, 4), round: Round::Monitor, apply: monitor },
    after("down-after-milliseconds", 2, |config, args| millis(config, args, Setting::DownAfter)),
    after("failover-timeout", 2, |config, args| millis(config, args, Setting::FailoverTimeout)),
    after("refused-after-milliseconds", 2, |config, args| {
        let ms = parse_millis(&args[1]).ok_or_else(|| "negative time parameter.".to_owned())?;
        set(config, &args[0], Setting::RefusedAfter(ms))
    }),
    after("master-reboot-down-after-period", 2, |config, args| {
        let ms = parse_millis(&args[1]).ok_or_else(|| "negative time parameter.".to_owned())?;
        set(config, &args[0], Setting::MasterRebootDownAfter(ms))
    }),
    after("parallel-syncs", 2, |config, args| {
        let count = positive(&args[1], "Invalid parallel-syncs.")?;
        set(config, &args[0], Setting::ParallelSyncs(count))
    }),
    after("notification-script", 2, |config, args| {
        let script = script(config, args, "Notification script")?;
        private(config, &args[0])?.notification_script = script;
        Ok(())
    }),
    after("client-reconfig-script", 2, |config, args| {
        let script = script(config, args, "Client reconfiguration script")?;
        private(config, &args[0])?.client_reconfig_script = script;
        Ok(())
    }),
    after("auth-pass", 2, |config, args| {
        private(config, &args[0])?.auth_pass = (!args[1].is_empty()).then(|| args[1].clone());
        Ok(())
    }),
    after("auth-user", 2, |config, args| {
        private(config, &args[0])?.auth_user = (!args[1].is_empty()).then(|| args[1].clone());
        Ok(())
    }),
    after("rename-command", 3, |config, args| {
        let renamed = &mut private(config, &args[0])?.renamed;
        match renamed.insert(args[1].to_ascii_lowercase(), args[2].clone()) {
            Some(before) if before != args[2] => {
                Err("Same command renamed multiple times with rename-command.".to_owned())
            }
            Some(_) | None => Ok(()),
        }
    }),
    after("config-epoch", 2, |config, args| {
        master(config, &args[0])?.epoch = Epoch(integer(&args[1])?);
        Ok(())
    }),
    after("leader-epoch", 2, |config, args| {
        master(config, &args[0])?;
        integer(&args[1]).map(drop)
    }),
    after("known-replica", 3, known_replica),
    after("known-slave", 3, known_replica),
    Directive { name: "known-sentinel", args: (3, 4), round: Round::AfterMonitor, apply: known_sentinel },
];

/// Applies all lines, in the rounds that they need.
pub(super) fn apply_all(config: &mut SentinelConfig, lines: &[Line]) -> Result<(), ConfigError> {
    let mut known = Vec::new();
    for line in lines {
        // A line of the one word `sentinel` says nothing.
        let Some(name) = line.words.get(1) else { continue };
        let args = line.words.len() - 2;
        let directive = DIRECTIVES.iter().find(|directive| {
            name.eq_ignore_ascii_case(directive.name) && (directive.args.0..=directive.args.1).contains(&args)
        });
        let directive =
            directive.ok_or_else(|| line.error("Unrecognized sentinel configuration statement."))?;
        known.push((line, directive));
    }
    for round in [Round::BeforeMonitor, Round::Monitor, Round::AfterMonitor] {
        for (line, directive) in known.iter().filter(|(_, directive)| directive.round == round) {
            (directive.apply)(config, &line.words[2..]).map_err(|reason| line.error(reason))?;
        }
    }
    Ok(())
}

fn monitor(config: &mut SentinelConfig, args: &[String]) -> Result<(), String> {
    let quorum = args[3].parse::<i64>().unwrap_or(0);
    let quorum = u32::try_from(quorum).ok().filter(|quorum| *quorum > 0);
    let quorum = quorum.ok_or_else(|| "Quorum must be 1 or greater.".to_owned())?;
    let port: u16 = args[2].parse().map_err(|_| "Invalid port number.".to_owned())?;
    let host =
        resolve(&config.local, &args[1]).ok_or_else(|| "Can't resolve instance hostname.".to_owned())?;
    if config.masters.contains_key(&args[0]) {
        return Err("Duplicate master name.".to_owned());
    }
    let master = MasterConfig {
        address: Addr::new(host, port),
        settings: Settings::new(quorum),
        epoch: Epoch(0),
        replicas: Default::default(),
        sentinels: Default::default(),
    };
    config.masters.insert(args[0].clone(), master);
    Ok(())
}

fn master<'a>(config: &'a mut SentinelConfig, name: &str) -> Result<&'a mut MasterConfig, String> {
    config.masters.get_mut(name).ok_or_else(|| "No such master with specified name.".to_owned())
}

fn private<'a>(config: &'a mut SentinelConfig, name: &str) -> Result<&'a mut LocalMaster, String> {
    master(config, name)?;
    Ok(config.local.masters.entry(name.to_owned()).or_default())
}

fn set(config: &mut SentinelConfig, name: &str, setting: Setting) -> Result<(), String> {
    master(config, name)?.settings.set(setting);
    Ok(())
}

fn millis(config: &mut SentinelConfig, args: &[String], setting: fn(u64) -> Setting) -> Result<(), String> {
    master(config, &args[0])?;
    let ms = positive_millis(&args[1], "negative or zero time parameter.")?;
    set(config, &args[0], setting(ms))
}

fn script(config: &mut SentinelConfig, args: &[String], what: &str) -> Result<Option<PathBuf>, String> {
    master(config, &args[0])?;
    let path = PathBuf::from(&args[1]);
    if is_executable(&path) {
        Ok(Some(path))
    } else {
        Err(format!("{what} seems non existing or non executable."))
    }
}

fn known_replica(config: &mut SentinelConfig, args: &[String]) -> Result<(), String> {
    let replica = address(&args[1], &args[2], "Wrong hostname or port for replica.")?;
    master(config, &args[0])?.replicas.insert(replica);
    Ok(())
}

/// Without an id the line says only that there was a sentinel; it will announce itself.
fn known_sentinel(config: &mut SentinelConfig, args: &[String]) -> Result<(), String> {
    let wrong = "Wrong hostname or port for sentinel.";
    let address = address(&args[1], &args[2], wrong)?;
    let sentinels = &mut master(config, &args[0])?.sentinels;
    if let Some(id) = args.get(3) {
        sentinels.insert(id.parse().map_err(|_| wrong.to_owned())?, address);
    }
    Ok(())
}

fn address(host: &str, port: &str, wrong: &str) -> Result<Addr, String> {
    match port.parse::<u16>() {
        Ok(port) if port != 0 && !host.is_empty() => Ok(Addr::new(host, port)),
        Ok(_) | Err(_) => Err(wrong.to_owned()),
    }
}

fn integer(arg: &str) -> Result<u64, String> {
    arg.parse().map_err(|_| "argument couldn't be parsed into an integer".to_owned())
}

fn positive_millis(arg: &str, wrong: &str) -> Result<u64, String> {
    parse_millis(arg).filter(|ms| *ms > 0).ok_or_else(|| wrong.to_owned())
}

fn positive<T: std::str::FromStr + PartialOrd + Default>(arg: &str, wrong: &str) -> Result<T, String> {
    arg.parse().ok().filter(|value| *value > T::default()).ok_or_else(|| wrong.to_owned())
}

fn yes_no(arg: &str, option: &str) -> Result<bool, String> {
    match arg.to_ascii_lowercase().as_str() {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err(format!("Please specify yes or no for the {option}.")),
    }
}
