//! What a server holds, to be compared with what another holds.

use std::collections::BTreeSet;

use crate::python;

/// All keys with their values and expiry, a line for each.
#[derive(Debug, PartialEq, Eq)]
pub struct Contents(BTreeSet<String>);

/// How many of the lines that differ are shown.
const SHOWN: usize = 10;

impl Contents {
    /// Reads everything that the server at a port of this machine holds.
    #[track_caller]
    pub fn of(port: u16) -> Self {
        let dir = tempfile::tempdir().expect("there is a place for files");
        let mut reader =
            python("contents.py", &["--port", &port.to_string()], &dir.path().join("contents.txt"));
        assert!(reader.wait().success(), "{}", reader.output());
        Contents(reader.output().lines().map(str::to_owned).collect())
    }

    /// The number of keys.
    pub fn keys(&self) -> usize {
        self.0.len()
    }

    /// # Panics
    /// With the lines that differ.
    #[track_caller]
    pub fn expect_same(&self, expected: &Contents) {
        let lines = |of: &Contents, other: &Contents| {
            of.0.difference(&other.0).take(SHOWN).cloned().collect::<Vec<_>>().join("\n  ")
        };
        assert!(
            self == expected,
            "{} keys instead of {}\nnot expected:\n  {}\nmissing:\n  {}",
            self.keys(),
            expected.keys(),
            lines(self, expected),
            lines(expected, self)
        );
    }
}
