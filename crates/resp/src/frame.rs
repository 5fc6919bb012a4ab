//! Replies as the receiving end of a link sees them.
//!
//! Decoding is `redis-protocol`'s. Before a reply goes there, [`FrameReader`] finds its end, which bounds
//! what the decoder, which knows no limits, is given: the reply is whole, not longer than
//! [`MAX_FRAME_LEN`] and not nested deeper than [`MAX_DEPTH`]. The search resumes where it stopped, so a
//! reply that arrives in many pieces is searched once and decoded once.
//!
//! Not understood are the streamed types of RESP3, which no Redis server sends, and arrays, sets or maps as
//! members of a set or keys of a map.

mod boundary;
mod decode;

use crate::{Protocol, parse_integer};
use boundary::Boundary;
use bytes::{Buf as _, Bytes, BytesMut};

/// The longest reply that is accepted, in bytes: a bulk string of 512 MiB and some room.
pub const MAX_FRAME_LEN: usize = 513 * 1024 * 1024;

/// How deep arrays and maps may be nested in a reply. Redis's deepest, COMMAND DOCS, needs less than half.
pub const MAX_DEPTH: usize = 32;

/// A reply, or a part of one.
#[derive(Debug, Clone, PartialEq)]
pub enum Frame {
    /// A status line, `OK`.
    Simple(String),
    /// An error line with its code.
    Error(String),
    /// An integer.
    Integer(i64),
    /// A string of bytes.
    Bulk(Bytes),
    /// No value, or no array.
    Null,
    /// An array.
    Array(Vec<Frame>),
    /// Keys and values in the order they were sent. RESP3 only.
    Map(Vec<(Frame, Frame)>),
    /// A set. RESP3 only.
    Set(Vec<Frame>),
    /// A double. RESP3 only.
    Double(f64),
    /// True or false. RESP3 only.
    Boolean(bool),
    /// An integer of any size, in decimal. RESP3 only.
    BigNumber(String),
    /// Text to be shown as it is. RESP3 only.
    Verbatim(Bytes),
    /// A message that answers no request. RESP3 only.
    Push(Vec<Frame>),
}

impl Frame {
    /// The bytes of any kind of string, errors excepted.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Frame::Bulk(bytes) | Frame::Verbatim(bytes) => Some(bytes),
            Frame::Simple(text) | Frame::BigNumber(text) => Some(text.as_bytes()),
            Frame::Error(_)
            | Frame::Integer(_)
            | Frame::Null
            | Frame::Array(_)
            | Frame::Map(_)
            | Frame::Set(_)
            | Frame::Double(_)
            | Frame::Boolean(_)
            | Frame::Push(_) => None,
        }
    }

    /// The text of any kind of string that is UTF-8, errors excepted.
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(self.as_bytes()?).ok()
    }

    /// An integer, or a string that spells one.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Frame::Integer(value) => Some(*value),
            other => parse_integer(other.as_bytes()?),
        }
    }

    /// The elements of an array, set or push; the keys and values of a map in turn, which is the form a map
    /// has in RESP2.
    pub fn into_array(self) -> Option<Vec<Frame>> {
        match self {
            Frame::Array(items) | Frame::Set(items) | Frame::Push(items) => Some(items),
            Frame::Map(pairs) => Some(pairs.into_iter().flat_map(|(key, value)| [key, value]).collect()),
            _ => None,
        }
    }

    /// Keys and values of a map, or of an array in which they take turns.
    pub fn into_pairs(self) -> Option<Vec<(Frame, Frame)>> {
        if let Frame::Map(pairs) = self {
            return Some(pairs);
        }
        let mut items = self.into_array()?.into_iter();
        let mut pairs = Vec::with_capacity(items.len() / 2);
        while let Some(key) = items.next() {
            pairs.push((key, items.next()?));
        }
        Some(pairs)
    }

    /// The text of an error.
    pub fn as_error(&self) -> Option<&str> {
        match self {
            Frame::Error(line) => Some(line),
            _ => None,
        }
    }

    /// Whether this is the status `OK`.
    pub fn is_ok(&self) -> bool {
        matches!(self, Frame::Simple(text) if text == "OK")
    }
}

/// The peer sent something that is no reply. The connection cannot be read any further.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Not the protocol at all, or a part of it that is not understood.
    #[error("not a RESP reply: {0}")]
    Malformed(String),
    /// The reply exceeds the reader's limit.
    #[error("a reply longer than {limit} bytes")]
    TooLong {
        /// The limit, in bytes.
        limit: usize,
    },
    /// The reply is nested deeper than [`MAX_DEPTH`].
    #[error("a reply nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
}

/// Cuts replies out of what a peer sent.
#[derive(Debug)]
pub struct FrameReader {
    protocol: Protocol,
    max_len: usize,
    boundary: Boundary,
}

impl FrameReader {
    /// Reads replies of at most `max_len` bytes.
    pub fn new(protocol: Protocol, max_len: usize) -> Self {
        FrameReader { protocol, max_len, boundary: Boundary::default() }
    }

    /// Switches to another version of the protocol, from the next reply on, and returns the one before.
    pub fn set_protocol(&mut self, protocol: Protocol) -> Protocol {
        std::mem::replace(&mut self.protocol, protocol)
    }

    /// Takes one reply off the front of `buf`. `None`: it has not arrived whole, and none of it was taken.
    /// Newlines in front of it are dropped: a primary sends them to a replica that has to wait.
    ///
    /// # Errors
    /// When the bytes are no reply, or one above the limits.
    ///
    /// ```
    /// use redkeep_resp::{Protocol, frame::{Frame, FrameReader}};
    /// let mut reader = FrameReader::new(Protocol::Resp2, 1024);
    /// let mut buf = bytes::BytesMut::from("*1\r\n:7\r\n+O");
    /// assert_eq!(reader.next(&mut buf)?, Some(Frame::Array(vec![Frame::Integer(7)])));
    /// assert_eq!(reader.next(&mut buf)?, None);
    /// # Ok::<(), redkeep_resp::frame::FrameError>(())
    /// ```
    pub fn next(&mut self, buf: &mut BytesMut) -> Result<Option<Frame>, FrameError> {
        if self.boundary.is_start() {
            let idle = buf.iter().take_while(|&&byte| byte == b'\n').count();
            buf.advance(idle);
        }
        let Some(len) = self.boundary.find(buf, self.max_len)? else {
            return Ok(None);
        };
        self.boundary = Boundary::default();
        let reply = buf.split_to(len).freeze();
        decode::decode(&reply, self.protocol).map(Some)
    }
}

#[cfg(test)]
mod tests;
