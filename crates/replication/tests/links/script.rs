//! Golden scripts: plain text in which each line with `>` is an input, and the lines with `<` that follow are what comes
//! of it, in order. Other lines are comments (`#`) or empty; anything else fails.
//!
//! In both kinds of line `{a40}` stands for forty times `a`, and `\r`, `\n` for themselves. `> at <ms>` sets the clock. A
//! line `< state ...` is there whenever the state has changed. With `UPDATE_SCRIPTS=1` in the environment the scripts
//! are written anew from what comes; read the difference before you keep it.

use std::fmt::Write;
use std::path::PathBuf;

/// A machine that a script can drive.
pub(crate) trait Subject {
    /// Takes an input line and gives the output lines. An unknown line panics.
    fn input(&mut self, now_ms: u64, line: &str) -> Vec<String>;
    /// A line that says where the machine stands.
    fn state(&self) -> String;
}

/// The folder of all scripts.
pub(crate) fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/scripts")
}

/// Runs one script.
pub(crate) fn run(kind: &str, name: &str, mut subject: impl Subject) {
    let path = folder().join(kind).join(name).with_extension("txt");
    let script = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let actual = play(&script, &mut subject);
    if std::env::var_os("UPDATE_SCRIPTS").is_some() {
        std::fs::write(&path, &actual).expect("the script can be written");
    } else if let Some((at, (expected, actual))) =
        script.lines().zip(actual.lines()).enumerate().find(|(_, (expected, actual))| expected != actual)
    {
        panic!("{}:{}: expected\n  {expected}\nbut there came\n  {actual}", path.display(), at + 1);
    } else {
        assert_eq!(script.lines().count(), actual.lines().count(), "{}: it ends elsewhere", path.display());
    }
}

/// The script with the outputs that really come.
fn play(script: &str, subject: &mut impl Subject) -> String {
    let mut actual = String::new();
    let mut now_ms = 0;
    let mut state = subject.state();
    for (at, line) in script.lines().enumerate() {
        let mut echo = |line: &str| writeln!(actual, "{line}").expect("a string takes all that is written");
        match line.split_at_checked(2) {
            Some(("> ", input)) => {
                echo(line);
                match input.strip_prefix("at ") {
                    Some(ms) => {
                        now_ms = ms.parse().unwrap_or_else(|_| panic!("line {}: no time: {ms}", at + 1))
                    }
                    None => subject
                        .input(now_ms, &expand(input))
                        .iter()
                        .for_each(|out| echo(&format!("< {}", contract(out)))),
                }
                let now = subject.state();
                if now != state {
                    echo(&format!("< state {}", contract(&now)));
                    state = now;
                }
            }
            Some(("< ", _)) => {}
            _ if line.is_empty() || line.starts_with('#') => echo(line),
            _ => panic!("line {}: neither input nor output nor comment: {line}", at + 1),
        }
    }
    actual
}

/// `{a40}` to forty times `a`, `\r` and `\n` to what they mean.
fn expand(line: &str) -> String {
    let mut line = line.replace("\\r", "\r").replace("\\n", "\n");
    while let Some(at) = line.find("40}") {
        let start = at
            .checked_sub(2)
            .filter(|start| line[*start..].starts_with('{'))
            .expect("braces hold a letter and 40");
        let letter = line[start + 1..at].repeat(40);
        line.replace_range(start..at + 3, &letter);
    }
    line
}

/// The reverse of [`expand`].
fn contract(line: &str) -> String {
    let mut line = line.replace('\r', "\\r").replace('\n', "\\n");
    for letter in ('a'..='z').chain('0'..='9') {
        line = line.replace(&letter.to_string().repeat(40), &format!("{{{letter}40}}"));
    }
    line
}

/// The words of an input line, of which the machine's reader takes one after the other.
pub(crate) struct Words<'a> {
    line: &'a str,
    rest: &'a str,
}

impl<'a> Words<'a> {
    pub(crate) fn new(line: &'a str) -> Words<'a> {
        Words { line, rest: line }
    }

    /// The next word; empty at the end.
    pub(crate) fn word(&mut self) -> &'a str {
        let (word, rest) = self.rest.split_once(' ').unwrap_or((self.rest, ""));
        self.rest = rest;
        word
    }

    /// The next word, which may be missing.
    pub(crate) fn optional<T: std::str::FromStr>(&mut self) -> Option<T> {
        let word = self.word();
        (!word.is_empty()).then(|| word.parse().unwrap_or_else(|_| self.unknown()))
    }

    pub(crate) fn parse<T: std::str::FromStr>(&mut self) -> T {
        self.optional().unwrap_or_else(|| self.unknown())
    }

    /// All that is left.
    pub(crate) fn rest(&mut self) -> &'a str {
        std::mem::take(&mut self.rest)
    }

    /// To be called after the last word.
    pub(crate) fn end(&self) {
        if !self.rest.is_empty() {
            self.unknown()
        }
    }

    pub(crate) fn unknown(&self) -> ! {
        panic!("not understood: {}", self.line)
    }
}
