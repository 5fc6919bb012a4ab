//! The server as a whole: which threads there are, and what runs on them.
//!
//! | thread | runs |
//! |---|---|
//! | `worker-N` | connections: reading, executing, writing |
//! | `service` | accepting, periodic work, the links of replicas, the snapshot file |
//! | `upstream` | the link to the primary: receiving, loading, applying |
//! | `snapshot` | going through the keyspace, while a snapshot is taken |
//!
//! All end when [`Shutdown`](crate::shutdown::Shutdown) is requested: their runtimes are dropped with whatever still
//! waits in them.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use redkeep_replication::core::replica_link::Master;
use redkeep_resp::net::Accepted;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;

use crate::config::Settings;
use crate::cron;
use crate::engine::{Engine, Host};
use crate::error::ServerError;
use crate::net::{Listeners, WorkerHandle, accept_all, bind_all, start_worker};
use crate::persist::load_at_start;
use crate::repl::{NewReplica, Queues, RoleChange, SnapshotRequest, follow, serve_replica, serve_snapshots};
use crate::shutdown;

/// Configures a [`Server`].
pub struct ServerBuilder {
    settings: Settings,
    file: Option<PathBuf>,
    host: Host,
}

impl ServerBuilder {
    /// Where `CONFIG REWRITE` writes to.
    pub fn config_file(mut self, file: PathBuf) -> Self {
        self.file = Some(file);
        self
    }

    /// What the program around the server gives it.
    pub fn host(mut self, host: Host) -> Self {
        self.host = host;
        self
    }

    /// Binds the sockets, loads the data set and starts the threads. When this returns, clients are served.
    ///
    /// # Errors
    /// When an address is taken, the snapshot file cannot be loaded, or the system refuses a thread.
    pub fn start(self) -> Result<Server, ServerError> {
        let service = Builder::new_current_thread().enable_all().build()?;
        let listeners = {
            let _entered = service.enter();
            bind_all(&self.settings)?
        };
        let followed = self.settings.replicaof.clone();
        let engine = Engine::new(self.settings, self.file, listeners.port, &self.host);
        load(&engine)?;
        let settings = engine.config.settings();
        engine.replication.refresh_policy(&engine, &settings);
        if let Some((host, port)) = followed {
            let claim = engine.keyspace.gate().try_claim().expect("nothing runs yet");
            let changed = engine.replication.change_role(&engine, &settings, Some(Master { host, port }));
            assert_eq!(changed, RoleChange::Changed, "no order has been given before");
            engine.release(claim);
        }
        let mut threads = Vec::new();
        let mut workers = Vec::new();
        for slot in 0..engine.workers() {
            let WorkerHandle { admit, thread } = start_worker(engine.clone(), slot)?;
            workers.push(admit);
            threads.push(thread);
        }
        let Queues { upstream, replicas, snapshots } =
            engine.replication.take_queues().expect("a server starts once");
        let runtime = Builder::new_current_thread().enable_all().build()?;
        threads.push(start_thread("upstream", &engine, runtime, follow(engine.clone(), upstream))?);
        let serve = serve(engine.clone(), listeners, workers, replicas, snapshots);
        threads.push(start_thread("service", &engine, service, serve)?);
        Ok(Server { engine, threads })
    }
}

/// Loads the snapshot file, and says what it held.
fn load(engine: &Engine) -> Result<(), ServerError> {
    let started = Instant::now();
    let folder = engine.config.settings().dir.clone();
    std::fs::read_dir(&folder).map_err(|source| ServerError::File { path: folder, source })?;
    if let Some(report) = load_at_start(engine)? {
        tracing::info!(
            "DB loaded from disk: {:.3} seconds, {} keys, {} expired",
            started.elapsed().as_secs_f64(),
            report.keys,
            report.expired
        );
    }
    engine.persistence.mark_saved(engine);
    Ok(())
}

/// Runs `work` on a thread of its own until it is done or the server ends.
fn start_thread(
    name: &str,
    engine: &Arc<Engine>,
    runtime: Runtime,
    work: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<JoinHandle<()>> {
    let engine = engine.clone();
    std::thread::Builder::new().name(name.into()).spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                () = work => {}
                () = engine.shutdown.requested() => {}
            }
        });
    })
}

/// All that runs on the service thread.
async fn serve(
    engine: Arc<Engine>,
    listeners: Listeners,
    workers: Vec<mpsc::Sender<Accepted>>,
    mut replicas: mpsc::Receiver<NewReplica>,
    snapshots: mpsc::Receiver<SnapshotRequest>,
) {
    // The workers end when the last sender of their queue is dropped, with this runtime.
    accept_all(&engine, listeners, &workers);
    tokio::spawn(cron::run(engine.clone()));
    tokio::spawn(serve_snapshots(engine.clone(), snapshots));
    while let Some(replica) = replicas.recv().await {
        tokio::spawn(serve_replica(engine.clone(), replica));
    }
}

/// A running server. Dropping it stops it.
pub struct Server {
    engine: Arc<Engine>,
    threads: Vec<JoinHandle<()>>,
}

impl Server {
    /// Begins the configuration of a server.
    pub fn builder(settings: Settings) -> ServerBuilder {
        ServerBuilder { settings, file: None, host: Host::default() }
    }

    /// The TCP port that it listens on.
    pub fn port(&self) -> u16 {
        self.engine.port
    }

    /// What all of its parts share.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Waits until it was told to end, by a client's `SHUTDOWN` or by [`Server::shutdown`].
    pub async fn stopped(&self) {
        self.engine.shutdown.requested().await;
    }

    /// Ends it in good order, as `SHUTDOWN` does: replicas catch up, the snapshot is saved if save points say so.
    ///
    /// # Errors
    /// When the snapshot cannot be saved. The server then goes on.
    pub async fn shutdown(&self) -> std::io::Result<()> {
        shutdown::prepare(&self.engine, None, false, false).await
    }

    /// Ends it at once, without saving, and waits for its threads.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.engine.shutdown.request();
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so already.
            let _ = thread.join();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}
