//! Which replica should take over?
//!
//! Redis's rule. First some are ruled out: those that do not answer, that may never be promoted (priority 0), that
//! have not told anything of themselves lately, or that had lost the master long before it failed. Of the others the
//! lowest priority wins, then the greatest replication offset, then the lowest run id. One thing is added: a replica
//! that says it is a master, or has never linked to its master, copies nobody, so its data is another history: it comes
//! last, and is ruled out if it has no data at all.

use std::cmp::{Ordering, Reverse};

use super::ids::Addr;

/// A replica that has answered no PING for longer than this is not chosen, ms.
pub const MAX_PING_AGE_MS: u64 = 5000;
/// A replica whose INFO is older than this is not chosen while the master is down, ms.
pub const MAX_INFO_AGE_DOWN_MS: u64 = 5000;
/// A replica whose INFO is older than this is not chosen while the master is up, ms.
pub const MAX_INFO_AGE_MS: u64 = 30_000;
/// The offset of an instance that has written nothing: Redis counts from 0, or from 1.
const EMPTY_OFFSET: u64 = 1;

/// What the choice depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The replica.
    pub addr: Addr,
    /// It does not answer in the sense of the failure detector.
    pub down: bool,
    /// The link to it stands.
    pub connected: bool,
    /// Since its last acceptable reply to PING, ms.
    pub ping_age_ms: u64,
    /// Since its last INFO, ms; none came yet: `None`.
    pub info_age_ms: Option<u64>,
    /// How long it says that its link to the master is down, ms.
    pub link_down_ms: u64,
    /// It says that it has not been linked to its master since it started.
    pub never_linked: bool,
    /// It says that it is a master.
    pub reports_master: bool,
    /// `replica-priority`
    pub priority: u32,
    /// Its replication offset.
    pub offset: u64,
    /// Its run id; empty when unknown.
    pub run_id: String,
}

/// What is known of the master that would be replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Predecessor {
    /// For how long it is subjectively down, ms.
    pub down_ms: Option<u64>,
    /// Its `down-after-milliseconds`.
    pub down_after_ms: u64,
}

impl Candidate {
    /// Whether the replica may be chosen at all.
    #[must_use]
    pub fn is_eligible(&self, predecessor: Predecessor) -> bool {
        let max_info_age = if predecessor.down_ms.is_some() { MAX_INFO_AGE_DOWN_MS } else { MAX_INFO_AGE_MS };
        let max_link_down =
            predecessor.down_ms.unwrap_or(0).saturating_add(predecessor.down_after_ms.saturating_mul(10));
        !self.down
            && self.connected
            && self.ping_age_ms <= MAX_PING_AGE_MS
            && self.priority != 0
            && self.info_age_ms.is_some_and(|age| age <= max_info_age)
            && self.link_down_ms <= max_link_down
            && !(self.has_other_history() && self.offset <= EMPTY_OFFSET)
    }

    /// What it holds need not be what the master held.
    fn has_other_history(&self) -> bool {
        self.reports_master || self.never_linked
    }

    /// `Less`: this one is to be preferred. An unknown run id comes last; run ids compare as Redis compares
    /// them, without case.
    #[must_use]
    pub fn rank(&self, other: &Self) -> Ordering {
        let key = |candidate: &Self| {
            (
                candidate.has_other_history(),
                candidate.priority,
                Reverse(candidate.offset),
                candidate.run_id.is_empty(),
                candidate.run_id.to_ascii_lowercase(),
            )
        };
        key(self).cmp(&key(other))
    }
}

/// The replica to promote: the best of the eligible ones.
pub fn choose<'a>(
    candidates: impl Iterator<Item = &'a Candidate>,
    predecessor: Predecessor,
) -> Option<&'a Candidate> {
    candidates.filter(|candidate| candidate.is_eligible(predecessor)).min_by(|a, b| a.rank(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOWN: Predecessor = Predecessor { down_ms: Some(100), down_after_ms: 1000 };

    fn candidate(port: u16) -> Candidate {
        Candidate {
            addr: Addr::new("h", port),
            down: false,
            connected: true,
            ping_age_ms: 0,
            info_age_ms: Some(0),
            link_down_ms: 0,
            never_linked: false,
            reports_master: false,
            priority: 100,
            offset: 10,
            run_id: "b".into(),
        }
    }

    #[test]
    fn each_exclusion_excludes() {
        assert!(candidate(1).is_eligible(DOWN));
        let excluded = [
            Candidate { down: true, ..candidate(1) },
            Candidate { connected: false, ..candidate(1) },
            Candidate { ping_age_ms: 5001, ..candidate(1) },
            Candidate { priority: 0, ..candidate(1) },
            Candidate { info_age_ms: None, ..candidate(1) },
            Candidate { info_age_ms: Some(5001), ..candidate(1) },
            Candidate { link_down_ms: 10_101, ..candidate(1) },
            Candidate { never_linked: true, offset: 1, ..candidate(1) },
            Candidate { reports_master: true, offset: 0, ..candidate(1) },
        ];
        for case in &excluded {
            assert!(!case.is_eligible(DOWN), "{case:?}");
        }
        let up = Predecessor { down_ms: None, ..DOWN };
        assert!(Candidate { info_age_ms: Some(30_000), ..candidate(1) }.is_eligible(up));
        assert!(Candidate { link_down_ms: 10_100, ..candidate(1) }.is_eligible(DOWN));
    }

    #[test]
    fn a_divergent_tail_does_not_outrank_a_copy() {
        let returned = Candidate { never_linked: true, offset: 900, priority: 1, ..candidate(1) };
        let all = [returned, candidate(2)];
        assert_eq!(choose(all.iter(), DOWN), Some(&all[1]));
        assert_eq!(choose(all[..1].iter(), DOWN), Some(&all[0]), "still better than nobody");
    }

    /// The rule said slowly: nobody else is better in the first criterion in which they differ.
    fn beats(a: &Candidate, b: &Candidate) -> bool {
        if a.has_other_history() != b.has_other_history() {
            return !a.has_other_history();
        }
        if a.priority != b.priority {
            return a.priority < b.priority;
        }
        if a.offset != b.offset {
            return a.offset > b.offset;
        }
        match (a.run_id.is_empty(), b.run_id.is_empty()) {
            (false, true) => true,
            (true, _) => false,
            (false, false) => a.run_id.to_lowercase() < b.run_id.to_lowercase(),
        }
    }

    #[test]
    fn chooses_what_the_slow_rule_chooses() {
        let mut all = Vec::new();
        for n in 0..96u16 {
            all.push(Candidate {
                reports_master: n % 3 == 2,
                never_linked: n % 5 == 4,
                priority: u32::from(n / 3 % 4) * 50,
                offset: u64::from(n / 12 % 3),
                run_id: ["", "a", "B", "c"][usize::from(n / 24)].into(),
                down: n % 7 == 0,
                ..candidate(n)
            });
        }
        for start in 0..all.len() {
            for len in 0..6 {
                let some: Vec<_> =
                    all.iter().cycle().skip(start).step_by(len * 5 + 1).take(len).cloned().collect();
                let eligible = || some.iter().filter(|one| one.is_eligible(DOWN));
                let slow: Vec<_> =
                    eligible().filter(|one| !eligible().any(|other| beats(other, one))).collect();
                match choose(some.iter(), DOWN) {
                    Some(chosen) => assert!(slow.contains(&chosen), "{some:?}"),
                    None => assert!(slow.is_empty(), "{some:?}"),
                }
            }
        }
    }
}
