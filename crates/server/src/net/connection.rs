//! One connection: reads, executes, writes, in that order, until it ends.
//!
//! Its output is one queue: replies in the order of the requests, pushes between them. What the kernel does not
//! take at once waits in the connection, and while too much waits, nothing more is read from the client.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use redkeep_resp::net::Stream;
use redkeep_resp::{ReplyWriter, RequestReader};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};

use super::worker::{READ_BUFFER, Worker};
use crate::client::Client;
use crate::commands::{Hold, Suspension, unwatch_keys};
use crate::dispatch::{Next, Progress};
use crate::repl::ReplicaRequest;
use crate::session::{Origin, Session};

/// Output that may wait for a client before reading from it stops, in bytes.
const OUTPUT_HIGH_WATER: usize = 64 << 20;

/// Output that may wait before mail is left where it is: in the mailbox, whose size `client-output-buffer-limit` bounds.
const MAIL_HIGH_WATER: usize = READ_BUFFER;

/// Memory for replies that a worker keeps from batch to batch.
const WRITE_BUFFER_KEPT: usize = 1 << 20;

/// Requests that may gather while a command waits, in bytes.
const INPUT_WHILE_SUSPENDED: usize = 1 << 20;

/// How long a refusal may take to be sent.
const REFUSAL_PATIENCE: Duration = Duration::from_secs(1);

/// A connection on its worker.
pub(super) struct Connection {
    worker: Rc<Worker>,
    stream: Stream,
    session: Session,
    reader: RequestReader,
    /// The beginning of a request whose rest has not come.
    input: Vec<u8>,
    /// At least so many bytes of it are missing.
    missing: usize,
    /// What the kernel did not take at once.
    output: Vec<u8>,
    /// So many bytes of it were taken since.
    sent: usize,
}

/// What a connection waits for between batches.
enum Event {
    /// Bytes came; so many are in the worker's buffer now, what was left over before them.
    Read(usize),
    /// Bytes came and were appended to the connection's own input.
    Gathered,
    /// There is mail, or the client is to be closed.
    Mail,
    /// The other end is gone.
    Closed,
}

impl Connection {
    /// Takes an accepted connection in, unless there are too many.
    pub(super) fn open(worker: Rc<Worker>, stream: Stream) -> Option<Self> {
        let engine = &worker.engine;
        let settings = engine.config.settings();
        let client =
            Client::new(engine.clients.next_id(), stream.peer_addr(), stream.local_addr(), Instant::now());
        if !engine.clients.admit(&client, settings.maxclients as usize) {
            engine.stats.rejected_connections.fetch_add(1, Ordering::Relaxed);
            tokio::task::spawn_local(refuse(stream));
            return None;
        }
        engine.stats.connections.fetch_add(1, Ordering::Relaxed);
        let keepalive = u64::try_from(settings.tcp_keepalive).ok().filter(|&seconds| seconds > 0);
        let _ = stream.set_nodelay(true);
        let _ = stream.set_keepalive(keepalive.map(Duration::from_secs));
        let session = Session::new(client, Origin::Client, settings.requirepass.is_empty());
        Some(Connection {
            worker,
            stream,
            session,
            reader: RequestReader::default(),
            input: Vec::new(),
            missing: 1,
            output: Vec::new(),
            sent: 0,
        })
    }

    /// Serves the connection to its end.
    pub(super) async fn serve(mut self) {
        let handed_over = loop {
            let event = poll_fn(|cx| self.poll_event(cx, usize::MAX)).await;
            let progress = match event {
                Event::Read(len) => self.execute_read(len),
                Event::Gathered => self.execute_input(),
                Event::Mail if self.session.client.is_closing() => break None,
                Event::Mail => {
                    self.take_mail();
                    continue;
                }
                Event::Closed => break None,
            };
            match self.follow(progress).await {
                Ok(()) => {}
                Err(end) => break end,
            }
        };
        self.end(handed_over).await;
    }

