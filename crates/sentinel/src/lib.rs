//! An embeddable sentinel whose decisions are made by Raft.
//!
//! It watches RESP servers with replicas, as Redis Sentinel does, and replaces a master that fails by one of its
//! replicas. To clients it *is* a Redis Sentinel: the same configuration file, commands, replies and events, on the same
//! port. Between sentinels it is not: what they agree on is one replicated state, so that two of them never decide
//! differently, and a failover that one has begun another finishes.
//!
//! | module | what it does | what it never does |
//! |---|---|---|
//! | [`core`] | decides: who is down, who takes over, what is told to whom | reads a clock, opens a socket, waits |
//! | [`raft`] | keeps one state on several sentinels, on disk | know what the state means |
//! | `link` | holds the connections to servers and sentinels | decide anything |
//! | `api` | serves clients | change anything but by `core` |
//! | [`config`] | reads `sentinel.conf` | write it |
//! | `private` | keeps what one sentinel does not share | share it |
//! | `scripts` | runs the operator's scripts | install a signal handler |
//! | `runtime` | the main loop: steps the core, carries out what it says | |
//!
//! [`Sentinel`] is how other programs run one; read [`core`] first to see what it thinks.

mod api;
pub mod config;
pub mod core;
#[cfg(test)]
mod golden;
mod lead;
mod link;
mod local;
mod private;
pub mod raft;
mod runtime;
mod scripts;
mod sentinel;

pub use crate::core::event::Event;
pub use crate::core::ids::{Addr, Epoch, SentinelId};
pub use crate::core::topology::Settings;
pub use local::{Local, LocalMaster};
pub use sentinel::{EventStream, Sentinel, SentinelBuilder, StartError};
