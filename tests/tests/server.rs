//! A server, as clients and operators meet it.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::time::{Duration, Instant};

use redkeep_tests::{Instance, Process, Wire, free_port, needs, redis_cli, redkeep, run, wait_until};

#[test]
fn a_configuration_file_starts_a_server_that_redis_cli_talks_to() {
    needs!("redis-cli");
    let dir = tempfile::tempdir().unwrap();
    let (port, socket) = (free_port(), dir.path().join("redkeep.sock"));
    let file = dir.path().join("redis.conf");
    let text = format!(
        "# A comment.\nport {port}\nbind 127.0.0.1\ndir \"{}\"\nunixsocket {}\nunixsocketperm 700\n\
         maxmemory 100mb\nsave 3600 1 300 100\nlogfile log.txt\nhash-max-ziplist-entries 4\n",
        dir.path().display(),
        socket.display()
    );
    fs::write(&file, text).unwrap();
    // What the command line says wins over the file.
    let mut command = Command::new(redkeep());
    command.arg("server").arg(&file).args(["--maxmemory", "200mb", "--requirepass", "a b"]);
    let mut process = Process::start(&mut command, &dir.path().join("output.txt"));
    wait_until("an answer", || match redis_cli(port, &["PING"]) {
        answer if answer.starts_with("NOAUTH") => Ok(()),
        other => Err(other),
    });

    let cli = |args: &[&str]| redis_cli(port, &[&["--no-auth-warning", "-a", "a b"], args].concat());
    assert_eq!(cli(&["CONFIG", "GET", "maxmemory"]), "maxmemory\n209715200");
    assert_eq!(cli(&["CONFIG", "GET", "save"]), "save\n3600 1 300 100");
    assert_eq!(cli(&["CONFIG", "GET", "hash-max-listpack-entries"]), "hash-max-listpack-entries\n4");
    assert_eq!(cli(&["SET", "k", "with \r\n and \"quotes\""]), "OK");
    assert_eq!(cli(&["HSET", "h", "f", "v"]), "1");
    assert_eq!(cli(&["--no-raw", "HGETALL", "h"]), "1) \"f\"\n2) \"v\"");
    assert_eq!(cli(&["--no-raw", "-3", "HGETALL", "h"]), "1# \"f\" => \"v\"");
    assert_eq!(cli(&["--no-raw", "GET", "none"]), "(nil)");
    assert_eq!(cli(&["--no-raw", "HSET", "h"]), "(error) ERR wrong number of arguments for 'hset' command");

    let socket = socket.to_string_lossy();
    let (status, printed) =
        run(Command::new("redis-cli").args(["--no-auth-warning", "-a", "a b", "-s", &socket, "EXISTS", "k"]));
    assert!(status.success() && printed == "1\n", "{printed}");

    assert_eq!(cli(&["CONFIG", "SET", "maxmemory", "300mb"]), "OK");
    assert_eq!(cli(&["CONFIG", "REWRITE"]), "OK");
    assert!(process.terminate().success());
    let log = fs::read_to_string(dir.path().join("log.txt")).unwrap();
    assert!(log.contains("Ready to accept connections") && log.contains("bye bye"), "{log}");

    let rewritten = fs::read_to_string(&file).unwrap();
    assert!(rewritten.starts_with("# A comment.\n"), "{rewritten}");
    let mut command = Command::new(redkeep());
    let _again = Process::start(command.arg("server").arg(&file), &dir.path().join("output.txt"));
    wait_until("what the rewritten file says", || match cli(&["CONFIG", "GET", "maxmemory"]).as_str() {
        "maxmemory\n314572800" => Ok(()),
        other => Err(other.to_owned()),
    });
    assert_eq!(cli(&["EXISTS", "k", "h"]), "2");
}

#[test]
fn under_the_name_redis_server_it_takes_its_place() {
    needs!("redis-cli");
    let dir = tempfile::tempdir().unwrap();
    let link = dir.path().join("redis-server");
    symlink(redkeep(), &link).unwrap();
    let (status, version) = run(Command::new(&link).arg("--version"));
    assert!(status.success() && version.starts_with("Redis server v=7."), "{version}");

    let options = ["--save", "", "--maxmemory 1gb", "--appendonly", "no", "--io-threads", "1"];
    let mut server = Instance::start(&[&link.to_string_lossy()], &options);
    assert_eq!(server.cli(&["CONFIG", "GET", "maxmemory"]), "maxmemory\n1073741824");
    let info = server.info();
    for (field, expected) in [
        ("redis_mode", "standalone"),
        ("process_id", &server.process.pid().to_string()),
        ("tcp_port", &server.port_text()),
        ("role", "master"),
        ("connected_slaves", "0"),
        ("maxmemory", "1073741824"),
        ("io_threads_active", "1"),
        ("loading", "0"),
        ("aof_enabled", "0"),
        ("rdb_last_bgsave_status", "ok"),
    ] {
        assert_eq!(info.get(field).map(String::as_str), Some(expected), "{field}");
    }
    for field in ["run_id", "master_replid"] {
        assert!(
            info[field].len() == 40 && info[field].bytes().all(|byte| byte.is_ascii_hexdigit()),
            "{field}"
        );
    }
    assert!(info["used_memory"].parse::<u64>().unwrap() > 0);
    assert!(server.process.terminate().success());
    assert!(!server.path("dump.rdb").exists(), "without save points nothing is saved");
}

