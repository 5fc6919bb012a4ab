//! The states and what leads from one to the next.

use super::options::Said;
use super::{Event, EventKind, Input, Options, Output, Primary};
use crate::core::acks::{self, Ack};
use crate::core::{PayloadEnd, Position};
use crate::history::{Decision, Refusal, Request};
use crate::ids::ReplOffset;
use bytes::Bytes;

/// How often a waiting replica gets an empty line, so that it does not give up.
const NEWLINE_PERIOD_MS: u64 = 1000;

/// The primary's side of one replica; see the module for its states. Every connection that sends `REPLCONF`, `PSYNC` or
/// `SYNC` has one.
///
/// ```
/// use redkeep_replication::core::replica_session::{Input, Output, Primary, Session};
/// use redkeep_replication::{Available, History, ReplId, ReplOffset, Request};
///
/// let history = History::new(ReplId::from_random([0xAB; 20]));
/// let backlog = Some(Available { first: ReplOffset(0), end: ReplOffset(100) });
/// let primary = Primary { history: &history, backlog, can_serve: true };
/// let mut session = Session::new(Some("127.0.0.1".into()), 7, 60_000);
///
/// let outputs = session.step(0, Input::Replconf(&[b"capa", b"psync2"]));
/// assert_eq!(outputs, [Output::Send("+OK\r\n".into())]);
///
/// let request = Request::From { id: history.id(), first_byte: 61 };
/// let outputs = session.step(1, Input::Psync(request, primary));
/// assert!(outputs.contains(&Output::Send(format!("+CONTINUE {}\r\n", history.id()).into())));
/// assert!(outputs.contains(&Output::StartStream(ReplOffset(60))));
/// assert!(session.is_online());
/// ```
#[derive(Debug)]
pub struct Session {
    peer_ip: Option<String>,
    client_id: u64,
    timeout_ms: u64,
    options: Options,
    state: State,
    ack: Ack,
}

/// How the replica asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dialect {
    Psync,
    Sync,
}

#[derive(Debug)]
enum State {
    Greeting,
    Queued { dialect: Dialect, last_newline_ms: u64 },
    Saving { dialect: Dialect, position: Position, last_newline_ms: u64 },
    Sending { dialect: Dialect, position: Position, end: PayloadEnd, last_progress_ms: u64 },
    AwaitingAck { dialect: Dialect, position: Position },
    Online { dialect: Dialect },
    Closed,
}

impl Session {
    /// A connection that is no replica yet: its peer's address (none of a local socket), the number it has as a client,
    /// and `repl-timeout` in milliseconds.
    pub fn new(peer_ip: Option<String>, client_id: u64, timeout_ms: u64) -> Session {
        let ack = Ack { offset: ReplOffset(0), at_ms: 0 };
        Session { peer_ip, client_id, timeout_ms, options: Options::default(), state: State::Greeting, ack }
    }

    /// Takes another `repl-timeout`, in milliseconds.
    pub fn set_timeout(&mut self, timeout_ms: u64) {
        self.timeout_ms = timeout_ms;
    }

    /// Whether it has asked to be a replica, and was not sent away since.
    pub fn is_replica(&self) -> bool {
        self.state_name().is_some()
    }

    /// Whether it follows the stream.
    pub fn is_online(&self) -> bool {
        matches!(self.state, State::Online { .. })
    }

