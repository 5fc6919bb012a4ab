//! The link to the primary: what a replica receives, loads and applies.
//!
//! A snapshot is received into a file first and loaded when it is whole, so that a primary that dies while it sends
//! leaves this node with the data it had.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use redkeep_replication::core::replica_link::{
    Credentials, Input, Link, LinkConfig, Master, Output, TICK_MS,
};
use redkeep_replication::core::{PayloadEnd, Position};
use redkeep_resp::net::{Address, Stream};
use redkeep_store::{Database, Exclusive};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::feed::log;
use super::monotonic_ms;
use crate::dispatch::StreamApplier;
use crate::engine::{Engine, policy};
use crate::error::ServerError;
use crate::load::{Report, load_unless};
use crate::observers::Observers;

/// Bytes that one read of the link may bring.
const PIECE: usize = 64 * 1024;

/// Longest wait for a connection to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Why what was received is not used.
const CHANGED: &str = "the primary has changed meanwhile";

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
            loaded = finished(&mut upstream.loading) => Some(upstream.loaded(loaded).await),
            received = read(&mut upstream.connection), if wants_bytes => Some(received),
            _ = tick.tick() => Some(Input::Tick),
        };
        if let Some(input) = input {
            upstream.step(input).await;
        }
        if upstream.loading.is_none()
            && let Some(reason) = upstream.lost_while_loading.take()
        {
            upstream.step(Input::Disconnected(reason)).await;
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
    loading: Option<Load>,
    /// Why the connection ended, if it did while a snapshot was being loaded: which is no reason not to finish that.
    lost_while_loading: Option<String>,
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

/// A snapshot that is being loaded, on a thread of its own. Letting go of it breaks the load off.
struct Load {
    thread: JoinHandle<Result<Report, ServerError>>,
    stop: Arc<AtomicBool>,
    position: Position,
}

impl Load {
    fn start(engine: Arc<Engine>, spool: Spool, old: Vec<Arc<Database<Observers>>>) -> Load {
        let stop: Arc<AtomicBool> = Arc::default();
        let (stopped, position) = (stop.clone(), spool.position);
        let thread = tokio::task::spawn_blocking(move || {
            drop(old);
            load_unless(&engine, &spool.path, true, &stopped)
        });
        Load { thread, stop, position }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

async fn finished(loading: &mut Option<Load>) -> Result<Report, ServerError> {
    let Some(load) = loading else { return std::future::pending().await };
    (&mut load.thread).await.unwrap_or_else(|error| Err(io::Error::other(error).into()))
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

/// Empties all databases; what they held is to be dropped outside of the gate.
fn flush_all(engine: &Engine, claim: &mut Exclusive) -> Vec<Arc<Database<Observers>>> {
    (0..engine.keyspace.databases()).filter_map(|db| engine.flush(claim, db)).collect()
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
            loading: None,
            lost_while_loading: None,
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
            Output::EndPayload => return self.load().await,
            Output::AbortPayload => self.abort_payload().await,
            Output::Continue { .. } => return self.go_on().await,
            Output::Stream(bytes) => return self.apply(&bytes).await,
            Output::Log(event) => log(event.level(), &event.to_string()),
        }
        None
    }

    async fn send(&mut self, bytes: Bytes) -> Option<Input> {
        let connection = self.connection.as_mut()?;
        let patience = Duration::from_millis(link_config(&self.engine).timeout_ms);
        let reason = match tokio::time::timeout(patience, connection.write.write_all(&bytes)).await {
            Ok(Ok(())) => return None,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the primary does not read".into(),
        };
        if self.loading.is_none() {
            return Some(Input::Disconnected(reason));
        }
        self.connection = None;
        self.lost_while_loading = Some(reason);
        None
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

    /// Begins to replace the data set by the snapshot that was received. Until it is there whole, there is nothing
    /// that anybody could continue from.
    async fn load(&mut self) -> Option<Input> {
        let Some(spool) = self.spool.take() else {
            return Some(Input::LoadFailed("there is no snapshot to load".into()));
        };
        let engine = self.engine.clone();
        engine.set_policy(policy::LOADING, true);
        let mut claim = engine.claim().await;
        if engine.replication.epoch() != self.epoch {
            engine.set_policy(policy::LOADING, false);
            engine.release(claim);
            return Some(Input::LoadFailed(CHANGED.into()));
        }
        let old = flush_all(&engine, &mut claim);
        engine.replication.deactivate_log(&engine.log);
        engine.release(claim);
        self.lost_while_loading = None;
        self.loading = Some(Load::start(engine, spool, old));
        None
    }

    /// The load has ended. What was loaded in part goes; what was loaded whole stays, but is continued from only in
    /// the role that it was loaded for.
    async fn loaded(&mut self, loaded: Result<Report, ServerError>) -> Input {
        let position = self.loading.take().map(|load| load.position);
        let engine = self.engine.clone();
        let mut claim = engine.claim().await;
        let same_role = engine.replication.epoch() == self.epoch;
        let mut partial = Vec::new();
        let input = match (loaded, position) {
            (Ok(report), Some(position)) if same_role => {
                engine.replication.restart_at(&engine.log, position);
                self.applier.begin(report.stream_db);
                tracing::info!("{} keys loaded from the primary's snapshot", report.keys);
                Input::Loaded
            }
            (Ok(_), _) => Input::LoadFailed(CHANGED.into()),
            (Err(error), _) => {
                partial = flush_all(&engine, &mut claim);
                Input::LoadFailed(error.to_string())
            }
        };
        engine.set_policy(policy::LOADING, false);
        engine.release(claim);
        drop(partial);
        input
    }

    /// Gives up the snapshot that is being received or loaded.
    async fn abort_payload(&mut self) {
        self.spool = None;
        self.lost_while_loading = None;
        let Some(mut load) = self.loading.take() else { return };
        load.stop.store(true, Ordering::Relaxed);
        // It must have ended before the link or a client uses the keyspace. If it did whole, its data stays.
        let whole = matches!((&mut load.thread).await, Ok(Ok(_)));
        let mut claim = self.engine.claim().await;
        let partial = if whole { Vec::new() } else { flush_all(&self.engine, &mut claim) };
        self.engine.set_policy(policy::LOADING, false);
        self.engine.release(claim);
        drop(partial);
    }

    /// The primary lets this node continue, perhaps under another id.
    async fn go_on(&mut self) -> Option<Input> {
        self.applier.resume();
        let engine = self.engine.clone();
        let claim = engine.claim().await;
        if engine.replication.epoch() != self.epoch {
            engine.release(claim);
            return Some(Input::Disconnected(CHANGED.into()));
        }
        if !engine.log.is_active() {
            engine.log.reset(engine.log.end());
        }
        // Not only what this answer said: an id may have come with one that another change of role made void.
        if let Some(Position { id, .. }) = self.link.position()
            && id != engine.replication.history().id()
        {
            engine.replication.branch(&engine, id);
        }
        engine.release(claim);
        None
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
            engine.replication.set_link(self.link.status(monotonic_ms(engine)), self.epoch);
            engine.replication.refresh_policy(engine, &engine.config.settings());
        }
    }
}
