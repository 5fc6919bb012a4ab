//! Raft's log and vote: all of it in memory, mirrored by a file that a thread writes.
//!
//! The log is short (see the bounds in [`super`]), so it is kept whole in memory and read from there; the file is read
//! once, at the start. It is a journal of [`Record`]s. When most of it is dead it is rewritten from the memory.

#![expect(clippy::result_large_err, reason = "openraft's storage traits fix the error type")]

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io::{self, Seek, SeekFrom};
use std::ops::RangeBounds;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use openraft::entry::RaftPayload;
use openraft::storage::{LogFlushed, RaftLogStorage};
use openraft::{
    Entry, ErrorSubject, ErrorVerb, LogId, LogState, OptionalSend, RaftLogReader, StorageError, Vote,
};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use super::dir::{self, io_error};
use super::frame::{self, FRAME_OVERHEAD, HEADER_BYTES, Kind};
use super::types::Types;
use super::writer::{self, Job, WriterGone};
use crate::raft::{NodeId, OpenError, codec};

/// A file smaller than this is not worth rewriting, in bytes.
const REWRITE_ABOVE_BYTES: u64 = 256 << 10;

/// So many entries make one record of a rewritten file.
const ENTRIES_A_RECORD: usize = 64;

type Result<T, E = StorageError<NodeId>> = std::result::Result<T, E>;

/// One line of the journal. What a later record says wins.
#[derive(Debug, Serialize, Deserialize)]
enum Record {
    /// The vote that was given.
    Vote(Vote<NodeId>),
    /// Entries that follow the last one.
    Entries(Vec<Entry<Types>>),
    /// Entries from this index on are gone.
    Truncate(u64),
    /// Entries up to this one, inclusive, are in a snapshot and gone.
    Purge(LogId<NodeId>),
    /// All up to this one is committed. Only a hint, which spares the wait for a leader after a restart.
    Committed(Option<LogId<NodeId>>),
}

/// What the file says, in memory.
#[derive(Debug, Default)]
struct Mirror {
    vote: Option<Vote<NodeId>>,
    committed: Option<LogId<NodeId>>,
    purged: Option<LogId<NodeId>>,
    entries: BTreeMap<u64, Entry<Types>>,
}

impl Mirror {
    fn apply(&mut self, record: Record) {
        match record {
            Record::Vote(vote) => self.vote = Some(vote),
            Record::Entries(entries) => {
                self.entries.extend(entries.into_iter().map(|entry| (entry.log_id.index, entry)));
            }
            Record::Truncate(since) => drop(self.entries.split_off(&since)),
            Record::Purge(upto) => {
                self.entries = self.entries.split_off(&(upto.index + 1));
                self.purged = self.purged.max(Some(upto));
            }
            Record::Committed(committed) => self.committed = committed,
        }
    }

    fn encode(&self) -> Result<Vec<Vec<u8>>> {
        let mut records = Vec::new();
        let mut push = |record: Record| encode(&record).map(|bytes| records.push(bytes));
        if let Some(vote) = self.vote {
            push(Record::Vote(vote))?;
        }
        if let Some(purged) = self.purged {
            push(Record::Purge(purged))?;
        }
        let mut entries = self.entries.values().cloned().peekable();
        while entries.peek().is_some() {
            push(Record::Entries(entries.by_ref().take(ENTRIES_A_RECORD).collect()))?;
        }
        push(Record::Committed(self.committed))?;
        Ok(records)
    }
}

/// The log as openraft writes it.
pub struct LogStore {
    reader: LogReader,
    writer: mpsc::Sender<Job>,
    /// Of the file, once all that is queued is written.
    file_bytes: u64,
    rewrite_above: u64,
}

/// The log as the replication tasks read it.
#[derive(Debug, Clone, Default)]
pub struct LogReader {
    mirror: Arc<Mutex<Mirror>>,
}

impl LogStore {
    /// Opens the file or makes it, cuts off an unfinished last write, and starts the writer.
    pub fn open(path: PathBuf) -> std::result::Result<(Self, WriterGone), OpenError> {
        let (mirror, file, length) = match dir::read(&path)? {
            Some(bytes) => recover(&path, &bytes)?,
            None => {
                let header = frame::header(Kind::Log);
                let file = dir::replace(&path, &header).map_err(|error| io_error(&path, error))?;
                (Mirror::default(), file, header.len() as u64)
            }
        };
        let (writer, gone) = writer::start(path, file, length)?;
        let reader = LogReader { mirror: Arc::new(Mutex::new(mirror)) };
        let rewrite_above = REWRITE_ABOVE_BYTES.max(2 * length);
        Ok((Self { reader, writer, file_bytes: length, rewrite_above }, gone))
    }

    /// Whether a membership that is still in the log has this node.
    pub fn has_member(&self, node: NodeId) -> bool {
        let mirror = self.reader.mirror.lock();
        let mut memberships = mirror.entries.values().filter_map(|entry| entry.get_membership());
        memberships.any(|membership| membership.get_node(&node).is_some())
    }

