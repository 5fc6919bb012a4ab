//! What nobody should send or configure, and what is said about it.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use redkeep_tests::{Instance, Process, Wire, free_port, needs, redis_cli, redkeep, run, wait_until};

/// Runs `redkeep` with a configuration file of this text; it has to end with exit code 1. Returns what it printed.
#[track_caller]
fn refused(role: &str, text: &str) -> String {
    let dir = tempfile::tempdir().expect("there is a place for files");
    let file = dir.path().join("a.conf");
    fs::write(&file, text).expect("files can be written");
    refused_with(&[role, &file.to_string_lossy()], dir.path())
}

#[track_caller]
fn refused_with(args: &[&str], dir: &Path) -> String {
    let (status, printed) = run(Command::new(redkeep()).args(args).current_dir(dir));
    assert_eq!(status.code(), Some(1), "{printed}");
    printed
}

#[test]
fn a_configuration_that_cannot_be_followed() {
    for (line, reason) in [
        ("prot 7000", "Bad directive or wrong number of arguments"),
        ("port 7000 7001", "Bad directive or wrong number of arguments"),
        ("port 70000", "argument must be between 0 and 65535 inclusive"),
        ("port seven", "argument couldn't be parsed into an integer"),
        ("maxmemory lots", "argument must be a memory value"),
        ("save 60", "Invalid save parameters"),
        ("requirepass \"open", "Unbalanced quotes in configuration line"),
        ("appendonly yes", "append only file"),
    ] {
        let printed = refused("server", &format!("# A comment.\n\n{line}\n"));
        for part in ["*** FATAL CONFIG FILE ERROR (", "at line 3\n", &format!(">>> '{line}'\n"), reason] {
            assert!(printed.contains(part), "{line}: no {part:?} in {printed}");
        }
    }
}

#[test]
fn a_command_line_that_cannot_be_followed() {
    let dir = tempfile::tempdir().unwrap();
    let printed = refused_with(&["server", "--port", "seven"], dir.path());
    assert!(printed.contains("FATAL CONFIG FILE ERROR") && printed.contains("seven"), "{printed}");
    let printed = refused_with(&["server", "missing.conf"], dir.path());
    assert!(printed.contains("Fatal error, can't open config file 'missing.conf'"), "{printed}");
    let port = free_port().to_string();
    let printed = refused_with(&["server", "--port", &port, "--dir", "/nonexistent"], dir.path());
    assert!(printed.contains("/nonexistent"), "{printed}");
    let (status, printed) = run(Command::new(redkeep()).arg("sevrer"));
    assert!(status.code() == Some(2) && printed.contains("similar subcommand"), "{printed}");
}

#[test]
fn a_port_that_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let printed = refused_with(&["server", "--port", &port, "--bind", "127.0.0.1"], dir.path());
    assert!(printed.contains("Failed listening on port"), "{printed}");
}

#[test]
fn a_snapshot_file_that_is_damaged() {
    needs!("redis-cli");
    let mut server = Instance::redkeep(&["--save", "3600 1"]);
    for i in 0..50 {
        assert_eq!(server.cli(&["RPUSH", &format!("list:{i}"), "a", "b", &"c".repeat(100)]), "3");
    }
    assert!(server.process.terminate().success());
    let file = server.path("dump.rdb");
    let good = fs::read(&file).unwrap();
    let mut flipped = good.clone();
    flipped[good.len() / 2] ^= 0x20;
    for (what, bytes) in [
        ("half", &good[..good.len() / 2]),
        ("one bit", &flipped),
        ("another", b"not a snapshot"),
        ("none", b""),
    ] {
        fs::write(&file, bytes).unwrap();
        let port = free_port().to_string();
        let args = ["server", "--port", &port, "--bind", "127.0.0.1", "--save", "3600 1"];
        let printed = refused_with(&args, file.parent().unwrap());
        assert!(printed.contains("dump.rdb"), "{what}: {printed}");
        assert_eq!(fs::read(&file).unwrap(), bytes, "{what}: a file that cannot be read is left alone");
    }
    fs::write(&file, &good).unwrap();
    server.start_again();
    assert_eq!(server.cli(&["DBSIZE"]), "50");
}

#[test]
fn requests_that_are_none() {
    let server = Instance::redkeep(&["--save", ""]);
    let long = "x".repeat(70_000);
    for (bytes, reason) in [
        ("*1\r\nPING\r\n", "expected '$', got 'P'"),
        ("*1\r\n$x\r\n", "invalid bulk length"),
        ("*1\r\n$-1\r\n", "invalid bulk length"),
        ("*1\r\n$1000000000000\r\n", "invalid bulk length"),
        ("*1000000000000\r\n", "invalid multibulk length"),
        ("*x\r\n", "invalid multibulk length"),
        ("SET k \"open\r\n", "unbalanced quotes in request"),
        (&long, "too big inline request"),
        (&format!("*{long}"), "too big mbulk count string"),
        (&format!("*1\r\n${long}"), "too big bulk count string"),
    ] {
        let mut wire = Wire::connect(server.port());
        wire.send("PING\r\n");
        wire.expect("+PONG\r\n");
        wire.send(bytes);
        let shown = &bytes[..bytes.len().min(40)];
        let answer = wire.read_to_end();
        // What was not read when the server closed resets the connection, and then the text may be lost.
        let lost = answer.is_empty() && bytes.len() > 1000;
        assert!(lost || answer == format!("-ERR Protocol error: {reason}\r\n"), "{shown}: {answer}");
    }
}

