//! A process that a test started.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::wait_until;

/// A process with its output in a file. Dropping it kills it; in a failing test, that prints the output's end.
pub struct Process {
    child: Child,
    name: String,
    output: PathBuf,
}

/// How much of a process's output a failing test shows.
const SHOWN_LINES: usize = 40;

impl Process {
    /// Starts the command; everything that it prints is appended to the file `output`.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(command: &mut Command, output: &Path) -> Self {
        let file = File::options().append(true).create(true).open(output).expect("the output file opens");
        let program = Path::new(command.get_program()).file_name().unwrap_or_default();
        let name = program.to_string_lossy().into_owned();
        command.stdin(Stdio::null()).stderr(file.try_clone().expect("a file can be shared")).stdout(file);
        let child = command.spawn().unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        Process { child, name, output: output.to_owned() }
    }

    /// Everything it has printed so far.
    pub fn output(&self) -> String {
        let bytes = fs::read(&self.output).expect("the output file is there");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Waits until it has printed `text`.
    ///
    /// # Panics
    /// When it does not, or ends before.
    #[track_caller]
    pub fn wait_for_output(&mut self, text: &str) {
        let what = format!("{} prints {text:?}", self.name);
        wait_until(&what, || {
            if self.output().contains(text) {
                return Ok(());
            }
            self.expect_running();
            Err("it runs, without")
        });
    }

    /// # Panics
    /// When it has ended.
    #[track_caller]
    pub fn expect_running(&mut self) {
        if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
            panic!("{} has ended: {status}\n{}", self.name, self.output());
        }
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|status| status.is_some())
    }

    /// Waits until it has ended.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        let what = format!("the end of {}", self.name);
        wait_until(&what, || self.child.try_wait().expect("a child can be waited for").ok_or("it runs"))
    }

    /// Its id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// When it is gone.
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("the process is there");
    }

    /// SIGSTOP, and waits until each of its threads has stopped.
    #[track_caller]
    pub fn pause(&self) {
        self.signal(Signal::STOP);
        wait_until("all threads have stopped", || {
            let threads = fs::read_dir(format!("/proc/{}/task", self.pid())).expect("it runs");
            let stats = threads.flatten().map(|thread| fs::read_to_string(thread.path().join("stat")));
            let state = |stat: &String| stat.rsplit(") ").next().and_then(|fields| fields.chars().next());
            let states: Vec<_> = stats.flatten().map(|stat| state(&stat)).collect();
            if states.iter().all(|state| *state == Some('T')) { Ok(()) } else { Err(states) }
        });
    }

    /// SIGTERM, and waits until it has ended.
    #[track_caller]
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait()
    }

    /// `kill -9`, and waits until it is gone.
    pub fn kill(&mut self) {
        // Both fail only when it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let output = self.output();
            let lines: Vec<&str> = output.lines().collect();
            let end = &lines[lines.len().saturating_sub(SHOWN_LINES)..];
            eprintln!("--- {} {} printed:\n{}", self.name, self.pid(), end.join("\n"));
        }
    }
}
