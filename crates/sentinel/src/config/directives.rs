//! The directives of any Redis server, as far as a sentinel has a use for them.

use std::path::{Path, PathBuf};

use super::{LogLevel, SentinelConfig};

/// One directive.
struct Directive {
    name: &'static str,
    /// How many arguments it takes, at least and at most.
    args: (usize, usize),
    apply: fn(&mut SentinelConfig, &[String]) -> Result<(), String>,
}

const fn one(
    name: &'static str,
    apply: fn(&mut SentinelConfig, &[String]) -> Result<(), String>,
) -> Directive {
    Directive { name, args: (1, 1), apply }
}

const DIRECTIVES: &[Directive] = &[
    one("port", |config, args| {
        config.port = integer(&args[0], 0, 65535)?;
        Ok(())
    }),
    Directive {
        name: "bind",
        args: (1, 16),
        apply: |config, args| {
            config.bind = args.to_vec();
            Ok(())
        },
    },
    one("protected-mode", |config, args| {
        config.protected_mode = yes_no(&args[0])?;
        Ok(())
    }),
    one("dir", |config, args| {
        let dir = Path::new(&args[0]);
        match std::fs::metadata(dir) {
            Ok(meta) if meta.is_dir() => config.dir = Some(dir.to_owned()),
            Ok(_) => return Err("Not a directory".to_owned()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err("No such file or directory".to_owned());
            }
            Err(error) => return Err(error.to_string()),
        }
        Ok(())
    }),
    one("daemonize", |config, args| {
        config.daemonize = yes_no(&args[0])?;
        Ok(())
    }),
    one("pidfile", |config, args| {
        config.pidfile = path(&args[0]);
        Ok(())
    }),
    one("logfile", |config, args| {
        config.logfile = path(&args[0]);
        Ok(())
    }),
    one("loglevel", |config, args| {
        config.loglevel = match args[0].to_ascii_lowercase().as_str() {
            "debug" => LogLevel::Debug,
            "verbose" => LogLevel::Verbose,
            "notice" => LogLevel::Notice,
            "warning" => LogLevel::Warning,
            _ => {
                return Err(
                    "argument(s) must be one of the following: debug, verbose, notice, warning".to_owned()
                );
            }
        };
        Ok(())
    }),
    one("requirepass", |config, args| {
        config.local.requirepass = (!args[0].is_empty()).then(|| args[0].clone());
        Ok(())
    }),
    one("tcp-backlog", |config, args| {
        config.tcp_backlog = integer(&args[0], 0, i32::MAX.unsigned_abs())?;
        Ok(())
    }),
];

/// Directives that Redis takes in a sentinel's file and that have nothing to act on here: a sentinel has no data, and
/// what they tune does not exist.
const WITHOUT_EFFECT: &[&str] = &[
    "acllog-max-len",
    "activedefrag",
    "activerehashing",
    "always-show-logo",
    "appendonly",
    "client-output-buffer-limit",
    "client-query-buffer-limit",
    "crash-log-enabled",
    "crash-memcheck-enabled",
    "databases",
    "disable-thp",
    "dynamic-hz",
    "enable-debug-command",
    "enable-module-command",
    "enable-protected-configs",
    "hz",
    "io-threads",
    "io-threads-do-reads",
    "latency-tracking",
    "latency-tracking-info-percentiles",
    "locale-collate",
    "maxclients",
    "maxmemory",
    "proc-title-template",
    "proto-max-bulk-len",
    "save",
    "set-proc-title",
    "socket-mark-id",
    "supervised",
    "syslog-enabled",
    "syslog-facility",
    "syslog-ident",
    "tcp-keepalive",
    "timeout",
];

/// Applies one directive; the error says what is wrong with it.
pub(super) fn apply(config: &mut SentinelConfig, name: &str, args: &[String]) -> Result<(), String> {
    let unknown = || "Bad directive or wrong number of arguments".to_owned();
    if name.eq_ignore_ascii_case("user") {
        return user(args);
    }
    if WITHOUT_EFFECT.iter().any(|known| name.eq_ignore_ascii_case(known)) {
        return if args.is_empty() { Err(unknown()) } else { Ok(()) };
    }
    let directive = DIRECTIVES.iter().find(|directive| name.eq_ignore_ascii_case(directive.name));
    let directive = directive.ok_or_else(unknown)?;
    if !(directive.args.0..=directive.args.1).contains(&args.len()) {
        return Err("wrong number of arguments".to_owned());
    }
    (directive.apply)(config, args)
}

/// Redis Sentinel writes its default user into every file that it rewrites. Other users would need ACL rules that a
/// sentinel of this kind does not have; ignoring them would open what they close.
fn user(args: &[String]) -> Result<(), String> {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let opens_all = |rules: &[&str]| rules.contains(&"on") && rules.contains(&"nopass");
    match words.as_slice() {
        ["default", rules @ ..] if opens_all(rules) => Ok(()),
        _ => Err("users other than an open default user are not supported; use requirepass".to_owned()),
    }
}

fn path(arg: &str) -> Option<PathBuf> {
    (!arg.is_empty()).then(|| PathBuf::from(arg))
}

fn yes_no(arg: &str) -> Result<bool, String> {
    match arg.to_ascii_lowercase().as_str() {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err("argument must be 'yes' or 'no'".to_owned()),
    }
}

fn integer<T>(arg: &str, min: T, max: T) -> Result<T, String>
where
    T: TryFrom<i64> + Copy + PartialOrd + std::fmt::Display,
{
    let value: i64 = arg.parse().map_err(|_| "argument couldn't be parsed into an integer".to_owned())?;
    let fits = T::try_from(value).ok().filter(|value| (min..=max).contains(value));
    fits.ok_or_else(|| format!("argument must be between {min} and {max} inclusive"))
}
