//! Finds the end of a reply without building it: one pass, resumable, in memory that follows its depth.

use super::{FrameError, MAX_DEPTH};

/// A search that has come as far as the bytes allowed.
#[derive(Debug)]
pub(super) struct Boundary {
    /// The first byte that is not understood yet.
    at: usize,
    /// So many bytes from `at` are known to hold no end of line.
    searched: usize,
    /// Replies that are missing in the innermost open aggregate; at the top, the reply itself.
    missing: usize,
    /// The same for the aggregates around it, outermost first.
    outer: Vec<usize>,
}

impl Default for Boundary {
    fn default() -> Self {
        Boundary { at: 0, searched: 0, missing: 1, outer: Vec::new() }
    }
}

/// What one header line begins.
enum Item {
    /// A whole reply, its body included.
    Leaf,
    /// So many replies follow and belong to it.
    Aggregate(usize),
    /// So many replies follow, and then the reply that they describe.
    Attribute(usize),
}

impl Boundary {
    /// Whether nothing of the reply has been seen.
    pub(super) fn is_start(&self) -> bool {
        self.at == 0 && self.searched == 0
    }

    /// The length of the reply at the start of `buf`, once all of it is there. `buf` must start with the
    /// same bytes as in the calls before.
    pub(super) fn find(&mut self, buf: &[u8], limit: usize) -> Result<Option<usize>, FrameError> {
        loop {
            while self.missing == 0 {
                match self.outer.pop() {
                    Some(missing) => self.missing = missing,
                    None => return Ok(Some(self.at)),
                }
            }
            match self.item(buf, limit)? {
                None => return Ok(None),
                Some(Item::Leaf) => self.missing -= 1,
                Some(Item::Aggregate(replies)) => {
                    self.missing -= 1;
                    self.open(replies, limit)?;
                }
                Some(Item::Attribute(replies)) => self.open(replies, limit)?,
            }
        }
    }

    fn open(&mut self, replies: usize, limit: usize) -> Result<(), FrameError> {
        const SHORTEST_REPLY: usize = 3;
        if replies.saturating_mul(SHORTEST_REPLY) > limit {
            return Err(FrameError::TooLong { limit });
        }
        if self.outer.len() == MAX_DEPTH {
            return Err(FrameError::TooDeep);
        }
        self.outer.push(std::mem::replace(&mut self.missing, replies));
        Ok(())
    }

    /// Steps over one header and the body that belongs to it. `None`: they are not all here.
    fn item(&mut self, buf: &[u8], limit: usize) -> Result<Option<Item>, FrameError> {
        let Some(line) = self.line(buf, limit)? else {
            return Ok(None);
        };
        let mut end = self.at + line.len() + 2;
        let Some((kind, number)) = line.split_first() else {
            return Err(malformed("an empty line", line));
        };
        let item = match kind {
            b'+' | b'-' | b':' | b'_' | b',' | b'#' | b'(' => Item::Leaf,
            b'*' | b'~' | b'>' => Item::Aggregate(length(number)?.unwrap_or(0)),
            b'%' => Item::Aggregate(length(number)?.unwrap_or(0).saturating_mul(2)),
            b'|' => Item::Attribute(length(number)?.unwrap_or(0).saturating_mul(2)),
            b'$' | b'=' | b'!' => {
                if let Some(len) = length(number)? {
                    end = end.saturating_add(len).saturating_add(2);
                    if end > limit {
                        return Err(FrameError::TooLong { limit });
                    }
                    if end > buf.len() {
                        return Ok(None);
                    }
                    if buf[end - 2..end] != *b"\r\n" {
                        return Err(malformed("no line end behind a string", line));
                    }
                }
                Item::Leaf
            }
            _ => return Err(malformed("an unknown type", line)),
        };
        self.at = end;
        self.searched = 0;
        Ok(Some(item))
    }

    /// The line at `at`, without its end.
    fn line<'a>(&mut self, buf: &'a [u8], limit: usize) -> Result<Option<&'a [u8]>, FrameError> {
        let rest = &buf[self.at..];
        let Some(found) = memchr::memchr(b'\n', &rest[self.searched..]) else {
            self.searched = rest.len();
            return if buf.len() > limit { Err(FrameError::TooLong { limit }) } else { Ok(None) };
        };
        let len = self.searched + found;
        self.searched = len;
        match rest[..len].strip_suffix(b"\r") {
            Some(line) => Ok(Some(line)),
            None => Err(malformed("a line that ends in the wrong way", &rest[..len])),
        }
    }
}

/// A length behind a type byte; `-1`, RESP2's null, is `None`.
fn length(number: &[u8]) -> Result<Option<usize>, FrameError> {
    match crate::parse_integer(number) {
        Some(-1) => Ok(None),
        Some(number) => usize::try_from(number).map(Some).map_err(|_| malformed("a negative length", b"")),
        None => Err(malformed("a length that is none", number)),
    }
}

#[cold]
fn malformed(what: &str, line: &[u8]) -> FrameError {
    const SHOWN: usize = 64;
    let shown = &line[..line.len().min(SHOWN)];
    FrameError::Malformed(format!("{what}: '{}'", shown.escape_ascii()))
}
