//! Sizes that a reader can hold in mind, and the essay at the head of each module.

use super::Finding;
use super::rust_source::RustSource;

/// Longest file, in lines, not counting its own `#[cfg(test)]` module.
const MAX_FILE_LINES: usize = 800;
/// Longest function, in lines, from `fn` to its closing brace.
const MAX_FUNCTION_LINES: usize = 70;

/// Findings on length and on the module's opening.
pub(super) fn check(path: &str, source: &RustSource) -> Vec<Finding> {
    let finding = |line, rule, message| Finding { path: path.to_owned(), line, rule, message };
    let mut findings = Vec::new();
    // A `tests.rs` is part of the module beside it, and that one has the essay.
    if !path.ends_with("/tests.rs") && !opens_with_doc(source.text()) {
        findings.push(finding(
            1,
            "module-doc",
            "a module opens with `//!`: the problem, the answer, the invariants".into(),
        ));
    }
    let lines = source.lines_without_tests();
    if !is_test_file(path) && lines > MAX_FILE_LINES {
        let message = format!(
            "{lines} lines without tests, {MAX_FILE_LINES} at most: which part is a room of its own?"
        );
        findings.push(finding(1, "file-length", message));
    }
    for function in source.functions() {
        if function.lines > MAX_FUNCTION_LINES {
            let message =
                format!("`{}` has {} lines, {MAX_FUNCTION_LINES} at most", function.name, function.lines);
            findings.push(finding(function.line, "function-length", message));
        }
    }
    findings
}

/// Inner attributes (`#![allow(unsafe_code)]`) may stand before the doc.
fn opens_with_doc(text: &str) -> bool {
    let first = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with("#!["));
    first.is_some_and(|line| line.starts_with("//!"))
}

fn is_test_file(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.split('/').any(|part| part == "tests")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(path: &str, text: &str) -> Vec<&'static str> {
        check(path, &RustSource::new(text)).iter().map(|finding| finding.rule).collect()
    }

    #[test]
    fn a_module_without_doc_is_found() {
        assert_eq!(rules("a.rs", "fn main() {}\n"), ["module-doc"]);
        assert!(rules("a.rs", "#![allow(unsafe_code)]\n//! Why.\n").is_empty());
    }

    #[test]
    fn long_files_and_functions_are_found() {
        let filler = "    call();\n".repeat(MAX_FUNCTION_LINES - 1);
        assert_eq!(rules("a.rs", &format!("//! A.\nfn long() {{\n{filler}}}\n")), ["function-length"]);
        let fitting = "    call();\n".repeat(MAX_FUNCTION_LINES - 2);
        assert!(rules("a.rs", &format!("//! A.\nfn fits() {{\n{fitting}}}\n")).is_empty());
        let file = format!("//! A.\n{}", "const A: u8 = 1;\n".repeat(MAX_FILE_LINES));
        assert_eq!(rules("a.rs", &file), ["file-length"]);
        assert!(rules("crates/x/tests/all.rs", &file).is_empty());
    }
}
