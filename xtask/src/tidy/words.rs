//! Words that must not be in the tree: places on somebody's machine.
//!
//! A path below a home or build directory, or the address of a particular package registry, tells the reader nothing and
//! works nowhere else. The patterns are written in two halves, so that this file does not contain them.

use super::Finding;

const RULE: &str = "private-path";

const FORBIDDEN: &[&str] = &[
    concat!("/wo", "rk/"),
    concat!("/fa", "rm/"),
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
    concat!("/Us", "ers/"),
    concat!("/tmp/", "spec"),
    concat!("pypi", ".org"),
    concat!("registry.", "npmjs"),
    concat!("deb.", "debian"),
    concat!("static.", "crates"),
    concat!("index.", "crates"),
];

/// One finding for each line that holds a forbidden word.
pub(super) fn check(path: &str, text: &str) -> Vec<Finding> {
    let offence = |line: &str| FORBIDDEN.iter().find(|word| line.contains(**word));
    text.lines()
        .enumerate()
        .filter_map(|(index, line)| {
            let word = offence(line)?;
            let message = format!("`{word}` names a place outside of the project");
            Some(Finding { path: path.to_owned(), line: index + 1, rule: RULE, message })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_path_is_found_with_its_line() {
        let text = format!("one\nsee {}x\n", FORBIDDEN[0]);
        let findings = check("a.md", &text);
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].line, 2);
        assert!(check("a.md", "docs/architecture.md and /etc/redis\n").is_empty());
    }
}
