//! The member's memory: everything that must survive it, in one locked directory.
//!
//! | file | holds | written |
//! |---|---|---|
//! | `lock` | nothing; locked (flock) while the member runs | once |
//! | `identity` | the Raft identity | once, with the directory |
//! | `binding` | the promise to start a group, or the group that was joined | once; a void promise is replaced |
//! | `log` | votes, log entries, truncations, purges, the commit index | appended to, and rewritten when mostly dead |
//! | `snapshot` | the state as of some index | replaced |
//!
//! **Durability.** A vote, an entry and a promise count when their fsync has returned, and not before. Files that are
//! replaced are written beside the old one, fsynced, renamed, and the directory fsynced. An fsync that failed is never
//! tried again, since nobody knows what it has lost: the member stops.
//!
//! **Bounds.** The log holds at most [`SNAPSHOT_EVERY`] + [`KEEP_BEHIND_SNAPSHOT`] applied entries and what is not yet
//! committed, which the group bounds; each entry is at most [`MAX_COMMAND_BYTES`](crate::raft::MAX_COMMAND_BYTES).
//!
//! **Caveat.** Anything that is damaged is an error and stops the member from starting, except the last write when it
//! was not finished: see [`frame`].

pub mod dir;
pub mod frame;
pub mod identity;
mod log;
mod snapshot;
mod types;
mod writer;

pub use log::{LogReader, LogStore};
pub use snapshot::{SnapshotFile, StateStore};
pub use types::{Payload, Types};
pub use writer::WriterGone;

use dir::DataDir;
use identity::BindingFile;

use crate::raft::bootstrap::Binding;
use crate::raft::{Machine, NodeId, OpenError};

/// A snapshot is made after this many applied entries.
pub const SNAPSHOT_EVERY: u64 = 500;

/// This many entries are kept behind a snapshot, so that a member that was away for a moment catches up from the log.
pub const KEEP_BEHIND_SNAPSHOT: u64 = 250;

const LOG_FILE: &str = "log";
const SNAPSHOT_FILE: &str = "snapshot";

/// All that a directory holds, read and verified.
pub struct Storage<M: Machine> {
    /// The lock; to be dropped last.
    pub dir: DataDir,
    /// The Raft identity.
    pub node: NodeId,
    /// The group that it is bound to.
    pub binding: Option<Binding>,
    /// Where a binding is written.
    pub binding_file: BindingFile,
    /// Log and vote.
    pub log: LogStore,
    /// Tells when the log's file is closed.
    pub writer_gone: WriterGone,
    /// The state and its snapshots.
    pub state: StateStore<M>,
}

impl<M: Machine> Storage<M> {
    /// Opens, or makes, the directory. Blocks for reads and fsyncs.
    pub fn open(path: &std::path::Path) -> Result<Self, OpenError> {
        let dir = DataDir::open(path)?;
        let node = identity::node_id(&dir)?;
        let binding_file = BindingFile::new(&dir);
        let binding = binding_file.read()?;
        let log_file = dir.file(LOG_FILE);
        if binding.is_some() && !log_file.exists() {
            return Err(frame::corrupt(&log_file, 0, "it is missing, but the directory is bound to a group"));
        }
        let (log, writer_gone) = LogStore::open(log_file)?;
        let state = StateStore::open(SnapshotFile::new(dir.file(SNAPSHOT_FILE)))?;
        Ok(Self { dir, node, binding, binding_file, log, writer_gone, state })
    }
}
