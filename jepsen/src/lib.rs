//! Fault injection for Redkeep, and for Redis with Redis Sentinel beside it.
//!
//! A round starts one primary, two replicas and three sentinels of a system, lets clients write unique values through the
//! sentinels, does something bad to the primary, heals it, waits until there is one primary with two replicas again, reads
//! everything back and compares it with what was acknowledged. Both systems get the same configuration, the same clients
//! and the same faults, so that what differs is theirs.
//!
//! | part | module | to add one |
//! |---|---|---|
//! | systems | [`system`] | how it is started and configured |
//! | nemeses | [`nemesis`] | what is done to whom, and how it is undone |
//! | workloads | [`workload`] | what a client writes, and how it is read back |
//! | checkers | [`checker`] | a pure function from a history to a verdict |
//! | reports | [`report`] | columns and JSON |
//!
//! Around them: [`isolation`] and [`network`] (every node on a host of its own, in namespaces that vanish with the run),
//! [`cluster`] (processes and health), [`writer`] (the clients), [`history`] (what they saw), [`round`] (the order of it all).
//!
//! Nothing here shares code with the servers except the RESP client.

pub mod checker;
pub mod cluster;
pub mod history;
pub mod isolation;
pub mod link;
pub mod nemesis;
pub mod network;
pub mod process;
pub mod report;
pub mod round;
pub mod system;
pub mod workload;
pub mod writer;
