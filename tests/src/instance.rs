//! A running server, ours or Redis's, in a directory of its own.

use std::collections::HashMap;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::{Contents, PATIENCE, Process, free_port, python, redis_cli, redkeep, wait_until};

/// A server that answers, on a port of its own. It ends when this is dropped.
pub struct Instance {
    /// Its process.
    pub process: Process,
    port: u16,
    program: Vec<String>,
    options: Vec<String>,
    dir: TempDir,
}

impl Instance {
    /// Starts `redkeep server` with these options, and waits until it answers.
    #[track_caller]
    pub fn redkeep(options: &[&str]) -> Self {
        Self::start(&[&redkeep().to_string_lossy(), "server"], options)
    }

    /// Starts the real redis-server.
    #[track_caller]
    pub fn redis(options: &[&str]) -> Self {
        Self::start(&["redis-server"], options)
    }

    /// Starts a program that takes options as redis-server does.
    #[track_caller]
    pub fn start(program: &[&str], options: &[&str]) -> Self {
        Self::start_in(tempfile::tempdir().expect("there is a place for files"), program, options)
    }

    /// The same in a directory that was prepared.
    #[track_caller]
    pub fn start_in(dir: TempDir, program: &[&str], options: &[&str]) -> Self {
        let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let (program, options, port) = (owned(program), owned(options), free_port());
        let process = spawn(&program, &options, port, dir.path());
        let mut instance = Instance { process, port, program, options, dir };
        instance.wait_until_it_answers();
        instance
    }

    /// Starts it again, after its end, with the same options, on the same port and files.
    #[track_caller]
    pub fn start_again(&mut self) {
        self.process = spawn(&self.program, &self.options, self.port, self.dir.path());
        self.wait_until_it_answers();
    }

    #[track_caller]
    fn wait_until_it_answers(&mut self) {
        let (port, process) = (self.port, &mut self.process);
        wait_until("an answer to PING", || {
            process.expect_running();
            ping(port)
        });
    }

    /// Where it listens, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The same, as an argument.
    pub fn port_text(&self) -> String {
        self.port.to_string()
    }

    /// A file in its directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// What redis-cli prints.
    #[track_caller]
    pub fn cli(&self, args: &[&str]) -> String {
        redis_cli(self.port, args)
    }

    /// The fields of INFO.
    #[track_caller]
    pub fn info(&self) -> HashMap<String, String> {
        let text = self.cli(&["INFO", "everything"]);
        let fields = text.lines().filter_map(|line| line.trim_end().split_once(':'));
        fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// Waits until a field of INFO is as `accept` wants it.
    #[track_caller]
    pub fn wait_for_info(&self, field: &str, accept: impl Fn(&str) -> bool) {
        wait_until(&format!("INFO's {field} on port {}", self.port), || {
            let value = self.info().get(field).cloned().unwrap_or_default();
            if accept(&value) { Ok(()) } else { Err(value) }
        });
    }

    /// Waits until it follows its primary.
    #[track_caller]
    pub fn wait_for_link(&self) {
        self.wait_for_info("master_link_status", |status| status == "up");
    }

    /// Writes every kind of value, under keys that begin with `name`.
    #[track_caller]
    pub fn fill(&self, name: &str) {
        let mut load = self.load(name, &["--rounds", "40"]);
        assert!(load.wait().success());
    }

    /// Starts to write every kind of value; the options say for how long.
    #[track_caller]
    pub fn load(&self, name: &str, options: &[&str]) -> Process {
        let output = self.path(&format!("load-{name}.txt"));
        python("load.py", &[&["--port", &self.port_text(), "--name", name], options].concat(), &output)
    }

    /// Everything that it holds, as redis-py reads it.
    #[track_caller]
    pub fn contents(&self) -> Contents {
        Contents::of(self.port)
    }

    /// Bytes of its memory that are in RAM.
    pub fn resident_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.pid())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("the kernel says it");
        let kilobytes = line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number");
        kilobytes * 1024
    }
}

fn spawn(program: &[String], options: &[String], port: u16, dir: &Path) -> Process {
    let (name, first_arguments) = program.split_first().expect("a program has a name");
    let mut command = Command::new(name);
    command.current_dir(dir).args(first_arguments).args(options);
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--dir"]).arg(dir);
    Process::start(&mut command, &dir.join("output.txt"))
}

/// Whether it serves: a server that still loads says so instead.
fn ping(port: u16) -> Result<(), String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).map_err(|error| error.to_string())?;
    stream.set_read_timeout(Some(PATIENCE / 4)).map_err(|error| error.to_string())?;
    stream.write_all(b"PING\r\n").map_err(|error| error.to_string())?;
    let mut answer = [0; 64];
    let n = stream.read(&mut answer).map_err(|error| error.to_string())?;
    // With a password to be given, it serves too.
    match &answer[..n] {
        b"+PONG\r\n" => Ok(()),
        other if other.starts_with(b"-NOAUTH") => Ok(()),
        other => Err(String::from_utf8_lossy(other).into_owned()),
    }
}
