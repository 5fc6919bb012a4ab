//! The payload of DUMP and RESTORE: `<type> <value> <version: u16> <CRC64 of all before>`, little-endian.

use redkeep_store::value::ValueRef;

use crate::crc64::Crc64;
use crate::decode::{self, Loaded};
use crate::encode::{Encoder, type_of};
use crate::error::{ErrorKind, RdbError};
use crate::opcodes::ValueType;
use crate::parser::is_known_version;
use crate::primitives::Cursor;
use crate::{Limits, writer};

const VERSION_LEN: usize = 2;
const CHECKSUM_LEN: usize = 8;

/// Why RESTORE refuses a payload.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// Too short, of an unknown version, or damaged.
    #[error("DUMP payload version or checksum are wrong")]
    VersionOrChecksum,
    /// Undamaged, but not a value that the store can hold.
    #[error("Bad data format")]
    BadData(#[source] RdbError),
}

/// Appends the payload of `value` to `out`.
///
/// ```
/// use redkeep_rdb::{Encoder, Limits, Loaded, dump, restore};
/// use redkeep_store::value::ValueRef;
/// let mut payload = Vec::new();
/// dump(&mut payload, &mut Encoder::new(true), ValueRef::String(b"10"));
/// assert_eq!(payload[..5], *b"\x00\xc0\x0a\x0a\x00");
/// let Loaded::String(value) = restore(&payload, &Limits::default())? else { panic!() };
/// assert_eq!(&*value, b"10");
/// # Ok::<(), redkeep_rdb::RestoreError>(())
/// ```
pub fn dump(out: &mut Vec<u8>, encoder: &mut Encoder, value: ValueRef<'_>) {
    let from = out.len();
    out.push(type_of(value).byte());
    encoder.value(out, value);
    out.extend_from_slice(&(writer::VERSION as u16).to_le_bytes());
    let checksum = Crc64::of(&out[from..]);
    out.extend_from_slice(&checksum.to_le_bytes());
}

/// The value whose payload `payload` is. The checksum is compared whatever `limits` say, as in Redis.
///
/// # Errors
/// The display of the error is what RESTORE replies, after `ERR `.
pub fn restore<'a>(payload: &'a [u8], limits: &Limits) -> Result<Loaded<'a>, RestoreError> {
    let value = checked(payload).ok_or(RestoreError::VersionOrChecksum)?;
    let mut cursor = Cursor::new(value, 0, 0, limits.max_string_len);
    let loaded = cursor.u8().and_then(|byte| match ValueType::from_byte(byte) {
        Some(value_type) => decode::whole(&mut cursor, value_type, limits),
        None => Err(Cursor::wrong_at(0, ErrorKind::UnknownType(byte))),
    });
    match loaded {
        Ok(Some(loaded)) => Ok(loaded),
        Ok(None) => {
            let kind = ErrorKind::Corrupt("an aggregate without elements");
            Err(RestoreError::BadData(RdbError { kind, offset: 0 }))
        }
        Err(fault) => Err(RestoreError::BadData(fault.at_end_of_input(value.len() as u64))),
    }
}

/// The type and value of a payload whose version is known and whose checksum is right.
fn checked(payload: &[u8]) -> Option<&[u8]> {
    let (summed, checksum) = payload.split_last_chunk::<CHECKSUM_LEN>()?;
    let (value, version) = summed.split_last_chunk::<VERSION_LEN>()?;
    let sound = is_known_version(u16::from_le_bytes(*version).into())
        && Crc64::of(summed) == u64::from_le_bytes(*checksum);
    sound.then_some(value)
}
