//! From bytes to replies: the batch.
//!
//! One read of a connection brings up to 64 complete requests. They are cut, looked up and their keys hashed
//! first, then the buckets and entries of those keys are prefetched together, then the commands execute in
//! order. The gate is entered and the clock is read once a batch. Cache misses are nearly all that a simple
//! command costs, and this hides them behind each other.
//!
//! A batch ends early, with the rest of the bytes left for later, when a command makes the connection
//! wait, needs the gate while somebody else owns it, or ends the connection, and when its replies are many
//! bytes, which the client is to read first.

mod admit;
mod cut;
mod exec;
mod propagate;
mod run;
mod stream;
#[cfg(test)]
mod tests;

use cut::{MAX_SEVERAL, Stop};
pub(crate) use propagate::deletion;
pub(crate) use stream::StreamApplier;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use redkeep_resp::{ArgRange, Limits, ReplyWriter, RequestReader};
use redkeep_store::{AccessContext, ExpiryMode, KeyHash, Shared, Stamp};

use crate::commands::{Args, Command, Suspension, find};
use crate::config::Settings;
use crate::engine::{Engine, policy};
use crate::repl::ReplicaRequest;
use crate::session::{Origin, Session};
use crate::stats::SlotStats;

/// Most requests that are cut and prefetched together: more gains nothing.
const MAX_BATCH: usize = 64;

/// Replies, in bytes, with which a batch ends early: a few bytes of requests can ask for gigabytes.
const MAX_REPLIES: usize = 1 << 20;

/// What the connection has to do next.
#[derive(Debug)]
pub enum Next {
    /// Read more; at least so many bytes of the request at the front are missing.
    Read(usize),
    /// Wait until the client has read most of its replies, then execute what is left.
    Drain,
    /// Wait until the gate is released, then execute what is left.
    AwaitGate,
    /// Wait until clients may write, then execute what is left.
    AwaitWrites,
    /// Wait for this, write its reply, then execute what is left.
    Suspend(Suspension),
    /// Send the replies and end.
    Close,
    /// Send the replies; then the connection belongs to replication.
    BecomeReplica(ReplicaRequest),
}

/// What a batch came to.
#[derive(Debug)]
pub struct Progress {
    /// How many bytes are done with.
    pub consumed: usize,
    /// What comes next.
    pub next: Next,
}

/// How execution goes on after one command.
pub(crate) enum Flow {
    /// With the next command.
    Continue,
    /// With this command again, once what it waits for has come.
    Park(Next),
    /// Not before this is done.
    Stop(Next),
}

/// A request that was cut from the buffer and looked up.
#[derive(Clone, Copy)]
struct Request {
    command: Option<&'static Command>,
    /// Where it is in the buffer.
    start: usize,
    end: usize,
    /// Where its arguments are in the list of ranges.
    args: (u32, u32),
    /// The hash of its key, if it has exactly one and as many arguments as it has to.
    key: Option<KeyHash>,
}

/// A request as it executes.
#[derive(Clone, Copy)]
pub(crate) struct Call<'e, 'a> {
    pub(crate) engine: &'e Engine,
    pub(crate) command: Option<&'static Command>,
    pub(crate) key: Option<KeyHash>,
    pub(crate) args: Args<'a>,
}

/// Executes commands for one slot. What it keeps is scratch space that is reused from batch to batch.
pub struct Executor {
    pub(crate) engine: Arc<Engine>,
    pub(crate) slot: usize,
    settings: Arc<Settings>,
    settings_version: u64,
    limits: Limits,
    ranges: Vec<ArgRange>,
    batch: Vec<Request>,
    /// Hashes of the keys of those commands of the batch that may have several.
    several: Vec<KeyHash>,
    random: fastrand::Rng,
    now_ms: u64,
    /// The same in seconds, for recency.
    clock: u32,
    /// When the last batch began.
    began: Instant,
    policy: u32,
    /// Of replication, when the policy was read.
    epoch: u64,
    transaction: propagate::Pending,
    /// Bytes of the primary's stream that execute now and go to the own log as they are.
    raw: Vec<u8>,
    /// The time that a test set.
    #[cfg(test)]
    pub(crate) test_now_ms: Option<u64>,
}

/// A worker's pass through the gate: given up while a command claims it.
pub(crate) type Pass<'e> = Option<Shared<'e>>;

