//! Does an instance answer? The failure detector of one link.
//!
//! Two kinds of evidence speak against an instance. *Silence*: a PING was sent and no acceptable reply has come
//! for `down-after-milliseconds`; that is Redis's rule, and it has to be patient, since a slow network is silent
//! too. *Refusal*: its host answers that nobody listens there, or ends each connection that it accepted; that
//! takes a live host to say, so it counts after `refused-after-milliseconds` already. A refusal must be seen again
//! by an attempt to reconnect: one connection that ends (CLIENT KILL does that) says nothing.
//!
//! [`Detector`] only remembers what happened; [`Verdict`] holds the judgement, under the limits of one master.
//! A sentinel that watches several masters with us has one link and so one detector, and a verdict for each.
//!
//! Invariants: a verdict of down ends with an acceptable reply and nothing else. Time during which our own
//! process stood still is not held against anybody ([`Detector::stalled`]).

/// How a link ended, or could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// The host answered that nobody listens.
    Refused,
    /// The other side ended a connection.
    Reset,
    /// No answer, no route, or our own decision: it says nothing about the instance.
    Silent,
}

/// When an instance counts as down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Silence for longer than this, ms.
    pub down_after_ms: u64,
    /// Refusal for at least this long, ms; 0: refusal is only silence.
    pub refused_after_ms: u64,
}

/// What happened on one link, as far as it tells whether the other side is alive. Times are milliseconds.
#[derive(Clone, Debug)]
pub struct Detector {
    connected_at: Option<u64>,
    ping_pending_since: Option<u64>,
    last_ping: u64,
    last_reply: u64,
    last_acceptable: u64,
    acceptable_replies: u64,
    refused_since: Option<u64>,
    refusal_seen_again: bool,
}

impl Detector {
    /// A link that is not made yet. It counts as silent from now on.
    #[must_use]
    pub fn new(now: u64) -> Self {
        Self {
            connected_at: None,
            ping_pending_since: Some(now),
            last_ping: now,
            last_reply: now,
            last_acceptable: now,
            acceptable_replies: 0,
            refused_since: None,
            refusal_seen_again: false,
        }
    }

    /// The connection was made.
    pub fn connected(&mut self, now: u64) {
        self.connected_at = Some(now);
    }

    /// The connection ended, or an attempt to make it failed.
    pub fn lost(&mut self, now: u64, loss: Loss) {
        self.connected_at = None;
        match (loss, self.refused_since) {
            (Loss::Silent, _) => self.forget_refusal(),
            (Loss::Refused | Loss::Reset, Some(_)) => self.refusal_seen_again = true,
            (Loss::Refused | Loss::Reset, None) => self.refused_since = Some(now),
        }
    }

    /// A PING was sent.
    pub fn pinged(&mut self, now: u64) {
        self.last_ping = now;
        self.ping_pending_since.get_or_insert(now);
    }

    /// The reply to a PING came. Acceptable are PONG, and LOADING and MASTERDOWN, which only a live server says.
    pub fn replied(&mut self, now: u64, acceptable: bool) {
        self.last_reply = now;
        if acceptable {
            self.last_acceptable = now;
            self.acceptable_replies += 1;
            self.ping_pending_since = None;
            self.forget_refusal();
        }
    }

    /// Our own process stood still for `ms` until now: replies may wait in the socket that nobody has read.
    pub fn stalled(&mut self, now: u64, ms: u64) {
        let later = |at: u64| at.saturating_add(ms).min(now);
        self.ping_pending_since = self.ping_pending_since.map(later);
        self.refused_since = self.refused_since.map(later);
        self.last_acceptable = later(self.last_acceptable);
        self.last_reply = later(self.last_reply);
    }

    fn forget_refusal(&mut self) {
        self.refused_since = None;
        self.refusal_seen_again = false;
    }

