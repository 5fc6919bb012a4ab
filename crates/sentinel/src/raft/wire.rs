//! The messages between members: what is asked, what is answered, and how a member calls another.
//!
//! Every message says which group it is for and which Raft identity it is meant for, so that a sentinel that came back as
//! somebody else, or a stranger at a reused address, never takes part by mistake.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, VoteRequest, VoteResponse,
};
use openraft::{SnapshotSegmentId, Vote};
use serde::{Deserialize, Serialize};

use super::bootstrap::{Promise, Report};
use super::storage::{Payload, Types};
use super::{GroupId, Member, NodeId, PeerAddress, PublicId, Transport, TransportError, codec};

/// No message or reply between members is longer, in bytes. What is in them is bounded so that this always holds.
pub const MAX_MESSAGE_BYTES: usize = 4 << 20;

/// No command is longer when encoded, in bytes.
pub const MAX_COMMAND_BYTES: usize = 64 << 10;

/// Log entries in one message.
pub(super) const MAX_ENTRIES_A_MESSAGE: u64 = 32;

/// A piece of a snapshot in one message, in bytes.
pub(super) const SNAPSHOT_CHUNK_BYTES: u64 = 1 << 20;

/// A change of who belongs to the group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Change {
    /// Take this sentinel in: as a learner, then as a voter.
    Join(Member),
    /// This member's address has changed.
    Readdress(Member),
    /// Remove this voter or learner.
    Remove(NodeId),
    /// Remove every member of this sentinel.
    Forget(PublicId),
}

/// What is asked of a member.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Request {
    /// Raft's heartbeat and replication.
    Append(AppendEntriesRequest<Types>),
    /// Raft's election.
    Vote(VoteRequest<NodeId>),
    /// A piece of a snapshot.
    Snapshot(InstallSnapshotRequest<Types>),
    /// Apply this command, if you lead.
    Propose(Payload),
    /// Up to where must one read, if you lead?
    ReadIndex,
    /// Change the membership, if you lead.
    Change(Change),
    /// Have the leader take this sentinel in, whoever leads.
    Join(Member),
    /// Who are you, and whom do you see?
    Report,
    /// Promise this.
    Promise(Promise),
    /// Who belongs to the group?
    Membership,
}

impl Request {
    /// Whether it is between strangers, and so for no group in particular.
    pub(super) fn is_bootstrap(&self) -> bool {
        match self {
            Self::Report | Self::Promise(_) => true,
            Self::Append(_)
            | Self::Vote(_)
            | Self::Snapshot(_)
            | Self::Propose(_)
            | Self::ReadIndex
            | Self::Change(_)
            | Self::Join(_)
            | Self::Membership => false,
        }
    }

    /// Whether it is Raft's own, which requests of clients must not hold up.
    pub(super) fn is_raft(&self) -> bool {
        matches!(self, Self::Append(_) | Self::Vote(_) | Self::Snapshot(_))
    }
}

/// What is answered.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Reply {
    Append(AppendEntriesResponse<NodeId>),
    Vote(VoteResponse<NodeId>),
    /// The receiver's vote.
    Snapshot(Vote<NodeId>),
    /// Another piece was expected; (expected, got).
    SnapshotMismatch(SnapshotSegmentId, SnapshotSegmentId),
    /// The state's response.
    Applied(Payload),
    ReadIndex(u64),
    Changed,
    Report(Report),
    /// It is promised, and by whom.
    Promised {
        by: NodeId,
    },
    /// It is not promised.
    NotPromised,
    Membership(MembershipView),
    Refused(Refusal),
}

/// Who belongs to the group, as of one log entry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct MembershipView {
    pub(super) log_index: u64,
    pub(super) nodes: BTreeSet<NodeId>,
}

/// Why a request had no effect, unless it says otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Refusal {
    /// Not the leader.
    NotLeader,
    /// The leader without a majority.
    NoQuorum,
    /// Too many requests.
    Busy,
    /// Not done in time; it may be done later.
    Timeout,
    /// Not possible, and why.
    Impossible(String),
    /// Bound to no group, or to another.
    OtherGroup,
    /// Somebody else than was meant.
    OtherNode,
    /// Cannot be read.
    Unreadable(String),
    /// The member has stopped.
    Stopped(String),
}

/// A request with its address.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Envelope {
    pub(super) from: NodeId,
    /// Who is meant, unless anybody at the address is.
    pub(super) to: Option<NodeId>,
    pub(super) group: Option<GroupId>,
    pub(super) request: Request,
}

/// Why a call brought no answer of the expected kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum CallError {
    #[error("{0}")]
    Transport(#[from] TransportError),
    #[error("refused: {0:?}")]
    Refused(Refusal),
    #[error("{0}")]
    Garbled(String),
}

/// Sends a request and waits for its reply. A refusal is an error.
pub(super) async fn call(
    transport: &dyn Transport,
    peer: &PeerAddress,
    envelope: &Envelope,
    timeout: Duration,
) -> Result<Reply, CallError> {
    let message = codec::encode(envelope).map_err(|error| CallError::Garbled(error.to_string()))?;
    if message.len() > MAX_MESSAGE_BYTES {
        return Err(CallError::Garbled(format!("a message of {} bytes is too long", message.len())));
    }
    let calling = transport.call(peer, Bytes::from(message), timeout);
    // The transport keeps to the time-out by itself; this is for one that does not.
    let reply = match tokio::time::timeout(timeout, calling).await {
        Ok(reply) => reply?,
        Err(_) => return Err(TransportError::Lost("timed out".to_owned()).into()),
    };
    if reply.len() > MAX_MESSAGE_BYTES {
        return Err(CallError::Garbled(format!("a reply of {} bytes is too long", reply.len())));
    }
    match codec::decode(&reply).map_err(|error| CallError::Garbled(error.to_string()))? {
        Reply::Refused(refusal) => Err(CallError::Refused(refusal)),
        reply => Ok(reply),
    }
}

/// The bytes of a reply. A reply that has no encoding becomes a refusal that has.
pub(super) fn encode_reply(reply: &Reply) -> Bytes {
    let encoded = codec::encode(reply).or_else(|error| {
        codec::encode(&Reply::Refused(Refusal::Impossible(format!("the reply has no encoding: {error}"))))
    });
    encoded.expect("a refusal always has an encoding").into()
}
