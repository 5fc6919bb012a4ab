//! A server in the test's own thread: no sockets, and a clock that the test sets.
//!
//! [`Harness`] executes commands for any number of clients and shows, besides their replies, what went to the
//! replication log and which keyspace events were published. [`script`] compares all of that with golden scripts,
//! and [`redis`] compares the same scripts, and commands made up at [`random`], with a real redis-server.

mod aggregates;
mod harness;
mod random;
mod redis;
mod render;
mod script;

pub(crate) use harness::Harness;
