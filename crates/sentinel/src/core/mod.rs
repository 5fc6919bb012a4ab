//! What decides: everything that a sentinel concludes and does, without doing any of it.
//!
//! Nothing in here reads a clock, draws a random number, opens a socket or waits. Time is an argument, in
//! milliseconds from an arbitrary start, always growing; what happened comes in as a value, and what is to
//! be done goes out as one. So a test can drive whole failovers in microseconds and get the same each time.
//!
//! From the leaves upward:
//!
//! | module | the question it answers |
//! |---|---|
//! | [`ids`] | what things are called |
//! | [`hello`], [`info`] | what another sentinel, or an instance, says of itself |
//! | [`detector`] | does this instance answer? |
//! | [`quorum`] | do enough sentinels say so? |
//! | [`ranking`] | which replica should take over? |
//! | [`vote`] | what do foreign sentinels get from us? |
//! | [`topology`] | what has the group agreed on? |
//! | [`proposals`] | what has been asked of it a moment ago? |
//! | [`failover`] | what does the leader do next? |
//! | [`event`] | what are subscribers told? |
//! | [`node`] | one sentinel: all of it put together |

pub mod detector;
pub mod event;
pub mod failover;
pub mod hello;
pub mod ids;
pub mod info;
pub mod node;
pub mod proposals;
pub mod quorum;
pub mod ranking;
#[cfg(test)]
mod simulation;
pub mod topology;
pub mod vote;
