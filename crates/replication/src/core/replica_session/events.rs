//! The session's lines in the log, in Redis's words: people and scripts look for them.

use crate::core::Level;
use crate::history::Refusal;
use crate::ids::{REPL_ID_LEN, ReplOffset};
use std::fmt;

/// Something worth a line in the log. [`fmt::Display`] is the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The replica's name.
    pub replica: String,
    /// What happened.
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// It asked to be a replica.
    AsksForSync,
    /// It continues.
    Continues {
        /// How much of the backlog it gets.
        bytes: u64,
        /// From where.
        from: ReplOffset,
    },
    /// It cannot continue.
    CannotContinue(Refusal),
    /// It claims to hold what was never written here.
    IsAhead,
    /// There is no snapshot for it.
    SnapshotFailed,
    /// It has got all of a snapshot with a mark.
    SnapshotStreamed,
    /// It follows the stream.
    Online,
    /// It wanted a snapshot only, and has it.
    SnapshotOnly,
    /// It takes no bytes of the snapshot.
    TransferTimeout,
    /// It acknowledges nothing.
    AckTimeout,
}

impl Event {
    /// How loud it is.
    pub fn level(&self) -> Level {
        use EventKind::*;
        match &self.kind {
            IsAhead | SnapshotFailed | TransferTimeout | AckTimeout => Level::Warning,
            AsksForSync | Continues { .. } | CannotContinue(_) | SnapshotStreamed => Level::Notice,
            Online | SnapshotOnly => Level::Notice,
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use EventKind::*;
        let name = &self.replica;
        match &self.kind {
            AsksForSync => write!(f, "Replica {name} asks for synchronization"),
            Continues { bytes, from } => write!(
                f,
                "Partial resynchronization request from {name} accepted. Sending {bytes} bytes of backlog starting \
                 from offset {}.",
                from.next_byte()
            ),
            CannotContinue(refusal) => refuse(f, name, refusal),
            IsAhead => write!(
                f,
                "Warning: replica {name} tried to PSYNC with an offset that is greater than the master replication \
                 offset."
            ),
            SnapshotFailed => write!(f, "SYNC failed. The snapshot for replica {name} could not be made"),
            SnapshotStreamed => write!(
                f,
                "Streamed replica with replica {name} (socket). Waiting for REPLCONF ACK from replica to enable \
                 streaming"
            ),
            Online => write!(f, "Synchronization with replica {name} succeeded"),
            SnapshotOnly => {
                write!(f, "RDB transfer completed, rdb only replica ({name}) should be disconnected asap")
            }
            TransferTimeout => write!(f, "Disconnecting timedout replica (full sync): {name}"),
            AckTimeout => write!(f, "Disconnecting timedout replica (streaming sync): {name}"),
        }
    }
}

fn refuse(f: &mut fmt::Formatter<'_>, name: &str, refusal: &Refusal) -> fmt::Result {
    match refusal {
        Refusal::Asked => write!(f, "Full resync requested by replica {name}"),
        Refusal::OtherHistory { asked, known } => {
            let none = || "0".repeat(REPL_ID_LEN);
            let second = known.previous().map_or_else(none, |previous| previous.id.to_string());
            write!(
                f,
                "Partial resynchronization not accepted: Replication ID mismatch (Replica asked for '{asked}', my \
                 replication IDs are '{}' and '{second}')",
                known.id()
            )
        }
        Refusal::PastThePromotion { first_byte, answerable } => write!(
            f,
            "Partial resynchronization not accepted: Requested offset for second ID was {first_byte}, but I can reply \
             up to {answerable}"
        ),
        Refusal::NotInBacklog { first_byte, .. } => write!(
            f,
            "Unable to partial resync with replica {name} for lack of backlog (Replica request was: {first_byte})."
        ),
    }
}
