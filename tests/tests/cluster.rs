//! A whole cluster, started as a user starts it, and what it survives.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use redkeep_tests::{
    Cluster, Contents, Process, cluster_ports, free_port, needs, python, redis_cli, redkeep, run, wait_until,
};

/// A redis-py client that writes through the sentinels.
fn writer(cluster: &Cluster, dir: &Path) -> Process {
    let ports: Vec<String> = cluster.sentinels.iter().map(u16::to_string).collect();
    let mut writer = python("failover.py", &["--sentinels", &ports.join(",")], &dir.join("writer.txt"));
    writer.wait_for_output("writing");
    writer
}

#[track_caller]
fn status(cluster: &Cluster) -> (Option<i32>, String) {
    let sentinels =
        cluster.sentinels.iter().flat_map(|port| ["--sentinel".into(), format!("127.0.0.1:{port}")]);
    let (status, printed) = run(Command::new(redkeep()).arg("status").args(sentinels));
    (status.code(), printed)
}

#[test]
fn clients_go_on_when_the_primary_is_killed() {
    needs!("redis-cli", "redis-py", "redis-benchmark");
    let dir = tempfile::tempdir().unwrap();
    let mut cluster = Cluster::up(dir.path());
    let introduction = cluster.process.output();
    let first = cluster.servers[0];
    for (role, port) in [("primary ", first), ("replica ", first + 1), ("replica ", first + 2)]
        .into_iter()
        .chain(cluster.sentinels.iter().map(|port| ("sentinel", *port)))
    {
        assert!(introduction.contains(&format!("  {role}  127.0.0.1:{port} ")), "{introduction}");
    }
    assert!(introduction.contains(&format!("redis-cli -h 127.0.0.1 -p {first}\n")), "{introduction}");
    assert_eq!(redis_cli(first, &["SET", "greeting", "hello"]), "OK");
    let (exit, printed) = run(Command::new("redis-benchmark").args(["-p", &first.to_string()]).args([
        "-q",
        "-n",
        "2000",
        "-P",
        "16",
        "-r",
        "100",
        "-t",
        "set,get,hset,zadd",
    ]));
    assert!(exit.success(), "{printed}");

    let mut writer = writer(&cluster, dir.path());
    cluster.kill(first);
    assert!(writer.wait().success(), "{}", writer.output());
    println!("{}", writer.output());
    let second = cluster.wait_for_another_primary(first);
    assert_eq!(redis_cli(second, &["GET", "greeting"]), "hello");

    // The old primary is started again, and finds its place.
    for port in cluster.servers.iter().filter(|port| **port != second) {
        cluster.wait_until_it_follows(*port, second);
    }
    assert_eq!(redis_cli(second, &["SET", "after", "all"]), "OK");
    for port in &cluster.servers {
        wait_until("the last write is everywhere", || match redis_cli(*port, &["GET", "after"]) {
            value if value == "all" => Ok(()),
            other => Err(other),
        });
    }
    let expected = Contents::of(second);
    cluster.servers.iter().for_each(|port| Contents::of(*port).expect_same(&expected));
    wait_until("a healthy cluster", || match status(&cluster) {
        (Some(0), printed)
            if printed.contains(&format!("primary   127.0.0.1:{second}"))
                && printed.matches("  ok, at offset ").count() == 2 =>
        {
            Ok(())
        }
        other => Err(other),
    });
    cluster.interrupt();
    assert_eq!(status(&cluster).0, Some(1));

    // The next time it is as it was left.
    let mut again = Cluster::up_at(first, dir.path());
    assert_eq!(again.primary(), second);
    Contents::of(second).expect_same(&expected);
    again.interrupt();
}

