//! One master and the attempts to follow it: the states, and what leads from one to the next. What the lines of the
//! handshake mean is in `handshake`.

use super::machine::{Status, Step, SyncProgress};
use super::payload::Payload;
use super::wire::{self, LineReader, LineTooLong, Question};
use super::{Event, Input, Master, Output};
use crate::core::Position;
use bytes::Bytes;
use std::collections::VecDeque;

/// How often a replica says how much it has, and that it is alive while it loads.
const ACK_PERIOD_MS: u64 = 1000;
/// A lost link is tried again at once, then after this long, then after twice as long each time.
const FIRST_RETRY_MS: u64 = 100;
/// The longest pause between two tries, which is how often Redis tries.
const MAX_RETRY_MS: u64 = 1000;

#[derive(Debug)]
pub(super) struct Following {
    master: Master,
    pub(super) state: State,
    /// When something last went right: a connection began, or bytes came.
    last_io_ms: u64,
    /// When the stream ended, if there was one.
    down_since_ms: Option<u64>,
    /// The pause before the next try, if this one fails.
    retry_ms: u64,
}

#[derive(Debug)]
pub(super) enum State {
    Waiting { until_ms: u64 },
    Connecting,
    Greeting { lines: LineReader, questions: VecDeque<Question> },
    Asking { lines: LineReader },
    Header { lines: LineReader, position: Position },
    Receiving(Transfer),
    Loading { position: Position, total: u64, after: Bytes, last_newline_ms: u64 },
    Streaming { last_ack_ms: u64 },
}

#[derive(Debug)]
pub(super) struct Transfer {
    pub(super) position: Position,
    pub(super) payload: Payload,
    pub(super) total: Option<u64>,
    pub(super) read: u64,
}

impl Following {
    pub(super) fn begin(master: Master, down_since_ms: Option<u64>, step: &mut Step<'_>) -> Following {
        let mut following = Following {
            master,
            state: State::Connecting,
            last_io_ms: step.now_ms,
            down_since_ms,
            retry_ms: FIRST_RETRY_MS,
        };
        following.connect(step);
        following
    }

    fn connect(&mut self, step: &mut Step<'_>) {
        step.log(Event::SyncStarted);
        step.out.push(Output::Connect(self.master.clone()));
        self.state = State::Connecting;
        self.last_io_ms = step.now_ms;
    }

    /// Leaves this master for good. Since when there has been no stream.
    pub(super) fn abandon(mut self, step: &mut Step<'_>) -> Option<u64> {
        self.hang_up(step);
        if matches!(self.state, State::Streaming { .. }) { Some(step.now_ms) } else { self.down_since_ms }
    }

    /// Ends what the shell still has under way.
    fn hang_up(&mut self, step: &mut Step<'_>) {
        if !matches!(self.state, State::Waiting { .. }) {
            step.out.push(Output::Close);
        }
        self.abort_payload(step);
    }

    fn abort_payload(&mut self, step: &mut Step<'_>) {
        if matches!(self.state, State::Receiving(_) | State::Loading { .. }) {
            step.out.push(Output::AbortPayload);
        }
    }

    /// This try has failed, on this side: closes and goes on later.
    pub(super) fn fail(&mut self, step: &mut Step<'_>, event: Event) {
        step.log(event);
        self.hang_up(step);
        self.retry(step);
    }

    /// Goes on after what has failed: at once after a stream, else after a pause.
    fn retry(&mut self, step: &mut Step<'_>) {
        if matches!(self.state, State::Streaming { .. }) {
            self.down_since_ms = Some(step.now_ms);
            step.log(Event::Lost);
            step.log(Event::Reconnecting(self.master.clone()));
            self.connect(step);
            return;
        }
        self.state = State::Waiting { until_ms: step.now_ms + self.retry_ms };
        self.retry_ms = (self.retry_ms * 2).min(MAX_RETRY_MS);
    }

    pub(super) fn step(&mut self, step: &mut Step<'_>, input: Input) {
        match input {
            Input::Connected => self.connected(step),
            Input::Received(bytes) => self.received(step, bytes),
            Input::Disconnected(reason) => self.disconnected(step, reason),
            Input::Loaded => self.loaded(step),
            Input::LoadFailed(reason) => {
                if matches!(self.state, State::Receiving(_) | State::Loading { .. }) {
                    step.log(Event::LoadFailed(reason));
                    step.out.push(Output::Close);
                    self.retry(step);
                }
            }
            Input::Applied(offset) => {
                if let Some(position) = step.position {
                    assert!(offset >= position.offset, "what has been applied does not go back");
                    position.offset = offset;
                }
            }
            Input::AckRequested => {
                if matches!(self.state, State::Streaming { .. }) {
                    step.send_ack();
                }
            }
            Input::Tick => self.tick(step),
            Input::Follow { .. } | Input::Unfollow => {
                unreachable!("the link itself handles a change of masters")
            }
        }
    }

    fn connected(&mut self, step: &mut Step<'_>) {
        if !matches!(self.state, State::Connecting) {
            return;
        }
        self.last_io_ms = step.now_ms;
        step.log(Event::Connected);
        step.send(wire::encode(&[b"PING"]));
        self.state =
            State::Greeting { lines: LineReader::default(), questions: VecDeque::from([Question::Ping]) };
    }

    fn disconnected(&mut self, step: &mut Step<'_>, reason: String) {
        match &self.state {
            State::Waiting { .. } => return,
            State::Connecting => step.log(Event::ConnectFailed(reason)),
            State::Greeting { .. } | State::Asking { .. } => step.log(Event::NoAnswer),
            State::Header { .. } | State::Receiving(_) | State::Loading { .. } => {
                step.log(Event::TransferFailed(reason));
            }
            State::Streaming { .. } => {}
        }
        self.abort_payload(step);
        self.retry(step);
    }

