//! Cuts what a client sends into requests, and requests into arguments.
//!
//! An argument is a range into the connection's read buffer; nothing is copied and, for a request that
//! has arrived whole, nothing is allocated. A request that has arrived in part leaves the reader with
//! what was understood so far, so that no byte is looked at twice however small the pieces are: the time
//! for a request is linear in its length, for a hostile client too.
//!
//! Invariants:
//! - between complete requests the reader holds no memory;
//! - memory follows the bytes that have arrived, never the lengths that a client announces;
//! - ranges are relative to the first byte of their request, so the buffer may be moved or compacted
//!   while a request is incomplete, as long as it still starts with the same bytes.
//!
//! As in Redis, only the lengths are taken at their word: the two bytes behind an argument, and the byte
//! behind a header's `\r`, are skipped without a look.

use crate::{ProtocolError, inline, parse_integer};

/// How large a request may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Longest argument, in bytes: `proto-max-bulk-len`, 512 MiB unless configured.
    pub max_bulk_len: usize,
    /// Most arguments of one request, `i32::MAX` as in Redis.
    pub max_args: usize,
    /// An inline request or header line that is longer than this and has no end yet is refused, 64 KiB.
    pub max_inline: usize,
    /// Until the client has authenticated, it may send 10 arguments of 16 KiB, which is enough for AUTH
    /// and HELLO.
    pub authenticated: bool,
}

const UNAUTHENTICATED_ARGS: usize = 10;
const UNAUTHENTICATED_BULK_LEN: usize = 16 * 1024;

impl Limits {
    /// The limits of a client that has yet to authenticate.
    pub fn unauthenticated() -> Self {
        Limits { authenticated: false, ..Limits::default() }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_bulk_len: 512 * 1024 * 1024,
            max_args: i32::MAX as usize,
            max_inline: 64 * 1024,
            authenticated: true,
        }
    }
}

/// Where an argument stands, relative to the first byte of its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArgRange {
    /// Bytes between the start of the request and the argument.
    pub start: u32,
    /// Length in bytes.
    pub len: u32,
}

impl ArgRange {
    /// The argument's bytes in `request`, which starts with the request's first byte.
    ///
    /// # Panics
    /// If `request` is shorter than the request that this range was cut from.
    #[inline]
    pub fn of(self, request: &[u8]) -> &[u8] {
        let start = self.start as usize;
        &request[start..start + self.len as usize]
    }
}

/// What [`RequestReader::next`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parsed {
    /// A whole request.
    Request {
        /// The bytes it takes, counted from `from`.
        len: usize,
    },
    /// The request goes on behind the end of the buffer.
    Incomplete {
        /// At least so many bytes are missing, never 0. For an argument this is what the client
        /// announced, so a caller that sizes its buffer by it should let it grow with what arrives.
        want: usize,
    },
}

/// One connection's position in its input. See the [module](self) for what it guarantees.
#[derive(Debug, Default)]
pub struct RequestReader {
    progress: Progress,
    /// The arguments of the unfinished request. Empty, and without an allocation, between requests.
    pending: Vec<ArgRange>,
}

impl RequestReader {
    /// Cuts one request out of `buf[from..]` and appends its arguments to `args`.
    ///
    /// After [`Parsed::Incomplete`], `args` is as it was, and the next call must find the same bytes
    /// again, with more behind them. An empty line, `*0` and `*-1` are requests without arguments, to be
    /// skipped. The arguments of an inline request are unquoted in place.
    ///
    /// # Errors
    /// When the request breaks the protocol. The reader then forgets the request; the connection is to be
    /// closed.
    ///
    /// # Panics
    /// If `from` is behind the end of `buf`.
    #[inline]
    pub fn next(
        &mut self,
        buf: &mut [u8],
        from: usize,
        limits: &Limits,
        args: &mut Vec<ArgRange>,
    ) -> Result<Parsed, ProtocolError> {
        let request = &mut buf[from..];
        if !self.progress.is_start() {
            return self.resume(request, limits, args);
        }
        let mark = args.len();
        let progress = Progress::of_usual(request, limits, args);
        if progress.is_whole() {
            return Ok(Parsed::Request { len: progress.at });
        }
        self.begin(progress, mark, request, limits, args)
    }

    /// Whether a part of a request has been read, so that the connection is in the middle of one.
    pub fn is_midway(&self) -> bool {
        !self.progress.is_start()
    }

