//! A Redis-compatible server that can run inside another program.
//!
//! The way of a request is the order of the rooms: [`net`](self) reads bytes, `dispatch` cuts them into a batch of
//! commands, looks each one up and locks its keys, the handler in [`commands`] changes the keyspace, what it changed
//! goes to the replication log, the locks are released, the reply is written. What a client *is* stands in
//! [`session`]; what all parts share stands in [`engine`]; beside the way stand [`config`], [`info`], `pubsub`, `repl`
//! and `persist`.
//!
//! A [`Server`] touches nothing global: no signal handler, working directory, tracing subscriber or allocator. Several
//! run in one process.
//!
//! ```
//! use redkeep_server::{Server, config::Settings};
//!
//! let mut settings = Settings::default();
//! settings.port = 0; // any free one
//! settings.bind = vec!["127.0.0.1".into()];
//! settings.save.clear();
//! let server = Server::builder(settings).start()?;
//! println!("listening on port {}", server.port());
//! server.stop();
//! # Ok::<(), redkeep_server::ServerError>(())
//! ```

pub mod client;
pub mod commands;
pub mod config;
pub mod disposal;
pub mod engine;
pub mod info;
pub mod notify;
pub mod observers;
pub mod persist;
pub mod pubsub;
pub mod repl;
pub mod session;
pub mod shutdown;
pub mod stats;
pub mod transaction;

pub mod dispatch;

mod cron;
mod error;
mod flush;
mod load;
mod net;
mod server;
mod snapshot;
#[cfg(test)]
mod testing;

pub use engine::Host;
pub use error::{CommandError, ServerError};
pub use server::{Server, ServerBuilder};
