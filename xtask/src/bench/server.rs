//! A server under measurement: its process, its CPU time, its memory.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::machine::{self, Cores};
use super::systems::System;
use super::wire;

/// How long a server may take to listen.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// A running server. Dropping it ends the process and removes its folder.
pub(super) struct Server {
    child: Child,
    port: u16,
    folder: std::path::PathBuf,
}

/// What a server holds, in bytes.
pub(super) struct Held {
    /// Proportional set size, as the kernel counts it.
    pub(super) pss: u64,
    /// The server's own figure, if it gives one.
    pub(super) used_memory: Option<u64>,
}

impl Server {
    /// Starts the system on a free port, pinned, and waits until it listens.
    pub(super) fn start(system: &System, cores: &Cores) -> Result<Server> {
        let port = free_port()?;
        let folder = std::env::temp_dir().join(format!("redkeep-bench-{}-{port}", std::process::id()));
        std::fs::create_dir(&folder)?;
        let mut command = system.command(port, &folder);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit());
        let child = machine::spawn_on(cores.for_server(system.threads), &mut command)?;
        let mut server = Server { child, port, folder };
        server.wait_until_it_listens(&system.name)?;
        Ok(server)
    }

    fn wait_until_it_listens(&mut self, name: &str) -> Result<()> {
        let start = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            if let Some(status) = self.child.try_wait()? {
                bail!("{name} ended at once with {status}");
            }
            if start.elapsed() > START_TIMEOUT {
                bail!("{name} does not listen after {START_TIMEOUT:?}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// CPU time of all threads since the start, in nanoseconds.
    pub(super) fn cpu_ns(&self) -> Result<u64> {
        let mut sum = 0;
        for task in std::fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let text = std::fs::read_to_string(task?.path().join("schedstat"))?;
            let running = text.split_whitespace().next().context("schedstat is empty")?;
            sum += running.parse::<u64>()?;
        }
        Ok(sum)
    }

    /// Memory held now.
    pub(super) fn memory(&self) -> Result<Held> {
        let rollup = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", self.child.id()))?;
        let line = rollup.lines().find(|line| line.starts_with("Pss:")).context("smaps_rollup has no Pss")?;
        let kib: u64 = line.split_whitespace().nth(1).context("Pss has no value")?.parse()?;
        Ok(Held { pss: kib * 1024, used_memory: wire::used_memory(self.port)? })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end, and nobody to tell.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A port that was free a moment ago.
fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
