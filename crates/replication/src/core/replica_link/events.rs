//! The link's lines in the log, in Redis's words: people and scripts look for them.

use super::Master;
use crate::core::{Level, PayloadEnd, Position};
use crate::ids::ReplId;
use std::fmt;

/// Something worth a line in the log. [`fmt::Display`] is the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A connection is being opened.
    Connecting(Master),
    /// An established link was lost, and a connection is being opened at once.
    Reconnecting(Master),
    /// The attempt is under way.
    SyncStarted,
    /// The connection could not be opened.
    ConnectFailed(String),
    /// The connection is open.
    Connected,
    /// The master answered the first PING.
    PingAnswered,
    /// It answered with an error that is not about authentication.
    PingRefused(String),
    /// It did not accept the credentials.
    AuthRefused(String),
    /// It does not know an option of `REPLCONF`; which does no harm.
    OptionRefused {
        /// The option.
        option: &'static str,
        /// The error.
        error: String,
    },
    /// The connection ended during the handshake.
    NoAnswer,
    /// The master sent something that cannot be a line of the protocol.
    LineTooLong,
    /// A partial resync is asked for.
    AskingToContinue(Position),
    /// A full resync is asked for.
    AskingForEverything,
    /// The master cannot serve replicas at the moment.
    TryLater(String),
    /// It answered `PSYNC` with something unknown.
    PsyncRefused(String),
    /// It announced a full resync in a way that cannot be read.
    WrongFullResync,
    /// It claims that a replica continues which holds nothing.
    NothingToContinue,
    /// A full resync begins.
    FullResync(Position),
    /// The stream goes on.
    Continued,
    /// It goes on under another id.
    NewId(ReplId),
    /// The master gave up before the snapshot began.
    SnapshotRefused(String),
    /// The snapshot's header is none.
    NotASnapshot(String),
    /// The snapshot begins.
    Receiving(PayloadEnd),
    /// The connection ended during the snapshot.
    TransferFailed(String),
    /// The snapshot could not be loaded.
    LoadFailed(String),
    /// The snapshot is loaded.
    Synchronized,
    /// No progress in the handshake.
    HandshakeTimeout,
    /// No bytes of the snapshot.
    TransferTimeout,
    /// No bytes of the stream.
    StreamTimeout,
    /// The stream ended.
    Lost,
}

impl Event {
    /// How loud it is.
    pub fn level(&self) -> Level {
        use Event::*;
        match self {
            Connecting(_)
            | Reconnecting(_)
            | SyncStarted
            | Connected
            | PingAnswered
            | OptionRefused { .. } => Level::Notice,
            AskingToContinue(_) | AskingForEverything | TryLater(_) | FullResync(_) | Continued => {
                Level::Notice
            }
            NewId(_) | Receiving(_) | Synchronized => Level::Notice,
            ConnectFailed(_) | PingRefused(_) | AuthRefused(_) | NoAnswer | LineTooLong => Level::Warning,
            PsyncRefused(_) | WrongFullResync | NothingToContinue | SnapshotRefused(_) => Level::Warning,
            NotASnapshot(_) | TransferFailed(_) | LoadFailed(_) => Level::Warning,
            HandshakeTimeout | TransferTimeout | StreamTimeout | Lost => Level::Warning,
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use Event::*;
        match self {
            Connecting(Master { host, port }) => write!(f, "Connecting to MASTER {host}:{port}"),
            Reconnecting(Master { host, port }) => write!(f, "Reconnecting to MASTER {host}:{port}"),
            SyncStarted => f.write_str("MASTER <-> REPLICA sync started"),
            ConnectFailed(reason) => write!(f, "Error condition on socket for SYNC: {reason}"),
            Connected => f.write_str("Non blocking connect for SYNC fired the event."),
            PingAnswered => f.write_str("Master replied to PING, replication can continue..."),
            PingRefused(error) => write!(f, "Error reply to PING from master: '{error}'"),
            AuthRefused(error) => write!(f, "Unable to AUTH to MASTER: {error}"),
            OptionRefused { option, error } => {
                write!(f, "(Non critical) Master does not understand REPLCONF {option}: {error}")
            }
            NoAnswer => f.write_str("Master did not respond to command during SYNC handshake"),
            LineTooLong => f.write_str("Master sent a line that is too long for the SYNC handshake"),
            AskingToContinue(Position { id, offset }) => {
                write!(f, "Trying a partial resynchronization (request {id}:{}).", offset.next_byte())
            }
            AskingForEverything => f.write_str("Partial resynchronization not possible (no cached master)"),
            TryLater(error) => {
                write!(f, "Master is currently unable to PSYNC but should be in the future: {error}")
            }
            PsyncRefused(reply) => write!(f, "Unexpected reply to PSYNC from master: {reply}"),
            WrongFullResync => f.write_str("Master replied with wrong +FULLRESYNC syntax."),
            NothingToContinue => f.write_str("Master replied with +CONTINUE to a replica that holds nothing"),
            FullResync(Position { id, offset }) => write!(f, "Full resync from master: {id}:{offset}"),
            Continued => f.write_str("Successful partial resynchronization with master."),
            NewId(id) => write!(f, "Master replication ID changed to {id}"),
            SnapshotRefused(error) => write!(f, "MASTER aborted replication with an error: {error}"),
            NotASnapshot(line) => write!(
                f,
                "Bad protocol from MASTER, the first byte is not '$' (we received '{line}'), are you sure the host and \
                 port are right?"
            ),
            Receiving(PayloadEnd::Length(bytes)) => {
                write!(f, "MASTER <-> REPLICA sync: receiving {bytes} bytes from master to parser")
            }
            Receiving(PayloadEnd::Mark(_)) => {
                f.write_str("MASTER <-> REPLICA sync: receiving streamed RDB from master with EOF to parser")
            }
            TransferFailed(reason) => write!(f, "I/O error trying to sync with MASTER: {reason}"),
            LoadFailed(reason) => write!(f, "Failed trying to load the MASTER synchronization DB: {reason}"),
            Synchronized => f.write_str("MASTER <-> REPLICA sync: Finished with success"),
            HandshakeTimeout => f.write_str("Timeout connecting to the MASTER..."),
            TransferTimeout => f.write_str(
                "Timeout receiving bulk data from MASTER... If the problem persists try to set the 'repl-timeout' \
                 parameter in redis.conf to a larger value.",
            ),
            StreamTimeout => f.write_str("MASTER timeout: no data nor PING received..."),
            Lost => f.write_str("Connection with master lost."),
        }
    }
}
