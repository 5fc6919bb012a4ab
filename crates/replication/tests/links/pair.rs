//! Both ends of a replication link and a log, wired together without sockets, under faults.
//!
//! The dataset is the list of all lines ever written, so a snapshot is what was written up to its offset, and a replica
//! is right if it holds a prefix of what the primary wrote. Faults come first; then the network heals, and the replica
//! has to catch up.

use crate::link::Shell;
use bytes::Bytes;
use proptest::prelude::*;
use redkeep_replication::core::replica_link::{self as link, Link, LinkConfig, Master};
use redkeep_replication::core::replica_session::{self as session, Primary, Session};
use redkeep_replication::core::{PayloadEnd, Position};
use redkeep_replication::{History, Log, Reader, ReplId, ReplOffset, Request};
use std::sync::Arc;

const BACKLOG: u64 = 16 * 1024;
const MARK: [u8; 40] = *b"a mark which is in no line that is there";

#[derive(Clone, Debug)]
enum Action {
    Write { lines: usize },
    Tick { ms: u64 },
    Connect,
    DeliverToReplica { bytes: usize },
    DeliverToPrimary,
    Pump { bytes: usize },
    Break,
    SnapshotGoesOn,
    SnapshotFails,
    LoadGoesOn { works: bool },
    Apply,
    Branch,
    LoseBacklog,
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    use Action::*;
    let action = prop_oneof![
        6 => (1..30usize).prop_map(|lines| Write { lines }),
        1 => (1000..2500usize).prop_map(|lines| Write { lines }),
        4 => (1..2000u64).prop_map(|ms| Tick { ms }),
        6 => Just(Connect),
        12 => (1..3000usize).prop_map(|bytes| DeliverToReplica { bytes }),
        12 => Just(DeliverToPrimary),
        8 => (1..3000usize).prop_map(|bytes| Pump { bytes }),
        2 => Just(Break),
        8 => Just(SnapshotGoesOn),
        1 => Just(SnapshotFails),
        4 => proptest::bool::weighted(0.8).prop_map(|works| LoadGoesOn { works }),
        6 => Just(Apply),
        1 => Just(Branch),
        1 => Just(LoseBacklog),
    ];
    proptest::collection::vec(action, 0..250)
}

/// The primary's side of one connection.
struct Served {
    session: Session,
    reader: Option<Reader>,
    streams: bool,
    /// What of a snapshot is still to be written.
    payload: Option<Vec<u8>>,
    unread: Vec<u8>,
    closed: bool,
}

struct World {
    now_ms: u64,
    log: Arc<Log>,
    history: History,
    written: Vec<u8>,
    with_mark: bool,
    served: Option<Served>,
    to_primary: Vec<u8>,
    to_replica: Vec<u8>,
    link: Link,
    shell: Shell,
    loading: Vec<u8>,
    held: Vec<u8>,
    /// Received of the stream, not applied.
    pending: Vec<u8>,
    partial_resyncs: usize,
}

