//! What is wrong with a line.

/// A line of the configuration that cannot be followed. Displayed, it is what Redis prints before it exits with 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "\n*** FATAL CONFIG FILE ERROR (Redkeep {version}) ***\nReading the configuration file, at line {line}\n\
     >>> '{text}'\n{reason}",
    version = env!("CARGO_PKG_VERSION")
)]
pub struct ConfigError {
    /// The line's number, from 1.
    pub line: usize,
    /// The line.
    pub text: String,
    /// Redis's words for what is wrong.
    pub reason: String,
}
