//! What can be wrong with RDB bytes, and where.

use crate::opcodes::ValueType;

/// Why RDB bytes could not be read, and the byte at which that was noticed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} (at byte {offset})")]
pub struct RdbError {
    /// What is wrong.
    pub kind: ErrorKind,
    /// Offset, in bytes from the first byte given to the reader, of the part that is wrong.
    pub offset: u64,
}

impl RdbError {
    /// Whether the bytes may well be sound and only ask for something this reader does not know:
    /// a newer version, a value type or an opcode of another server.
    pub fn is_unsupported(&self) -> bool {
        match self.kind {
            ErrorKind::UnsupportedVersion(_)
            | ErrorKind::UnsupportedType(_)
            | ErrorKind::UnknownType(_)
            | ErrorKind::UnknownOpcode(_)
            | ErrorKind::PreReleaseFunction => true,
            ErrorKind::BadMagic
            | ErrorKind::StringTooLong { .. }
            | ErrorKind::Corrupt(_)
            | ErrorKind::ChecksumMismatch { .. }
            | ErrorKind::Truncated => false,
        }
    }
}

/// The ways in which RDB bytes can be wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ErrorKind {
    /// The file does not begin with `REDIS` or `VALKEY` and a version number.
    #[error("not an RDB file: it does not begin with REDIS or VALKEY and a version")]
    BadMagic,
    /// The format's version is one that this reader does not know.
    #[error("RDB format version {0} is not supported")]
    UnsupportedVersion(u32),
    /// The value is of a type that the store cannot hold.
    #[error("values of type {0} are not supported")]
    UnsupportedType(ValueType),
    /// The byte is the code of no value type.
    #[error("unknown value type {0}")]
    UnknownType(u8),
    /// The byte is the code of no opcode and no value type.
    #[error("unknown opcode or value type {0}")]
    UnknownOpcode(u8),
    /// A function library in the format of a release candidate of Redis 7.
    #[error("functions in the format of a pre-release of Redis 7.0 are not supported")]
    PreReleaseFunction,
    /// A string is longer than [`Limits::max_string_len`](crate::Limits::max_string_len).
    #[error("a string of {len} bytes is longer than the limit of {limit} bytes")]
    StringTooLong {
        /// The length the bytes announce.
        len: u64,
        /// The greatest length that is accepted.
        limit: u64,
    },
    /// The bytes contradict the format; the sentence says how.
    #[error("{0}")]
    Corrupt(&'static str),
    /// The checksum at the end is not that of the bytes before it.
    #[error("wrong checksum: the bytes have {computed:016x}, the file says {stored:016x}")]
    ChecksumMismatch {
        /// The checksum that stands in the file.
        stored: u64,
        /// The checksum of the bytes that were read.
        computed: u64,
    },
    /// The input ended in the middle of the format.
    #[error("the input ends before the RDB does")]
    Truncated,
}

/// Why a part could not be decoded from the bytes at hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// At least this many further bytes are needed; nothing wrong so far.
    Incomplete {
        /// A lower bound, at least one.
        missing: usize,
    },
    /// No further bytes can make it right.
    Wrong(RdbError),
}

impl Fault {
    /// The fault as an error, for input that is known to be whole and ends at `end`.
    pub(crate) fn at_end_of_input(self, end: u64) -> RdbError {
        match self {
            Fault::Incomplete { .. } => RdbError { kind: ErrorKind::Truncated, offset: end },
            Fault::Wrong(error) => error,
        }
    }
}
