//! The cursor and the options that SCAN, SSCAN, HSCAN and ZSCAN share.

use redkeep_resp::{ReplyWriter, glob};
use redkeep_store::value::{Scalar, ScalarBuf};

use super::Args;
use super::parse::integer;
use crate::error::CommandError;

/// Elements that one step looks at, if the client does not say.
const DEFAULT_COUNT: usize = 10;

/// The options of one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ScanOptions<'a> {
    /// `MATCH`: only what matches this glob pattern is returned.
    pattern: Option<&'a [u8]>,
    /// `COUNT`: about how many elements are looked at.
    pub(super) count: usize,
    /// `TYPE`, which only SCAN has: the name of a type of value.
    pub(super) value_type: Option<&'a [u8]>,
}

impl<'a> ScanOptions<'a> {
    /// Reads the options of SCAN from argument `first` on.
    ///
    /// # Errors
    /// If they do not parse.
    pub(super) fn of_keys(args: Args<'a>, first: usize) -> Result<Self, CommandError> {
        Self::parse(args, first, true)
    }

    /// Reads the options of HSCAN, SSCAN and ZSCAN from argument `first` on.
    ///
    /// # Errors
    /// If they do not parse.
    pub(super) fn of_elements(args: Args<'a>, first: usize) -> Result<Self, CommandError> {
        Self::parse(args, first, false)
    }

    fn parse(args: Args<'a>, first: usize, takes_type: bool) -> Result<Self, CommandError> {
        let mut options = ScanOptions { pattern: None, count: DEFAULT_COUNT, value_type: None };
        let mut at = first;
        while at < args.len() {
            if at + 1 == args.len() {
                return Err(CommandError::SYNTAX);
            }
            let word = args.get(at + 1);
            if args.is(at, "count") {
                let count = integer(word)?;
                options.count = usize::try_from(count).ok().filter(|n| *n > 0).ok_or(CommandError::SYNTAX)?;
            } else if args.is(at, "match") {
                options.pattern = (word != b"*").then_some(word);
            } else if args.is(at, "type") && takes_type {
                options.value_type = Some(word);
            } else {
                return Err(CommandError::SYNTAX);
            }
            at += 2;
        }
        Ok(options)
    }

    /// Whether an element or a key is asked for.
    pub(super) fn matches(&self, name: &[u8]) -> bool {
        self.pattern.is_none_or(|pattern| glob::matches(pattern, name))
    }

    /// The same for an element as it is stored.
    pub(super) fn matches_scalar(&self, element: Scalar<'_>) -> bool {
        self.pattern.is_none() || self.matches(element.as_bytes(&mut ScalarBuf::new()))
    }
}

/// Writes what one step returns: the cursor of the next one, and the elements that `write` writes. It returns that
/// cursor and their number.
pub(super) fn write_scan(
    reply: &mut ReplyWriter<'_>,
    write: impl FnOnce(&mut ReplyWriter<'_>) -> (u64, usize),
) {
    let mark = reply.len();
    let (next, written) = write(reply);
    let elements = reply.written_since(mark).to_vec();
    reply.truncate(mark);
    reply.array(2);
    reply.bulk_str(itoa::Buffer::new().format(next));
    reply.array(written);
    reply.raw(&elements);
}

/// Writes the end of a scan of nothing.
pub(super) fn write_empty_scan(reply: &mut ReplyWriter<'_>) {
    write_scan(reply, |_| (0, 0));
}

/// Reads a cursor, as strictly as C's `strtoul`: it may have a sign, and may be empty.
///
/// # Errors
/// If it is not a number of 64 bits.
pub(super) fn cursor(word: &[u8]) -> Result<u64, CommandError> {
    const INVALID: CommandError = CommandError::INVALID_CURSOR;
    let (negative, digits) = match word {
        [] => return Ok(0),
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if !digits.iter().all(u8::is_ascii_digit) {
        return Err(INVALID);
    }
    let digits = std::str::from_utf8(digits).map_err(|_| INVALID)?;
    let cursor: u64 = digits.parse().map_err(|_| INVALID)?;
    Ok(if negative { cursor.wrapping_neg() } else { cursor })
}

#[cfg(test)]
mod tests {
    use super::super::OwnedArgs;
    use super::*;

    #[test]
    fn cursors_are_read_as_strtoul_reads_them() {
        for (word, expected) in [
            ("0", Some(0)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("-1", Some(u64::MAX)),
            ("+7", Some(7)),
            ("", Some(0)),
            (" 1", None),
            ("1 ", None),
            ("-", None),
            ("x", None),
        ] {
            assert_eq!(cursor(word.as_bytes()).ok(), expected, "{word:?}");
        }
    }

    #[test]
    fn options_come_in_any_order() {
        let parse = |words: &[&[u8]], takes_type| {
            let owned = OwnedArgs::from_parts(words);
            let options = ScanOptions::parse(owned.as_args(), 0, takes_type);
            options.map(|o| (o.matches(b"abc"), o.count, o.value_type.map(<[u8]>::to_vec)))
        };
        assert_eq!(parse(&[b"COUNT", b"5", b"match", b"b*"], false), Ok((false, 5, None)));
        assert_eq!(parse(&[b"TYPE", b"set"], true), Ok((true, 10, Some(b"set".to_vec()))));
        let syntax = Err(CommandError::SYNTAX);
        assert_eq!(parse(&[b"TYPE", b"set"], false), syntax);
        assert_eq!(parse(&[b"COUNT"], false), syntax);
        assert_eq!(parse(&[b"COUNT", b"0"], false), syntax);
        assert_eq!(parse(&[b"COUNT", b"x"], false), Err(CommandError::NOT_INTEGER));
    }
}
