//! `test`: all tests, built and run as CI does.

use anyhow::Result;

use crate::{setup, shell};

/// Builds and runs all tests, after naming those that a missing program leaves out.
pub(crate) fn run() -> Result<()> {
    let missing = setup::missing_for_tests();
    if !missing.is_empty() {
        println!("left out: the tests that need {} (`cargo xtask setup`)", missing.join(", "));
    }
    build()?;
    tests()?;
    doctests()
}

/// Everything, the program that the end-to-end tests run among it.
pub(crate) fn build() -> Result<()> {
    shell::run(shell::cargo().args(["build", "--workspace", "--all-targets"]))
}

/// All tests but those in the documentation; with cargo-nextest where it is installed, which is faster.
pub(crate) fn tests() -> Result<()> {
    if shell::succeeds(shell::cargo().args(["nextest", "--version"])) {
        return shell::run(shell::cargo().args(["nextest", "run", "--workspace"]));
    }
    shell::run(shell::cargo().args(["test", "--workspace", "--all-targets"]))
}

/// The examples in the documentation.
pub(crate) fn doctests() -> Result<()> {
    shell::run(shell::cargo().args(["test", "--workspace", "--doc"]))
}
