//! A server process of the run, and the signals it gets.

use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::network::Host;

/// A process that this run started. Dropping it kills it, stopped or not.
pub struct Process {
    child: Child,
}

impl Process {
    /// Starts the command on the host.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn start(host: &Host, mut command: Command) -> Result<Process> {
        command.stdin(Stdio::null());
        let program = command.get_program().to_string_lossy().into_owned();
        let spawned = host.run(|| command.spawn())?;
        Ok(Process { child: spawned.with_context(|| format!("cannot start {program}"))? })
    }

    /// Fails if the process has ended by itself.
    ///
    /// # Errors
    /// With its exit status.
    pub fn expect_alive(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            Some(status) => bail!("the process ended by itself with {status}"),
            None => Ok(()),
        }
    }

    /// `kill -9`, and waits until it is gone.
    ///
    /// # Errors
    /// When the process is gone already.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// `SIGSTOP`: it keeps its connections and does nothing.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn stop(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// `SIGCONT`: it goes on as if no time had passed.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn resume(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        kill_process(Pid::from_child(&self.child), signal)
            .with_context(|| format!("{signal:?} for {}", self.child.id()))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only if it is gone, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
