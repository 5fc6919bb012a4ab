//! What a server and a sentinel have in common as processes: the log, the background, the pid file, the
//! lines with which they begin and end.

use crate::{
    cli,
    daemon::{self, DEFAULT_PID_FILE, PidFile},
    logging::{self, Logging, Role},
    memory,
    signals::{StopSignal, StopSignals},
};
use anyhow::{Context as _, Result};
use redkeep_resp::REDIS_VERSION;
use std::{
    ffi::OsString,
    io::{self, IsTerminal as _, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Runs a server or sentinel, `kind` of which is the command that it was started by, up to its exit code.
/// The questions that redis-server answers without running are answered here.
pub(crate) fn run(kind: &str, args: &[OsString], body: impl FnOnce(&Logging) -> Result<()>) -> ExitCode {
    match args.first().and_then(|first| first.to_str()) {
        Some("-v" | "--version") => return show(&version()),
        Some("-h" | "--help") => return show(&cli::help_for(kind)),
        _ => {}
    }
    match body(&Logging::start()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // What is wrong in a configuration is told in a form of its own, where a person looks for it.
            match error.downcast_ref::<Misconfigured>() {
                Some(error) => eprintln!("{error}"),
                None => tracing::warn!("{error:#}"),
            }
            ExitCode::FAILURE
        }
    }
}

/// A configuration that cannot be followed, with the text that says why.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Misconfigured(pub(crate) String);

fn show(text: &str) -> ExitCode {
    match writeln!(io::stdout(), "{}", text.trim_end()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// The version line of redis-server, which scripts take apart.
fn version() -> String {
    format!(
        "Redis server v={REDIS_VERSION} sha=00000000:0 malloc={} bits={} build=redkeep-{}",
        memory::ALLOCATOR_NAME,
        usize::BITS,
        env!("CARGO_PKG_VERSION")
    )
}

/// The directives that concern the process rather than the server in it.
#[derive(Debug, Default)]
pub(crate) struct ProcessSettings {
    pub(crate) daemonize: bool,
    pub(crate) pidfile: String,
    pub(crate) logfile: String,
    pub(crate) loglevel: String,
    /// The working directory, which a relative `logfile` starts from.
    pub(crate) dir: PathBuf,
    /// Whether the logo is shown where nobody looks, too.
    pub(crate) always_show_logo: bool,
}

/// Makes this process what the settings ask for. Returns what must be held until its end.
///
/// # Errors
/// When the log cannot be written, or there can be no process in the background.
pub(crate) fn enter(settings: &ProcessSettings, logging: &Logging) -> Result<Option<PidFile>> {
    logging::set_level(&settings.loglevel);
    if !settings.logfile.is_empty() {
        let path = std::path::absolute(settings.dir.join(&settings.logfile))?;
        logging.set_file(path).context("Can't open the log file")?;
    }
    if settings.daemonize {
        daemon::daemonize().context("cannot go to the background")?;
    }
    tracing::warn!("oO0OoO0OoO0Oo Redkeep is starting oO0OoO0OoO0Oo");
    tracing::warn!(
        "Redkeep version={}, bits={}, malloc={}, pid={}, just started",
        env!("CARGO_PKG_VERSION"),
        usize::BITS,
        memory::ALLOCATOR_NAME,
        std::process::id()
    );
    let pidfile = match (settings.pidfile.as_str(), settings.daemonize) {
        ("", false) => None,
        ("", true) => Some(DEFAULT_PID_FILE),
        (path, _) => Some(path),
    };
    Ok(pidfile.and_then(|path| PidFile::write(Path::new(path))))
}

const LOGO: &str = r"
            _ _
  _ _ ___ _| | |_____ ___ _ __
 | '_/ -_) _` | / / -_) -_) '_ \
 |_| \___\__,_|_\_\___\___| .__/
                          |_|";

/// Says what runs here. Scripts look for the port and the process id in the logo.
pub(crate) fn introduce(settings: &ProcessSettings, role: Role, port: u16) {
    let mode = if role == Role::Sentinel { "sentinel" } else { "standalone" };
    let watched = !settings.daemonize && settings.logfile.is_empty() && io::stdout().is_terminal();
    if settings.always_show_logo || watched {
        let (version, bits, pid) = (env!("CARGO_PKG_VERSION"), usize::BITS, std::process::id());
        tracing::info!(
            "{LOGO}\n Redkeep {version} {bits} bit\n Running in {mode} mode\n Port: {port}\n PID: {pid}\n"
        );
    } else {
        tracing::info!("Running mode={mode}, port={port}.");
    }
    tracing::warn!("Server initialized");
}

/// Waits until the process is asked to stop, and says so.
pub(crate) async fn stop_requested(signals: &mut StopSignals) -> StopSignal {
    let signal = signals.next().await;
    tracing::warn!("Received {} scheduling shutdown...", signal.name());
    signal
}
