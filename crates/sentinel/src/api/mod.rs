//! What clients see: Redis Sentinel's commands, replies and events on the sentinel's port.
//!
//! | module | what it does |
//! |---|---|
//! | `server` | accepts connections |
//! | `connection` | one client: cuts requests, writes replies, pushes events |
//! | `session` | what a client is |
//! | `commands` | the table of commands, and their handlers by family |
//! | `pending` | what a handler cannot answer at once: a commit, a name to resolve, a message of the group |
//! | `maps` | instances as maps of fields |
//!
//! A handler is synchronous and owns no socket: it reads the node, writes its reply, or returns what is to be waited
//! for. Only the connection waits, so a client's replies keep their order and nobody else waits with it.

mod commands;
mod connection;
mod maps;
mod pending;
mod server;
mod session;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crate::private::PrivateFiles;
use crate::runtime::Shared;

pub(crate) use server::serve;
pub(crate) use session::Clients;

/// What the server's connections share.
pub(crate) struct Api {
    pub(crate) shared: Arc<Shared>,
    pub(crate) clients: Clients,
    pub(crate) port: u16,
    /// The configuration file, as INFO names it.
    pub(crate) config_file: String,
    pub(crate) run_id: String,
    pub(crate) statistics: Statistics,
    /// `protected-mode`: without a password only this machine is served.
    pub(crate) protected: bool,
    /// Where credentials, scripts and announcements that clients set are kept, and votes.
    pub(crate) private: PrivateFiles,
    /// The scripts that run or wait.
    pub(crate) scripts: crate::scripts::Queue,
}

/// Counted since the start.
#[derive(Debug, Default)]
pub(crate) struct Statistics {
    pub(crate) connections: AtomicU64,
    pub(crate) rejected: AtomicU64,
    pub(crate) commands: AtomicU64,
    pub(crate) errors: AtomicU64,
    pub(crate) bytes_in: AtomicU64,
    pub(crate) bytes_out: AtomicU64,
}
