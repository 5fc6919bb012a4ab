//! What a primary writes into the stream for the links' own sake. These bytes count in the offset as all others do
//! (except to the AOF, which skips them), so they are appended to the log once for all replicas, not sent to each.

/// `PING`, so that replicas see a living master on an idle stream. In lower case, as Redis sends it.
pub const PING: &[u8] = b"*1\r\n$4\r\nping\r\n";

/// `REPLCONF GETACK *`: every replica answers with its offset at once. `WAIT` asks so.
pub const GETACK: &[u8] = b"*3\r\n$8\r\nREPLCONF\r\n$6\r\nGETACK\r\n$1\r\n*\r\n";

/// When the next `PING` is due (`repl-ping-replica-period`).
#[derive(Clone, Copy, Debug, Default)]
pub struct PingTimer {
    last_ms: Option<u64>,
}

impl PingTimer {
    /// Whether to append a [`PING`] now. Without replicas nothing is due, and the period starts anew with the first.
    pub fn due(&mut self, now_ms: u64, period_ms: u64, has_replicas: bool) -> bool {
        if !has_replicas {
            self.last_ms = None;
            return false;
        }
        let last = *self.last_ms.get_or_insert(now_ms);
        let due = now_ms.saturating_sub(last) >= period_ms;
        if due {
            self.last_ms = Some(now_ms);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::PingTimer;

    #[test]
    fn a_ping_is_due_once_a_period_and_only_while_somebody_listens() {
        let mut timer = PingTimer::default();
        let due: Vec<u64> = (0..50).filter(|&now| timer.due(now, 10, now < 35)).collect();
        assert_eq!(due, [10, 20, 30]);
        assert!(!timer.due(60, 10, true), "the period starts with the first replica");
        assert!(timer.due(70, 10, true));
    }
}