impl World {
    fn new(with_mark: bool) -> World {
        let log = Log::new(1, BACKLOG);
        log.activate();
        let config =
            LinkConfig { listening_port: 1, announce_ip: None, credentials: None, timeout_ms: 60_000 };
        let mut world = World {
            now_ms: 0,
            log,
            history: History::new(ReplId::from_random([1; 20])),
            written: Vec::new(),
            with_mark,
            served: None,
            to_primary: Vec::new(),
            to_replica: Vec::new(),
            link: Link::new(config),
            shell: Shell::default(),
            loading: Vec::new(),
            held: Vec::new(),
            pending: Vec::new(),
            partial_resyncs: 0,
        };
        let master = Master { host: "primary".into(), port: 1 };
        world.step(link::Input::Follow { master, own: None });
        world
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Write { lines } => (0..lines).for_each(|_| self.write()),
            Action::Tick { ms } => self.tick(ms),
            Action::Connect => self.connect(),
            Action::DeliverToReplica { bytes } => self.deliver_to_replica(bytes),
            Action::DeliverToPrimary => self.deliver_to_primary(),
            Action::Pump { bytes } => self.pump(bytes),
            Action::Break => self.break_connection(),
            Action::SnapshotGoesOn => self.snapshot_goes_on(),
            Action::SnapshotFails => self.serve(session::Input::SnapshotFailed),
            Action::LoadGoesOn { works } => self.load_goes_on(works),
            Action::Apply => self.apply(),
            Action::Branch => {
                let id = ReplId::from_random([self.now_ms as u8 ^ 0x80; 20]);
                if id != self.history.id() {
                    self.history.branch(id, self.log.end());
                }
            }
            Action::LoseBacklog => {
                self.log.deactivate();
                self.log.activate();
            }
        }
    }

    fn write(&mut self) {
        let line = format!("line {} of {}\n", self.written.len(), self.now_ms);
        self.log.append_link(0, line.as_bytes());
        self.written.extend(line.bytes());
    }

    fn tick(&mut self, ms: u64) {
        self.now_ms += ms;
        self.step(link::Input::Tick);
        self.serve(session::Input::Tick);
    }

    fn connect(&mut self) {
        if self.shell.is_opening() {
            self.to_primary.clear();
            self.to_replica.clear();
            self.served = Some(Served {
                session: Session::new(None, 1, 60_000),
                reader: None,
                streams: false,
                payload: None,
                unread: Vec::new(),
                closed: false,
            });
            self.step(link::Input::Connected);
        }
    }

    fn break_connection(&mut self) {
        if self.shell.is_open() || self.shell.is_opening() {
            self.served = None;
            self.pending.clear();
            self.step(link::Input::Disconnected("broken".into()));
        }
    }

    /// The replica's shell.
    fn step(&mut self, input: link::Input) {
        self.shell.before(&input);
        for output in self.link.step(self.now_ms, input) {
            self.shell.after(&output);
            match output {
                link::Output::Send(bytes) => self.to_primary.extend(bytes),
                link::Output::Close => {
                    self.served = None;
                    self.pending.clear();
                }
                link::Output::StartPayload { .. } => self.loading.clear(),
                link::Output::Payload(bytes) => self.loading.extend(bytes),
                link::Output::Stream(bytes) => self.pending.extend(bytes),
                link::Output::Continue { .. } => self.partial_resyncs += 1,
                link::Output::Connect(_) | link::Output::EndPayload => {}
                link::Output::AbortPayload | link::Output::Log(_) => {}
            }
        }
    }

    fn deliver_to_replica(&mut self, bytes: usize) {
        if self.shell.is_open() && self.link.wants_bytes() {
            let len = bytes.min(self.to_replica.len());
            let piece: Vec<u8> = self.to_replica.drain(..len).collect();
            self.step(link::Input::Received(Bytes::from(piece)));
        }
        if self.served.as_ref().is_some_and(|served| served.closed) && self.to_replica.is_empty() {
            self.break_connection();
        }
    }

    fn load_goes_on(&mut self, works: bool) {
        let progress = self.link.status(self.now_ms).sync;
        let complete = progress.is_some_and(|sync| !self.link.wants_bytes() && sync.total_bytes.is_some());
        if complete && works {
            self.held = std::mem::take(&mut self.loading);
            self.step(link::Input::Loaded);
        } else if complete {
            self.served = None;
            self.step(link::Input::LoadFailed("no".into()));
        }
    }

    /// Applies the complete lines that have been received.
    fn apply(&mut self) {
        let complete = self.pending.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let lines = self.pending.drain(..complete);
        self.held.extend(lines);
        self.step(link::Input::Applied(ReplOffset(self.held.len() as u64)));
    }

    /// The primary's shell.
    fn serve(&mut self, input: session::Input<'_>) {
        let Some(served) = &mut self.served else { return };
        for output in served.session.step(self.now_ms, input) {
            match output {
                session::Output::Send(bytes) => self.to_replica.extend(bytes),
                session::Output::SendPayload => {}
                session::Output::StartStream(from) => {
                    let reader = served.reader.as_ref().expect("a reader is taken before the stream begins");
                    assert_eq!(reader.offset(), from);
                    served.streams = true;
                }
                session::Output::Close => served.closed = true,
                session::Output::WantSnapshot | session::Output::Acked(_) => {}
                session::Output::AckRequested | session::Output::Log(_) => {}
            }
        }
    }

    fn deliver_to_primary(&mut self) {
        let bytes = std::mem::take(&mut self.to_primary);
        let Some(served) = self.served.as_mut().filter(|served| !served.closed) else { return };
        served.unread.extend(bytes);
        while let Some(served) = &mut self.served
            && let Some(words) = take_request(&mut served.unread)
        {
            let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
            match words.as_slice() {
                [] => self.serve(session::Input::Newline),
                [b"PING"] => self.to_replica.extend(b"+PONG\r\n"),
                [b"REPLCONF", args @ ..] => self.serve(session::Input::Replconf(args)),
                [b"PSYNC", id, first_byte] => self.psync(id, first_byte),
                other => panic!("a replica asks for {other:?}"),
            }
        }
    }

    fn psync(&mut self, id: &[u8], first_byte: &[u8]) {
        let request = Request::parse(id, first_byte).expect("a replica asks for a number");
        let reader = request.offset().and_then(|from| self.log.reader(from, 0));
        let backlog = reader.as_ref().and_then(|_| self.log.available());
        if let Some(served) = &mut self.served {
            served.reader = reader;
        }
        let history = self.history;
        self.serve(session::Input::Psync(request, Primary { history: &history, backlog, can_serve: true }));
    }

    fn snapshot_goes_on(&mut self) {
        let Some(served) = &mut self.served else { return };
        match served.session.state_name() {
            Some("wait_bgsave") if served.payload.is_none() => {
                served.payload = Some(self.written.clone());
                let offset = self.log.end();
                served.reader = self.log.reader(offset, 0);
                let id = self.history.id();
                self.serve(session::Input::SnapshotStarted(Position { id, offset }));
            }
            Some("wait_bgsave") => {
                let len = served.payload.as_ref().map_or(0, Vec::len) as u64;
                let end = if self.with_mark { PayloadEnd::Mark(MARK) } else { PayloadEnd::Length(len) };
                self.serve(session::Input::SnapshotReady(end));
            }
            Some("send_bulk") => {
                self.to_replica.extend(served.payload.take().expect("it has been made"));
                self.serve(session::Input::PayloadSent);
            }
            Some(_) | None => {}
        }
    }

    /// Writes the stream to the connection.
    fn pump(&mut self, bytes: usize) {
        let Some(served) = self.served.as_mut().filter(|served| served.streams && !served.closed) else {
            return;
        };
        let reader = served.reader.as_mut().expect("what streams has a reader");
        match reader.peek(bytes) {
            Ok(piece) => {
                let len = piece.len();
                self.to_replica.extend_from_slice(piece);
                reader.consume(len);
            }
            Err(_) => served.closed = true,
        }
    }

    fn check(&self) {
        let Some(position) = self.link.position() else { return };
        assert_eq!(position.offset.0, self.held.len() as u64);
        assert!(self.written.starts_with(&self.held), "the replica holds a prefix of what was written");
    }

    fn has_caught_up(&self) -> bool {
        self.link.status(self.now_ms).up && self.held == self.written
    }

    fn heal(&mut self) {
        for _ in 0..200 {
            if self.has_caught_up() {
                return;
            }
            self.tick(500);
            self.connect();
            for _ in 0..10 {
                self.deliver_to_primary();
                self.snapshot_goes_on();
                self.pump(usize::MAX);
                self.deliver_to_replica(usize::MAX);
                self.load_goes_on(true);
            }
            self.apply();
            self.check();
        }
        panic!("the replica does not catch up: {:?}", self.link);
    }
}

