//! The load: redis-benchmark, which everybody knows how to read.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::KEYS;
use super::machine::{self, Cores};

/// The commands of the comparison, by redis-benchmark's names.
pub(super) const COMMANDS: [&str; 3] = ["SET", "GET", "INCR"];
/// Requests that a client sends before it waits.
pub(super) const PIPELINES: [u32; 3] = [1, 16, 64];

const CLIENTS: u32 = 50;

/// Gives the server one load and returns the throughput in operations a second.
pub(super) fn run(port: u16, cores: &Cores, command: &str, pipeline: u32, ops: u64) -> Result<f64> {
    let mut benchmark = Command::new("redis-benchmark");
    benchmark.args(["--csv", "-d", "3"]);
    let numbers =
        [("-p", u64::from(port)), ("-c", CLIENTS.into()), ("-r", KEYS), ("-n", ops), ("-P", pipeline.into())];
    for (option, number) in numbers {
        benchmark.arg(option).arg(number.to_string());
    }
    benchmark.args(["-t", &command.to_lowercase()]);
    // The floor does not answer CONFIG GET as redis-benchmark would like, and it says so each time.
    benchmark.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let result = machine::spawn_on(cores.for_client(), &mut benchmark)?.wait_with_output()?;
    if !result.status.success() {
        bail!("redis-benchmark ended with {}", result.status);
    }
    let text = String::from_utf8_lossy(&result.stdout);
    throughput(&text, command).with_context(|| format!("redis-benchmark printed {text:?}"))
}

/// The second column of the command's line.
fn throughput(csv: &str, command: &str) -> Option<f64> {
    let line =
        csv.lines().find_map(|line| line.strip_prefix('"')?.strip_prefix(command)?.strip_prefix("\",\""))?;
    line.split('"').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn throughput_is_read_from_the_line_of_the_command() {
        let csv = "\"test\",\"rps\",\"avg_latency_ms\"\n\"SET\",\"125000.00\",\"0.2\"\n";
        assert_eq!(throughput(csv, "SET"), Some(125_000.0));
        assert_eq!(throughput(csv, "GET"), None);
    }
}