/// Load of the usual kinds from a load generator that stops at the first error reply.
fn benchmark(io_threads: &str) {
    needs!("redis-benchmark", "redis-cli");
    let server = Instance::redkeep(&["--save", "", "--io-threads", io_threads]);
    let (status, printed) = run(Command::new("redis-benchmark").args(["-p", &server.port_text()]).args([
        "-e",
        "-q",
        "-P",
        "16",
        "-c",
        "40",
        "-n",
        "8000",
        "-r",
        "1000",
        "-t",
        "set,get,incr,lpush,rpop,sadd,hset,zadd,lrange,mset",
    ]));
    assert!(status.success() && !printed.contains("ERR") && !printed.contains("WRONGTYPE"), "{printed}");
    for name in ["SET", "ZADD", "LRANGE_600", "MSET (10 keys)"] {
        assert!(
            printed.contains(&format!("{name}: ")) || printed.contains(&format!("{name} (")),
            "{printed}"
        );
    }
    assert_eq!(server.cli(&["LLEN", "mylist"]), "8000");
    let info = server.info();
    assert_eq!(info["total_error_replies"], "0");
    assert!(info["total_commands_processed"].parse().is_ok_and(|count: u64| count > 80_000));
}

#[test]
fn redis_benchmark_finds_no_error_with_one_worker() {
    benchmark("1");
}

#[test]
fn redis_benchmark_finds_no_error_with_four_workers() {
    benchmark("4");
}

#[test]
fn requests_typed_by_hand() {
    let server = Instance::redkeep(&["--save", ""]);
    let mut wire = Wire::connect(server.port());
    wire.send("\r\nSET  greeting \"good \\x6dorning\\n\"\r\nget greeting\n   \r\nGET 'greeting'\r\n");
    wire.expect("+OK\r\n$13\r\ngood morning\n\r\n$13\r\ngood morning\n\r\n");
    wire.send("*1\r\n$4\r\nPING\r\nPING again\r\n*0\r\nQUIT\r\nPING\r\n");
    assert_eq!(wire.read_to_end(), "+PONG\r\n$5\r\nagain\r\n+OK\r\n");
}

#[test]
fn ten_thousand_commands_cut_anywhere() {
    const COMMANDS: usize = 10_000;
    let server = Instance::redkeep(&["--save", "", "--io-threads", "2"]);
    let (mut requests, mut replies) = (Vec::new(), Vec::new());
    for i in 0..COMMANDS {
        let (key, value) = (format!("key:{}", i % 97), "v".repeat(i % 211));
        match i % 3 {
            0 => {
                requests.extend(
                    format!("*3\r\n$3\r\nSET\r\n${}\r\n{key}\r\n${}\r\n{value}\r\n", key.len(), value.len())
                        .bytes(),
                );
                replies.extend(b"+OK\r\n");
            }
            1 => {
                requests.extend(format!("*2\r\n$4\r\nECHO\r\n${}\r\n{value}\r\n", value.len()).bytes());
                replies.extend(format!("${}\r\n{value}\r\n", value.len()).bytes());
            }
            _ => {
                requests.extend(b"INCR counter\r\n");
                replies.extend(format!(":{}\r\n", i / 3 + 1).bytes());
            }
        }
    }
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut wire = Wire::connect(server.port());
    let mut writer = wire.stream().try_clone().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut rest = &requests[..];
            while !rest.is_empty() {
                let longest = [1, 7, 100, 5000, 70_000][random.usize(..5)];
                let (piece, after) = rest.split_at(random.usize(1..=longest).min(rest.len()));
                std::io::Write::write_all(&mut writer, piece).unwrap();
                rest = after;
            }
        });
        wire.expect(&replies);
    });
}

#[test]
fn a_thousand_clients_and_one_too_many() {
    const CLIENTS: usize = 1000;
    needs!("redis-cli");
    let server = Instance::redkeep(&["--save", "", "--maxclients", "1000", "--io-threads", "4"]);
    wait_until("no other client", || match server.info()["connected_clients"].as_str() {
        "1" => Ok(()),
        other => Err(other.to_owned()),
    });
    let mut wires: Vec<Wire> =
        std::iter::repeat_with(|| Wire::connect(server.port())).take(CLIENTS).collect();
    for (i, wire) in wires.iter_mut().enumerate() {
        wire.send(format!("SET client:{i} {i}\r\nGET client:{i}\r\n"));
    }
    for (i, wire) in wires.iter_mut().enumerate() {
        let text = i.to_string();
        wire.expect(format!("+OK\r\n${}\r\n{text}\r\n", text.len()));
    }
    let refused = Wire::connect(server.port()).read_to_end();
    assert_eq!(refused, "-ERR max number of clients reached\r\n");
    drop(wires);
    wait_until("the clients are gone", || match redis_cli(server.port(), &["DBSIZE"]).as_str() {
        "1000" => Ok(()),
        other => Err(other.to_owned()),
    });
    server.wait_for_info("connected_clients", |clients| clients == "1");
    assert_eq!(server.info()["rejected_connections"], "1");
}

