//! A sentinel as a process: from its arguments to its exit code.

use crate::{
    launch::Launch,
    logging::{Logging, Role},
    options::Options,
    process::{self, Misconfigured, ProcessSettings},
    signals::{self, StopSignals},
};
use anyhow::{Context as _, Result, bail};
use redkeep_sentinel::{
    Sentinel,
    config::{LogLevel, SentinelConfig},
};
use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
};

/// Runs a sentinel until it is told to stop.
///
/// # Errors
/// When the configuration is wrong, or what it asks for cannot be had.
pub(crate) fn run(args: &[OsString], logging: &Logging) -> Result<()> {
    logging.follow_role(|| Role::Sentinel);
    let launch = Launch::read(&Options::parse(args), io::stdin())?;
    let Some(file) = launch.file else {
        // Without one Redis's sentinel has nowhere to keep its state, and scripts count on being told.
        bail!("Sentinel needs config file on disk to save state. Exiting...");
    };
    let config = SentinelConfig::parse(&launch.text).map_err(|error| Misconfigured(error.to_string()))?;
    let process_settings = process_settings(&config);
    // Held until the end, which removes it.
    let _pidfile = process::enter(&process_settings, logging)?;
    tracing::warn!("Configuration loaded");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("cannot start a runtime")?.block_on(serve(config, &file, &process_settings))?;
    tracing::warn!("Sentinel is now ready to exit, bye bye...");
    Ok(())
}

async fn serve(config: SentinelConfig, file: &Path, process_settings: &ProcessSettings) -> Result<()> {
    signals::ignore_hangup()?;
    let mut signals = StopSignals::listen().context("cannot listen to signals")?;
    let port = config.port;
    let started = Sentinel::builder().config(config).config_file(file).start().await;
    // The error's text names its cause already.
    let sentinel = started.map_err(|error| anyhow::Error::msg(error.to_string()))?;
    process::introduce(process_settings, Role::Sentinel, sentinel.local_addr().map_or(port, |at| at.port()));
    tracing::warn!("Sentinel ID is {}", sentinel.id());
    tokio::select! {
        () = sentinel.stopped() => {}
        _ = process::stop_requested(&mut signals) => {}
    }
    sentinel.shutdown().await;
    Ok(())
}

fn process_settings(config: &SentinelConfig) -> ProcessSettings {
    let text =
        |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
    let loglevel = match config.loglevel {
        LogLevel::Debug => "debug",
        LogLevel::Verbose => "verbose",
        LogLevel::Notice => "notice",
        LogLevel::Warning => "warning",
    };
    ProcessSettings {
        daemonize: config.daemonize,
        pidfile: text(&config.pidfile),
        logfile: text(&config.logfile),
        loglevel: loglevel.to_owned(),
        dir: config.dir.clone().unwrap_or_default(),
        always_show_logo: false,
    }
}
