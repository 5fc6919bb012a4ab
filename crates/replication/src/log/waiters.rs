//! Readers that have read everything and want to be woken.

use parking_lot::Mutex;
use std::task::Waker;

/// The wakers of waiting readers, at most one for each.
#[derive(Default)]
pub(super) struct Waiters {
    list: Mutex<Vec<(u64, Waker)>>,
}

impl Waiters {
    /// Registers or renews the waker of this reader.
    pub(super) fn register(&self, reader: u64, waker: &Waker) {
        let mut list = self.list.lock();
        match list.iter_mut().find(|(id, _)| *id == reader) {
            Some((_, known)) => known.clone_from(waker),
            None => list.push((reader, waker.clone())),
        }
    }

    /// Forgets a reader.
    pub(super) fn remove(&self, reader: u64) {
        self.list.lock().retain(|(id, _)| *id != reader);
    }

    /// Wakes and forgets all.
    #[cold]
    pub(super) fn wake_all(&self) {
        let woken = std::mem::take(&mut *self.list.lock());
        for (_, waker) in woken {
            waker.wake();
        }
    }
}
