//! HELP texts: one line for the form of a subcommand, and some below it.

use super::{Call, Outcome};

/// Writes the help of a container. The frame around the entries is Redis's.
pub(super) fn write(call: &mut Call<'_, '_>, name: &str, entries: &[(&str, &[&str])]) -> Outcome {
    let mut lines = vec![format!("{name} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:")];
    for (form, text) in entries {
        lines.push((*form).to_owned());
        lines.extend(text.iter().map(|line| format!("    {line}")));
    }
    lines.push("HELP".to_owned());
    lines.push("    Prints this help.".to_owned());
    call.reply.array(lines.len());
    lines.iter().for_each(|line| call.reply.simple(line));
    Outcome::Done
}
