//! Writing an RDB file, version 10, which Redis 7.0 and later and every Valkey load.
//!
//! The order that Redis expects: header, information, functions, then for each database its number, the hint of its size
//! and its entries, and the end. The writer does not hold the file: take what it has whenever it is enough for a write.

use redkeep_store::value::ValueRef;

use crate::crc64::Crc64;
use crate::encode::Encoder;
use crate::item::Attributes;
use crate::opcodes::Opcode;
use crate::primitives::encode as put;

/// The version of the format that is written, in files and in DUMP payloads.
pub const VERSION: u32 = 10;

/// The settings of a [`Writer`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriterOptions {
    /// Whether strings of more than 20 bytes are compressed where that makes them smaller (`rdbcompression`).
    pub compression: bool,
    /// Whether the file ends with its checksum rather than with zero (`rdbchecksum`).
    pub checksum: bool,
}

impl Default for WriterOptions {
    /// Both, as Redis has it.
    fn default() -> Self {
        WriterOptions { compression: true, checksum: true }
    }
}

/// What a file says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Information<'a> {
    /// `redis-ver`: the version of Redis that the server is compatible with.
    pub redis_version: &'a str,
    /// `ctime`: when the file was made, in seconds since 1970.
    pub created_seconds: u64,
    /// `used-mem`: the server's memory, in bytes.
    pub used_memory: u64,
    /// Where the file stands in the replication stream, if it does.
    pub replication: Option<ReplicationPoint<'a>>,
    /// `aof-base`: whether commands of an append-only file follow.
    pub aof_base: bool,
}

/// A place in a replication stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplicationPoint<'a> {
    /// `repl-stream-db`: the database selected in the stream, -1 for none.
    pub stream_db: i64,
    /// `repl-id`: the stream's identity, 40 hexadecimal digits.
    pub id: &'a str,
    /// `repl-offset`: the offset in the stream, in bytes.
    pub offset: u64,
}

/// Writes an RDB file into memory, to be taken from there in pieces.
///
/// ```
/// use redkeep_rdb::{Attributes, Information, Writer, WriterOptions};
/// use redkeep_store::value::ValueRef;
/// let mut writer = Writer::new(WriterOptions::default());
/// writer.information(&Information { redis_version: "7.0.15", ..Information::default() });
/// writer.select_db(0);
/// writer.resize_db(1, 0);
/// writer.entry(b"greeting", &Attributes::default(), ValueRef::String(b"hello"));
/// let file = writer.finish();
/// assert!(file.starts_with(b"REDIS0010"));
/// ```
pub struct Writer {
    out: Vec<u8>,
    encoder: Encoder,
    /// `None` if the file is to have no checksum.
    checksum: Option<Crc64>,
}

impl Writer {
    /// A writer that has written the header.
    pub fn new(options: WriterOptions) -> Self {
        Writer {
            out: format!("REDIS{VERSION:04}").into_bytes(),
            encoder: Encoder::new(options.compression),
            checksum: options.checksum.then(Crc64::new),
        }
    }

    /// A field of information that programs may look for; others pass over it.
    pub fn aux(&mut self, key: &[u8], value: &[u8]) {
        self.out.push(Opcode::Aux.byte());
        self.encoder.string(&mut self.out, key);
        self.encoder.string(&mut self.out, value);
    }

    /// The fields that Redis writes, in its order.
    pub fn information(&mut self, information: &Information<'_>) {
        self.aux(b"redis-ver", information.redis_version.as_bytes());
        self.aux(b"redis-bits", usize::BITS.to_string().as_bytes());
        self.aux(b"ctime", information.created_seconds.to_string().as_bytes());
        self.aux(b"used-mem", information.used_memory.to_string().as_bytes());
        if let Some(replication) = &information.replication {
            self.aux(b"repl-stream-db", replication.stream_db.to_string().as_bytes());
            self.aux(b"repl-id", replication.id.as_bytes());
            self.aux(b"repl-offset", replication.offset.to_string().as_bytes());
        }
        self.aux(b"aof-base", if information.aof_base { b"1" } else { b"0" });
    }

    /// The source of a function library.
    pub fn function(&mut self, source: &[u8]) {
        self.out.push(Opcode::Function2.byte());
        self.encoder.string(&mut self.out, source);
    }

    /// The following entries belong to database `db`.
    pub fn select_db(&mut self, db: u64) {
        self.out.push(Opcode::SelectDb.byte());
        put::length(&mut self.out, db);
    }

    /// How many keys follow in this database, and how many of them expire; readers only make room by it.
    pub fn resize_db(&mut self, keys: u64, expires: u64) {
        self.out.push(Opcode::ResizeDb.byte());
        put::length(&mut self.out, keys);
        put::length(&mut self.out, expires);
    }

    /// A key with its value.
    pub fn entry(&mut self, key: &[u8], attributes: &Attributes, value: ValueRef<'_>) {
        self.encoder.entry(&mut self.out, key, attributes, value);
    }

    /// Entries, or a part of one, that an [`Encoder`] has made elsewhere.
    pub fn encoded(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// How many bytes [`take`](Writer::take) would give.
    pub fn pending(&self) -> usize {
        self.out.len()
    }

    /// What was written since the last time.
    pub fn take(&mut self) -> Vec<u8> {
        self.sum();
        std::mem::take(&mut self.out)
    }

    /// Appends to `file` what was written since the last time, and keeps the memory for what follows.
    pub fn take_into(&mut self, file: &mut Vec<u8>) {
        self.sum();
        file.append(&mut self.out);
    }

    /// Writes the end; gives what was not taken yet.
    pub fn finish(mut self) -> Vec<u8> {
        self.out.push(Opcode::Eof.byte());
        self.sum();
        let checksum = self.checksum.map_or(0, |checksum| checksum.value());
        self.out.extend_from_slice(&checksum.to_le_bytes());
        self.out
    }

    fn sum(&mut self) {
        if let Some(checksum) = &mut self.checksum {
            checksum.update(&self.out);
        }
    }
}
