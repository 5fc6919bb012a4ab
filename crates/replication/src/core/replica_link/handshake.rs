//! What the master's lines mean, from the answer to the first PING to the header of a snapshot.

use super::following::{Following, State, Transfer};
use super::machine::Step;
use super::payload::Payload;
use super::wire::{self, LineReader, PsyncAnswer, Question};
use super::{Event, Output};
use crate::core::{PayloadEnd, Position};
use crate::ids::ReplId;

impl Following {
    /// An empty line says only that the master is alive.
    pub(super) fn line(&mut self, step: &mut Step<'_>, line: &[u8]) {
        if line.is_empty() {
            return;
        }
        match &mut self.state {
            State::Greeting { questions, .. } => match questions.pop_front() {
                Some(question) => self.answered(step, question, line),
                None => unreachable!("the handshake goes on after the last answer"),
            },
            State::Asking { .. } => self.psync_answered(step, line),
            State::Header { position, .. } => {
                let position = *position;
                self.header(step, position, line);
            }
            State::Waiting { .. } | State::Connecting => {}
            State::Receiving(_) | State::Loading { .. } | State::Streaming { .. } => {
                unreachable!("only the handshake consists of lines")
            }
        }
    }

    fn answered(&mut self, step: &mut Step<'_>, question: Question, line: &[u8]) {
        let error = (line[0] == b'-').then(|| String::from_utf8_lossy(line).into_owned());
        match (question, error) {
            (Question::Ping, answer) => return self.ping_answered(step, answer),
            (Question::Auth, Some(error)) => return self.fail(step, Event::AuthRefused(error)),
            (Question::Port, Some(error)) => {
                step.log(Event::OptionRefused { option: "listening-port", error });
            }
            (Question::Address, Some(error)) => {
                step.log(Event::OptionRefused { option: "ip-address", error })
            }
            (Question::Capabilities, Some(error)) => step.log(Event::OptionRefused { option: "capa", error }),
            (Question::Auth | Question::Port | Question::Address | Question::Capabilities, None) => {}
        }
        self.ask_when_introduced(step);
    }

    /// A master that wants a password says so to the PING, and is given it next.
    fn ping_answered(&mut self, step: &mut Step<'_>, error: Option<String>) {
        const NOT_YET: [&str; 3] = ["-NOAUTH", "-NOPERM", "-ERR operation not permitted"];
        if let Some(error) = error.filter(|error| !NOT_YET.iter().any(|start| error.starts_with(start))) {
            return self.fail(step, Event::PingRefused(error));
        }
        step.log(Event::PingAnswered);
        let (bytes, asked) = wire::introduction(step.config);
        step.send(bytes);
        if let State::Greeting { questions, .. } = &mut self.state {
            questions.extend(asked);
        }
    }

    fn ask_when_introduced(&mut self, step: &mut Step<'_>) {
        let State::Greeting { lines, questions } = &mut self.state else { return };
        if !questions.is_empty() {
            return;
        }
        step.log(step.position.map_or(Event::AskingForEverything, Event::AskingToContinue));
        step.send(wire::psync(*step.position));
        self.state = State::Asking { lines: std::mem::take(lines) };
    }

    fn psync_answered(&mut self, step: &mut Step<'_>, line: &[u8]) {
        let text = || String::from_utf8_lossy(line).into_owned();
        match PsyncAnswer::parse(line) {
            PsyncAnswer::FullResync(position) => {
                step.log(Event::FullResync(position));
                *step.position = None;
                self.state = State::Header { lines: LineReader::default(), position };
            }
            PsyncAnswer::Continue(id) => self.continued(step, id),
            PsyncAnswer::WrongFullResync => self.fail(step, Event::WrongFullResync),
            PsyncAnswer::TryLater => self.fail(step, Event::TryLater(text())),
            PsyncAnswer::Refused => self.fail(step, Event::PsyncRefused(text())),
        }
    }

    fn continued(&mut self, step: &mut Step<'_>, id: Option<ReplId>) {
        let Some(position) = step.position else {
            return self.fail(step, Event::NothingToContinue);
        };
        let new_id = id.filter(|id| *id != position.id);
        position.id = new_id.unwrap_or(position.id);
        step.log(Event::Continued);
        if let Some(id) = new_id {
            step.log(Event::NewId(id));
        }
        step.out.push(Output::Continue { new_id });
        self.stream(step);
    }

    fn header(&mut self, step: &mut Step<'_>, position: Position, line: &[u8]) {
        let Some(end) = wire::payload_end(line) else {
            let text = String::from_utf8_lossy(line).into_owned();
            let refused = line[0] == b'-';
            return self
                .fail(step, if refused { Event::SnapshotRefused(text) } else { Event::NotASnapshot(text) });
        };
        step.log(Event::Receiving(end));
        step.out.push(Output::StartPayload { position, end });
        let payload = Payload::new(end);
        let total = payload.left();
        self.state = State::Receiving(Transfer { position, payload, total, read: 0 });
        if end == PayloadEnd::Length(0) {
            self.received_all(step);
        }
    }
}
