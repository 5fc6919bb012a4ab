//! What a replica sends, and what it understands of the answers.

use super::LinkConfig;
use crate::core::{MARK_LEN, PayloadEnd, Position};
use crate::ids::{ReplId, ReplOffset};
use bytes::Bytes;
use std::fmt::Write;

/// A line of the handshake may be this long; Redis's are far shorter.
const MAX_LINE_LEN: usize = 16 * 1024;

/// What was asked and not yet answered during the handshake, in the order of asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Question {
    Ping,
    Auth,
    Port,
    Address,
    Capabilities,
}

/// The requests after the first PING, and what they ask.
pub(super) fn introduction(config: &LinkConfig) -> (Vec<u8>, Vec<Question>) {
    let (mut bytes, mut questions) = (Vec::new(), Vec::new());
    if let Some(credentials) = &config.credentials {
        let words: Vec<&[u8]> = [b"AUTH" as &[u8]]
            .into_iter()
            .chain(credentials.user.as_deref())
            .chain([&*credentials.password])
            .collect();
        request(&mut bytes, &words);
        questions.push(Question::Auth);
    }
    let port = config.listening_port.to_string();
    request(&mut bytes, &[b"REPLCONF", b"listening-port", port.as_bytes()]);
    questions.push(Question::Port);
    if let Some(address) = &config.announce_ip {
        request(&mut bytes, &[b"REPLCONF", b"ip-address", address.as_bytes()]);
        questions.push(Question::Address);
    }
    request(&mut bytes, &[b"REPLCONF", b"capa", b"eof", b"capa", b"psync2"]);
    questions.push(Question::Capabilities);
    (bytes, questions)
}

pub(super) fn psync(position: Option<Position>) -> Bytes {
    match position {
        Some(Position { id, offset }) => {
            let first_byte = offset.next_byte().to_string();
            encode(&[b"PSYNC", id.as_str().as_bytes(), first_byte.as_bytes()])
        }
        None => encode(&[b"PSYNC", b"?", b"-1"]),
    }
}

pub(super) fn ack(offset: ReplOffset) -> Bytes {
    encode(&[b"REPLCONF", b"ACK", offset.to_string().as_bytes()])
}

pub(super) fn encode(words: &[&[u8]]) -> Bytes {
    let mut bytes = Vec::new();
    request(&mut bytes, words);
    bytes.into()
}

