//! Replication with itself and with Redis, in both directions, while writes go on.

use std::time::Duration;

use redkeep_tests::{Instance, Wire, needs, wait_until};
use rustix::process::Signal;

/// What a primary is told before a replica's first synchronisation is to be looked at.
const PRIMARY: &[&str] = &["--save", "", "--repl-diskless-sync-delay", "0", "--repl-backlog-size", "64mb"];

/// After the last write of a load, the last of its keys that are not to last expires within this time.
const LAST_EXPIRY: Duration = Duration::from_millis(1000);

/// Starts a replica of `primary`, with a program that takes redis-server's options.
fn replica(start: fn(&[&str]) -> Instance, primary: &Instance, more: &[&str]) -> Instance {
    let port = primary.port_text();
    start(&[&["--save", "", "--replicaof", "127.0.0.1", &port], more].concat())
}

/// Waits until `count` replicas have everything that was written, and says whether they have it in time.
#[track_caller]
fn expect_acknowledged(primary: &Instance, count: usize) {
    let mut wire = Wire::connect(primary.port());
    wire.send(format!("INCR acknowledged\r\nWAIT {count} 15000\r\n"));
    wire.line();
    assert_eq!(wire.line(), format!(":{count}"), "acknowledgements");
}

/// A replica joins while writes go on, its link is cut while writes go on, and in the end it holds what its primary
/// holds, with one full synchronisation and a partial one.
fn follows(primary: fn(&[&str]) -> Instance, follower: fn(&[&str]) -> Instance) {
    let primary = primary(PRIMARY);
    primary.cli(&["CONFIG", "SET", "repl-diskless-sync", "yes"]);
    let mut before = primary.load("before", &["--rounds", "300", "--keys", "400"]);
    assert!(before.wait().success());

    let mut during = primary.load("during", &["--seconds", "3"]);
    let mut same_keys = primary.load("before", &["--seconds", "3", "--keys", "400"]);
    let replica = replica(follower, &primary, &[]);
    replica.wait_for_link();
    during.expect_running();
    let full = primary.info()["sync_full"].clone();
    assert_eq!(full, "1");

    assert_ne!(primary.cli(&["CLIENT", "KILL", "TYPE", "replica"]), "0");
    primary.wait_for_info("sync_partial_ok", |count| count != "0");
    replica.wait_for_link();
    during.expect_running();
    assert!(during.wait().success() && same_keys.wait().success());

    expect_acknowledged(&primary, 1);
    assert_eq!(primary.info()["sync_full"], "1", "a short cut needs no full synchronisation");
    let expected = primary.contents();
    assert!(expected.keys() > 1000, "{}", expected.keys());
    replica.contents().expect_same(&expected);

    assert_eq!(replica.cli(&["SET", "k", "v"]), "READONLY You can't write against a read only replica.");
    let info = replica.info();
    assert_eq!((info["role"].as_str(), info["master_port"].clone()), ("slave", primary.port_text()));
    let primary_info = primary.info();
    assert_eq!(info["master_replid"], primary_info["master_replid"]);
    assert!(primary_info["slave0"].contains(&format!("port={},state=online", replica.port())));
}

#[test]
fn redkeep_follows_redis() {
    needs!("redis-cli", "redis-py", "redis-server");
    follows(Instance::redis, Instance::redkeep);
}

#[test]
fn redis_follows_redkeep() {
    needs!("redis-cli", "redis-py", "redis-server");
    follows(Instance::redkeep, Instance::redis);
}

#[test]
fn redkeep_follows_redkeep() {
    needs!("redis-cli", "redis-py");
    follows(Instance::redkeep, Instance::redkeep);
}

#[test]
fn replicas_of_replicas() {
    needs!("redis-cli", "redis-py", "redis-server");
    let first = Instance::redkeep(PRIMARY);
    first.fill("before");
    let second = replica(Instance::redkeep, &first, &[]);
    let mut load = first.load("during", &["--seconds", "3"]);
    second.wait_for_link();
    let third = replica(Instance::redis, &second, &[]);
    third.wait_for_link();
    let fourth = replica(Instance::redkeep, &third, &[]);
    fourth.wait_for_link();
    assert!(load.wait().success());
    expect_acknowledged(&first, 1);
    let end = first.info()["master_repl_offset"].clone();
    for server in [&second, &third, &fourth] {
        server.wait_for_info("slave_repl_offset", |offset| offset.parse::<u64>().ok() >= end.parse().ok());
    }
    let expected = first.contents();
    for server in [&second, &third, &fourth] {
        server.contents().expect_same(&expected);
    }
}

