//! The replicated state and its snapshots.
//!
//! The state itself lives in memory; what makes it durable is the log and, from time to time, a snapshot, which is
//! replaced as a whole. After a restart the state is the snapshot and the committed entries behind it.

#![expect(clippy::result_large_err, reason = "openraft's storage traits fix the error type")]

use std::io::Cursor;
use std::path::PathBuf;
use std::sync::Arc;

use openraft::storage::{RaftStateMachine, Snapshot};
use openraft::{
    Entry, EntryPayload, ErrorSubject, ErrorVerb, LogId, OptionalSend, RaftSnapshotBuilder, SnapshotMeta,
    StorageError, StorageIOError, StoredMembership,
};
use parking_lot::Mutex;
use tokio::sync::{broadcast, watch};

use super::dir::{self, io_error};
use super::frame::{self, Kind};
use super::types::{Payload, Types};
use crate::raft::machine::EVENT_BACKLOG;
use crate::raft::{Applied, AppliedCommand, Machine, Member, NodeId, OpenError, codec};

type Result<T, E = StorageError<NodeId>> = std::result::Result<T, E>;
type Meta = SnapshotMeta<NodeId, Member>;
type Event<M> = Option<Arc<AppliedCommand<M>>>;

/// The file that holds the newest snapshot. Clones are the same file.
#[derive(Debug, Clone)]
pub struct SnapshotFile {
    path: Arc<PathBuf>,
    /// What the file holds up to: a snapshot that was built while a newer one came from the leader must not replace it.
    newest: Arc<Mutex<Option<LogId<NodeId>>>>,
}

impl SnapshotFile {
    /// The snapshot file at this path.
    pub fn new(path: PathBuf) -> Self {
        Self { path: Arc::new(path), newest: Arc::default() }
    }

    fn read(&self) -> std::result::Result<Option<(Meta, Vec<u8>)>, OpenError> {
        let Some(mut bytes) = dir::read(&self.path)? else { return Ok(None) };
        let payloads = frame::scan_whole(&self.path, Kind::Snapshot, &bytes, 2)?;
        let (head, body) = (payloads[0].clone(), payloads[1].clone());
        let meta = codec::decode(&bytes[head.clone()])
            .map_err(|error| frame::corrupt(&self.path, head.start, error.to_string()))?;
        bytes.truncate(body.end);
        bytes.drain(..body.start);
        Ok(Some((meta, bytes)))
    }

    fn write(&self, meta: &Meta, data: &[u8]) -> std::result::Result<(), OpenError> {
        let head = codec::encode(meta).map_err(|error| frame::corrupt(&self.path, 0, error.to_string()))?;
        let mut newest = self.newest.lock();
        if *newest > meta.last_log_id {
            return Ok(());
        }
        dir::replace(&self.path, &frame::file(Kind::Snapshot, [head.as_slice(), data]))
            .map_err(|error| io_error(&self.path, error))?;
        *newest = meta.last_log_id;
        Ok(())
    }

    async fn read_async(&self) -> Result<Option<(Meta, Vec<u8>)>> {
        let file = self.clone();
        blocking(move || file.read()).await.map_err(|error| snapshot_error(ErrorVerb::Read, error))
    }

    async fn write_async(&self, meta: Meta, data: Arc<Vec<u8>>) -> Result<()> {
        let file = self.clone();
        blocking(move || file.write(&meta, &data))
            .await
            .map_err(|error| snapshot_error(ErrorVerb::Write, error))
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::result::Result<T, OpenError> + Send + 'static,
) -> std::result::Result<T, OpenError> {
    let joined = tokio::task::spawn_blocking(work).await;
    joined.unwrap_or_else(|error| Err(OpenError::Raft(format!("a snapshot's task failed: {error}"))))
}

fn snapshot_error(verb: ErrorVerb, error: impl std::error::Error + 'static) -> StorageError<NodeId> {
    StorageIOError::new(ErrorSubject::Snapshot(None), verb, openraft::AnyError::new(&error)).into()
}

/// The state machine as openraft drives it.
pub struct StateStore<M: Machine> {
    file: SnapshotFile,
    state: Arc<M>,
    last_applied: Option<LogId<NodeId>>,
    last_command: u64,
    membership: StoredMembership<NodeId, Member>,
    applied: watch::Sender<Applied<M>>,
    events: broadcast::Sender<Event<M>>,
}

impl<M: Machine> StateStore<M> {
    /// The state of the newest snapshot, or the default one.
    pub fn open(file: SnapshotFile) -> std::result::Result<Self, OpenError> {
        let (meta, state) = match file.read()? {
            None => (Meta::default(), M::default()),
            Some((meta, data)) => {
                let state = codec::decode(&data)
                    .map_err(|error| frame::corrupt(&file.path, 0, format!("the state: {error}")))?;
                (meta, state)
            }
        };
        *file.newest.lock() = meta.last_log_id;
        let state = Arc::new(state);
        let index = index_of(meta.last_log_id);
        let first = Applied { index, last_command: index, state: Arc::clone(&state) };
        Ok(Self {
            file,
            state,
            last_applied: meta.last_log_id,
            last_command: index,
            membership: meta.last_membership,
            applied: watch::Sender::new(first),
            events: broadcast::Sender::new(EVENT_BACKLOG),
        })
    }

