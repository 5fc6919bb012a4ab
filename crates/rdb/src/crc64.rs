//! The checksum of RDB files and DUMP payloads: CRC-64 with the Jones polynomial, reflected, starting at zero.
//!
//! Tables for sixteen bytes at a step, since a whole data set runs through here.

use crc::{CRC_64_REDIS, Crc, Digest, Table};

static TABLES: Crc<u64, Table<16>> = Crc::<u64, Table<16>>::new(&CRC_64_REDIS);

/// A checksum under way; the bytes may come in any pieces.
///
/// ```
/// let mut crc = redkeep_rdb::Crc64::new();
/// crc.update(b"12345");
/// crc.update(b"6789");
/// assert_eq!(crc.value(), 0xe9c6_d914_c4b8_d9ca);
/// ```
#[derive(Clone)]
pub struct Crc64(Digest<'static, u64, Table<16>>);

impl Crc64 {
    /// The checksum of no bytes, which is zero.
    pub fn new() -> Self {
        Crc64(TABLES.digest())
    }

    /// Takes further bytes in.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The checksum of all bytes so far.
    pub fn value(&self) -> u64 {
        self.0.clone().finalize()
    }

    /// The checksum of one slice.
    pub fn of(bytes: &[u8]) -> u64 {
        TABLES.checksum(bytes)
    }
}

impl Default for Crc64 {
    fn default() -> Self {
        Crc64::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, a bit at a time.
    fn slow(bytes: &[u8]) -> u64 {
        const JONES_REFLECTED: u64 = 0x95ac_9329_ac4b_c9b5;
        let mut crc = 0u64;
        for &byte in bytes {
            crc ^= u64::from(byte);
            for _ in 0..8 {
                crc = if crc & 1 == 1 { (crc >> 1) ^ JONES_REFLECTED } else { crc >> 1 };
            }
        }
        crc
    }

    #[test]
    fn agrees_with_the_definition_at_every_length_and_cut() {
        let bytes: Vec<u8> = (0..100u32).map(|i| (i * 37 + i / 7) as u8).collect();
        for len in 0..bytes.len() {
            assert_eq!(Crc64::of(&bytes[..len]), slow(&bytes[..len]));
            let mut crc = Crc64::new();
            crc.update(&bytes[..len]);
            crc.update(&bytes[len..]);
            assert_eq!(crc.value(), slow(&bytes));
        }
    }
}
