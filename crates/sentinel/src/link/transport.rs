//! Raft's messages, over `SENTINEL RAFT` on the port that serves clients.
//!
//! Deployments open one port, so the group has no other. A few connections to each sentinel are kept; each carries one
//! call at a time, so that a heartbeat never waits behind a snapshot, and a call that was given up takes its connection
//! with it: its late reply must not be taken for the next one's.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use redkeep_resp::client::{Client, ClientError};
use redkeep_resp::frame::Frame;
use redkeep_resp::net::{Address, Stream};
use tokio::time::timeout;

use super::sentinel_credentials;
use crate::local::SharedLocal;
use crate::raft::{MAX_MESSAGE_BYTES, PeerAddress, Transport, TransportError, TransportFuture};

/// Idle connections kept to each sentinel.
const MAX_IDLE: usize = 4;
/// Sentinels to which idle connections are kept. More than a group has members; those beyond are connected each time.
const MAX_PEERS: usize = 64;
/// The reply to a message has a few bytes around it.
const MAX_REPLY_LEN: usize = MAX_MESSAGE_BYTES + 64;

/// The transport of one sentinel.
pub(crate) struct PeerTransport {
    local: SharedLocal,
    idle: Mutex<HashMap<PeerAddress, Vec<Client>>>,
}

impl PeerTransport {
    pub(crate) fn new(local: SharedLocal) -> Self {
        Self { local, idle: Mutex::default() }
    }

    fn take(&self, peer: &PeerAddress) -> Option<Client> {
        self.idle.lock().get_mut(peer)?.pop()
    }

    fn give_back(&self, peer: &PeerAddress, client: Client) {
        let mut idle = self.idle.lock();
        if idle.len() < MAX_PEERS || idle.contains_key(peer) {
            let clients = idle.entry(peer.clone()).or_default();
            if clients.len() < MAX_IDLE {
                clients.push(client);
            }
        }
    }

    async fn connect(&self, peer: &PeerAddress) -> Result<Client, TransportError> {
        let unreachable = |error: ClientError| TransportError::Unreachable(error.to_string());
        let address = Address::tcp(peer.host.clone(), peer.port);
        let stream = Stream::connect(&address).await.map_err(|error| unreachable(error.into()))?;
        let mut client = Client::from_stream(stream).with_max_frame_len(MAX_REPLY_LEN);
        let (user, password) = sentinel_credentials(&self.local.read());
        if let Some(password) = password {
            let auth: Vec<String> = ["AUTH".to_owned()].into_iter().chain(user).chain([password]).collect();
            let reply = client.call(&auth).await.map_err(unreachable)?;
            if let Some(error) = reply.as_error() {
                return Err(TransportError::Unreachable(error.to_owned()));
            }
        }
        Ok(client)
    }

    async fn exchange(&self, peer: &PeerAddress, message: &Bytes) -> Result<Bytes, TransportError> {
        // A connection that the peer has closed meanwhile shows it before anything is sent.
        let kept = self.take(peer).filter(is_open);
        let mut client = match kept {
            Some(client) => client,
            None => self.connect(peer).await?,
        };
        let reply = client.call(&[b"SENTINEL", b"RAFT".as_slice(), message]).await;
        let reply = reply.map_err(|error| TransportError::Lost(error.to_string()))?;
        let bytes = match reply {
            Frame::Bulk(bytes) => bytes,
            Frame::Error(error) => return Err(TransportError::Unreachable(error)),
            other => return Err(TransportError::Lost(format!("unexpected reply {other:?}"))),
        };
        self.give_back(peer, client);
        Ok(bytes)
    }
}

/// Nothing is to be read on an idle connection, so whatever can be read is its end.
fn is_open(client: &Client) -> bool {
    let nothing = client.stream().try_read(&mut [0; 1]);
    matches!(nothing, Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
}

impl Transport for PeerTransport {
    fn call<'a>(&'a self, peer: &'a PeerAddress, message: Bytes, limit: Duration) -> TransportFuture<'a> {
        Box::pin(async move {
            let late = |_| Err(TransportError::Lost("no reply in time".to_owned()));
            timeout(limit, self.exchange(peer, &message)).await.unwrap_or_else(late)
        })
    }
}
