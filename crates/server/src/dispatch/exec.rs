//! EXEC: the queued commands as one step.
//!
//! Where all of them declare their keys, and stay in one database, the union of their shards is locked and
//! the rest of the server goes on. Otherwise the transaction claims the gate and owns everything.

use redkeep_resp::ReplyWriter;
use redkeep_store::Key;

use super::run::NO_HINT;
use super::{Call, Executor, Flow, Pass};
use crate::commands::{Command, CommandResult, Handler, Hold, OwnedArgs, has_watch_expired, unwatch};
use crate::engine::Engine;
use crate::error::CommandError;
use crate::session::Session;

/// Up to so many shards are locked together; more are had cheaper by claiming the gate.
const MAX_LOCKED_KEYS: usize = 64;

type Queue = Vec<(&'static Command, OwnedArgs)>;

impl Executor {
    /// EXEC where it needs no claim: refused, aborted, empty, or over few declared keys. `None` where it does.
    pub(super) fn exec_under_locks(
        &mut self,
        session: &mut Session,
        engine: &Engine,
        pass: &Pass<'_>,
        out: &mut Vec<u8>,
    ) -> Option<Flow> {
        let hold = Hold::Shared(pass.as_ref().expect("a worker holds its pass between commands"));
        let mut reply = ReplyWriter::new(out, session.protocol);
        let Some(transaction) = &session.transaction else {
            reply.error("ERR EXEC without MULTI");
            return Some(Flow::Continue);
        };
        if transaction.failed {
            reply.error(CommandError::EXEC_ABORT.line());
            self.close_transaction(session, hold);
            return Some(Flow::Continue);
        }
        // A watched key may be touched until its shard is locked, so this is looked at again below.
        if is_touched(session) || self.has_watch_expired(session, hold) {
            reply.null_array();
            self.close_transaction(session, hold);
            return Some(Flow::Continue);
        }
        if !transaction.queue.iter().all(|(command, _)| matches!(command.spec.handler, Handler::Keyed(_))) {
            return None;
        }
        let mut keys: Vec<Key<'_>> = Vec::new();
        for (command, args) in &transaction.queue {
            let args = args.as_args();
            // A wrong count of keys is reported by the handler, which then touches none.
            let _ = command.spec.for_each_key(args, |i| keys.push(engine.keyspace.key(args.get(i))));
        }
        if let Some(watch) = &session.watch {
            if watch.keys.iter().any(|watched| watched.db != session.db) {
                return None;
            }
            keys.extend(watch.keys.iter().map(|watched| engine.keyspace.key(&watched.key)));
        }
        if keys.len() > MAX_LOCKED_KEYS {
            return None;
        }
        let mut access = hold.lock(&engine.keyspace, session.db, &keys, self.access_context(session));
        if is_touched(session) {
            ReplyWriter::new(out, session.protocol).null_array();
        } else {
            ReplyWriter::new(out, session.protocol).array(transaction.queue.len());
            self.begin_transaction();
            for (command, args) in &transaction.queue {
                let Handler::Keyed(handler) = command.spec.handler else {
                    unreachable!("all queued commands are keyed, as was seen above")
                };
                let result = self.call_locked(session, &mut access, handler, NO_HINT, args.as_args(), out);
                self.count_queued(command, &result);
            }
            self.end_transaction(session);
        }
        drop(access);
        self.close_transaction(session, hold);
        Some(Flow::Continue)
    }

    /// EXEC of any commands, owning the keyspace.
    pub(super) fn exec_alone(
        &mut self,
        session: &mut Session,
        engine: &Engine,
        claim: &mut redkeep_store::Exclusive,
        out: &mut Vec<u8>,
    ) -> Flow {
        if is_touched(session) {
            ReplyWriter::new(out, session.protocol).null_array();
            self.close_transaction(session, Hold::Exclusive(claim));
            return Flow::Continue;
        }
        let queue: Queue =
            session.transaction.take().map(|transaction| transaction.queue).unwrap_or_default();
        ReplyWriter::new(out, session.protocol).array(queue.len());
        self.begin_transaction();
        for (command, args) in &queue {
            let args = args.as_args();
            let changes_role = matches!(command.full_name, "replicaof" | "slaveof");
            if changes_role {
                // What was done under the old role is in its history.
                self.end_transaction(session);
            }
            let result = match command.spec.handler {
                Handler::Keyed(handler) => {
                    let call = Call::queued(engine, args);
                    self.call_keyed(session, Hold::Exclusive(claim), command, handler, call, out)
                }
                Handler::Exclusive(handler) => self.call_exclusive(session, claim, handler, args, out),
                _ => self.call_beside(session, Hold::Exclusive(claim), command, args, out),
            };
            if changes_role {
                self.read_role();
                self.begin_transaction();
            }
            self.count_queued(command, &result);
        }
        self.end_transaction(session);
        self.close_transaction(session, Hold::Exclusive(claim));
        Flow::Continue
    }

    fn count_queued(&self, command: &'static Command, result: &CommandResult) {
        self.stats().commands[command.id].calls.add(1);
        if result.is_err() {
            self.count_failure(command);
        }
    }

    /// Whether the time of a watched key is over, by the clock of this batch.
    fn has_watch_expired(&self, session: &Session, hold: Hold<'_>) -> bool {
        let watch = session.watch.as_ref();
        watch.is_some_and(|watch| has_watch_expired(&self.engine, watch, hold, self.now_ms))
    }

    pub(super) fn close_transaction(&self, session: &mut Session, hold: Hold<'_>) {
        session.end_transaction();
        unwatch(&self.engine, session, hold);
    }
}

fn is_touched(session: &Session) -> bool {
    session.watch.as_ref().is_some_and(|watch| watch.flag.is_touched())
}
