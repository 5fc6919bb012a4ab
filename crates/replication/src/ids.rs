//! The words of replication as types, so that an offset is not taken for a length, nor one id for another.

use std::fmt;
use std::str::FromStr;

/// A position in a replication log: the number of bytes that came before it in this history.
///
/// INFO's `master_repl_offset` is the log's end as such a count. What Redis calls "the offset of the first byte wanted"
/// (in `PSYNC`, `repl_backlog_first_byte_offset` and `second_repl_offset`) counts from one instead; [`Self::next_byte`]
/// and [`Self::before_byte`] convert.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplOffset(pub u64);

impl ReplOffset {
    /// The number, counted from one, of the byte that follows this position: what a `PSYNC` asks for.
    pub fn next_byte(self) -> u64 {
        self.0 + 1
    }

    /// The position just before the byte with this number, counted from one. `None` for numbers no byte has.
    ///
    /// ```
    /// use redkeep_replication::ReplOffset;
    /// assert_eq!(ReplOffset::before_byte(1), Some(ReplOffset(0)));
    /// assert_eq!(ReplOffset::before_byte(-1), None);
    /// ```
    pub fn before_byte(number: i64) -> Option<ReplOffset> {
        u64::try_from(number).ok()?.checked_sub(1).map(ReplOffset)
    }

    /// This position, `bytes` further on.
    #[must_use]
    pub fn plus(self, bytes: usize) -> ReplOffset {
        ReplOffset(self.0 + bytes as u64)
    }

    /// How many bytes lie between `earlier` and this position; zero when `earlier` is not earlier.
    pub fn since(self, earlier: ReplOffset) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for ReplOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number of hexadecimal digits in a replication id.
pub const REPL_ID_LEN: usize = 40;

/// The name of one history of writes: forty hexadecimal digits, kept in lower case since Redis compares them without
/// regard to case.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplId([u8; REPL_ID_LEN]);

impl ReplId {
    /// An id from twenty random bytes, drawn by the caller.
    pub fn from_random(bytes: [u8; REPL_ID_LEN / 2]) -> ReplId {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut digits = [0; REPL_ID_LEN];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(bytes) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        ReplId(digits)
    }

    /// Reads an id; `None` unless `text` is exactly forty hexadecimal digits.
    pub fn parse(text: &[u8]) -> Option<ReplId> {
        let mut digits: [u8; REPL_ID_LEN] = text.try_into().ok()?;
        digits.make_ascii_lowercase();
        digits.iter().all(u8::is_ascii_hexdigit).then_some(ReplId(digits))
    }

    /// The forty digits.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("an id holds only hexadecimal digits")
    }
}

impl fmt::Display for ReplId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for ReplId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text was not forty hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a replication id is forty hexadecimal digits")]
pub struct InvalidReplId;

impl FromStr for ReplId {
    type Err = InvalidReplId;

    fn from_str(text: &str) -> Result<ReplId, InvalidReplId> {
        ReplId::parse(text.as_bytes()).ok_or(InvalidReplId)
    }
}

/// One replica's connection to this primary, by the number of its client connection. A replica that reconnects is
/// another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplicaId(pub u64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_forty_hexadecimal_digits_whatever_their_case() {
        let id = ReplId::from_random([0xAB; 20]);
        assert_eq!(id.to_string(), "ab".repeat(20));
        assert_eq!("AB".repeat(20).parse(), Ok(id));
        assert_eq!(ReplId::parse(b"ab"), None);
        assert_eq!(ReplId::parse("xy".repeat(20).as_bytes()), None);
        assert_eq!(ReplId::parse("ab".repeat(21).as_bytes()), None);
    }

    #[test]
    fn byte_numbers_count_from_one() {
        assert_eq!(ReplOffset(0).next_byte(), 1);
        assert_eq!(ReplOffset::before_byte(0), None);
        assert_eq!(ReplOffset::before_byte(i64::MIN), None);
        assert_eq!(ReplOffset::before_byte(8), Some(ReplOffset(7)));
        assert_eq!(ReplOffset(3).since(ReplOffset(5)), 0);
    }
}
