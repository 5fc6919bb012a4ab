//! The RDB format of Redis: files, and the payloads of DUMP and RESTORE. Pure over bytes: no file, socket or clock.
//!
//! What is here, from the smallest part outward:
//!
//! - [`lzf`] and [`Crc64`], the compression and the checksum;
//! - [`opcodes`], the names of all records and value types;
//! - [`Encoder`] and [`Writer`] produce version 10, which Redis 7.0 and all later servers load; [`dump`] a payload;
//! - [`Reader`] and [`SliceReader`] take versions 1 to 12 and Valkey's 80, in pieces or whole; [`restore`] a payload.
//!
//! The readers hand out values of [`redkeep_store`] in the encodings that the limits ask for. Streams, module values and
//! hashes with expiring fields are refused by name, as the store does not hold them.
//!
//! What holds for all readers, whatever the bytes:
//!
//! - they give items or an error with its offset, and never panic;
//! - memory is taken for bytes that are there, never for a length that is only announced;
//! - the work is linear in the input, in pieces of any size.
//!
//! ```
//! use redkeep_rdb::{Attributes, Item, Limits, Loaded, SliceReader, Writer, WriterOptions};
//! use redkeep_store::value::{EncodingLimits, Hash, ValueRef};
//!
//! let mut hash = Hash::new();
//! hash.set(b"colour", b"red", &EncodingLimits::default());
//! let mut writer = Writer::new(WriterOptions::default());
//! writer.select_db(0);
//! let tomorrow = Attributes { expire_ms: Some(1_700_000_000_000), ..Attributes::default() };
//! writer.entry(b"apple", &tomorrow, ValueRef::Hash(&hash));
//! let file = writer.finish();
//!
//! for item in SliceReader::new(&file, Limits::default()) {
//!     if let Item::Entry(entry) = item? {
//!         assert_eq!(&*entry.key, b"apple");
//!         assert_eq!(entry.attributes, tomorrow);
//!         assert!(matches!(entry.value, Loaded::Value(value) if value.as_ref().len() == 1));
//!     }
//! }
//! # Ok::<(), redkeep_rdb::RdbError>(())
//! ```

mod crc64;
mod decode;
mod dump;
mod encode;
mod error;
mod item;
mod legacy;
mod limits;
pub mod lzf;
pub mod opcodes;
mod parser;
mod primitives;
mod reader;
mod writer;

pub use crc64::Crc64;
pub use decode::Loaded;
pub use dump::{RestoreError, dump, restore};
pub use encode::{Encoder, Output};
pub use error::{ErrorKind, RdbError};
pub use item::{Attributes, Entry, Item};
pub use limits::{DEFAULT_MAX_STRING_LEN, Limits};
pub use reader::{Reader, SliceReader};
pub use writer::{Information, ReplicationPoint, VERSION, Writer, WriterOptions};
