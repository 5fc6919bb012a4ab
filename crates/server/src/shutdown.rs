//! How a server ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::engine::{Engine, policy};
use crate::persist;

/// Whether the server is to end.
#[derive(Default)]
pub struct Shutdown {
    requested: AtomicBool,
    notify: Notify,
    /// How many ends are being prepared.
    preparing: Mutex<usize>,
}

impl Shutdown {
    /// Tells everything to end.
    pub fn request(&self) {
        self.requested.store(true, Ordering::Release);
        self.notify.notify_waiters();
    }

    /// Whether it was told.
    pub fn is_requested(&self) -> bool {
        self.requested.load(Ordering::Acquire)
    }

    /// Waits until it is told.
    pub async fn requested(&self) {
        loop {
            let notified = self.notify.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            if self.is_requested() {
                return;
            }
            notified.await;
        }
    }
}

/// Lets writes of clients wait while an end is prepared, and go on if nothing comes of it.
struct WritesPaused<'a>(&'a Engine);

impl<'a> WritesPaused<'a> {
    /// Every write that was executed is in the log when this returns, and none comes after it.
    async fn begin(engine: &'a Engine) -> Self {
        let claim = engine.claim().await;
        let mut preparing = engine.shutdown.preparing.lock();
        *preparing += 1;
        engine.set_policy(policy::SHUTTING_DOWN, true);
        drop(preparing);
        engine.release(claim);
        WritesPaused(engine)
    }
}

impl Drop for WritesPaused<'_> {
    fn drop(&mut self) {
        let mut preparing = self.0.shutdown.preparing.lock();
        *preparing -= 1;
        // Where the server ends, a write would be acknowledged and then be lost.
        if *preparing == 0 && !self.0.shutdown.is_requested() {
            self.0.set_policy(policy::SHUTTING_DOWN, false);
            self.0.writes_resumed.notify_waiters();
        }
    }
}

/// Prepares the end: lets replicas catch up and saves. `save` is what `SHUTDOWN` said, `None` leaves it to the save
/// points; `now` does not wait for replicas; `force` ends even if saving fails. Writes of clients wait meanwhile.
///
/// # Errors
/// When the snapshot could not be saved. The server then goes on.
pub async fn prepare(
    engine: &Arc<Engine>,
    save: Option<bool>,
    now: bool,
    force: bool,
) -> std::io::Result<()> {
    let _paused = WritesPaused::begin(engine).await;
    let settings = engine.config.settings();
    if !now && !engine.replication.is_replica() {
        let patience = Duration::from_secs(settings.shutdown_timeout.max(0) as u64);
        let _ = tokio::time::timeout(patience, engine.replication.wait_for_all(engine.log.end())).await;
    }
    // What is loaded in part is not to replace a whole file.
    let loading = engine.policy.load(Ordering::Acquire) & policy::LOADING != 0;
    if !loading && save.unwrap_or(!settings.save.is_empty()) {
        while engine.persistence.is_saving() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        if let Err(error) = persist::save(engine).await
            && !force
        {
            return Err(error);
        }
    }
    engine.shutdown.request();
    Ok(())
}
