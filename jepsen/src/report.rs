//! What rounds showed, as a table for people and JSON for later.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use clap::ValueEnum;
use serde::Serialize;

use crate::round::{Outcome, Plan};

/// One round: what was planned, and how it went or why it did not.
#[derive(Debug, Serialize)]
pub struct Entry {
    /// The plan.
    #[serde(flatten)]
    pub plan: Plan,
    /// The outcome.
    pub outcome: Option<Outcome>,
    /// Why there is none.
    pub error: Option<String>,
}

/// What a run demands of its rounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Demand {
    /// One primary with all replicas in sync at the end, and nothing there that should not be. Losses are allowed: without
    /// synchronous replication they are possible.
    Whole,
    /// That, and every acknowledged write.
    Kept,
}

impl Entry {
    /// Whether the round met the demand. A round without outcome meets none.
    pub fn meets(&self, demand: Demand) -> bool {
        self.outcome.as_ref().is_some_and(|Outcome { verdict, settled, .. }| {
            let kept = verdict.lost == 0;
            *settled && verdict.is_faithful() && (kept || demand == Demand::Whole)
        })
    }
}

/// All rounds of a run.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// In the order in which they ran.
    pub rounds: Vec<Entry>,
}

impl Report {
    /// Whether every round met the demand.
    pub fn meets(&self, demand: Demand) -> bool {
        self.rounds.iter().all(|entry| entry.meets(demand))
    }

    /// Writes the JSON into the folder and returns its path.
    ///
    /// # Errors
    /// When the folder cannot be written to.
    pub fn store(&self, folder: &Path) -> Result<PathBuf> {
        std::fs::create_dir_all(folder)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let path = folder.join(format!("{}.json", now.as_millis()));
        std::fs::write(&path, serde_json::to_string_pretty(self)?)?;
        Ok(path)
    }

    /// Rounds with the same system, fault and down-after, in order of first appearance.
    fn groups(&self) -> Vec<Vec<&Entry>> {
        let mut groups: Vec<Vec<&Entry>> = Vec::new();
        for entry in &self.rounds {
            match groups.iter_mut().find(|group| key(group[0]) == key(entry)) {
                Some(group) => group.push(entry),
                None => groups.push(vec![entry]),
            }
        }
        groups
    }
}

fn key(entry: &Entry) -> (String, String, u32) {
    (entry.plan.nemesis.to_string(), entry.plan.system.to_string(), entry.plan.settings.down_after_ms)
}

const HEADER: [&str; 8] = [
    "fault",
    "down-after ms",
    "system",
    "rounds",
    "first write on the new primary, s",
    "acknowledged writes lost",
    "two masters, s",
    "one master at the end",
];

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows: Vec<[String; 8]> = self.groups().iter().map(|group| row(group)).collect();
        let header = HEADER.map(str::to_owned);
        let width = |column: usize| {
            let cells = rows.iter().chain([&header]).map(|row| row[column].chars().count());
            cells.max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..HEADER.len()).map(width).collect();
        let rule: [String; 8] = std::array::from_fn(|column| "-".repeat(widths[column]));
        for row in [&header, &rule].into_iter().chain(&rows) {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
            writeln!(f, "| {} |", cells.collect::<Vec<_>>().join(" | "))?;
        }
        for entry in self.rounds.iter().filter_map(|entry| entry.error.as_deref()) {
            writeln!(f, "failed: {entry}")?;
        }
        Ok(())
    }
}

fn row(group: &[&Entry]) -> [String; 8] {
    let (nemesis, system, down_after) = key(group[0]);
    let outcomes: Vec<&Outcome> = group.iter().filter_map(|entry| entry.outcome.as_ref()).collect();
    let seconds: Vec<f64> =
        outcomes.iter().filter_map(|outcome| outcome.verdict.failover_ms).map(|ms| ms / 1000.0).collect();
    let two_masters: Vec<f64> =
        outcomes.iter().map(|outcome| outcome.verdict.two_masters_ms / 1000.0).collect();
    let never = outcomes.len() - seconds.len();
    let failover =
        if never > 0 { format!("{}, {never} × never", spread(&seconds)) } else { spread(&seconds) };
    let settled = outcomes.iter().filter(|outcome| outcome.settled && outcome.masters_at_end == 1).count();
    [
        nemesis,
        down_after.to_string(),
        system,
        format!("{}{}", group.len(), failures(group.len() - outcomes.len())),
        failover,
        losses(&outcomes),
        spread(&two_masters),
        format!("{settled} of {}", outcomes.len()),
    ]
}

