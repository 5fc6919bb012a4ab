//! Applying the primary's stream: its commands execute here as they did there, and go to the own log byte for byte.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use redkeep_replication::ReplOffset;
use redkeep_resp::{ArgRange, Limits, Parsed, RequestReader};

use super::{Call, Executor, Flow, Pass, resolve};
use crate::client::Client;
use crate::commands::Args;
use crate::engine::{Background, Engine};
use crate::session::{Origin, Session};

/// What came of a piece of the stream.
pub(crate) struct Applied {
    /// The stream is applied up to here.
    pub(crate) offset: ReplOffset,
    /// The primary asked for an acknowledgement.
    pub(crate) ack_requested: bool,
}

/// Executes the stream of a primary.
pub(crate) struct StreamApplier {
    engine: Arc<Engine>,
    executor: Executor,
    session: Session,
    reader: RequestReader,
    input: Vec<u8>,
    replies: Vec<u8>,
}

impl StreamApplier {
    pub(crate) fn new(engine: Arc<Engine>) -> Self {
        let slot = engine.background_slot(Background::Upstream);
        StreamApplier {
            executor: Executor::new(engine.clone(), slot),
            session: new_session(),
            reader: RequestReader::default(),
            input: Vec::new(),
            replies: Vec::new(),
            engine,
        }
    }

    /// The stream of another data set begins, in which this database is selected.
    pub(crate) fn begin(&mut self, db: usize) {
        self.session.select(db);
        self.engine.replication.set_stream_db(db);
        self.resume();
    }

    /// Forgets what was received in part: the stream goes on behind what was applied, and in the same database.
    pub(crate) fn resume(&mut self) {
        let db = self.session.db;
        self.session = new_session();
        self.session.select(db);
        self.reader = RequestReader::default();
        self.input.clear();
        self.executor.raw.clear();
    }

    /// Takes the next bytes of the stream and executes the commands that are complete with them, as long as the
    /// role is that of `epoch`.
    pub(crate) async fn apply(&mut self, bytes: &[u8], epoch: u64) -> io::Result<Applied> {
        self.input.extend_from_slice(bytes);
        let engine = self.engine.clone();
        let limits = Limits { max_bulk_len: u32::MAX as usize / 2, ..Limits::default() };
        let mut ranges: Vec<ArgRange> = Vec::new();
        let (mut at, mut ack_requested) = (0, false);
        loop {
            let mut pass: Pass<'_> = Some(engine.enter(self.executor.slot).await);
            self.executor.refresh();
            let slice_ends = Instant::now() + SLICE;
            loop {
                check_epoch(&engine, epoch)?;
                ranges.clear();
                let parsed =
                    self.reader.next(&mut self.input, at, &limits, &mut ranges).map_err(io::Error::other)?;
                let Parsed::Request { len } = parsed else {
                    self.input.drain(..at);
                    return Ok(Applied { offset: engine.log.end(), ack_requested });
                };
                let request = &self.input[at..at + len];
                at += len;
                self.executor.raw.extend_from_slice(request);
                if !ranges.is_empty() {
                    let args = Args::new(request, &ranges);
                    ack_requested |= args.is(0, "replconf");
                    let (executor, session) = (&mut self.executor, &mut self.session);
                    while let Flow::Park(_) =
                        execute(executor, session, &engine, &mut pass, args, &mut self.replies)
                    {
                        // Nothing of it was done: it needs the gate, which somebody else owns.
                        pass = Some(engine.enter(executor.slot).await);
                        executor.refresh();
                        check_epoch(&engine, epoch)?;
                    }
                    engine.replication.set_stream_db(session.db);
                }
                if self.session.transaction.is_none() {
                    self.executor.append_raw();
                }
                if pass.is_none() || Instant::now() >= slice_ends {
                    break;
                }
            }
        }
    }
}

/// How long the gate is held at most between two looks at who else wants it.
const SLICE: std::time::Duration = std::time::Duration::from_millis(1);

fn check_epoch(engine: &Engine, epoch: u64) -> io::Result<()> {
    match engine.replication.epoch() == epoch {
        true => Ok(()),
        false => Err(io::Error::other("the primary has changed meanwhile")),
    }
}

fn new_session() -> Session {
    let client = Client::new(0, String::new(), String::new(), Instant::now());
    Session::new(client, Origin::Primary, true)
}

fn execute<'e>(
    executor: &mut Executor,
    session: &mut Session,
    engine: &'e Engine,
    pass: &mut Pass<'e>,
    args: Args<'_>,
    replies: &mut Vec<u8>,
) -> Flow {
    // The primary asks for acknowledgements this way; the link answers them.
    if args.is(0, "replconf") {
        return Flow::Continue;
    }
    replies.clear();
    let call = Call { engine, command: resolve(args), key: None, args };
    let flow = executor.execute(session, pass, call, replies);
    if replies.starts_with(b"-") {
        let name = String::from_utf8_lossy(args.name());
        let error = String::from_utf8_lossy(replies);
        tracing::warn!("the primary's command '{name}' failed here: {}", error.trim_end());
    }
    flow
}
