//! Starting a process of the cluster so that it cannot outlive this one.
#![allow(unsafe_code)] // Code that runs between fork and exec is unsafe to give.

use super::{directory::Directory, layout::Member};
use std::{fs::OpenOptions, io, path::Path, process::Stdio};
use tokio::process::{Child, Command};

/// Starts `executable` as one member. What it prints goes to its log.
///
/// It is in a process group of its own, so that Ctrl-C in the terminal reaches only us, who stop it in
/// order. When the thread that called this ends, however it ends, the kernel sends the process SIGTERM,
/// which leaves it the time to save.
pub(crate) fn spawn(executable: &Path, directory: &Directory, member: Member) -> io::Result<Child> {
    let log = OpenOptions::new().append(true).create(true).open(directory.log(member))?;
    let mut command = Command::new(executable);
    command
        .arg(member.kind.name())
        .arg(directory.config(member))
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .process_group(0);
    #[cfg(target_os = "linux")]
    {
        let parent = rustix::process::getpid();
        // SAFETY: the closure makes two system calls and nothing else: it neither allocates nor locks.
        unsafe { command.pre_exec(move || die_with(parent)) };
    }
    command.spawn()
}

#[cfg(target_os = "linux")]
fn die_with(parent: rustix::process::Pid) -> io::Result<()> {
    use rustix::process::{Signal, getppid, set_parent_process_death_signal};
    set_parent_process_death_signal(Some(Signal::TERM))?;
    // The parent may have gone before the kernel was asked to watch it.
    if getppid() == Some(parent) { Ok(()) } else { Err(io::ErrorKind::Interrupted.into()) }
}
