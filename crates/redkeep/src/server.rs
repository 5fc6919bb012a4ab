//! A server as a process: from its arguments to its exit code.

use crate::{
    launch::Launch,
    logging::{self, Logging, Role},
    memory,
    options::Options,
    process::{self, Misconfigured, ProcessSettings},
    signals::{self, StopSignal, StopSignals},
};
use anyhow::{Context as _, Result};
use redkeep_resp::net::Address;
use redkeep_server::{
    Host, Server, ServerError,
    config::{Settings, accepted, parse_lines},
};
use std::{ffi::OsString, io};

/// Runs a server until it is told to stop. With `primary` it starts as a replica of that.
///
/// # Errors
/// When the configuration is wrong, or what it asks for cannot be had.
pub(crate) fn run(args: &[OsString], primary: Option<&Address>, logging: &Logging) -> Result<()> {
    let mut options = Options::parse(args);
    if let Some(Address::Tcp { host, port }) = primary {
        options.push_line(&["replicaof", host, &port.to_string()]);
    }
    let launch = Launch::read(&options, io::stdin())?;
    let mut settings = Settings::default();
    parse_lines(&mut settings, &launch.text).map_err(|error| Misconfigured(error.to_string()))?;
    let process_settings = process_settings(&settings);
    // Held until the end, which removes it.
    let _pidfile = process::enter(&process_settings, logging)?;
    memory::release_in_background();
    tracing::warn!("Configuration loaded");

    let port = settings.port;
    let host = Host { memory: memory::used, set_loglevel: Some(logging::set_level) };
    let mut builder = Server::builder(settings).host(host);
    if let Some(file) = launch.file {
        builder = builder.config_file(file);
    }
    let server = builder.start().map_err(|error| {
        if let ServerError::Listen { .. } = error {
            tracing::warn!("Failed listening on port {port} (tcp), aborting.");
        }
        // Its text names its cause already.
        anyhow::Error::msg(error.to_string())
    })?;
    let engine = server.engine().clone();
    logging.follow_role(move || if engine.replication.is_replica() { Role::Replica } else { Role::Primary });
    process::introduce(&process_settings, Role::Primary, server.port());
    tracing::info!("Ready to accept connections");

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("cannot start a runtime")?.block_on(until_stopped(&server))?;
    server.stop();
    tracing::warn!("Redkeep is now ready to exit, bye bye...");
    Ok(())
}

fn process_settings(settings: &Settings) -> ProcessSettings {
    ProcessSettings {
        daemonize: settings.daemonize,
        pidfile: settings.pidfile.clone(),
        logfile: settings.logfile.clone(),
        loglevel: settings.loglevel.to_owned(),
        dir: settings.dir.clone().into(),
        always_show_logo: accepted::values(settings).any(|pair| pair == ("always-show-logo", "yes")),
    }
}

/// Returns when the server is to end: by a client's SHUTDOWN, or by a signal after which it could save its
/// data. A second Ctrl-C does not wait for that.
async fn until_stopped(server: &Server) -> Result<()> {
    signals::ignore_hangup()?;
    let mut signals = StopSignals::listen().context("cannot listen to signals")?;
    loop {
        tokio::select! {
            () = server.stopped() => return Ok(()),
            _ = process::stop_requested(&mut signals) => {}
        }
        let impatience = async { while signals.next().await != StopSignal::Interrupt {} };
        tokio::select! {
            ended = server.shutdown() => match ended {
                Ok(()) => return Ok(()),
                Err(error) => tracing::warn!("Error trying to save the DB, can't exit: {error}"),
            },
            () = impatience => anyhow::bail!("You insist... exiting now."),
        }
    }
}
