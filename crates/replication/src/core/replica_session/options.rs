//! What a replica tells about itself with `REPLCONF`, before it asks for anything.

use crate::history::parse_integer;

/// The longest address that a replica may announce, in bytes.
const MAX_ADDRESS_LEN: usize = 255;

/// What a replica has told about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The port that it serves on; 0 if it did not say.
    pub listening_port: u16,
    /// The address to show for it instead of its connection's.
    pub ip: Option<String>,
    /// It can take a snapshot that ends with a mark (`capa eof`).
    pub eof: bool,
    /// It understands `+CONTINUE <id>` (`capa psync2`).
    pub psync2: bool,
    /// It wants a snapshot and nothing after it (`rdb-only 1`).
    pub rdb_only: bool,
}

/// What a `REPLCONF` was.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// Options, all of them known.
    Options,
    /// `ACK <offset>`, which is never answered; `None` where the offset is not a number.
    Ack(Option<u64>),
    /// `GETACK`, which is never answered.
    GetAck,
    /// The error line to reply.
    Wrong(String),
}

impl Options {
    /// Takes the arguments after `REPLCONF` in pairs. As in Redis, the pairs before a wrong one count, and what comes
    /// after an `ACK` does not.
    pub(super) fn hear(&mut self, args: &[&[u8]]) -> Said {
        if args.len() % 2 == 1 {
            return Said::Wrong("-ERR syntax error".into());
        }
        for pair in args.chunks_exact(2) {
            let (name, value) = (pair[0], pair[1]);
            let heard = match name.to_ascii_lowercase().as_slice() {
                b"listening-port" => self.set_port(value),
                b"ip-address" => self.set_ip(value),
                b"capa" => self.set_capability(value),
                b"rdb-only" => self.set_rdb_only(value),
                b"ack" => return Said::Ack(parse_integer(value).map(|offset| offset.max(0).unsigned_abs())),
                b"getack" => return Said::GetAck,
                _ => Err(format!("-ERR Unrecognized REPLCONF option: {}", String::from_utf8_lossy(name))),
            };
            if let Err(line) = heard {
                return Said::Wrong(line);
            }
        }
        Said::Options
    }

    /// A number that no port has is as good as none.
    fn set_port(&mut self, value: &[u8]) -> Result<(), String> {
        let port = parse_integer(value).ok_or("-ERR value is not an integer or out of range")?;
        self.listening_port = u16::try_from(port).unwrap_or(0);
        Ok(())
    }

    fn set_ip(&mut self, value: &[u8]) -> Result<(), String> {
        if value.len() > MAX_ADDRESS_LEN {
            let len = value.len();
            return Err(format!(
                "-ERR REPLCONF ip-address provided by replica instance is too long: {len} bytes"
            ));
        }
        self.ip = (!value.is_empty()).then(|| String::from_utf8_lossy(value).into_owned());
        Ok(())
    }

    /// Capabilities that are not known are the replica's own business.
    fn set_capability(&mut self, value: &[u8]) -> Result<(), String> {
        self.eof |= value.eq_ignore_ascii_case(b"eof");
        self.psync2 |= value.eq_ignore_ascii_case(b"psync2");
        Ok(())
    }

    fn set_rdb_only(&mut self, value: &[u8]) -> Result<(), String> {
        self.rdb_only = match parse_integer(value) {
            Some(0) => false,
            Some(1) => true,
            Some(_) => return Err("-ERR value is out of range, value must between 0 and 1".into()),
            None => return Err("-ERR value is not an integer or out of range".into()),
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hear(options: &mut Options, line: &str) -> Said {
        let words: Vec<&[u8]> = line.split(' ').filter(|word| !word.is_empty()).map(str::as_bytes).collect();
        options.hear(&words)
    }

    #[test]
    fn options_add_up() {
        let mut options = Options::default();
        assert_eq!(hear(&mut options, "listening-port 6380 IP-ADDRESS ::1"), Said::Options);
        assert_eq!(hear(&mut options, "capa EOF capa psync2 capa dual-channel"), Said::Options);
        assert_eq!(hear(&mut options, "rdb-only 1"), Said::Options);
        assert_eq!(hear(&mut options, ""), Said::Options, "nothing said is nothing wrong");
        let ip = Some("::1".to_string());
        assert_eq!(options, Options { listening_port: 6380, ip, eof: true, psync2: true, rdb_only: true });
    }

    #[test]
    fn wrong_options_get_redis_errors() {
        let mut options = Options::default();
        let mut error = |line: &str| match hear(&mut options, line) {
            Said::Wrong(error) => error,
            other => panic!("{line}: {other:?}"),
        };
        assert_eq!(error("capa"), "-ERR syntax error");
        assert_eq!(error("listening-port x"), "-ERR value is not an integer or out of range");
        assert_eq!(error("rdb-only 2"), "-ERR value is out of range, value must between 0 and 1");
        assert_eq!(error("rdb-only x"), "-ERR value is not an integer or out of range");
        let long = format!("ip-address {}", "x".repeat(256));
        assert_eq!(
            error(&long),
            "-ERR REPLCONF ip-address provided by replica instance is too long: 256 bytes"
        );
        assert_eq!(error("capa eof color blue"), "-ERR Unrecognized REPLCONF option: color");
        assert!(options.eof, "what came before the wrong one counts");
    }

    #[test]
    fn acknowledgements_are_not_options() {
        let mut options = Options::default();
        assert_eq!(hear(&mut options, "ACK 12"), Said::Ack(Some(12)));
        assert_eq!(hear(&mut options, "ack -12"), Said::Ack(Some(0)));
        assert_eq!(hear(&mut options, "ack x"), Said::Ack(None));
        assert_eq!(hear(&mut options, "GETACK *"), Said::GetAck);
    }
}