#[test]
fn roles_change_without_a_full_synchronisation() {
    needs!("redis-cli", "redis-py", "redis-server");
    // A primary that has written a ping or an expiry more than its successor could not continue as its replica.
    let first = Instance::redkeep(&[PRIMARY, &["--repl-ping-replica-period", "3600"]].concat());
    first.fill("a");
    let second = replica(Instance::redkeep, &first, &["--repl-diskless-sync-delay", "0"]);
    let third = replica(Instance::redis, &first, &[]);
    second.wait_for_link();
    third.wait_for_link();
    first.fill("b");
    std::thread::sleep(LAST_EXPIRY);
    expect_acknowledged(&first, 2);

    assert_eq!(second.cli(&["REPLICAOF", "NO", "ONE"]), "OK");
    let port = second.port_text();
    for server in [&first, &third] {
        assert_eq!(server.cli(&["REPLICAOF", "127.0.0.1", &port]), "OK");
    }
    first.wait_for_link();
    third.wait_for_link();
    second.fill("c");
    expect_acknowledged(&second, 2);
    let info = second.info();
    assert_eq!((info["sync_full"].as_str(), info["sync_partial_ok"].as_str()), ("0", "2"));
    assert_ne!(info["master_replid"], info["master_replid2"]);
    let expected = second.contents();
    first.contents().expect_same(&expected);
    third.contents().expect_same(&expected);
}

#[test]
fn a_replica_keeps_what_it_has_until_its_primary_is_back() {
    needs!("redis-cli", "redis-py");
    let mut primary = Instance::redkeep(PRIMARY);
    primary.fill("a");
    let replica = replica(Instance::redkeep, &primary, &[]);
    replica.wait_for_link();
    expect_acknowledged(&primary, 1);
    let before = replica.contents();

    primary.process.kill();
    replica.wait_for_info("master_link_status", |status| status == "down");
    replica.contents().expect_same(&before);
    // It comes back with nothing, and that is then the truth.
    primary.start_again();
    assert_eq!(primary.cli(&["SET", "new", "value"]), "OK");
    replica.wait_for_link();
    wait_until("the replica has what the primary has", || match replica.cli(&["DBSIZE"]).as_str() {
        "1" => Ok(()),
        other => Err(other.to_owned()),
    });
    assert_eq!(replica.cli(&["GET", "new"]), "value");
}

#[test]
fn writes_that_wait_for_replicas() {
    needs!("redis-cli");
    let password = ["--requirepass", "p", "--masterauth", "p"];
    let minimum = ["--min-replicas-to-write", "1", "--min-replicas-max-lag", "2"];
    let primary = Instance::redkeep(&[PRIMARY, &password, &minimum].concat());
    let mut wire = Wire::connect(primary.port());
    wire.send("AUTH p\r\nSET k v\r\nGET k\r\n");
    wire.expect("+OK\r\n-NOREPLICAS Not enough good replicas to write.\r\n$-1\r\n");

    let replica = replica(Instance::redkeep, &primary, &password);
    wait_until("a good replica", || {
        wire.send("SET k v\r\n");
        match wire.line().as_str() {
            "+OK" => Ok(()),
            other => Err(other.to_owned()),
        }
    });
    wire.send("SET k 1\r\nWAIT 1 10000\r\nWAIT 2 100\r\n");
    wire.expect("+OK\r\n:1\r\n:1\r\n");

    replica.process.pause();
    wire.send("SET k 2\r\nWAIT 1 200\r\n");
    wire.expect("+OK\r\n:0\r\n");
    // A replica that says nothing for longer than the maximum lag is not good.
    wait_until("writes are refused", || {
        wire.send("SET k 3\r\n");
        match wire.line().as_str() {
            "-NOREPLICAS Not enough good replicas to write." => Ok(()),
            other => Err(other.to_owned()),
        }
    });
    replica.process.signal(Signal::CONT);
    wire.send("WAIT 1 10000\r\n");
    wire.expect(":1\r\n");
}

/// Only the first of several writes to a database is preceded by SELECT in the stream: whoever joins or returns behind
/// it has to know.
#[test]
fn the_stream_goes_on_in_the_selected_database() {
    needs!("redis-cli", "redis-server");
    let primary = Instance::redkeep(PRIMARY);
    let ours = replica(Instance::redkeep, &primary, &["--repl-diskless-sync-delay", "0"]);
    let theirs = replica(Instance::redis, &primary, &[]);
    [&ours, &theirs].iter().for_each(|replica| replica.wait_for_link());
    let mut wire = Wire::connect(primary.port());
    wire.send("SELECT 5\r\nSET before 1\r\nWAIT 2 10000\r\n");
    wire.expect("+OK\r\n+OK\r\n:2\r\n");

    assert_eq!(primary.cli(&["CLIENT", "KILL", "TYPE", "replica"]), "2");
    primary.wait_for_info("sync_partial_ok", |count| count == "2");
    let below = [replica(Instance::redkeep, &ours, &[]), replica(Instance::redis, &ours, &[])];
    [&ours, &theirs, &below[0], &below[1]].iter().for_each(|replica| replica.wait_for_link());
    wire.send("SET after 1\r\nWAIT 2 10000\r\n");
    wire.expect("+OK\r\n:2\r\n");
    for replica in [&ours, &theirs, &below[0], &below[1]] {
        wait_until("the write is there", || match replica.cli(&["-n", "5", "GET", "after"]).as_str() {
            "1" => Ok(()),
            _ => Err(replica.cli(&["INFO", "keyspace"])),
        });
    }
}
