//! One client: requests in, replies and events out, in one order.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use redkeep_resp::net::Stream;
use redkeep_resp::{ArgRange, Limits, Parsed, Protocol, ReplyWriter, RequestReader, glob};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::broadcast;
use tokio::time::{Duration, Instant, timeout};

use super::commands::{Call, Outcome, dispatch};
use super::session::{Client, Session};
use super::{Api, pending};
use crate::core::event::Event;
use crate::raft::MAX_MESSAGE_BYTES;

/// How much is read at once.
const READ_SIZE: usize = 16 * 1024;
/// A request that is longer ends its connection. One message of the group, and room.
const MAX_REQUEST_LEN: usize = MAX_MESSAGE_BYTES + 1024 * 1024;
/// Most arguments of a request: a report of thousands of masters has room.
const MAX_ARGS: usize = 16 * 1024;
/// Replies are written when this much has gathered, though more requests wait.
const MAX_UNWRITTEN: usize = 256 * 1024;
/// A client that does not take its replies for this long is disconnected.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

struct Connection<'a> {
    api: &'a Arc<Api>,
    stream: Stream,
    session: Session,
    reader: RequestReader,
    input: Vec<u8>,
    output: Vec<u8>,
    args: Vec<ArgRange>,
    events: Option<broadcast::Receiver<Arc<Event>>>,
}

/// Serves a client until it leaves.
pub(super) async fn run(api: &Arc<Api>, stream: Stream, client: Arc<Client>) {
    let authenticated = api.shared.local.read().requirepass.is_none();
    let session = Session {
        client: Arc::clone(&client),
        protocol: Protocol::Resp2,
        authenticated,
        channels: Default::default(),
        patterns: Default::default(),
    };
    let mut connection = Connection {
        api,
        stream,
        session,
        reader: RequestReader::default(),
        input: Vec::new(),
        output: Vec::new(),
        args: Vec::new(),
        events: None,
    };
    tokio::select! {
        ended = connection.serve() => {
            if let Err(error) = ended {
                tracing::debug!(client = client.addr, %error, "client lost");
            }
        }
        () = client.kill.notified() => {}
    }
}

impl Connection<'_> {
    async fn serve(&mut self) -> io::Result<()> {
        loop {
            if !self.answer_all().await? {
                return self.write().await;
            }
            self.write().await?;
            self.input.reserve(READ_SIZE);
            let read = match &mut self.events {
                None => self.stream.read_buf(&mut self.input).await?,
                Some(events) => tokio::select! {
                    read = self.stream.read_buf(&mut self.input) => read?,
                    event = events.recv() => {
                        match event {
                            Ok(event) => self.push(&event),
                            Err(broadcast::error::RecvError::Lagged(_)) => {
                                return Err(io::Error::other("the subscriber is too slow"));
                            }
                            Err(broadcast::error::RecvError::Closed) => return Ok(()),
                        }
                        continue;
                    }
                },
            };
            if read == 0 {
                return Ok(());
            }
            self.api.statistics.bytes_in.fetch_add(read as u64, Ordering::Relaxed);
        }
    }

    /// Answers what has arrived whole. False: the connection is to be closed.
    async fn answer_all(&mut self) -> io::Result<bool> {
        let mut from = 0;
        let open = loop {
            let limits = limits(self.session.authenticated);
            self.args.clear();
            match self.reader.next(&mut self.input, from, &limits, &mut self.args) {
                Ok(Parsed::Incomplete { .. }) if self.input.len() - from > MAX_REQUEST_LEN => break false,
                Ok(Parsed::Incomplete { .. }) => break true,
                Ok(Parsed::Request { len }) => {
                    if !self.answer(from).await {
                        break false;
                    }
                    from += len;
                    if self.output.len() > MAX_UNWRITTEN {
                        self.write().await?;
                    }
                }
                Err(error) => {
                    ReplyWriter::new(&mut self.output, self.session.protocol)
                        .error(format!("ERR Protocol error: {error}"));
                    break false;
                }
            }
        };
        self.input.drain(..from);
        Ok(open)
    }

    async fn answer(&mut self, from: usize) -> bool {
        if self.args.is_empty() {
            return true;
        }
        self.api.statistics.commands.fetch_add(1, Ordering::Relaxed);
        let request = &self.input[from..];
        let args: Vec<&[u8]> = self.args.iter().map(|range| range.of(request)).collect();
        let protocol = self.session.protocol;
        let mut call = Call {
            api: self.api,
            session: &mut self.session,
            args: &args,
            reply: ReplyWriter::new(&mut self.output, protocol),
        };
        let outcome = dispatch(&mut call);
        match outcome {
            Outcome::Done => {}
            Outcome::Close => return false,
            Outcome::Later(work) => {
                let answer = pending::finish(self.api, *work).await;
                let mut reply = ReplyWriter::new(&mut self.output, self.session.protocol);
                if !answer.write(&mut reply) {
                    self.api.statistics.errors.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        self.follow_events();
        true
    }

    /// A client without subscriptions holds no place in the queue of events.
    fn follow_events(&mut self) {
        let subscribed = self.session.subscriptions() > 0;
        if subscribed != self.events.is_some() {
            self.events = subscribed.then(|| self.api.shared.events.subscribe());
        }
        let mut shown = self.session.client.shown.lock();
        shown.channels = self.session.channels.len();
        shown.patterns = self.session.patterns.len();
        shown.protocol = self.session.protocol;
        shown.last_active = Instant::now();
    }

    /// Writes an event to the client, once for its channel and once for each pattern.
    fn push(&mut self, event: &Event) {
        let (channel, payload) = (event.channel(), event.payload());
        let mut reply = ReplyWriter::new(&mut self.output, self.session.protocol);
        if self.session.channels.contains(channel.as_bytes()) {
            reply.push(3);
            reply.bulk(b"message");
            reply.bulk(channel.as_bytes());
            reply.bulk(payload.as_bytes());
        }
        for pattern in
            self.session.patterns.iter().filter(|pattern| glob::matches(pattern, channel.as_bytes()))
        {
            reply.push(4);
            reply.bulk(b"pmessage");
            reply.bulk(pattern);
            reply.bulk(channel.as_bytes());
            reply.bulk(payload.as_bytes());
        }
    }

    async fn write(&mut self) -> io::Result<()> {
        if self.output.is_empty() {
            return Ok(());
        }
        let written = timeout(WRITE_TIMEOUT, self.stream.write_all(&self.output)).await;
        written.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
        self.api.statistics.bytes_out.fetch_add(self.output.len() as u64, Ordering::Relaxed);
        self.output.clear();
        self.output.shrink_to(MAX_UNWRITTEN);
        Ok(())
    }
}

fn limits(authenticated: bool) -> Limits {
    if authenticated {
        Limits { max_args: MAX_ARGS, max_bulk_len: MAX_MESSAGE_BYTES, ..Limits::default() }
    } else {
        Limits::unauthenticated()
    }
}
