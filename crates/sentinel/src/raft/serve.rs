//! The answering side: what another member asks, and what it gets.

use std::time::Duration;

use bytes::Bytes;
use openraft::error::{InstallSnapshotError, RaftError};
use openraft::raft::InstallSnapshotRequest;
use tokio::sync::{mpsc, oneshot};

use super::bootstrap::Binding;
use super::engine::{Engine, Outcome};
use super::keeper::Call;
use super::storage::Types;
use super::wire::{Change, Envelope, MAX_MESSAGE_BYTES, Refusal, Reply, Request, encode_reply};
use super::{NodeId, codec};

/// A snapshot that is longer is not received, in bytes: the length of what the codec would decode.
const MAX_SNAPSHOT_BYTES: u64 = codec::MAX_ENCODED_BYTES as u64;

/// No group has so many elections while a member is away. A term near the end of the range would leave none for later.
const MAX_TERMS_AHEAD: u64 = 1 << 20;

/// The keeper answers from memory, or after one fsync.
const KEEPER_PATIENCE: Duration = Duration::from_secs(5);

/// Answers one message. `keeper` is where bootstrap's questions go.
pub(super) async fn handle(engine: &Engine, keeper: &mpsc::Sender<Call>, message: &[u8]) -> Bytes {
    let reply = match answer(engine, keeper, message).await {
        Ok(reply) => reply,
        Err(refusal) => Reply::Refused(refusal),
    };
    encode_reply(&reply)
}

async fn answer(engine: &Engine, keeper: &mpsc::Sender<Call>, message: &[u8]) -> Result<Reply, Refusal> {
    if message.len() > MAX_MESSAGE_BYTES {
        return Err(Refusal::Unreadable(format!("{} bytes are too long", message.len())));
    }
    let envelope: Envelope =
        codec::decode(message).map_err(|error| Refusal::Unreadable(error.to_string()))?;
    engine.check_running().map_err(|error| Refusal::Stopped(error.to_string()))?;
    if envelope.to.is_some_and(|node| node != engine.links.me) {
        return Err(Refusal::OtherNode);
    }
    let bound = engine.links.binding.borrow().as_ref().map(Binding::group);
    if !envelope.request.is_bootstrap() && (bound.is_none() || bound != envelope.group) {
        return Err(Refusal::OtherGroup);
    }
    check_sender(engine, envelope.from, &envelope.request)?;
    let permits = if envelope.request.is_raft() { &engine.served_raft } else { &engine.served };
    let _permit = permits.try_acquire().map_err(|_| Refusal::Busy)?;
    dispatch(engine, keeper, envelope.from, envelope.request).await
}

/// What a stranger, or a member that was damaged, must not be able to do. Raft's own messages are taken from nodes that
/// this member does not know: after a long absence it learns of the new members by just these.
fn check_sender(engine: &Engine, from: NodeId, request: &Request) -> Result<(), Refusal> {
    let term = match request {
        Request::Append(rpc) => rpc.vote.leader_id().get_term(),
        Request::Vote(rpc) => rpc.vote.leader_id().get_term(),
        Request::Snapshot(rpc) => rpc.vote.leader_id().get_term(),
        // The leader knows all members, and leads nobody else.
        Request::Propose(_) | Request::ReadIndex | Request::Change(_) => {
            let members = engine.membership_view().nodes;
            let known = members.is_empty() || members.contains(&from);
            return if known { Ok(()) } else { Err(Refusal::NotLeader) };
        }
        Request::Report | Request::Promise(_) | Request::Join(_) | Request::Membership => return Ok(()),
    };
    check_term(term, engine.metrics().current_term)
}

fn check_term(term: u64, ours: u64) -> Result<(), Refusal> {
    if term > ours.saturating_add(MAX_TERMS_AHEAD) {
        return Err(Refusal::Impossible(format!("term {term} is out of range")));
    }
    Ok(())
}

async fn dispatch(
    engine: &Engine,
    keeper: &mpsc::Sender<Call>,
    from: NodeId,
    request: Request,
) -> Result<Reply, Refusal> {
    let fatal = |error: RaftError<NodeId>| Refusal::Stopped(error.to_string());
    match request {
        Request::Append(rpc) => engine.raft.append_entries(rpc).await.map(Reply::Append).map_err(fatal),
        Request::Vote(rpc) => engine.raft.vote(rpc).await.map(Reply::Vote).map_err(fatal),
        Request::Snapshot(rpc) => install(engine, rpc).await,
        request @ (Request::Propose(_) | Request::ReadIndex | Request::Change(_)) => {
            engine.lead(request, engine.deadline()).await.map_err(Refusal::from)
        }
        Request::Report => ask_keeper(keeper, Call::Report).await.map(Reply::Report),
        Request::Promise(promise) => {
            let asked = |answer| Call::Promise { from, promise, answer };
            let granted = ask_keeper(keeper, asked).await?;
            Ok(if granted { Reply::Promised { by: engine.links.me } } else { Reply::NotPromised })
        }
        Request::Join(member) => {
            let joined = engine.change(Change::Join(member)).await;
            joined.map(|()| Reply::Changed).map_err(|error| Outcome::from(error).into())
        }
        Request::Membership => Ok(Reply::Membership(engine.membership_view())),
    }
}

async fn install(engine: &Engine, rpc: InstallSnapshotRequest<Types>) -> Result<Reply, Refusal> {
    if rpc.offset.saturating_add(rpc.data.len() as u64) > MAX_SNAPSHOT_BYTES {
        return Err(Refusal::Impossible(format!("a snapshot of more than {MAX_SNAPSHOT_BYTES} bytes")));
    }
    match engine.raft.install_snapshot(rpc).await {
        Ok(response) => Ok(Reply::Snapshot(response.vote)),
        Err(RaftError::APIError(InstallSnapshotError::SnapshotMismatch(mismatch))) => {
            Ok(Reply::SnapshotMismatch(mismatch.expect, mismatch.got))
        }
        Err(RaftError::Fatal(fatal)) => Err(Refusal::Stopped(fatal.to_string())),
    }
}

async fn ask_keeper<T>(
    keeper: &mpsc::Sender<Call>,
    call: impl FnOnce(oneshot::Sender<T>) -> Call,
) -> Result<T, Refusal> {
    let (answer, answered) = oneshot::channel();
    keeper.try_send(call(answer)).map_err(|_| Refusal::Busy)?;
    match tokio::time::timeout(KEEPER_PATIENCE, answered).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(_)) => Err(Refusal::Stopped("the keeper has ended".to_owned())),
        Err(_) => Err(Refusal::Timeout),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_term_that_no_election_made_is_refused() {
        assert!(check_term(MAX_TERMS_AHEAD, 0).is_ok());
        assert!(check_term(1, u64::MAX).is_ok());
        assert!(check_term(MAX_TERMS_AHEAD + 8, 7).is_err());
        assert!(check_term(u64::MAX, 7).is_err());
    }
}
