//! The running member without its state's type: openraft, the links to the others, and the requests that any member takes
//! and the leader answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use openraft::error::{CheckIsLeaderError, ClientWriteError, Fatal, RaftError};
use openraft::{LogIdOptionExt, Raft, RaftMetrics, ServerState};
use parking_lot::RwLock;
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, timeout_at};

use super::bootstrap::Binding;
use super::network::Links;
use super::storage::{Payload, Types};
use super::wire::{CallError, Change, MAX_COMMAND_BYTES, MembershipView, Refusal, Reply, Request};
use super::{GroupError, Leadership, Member, NodeId, Role, Standing, Status, Timings, TransportError};

/// Requests of this member's own callers that may be under way; more get [`GroupError::Busy`].
pub(super) const MAX_REQUESTS: usize = 256;

/// Requests of other members, apart from Raft's own, that may be served at once; more are refused as busy.
pub(super) const MAX_SERVED_REQUESTS: usize = 256;

/// Raft's own messages that may be served at once. openraft sends one at a time to each member, but who gave up on one
/// sends the next.
pub(super) const MAX_SERVED_RAFT: usize = 64;

/// A leader whose log is so far ahead of what is applied takes no more commands: what is not committed is kept in memory
/// and on disk.
pub(super) const MAX_UNAPPLIED: u64 = 256;

/// Between two looks for a leader, while there is none.
const LEADER_POLL: Duration = Duration::from_millis(20);

/// openraft and what surrounds it. Shared by the group's handles and its keeper.
pub(super) struct Engine {
    pub(super) raft: Raft<Types>,
    pub(super) links: Arc<Links>,
    pub(super) timings: Timings,
    pub(super) me: RwLock<Member>,
    /// Whether a set of one may start a group.
    pub(super) alone_allowed: AtomicBool,
    pub(super) leadership: watch::Sender<Leadership>,
    /// This member was in a membership that Raft gave it: for it, the group has begun. Never taken back.
    pub(super) begun: AtomicBool,
    /// Others say that the group has removed this member; it would not learn so by Raft.
    pub(super) forgotten: AtomicBool,
    /// One membership change at a time.
    pub(super) changing: Semaphore,
    pub(super) requests: Semaphore,
    pub(super) served: Semaphore,
    pub(super) served_raft: Semaphore,
    /// Why the keeper ended, once it has.
    pub(super) stopped: watch::Sender<Option<String>>,
}

/// What to do about a request that did not succeed.
pub(super) enum Outcome {
    /// It had no effect, and another leader may take it.
    Again,
    /// Tell the caller.
    Final(GroupError),
}

impl From<GroupError> for Outcome {
    fn from(error: GroupError) -> Self {
        Self::Final(error)
    }
}

