//! The snapshot file: written by SAVE, BGSAVE, save points and shutdown, read at the start.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::io::AsyncWriteExt;

use crate::config::Settings;
use crate::engine::Engine;
use crate::error::ServerError;
use crate::load::{Report, load_file};
use crate::snapshot::{self, Chunk};

/// Seconds after a save that failed until a save point brings about another.
const RETRY_SECONDS: u64 = 5;

/// What is known of the snapshot file.
#[derive(Default)]
pub struct Persistence {
    saving: AtomicBool,
    scheduled: AtomicBool,
    last_save_failed: AtomicBool,
    last_save_seconds: AtomicU64,
    last_try_seconds: AtomicU64,
    saves: AtomicU64,
    dirty_at_last_save: AtomicU64,
}

/// The path of the snapshot file.
pub fn path_of(settings: &Settings) -> PathBuf {
    Path::new(&settings.dir).join(&settings.dbfilename)
}

impl Persistence {
    /// Whether a snapshot is being written, or is about to be.
    pub fn is_saving(&self) -> bool {
        self.is_writing() || self.scheduled.load(Ordering::Acquire)
    }

    /// Whether a snapshot is being written.
    pub(crate) fn is_writing(&self) -> bool {
        self.saving.load(Ordering::Acquire)
    }

    /// Asks for a snapshot as soon as none is being written.
    pub fn schedule(&self) {
        self.scheduled.store(true, Ordering::Release);
    }

    /// Whether a snapshot is asked for, once.
    pub(crate) fn take_schedule(&self) -> bool {
        self.scheduled.swap(false, Ordering::AcqRel)
    }

    /// Whether the last one was written whole.
    pub fn last_save_ok(&self) -> bool {
        !self.last_save_failed.load(Ordering::Relaxed)
    }

    /// Unix time in seconds of the last snapshot, or of the start.
    pub fn last_save_seconds(&self) -> u64 {
        self.last_save_seconds.load(Ordering::Relaxed)
    }

    /// Snapshots written since the start.
    pub fn saves(&self) -> u64 {
        self.saves.load(Ordering::Relaxed)
    }

    /// Changes since the last snapshot.
    pub fn changes(&self, engine: &Engine) -> u64 {
        dirty(engine).saturating_sub(self.dirty_at_last_save.load(Ordering::Relaxed))
    }

    /// Says that what is in memory now is what is on disk.
    pub fn mark_saved(&self, engine: &Engine) {
        self.dirty_at_last_save.store(dirty(engine), Ordering::Relaxed);
        self.last_save_seconds.store(Engine::now_ms() / 1000, Ordering::Relaxed);
    }
}

/// The one save that is under way. However it ends, another may begin.
struct Saving<'a>(&'a AtomicBool);

impl<'a> Saving<'a> {
    fn begin(flag: &'a AtomicBool) -> Option<Self> {
        (!flag.swap(true, Ordering::AcqRel)).then_some(Saving(flag))
    }
}

impl Drop for Saving<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

fn dirty(engine: &Engine) -> u64 {
    engine.stats.sum(|slot| slot.dirty.get())
}

/// Whether a save point is reached.
pub fn is_save_due(engine: &Engine, settings: &Settings) -> bool {
    let persistence = &engine.persistence;
    let changes = persistence.changes(engine);
    let now = Engine::now_ms() / 1000;
    let since_try = now.saturating_sub(persistence.last_try_seconds.load(Ordering::Relaxed));
    if !persistence.last_save_ok() && since_try < RETRY_SECONDS {
        return false;
    }
    let age = now.saturating_sub(persistence.last_save_seconds());
    settings.save.iter().any(|point| changes >= point.changes && age >= point.seconds && changes > 0)
}

/// Writes the snapshot file. A file that is there is replaced only by a whole one.
///
/// # Errors
/// When another save is under way, or the file cannot be written.
pub async fn save(engine: &Arc<Engine>) -> std::io::Result<()> {
    let persistence = &engine.persistence;
    let Some(saving) = Saving::begin(&persistence.saving) else {
        return Err(std::io::Error::other("Background save already in progress"));
    };
    persistence.last_try_seconds.store(Engine::now_ms() / 1000, Ordering::Relaxed);
    let result = write(engine).await;
    persistence.last_save_failed.store(result.is_err(), Ordering::Relaxed);
    drop(saving);
    match &result {
        Ok(()) => tracing::info!("DB saved on disk"),
        Err(error) => tracing::warn!("Write error saving DB on disk: {error}"),
    }
    result
}

