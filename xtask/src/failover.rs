//! `failover-bench`: both systems through the same faults, by the fault-injection harness.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use crate::shell;

#[derive(Args)]
pub(crate) struct FailoverArgs {
    /// A Redkeep binary to measure, instead of building one.
    #[arg(long)]
    binary: Option<PathBuf>,
    /// Whatever the harness understands: `cargo run -p redkeep-jepsen -- compare --help`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    options: Vec<String>,
}

/// Builds what is missing and hands over to `redkeep-jepsen compare`.
pub(crate) fn run(args: &FailoverArgs) -> Result<()> {
    let binary = match &args.binary {
        Some(path) => path.clone(),
        None => {
            shell::run(shell::cargo().args(["build", "--release", "-p", "redkeep"]))?;
            shell::target_dir()?.join("release/redkeep")
        }
    };
    let mut harness = shell::cargo();
    harness.args(["run", "--release", "-p", "redkeep-jepsen", "--", "compare", "--redkeep"]);
    shell::run(harness.arg(binary).args(&args.options))
}
