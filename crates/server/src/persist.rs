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

/// What is known of the snapshot file.
#[derive(Default)]
pub struct Persistence {
    saving: AtomicBool,
    scheduled: AtomicBool,
    last_save_failed: AtomicBool,
    last_save_seconds: AtomicU64,
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

fn dirty(engine: &Engine) -> u64 {
    engine.stats.sum(|slot| slot.dirty.get())
}

/// Whether a save point is reached.
pub fn is_save_due(engine: &Engine, settings: &Settings) -> bool {
    let changes = engine.persistence.changes(engine);
    let age = (Engine::now_ms() / 1000).saturating_sub(engine.persistence.last_save_seconds());
    settings.save.iter().any(|point| changes >= point.changes && age >= point.seconds && changes > 0)
}

/// Writes the snapshot file. A file that is there is replaced only by a whole one.
///
/// # Errors
/// When another save is under way, or the file cannot be written.
pub async fn save(engine: &Arc<Engine>) -> std::io::Result<()> {
    if engine.persistence.saving.swap(true, Ordering::AcqRel) {
        return Err(std::io::Error::other("Background save already in progress"));
    }
    let result = write(engine).await;
    engine.persistence.last_save_failed.store(result.is_err(), Ordering::Relaxed);
    engine.persistence.saving.store(false, Ordering::Release);
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
