//! The execution of one command: checks, locks, handler, propagation.

use std::cell::Cell;

use redkeep_replication::core::keepalive::GETACK;
use redkeep_resp::ReplyWriter;
use redkeep_store::{Access, Key, KeyHash, Owned, Shared};
use smallvec::SmallVec;

use super::admit::Admitted;
use super::{Call, Executor, Flow, Next, Pass};
use crate::commands::{
    Args, Command, CommandResult, Exclusive, Handler, Hold, Keyed, KeyedHandler, Outcome, Scanning,
    Sessional, Suspension,
};
use crate::engine::Engine;
use crate::observers::Observers;
use crate::session::{ReplyMode, Session};

/// The position of the first key and its hash, where neither is known.
pub(super) const NO_HINT: (usize, KeyHash) = (usize::MAX, KeyHash(0));

impl Executor {
    /// Executes one command, or queues it, or refuses it.
    #[inline]
    pub(super) fn execute<'e>(
        &mut self,
        session: &mut Session,
        pass: &mut Pass<'e>,
        call: Call<'e, '_>,
        out: &mut Vec<u8>,
    ) -> Flow {
        if let (Some(command), Some(hash)) = (call.command, call.key)
            && let Some((position, handler)) = command.single_key
            && self.policy == 0
            && session.is_plain()
        {
            self.stats().commands[command.id].calls.add(1);
            let context = self.access_context(session);
            let mut access = call.engine.keyspace.lock(holding(pass), session.db, hash, context);
            let result = self.call_locked(session, &mut access, handler, (position, hash), call.args, out);
            drop(access);
            return self.conclude(command, result);
        }
        self.execute_checked(session, pass, call, out)
    }

    #[inline(never)]
    fn execute_checked<'e>(
        &mut self,
        session: &mut Session,
        pass: &mut Pass<'e>,
        call: Call<'e, '_>,
        out: &mut Vec<u8>,
    ) -> Flow {
        let mark = out.len();
        let command = match self.check_call(call.command, call.args) {
            Ok(command) => command,
            Err(error) => {
                self.refuse(session, pass, call.command, &error, out);
                return self.replied(session, mark, out, Flow::Continue);
            }
        };
        let flow = match self.admit(session, command) {
            Ok(Admitted::Execute) => self.call(session, pass, command, call, out),
            Ok(Admitted::Queue) => self.queue(session, command, call.args, out),
            Ok(Admitted::Wait) => Flow::Park(Next::AwaitWrites),
            Err(error) => {
                self.refuse(session, pass, Some(command), &error, out);
                Flow::Continue
            }
        };
        self.replied(session, mark, out, flow)
    }

    /// Takes a reply back that the client does not want.
    fn replied(&self, session: &mut Session, mark: usize, out: &mut Vec<u8>, flow: Flow) -> Flow {
        if matches!(flow, Flow::Park(_)) {
            return flow;
        }
        match session.reply_mode {
            ReplyMode::On => {}
            ReplyMode::Off => out.truncate(mark),
            ReplyMode::SkipNext => session.reply_mode = ReplyMode::Skip,
            ReplyMode::Skip => {
                out.truncate(mark);
                session.reply_mode = ReplyMode::On;
            }
        }
        flow
    }

    fn queue(
        &self,
        session: &mut Session,
        command: &'static Command,
        args: Args<'_>,
        out: &mut Vec<u8>,
    ) -> Flow {
        let limit = self.settings().client_query_buffer_limit as usize;
        let protocol = session.protocol;
        if let Some(transaction) = &mut session.transaction {
            transaction.push(command, args.to_owned());
            if transaction.memory > limit {
                return Flow::Stop(Next::Close);
            }
            let queued = transaction.queue.len() as u32;
            session.client.queued.store(queued, std::sync::atomic::Ordering::Relaxed);
        }
        ReplyWriter::new(out, protocol).queued();
        Flow::Continue
    }

    fn call<'e>(
        &mut self,
        session: &mut Session,
        pass: &mut Pass<'e>,
        command: &'static Command,
        call: Call<'e, '_>,
        out: &mut Vec<u8>,
    ) -> Flow {
        self.stats().commands[command.id].calls.add(1);
        match command.spec.handler {
            Handler::Keyed(handler) => {
                let hold = Hold::Shared(holding(pass));
                let result = self.call_keyed(session, hold, command, handler, call, out);
                self.conclude(command, result)
            }
            Handler::Scanning(_) | Handler::Sessional(_) => {
                let result = self.call_beside(session, Hold::Shared(holding(pass)), command, call.args, out);
                self.conclude(command, result)
            }
            Handler::Exclusive(_) | Handler::Transaction => {
                self.call_alone(session, pass, command, call, out)
            }
            Handler::Container => unreachable!("a container without subcommand was refused"),
        }
    }

    /// A command with several keys, or with keys found by a count.
    pub(super) fn call_keyed(
        &mut self,
        session: &Session,
        hold: Hold<'_>,
        command: &'static Command,
        handler: KeyedHandler,
        call: Call<'_, '_>,
        out: &mut Vec<u8>,
    ) -> CommandResult {
        let keyspace = &call.engine.keyspace;
        let mut keys: SmallVec<[Key<'_>; 8]> = SmallVec::new();
        let mut first = None;
        let found = command.spec.for_each_key(call.args, |i| {
            first.get_or_insert(i);
            keys.push(keyspace.key(call.args.get(i)));
        });
        // A wrong count of keys is the handler's to report, with its own words; it then needs no locks.
        if found.is_err() {
            keys.clear();
        }
        let hint = first.zip(keys.first().map(|key| key.hash)).unwrap_or(NO_HINT);
        let mut access = hold.lock(keyspace, session.db, &keys, self.access_context(session));
        self.call_locked(session, &mut access, handler, hint, call.args, out)
    }

    /// Runs a handler under locks that are held already, and propagates what it did.
    #[inline(always)]
    pub(super) fn call_locked(
        &mut self,
        session: &Session,
        access: &mut Access<'_, Observers>,
        handler: KeyedHandler,
        first: (usize, KeyHash),
        args: Args<'_>,
        out: &mut Vec<u8>,
    ) -> CommandResult {
        let mark = out.len();
        let mut keyed = Keyed {
            engine: &self.engine,
            settings: &self.settings,
            session,
            access: &mut *access,
            reply: ReplyWriter::new(out, session.protocol),
            now_ms: self.now_ms,
            random: &mut self.random,
            stats: self.engine.stats.slot(self.slot),
            first,
            told_expired: Cell::new(0),
        };
        let result = handler(&mut keyed, args);
        if keyed.access.has_expired() {
            keyed.tell_of_expired();
        }
        match &result {
            Ok(outcome) if !access.has_expired() => self.propagate(session, access.db(), args, outcome, &[]),
            Ok(outcome) => {
                let expired = take_expired(&self.engine, access);
                self.propagate(session, access.db(), args, outcome, &expired);
            }
            Err(error) => {
                out.truncate(mark);
                ReplyWriter::new(out, session.protocol).error(error.line());
                let expired = take_expired(&self.engine, access);
                self.propagate(session, access.db(), args, &Outcome::Unchanged, &expired);
            }
        }
        result
    }

    /// A command that locks nothing itself.
    pub(super) fn call_beside(
        &mut self,
        session: &mut Session,
        hold: Hold<'_>,
        command: &'static Command,
        args: Args<'_>,
        out: &mut Vec<u8>,
    ) -> CommandResult {
        let (mark, protocol) = (out.len(), session.protocol);
        let (engine, settings, now_ms) = (&*self.engine, &*self.settings, self.now_ms);
        let reply = ReplyWriter::new(out, protocol);
        let result = match command.spec.handler {
            Handler::Scanning(handler) => {
                let random = &mut self.random;
                handler(&mut Scanning { engine, settings, session, hold, reply, now_ms, random }, args)
            }
            Handler::Sessional(handler) => {
                handler(&mut Sessional { engine, settings, session, hold, reply, now_ms }, args)
            }
            Handler::Keyed(_) | Handler::Exclusive(_) | Handler::Transaction | Handler::Container => {
                unreachable!("only scanning and sessional commands run beside others")
            }
        };
        match &result {
            Ok(outcome @ Outcome::Announced) => self.propagate(session, session.db, args, outcome, &[]),
            Ok(_) => {}
            Err(error) => {
                out.truncate(mark);
                ReplyWriter::new(out, protocol).error(error.line());
            }
        }
        result
    }

    /// A command that owns the keyspace while it runs.
    fn call_alone<'e>(
        &mut self,
        session: &mut Session,
        pass: &mut Pass<'e>,
        command: &'static Command,
        call: Call<'e, '_>,
        out: &mut Vec<u8>,
    ) -> Flow {
        if matches!(command.spec.handler, Handler::Transaction)
            && let Some(flow) = self.exec_under_locks(session, call.engine, pass, out)
        {
            return flow;
        }
        // The claim waits for every slot to be empty, this worker's too.
        *pass = None;
        let gate = call.engine.keyspace.gate();
        let Some(mut claim) = gate.try_claim() else { return Flow::Park(Next::AwaitGate) };
        if self.is_role_outdated() {
            // It was admitted under another role, which ended between the pass and the claim.
            call.engine.release(claim);
            return Flow::Park(Next::AwaitGate);
        }
        let flow = match command.spec.handler {
            Handler::Exclusive(handler) => {
                let result = self.call_exclusive(session, &mut claim, handler, call.args, out);
                self.conclude(command, result)
            }
            _ => self.exec_alone(session, call.engine, &mut claim, out),
        };
        self.append_raw();
        call.engine.release(claim);
        *pass = gate.enter(self.slot);
        self.refresh();
        match flow {
            Flow::Continue if pass.is_none() => Flow::Stop(Next::AwaitGate),
            flow => flow,
        }
    }

    pub(super) fn call_exclusive(
        &mut self,
        session: &Session,
        claim: &mut redkeep_store::Exclusive,
        handler: fn(&mut Exclusive<'_>, Args<'_>) -> CommandResult,
        args: Args<'_>,
        out: &mut Vec<u8>,
    ) -> CommandResult {
        let mark = out.len();
        let mut expired = Vec::new();
        let result = handler(
            &mut Exclusive {
                engine: &self.engine,
                settings: &self.settings,
                session,
                claim,
                context: self.access_context(session),
                reply: ReplyWriter::new(out, session.protocol),
                now_ms: self.now_ms,
                random: &mut self.random,
                stats: self.engine.stats.slot(self.slot),
                expired: &mut expired,
            },
            args,
        );
        for (db, owned) in &expired {
            self.propagate(session, *db, args, &Outcome::Unchanged, std::slice::from_ref(owned));
        }
        match &result {
            Ok(outcome) => self.propagate(session, session.db, args, outcome, &[]),
            Err(error) => {
                out.truncate(mark);
                ReplyWriter::new(out, session.protocol).error(error.line());
            }
        }
        result
    }

    /// How the connection goes on after a command.
    #[inline(always)]
    fn conclude(&self, command: &'static Command, result: CommandResult) -> Flow {
        match result {
            Ok(Outcome::Unchanged | Outcome::Changed | Outcome::ChangedAs(_) | Outcome::Announced) => {
                Flow::Continue
            }
            Ok(Outcome::Suspend(suspension)) => {
                if matches!(suspension, Suspension::Replicas { .. }) && self.engine.log.is_active() {
                    self.engine.log.append_link(self.slot, GETACK);
                }
                Flow::Stop(Next::Suspend(suspension))
            }
            Ok(Outcome::Close) => Flow::Stop(Next::Close),
            Ok(Outcome::BecomeReplica(request)) => Flow::Stop(Next::BecomeReplica(request)),
            Err(_) => {
                self.count_failure(command);
                Flow::Continue
            }
        }
    }

    #[cold]
    pub(super) fn count_failure(&self, command: &'static Command) {
        let stats = self.stats();
        stats.errors.add(1);
        stats.commands[command.id].failed.add(1);
    }
}

/// The keys that were found expired and removed. Those who watch them are told.
#[cold]
fn take_expired(engine: &Engine, access: &mut Access<'_, Observers>) -> Vec<Owned> {
    let expired = access.take_expired();
    for owned in &expired {
        access.attachment(engine.keyspace.key(owned.key())).touch_expired(owned.key());
    }
    expired
}

/// What a worker holds between commands.
#[inline]
pub(super) fn holding<'p, 'e>(pass: &'p Pass<'e>) -> &'p Shared<'e> {
    pass.as_ref().expect("a worker holds its pass between commands")
}

impl<'e, 'a> Call<'e, 'a> {
    /// A command that was queued and now executes.
    pub(super) fn queued(engine: &'e Engine, args: Args<'a>) -> Self {
        Call { engine, command: None, key: None, args }
    }
}
