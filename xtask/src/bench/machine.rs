//! The machine under the benchmark: its cores, and which of them a child gets.

use std::process::{Child, Command};

use anyhow::{Context, Result};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The cores of the server and of the load generator; they share none if there are two.
pub(super) struct Cores {
    server: Vec<usize>,
    client: usize,
}

impl Cores {
    /// The cores this process may use: the last for the load generator, the first for a server.
    pub(super) fn of_this_process() -> Result<Cores> {
        let allowed = sched_getaffinity(None).context("which cores this process may use")?;
        let cores: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core)).collect();
        let (client, others) = cores.split_last().context("a process has at least one core")?;
        if others.is_empty() {
            eprintln!("only one core: server and load generator share it, throughput means little");
        }
        let server = if others.is_empty() { vec![*client] } else { others.to_vec() };
        Ok(Cores { server, client: *client })
    }

    /// Cores for a server of this many threads: one for one, else all that the load generator leaves.
    pub(super) fn for_server(&self, threads: u32) -> &[usize] {
        if threads <= 1 { &self.server[..1] } else { &self.server }
    }

    pub(super) fn for_client(&self) -> &[usize] {
        std::slice::from_ref(&self.client)
    }
}

/// Starts the command on these cores only.
///
/// A child inherits the mask of the thread that starts it, so a thread is made for that; there is no instant at which
/// the child, or a thread that it starts early, runs elsewhere.
pub(super) fn spawn_on(cores: &[usize], command: &mut Command) -> Result<Child> {
    let mut mask = CpuSet::new();
    cores.iter().for_each(|core| mask.set(*core));
    let program = command.get_program().to_string_lossy().into_owned();
    let spawned = std::thread::scope(|scope| {
        let starter = scope.spawn(move || -> Result<Child> {
            sched_setaffinity(None, &mask).context("cannot pin to a core")?;
            Ok(command.spawn()?)
        });
        starter.join().expect("starting a process does not panic")
    });
    spawned.with_context(|| format!("cannot start {program}"))
}

/// The processor's name and the kernel's version, for the report.
pub(super) fn describe() -> String {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let field = |name: &str| {
        cpuinfo.lines().find(|line| line.starts_with(name)).and_then(|line| line.split(": ").nth(1))
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = read("/proc/sys/kernel/osrelease");
    format!("{}, {cores} cores, Linux {}", field("model name").unwrap_or("unknown processor"), kernel.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_runs_on_the_cores_it_was_given() {
        let cores = Cores::of_this_process().expect("this process has cores");
        let mut command = Command::new("grep");
        command.args(["Cpus_allowed_list", "/proc/self/status"]).stdout(std::process::Stdio::piped());
        let child = spawn_on(cores.for_client(), &mut command).expect("grep is there");
        let output = child.wait_with_output().expect("grep ends");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let list = text.split_whitespace().last().expect("grep prints one line");
        assert_eq!(list, cores.client.to_string());
    }
}
