//! The command line.
//!
//! What a server or sentinel is told goes through untouched, for [`Options`](crate::options::Options) to
//! read as Redis does. Started under the name redis-server or redis-sentinel the program behaves as those
//! do, so that it can stand in their place.

use crate::options;
use clap::{Args, CommandFactory as _, Parser, Subcommand, builder::TypedValueParser as _};
use redkeep_resp::net::Address;
use std::{ffi::OsString, path::PathBuf, time::Duration};

/// A Redis-compatible server and sentinel that keep every write they acknowledge.
///
/// Without a command, `redkeep up`.
#[derive(Parser)]
#[command(name = "redkeep", version)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

/// What the program was asked to do.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run a server.
    #[command(disable_help_flag = true, disable_version_flag = true, after_help = SERVER_EXAMPLES)]
    Server(Passed),
    /// Run a server that replicates another one.
    #[command(disable_version_flag = true)]
    Replica(ReplicaArgs),
    /// Run a sentinel.
    #[command(disable_help_flag = true, disable_version_flag = true, after_help = SENTINEL_EXAMPLES)]
    Sentinel(Passed),
    /// Run a whole cluster on this machine: a primary, replicas, sentinels.
    Up(UpArgs),
    /// Show who is primary, who follows and who watches. Exit code 1 without a primary.
    Status(StatusArgs),
    /// Ask a server or sentinel whether it is there. Exit code 1 if not.
    Ping(PingArgs),
}

const SERVER_EXAMPLES: &str = "Examples:
  redkeep server
  redkeep server /etc/redis/redis.conf
  redkeep server /etc/redis/redis.conf --port 7777 --loglevel verbose
  redkeep server --port 7777 --replicaof 127.0.0.1 8888
  echo 'maxmemory 128mb' | redkeep server -";

const SENTINEL_EXAMPLES: &str = "Examples:
  redkeep sentinel /etc/redis/sentinel.conf
  redkeep sentinel /etc/redis/sentinel.conf --port 26380

The file is only read. What the sentinel learns is kept in its `dir`.";

/// Arguments that go through as they are.
#[derive(Args, Debug)]
pub(crate) struct Passed {
    /// A configuration file, then directives that win over it: `[FILE] [--DIRECTIVE VALUE…]… [-]`.
    /// A `-` at the end reads configuration from standard input.
    #[arg(value_name = "FILE | --DIRECTIVE VALUE", trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) args: Vec<OsString>,
}

/// `redkeep replica`
#[derive(Args, Debug)]
pub(crate) struct ReplicaArgs {
    /// The primary to follow.
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) of: Address,
    #[command(flatten)]
    pub(crate) passed: Passed,
}

/// `redkeep up`
#[derive(Args, Debug, Clone)]
pub(crate) struct UpArgs {
    /// How many replicas follow the primary.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(0..=16))]
    pub(crate) replicas: u16,
    /// How many sentinels watch; a majority of them decides.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=15))]
    pub(crate) sentinels: u16,
    /// The first primary's port; the replicas take those that follow.
    #[arg(long, default_value_t = 6379)]
    pub(crate) port: u16,
    /// The first sentinel's port; the others take those that follow [default: PORT + 20000].
    #[arg(long, value_name = "PORT")]
    pub(crate) sentinel_port: Option<u16>,
    /// Where data, configuration and logs are kept, for the next time too.
    #[arg(long, default_value = "redkeep-data")]
    pub(crate) dir: PathBuf,
}

/// `redkeep status`
#[derive(Args, Debug)]
pub(crate) struct StatusArgs {
    /// A sentinel to ask; may be given several times, the first to answer is believed.
    #[arg(long = "sentinel", value_name = "HOST:PORT", default_value = "127.0.0.1:26379")]
    pub(crate) sentinels: Vec<Address>,
    /// How long to wait for each answer.
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = seconds())]
    pub(crate) timeout: Duration,
}

/// `redkeep ping`
#[derive(Args, Debug)]
pub(crate) struct PingArgs {
    /// Whom to ask.
    #[arg(value_name = "HOST:PORT", default_value = "127.0.0.1:6379")]
    pub(crate) address: Address,
    /// How long to wait for the answer.
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds())]
    pub(crate) timeout: Duration,
}

fn seconds() -> impl clap::builder::TypedValueParser<Value = Duration> {
    clap::builder::NonEmptyStringValueParser::new().try_map(|text| {
        match text.parse().map(Duration::try_from_secs_f64) {
            Ok(Ok(duration)) if !duration.is_zero() => Ok(duration),
            _ => Err("expected a number of seconds above 0"),
        }
    })
}

