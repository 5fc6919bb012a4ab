//! `redkeep up`, run and looked at from outside.

use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};

use crate::{PATIENCE, Process, cluster_ports, redis_cli, redkeep, wait_until};

/// A cluster on this machine. Its processes end with it.
pub struct Cluster {
    /// The process that keeps the others.
    pub process: Process,
    /// Where its servers listen.
    pub servers: Vec<u16>,
    /// Where its sentinels listen.
    pub sentinels: Vec<u16>,
    dir: PathBuf,
}

impl Cluster {
    /// Starts one of three servers and three sentinels which keeps its data in `dir`, and waits until it says that it
    /// is up.
    #[track_caller]
    pub fn up(dir: &Path) -> Self {
        Self::up_at(cluster_ports(), dir)
    }

    /// The same, with the ports that another one had.
    #[track_caller]
    pub fn up_at(port: u16, dir: &Path) -> Self {
        let mut command = Command::new(redkeep());
        command.args(["up", "--port", &port.to_string(), "--dir"]).arg(dir.join("cluster"));
        let output = dir.join(format!("up-{}.txt", fastrand::u32(..)));
        let mut process = Process::start(&mut command, &output);
        process.wait_for_output("Ctrl-C stops everything");
        let servers = (port..port + 3).collect();
        Cluster {
            process,
            servers,
            sentinels: (port + 20_000..port + 20_003).collect(),
            dir: dir.join("cluster"),
        }
    }

    /// The primary's port, as the first sentinel that answers says it.
    pub fn primary(&self) -> u16 {
        let ask = |sentinel: &u16| {
            let answer = redis_cli(*sentinel, &["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mymaster"]);
            answer.lines().nth(1).and_then(|port| port.parse().ok())
        };
        self.sentinels.iter().find_map(ask).expect("a sentinel answers")
    }

    /// `kill -9` of the member that listens on this port.
    pub fn kill(&self, port: u16) {
        let info = redis_cli(port, &["INFO", "server"]);
        let pid = info.lines().find_map(|line| line.strip_prefix("process_id:")).expect("INFO has it");
        let pid = Pid::from_raw(pid.trim().parse().expect("a number")).expect("not 0");
        kill_process(pid, Signal::KILL).expect("it runs");
    }

    /// Waits until the sentinels name another primary than this.
    #[track_caller]
    pub fn wait_for_another_primary(&self, than: u16) -> u16 {
        wait_until("another primary", || match self.primary() {
            primary if primary == than => Err(primary),
            other => Ok(other),
        })
    }

    /// Waits until the server on this port follows that primary.
    #[track_caller]
    pub fn wait_until_it_follows(&self, port: u16, primary: u16) {
        wait_until(&format!("{port} follows {primary}"), || {
            let info = redis_cli(port, &["INFO", "replication"]);
            let says = |line: &str| info.lines().any(|found| found.trim_end() == line);
            match says(&format!("master_port:{primary}")) && says("master_link_status:up") {
                true => Ok(()),
                false => Err(info),
            }
        });
    }

    /// Ctrl-C, and waits until it has ended. Its processes must be gone then.
    #[track_caller]
    pub fn interrupt(&mut self) {
        self.process.signal(Signal::INT);
        let status = self.process.wait();
        assert!(status.success(), "{status}: {}", self.process.output());
        for port in self.servers.iter().chain(&self.sentinels) {
            assert!(std::net::TcpStream::connect(("127.0.0.1", *port)).is_err(), "{port} still answers");
        }
    }

    /// What its members logged.
    fn logs(&self) -> String {
        let mut text = String::new();
        for folder in std::fs::read_dir(&self.dir).into_iter().flatten().flatten() {
            let log = std::fs::read_to_string(folder.path().join("log.txt")).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let end = lines[lines.len().saturating_sub(25)..].join("\n");
            text += &format!("--- {} logged:\n{end}\n", folder.path().display());
        }
        text
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.logs());
        }
        // The members end with it; they get the time to, so that their folders can be removed.
        let _ = kill_process(Pid::from_raw(self.process.pid().cast_signed()).expect("not 0"), Signal::INT);
        let begun = std::time::Instant::now();
        while begun.elapsed() < PATIENCE && !self.process.has_ended() {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}