fn request(out: &mut Vec<u8>, words: &[&[u8]]) {
    let mut head = format!("*{}\r\n", words.len());
    for word in words {
        write!(head, "${}\r\n", word.len()).expect("a string takes all that is written");
        out.extend_from_slice(head.as_bytes());
        out.extend_from_slice(word);
        head.clear();
        head.push_str("\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

/// The answer to PSYNC.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PsyncAnswer {
    FullResync(Position),
    WrongFullResync,
    Continue(Option<ReplId>),
    TryLater,
    Refused,
}

impl PsyncAnswer {
    pub(super) fn parse(line: &[u8]) -> PsyncAnswer {
        if let Some(rest) = line.strip_prefix(b"+FULLRESYNC") {
            return full_resync(rest).map_or(PsyncAnswer::WrongFullResync, PsyncAnswer::FullResync);
        }
        if let Some(rest) = line.strip_prefix(b"+CONTINUE") {
            return PsyncAnswer::Continue(ReplId::parse(rest.trim_ascii()));
        }
        if line.starts_with(b"-NOMASTERLINK") || line.starts_with(b"-LOADING") {
            return PsyncAnswer::TryLater;
        }
        PsyncAnswer::Refused
    }
}

fn full_resync(rest: &[u8]) -> Option<Position> {
    let mut words = rest.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    let id = ReplId::parse(words.next()?)?;
    let offset = ReplOffset(number(words.next()?)?);
    Some(Position { id, offset })
}

/// The header of a snapshot: `$<bytes>` or `$EOF:<mark>`.
pub(super) fn payload_end(line: &[u8]) -> Option<PayloadEnd> {
    match line.strip_prefix(b"$EOF:") {
        Some(mark) => <[u8; MARK_LEN]>::try_from(mark).ok().map(PayloadEnd::Mark),
        None => number(line.strip_prefix(b"$")?).map(PayloadEnd::Length),
    }
}

fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// A line that arrives in pieces.
#[derive(Debug, Default)]
pub(super) struct LineReader {
    begun: Vec<u8>,
}

/// The line has no end within what a line may be.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LineTooLong;

impl LineReader {
    /// Takes a line out of `bytes`, without its end, or all of `bytes` as the beginning of one.
    pub(super) fn next(&mut self, bytes: &mut Bytes) -> Result<Option<Vec<u8>>, LineTooLong> {
        let end = memchr::memchr(b'\n', bytes);
        let piece = bytes.split_to(end.map_or(bytes.len(), |at| at + 1));
        if self.begun.len() + piece.len() > MAX_LINE_LEN {
            return Err(LineTooLong);
        }
        self.begun.extend_from_slice(&piece);
        if end.is_none() {
            return Ok(None);
        }
        let mut line = std::mem::take(&mut self.begun);
        line.truncate(line.trim_ascii_end().len());
        Ok(Some(line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_may_come_in_any_pieces_but_not_without_end() {
        let mut lines = LineReader::default();
        let mut first = Bytes::from_static(b"+PO");
        assert_eq!(lines.next(&mut first), Ok(None));
        let mut second = Bytes::from_static(b"NG\r\n\n$5\r\nab");
        assert_eq!(lines.next(&mut second), Ok(Some(b"+PONG".to_vec())));
        assert_eq!(lines.next(&mut second), Ok(Some(Vec::new())));
        assert_eq!(lines.next(&mut second), Ok(Some(b"$5".to_vec())));
        assert_eq!(&second[..], b"ab", "what follows is left for others");
        let mut endless = Bytes::from(vec![b'x'; MAX_LINE_LEN + 1]);
        assert_eq!(lines.next(&mut endless), Err(LineTooLong));
    }

    #[test]
    fn answers_to_psync() {
        let id = ReplId::from_random([0x5A; 20]);
        let full = |rest: &str| PsyncAnswer::parse(format!("+FULLRESYNC{rest}").as_bytes());
        let position = Position { id, offset: ReplOffset(12) };
        assert_eq!(full(&format!(" {id} 12")), PsyncAnswer::FullResync(position));
        for wrong in ["", " ", " 1", &format!(" {id}"), &format!(" {id} x"), &format!(" {id} -1")] {
            assert_eq!(full(wrong), PsyncAnswer::WrongFullResync, "{wrong:?}");
        }
        assert_eq!(PsyncAnswer::parse(b"+CONTINUE"), PsyncAnswer::Continue(None));
        assert_eq!(PsyncAnswer::parse(format!("+CONTINUE {id}").as_bytes()), PsyncAnswer::Continue(Some(id)));
        assert_eq!(PsyncAnswer::parse(b"-LOADING Redis is loading"), PsyncAnswer::TryLater);
        assert_eq!(PsyncAnswer::parse(b"-NOMASTERLINK Can't SYNC"), PsyncAnswer::TryLater);
        assert_eq!(PsyncAnswer::parse(b"-ERR unknown command"), PsyncAnswer::Refused);
    }

    #[test]
    fn headers_of_snapshots() {
        assert_eq!(payload_end(b"$0"), Some(PayloadEnd::Length(0)));
        assert_eq!(payload_end(b"$175"), Some(PayloadEnd::Length(175)));
        let mark = [b'm'; MARK_LEN];
        assert_eq!(payload_end(&[b"$EOF:" as &[u8], &mark].concat()), Some(PayloadEnd::Mark(mark)));
        for wrong in [b"$" as &[u8], b"$-1", b"$x", b"$EOF:short", b"+OK", b"175"] {
            assert_eq!(payload_end(wrong), None);
        }
    }
}