    /// Does what a batch asked for, and executes what it left, until more has to be read. The error is the
    /// connection's end: to be closed, or handed to replication.
    async fn follow(&mut self, mut progress: Progress) -> Result<(), Option<ReplicaRequest>> {
        loop {
            match progress.next {
                Next::Read(missing) => {
                    if self.input.len() > READ_BUFFER && self.is_input_over_limit() {
                        tracing::warn!(
                            "Closing client that reached max query buffer length: {}",
                            self.session.client.addr
                        );
                        return Err(None);
                    }
                    self.missing = missing;
                    return Ok(());
                }
                Next::Drain => self.drain().await?,
                Next::AwaitGate => self.wait_while(Wait::Gate).await?,
                Next::AwaitWrites => self.wait_while(Wait::Writes).await?,
                Next::Suspend(suspension) => self.wait_while(Wait::Suspension(suspension)).await?,
                Next::Close => {
                    let _ = self.flush().await;
                    return Err(None);
                }
                Next::BecomeReplica(request) => {
                    self.flush().await.map_err(|_| None)?;
                    return Err(Some(request));
                }
            }
            progress = self.execute_input();
        }
    }

    fn is_input_over_limit(&self) -> bool {
        self.input.len() as u64 > self.worker.engine.config.settings().client_query_buffer_limit
    }

    /// Executes what was read into the worker's buffer.
    fn execute_read(&mut self, len: usize) -> Progress {
        let worker = self.worker.clone();
        let mut buffers = worker.buffers.borrow_mut();
        let super::worker::Buffers { read, write } = &mut *buffers;
        let mut executor = worker.executor.borrow_mut();
        let progress =
            executor.run(&worker.engine, &mut self.session, &mut self.reader, &mut read[..len], write);
        self.session.client.note_use(executor.batch_began());
        self.input.clear();
        self.input.extend_from_slice(&read[progress.consumed..len]);
        self.send(write);
        write.clear();
        write.shrink_to(WRITE_BUFFER_KEPT);
        progress
    }

    /// Executes what is in the connection's own input.
    fn execute_input(&mut self) -> Progress {
        let worker = self.worker.clone();
        let mut buffers = worker.buffers.borrow_mut();
        let write = &mut buffers.write;
        let mut executor = worker.executor.borrow_mut();
        let progress =
            executor.run(&worker.engine, &mut self.session, &mut self.reader, &mut self.input, write);
        self.session.client.note_use(executor.batch_began());
        self.input.drain(..progress.consumed);
        self.send(write);
        write.clear();
        write.shrink_to(WRITE_BUFFER_KEPT);
        progress
    }

    /// Writes replies, keeping what the kernel does not take. A broken connection shows at the next read.
    fn send(&mut self, replies: &[u8]) {
        if replies.is_empty() {
            return;
        }
        let written = if self.output.is_empty() { self.stream.try_write(replies).unwrap_or(0) } else { 0 };
        self.output.extend_from_slice(&replies[written..]);
    }

    fn take_mail(&mut self) {
        self.session.client.take_mail(&mut self.output);
    }