impl Engine {
    pub(super) fn metrics(&self) -> RaftMetrics<NodeId, Member> {
        self.raft.metrics().borrow().clone()
    }

    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.timings.request_timeout()
    }

    /// Has the leader apply a command.
    pub(super) async fn propose(&self, command: Payload) -> Result<Payload, GroupError> {
        check_length(&command)?;
        let reply = self.ask_leader(|| Request::Propose(command.clone())).await?;
        match reply {
            Reply::Applied(response) => Ok(response),
            other => Err(unexpected(&other)),
        }
    }

    /// The index up to which one must have applied to read what was committed before now.
    pub(super) async fn read_index(&self) -> Result<u64, GroupError> {
        match self.ask_leader(|| Request::ReadIndex).await? {
            Reply::ReadIndex(index) => Ok(index),
            other => Err(unexpected(&other)),
        }
    }

    pub(super) async fn change(&self, change: Change) -> Result<(), GroupError> {
        match self.ask_leader(|| Request::Change(change.clone())).await? {
            Reply::Changed => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    /// Makes the request of the leader, here or elsewhere, again and again while that is certainly harmless.
    async fn ask_leader(&self, request: impl Fn() -> Request) -> Result<Reply, GroupError> {
        let _permit = self.requests.try_acquire().map_err(|_| GroupError::Busy)?;
        let deadline = self.deadline();
        let patience = Instant::now() + Duration::from_millis(self.timings.leader_patience_ms());
        loop {
            self.check_running()?;
            let leader = self.raft.metrics().borrow().current_leader;
            let outcome = match leader {
                Some(node) if node == self.links.me => self.lead(request(), deadline).await,
                Some(node) => self.forward(node, request(), deadline).await,
                None => Err(Outcome::Again),
            };
            match outcome {
                Ok(reply) => return Ok(reply),
                Err(Outcome::Final(error)) => return Err(error),
                Err(Outcome::Again) if Instant::now() >= patience.min(deadline) => {
                    return Err(GroupError::NoLeader);
                }
                Err(Outcome::Again) => tokio::time::sleep(LEADER_POLL).await,
            }
        }
    }

    async fn forward(&self, leader: NodeId, request: Request, deadline: Instant) -> Result<Reply, Outcome> {
        let Some(member) = self.links.member(leader) else { return Err(Outcome::Again) };
        let left = deadline.saturating_duration_since(Instant::now());
        match self.links.call(&member, request, left).await {
            Ok(reply) => Ok(reply),
            Err(CallError::Transport(TransportError::Unreachable(_))) => Err(Outcome::Again),
            Err(CallError::Transport(TransportError::Lost(_)) | CallError::Garbled(_)) => {
                Err(GroupError::Timeout.into())
            }
            Err(CallError::Refused(refusal)) => Err(refusal.into()),
        }
    }

    /// Answers a request as the leader, if this member is that.
    pub(super) async fn lead(&self, request: Request, deadline: Instant) -> Result<Reply, Outcome> {
        match request {
            Request::Propose(command) => self.lead_proposal(command, deadline).await.map(Reply::Applied),
            Request::ReadIndex => self.lead_read(deadline).await.map(Reply::ReadIndex),
            Request::Change(change) => self.lead_change(change, deadline).await.map(|()| Reply::Changed),
            Request::Append(_)
            | Request::Vote(_)
            | Request::Snapshot(_)
            | Request::Join(_)
            | Request::Report
            | Request::Promise(_)
            | Request::Membership => unreachable!("only what the leader answers comes here"),
        }
    }

    /// Fails at once where it is known that nothing can be committed.
    pub(super) fn check_quorum(&self) -> Result<(), Outcome> {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow();
        if metrics.state != ServerState::Leader {
            return Err(Outcome::Again);
        }
        let alone = metrics.membership_config.membership().voter_ids().count() == 1;
        let silent =
            metrics.millis_since_quorum_ack.is_some_and(|age| age > self.timings.quorum_patience_ms());
        if silent && !alone {
            return Err(GroupError::NoQuorum.into());
        }
        let unapplied =
            metrics.last_log_index.unwrap_or(0).saturating_sub(metrics.last_applied.index().unwrap_or(0));
        if unapplied > MAX_UNAPPLIED {
            return Err(GroupError::Busy.into());
        }
        Ok(())
    }

    async fn lead_proposal(&self, command: Payload, deadline: Instant) -> Result<Payload, Outcome> {
        check_length(&command)?;
        self.check_quorum()?;
        match timeout_at(deadline, self.raft.client_write(command)).await {
            Ok(Ok(written)) => Ok(written.data),
            Ok(Err(error)) => Err(write_error(error)),
            Err(_) => Err(GroupError::Timeout.into()),
        }
    }

    async fn lead_read(&self, deadline: Instant) -> Result<u64, Outcome> {
        match timeout_at(deadline, self.raft.get_read_log_id()).await {
            Ok(Ok((read, _applied))) => Ok(read.index().unwrap_or(0)),
            Ok(Err(RaftError::APIError(CheckIsLeaderError::ForwardToLeader(_)))) => Err(Outcome::Again),
            Ok(Err(RaftError::APIError(CheckIsLeaderError::QuorumNotEnough(_)))) => {
                Err(GroupError::NoQuorum.into())
            }
            Ok(Err(RaftError::Fatal(fatal))) => Err(stopped(&fatal).into()),
            Err(_) => Err(GroupError::NoQuorum.into()),
        }
    }

    pub(super) fn check_running(&self) -> Result<(), GroupError> {
        if let Some(why) = &*self.stopped.borrow() {
            return Err(GroupError::Stopped(why.clone()));
        }
        match &self.raft.metrics().borrow().running_state {
            Ok(()) => Ok(()),
            Err(fatal) => Err(stopped(fatal)),
        }
    }

    /// Whether this member is or was in the group.
    pub(super) fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Relaxed)
    }

    pub(super) fn membership_view(&self) -> MembershipView {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow();
        MembershipView {
            log_index: metrics.membership_config.log_id().index().unwrap_or(0),
            nodes: metrics.membership_config.nodes().map(|(node, _)| *node).collect(),
        }
    }

    pub(super) fn standing(&self) -> Standing {
        let binding = self.links.binding.borrow();
        let Some(binding) = &*binding else { return Standing::Searching };
        let group = binding.group();
        let member = self.membership_view().nodes.contains(&self.links.me);
        match binding {
            _ if self.forgotten.load(Ordering::Relaxed) => Standing::Forgotten(group),
            _ if member => Standing::Member(group),
            // It led its own removal.
            _ if self.has_begun() => Standing::Forgotten(group),
            Binding::Promised(_) => Standing::Promised(group),
            Binding::Joined(_) => Standing::Joining(group),
        }
    }

    pub(super) fn leadership_now(&self) -> Leadership {
        let standing = self.standing();
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow();
        let role = match metrics.state {
            ServerState::Leader => Role::Leader,
            ServerState::Candidate => Role::Candidate,
            ServerState::Follower => Role::Follower,
            ServerState::Learner | ServerState::Shutdown => Role::Learner,
        };
        let leader =
            metrics.current_leader.and_then(|node| metrics.membership_config.membership().get_node(&node));
        Leadership { standing, role, term: metrics.current_term, leader: leader.cloned() }
    }

    pub(super) fn publish_leadership(&self) {
        let now = self.leadership_now();
        self.leadership.send_if_modified(|published| {
            let changed = *published != now;
            published.clone_from(&now);
            changed
        });
    }

    pub(super) fn status(&self) -> Status {
        let leadership = self.leadership_now();
        let metrics = self.metrics();
        let membership = metrics.membership_config.membership();
        let voting: Vec<NodeId> = membership.voter_ids().collect();
        let (voters, learners) = membership
            .nodes()
            .map(|(_, member)| member.clone())
            .partition(|member| voting.contains(&member.node));
        Status {
            leadership,
            me: self.me.read().clone(),
            voters,
            learners,
            quorum_ack_age_ms: metrics.millis_since_quorum_ack,
            last_log_index: metrics.last_log_index.unwrap_or(0),
            applied_index: metrics.last_applied.index().unwrap_or(0),
            snapshot_index: metrics.snapshot.index().unwrap_or(0),
        }
    }
}

