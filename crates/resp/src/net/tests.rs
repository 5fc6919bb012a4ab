use super::*;
use crate::{
    Protocol,
    client::{Client, ClientError, encode_command},
    frame::Frame,
};
use std::{io, net::SocketAddr, os::unix::fs::PermissionsExt as _, thread, time::Duration};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// Runs a test on a runtime of its own.
fn block_on<F: Future>(test: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(test)
}

/// Accepts one connection and serves it on a runtime of its own: reads `request`, answers `reply`.
async fn serve_once(listener: Listener, request: Vec<u8>, reply: &'static [u8]) {
    let accepted = listener.accept().await.expect("a connection");
    thread::spawn(move || {
        block_on(async {
            let mut stream = accepted.into_stream().expect("a stream");
            let mut received = vec![0; request.len()];
            stream.read_exact(&mut received).await.expect("a request");
            assert_eq!(received, request);
            stream.write_all(reply).await.expect("sent");
        });
    });
}

fn command(args: &[&str]) -> Vec<u8> {
    let mut out = Vec::new();
    encode_command(&mut out, args);
    out
}

#[test]
fn addresses_print_as_they_are_read() {
    for text in ["127.0.0.1:6379", "localhost:1", "[::1]:65535", "/tmp/x.sock"] {
        assert_eq!(text.parse::<Address>().expect(text).to_string(), text);
    }
    assert_eq!("unix:x.sock".parse(), Ok(Address::Unix("x.sock".into())));
    for text in ["", "host", "host:", ":1", "host:65536", "host:+1", "::1:6379", "[::1:6379", "host:1x"] {
        assert!(text.parse::<Address>().is_err(), "{text:?}");
    }
}

#[test]
fn a_call_over_tcp_skips_pushes_and_keeps_the_rest() {
    block_on(async {
        let listener = Listener::tcp(LOOPBACK, 16).expect("a free port");
        let address = Address::from(listener.local_addr().expect("tcp"));
        let server = serve_once(
            listener,
            command(&["HELLO", "3"]),
            b">1\r\n+hi\r\n%1\r\n+proto\r\n:3\r\n+PONG\r\nrest",
        );
        let client = async {
            let mut client = Client::connect(&address).await.expect("connected");
            let reply = client.hello(Protocol::Resp3).await.expect("a reply");
            assert_eq!(reply, Frame::Map(vec![(Frame::Simple("proto".into()), Frame::Integer(3))]));
            assert_eq!(client.receive().await.expect("a reply"), Frame::Simple("PONG".into()));
            let (mut stream, mut rest) = client.into_parts();
            while stream.read_buf(&mut rest).await.expect("the rest") > 0 {}
            assert_eq!(&rest[..], b"rest");
        };
        tokio::join!(server, client);
    });
}

#[test]
fn a_pipeline_over_a_unix_socket() {
    block_on(async {
        let dir = std::env::temp_dir().join(format!("redkeep-resp-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a directory");
        let path = dir.join("server.sock");
        std::fs::write(&path, "left by an earlier process").expect("a file");
        let listener = Listener::unix(&path, Some(0o700), 16).expect("a socket");
        assert_eq!(std::fs::metadata(&path).expect("a socket").permissions().mode() & 0o777, 0o700);
        let request = [command(&["PING"]), command(&["GET", "k"])].concat();
        let client = async {
            let mut client = Client::connect(&Address::Unix(path.clone())).await.expect("connected");
            assert_eq!(client.stream().peer_addr(), format!("{}:0", path.display()));
            let replies = client.pipeline(&[&["PING"][..], &["GET", "k"]]).await.expect("replies");
            assert_eq!(replies, [Frame::Simple("PONG".into()), Frame::Null]);
            assert!(matches!(client.receive().await, Err(ClientError::Closed)));
        };
        tokio::join!(serve_once(listener, request, b"+PONG\r\n$-1\r\n"), client);
        assert!(!path.exists(), "the listener takes its file along");
        std::fs::remove_dir(&dir).expect("an empty directory");
    });
}

#[test]
fn a_taken_port_and_a_closed_one() {
    block_on(async {
        let listener = Listener::tcp(LOOPBACK, 1).expect("a free port");
        let taken = listener.local_addr().expect("tcp");
        let error = Listener::tcp(taken, 1).expect_err("taken");
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        drop(listener);
        let refused = Stream::connect(&taken.into()).await.expect_err("nobody listens");
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    });
}

#[test]
fn socket_options_are_taken() {
    block_on(async {
        let listener = Listener::tcp(LOOPBACK, 1).expect("a free port");
        let address = Address::from(listener.local_addr().expect("tcp"));
        let stream = Stream::connect_from(&address, Some(LOOPBACK.ip())).await.expect("connected");
        assert_eq!(stream.peer_addr(), address.to_string());
        stream.set_nodelay(true).expect("set");
        stream.set_keepalive(Some(Duration::from_secs(300))).expect("set");
        let socket = socket2::SockRef::from(&stream);
        assert_eq!(socket.tcp_keepalive_time().expect("read"), Duration::from_secs(300));
        assert_eq!(socket.tcp_keepalive_interval().expect("read"), Duration::from_secs(100));
        assert_eq!(socket.tcp_keepalive_retries().expect("read"), 3);
        stream.set_keepalive(None).expect("set");
        assert!(!socket.keepalive().expect("read"));
    });
}
