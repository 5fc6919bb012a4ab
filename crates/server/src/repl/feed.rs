//! The link of one replica: snapshot, then stream.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use redkeep_replication::core::replica_session::{self, EventKind, Input, Output, Primary};
use redkeep_replication::core::{Level, PayloadEnd};
use redkeep_replication::{Reader, Refusal, ReplOffset, ReplicaId};
use redkeep_resp::{ArgRange, Limits, Parsed, RequestReader};
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot};

use super::snapshots::Started;
use super::{NewReplica, ReplicaInfo, ReplicaRequest, SnapshotRequest, monotonic_ms};
use crate::client::Client;
use crate::engine::Engine;
use crate::snapshot::Chunk;

/// Bytes that are written to a replica at once.
const PIECE: usize = 64 * 1024;

/// A replica sends acknowledgements and nothing larger.
const MAX_INPUT: usize = 64 * 1024;

/// While more than this waits to be written, nothing more is read that might have to be answered. What the stream
/// or a snapshot brings is less, so that acknowledgements are heard however slowly the replica reads.
const MAX_OUTGOING: usize = 256 * 1024;

/// How long a link that ends waits for its last bytes to be written.
const CLOSE_PATIENCE: Duration = Duration::from_secs(1);

const TICK: Duration = Duration::from_secs(1);

/// Where the next bytes for the replica come from.
enum Source {
    /// Nowhere yet.
    Nothing,
    /// A snapshot was asked for.
    Awaited(oneshot::Receiver<Started>),
    /// A snapshot of unknown length, ended by a mark.
    Streamed { chunks: mpsc::Receiver<Chunk>, reader: Reader },
    /// A snapshot that is being written to a file first, since its length has to be said.
    Spooling { chunks: mpsc::Receiver<Chunk>, file: tokio::fs::File, reader: Reader },
    /// A snapshot from a file.
    Spooled { file: tokio::fs::File, reader: Reader },
    /// A snapshot was sent; the stream waits here until the machine starts it.
    Ready(Reader),
    /// The stream.
    Stream(Reader),
}

impl Source {
    fn reader(&mut self) -> Option<&mut Reader> {
        match self {
            Source::Nothing | Source::Awaited(_) => None,
            Source::Streamed { reader, .. } | Source::Spooling { reader, .. } => Some(reader),
            Source::Spooled { reader, .. } | Source::Ready(reader) | Source::Stream(reader) => Some(reader),
        }
    }
}

struct Feed {
    engine: Arc<Engine>,
    machine: replica_session::Session,
    client: Arc<Client>,
    write: OwnedWriteHalf,
    /// What is to be written before anything of the source.
    outgoing: Vec<u8>,
    source: Source,
    /// Whether the machine lets the snapshot's bytes go.
    payload_open: bool,
    streaming: bool,
    closing: bool,
}

/// Serves one replica until its link ends.
pub(crate) async fn serve_replica(engine: Arc<Engine>, replica: NewReplica) {
    let (client, id) = (replica.client.clone(), ReplicaId(replica.client.id));
    if let Err(error) = run(engine.clone(), replica).await {
        tracing::info!("Connection with replica {} lost: {error}", client.addr);
    }
    engine.replication.forget_replica(id);
    engine.clients.remove(client.id);
}

async fn run(engine: Arc<Engine>, replica: NewReplica) -> io::Result<()> {
    let stream = TcpStream::from_std(replica.stream)?;
    let (mut read, write) = stream.into_split();
    let mut feed = Feed {
        engine,
        machine: replica.machine,
        client: replica.client,
        write,
        outgoing: Vec::new(),
        source: Source::Nothing,
        payload_open: false,
        streaming: false,
        closing: false,
    };
    feed.ask(replica.request).await?;
    let mut input = replica.input;
    let mut requests = RequestReader::default();
    let mut tick = tokio::time::interval(TICK);
    loop {
        feed.take_requests(&mut input, &mut requests).await?;
        if feed.client.is_closing() {
            return Err(io::Error::other("closed"));
        }
        if feed.closing {
            return feed.finish().await;
        }
        feed.publish();
        feed.advance(&mut read, &mut input, &mut tick).await?;
    }
}

