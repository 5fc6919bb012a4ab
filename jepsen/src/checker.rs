//! Verdicts: pure functions from a history to what was wrong with it.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use crate::history::{History, Micros, NodeIndex, Outcome, Write};

/// Resolution at which two acknowledging masters are seen, in microseconds.
const SLICE: Micros = 100_000;

/// All that the checkers found in one history.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Verdict {
    /// Writes that the system acknowledged.
    pub acknowledged: u64,
    /// Of those, the ones that are not there at the end.
    pub lost: u64,
    /// Writes without an answer.
    pub unknown: u64,
    /// Writes that were refused, by error code.
    pub refused: BTreeMap<String, u64>,
    /// Values that are there although they were refused or never written.
    pub unexpected: u64,
    /// Values that are there more than once.
    pub duplicated: u64,
    /// Values that stand behind a later one of the same client.
    pub reordered: u64,
    /// From the fault to the first acknowledgement by another node, in milliseconds. `None`: there was none.
    pub failover_ms: Option<f64>,
    /// How long two nodes acknowledged writes side by side, in milliseconds.
    pub two_masters_ms: f64,
}

impl Verdict {
    /// Acknowledged writes that were lost, in percent of all acknowledged ones.
    pub fn lost_percent(&self) -> f64 {
        if self.acknowledged == 0 { 0.0 } else { 100.0 * self.lost as f64 / self.acknowledged as f64 }
    }

    /// Whether nothing is there at the end that should not be, and everything in its order.
    pub fn is_faithful(&self) -> bool {
        self.unexpected + self.duplicated + self.reordered == 0
    }

    /// Whether, beside that, every acknowledged write is there.
    pub fn is_sound(&self) -> bool {
        self.is_faithful() && self.lost == 0
    }
}

/// Runs all checkers.
pub fn check(history: &History) -> Verdict {
    let mut verdict = Verdict {
        failover_ms: failover(history).map(|micros| micros as f64 / 1000.0),
        two_masters_ms: two_masters(&history.writes) as f64 / 1000.0,
        ..Verdict::default()
    };
    let mut by_client: BTreeMap<usize, Vec<&Write>> = BTreeMap::new();
    for write in &history.writes {
        by_client.entry(write.client).or_default().push(write);
        match &write.outcome {
            Outcome::Acknowledged => verdict.acknowledged += 1,
            Outcome::Unknown => verdict.unknown += 1,
            Outcome::Refused(code) => *verdict.refused.entry(code.clone()).or_default() += 1,
        }
    }
    let clients = by_client.keys().chain(history.final_values.keys());
    let clients: std::collections::BTreeSet<usize> = clients.copied().collect();
    for client in clients {
        let writes = by_client.get(&client).map(Vec::as_slice).unwrap_or_default();
        let values = history.final_values.get(&client).map(Vec::as_slice).unwrap_or_default();
        check_values(writes, values, &mut verdict);
    }
    verdict
}

/// Compares what one client wrote with what is there.
fn check_values(writes: &[&Write], values: &[u64], verdict: &mut Verdict) {
    let mut counts: HashMap<u64, u64> = HashMap::new();
    for value in values {
        *counts.entry(*value).or_default() += 1;
    }
    verdict.duplicated += counts.values().map(|count| count - 1).sum::<u64>();
    verdict.reordered += values.windows(2).filter(|pair| pair[1] < pair[0]).count() as u64;
    let outcomes: HashMap<u64, &Outcome> = writes.iter().map(|write| (write.value, &write.outcome)).collect();
    for value in counts.keys() {
        match outcomes.get(value) {
            Some(Outcome::Acknowledged | Outcome::Unknown) => {}
            Some(Outcome::Refused(_)) | None => verdict.unexpected += 1,
        }
    }
    let lost = writes.iter().filter(|write| write.is_acknowledged() && !counts.contains_key(&write.value));
    verdict.lost += lost.count() as u64;
}

/// From the fault to the first write that another node than the faulty one acknowledged.
fn failover(history: &History) -> Option<Micros> {
    let (fault, faulty) = history.fault?;
    let elsewhere = history
        .writes
        .iter()
        .filter(|write| write.is_acknowledged() && write.node != faulty && write.invoked >= fault);
    elsewhere.map(|write| write.completed - fault).min()
}

