//! `cargo xtask`: the one tool that CI and people both call.
//!
//! Whatever CI runs is a subcommand here, so that a red build is reproduced by typing the same words. Nothing in this
//! crate is part of the product, and no product crate depends on it.

mod bench;
mod ci;
mod failover;
mod setup;
mod shell;
mod test;
mod tidy;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Everything that CI and a developer run.
#[derive(Parser)]
#[command(name = "cargo xtask", version)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Check what the compiler does not: floors between crates, purity of `core/`, sizes, module docs.
    Tidy,
    /// Compare Redkeep with redis-server and valkey-server: CPU per operation, throughput, memory per key.
    Bench(bench::BenchArgs),
    /// Compare failovers of Redkeep and of Redis with Redis Sentinel: what is lost, how long it takes.
    FailoverBench(failover::FailoverArgs),
    /// All tests; says what is left out because a program is missing.
    Test,
    /// All checks of a merge, in order.
    Ci,
    /// Licences, sources and bans of all dependencies, by cargo-deny.
    Deny,
    /// Install what the other tasks need (as root), or print the lines that do.
    Setup,
    /// The responder that `bench` measures everybody against.
    #[command(hide = true)]
    Floor {
        /// Port to listen on, on 127.0.0.1.
        port: u16,
    },
}

fn main() -> ExitCode {
    // Not returned from main: that would print a backtrace, which says nothing about a failed check.
    match perform(Cli::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn perform(task: Task) -> Result<()> {
    match task {
        Task::Tidy => tidy::run(&shell::root()),
        Task::Bench(args) => bench::run(args),
        Task::FailoverBench(args) => failover::run(&args),
        Task::Test => test::run(),
        Task::Ci => ci::run(),
        Task::Deny => ci::deny(),
        Task::Setup => setup::run(),
        Task::Floor { port } => bench::floor::serve(port),
    }
}
