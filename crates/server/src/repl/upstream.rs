//! The link to the primary: what a replica receives, loads and applies.
//!
//! A snapshot is received into a file first and loaded when it is whole, so that a primary that dies while it sends
//! leaves this node with the data it had.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use redkeep_replication::core::replica_link::{
    Credentials, Input, Link, LinkConfig, Master, Output, TICK_MS,
};
use redkeep_replication::core::{PayloadEnd, Position};
use redkeep_resp::net::{Address, Stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::feed::log;
use super::monotonic_ms;
use crate::dispatch::StreamApplier;
use crate::engine::{Engine, policy};
use crate::load::load_file;

/// Bytes that one read of the link may bring.
const PIECE: usize = 64 * 1024;

/// Longest wait for a connection to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// What the rest of the server tells the link.
#[derive(Debug)]
pub(crate) enum UpstreamCommand {
    /// `REPLICAOF host port`.
    Follow { master: Master, own: Option<Position>, epoch: u64 },
    /// `REPLICAOF NO ONE`.
    Unfollow { epoch: u64 },
    /// Settings have changed.
    Reconfigure,
    /// An acknowledgement is wanted now.
    AckRequested,
}

/// Serves the link until the server ends.
pub(crate) async fn follow(engine: Arc<Engine>, mut commands: mpsc::Receiver<UpstreamCommand>) {
    let mut upstream = Upstream::new(engine);
    let mut tick = tokio::time::interval(Duration::from_millis(TICK_MS));
    loop {
        let wants_bytes = upstream.link.wants_bytes();
        let input = tokio::select! {
            biased;
            command = commands.recv() => match command {
                None => return,
                Some(command) => upstream.command(command),
            },
            stream = opened(&mut upstream.connecting) => upstream.connected(stream),
            received = read(&mut upstream.connection), if wants_bytes => Some(received),
            _ = tick.tick() => Some(Input::Tick),
        };
        if let Some(input) = input {
            upstream.step(input).await;
        }
        upstream.report();
    }
}

struct Connection {
    read: ReadHalf<Stream>,
    write: WriteHalf<Stream>,
    buffer: BytesMut,
}

struct Upstream {
    engine: Arc<Engine>,
    link: Link,
    connecting: Option<JoinHandle<io::Result<Stream>>>,
    connection: Option<Connection>,
    spool: Option<Spool>,
    applier: StreamApplier,
    /// The epoch of the role that the link belongs to.
    epoch: u64,
}

/// A snapshot that is being received.
struct Spool {
    path: PathBuf,
    file: File,
    position: Position,
}

impl Drop for Spool {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

async fn opened(connecting: &mut Option<JoinHandle<io::Result<Stream>>>) -> io::Result<Stream> {
    let Some(handle) = connecting else { return std::future::pending().await };
    let opened = handle.await.unwrap_or_else(|error| Err(io::Error::other(error)));
    *connecting = None;
    opened
}

async fn read(connection: &mut Option<Connection>) -> Input {
    let Some(connection) = connection else { return std::future::pending().await };
    connection.buffer.reserve(PIECE);
    match connection.read.read_buf(&mut connection.buffer).await {
        Ok(0) => Input::Disconnected("the primary closed the connection".into()),
        Ok(_) => Input::Received(connection.buffer.split().freeze()),
        Err(error) => Input::Disconnected(error.to_string()),
    }
}

fn link_config(engine: &Engine) -> LinkConfig {
    let settings = engine.config.settings();
    let announced = u16::try_from(settings.replica_announce_port).ok().filter(|&port| port != 0);
    let text = |value: &String| (!value.is_empty()).then(|| value.clone());
    LinkConfig {
        listening_port: announced.unwrap_or(engine.port),
        announce_ip: text(&settings.replica_announce_ip),
        credentials: text(&settings.masterauth).map(|password| Credentials {
            user: text(&settings.masteruser).map(String::into_bytes),
            password: password.into_bytes(),
        }),
        timeout_ms: settings.repl_timeout.max(1) as u64 * 1000,
    }
}

impl Upstream {
    fn new(engine: Arc<Engine>) -> Self {
        Upstream {
            link: Link::new(link_config(&engine)),
            applier: StreamApplier::new(engine.clone()),
            connecting: None,
            connection: None,
            spool: None,
            epoch: engine.replication.epoch(),
            engine,
        }
    }

    fn command(&mut self, command: UpstreamCommand) -> Option<Input> {
        match command {
            UpstreamCommand::Follow { master, own, epoch } => {
                self.epoch = epoch;
                Some(Input::Follow { master, own })
            }
            UpstreamCommand::Unfollow { epoch } => {
                self.epoch = epoch;
                Some(Input::Unfollow)
            }
            UpstreamCommand::AckRequested => Some(Input::AckRequested),
            UpstreamCommand::Reconfigure => {
                self.link.configure(link_config(&self.engine));
                None
            }
        }
    }

    fn connected(&mut self, stream: io::Result<Stream>) -> Option<Input> {
        Some(match stream {
            Ok(stream) => {
                let (read, write) = tokio::io::split(stream);
                self.connection = Some(Connection { read, write, buffer: BytesMut::new() });
                Input::Connected
            }
            Err(error) => Input::Disconnected(error.to_string()),
        })
    }

    /// Gives the link an input, carries its outputs out, and gives it what comes of them.
    async fn step(&mut self, input: Input) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            if matches!(input, Input::Disconnected(_)) {
                self.connection = None;
            }
            for output in self.link.step(monotonic_ms(&self.engine), input) {
                // What failed is the next input; the outputs behind it concern a connection that is gone.
                if let Some(next) = self.carry_out(output).await {
                    let failed = matches!(next, Input::Disconnected(_));
                    inputs.insert(0, next);
                    if failed {
                        break;
                    }
                }
            }
        }
    }

    async fn carry_out(&mut self, output: Output) -> Option<Input> {
        match output {
            Output::Connect(master) => {
                let address = Address::tcp(master.host, master.port);
                self.connecting = Some(tokio::spawn(async move {
                    tokio::time::timeout(CONNECT_TIMEOUT, Stream::connect(&address))
                        .await
                        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
                }));
            }
            Output::Send(bytes) => return self.send(bytes).await,
            Output::Close => {
                if let Some(connecting) = self.connecting.take() {
                    connecting.abort();
                }
                self.connection = None;
                self.applier.resume();
            }
            Output::StartPayload { position, end } => return self.start_payload(position, end),
            Output::Payload(bytes) => return self.receive(&bytes),
            Output::EndPayload => return Some(self.load().await),
            Output::AbortPayload => self.spool = None,
            Output::Continue { new_id } => self.go_on(new_id).await,
            Output::Stream(bytes) => return self.apply(&bytes).await,
            Output::Log(event) => log(event.level(), &event.to_string()),
        }
        None
    }

    async fn send(&mut self, bytes: Bytes) -> Option<Input> {
        let connection = self.connection.as_mut()?;
        let patience = Duration::from_millis(link_config(&self.engine).timeout_ms);
        match tokio::time::timeout(patience, connection.write.write_all(&bytes)).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(Input::Disconnected(error.to_string())),
            Err(_) => Some(Input::Disconnected("the primary does not read".into())),
        }
    }

    fn start_payload(&mut self, position: Position, _end: PayloadEnd) -> Option<Input> {
        let folder = PathBuf::from(&self.engine.config.settings().dir);
        let path = folder.join(format!("temp-sync-{}-{}.rdb", std::process::id(), self.engine.port));
        match File::create(&path) {
            Ok(file) => {
                self.spool = Some(Spool { path, file, position });
                None
            }
            Err(error) => Some(Input::LoadFailed(format!("{}: {error}", path.display()))),
        }
    }

    fn receive(&mut self, bytes: &[u8]) -> Option<Input> {
        let spool = self.spool.as_mut()?;
        let error = spool.file.write_all(bytes).err()?;
        let failed = format!("{}: {error}", spool.path.display());
        self.spool = None;
        Some(Input::LoadFailed(failed))
    }

    /// Replaces the data set by the snapshot that was received.
    async fn load(&mut self) -> Input {
        let Some(spool) = self.spool.take() else {
            return Input::LoadFailed("there is no snapshot to load".into());
        };
        let engine = self.engine.clone();
        engine.set_policy(policy::LOADING, true);
        let mut claim = engine.claim().await;
        if engine.replication.epoch() != self.epoch {
            engine.set_policy(policy::LOADING, false);
            engine.release(claim);
            return Input::LoadFailed("the primary has changed meanwhile".into());
        }
        let old: Vec<_> = (0..engine.keyspace.databases()).map(|db| engine.flush(&mut claim, db)).collect();
        engine.replication.restart_at(&engine.log, spool.position);
        engine.release(claim);
        drop(old);
        let loaded = load_file(&engine, &spool.path, true);
        self.applier.begin(loaded.as_ref().map_or(0, |report| report.stream_db));
        engine.set_policy(policy::LOADING, false);
        match loaded {
            Ok(report) => {
                tracing::info!("{} keys loaded from the primary's snapshot", report.keys);
                Input::Loaded
            }
            Err(error) => Input::LoadFailed(error.to_string()),
        }
    }

    async fn go_on(&mut self, new_id: Option<redkeep_replication::ReplId>) {
        self.applier.resume();
        let engine = self.engine.clone();
        let claim = engine.claim().await;
        if !engine.log.is_active() {
            engine.log.reset(engine.log.end());
        }
        if let Some(id) = new_id {
            engine.replication.branch(&engine, id);
        }
        engine.release(claim);
    }

    async fn apply(&mut self, bytes: &[u8]) -> Option<Input> {
        match self.applier.apply(bytes, self.epoch).await {
            Ok(applied) => {
                // The machine learns of the offset first, then that it is asked for.
                if applied.ack_requested {
                    Box::pin(self.step(Input::Applied(applied.offset))).await;
                    return Some(Input::AckRequested);
                }
                Some(Input::Applied(applied.offset))
            }
            Err(error) => Some(Input::Disconnected(error.to_string())),
        }
    }

    /// Lets INFO, ROLE and the policies know how the link stands.
    fn report(&self) {
        let engine = &self.engine;
        if engine.replication.is_replica() {
            engine.replication.set_link(self.link.status(monotonic_ms(engine)));
            engine.replication.refresh_policy(engine, &engine.config.settings());
        }
    }
}
