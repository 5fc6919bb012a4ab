//! Scripts for the replica's side. The shell's half of the contract is checked with every output.

use crate::script::{Subject, Words};
use bytes::Bytes;
use redkeep_replication::ReplOffset;
use redkeep_replication::core::replica_link::{Credentials, Input, Link, LinkConfig, Master, Output};
use redkeep_replication::core::{PayloadEnd, Position};

/// What a shell has under way; it complains of outputs that it could not carry out.
#[derive(Debug, Default)]
pub(crate) struct Shell {
    connection: Connection,
    loader: Loader,
}

#[derive(Debug, Default, PartialEq, Eq, Clone, Copy)]
enum Connection {
    #[default]
    None,
    Opening,
    Open,
}

#[derive(Debug, Default, PartialEq, Eq, Clone, Copy)]
enum Loader {
    #[default]
    None,
    Receiving,
    Complete,
}

impl Shell {
    pub(crate) fn before(&mut self, input: &Input) {
        match input {
            Input::Connected if self.connection == Connection::Opening => self.connection = Connection::Open,
            Input::Disconnected(_) => self.connection = Connection::None,
            Input::Loaded | Input::LoadFailed(_) => self.loader = Loader::None,
            _ => {}
        }
    }

    /// Checks one output, and takes note of it.
    pub(crate) fn after(&mut self, output: &Output) {
        use Output::*;
        let fits = match output {
            Connect(_) => self.connection == Connection::None && self.loader == Loader::None,
            Send(_) | Stream(_) => self.connection == Connection::Open,
            Close => self.connection != Connection::None,
            StartPayload { .. } => self.connection == Connection::Open && self.loader == Loader::None,
            Payload(bytes) => self.loader == Loader::Receiving && !bytes.is_empty(),
            EndPayload => self.loader == Loader::Receiving,
            AbortPayload => self.loader != Loader::None,
            Continue { .. } => self.loader == Loader::None,
            Log(_) => true,
        };
        assert!(fits, "{output:?} cannot be carried out by {self:?}");
        match output {
            Connect(_) => self.connection = Connection::Opening,
            Close => self.connection = Connection::None,
            StartPayload { .. } => self.loader = Loader::Receiving,
            EndPayload => self.loader = Loader::Complete,
            AbortPayload => self.loader = Loader::None,
            Send(_) | Stream(_) | Payload(_) | Continue { .. } | Log(_) => {}
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.connection == Connection::Open
    }

    pub(crate) fn is_opening(&self) -> bool {
        self.connection == Connection::Opening
    }
}

/// A link that a script drives.
pub(crate) struct LinkSubject {
    link: Link,
    shell: Shell,
    /// Bytes arrive one by one.
    bytewise: bool,
}

impl LinkSubject {
    pub(crate) fn new(bytewise: bool) -> LinkSubject {
        LinkSubject { link: Link::new(config(&mut Words::new(""))), shell: Shell::default(), bytewise }
    }

    fn step(&mut self, now_ms: u64, input: Input) -> Vec<Output> {
        self.shell.before(&input);
        let outputs = self.link.step(now_ms, input);
        outputs.iter().for_each(|output| self.shell.after(output));
        outputs
    }

