//! Real redis-server processes on loopback, and a small client for them and for sentinels.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

pub mod cluster;

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use redkeep_resp::client::Client;
use redkeep_resp::frame::Frame;
use redkeep_resp::net::Address;
use redkeep_sentinel::Addr;

/// Whether real instances can be had; says why not.
pub fn available() -> bool {
    let found =
        Command::new("redis-server").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    let found = found.is_ok_and(|status| status.success());
    if !found {
        println!("skipped: there is no redis-server on this machine");
    }
    found
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A redis-server. Killed when dropped.
pub struct Redis {
    child: Option<Child>,
    dir: tempfile::TempDir,
    args: Vec<String>,
    pub addr: Addr,
}

impl Redis {
    /// Starts a master, or a replica of `of`.
    pub fn start(of: Option<&Addr>) -> Self {
        Self::start_with(of, &[])
    }

    /// The same with further arguments.
    pub fn start_with(of: Option<&Addr>, args: &[&str]) -> Self {
        let addr = Addr::new("127.0.0.1", free_port());
        let args = args.iter().map(|&arg| arg.to_owned()).collect();
        let mut redis = Self { child: None, dir: tempfile::tempdir().unwrap(), args, addr };
        redis.restart(of);
        redis
    }

    /// Starts the process again, at the same address.
    pub fn restart(&mut self, of: Option<&Addr>) {
        self.kill();
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--port", &self.addr.port.to_string(), "--save", ""]);
        command.args(["--repl-diskless-sync-delay", "0"]);
        command.arg("--dir").arg(self.dir.path());
        command.args(&self.args);
        if let Some(of) = of {
            command.args(["--replicaof", &of.host, &of.port.to_string()]);
        }
        self.child = Some(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    }

    /// SIGKILL, and the end of it.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// SIGSTOP or SIGCONT.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let child = self.child.as_ref().unwrap();
        let pid = rustix::process::Pid::from_child(child);
        rustix::process::kill_process(pid, signal).unwrap();
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The password of servers that have one.
pub const DATA_PASSWORD: &str = "data";
/// The password of sentinels that have one.
pub const SENTINEL_PASSWORD: &str = "guard";

/// A connection to a server.
pub async fn connect(addr: &Addr) -> Option<Client> {
    Client::connect(&Address::tcp(addr.host.clone(), addr.port)).await.ok()
}

/// Asks a server once, with a password if it wants one; `None` if it cannot be asked.
pub async fn ask(addr: &Addr, args: &[&str]) -> Option<Frame> {
    let asking = async {
        let mut client = connect(addr).await?;
        let reply = client.call(args).await.ok()?;
        if !reply.as_error().is_some_and(|error| error.starts_with("NOAUTH")) {
            return Some(reply);
        }
        for password in [DATA_PASSWORD, SENTINEL_PASSWORD] {
            client.call(&["AUTH", password]).await.ok()?;
        }
        client.call(args).await.ok()
    };
    tokio::time::timeout(Duration::from_millis(500), asking).await.ok()?
}

/// The role that a server reports, and for a replica whom it follows and whether that link is up.
pub async fn role(addr: &Addr) -> Option<(String, Option<Addr>, bool)> {
    let items = ask(addr, &["ROLE"]).await?.into_array()?;
    let text = |index: usize| items.get(index).and_then(Frame::as_str).map(str::to_owned);
    let follows = text(1).zip(items.get(2).and_then(Frame::as_int));
    let follows = follows.map(|(host, port)| Addr::new(host, u16::try_from(port).unwrap_or(0)));
    Some((text(0)?, follows, text(3).as_deref() == Some("connected")))
}

/// Whether a server follows `primary` with its link up.
pub async fn follows(addr: &Addr, primary: &Addr) -> bool {
    matches!(role(addr).await, Some((kind, Some(of), true)) if kind == "slave" && of == *primary)
}

/// Waits until `holds`, and says how long it took. Panics after `limit`.
pub async fn eventually<F: Future<Output = bool>>(
    what: &str,
    limit: Duration,
    mut holds: impl FnMut() -> F,
) -> Duration {
    let since = Instant::now();
    while !holds().await {
        assert!(since.elapsed() < limit, "not within {limit:?}: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    since.elapsed()
}
