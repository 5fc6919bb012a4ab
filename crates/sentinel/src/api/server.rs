//! Accepting clients.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use redkeep_resp::net::{Listener, Stream};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{Api, connection};

/// How long accepting rests after it failed, as it does when there are no file descriptors left.
const ACCEPT_PAUSE: std::time::Duration = std::time::Duration::from_millis(100);

/// Serves one listener until it is told to stop; its connections end with it.
pub(crate) async fn serve(api: Arc<Api>, listener: Listener, mut stop: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted.and_then(|accepted| accepted.into_stream()) {
                Ok(stream) => {
                    connections.spawn(admit(Arc::clone(&api), stream));
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a client");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
            _ = stop.changed() => return,
        }
    }
}

/// The end of a connection that `protected-mode` does not let in.
const DENIED: &[u8] =
    b"-DENIED Sentinel runs in protected mode: without a password it serves only clients on its own \
    machine. Set requirepass, or protected-mode no where the network itself is protected.\r\n";

fn is_denied(api: &Api, stream: &Stream) -> bool {
    let local = stream.peer_ip().is_none_or(|ip| ip.is_loopback());
    api.protected && !local && api.shared.local.read().requirepass.is_none()
}

async fn admit(api: Arc<Api>, mut stream: Stream) {
    api.statistics.connections.fetch_add(1, Ordering::Relaxed);
    if is_denied(&api, &stream) {
        api.statistics.rejected.fetch_add(1, Ordering::Relaxed);
        return drop(stream.write_all(DENIED).await);
    }
    match api.clients.enter(stream.peer_addr(), stream.local_addr()) {
        Some(client) => {
            let id = client.id;
            connection::run(&api, stream, client).await;
            api.clients.leave(id);
        }
        None => {
            api.statistics.rejected.fetch_add(1, Ordering::Relaxed);
            // It goes away in any case.
            drop(stream.write_all(b"-ERR max number of clients reached\r\n").await);
        }
    }
}
