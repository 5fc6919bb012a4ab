//! Where clients come in.
//!
//! A connection is accepted on one runtime and served on another: what [`Listener::accept`] returns is
//! bound to no runtime until [`Accepted::into_stream`] is called on the one that will serve it.

use super::Stream;
use socket2::{Domain, Protocol, Socket, Type};
use std::{
    fs, io,
    net::{IpAddr, SocketAddr, TcpStream as StdTcpStream},
    os::unix::{fs::PermissionsExt as _, net::UnixStream as StdUnixStream},
    path::{Path, PathBuf},
};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

/// A socket that accepts connections.
#[derive(Debug)]
pub struct Listener(Kind);

#[derive(Debug)]
enum Kind {
    Tcp(TcpListener),
    Unix { listener: UnixListener, path: PathBuf },
}

impl Listener {
    /// Listens on `address`; port 0 takes any free one. `backlog` bounds the connections that wait to be
    /// accepted. An IPv6 socket takes IPv6 only, so that `0.0.0.0` and `::` can stand side by side.
    ///
    /// # Errors
    /// When the address is taken, or not one of this machine. Must be called on a tokio runtime.
    pub fn tcp(address: SocketAddr, backlog: u32) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
        socket.set_nonblocking(true)?;
        Ok(Listener(Kind::Tcp(TcpListener::from_std(socket.into())?)))
    }

    /// Listens on a unix socket at `path`, in place of a file that an earlier process left there. `mode`
    /// is the file's, where one is configured: `unixsocketperm`. The file goes when the listener goes.
    ///
    /// # Errors
    /// When the file cannot be made. Must be called on a tokio runtime.
    pub fn unix(path: &Path, mode: Option<u32>, backlog: u32) -> io::Result<Self> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.bind(&socket2::SockAddr::unix(path)?)?;
        if let Some(mode) = mode {
            fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
        }
        socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
        socket.set_nonblocking(true)?;
        let listener = UnixListener::from_std(socket.into())?;
        Ok(Listener(Kind::Unix { listener, path: path.to_owned() }))
    }

    /// Where this listens; none for a unix socket.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        match &self.0 {
            Kind::Tcp(listener) => listener.local_addr().ok(),
            Kind::Unix { .. } => None,
        }
    }

    /// Waits for the next connection. Dropping the future loses none.
    ///
    /// # Errors
    /// When the connection was gone already, or the process has no file descriptor left; neither is the
    /// end of the listener.
    pub async fn accept(&self) -> io::Result<Accepted> {
        match &self.0 {
            Kind::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok(Accepted(AcceptedKind::Tcp(stream.into_std()?)))
            }
            Kind::Unix { listener, .. } => {
                let (stream, _) = listener.accept().await?;
                Ok(Accepted(AcceptedKind::Unix(stream.into_std()?)))
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Kind::Unix { path, .. } = &self.0 {
            // It may be gone already, which is all that is wanted.
            let _ = fs::remove_file(path);
        }
    }
}

/// A connection that no runtime serves yet.
#[derive(Debug)]
pub struct Accepted(AcceptedKind);

#[derive(Debug)]
enum AcceptedKind {
    Tcp(StdTcpStream),
    Unix(StdUnixStream),
}

impl Accepted {
    /// The peer's IP address; none over a unix socket, or when the peer is gone.
    pub fn peer_ip(&self) -> Option<IpAddr> {
        match &self.0 {
            AcceptedKind::Tcp(stream) => stream.peer_addr().ok().map(|address| address.ip().to_canonical()),
            AcceptedKind::Unix(_) => None,
        }
    }

    /// Hands the connection to the runtime that this is called on.
    ///
    /// # Errors
    /// When the runtime cannot watch one more.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn into_stream(self) -> io::Result<Stream> {
        match self.0 {
            AcceptedKind::Tcp(stream) => Ok(Stream::Tcp(TcpStream::from_std(stream)?)),
            AcceptedKind::Unix(stream) => Ok(Stream::Unix(UnixStream::from_std(stream)?)),
        }
    }
}
