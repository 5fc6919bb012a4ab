//! How a process is asked to stop.

use std::io;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What asked the process to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StopSignal {
    /// SIGINT, Ctrl-C.
    Interrupt,
    /// SIGTERM.
    Terminate,
}

impl StopSignal {
    /// The signal's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            StopSignal::Interrupt => "SIGINT",
            StopSignal::Terminate => "SIGTERM",
        }
    }
}

/// Lets the process outlive the terminal it was started from. Must be called on a tokio runtime.
///
/// # Errors
/// When the process cannot take signals.
pub(crate) fn ignore_hangup() -> io::Result<()> {
    // The signal does nothing once it is handled, and it stays handled when nobody listens any more.
    signal(SignalKind::hangup()).map(drop)
}

/// The requests to stop that reach this process; from the moment this exists they no longer end it.
pub(crate) struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
}

impl StopSignals {
    /// Starts to listen. Must be called on a tokio runtime.
    ///
    /// # Errors
    /// When the process cannot take signals.
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(StopSignals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for the next one. Dropping the future loses none.
    pub(crate) async fn next(&mut self) -> StopSignal {
        tokio::select! {
            _ = self.interrupt.recv() => StopSignal::Interrupt,
            _ = self.terminate.recv() => StopSignal::Terminate,
        }
    }
}
