//! The configuration file: one directive a line, `#` comments, quoted words, `include`.

use std::fs;

use redkeep_resp::inline::split_words;

use super::{Settings, accepted, table};

const MAX_INCLUDE_DEPTH: usize = 16;

/// A line of the configuration that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "\n*** FATAL CONFIG FILE ERROR (Redkeep {version}) ***\nReading the configuration file, at line {line}\n>>> '{text}'\n{reason}",
    version = env!("CARGO_PKG_VERSION")
)]
pub struct ConfigError {
    /// Number of the line, from 1.
    pub line: usize,
    /// The line itself.
    pub text: String,
    /// What is wrong with it.
    pub reason: String,
}

/// Splits one line into words, or `None` where its quotes are unbalanced.
pub fn split_arguments(line: &str) -> Option<Vec<String>> {
    let words = split_words(line.as_bytes()).ok()?;
    Some(words.into_iter().map(|word| String::from_utf8_lossy(&word).into_owned()).collect())
}

/// Applies the lines of a configuration to `settings`. Later lines win, except that the first `save`
/// line replaces the defaults and the following ones add to it, as in Redis.
///
/// ```
/// use redkeep_server::config::{Settings, parse_lines};
/// let mut settings = Settings::default();
/// parse_lines(&mut settings, "port 7000 \nmaxmemory 100mb\n").unwrap();
/// assert_eq!((settings.port, settings.maxmemory), (7000, 100 << 20));
/// assert!(parse_lines(&mut settings, "prot 7000").is_err());
/// ```
///
/// # Errors
/// The first line that cannot be used, and why.
pub fn parse_lines(settings: &mut Settings, text: &str) -> Result<(), ConfigError> {
    let mut saw_save = false;
    parse_nested(settings, text, 0, &mut saw_save)?;
    settings.derive();
    Ok(())
}

fn parse_nested(
    settings: &mut Settings,
    text: &str,
    depth: usize,
    saw_save: &mut bool,
) -> Result<(), ConfigError> {
    for (i, line) in text.lines().enumerate() {
        let trimmed = line.trim_matches([' ', '\t', '\r', '\n']);
        if trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        let error =
            |reason: &str| ConfigError { line: i + 1, text: trimmed.to_owned(), reason: reason.to_owned() };
        let words =
            split_arguments(trimmed).ok_or_else(|| error("Unbalanced quotes in configuration line"))?;
        let Some((name, values)) = words.split_first() else { continue };
        let name = name.to_ascii_lowercase();
        if name == "include" && values.len() == 1 {
            if depth == MAX_INCLUDE_DEPTH {
                return Err(error("includes are nested too deeply"));
            }
            let included = fs::read_to_string(&values[0])
                .map_err(|e| error(&format!("Fatal error, can't open config file '{}': {e}", values[0])))?;
            parse_nested(settings, &included, depth + 1, saw_save)?;
            continue;
        }
        apply(settings, &name, values, saw_save).map_err(|reason| error(&reason))?;
    }
    Ok(())
}

fn apply(settings: &mut Settings, name: &str, values: &[String], saw_save: &mut bool) -> Result<(), String> {
    const BAD: &str = "Bad directive or wrong number of arguments";
    if let Some(directive) = table::find(name) {
        if !directive.kind.takes(values.len()) {
            return Err(BAD.into());
        }
        // `save "3600 1"` is the same as `save 3600 1`, as it is in CONFIG SET.
        let split = match values {
            [value] => directive.kind.words_of(value),
            _ => values.to_vec(),
        };
        let words: Vec<&str> = split.iter().map(String::as_str).collect();
        if directive.name == "save" {
            let earlier = std::mem::take(&mut settings.save);
            directive.kind.set(settings, &words)?;
            let replaces = !std::mem::replace(saw_save, true) || settings.save.is_empty();
            if !replaces {
                let added = std::mem::replace(&mut settings.save, earlier);
                settings.save.extend(added);
            }
            return Ok(());
        }
        return directive.kind.set(settings, &words);
    }
    if accepted::is_accepted(name) && !values.is_empty() {
        settings.accepted.insert(name.to_owned(), values.join(" "));
        return Ok(());
    }
    Err(BAD.into())
}
