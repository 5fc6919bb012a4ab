//! Configuration: one table of directives, from which the file parser, `CONFIG GET`, `CONFIG SET` and
//! `CONFIG REWRITE` all work.
//!
//! [`Settings`] are the typed values. [`table::DIRECTIVES`] says, for each directive, its name, kind, default, and
//! whether it can change at run time. Directives that other systems know and that have no meaning here are
//! [`accepted`], kept as text and shown again, and listed as such.

pub mod accepted;
mod file;
mod kind;
mod rewrite;
mod settings;
pub mod table;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

pub use file::{ConfigError, parse_lines, split_arguments};
pub use kind::{Kind, parse_memory};
pub use settings::{OutputLimit, OutputLimits, SavePoint, Settings};

/// The configuration of a running server: the current [`Settings`], and the file they came from.
///
/// Readers keep an `Arc<Settings>` and look at [`Config::version`] to see whether theirs is the current one.
pub struct Config {
    version: AtomicU64,
    current: Mutex<Arc<Settings>>,
    file: Option<PathBuf>,
}

/// Why `CONFIG SET` was refused.
#[derive(Debug, PartialEq, Eq)]
pub enum SetError {
    /// No such directive.
    Unknown(String),
    /// It cannot change while the server runs.
    Immutable(String),
    /// The same directive was given twice in one call.
    Duplicate(String),
    /// The value does not fit.
    Invalid {
        /// The directive.
        name: String,
        /// What is wrong with the value.
        reason: String,
    },
}

impl Config {
    /// `file` is where `CONFIG REWRITE` writes to.
    pub fn new(settings: Settings, file: Option<PathBuf>) -> Self {
        Config { version: AtomicU64::new(1), current: Mutex::new(Arc::new(settings)), file }
    }

    /// Changes whenever the settings do.
    #[inline]
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// The settings now.
    pub fn settings(&self) -> Arc<Settings> {
        self.current.lock().clone()
    }

    /// The configuration file, if the server was started with one.
    pub fn file(&self) -> Option<&PathBuf> {
        self.file.as_ref()
    }

    /// Changes settings by code rather than by text.
    pub fn update(&self, change: impl FnOnce(&mut Settings)) {
        let mut current = self.current.lock();
        let mut settings = Settings::clone(&current);
        change(&mut settings);
        settings.derive();
        *current = Arc::new(settings);
        self.version.fetch_add(1, Ordering::Release);
    }

    /// `CONFIG SET`: all of the pairs or none. Returns the settings before and after.
    ///
    /// # Errors
    /// See [`SetError`]; nothing has changed then.
    pub fn set(&self, pairs: &[(String, String)]) -> Result<(Arc<Settings>, Arc<Settings>), SetError> {
        let mut current = self.current.lock();
        let mut settings = Settings::clone(&current);
        for (i, (name, value)) in pairs.iter().enumerate() {
            let name = name.to_ascii_lowercase();
            if pairs[..i].iter().any(|(earlier, _)| earlier.eq_ignore_ascii_case(&name)) {
                return Err(SetError::Duplicate(name));
            }
            if let Some(directive) = table::find(&name) {
                if !directive.mutable {
                    return Err(SetError::Immutable(name));
                }
                let words = directive.kind.words_of(value);
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                directive
                    .kind
                    .set(&mut settings, &words)
                    .map_err(|reason| SetError::Invalid { name, reason })?;
            } else if accepted::is_accepted(&name) {
                settings.accepted.insert(name, value.clone());
            } else {
                return Err(SetError::Unknown(name));
            }
        }
        settings.derive();
        let before = std::mem::replace(&mut *current, Arc::new(settings));
        self.version.fetch_add(1, Ordering::Release);
        Ok((before, current.clone()))
    }

    /// `CONFIG GET`: the directives whose names match any of the glob `patterns`, in order of name.
    pub fn get(&self, patterns: &[&[u8]]) -> BTreeMap<String, String> {
        let settings = self.settings();
        let wanted = |name: &str| {
            patterns.iter().any(|pattern| redkeep_resp::glob::matches_ignoring_case(pattern, name.as_bytes()))
        };
        let mut found = BTreeMap::new();
        for directive in table::DIRECTIVES {
            for name in std::iter::once(&directive.name).chain(directive.aliases) {
                if wanted(name) {
                    found.insert((*name).to_owned(), directive.kind.get(&settings));
                }
            }
        }
        for (name, value) in accepted::values(&settings) {
            if wanted(name) {
                found.insert(name.to_owned(), value.to_owned());
            }
        }
        found
    }

    /// `CONFIG REWRITE`: writes the settings back to the file, keeping its comments and order.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn rewrite(&self) -> std::io::Result<()> {
        let file = self.file.as_ref().ok_or_else(|| std::io::Error::other("no configuration file"))?;
        let old = std::fs::read_to_string(file)?;
        let new = rewrite::rewrite(&old, &self.settings());
        let temporary = file.with_extension(format!("rewrite-{}", std::process::id()));
        std::fs::write(&temporary, new)?;
        std::fs::File::open(&temporary)?.sync_all()?;
        std::fs::rename(&temporary, file)
    }
}

#[cfg(test)]
mod tests;
