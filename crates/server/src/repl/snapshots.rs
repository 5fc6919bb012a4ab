//! Snapshots for replicas: one serves all who wait for it when it begins.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use redkeep_replication::Reader;
use redkeep_replication::core::Position;
use tokio::sync::{mpsc, oneshot};

use crate::engine::{Engine, policy};
use crate::snapshot::{self, Chunk};

/// Chunks that wait for one replica. The slowest sets the pace of all.
const CHUNKS: usize = 16;

/// A replica that needs a snapshot.
pub(crate) struct SnapshotRequest {
    /// Where the beginning is reported to.
    pub(crate) started: oneshot::Sender<Started>,
}

/// A snapshot has begun.
pub(crate) struct Started {
    /// What it shows.
    pub(crate) position: Position,
    /// Its bytes.
    pub(crate) chunks: mpsc::Receiver<Chunk>,
    /// The log from there on.
    pub(crate) reader: Reader,
}

/// Serves requests for snapshots until the server ends.
pub(crate) async fn serve_snapshots(engine: Arc<Engine>, mut requests: mpsc::Receiver<SnapshotRequest>) {
    while let Some(first) = requests.recv().await {
        let delay = engine.config.settings().repl_diskless_sync_delay.max(0) as u64;
        tokio::time::sleep(Duration::from_secs(delay)).await;
        let mut waiting = vec![first];
        while let Ok(request) = requests.try_recv() {
            waiting.push(request);
        }
        // Replicas that are gone by now need none.
        waiting.retain(|request| !request.started.is_closed());
        if !waiting.is_empty() {
            serve(&engine, waiting).await;
        }
    }
}

async fn serve(engine: &Arc<Engine>, waiting: Vec<SnapshotRequest>) {
    let limit = engine.config.settings().output_limits.replica.hard;
    let begun = snapshot::begin(engine, || {
        let position = engine.replication.position(engine);
        if engine.policy.load(Ordering::Acquire) & policy::LOADING != 0 {
            // Half a data set is nobody's; those who asked are sent away, and ask again.
            return (position, Vec::new());
        }
        engine.replication.activate_log(&engine.log);
        engine.log.force_select();
        let position = engine.replication.position(engine);
        let readers: Vec<_> = waiting.iter().map(|_| engine.log.reader(position.offset, limit)).collect();
        (position, readers)
    })
    .await;
    let (mut captured, (position, readers)) = match begun {
        Ok(begun) => begun,
        Err(error) => {
            tracing::warn!("a snapshot for replicas could not begin: {error}");
            return;
        }
    };
    let mut receivers = Vec::new();
    for (request, reader) in waiting.into_iter().zip(readers) {
        let (chunks, received) = mpsc::channel(CHUNKS);
        if let Some(reader) = reader
            && request.started.send(Started { position, chunks: received, reader }).is_ok()
        {
            receivers.push(chunks);
        }
    }
    while let Some(chunk) = captured.recv().await {
        let mut gone = Vec::new();
        for (i, receiver) in receivers.iter().enumerate() {
            if receiver.send(chunk.clone()).await.is_err() {
                gone.push(i);
            }
        }
        gone.into_iter().rev().for_each(|i| drop(receivers.swap_remove(i)));
        if receivers.is_empty() {
            // Nobody wants it any more; letting go of the channel breaks the capture off.
            return;
        }
    }
}
