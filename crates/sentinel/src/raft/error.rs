//! What can go wrong, as the callers of the group must tell it apart.

use std::io;
use std::path::PathBuf;

/// Why a request to the group was not answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GroupError {
    /// Nobody is known to lead: the group has not begun, or is electing. Nothing was changed.
    #[error("the sentinels have no leader")]
    NoLeader,
    /// The leader does not reach a majority. Nothing was changed.
    #[error("the leader does not reach a majority of the sentinels")]
    NoQuorum,
    /// No answer in time. The command **may** be applied, now or later.
    #[error("no answer from the sentinels in time; the request may still take effect")]
    Timeout,
    /// The leader has too many requests under way. Nothing was changed.
    #[error("too many requests are under way")]
    Busy,
    /// The group refused the request, and says why. Nothing was changed.
    #[error("{0}")]
    Refused(String),
    /// This member has stopped, by [`shutdown`](super::Group::shutdown) or by a failure of its disk that is told here.
    #[error("the member has stopped: {0}")]
    Stopped(String),
}

impl GroupError {
    /// Whether the request certainly had no effect, so that it can be made again.
    #[must_use]
    pub fn is_certain(&self) -> bool {
        match self {
            Self::NoLeader | Self::NoQuorum | Self::Busy | Self::Refused(_) => true,
            Self::Timeout | Self::Stopped(_) => false,
        }
    }
}

/// Why a member's directory could not be opened. None of these is mended by trying again.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process, or another `Group` of this one, has the directory.
    #[error("{} is in use by another process", .0.display())]
    Locked(PathBuf),
    /// A file is damaged. The sentinel must not guess: what it forgot, it may have promised. Restore the file, or remove
    /// the whole directory and let the sentinel come back as a new voter.
    #[error("{} is damaged at offset {offset}: {what}", .file.display())]
    Corrupt {
        /// The damaged file.
        file: PathBuf,
        /// Where in it, in bytes.
        offset: u64,
        /// What is wrong there.
        what: String,
    },
    /// The file was written by a later version.
    #[error("{} has format version {found}, this program knows up to {known}", .file.display())]
    Version {
        /// The file.
        file: PathBuf,
        /// Its version.
        found: u16,
        /// The highest version that can be read.
        known: u16,
    },
    /// The disk refused.
    #[error("{}: {source}", .file.display())]
    Io {
        /// The file or directory.
        file: PathBuf,
        /// The operating system's answer.
        source: io::Error,
    },
    /// The timings contradict each other.
    #[error("invalid timings: {0}")]
    Timings(String),
    /// Raft would not start.
    #[error("raft: {0}")]
    Raft(String),
}
