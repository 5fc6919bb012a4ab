//! What goes wrong in replication, and what ends: damaged snapshots, refused replicas, waiters of a role that is over.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;

use redkeep_tests::{Instance, PATIENCE, Wire, needs, run};

/// A primary that makes its snapshots at once.
const PRIMARY: &[&str] = &["--save", "", "--repl-diskless-sync-delay", "0"];

/// Answers the handshake of a replica up to its PSYNC, and returns the link and what it asked for.
fn shake_hands(listener: &TcpListener) -> (TcpStream, Vec<String>) {
    let (link, _) = listener.accept().expect("the replica connects");
    link.set_read_timeout(Some(PATIENCE)).expect("a timeout that is not zero");
    let mut input = BufReader::new(link.try_clone().expect("a second handle"));
    loop {
        let mut words = Vec::new();
        for _ in 0..count(&mut input, '*') {
            count(&mut input, '$');
            words.push(line(&mut input));
        }
        match words[0].to_uppercase().as_str() {
            "PSYNC" => return (link, words),
            "PING" => (&link).write_all(b"+PONG\r\n").expect("the replica reads"),
            _ => (&link).write_all(b"+OK\r\n").expect("the replica reads"),
        }
    }
}

fn line(input: &mut impl BufRead) -> String {
    let mut line = String::new();
    input.read_line(&mut line).expect("the replica goes on");
    line.trim_end().to_owned()
}

fn count(input: &mut impl BufRead, mark: char) -> usize {
    line(input).strip_prefix(mark).expect("a request").parse().expect("a number")
}

fn send_snapshot(mut link: &TcpStream, snapshot: &[u8]) {
    let id = "a".repeat(40);
    write!(link, "+FULLRESYNC {id} 100\r\n${}\r\n", snapshot.len()).expect("the replica reads");
    link.write_all(snapshot).expect("the replica reads");
}

#[test]
fn a_damaged_snapshot_leaves_nothing_to_continue_from() {
    needs!("redis-cli");
    let source = Instance::redkeep(&["--save", ""]);
    for i in 0..100 {
        source.cli(&["SET", &format!("k{i}"), "v"]);
    }
    assert_eq!(source.cli(&["SAVE"]), "OK");
    let whole = std::fs::read(source.path("dump.rdb")).expect("SAVE wrote it");
    let mut damaged = whole.clone();
    *damaged.last_mut().expect("it has a checksum") ^= 1;

    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("it is bound").port().to_string();
    let replica = Instance::redkeep(&["--save", ""]);
    assert_eq!(replica.cli(&["SET", "old", "v"]), "OK");
    replica.cli(&["REPLICAOF", "127.0.0.1", &port]);

    let (link, _) = shake_hands(&listener);
    send_snapshot(&link, &damaged);
    let (link, asked) = shake_hands(&listener);
    assert_eq!(asked, ["PSYNC", "?", "-1"]);
    assert_eq!(replica.cli(&["DBSIZE"]), "0", "half a data set is not served");
    assert_ne!(replica.info()["master_replid"], "a".repeat(40));

    send_snapshot(&link, &whole);
    replica.wait_for_link();
    assert_eq!(replica.cli(&["DBSIZE"]), "100");
    assert_eq!(replica.info()["master_replid"], "a".repeat(40));
}

#[test]
fn a_snapshot_alone_ends_with_its_last_byte() {
    needs!("redis-cli", "redis-check-rdb");
    let primary = Instance::redkeep(PRIMARY);
    for i in 0..100 {
        primary.cli(&["SET", &format!("k{i}"), &"v".repeat(10_000)]);
    }
    let path = primary.path("fetched.rdb");
    let mut fetch = Command::new("redis-cli");
    let (status, output) = run(fetch.args(["-p", &primary.port_text(), "--rdb"]).arg(&path));
    assert!(status.success(), "{output}");
    let (status, output) = run(Command::new("redis-check-rdb").arg(&path));
    assert!(status.success(), "{output}");
    assert!(output.contains("100 keys read"), "{output}");
    primary.wait_for_info("connected_slaves", |count| count == "0");
}

#[test]
fn a_replica_that_is_refused_is_sent_away() {
    let node = Instance::redkeep(&["--save", "", "--replicaof", "127.0.0.1", "1"]);
    let mut wire = Wire::connect(node.port());
    wire.send("PSYNC ? -1\r\n");
    assert_eq!(wire.read_to_end(), "-NOMASTERLINK Can't SYNC while not connected with my master\r\n");
}

#[test]
fn a_change_of_role_ends_what_waits_for_replicas() {
    needs!("redis-cli");
    let node = Instance::redkeep(&["--save", ""]);
    let mut wire = Wire::connect(node.port());
    wire.send("SET k v\r\nWAIT 1 0\r\n");
    wire.expect("+OK\r\n");
    node.wait_for_info("blocked_clients", |count| count == "1");
    assert_eq!(node.cli(&["REPLICAOF", "127.0.0.1", "1"]), "OK");
    assert_eq!(
        wire.line(),
        "-UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)"
    );
    assert_eq!(node.cli(&["REPLICAOF", "NO", "ONE"]), "OK");
}

