//! Sockets: listeners, workers and connections.
//!
//! A worker is a thread with a runtime of its own. A connection is accepted anywhere and lives on one worker from
//! then on. All connections of a worker share its executor and its buffers, which are borrowed only between two
//! waits; an idle connection owns no buffer.

mod connection;
mod listen;
#[cfg(test)]
mod tests;
mod worker;

pub(crate) use listen::{Listeners, accept_all, bind_all};
pub(crate) use worker::{WorkerHandle, start_worker};
