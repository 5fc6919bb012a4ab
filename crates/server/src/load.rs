//! Loading an RDB file into the keyspace.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use redkeep_rdb::{Item, Limits, Loaded, Reader};
use redkeep_replication::{ReplId, ReplOffset};
use redkeep_store::{AccessContext, Expire, ExpiryMode, Stamp};

use crate::commands::Hold;
use crate::engine::{Background, Engine};
use crate::error::ServerError;

/// Bytes that are read from the file at once.
const PIECE: usize = 1 << 20;

/// What a file held.
#[derive(Debug, Default)]
pub struct Report {
    /// Keys that are in the keyspace now.
    pub keys: u64,
    /// Keys that had expired and were left out.
    pub expired: u64,
    /// The replication id and offset that the file was written at.
    pub replication: Option<(ReplId, ReplOffset)>,
    /// The database that is selected in the stream that goes on behind the file.
    pub stream_db: usize,
}

/// Loads the file at `path`. On a primary, keys that have expired are left out; a replica keeps them until its
/// primary says that they are gone.
///
/// # Errors
/// When the file cannot be read, is damaged, or holds what this version cannot hold. What was loaded before the
/// fault stays.
pub(crate) fn load_file(engine: &Engine, path: &Path, keep_expired: bool) -> Result<Report, ServerError> {
    load_unless(engine, path, keep_expired, &AtomicBool::new(false))
}

/// [`load_file`], which breaks off when `stopped` becomes true.
///
/// # Errors
/// Those of [`load_file`], and when it was stopped. What was loaded before stays.
pub(crate) fn load_unless(
    engine: &Engine,
    path: &Path,
    keep_expired: bool,
    stopped: &AtomicBool,
) -> Result<Report, ServerError> {
    let shown = path.display().to_string();
    let unreadable = |source| ServerError::File { path: shown.clone(), source };
    let damaged = |reason: String| ServerError::Data { path: shown.clone(), reason };
    let settings = engine.config.settings();
    let limits = Limits {
        max_string_len: settings.proto_max_bulk_len.max(redkeep_rdb::DEFAULT_MAX_STRING_LEN),
        encodings: settings.encoding.clone(),
        verify_checksum: settings.rdbchecksum,
    };
    let mut file = File::open(path).map_err(unreadable)?;
    let mut reader = Reader::new(limits);
    let mut loader =
        Loader { engine, db: 0, keep_expired, report: Report::default(), id: None, offset: None };
    let mut piece = vec![0; PIECE];
    while !reader.is_done() {
        if stopped.load(Ordering::Relaxed) {
            return Err(damaged("loading was stopped".into()));
        }
        let n = file.read(&mut piece).map_err(unreadable)?;
        if n == 0 {
            break;
        }
        reader.feed(&piece[..n]);
        loader.take(&mut reader).map_err(damaged)?;
    }
    reader.finish().map_err(|error| damaged(error.to_string()))?;
    loader.report.replication = loader.id.zip(loader.offset);
    Ok(loader.report)
}

struct Loader<'a> {
    engine: &'a Engine,
    db: usize,
    keep_expired: bool,
    report: Report,
    id: Option<ReplId>,
    offset: Option<ReplOffset>,
}

impl Loader<'_> {
    /// Inserts whatever the reader has whole.
    fn take(&mut self, reader: &mut Reader) -> Result<(), String> {
        let pass = loop {
            match self.engine.keyspace.gate().enter(self.engine.background_slot(Background::Upstream)) {
                Some(pass) => break pass,
                None => std::thread::yield_now(),
            }
        };
        let now_ms = Engine::now_ms();
        while let Some(item) = reader.next().map_err(|error| error.to_string())? {
            match item {
                Item::Aux { key, value } => self.note(&key, &value)?,
                Item::SelectDb(db) => self.db = self.database(db)?,
                Item::Entry(entry) => self.insert(entry, Hold::Shared(&pass), now_ms),
                Item::Function(_) => {
                    return Err("it holds functions, which this version does not have".into());
                }
                Item::ResizeDb { .. } | Item::End => {}
            }
        }
        Ok(())
    }

    fn database(&self, db: u64) -> Result<usize, String> {
        let databases = self.engine.keyspace.databases();
        let known = usize::try_from(db).ok().filter(|db| *db < databases);
        known.ok_or_else(|| format!("it uses database {db}, and this server is configured for {databases}"))
    }

    fn note(&mut self, key: &[u8], value: &[u8]) -> Result<(), String> {
        match key {
            b"repl-id" => self.id = ReplId::parse(value),
            b"repl-stream-db" => {
                // -1 says that the stream selects one before it writes.
                let db = std::str::from_utf8(value).ok().and_then(|n| n.parse().ok()).unwrap_or(0);
                self.report.stream_db = self.database(db)?;
            }
            b"repl-offset" => {
                self.offset = std::str::from_utf8(value).ok().and_then(|n| n.parse().ok()).map(ReplOffset);
            }
            _ => {}
        }
        Ok(())
    }

    fn insert(&mut self, entry: redkeep_rdb::Entry<'_>, hold: Hold<'_>, now_ms: u64) {
        let expire_ms = entry.attributes.expire_ms;
        if !self.keep_expired && expire_ms.is_some_and(|at| at <= now_ms) {
            self.report.expired += 1;
            return;
        }
        let keyspace = &self.engine.keyspace;
        let key = keyspace.key(&entry.key);
        let clock = (now_ms / 1000) as u32;
        let context = AccessContext { now_ms, stamp: Stamp::Lru { clock }, expiry: ExpiryMode::Ignore };
        let mut access = hold.lock(keyspace, self.db, &[key], context);
        match entry.value {
            Loaded::String(bytes) => {
                access.set_string(key, &bytes, expire_ms.map_or(Expire::None, Expire::At));
            }
            Loaded::Value(value) => drop(access.insert(key, value, expire_ms)),
        }
        self.report.keys += 1;
    }
}
