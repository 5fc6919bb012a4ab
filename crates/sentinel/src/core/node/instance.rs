//! What is observed of one master or replica.

use std::sync::Arc;

use super::LinkId;
use crate::core::detector::{Detector, Loss, Verdict};
use crate::core::info::{Info, Role};

/// The state of one link, whoever is at its other end.
#[derive(Clone, Debug)]
pub struct LinkState {
    /// Its number.
    pub id: LinkId,
    /// What was heard on it.
    pub detector: Detector,
    /// Requests without a reply.
    pub pending: u32,
    /// Our address on it.
    pub local_host: Option<String>,
    pub(super) info_asked_at: Option<u64>,
    pub(super) info_pending: bool,
    pub(super) hello_at: Option<u64>,
}

impl LinkState {
    pub(super) fn new(now: u64, id: LinkId) -> Self {
        Self {
            id,
            detector: Detector::new(now),
            pending: 0,
            local_host: None,
            info_asked_at: None,
            info_pending: false,
            hello_at: None,
        }
    }

    pub(super) fn connected(&mut self, now: u64, local_host: &str) {
        self.detector.connected(now);
        self.local_host = Some(local_host.to_owned());
    }

    pub(super) fn lost(&mut self, now: u64, loss: Loss) {
        self.detector.lost(now, loss);
        self.pending = 0;
        self.info_pending = false;
        self.info_asked_at = None;
        self.hello_at = None;
    }
}

/// A master or replica.
#[derive(Clone, Debug)]
pub struct Instance {
    /// The link to it.
    pub link: LinkState,
    /// Whether we see it down.
    pub verdict: Verdict,
    /// The role that it reports; until it has, the one that it should have.
    pub role: Role,
    /// Since when it reports that role.
    pub role_since: u64,
    /// When it last reported a role.
    pub role_heard_at: Option<u64>,
    /// Its run id; empty until it is heard.
    pub run_id: String,
    /// Its last INFO.
    pub info: Info,
    /// When that came.
    pub info_at: Option<u64>,
    /// Its text.
    pub info_text: Option<Arc<str>>,
    /// When it came back under another run id and has not said PONG since.
    pub rebooted_at: Option<u64>,
    /// It answers under another run id than before it was last seen down.
    pub restarted: bool,
    pub(super) script_kill_sent: bool,
}

impl Instance {
    pub(super) fn new(now: u64, link: LinkId, role: Role) -> Self {
        Self {
            link: LinkState::new(now, link),
            verdict: Verdict::default(),
            role,
            role_since: now,
            role_heard_at: None,
            run_id: String::new(),
            info: Info::default(),
            info_at: None,
            info_text: None,
            rebooted_at: None,
            restarted: false,
            script_kill_sent: false,
        }
    }

    /// Its configured role is another from now on: what it said in the old one is void, and it is judged anew.
    pub(super) fn recast(&mut self, now: u64, role: Role) {
        let link = LinkState { info_asked_at: None, hello_at: None, ..self.link.clone() };
        *self = Self { link, run_id: std::mem::take(&mut self.run_id), ..Self::new(now, self.link.id, role) };
    }

    /// Whether its script was asked to stop.
    #[must_use]
    pub fn is_script_kill_sent(&self) -> bool {
        self.script_kill_sent
    }

    /// How long ago its last INFO came, ms.
    #[must_use]
    pub fn info_age_ms(&self, now: u64) -> Option<u64> {
        self.info_at.map(|at| now.saturating_sub(at))
    }
}
