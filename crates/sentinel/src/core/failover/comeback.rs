//! Is the master back that was down, and with what it had?
//!
//! A master that answers again makes its replacement needless, but not if it was started anew and lost what its replicas
//! still have: they would follow it and lose that, too.

use super::Situation;
use crate::core::topology::{Cause, Failover};

/// What the master says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Primary {
    /// It was heard on the connection that stands.
    pub heard: bool,
    /// It answers under another run id than before it was down.
    pub restarted: bool,
    /// Its replication offset.
    pub offset: u64,
}

/// What became of a master that a failover is to replace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comeback {
    /// It is down, or an operator wants it replaced anyway.
    None,
    /// It answers, and has not said yet what it holds.
    Unheard,
    /// It was started anew, and a replica that could take over has more.
    Bereft,
    /// It is the master as before.
    Intact,
}

impl Situation<'_> {
    pub(super) fn comeback(&self, now: u64, failover: &Failover) -> Comeback {
        if failover.cause != Cause::Down || self.odown {
            return Comeback::None;
        }
        match self.primary {
            Some(Primary { heard: false, .. }) => Comeback::Unheard,
            Some(Primary { restarted: true, offset, .. }) if self.has_more(now, failover, offset) => {
                Comeback::Bereft
            }
            Some(_) | None => Comeback::Intact,
        }
    }

    fn has_more(&self, now: u64, failover: &Failover, offset: u64) -> bool {
        let predecessor = self.predecessor(now);
        let mut candidates = self.replicas.iter().map(|replica| &replica.candidate);
        candidates.any(|candidate| {
            !failover.rejected.contains(&candidate.addr)
                && candidate.offset > offset
                && candidate.is_eligible(predecessor)
        })
    }
}