/// Time in which two nodes took turns at acknowledging.
///
/// One change of nodes within a slice is a handover; with more the nodes acknowledge side by side.
fn two_masters(writes: &[Write]) -> Micros {
    let mut slices: BTreeMap<Micros, Vec<(Micros, NodeIndex)>> = BTreeMap::new();
    for write in writes.iter().filter(|write| write.is_acknowledged()) {
        slices.entry(write.completed / SLICE).or_default().push((write.completed, write.node));
    }
    let shared = slices.into_values().filter_map(|mut acknowledgements| {
        acknowledgements.sort_unstable();
        let changes = acknowledgements.windows(2).filter(|pair| pair[0].1 != pair[1].1).count();
        (changes > 1).then_some(SLICE)
    });
    shared.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes of client 0, one every 10 ms, to the given nodes.
    fn writes(nodes: &[NodeIndex]) -> Vec<Write> {
        let write = |(value, node): (usize, &NodeIndex)| Write {
            client: 0,
            value: value as u64,
            node: *node,
            invoked: value as Micros * 10_000,
            completed: value as Micros * 10_000 + 500,
            outcome: Outcome::Acknowledged,
        };
        nodes.iter().enumerate().map(write).collect()
    }

    fn history(writes: Vec<Write>, values: &[u64]) -> History {
        History { writes, final_values: BTreeMap::from([(0, values.to_vec())]), fault: None }
    }

    #[test]
    fn a_whole_history_is_sound() {
        let verdict = check(&history(writes(&[0, 0, 0]), &[0, 1, 2]));
        assert!(verdict.is_sound());
        assert_eq!((verdict.acknowledged, verdict.lost_percent()), (3, 0.0));
    }

    #[test]
    fn a_planted_loss_is_found() {
        let verdict = check(&history(writes(&[0, 0, 0, 0]), &[0, 1, 3]));
        assert_eq!((verdict.lost, verdict.lost_percent()), (1, 25.0));
        assert!(!verdict.is_sound());
    }

    #[test]
    fn a_client_whose_key_is_gone_lost_everything() {
        let gone = History { writes: writes(&[0, 0]), ..History::default() };
        assert_eq!(check(&gone).lost, 2);
    }

    #[test]
    fn open_writes_may_be_there_or_not_and_refused_ones_may_not() {
        let mut open = writes(&[0, 0, 0]);
        open[1].outcome = Outcome::Unknown;
        open[2].outcome = Outcome::Refused("READONLY".to_owned());
        assert!(check(&history(open.clone(), &[0])).is_sound());
        assert!(check(&history(open.clone(), &[0, 1])).is_sound());
        let verdict = check(&history(open, &[0, 2]));
        assert_eq!((verdict.unexpected, verdict.unknown, verdict.refused["READONLY"]), (1, 1, 1));
    }

    #[test]
    fn values_that_nobody_wrote_duplicates_and_disorder_are_found() {
        let verdict = check(&history(writes(&[0, 0, 0]), &[0, 2, 1, 1, 9]));
        assert_eq!((verdict.unexpected, verdict.duplicated, verdict.reordered), (1, 1, 1));
        let stranger = History { final_values: BTreeMap::from([(7, vec![1])]), ..History::default() };
        assert_eq!(check(&stranger).unexpected, 1);
    }

    #[test]
    fn failover_is_counted_from_the_fault_to_another_node() {
        let mut failed_over = history(writes(&[0, 0, 0, 1]), &[0, 1, 2, 3]);
        failed_over.fault = Some((15_000, 0));
        assert_eq!(check(&failed_over).failover_ms, Some(15.5));
        failed_over.fault = Some((15_000, 1));
        assert_eq!(check(&failed_over).failover_ms, Some(5.5), "node 0 took over from node 1");
        failed_over.writes.iter_mut().for_each(|write| write.node = 1);
        assert_eq!(check(&failed_over).failover_ms, None);
    }

    #[test]
    fn a_handover_is_not_two_masters() {
        assert_eq!(check(&history(writes(&[0, 0, 0, 1, 1, 1]), &[])).two_masters_ms, 0.0);
        assert_eq!(check(&history(writes(&[0, 1, 0, 1, 0, 1]), &[])).two_masters_ms, 100.0);
        let mut long = vec![0, 1];
        long.extend([0, 1].repeat(14));
        assert_eq!(check(&history(writes(&long), &[])).two_masters_ms, 300.0);
    }
}