/// More than a server without bounds would hold back for a client that asks and does not read.
const TOO_MUCH: u64 = 200 << 20;

#[test]
fn a_client_that_does_not_read_is_not_served_without_bound() {
    needs!("redis-cli");
    let server = Instance::redkeep(&["--save", "", "--io-threads", "1"]);
    let mut wire = Wire::connect(server.port());
    let value = "x".repeat(1 << 20);
    wire.send(format!("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n${}\r\n{value}\r\n", value.len()));
    wire.expect("+OK\r\n");

    // Ten gigabytes, ordered in less than what one read takes.
    wire.send("GET k\r\n".repeat(10_000));
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(1500) {
        let resident = server.resident_bytes();
        assert!(resident < TOO_MUCH, "{} MB wait for a client that does not read", resident >> 20);
        std::thread::sleep(Duration::from_millis(10));
    }
    // The worker goes on with others, and with this client as soon as it reads.
    assert_eq!(server.cli(&["PING"]), "PONG");
    let reply = format!("${}\r\n{value}\r\n", value.len());
    for _ in 0..20 {
        wire.expect(&reply);
    }
    assert!(server.resident_bytes() < TOO_MUCH);
}

#[test]
fn a_subscriber_that_does_not_read_is_disconnected() {
    needs!("redis-cli");
    let limit = ["--client-output-buffer-limit", "pubsub 8mb 2mb 60"];
    let server = Instance::redkeep(&[&["--save", ""], &limit[..]].concat());
    let mut deaf = Wire::connect(server.port());
    deaf.send("SUBSCRIBE news\r\n");
    deaf.expect("*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n");
    let mut publisher = Wire::connect(server.port());
    let message = "n".repeat(1 << 20);
    let publish = format!("*3\r\n$7\r\nPUBLISH\r\n$4\r\nnews\r\n${}\r\n{message}\r\n", message.len());
    let mut answers = Vec::new();
    for _ in 0..64 {
        publisher.send(&publish);
        answers.push(publisher.line());
        if answers.ends_with(&[":0".to_owned()]) {
            break;
        }
    }
    assert_eq!(
        (answers[0].as_str(), answers[answers.len() - 1].as_str()),
        (":1", ":0"),
        "receivers: {answers:?}"
    );
    assert!(server.resident_bytes() < TOO_MUCH);
    deaf.read_to_end();
}

#[test]
fn what_was_saved_at_the_end_is_there_at_the_start() {
    needs!("redis-cli", "redis-py");
    let mut server = Instance::redkeep(&["--save", "3600 1"]);
    server.fill("a");
    let before = server.contents();
    assert!(before.keys() > 100);
    assert!(server.process.terminate().success());
    server.start_again();
    server.contents().expect_same(&before);
    assert_eq!(server.info()["rdb_changes_since_last_save"], "0");
}

#[test]
fn redis_and_redkeep_read_each_others_files() {
    needs!("redis-cli", "redis-py", "redis-server");
    let mut ours = Instance::redkeep(&["--save", "3600 1"]);
    ours.fill("b");
    let expected = ours.contents();
    assert!(ours.process.terminate().success());

    let dir = tempfile::tempdir().unwrap();
    fs::copy(ours.path("dump.rdb"), dir.path().join("dump.rdb")).unwrap();
    let mut theirs = Instance::start_in(dir, &["redis-server"], &["--save", "3600 1"]);
    theirs.contents().expect_same(&expected);
    theirs.fill("c");
    let expected = theirs.contents();
    assert!(theirs.process.terminate().success());

    fs::copy(theirs.path("dump.rdb"), ours.path("dump.rdb")).unwrap();
    ours.start_again();
    ours.contents().expect_same(&expected);
}

#[test]
fn a_kill_at_any_moment_leaves_the_last_snapshot() {
    needs!("redis-cli", "redis-py");
    let mut server = Instance::redkeep(&["--save", "", "--rdbcompression", "no"]);
    server.fill("d");
    // Large enough that a kill meets a snapshot half written.
    let mut wire = Wire::connect(server.port());
    let value = "y".repeat(1 << 20);
    for i in 0..16 {
        wire.send(format!("*3\r\n$3\r\nSET\r\n$6\r\nbig:{i:02}\r\n${}\r\n{value}\r\n", value.len()));
        wire.expect("+OK\r\n");
    }
    assert_eq!(server.cli(&["SAVE"]), "OK");
    let mut saved = server.contents();
    for pause_ms in [0, 15, 60] {
        assert_eq!(server.cli(&["SET", "generation", &pause_ms.to_string()]), "OK");
        let changed = server.contents();
        assert!(server.cli(&["BGSAVE"]).starts_with("Background saving"));
        std::thread::sleep(Duration::from_millis(pause_ms));
        server.process.kill();
        server.start_again();
        let found = server.contents();
        if found != changed {
            found.expect_same(&saved);
        }
        saved = found;
    }
}