impl Executor {
    /// An executor with the gate slot `slot`.
    pub fn new(engine: Arc<Engine>, slot: usize) -> Self {
        let settings = engine.config.settings();
        let mut executor = Executor {
            settings_version: 0,
            limits: Limits::default(),
            ranges: Vec::with_capacity(MAX_BATCH * 4),
            batch: Vec::with_capacity(MAX_BATCH),
            several: Vec::with_capacity(MAX_SEVERAL),
            random: fastrand::Rng::new(),
            now_ms: 0,
            clock: 0,
            began: Instant::now(),
            policy: 0,
            epoch: 0,
            transaction: propagate::Pending::default(),
            raw: Vec::new(),
            #[cfg(test)]
            test_now_ms: None,
            settings,
            engine,
            slot,
        };
        executor.refresh();
        executor
    }

    /// Executes the requests that `buf` holds, from its first byte on, and appends their replies to `out`.
    ///
    /// `engine` is the executor's own, lent by the caller: workers that counted references to it for each batch
    /// would pass the counter to and fro between their processors.
    pub fn run(
        &mut self,
        engine: &Engine,
        session: &mut Session,
        reader: &mut RequestReader,
        buf: &mut [u8],
        out: &mut Vec<u8>,
    ) -> Progress {
        let before = out.len();
        let progress = self.run_batches(engine, session, reader, buf, out);
        let stats = self.stats();
        stats.bytes_in.add(progress.consumed as u64);
        stats.bytes_out.add((out.len() - before) as u64);
        progress
    }

    fn run_batches(
        &mut self,
        engine: &Engine,
        session: &mut Session,
        reader: &mut RequestReader,
        buf: &mut [u8],
        out: &mut Vec<u8>,
    ) -> Progress {
        let mut consumed = 0;
        self.forget_transaction();
        loop {
            let Some(shared) = engine.keyspace.gate().enter(self.slot) else {
                return Progress { consumed, next: Next::AwaitGate };
            };
            self.refresh();
            let mut pass: Pass<'_> = Some(shared);
            if let Some(next) = self.execute_parked(engine, session, &mut pass, out) {
                return Progress { consumed, next };
            }
            let (cut, stop) = self.cut(engine, session, reader, buf, consumed, &pass);
            if let Some(progress) = self.execute_batch(engine, session, buf, &mut pass, out) {
                if progress.consumed != cut {
                    // What was cut behind it is cut again, from its beginning.
                    *reader = RequestReader::default();
                }
                return progress;
            }
            consumed = cut;
            match stop {
                None if consumed == buf.len() => return Progress { consumed, next: Next::Read(1) },
                None => {}
                Some(Stop::Incomplete(want)) => return Progress { consumed, next: Next::Read(want) },
                Some(Stop::Refused(error)) => {
                    let line = format!("ERR Protocol error: {error}");
                    ReplyWriter::new(out, session.protocol).error(&line);
                    return Progress { consumed: buf.len(), next: Next::Close };
                }
            }
        }
    }