fn check_length(command: &Payload) -> Result<(), GroupError> {
    match command.0.len() {
        0..=MAX_COMMAND_BYTES => Ok(()),
        length => Err(GroupError::Refused(format!(
            "a command of {length} bytes is longer than {MAX_COMMAND_BYTES}"
        ))),
    }
}

fn unexpected(reply: &Reply) -> GroupError {
    GroupError::Refused(format!("the leader answered {reply:?}"))
}

fn stopped(fatal: &Fatal<NodeId>) -> GroupError {
    GroupError::Stopped(fatal.to_string())
}

/// openraft fails a write over to another leader only if it was not taken into the log, or was truncated out of it.
pub(super) fn write_error(error: RaftError<NodeId, ClientWriteError<NodeId, Member>>) -> Outcome {
    match error {
        RaftError::APIError(ClientWriteError::ForwardToLeader(_)) => Outcome::Again,
        RaftError::APIError(ClientWriteError::ChangeMembershipError(error)) => {
            GroupError::Refused(error.to_string()).into()
        }
        RaftError::Fatal(fatal) => stopped(&fatal).into(),
    }
}

impl From<Refusal> for Outcome {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            // Somebody else lives at the leader's address now, or it has not come up yet: there will be another leader.
            Refusal::NotLeader | Refusal::OtherNode | Refusal::OtherGroup => Self::Again,
            Refusal::NoQuorum => Self::Final(GroupError::NoQuorum),
            Refusal::Busy => Self::Final(GroupError::Busy),
            Refusal::Timeout => Self::Final(GroupError::Timeout),
            Refusal::Impossible(why) | Refusal::Unreadable(why) => Self::Final(GroupError::Refused(why)),
            // The leader's own end: whether the request came before it, nobody knows.
            Refusal::Stopped(_) => Self::Final(GroupError::Timeout),
        }
    }
}

impl From<Outcome> for Refusal {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Again | Outcome::Final(GroupError::NoLeader) => Self::NotLeader,
            Outcome::Final(GroupError::NoQuorum) => Self::NoQuorum,
            Outcome::Final(GroupError::Busy) => Self::Busy,
            Outcome::Final(GroupError::Timeout) => Self::Timeout,
            Outcome::Final(GroupError::Refused(why)) => Self::Impossible(why),
            Outcome::Final(GroupError::Stopped(why)) => Self::Stopped(why),
        }
    }
}
