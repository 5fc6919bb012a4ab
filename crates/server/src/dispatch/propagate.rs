//! What a command changed goes to the replication log, while its keys are still locked.

use redkeep_replication::ReplOffset;
use redkeep_replication::log::Effect as LogEffect;
use redkeep_resp::client::encode_command;
use redkeep_store::Owned;

use super::Executor;
use crate::commands::{Args, Outcome};
use crate::engine::policy;
use crate::session::{Origin, Session};

/// The effects of a transaction that executes: they go to the log together at its end.
#[derive(Default)]
pub(super) struct Pending {
    active: bool,
    effects: Vec<(usize, Vec<u8>)>,
}

impl Executor {
    /// Appends what has executed of the primary's stream to the own log.
    pub(super) fn append_raw(&mut self) {
        if !self.raw.is_empty() {
            let log = &self.engine.log;
            log.append_raw(self.slot, log.end(), &self.raw);
            self.raw.clear();
        }
    }

    /// Ends a transaction that a panic left open: what comes next is none of its effects.
    #[inline]
    pub(super) fn forget_transaction(&mut self) {
        if self.transaction.active {
            self.transaction = Pending::default();
        }
    }

    /// From here on effects are gathered.
    pub(super) fn begin_transaction(&mut self) {
        self.transaction.active = true;
    }

    /// Appends what was gathered as one transaction.
    pub(super) fn end_transaction(&mut self, session: &Session) {
        self.transaction.active = false;
        let effects = std::mem::take(&mut self.transaction.effects);
        if !effects.is_empty() {
            session.written_up_to.set(self.append_together(&effects));
        }
    }

    fn append_together(&self, effects: &[(usize, Vec<u8>)]) -> ReplOffset {
        let effects: Vec<LogEffect<'_>> =
            effects.iter().map(|(db, bytes)| LogEffect { db: *db, bytes: bytes.as_slice() }).collect();
        self.engine.log.append_transaction(self.slot, &effects)
    }

    /// Counts and appends what one command did: the deletion of keys that it found expired, then its
    /// own effect. Its locks must still be held.
    #[inline]
    pub(super) fn propagate(
        &mut self,
        session: &Session,
        db: usize,
        args: Args<'_>,
        outcome: &Outcome,
        expired: &[Owned],
    ) {
        if !(matches!(outcome, Outcome::Unchanged) && expired.is_empty()) {
            self.propagate_change(session, db, args, outcome, expired);
        }
    }

    fn propagate_change(
        &mut self,
        session: &Session,
        db: usize,
        args: Args<'_>,
        outcome: &Outcome,
        expired: &[Owned],
    ) {
        if matches!(outcome, Outcome::Changed | Outcome::ChangedAs(_)) {
            self.stats().dirty.add(1);
        }
        if !expired.is_empty() {
            self.count_expired(expired);
        }
        let replica = session.origin == Origin::Primary || self.policy & policy::REPLICA != 0;
        if replica || !self.engine.log.is_active() {
            return;
        }
        match outcome {
            Outcome::Changed | Outcome::Announced if expired.is_empty() && !self.transaction.active => {
                let log = &self.engine.log;
                session.written_up_to.set(match args.verbatim() {
                    Some(request) => log.append(self.slot, db, request),
                    None => log.append(self.slot, db, &encoded(args)),
                });
            }
            _ => self.append_all(session, db, args, outcome, expired),
        }
    }

    #[cold]
    fn count_expired(&self, expired: &[Owned]) {
        let stats = self.stats();
        stats.expired.add(expired.len() as u64);
        stats.dirty.add(expired.len() as u64);
    }

    fn append_all(
        &mut self,
        session: &Session,
        db: usize,
        args: Args<'_>,
        outcome: &Outcome,
        expired: &[Owned],
    ) {
        let mut effects: Vec<(usize, Vec<u8>)> = Vec::new();
        for owned in expired {
            effects.push((db, deletion(owned.key())));
        }
        match outcome {
            Outcome::Changed | Outcome::Announced => {
                effects.push((db, args.verbatim().map_or_else(|| encoded(args), <[u8]>::to_vec)));
            }
            Outcome::ChangedAs(effect) => {
                effects.extend(effect.commands().map(|command| (db, command.to_vec())));
            }
            Outcome::Unchanged | Outcome::Suspend(_) | Outcome::Close | Outcome::BecomeReplica(_) => {}
        }
        if self.transaction.active {
            self.transaction.effects.append(&mut effects);
            return;
        }
        match effects.as_slice() {
            [] => {}
            [(db, bytes)] => session.written_up_to.set(self.engine.log.append(self.slot, *db, bytes)),
            several => session.written_up_to.set(self.append_together(several)),
        }
    }
}

/// The request in multibulk form.
fn encoded(args: Args<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_command(&mut bytes, &args.from(0).collect::<Vec<_>>());
    bytes
}

/// What is propagated for a key that expired.
pub(crate) fn deletion(key: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_command(&mut bytes, &[&b"DEL"[..], key]);
    bytes
}
