//! The same scripts, and commands made up at random, on a real redis-server: what we expect of ourselves is what Redis
//! does.
//!
//! Needs `redis-server` on the PATH; without it the tests say so and do nothing.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use redkeep_resp::client::encode_command;

use super::Harness;
use super::harness::event;
use super::random;
use super::render::render;
use super::script::{Step, all, difference, parse};

const PATIENCE: Duration = Duration::from_secs(20);

/// How many random commands are tried, in runs that begin without keys.
const RUNS: u64 = 20;
const COMMANDS: usize = 200;

/// A redis-server on a free port of the loopback, ended when dropped.
pub(super) struct Redis {
    child: Child,
    port: u16,
}

impl Redis {
    pub(super) fn start(dir: &Path) -> Option<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let port = listener.local_addr().expect("it is bound").port();
        drop(listener);
        let child = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--daemonize", "no"])
            .args(["--notify-keyspace-events", "AKEmn", "--dir"])
            .arg(dir)
            .stdout(Stdio::null())
            .spawn();
        let child =
            child.inspect_err(|error| println!("skipped: redis-server cannot be started: {error}")).ok()?;
        let redis = Redis { child, port };
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < PATIENCE, "redis-server does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(redis)
    }

    pub(super) fn connect(&self) -> Link {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("sockets have timeouts");
        Link { stream, received: Vec::new() }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A connection to it.
pub(super) struct Link {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Link {
    pub(super) fn call<A: AsRef<[u8]>>(&mut self, words: &[A], sorted: bool) -> String {
        let mut request = Vec::new();
        encode_command(&mut request, words);
        self.stream.write_all(&request).expect("redis-server reads");
        self.receive(sorted)
    }

    fn receive(&mut self, sorted: bool) -> String {
        loop {
            if let Some((text, len)) = render(&self.received, sorted) {
                self.received.drain(..len);
                return text;
            }
            let mut piece = [0; 1 << 16];
            let n = self.stream.read(&mut piece).expect("redis-server replies");
            assert!(n > 0, "redis-server closed the connection");
            self.received.extend_from_slice(&piece[..n]);
        }
    }

    /// The events that this subscriber was sent.
    pub(super) fn events(&mut self) -> Vec<String> {
        let mut events = Vec::new();
        let mut message = self.call(&["PING"], false);
        while let Some(event) = event(&message) {
            events.push(event);
            message = self.receive(false);
        }
        events
    }
}

/// What the script says when redis-server executes it, as far as it can be told: effects are taken as expected.
fn play(redis: &Redis, text: &str) -> (String, String) {
    let mut listener = redis.connect();
    redis.connect().call(&["FLUSHALL"], false);
    listener.call(&["PSUBSCRIBE", "__keyevent@*"], false);
    let mut links: BTreeMap<String, Link> = BTreeMap::new();
    let (mut expected_text, mut got_text) = (String::new(), String::new());
    let (mut client, mut sorted, mut events, mut skip) = (String::new(), false, false, false);
    for step in parse(text) {
        match step {
            Step::Text(_) | Step::Effects => {}
            Step::Events => events = true,
            Step::Now(_) => panic!("redis-server's clock cannot be set: put @only-here before"),
            Step::Client(name) => client = name,
            Step::Sorted => sorted = true,
            Step::Differs(_) => skip = true,
            Step::OnlyHere(_) => break,
            Step::Command { line, words, expected } => {
                let link = links.entry(client.clone()).or_insert_with(|| redis.connect());
                let mut got = vec![link.call(&words, std::mem::take(&mut sorted))];
                let new_events = listener.events();
                got.extend(new_events.iter().filter(|_| events).map(|event| format!("! {event}")));
                let expected: Vec<_> = expected.into_iter().filter(|line| !line.starts_with("~ ")).collect();
                if std::mem::take(&mut skip) {
                    got.clone_from(&expected);
                }
                expected_text.push_str(&format!("{line}\n{}\n", expected.join("\n")));
                got_text.push_str(&format!("{line}\n{}\n", got.join("\n")));
            }
        }
    }
    (expected_text, got_text)
}

#[test]
fn scripts_hold_on_redis_too() {
    let dir = tempfile::tempdir().expect("there is a place for files");
    let Some(redis) = Redis::start(dir.path()) else { return };
    let mut failures = Vec::new();
    for path in all() {
        let text = std::fs::read_to_string(&path).expect("scripts can be read");
        let (expected, got) = play(&redis, &text);
        if expected != got {
            failures.push(difference(&path, &expected, &got));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn random_commands_agree() {
    let dir = tempfile::tempdir().expect("there is a place for files");
    let Some(redis) = Redis::start(dir.path()) else { return };
    for seed in 0..RUNS {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut server = Harness::new();
        let mut link = redis.connect();
        link.call(&["FLUSHALL"], false);
        let mut listener = redis.connect();
        listener.call(&["PSUBSCRIBE", "__keyevent@*"], false);
        let mut history = Vec::new();
        for _ in 0..COMMANDS {
            let line = random::command(&mut random);
            let words = redkeep_resp::inline::split_words(line.as_bytes()).expect("there are no quotes");
            history.push(line.clone());
            let (ours, theirs) = (server.run(&line), link.call(&words, false));
            let recent = || history[history.len().saturating_sub(10)..].join("\n");
            assert_eq!(ours, theirs, "seed {seed}, after\n{}", recent());
            assert_eq!(server.events(), listener.events(), "seed {seed}, after\n{}", recent());
        }
    }
}
