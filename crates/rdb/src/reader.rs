//! Readers of RDB files: one for bytes that arrive in pieces, one for bytes that are all there.

use crate::Limits;
use crate::error::{ErrorKind, RdbError};
use crate::item::Item;
use crate::parser::Parser;

/// An empty buffer of more than this many bytes is given back.
const MAX_KEPT_BUFFER: usize = 1024 * 1024;

/// Reads an RDB file that arrives in pieces of any size.
///
/// [`feed`](Reader::feed) it what has come, then take items with [`next`](Reader::next) until there is none. It holds what
/// it was fed and could not read yet: one record or element, whose strings are bounded by [`Limits::max_string_len`], and
/// whatever the caller feeds ahead. Work and memory are linear in the bytes that arrive, for any input.
///
/// ```
/// use redkeep_rdb::{Item, Limits, Reader};
/// let file = b"REDIS0003\xfe\x00\x00\x01a\x01b\xff";
/// let mut reader = Reader::new(Limits::default());
/// let mut keys = Vec::new();
/// for piece in file.chunks(4) {
///     reader.feed(piece);
///     while let Some(item) = reader.next()? {
///         if let Item::Entry(entry) = item {
///             keys.push(entry.key.into_owned());
///         }
///     }
/// }
/// reader.finish()?;
/// assert_eq!(keys, [b"a"]);
/// # Ok::<(), redkeep_rdb::RdbError>(())
/// ```
pub struct Reader {
    buffer: Vec<u8>,
    parser: Parser,
}

impl Reader {
    /// A reader that expects the beginning of a file.
    pub fn new(limits: Limits) -> Self {
        Reader { buffer: Vec::new(), parser: Parser::new(limits) }
    }

    /// Adds the bytes that follow those fed before.
    pub fn feed(&mut self, bytes: &[u8]) {
        let released = self.parser.release(&self.buffer);
        self.buffer.drain(..released);
        if self.buffer.is_empty() && self.buffer.capacity() > MAX_KEPT_BUFFER {
            self.buffer = Vec::new();
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next item; `None` when more bytes are needed, or after [`Item::End`].
    ///
    /// # Errors
    /// The first thing that is wrong with the bytes. Asking again gives the same error.
    #[inline]
    #[expect(
        clippy::should_implement_trait,
        reason = "items borrow from the reader, which iterators cannot express"
    )]
    pub fn next(&mut self) -> Result<Option<Item<'_>>, RdbError> {
        self.parser.next(&self.buffer)
    }

    /// How many bytes more have to be fed, at least, before there is another item; 0 after [`Item::End`] or
    /// an error.
    pub fn missing(&self) -> usize {
        self.parser.missing(&self.buffer)
    }

    /// Whether [`Item::End`] was handed out.
    pub fn is_done(&self) -> bool {
        self.parser.is_done()
    }

    /// The version of the format; `None` before it was read.
    pub fn version(&self) -> Option<u32> {
        self.parser.version()
    }

    /// How many aggregates without elements were passed over, as Redis does. Old versions could write them.
    pub fn skipped_empty(&self) -> u64 {
        self.parser.skipped_empty()
    }

    /// Offset of the first byte that was not read yet, from the beginning of the file.
    pub fn offset(&self) -> u64 {
        self.parser.offset()
    }

    /// Says that no bytes will follow.
    ///
    /// # Errors
    /// [`ErrorKind::Truncated`] unless the end of the file was read.
    pub fn finish(&self) -> Result<(), RdbError> {
        truncated_unless_done(&self.parser, &self.buffer)
    }

    /// The bytes that were fed and not read: after [`Item::End`], what follows the file in the same stream.
    pub fn into_unread(mut self) -> Vec<u8> {
        self.buffer.drain(..self.parser.at());
        self.buffer
    }
}

/// Reads an RDB file that is in memory (or mapped into it), without copying it.
///
/// An iterator that ends after [`Item::End`] or the first error.
///
/// ```
/// use redkeep_rdb::{Item, Limits, SliceReader};
/// let file = b"REDIS0003\xfe\x05\x00\x01a\x01b\xff";
/// let items = SliceReader::new(file, Limits::default()).collect::<Result<Vec<_>, _>>()?;
/// assert!(matches!(items[..], [Item::SelectDb(5), Item::Entry(_), Item::End]));
/// # Ok::<(), redkeep_rdb::RdbError>(())
/// ```
pub struct SliceReader<'a> {
    input: &'a [u8],
    parser: Parser,
    failed: bool,
}

impl<'a> SliceReader<'a> {
    /// A reader of the file that `input` begins with.
    pub fn new(input: &'a [u8], limits: Limits) -> Self {
        SliceReader { input, parser: Parser::new(limits), failed: false }
    }

    /// The version of the format; `None` before the first item.
    pub fn version(&self) -> Option<u32> {
        self.parser.version()
    }

    /// How many aggregates without elements were passed over, as Redis does. Old versions could write them.
    pub fn skipped_empty(&self) -> u64 {
        self.parser.skipped_empty()
    }

    /// What was not read yet: after [`Item::End`], what follows the file (as the commands do in an AOF with a preamble).
    pub fn unread(&self) -> &'a [u8] {
        &self.input[self.parser.at()..]
    }
}

impl<'a> Iterator for SliceReader<'a> {
    type Item = Result<Item<'a>, RdbError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.failed || self.parser.is_done() {
            return None;
        }
        let item = match self.parser.next(self.input) {
            Ok(Some(item)) => Ok(item),
            Ok(None) => match truncated_unless_done(&self.parser, self.input) {
                Ok(()) => return None,
                Err(error) => Err(error),
            },
            Err(error) => Err(error),
        };
        self.failed = item.is_err();
        Some(item)
    }
}

fn truncated_unless_done(parser: &Parser, input: &[u8]) -> Result<(), RdbError> {
    if parser.is_done() {
        return Ok(());
    }
    let end = parser.offset() + (input.len() - parser.at()) as u64;
    Err(RdbError { kind: ErrorKind::Truncated, offset: end })
}
