//! A key's bytes and their hash, computed once and carried together.
//!
//! One 64-bit hash serves three choices that must not depend on each other: bits 32 and up pick the
//! shard, the low bits the bucket within the shard's table, and the top byte is the tag kept in the
//! bucket. The hash is seeded per keyspace, so that which keys collide cannot be computed from outside.

use std::hash::Hasher as _;

use foldhash::SharedSeed;
use foldhash::fast::FoldHasher;

/// How many shards a database has. A power of two.
pub const SHARDS: usize = 1 << 10;

/// The hash of a key within one [`Keyspace`](crate::Keyspace); meaningless in any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyHash(pub u64);

impl KeyHash {
    /// The shard that holds the key: below [`SHARDS`].
    #[inline]
    pub fn shard(self) -> usize {
        (self.0 >> 32) as usize & (SHARDS - 1)
    }

    /// The byte that stands for the key in its bucket. Never 0, which means an empty slot.
    #[inline]
    pub(crate) fn tag(self) -> u8 {
        ((self.0 >> 56) as u8).max(1)
    }
}

/// A key as the keyspace wants it: made by [`Keyspace::key`](crate::Keyspace::key).
#[derive(Clone, Copy, Debug)]
pub struct Key<'a> {
    /// The key itself.
    pub bytes: &'a [u8],
    /// Its hash in the keyspace that made this value.
    pub hash: KeyHash,
}

/// The seeded hash function of one keyspace.
#[derive(Clone, Debug)]
pub(crate) struct KeyHasher {
    seed: SharedSeed,
    start: u64,
}

impl KeyHasher {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed: SharedSeed::from_u64(seed), start: seed.rotate_left(32) ^ 0x9e37_79b9_7f4a_7c15 }
    }

    #[inline]
    pub(crate) fn hash(&self, bytes: &[u8]) -> KeyHash {
        let mut hasher = FoldHasher::with_seed(self.start, &self.seed);
        hasher.write(bytes);
        KeyHash(hasher.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_depends_on_the_seed_and_on_nothing_else() {
        let (one, same, other) = (KeyHasher::new(1), KeyHasher::new(1), KeyHasher::new(2));
        assert_eq!(one.hash(b"key"), same.hash(b"key"));
        assert_ne!(one.hash(b"key"), other.hash(b"key"));
        assert_ne!(one.hash(b""), one.hash(b"\0"));
    }

    #[test]
    fn sequential_keys_spread_over_shards_buckets_and_tags() {
        let hasher = KeyHasher::new(7);
        let (mut shards, mut buckets, mut tags) = (vec![0u32; SHARDS], vec![0u32; 256], vec![0u32; 256]);
        for n in 0..256_000u32 {
            let hash = hasher.hash(format!("key:{n:012}").as_bytes());
            shards[hash.shard()] += 1;
            buckets[hash.0 as usize & 255] += 1;
            tags[usize::from(hash.tag())] += 1;
        }
        // 250 and 1000 are expected; eight standard deviations are allowed.
        assert!(shards.iter().all(|&n| (125..=375).contains(&n)));
        assert!(buckets.iter().all(|&n| (750..=1250).contains(&n)));
        assert_eq!(tags[0], 0);
        assert!(tags[2..].iter().all(|&n| (750..=1250).contains(&n)));
    }
}
