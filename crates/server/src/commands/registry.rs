//! All commands, found by name.

use std::sync::OnceLock;

use hashbrown::HashMap;

use super::{CommandSpec, FAMILIES, Handler, KeyedHandler, Keys};

/// A command or subcommand with its number among all, which indexes statistics.
pub struct Command {
    /// Its table entry.
    pub spec: &'static CommandSpec,
    /// The full name: `get`, `client|list`.
    pub full_name: &'static str,
    /// Its number.
    pub id: usize,
    /// The position of its key and its handler, if it has exactly one key at a fixed place.
    pub single_key: Option<(usize, KeyedHandler)>,
    /// Its subcommands.
    pub subcommands: Vec<&'static Command>,
}

/// Names of letters only, up to this length, are compared as integers.
const SHORT: usize = 8;

/// Slots of the table of short names: a power of two, many times the number of commands.
const SLOTS: usize = 1 << 11;

struct Registry {
    commands: Vec<&'static Command>,
    by_id: Vec<&'static Command>,
    short: Box<[(u64, Option<&'static Command>); SLOTS]>,
    long: HashMap<Vec<u8>, &'static Command, foldhash::fast::FixedState>,
}

#[inline]
fn registry() -> &'static Registry {
    static REGISTRY: OnceLock<Registry> = OnceLock::new();
    REGISTRY.get_or_init(Registry::build)
}

impl Registry {
    // The registry lives as long as the process and is shared by all servers in it: its leak is its storage.
    fn build() -> Self {
        let mut by_id: Vec<&'static Command> = Vec::new();
        let mut commands = Vec::new();
        for spec in FAMILIES.iter().copied().flatten() {
            let mut subcommands = Vec::new();
            for sub in spec.subcommands {
                let full_name = format!("{}|{}", spec.name, sub.name).leak();
                let command = Command::leak(sub, full_name, by_id.len(), Vec::new());
                by_id.push(command);
                subcommands.push(command);
            }
            let command = Command::leak(spec, spec.name, by_id.len(), subcommands);
            by_id.push(command);
            commands.push(command);
        }
        let mut short = Box::new([(0, None); SLOTS]);
        for command in &commands {
            if let Some(packed) = packed(command.full_name.as_bytes()) {
                let slot =
                    (slot_of(packed)..).find(|slot| short[slot % SLOTS].1.is_none()).unwrap_or_default();
                short[slot % SLOTS] = (packed, Some(*command));
            }
        }
        let long = commands.iter().map(|c| (c.full_name.as_bytes().to_vec(), *c)).collect();
        Registry { commands, by_id, short, long }
    }
}

/// A short name as an integer, in upper case. Names with equal numbers are equal but for case, since a letter is the only
/// thing that becomes a letter by the loss of that bit.
#[inline]
fn packed(name: &[u8]) -> Option<u64> {
    let word = match *name {
        [] => 0,
        [a] => u64::from(a),
        [a, b] => u64::from_le_bytes([a, b, 0, 0, 0, 0, 0, 0]),
        [a, b, c] => u64::from_le_bytes([a, b, c, 0, 0, 0, 0, 0]),
        // A copy of unknown length would be a call. Where two of known length overlap they agree.
        [.., _, _, _, _] if name.len() <= SHORT => {
            let (low, high) = (name.first_chunk()?, name.last_chunk()?);
            let high_at = 8 * (name.len() - size_of::<u32>());
            u64::from(u32::from_le_bytes(*low)) | u64::from(u32::from_le_bytes(*high)) << high_at
        }
        _ => return None,
    };
    Some(word & u64::from_le_bytes([0xdf; SHORT]))
}

#[inline]
fn slot_of(packed: u64) -> usize {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    (packed.wrapping_mul(ODD) >> (64 - SLOTS.trailing_zeros())) as usize
}

/// The command of this name, in any case.
#[inline(always)] // For each request, and from few places.
pub fn find(name: &[u8]) -> Option<&'static Command> {
    let Some(packed) = packed(name) else { return find_long(name) };
    let short = &registry().short;
    let mut slot = slot_of(packed);
    loop {
        let (key, command) = short[slot % SLOTS];
        if key == packed {
            return command.filter(|command| command.full_name.len() == name.len());
        }
        command?;
        slot += 1;
    }
}

#[cold]
fn find_long(name: &[u8]) -> Option<&'static Command> {
    registry().long.get(&name.to_ascii_lowercase()).copied()
}

impl Command {
    fn leak(
        spec: &'static CommandSpec,
        full_name: &'static str,
        id: usize,
        subcommands: Vec<&'static Command>,
    ) -> &'static Command {
        let single_key = match (spec.keys, spec.handler) {
            (Keys::At([key]), Handler::Keyed(handler)) if key.last == key.first as i16 => {
                Some((key.first as usize, handler))
            }
            _ => None,
        };
        Box::leak(Box::new(Command { spec, full_name, id, single_key, subcommands }))
    }

    /// The subcommand of this name, in any case.
    pub fn subcommand(&self, name: &[u8]) -> Option<&'static Command> {
        self.subcommands.iter().copied().find(|sub| sub.spec.name.as_bytes().eq_ignore_ascii_case(name))
    }
}

/// Every command, in the order of the families.
pub fn all() -> &'static [&'static Command] {
    &registry().commands
}

/// The command or subcommand of this number.
pub fn by_id(id: usize) -> &'static Command {
    registry().by_id[id]
}

/// How many commands and subcommands there are.
pub fn count() -> usize {
    registry().by_id.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_found_in_any_case() {
        for command in all() {
            let name = command.spec.name;
            assert!(std::ptr::eq(find(name.as_bytes()).unwrap(), *command), "{name}");
            assert!(std::ptr::eq(find(name.to_uppercase().as_bytes()).unwrap(), *command), "{name}");
        }
        for unknown in [&b""[..], b"\x07et", b"get ", b"get\0", b"ge", b"nosuchcommand"] {
            assert!(find(unknown).is_none(), "{unknown:?}");
        }
    }

    #[test]
    fn every_entry_is_whole() {
        for command in (0..count()).map(by_id) {
            let spec = command.spec;
            assert!(!spec.summary.is_empty(), "{} has no summary", command.full_name);
            assert_ne!(spec.arity, 0, "{} has no arity", command.full_name);
            assert_eq!(spec.name, spec.name.to_lowercase());
            let is_container = matches!(spec.handler, super::super::Handler::Container);
            // COMMAND is both: alone it lists everything.
            assert!(!is_container || !spec.subcommands.is_empty(), "{}", command.full_name);
        }
    }
}
