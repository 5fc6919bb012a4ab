//! The commands. Each family has a file; in it each command's table entry stands beside its handler.
//!
//! A handler is synchronous and owns no socket. It is given a context, which says by its type what the handler
//! may touch, and its arguments; it writes its reply and returns an [`Outcome`]: what changed, what is to be
//! propagated for it, or what the connection has to wait for.

mod args;
mod context;
mod effect;
pub(crate) mod parse;
mod registry;
mod spec;

mod clients;
mod connection;
mod generic;
mod hashes;
mod introspection;
mod lists;
mod long_double;
mod pubsub;
mod replication;
mod scan_options;
mod server;
mod sets;
mod sorted_sets;
mod strings;
mod transactions;
mod values;

pub use args::{Args, OwnedArgs};
pub use context::{Exclusive, Hold, Keyed, Outcome, Scanning, Sessional, Suspension};
pub use effect::Effect;
pub use registry::{Command, all, by_id, count, find};
pub use spec::{
    BadKeyCount, CommandResult, CommandSpec, Group, Handler, KeySpec, KeyUse, KeyedHandler, Keys, at,
    command, first, flag, from,
};

pub(crate) use transactions::{has_watch_expired, unwatch, unwatch_keys};

/// Every family.
const FAMILIES: &[&[CommandSpec]] = &[
    connection::COMMANDS,
    generic::databases::COMMANDS,
    generic::dump::COMMANDS,
    generic::expire::COMMANDS,
    generic::keys::COMMANDS,
    generic::object::COMMANDS,
    generic::scan::COMMANDS,
    hashes::COMMANDS,
    lists::COMMANDS,
    pubsub::COMMANDS,
    replication::COMMANDS,
    server::COMMANDS,
    sets::COMMANDS,
    sorted_sets::COMMANDS,
    strings::counters::COMMANDS,
    strings::edit::COMMANDS,
    strings::get::COMMANDS,
    strings::lcs::COMMANDS,
    strings::set::COMMANDS,
    transactions::COMMANDS,
];
