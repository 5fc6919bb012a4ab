//! The programs that the tests run, and how they are found.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::OnceLock;

use crate::Process;

/// Names a binary to test instead of the one that cargo built.
const OVERRIDE: &str = "REDKEEP_BIN";

/// The root of the checkout.
pub fn source_root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are a folder of the workspace")
}

/// The `redkeep` that cargo built beside the tests.
///
/// # Panics
/// When there is none, or it is older than its source: cargo does not build it for the tests of another package.
pub fn redkeep() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        if let Some(path) = std::env::var_os(OVERRIDE) {
            return path.into();
        }
        let test = std::env::current_exe().expect("a program knows where it is");
        let profile = test.ancestors().nth(2).expect("tests are built into target/<profile>/deps");
        let binary = profile.join("redkeep");
        if let Some(reason) = why_not_current(&binary) {
            panic!("{}: {reason}; build it first: cargo build --package redkeep", binary.display());
        }
        binary
    })
}

fn why_not_current(binary: &Path) -> Option<String> {
    let modified = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified());
    let Ok(built) = modified(binary) else { return Some("it is not there".into()) };
    // Cargo lists beside each binary what it was made from.
    let list = fs::read_to_string(binary.with_extension("d")).unwrap_or_default();
    let (_, sources) = list.split_once(": ")?;
    let newer = |source: &&str| modified(Path::new(source)).is_ok_and(|changed| changed > built);
    sources.split_whitespace().find(newer).map(|source| format!("{source} is newer"))
}

/// Whether a program is installed; `"redis-py"` stands for Python with that module. Says so if not.
///
/// # Panics
/// When it is not there and this is CI (`CI` is set), where nothing may be left out.
pub fn has(program: &str) -> bool {
    let found = if program == "redis-py" {
        let import = Command::new("python3").args(["-c", "import redis"]).output();
        import.is_ok_and(|output| output.status.success())
    } else {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
    };
    let in_ci = std::env::var_os("CI").is_some_and(|value| !value.is_empty());
    assert!(found || !in_ci, "{program} is missing, and this is CI: `cargo xtask setup`");
    if !found {
        println!("skipped: {program} is not installed: `cargo xtask setup`");
    }
    found
}

/// Runs a command to its end, which must come within [`PATIENCE`](crate::PATIENCE). Returns what it printed, too.
#[track_caller]
pub fn run(command: &mut Command) -> (ExitStatus, String) {
    let dir = tempfile::tempdir().expect("there is a place for files");
    let mut process = Process::start(command, &dir.path().join("output"));
    let status = process.wait();
    (status, process.output())
}

/// What redis-cli prints, without the last newline. It prints as it does into a pipe: one line an element.
#[track_caller]
pub fn redis_cli(port: u16, args: &[&str]) -> String {
    let (_, printed) = run(Command::new("redis-cli").args(["-p", &port.to_string()]).args(args));
    printed.trim_end_matches('\n').to_owned()
}

/// A script of `tests/python` that runs beside the test. What it prints is in `output`.
pub fn python(script: &str, args: &[&str], output: &Path) -> Process {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("python").join(script);
    Process::start(Command::new("python3").arg("-u").arg(path).args(args), output)
}
