//! A Rust file as the rules see it: which lines are code, where functions end, which paths are named.
//!
//! A full parser would have to follow every edition of the language; these rules need much less. [`blank`] replaces
//! comments and literals by spaces, newlines kept, so that afterwards every brace is a real brace and every offset still
//! tells its line. Everything else counts braces and words in that text.

use std::ops::Range;

/// A file, with what is derived from it once.
pub(super) struct RustSource {
    text: String,
    /// The text without comments and literals, of the same length.
    code: String,
    /// Byte ranges of the items under `#[cfg(test)]`.
    tests: Vec<Range<usize>>,
}

/// A function with a body.
pub(super) struct Function {
    pub(super) name: String,
    pub(super) line: usize,
    /// From the line of `fn` to that of its closing brace.
    pub(super) lines: usize,
}

/// A path as it is used: `use a::{b, c::d}` names `a::b` and `a::c::d`.
pub(super) struct UsedPath {
    pub(super) path: String,
    pub(super) line: usize,
}

impl RustSource {
    pub(super) fn new(text: &str) -> RustSource {
        let code = blank(text);
        let tests = test_items(&code);
        RustSource { text: text.to_owned(), code, tests }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Number of lines outside of `#[cfg(test)]` items.
    pub(super) fn lines_without_tests(&self) -> usize {
        let in_tests = |range: &Range<usize>| self.text[range.clone()].lines().count();
        self.text.lines().count().saturating_sub(self.tests.iter().map(in_tests).sum())
    }

    /// Every function with a body, tests included.
    pub(super) fn functions(&self) -> Vec<Function> {
        let words = words(&self.code);
        let pairs = words.iter().zip(words.iter().skip(1));
        pairs
            .filter(|(keyword, _)| keyword.text == "fn")
            .filter_map(|(keyword, name)| {
                // `fn(u8)` is a type: no name stands directly behind it.
                let gap = &self.code[keyword.end()..name.start];
                let end = gap.trim().is_empty().then(|| item_end(&self.code, name.end()))??;
                let has_body = self.code.as_bytes()[end - 1] == b'}';
                let lines = self.code[keyword.start..end].lines().count();
                has_body.then(|| Function {
                    name: name.text.to_owned(),
                    line: self.line_of(keyword.start),
                    lines,
                })
            })
            .collect()
    }

    /// Every path of at least two segments outside of tests.
    pub(super) fn paths(&self) -> Vec<UsedPath> {
        let mut found = Vec::new();
        let mut rest = words(&self.code).into_iter().peekable();
        while let Some(word) = rest.next() {
            if self.tests.iter().any(|range| range.contains(&word.start)) {
                continue;
            }
            if word.text == "use" {
                let end = self.code[word.end()..].find(';').map_or(self.code.len(), |at| word.end() + at);
                use_tree(&self.code[word.end()..end], "", word.end(), &mut found);
                while rest.next_if(|next| next.start < end).is_some() {}
                continue;
            }
            let (mut path, mut end) = (word.text.to_owned(), word.end());
            while let Some(next) = rest.next_if(|next| self.code[end..next.start].trim() == "::") {
                path = format!("{path}::{}", next.text);
                end = next.end();
            }
            found.push((path, word.start));
        }
        found.retain(|(path, _)| path.contains("::"));
        found.into_iter().map(|(path, at)| UsedPath { path, line: self.line_of(at) }).collect()
    }

    fn line_of(&self, offset: usize) -> usize {
        1 + self.code[..offset].matches('\n').count()
    }
}

struct Word<'a> {
    text: &'a str,
    start: usize,
}

impl Word<'_> {
    fn end(&self) -> usize {
        self.start + self.text.len()
    }
}

/// Identifiers and keywords, in order.
fn words(code: &str) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    let mut start = None;
    for (at, c) in code.char_indices().chain([(code.len(), ' ')]) {
        let in_word = c.is_alphanumeric() || c == '_';
        match (start, in_word) {
            (None, true) => start = Some(at),
            (Some(from), false) => {
                words.push(Word { text: &code[from..at], start: from });
                start = None;
            }
            (None, false) | (Some(_), true) => {}
        }
    }
    words
}

