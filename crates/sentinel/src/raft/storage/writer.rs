//! The thread that writes the log's file.
//!
//! It takes what is waiting, writes it in one go, and fsyncs once for all of it; so entries that come while an fsync is
//! under way share the next one. Order is the order of the queue. No async thread ever waits for the disk here, except by
//! awaiting a place in the queue.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::thread;

use openraft::storage::LogFlushed;
use tokio::sync::{mpsc, oneshot, watch};

use super::dir;
use super::frame::{self, Kind};
use super::types::Types;
use crate::raft::OpenError;

/// Writes that may wait for the thread; more wait for a place.
pub(super) const QUEUE: usize = 64;

/// What the thread is asked to do.
pub(super) enum Job {
    /// Append a record of log entries, and tell openraft when it is on disk.
    Entries(Vec<u8>, LogFlushed<Types>),
    /// Append a record, and tell when it is on disk.
    Durable(Vec<u8>, oneshot::Sender<io::Result<()>>),
    /// Append a record that may get lost with a crash: it goes to disk with the next one that may not.
    Lazy(Vec<u8>),
    /// Replace the file by one of just these records.
    Rewrite(Vec<Vec<u8>>),
}

/// Waits for the thread's end, by which the file is closed.
#[derive(Debug, Clone)]
pub struct WriterGone(watch::Receiver<()>);

impl WriterGone {
    /// Returns when the thread has ended.
    pub async fn wait(&mut self) {
        while self.0.changed().await.is_ok() {}
    }
}

/// Starts the thread on a file that is positioned at its end, `length`. It ends when the queue's senders are gone.
pub(super) fn start(
    path: PathBuf,
    file: File,
    length: u64,
) -> Result<(mpsc::Sender<Job>, WriterGone), OpenError> {
    let (sender, receiver) = mpsc::channel(QUEUE);
    let (alive, gone) = watch::channel(());
    let writer = Writer { path: path.clone(), file, length, buffer: Vec::new(), failure: None };
    thread::Builder::new()
        .name("sentinel-log".to_owned())
        .spawn(move || {
            writer.run(receiver);
            drop(alive);
        })
        .map_err(|error| dir::io_error(&path, error))?;
    Ok((sender, WriterGone(gone)))
}

enum Waiting {
    Raft(LogFlushed<Types>),
    Caller(oneshot::Sender<io::Result<()>>),
}

struct Writer {
    path: PathBuf,
    file: File,
    /// Of the file, with what is in `buffer`.
    length: u64,
    buffer: Vec<u8>,
    /// The first failure; from then on everything fails.
    failure: Option<(io::ErrorKind, String)>,
}

impl Writer {
    fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut waiting = Vec::new();
        while let Some(job) = jobs.blocking_recv() {
            self.take(job, &mut waiting);
            while waiting.len() < QUEUE {
                let Ok(job) = jobs.try_recv() else { break };
                self.take(job, &mut waiting);
            }
            self.flush(&mut waiting);
        }
    }

    fn take(&mut self, job: Job, waiting: &mut Vec<Waiting>) {
        match job {
            Job::Entries(record, flushed) => {
                self.append(&record);
                waiting.push(Waiting::Raft(flushed));
            }
            Job::Durable(record, done) => {
                self.append(&record);
                waiting.push(Waiting::Caller(done));
            }
            Job::Lazy(record) => self.append(&record),
            Job::Rewrite(records) => {
                self.flush(waiting);
                self.guarded(|writer| writer.rewrite(&records));
            }
        }
    }

    fn append(&mut self, record: &[u8]) {
        let before = self.buffer.len();
        frame::append(&mut self.buffer, self.length, record);
        self.length += (self.buffer.len() - before) as u64;
    }

    fn flush(&mut self, waiting: &mut Vec<Waiting>) {
        let durable = !waiting.is_empty();
        self.guarded(|writer| {
            writer.file.write_all(&writer.buffer)?;
            if durable { writer.file.sync_data() } else { Ok(()) }
        });
        self.buffer.clear();
        for waiting in waiting.drain(..) {
            match waiting {
                Waiting::Raft(flushed) => flushed.log_io_completed(self.outcome()),
                // A caller that was cancelled does not want to know.
                Waiting::Caller(done) => drop(done.send(self.outcome())),
            }
        }
    }

    fn rewrite(&mut self, records: &[Vec<u8>]) -> io::Result<()> {
        let bytes = frame::file(Kind::Log, records.iter().map(Vec::as_slice));
        self.file = dir::replace(&self.path, &bytes)?;
        self.length = bytes.len() as u64;
        Ok(())
    }

    fn guarded(&mut self, work: impl FnOnce(&mut Self) -> io::Result<()>) {
        if self.failure.is_some() {
            return;
        }
        if let Err(error) = work(self) {
            tracing::error!(file = %self.path.display(), %error, "the sentinel's log cannot be written");
            self.failure = Some((error.kind(), format!("{}: {error}", self.path.display())));
        }
    }

    fn outcome(&self) -> io::Result<()> {
        match &self.failure {
            None => Ok(()),
            Some((kind, text)) => Err(io::Error::new(*kind, text.clone())),
        }
    }
}
