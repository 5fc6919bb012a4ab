//! What was measured, as Markdown for people and JSON for later.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use serde::Serialize;

use super::load::{COMMANDS, PIPELINES};
use super::systems::MANY_WORKERS_SUFFIX;
use super::{VALUE_BYTES, machine};

/// One run of one load on one system.
#[derive(Serialize)]
pub(super) struct Sample {
    pub(super) round: u32,
    pub(super) system: String,
    pub(super) command: &'static str,
    pub(super) pipeline: u32,
    pub(super) ops: u64,
    /// CPU time of the server for an operation, in microseconds.
    pub(super) cpu_us: f64,
    pub(super) ops_per_second: f64,
}

/// Growth of one system by one key.
#[derive(Serialize)]
pub(super) struct Memory {
    pub(super) system: String,
    pub(super) value_bytes: usize,
    pub(super) pss_bytes: f64,
    pub(super) used_memory_bytes: Option<f64>,
}

/// The whole comparison.
#[derive(Serialize)]
pub(super) struct Report {
    machine: String,
    unix_seconds: u64,
    rounds: u32,
    ops: u64,
    systems: Vec<String>,
    memory: Vec<Memory>,
    samples: Vec<Sample>,
}

impl Report {
    pub(super) fn new(
        rounds: u32,
        ops: u64,
        systems: Vec<String>,
        samples: Vec<Sample>,
        memory: Vec<Memory>,
    ) -> Report {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Report {
            machine: machine::describe(),
            unix_seconds: now.as_secs(),
            rounds,
            ops,
            systems,
            memory,
            samples,
        }
    }

    /// Writes the JSON into the folder and returns its path.
    pub(super) fn store(&self, folder: &Path) -> Result<PathBuf> {
        std::fs::create_dir_all(folder)?;
        let path = folder.join(format!("{}.json", self.unix_seconds));
        std::fs::write(&path, serde_json::to_string_pretty(self)?)?;
        Ok(path)
    }

    fn samples<'a>(
        &'a self,
        system: &'a str,
        command: &'a str,
        pipeline: u32,
    ) -> impl Iterator<Item = &'a Sample> {
        self.samples.iter().filter(move |sample| {
            sample.system == system && sample.command == command && sample.pipeline == pipeline
        })
    }

    fn median_of(&self, system: &str, row: Row, value: fn(&Sample) -> f64) -> Option<f64> {
        median(self.samples(system, row.0, row.1).map(value).collect())
    }

    /// Median over the rounds of the CPU cost of one system divided by that of another.
    fn ratio(&self, system: &str, other: &str, row: Row) -> Option<f64> {
        let pairs = self.samples(system, row.0, row.1).filter_map(|mine| {
            let theirs = self.samples(other, row.0, row.1).find(|theirs| theirs.round == mine.round)?;
            Some(mine.cpu_us / theirs.cpu_us)
        });
        median(pairs.collect())
    }

    /// What to compare: each Redkeep with each peer, many workers with one; without Redkeep, the peers with each other.
    fn pairs(&self) -> Vec<(&str, &str)> {
        let peers: Vec<&str> = self.named(|name| name.starts_with("redis") || name.starts_with("valkey"));
        let mut ours = self.named(|name| name.starts_with("redkeep"));
        if ours.is_empty() {
            ours = peers.clone();
        }
        let mut pairs = Vec::new();
        for mine in ours {
            match mine.strip_suffix(MANY_WORKERS_SUFFIX) {
                Some(with_one) => pairs.push((mine, with_one)),
                None => {
                    pairs.extend(peers.iter().filter(|theirs| **theirs != mine).map(|theirs| (mine, *theirs)))
                }
            }
        }
        pairs
    }

    fn named(&self, wanted: fn(&str) -> bool) -> Vec<&str> {
        self.systems.iter().map(String::as_str).filter(|name| wanted(name)).collect()
    }

    fn speed_table(
        &self,
        f: &mut fmt::Formatter<'_>,
        title: &str,
        columns: &[String],
        cell: impl Fn(usize, Row) -> Option<String>,
    ) -> fmt::Result {
        writeln!(f, "\n{title}\n\n| command | -P | {} |", columns.join(" | "))?;
        writeln!(f, "|---|---:|{}", "---:|".repeat(columns.len()))?;
        for row in rows() {
            let cells = (0..columns.len()).map(|column| cell(column, row).unwrap_or_else(|| "–".to_owned()));
            writeln!(f, "| {} | {} | {} |", row.0, row.1, cells.collect::<Vec<_>>().join(" | "))?;
        }
        Ok(())
    }

    fn memory_table(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\nMemory, bytes a key (16-byte keys): growth of PSS, and of the server's own `used_memory`\n"
        )?;
        writeln!(
            f,
            "| value bytes | {} |\n|---:|{}",
            self.systems.join(" | "),
            "---:|".repeat(self.systems.len())
        )?;
        for value_bytes in VALUE_BYTES {
            let cell = |system: &String| {
                let found = self.memory.iter().find(|m| m.system == *system && m.value_bytes == value_bytes);
                found.map_or("–".to_owned(), |memory| {
                    let used =
                        memory.used_memory_bytes.map_or("–".to_owned(), |bytes| format!("{bytes:.0}"));
                    format!("{:.0} / {used}", memory.pss_bytes)
                })
            };
            writeln!(
                f,
                "| {value_bytes} | {} |",
                self.systems.iter().map(cell).collect::<Vec<_>>().join(" | ")
            )?;
        }
        Ok(())
    }
}