/// Takes a request, or an empty line, off the front.
fn take_request(unread: &mut Vec<u8>) -> Option<Vec<Vec<u8>>> {
    let mut at = 0;
    let mut line = || {
        let len = unread[at..].iter().position(|byte| *byte == b'\n')?;
        let line = unread[at..at + len].trim_ascii_end().to_vec();
        at += len + 1;
        Some(line)
    };
    let count: usize = match line()? {
        empty if empty.is_empty() => 0,
        head => std::str::from_utf8(&head[1..]).ok()?.parse().ok()?,
    };
    let words = (0..count).map(|_| line().and_then(|_| line())).collect::<Option<Vec<_>>>()?;
    unread.drain(..at);
    Some(words)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_replica_holds_a_prefix_and_catches_up(actions in actions(), with_mark in any::<bool>()) {
        let mut world = World::new(with_mark);
        for action in actions {
            world.act(action);
            world.check();
        }
        world.heal();
    }

    /// Whatever a master sends, the link neither panics nor asks its shell for what cannot be done.
    #[test]
    fn no_master_confuses_a_link(
        pieces in proptest::collection::vec(prop_oneof![
            Just(b"+PONG\r\n".to_vec()),
            Just(b"+OK\r\n".to_vec()),
            Just(b"-ERR no\r\n".to_vec()),
            Just(b"\n".to_vec()),
            Just(format!("+FULLRESYNC {} 5\r\n", "a".repeat(40)).into_bytes()),
            Just(format!("+CONTINUE {}\r\n", "b".repeat(40)).into_bytes()),
            Just(b"$3\r\nabc".to_vec()),
            Just([b"$EOF:" as &[u8], &MARK, b"\r\nxyz", &MARK].concat()),
            proptest::collection::vec(any::<u8>(), 0..40),
        ], 0..40),
        from in 1..50usize,
    ) {
        let mut world = World::new(false);
        for (at, piece) in pieces.into_iter().enumerate() {
            world.tick(200);
            world.connect();
            world.to_replica.extend(piece);
            world.deliver_to_replica(usize::MAX);
            if at % from == 0 {
                world.load_goes_on(at % 3 > 0);
            }
        }
    }
}

#[test]
fn a_short_break_needs_no_snapshot() {
    let mut world = World::new(false);
    world.heal();
    world.write();
    world.heal();
    world.break_connection();
    (0..100).for_each(|_| world.write());
    world.heal();
    assert_eq!(world.partial_resyncs, 1);
}