    /// Waits for bytes or mail, and writes what waits. `most` bounds what is gathered in the own input.
    fn poll_event(&mut self, cx: &mut Context<'_>, most: usize) -> Poll<Event> {
        if self.poll_flush(cx).is_err() {
            return Poll::Ready(Event::Closed);
        }
        let takes_mail = self.unsent() <= MAIL_HIGH_WATER;
        if self.session.client.poll_event(cx, takes_mail).is_ready() {
            return Poll::Ready(Event::Mail);
        }
        if self.unsent() > OUTPUT_HIGH_WATER || self.input.len() >= most {
            return Poll::Pending;
        }
        let shared = most == usize::MAX && self.input.len() + self.missing <= READ_BUFFER / 2;
        let read = if shared { self.poll_read_shared(cx) } else { self.poll_read_own(cx) };
        match ready!(read) {
            Ok(Some(event)) => Poll::Ready(event),
            Ok(None) | Err(_) => Poll::Ready(Event::Closed),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        while self.unsent() > 0 {
            match Pin::new(&mut self.stream).poll_write(cx, &self.output[self.sent..]) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(n)) => self.sent += n,
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => break,
            }
        }
        // Only when it halves: moving the rest to the front after each write would take quadratic time.
        if self.sent > self.output.len() / 2 {
            self.output.drain(..self.sent);
            self.sent = 0;
        }
        if self.output.is_empty() && self.output.capacity() > READ_BUFFER {
            self.output = Vec::new();
        }
        Ok(())
    }

    /// Bytes that wait for the kernel to take them.
    fn unsent(&self) -> usize {
        self.output.len() - self.sent
    }

    /// Reads into the worker's buffer, behind what was left over.
    fn poll_read_shared(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Event>>> {
        let mut buffers = self.worker.buffers.borrow_mut();
        let left = self.input.len();
        buffers.read[..left].copy_from_slice(&self.input);
        let mut target = ReadBuf::new(&mut buffers.read[left..]);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut target))?;
        let n = target.filled().len();
        Poll::Ready(Ok((n > 0).then_some(Event::Read(left + n))))
    }

    /// Reads into the connection's own buffer: for a large request, which is not to be copied again and again.
    fn poll_read_own(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Event>>> {
        // Room grows with what has come, not with what was announced.
        let room = self.missing.clamp(READ_BUFFER, READ_BUFFER.max(self.input.len()));
        let left = self.input.len();
        self.input.resize(left + room, 0);
        let mut target = ReadBuf::new(&mut self.input[left..]);
        let poll = Pin::new(&mut self.stream).poll_read(cx, &mut target);
        let n = target.filled().len();
        self.input.truncate(left + n);
        ready!(poll)?;
        Poll::Ready(Ok((n > 0).then_some(Event::Gathered)))
    }

    /// Waits until so little output is left that more requests may be executed.
    async fn drain(&mut self) -> Result<(), Option<ReplicaRequest>> {
        poll_fn(|cx| {
            if self.poll_flush(cx).is_err() {
                return Poll::Ready(Err(None));
            }
            if self.unsent() <= OUTPUT_HIGH_WATER {
                return Poll::Ready(Ok(()));
            }
            self.session.client.poll_event(cx, false).map(|()| Err(None))
        })
        .await
    }

    async fn flush(&mut self) -> io::Result<()> {
        self.take_mail();
        poll_fn(|cx| match self.poll_flush(cx) {
            Ok(()) if self.unsent() == 0 => Poll::Ready(Ok(())),
            // Told to close, it does not wait for a client that does not read.
            Ok(()) => self
                .session
                .client
                .poll_event(cx, false)
                .map(|()| Err(io::ErrorKind::ConnectionAborted.into())),
            Err(error) => Poll::Ready(Err(error)),
        })
        .await
    }

    /// Waits for the gate or for what a command waits for, while pushes are sent and input gathers.
    async fn wait_while(&mut self, wait: Wait) -> Result<(), Option<ReplicaRequest>> {
        let engine = self.worker.engine.clone();
        let blocked = matches!(wait, Wait::Suspension(_));
        self.session.client.set_blocked(blocked);
        let waited = async move {
            match wait {
                Wait::Gate => {
                    engine.wait_for_gate().await;
                    None
                }
                Wait::Writes => {
                    engine.wait_for_writes().await;
                    None
                }
                Wait::Suspension(suspension) => Some(engine.wait_out(suspension).await),
            }
        };
        tokio::pin!(waited);
        let reply = loop {
            tokio::select! {
                biased;
                reply = &mut waited => break reply,
                event = poll_fn(|cx| self.poll_event(cx, INPUT_WHILE_SUSPENDED)) => match event {
                    Event::Mail if !self.session.client.is_closing() => self.take_mail(),
                    // The requests that came before the end are still executed; the end is then seen again.
                    Event::Closed if !blocked => break waited.await,
                    Event::Mail | Event::Closed => return Err(None),
                    Event::Gathered => {}
                    Event::Read(_) => unreachable!("a suspended connection reads into its own buffer"),
                },
            }
        };
        self.session.client.set_blocked(false);
        if let Some(reply) = reply {
            let mut out = Vec::new();
            reply.write(&mut ReplyWriter::new(&mut out, self.session.protocol));
            self.session.client.note_use(Instant::now());
            self.send(&out);
        }
        Ok(())
    }

    /// Takes the connection's traces out of the server; it may go on as a replica's link.
    async fn end(mut self, request: Option<ReplicaRequest>) {
        let engine = self.worker.engine.clone();
        let watch = self.session.leave(&engine);
        if let Some(watch) = watch {
            let slot = self.worker.executor.borrow().slot;
            loop {
                if let Some(pass) = engine.keyspace.gate().enter(slot) {
                    unwatch_keys(&engine, &watch, Hold::Shared(&pass));
                    break;
                }
                engine.wait_for_gate().await;
            }
        }
        match request {
            Some(request) => {
                engine.replication.adopt(&engine, self.session, self.stream, self.input, request)
            }
            None => engine.clients.remove(self.session.client.id),
        }
    }
}

/// Says why before the connection is closed. A connection that takes not even this is closed without.
async fn refuse(mut stream: Stream) {
    let told = stream.write_all(b"-ERR max number of clients reached\r\n");
    let _ = tokio::time::timeout(REFUSAL_PATIENCE, told).await;
}

enum Wait {
    Gate,
    Writes,
    Suspension(Suspension),
}
