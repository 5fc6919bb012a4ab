//! Glob-style patterns, as KEYS, SCAN, CONFIG GET and PSUBSCRIBE take them.
//!
//! `*` any bytes, `?` one byte, `[a-z]` one of these, `[^a]` none of these, `\x` the byte x. A class that is not
//! closed takes the rest of the pattern. Matching takes time in pattern × text at the worst and no stack: a
//! `*` that fails later is retried one byte further, and only the last `*` is ever retried.

/// Whether all of `text` matches `pattern`.
///
/// ```
/// use redkeep_resp::glob::matches;
/// assert!(matches(b"h[ae]llo*", b"hello world"));
/// assert!(!matches(b"h?llo", b"hllo"));
/// ```
pub fn matches(pattern: &[u8], text: &[u8]) -> bool {
    run(pattern, text, |byte| byte)
}

/// The same without regard to ASCII case.
pub fn matches_ignoring_case(pattern: &[u8], text: &[u8]) -> bool {
    run(pattern, text, |byte| byte.to_ascii_lowercase())
}

fn run(pattern: &[u8], text: &[u8], fold: impl Fn(u8) -> u8 + Copy) -> bool {
    let (mut p, mut t) = (0, 0);
    // Where to go on when a match fails: behind the last `*`, one byte of text further.
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            p += 1;
            retry = Some((p, t));
            continue;
        }
        if let Some(next) = match_one(&pattern[p..], text[t], fold) {
            p += next;
            t += 1;
        } else if let Some((after_star, from)) = retry {
            p = after_star;
            t = from + 1;
            retry = Some((after_star, t));
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|&byte| byte == b'*')
}

/// Whether the first item of `pattern` matches `byte`; the length of that item if so.
fn match_one(pattern: &[u8], byte: u8, fold: impl Fn(u8) -> u8 + Copy) -> Option<usize> {
    match *pattern.first()? {
        b'?' => Some(1),
        b'[' => match_class(pattern, byte, fold),
        b'\\' if pattern.len() > 1 => (fold(pattern[1]) == fold(byte)).then_some(2),
        literal => (fold(literal) == fold(byte)).then_some(1),
    }
}

fn match_class(pattern: &[u8], byte: u8, fold: impl Fn(u8) -> u8) -> Option<usize> {
    let negated = pattern.get(1) == Some(&b'^');
    let mut at = if negated { 2 } else { 1 };
    let mut found = false;
    while let Some(&item) = pattern.get(at) {
        match item {
            b']' => {
                at += 1;
                break;
            }
            b'\\' if at + 1 < pattern.len() => {
                found |= fold(pattern[at + 1]) == fold(byte);
                at += 2;
            }
            start if at + 2 < pattern.len() && pattern[at + 1] == b'-' => {
                let (a, b) = (fold(start), fold(pattern[at + 2]));
                found |= (a.min(b)..=a.max(b)).contains(&fold(byte));
                at += 3;
            }
            literal => {
                found |= fold(literal) == fold(byte);
                at += 1;
            }
        }
    }
    (found != negated).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-b-b-d", false),
            ("[a-c]", "b", true),
            ("[c-a]", "b", true),
            ("[^a-c]", "b", false),
            ("[^a-c]x", "dx", true),
            ("[ab", "a", true),
            ("[\\]]", "]", true),
            ("\\*", "*", true),
            ("\\*", "x", false),
            ("a\\", "a\\", true),
            ("h?llo", "hxllo", true),
            ("**a", "bbba", true),
        ] {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} on {text}");
        }
        assert!(matches_ignoring_case(b"MaX[A-C]*", b"maxbmemory"));
        assert!(!matches(b"MAX", b"max"));
    }

    #[test]
    fn many_stars_do_not_take_exponential_time() {
        let pattern = b"a*".repeat(500);
        let text = b"a".repeat(1000);
        assert!(!matches(&[&pattern[..], b"b"].concat(), &text));
    }
}
