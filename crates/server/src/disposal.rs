//! Where large values are dropped: on a thread of its own, so that no command waits for it.
//!
//! Small values are dropped where they are, which is cheaper than passing them on. The thread is started by the first
//! large one, and ends with the server. Its queue is bounded: when it is full, as when many large keys are deleted at
//! once, the command that adds to it drops its value itself, and so is slowed down to what can be freed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};

use redkeep_store::{Database, Owned};

use crate::observers::Observers;

/// Values that wait to be dropped at most; one more is dropped at once.
const QUEUE_LEN: usize = 1024;

/// A value with more allocations than this is dropped elsewhere. Redis draws the line at the same place.
const LARGE: usize = 64;

/// What is dropped: a key with its value, or the keys that a flush took out.
type Refuse = Box<dyn Send>;

/// The way to the thread that drops values.
#[derive(Default)]
pub struct Disposal {
    /// Not there until it is needed; `None` if no thread could be had.
    queue: OnceLock<Option<SyncSender<Refuse>>>,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    queued: AtomicU64,
    dropped: AtomicU64,
}

impl Disposal {
    /// Drops a key with its value.
    #[inline]
    pub fn value(&self, owned: Owned) {
        if owned.value().free_effort() > LARGE {
            self.put(Box::new(owned));
        }
    }

    /// Drops the keys that a flush took out.
    pub fn database(&self, database: Arc<Database<Observers>>) {
        self.put(Box::new(database));
    }

    /// How many values and databases wait to be dropped: INFO's `lazyfree_pending_objects`.
    pub fn pending(&self) -> u64 {
        let dropped = self.dropped();
        self.counts.queued.load(Ordering::Relaxed).saturating_sub(dropped)
    }

    /// How many values and databases the thread has dropped: INFO's `lazyfreed_objects`.
    pub fn dropped(&self) -> u64 {
        self.counts.dropped.load(Ordering::Relaxed)
    }

    #[cold]
    fn put(&self, refuse: Refuse) {
        let queue = self.queue.get_or_init(|| start(self.counts.clone()));
        let queued = match queue {
            Some(queue) => queue.try_send(refuse).is_ok(),
            None => false,
        };
        if queued {
            self.counts.queued.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn start(counts: Arc<Counts>) -> Option<SyncSender<Refuse>> {
    let (sender, receiver) = sync_channel(QUEUE_LEN);
    let thread = std::thread::Builder::new().name("redkeep-disposal".into());
    let started = thread.spawn(move || drop_all(&receiver, &counts));
    started.inspect_err(|error| tracing::warn!("large values are dropped by the workers: {error}")).ok()?;
    Some(sender)
}

/// Ends when the server, and with it the sender, is gone.
fn drop_all(receiver: &Receiver<Refuse>, counts: &Counts) {
    for refuse in receiver {
        drop(refuse);
        counts.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use redkeep_store::value::EncodingLimits;
    use redkeep_store::{AccessContext, ExpiryMode, Keyspace, Set, Stamp};

    use super::*;

    /// A set of `members` members that was taken out of a keyspace.
    fn removed_set(members: usize) -> Owned {
        let keyspace: Keyspace<()> = Keyspace::new(1, 7, 1);
        let pass = keyspace.gate().enter(0).unwrap();
        let stamp = Stamp::Keep(Default::default());
        let key = keyspace.key(b"set");
        let context = AccessContext { now_ms: 0, stamp, expiry: ExpiryMode::Ignore };
        let mut access = keyspace.lock(&pass, 0, key.hash, context);
        let mut set = Set::default();
        for n in 0..members {
            set.add(format!("member {n}").as_bytes(), &EncodingLimits::default());
        }
        access.insert(key, set.into(), None);
        access.remove(key).unwrap()
    }

    #[test]
    fn only_large_values_go_to_the_thread() {
        let disposal = Disposal::default();
        disposal.value(removed_set(3));
        assert!(disposal.queue.get().is_none());
        disposal.value(removed_set(1000));
        let patience = Instant::now() + Duration::from_secs(20);
        while disposal.dropped() == 0 && Instant::now() < patience {
            std::thread::yield_now();
        }
        assert_eq!((disposal.dropped(), disposal.pending()), (1, 0));
    }
}
