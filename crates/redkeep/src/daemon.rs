//! Going to the background: `daemonize` and `pidfile`.
#![allow(unsafe_code)] // There is no safe fork.

use std::{
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
};

/// Where a daemon writes its process id when it is not told.
pub(crate) const DEFAULT_PID_FILE: &str = "/var/run/redis.pid";

/// Goes on in a child process without a terminal; the calling process ends here, with success.
///
/// To be called while the process has one thread: only that one goes on in the child.
///
/// # Errors
/// When there can be no other process. Then this one goes on.
pub(crate) fn daemonize() -> io::Result<()> {
    // SAFETY: the caller promises that there is one thread, so no lock can be left held in the child.
    match unsafe { libc::fork() } {
        -1 => return Err(io::Error::last_os_error()),
        0 => {}
        _ => std::process::exit(0),
    }
    rustix::process::setsid()?;
    let null = OpenOptions::new().read(true).write(true).open("/dev/null")?;
    detach(&null)
}

fn detach(null: &File) -> io::Result<()> {
    rustix::stdio::dup2_stdin(null)?;
    rustix::stdio::dup2_stdout(null)?;
    rustix::stdio::dup2_stderr(null)?;
    Ok(())
}

/// The file that holds the process id, removed when this is dropped.
#[derive(Debug)]
pub(crate) struct PidFile(PathBuf);

impl PidFile {
    /// Writes this process's id. Without the file a server runs as well, so a failure is only logged.
    pub(crate) fn write(path: &Path) -> Option<Self> {
        match fs::write(path, format!("{}\n", std::process::id())) {
            Ok(()) => Some(PidFile(path.to_owned())),
            Err(error) => {
                tracing::warn!("Failed to write PID file: {error}");
                None
            }
        }
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // Somebody may have removed it already.
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_lives_as_long_as_it_is_held() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("redis.pid");
        let held = PidFile::write(&path).expect("written");
        assert_eq!(fs::read_to_string(&path).expect("there"), format!("{}\n", std::process::id()));
        drop(held);
        assert!(!path.exists());
        assert!(PidFile::write(&dir.path().join("missing/redis.pid")).is_none());
    }
}
