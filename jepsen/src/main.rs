//! The command line of the fault-injection harness.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand, ValueEnum};
use redkeep_jepsen::cluster::Hosts;
use redkeep_jepsen::isolation;
use redkeep_jepsen::nemesis::Nemesis;
use redkeep_jepsen::network::Network;
use redkeep_jepsen::report::{Demand, Entry, Report};
use redkeep_jepsen::round::{self, Plan};
use redkeep_jepsen::system::{Settings, System};

/// Fault injection for Redkeep, and for Redis with Redis Sentinel.
#[derive(Parser)]
#[command(name = "redkeep-jepsen", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run rounds on one system.
    Run {
        /// The system under test.
        #[arg(long)]
        system: SystemName,
        #[command(flatten)]
        options: Options,
    },
    /// Run the same rounds on Redkeep and on Redis, in turn, and print both side by side.
    Compare {
        #[command(flatten)]
        options: Options,
    },
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum SystemName {
    Redkeep,
    Redis,
}

#[derive(Args)]
struct Options {
    /// Faults, separated by commas.
    #[arg(long, value_delimiter = ',', default_values = ["kill", "pause", "partition"])]
    nemesis: Vec<Nemesis>,
    /// Rounds for each fault, system and down-after.
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// `down-after-milliseconds` of the sentinels; several, separated by commas, are tried in turn.
    #[arg(long, value_delimiter = ',', default_values = ["1000"])]
    down_after: Vec<u32>,
    /// The Redkeep binary; by default the one beside this program.
    #[arg(long)]
    redkeep: Option<PathBuf>,
    /// A line more for the servers' configuration, such as "min-replicas-to-write 1". May be repeated.
    #[arg(long)]
    conf: Vec<String>,
    /// A line more for the configuration of Redkeep's servers only. May be repeated.
    #[arg(long, value_name = "CONF")]
    redkeep_conf: Vec<String>,
    /// Clients. Half of them are cut off in a partition; half of each half have no timeout.
    #[arg(long, default_value_t = 8)]
    clients: usize,
    /// Milliseconds between two writes of a client.
    #[arg(long, default_value_t = 2)]
    pace_ms: u64,
    /// Timeout in milliseconds of the clients that have one.
    #[arg(long, default_value_t = 300)]
    op_timeout_ms: u64,
    /// Seconds of writing before the fault.
    #[arg(long, default_value_t = 2)]
    warm_up: u64,
    /// Seconds of writing after the fault is healed.
    #[arg(long, default_value_t = 15)]
    after_heal: u64,
    /// Where the JSON report goes.
    #[arg(long, default_value = "jepsen/store")]
    store: PathBuf,
    /// Keep logs and data of every round, not only of those that went wrong for Redkeep.
    #[arg(long)]
    keep: bool,
    /// Fail unless every round meets this.
    #[arg(long)]
    require: Option<Demand>,
    /// Run on this machine's loopback even if namespaces could be had. Partitions need namespaces.
    #[arg(long)]
    loopback: bool,
}

fn main() -> ExitCode {
    match perform(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn perform(cli: Cli) -> Result<()> {
    let (systems, options) = match cli.command {
        Command::Run { system, options } => (vec![system], options),
        Command::Compare { options } => (vec![SystemName::Redkeep, SystemName::Redis], options),
    };
    let mut network = open_network(&options)?;
    let hosts = Hosts::new(&mut network)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut report = Report::default();
    for plan in plans(&systems, &options)? {
        let entry = runtime.block_on(run_one(plan, &network, &hosts, options.keep));
        report.rounds.push(entry);
    }
    println!("{report}");
    eprintln!("written to {}", report.store(&options.store)?.display());
    if let Some(demand) = options.require
        && !report.meets(demand)
    {
        bail!("not every round ended {demand:?}");
    }
    Ok(())
}

/// The network of the run. Where namespaces can be had this does not return at first: the program starts again inside.
fn open_network(options: &Options) -> Result<Network> {
    if isolation::is_inside() {
        return Network::namespaces();
    }
    if !options.loopback && isolation::is_possible() {
        match isolation::enter()? {}
    }
    if options.nemesis.iter().any(|nemesis| nemesis.needs_namespaces()) {
        bail!("a partition needs network namespaces: root or user namespaces, `unshare` and iproute2");
    }
    Ok(Network::loopback())
}

/// All rounds in order: systems take turns, so that what the machine does meanwhile meets both.
fn plans(systems: &[SystemName], options: &Options) -> Result<Vec<Plan>> {
    let systems: Vec<System> = systems.iter().map(|name| find(*name, options)).collect::<Result<_>>()?;
    let mut plans = Vec::new();
    for nemesis in &options.nemesis {
        for down_after_ms in &options.down_after {
            for _ in 0..options.rounds {
                plans.extend(systems.iter().map(|system| Plan {
                    system: system.clone(),
                    nemesis: *nemesis,
                    settings: settings(*down_after_ms, options),
                    clients: options.clients,
                    pace: Duration::from_millis(options.pace_ms),
                    op_timeout: Duration::from_millis(options.op_timeout_ms),
                    warm_up: Duration::from_secs(options.warm_up),
                    after_heal: Duration::from_secs(options.after_heal),
                }));
            }
        }
    }
    Ok(plans)
}

fn settings(down_after_ms: u32, options: &Options) -> Settings {
    Settings {
        down_after_ms,
        server_lines: options.conf.clone(),
        redkeep_lines: options.redkeep_conf.clone(),
    }
}

fn find(name: SystemName, options: &Options) -> Result<System> {
    if name == SystemName::Redis {
        return Ok(System::Redis);
    }
    let binary = match &options.redkeep {
        Some(path) => path.clone(),
        None => std::env::current_exe()?.with_file_name("redkeep"),
    };
    let binary =
        binary.canonicalize().with_context(|| format!("no Redkeep binary at {}", binary.display()))?;
    Ok(System::Redkeep { binary })
}

async fn run_one(plan: Plan, network: &Network, hosts: &Hosts, keep: bool) -> Entry {
    eprintln!("{} / {} / down-after {} ms", plan.system, plan.nemesis, plan.settings.down_after_ms);
    // Redis is known to lose writes; its logs are of interest only on demand.
    let ours = plan.system != System::Redis;
    let keep = |outcome: &round::Outcome| keep || ours && !(outcome.verdict.is_sound() && outcome.settled);
    match round::run(&plan, network, hosts, keep).await {
        Ok(outcome) => {
            let verdict = &outcome.verdict;
            eprintln!(
                "  acknowledged {}, lost {}, unknown {}, refused {:?}, first write after {:?} ms, two masters {} ms, settled {}",
                verdict.acknowledged,
                verdict.lost,
                verdict.unknown,
                verdict.refused,
                verdict.failover_ms,
                verdict.two_masters_ms,
                outcome.settled
            );
            Entry { plan, outcome: Some(outcome), error: None }
        }
        Err(error) => {
            eprintln!("  failed: {error:#}");
            Entry { plan, outcome: None, error: Some(format!("{error:#}")) }
        }
    }
}