fn failures(count: usize) -> String {
    if count == 0 { String::new() } else { format!(" ({count} failed)") }
}

/// Lost writes over all rounds, the worst round in percent, and whatever else was wrong with the data.
fn losses(outcomes: &[&Outcome]) -> String {
    let sum = |count: fn(&Outcome) -> u64| outcomes.iter().map(|outcome| count(outcome)).sum::<u64>();
    let (lost, acknowledged) =
        (sum(|outcome| outcome.verdict.lost), sum(|outcome| outcome.verdict.acknowledged));
    let worst = outcomes.iter().map(|outcome| outcome.verdict.lost_percent()).fold(0.0, f64::max);
    let mut text = format!("{lost} of {acknowledged}");
    if lost > 0 {
        text += &format!(" (worst round {worst:.2} %)");
    }
    let others = [
        ("unexpected", sum(|outcome| outcome.verdict.unexpected)),
        ("duplicated", sum(|outcome| outcome.verdict.duplicated)),
        ("reordered", sum(|outcome| outcome.verdict.reordered)),
    ];
    for (name, count) in others.into_iter().filter(|(_, count)| *count > 0) {
        text += &format!(", {count} {name}");
    }
    text
}

/// `median (least – greatest)`, without the brackets for a single value.
fn spread(values: &[f64]) -> String {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.as_slice() {
        [] => "–".to_owned(),
        [only] => format!("{only:.2}"),
        [least, .., greatest] => {
            let middle = sorted.len() / 2;
            let median = if sorted.len() % 2 == 1 {
                sorted[middle]
            } else {
                f64::midpoint(sorted[middle - 1], sorted[middle])
            };
            format!("{median:.2} ({least:.2} – {greatest:.2})")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::checker::Verdict;
    use crate::nemesis::Nemesis;
    use crate::system::{Settings, System};

    fn entry(lost: u64, failover_ms: Option<f64>) -> Entry {
        let second = Duration::from_secs(1);
        let plan = Plan {
            system: System::Redis,
            nemesis: Nemesis::Kill,
            settings: Settings { down_after_ms: 1000, server_lines: Vec::new(), redkeep_lines: Vec::new() },
            clients: 1,
            pace: second,
            op_timeout: second,
            warm_up: second,
            after_heal: second,
        };
        let verdict = Verdict { acknowledged: 200, lost, failover_ms, ..Verdict::default() };
        Entry { plan, outcome: Some(Outcome { verdict, settled: true, masters_at_end: 1 }), error: None }
    }

    #[test]
    fn rounds_of_a_kind_share_a_row() {
        let report = Report { rounds: vec![entry(0, Some(1000.0)), entry(3, Some(3000.0)), entry(0, None)] };
        let text = report.to_string();
        assert!(text.contains("2.00 (1.00 – 3.00), 1 × never"), "{text}");
        assert!(text.contains("3 of 600 (worst round 1.50 %)"), "{text}");
        assert!(text.contains("3 of 3"), "{text}");
        assert_eq!(text.lines().count(), 3);
        assert!(report.meets(Demand::Whole) && !report.meets(Demand::Kept));
        assert!(Report { rounds: vec![entry(0, None)] }.meets(Demand::Kept));
    }

    #[test]
    fn a_round_that_failed_meets_no_demand() {
        let failed = Entry { outcome: None, error: Some("no port".to_owned()), ..entry(0, None) };
        let report = Report { rounds: vec![failed] };
        assert!(!report.meets(Demand::Whole));
        assert!(report.to_string().contains("failed: no port"));
    }
}
