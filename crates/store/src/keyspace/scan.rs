//! What walks over the shards of a database: SCAN, random choice, the active expiry cycle.
//!
//! None of it sees a database at one instant: shards are locked one after the other.

use super::Keyspace;
use crate::access::{Access, AccessContext, ExpiryMode, Locked};
use crate::entry::EntryRef;
use crate::gate::Pass;
use crate::key::SHARDS;
use crate::recency::mix;

/// So many buckets are looked at for each key that a scan is asked for, before it gives up finding
/// that many: as Redis does.
const BUCKETS_PER_KEY: usize = 10;

/// Which keys to choose from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pool {
    /// All keys.
    All,
    /// Keys with a time to live.
    Volatile,
}

/// Where the active expiry cycle of one database stands.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExpireCursor {
    shard: usize,
    bucket: u64,
}

/// What a slice of the active expiry cycle found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SliceReport {
    /// Keys with a time to live that were looked at.
    pub examined: usize,
    /// Keys that were expired, and have been removed.
    pub expired: usize,
    /// Whether the cursor has come to the end of the database, and begins again.
    pub wrapped: bool,
}

impl<A: Default + Send> Keyspace<A> {
    /// Visits about `count` keys from `cursor` on (0 at first) and answers the next cursor, 0 at the
    /// end. A key that is there from the first call to the last is visited at least once, however the
    /// tables grow and shrink in between. Any number is a valid cursor.
    ///
    /// Keys that are expired at `now_ms` are passed over and stay. `visit` is called under a shard's
    /// lock: it must not call the keyspace.
    pub fn scan(
        &self,
        pass: &impl Pass,
        db: usize,
        cursor: u64,
        count: usize,
        now_ms: u64,
        visit: &mut dyn FnMut(&[u8], EntryRef<'_>),
    ) -> u64 {
        let Some(database) = self.existing(pass, db) else { return 0 };
        let (mut shard, mut bucket) = ((cursor % SHARDS as u64) as usize, cursor / SHARDS as u64);
        let mut keys = count.max(1);
        let mut buckets = keys.saturating_mul(BUCKETS_PER_KEY);
        while shard < SHARDS {
            if keys == 0 || buckets == 0 {
                return bucket * SHARDS as u64 + shard as u64;
            }
            if database.shard(shard).len() > 0 {
                database.with_shard(pass, shard, |held| {
                    while keys > 0 && buckets > 0 {
                        bucket = held.scan(bucket, &mut |entry| {
                            if !entry.is_expired(now_ms) {
                                keys = keys.saturating_sub(1);
                                visit(entry.key(), entry);
                            }
                        });
                        buckets -= 1;
                        if bucket == 0 {
                            break;
                        }
                    }
                });
            } else {
                bucket = 0;
            }
            if bucket == 0 {
                shard += 1;
            }
        }
        0
    }

    /// A key of a database chosen by `random`, a fresh random number; each is about equally likely. It
    /// may be expired. `None` if there are none.
    pub fn random_key(&self, pass: &impl Pass, db: usize, random: u64) -> Option<Box<[u8]>> {
        let database = self.existing(pass, db)?;
        let total = database.len() as u64;
        let mut skip = mix(random).checked_rem(total)?;
        let start = database.shards().iter().position(|shard| {
            let len = u64::from(shard.len());
            let here = skip < len;
            skip = skip.saturating_sub(len);
            here
        });
        // Only if keys went away since they were counted is there a second shard to look in.
        let start = start.unwrap_or(0);
        (start..SHARDS).chain(0..start).find_map(|shard| {
            database.with_shard(pass, shard, |held| {
                held.pick(Pool::All, random).map(|entry| Box::from(entry.key()))
            })
        })
    }

    /// Visits up to `count` keys chosen by `random` from `pool`, some perhaps twice, and answers how many
    /// it visited: the sample that eviction chooses from. `visit` is called under a shard's lock: it must
    /// not call the keyspace.
    pub fn sample(
        &self,
        pass: &impl Pass,
        db: usize,
        pool: Pool,
        random: u64,
        count: usize,
        visit: &mut dyn FnMut(&[u8], EntryRef<'_>),
    ) -> usize {
        let Some(database) = self.existing(pass, db) else { return 0 };
        let has_keys = |shard: &usize| match pool {
            Pool::All => database.shard(*shard).len() > 0,
            Pool::Volatile => database.shard(*shard).volatile_len() > 0,
        };
        let mut visited = 0;
        for draw in 0..count as u64 {
            let draw = mix(random.wrapping_add(draw));
            let start = draw as usize % SHARDS;
            let Some(shard) = (start..SHARDS).chain(0..start).find(has_keys) else { break };
            database.with_shard(pass, shard, |held| {
                if let Some(entry) = held.pick(pool, draw) {
                    visit(entry.key(), entry);
                    visited += 1;
                }
            });
        }
        visited
    }

    /// One slice of the active expiry cycle: looks at about `budget` keys with a time to live, from
    /// `cursor` on, and removes those that are expired. For each shard that lost keys `serve` is called
    /// while it is still locked, and finds them with [`Access::take_expired`], as after any command.
    ///
    /// Does nothing unless the context's expiry mode is [`ExpiryMode::Delete`].
    pub fn expire_slice(
        &self,
        pass: &impl Pass,
        db: usize,
        cursor: &mut ExpireCursor,
        budget: usize,
        cx: AccessContext,
        serve: &mut dyn FnMut(&mut Access<'_, A>),
    ) -> SliceReport {
        let mut report = SliceReport::default();
        let Some(database) = self.existing(pass, db) else {
            return SliceReport { wrapped: true, ..report };
        };
        if cx.expiry != ExpiryMode::Delete {
            return report;
        }
        let mut left = budget;
        while left > 0 {
            if database.shard(cursor.shard).volatile_len() > 0 {
                let mut access = Access::new(Locked::one(pass, database, cursor.shard), db, cx);
                while left > 0 {
                    let bucket = access.expire_bucket(cursor.shard, cursor.bucket);
                    cursor.bucket = bucket.next;
                    report.examined += bucket.examined;
                    report.expired += bucket.expired;
                    // An empty bucket is work as well.
                    left = left.saturating_sub(bucket.examined.max(1));
                    if cursor.bucket == 0 {
                        break;
                    }
                }
                if access.has_expired() {
                    serve(&mut access);
                }
            } else {
                cursor.bucket = 0;
            }
            if cursor.bucket == 0 {
                cursor.shard = (cursor.shard + 1) % SHARDS;
                if cursor.shard == 0 {
                    report.wrapped = true;
                    break;
                }
            }
        }
        report
    }
}
