//! Writes replies into a connection's output, in the protocol the connection speaks.
//!
//! A command writes the same calls for RESP2 and RESP3; what RESP2 lacks becomes what Redis sends there:
//! a map is a flat array, a double a bulk string, a boolean 0 or 1. Lengths that are known only after the
//! elements have been written are spliced in behind (see [`ReplyWriter::deferred_array`]).

use crate::format_double;

/// The protocol version of a connection, chosen with HELLO.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Protocol {
    /// RESP2, what every connection starts with.
    #[default]
    Resp2,
    /// RESP3.
    Resp3,
}

/// The place of a reply's length that is not known yet, to be given back to one of the `finish_`
/// methods of the writer. Such places nest: the innermost is finished first.
#[derive(Debug)]
#[must_use = "the reply has no length until it is finished"]
pub struct Deferred {
    at: usize,
}

/// Appends replies to a buffer. Cheap to make: one per command.
///
/// ```
/// use redkeep_resp::{Protocol, ReplyWriter};
/// let mut out = Vec::new();
/// let mut reply = ReplyWriter::new(&mut out, Protocol::Resp3);
/// let pairs = reply.deferred_array();
/// reply.bulk_str("pi");
/// reply.double(3.5);
/// reply.finish_map(pairs, 1);
/// assert_eq!(out, b"%1\r\n$2\r\npi\r\n,3.5\r\n");
/// ```
#[derive(Debug)]
pub struct ReplyWriter<'a> {
    out: &'a mut Vec<u8>,
    protocol: Protocol,
}

/// What a bulk string takes besides its bytes, at most: `$`, 20 digits and two line ends.
const BULK_OVERHEAD: usize = 25;

impl<'a> ReplyWriter<'a> {
    /// Writes behind what `out` already holds.
    #[inline]
    pub fn new(out: &'a mut Vec<u8>, protocol: Protocol) -> Self {
        ReplyWriter { out, protocol }
    }

    /// The protocol that is written.
    #[inline]
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Bytes in the buffer, those from before this writer included: a mark for [`truncate`](Self::truncate).
    #[inline]
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// Whether the buffer holds nothing at all.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// Takes back everything written since the buffer was `mark` bytes long.
    #[inline]
    pub fn truncate(&mut self, mark: usize) {
        self.out.truncate(mark);
    }

    /// What was written since the buffer was `mark` bytes long.
    ///
    /// # Panics
    /// If the buffer is shorter than `mark`.
    #[inline]
    pub fn written_since(&self, mark: usize) -> &[u8] {
        &self.out[mark..]
    }

    /// `+OK`
    #[inline]
    pub fn ok(&mut self) {
        self.out.extend_from_slice(b"+OK\r\n");
    }

    /// `+QUEUED`, the answer inside MULTI.
    #[inline]
    pub fn queued(&mut self) {
        self.out.extend_from_slice(b"+QUEUED\r\n");
    }

    /// `+PONG`
    #[inline]
    pub fn pong(&mut self) {
        self.out.extend_from_slice(b"+PONG\r\n");
    }

    /// A status line. Line ends in it become blanks.
    #[inline]
    pub fn simple(&mut self, text: &str) {
        self.line(b'+', text.as_bytes());
    }

    /// An error: the whole line with its code, `ERR syntax error`. Line ends in it become blanks.
    pub fn error(&mut self, line: impl AsRef<[u8]>) {
        self.line(b'-', without_line_end(line.as_ref()));
    }

    /// An integer.
    #[inline]
    pub fn integer(&mut self, value: i64) {
        self.number_line(b':', value);
    }

    /// A string of bytes.
    #[inline]
    pub fn bulk(&mut self, value: &[u8]) {
        self.out.reserve(value.len() + BULK_OVERHEAD);
        self.header(b'$', value.len());
        self.out.extend_from_slice(value);
        self.out.extend_from_slice(b"\r\n");
    }

    /// A string of text.
    #[inline]
    pub fn bulk_str(&mut self, value: &str) {
        self.bulk(value.as_bytes());
    }

    /// An integer as a string, which is how integers that are stored as values are answered.
    #[inline]
    pub fn bulk_integer(&mut self, value: i64) {
        self.bulk_str(itoa::Buffer::new().format(value));
    }

    /// No value.
    #[inline]
    pub fn null(&mut self) {
        let null: &[u8] = match self.protocol {
            Protocol::Resp2 => b"$-1\r\n",
            Protocol::Resp3 => b"_\r\n",
        };
        self.out.extend_from_slice(null);
    }

    /// No array, where an array is the usual answer.
    #[inline]
    pub fn null_array(&mut self) {
        let null: &[u8] = match self.protocol {
            Protocol::Resp2 => b"*-1\r\n",
            Protocol::Resp3 => b"_\r\n",
        };
        self.out.extend_from_slice(null);
    }

    /// An array of `len` replies, which follow.
    #[inline]
    pub fn array(&mut self, len: usize) {
        self.header(b'*', len);
    }

    /// A map of `pairs` keys and values, which follow in turn. In RESP2 an array of twice as many.
    #[inline]
    pub fn map(&mut self, pairs: usize) {
        let (kind, len) = self.map_header(pairs);
        self.header(kind, len);
    }

