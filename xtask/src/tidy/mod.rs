//! Checks of the tree that neither the compiler nor clippy makes.
//!
//! The rules are the project's architecture and habits, each in the module that checks it:
//!
//! | rule | module | says |
//! |---|---|---|
//! | `floors` | [`floors`] | a crate imports only from the floors below it |
//! | `pure-core` | [`purity`] | modules `core/` know no runtime, clock, random source, socket or file |
//! | `file-length`, `function-length`, `module-doc` | [`size`] | what a reader can hold in mind |
//! | `private-path` | [`words`] | nothing names a place on somebody's machine |
//!
//! A finding is printed as `path:line: rule: message`. The same run is a test of this crate, so that `cargo test` fails
//! where `cargo xtask tidy` would.

mod floors;
mod purity;
mod rust_source;
mod size;
mod words;

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::shell;
use rust_source::RustSource;

/// One violation of one rule.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    path: String,
    line: usize,
    rule: &'static str,
    message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}: {}", self.path, self.line, self.rule, self.message)
    }
}

/// Checks the tree and prints what is wrong. An error when anything is.
pub(crate) fn run(root: &Path) -> Result<()> {
    let (findings, files) = check(root)?;
    for finding in &findings {
        println!("{finding}");
    }
    if !findings.is_empty() {
        bail!("tidy: {} findings", findings.len());
    }
    println!("tidy: {files} files, nothing to mend");
    Ok(())
}

/// All findings, in order of path and line, and how many files were read.
fn check(root: &Path) -> Result<(Vec<Finding>, usize)> {
    let files = tracked_files(root)?;
    let mut findings = floors::check(root)?;
    let mut read = 0;
    for path in &files {
        // What git lists may just have been deleted, and pictures are not text: both have nothing to check.
        let Ok(text) = std::fs::read_to_string(root.join(path)) else { continue };
        read += 1;
        let path = path.to_string_lossy();
        findings.extend(words::check(&path, &text));
        if path.ends_with(".rs") {
            let source = RustSource::new(&text);
            findings.extend(size::check(&path, &source));
            findings.extend(purity::check(&path, &source));
        }
    }
    findings.sort();
    Ok((findings, read))
}

/// Files under version control and new ones that no ignore file excludes, relative to the root.
fn tracked_files(root: &Path) -> Result<Vec<PathBuf>> {
    let mut git = Command::new("git");
    git.current_dir(root).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let listing = shell::output(&mut git).context("tidy asks git which files are the project's")?;
    let mut files: Vec<PathBuf> =
        listing.split('\0').filter(|name| !name.is_empty()).map(Into::into).collect();
    files.sort();
    files.dedup();
    Ok(files)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_tree_is_tidy() {
        let (findings, files) = super::check(&crate::shell::root()).expect("the tree can be read");
        let report: Vec<String> = findings.iter().map(ToString::to_string).collect();
        assert!(report.is_empty(), "\n{}", report.join("\n"));
        assert!(files > 10, "only {files} files were looked at");
    }
}
