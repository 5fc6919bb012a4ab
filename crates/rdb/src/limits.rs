//! What a reader accepts, and how it shapes what it reads.

use redkeep_store::value::EncodingLimits;

/// Longest string that Redis lets a client make by default (`proto-max-bulk-len`), in bytes.
pub const DEFAULT_MAX_STRING_LEN: u64 = 512 * 1024 * 1024;

/// The settings of a [`Reader`](crate::Reader).
#[derive(Clone, Debug)]
pub struct Limits {
    /// Longest string, and longest blob of a packed aggregate, in bytes. It also bounds what a reader buffers: one
    /// record, which has at most three such strings. Give at least the server's `proto-max-bulk-len`.
    pub max_string_len: u64,
    /// Where packed encodings end.
    pub encodings: EncodingLimits,
    /// Whether the checksum at the end of a file is computed and compared (`rdbchecksum`). A file that was written
    /// without one is accepted either way.
    pub verify_checksum: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_string_len: DEFAULT_MAX_STRING_LEN,
            encodings: EncodingLimits::default(),
            verify_checksum: true,
        }
    }
}
