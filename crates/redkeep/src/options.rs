//! Command line of a server or sentinel, as redis-server reads it, turned into configuration text.
//!
//! `[FILE] [--directive value …] [-]`: what the file says comes first, then standard input where a `-`
//! asks for it, then the options, so that an option wins. An option and its values may be one argument
//! (`"--port 7000"`) or several (`--port 7000`), and what follows an option's name is its value even when
//! it starts with `--`. So `--save` alone could not be told from `--save --port 7000`, which scripts
//! produce from an empty list; there, and at the end of the line, it means `save ""`.

use redkeep_resp::inline::{push_quoted, split_words};
use std::{
    ffi::{OsStr, OsString},
    path::PathBuf,
};

/// Where a server's configuration comes from.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// The configuration file, the first argument that is no option.
    pub(crate) file: Option<PathBuf>,
    /// Whether standard input is read after the file.
    pub(crate) stdin: bool,
    /// The options as lines of a configuration file.
    pub(crate) lines: String,
}

impl Options {
    /// Reads the arguments behind the program's name.
    pub(crate) fn parse(args: &[OsString]) -> Self {
        let mut options = Options::default();
        let mut rest = args;
        if let Some((first, others)) = args.split_first()
            && !first.as_encoded_bytes().starts_with(b"-")
        {
            options.file = Some(first.into());
            rest = others;
        }
        let file_args = args.len() - rest.len();
        // Whether the option before has its value, so that the next `--` starts a new one.
        let mut complete = true;
        for (index, arg) in rest.iter().enumerate() {
            let next = rest.get(index + 1);
            let bytes = arg.as_encoded_bytes();
            if bytes == b"-" && (index + file_args == 0 || next.is_none()) {
                options.stdin = true;
            } else if let (true, Some(option)) = (complete, bytes.strip_prefix(b"--")) {
                complete = options.push_option(option, next);
            } else {
                options.push_value(bytes);
                complete = true;
            }
        }
        options.drop_pseudo_directive();
        options
    }

    /// Adds `directive values…` as a line of its own.
    pub(crate) fn push_line(&mut self, words: &[&str]) {
        self.start_line();
        for word in words {
            self.push_value(word.as_bytes());
        }
    }

    fn start_line(&mut self) {
        if !self.lines.is_empty() {
            self.lines.push('\n');
        }
    }

    /// Starts the line of an option. Returns whether the option is complete with this.
    fn push_option(&mut self, option: &[u8], next: Option<&OsString>) -> bool {
        self.start_line();
        self.lines.push_str(&String::from_utf8_lossy(option));
        self.lines.push(' ');
        let name_only = split_words(option).is_ok_and(|words| words.len() == 1);
        if !name_only {
            return true;
        }
        let another_follows = next.is_some_and(|next| next.as_encoded_bytes().starts_with(b"--"));
        if option.eq_ignore_ascii_case(b"save") && (another_follows || next.is_none()) {
            self.lines.push_str("\"\"");
            return true;
        }
        option.eq_ignore_ascii_case(b"sentinel") && another_follows
    }

    fn push_value(&mut self, value: &[u8]) {
        let mut quoted = Vec::new();
        push_quoted(&mut quoted, value);
        self.lines.push_str(std::str::from_utf8(&quoted).expect("quoting leaves only ASCII"));
        self.lines.push(' ');
    }

    /// `--sentinel` without a value chooses the mode and is no directive.
    fn drop_pseudo_directive(&mut self) {
        let is_directive = |line: &&str| !line.trim().eq_ignore_ascii_case("sentinel");
        self.lines = self.lines.lines().filter(is_directive).collect::<Vec<_>>().join("\n");
    }
}

/// Whether the arguments ask a server to run as a sentinel.
pub(crate) fn asks_for_sentinel(args: &[OsString]) -> bool {
    args.iter().any(|arg| arg == OsStr::new("--sentinel"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Options {
        Options::parse(&args.iter().map(OsString::from).collect::<Vec<_>>())
    }

    /// The words of each line that the options become.
    fn lines(args: &[&str]) -> Vec<Vec<String>> {
        let text = parse(args).lines;
        let words = |line: &str| {
            let words = split_words(line.as_bytes()).expect("a good line");
            words.into_iter().map(|word| String::from_utf8(word).expect("text")).collect()
        };
        text.lines().map(words).collect()
    }

    #[test]
    fn file_stdin_and_options() {
        assert_eq!(parse(&[]), Options::default());
        assert_eq!(parse(&["a.conf"]).file, Some("a.conf".into()));
        assert!(parse(&["-"]).stdin);
        let all = parse(&["a.conf", "--port", "7000", "-"]);
        assert_eq!(
            (all.file, all.stdin, all.lines.as_str()),
            (Some("a.conf".into()), true, "port \"7000\" ")
        );
        // Anywhere else a dash is a value.
        assert!(!parse(&["--logfile", "-", "--port", "1"]).stdin);
        assert!(!parse(&["a.conf", "-", "--port", "1"]).stdin);
    }

    #[test]
    fn options_in_one_argument_or_several() {
        let expected = [["port", "7000"], ["maxmemory", "1gb"]];
        assert_eq!(lines(&["--port", "7000", "--maxmemory", "1gb"]), expected);
        assert_eq!(lines(&["--port 7000", "--maxmemory 1gb"]), expected);
        assert_eq!(lines(&["--port ", "7000", "--maxmemory", "1gb"]), expected);
        assert_eq!(lines(&["--replicaof", "127.0.0.1", "6379"]), [["replicaof", "127.0.0.1", "6379"]]);
        assert_eq!(lines(&["--save", "60 1"]), [["save", "60 1"]]);
        assert_eq!(lines(&["--requirepass", "a \"b\""]), [["requirepass", "a \"b\""]]);
    }

    #[test]
    fn a_value_may_look_like_an_option() {
        assert_eq!(
            lines(&["--requirepass", "--secret", "--port", "1"]),
            [["requirepass", "--secret"], ["port", "1"]]
        );
        assert_eq!(lines(&["--port"]), [["port"]]);
    }

    #[test]
    fn save_without_a_value_saves_never() {
        let never = vec!["save".to_owned(), String::new()];
        assert_eq!(lines(&["--save"]), std::slice::from_ref(&never));
        assert_eq!(lines(&["--save", ""]), std::slice::from_ref(&never));
        let with_port = [never, vec!["port".into(), "1".into()]];
        assert_eq!(lines(&["--save", "--port", "1"]), with_port);
        assert_eq!(lines(&["--port", "1", "--save"])[1], with_port[0]);
    }

    #[test]
    fn the_sentinel_mode_is_no_directive() {
        assert!(asks_for_sentinel(&["x.conf".into(), "--sentinel".into()]));
        assert!(!asks_for_sentinel(&["--port".into()]));
        assert_eq!(lines(&["--sentinel"]), Vec::<Vec<String>>::new());
        assert_eq!(lines(&["--sentinel", "--port", "1"]), [["port", "1"]]);
        let monitor = ["--sentinel", "monitor", "m", "127.0.0.1", "6379", "2"];
        assert_eq!(lines(&monitor), [["sentinel", "monitor", "m", "127.0.0.1", "6379", "2"]]);
    }

    #[test]
    fn lines_of_our_own_come_last() {
        let mut options = parse(&["--port", "1"]);
        options.push_line(&["replicaof", "host", "2"]);
        assert_eq!(options.lines.lines().last(), Some("\"replicaof\" \"host\" \"2\" "));
    }
}
