//! The way to another sentinel, as the group needs it.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;

use super::PeerAddress;

/// The answer of [`Transport::call`], boxed so that transports can be exchanged at run time.
pub type TransportFuture<'a> = Pin<Box<dyn Future<Output = Result<Bytes, TransportError>> + Send + 'a>>;

/// Carries one message to a sentinel and brings back its reply.
///
/// The other side hands the message to [`Group::handle`](super::Group::handle) and returns what that gives. Calls to one
/// peer run side by side (a heartbeat must not wait for a snapshot chunk). Messages are at most
/// [`MAX_MESSAGE_BYTES`](super::MAX_MESSAGE_BYTES) long; a longer reply is refused. A transport that authenticates its
/// peers is what keeps strangers out of the group: the messages themselves carry no secret.
pub trait Transport: Send + Sync + 'static {
    /// Calls `peer` and waits at most `timeout`, the time to connect included. Dropping the future abandons the call.
    fn call<'a>(&'a self, peer: &'a PeerAddress, message: Bytes, timeout: Duration) -> TransportFuture<'a>;
}

/// Why a call brought no reply. The difference matters to a proposal: after [`Unreachable`](Self::Unreachable) it can
/// safely be made again, after [`Lost`](Self::Lost) nobody knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// The message was not sent: no connection, refused, failed authentication.
    #[error("unreachable: {0}")]
    Unreachable(String),
    /// The message may have arrived, but no reply came: connection lost, or the time was over.
    #[error("no reply: {0}")]
    Lost(String),
}