    /// A set of `len` replies, which follow. In RESP2 an array.
    #[inline]
    pub fn set(&mut self, len: usize) {
        let kind = self.set_kind();
        self.header(kind, len);
    }

    /// A message of `len` replies, which follow, that answers no request. In RESP2 an array.
    #[inline]
    pub fn push(&mut self, len: usize) {
        let kind = match self.protocol {
            Protocol::Resp2 => b'*',
            Protocol::Resp3 => b'>',
        };
        self.header(kind, len);
    }

    /// A double, printed by [`format_double`]. In RESP2 a string.
    pub fn double(&mut self, value: f64) {
        let mut buf = [0; 32];
        let text = format_double(value, &mut buf);
        match self.protocol {
            Protocol::Resp2 => self.bulk_str(text),
            Protocol::Resp3 => self.line(b',', text.as_bytes()),
        }
    }

    /// True or false. In RESP2 the integer 1 or 0.
    #[inline]
    pub fn boolean(&mut self, value: bool) {
        let text: &[u8] = match (self.protocol, value) {
            (Protocol::Resp2, false) => b":0\r\n",
            (Protocol::Resp2, true) => b":1\r\n",
            (Protocol::Resp3, false) => b"#f\r\n",
            (Protocol::Resp3, true) => b"#t\r\n",
        };
        self.out.extend_from_slice(text);
    }

    /// An integer of any size, given in decimal. In RESP2 a string.
    pub fn big_number(&mut self, decimal: &str) {
        match self.protocol {
            Protocol::Resp2 => self.bulk_str(decimal),
            Protocol::Resp3 => self.line(b'(', decimal.as_bytes()),
        }
    }

    /// Text to be shown as it is. `format` has three letters: `txt` or `mkd`. In RESP2 a string.
    pub fn verbatim(&mut self, format: &str, text: &[u8]) {
        debug_assert_eq!(format.len(), 3, "RESP3 knows formats of three letters");
        match self.protocol {
            Protocol::Resp2 => self.bulk(text),
            Protocol::Resp3 => {
                self.header(b'=', format.len() + 1 + text.len());
                self.out.extend_from_slice(format.as_bytes());
                self.out.push(b':');
                self.out.extend_from_slice(text);
                self.out.extend_from_slice(b"\r\n");
            }
        }
    }

    /// A reply, or a part of one, that is encoded already.
    #[inline]
    pub fn raw(&mut self, encoded: &[u8]) {
        self.out.extend_from_slice(encoded);
    }

    /// Opens an array, map or set whose length is not known yet. Its elements follow, then the `finish_`
    /// call that says what it is and how long.
    #[inline]
    pub fn deferred_array(&mut self) -> Deferred {
        Deferred { at: self.out.len() }
    }

    /// Finishes an array of `len` replies.
    pub fn finish_array(&mut self, deferred: Deferred, len: usize) {
        self.splice_header(deferred, b'*', len);
    }

    /// Finishes a map of `pairs` keys and values.
    pub fn finish_map(&mut self, deferred: Deferred, pairs: usize) {
        let (kind, len) = self.map_header(pairs);
        self.splice_header(deferred, kind, len);
    }

    /// Finishes a set of `len` replies.
    pub fn finish_set(&mut self, deferred: Deferred, len: usize) {
        let kind = self.set_kind();
        self.splice_header(deferred, kind, len);
    }

    fn map_header(&self, pairs: usize) -> (u8, usize) {
        match self.protocol {
            Protocol::Resp2 => (b'*', pairs * 2),
            Protocol::Resp3 => (b'%', pairs),
        }
    }

    fn set_kind(&self) -> u8 {
        match self.protocol {
            Protocol::Resp2 => b'*',
            Protocol::Resp3 => b'~',
        }
    }

    fn splice_header(&mut self, deferred: Deferred, kind: u8, len: usize) {
        let (at, end) = (deferred.at, self.out.len());
        assert!(at <= end, "a deferred reply was truncated before it was finished");
        self.header(kind, len);
        let header_len = self.out.len() - end;
        self.out[at..].rotate_right(header_len);
    }

    #[inline]
    fn header(&mut self, kind: u8, len: usize) {
        self.number_line(kind, len as i64);
    }

    #[inline]
    fn number_line(&mut self, kind: u8, value: i64) {
        if (0..10).contains(&value) {
            self.out.extend_from_slice(&[kind, b'0' + value as u8, b'\r', b'\n']);
        } else {
            let mut digits = itoa::Buffer::new();
            let digits = digits.format(value).as_bytes();
            self.out.reserve(digits.len() + 3);
            self.out.push(kind);
            self.out.extend_from_slice(digits);
            self.out.extend_from_slice(b"\r\n");
        }
    }

    fn line(&mut self, kind: u8, text: &[u8]) {
        self.out.reserve(text.len() + 3);
        self.out.push(kind);
        let start = self.out.len();
        self.out.extend_from_slice(text);
        for byte in &mut self.out[start..] {
            if matches!(byte, b'\r' | b'\n') {
                *byte = b' ';
            }
        }
        self.out.extend_from_slice(b"\r\n");
    }
}

/// Blanks at the end of an error stay, as in Redis.
fn without_line_end(line: &[u8]) -> &[u8] {
    let len = line.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n')).map_or(0, |last| last + 1);
    &line[..len]
}

#[cfg(test)]
mod tests;
