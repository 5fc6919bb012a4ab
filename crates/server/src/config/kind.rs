//! The kinds of directives: how a value is read, checked and shown, with Redis's error texts.

use super::settings::{OutputLimits, SavePoint, Settings};

/// Access to one field of [`Settings`].
pub struct Field<T: 'static> {
    pub(super) get: fn(&Settings) -> &T,
    pub(super) get_mut: fn(&mut Settings) -> &mut T,
}

/// What values a directive takes, and which field holds them.
pub enum Kind {
    /// `yes` or `no`.
    Bool(Field<bool>),
    /// A whole number between the bounds.
    Int(Field<i64>, i64, i64),
    /// Bytes, with the units `k kb m mb g gb`, between the bounds.
    Memory(Field<u64>, u64, u64),
    /// File permissions in octal.
    Octal(Field<u32>),
    /// One of these words.
    Enum(Field<&'static str>, &'static [&'static str]),
    /// Only this value is supported; the second text says why.
    Only(&'static str, &'static str),
    /// Any text.
    Text(Field<String>),
    /// Several words.
    Words(Field<Vec<String>>),
    /// Save points: pairs of seconds and changes, or `""`.
    Save,
    /// `client-output-buffer-limit`.
    OutputLimits,
    /// `replicaof`: host and port, or `no one`.
    ReplicaOf,
    /// `notify-keyspace-events`: a string of class letters.
    KeyspaceEvents,
}

impl Kind {
    /// Whether the value is one word, which may hold blanks.
    fn is_one_word(&self) -> bool {
        match self {
            Kind::Words(_) | Kind::Save | Kind::OutputLimits | Kind::ReplicaOf => false,
            Kind::Bool(_)
            | Kind::Int(..)
            | Kind::Memory(..)
            | Kind::Octal(_)
            | Kind::Enum(..)
            | Kind::Only(..)
            | Kind::Text(_)
            | Kind::KeyspaceEvents => true,
        }
    }

    /// Splits the value of a `CONFIG SET` into the words that a line of the file would have.
    pub fn words_of(&self, value: &str) -> Vec<String> {
        if self.is_one_word() {
            return vec![value.to_owned()];
        }
        value.split_ascii_whitespace().map(str::to_owned).collect()
    }

    /// Whether a line of the file may have this many values.
    pub fn takes(&self, words: usize) -> bool {
        match self {
            Kind::ReplicaOf => words == 2,
            kind => !kind.is_one_word() || words == 1,
        }
    }

    /// Sets the field from the words of a line.
    ///
    /// # Errors
    /// Redis's text for what is wrong.
    pub fn set(&self, settings: &mut Settings, words: &[&str]) -> Result<(), String> {
        let word = words.first().copied().unwrap_or_default();
        match self {
            Kind::Bool(field) => *(field.get_mut)(settings) = parse_bool(word)?,
            Kind::Int(field, min, max) => *(field.get_mut)(settings) = parse_int(word, *min, *max)?,
            Kind::Memory(field, min, max) => {
                *(field.get_mut)(settings) = parse_bounded_memory(word, *min, *max)?
            }
            Kind::Octal(field) => {
                let mode = u32::from_str_radix(word, 8).ok().filter(|mode| *mode <= 0o777);
                *(field.get_mut)(settings) = mode.ok_or("argument couldn't be parsed into an integer")?;
            }
            Kind::Enum(field, options) => {
                let found = options.iter().find(|option| option.eq_ignore_ascii_case(word));
                *(field.get_mut)(settings) = found.ok_or_else(|| {
                    format!("argument(s) must be one of the following: {}", options.join(", "))
                })?;
            }
            Kind::Only(value, reason) => {
                if !value.eq_ignore_ascii_case(word) {
                    return Err(format!("only '{value}' is supported: {reason}"));
                }
            }
            Kind::Text(field) => *(field.get_mut)(settings) = word.to_owned(),
            Kind::Words(field) => {
                *(field.get_mut)(settings) = words.iter().map(|w| (*w).to_owned()).collect()
            }
            Kind::Save => settings.set_save(words)?,
            Kind::OutputLimits => settings.output_limits.set(words)?,
            Kind::ReplicaOf => settings.replicaof = parse_replicaof(words)?,
            Kind::KeyspaceEvents => {
                settings.keyspace_events = crate::notify::parse_classes(word)
                    .ok_or("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.")?;
            }
        }
        Ok(())
    }

    /// The value as `CONFIG GET` shows it.
    pub fn get(&self, settings: &Settings) -> String {
        match self {
            Kind::Bool(field) => if *(field.get)(settings) { "yes" } else { "no" }.to_owned(),
            Kind::Int(field, ..) => (field.get)(settings).to_string(),
            Kind::Memory(field, ..) => (field.get)(settings).to_string(),
            Kind::Octal(field) => format!("{:o}", (field.get)(settings)),
            Kind::Enum(field, _) => (*(field.get)(settings)).to_owned(),
            Kind::Only(value, _) => (*value).to_owned(),
            Kind::Text(field) => (field.get)(settings).clone(),
            Kind::Words(field) => (field.get)(settings).join(" "),
            Kind::Save => SavePoint::show(&settings.save),
            Kind::OutputLimits => OutputLimits::show(&settings.output_limits),
            Kind::ReplicaOf => {
                settings.replicaof.as_ref().map(|(host, port)| format!("{host} {port}")).unwrap_or_default()
            }
            Kind::KeyspaceEvents => crate::notify::show_classes(settings.keyspace_events),
        }
    }
}

fn parse_bool(word: &str) -> Result<bool, String> {
    match word {
        w if w.eq_ignore_ascii_case("yes") => Ok(true),
        w if w.eq_ignore_ascii_case("no") => Ok(false),
        _ => Err("argument must be 'yes' or 'no'".into()),
    }
}

pub(super) fn parse_int(word: &str, min: i64, max: i64) -> Result<i64, String> {
    let n: i64 = word.parse().map_err(|_| "argument couldn't be parsed into an integer")?;
    if (min..=max).contains(&n) {
        Ok(n)
    } else {
        Err(format!("argument must be between {min} and {max} inclusive"))
    }
}

fn parse_bounded_memory(word: &str, min: u64, max: u64) -> Result<u64, String> {
    let n = parse_memory(word).ok_or("argument must be a memory value")?;
    if (min..=max).contains(&n) {
        Ok(n)
    } else {
        Err(format!("argument must be between {min} and {max} inclusive"))
    }
}

/// Bytes from `100`, `1k` (1000), `1kb` (1024), `1m`, `1mb`, `1g`, `1gb`, in any case.
pub fn parse_memory(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" => 1000,
        "kb" => 1 << 10,
        "m" => 1_000_000,
        "mb" => 1 << 20,
        "g" => 1_000_000_000,
        "gb" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

fn parse_replicaof(words: &[&str]) -> Result<Option<(String, u16)>, String> {
    match words {
        [] => Ok(None),
        [no, one] if no.eq_ignore_ascii_case("no") && one.eq_ignore_ascii_case("one") => Ok(None),
        [host, port] => match port.parse::<u16>() {
            Ok(port) if port != 0 => Ok(Some(((*host).to_owned(), port))),
            _ => Err("Invalid master port".into()),
        },
        _ => Err("wrong number of arguments".into()),
    }
}