    /// Gives bytes in one piece, or one by one as long as the link wants them.
    fn receive(&mut self, now_ms: u64, mut bytes: Bytes) -> Vec<Output> {
        let mut outputs = Vec::new();
        while self.bytewise && bytes.len() > 1 && self.link.wants_bytes() {
            outputs.extend(self.step(now_ms, Input::Received(bytes.split_to(1))));
        }
        outputs.extend(self.step(now_ms, Input::Received(bytes)));
        merge(outputs)
    }
}

/// Joins neighbouring pieces of snapshot and stream: how bytes are cut is not the script's concern.
fn merge(outputs: Vec<Output>) -> Vec<Output> {
    let mut merged: Vec<Output> = Vec::new();
    for output in outputs {
        match (merged.last_mut(), &output) {
            (Some(Output::Payload(before)), Output::Payload(more))
            | (Some(Output::Stream(before)), Output::Stream(more)) => {
                *before = [&before[..], more].concat().into()
            }
            _ => merged.push(output),
        }
    }
    merged
}

impl Subject for LinkSubject {
    fn input(&mut self, now_ms: u64, line: &str) -> Vec<String> {
        let mut words = Words::new(line);
        let input = match words.word() {
            "config" => {
                self.link.configure(config(&mut words));
                return Vec::new();
            }
            "received" => {
                let bytes = Bytes::copy_from_slice(words.rest().as_bytes());
                return self.receive(now_ms, bytes).iter().map(render).collect();
            }
            "follow" => {
                let master = Master { host: words.parse(), port: words.parse() };
                let own = words.optional().map(|id| Position { id, offset: ReplOffset(words.parse()) });
                Input::Follow { master, own }
            }
            "unfollow" => Input::Unfollow,
            "connected" => Input::Connected,
            "disconnected" => Input::Disconnected(words.rest().into()),
            "loaded" => Input::Loaded,
            "load-failed" => Input::LoadFailed(words.rest().into()),
            "applied" => Input::Applied(ReplOffset(words.parse())),
            "ack-requested" => Input::AckRequested,
            "tick" => Input::Tick,
            _ => words.unknown(),
        };
        words.end();
        self.step(now_ms, input).iter().map(render).collect()
    }

    fn state(&self) -> String {
        let status = self.link.status(0);
        let up = if status.up { "up" } else { "down" };
        let mut state = format!("{} {up}", status.role_state);
        if let Some(sync) = status.sync {
            let total = sync.total_bytes.map_or("?".into(), |total| total.to_string());
            state += &format!(" {} of {total} bytes", sync.read_bytes);
        }
        if let Some(Position { id, offset }) = self.link.position() {
            state += &format!(" at {id} {offset}");
        }
        state
    }
}

/// `[port <n>] [ip <address>] [user <name>] [password <word>] [timeout <ms>]`
fn config(words: &mut Words<'_>) -> LinkConfig {
    let mut config =
        LinkConfig { listening_port: 6380, announce_ip: None, credentials: None, timeout_ms: 60_000 };
    let mut user = None;
    loop {
        match words.word() {
            "" => return config,
            "port" => config.listening_port = words.parse(),
            "ip" => config.announce_ip = Some(words.parse()),
            "user" => user = Some(words.word().as_bytes().to_vec()),
            "password" => {
                let password = words.word().as_bytes().to_vec();
                config.credentials = Some(Credentials { user: user.take(), password });
            }
            "timeout" => config.timeout_ms = words.parse(),
            _ => words.unknown(),
        }
    }
}

fn render(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("scripts are text");
    match output {
        Output::Connect(Master { host, port }) => format!("connect {host} {port}"),
        Output::Send(bytes) => format!("send {}", text(bytes)),
        Output::Close => "close".into(),
        Output::StartPayload { position: Position { id, offset }, end } => {
            let end = match end {
                PayloadEnd::Length(bytes) => format!("length {bytes}"),
                PayloadEnd::Mark(mark) => format!("mark {}", text(mark)),
            };
            format!("start-payload {id} {offset} {end}")
        }
        Output::Payload(bytes) => format!("payload {}", text(bytes)),
        Output::EndPayload => "end-payload".into(),
        Output::AbortPayload => "abort-payload".into(),
        Output::Continue { new_id: None } => "continue".into(),
        Output::Continue { new_id: Some(id) } => format!("continue {id}"),
        Output::Stream(bytes) => format!("stream {}", text(bytes)),
        Output::Log(event) => format!("log {:?} {event}", event.level())
            .replacen("Notice", "notice", 1)
            .replacen("Warning", "warning", 1),
    }
}