    /// INFO's `state`, once it is a replica.
    pub fn state_name(&self) -> Option<&'static str> {
        match self.state {
            State::Greeting | State::Closed => None,
            State::Queued { .. } | State::Saving { .. } => Some("wait_bgsave"),
            State::Sending { .. } => Some("send_bulk"),
            State::AwaitingAck { .. } | State::Online { .. } => Some("online"),
        }
    }

    /// What it has told about itself.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// What it acknowledged last (INFO's `offset`).
    pub fn acked(&self) -> ReplOffset {
        self.ack.offset
    }

    /// Whole seconds since it spoke last (INFO's `lag`); as in Redis, 0 until it has its snapshot.
    pub fn lag_secs(&self, now_ms: u64) -> u64 {
        match self.state {
            State::AwaitingAck { .. } | State::Online { .. } => acks::lag_secs(now_ms, self.ack.at_ms),
            State::Greeting | State::Queued { .. } | State::Saving { .. } => 0,
            State::Sending { .. } | State::Closed => 0,
        }
    }

    /// How the log names it.
    pub fn name(&self) -> String {
        let port = self.options.listening_port;
        match self.options.ip.as_ref().or(self.peer_ip.as_ref()) {
            None => format!("client id #{}", self.client_id),
            Some(ip) if port == 0 => format!("{ip}:<unknown-replica-port>"),
            Some(ip) if ip.contains(':') => format!("[{ip}]:{port}"),
            Some(ip) => format!("{ip}:{port}"),
        }
    }

    /// Takes one input. The outputs are to be carried out in their order. What does not fit the state, because it
    /// crossed with something else, is ignored.
    pub fn step(&mut self, now_ms: u64, input: Input<'_>) -> Vec<Output> {
        let mut out = Vec::new();
        match input {
            Input::Replconf(args) => self.replconf(now_ms, args, &mut out),
            Input::Psync(request, primary) => self.psync(now_ms, request, primary, &mut out),
            Input::Sync(primary) => {
                if self.is_admitted(primary, &mut out) {
                    self.queue(now_ms, Dialect::Sync, &mut out);
                }
            }
            Input::Newline => self.ack.at_ms = now_ms,
            Input::SnapshotStarted(position) => self.snapshot_started(position, &mut out),
            Input::SnapshotReady(end) => self.snapshot_ready(now_ms, end, &mut out),
            Input::PayloadProgress => {
                if let State::Sending { last_progress_ms, .. } = &mut self.state {
                    *last_progress_ms = now_ms;
                }
            }
            Input::PayloadSent => self.payload_sent(now_ms, &mut out),
            Input::SnapshotFailed => {
                if matches!(self.state, State::Queued { .. } | State::Saving { .. } | State::Sending { .. }) {
                    self.close(EventKind::SnapshotFailed, &mut out);
                }
            }
            Input::Tick => self.tick(now_ms, &mut out),
        }
        out
    }

    fn log(&self, kind: EventKind, out: &mut Vec<Output>) {
        out.push(Output::Log(Event { replica: self.name(), kind }));
    }

    fn close(&mut self, why: EventKind, out: &mut Vec<Output>) {
        self.log(why, out);
        out.push(Output::Close);
        self.state = State::Closed;
    }

    fn replconf(&mut self, now_ms: u64, args: &[&[u8]], out: &mut Vec<Output>) {
        match self.options.hear(args) {
            Said::Options => out.push(Output::Send(Bytes::from_static(b"+OK\r\n"))),
            Said::Wrong(line) => out.push(Output::Send(one_line(line))),
            Said::GetAck => out.push(Output::AckRequested),
            Said::Ack(None) => {}
            Said::Ack(Some(offset)) => self.acknowledged(now_ms, ReplOffset(offset), out),
        }
    }

    fn acknowledged(&mut self, now_ms: u64, offset: ReplOffset, out: &mut Vec<Output>) {
        if !self.is_replica() {
            return;
        }
        self.ack = Ack { offset: self.ack.offset.max(offset), at_ms: now_ms };
        if let State::AwaitingAck { dialect, position } = self.state {
            self.go_online(now_ms, dialect, position.offset, out);
        } else if self.is_online() {
            out.push(Output::Acked(self.ack));
        }
    }

    /// Whether this connection becomes a replica by asking. One that is a replica already is not answered.
    fn is_admitted(&self, primary: Primary<'_>, out: &mut Vec<Output>) -> bool {
        if !matches!(self.state, State::Greeting) {
            return false;
        }
        if !primary.can_serve {
            const NO_LINK: &[u8] = b"-NOMASTERLINK Can't SYNC while not connected with my master\r\n";
            out.push(Output::Send(Bytes::from_static(NO_LINK)));
            return false;
        }
        self.log(EventKind::AsksForSync, out);
        true
    }

    fn psync(&mut self, now_ms: u64, request: Request, primary: Primary<'_>, out: &mut Vec<Output>) {
        if !self.is_admitted(primary, out) {
            return;
        }
        match primary.history.decide(request, primary.backlog) {
            Decision::Continue(from) => {
                let bytes = primary.backlog.map_or(0, |backlog| backlog.end.since(from));
                let id = primary.history.id();
                let answer =
                    if self.options.psync2 { format!("+CONTINUE {id}\r\n") } else { "+CONTINUE\r\n".into() };
                out.push(Output::Send(answer.into()));
                self.log(EventKind::Continues { bytes, from }, out);
                self.ack.at_ms = now_ms;
                self.begin_stream(Dialect::Psync, from, out);
            }
            Decision::FullResync(refusal) => {
                let is_ahead = matches!(refusal, Refusal::NotInBacklog { beyond_end: true, .. });
                self.log(EventKind::CannotContinue(refusal), out);
                if is_ahead {
                    self.log(EventKind::IsAhead, out);
                }
                self.queue(now_ms, Dialect::Psync, out);
            }
        }
    }

    fn queue(&mut self, now_ms: u64, dialect: Dialect, out: &mut Vec<Output>) {
        self.ack.at_ms = now_ms;
        self.state = State::Queued { dialect, last_newline_ms: now_ms };
        out.push(Output::WantSnapshot);
    }

    fn snapshot_started(&mut self, position: Position, out: &mut Vec<Output>) {
        let State::Queued { dialect, last_newline_ms } = self.state else { return };
        self.state = State::Saving { dialect, position, last_newline_ms };
        match dialect {
            Dialect::Psync => {
                let Position { id, offset } = position;
                out.push(Output::Send(format!("+FULLRESYNC {id} {offset}\r\n").into()));
            }
            Dialect::Sync => {}
        }
    }

    fn snapshot_ready(&mut self, now_ms: u64, end: PayloadEnd, out: &mut Vec<Output>) {
        let State::Saving { dialect, position, .. } = self.state else { return };
        let header = match end {
            PayloadEnd::Length(bytes) => format!("${bytes}\r\n").into(),
            PayloadEnd::Mark(mark) => Bytes::from([b"$EOF:" as &[u8], &mark, b"\r\n"].concat()),
        };
        out.push(Output::Send(header));
        out.push(Output::SendPayload);
        self.state = State::Sending { dialect, position, end, last_progress_ms: now_ms };
    }

    fn payload_sent(&mut self, now_ms: u64, out: &mut Vec<Output>) {
        let State::Sending { dialect, position, end, .. } = self.state else { return };
        self.ack.at_ms = now_ms;
        if let PayloadEnd::Mark(mark) = end {
            out.push(Output::Send(Bytes::copy_from_slice(&mark)));
        }
        if self.options.rdb_only {
            return self.close(EventKind::SnapshotOnly, out);
        }
        match end {
            PayloadEnd::Length(_) => self.go_online(now_ms, dialect, position.offset, out),
            PayloadEnd::Mark(_) => {
                self.log(EventKind::SnapshotStreamed, out);
                self.state = State::AwaitingAck { dialect, position };
            }
        }
    }

    fn go_online(&mut self, now_ms: u64, dialect: Dialect, from: ReplOffset, out: &mut Vec<Output>) {
        self.log(EventKind::Online, out);
        self.ack.at_ms = now_ms;
        self.begin_stream(dialect, from, out);
    }

    fn begin_stream(&mut self, dialect: Dialect, from: ReplOffset, out: &mut Vec<Output>) {
        self.state = State::Online { dialect };
        out.push(Output::StartStream(from));
        out.push(Output::Acked(self.ack));
    }

    fn tick(&mut self, now_ms: u64, out: &mut Vec<Output>) {
        let passed = |since_ms: u64| now_ms.saturating_sub(since_ms);
        match &mut self.state {
            State::Greeting | State::Closed => {}
            State::Queued { last_newline_ms, .. } | State::Saving { last_newline_ms, .. } => {
                if passed(*last_newline_ms) >= NEWLINE_PERIOD_MS {
                    *last_newline_ms = now_ms;
                    out.push(Output::Send(Bytes::from_static(b"\n")));
                }
            }
            State::Sending { last_progress_ms, .. } => {
                if passed(*last_progress_ms) > self.timeout_ms {
                    self.close(EventKind::TransferTimeout, out);
                }
            }
            State::AwaitingAck { dialect, .. } | State::Online { dialect } => {
                if *dialect == Dialect::Psync && passed(self.ack.at_ms) > self.timeout_ms {
                    self.close(EventKind::AckTimeout, out);
                }
            }
        }
    }
}

/// An error line for the wire: a client's own words in it must not end it.
fn one_line(line: String) -> Bytes {
    let mut bytes: Vec<u8> = line.replace(['\r', '\n'], " ").into_bytes();
    bytes.extend_from_slice(b"\r\n");
    bytes.into()
}