impl Feed {
    async fn ask(&mut self, request: ReplicaRequest) -> io::Result<()> {
        let engine = self.engine.clone();
        // A reader that is taken before the decision keeps what the decision counts on.
        let held = match &request {
            ReplicaRequest::Psync(request) => request.offset().and_then(|offset| {
                engine.log.reader(offset, engine.config.settings().output_limits.replica.hard)
            }),
            ReplicaRequest::Sync => None,
        };
        let history = engine.replication.history();
        let link_up = engine.replication.link().is_some_and(|link| link.up);
        let primary = Primary {
            history: &history,
            backlog: engine.log.available(),
            can_serve: !engine.replication.is_replica() || link_up,
        };
        if let Some(reader) = held {
            self.source = Source::Ready(reader);
        }
        let input = match request {
            ReplicaRequest::Psync(request) => Input::Psync(request, primary),
            ReplicaRequest::Sync => Input::Sync(primary),
        };
        let outputs = self.machine.step(monotonic_ms(&engine), input);
        self.carry_out(outputs).await?;
        // One that was refused is to come back; on this connection it would wait for nothing.
        self.closing |= !self.machine.is_replica();
        Ok(())
    }

    async fn step(&mut self, input: Input<'_>) -> io::Result<()> {
        let outputs = self.machine.step(monotonic_ms(&self.engine), input);
        self.carry_out(outputs).await
    }

    async fn carry_out(&mut self, outputs: Vec<Output>) -> io::Result<()> {
        for output in outputs {
            match output {
                Output::Send(bytes) => self.outgoing.extend_from_slice(&bytes),
                Output::WantSnapshot => {
                    self.engine.stats.sync_full.fetch_add(1, Ordering::Relaxed);
                    let (started, awaited) = oneshot::channel();
                    self.source = Source::Awaited(awaited);
                    if !self.engine.replication.request_snapshot(SnapshotRequest { started }).await {
                        return Err(io::Error::other("the server is shutting down"));
                    }
                }
                Output::SendPayload => self.payload_open = true,
                Output::StartStream(offset) => self.start_stream(offset)?,
                Output::Acked(_) => self.publish(),
                Output::AckRequested => self.engine.replication.request_own_ack(),
                Output::Close => self.closing = true,
                Output::Log(event) => {
                    self.count(&event.kind);
                    log(event.level(), &event.to_string());
                }
            }
        }
        Ok(())
    }

    fn count(&self, event: &EventKind) {
        let stats = &self.engine.stats;
        match event {
            EventKind::Continues { .. } => stats.sync_partial_ok.fetch_add(1, Ordering::Relaxed),
            EventKind::CannotContinue(Refusal::Asked) => 0,
            EventKind::CannotContinue(_) => stats.sync_partial_err.fetch_add(1, Ordering::Relaxed),
            EventKind::AsksForSync
            | EventKind::IsAhead
            | EventKind::SnapshotFailed
            | EventKind::SnapshotStreamed
            | EventKind::Online
            | EventKind::SnapshotOnly
            | EventKind::TransferTimeout
            | EventKind::AckTimeout => 0,
        };
    }

    fn start_stream(&mut self, offset: ReplOffset) -> io::Result<()> {
        let reader = match std::mem::replace(&mut self.source, Source::Nothing) {
            Source::Ready(reader) => Some(reader).filter(|reader| reader.offset() == offset),
            _ => None,
        };
        let limit = self.engine.config.settings().output_limits.replica.hard;
        let reader = reader.or_else(|| self.engine.log.reader(offset, limit));
        self.source = Source::Stream(reader.ok_or_else(|| io::Error::other("the backlog has moved on"))?);
        self.streaming = true;
        Ok(())
    }