    /// The newest applied state, as it changes.
    pub fn watch(&self) -> watch::Receiver<Applied<M>> {
        self.applied.subscribe()
    }

    /// Where receivers of applied commands subscribe.
    pub fn events(&self) -> broadcast::WeakSender<Event<M>> {
        self.events.downgrade()
    }

    /// Whether the membership of the state has this node.
    pub fn has_member(&self, node: NodeId) -> bool {
        self.membership.membership().get_node(&node).is_some()
    }

    fn apply_entry(&mut self, entry: Entry<Types>, events: &mut Vec<AppliedCommand<M>>) -> Result<Payload> {
        let log_id = entry.log_id;
        let response = match entry.payload {
            EntryPayload::Blank => Payload::default(),
            EntryPayload::Membership(membership) => {
                self.membership = StoredMembership::new(Some(log_id), membership);
                Payload::default()
            }
            EntryPayload::Normal(command) => self.apply_command(log_id, &command, events)?,
        };
        self.last_applied = Some(log_id);
        Ok(response)
    }

    fn apply_command(
        &mut self,
        log_id: LogId<NodeId>,
        command: &Payload,
        events: &mut Vec<AppliedCommand<M>>,
    ) -> Result<Payload> {
        let undecodable = |error: codec::CodecError| {
            StorageError::from(StorageIOError::apply(log_id, openraft::AnyError::new(&error)))
        };
        let command: M::Command = codec::decode(&command.0).map_err(undecodable)?;
        let response = Arc::make_mut(&mut self.state).apply(log_id.index, command.clone());
        self.last_command = log_id.index;
        let encoded = codec::encode(&response).map_err(undecodable)?;
        events.push(AppliedCommand { index: log_id.index, command, response });
        Ok(encoded.into())
    }

    /// The state first: who hears of a command finds it in the state.
    fn publish(&self, events: impl IntoIterator<Item = Event<M>>) {
        let index = index_of(self.last_applied);
        self.applied.send_replace(Applied {
            index,
            last_command: self.last_command,
            state: Arc::clone(&self.state),
        });
        for event in events {
            // That nobody listens is not an error.
            drop(self.events.send(event));
        }
    }
}

fn index_of(log_id: Option<LogId<NodeId>>) -> u64 {
    log_id.map_or(0, |log_id| log_id.index)
}

impl<M: Machine> RaftStateMachine<Types> for StateStore<M> {
    type SnapshotBuilder = SnapshotBuilder<M>;

    async fn applied_state(&mut self) -> Result<(Option<LogId<NodeId>>, StoredMembership<NodeId, Member>)> {
        Ok((self.last_applied, self.membership.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<Payload>>
    where
        I: IntoIterator<Item = Entry<Types>> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut events = Vec::new();
        let responses = entries.into_iter().map(|entry| self.apply_entry(entry, &mut events)).collect();
        self.publish(events.into_iter().map(|event| Some(Arc::new(event))));
        responses
    }

    async fn get_snapshot_builder(&mut self) -> SnapshotBuilder<M> {
        SnapshotBuilder {
            file: self.file.clone(),
            state: Arc::clone(&self.state),
            last_applied: self.last_applied,
            membership: self.membership.clone(),
        }
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<Cursor<Vec<u8>>>> {
        Ok(Box::default())
    }

    async fn install_snapshot(&mut self, meta: &Meta, snapshot: Box<Cursor<Vec<u8>>>) -> Result<()> {
        let data = snapshot.into_inner();
        let state: M = codec::decode(&data).map_err(|error| snapshot_error(ErrorVerb::Read, error))?;
        self.file.write_async(meta.clone(), Arc::new(data)).await?;
        self.state = Arc::new(state);
        self.last_applied = meta.last_log_id;
        self.last_command = index_of(meta.last_log_id);
        self.membership = meta.last_membership.clone();
        // The commands behind this snapshot are not known one by one.
        self.publish([None]);
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<Types>>> {
        let found = self.file.read_async().await?;
        Ok(found.map(|(meta, data)| Snapshot { meta, snapshot: Box::new(Cursor::new(data)) }))
    }
}

/// The state of one moment, to be written while the member goes on.
pub struct SnapshotBuilder<M: Machine> {
    file: SnapshotFile,
    state: Arc<M>,
    last_applied: Option<LogId<NodeId>>,
    membership: StoredMembership<NodeId, Member>,
}

impl<M: Machine> RaftSnapshotBuilder<Types> for SnapshotBuilder<M> {
    async fn build_snapshot(&mut self) -> Result<Snapshot<Types>> {
        let meta = Meta {
            last_log_id: self.last_applied,
            last_membership: self.membership.clone(),
            snapshot_id: format!("{}-{:016x}", index_of(self.last_applied), fastrand::u64(..)),
        };
        let state = Arc::clone(&self.state);
        let encode = blocking(move || {
            codec::encode(&*state)
                .map_err(|error| OpenError::Raft(format!("the state has no encoding: {error}")))
        });
        let data = encode.await.map_err(|error| snapshot_error(ErrorVerb::Write, error))?;
        let data = Arc::new(data);
        self.file.write_async(meta.clone(), Arc::clone(&data)).await?;
        let data = Arc::unwrap_or_clone(data);
        Ok(Snapshot { meta, snapshot: Box::new(Cursor::new(data)) })
    }
}
