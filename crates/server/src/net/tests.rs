//! Connections that end at awkward moments, over real sockets.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::Server;
use crate::config::{Settings, parse_lines};
use crate::engine::policy;

/// How long something may take that should happen soon.
const PATIENCE: Duration = Duration::from_secs(10);

/// Long enough for a connection to notice what came.
const MOMENT: Duration = Duration::from_millis(50);

fn start(folder: &std::path::Path) -> Server {
    let mut settings = Settings { io_threads: 1, dir: folder.display().to_string(), ..Settings::default() };
    parse_lines(&mut settings, "port 0\nbind 127.0.0.1\nsave \"\"").expect("these are settings");
    Server::builder(settings).start().expect("it starts")
}

async fn connect(server: &Server) -> TcpStream {
    TcpStream::connect(("127.0.0.1", server.port())).await.expect("it listens")
}

async fn send(stream: &mut TcpStream, lines: &str) {
    stream.write_all(lines.as_bytes()).await.expect("it is connected");
}

async fn expect(stream: &mut TcpStream, reply: &str) {
    let mut got = vec![0; reply.len()];
    let read = tokio::time::timeout(PATIENCE, stream.read_exact(&mut got)).await;
    read.expect("it replies").expect("it is connected");
    assert_eq!(String::from_utf8_lossy(&got), reply);
}

async fn wait_until(condition: impl Fn() -> bool) {
    let waited = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waited).await.expect("it comes to pass");
}

#[tokio::test]
async fn requests_that_came_before_the_end_are_executed() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = start(folder.path());
    let engine = server.engine();
    let claim = engine.claim().await;
    let mut client = connect(&server).await;
    send(&mut client, "SET a 1\r\nSET b 2\r\n").await;
    tokio::time::sleep(MOMENT).await;
    drop(client);
    tokio::time::sleep(MOMENT).await;
    engine.release(claim);
    let mut other = connect(&server).await;
    wait_until(|| engine.clients.len() == 1).await;
    send(&mut other, "DBSIZE\r\n").await;
    expect(&mut other, ":2\r\n").await;
}

#[tokio::test]
async fn a_shutdown_goes_on_without_its_client_and_writes_wait_for_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = start(folder.path());
    let engine = server.engine();
    let snapshot = engine.snapshots.lock().await;
    let mut writer = connect(&server).await;
    send(&mut writer, "SET a 1\r\n").await;
    expect(&mut writer, "+OK\r\n").await;
    let mut client = connect(&server).await;
    send(&mut client, "SHUTDOWN SAVE\r\n").await;
    wait_until(|| engine.policy.load(Ordering::Acquire) & policy::SHUTTING_DOWN != 0).await;
    drop(client);
    send(&mut writer, "GET a\r\nSET a 2\r\n").await;
    expect(&mut writer, "$1\r\n1\r\n").await;
    assert!(tokio::time::timeout(MOMENT, writer.read_u8()).await.is_err(), "the write waits");
    drop(snapshot);
    tokio::time::timeout(PATIENCE, server.stopped()).await.expect("it ends");
    assert!(folder.path().join("dump.rdb").exists());
    assert!(writer.read_u8().await.is_err(), "nothing was acknowledged that is not in the file");
}

#[tokio::test]
async fn writes_that_waited_are_executed_when_a_shutdown_fails() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = start(folder.path());
    let snapshot = server.engine().snapshots.lock().await;
    let mut client = connect(&server).await;
    send(&mut client, "SHUTDOWN SAVE\r\n").await;
    wait_until(|| server.engine().policy.load(Ordering::Acquire) & policy::SHUTTING_DOWN != 0).await;
    let mut writer = connect(&server).await;
    send(&mut writer, "SET a 1\r\n").await;
    tokio::time::sleep(MOMENT).await;
    drop(folder);
    drop(snapshot);
    expect(&mut client, "-ERR Errors trying to SHUTDOWN. Check logs.\r\n").await;
    expect(&mut writer, "+OK\r\n").await;
}

#[tokio::test]
async fn a_client_that_reads_nothing_can_be_closed_after_it_quit() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = start(folder.path());
    let engine = server.engine();
    let mut client = connect(&server).await;
    send(&mut client, "SETRANGE k 16777215 x\r\n").await;
    expect(&mut client, ":16777216\r\n").await;
    send(&mut client, "GET k\r\nGET k\r\nQUIT\r\n").await;
    tokio::time::sleep(MOMENT).await;
    let known = engine.clients.list();
    assert_eq!(known.len(), 1, "it has not taken its replies");
    known[0].close();
    wait_until(|| engine.clients.is_empty()).await;
}
