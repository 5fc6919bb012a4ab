//! Modules `core/` decide; they do not act.
//!
//! A deciding state machine takes time and randomness as inputs, so that a test replays thousands of schedules a second
//! from a seed. One clock read inside and the schedule no longer replays; so the names that lead to a runtime, a clock, a
//! random source, a socket or a file are forbidden there. Their tests may use what they like.

use super::Finding;
use super::rust_source::RustSource;

const RULE: &str = "pure-core";

/// Paths that may not occur, and why not.
const FORBIDDEN: &[(&str, &str)] = &[
    ("tokio", "no runtime: effects are returned as values"),
    ("std::time::Instant", "no clock: `now` is an argument"),
    ("std::time::SystemTime", "no clock: `now` is an argument"),
    ("Instant::now", "no clock: `now` is an argument"),
    ("SystemTime::now", "no clock: `now` is an argument"),
    ("rustix::time", "no clock: `now` is an argument"),
    ("rand", "no random source: a generator or its value is an argument"),
    ("fastrand", "no random source: a generator or its value is an argument"),
    ("getrandom", "no random source: a generator or its value is an argument"),
    ("std::net", "no sockets; the address types are in `core::net`"),
    ("std::fs", "no files: what must be stored is returned as a value"),
    ("std::thread", "no threads: the shell drives the state machine"),
];

/// One finding for each forbidden path in a module below `core/`.
pub(super) fn check(path: &str, source: &RustSource) -> Vec<Finding> {
    let is_core = path.ends_with("/core.rs") || path.contains("/core/");
    let is_tests = path.ends_with("/tests.rs") || path.contains("/tests/");
    if !is_core || is_tests {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for used in source.paths() {
        let forbidden = FORBIDDEN.iter().find(|(prefix, _)| starts_with_path(&used.path, prefix));
        if let Some((_, why)) = forbidden {
            let message = format!("`{}`: {why}", used.path);
            findings.push(Finding { path: path.to_owned(), line: used.line, rule: RULE, message });
        }
    }
    findings
}

/// Whether `path` is `prefix` or something inside of it: `rand::rng` is in `rand`, `random` and a local `rand` are not.
fn starts_with_path(path: &str, prefix: &str) -> bool {
    match path.strip_prefix(prefix) {
        Some("") => prefix.contains("::"),
        Some(rest) => rest.starts_with("::"),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<usize> {
        check("crates/x/src/core/a.rs", &RustSource::new(text)).iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn forbidden_paths_are_found_however_they_are_written() {
        assert_eq!(lines("use tokio::time;\n"), [1]);
        assert_eq!(lines("use std::{\n    fmt,\n    time::{Duration, Instant},\n};\n"), [3]);
        assert_eq!(lines("fn f() {\n    let x = std::fs::read(\"a\");\n}\n"), [2]);
        assert_eq!(lines("fn f() { let r = fastrand::u8(..); }\n"), [1]);
        assert_eq!(lines("fn f() { Instant::now(); }\n"), [1]);
    }

    #[test]
    fn durations_address_types_and_prose_are_allowed() {
        assert!(lines("use std::time::Duration;\nuse core::net::IpAddr;\n").is_empty());
        assert!(lines("//! tokio::spawn is not used here\nconst A: &str = \"std::fs::read\";\n").is_empty());
        assert!(lines("fn f(rand: u64) -> u64 { rand }\n").is_empty());
        assert!(lines("#[cfg(test)]\nmod tests {\n    use std::fs::File;\n}\n").is_empty());
        let shell = check("crates/x/src/shell.rs", &RustSource::new("use tokio::time;\n"));
        assert!(shell.is_empty());
    }
}
