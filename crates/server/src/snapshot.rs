//! Snapshots: the data set at one offset of the log, as the bytes of an RDB file.
//!
//! A snapshot owns the gate for an instant. From then on a thread of its own goes through the keyspace in small
//! slices, while writes hand over what they are about to change; whatever is captured is written as RDB at once and
//! leaves through a bounded channel. One snapshot runs at a time; it serves everybody who waited for it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use redkeep_rdb::{Attributes, Information, ReplicationPoint, Writer, WriterOptions};
use redkeep_store::value::ValueRef;
use redkeep_store::{CaptureSink, Snapshot};
use tokio::sync::{OwnedMutexGuard, mpsc};

use crate::engine::{Background, Engine, policy};
use crate::observers::Observers;
use redkeep_resp::REDIS_VERSION;

/// Entries that are captured between two looks at the gate.
const SLICE: usize = 64;

/// Bytes that are gathered before they are passed on.
const CHUNK: usize = 64 * 1024;

/// Chunks that wait to be taken; then the background part of the capture pauses.
const CHUNKS: usize = 16;

/// How long a slice waits while the gate is claimed.
const GATE_PAUSE: Duration = Duration::from_micros(50);

/// A piece of a snapshot.
#[derive(Debug, Clone)]
pub(crate) enum Chunk {
    /// The next bytes.
    Bytes(Bytes),
    /// All has been said; without it, the snapshot was broken off.
    End,
}

struct Sink(Mutex<State>);

struct State {
    writer: Writer,
    db: Option<usize>,
}

impl CaptureSink for Sink {
    fn capture(&self, db: usize, key: &[u8], expire_ms: Option<u64>, value: ValueRef<'_>) {
        let mut state = self.0.lock();
        if state.db.replace(db) != Some(db) {
            state.writer.select_db(db as u64);
        }
        let attributes = Attributes { expire_ms, ..Attributes::default() };
        state.writer.entry(key, &attributes, value);
    }
}

/// Begins a snapshot, after one that is running. Its bytes come in order; they are complete when the channel ends after
/// [`Chunk::End`]. `at_start` is called while the gate is owned: what it sees of the log belongs to the snapshot.
///
/// # Errors
/// When a data set is being loaded, since half of one is none; or the system refuses a thread.
pub(crate) async fn begin<T>(
    engine: &Arc<Engine>,
    at_start: impl FnOnce() -> T,
) -> std::io::Result<(mpsc::Receiver<Chunk>, T)> {
    let turn = engine.snapshots.clone().lock_owned().await;
    let settings = engine.config.settings();
    let options = WriterOptions { compression: settings.rdbcompression, checksum: settings.rdbchecksum };
    let used_memory = engine.used_memory() as u64;

    let mut claim = engine.claim().await;
    if engine.policy.load(Ordering::Acquire) & policy::LOADING != 0 {
        engine.release(claim);
        return Err(std::io::Error::other("the data set is being loaded"));
    }
    let started = at_start();
    let position = engine.replication.position(engine);
    let mut writer = Writer::new(options);
    writer.information(&Information {
        redis_version: REDIS_VERSION,
        created_seconds: Engine::now_ms() / 1000,
        used_memory,
        replication: Some(ReplicationPoint {
            stream_db: engine.replication.stream_db().map_or(-1, |db| db as i64),
            id: position.id.as_str(),
            offset: position.offset.0,
        }),
        aof_base: false,
    });
    let sink = Arc::new(Sink(Mutex::new(State { writer, db: None })));
    let snapshot = engine.keyspace.begin_snapshot(&mut claim, sink.clone()).map_err(std::io::Error::other);
    engine.release(claim);

    let (chunks, received) = mpsc::channel(CHUNKS);
    let capture = Capture { snapshot: snapshot?, sink, chunks, engine: engine.clone(), turn };
    std::thread::Builder::new().name("snapshot".into()).spawn(move || capture.run())?;
    Ok((received, started))
}

/// A snapshot that runs. The fields are dropped in this order: the turn is over only when the store knows of no
/// snapshot any more.
struct Capture {
    snapshot: Snapshot<Observers>,
    sink: Arc<Sink>,
    chunks: mpsc::Sender<Chunk>,
    engine: Arc<Engine>,
    turn: OwnedMutexGuard<()>,
}

impl Capture {
    /// Goes through the keyspace to its end, or until nobody takes the chunks.
    fn run(mut self) {
        let slot = self.engine.background_slot(Background::Snapshot);
        loop {
            let Some(pass) = self.engine.keyspace.gate().enter(slot) else {
                std::thread::sleep(GATE_PAUSE);
                continue;
            };
            let done = self.snapshot.step(&pass, SLICE);
            drop(pass);
            if done {
                break;
            }
            let ready = {
                let mut state = self.sink.0.lock();
                (state.writer.pending() >= CHUNK).then(|| state.writer.take())
            };
            if let Some(bytes) = ready
                && self.chunks.blocking_send(Chunk::Bytes(bytes.into())).is_err()
            {
                return;
            }
        }
        // The store let go of its share of the sink with the last step.
        drop(self.snapshot);
        if let Some(sink) = Arc::into_inner(self.sink) {
            let rest = sink.0.into_inner().writer.finish();
            if self.chunks.blocking_send(Chunk::Bytes(rest.into())).is_ok() {
                let _ = self.chunks.blocking_send(Chunk::End);
            }
        }
        drop(self.turn);
    }
}
