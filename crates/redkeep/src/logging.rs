//! The log, in Redis's own line format, since people and tools read it:
//! `<pid>:<role> <dd Mon yyyy hh:mm:ss.mmm> <level> <message>`.
//!
//! A line is formatted whole and written with one call, so nothing waits in a buffer and lines of several
//! threads do not mix. The file is opened for each line, as Redis does, so that it can be moved away at
//! any time. Other crates' events are shown only when they are errors.

mod line;

use line::LineFormat;
use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{
    Registry,
    filter::Targets,
    fmt::{self, MakeWriter},
    layer::SubscriberExt as _,
    reload,
};

/// What a line's role letter can say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Role {
    /// A process that is starting, or a command line tool.
    Child = b'C',
    /// A primary.
    Primary = b'M',
    /// A replica.
    Replica = b'S',
    /// A sentinel.
    Sentinel = b'X',
}

/// Says what the process is at the moment.
type RoleSource = dyn Fn() -> Role + Send + Sync;

/// What a process has told about its log since it started it.
#[derive(Default)]
struct Told {
    /// Where lines go; until it is told, to standard output.
    file: OnceLock<PathBuf>,
    /// What the process is; until it is told, it is starting.
    role: OnceLock<Box<RoleSource>>,
}

impl Told {
    fn role(&self) -> Role {
        self.role.get().map_or(Role::Child, |source| source())
    }
}

/// The level's filter, for the whole process as the log is.
static FILTER: OnceLock<reload::Handle<Targets, Registry>> = OnceLock::new();

/// The process's log.
pub(crate) struct Logging(Arc<Told>);

impl Logging {
    /// Sends the process's log to standard output. To be called once.
    pub(crate) fn start() -> Self {
        let (filter, handle) = reload::Layer::new(targets(LevelFilter::INFO));
        assert!(FILTER.set(handle).is_ok(), "the log is started once");
        let told = Arc::<Told>::default();
        let format = LineFormat::new(Arc::clone(&told));
        let lines = fmt::layer().event_format(format).with_writer(Output(Arc::clone(&told)));
        let subscriber = Registry::default().with(filter).with(lines);
        tracing::subscriber::set_global_default(subscriber).expect("the log is started once");
        Logging(told)
    }

    /// Sends the log to a file from now on. To be called once.
    ///
    /// # Errors
    /// When the file cannot be opened for appending. The log then stays where it was.
    pub(crate) fn set_file(&self, path: PathBuf) -> io::Result<()> {
        open(&path)?;
        self.0.file.set(path).expect("the log has one file");
        Ok(())
    }

    /// Asks `source` for the role of each line from now on. It must not log. To be called once.
    pub(crate) fn follow_role(&self, source: impl Fn() -> Role + Send + Sync + 'static) {
        assert!(self.0.role.set(Box::new(source)).is_ok(), "the role has one source");
    }
}

/// Changes what is logged. `loglevel` is a value of that directive; an unknown one changes nothing.
pub(crate) fn set_level(loglevel: &str) {
    if let (Some(filter), Some(level)) = (FILTER.get(), level_of(loglevel)) {
        // It fails only when the subscriber is gone, and then nothing is logged anyway.
        let _ = filter.reload(targets(level));
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

fn targets(level: LevelFilter) -> Targets {
    Targets::new().with_default(level.min(LevelFilter::ERROR)).with_target("redkeep", level)
}

/// Redis's four levels, and `nothing`.
fn level_of(loglevel: &str) -> Option<LevelFilter> {
    Some(match loglevel.to_ascii_lowercase().as_str() {
        "debug" => LevelFilter::TRACE,
        "verbose" => LevelFilter::DEBUG,
        "notice" => LevelFilter::INFO,
        "warning" => LevelFilter::WARN,
        "nothing" => LevelFilter::OFF,
        _ => return None,
    })
}

/// The file, once there is one, else standard output.
struct Output(Arc<Told>);

impl<'a> MakeWriter<'a> for Output {
    type Writer = Box<dyn Write>;

    fn make_writer(&'a self) -> Self::Writer {
        match self.0.file.get().map(|path| open(path)) {
            None => Box::new(io::stdout()),
            Some(Ok(file)) => Box::new(file),
            // The disk may be full or gone; a server does not stop for its log.
            Some(Err(_)) => Box::new(io::sink()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_redis_levels() {
        assert_eq!(level_of("debug"), Some(LevelFilter::TRACE));
        assert_eq!(level_of("VERBOSE"), Some(LevelFilter::DEBUG));
        assert_eq!(level_of("notice"), Some(LevelFilter::INFO));
        assert_eq!(level_of("warning"), Some(LevelFilter::WARN));
        assert_eq!(level_of("nothing"), Some(LevelFilter::OFF));
        assert_eq!(level_of("loud"), None);
    }

    #[test]
    fn other_crates_are_heard_only_in_trouble() {
        use tracing::Level;
        let notice = targets(LevelFilter::INFO);
        assert!(notice.would_enable("redkeep_server::net", &Level::INFO));
        assert!(!notice.would_enable("redkeep_server::net", &Level::DEBUG));
        assert!(!notice.would_enable("openraft::core", &Level::WARN));
        assert!(notice.would_enable("openraft::core", &Level::ERROR));
        assert!(!targets(LevelFilter::OFF).would_enable("openraft::core", &Level::ERROR));
    }
}
