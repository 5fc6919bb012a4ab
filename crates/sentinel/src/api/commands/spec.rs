//! What the table says of a command.

use super::{Call, Outcome};

/// A property of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::api) enum Flag {
    /// For operators.
    Admin,
    /// Before AUTH, too.
    NoAuth,
    /// Constant time.
    Fast,
    /// Publishing and subscribing.
    PubSub,
    /// A RESP2 client with subscriptions may call it.
    Subscriber,
}

impl Flag {
    /// Redis's word; none for what COMMAND does not show.
    pub(super) fn word(self) -> Option<&'static str> {
        match self {
            Self::Admin => Some("admin"),
            Self::NoAuth => Some("no_auth"),
            Self::Fast => Some("fast"),
            Self::PubSub => Some("pubsub"),
            Self::Subscriber => None,
        }
    }
}

/// One command or subcommand.
pub(in crate::api) struct CommandSpec {
    /// Its name in lower case; of a subcommand only the second word.
    pub(in crate::api) name: &'static str,
    /// How many arguments it takes, the command and subcommand included; at least so many if negative.
    pub(in crate::api) arity: i8,
    pub(in crate::api) flags: &'static [Flag],
    pub(in crate::api) summary: &'static str,
    pub(in crate::api) subcommands: &'static [CommandSpec],
    pub(in crate::api) handler: fn(&mut Call<'_, '_>) -> Outcome,
}

impl CommandSpec {
    pub(super) const fn new(
        name: &'static str,
        arity: i8,
        flags: &'static [Flag],
        summary: &'static str,
        handler: fn(&mut Call<'_, '_>) -> Outcome,
    ) -> Self {
        Self { name, arity, flags, summary, subcommands: &[], handler }
    }

    /// A command that has no meaning without a subcommand.
    pub(super) const fn container(
        name: &'static str,
        summary: &'static str,
        subcommands: &'static [CommandSpec],
    ) -> Self {
        Self { name, arity: -2, flags: &[], summary, subcommands, handler: unreached }
    }

    pub(super) fn takes(&self, args: usize) -> bool {
        let wanted = usize::from(self.arity.unsigned_abs());
        if self.arity < 0 { args >= wanted } else { args == wanted }
    }

    pub(super) fn has(&self, flag: Flag) -> bool {
        self.flags.contains(&flag)
    }

    /// The subcommand that a request names: `None` if the command has no subcommands, or may go without and does.
    pub(super) fn subcommand(&self, args: &[&[u8]]) -> Option<Option<&'static CommandSpec>> {
        let name = args.get(1).filter(|_| !self.subcommands.is_empty())?;
        Some(self.subcommands.iter().find(|inner| name.eq_ignore_ascii_case(inner.name.as_bytes())))
    }

    /// The ACL categories, as Redis derives them from the flags.
    pub(super) fn categories(&self) -> Vec<&'static str> {
        let mut categories = vec![if self.has(Flag::Fast) { "@fast" } else { "@slow" }];
        if self.has(Flag::Admin) {
            categories.insert(0, "@admin");
            categories.push("@dangerous");
        }
        if self.has(Flag::PubSub) {
            categories.insert(0, "@pubsub");
        }
        categories
    }
}

/// A container is never called: its arity asks for a subcommand, and an unknown one is an error.
fn unreached(call: &mut Call<'_, '_>) -> Outcome {
    call.syntax_error()
}
