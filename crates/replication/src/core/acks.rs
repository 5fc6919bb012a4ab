//! Who has how much: what the replicas acknowledged, for `WAIT`, `min-replicas-to-write` and INFO.
//!
//! Only replicas that are online count: one that still loads its snapshot is not there yet, whatever it has said.

use crate::ids::{ReplOffset, ReplicaId};

/// What one replica acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ack {
    /// Everything before this has been applied there.
    pub offset: ReplOffset,
    /// When the last acknowledgement came.
    pub at_ms: u64,
}

/// The acknowledgements of all online replicas. Their number is bounded by `maxclients`, and in practice small: every
/// question is one pass.
#[derive(Clone, Debug, Default)]
pub struct AckBoard {
    online: Vec<(ReplicaId, Ack)>,
}

impl AckBoard {
    /// Takes a replica in or its news; its offset never goes back. Call it when the replica comes online, and at each
    /// of its acknowledgements from then on.
    pub fn record(&mut self, replica: ReplicaId, ack: Ack) {
        match self.online.iter_mut().find(|(id, _)| *id == replica) {
            Some((_, known)) => {
                known.offset = known.offset.max(ack.offset);
                known.at_ms = known.at_ms.max(ack.at_ms);
            }
            None => self.online.push((replica, ack)),
        }
    }

    /// The replica is gone.
    pub fn remove(&mut self, replica: ReplicaId) {
        self.online.retain(|(id, _)| *id != replica);
    }

    /// What this replica acknowledged, if it is online.
    pub fn get(&self, replica: ReplicaId) -> Option<Ack> {
        self.online.iter().find(|(id, _)| *id == replica).map(|(_, ack)| *ack)
    }

    /// How many replicas have everything up to `offset`: the reply of `WAIT`.
    pub fn count_acked(&self, offset: ReplOffset) -> usize {
        self.online.iter().filter(|(_, ack)| ack.offset >= offset).count()
    }

    /// How many replicas spoke within `max_lag_secs`, for `min-replicas-to-write`. As in Redis, lag is in whole seconds.
    pub fn count_good(&self, now_ms: u64, max_lag_secs: u64) -> usize {
        self.online.iter().filter(|(_, ack)| lag_secs(now_ms, ack.at_ms) <= max_lag_secs).count()
    }
}

/// Whole seconds since an acknowledgement: INFO's `lag`.
pub fn lag_secs(now_ms: u64, ack_ms: u64) -> u64 {
    now_ms.saturating_sub(ack_ms) / 1000
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The obvious twin: remembers every message ever sent and answers by looking through all of them.
    #[derive(Default)]
    struct Slow(Vec<(ReplicaId, Option<Ack>)>);

    impl Slow {
        fn present(&self) -> Vec<Vec<Ack>> {
            let ids: std::collections::BTreeSet<_> = self.0.iter().map(|(id, _)| *id).collect();
            let since_last_removal = |id| {
                let news: Vec<_> =
                    self.0.iter().filter(|(other, _)| *other == id).map(|(_, ack)| *ack).collect();
                let start = news.iter().rposition(Option::is_none).map_or(0, |at| at + 1);
                news[start..].iter().copied().flatten().collect::<Vec<_>>()
            };
            ids.into_iter().map(since_last_removal).filter(|acks| !acks.is_empty()).collect()
        }
    }

    fn news() -> impl Strategy<Value = Vec<(ReplicaId, Option<Ack>)>> {
        let ack = (0..20u64, 0..20_000u64).prop_map(|(o, at_ms)| Ack { offset: ReplOffset(o), at_ms });
        proptest::collection::vec(
            ((0..4u64).prop_map(ReplicaId), proptest::option::weighted(0.8, ack)),
            0..40,
        )
    }

    proptest! {
        #[test]
        fn counts_agree_with_the_obvious_twin(news in news(), offset in 0..22u64, now in 0..30_000u64, lag in 0..12u64) {
            let (mut board, mut slow) = (AckBoard::default(), Slow::default());
            for (replica, ack) in news {
                match ack {
                    Some(ack) => board.record(replica, ack),
                    None => board.remove(replica),
                }
                slow.0.push((replica, ack));
            }
            let acked = slow.present().iter().filter(|acks| acks.iter().any(|a| a.offset.0 >= offset)).count();
            prop_assert_eq!(board.count_acked(ReplOffset(offset)), acked);
            let recent = |a: &Ack| a.at_ms >= now || (now - a.at_ms) / 1000 <= lag;
            let good = slow.present().iter().filter(|acks| acks.iter().any(recent)).count();
            prop_assert_eq!(board.count_good(now, lag), good);
        }
    }
}
