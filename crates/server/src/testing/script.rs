//! Golden scripts: the behaviour of a command, as a person would try it out.
//!
//! ```text
//! # A comment.
//! > SET k v
//! +OK
//! ~ SET k v          what went to the replication log   (after @effects)
//! ! set k            the keyspace event                 (after @events)
//! ```
//!
//! A line that begins with `@` is a directive:
//!
//! - `@effects`, `@events`: from here on these are shown, and so all of them have to be expected;
//! - `@now 1700000000000`: sets the clock, in milliseconds since 1970;
//! - `@client name`: from here on commands come from this client;
//! - `@sorted`: the elements of the next reply come in any order, and are sorted;
//! - `@only-here why`: nothing from here on is tried on a real redis-server;
//! - `@differs why`: the next reply is not the one of the redis-server that is tried (7.0).
//!
//! With `REDKEEP_WRITE_SCRIPTS=1` in the environment expectations are written instead of compared.

use std::path::{Path, PathBuf};

use super::Harness;

/// A line of a script and what comes of it.
pub(super) enum Step {
    /// A comment, an empty line or a directive that says nothing about execution.
    Text(String),
    /// From here on effects are shown.
    Effects,
    /// From here on events are shown.
    Events,
    /// The time is set.
    Now(u64),
    /// Another client goes on.
    Client(String),
    /// The next reply is sorted.
    Sorted,
    /// The rest is not for redis-server.
    OnlyHere(String),
    /// The next reply is not that of redis-server.
    Differs(String),
    /// A command, and the lines that are expected of it.
    Command {
        /// As it is written.
        line: String,
        /// Its arguments.
        words: Vec<Vec<u8>>,
        /// Reply, effects, events.
        expected: Vec<String>,
    },
}

/// All scripts, in order.
pub(super) fn all() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    let mut scripts = Vec::new();
    for family in std::fs::read_dir(root).expect("there are scripts") {
        let family = family.expect("the folder can be read").path();
        let files = std::fs::read_dir(family).expect("families are folders");
        scripts.extend(files.map(|file| file.expect("the folder can be read").path()));
    }
    scripts.sort();
    scripts
}

/// Reads a script.
///
/// # Panics
/// If it has a directive that is not known.
pub(super) fn parse(text: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    for line in text.lines() {
        if let Some(command) = line.strip_prefix("> ") {
            let words = redkeep_resp::inline::split_words(command.as_bytes());
            let words = words.unwrap_or_else(|error| panic!("{line}: {error}"));
            steps.push(Step::Command { line: line.into(), words, expected: Vec::new() });
        } else if let Some(directive) = line.strip_prefix('@') {
            let (name, rest) = directive.split_once(' ').unwrap_or((directive, ""));
            steps.push(match name {
                "effects" => Step::Effects,
                "events" => Step::Events,
                "now" => Step::Now(rest.parse().expect("a time in milliseconds")),
                "client" => Step::Client(rest.into()),
                "sorted" => Step::Sorted,
                "only-here" => Step::OnlyHere(rest.into()),
                "differs" => Step::Differs(rest.into()),
                _ => panic!("no such directive: {line}"),
            });
        } else if line.is_empty() || line.starts_with('#') {
            steps.push(Step::Text(line.into()));
        } else {
            match steps.last_mut() {
                Some(Step::Command { expected, .. }) => expected.push(line.into()),
                _ => panic!("nothing was asked to get this: {line}"),
            }
        }
    }
    steps
}

/// What the script says when this server executes it.
fn play(text: &str) -> String {
    let mut server = Harness::new();
    let (mut shown, mut client, mut sorted) = (String::new(), String::new(), false);
    let (mut effects, mut events) = (false, false);
    let mut say = |line: &str| {
        shown.push_str(line);
        shown.push('\n');
    };
    for step in parse(text) {
        match step {
            Step::Text(line) => say(&line),
            Step::Effects => {
                effects = true;
                say("@effects");
            }
            Step::Events => {
                events = true;
                say("@events");
            }
            Step::Now(now_ms) => {
                server.set_now(now_ms);
                say(&format!("@now {now_ms}"));
            }
            Step::Client(name) => {
                say(format!("@client {name}").trim_end());
                client = name;
            }
            Step::Sorted => {
                sorted = true;
                say("@sorted");
            }
            Step::OnlyHere(why) => say(&format!("@only-here {why}")),
            Step::Differs(why) => say(&format!("@differs {why}")),
            Step::Command { line, words, .. } => {
                say(&line);
                say(&server.call(&client, &words, std::mem::take(&mut sorted)));
                let (new_effects, new_events) = (server.effects(), server.events());
                new_effects.iter().filter(|_| effects).for_each(|effect| say(&format!("~ {effect}")));
                new_events.iter().filter(|_| events).for_each(|event| say(&format!("! {event}")));
            }
        }
    }
    shown
}

/// Where two texts differ, for a person.
pub(super) fn difference(name: &Path, expected: &str, got: &str) -> String {
    let mut lines = expected.lines().zip(got.lines()).enumerate();
    let first = lines.find(|(_, (expected, got))| expected != got);
    let at = first.map_or(expected.lines().count().min(got.lines().count()), |(n, _)| n);
    let around =
        |text: &str| text.lines().skip(at.saturating_sub(2)).take(6).collect::<Vec<_>>().join("\n  ");
    format!("{}:{}\nexpected:\n  {}\ngot:\n  {}\n", name.display(), at + 1, around(expected), around(got))
}

#[test]
fn scripts_hold() {
    let write = std::env::var_os("REDKEEP_WRITE_SCRIPTS").is_some();
    let mut failures = Vec::new();
    for path in all() {
        let expected = std::fs::read_to_string(&path).expect("scripts can be read");
        let got = play(&expected);
        if got != expected && write {
            std::fs::write(&path, got).expect("scripts can be written");
        } else if got != expected {
            failures.push(difference(&path, &expected, &got));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