#[test]
fn who_has_not_authenticated_cannot_make_the_server_wait_for_much() {
    let server = Instance::redkeep(&["--save", "", "--requirepass", "secret"]);
    for (bytes, reason) in [
        ("*11\r\n", "unauthenticated multibulk length"),
        ("*2\r\n$4\r\nAUTH\r\n$16385\r\n", "unauthenticated bulk length"),
    ] {
        let mut wire = Wire::connect(server.port());
        wire.send(bytes);
        assert_eq!(wire.read_to_end(), format!("-ERR Protocol error: {reason}\r\n"));
    }
    let mut wire = Wire::connect(server.port());
    wire.send("GET k\r\nAUTH wrong\r\nAUTH secret\r\nGET k\r\n");
    wire.expect("-NOAUTH Authentication required.\r\n");
    wire.expect("-WRONGPASS invalid username-password pair or user is disabled.\r\n+OK\r\n$-1\r\n");
    wire.send("*11\r\n$3\r\nDEL\r\n");
    wire.send("$1\r\nk\r\n".repeat(10));
    wire.expect(":0\r\n");
}

#[test]
fn announced_bytes_take_no_memory() {
    const CLIENTS: usize = 100;
    let server = Instance::redkeep(&["--save", ""]);
    let before = server.resident_bytes();
    // Fifty gigabytes are announced, and never sent.
    let announce = format!("*1000000\r\n$3\r\nSET\r\n$1\r\nk\r\n${}\r\nabc", 512 << 20);
    let mut wires: Vec<Wire> = (0..CLIENTS).map(|_| Wire::connect(server.port())).collect();
    wires.iter_mut().for_each(|wire| wire.send(&announce));
    let mut other = Wire::connect(server.port());
    std::thread::sleep(Duration::from_millis(200));
    other.send("PING\r\n");
    other.expect("+PONG\r\n");
    let grown = server.resident_bytes().saturating_sub(before);
    assert!(grown < 64 << 20, "{} MB", grown >> 20);
}

#[test]
fn a_sentinel_configuration_that_cannot_be_followed() {
    for (line, reason) in [
        ("sentinel monitor mymaster 127.0.0.1 6379", "Unrecognized sentinel configuration statement"),
        ("sentinel monitor mymaster 127.0.0.1 6379 0", "Quorum must be 1 or greater."),
        ("sentinel down-after-milliseconds nobody 1000", "No such master with specified name."),
        ("sentinel wach mymaster", "Unrecognized sentinel configuration statement"),
        ("prot 7000", "Bad directive or wrong number of arguments"),
    ] {
        let printed = refused("sentinel", &format!("# A comment.\n{line}\n"));
        for part in ["*** FATAL CONFIG FILE ERROR (", "at line 2\n", &format!(">>> '{line}'\n"), reason] {
            assert!(printed.contains(part), "{line}: no {part:?} in {printed}");
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let printed = refused_with(&["sentinel"], dir.path());
    assert!(printed.contains("Sentinel needs config file on disk to save state"), "{printed}");
}

#[test]
fn a_sentinel_whose_primary_is_not_there() {
    needs!("redis-cli");
    let dir = tempfile::tempdir().unwrap();
    let (port, nobody) = (free_port(), free_port());
    let file = dir.path().join("sentinel.conf");
    let text = format!(
        "port {port}\nbind 127.0.0.1\ndir {}\nsentinel monitor lost 127.0.0.1 {nobody} 1\n\
         sentinel down-after-milliseconds lost 300\n",
        dir.path().display()
    );
    fs::write(&file, text).unwrap();
    let mut command = Command::new(redkeep());
    let mut sentinel = Process::start(command.arg("sentinel").arg(&file), &dir.path().join("output.txt"));
    wait_until("it says that the primary is down", || {
        sentinel.expect_running();
        let master = redis_cli(port, &["SENTINEL", "MASTER", "lost"]);
        if master.contains("s_down") { Ok(()) } else { Err(master) }
    });
    let address = redis_cli(port, &["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "lost"]);
    assert_eq!(address, format!("127.0.0.1\n{nobody}"));
    assert_eq!(redis_cli(port, &["GET", "k"]).split_whitespace().next(), Some("ERR"));
    assert!(sentinel.terminate().success());
}
