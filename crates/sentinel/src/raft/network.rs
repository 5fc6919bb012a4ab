//! openraft's way to the other members.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use openraft::error::{
    InstallSnapshotError, NetworkError, RPCError, RaftError, RemoteError, SnapshotMismatch, Unreachable,
};
use openraft::network::{Backoff, RPCOption, RaftNetwork, RaftNetworkFactory};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, InstallSnapshotResponse,
    VoteRequest, VoteResponse,
};
use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;
use tokio::time::Instant;

use super::bootstrap::Binding;
use super::storage::Types;
use super::wire::{self, CallError, Envelope, Reply, Request};
use super::{Member, NodeId, PeerAddress, Transport};

/// A member that answered within this time is alive.
const ALIVE: Duration = Duration::from_secs(2);

/// What everybody in this process who calls other members needs.
pub(super) struct Links {
    pub(super) me: NodeId,
    pub(super) transport: Arc<dyn Transport>,
    pub(super) binding: watch::Sender<Option<Binding>>,
    /// The members' newest addresses: they change without openraft making a new [`Link`].
    book: RwLock<BTreeMap<NodeId, Member>>,
    answered: Mutex<BTreeMap<NodeId, Instant>>,
}

impl Links {
    pub(super) fn new(me: NodeId, transport: Arc<dyn Transport>, binding: Option<Binding>) -> Arc<Self> {
        Arc::new(Self {
            me,
            transport,
            binding: watch::Sender::new(binding),
            book: RwLock::default(),
            answered: Mutex::default(),
        })
    }

    /// The members and their addresses, as of the newest membership.
    pub(super) fn set_members(&self, members: BTreeMap<NodeId, Member>) {
        self.answered.lock().retain(|node, _| members.contains_key(node));
        *self.book.write() = members;
    }

    pub(super) fn member(&self, node: NodeId) -> Option<Member> {
        self.book.read().get(&node).cloned()
    }

    pub(super) fn members(&self) -> Vec<Member> {
        self.book.read().values().cloned().collect()
    }

    /// Whether this node has answered a moment ago.
    pub(super) fn is_alive(&self, node: NodeId) -> bool {
        self.answered.lock().get(&node).is_some_and(|at| at.elapsed() < ALIVE)
    }

    /// Calls one member of the group.
    pub(super) async fn call(
        &self,
        to: &Member,
        request: Request,
        timeout: Duration,
    ) -> Result<Reply, CallError> {
        let reply = self.call_address(&to.address, Some(to.node), request, timeout).await?;
        self.answered.lock().insert(to.node, Instant::now());
        Ok(reply)
    }

    /// Calls whoever is at this address.
    pub(super) async fn call_address(
        &self,
        address: &PeerAddress,
        to: Option<NodeId>,
        request: Request,
        timeout: Duration,
    ) -> Result<Reply, CallError> {
        let group = self.binding.borrow().as_ref().map(Binding::group);
        let envelope = Envelope { from: self.me, to, group, request };
        wire::call(&*self.transport, address, &envelope, timeout).await
    }
}

/// Makes the links that openraft asks for.
pub(super) struct LinkFactory {
    pub(super) links: Arc<Links>,
    /// Between two tries to reach a member that is not reached.
    pub(super) retry: Duration,
}

impl RaftNetworkFactory<Types> for LinkFactory {
    type Network = Link;

    async fn new_client(&mut self, target: NodeId, member: &Member) -> Link {
        Link { target, fallback: member.clone(), links: Arc::clone(&self.links), retry: self.retry }
    }
}

/// The link to one member.
pub(super) struct Link {
    target: NodeId,
    /// What openraft knew when it made the link; the book may not know the member yet.
    fallback: Member,
    links: Arc<Links>,
    retry: Duration,
}

type RpcError<E> = RPCError<NodeId, Member, RaftError<NodeId, E>>;

impl Link {
    async fn call(&self, request: Request, option: &RPCOption) -> Result<Reply, CallError> {
        let member = self.links.member(self.target).unwrap_or_else(|| self.fallback.clone());
        self.links.call(&member, request, option.hard_ttl()).await
    }
}

/// openraft waits a little after `Unreachable` before it tries again, which is right after any failure.
fn unreachable<E: std::error::Error>(error: &CallError) -> RpcError<E> {
    RPCError::Unreachable(Unreachable::new(error))
}

fn unexpected<E: std::error::Error>(reply: &Reply) -> RpcError<E> {
    RPCError::Network(NetworkError::new(&CallError::Garbled(format!("unexpected reply {reply:?}"))))
}

impl RaftNetwork<Types> for Link {
    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<Types>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<NodeId>, RpcError<openraft::error::Infallible>> {
        match self.call(Request::Append(rpc), &option).await.map_err(|error| unreachable(&error))? {
            Reply::Append(response) => Ok(response),
            other => Err(unexpected(&other)),
        }
    }

    async fn install_snapshot(
        &mut self,
        rpc: InstallSnapshotRequest<Types>,
        option: RPCOption,
    ) -> Result<InstallSnapshotResponse<NodeId>, RpcError<InstallSnapshotError>> {
        match self.call(Request::Snapshot(rpc), &option).await.map_err(|error| unreachable(&error))? {
            Reply::Snapshot(vote) => Ok(InstallSnapshotResponse { vote }),
            Reply::SnapshotMismatch(expect, got) => {
                let mismatch = InstallSnapshotError::from(SnapshotMismatch { expect, got });
                Err(RPCError::RemoteError(RemoteError::new(self.target, RaftError::APIError(mismatch))))
            }
            other => Err(unexpected(&other)),
        }
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<NodeId>,
        option: RPCOption,
    ) -> Result<VoteResponse<NodeId>, RpcError<openraft::error::Infallible>> {
        match self.call(Request::Vote(rpc), &option).await.map_err(|error| unreachable(&error))? {
            Reply::Vote(response) => Ok(response),
            other => Err(unexpected(&other)),
        }
    }

    fn backoff(&self) -> Backoff {
        Backoff::new(std::iter::repeat(self.retry))
    }
}
