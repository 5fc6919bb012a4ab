//! What a server or sentinel reads before it starts: its file, standard input, its options, in this order.

use crate::options::Options;
use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

/// The configuration of a process that is about to start.
#[derive(Debug)]
pub(crate) struct Launch {
    /// The configuration file, as an absolute path, for it is rewritten later.
    pub(crate) file: Option<PathBuf>,
    /// Everything that was read, as the lines of one file.
    pub(crate) text: String,
}

impl Launch {
    /// Reads what the options ask for. `stdin` is read only if they do.
    ///
    /// # Errors
    /// When the file or standard input cannot be read.
    pub(crate) fn read(options: &Options, mut stdin: impl Read) -> Result<Self, LaunchError> {
        let mut launch = Launch { file: None, text: String::new() };
        if let Some(file) = &options.file {
            launch.push_file(file).map_err(|error| LaunchError(file.clone(), error))?;
        }
        if options.stdin {
            tracing::warn!("Reading config from stdin");
            let mut text = String::new();
            stdin.read_to_string(&mut text).map_err(|error| LaunchError("-".into(), error))?;
            launch.push(&text);
        }
        launch.push(&options.lines);
        Ok(launch)
    }

    fn push_file(&mut self, file: &Path) -> io::Result<()> {
        // Values may hold any bytes only in quotes and escaped, so what is no UTF-8 is in comments.
        let text = fs::read(file)?;
        self.push(&String::from_utf8_lossy(&text));
        self.file = Some(std::path::absolute(file)?);
        Ok(())
    }

    fn push(&mut self, text: &str) {
        self.text.push_str(text);
        if !text.is_empty() && !text.ends_with('\n') {
            self.text.push('\n');
        }
    }
}

/// A part of the configuration that cannot be read, in the words of Redis.
#[derive(Debug, thiserror::Error)]
#[error("Fatal error, can't open config file '{}': {}", .0.display(), .1)]
pub(crate) struct LaunchError(PathBuf, io::Error);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_come_after_the_file_and_standard_input() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("a.conf");
        fs::write(&file, b"# caf\xe9\nport 1").expect("written");
        let options = Options { file: Some(file.clone()), stdin: true, lines: "port \"3\" ".to_owned() };
        let launch = Launch::read(&options, &b"port 2"[..]).expect("readable");
        assert_eq!(launch.text, "# caf\u{fffd}\nport 1\nport 2\nport \"3\" \n");
        assert_eq!(launch.file, Some(file));
    }

    #[test]
    fn a_file_that_is_not_there() {
        let options = Options { file: Some("/nonexistent.conf".into()), ..Options::default() };
        let error = Launch::read(&options, io::empty()).expect_err("no file").to_string();
        let expected = "Fatal error, can't open config file '/nonexistent.conf': No such file or directory";
        assert!(error.starts_with(expected), "{error}");
    }
}
