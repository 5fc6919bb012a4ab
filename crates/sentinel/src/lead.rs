//! May this sentinel act for the group?
//!
//! Raft says who leads, but a process that stood still may have a successor that it has not heard of, and a new leader may
//! not have applied yet what its predecessor had committed. Orders of either would contradict the group. So leading needs
//! a proof: a read barrier, which a majority must answer, and all commands before it applied. The proof is void when the
//! process has stood still, when no majority answers, and in another term.

use std::time::Duration;

use tokio::task::JoinSet;

use crate::core::topology::Topology;
use crate::raft::{Group, Role};

/// A leader that no majority has acknowledged for this long may have a successor, and does nothing. So does one that was
/// not running for this long.
const LEADER_PROOF_MS: u64 = 300;
/// The pause after a proof that failed.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// What is known of this sentinel's right to act.
#[derive(Debug, Default)]
pub(crate) struct Lead {
    /// The barrier under way, at most one; it brings the index up to which commands must be applied.
    proving: JoinSet<Option<u64>>,
    proof: Option<u64>,
    term: u64,
    checked_at: u64,
}

impl Lead {
    /// Whether the sentinel may act now. `applied` is the last command that its node has taken in.
    pub(crate) fn check(&mut self, now: u64, group: &Group<Topology>, applied: Option<u64>) -> bool {
        let stalled = now.saturating_sub(self.checked_at) > LEADER_PROOF_MS;
        self.checked_at = now;
        let leadership = group.leadership();
        let leads = leadership.role == Role::Leader
            && group.status().quorum_ack_age_ms.is_some_and(|age| age <= LEADER_PROOF_MS);
        if stalled || !leads || self.term != leadership.term {
            self.proof = None;
            self.proving = JoinSet::new();
            self.term = leadership.term;
        }
        if !leads {
            return false;
        }
        if self.proof.is_none() && self.proving.is_empty() {
            self.prove(group.clone());
        }
        self.proof.is_some_and(|upto| applied.is_some_and(|applied| applied >= upto))
    }

    fn prove(&mut self, group: Group<Topology>) {
        self.proving.spawn(async move {
            match group.read_index().await {
                Ok(_) => Some(group.watch().borrow().last_command),
                Err(error) => {
                    tracing::debug!(%error, "not proved to lead");
                    tokio::time::sleep(RETRY_PAUSE).await;
                    None
                }
            }
        });
    }

    /// Waits for the end of the barrier under way; `None` if none is. Safe to cancel.
    pub(crate) async fn proved(&mut self) -> Option<()> {
        let outcome = self.proving.join_next().await?;
        self.proof = outcome.ok().flatten();
        Some(())
    }
}
