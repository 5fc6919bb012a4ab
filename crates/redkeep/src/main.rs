//! The program `redkeep`: a server, a replica, a sentinel, or all of them at once.
//!
//! Here is what belongs to a process rather than to a server in it: the command line, the log, signals,
//! the allocator, the exit code. What a server and a sentinel do is in their crates.

mod cli;
mod daemon;
mod launch;
mod link;
mod local_time;
mod logging;
mod memory;
mod options;
mod ping;
mod process;
mod sentinel;
mod server;
mod signals;
mod status;
mod up;

use anyhow::{Context as _, Result};
use cli::{Command, UpArgs};
use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::command(std::env::args_os().collect()) {
        Command::Server(passed) => {
            process::run("server", &passed.args, |logging| server::run(&passed.args, None, logging))
        }
        Command::Replica(replica) => {
            let args = &replica.passed.args;
            process::run("replica", args, |logging| server::run(args, Some(&replica.of), logging))
        }
        Command::Sentinel(passed) => {
            process::run("sentinel", &passed.args, |logging| sentinel::run(&passed.args, logging))
        }
        Command::Up(args) => tool(up(&args)),
        Command::Status(args) => tool(status::run(&args)),
        Command::Ping(args) => tool(ping::run(&args)),
    }
}

async fn up(args: &UpArgs) -> Result<()> {
    let executable = std::env::current_exe().context("cannot find the running program")?;
    up::run(args, &executable).await
}

/// Runs a command that is for people, on this thread, up to its exit code.
fn tool(command: impl Future<Output = Result<()>>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.context("cannot start a runtime").and_then(|runtime| runtime.block_on(command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("redkeep: {error:#}");
            ExitCode::FAILURE
        }
    }
}
