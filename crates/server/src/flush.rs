//! Whole databases emptied or exchanged, and who is told: those who watch a key that is there before or after.

use std::sync::Arc;

use redkeep_store::{Access, AccessContext, Database, Exclusive, ExpiryMode, Stamp};

use crate::engine::Engine;
use crate::observers::Observers;

impl Engine {
    /// Empties a database for good, and returns what it held, to be dropped where that disturbs nobody. `None` if it
    /// is empty.
    pub fn flush(&self, claim: &mut Exclusive, db: usize) -> Option<Arc<Database<Observers>>> {
        if self.keyspace.is_empty(claim, db) {
            return None;
        }
        self.touch_replaced(claim, db, None);
        self.keyspace.flush(claim, db)
    }

    /// Exchanges the keys of two databases.
    pub fn swap(&self, claim: &mut Exclusive, left: usize, right: usize) {
        if left != right {
            self.touch_replaced(claim, left, Some(right));
            self.touch_replaced(claim, right, Some(left));
            self.keyspace.swap(claim, left, right);
        }
    }

    /// Touches the watched keys of a database that are there, or will be when its keys are those of another.
    fn touch_replaced(&self, claim: &mut Exclusive, db: usize, replacement: Option<usize>) {
        let mut watched: Vec<Box<[u8]>> = Vec::new();
        self.looking(claim, db).for_each_attachment(&mut |observers| {
            watched.extend(observers.watched().map(Box::from));
        });
        if watched.is_empty() {
            return;
        }
        let mut touched = vec![false; watched.len()];
        for db in std::iter::once(db).chain(replacement) {
            let access = self.looking(claim, db);
            for (key, touched) in watched.iter().zip(&mut touched) {
                *touched |= access.peek(self.keyspace.key(key)).is_some();
            }
        }
        let mut access = self.looking(claim, db);
        for (key, _) in watched.iter().zip(touched).filter(|(_, touched)| *touched) {
            access.attachment(self.keyspace.key(key)).touch(key);
        }
    }

    /// All keys of a database, none of which changes by being looked at.
    fn looking<'k>(&'k self, claim: &'k mut Exclusive, db: usize) -> Access<'k, Observers> {
        let stamp = Stamp::Keep(Default::default());
        let context = AccessContext { now_ms: Self::now_ms(), stamp, expiry: ExpiryMode::Hide };
        self.keyspace.lock_all(claim, db, context)
    }
}