    /// Executes what the replica sent: REPLCONF.
    async fn take_requests(&mut self, input: &mut Vec<u8>, requests: &mut RequestReader) -> io::Result<()> {
        let limits = Limits::default();
        let mut at = 0;
        loop {
            let mut ranges: Vec<ArgRange> = Vec::new();
            match requests.next(input, at, &limits, &mut ranges).map_err(io::Error::other)? {
                Parsed::Request { len } => {
                    let request = &input[at..at + len];
                    let words: Vec<&[u8]> = ranges.iter().map(|range| range.of(request)).collect();
                    match words.split_first() {
                        None => self.step(Input::Newline).await?,
                        Some((name, rest)) if name.eq_ignore_ascii_case(b"replconf") => {
                            self.step(Input::Replconf(rest)).await?;
                        }
                        Some(_) => {}
                    }
                    at += len;
                }
                Parsed::Incomplete { .. } => {
                    input.drain(..at);
                    if input.len() > MAX_INPUT {
                        return Err(io::Error::other("the replica sends what no replica sends"));
                    }
                    return Ok(());
                }
            }
        }
    }

    /// Waits for whatever comes first: bytes of the replica, room for bytes to it, a snapshot, the clock.
    async fn advance(
        &mut self,
        read: &mut OwnedReadHalf,
        input: &mut Vec<u8>,
        tick: &mut tokio::time::Interval,
    ) -> io::Result<()> {
        self.refill()?;
        let idle = self.outgoing.is_empty();
        let hears = self.outgoing.len() < MAX_OUTGOING;
        // A snapshot that has begun is taken at once, since it comes with a reader that holds the log.
        let takes = idle || matches!(self.source, Source::Awaited(_));
        // Fair, so that a replica that never stops talking does not keep the stream from itself.
        tokio::select! {
            n = read.read_buf(input), if hears => match n? {
                0 => Err(io::Error::other("the replica closed the connection")),
                _ => Ok(()),
            },
            n = self.write.write(&self.outgoing), if !idle => {
                self.outgoing.drain(..n?);
                if self.payload_open && !self.streaming { self.step(Input::PayloadProgress).await } else { Ok(()) }
            },
            event = next_of(&mut self.source, self.payload_open), if takes => self.take(event).await,
            () = std::future::poll_fn(|cx| self.client.poll_event(cx, false)) => Err(io::Error::other("closed")),
            _ = tick.tick() => {
                self.machine.set_timeout(timeout_ms(&self.engine));
                self.step(Input::Tick).await
            }
        }
    }

    /// Takes the next piece of the stream, or finds out that the replica is too far behind: also one whose snapshot
    /// is still on its way, since its reader holds the log as well.
    fn refill(&mut self) -> io::Result<()> {
        let due = if self.streaming && self.outgoing.is_empty() { PIECE } else { 0 };
        let Some(reader) = self.source.reader() else { return Ok(()) };
        let bytes = reader.peek(due).map_err(io::Error::other)?;
        let len = bytes.len();
        self.outgoing.extend_from_slice(bytes);
        reader.consume(len);
        Ok(())
    }

