//! A line of a script: a verb, then words and `key=value` pairs. A word that nobody has asked for is an error.

use std::collections::BTreeMap;

pub(super) struct Words<'a> {
    line: &'a str,
    words: Vec<&'a str>,
    pairs: BTreeMap<&'a str, &'a str>,
}

impl<'a> Words<'a> {
    pub(super) fn new(line: &'a str) -> Self {
        let (mut words, mut pairs) = (Vec::new(), BTreeMap::new());
        for word in line.split_whitespace().rev() {
            match word.split_once('=') {
                Some((key, value)) => assert!(pairs.insert(key, value).is_none(), "{line}: {key} twice"),
                None => words.push(word),
            }
        }
        Self { line, words, pairs }
    }

    pub(super) fn line(&self) -> &'a str {
        self.line
    }

    pub(super) fn next(&mut self) -> &'a str {
        self.words.pop().unwrap_or_else(|| panic!("{}: a word is missing", self.line))
    }

    pub(super) fn maybe(&mut self) -> Option<&'a str> {
        self.words.pop()
    }

    pub(super) fn take(&mut self, key: &str) -> Option<&'a str> {
        self.pairs.remove(key)
    }

    pub(super) fn number(&mut self, key: &str) -> Option<u64> {
        let value = self.take(key)?;
        Some(value.parse().unwrap_or_else(|_| panic!("{}: {key} is no number", self.line)))
    }

    pub(super) fn end(self) {
        assert!(self.words.is_empty(), "{}: {:?} means nothing", self.line, self.words);
        assert!(self.pairs.is_empty(), "{}: {:?} mean nothing", self.line, self.pairs);
    }
}
