//! Votes for foreign sentinels.
//!
//! While Redis or Valkey sentinels look after a master, this group only observes. But they see our hellos, count us among
//! the sentinels, and need the votes of a majority of all they know: a group of ours that never voted would keep them
//! from ever replacing their master. So for a master that we only observe we vote as they do, once in an epoch, for the
//! first who asks. For a master of our own nobody outside gets a vote.

use std::collections::BTreeMap;

use super::ids::{Epoch, SentinelId};

/// For whom we voted last, and in which epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vote {
    /// The epoch.
    pub epoch: Epoch,
    /// The sentinel that asked first.
    pub leader: SentinelId,
}

/// Our votes by the master's name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Votes {
    /// The last vote for each master.
    pub last: BTreeMap<String, Vote>,
}

impl Votes {
    /// A sentinel asks to be voted for in `epoch`; `current` is the latest epoch that we know. `true`: the vote is new,
    /// and must be on disk before it is told.
    pub fn ask(&mut self, name: &str, epoch: Epoch, candidate: SentinelId, current: Epoch) -> bool {
        let fresh = self.last.get(name).is_none_or(|vote| vote.epoch < epoch) && epoch >= current;
        if fresh {
            self.last.insert(name.to_owned(), Vote { epoch, leader: candidate });
        }
        fresh
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_vote_in_an_epoch_and_none_in_an_old_one() {
        let id = |n| SentinelId::from_bytes([n; 20]);
        let mut votes = Votes::default();
        assert!(votes.ask("m", Epoch(5), id(1), Epoch(4)));
        assert!(!votes.ask("m", Epoch(5), id(2), Epoch(4)), "given already");
        assert!(!votes.ask("m", Epoch(4), id(2), Epoch(4)), "an older epoch");
        assert_eq!(votes.last["m"], Vote { epoch: Epoch(5), leader: id(1) });
        assert!(!votes.ask("other", Epoch(5), id(2), Epoch(6)), "the epoch is over");
        assert!(votes.ask("other", Epoch(6), id(2), Epoch(6)));
    }
}
