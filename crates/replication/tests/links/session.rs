//! Scripts for the primary's side.

use crate::script::{Subject, Words};
use redkeep_replication::core::replica_session::{Input, Output, Primary, Session};
use redkeep_replication::core::{PayloadEnd, Position};
use redkeep_replication::{Available, History, ReplId, ReplOffset, Request};

/// A session that a script drives, and the primary that it belongs to.
pub(crate) struct SessionSubject {
    session: Session,
    history: History,
    backlog: Option<Available>,
    can_serve: bool,
    now_ms: u64,
}

impl SessionSubject {
    pub(crate) fn new() -> SessionSubject {
        SessionSubject {
            session: Session::new(Some("10.0.0.2".into()), 7, 60_000),
            history: History::new(ReplId::from_random([0xAA; 20])),
            backlog: None,
            can_serve: true,
            now_ms: 0,
        }
    }

    fn primary(&self) -> Primary<'_> {
        Primary { history: &self.history, backlog: self.backlog, can_serve: self.can_serve }
    }

    fn psync(&mut self, id: &str, first_byte: &str) -> Vec<Output> {
        let request = Request::parse(id.as_bytes(), first_byte.as_bytes()).expect("scripts give integers");
        let (history, backlog, can_serve) = (self.history, self.backlog, self.can_serve);
        let primary = Primary { history: &history, backlog, can_serve };
        self.session.step(self.now_ms, Input::Psync(request, primary))
    }

    /// Lines about the surroundings.
    fn arrange(&mut self, verb: &str, words: &mut Words<'_>) -> bool {
        match verb {
            "history" => self.history = History::new(words.parse()),
            "branch" => self.history.branch(words.parse(), ReplOffset(words.parse())),
            "backlog" => {
                self.backlog = words
                    .optional()
                    .map(|first| Available { first: ReplOffset(first), end: ReplOffset(words.parse()) });
            }
            "serving" => self.can_serve = words.parse(),
            "timeout" => self.session.set_timeout(words.parse()),
            "local-client" => self.session = Session::new(None, words.parse(), 60_000),
            _ => return false,
        }
        words.end();
        true
    }
}

impl Subject for SessionSubject {
    fn input(&mut self, now_ms: u64, line: &str) -> Vec<String> {
        self.now_ms = now_ms;
        let mut words = Words::new(line);
        let verb = words.word();
        if self.arrange(verb, &mut words) {
            return Vec::new();
        }
        let outputs = match verb {
            "replconf" => {
                let args: Vec<&[u8]> = words.rest().split(' ').map(str::as_bytes).collect();
                self.session.step(now_ms, Input::Replconf(&args))
            }
            "psync" => self.psync(words.word(), words.word()),
            "sync" => {
                let history = self.history;
                let primary = Primary { history: &history, ..self.primary() };
                let input = Input::Sync(Primary { history: &history, ..primary });
                self.session.step(now_ms, input)
            }
            "newline" => self.session.step(now_ms, Input::Newline),
            "started" => {
                let position = Position { id: words.parse(), offset: ReplOffset(words.parse()) };
                self.session.step(now_ms, Input::SnapshotStarted(position))
            }
            "ready-length" => {
                let end = PayloadEnd::Length(words.parse());
                self.session.step(now_ms, Input::SnapshotReady(end))
            }
            "ready-mark" => {
                let mark = words.word().as_bytes().try_into().expect("a mark has forty bytes");
                self.session.step(now_ms, Input::SnapshotReady(PayloadEnd::Mark(mark)))
            }
            "progress" => self.session.step(now_ms, Input::PayloadProgress),
            "sent" => self.session.step(now_ms, Input::PayloadSent),
            "failed" => self.session.step(now_ms, Input::SnapshotFailed),
            "tick" => self.session.step(now_ms, Input::Tick),
            _ => words.unknown(),
        };
        words.end();
        outputs.iter().map(render).collect()
    }

    fn state(&self) -> String {
        let session = &self.session;
        let name = session.state_name().unwrap_or("none");
        let online = if session.is_online() { ", in the stream" } else { "" };
        format!("{name}{online}, {} acked, lag {}", session.acked(), session.lag_secs(self.now_ms))
    }
}

fn render(output: &Output) -> String {
    match output {
        Output::Send(bytes) => format!("send {}", std::str::from_utf8(bytes).expect("scripts are text")),
        Output::WantSnapshot => "want-snapshot".into(),
        Output::SendPayload => "send-payload".into(),
        Output::StartStream(from) => format!("start-stream {from}"),
        Output::Acked(ack) => format!("acked {} at {}", ack.offset, ack.at_ms),
        Output::AckRequested => "ack-requested".into(),
        Output::Close => "close".into(),
        Output::Log(event) => format!("log {:?} {event}", event.level())
            .replacen("Notice", "notice", 1)
            .replacen("Warning", "warning", 1),
    }
}