    /// Cuts the rest of a request of which `progress` is made, with its arguments behind `mark`.
    #[inline(never)]
    fn begin(
        &mut self,
        mut progress: Progress,
        mark: usize,
        request: &mut [u8],
        limits: &Limits,
        args: &mut Vec<ArgRange>,
    ) -> Result<Parsed, ProtocolError> {
        let result = progress.advance(request, limits, args);
        if let Ok(Parsed::Incomplete { .. }) = result {
            self.progress = progress;
            self.pending.extend_from_slice(&args[mark..]);
        }
        if !matches!(result, Ok(Parsed::Request { .. })) {
            args.truncate(mark);
        }
        result
    }

    #[cold]
    fn resume(
        &mut self,
        request: &mut [u8],
        limits: &Limits,
        args: &mut Vec<ArgRange>,
    ) -> Result<Parsed, ProtocolError> {
        let result = self.progress.advance(request, limits, &mut self.pending);
        if let Ok(Parsed::Incomplete { .. }) = result {
            return result;
        }
        let finished = std::mem::take(self);
        if result.is_ok() {
            args.extend_from_slice(&finished.pending);
        }
        result
    }
}

/// How far into its request the reader has come. Positions are relative to the request's first byte.
#[derive(Debug, Default)]
struct Progress {
    /// The first byte that is not understood yet.
    at: usize,
    /// So many bytes from `at` are known to hold no end of line.
    searched: usize,
    /// Arguments to come; 0 until the count is known.
    missing: usize,
    /// The announced length of the argument at `at`, once its header has been read.
    body: Option<usize>,
    /// How often a byte or an argument was looked at, for the tests that bound the work.
    #[cfg(test)]
    steps: usize,
}

impl Progress {
    /// Cuts the arguments at the beginning of a request that are here and have headers of the usual form. What stopped
    /// it is for [`advance`](Self::advance) to sort out.
    #[inline]
    fn of_usual(bytes: &[u8], limits: &Limits, args: &mut Vec<ArgRange>) -> Self {
        let Some((count, mut at)) = usual_header(b'*', bytes) else { return Progress::default() };
        if count > limits.max_args || !limits.authenticated {
            return Progress::default();
        }
        let mut missing = count;
        while missing > 0 {
            let Some((len, header)) = usual_header(b'$', &bytes[at..]) else { break };
            let end = at + header + len + 2;
            if end > bytes.len().min(u32::MAX as usize) || len > limits.max_bulk_len {
                break;
            }
            args.push(ArgRange { start: (at + header) as u32, len: len as u32 });
            at = end;
            missing -= 1;
        }
        Progress {
            at,
            missing,
            #[cfg(test)]
            steps: count - missing,
            ..Progress::default()
        }
    }

    fn is_start(&self) -> bool {
        self.at == 0 && self.searched == 0
    }

    /// Whether all arguments have been cut.
    #[inline]
    fn is_whole(&self) -> bool {
        self.missing == 0 && self.at > 0
    }

    fn advance(
        &mut self,
        bytes: &mut [u8],
        limits: &Limits,
        args: &mut Vec<ArgRange>,
    ) -> Result<Parsed, ProtocolError> {
        if self.missing == 0 {
            match bytes.first() {
                Some(b'*') => {}
                Some(_) => return self.inline_request(bytes, limits, args),
                None => return Ok(Parsed::Incomplete { want: 1 }),
            }
            match self.count(bytes, limits)? {
                Some(0) => return Ok(Parsed::Request { len: self.at }),
                Some(count) => self.missing = count,
                None => return Ok(Parsed::Incomplete { want: 1 }),
            }
        }
        self.arguments(bytes, limits, args)
    }

    fn arguments(
        &mut self,
        bytes: &[u8],
        limits: &Limits,
        args: &mut Vec<ArgRange>,
    ) -> Result<Parsed, ProtocolError> {
        while self.missing > 0 {
            #[cfg(test)]
            {
                self.steps += 1;
            }
            let len = match self.body {
                Some(len) => len,
                None => match self.bulk_len(bytes, limits)? {
                    Some(len) => len,
                    None => return Ok(Parsed::Incomplete { want: 1 }),
                },
            };
            let end = self.at.saturating_add(len).saturating_add(2);
            if end > bytes.len() {
                self.body = Some(len);
                return Ok(Parsed::Incomplete { want: end - bytes.len() });
            }
            if end > u32::MAX as usize {
                return Err(ProtocolError::RequestTooLong);
            }
            args.push(ArgRange { start: self.at as u32, len: len as u32 });
            self.body = None;
            self.at = end;
            self.missing -= 1;
        }
        Ok(Parsed::Request { len: self.at })
    }