/// A cluster that loses a sentinel and then at once its primary.
fn survives_without_sentinel(index: usize) {
    needs!("redis-cli", "redis-py");
    let dir = tempfile::tempdir().expect("there is a place for files");
    let cluster = Cluster::up(dir.path());
    let mut writer = writer(&cluster, dir.path());
    cluster.kill(cluster.sentinels[index]);
    cluster.kill(cluster.servers[0]);
    assert!(writer.wait().success(), "{}", writer.output());
    println!("{}", writer.output());
    assert_ne!(cluster.primary(), cluster.servers[0]);
}

// One of the three is the leader of the sentinels.

#[test]
fn clients_go_on_when_the_first_sentinel_and_the_primary_are_killed() {
    survives_without_sentinel(0);
}

#[test]
fn clients_go_on_when_the_second_sentinel_and_the_primary_are_killed() {
    survives_without_sentinel(1);
}

#[test]
fn clients_go_on_when_the_third_sentinel_and_the_primary_are_killed() {
    survives_without_sentinel(2);
}

/// `redkeep up` has to fail with these arguments; returns what it printed.
#[track_caller]
fn refused(port: u16, dir: &Path, more: &[&str]) -> String {
    let mut command = Command::new(redkeep());
    command.args(["up", "--port", &port.to_string(), "--dir"]).arg(dir).args(more);
    let (status, printed) = run(&mut command);
    assert_eq!(status.code(), Some(1), "{printed}");
    printed
}

#[test]
fn what_stands_in_the_way_of_a_cluster_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let port = cluster_ports();
    let new = dir.path().join("new");

    let taken = TcpListener::bind(("127.0.0.1", port + 1)).unwrap();
    let printed = refused(port, &new, &[]);
    assert!(printed.contains(&format!("port {} (for a server) is taken", port + 1)), "{printed}");
    assert!(!new.exists());
    drop(taken);

    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let printed = refused(port, &file.join("below"), &[]);
    assert!(printed.contains("cannot create the directory"), "{printed}");
    let printed = refused(port, dir.path(), &[]);
    assert!(printed.contains("it is not empty, and what it holds is no cluster"), "{printed}");

    let mut command = Command::new(redkeep());
    let small = ["up", "--replicas", "0", "--sentinels", "1", "--port"];
    command.args(small).arg(port.to_string()).arg("--dir").arg(&new);
    let mut cluster = Process::start(&mut command, &dir.path().join("output.txt"));
    cluster.wait_for_output("Redkeep is up: 1 server ");
    assert!(cluster.terminate().success());
    let printed = refused(port, &new, &[]);
    assert!(
        printed.contains(&format!("belongs to another cluster, of 1 server from port {port}")),
        "{printed}"
    );

    // A member that cannot start ends the whole.
    let config = new.join(format!("server-{port}/redis.conf"));
    fs::write(&config, "prot 7000\n").unwrap();
    let printed = refused(port, &new, &small[1..5]);
    assert!(printed.contains("ended at once") && printed.contains(">>> 'prot 7000'"), "{printed}");
}

#[test]
fn exit_codes_for_health_checks() {
    needs!("redis-cli");
    let nobody = format!("127.0.0.1:{}", free_port());
    let (status, printed) = run(Command::new(redkeep()).args(["ping", &nobody]));
    assert_eq!((status.code(), printed.contains(&nobody)), (Some(1), true), "{printed}");
    let (status, printed) = run(Command::new(redkeep()).args(["status", "--sentinel", &nobody]));
    assert_eq!((status.code(), printed.contains("no sentinel answers")), (Some(1), true), "{printed}");

    let server = redkeep_tests::Instance::redkeep(&["--save", ""]);
    let address = format!("127.0.0.1:{}", server.port());
    let (status, printed) = run(Command::new(redkeep()).args(["ping", &address]));
    assert_eq!((status.code(), printed.as_str()), (Some(0), "PONG\n"));
    server.process.pause();
    let (status, _) = run(Command::new(redkeep()).args(["ping", &address, "--timeout", "0.2"]));
    assert_eq!(status.code(), Some(1));
}
