//! Whether a command may execute: what Redis checks before it calls a command, in Redis's order.

use redkeep_resp::ReplyWriter;

use super::run::holding;
use super::{Executor, Pass};
use crate::commands::{Args, Command, Handler, Hold, flag};
use crate::engine::policy;
use crate::error::CommandError;
use crate::session::{Origin, Session};

/// Longest part of an argument, and of all arguments, that the error for an unknown command shows.
const SHOWN: usize = 128;

/// What becomes of a command that may be called.
pub(super) enum Admitted {
    /// It executes.
    Execute,
    /// It is queued by the transaction.
    Queue,
    /// It executes when clients may write.
    Wait,
}

impl Executor {
    /// Finds the command's own faults: unknown, or the wrong number of arguments.
    #[inline]
    pub(super) fn check_call(
        &self,
        command: Option<&'static Command>,
        args: Args<'_>,
    ) -> Result<&'static Command, CommandError> {
        let Some(command) = command else { return Err(unknown_command(args)) };
        if !command.spec.accepts(args.len()) {
            return Err(CommandError::wrong_arity(command.full_name));
        }
        if matches!(command.spec.handler, Handler::Container) {
            return Err(unknown_subcommand(command, args));
        }
        Ok(command)
    }

    /// What the state of the server and of the connection says about a command.
    pub(super) fn admit(
        &self,
        session: &Session,
        command: &'static Command,
    ) -> Result<Admitted, CommandError> {
        let flags = command.spec.flags;
        if session.transaction.is_some() && flags & flag::NO_MULTI != 0 {
            return Err(CommandError::NOT_IN_TRANSACTION);
        }
        if !session.authenticated && flags & flag::NO_AUTH == 0 {
            return Err(CommandError::NO_AUTH);
        }
        if session.origin == Origin::Client {
            self.check_policy(judged_flags(session, command))?;
        }
        let subscriber = session.subscriptions() > 0 && session.protocol == redkeep_resp::Protocol::Resp2;
        if subscriber && !allowed_to_subscribers(command.full_name) {
            return Err(CommandError::new(format!(
                "ERR Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context",
                command.full_name
            )));
        }
        let queued = session.transaction.is_some() && flags & flag::UNQUEUED == 0;
        let paused = self.policy & policy::SHUTTING_DOWN != 0
            && session.origin == Origin::Client
            && judged_flags(session, command) & flag::WRITE != 0;
        Ok(match queued {
            true => Admitted::Queue,
            false if paused => Admitted::Wait,
            false => Admitted::Execute,
        })
    }

    fn check_policy(&self, flags: u32) -> Result<(), CommandError> {
        let refuses = |bit| self.policy & bit != 0;
        if refuses(policy::OUT_OF_MEMORY) && flags & flag::DENYOOM != 0 {
            return Err(CommandError::OOM);
        }
        if refuses(policy::NO_REPLICAS) && flags & flag::WRITE != 0 {
            return Err(CommandError::NO_REPLICAS);
        }
        if refuses(policy::READ_ONLY) && flags & flag::WRITE != 0 {
            return Err(CommandError::READ_ONLY);
        }
        if refuses(policy::STALE) && flags & flag::STALE == 0 {
            return Err(CommandError::MASTER_DOWN);
        }
        if refuses(policy::LOADING) && flags & flag::LOADING == 0 {
            return Err(CommandError::LOADING);
        }
        Ok(())
    }

    /// Refuses a command before it executes: its error is the reply, and a transaction that it was to be
    /// part of is spoilt. EXEC that is refused ends its transaction.
    pub(super) fn refuse(
        &self,
        session: &mut Session,
        pass: &Pass<'_>,
        command: Option<&'static Command>,
        error: &CommandError,
        out: &mut Vec<u8>,
    ) {
        if let Some(transaction) = &mut session.transaction {
            transaction.failed = true;
        }
        let stats = self.stats();
        stats.errors.add(1);
        if let Some(command) = command {
            stats.commands[command.id].rejected.add(1);
        }
        let mut reply = ReplyWriter::new(out, session.protocol);
        if command.is_some_and(is_exec) {
            reply.error(CommandError::exec_refused(error).line());
            self.close_transaction(session, Hold::Shared(holding(pass)));
        } else {
            reply.error(error.line());
        }
    }
}

fn is_exec(command: &Command) -> bool {
    matches!(command.spec.handler, Handler::Transaction)
}

/// The flags by which the state of the server refuses a command: EXEC writes, takes memory or needs whole data if one
/// of the commands does that it executes.
fn judged_flags(session: &Session, command: &Command) -> u32 {
    let flags = command.spec.flags;
    match &session.transaction {
        Some(transaction) if is_exec(command) => {
            let lacking = transaction.lacking & (flag::LOADING | flag::STALE);
            (flags | transaction.any & (flag::WRITE | flag::DENYOOM)) & !lacking
        }
        _ => flags,
    }
}

fn allowed_to_subscribers(name: &str) -> bool {
    matches!(
        name,
        "subscribe"
            | "unsubscribe"
            | "psubscribe"
            | "punsubscribe"
            | "ssubscribe"
            | "sunsubscribe"
            | "ping"
            | "quit"
            | "reset"
    )
}

fn unknown_command(args: Args<'_>) -> CommandError {
    let shown =
        |bytes: &[u8], most: usize| String::from_utf8_lossy(&bytes[..bytes.len().min(most)]).into_owned();
    let mut rest = String::new();
    for arg in args.from(1) {
        if rest.len() >= SHOWN {
            break;
        }
        rest.push_str(&format!("'{}' ", shown(arg, SHOWN - rest.len())));
    }
    let name = shown(args.name(), SHOWN);
    CommandError::new(format!("ERR unknown command '{name}', with args beginning with: {rest}"))
}

fn unknown_subcommand(container: &Command, args: Args<'_>) -> CommandError {
    let word = args.get(1);
    let word = String::from_utf8_lossy(&word[..word.len().min(SHOWN)]);
    let name = container.full_name.to_uppercase();
    CommandError::new(format!("ERR unknown subcommand '{word}'. Try {name} HELP."))
}