    /// Writes what is left to say, and ends the connection.
    async fn finish(mut self) -> io::Result<()> {
        // The log is not held for the sake of a link that ends.
        self.source = Source::Nothing;
        let goodbye = async {
            self.write.write_all(&self.outgoing).await?;
            self.write.shutdown().await
        };
        tokio::time::timeout(CLOSE_PATIENCE, goodbye)
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    async fn take(&mut self, event: SourceEvent) -> io::Result<()> {
        match event {
            SourceEvent::Started(started) => self.start_payload(started).await,
            SourceEvent::Broken => {
                self.source = Source::Nothing;
                self.step(Input::SnapshotFailed).await
            }
            SourceEvent::Bytes(bytes) => match &mut self.source {
                Source::Spooling { file, .. } => file.write_all(&bytes).await,
                _ => {
                    self.outgoing.extend_from_slice(&bytes);
                    Ok(())
                }
            },
            SourceEvent::Complete => self.end_payload().await,
            SourceEvent::More => Ok(()),
        }
    }

    async fn start_payload(&mut self, started: Started) -> io::Result<()> {
        let Started { position, chunks, reader } = started;
        self.step(Input::SnapshotStarted(position)).await?;
        if self.machine.options().eof {
            let mark = std::array::from_fn(|_| fastrand::alphanumeric() as u8);
            self.source = Source::Streamed { chunks, reader };
            return self.step(Input::SnapshotReady(PayloadEnd::Mark(mark))).await;
        }
        let file = tempfile::tempfile_in(&self.engine.config.settings().dir)?;
        self.source = Source::Spooling { chunks, file: tokio::fs::File::from_std(file), reader };
        Ok(())
    }

    /// The source has no more bytes of the snapshot.
    async fn end_payload(&mut self) -> io::Result<()> {
        match std::mem::replace(&mut self.source, Source::Nothing) {
            Source::Streamed { reader, .. } => {
                self.source = Source::Ready(reader);
                self.step(Input::PayloadSent).await
            }
            Source::Spooling { mut file, reader, .. } => {
                let len = file.stream_position().await?;
                file.rewind().await?;
                self.source = Source::Spooled { file, reader };
                self.step(Input::SnapshotReady(PayloadEnd::Length(len))).await
            }
            Source::Spooled { reader, .. } => {
                self.source = Source::Ready(reader);
                self.step(Input::PayloadSent).await
            }
            source => {
                self.source = source;
                Ok(())
            }
        }
    }

    /// Lets INFO, WAIT and others know how the replica stands.
    fn publish(&self) {
        let Some(state) = self.machine.state_name() else { return };
        let options = self.machine.options();
        let now_ms = monotonic_ms(&self.engine);
        let seen_at = self.client.addr.rsplit_once(':').map_or("", |(ip, _)| ip);
        self.engine.replication.update_replica(ReplicaInfo {
            id: ReplicaId(self.client.id),
            ip: options.ip.clone().unwrap_or_else(|| seen_at.to_owned()),
            port: options.listening_port,
            state,
            acked: self.machine.acked(),
            acked_at_ms: now_ms.saturating_sub(self.machine.lag_secs(now_ms) * 1000),
        });
    }
}

fn timeout_ms(engine: &Engine) -> u64 {
    engine.config.settings().repl_timeout.max(1) as u64 * 1000
}

enum SourceEvent {
    Started(Started),
    Bytes(Bytes),
    Complete,
    Broken,
    More,
}

/// What the source brings next. Being dropped while it waits loses nothing.
async fn next_of(source: &mut Source, payload_open: bool) -> SourceEvent {
    match source {
        Source::Awaited(awaited) => match awaited.await {
            Ok(started) => SourceEvent::Started(started),
            Err(_) => SourceEvent::Broken,
        },
        Source::Streamed { chunks, .. } if payload_open => next_chunk(chunks).await,
        Source::Spooling { chunks, .. } => next_chunk(chunks).await,
        Source::Spooled { file, .. } if payload_open => {
            let mut piece = vec![0; PIECE];
            match file.read(&mut piece).await {
                Ok(0) => SourceEvent::Complete,
                Ok(n) => {
                    piece.truncate(n);
                    SourceEvent::Bytes(piece.into())
                }
                Err(_) => SourceEvent::Broken,
            }
        }
        Source::Stream(reader) => {
            reader.ready().await;
            SourceEvent::More
        }
        Source::Nothing | Source::Ready(_) | Source::Streamed { .. } | Source::Spooled { .. } => {
            std::future::pending().await
        }
    }
}

async fn next_chunk(chunks: &mut mpsc::Receiver<Chunk>) -> SourceEvent {
    match chunks.recv().await {
        Some(Chunk::Bytes(bytes)) => SourceEvent::Bytes(bytes),
        Some(Chunk::End) => SourceEvent::Complete,
        None => SourceEvent::Broken,
    }
}

/// A line of the log, at the level that a machine gave it.
pub(super) fn log(level: Level, line: &str) {
    match level {
        Level::Debug => tracing::debug!("{line}"),
        Level::Notice => tracing::info!("{line}"),
        Level::Warning => tracing::warn!("{line}"),
    }
}