    /// Whether the connection stands.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.connected_at.is_some()
    }

    /// Since when the connection stands.
    #[must_use]
    pub fn connected_at(&self) -> Option<u64> {
        self.connected_at
    }

    /// How long the oldest PING without an acceptable reply has waited, ms; 0 if none does.
    #[must_use]
    pub fn ping_pending_ms(&self, now: u64) -> u64 {
        self.ping_pending_since.map_or(0, |since| now.saturating_sub(since))
    }

    /// Since the last acceptable reply, ms.
    #[must_use]
    pub fn acceptable_ago_ms(&self, now: u64) -> u64 {
        now.saturating_sub(self.last_acceptable)
    }

    /// Since the last reply to a PING, ms.
    #[must_use]
    pub fn reply_ago_ms(&self, now: u64) -> u64 {
        now.saturating_sub(self.last_reply)
    }

    /// Whether a PING is due, at one every `period_ms`.
    #[must_use]
    pub fn wants_ping(&self, now: u64, period_ms: u64) -> bool {
        self.is_connected()
            && now.saturating_sub(self.last_reply) >= period_ms
            && now.saturating_sub(self.last_ping) >= period_ms / 2
    }

    /// Whether the connection may be a dead one that nobody has told us about: a PING waits for longer than half of
    /// `down_after_ms`, and this connection has been tried for `patience_ms`.
    #[must_use]
    pub fn wants_reconnect(&self, now: u64, down_after_ms: u64, patience_ms: u64) -> bool {
        self.ping_pending_ms(now) > down_after_ms / 2
            && self.connected_at.is_some_and(|since| now.saturating_sub(since) > patience_ms)
    }

    /// When the evidence suffices, if nothing more is heard. `None`: never.
    fn due(&self, limits: Limits) -> Option<u64> {
        let silent_since = match (self.ping_pending_since, self.connected_at) {
            (Some(since), _) => Some(since),
            (None, Some(_)) => None,
            (None, None) => Some(self.last_acceptable),
        };
        let silence = silent_since.map(|since| since.saturating_add(limits.down_after_ms).saturating_add(1));
        let refused = self.connected_at.is_none() && self.refusal_seen_again && limits.refused_after_ms > 0;
        let refusal =
            self.refused_since.filter(|_| refused).map(|since| since.saturating_add(limits.refused_after_ms));
        silence.into_iter().chain(refusal).min()
    }
}

/// The judgement over one instance: subjectively down, or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    down: Option<Down>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Down {
    since: u64,
    /// How many acceptable replies had come until then: one more ends it.
    replies: u64,
}

impl Verdict {
    /// Judges anew. `unfit` says that the instance must count as down although it answers. `Some(down)` when the
    /// judgement has changed.
    pub fn step(&mut self, now: u64, detector: &Detector, limits: Limits, unfit: bool) -> Option<bool> {
        let unheard = self.down.is_some_and(|down| down.replies == detector.acceptable_replies);
        let down = unfit || unheard || detector.due(limits).is_some_and(|due| now >= due);
        if down == self.down.is_some() {
            return None;
        }
        self.down = down.then_some(Down { since: now, replies: detector.acceptable_replies });
        Some(down)
    }

    /// Since when it is down.
    #[must_use]
    pub fn down_since(&self) -> Option<u64> {
        self.down.map(|down| down.since)
    }

    /// Whether it is down.
    #[must_use]
    pub fn is_down(&self) -> bool {
        self.down.is_some()
    }

