//! A connection, whatever it runs over.

use super::Address;
use socket2::{SockRef, TcpKeepalive};
use std::{
    io,
    net::{IpAddr, SocketAddr},
    os::fd::{AsFd, BorrowedFd},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpSocket, TcpStream, UnixStream},
};

/// A connection over TCP or a unix socket.
#[derive(Debug)]
pub enum Stream {
    /// Over TCP, with Nagle's delay off.
    Tcp(TcpStream),
    /// Over a unix socket.
    Unix(UnixStream),
}

impl Stream {
    /// Connects to `address`, trying each IP address that a name stands for.
    ///
    /// # Errors
    /// When the name is unknown, or none of its addresses can be reached.
    pub async fn connect(address: &Address) -> io::Result<Self> {
        Stream::connect_from(address, None).await
    }

    /// Connects to `address` from the local address `source`, where one is configured. For a unix socket
    /// `source` means nothing.
    ///
    /// # Errors
    /// As [`connect`](Self::connect), and when `source` is no address of this machine.
    pub async fn connect_from(address: &Address, source: Option<IpAddr>) -> io::Result<Self> {
        match (address, source) {
            (Address::Unix(path), _) => Ok(Stream::Unix(UnixStream::connect(path).await?)),
            (Address::Tcp { host, port }, None) => {
                Stream::from_tcp(TcpStream::connect((host.as_str(), *port)).await?)
            }
            (Address::Tcp { host, port }, Some(source)) => {
                Stream::from_tcp(connect_bound(host, *port, source).await?)
            }
        }
    }

    fn from_tcp(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Stream::Tcp(stream))
    }

    /// Writes what the kernel takes at once, and returns how much that was.
    ///
    /// # Errors
    /// `WouldBlock` when it takes nothing now; anything else when the connection is broken.
    #[inline]
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.try_write(bytes),
            Stream::Unix(stream) => stream.try_write(bytes),
        }
    }

    /// Reads what has arrived, without waiting.
    ///
    /// # Errors
    /// `WouldBlock` when nothing has arrived; anything else when the connection is broken.
    #[inline]
    pub fn try_read(&self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.try_read(bytes),
            Stream::Unix(stream) => stream.try_read(bytes),
        }
    }

    /// Waits until [`try_write`](Self::try_write) may take something.
    ///
    /// # Errors
    /// When the runtime is shutting down.
    pub async fn writable(&self) -> io::Result<()> {
        match self {
            Stream::Tcp(stream) => stream.writable().await,
            Stream::Unix(stream) => stream.writable().await,
        }
    }

    /// Waits until there is something to read, or the peer has closed.
    ///
    /// # Errors
    /// When the runtime is shutting down.
    pub async fn readable(&self) -> io::Result<()> {
        match self {
            Stream::Tcp(stream) => stream.readable().await,
            Stream::Unix(stream) => stream.readable().await,
        }
    }

    /// The peer, as CLIENT LIST shows it: `ip:port`, or the socket's path and port 0.
    pub fn peer_addr(&self) -> String {
        match self {
            Stream::Tcp(stream) => shown(stream.peer_addr()),
            // The connecting side of a unix socket has no name; the one it connected to has.
            Stream::Unix(stream) => shown_unix(stream.local_addr(), stream.peer_addr()),
        }
    }

    /// This side, as CLIENT LIST shows it.
    pub fn local_addr(&self) -> String {
        match self {
            Stream::Tcp(stream) => shown(stream.local_addr()),
            Stream::Unix(stream) => shown_unix(stream.local_addr(), stream.peer_addr()),
        }
    }

    /// The IP address of the peer; none over a unix socket.
    pub fn peer_ip(&self) -> Option<IpAddr> {
        self.peer_socket_addr().map(|address| address.ip())
    }

    /// The IP address of this side; none over a unix socket.
    pub fn local_ip(&self) -> Option<IpAddr> {
        match self {
            Stream::Tcp(stream) => stream.local_addr().ok().map(|address| canonical(address).ip()),
            Stream::Unix(_) => None,
        }
    }

    fn peer_socket_addr(&self) -> Option<SocketAddr> {
        match self {
            Stream::Tcp(stream) => stream.peer_addr().ok().map(canonical),
            Stream::Unix(_) => None,
        }
    }

    /// Sends small writes at once (`true`, as every new connection does) or gathers them.
    ///
    /// # Errors
    /// When the connection is broken.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        match self {
            Stream::Tcp(stream) => stream.set_nodelay(nodelay),
            Stream::Unix(_) => Ok(()),
        }
    }

    /// Lets the kernel probe a silent peer after `idle`, then three times at a third of it, and close the
    /// connection when it stays silent: `tcp-keepalive`. `None` turns that off.
    ///
    /// # Errors
    /// When the connection is broken.
    pub fn set_keepalive(&self, idle: Option<Duration>) -> io::Result<()> {
        const PROBES: u32 = 3;
        let Stream::Tcp(stream) = self else {
            return Ok(());
        };
        let socket = SockRef::from(stream);
        let Some(idle) = idle else {
            return socket.set_keepalive(false);
        };
        let between = (idle / PROBES).max(Duration::from_secs(1));
        let keepalive = TcpKeepalive::new().with_time(idle).with_interval(between).with_retries(PROBES);
        socket.set_tcp_keepalive(&keepalive)
    }
}

async fn connect_bound(host: &str, port: u16, source: IpAddr) -> io::Result<TcpStream> {
    let mut failed = None;
    for address in tokio::net::lookup_host((host, port)).await? {
        if address.is_ipv4() != source.is_ipv4() {
            continue;
        }
        let socket = if source.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.bind(SocketAddr::new(source, 0))?;
        match socket.connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => failed = Some(error),
        }
    }
    Err(failed.unwrap_or_else(|| {
        io::Error::new(
            io::ErrorKind::AddrNotAvailable,
            format!("{host} has no address to reach from {source}"),
        )
    }))
}

/// An IPv4 peer of a socket that listens on both is shown as IPv4.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

fn shown(address: io::Result<SocketAddr>) -> String {
    // Redis writes IPv6 addresses with brackets, as we do, and an unknown peer like this.
    address.map_or_else(|_| "?:0".to_owned(), |address| canonical(address).to_string())
}

type UnixAddr = io::Result<tokio::net::unix::SocketAddr>;

fn shown_unix(local: UnixAddr, peer: UnixAddr) -> String {
    let path =
        [local, peer].into_iter().flatten().find_map(|address| address.as_pathname().map(ToOwned::to_owned));
    path.map_or_else(|| "?:0".to_owned(), |path| format!("{}:0", path.display()))
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Stream::Tcp(stream) => stream.as_fd(),
            Stream::Unix(stream) => stream.as_fd(),
        }
    }
}

impl AsyncRead for Stream {
    #[inline]
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Stream::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    #[inline]
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Stream::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Sockets hold nothing back.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
