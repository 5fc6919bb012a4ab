//! The keyspace of a Redis-compatible server: values and their encodings, expiry, capture for snapshots.
//!
//! The crate is synchronous and pure. It does no I/O and reads no clock and no random source: time and
//! random numbers are arguments, so every behaviour can be replayed.
//!
//! From the outside in:
//!
//! - A [`Keyspace`] holds numbered databases. Each is cut into [`SHARDS`] shards under a lock of their own,
//!   so that threads seldom meet; a key's hash picks its shard.
//! - Over the shards stands the [`Gate`]. Ordinary commands enter it and lock the shards of their keys;
//!   commands that cannot name their keys beforehand claim it and own everything.
//! - A command works through an [`Access`], the view of the shards it locked. Expiry, recency and capture
//!   happen there, out of every handler's sight.
//! - A key, its header and (for a string) its value are one allocation; a shard's table finds it through
//!   one cache line that can be prefetched. So a lookup among millions of keys costs two cache misses, and
//!   in a pipeline none that is waited for.
//! - A [`Snapshot`] captures the exact state of one instant while writing goes on, without `fork`.
//! - [`value`] has the aggregates: lists, sets, hashes, sorted sets.
//!
//! Invariants, and what keeps them:
//!
//! - *Whatever callers do, memory stays safe.* References into entries borrow the access; an owner of the
//!   gate must lend it mutably to use shards without locks; a pass is checked to be of the right gate; a key
//!   whose shard is not locked is a panic.
//! - *A key that has expired is never seen*, but in the modes that ask for it.
//! - *A snapshot gets each key once, as it was*: no method changes or removes an entry without offering it
//!   to the running snapshot first.
//! - *No request waits for a table to be resized*: tables move a few buckets with each insertion or removal.
//!
//! ```
//! use redkeep_store::{AccessContext, Expire, ExpiryMode, Keyspace, Stamp};
//!
//! let keyspace: Keyspace<()> = Keyspace::new(16, 0x5eed, 1);
//! let cx = AccessContext { now_ms: 1_000, stamp: Stamp::Lru { clock: 1 }, expiry: ExpiryMode::Delete };
//! let (from, to) = (keyspace.key(b"from"), keyspace.key(b"to"));
//!
//! // A rename: both shards are locked, and the value is moved.
//! let pass = keyspace.gate().enter(0).expect("nobody has claimed the gate");
//! let mut access = keyspace.lock_many(&pass, 0, &[from.hash, to.hash], cx);
//! access.set_string(from, b"value", Expire::At(5_000));
//! let owned = access.remove(from).expect("it was just set");
//! let expire_ms = owned.expire_ms();
//! access.insert_owned(to, owned, expire_ms);
//! assert_eq!(access.find(to).and_then(|entry| entry.expire_ms()), Some(5_000));
//! ```

mod access;
mod capture;
mod database;
mod entry;
mod gate;
mod key;
mod keyspace;
mod prefetch;
mod recency;
mod shard;
mod table;
pub mod value;

pub use access::{Access, AccessContext, Expire, ExpiryMode};
pub use capture::{CaptureSink, Snapshot, SnapshotRunning};
pub use database::Database;
pub use entry::{EntryMut, EntryRef, Owned};
pub use gate::{Exclusive, Gate, Pass, Shared};
pub use key::{Key, KeyHash, SHARDS};
pub use keyspace::{ExpireCursor, Keyspace, Pool, Prefetcher, SliceReport};
pub use recency::{AccessBits, Lfu, Stamp};
pub use value::{Hash, List, Set, SortedSet, Value, ValueMut, ValueRef, ValueType};