    /// The number of arguments from the line `*<n>`; a negative one counts as none.
    fn count(&mut self, bytes: &[u8], limits: &Limits) -> Result<Option<usize>, ProtocolError> {
        let Some(line) = self.line(bytes, limits, ProtocolError::MultibulkLineTooLong)? else {
            return Ok(None);
        };
        let number = parse_integer(&line[1..]).ok_or(ProtocolError::InvalidMultibulkLength)?;
        let count = usize::try_from(number).unwrap_or(0);
        if count > limits.max_args {
            return Err(ProtocolError::InvalidMultibulkLength);
        }
        if count > UNAUTHENTICATED_ARGS && !limits.authenticated {
            return Err(ProtocolError::UnauthenticatedMultibulk);
        }
        Ok(Some(count))
    }

    /// The length of an argument from the line `$<n>`.
    fn bulk_len(&mut self, bytes: &[u8], limits: &Limits) -> Result<Option<usize>, ProtocolError> {
        let len = match usual_header(b'$', &bytes[self.at..]) {
            Some((len, header)) => {
                self.at += header;
                self.searched = 0;
                len
            }
            None => {
                let Some(line) = self.line(bytes, limits, ProtocolError::BulkLineTooLong)? else {
                    return Ok(None);
                };
                let Some(number) = line.strip_prefix(b"$") else {
                    return Err(ProtocolError::ExpectedBulk(*line.first().unwrap_or(&b'\r')));
                };
                parse_integer(number)
                    .and_then(|len| usize::try_from(len).ok())
                    .ok_or(ProtocolError::InvalidBulkLength)?
            }
        };
        if len > limits.max_bulk_len {
            return Err(ProtocolError::InvalidBulkLength);
        }
        if len > UNAUTHENTICATED_BULK_LEN && !limits.authenticated {
            return Err(ProtocolError::UnauthenticatedBulk);
        }
        Ok(Some(len))
    }

    /// The header line at `at`, without its end; then `at` is behind it. `None`: not all of it is here.
    fn line<'a>(
        &mut self,
        bytes: &'a [u8],
        limits: &Limits,
        too_long: ProtocolError,
    ) -> Result<Option<&'a [u8]>, ProtocolError> {
        let rest = &bytes[self.at..];
        let Some(len) = self.search(b'\r', rest) else {
            return if rest.len() > limits.max_inline { Err(too_long) } else { Ok(None) };
        };
        if rest.len() < len + 2 {
            return Ok(None);
        }
        self.searched = 0;
        self.at += len + 2;
        Ok(Some(&rest[..len]))
    }

    #[cold]
    fn inline_request(
        &mut self,
        bytes: &mut [u8],
        limits: &Limits,
        args: &mut Vec<ArgRange>,
    ) -> Result<Parsed, ProtocolError> {
        let Some(end) = self.search(b'\n', bytes) else {
            if bytes.len() > limits.max_inline {
                return Err(ProtocolError::InlineTooLong);
            }
            return Ok(Parsed::Incomplete { want: 1 });
        };
        let line = &mut bytes[..end];
        let len = line.strip_suffix(b"\r").map_or(line.len(), <[u8]>::len);
        inline::split_in_place(&mut line[..len], args)?;
        Ok(Parsed::Request { len: end + 1 })
    }

    /// Finds `end` in `rest`, which starts at `at`, without looking again at what earlier calls searched.
    fn search(&mut self, end: u8, rest: &[u8]) -> Option<usize> {
        #[cfg(test)]
        {
            self.steps += rest.len() - self.searched;
        }
        let found = memchr::memchr(end, &rest[self.searched..]);
        let position = found.map(|position| self.searched + position);
        self.searched = position.unwrap_or(rest.len());
        position
    }
}

/// The number in a header that is all here and has up to three digits, as nearly every one has, and the bytes that the
/// header takes. `None` is everything else.
#[inline]
fn usual_header(kind: u8, bytes: &[u8]) -> Option<(usize, usize)> {
    let digit = |byte: u8| usize::from(byte - b'0');
    let (first, header) = match *bytes {
        [first, a @ b'0'..=b'9', b'\r', _, ..] => (first, (digit(a), 4)),
        [first, a @ b'1'..=b'9', b @ b'0'..=b'9', b'\r', _, ..] => (first, (digit(a) * 10 + digit(b), 5)),
        [first, a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', b'\r', _, ..] => {
            (first, (digit(a) * 100 + digit(b) * 10 + digit(c), 6))
        }
        _ => return None,
    };
    (first == kind).then_some(header)
}

#[cfg(test)]
mod tests;
