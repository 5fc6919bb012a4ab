//! Waiting for something to become true, but not for ever.

use std::fmt::Debug;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long anything that should happen at once may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(20);

/// Calls `probe` until it is `Ok`, for [`PATIENCE`] at most, and returns what it found.
///
/// # Panics
/// With `what` and the last `Err` when it never is.
#[track_caller]
pub fn wait_until<T, E: Debug>(what: &str, mut probe: impl FnMut() -> Result<T, E>) -> T {
    let begun = Instant::now();
    loop {
        match probe() {
            Ok(found) => return found,
            Err(last) => assert!(begun.elapsed() < PATIENCE, "{what}: still not; last seen: {last:?}"),
        }
        sleep(LOOK_AGAIN_AFTER);
    }
}