#[test]
fn a_replica_that_floods_gets_its_stream() {
    needs!("redis-cli");
    let primary = Instance::redkeep(PRIMARY);
    let mut wire = Wire::connect(primary.port());
    wire.send("REPLCONF capa psync2\r\n");
    wire.expect("+OK\r\n");
    wire.send("PSYNC ? -1\r\n");
    let stream = wire.stream().try_clone().expect("a second handle");
    let flood = std::thread::spawn(move || {
        let batch = "REPLCONF ACK 1\r\n\r\n".repeat(1000);
        while (&stream).write_all(batch.as_bytes()).is_ok() {}
    });
    primary.wait_for_info("slave0", |state| state.contains("state=online"));
    primary.cli(&["SET", "the-last-key", "v"]);
    while wire.line() != "the-last-key" {}
    drop(wire.stream().shutdown(std::net::Shutdown::Both));
    flood.join().expect("it ends with the connection");
}

#[test]
fn a_snapshot_that_arrived_is_kept_although_its_primary_is_gone() {
    needs!("redis-cli");
    let source = Instance::redkeep(&["--save", ""]);
    source.cli(&["SET", "k", "v"]);
    assert_eq!(source.cli(&["SAVE"]), "OK");
    let snapshot = std::fs::read(source.path("dump.rdb")).expect("SAVE wrote it");

    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("it is bound").port().to_string();
    let replica = Instance::redkeep(&["--save", "", "--replicaof", "127.0.0.1", &port]);
    let (link, _) = shake_hands(&listener);
    send_snapshot(&link, &snapshot);
    drop(link);
    let (_link, asked) = shake_hands(&listener);
    assert_eq!(asked, ["PSYNC", &"a".repeat(40), "101"]);
    assert_eq!(replica.cli(&["GET", "k"]), "v");
}

#[test]
fn a_snapshot_whose_stream_is_in_a_database_that_is_not_there_is_refused() {
    needs!("redis-cli");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("it is bound").port().to_string();
    let replica = Instance::redkeep(&["--save", "", "--replicaof", "127.0.0.1", &port]);
    let (link, _) = shake_hands(&listener);
    send_snapshot(&link, b"REDIS0011\xfa\x0erepl-stream-db\x0216\xff\0\0\0\0\0\0\0\0");
    let (link, asked) = shake_hands(&listener);
    assert_eq!(asked, ["PSYNC", "?", "-1"]);
    send_snapshot(&link, b"REDIS0011\xfa\x0erepl-stream-db\x0215\xff\0\0\0\0\0\0\0\0");
    replica.wait_for_link();
}

#[test]
fn what_was_written_in_an_older_role_is_not_waited_for() {
    needs!("redis-cli");
    let node = Instance::redkeep(PRIMARY);
    let other = Instance::redkeep(PRIMARY);
    let port = node.port_text();
    let follower = Instance::redkeep(&["--save", "", "--replicaof", "127.0.0.1", &port]);
    follower.wait_for_link();
    let mut wire = Wire::connect(node.port());
    wire.send(format!("SET k {}\r\nWAIT 1 10000\r\n", "v".repeat(50_000)));
    wire.expect("+OK\r\n:1\r\n");

    // The history of the other primary is younger, and its offsets are smaller.
    node.cli(&["REPLICAOF", "127.0.0.1", &other.port_text()]);
    node.wait_for_link();
    node.cli(&["REPLICAOF", "NO", "ONE"]);
    follower.wait_for_link();
    node.wait_for_info("connected_slaves", |count| count == "1");
    wire.send("WAIT 1 10000\r\n");
    wire.expect(":1\r\n");
}

#[test]
fn a_replica_that_takes_no_snapshot_does_not_hold_the_log() {
    needs!("redis-cli");
    let primary = Instance::redkeep(PRIMARY);
    primary.cli(&["CONFIG", "SET", "client-output-buffer-limit", "replica 4mb 0 0"]);
    let mut writer = Wire::connect(primary.port());
    let big = "v".repeat(1_000_000);
    let mut write = |i: usize| {
        writer.send(format!("*3\r\n$3\r\nSET\r\n$3\r\nk{i:02}\r\n${}\r\n{big}\r\n", big.len()));
        writer.expect("+OK\r\n");
    };
    (0..32).for_each(&mut write);
    let mut wire = Wire::connect(primary.port());
    wire.send("REPLCONF capa eof\r\nPSYNC ? -1\r\n");
    primary.wait_for_info("slave0", |state| state.contains("state=send_bulk"));
    (0..8).for_each(&mut write);
    primary.wait_for_info("connected_slaves", |count| count == "0");
}
