//! What a client can do wrong below the level of commands.

use std::fmt;

/// A request that breaks the protocol. The connection cannot be read any further: the client is told
/// `-ERR Protocol error: <this error's text>` and disconnected.
///
/// The texts are Redis's own; clients and tests match on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// The number after `*` is none, or too large.
    #[error("invalid multibulk length")]
    InvalidMultibulkLength,
    /// The number after `$` is none, negative, or above `proto-max-bulk-len`.
    #[error("invalid bulk length")]
    InvalidBulkLength,
    /// An argument did not start with `$`.
    #[error("expected '$', got '{}'", Shown(*.0))]
    ExpectedBulk(u8),
    /// The line that starts with `*` has no end.
    #[error("too big mbulk count string")]
    MultibulkLineTooLong,
    /// The line that starts with `$` has no end.
    #[error("too big bulk count string")]
    BulkLineTooLong,
    /// More arguments than a client may send before it has authenticated.
    #[error("unauthenticated multibulk length")]
    UnauthenticatedMultibulk,
    /// A longer argument than a client may send before it has authenticated.
    #[error("unauthenticated bulk length")]
    UnauthenticatedBulk,
    /// An inline request without an end.
    #[error("too big inline request")]
    InlineTooLong,
    /// An inline request with a quote that is not closed, or closed in the middle of a word.
    #[error("unbalanced quotes in request")]
    UnbalancedQuotes,
    /// A request of 4 GiB, more than an [`ArgRange`](crate::ArgRange) can address.
    #[error("too big request")]
    RequestTooLong,
}

/// One byte inside an error line, which is text and must stay one line.
struct Shown(u8);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            b'\r' | b'\n' => f.write_str(" "),
            b' '..=b'~' => write!(f, "{}", char::from(self.0)),
            other => write!(f, "\\x{other:02x}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unexpected_byte_never_breaks_the_line() {
        assert_eq!(ProtocolError::ExpectedBulk(b'f').to_string(), "expected '$', got 'f'");
        assert_eq!(ProtocolError::ExpectedBulk(b'\n').to_string(), "expected '$', got ' '");
        assert_eq!(ProtocolError::ExpectedBulk(0xff).to_string(), "expected '$', got '\\xff'");
    }
}
