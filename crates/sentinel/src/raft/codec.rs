//! The one encoding of everything that the group writes to disk or sends: a version byte, then bincode.
//!
//! The version says how the rest is laid out. A reader takes only the versions that it knows, all of its input, and
//! never reserves more memory than the input's length warrants, so that hostile bytes cost nothing.
//!
//! bincode is laid out by position: a field added to an encoded type is a new [`VERSION`], and the old layout keeps a
//! type of its own to be read with. The golden files of the tests notice a layout that changed by accident.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The layout that this program writes.
pub const VERSION: u8 = 1;

/// No encoded value is longer, on disk or on the wire, in bytes.
pub const MAX_ENCODED_BYTES: usize = 64 << 20;

const CONFIG: bincode::config::Configuration<
    bincode::config::LittleEndian,
    bincode::config::Varint,
    bincode::config::Limit<MAX_ENCODED_BYTES>,
> = bincode::config::standard().with_limit::<MAX_ENCODED_BYTES>();

/// Why a value could not be encoded or decoded.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// Nothing there, not even a version.
    #[error("empty")]
    Empty,
    /// A layout of another version of the program.
    #[error("encoding version {0}, this program knows {VERSION}")]
    Version(u8),
    /// Bytes follow the value.
    #[error("{0} bytes after the value")]
    Trailing(usize),
    /// Not an encoding of such a value.
    #[error("{0}")]
    Malformed(#[from] bincode::error::DecodeError),
    /// The value has no encoding: too long, or of a kind that serde cannot tell.
    #[error("{0}")]
    Unencodable(#[from] bincode::error::EncodeError),
}

/// The version byte and the value.
pub fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, CodecError> {
    let mut bytes = vec![VERSION];
    bincode::serde::encode_into_std_write(value, &mut bytes, CONFIG)?;
    if bytes.len() > MAX_ENCODED_BYTES {
        return Err(bincode::error::EncodeError::Other("the value is too long").into());
    }
    Ok(bytes)
}

/// The value that [`encode`] made these bytes of.
///
/// ```
/// use redkeep_sentinel::raft::codec;
/// let bytes = codec::encode(&(7u64, "seven")).unwrap();
/// let (number, name): (u64, String) = codec::decode(&bytes).unwrap();
/// assert_eq!((number, name.as_str()), (7, "seven"));
/// assert!(codec::decode::<u64>(&bytes).is_err(), "what is left over is an error");
/// ```
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    let (&version, body) = bytes.split_first().ok_or(CodecError::Empty)?;
    if version != VERSION {
        return Err(CodecError::Version(version));
    }
    let (value, taken) = bincode::serde::decode_from_slice(body, CONFIG)?;
    match body.len() - taken {
        0 => Ok(value),
        left => Err(CodecError::Trailing(left)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_other_versions_and_nothing_at_all() {
        assert!(matches!(decode::<u8>(&[]), Err(CodecError::Empty)));
        assert!(matches!(decode::<u8>(&[VERSION + 1, 0]), Err(CodecError::Version(v)) if v == VERSION + 1));
    }

    #[test]
    fn a_length_that_the_input_cannot_have_is_refused_without_reserving_it() {
        let mut bytes = vec![VERSION, 253];
        bytes.extend_from_slice(&u64::MAX.to_le_bytes());
        assert!(decode::<Vec<u8>>(&bytes).is_err());
        assert!(decode::<String>(&bytes).is_err());
    }
}
