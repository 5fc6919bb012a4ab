//! A worker: one thread, one runtime, many connections.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;

use redkeep_resp::net::{Accepted, Stream};
use tokio::sync::mpsc;
use tokio::task::LocalSet;

use super::connection::Connection;
use crate::dispatch::Executor;
use crate::engine::Engine;

/// Bytes that one read may bring. A batch of 64 small requests is well below it.
pub(super) const READ_BUFFER: usize = 64 * 1024;

/// Accepted connections that wait for a worker; more wait in the kernel.
const ADMISSION_QUEUE: usize = 1024;

/// What the connections of a worker share. Borrowed only between two waits.
pub(super) struct Worker {
    pub(super) engine: Arc<Engine>,
    pub(super) executor: RefCell<Executor>,
    pub(super) buffers: RefCell<Buffers>,
}

/// Scratch space for one read and its replies.
pub(super) struct Buffers {
    pub(super) read: Box<[u8]>,
    pub(super) write: Vec<u8>,
}

/// The other threads' end of a worker.
pub(crate) struct WorkerHandle {
    /// Where accepted connections are handed in. Dropping it ends the worker.
    pub(crate) admit: mpsc::Sender<Accepted>,
    /// The thread.
    pub(crate) thread: JoinHandle<()>,
}

/// Starts the worker with gate slot `slot`.
pub(crate) fn start_worker(engine: Arc<Engine>, slot: usize) -> io::Result<WorkerHandle> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (admit, admitted) = mpsc::channel(ADMISSION_QUEUE);
    let thread = std::thread::Builder::new().name(format!("worker-{slot}")).spawn(move || {
        let worker = Rc::new(Worker {
            executor: RefCell::new(Executor::new(engine.clone(), slot)),
            buffers: RefCell::new(Buffers {
                read: vec![0; READ_BUFFER].into_boxed_slice(),
                write: Vec::with_capacity(READ_BUFFER),
            }),
            engine,
        });
        LocalSet::new().block_on(&runtime, run(worker, admitted));
    })?;
    Ok(WorkerHandle { admit, thread })
}

/// Serves connections until the server stops: connections that are still there then are dropped.
async fn run(worker: Rc<Worker>, mut admitted: mpsc::Receiver<Accepted>) {
    while let Some(accepted) = admitted.recv().await {
        match accepted.into_stream() {
            Ok(stream) => admit(&worker, stream),
            Err(error) => tracing::warn!("a connection could not be served: {error}"),
        }
    }
}

fn admit(worker: &Rc<Worker>, stream: Stream) {
    if let Some(connection) = Connection::open(worker.clone(), stream) {
        tokio::task::spawn_local(connection.serve());
    }
}
