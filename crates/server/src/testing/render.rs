//! Replies as text on one line, so that scripts can be read.
//!
//! ```text
//! +OK  -ERR no such key  :3  "bulk"  nil  nil-array  ["a", :1]  {"field": "value"}  ~["member"]  ,1.5  #t  >["push"]
//! ```

/// Renders the reply at the front of `bytes`; `None` if it is not there whole. Gives what it took as well.
pub(crate) fn render(bytes: &[u8], sorted: bool) -> Option<(String, usize)> {
    let mut reader = Reader { bytes, at: 0, sorted };
    let text = reader.reply()?;
    Some((text, reader.at))
}

/// Shows bytes as a quoted word of a script.
pub(crate) fn quoted(bytes: &[u8]) -> String {
    format!("\"{}\"", bytes.escape_ascii())
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    sorted: bool,
}

impl Reader<'_> {
    fn line(&mut self) -> Option<String> {
        let rest = &self.bytes[self.at..];
        let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
        self.at += end + 2;
        Some(String::from_utf8_lossy(&rest[..end]).into_owned())
    }

    fn bulk(&mut self, len: usize) -> Option<String> {
        let bytes = self.bytes.get(self.at..self.at + len + 2)?;
        self.at += len + 2;
        Some(quoted(&bytes[..len]))
    }

    fn elements(&mut self, len: usize) -> Option<Vec<String>> {
        let mut elements = (0..len).map(|_| self.reply()).collect::<Option<Vec<_>>>()?;
        if self.sorted {
            elements.sort();
        }
        Some(elements)
    }

    fn pairs(&mut self, len: usize) -> Option<Vec<String>> {
        let pair = |reader: &mut Self| Some(format!("{}: {}", reader.reply()?, reader.reply()?));
        let mut pairs = (0..len).map(|_| pair(self)).collect::<Option<Vec<_>>>()?;
        if self.sorted {
            pairs.sort();
        }
        Some(pairs)
    }

    fn reply(&mut self) -> Option<String> {
        let line = self.line()?;
        let (kind, rest) = line.split_at(1);
        let len = rest.parse::<usize>().ok();
        Some(match (kind, len) {
            ("$", Some(len)) => self.bulk(len)?,
            ("=", Some(len)) => format!("={}", self.bulk(len)?),
            ("*", Some(len)) => format!("[{}]", self.elements(len)?.join(", ")),
            ("~", Some(len)) => format!("~[{}]", self.elements(len)?.join(", ")),
            (">", Some(len)) => format!(">[{}]", self.elements(len)?.join(", ")),
            ("%", Some(len)) => format!("{{{}}}", self.pairs(len)?.join(", ")),
            ("$", None) | ("_", _) => "nil".into(),
            ("*", None) => "nil-array".into(),
            _ => line,
        })
    }
}

#[test]
fn replies_are_shown_by_type() {
    for (reply, shown) in [
        (&b"+OK\r\n"[..], "+OK"),
        (b"$3\r\na\r\n\r\n", r#""a\r\n""#),
        (b"*3\r\n:1\r\n*0\r\n$-1\r\n", "[:1, [], nil]"),
        (b"%1\r\n$1\r\na\r\n,1.5\r\n", r#"{"a": ,1.5}"#),
        (b"~2\r\n$1\r\nb\r\n$1\r\na\r\n", r#"~["a", "b"]"#),
        (b"*-1\r\n", "nil-array"),
        (b"_\r\n", "nil"),
    ] {
        assert_eq!(render(reply, true), Some((shown.to_string(), reply.len())));
        assert_eq!(render(&reply[..reply.len() - 1], true), None);
    }
}
