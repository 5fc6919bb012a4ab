//! What was proposed a moment ago, so that it is not proposed again at every turn.
//!
//! A proposal can be lost with the leader that it was sent to, so nobody waits for its outcome: it is made again
//! after a while, if the state still calls for it. Every command is harmless when it comes twice.

use std::collections::VecDeque;

use super::topology::Command;

/// How long a proposal is waited for before it is made again, ms. Well above what a commit takes, well below what
/// a failover may cost.
pub const PATIENCE_MS: u64 = 500;
/// Most proposals remembered. When it is full the oldest may be made twice.
const MAX_REMEMBERED: usize = 128;

/// The proposals of the last [`PATIENCE_MS`].
#[derive(Clone, Debug, Default)]
pub struct Proposals {
    recent: VecDeque<(u64, Command)>,
}

impl Proposals {
    /// Whether `command` is to be proposed now; it is remembered then.
    pub fn admit(&mut self, now: u64, command: &Command) -> bool {
        while self.recent.front().is_some_and(|(at, _)| now.saturating_sub(*at) >= PATIENCE_MS) {
            self.recent.pop_front();
        }
        if self.recent.iter().any(|(_, known)| known == command) {
            return false;
        }
        if self.recent.len() == MAX_REMEMBERED {
            self.recent.pop_front();
        }
        self.recent.push_back((now, command.clone()));
        true
    }

    /// Forgets everything, as when leadership changes.
    pub fn clear(&mut self) {
        self.recent.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_command_waits_and_others_do_not() {
        let command = |name: &str| Command::TakeOver { name: name.into(), taken_over: true };
        let mut proposals = Proposals::default();
        assert!(proposals.admit(0, &command("a")));
        assert!(!proposals.admit(PATIENCE_MS - 1, &command("a")));
        assert!(proposals.admit(1, &command("b")));
        assert!(proposals.admit(PATIENCE_MS, &command("a")));
        proposals.clear();
        assert!(proposals.admit(PATIENCE_MS, &command("a")));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut proposals = Proposals::default();
        for n in 0..10 * MAX_REMEMBERED {
            proposals.admit(0, &Command::TakeOver { name: n.to_string(), taken_over: true });
        }
        assert_eq!(proposals.recent.len(), MAX_REMEMBERED);
    }
}
