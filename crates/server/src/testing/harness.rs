//! The server in the test's thread.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use redkeep_replication::log::Reader;
use redkeep_resp::client::encode_command;
use redkeep_resp::{ArgRange, Limits, Parsed, RequestReader};

use super::render::{quoted, render};
use crate::client::Client;
use crate::commands::Args;
use crate::config::Settings;
use crate::dispatch::{Executor, Next};
use crate::engine::{Engine, Host};
use crate::pubsub::Kind;
use crate::session::{Origin, Session};

/// A server with clients that are told apart by name.
pub(crate) struct Harness {
    pub(crate) engine: Arc<Engine>,
    executor: Executor,
    sessions: BTreeMap<String, Session>,
    listener: Session,
    log: Reader,
}

/// The name of the client that [`Harness::run`] uses.
const DEFAULT_CLIENT: &str = "";

impl Harness {
    /// A server with no keys that logs what is propagated and publishes all keyspace events.
    pub(crate) fn new() -> Self {
        let mut settings = Settings { io_threads: 1, ..Settings::default() };
        settings.save.clear();
        settings.keyspace_events = crate::notify::parse_classes("AKEmn").expect("these are classes");
        let engine = Engine::new(settings, None, 0, &Host::default());
        engine.log.activate();
        let log = engine.log.reader(engine.log.end(), 0).expect("the log is active");
        let mut listener = session(u64::MAX);
        listener.subscribe(&engine, Kind::Pattern, b"__keyevent@*");
        Harness {
            executor: Executor::new(engine.clone(), 0),
            sessions: BTreeMap::new(),
            listener,
            log,
            engine,
        }
    }

    /// Sets the clock, which stands still then.
    pub(crate) fn set_now(&mut self, now_ms: u64) {
        self.executor.test_now_ms = Some(now_ms);
    }

    /// Executes a command written as on a command line, and renders the reply.
    pub(crate) fn run(&mut self, line: &str) -> String {
        let words = redkeep_resp::inline::split_words(line.as_bytes()).expect("the quotes are balanced");
        self.call(DEFAULT_CLIENT, &words, false)
    }

    /// Executes a command for the client of this name, and renders the reply.
    ///
    /// # Panics
    /// If the command suspends its connection: nobody would end that here.
    pub(crate) fn call(&mut self, client: &str, words: &[Vec<u8>], sorted: bool) -> String {
        let id = self.sessions.len() as u64 + 1;
        let session = self.sessions.entry(client.into()).or_insert_with(|| session(id));
        let mut request = Vec::new();
        encode_command(&mut request, words);
        let mut out = Vec::new();
        let mut reader = RequestReader::default();
        let progress = self.executor.run(&self.engine, session, &mut reader, &mut request, &mut out);
        match progress.next {
            Next::Read(_) | Next::Close => {}
            other => panic!("{words:?} led to {other:?}"),
        }
        let (text, len) =
            render(&out, sorted).unwrap_or_else(|| panic!("{words:?} got no whole reply: {out:?}"));
        assert_eq!(len, out.len(), "{words:?} got more than one reply");
        text
    }

    /// What went to the replication log since the last call, a command a line. SELECT is left out.
    pub(crate) fn effects(&mut self) -> Vec<String> {
        let mut bytes = Vec::new();
        loop {
            let piece = self.log.peek(usize::MAX).expect("the log keeps what was not read");
            if piece.is_empty() {
                break;
            }
            bytes.extend_from_slice(piece);
            let len = piece.len();
            self.log.consume(len);
        }
        commands(&mut bytes).into_iter().filter(|command| !command.starts_with("SELECT ")).collect()
    }

    /// The keyspace events since the last call: `name key`, in other databases than 0 `db name key`.
    pub(crate) fn events(&mut self) -> Vec<String> {
        let mut mail = Vec::new();
        self.listener.client.take_mail(&mut mail);
        let mut events = Vec::new();
        let mut rest = &mail[..];
        while let Some((push, len)) = render(rest, false) {
            events.push(event(&push).expect("all that comes is events"));
            rest = &rest[len..];
        }
        events
    }
}

fn session(id: u64) -> Session {
    Session::new(Client::new(id, String::new(), String::new(), Instant::now()), Origin::Client, true)
}

/// The commands in a piece of the log, as a script writes them.
fn commands(bytes: &mut [u8]) -> Vec<String> {
    let (mut reader, mut at, mut shown) = (RequestReader::default(), 0, Vec::new());
    let mut ranges: Vec<ArgRange> = Vec::new();
    while let Ok(Parsed::Request { len }) = reader.next(bytes, at, &Limits::default(), &mut ranges) {
        let args = Args::new(&bytes[at..at + len], &ranges);
        shown.push(args.from(0).map(word).collect::<Vec<_>>().join(" "));
        ranges.clear();
        at += len;
    }
    shown
}

/// A word as a script writes it: quoted where it has to be.
fn word(bytes: &[u8]) -> String {
    let plain = !bytes.is_empty() && bytes.iter().all(|b| b.is_ascii_graphic() && !b"\"'\\".contains(b));
    if plain { String::from_utf8_lossy(bytes).into_owned() } else { quoted(bytes) }
}

/// The event that a rendered message says.
pub(super) fn event(push: &str) -> Option<String> {
    let mut parts =
        push.trim_start_matches('>').trim_matches(['[', ']']).split(", ").map(|part| part.trim_matches('"'));
    let (kind, _, channel, key) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    if kind != "pmessage" {
        return None;
    }
    let (db, name) = channel.strip_prefix("__keyevent@")?.split_once("__:")?;
    Some(if db == "0" { format!("{name} {key}") } else { format!("{db} {name} {key}") })
}

#[test]
fn effects_and_events_are_seen() {
    let mut server = Harness::new();
    assert_eq!(server.run("PING 'a b'"), r#""a b""#);
    assert_eq!(server.run("NOSUCH"), "-ERR unknown command 'NOSUCH', with args beginning with: ");
    assert_eq!(server.run("SET k \"v w\""), "+OK");
    assert_eq!(server.effects(), ["SET k \"v w\""]);
    assert_eq!(server.events(), ["new k", "set k"]);
    assert!(server.effects().is_empty() && server.events().is_empty());
}