/// Collects the paths of a `use` tree, which stands at `offset` in the file and below `prefix`.
fn use_tree(tree: &str, prefix: &str, offset: usize, found: &mut Vec<(String, usize)>) {
    for (branch, at) in split_branches(tree) {
        let joined =
            |path: &str| if prefix.is_empty() { path.to_owned() } else { format!("{prefix}::{path}") };
        let (path, inner) = match branch.find('{') {
            Some(brace) => (&branch[..brace], Some(brace + 1)),
            None => (branch, None),
        };
        let path = path.split(" as ").next().unwrap_or(path);
        let path: String = path.chars().filter(|c| !c.is_whitespace()).collect();
        let path = path.trim_start_matches("::").trim_end_matches("::");
        let start = offset + at + (branch.len() - branch.trim_start().len());
        match inner {
            Some(from) => {
                let to = branch.rfind('}').unwrap_or(branch.len());
                let deeper = if path.is_empty() { prefix.to_owned() } else { joined(path) };
                use_tree(&branch[from..to.max(from)], &deeper, offset + at + from, found);
            }
            None if !path.is_empty() => found.push((joined(path), start)),
            None => {}
        }
    }
}

/// Splits at the commas that stand in no braces; each part with its offset.
fn split_branches(tree: &str) -> Vec<(&str, usize)> {
    let (mut parts, mut depth, mut from) = (Vec::new(), 0usize, 0);
    for (at, byte) in tree.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => {
                parts.push((&tree[from..at], from));
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push((&tree[from..], from));
    parts
}

/// The items that `#[cfg(test)]` stands before, attribute included.
fn test_items(code: &str) -> Vec<Range<usize>> {
    let mut items: Vec<Range<usize>> = Vec::new();
    for (start, attribute) in code.match_indices("#[cfg(test)]") {
        let nested = items.last().is_some_and(|item| item.end > start);
        if let (false, Some(end)) = (nested, item_end(code, start + attribute.len())) {
            items.push(start..end);
        }
    }
    items
}

/// The end of the item that goes on at `from`: behind its `;`, or behind the brace that closes its first block.
fn item_end(code: &str, from: usize) -> Option<usize> {
    let (mut brackets, mut braces) = (0usize, 0usize);
    for (at, byte) in code.bytes().enumerate().skip(from) {
        match byte {
            b'(' | b'[' if braces == 0 => brackets += 1,
            b')' | b']' if braces == 0 => brackets = brackets.saturating_sub(1),
            b'{' if brackets == 0 => braces += 1,
            b'}' if brackets == 0 => {
                braces = braces.saturating_sub(1);
                if braces == 0 {
                    return Some(at + 1);
                }
            }
            b';' if brackets == 0 && braces == 0 => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// Replaces comments, strings and character literals by spaces. Newlines and length stay.
fn blank(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let after_word = code.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let literal = if after_word { literal_after_word(&text[at..]) } else { literal(&text[at..]) };
        match literal {
            Some(length) => {
                let spaces = text[at..at + length].bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' });
                code.extend(spaces);
                at += length;
            }
            None => {
                code.push(c);
                at += c.len_utf8();
            }
        }
    }
    code
}

/// Length of the comment or literal that `text` starts with.
fn literal(text: &str) -> Option<usize> {
    let prefix = ["br", "cr", "b", "c", "r"].into_iter().find(|prefix| {
        text.strip_prefix(prefix).is_some_and(|rest| rest.starts_with(['"', '\'']) || is_raw(prefix, rest))
    });
    let prefix = prefix.unwrap_or("");
    let rest = &text[prefix.len()..];
    let length = match rest.chars().next()? {
        '"' | '#' if prefix.ends_with('r') => raw_string(rest)?,
        '"' => quoted(rest, '"')?,
        '\'' => character(rest)?,
        _ => comment(rest)?,
    };
    Some(prefix.len() + length)
}

/// Behind a word only comments and quotes can start: the `r` of `for"x"` is no prefix.
fn literal_after_word(text: &str) -> Option<usize> {
    text.starts_with(['"', '/']).then(|| literal(text))?
}

fn is_raw(prefix: &str, rest: &str) -> bool {
    prefix.ends_with('r') && rest.trim_start_matches('#').starts_with('"')
}

fn raw_string(rest: &str) -> Option<usize> {
    let hashes = rest.len() - rest.trim_start_matches('#').len();
    let close = format!("\"{}", "#".repeat(hashes));
    let body = &rest[hashes + 1..];
    Some(body.find(&close).map_or(rest.len(), |end| hashes + 1 + end + close.len()))
}

/// A string up to its closing quote, or to the end of the text.
fn quoted(rest: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return Some(at + c.len_utf8()),
            _ => {}
        }
    }
    Some(rest.len())
}

/// A character literal, and not a lifetime: `'a'` or `'\n'`, but not `'a`.
fn character(rest: &str) -> Option<usize> {
    let mut inside = rest[1..].char_indices();
    let (_, first) = inside.next()?;
    let (second_at, second) = inside.next()?;
    match (first, second) {
        ('\\', _) => quoted(rest, '\''),
        (_, '\'') => Some(1 + second_at + 1),
        _ => None,
    }
}

/// A line comment, or a block comment with those nested in it.
fn comment(rest: &str) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if !rest.starts_with("/*") {
        return None;
    }
    let (mut depth, mut at) = (0usize, 0);
    while at < rest.len() {
        let tail = &rest.as_bytes()[at..];
        if tail.starts_with(b"/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if tail.starts_with(b"*/") {
            (depth, at) = (depth - 1, at + 2);
        } else {
            at += 1;
        }
        if depth == 0 {
            break;
        }
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> String {
        blank(text).split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn comments_and_literals_become_spaces() {
        assert_eq!(code("a /* { /* } */ */ b // }\nc"), "a b c");
        assert_eq!(code(r##"x("}\"}", r#"}"}"#, b"{", '{', '\'', b'}')"##), "x( , , , , , )");
        assert_eq!(code("fn f<'a>(x: &'a str) {}"), "fn f<'a>(x: &'a str) {}");
        assert_eq!(code("let r#fn = 'é';"), "let r#fn = ;");
        let text = "a \"two\nlines\" é // x\n";
        assert_eq!(blank(text).matches('\n').count(), 2);
    }

    #[test]
    fn functions_end_at_their_own_brace() {
        let source = RustSource::new(
            "trait T {\n    fn none(&self) -> [u8; 2];\n}\nfn outer(f: fn(u8)) {\n    fn inner() {}\n    if x { \"}\" }\n}\n",
        );
        let functions = source.functions();
        let found: Vec<_> = functions.iter().map(|f| (f.name.as_str(), f.line, f.lines)).collect();
        assert_eq!(found, [("outer", 4, 4), ("inner", 5, 1)]);
    }

    #[test]
    fn test_modules_do_not_count_as_length() {
        let source = RustSource::new("fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\n");
        assert_eq!(source.lines_without_tests(), 1);
        let elsewhere = RustSource::new("fn a() {}\n#[cfg(test)]\nmod tests;\nfn b() {}\n");
        assert_eq!(elsewhere.lines_without_tests(), 2);
    }

    #[test]
    fn use_trees_are_flattened() {
        let source = RustSource::new("use a::{b, c::{d as e, self}, f};\nlet x = g::h::i(j);\n");
        let paths: Vec<String> = source.paths().into_iter().map(|used| used.path).collect();
        assert_eq!(paths, ["a::b", "a::c::d", "a::c::self", "a::f", "g::h::i"]);
    }
}
