//! The tests of the format as a whole, through the public interface.
#![allow(clippy::unwrap_used, reason = "what the helpers of tests meet unexpectedly should fail the test")]

mod assemble;
mod golden;
mod historic;
mod hostile;
mod measured;
mod model;
mod pieces;
mod redis_server;
mod round_trip;
mod said;
