//! Listening sockets: bound before anything else starts, so that a taken port is an error and nothing more.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use redkeep_resp::net::{Accepted, Listener};
use tokio::sync::mpsc;

use crate::config::Settings;
use crate::engine::Engine;
use crate::error::ServerError;

const PROTECTED: &[u8] =
    b"-DENIED Redis is running in protected mode: no password is set for the default user, and this \
client is on another machine. Set 'requirepass', bind to addresses that only trusted clients reach, or turn \
'protected-mode' off.\r\n";

/// The sockets that a server listens on.
pub(crate) struct Listeners {
    sockets: Vec<Listener>,
    /// The TCP port in use, 0 where there is none.
    pub(crate) port: u16,
}

/// Binds everything that the configuration names. Must run on a runtime.
pub(crate) fn bind_all(settings: &Settings) -> Result<Listeners, ServerError> {
    let backlog = settings.tcp_backlog.clamp(0, i64::from(i32::MAX)) as u32;
    let mut sockets = Vec::new();
    let mut port = settings.port as u16;
    if settings.port != 0 || settings.unixsocket.is_empty() {
        for word in &settings.bind {
            let (optional, name) = word.strip_prefix('-').map_or((false, word.as_str()), |name| (true, name));
            for ip in addresses(name) {
                let address = SocketAddr::new(ip, port);
                match Listener::tcp(address, backlog) {
                    Ok(listener) => {
                        port = listener.local_addr().map_or(port, |bound| bound.port());
                        sockets.push(listener);
                    }
                    Err(source) if optional && source.kind() != std::io::ErrorKind::AddrInUse => {
                        tracing::debug!("not listening on {address}: {source}");
                    }
                    Err(source) => return Err(ServerError::Listen { address: address.to_string(), source }),
                }
            }
        }
    }
    if !settings.unixsocket.is_empty() {
        let mode = Some(settings.unixsocketperm).filter(|mode| *mode != 0);
        let listener = Listener::unix(Path::new(&settings.unixsocket), mode, backlog)
            .map_err(|source| ServerError::Listen { address: settings.unixsocket.clone(), source })?;
        sockets.push(listener);
    }
    Ok(Listeners { sockets, port })
}

/// The addresses that a word of `bind` stands for.
fn addresses(name: &str) -> Vec<IpAddr> {
    match name {
        "*" => vec![Ipv4Addr::UNSPECIFIED.into()],
        "::*" => vec![Ipv6Addr::UNSPECIFIED.into()],
        name => match name.parse() {
            Ok(ip) => vec![ip],
            Err(_) => std::net::ToSocketAddrs::to_socket_addrs(&(name, 0))
                .map(|found| found.map(|address| address.ip()).collect())
                .unwrap_or_default(),
        },
    }
}

/// Accepts on every socket and deals the connections out to the workers in turn.
pub(crate) fn accept_all(engine: &Arc<Engine>, listeners: Listeners, workers: &[mpsc::Sender<Accepted>]) {
    for listener in listeners.sockets {
        let (engine, workers) = (engine.clone(), workers.to_vec());
        tokio::spawn(async move { accept(&engine, listener, &workers).await });
    }
}

async fn accept(engine: &Engine, listener: Listener, workers: &[mpsc::Sender<Accepted>]) {
    for worker in workers.iter().cycle() {
        let accepted = loop {
            match listener.accept().await {
                Ok(accepted) if is_welcome(engine, &accepted) => break accepted,
                Ok(stranger) => {
                    if let Ok(stream) = stranger.into_stream() {
                        let _ = stream.try_write(PROTECTED);
                    }
                }
                Err(error) => {
                    // Out of file descriptors, most likely: those who wait stay in the kernel's queue.
                    tracing::warn!("accepting a connection failed: {error}");
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                }
            }
        };
        if worker.send(accepted).await.is_err() {
            return;
        }
    }
}

/// Protected mode: without a password only this machine's clients are served.
fn is_welcome(engine: &Engine, accepted: &Accepted) -> bool {
    let settings = engine.config.settings();
    !settings.protected_mode
        || !settings.requirepass.is_empty()
        || accepted.peer_ip().is_none_or(|ip| ip.is_loopback())
}
