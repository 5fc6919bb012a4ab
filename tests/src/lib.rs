//! What the end-to-end tests stand on: processes that end with the test, programs that nobody here wrote, bare sockets.
//!
//! The tests see Redkeep only from outside: the binary that cargo built, redis-cli, redis-benchmark, redis-py, a real
//! redis-server. Nothing here depends on a crate of the product, so that the two cannot agree on a mistake.
//!
//! Every wait has an end, every port is free and on the loopback, every process is ended by its id when its handle
//! is dropped, and a test that fails prints what its processes logged.

mod cluster;
mod contents;
mod instance;
mod ports;
mod process;
mod programs;
mod wait;
mod wire;

pub use cluster::Cluster;
pub use contents::Contents;
pub use instance::Instance;
pub use ports::{cluster_ports, free_port};
pub use process::Process;
pub use programs::{has, python, redis_cli, redkeep, run, source_root};
pub use wait::{PATIENCE, wait_until};
pub use wire::Wire;

/// Ends the test here, as passed, when one of the programs it needs is not installed. In CI they must be there.
#[macro_export]
macro_rules! needs {
    ($($program:expr),+ $(,)?) => {
        $(if !$crate::has($program) {
            return;
        })+
    };
}