async fn write(engine: &Arc<Engine>) -> std::io::Result<()> {
    let path = path_of(&engine.config.settings());
    let temporary = path.with_file_name(format!("temp-{}-{}.rdb", std::process::id(), engine.port));
    let written = write_temporary(engine, &temporary, &path).await;
    if written.is_err() {
        let _ = tokio::fs::remove_file(&temporary).await;
    }
    let dirty_before = written?;
    engine.persistence.dirty_at_last_save.store(dirty_before, Ordering::Relaxed);
    engine.persistence.last_save_seconds.store(Engine::now_ms() / 1000, Ordering::Relaxed);
    engine.persistence.saves.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

/// Returns how many changes there had been when the snapshot began.
async fn write_temporary(engine: &Arc<Engine>, temporary: &Path, path: &Path) -> std::io::Result<u64> {
    let mut file = tokio::fs::File::create(temporary).await?;
    let (mut chunks, dirty_before) = snapshot::begin(engine, || dirty(engine)).await?;
    let mut complete = false;
    while let Some(chunk) = chunks.recv().await {
        match chunk {
            Chunk::Bytes(bytes) => file.write_all(&bytes).await?,
            Chunk::End => complete = true,
        }
    }
    if !complete {
        return Err(std::io::Error::other("the snapshot was broken off"));
    }
    // `sync_all` waits for the last write, but does not say how it ended.
    file.flush().await?;
    file.sync_all().await?;
    tokio::fs::rename(temporary, path).await?;
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        tokio::fs::File::open(folder).await?.sync_all().await?;
    }
    Ok(dirty_before)
}

/// Loads the snapshot file, if there is one.
///
/// # Errors
/// When it is there and cannot be loaded: a server must not start without the data it had.
pub fn load_at_start(engine: &Engine) -> Result<Option<Report>, ServerError> {
    let path = path_of(&engine.config.settings());
    if !path.exists() {
        return Ok(None);
    }
    load_file(engine, &path, engine.replication.is_replica()).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Host, policy};
    use crate::shutdown;

    fn engine(folder: &Path) -> Arc<Engine> {
        let dir = folder.display().to_string();
        Engine::new(Settings { io_threads: 1, dir, ..Settings::default() }, None, 0, &Host::default())
    }

    #[tokio::test]
    async fn a_save_that_is_dropped_lets_others_begin() {
        let folder = tempfile::tempdir().expect("a folder");
        let engine = engine(folder.path());
        let claim = engine.claim().await;
        let patience = std::time::Duration::from_millis(20);
        assert!(tokio::time::timeout(patience, save(&engine)).await.is_err(), "the gate is claimed");
        assert!(!engine.persistence.is_saving());
        engine.release(claim);
        save(&engine).await.expect("it can be saved");
        assert!(path_of(&engine.config.settings()).exists());
    }

    #[tokio::test]
    async fn a_data_set_that_is_being_loaded_is_not_saved() {
        let folder = tempfile::tempdir().expect("a folder");
        let engine = engine(folder.path());
        engine.set_policy(policy::LOADING, true);
        assert!(save(&engine).await.is_err());
        assert!(!path_of(&engine.config.settings()).exists());
        // It is tried again, but not at once.
        engine.stats.slot(0).dirty.add(1_000_000);
        engine.persistence.last_save_seconds.store(0, Ordering::Relaxed);
        assert!(!is_save_due(&engine, &engine.config.settings()));
        engine.persistence.last_try_seconds.fetch_sub(RETRY_SECONDS, Ordering::Relaxed);
        assert!(is_save_due(&engine, &engine.config.settings()));
        engine.set_policy(policy::LOADING, false);
        save(&engine).await.expect("it can be saved");
    }

    #[tokio::test]
    async fn writes_go_on_after_a_shutdown_that_failed() {
        let folder = tempfile::tempdir().expect("a folder");
        let engine = engine(&folder.path().join("missing"));
        assert!(shutdown::prepare(&engine, Some(true), false, false).await.is_err());
        assert_eq!(engine.policy.load(Ordering::Acquire), 0);
        shutdown::prepare(&engine, Some(false), false, false).await.expect("nothing is to be done");
        assert_eq!(engine.policy.load(Ordering::Acquire), policy::SHUTTING_DOWN);
        assert!(engine.shutdown.is_requested());
    }
}