/// Command and pipeline depth.
type Row = (&'static str, u32);

fn rows() -> impl Iterator<Item = Row> {
    COMMANDS.into_iter().flat_map(|command| PIPELINES.into_iter().map(move |pipeline| (command, pipeline)))
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}; {} rounds, {} operations a run, medians", self.machine, self.rounds, self.ops)?;
        let systems = &self.systems;
        self.speed_table(f, "Server CPU, µs an operation", systems, |column, row| {
            self.median_of(&systems[column], row, |sample| sample.cpu_us).map(|us| format!("{us:.2}"))
        })?;
        let pairs = self.pairs();
        let headings: Vec<String> = pairs.iter().map(|(mine, theirs)| format!("{mine} ÷ {theirs}")).collect();
        self.speed_table(f, "Server CPU, ratio (below 1 is cheaper)", &headings, |column, row| {
            let (mine, theirs) = pairs[column];
            self.ratio(mine, theirs, row).map(|ratio| format!("{ratio:.2}"))
        })?;
        self.speed_table(f, "Throughput, thousand operations a second", systems, |column, row| {
            let thousands = self.median_of(&systems[column], row, |sample| sample.ops_per_second / 1000.0);
            thousands.map(|thousands| format!("{thousands:.0}"))
        })?;
        self.memory_table(f)
    }
}

/// The middle value, or the mean of the two in the middle.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(values[middle]),
        _ => Some((values[middle - 1] + values[middle]) / 2.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(round: u32, system: &str, cpu_us: f64) -> Sample {
        let system = system.to_owned();
        Sample { round, system, command: "SET", pipeline: 16, ops: 1, cpu_us, ops_per_second: 1000.0 }
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0]), Some(2.5));
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        // The machine was four times slower in round 1; the ratio of the medians would hide that nothing else changed.
        let samples = vec![
            sample(0, "redkeep", 1.0),
            sample(0, "redis 7", 2.0),
            sample(1, "redkeep", 4.0),
            sample(1, "redis 7", 8.0),
        ];
        let report = Report::new(2, 1, vec!["redis 7".into(), "redkeep".into()], samples, Vec::new());
        assert_eq!(report.ratio("redkeep", "redis 7", ("SET", 16)), Some(0.5));
        assert_eq!(report.ratio("redkeep", "valkey 9", ("SET", 16)), None);
        let text = report.to_string();
        assert!(text.contains("| SET | 16 | 5.00 | 2.50 |"), "{text}");
        assert!(text.contains("redkeep ÷ redis 7"), "{text}");
    }
}
