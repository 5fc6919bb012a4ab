//! What a command is refused by, waits for, and may not run across.

use std::time::Instant;

use redkeep_resp::RequestReader;
use redkeep_resp::client::encode_command;

use super::{Call, Executor, Flow, Next, Pass, resolve};
use crate::client::Client;
use crate::commands::Args;
use crate::config::Settings;
use crate::engine::{Engine, Host, policy};
use crate::repl::UpstreamCommand;
use crate::session::{Origin, Session};
use crate::testing::Harness;

fn words(line: &str) -> Vec<Vec<u8>> {
    line.split(' ').map(|word| word.as_bytes().to_vec()).collect()
}

fn alone() -> (std::sync::Arc<Engine>, Executor, Session) {
    let engine = Engine::new(Settings { io_threads: 1, ..Settings::default() }, None, 0, &Host::default());
    let client = Client::new(1, String::new(), String::new(), Instant::now());
    (engine.clone(), Executor::new(engine, 0), Session::new(client, Origin::Client, true))
}

/// Queues commands in a new transaction.
fn queue(server: &mut Harness, lines: &[&str]) {
    assert_eq!(server.run("MULTI"), "+OK");
    for line in lines {
        assert_eq!(server.run(line), "+QUEUED");
    }
}

#[test]
fn exec_is_refused_as_the_commands_would_be_that_it_executes() {
    let refusals = [
        (policy::READ_ONLY, "SET k v", "READONLY You can't write against a read only replica."),
        (policy::NO_REPLICAS, "SET k v", "NOREPLICAS Not enough good replicas to write."),
        (policy::LOADING, "GET k", "LOADING Redis is loading the dataset in memory"),
        (
            policy::STALE,
            "GET k",
            "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
        ),
    ];
    for (bit, line, why) in refusals {
        let mut server = Harness::new();
        server.run("WATCH k");
        queue(&mut server, &["TIME", line]);
        server.engine.set_policy(bit, true);
        assert_eq!(server.run("EXEC"), format!("-EXECABORT Transaction discarded because of: {why}"));
        assert_eq!(server.run("EXEC"), "-ERR EXEC without MULTI");
        server.engine.set_policy(bit, false);
        assert_eq!(server.run("EXISTS k"), ":0");
        // What was watched is forgotten, too.
        server.call("other", &words("SET k other"), false);
        queue(&mut server, &["GET k"]);
        assert_eq!(server.run("EXEC"), r#"["other"]"#);
    }
}

#[test]
fn exec_is_not_refused_for_what_it_does_not_do() {
    let mut server = Harness::new();
    queue(&mut server, &["GET k"]);
    server.engine.set_policy(policy::READ_ONLY | policy::NO_REPLICAS, true);
    assert_eq!(server.run("EXEC"), "[nil]");
    queue(&mut server, &["UNWATCH"]);
    server.engine.set_policy(policy::LOADING | policy::STALE, true);
    assert_eq!(server.run("EXEC"), "[+OK]");
}

#[test]
fn what_ends_or_suspends_a_connection_spoils_a_transaction() {
    for line in ["SAVE", "SHUTDOWN NOSAVE", "SYNC", "PSYNC ? -1"] {
        let mut server = Harness::new();
        queue(&mut server, &["SET k v"]);
        assert_eq!(server.run(line), "-ERR Command not allowed inside a transaction");
        assert_eq!(server.run("EXEC"), "-EXECABORT Transaction discarded because of previous errors.");
    }
}

#[test]
fn a_watched_key_whose_time_is_over_aborts_exec() {
    for removed in [false, true] {
        let mut server = Harness::new();
        server.set_now(1_000_000);
        server.run("SET k v PX 100");
        server.run("WATCH k");
        queue(&mut server, &["SET other v"]);
        server.set_now(1_000_200);
        if removed {
            server.call("other", &words("GET k"), false);
        }
        assert_eq!(server.run("EXEC"), "nil-array", "removed: {removed}");
    }
}

#[test]
fn a_key_that_was_expired_when_it_was_watched_may_go() {
    for removed in [false, true] {
        let mut server = Harness::new();
        server.set_now(1_000_000);
        server.run("SET k v PX 100");
        server.set_now(1_000_200);
        server.run("WATCH k");
        queue(&mut server, &["SET other v"]);
        if removed {
            server.call("other", &words("GET k"), false);
        }
        assert_eq!(server.run("EXEC"), "[+OK]", "removed: {removed}");
    }
}

#[test]
fn writes_wait_while_the_server_is_about_to_end() {
    let (engine, mut executor, mut session) = alone();
    let mut run = |line: &str| {
        let (mut request, mut out) = (Vec::new(), Vec::new());
        encode_command(&mut request, &words(line));
        let mut reader = RequestReader::default();
        let progress = executor.run(&engine, &mut session, &mut reader, &mut request, &mut out);
        assert!(matches!(progress.next, Next::AwaitWrites) == (progress.consumed == 0));
        String::from_utf8(out).expect("replies to these are text")
    };
    assert_eq!(run("MULTI"), "+OK\r\n");
    assert_eq!(run("SET k v"), "+QUEUED\r\n");
    engine.set_policy(policy::SHUTTING_DOWN, true);
    assert_eq!(run("EXEC"), "", "it waits");
    engine.set_policy(policy::SHUTTING_DOWN, false);
    assert_eq!(run("EXEC"), "*1\r\n+OK\r\n");
    engine.set_policy(policy::SHUTTING_DOWN, true);
    assert_eq!(run("GET k"), "$1\r\nv\r\n");
    assert_eq!(run("DEL k"), "", "it waits");
}

#[test]
fn what_a_transaction_did_before_it_changed_the_role_is_in_the_history_before() {
    let mut server = Harness::new();
    let mut upstream = server.engine.replication.take_queues().expect("they were not taken").upstream;
    queue(&mut server, &["SET a 1", "REPLICAOF 127.0.0.1 1", "SET b 2"]);
    assert_eq!(server.run("EXEC"), "[+OK, +OK, +OK]");
    let Ok(UpstreamCommand::Follow { own: Some(own), .. }) = upstream.try_recv() else {
        panic!("it follows nobody")
    };
    assert_eq!(own.offset, server.engine.log.end(), "nothing was logged under the new role");
    assert_eq!(server.effects(), ["SET a 1"]);
}

#[test]
fn a_command_does_not_run_under_another_role_than_it_was_admitted_under() {
    let (engine, mut executor, mut session) = alone();
    let mut request = Vec::new();
    encode_command(&mut request, &words("FLUSHALL"));
    let mut ranges = Vec::new();
    let parsed = RequestReader::default().next(&mut request, 0, &Default::default(), &mut ranges);
    assert!(parsed.is_ok());
    let args = Args::new(&request, &ranges);
    let call = Call { engine: &engine, command: resolve(args), key: None, args };
    let mut out = Vec::new();
    let mut pass: Pass<'_> = engine.keyspace.gate().enter(0);
    executor.refresh();
    engine.set_policy(policy::READ_ONLY, true);
    assert!(matches!(executor.execute(&mut session, &mut pass, call, &mut out), Flow::Park(Next::AwaitGate)));
    pass = engine.keyspace.gate().enter(0);
    executor.refresh();
    assert!(matches!(executor.execute(&mut session, &mut pass, call, &mut out), Flow::Continue));
    assert!(out.starts_with(b"-READONLY"));
}

#[test]
fn a_transaction_that_a_panic_left_open_gathers_nothing_more() {
    let (engine, mut executor, mut session) = alone();
    engine.log.activate();
    executor.begin_transaction();
    let before = engine.log.end();
    let mut request = Vec::new();
    encode_command(&mut request, &words("SET k v"));
    executor.run(&engine, &mut session, &mut RequestReader::default(), &mut request, &mut Vec::new());
    assert!(engine.log.end() > before);
}
