//! The run's own little machine: mount, network and process namespaces that nobody else sees.
//!
//! The program replaces itself by `unshare`, which starts it again. Inside, network namespaces and bridges can be made
//! without touching the machine, names and addresses need not be unique, and when the run ends, however it ends, the kernel
//! ends every process it started and removes every interface it made. Root is not needed where user namespaces are allowed.

use std::convert::Infallible;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

/// Set for the inner program.
const INSIDE: &str = "REDKEEP_JEPSEN_INSIDE";

/// `ip netns` keeps its names in the run directory. The shell stays as the first process of the namespace: the program
/// itself in that place would not get the interrupt of a terminal.
const SCRIPT: &str = "mount -t tmpfs tmpfs /run || exit 1; \"$0\" \"$@\"; exit $?";

const NAMESPACES: &[&str] = &["--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"];

/// Whether this program runs in namespaces of its own.
pub fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// Whether this machine lets the program have namespaces of its own.
pub fn is_possible() -> bool {
    let mut trial = unshare();
    trial.args(["sh", "-c", SCRIPT, "true"]).stdin(Stdio::null()).stderr(Stdio::null());
    trial.status().is_ok_and(|status| status.success())
}

/// Replaces this program by itself, with the same arguments, in namespaces of its own.
///
/// # Errors
/// It returns only if that fails.
pub fn enter() -> Result<Infallible> {
    let program = std::env::current_exe().context("which program this is")?;
    let mut inner = unshare();
    inner.args(["sh", "-c", SCRIPT]).arg(program).args(std::env::args_os().skip(1)).env(INSIDE, "1");
    Err(inner.exec()).context("cannot run in namespaces")
}

fn unshare() -> Command {
    let mut command = Command::new("unshare");
    if !rustix::process::geteuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    command.args(NAMESPACES).arg("--");
    command
}
