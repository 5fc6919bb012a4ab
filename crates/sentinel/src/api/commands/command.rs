//! COMMAND: what commands there are.

use redkeep_resp::glob;

use super::{Call, CommandSpec, Flag, Outcome, all, find, help};

pub(super) const COMMANDS: &[CommandSpec] = &[CommandSpec {
    arity: -1,
    handler: every,
    ..CommandSpec::container("command", "Return details about the commands", SUBCOMMANDS)
}];

const SUBCOMMANDS: &[CommandSpec] = &[
    CommandSpec::new("count", 2, &[], "Return the number of commands", count),
    CommandSpec::new("list", -2, &[], "Return the names of the commands", list),
    CommandSpec::new("info", -2, &[], "Return details about some commands", info),
    CommandSpec::new("docs", -2, &[], "Return the documentation of some commands", docs),
    CommandSpec::new("getkeys", -3, &[], "Return the keys of a request", get_keys),
    CommandSpec::new("help", 2, &[], "Show help", help_text),
];

fn help_text(call: &mut Call<'_, '_>) -> Outcome {
    help::write(
        call,
        "COMMAND",
        &[
            ("(no subcommand)", &["Return details about all commands."]),
            ("COUNT", &["Return the total number of commands in this server."]),
            ("LIST", &["Return a list of all commands in this server."]),
            ("INFO [<command-name> ...]", &["Return details about multiple commands."]),
            ("DOCS [<command-name> ...]", &["Return documentation details about multiple commands."]),
            ("GETKEYS <full-command>", &["Return the keys from a full command."]),
        ],
    )
}

fn count(call: &mut Call<'_, '_>) -> Outcome {
    call.reply.integer(i64::try_from(all().count()).unwrap_or(i64::MAX));
    Outcome::Done
}

fn list(call: &mut Call<'_, '_>) -> Outcome {
    let wanted: Box<dyn Fn(&str) -> bool> = match call.args {
        [_, _] => Box::new(|_| true),
        [_, _, filter, by, what] if filter.eq_ignore_ascii_case(b"FILTERBY") => {
            match by.to_ascii_lowercase().as_slice() {
                b"pattern" => Box::new(|name| glob::matches_ignoring_case(what, name.as_bytes())),
                // No modules, and no categories beyond those that COMMAND INFO shows.
                b"module" | b"aclcat" => Box::new(|_| false),
                _ => return call.syntax_error(),
            }
        }
        _ => return call.syntax_error(),
    };
    let mut names = Vec::new();
    for spec in all() {
        names.push(spec.name.to_owned());
        names.extend(spec.subcommands.iter().map(|inner| format!("{}|{}", spec.name, inner.name)));
    }
    names.retain(|name| wanted(name));
    call.reply.array(names.len());
    names.iter().for_each(|name| call.reply.bulk_str(name));
    Outcome::Done
}

fn every(call: &mut Call<'_, '_>) -> Outcome {
    call.reply.array(all().count());
    all().for_each(|spec| describe(call, spec, None));
    Outcome::Done
}

fn info(call: &mut Call<'_, '_>) -> Outcome {
    let names = &call.args[2..];
    if names.is_empty() {
        return every(call);
    }
    call.reply.array(names.len());
    for name in names {
        match find_full(name) {
            Some((spec, outer)) => describe(call, spec, outer),
            None => call.reply.null_array(),
        }
    }
    Outcome::Done
}

/// A command, or a subcommand written `command|subcommand`.
fn find_full(name: &[u8]) -> Option<(&'static CommandSpec, Option<&'static str>)> {
    let mut parts = name.splitn(2, |byte| *byte == b'|');
    let outer = find(parts.next()?)?;
    match parts.next() {
        None => Some((outer, None)),
        Some(inner) => {
            let named = |spec: &&CommandSpec| inner.eq_ignore_ascii_case(spec.name.as_bytes());
            Some((outer.subcommands.iter().find(named)?, Some(outer.name)))
        }
    }
}

fn full_name(spec: &CommandSpec, outer: Option<&str>) -> String {
    outer.map_or_else(|| spec.name.to_owned(), |outer| format!("{outer}|{}", spec.name))
}

fn describe(call: &mut Call<'_, '_>, spec: &CommandSpec, outer: Option<&str>) {
    let reply = &mut call.reply;
    reply.array(10);
    reply.bulk_str(&full_name(spec, outer));
    reply.integer(i64::from(spec.arity));
    let words: Vec<&str> = spec.flags.iter().filter_map(|flag| flag.word()).collect();
    reply.set(words.len());
    words.iter().for_each(|word| reply.simple(word));
    // First key, last key, step: no command of a sentinel has keys.
    (0..3).for_each(|_| reply.integer(0));
    let categories = spec.categories();
    reply.set(categories.len());
    categories.iter().for_each(|category| reply.simple(category));
    reply.array(0);
    reply.array(0);
    reply.array(spec.subcommands.len());
    spec.subcommands.iter().for_each(|inner| describe(call, inner, Some(spec.name)));
}

fn docs(call: &mut Call<'_, '_>) -> Outcome {
    let names = &call.args[2..];
    let wanted: Vec<_> = if names.is_empty() {
        all().map(|spec| (spec, None)).collect()
    } else {
        names.iter().filter_map(|name| find_full(name)).collect()
    };
    call.reply.map(wanted.len());
    wanted.into_iter().for_each(|(spec, outer)| document(call, spec, outer));
    Outcome::Done
}

fn document(call: &mut Call<'_, '_>, spec: &CommandSpec, outer: Option<&str>) {
    let group = if spec.has(Flag::PubSub) { "pubsub" } else { "server" };
    call.reply.bulk_str(&full_name(spec, outer));
    call.reply.map(if spec.subcommands.is_empty() { 2 } else { 3 });
    for (field, value) in [("summary", spec.summary), ("group", group)] {
        call.reply.bulk_str(field);
        call.reply.bulk_str(value);
    }
    if !spec.subcommands.is_empty() {
        call.reply.bulk_str("subcommands");
        call.reply.map(spec.subcommands.len());
        spec.subcommands.iter().for_each(|inner| document(call, inner, Some(spec.name)));
    }
}

fn get_keys(call: &mut Call<'_, '_>) -> Outcome {
    match find(call.args[2]) {
        None => call.error("ERR Invalid command specified"),
        Some(_) => call.error("ERR The command has no key arguments"),
    }
}
