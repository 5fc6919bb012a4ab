//! The commands of a sentinel: one table, each entry beside its handler in the file of its family.

mod client;
mod command;
mod connection;
mod group;
mod help;
mod info;
mod monitor;
mod pubsub;
mod query;
mod sentinel;
mod set;
mod spec;

use std::sync::atomic::Ordering;

use redkeep_resp::ReplyWriter;

use super::Api;
use super::pending::Work;
use super::session::Session;
pub(super) use spec::{CommandSpec, Flag};

/// One request being answered.
pub(super) struct Call<'a, 'o> {
    pub(super) api: &'a Api,
    pub(super) session: &'a mut Session,
    /// The command, its subcommand if it has some, and the arguments.
    pub(super) args: &'a [&'a [u8]],
    pub(super) reply: ReplyWriter<'o>,
}

impl<'a> Call<'a, '_> {
    /// An argument as text; what is not UTF-8 is shown with replacement characters, and so matches nothing.
    pub(super) fn text(&self, index: usize) -> std::borrow::Cow<'a, str> {
        String::from_utf8_lossy(self.args.get(index).copied().unwrap_or_default())
    }

    /// Whether an argument is this word, in any case.
    pub(super) fn is(&self, index: usize, word: &str) -> bool {
        self.args.get(index).is_some_and(|arg| arg.eq_ignore_ascii_case(word.as_bytes()))
    }

    /// Answers with an error line, its code included.
    pub(super) fn error(&mut self, line: impl AsRef<str>) -> Outcome {
        self.api.statistics.errors.fetch_add(1, Ordering::Relaxed);
        self.reply.error(line.as_ref());
        Outcome::Done
    }

    /// Answers with OK.
    pub(super) fn ok(&mut self) -> Outcome {
        self.reply.ok();
        Outcome::Done
    }

    pub(super) fn wrong_arity(&mut self, name: &str) -> Outcome {
        self.error(format!("ERR wrong number of arguments for '{name}' command"))
    }

    pub(super) fn syntax_error(&mut self) -> Outcome {
        self.error("ERR syntax error")
    }

    pub(super) fn not_an_integer(&mut self) -> Outcome {
        self.error("ERR value is not an integer or out of range")
    }
}

impl Outcome {
    /// The reply comes when `work` is done.
    pub(super) fn later(work: Work) -> Self {
        Self::Later(Box::new(work))
    }
}

/// What is left to do when a handler returns.
pub(super) enum Outcome {
    /// The reply is written.
    Done,
    /// The reply is written, and the connection is to be closed.
    Close,
    /// The reply comes when this is done.
    Later(Box<Work>),
}

/// The families, in the order in which COMMAND lists them.
pub(super) const FAMILIES: &[&[CommandSpec]] = &[
    connection::COMMANDS,
    client::COMMANDS,
    command::COMMANDS,
    info::COMMANDS,
    pubsub::COMMANDS,
    sentinel::COMMANDS,
];

pub(super) fn all() -> impl Iterator<Item = &'static CommandSpec> {
    FAMILIES.iter().copied().flatten()
}

/// Finds a command by name in any case.
pub(super) fn find(name: &[u8]) -> Option<&'static CommandSpec> {
    all().find(|spec| name.eq_ignore_ascii_case(spec.name.as_bytes()))
}

/// Answers one request.
pub(super) fn dispatch(call: &mut Call<'_, '_>) -> Outcome {
    let Some(spec) = find(call.args[0]) else { return unknown_command(call) };
    if !spec.takes(call.args.len()) {
        return call.wrong_arity(spec.name);
    }
    let (spec, name) = match spec.subcommand(call.args) {
        None => (spec, spec.name.to_owned()),
        Some(Some(inner)) => (inner, format!("{}|{}", spec.name, inner.name)),
        Some(None) => return unknown_subcommand(call, spec),
    };
    if !spec.takes(call.args.len()) {
        return call.wrong_arity(&name);
    }
    call.session.client.shown.lock().last_command = name;
    if !call.session.authenticated && !spec.has(Flag::NoAuth) {
        return call.error("NOAUTH Authentication required.");
    }
    let subscriber =
        call.session.subscriptions() > 0 && call.session.protocol == redkeep_resp::Protocol::Resp2;
    if subscriber && !spec.has(Flag::Subscriber) {
        let name = spec.name;
        return call.error(format!(
            "ERR Can't execute '{name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in \
             this context"
        ));
    }
    (spec.handler)(call)
}

/// How much of an unknown command and its arguments is repeated in the error.
const MAX_ECHO: usize = 128;

fn unknown_command(call: &mut Call<'_, '_>) -> Outcome {
    if !call.session.authenticated {
        return call.error("NOAUTH Authentication required.");
    }
    let echo = |arg: &[u8], max: usize| String::from_utf8_lossy(&arg[..arg.len().min(max)]).into_owned();
    let mut args = String::new();
    for arg in &call.args[1..] {
        if args.len() >= MAX_ECHO {
            break;
        }
        args.push_str(&format!("'{}' ", echo(arg, MAX_ECHO - args.len())));
    }
    let name = echo(call.args[0], MAX_ECHO);
    call.error(format!("ERR unknown command '{name}', with args beginning with: {args}"))
}

fn unknown_subcommand(call: &mut Call<'_, '_>, spec: &CommandSpec) -> Outcome {
    if !call.session.authenticated {
        return call.error("NOAUTH Authentication required.");
    }
    let given = call.text(1).chars().take(MAX_ECHO).collect::<String>();
    let name = spec.name.to_ascii_uppercase();
    call.error(format!("ERR unknown subcommand '{given}'. Try {name} HELP."))
}