    /// When [`step`](Self::step) must be called again though nothing was heard. `None`: need not.
    #[must_use]
    pub fn deadline(&self, detector: &Detector, limits: Limits) -> Option<u64> {
        if self.is_down() { None } else { detector.due(limits) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { down_after_ms: 1000, refused_after_ms: 100 };

    fn answering(now: u64) -> Detector {
        let mut detector = Detector::new(now);
        detector.connected(now);
        detector.pinged(now);
        detector.replied(now, true);
        detector
    }

    #[test]
    fn silence_counts_from_the_first_ping_without_reply() {
        let mut detector = answering(0);
        let mut verdict = Verdict::default();
        detector.pinged(500);
        detector.pinged(1000);
        assert_eq!(verdict.step(1500, &detector, LIMITS, false), None);
        assert_eq!(verdict.deadline(&detector, LIMITS), Some(1501));
        assert_eq!(verdict.step(1501, &detector, LIMITS, false), Some(true));
        assert_eq!(verdict.step(9999, &detector, LIMITS, false), None);
        detector.replied(10_000, false);
        assert_eq!(verdict.step(10_000, &detector, LIMITS, false), None, "BUSY is no sign of life");
        detector.replied(10_001, true);
        assert_eq!(verdict.step(10_001, &detector, LIMITS, false), Some(false));
    }

    #[test]
    fn an_instance_never_reached_is_down_in_the_same_time() {
        let mut verdict = Verdict::default();
        let detector = Detector::new(0);
        assert_eq!(verdict.step(1000, &detector, LIMITS, false), None);
        assert_eq!(verdict.step(1001, &detector, LIMITS, false), Some(true));
    }

    #[test]
    fn a_killed_process_refuses_and_is_down_soon() {
        let mut detector = answering(0);
        let mut verdict = Verdict::default();
        detector.lost(10, Loss::Reset);
        assert_eq!(verdict.step(120, &detector, LIMITS, false), None, "one ended connection is no proof");
        detector.lost(30, Loss::Refused);
        assert_eq!(verdict.deadline(&detector, LIMITS), Some(110));
        assert_eq!(verdict.step(109, &detector, LIMITS, false), None);
        assert_eq!(verdict.step(110, &detector, LIMITS, false), Some(true));
        detector.connected(200);
        assert_eq!(verdict.step(200, &detector, LIMITS, false), None, "up again only when it answers");
        detector.replied(201, true);
        assert_eq!(verdict.step(201, &detector, LIMITS, false), Some(false));
    }

    #[test]
    fn a_killed_client_that_reconnects_changes_nothing() {
        let mut detector = answering(0);
        let mut verdict = Verdict::default();
        for at in [10, 30, 50] {
            detector.lost(at, Loss::Reset);
            detector.connected(at + 1);
            detector.replied(at + 2, true);
        }
        assert_eq!(verdict.step(500, &detector, LIMITS, false), None);
    }

    #[test]
    fn a_proxy_that_accepts_and_hangs_up_refuses() {
        let mut detector = answering(0);
        let mut verdict = Verdict::default();
        for at in [10, 40, 80] {
            detector.lost(at, Loss::Reset);
            detector.connected(at + 1);
        }
        detector.lost(120, Loss::Reset);
        assert_eq!(verdict.step(120, &detector, LIMITS, false), Some(true));
    }

    #[test]
    fn an_unreachable_host_is_only_silent() {
        let mut detector = answering(0);
        let mut verdict = Verdict::default();
        detector.lost(10, Loss::Reset);
        detector.lost(30, Loss::Refused);
        detector.lost(50, Loss::Silent);
        assert_eq!(verdict.step(500, &detector, LIMITS, false), None);
        assert_eq!(verdict.step(1001, &detector, LIMITS, false), Some(true), "since the last reply, at 0");
    }

    #[test]
    fn what_answers_may_be_unfit_nevertheless() {
        let mut detector = answering(0);
        let mut verdict = Verdict::default();
        assert_eq!(verdict.step(1, &detector, LIMITS, true), Some(true));
        detector.replied(2, true);
        assert_eq!(verdict.step(2, &detector, LIMITS, true), None);
        assert_eq!(verdict.step(3, &detector, LIMITS, false), Some(false));
    }

    #[test]
    fn refusal_can_be_given_no_weight() {
        let mut detector = answering(0);
        let limits = Limits { refused_after_ms: 0, ..LIMITS };
        detector.lost(10, Loss::Refused);
        detector.lost(30, Loss::Refused);
        assert_eq!(Verdict::default().deadline(&detector, limits), Some(1001));
    }

    #[test]
    fn our_own_pause_is_not_held_against_others() {
        let mut detector = answering(0);
        let mut verdict = Verdict::default();
        detector.pinged(100);
        detector.stalled(5100, 4900);
        assert_eq!(verdict.step(5100, &detector, LIMITS, false), None);
        assert_eq!(
            verdict.step(6001, &detector, LIMITS, false),
            Some(true),
            "only what it was awake for counts"
        );
        detector.stalled(9000, 2000);
        assert_eq!(verdict.step(9000, &detector, LIMITS, false), None, "and is no sign of life either");
    }

    #[test]
    fn pings_are_due_by_the_period() {
        let mut detector = answering(0);
        assert!(!detector.wants_ping(999, 1000));
        assert!(detector.wants_ping(1000, 1000));
        detector.pinged(1000);
        assert!(!detector.wants_ping(1499, 1000));
        assert!(detector.wants_ping(1500, 1000), "again at half the period while no reply comes");
        detector.lost(1600, Loss::Silent);
        assert!(!detector.wants_ping(9000, 1000));
    }

    #[test]
    fn a_connection_that_only_looks_alive_is_made_anew() {
        let mut detector = answering(0);
        detector.pinged(20_000);
        assert!(!detector.wants_reconnect(20_500, 1000, 15_000));
        assert!(detector.wants_reconnect(20_501, 1000, 15_000));
        detector.lost(20_501, Loss::Silent);
        detector.connected(20_502);
        assert!(!detector.wants_reconnect(30_000, 1000, 15_000), "and then given time");
    }
}