    /// Executes an inline request that had to wait for the gate. The connection's next step, if there is one before
    /// further requests.
    fn execute_parked<'e>(
        &mut self,
        engine: &'e Engine,
        session: &mut Session,
        pass: &mut Pass<'e>,
        out: &mut Vec<u8>,
    ) -> Option<Next> {
        let parked = session.parked.take()?;
        let args = parked.as_args();
        let call = Call { engine, command: resolve(args), key: None, args };
        match self.execute(session, pass, call, out) {
            Flow::Continue => None,
            Flow::Stop(next) => Some(next),
            Flow::Park(next) => {
                session.parked = Some(parked);
                Some(next)
            }
        }
    }

    /// Brings the copies of what may change between batches up to date. To be called inside the gate: roles change
    /// only while somebody owns it.
    pub(crate) fn refresh(&mut self) {
        let version = self.engine.config.version();
        if version != self.settings_version {
            self.settings = self.engine.config.settings();
            self.settings_version = version;
            self.limits.max_bulk_len = self.settings.proto_max_bulk_len as usize;
        }
        self.now_ms = Engine::now_ms();
        #[cfg(test)]
        if let Some(now_ms) = self.test_now_ms {
            self.now_ms = now_ms;
        }
        self.clock = (self.now_ms / 1000) as u32;
        self.read_role();
    }

    /// Reads what commands are refused by. To be called inside the gate.
    fn read_role(&mut self) {
        self.epoch = self.engine.replication.epoch();
        self.policy = self.engine.policy.load(Ordering::Acquire);
        if self.settings.maxmemory != 0 && self.engine.used_memory() as u64 > self.settings.maxmemory {
            self.policy |= policy::OUT_OF_MEMORY;
        }
    }

    /// Whether what commands were admitted by has changed since.
    fn is_role_outdated(&self) -> bool {
        let policy = self.engine.policy.load(Ordering::Acquire);
        self.policy & !policy::OUT_OF_MEMORY != policy || self.epoch != self.engine.replication.epoch()
    }

    /// Executes the batch that was cut. Returns where it stopped if before its end.
    fn execute_batch<'e>(
        &mut self,
        engine: &'e Engine,
        session: &mut Session,
        buf: &[u8],
        pass: &mut Pass<'e>,
        out: &mut Vec<u8>,
    ) -> Option<Progress> {
        let batch = std::mem::take(&mut self.batch);
        let ranges = std::mem::take(&mut self.ranges);
        if let Some(pass) = pass
            && batch.len() + self.several.len() > 1
        {
            let prefetcher = engine.keyspace.prefetcher(pass, session.db);
            batch.iter().filter_map(|request| request.key).for_each(|hash| prefetcher.entry(hash));
            self.several.iter().for_each(|hash| prefetcher.entry(*hash));
        }
        self.began = Instant::now();
        let mut stopped = None;
        let mut executed = 0;
        for request in &batch {
            let (first, last) = request.args;
            let args = Args::new(&buf[request.start..request.end], &ranges[first as usize..last as usize]);
            let call = Call { engine, command: request.command, key: request.key, args };
            match self.execute(session, pass, call, out) {
                Flow::Continue if out.len() > MAX_REPLIES => {
                    executed += 1;
                    stopped = Some(Progress { consumed: request.end, next: Next::Drain });
                    break;
                }
                Flow::Continue => executed += 1,
                Flow::Park(next) if args.verbatim().is_none() => {
                    session.parked = Some(args.to_owned());
                    stopped = Some(Progress { consumed: request.end, next });
                    break;
                }
                Flow::Park(next) => {
                    stopped = Some(Progress { consumed: request.start, next });
                    break;
                }
                Flow::Stop(next) => {
                    executed += 1;
                    stopped = Some(Progress { consumed: request.end, next });
                    break;
                }
            }
        }
        self.account_time(&batch[..executed]);
        self.batch = batch;
        self.ranges = ranges;
        stopped
    }

    /// Shares the time of a batch out evenly over its commands.
    fn account_time(&self, batch: &[Request]) {
        if batch.is_empty() {
            return;
        }
        let each = self.began.elapsed().as_nanos() as u64 / batch.len() as u64;
        let stats = self.stats();
        for command in batch.iter().filter_map(|request| request.command) {
            stats.commands[command.id].nanos.add(each);
        }
    }

    #[inline]
    pub(crate) fn stats(&self) -> &SlotStats {
        self.engine.stats.slot(self.slot)
    }

    pub(crate) fn settings(&self) -> &Arc<Settings> {
        &self.settings
    }

    /// When the last batch began to execute.
    pub(crate) fn batch_began(&self) -> Instant {
        self.began
    }

    /// How this executor looks at keys.
    pub(crate) fn access_context(&self, session: &Session) -> AccessContext {
        let expiry = match session.origin {
            Origin::Primary => ExpiryMode::Ignore,
            Origin::Client if self.policy & policy::REPLICA != 0 => ExpiryMode::Hide,
            Origin::Client => ExpiryMode::Delete,
        };
        AccessContext { now_ms: self.now_ms, stamp: Stamp::Lru { clock: self.clock }, expiry }
    }
}

/// The command that `args` call, or the subcommand of a container.
#[inline(always)] // For each request, and from few places.
pub(crate) fn resolve(args: Args<'_>) -> Option<&'static Command> {
    let command = find(args.name())?;
    if command.subcommands.is_empty() || args.len() < 2 {
        return Some(command);
    }
    Some(command.subcommand(args.get(1)).unwrap_or(command))
}