    /// Changes the memory and queues the same change for the file.
    async fn write(&mut self, record: Record, job: impl FnOnce(Vec<u8>) -> Job) -> Result<()> {
        let bytes = encode(&record)?;
        self.file_bytes += (bytes.len() + FRAME_OVERHEAD) as u64;
        self.reader.mirror.lock().apply(record);
        self.queue(job(bytes)).await?;
        if self.file_bytes > self.rewrite_above {
            self.rewrite().await?;
        }
        Ok(())
    }

    async fn rewrite(&mut self) -> Result<()> {
        let records = self.reader.mirror.lock().encode()?;
        let payloads: usize = records.iter().map(|record| record.len() + FRAME_OVERHEAD).sum();
        self.file_bytes = (HEADER_BYTES + payloads) as u64;
        self.rewrite_above = REWRITE_ABOVE_BYTES.max(2 * self.file_bytes);
        self.queue(Job::Rewrite(records)).await
    }

    async fn queue(&self, job: Job) -> Result<()> {
        self.writer.send(job).await.map_err(|_| failed(io::Error::other("the log's writer has ended")))
    }
}

fn recover(path: &Path, bytes: &[u8]) -> std::result::Result<(Mirror, std::fs::File, u64), OpenError> {
    let scan = frame::scan(path, Kind::Log, bytes)?;
    let mut mirror = Mirror::default();
    for payload in scan.payloads {
        let start = payload.start;
        let record =
            codec::decode(&bytes[payload]).map_err(|error| frame::corrupt(path, start, error.to_string()))?;
        mirror.apply(record);
    }
    let open = || {
        let mut file = std::fs::File::options().read(true).write(true).open(path)?;
        if scan.end < bytes.len() {
            tracing::warn!(
                file = %path.display(), offset = scan.end, cut = bytes.len() - scan.end,
                "the last write was not finished, and is cut off"
            );
            file.set_len(scan.end as u64)?;
            file.sync_all()?;
        }
        file.seek(SeekFrom::End(0))?;
        Ok(file)
    };
    let file = open().map_err(|error| io_error(path, error))?;
    Ok((mirror, file, scan.end as u64))
}

fn encode(record: &Record) -> Result<Vec<u8>> {
    codec::encode(record).map_err(|error| failed(io::Error::other(error)))
}

fn failed(error: io::Error) -> StorageError<NodeId> {
    StorageError::from_io_error(ErrorSubject::Logs, ErrorVerb::Write, error)
}

impl RaftLogReader<Types> for LogReader {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry<Types>>> {
        Ok(self.mirror.lock().entries.range(range).map(|(_, entry)| entry.clone()).collect())
    }
}

impl RaftLogReader<Types> for LogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry<Types>>> {
        self.reader.try_get_log_entries(range).await
    }
}

impl RaftLogStorage<Types> for LogStore {
    type LogReader = LogReader;

    async fn get_log_state(&mut self) -> Result<LogState<Types>> {
        let mirror = self.reader.mirror.lock();
        let last = mirror.entries.last_key_value().map(|(_, entry)| entry.log_id);
        Ok(LogState { last_purged_log_id: mirror.purged, last_log_id: last.or(mirror.purged) })
    }

    async fn get_log_reader(&mut self) -> LogReader {
        self.reader.clone()
    }

    async fn save_vote(&mut self, vote: &Vote<NodeId>) -> Result<()> {
        let (done, written) = oneshot::channel();
        self.write(Record::Vote(*vote), |bytes| Job::Durable(bytes, done)).await?;
        let outcome = written.await.unwrap_or_else(|_| Err(io::Error::other("the log's writer has ended")));
        outcome.map_err(|error| StorageError::from_io_error(ErrorSubject::Vote, ErrorVerb::Write, error))
    }

    async fn read_vote(&mut self) -> Result<Option<Vote<NodeId>>> {
        Ok(self.reader.mirror.lock().vote)
    }

    async fn save_committed(&mut self, committed: Option<LogId<NodeId>>) -> Result<()> {
        self.write(Record::Committed(committed), Job::Lazy).await
    }

    async fn read_committed(&mut self) -> Result<Option<LogId<NodeId>>> {
        Ok(self.reader.mirror.lock().committed)
    }

    async fn append<I>(&mut self, entries: I, flushed: LogFlushed<Types>) -> Result<()>
    where
        I: IntoIterator<Item = Entry<Types>> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let record = Record::Entries(entries.into_iter().collect());
        self.write(record, |bytes| Job::Entries(bytes, flushed)).await
    }

    /// Not waited for: the entries that take the place of the truncated ones come after this in the file, and are
    /// fsynced.
    async fn truncate(&mut self, since: LogId<NodeId>) -> Result<()> {
        self.write(Record::Truncate(since.index), Job::Lazy).await
    }

    /// Not waited for: entries that come back after a crash are purged again.
    async fn purge(&mut self, upto: LogId<NodeId>) -> Result<()> {
        self.write(Record::Purge(upto), Job::Lazy).await
    }
}
