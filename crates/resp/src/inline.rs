//! Inline requests, `SET key "some value"` on a line of its own, and the quoting they share with
//! configuration files, MONITOR and the slow log.
//!
//! Words are separated by blanks. Inside double quotes `\n \r \t \b \a \xHH \\ \"` are escapes, and a
//! backslash before anything else stands for that character; inside single quotes only `\'` is one. A
//! quote may open in the middle of a word, but what follows its end must be a blank.
//!
//! Unquoting happens in place: what a word means is never longer than how it was written.

use crate::{ArgRange, ProtocolError};

/// Splits a line into words. A line of blanks has none.
///
/// # Errors
/// [`ProtocolError::UnbalancedQuotes`] where a quote is not closed, or closed inside a word.
///
/// ```
/// use redkeep_resp::inline::split_words;
/// assert_eq!(split_words(br#"save "" 'a b' c"\x41""#)?, [&b"save"[..], b"", b"a b", b"cA"]);
/// # Ok::<(), redkeep_resp::ProtocolError>(())
/// ```
pub fn split_words(line: &[u8]) -> Result<Vec<Vec<u8>>, ProtocolError> {
    let mut line = line.to_vec();
    let mut ranges = Vec::new();
    split_in_place(&mut line, &mut ranges)?;
    Ok(ranges.into_iter().map(|range| range.of(&line).to_vec()).collect())
}

/// Appends `text` in double quotes, with everything that is not printable ASCII escaped, so that
/// [`split_words`] reads it back.
///
/// ```
/// let mut line = Vec::new();
/// redkeep_resp::inline::push_quoted(&mut line, b"say \"hi\"\n\0");
/// assert_eq!(line, br#""say \"hi\"\n\x00""#);
/// ```
pub fn push_quoted(line: &mut Vec<u8>, text: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    line.reserve(text.len() + 2);
    line.push(b'"');
    for &byte in text {
        match byte {
            b'\\' | b'"' => line.extend_from_slice(&[b'\\', byte]),
            b'\n' => line.extend_from_slice(b"\\n"),
            b'\r' => line.extend_from_slice(b"\\r"),
            b'\t' => line.extend_from_slice(b"\\t"),
            0x07 => line.extend_from_slice(b"\\a"),
            0x08 => line.extend_from_slice(b"\\b"),
            b' '..=b'~' => line.push(byte),
            _ => {
                let (high, low) = (HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]);
                line.extend_from_slice(&[b'\\', b'x', high, low]);
            }
        }
    }
    line.push(b'"');
}

/// Splits `line` into words that it rewrites unquoted where they stand, and appends their ranges.
pub(crate) fn split_in_place(line: &mut [u8], words: &mut Vec<ArgRange>) -> Result<(), ProtocolError> {
    let mut at = 0;
    loop {
        while at < line.len() && is_blank(line[at]) {
            at += 1;
        }
        if at == line.len() {
            return Ok(());
        }
        let (end, len) = unquote_word(line, at)?;
        words.push(ArgRange { start: address(at)?, len: address(len)? });
        at = end;
    }
}

fn address(position: usize) -> Result<u32, ProtocolError> {
    u32::try_from(position).map_err(|_| ProtocolError::RequestTooLong)
}

/// Unquotes the word that starts at `start` in place. Returns where its source ended and how long it is.
fn unquote_word(line: &mut [u8], start: usize) -> Result<(usize, usize), ProtocolError> {
    let mut word = InPlace { line, read: start, write: start };
    while let Some(byte) = word.next() {
        match byte {
            b'"' => word.double_quoted()?,
            b'\'' => word.single_quoted()?,
            b' ' | b'\n' | b'\r' | b'\t' => break,
            other => word.put(other),
        }
    }
    Ok((word.read, word.write - start))
}

/// A word that is read and rewritten in the same bytes; `write` never passes `read`.
struct InPlace<'a> {
    line: &'a mut [u8],
    read: usize,
    write: usize,
}

impl InPlace<'_> {
    fn next(&mut self) -> Option<u8> {
        let byte = self.line.get(self.read).copied()?;
        self.read += 1;
        Some(byte)
    }

    fn put(&mut self, byte: u8) {
        debug_assert!(self.write < self.read, "a word never grows by unquoting");
        self.line[self.write] = byte;
        self.write += 1;
    }

    fn double_quoted(&mut self) -> Result<(), ProtocolError> {
        while let Some(byte) = self.next() {
            match byte {
                b'"' => return self.closed(),
                b'\\' => {
                    let escaped = self.escape()?;
                    self.put(escaped);
                }
                other => self.put(other),
            }
        }
        Err(ProtocolError::UnbalancedQuotes)
    }

    fn single_quoted(&mut self) -> Result<(), ProtocolError> {
        while let Some(byte) = self.next() {
            match byte {
                b'\'' => return self.closed(),
                b'\\' if self.line.get(self.read) == Some(&b'\'') => {
                    self.read += 1;
                    self.put(b'\'');
                }
                other => self.put(other),
            }
        }
        Err(ProtocolError::UnbalancedQuotes)
    }

    fn escape(&mut self) -> Result<u8, ProtocolError> {
        if let Some(&[b'x', high, low]) = self.line.get(self.read..self.read + 3)
            && let (Some(high), Some(low)) = (hex_digit(high), hex_digit(low))
        {
            self.read += 3;
            return Ok(high << 4 | low);
        }
        // The line ends behind the backslash: then the quote is open too.
        Ok(match self.next().ok_or(ProtocolError::UnbalancedQuotes)? {
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'b' => 0x08,
            b'a' => 0x07,
            other => other,
        })
    }

    /// Behind a closing quote the word must be over.
    fn closed(&self) -> Result<(), ProtocolError> {
        match self.line.get(self.read) {
            Some(&byte) if !is_blank(byte) => Err(ProtocolError::UnbalancedQuotes),
            _ => Ok(()),
        }
    }
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

/// C's `isspace`.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}
