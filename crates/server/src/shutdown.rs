//! How a server ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

use crate::engine::Engine;
use crate::persist;

/// Whether the server is to end.
#[derive(Default)]
pub struct Shutdown {
    requested: AtomicBool,
    notify: Notify,
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

/// Prepares the end: lets replicas catch up and saves. `save` is what `SHUTDOWN` said, `None` leaves it to the save
/// points; `now` does not wait for replicas; `force` ends even if saving fails.
///
/// # Errors
/// When the snapshot could not be saved. The server then goes on.
pub async fn prepare(
    engine: &Arc<Engine>,
    save: Option<bool>,
    now: bool,
    force: bool,
) -> std::io::Result<()> {
    let settings = engine.config.settings();
    if !now && !engine.replication.is_replica() {
        let patience = Duration::from_secs(settings.shutdown_timeout.max(0) as u64);
        let _ = tokio::time::timeout(patience, engine.replication.wait_for_all(engine.log.end())).await;
    }
    if save.unwrap_or(!settings.save.is_empty()) {
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
