//! The state that the group replicates, and how the rest of the sentinel follows it.

use std::fmt::Debug;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::broadcast;

/// A state that changes only by commands, applied in the same order by every member.
///
/// `apply` must be a function of the state and the command alone: no clock, no randomness, no I/O, no iteration over an
/// unordered map, or the members drift apart. A command that makes no sense must answer so in its response; it must not
/// panic, for every member would panic on it, again after each restart.
pub trait Machine: Clone + Default + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// What is proposed. At most [`MAX_COMMAND_BYTES`](super::MAX_COMMAND_BYTES) when encoded.
    type Command: Serialize + DeserializeOwned + Clone + Debug + Send + Sync + 'static;
    /// What the proposer gets back.
    type Response: Serialize + DeserializeOwned + Clone + Debug + Send + Sync + 'static;

    /// Applies the command that stands at `index` of the Raft log. Indices rise, with gaps.
    fn apply(&mut self, index: u64, command: Self::Command) -> Self::Response;
}

/// The state as of one point of the log. Members that show the same `index` show the same state.
#[derive(Debug)]
pub struct Applied<M> {
    /// Index of the last log entry that is in `state`; 0 before the first.
    pub index: u64,
    /// Index of the last command in it, which is what [`Events`] end with; after a restart or a whole snapshot,
    /// the index of that.
    pub last_command: u64,
    /// The state itself; cheap to hold and to clone.
    pub state: Arc<M>,
}

impl<M> Clone for Applied<M> {
    fn clone(&self) -> Self {
        Self { index: self.index, last_command: self.last_command, state: Arc::clone(&self.state) }
    }
}

/// One applied command with its outcome.
#[derive(Debug)]
pub struct AppliedCommand<M: Machine> {
    /// Its index in the log.
    pub index: u64,
    /// The command, as every member applied it.
    pub command: M::Command,
    /// What the state answered.
    pub response: M::Response,
}

/// What [`Events::next`] brings.
#[derive(Debug)]
pub enum Delivery<M: Machine> {
    /// The next command, in log order.
    Command(Arc<AppliedCommand<M>>),
    /// Some commands are not delivered, because this receiver fell behind or a snapshot stood for them: read
    /// [`Group::state`](super::Group::state) again, and go on.
    Missed,
}

/// How many applied commands are kept for a receiver that is slow; one that falls further behind gets
/// [`Delivery::Missed`].
pub const EVENT_BACKLOG: usize = 1024;

/// The commands that this member applies from now on, in order. After a restart the last few may be seen again.
#[derive(Debug)]
pub struct Events<M: Machine> {
    receiver: broadcast::Receiver<Option<Arc<AppliedCommand<M>>>>,
}

impl<M: Machine> Events<M> {
    pub(super) fn new(receiver: broadcast::Receiver<Option<Arc<AppliedCommand<M>>>>) -> Self {
        Self { receiver }
    }

    /// Waits for the next delivery; `None` when the group was shut down. Safe to cancel.
    pub async fn next(&mut self) -> Option<Delivery<M>> {
        match self.receiver.recv().await {
            Ok(Some(command)) => Some(Delivery::Command(command)),
            Ok(None) | Err(broadcast::error::RecvError::Lagged(_)) => Some(Delivery::Missed),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}