    fn received(&mut self, step: &mut Step<'_>, mut bytes: Bytes) {
        self.last_io_ms = step.now_ms;
        while !bytes.is_empty() {
            match &mut self.state {
                State::Greeting { lines, .. } | State::Asking { lines } | State::Header { lines, .. } => {
                    match lines.next(&mut bytes) {
                        Ok(Some(line)) => self.line(step, &line),
                        Ok(None) => {}
                        Err(LineTooLong) => self.fail(step, Event::LineTooLong),
                    }
                }
                State::Receiving(transfer) => {
                    if transfer.take(step, &mut bytes) {
                        self.received_all(step);
                    }
                }
                State::Loading { after, .. } => {
                    assert!(after.is_empty(), "nothing is read while a snapshot is being loaded");
                    *after = std::mem::take(&mut bytes);
                }
                State::Streaming { .. } => step.out.push(Output::Stream(std::mem::take(&mut bytes))),
                State::Waiting { .. } | State::Connecting => return,
            }
        }
    }

    pub(super) fn received_all(&mut self, step: &mut Step<'_>) {
        let State::Receiving(Transfer { position, read, .. }) = self.state else { return };
        step.out.push(Output::EndPayload);
        self.state =
            State::Loading { position, total: read, after: Bytes::new(), last_newline_ms: step.now_ms };
    }

    fn loaded(&mut self, step: &mut Step<'_>) {
        let State::Loading { position, after, .. } = &mut self.state else { return };
        let after = std::mem::take(after);
        *step.position = Some(*position);
        step.log(Event::Synchronized);
        self.stream(step);
        if !after.is_empty() {
            step.out.push(Output::Stream(after));
        }
    }

    /// The stream begins. The first acknowledgement goes out at once: after a snapshot with a mark the master waits
    /// for it.
    pub(super) fn stream(&mut self, step: &mut Step<'_>) {
        self.state = State::Streaming { last_ack_ms: step.now_ms };
        self.last_io_ms = step.now_ms;
        self.down_since_ms = None;
        self.retry_ms = FIRST_RETRY_MS;
        step.send_ack();
    }

    fn tick(&mut self, step: &mut Step<'_>) {
        let now_ms = step.now_ms;
        let is_silent = now_ms.saturating_sub(self.last_io_ms) > step.config.timeout_ms;
        let is_due = |last_ms: u64| now_ms.saturating_sub(last_ms) >= ACK_PERIOD_MS;
        match &mut self.state {
            State::Waiting { until_ms } if now_ms >= *until_ms => {
                step.log(Event::Connecting(self.master.clone()));
                self.connect(step);
            }
            State::Connecting | State::Greeting { .. } | State::Asking { .. } if is_silent => {
                self.fail(step, Event::HandshakeTimeout);
            }
            State::Header { .. } | State::Receiving(_) if is_silent => {
                self.fail(step, Event::TransferTimeout);
            }
            State::Streaming { .. } if is_silent => self.fail(step, Event::StreamTimeout),
            State::Streaming { last_ack_ms } if is_due(*last_ack_ms) => {
                *last_ack_ms = now_ms;
                step.send_ack();
            }
            State::Loading { last_newline_ms, .. } if is_due(*last_newline_ms) => {
                *last_newline_ms = now_ms;
                step.send(Bytes::from_static(b"\n"));
            }
            State::Waiting { .. } | State::Connecting | State::Greeting { .. } | State::Asking { .. } => {}
            State::Header { .. } | State::Receiving(_) | State::Loading { .. } | State::Streaming { .. } => {}
        }
    }

    pub(super) fn wants_bytes(&self) -> bool {
        match &self.state {
            State::Waiting { .. } | State::Connecting | State::Loading { .. } => false,
            State::Greeting { .. } | State::Asking { .. } | State::Header { .. } => true,
            State::Receiving(_) | State::Streaming { .. } => true,
        }
    }

    pub(super) fn status(&self, now_ms: u64) -> Status {
        let io_ago = now_ms.saturating_sub(self.last_io_ms);
        let progress =
            |total_bytes, read_bytes| Some(SyncProgress { total_bytes, read_bytes, last_io_ms_ago: io_ago });
        let (role_state, sync) = match &self.state {
            State::Waiting { .. } => ("connect", None),
            State::Connecting => ("connecting", None),
            State::Greeting { .. } | State::Asking { .. } => ("handshake", None),
            State::Header { .. } => ("sync", progress(None, 0)),
            State::Receiving(transfer) => ("sync", progress(transfer.total, transfer.read)),
            State::Loading { total, .. } => ("sync", progress(Some(*total), *total)),
            State::Streaming { .. } => ("connected", None),
        };
        let up = matches!(self.state, State::Streaming { .. });
        let down_for_ms = self.down_since_ms.map(|since| now_ms.saturating_sub(since));
        Status { role_state, up, last_io_ms_ago: up.then_some(io_ago), down_for_ms, sync }
    }
}

impl Transfer {
    /// Hands on what `bytes` has of the snapshot. Whether that was the last of it.
    fn take(&mut self, step: &mut Step<'_>, bytes: &mut Bytes) -> bool {
        let before = bytes.len();
        let cut = self.payload.cut(bytes);
        self.read += (before - bytes.len()) as u64;
        step.out.extend(cut.pieces.into_iter().filter(|piece| !piece.is_empty()).map(Output::Payload));
        cut.complete
    }
}
