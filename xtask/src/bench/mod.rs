//! Redkeep beside redis-server and valkey-server, in one go on one machine.
//!
//! The figure to compare is the server's CPU time for an operation: it stays true when the machine is busy, and without
//! pipelining the load generator, not the server, is the limit of throughput. Machines differ and drift, so a run compares
//! systems with each other: all of them are up at the same time, each round gives every one the same load in turn (the
//! order rotates), ratios are taken within a round, and the medians over the rounds are reported. A responder that
//! understands nothing ([`floor`]) shows what nobody can be below.

pub(crate) mod floor;
mod load;
mod machine;
mod report;
mod server;
mod systems;
mod wire;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::shell;
use load::{COMMANDS, PIPELINES};
use machine::Cores;
use report::{Memory, Report, Sample};
use server::Server;
use systems::System;

/// Keys in the keyspace, `-r` of redis-benchmark.
const KEYS: u64 = 1_000_000;
/// Value sizes whose memory is measured; the servers of the first go on to the load.
const VALUE_BYTES: [usize; 2] = [3, 100];
/// What `--quick` divides the operations by.
const QUICK_DIVISOR: u64 = 8;

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct BenchArgs {
    #[command(subcommand)]
    other: Option<Other>,
    /// How often every system gets every load.
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Operations of one run with pipelining; an eighth of them without.
    #[arg(long, default_value_t = 2_000_000)]
    ops: u64,
    /// io-threads of Redkeep.
    #[arg(long, default_value_t = 1)]
    workers: u32,
    /// A Redkeep binary to measure, instead of building one with and one without jemalloc.
    #[arg(long)]
    binary: Option<PathBuf>,
    /// Only the floor, redis-server and valkey-server.
    #[arg(long, conflicts_with = "binary")]
    peers_only: bool,
    /// An eighth of the operations, at most three rounds.
    #[arg(long)]
    quick: bool,
}

#[derive(Subcommand)]
enum Other {
    /// The in-process benchmark of the server crate: no sockets, nanoseconds for an operation.
    Micro,
}

/// Runs the comparison, prints it as Markdown and stores it as JSON in `bench/results/`.
pub(crate) fn run(mut args: BenchArgs) -> Result<()> {
    if let Some(Other::Micro) = args.other {
        let micro = ["run", "--release", "-p", "redkeep", "--features", "jemalloc", "--example", "micro"];
        return shell::run(shell::cargo().args(micro));
    }
    if args.quick {
        args.rounds = args.rounds.min(3);
        args.ops /= QUICK_DIVISOR;
    }
    let cores = Cores::of_this_process()?;
    let mut systems = systems::peers()?;
    if !args.peers_only {
        systems.extend(systems::redkeep(args.binary.as_deref(), args.workers)?);
    }
    let mut memory = Vec::new();
    for system in systems.iter().filter(|system| system.keeps_data) {
        eprintln!("filling {} with {}-byte values", system.name, VALUE_BYTES[1]);
        memory.push(fill(system, &Server::start(system, &cores)?, VALUE_BYTES[1])?);
    }
    let mut servers = Vec::new();
    for system in &systems {
        let server = Server::start(system, &cores)?;
        if system.keeps_data {
            eprintln!("filling {} with {}-byte values", system.name, VALUE_BYTES[0]);
            memory.push(fill(system, &server, VALUE_BYTES[0])?);
            wire::fill(server.port(), "counter:", KEYS, b"0")?;
        }
        servers.push(server);
    }
    let samples = measure(&args, &cores, &systems, &servers)?;
    let names = systems.into_iter().map(|system| system.name).collect();
    let report = Report::new(args.rounds, args.ops, names, samples, memory);
    println!("{report}");
    eprintln!("written to {}", report.store(&shell::root().join("bench/results"))?.display());
    Ok(())
}

/// Gives the server all keys and says by how much it grew.
fn fill(system: &System, server: &Server, value_bytes: usize) -> Result<Memory> {
    let before = server.memory()?;
    wire::fill(server.port(), "key:", KEYS, &vec![b'x'; value_bytes])?;
    let after = server.memory()?;
    let a_key = |before: u64, after: u64| (after as f64 - before as f64) / KEYS as f64;
    let used = before.used_memory.zip(after.used_memory);
    Ok(Memory {
        system: system.name.clone(),
        value_bytes,
        pss_bytes: a_key(before.pss, after.pss),
        used_memory_bytes: used.map(|(before, after)| a_key(before, after)),
    })
}

fn measure(args: &BenchArgs, cores: &Cores, systems: &[System], servers: &[Server]) -> Result<Vec<Sample>> {
    let mut samples = Vec::new();
    for round in 0..args.rounds {
        for pipeline in PIPELINES {
            for command in COMMANDS {
                let ops = if pipeline == 1 { args.ops / 8 } else { args.ops };
                for turn in 0..systems.len() {
                    let at = (turn + round as usize) % systems.len();
                    let (system, server) = (&systems[at], &servers[at]);
                    if !system.pipelines.contains(&pipeline) {
                        continue;
                    }
                    let cpu_before = server.cpu_ns()?;
                    let ops_per_second = load::run(server.port(), cores, command, pipeline, ops)?;
                    let cpu_us = (server.cpu_ns()? - cpu_before) as f64 / 1000.0 / ops as f64;
                    eprintln!(
                        "round {round}: {command} -P {pipeline}: {:<24} {cpu_us:.3} µs/op, {ops_per_second:.0} op/s",
                        system.name
                    );
                    let system = system.name.clone();
                    samples.push(Sample { round, system, command, pipeline, ops, cpu_us, ops_per_second });
                }
            }
        }
    }
    Ok(samples)
}