/// What a process started with these arguments is to do. Errors in them, and help, end the process.
pub(crate) fn command(args: Vec<OsString>) -> Command {
    if let Some(command) = standing_in(&args) {
        return command;
    }
    let cli = Cli::parse_from(args);
    let command = cli.command.unwrap_or_else(|| {
        let defaults = Cli::parse_from(["redkeep", "up"]);
        defaults.command.expect("a command was named")
    });
    sentinel_by_option(command)
}

/// The command, when the program's own name says what it is to be.
fn standing_in(args: &[OsString]) -> Option<Command> {
    let (program, rest) = args.split_first()?;
    let program = std::path::Path::new(program).file_name()?.to_string_lossy();
    let passed = Passed { args: rest.to_vec() };
    if program.contains("redis-sentinel") {
        Some(Command::Sentinel(passed))
    } else if program.contains("redis-server") {
        Some(sentinel_by_option(Command::Server(passed)))
    } else {
        None
    }
}

/// `server … --sentinel` is a sentinel.
fn sentinel_by_option(command: Command) -> Command {
    match command {
        Command::Server(passed) if options::asks_for_sentinel(&passed.args) => Command::Sentinel(passed),
        other => other,
    }
}

/// The help text of the `server` or `sentinel` command.
pub(crate) fn help_for(name: &str) -> String {
    let mut cli = Cli::command();
    cli.build();
    let command = cli.find_subcommand_mut(name).expect("one of the commands above");
    command.render_help().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(args: &[&str]) -> Command {
        command(args.iter().map(OsString::from).collect())
    }

    fn passed(command: Command) -> (&'static str, Vec<OsString>) {
        match command {
            Command::Server(passed) => ("server", passed.args),
            Command::Sentinel(passed) => ("sentinel", passed.args),
            _ => panic!("neither a server nor a sentinel"),
        }
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_servers_arguments_go_through_untouched() {
        let args = ["x.conf", "--port", "7000", "--save", "", "--maxmemory 1gb", "--help", "-v", "-"];
        for start in [&["redkeep", "server"][..], &["/usr/bin/redis-server"], &["./redis-server-7"]] {
            assert_eq!(passed(of(&[start, &args].concat())), ("server", args.map(OsString::from).to_vec()));
        }
        let options = ["--port", "7000", "--help"];
        assert_eq!(passed(of(&[&["redkeep", "server"], &options[..]].concat())).1, options);
    }

    #[test]
    fn three_ways_to_a_sentinel() {
        assert_eq!(passed(of(&["redkeep", "sentinel", "s.conf"])), ("sentinel", vec!["s.conf".into()]));
        assert_eq!(passed(of(&["/bin/redis-sentinel", "s.conf"])), ("sentinel", vec!["s.conf".into()]));
        for start in [&["redkeep", "server"][..], &["redis-server"]] {
            assert_eq!(passed(of(&[start, &["s.conf", "--sentinel"]].concat())).0, "sentinel");
        }
    }

    #[test]
    fn a_replica_names_its_primary() {
        let Command::Replica(args) = of(&["redkeep", "replica", "--of", "h:1", "x.conf", "--port", "2"])
        else {
            panic!("not a replica");
        };
        assert_eq!(args.of, Address::tcp("h", 1));
        assert_eq!(args.passed.args, ["x.conf", "--port", "2"]);
    }

    #[test]
    fn a_cluster_is_the_default() {
        let Command::Up(args) = of(&["redkeep"]) else { panic!("not up") };
        assert_eq!((args.replicas, args.sentinels, args.port), (2, 3, 6379));
    }

    #[test]
    fn times_are_seconds() {
        let Command::Ping(args) = of(&["redkeep", "ping", "--timeout", "0.25"]) else { panic!("not ping") };
        assert_eq!(args.timeout, Duration::from_millis(250));
        for bad in ["0", "-1", "x", "NaN", "1e400"] {
            assert!(Cli::try_parse_from(["redkeep", "ping", &format!("--timeout={bad}")]).is_err(), "{bad}");
        }
    }

    #[test]
    fn help_for_what_goes_through() {
        assert!(help_for("server").contains("redkeep server /etc/redis/redis.conf"));
        assert!(help_for("sentinel").contains("sentinel.conf"));
    }
}
