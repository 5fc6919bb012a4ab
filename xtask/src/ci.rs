//! What CI runs, in order: cheap checks first, so that a fault shows early.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::{shell, test, tidy};

/// A step's name and what it runs.
type Step = (&'static str, fn() -> Result<()>);

const STEPS: &[Step] = &[
    ("fmt", fmt),
    ("tidy", || tidy::run(&shell::root())),
    ("deny", deny),
    ("clippy", clippy),
    ("build", test::build),
    ("tests", test::tests),
    ("doctests", test::doctests),
    ("doc", doc),
    ("faults", faults),
];

/// Runs all steps, stops at the first that fails, and prints what each took.
pub(crate) fn run() -> Result<()> {
    let mut timings: Vec<(&str, Duration)> = Vec::new();
    for (name, step) in STEPS {
        println!("\n== {name}");
        let start = Instant::now();
        let result = step();
        timings.push((name, start.elapsed()));
        if result.is_err() {
            print_timings(&timings);
            return result.with_context(|| format!("step `{name}`"));
        }
    }
    print_timings(&timings);
    Ok(())
}

fn print_timings(timings: &[(&str, Duration)]) {
    println!("\n== time of each step");
    for (name, taken) in timings {
        println!("{name:<10} {:>7.1} s", taken.as_secs_f64());
    }
}

/// `cargo deny check` without the advisory database, which needs a network that a build machine may not have.
pub(crate) fn deny() -> Result<()> {
    if !shell::succeeds(shell::cargo().args(["deny", "--version"])) {
        bail!("cargo-deny is missing: `cargo xtask setup`");
    }
    shell::run(shell::cargo().args(["deny", "check", "bans", "licenses", "sources"]))
}

fn fmt() -> Result<()> {
    shell::run(shell::cargo().args(["fmt", "--all", "--check"]))
}

fn clippy() -> Result<()> {
    shell::run(shell::cargo().args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))
}

fn doc() -> Result<()> {
    shell::run(shell::cargo().args(["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))
}

/// A short run of the two faults that need no privileges.
///
/// What must hold is that one primary with its replicas serves again and holds nothing that was refused. That every
/// acknowledged write is kept is the promise of synchronous replication, which the plain server's default is not.
fn faults() -> Result<()> {
    let debug = shell::target_dir()?.join("debug");
    let mut harness = Command::new(debug.join("redkeep-jepsen"));
    harness
        .current_dir(shell::root())
        .args(["run", "--system", "redkeep", "--redkeep"])
        .arg(debug.join("redkeep"));
    harness.args(["--nemesis", "kill,pause", "--rounds", "1", "--down-after", "1000", "--after-heal", "12"]);
    shell::run(harness.args(["--require", "whole"]))
}
