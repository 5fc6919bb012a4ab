//! COMMAND: what this server can do, told from the command table itself.

use redkeep_resp::ReplyWriter;

use super::parse::text;
use super::{
    Args, Command, CommandResult, CommandSpec, Group, Handler, KeySpec, Keys, Outcome, OwnedArgs, Sessional,
    all, command, find, flag,
};
use crate::error::CommandError;

const ANYTIME: u32 = flag::LOADING | flag::STALE;

pub(super) const COMMAND: CommandSpec = CommandSpec {
    // Without a subcommand it lists everything, so it is a container and a command.
    handler: Handler::Sessional(command_all),
    ..command("command", -1, Group::Server)
        .flags(ANYTIME)
        .doc("2.8.13", "Returns detailed information about all commands.")
        .subcommands(&[
            command("count", 2, Group::Server)
                .flags(ANYTIME)
                .doc("2.8.13", "Returns a count of commands.")
                .sessional(command_count),
            command("info", -2, Group::Server)
                .flags(ANYTIME)
                .doc("2.8.13", "Returns information about one, multiple or all commands.")
                .sessional(command_info),
            command("docs", -2, Group::Server)
                .flags(ANYTIME)
                .doc("7.0.0", "Returns documentary information about one, multiple or all commands.")
                .sessional(command_docs),
            command("list", -2, Group::Server)
                .flags(ANYTIME)
                .doc("7.0.0", "Returns a list of command names.")
                .sessional(command_list),
            command("getkeys", -3, Group::Server)
                .flags(ANYTIME)
                .doc("2.8.13", "Extracts the key names from an arbitrary command.")
                .sessional(command_getkeys),
            command("help", 2, Group::Server)
                .flags(ANYTIME)
                .doc("5.0.0", "Returns helpful text about the different subcommands.")
                .sessional(command_help),
        ])
};

/// The reply to `<CONTAINER> HELP`, in Redis's layout.
pub(super) fn help(reply: &mut ReplyWriter<'_>, container: &str, lines: &[(&str, &str)]) {
    reply.array(1 + 2 * lines.len() + 2);
    reply.simple(&format!("{container} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"));
    for (usage, meaning) in lines {
        reply.simple(usage);
        reply.simple(&format!("    {meaning}"));
    }
    reply.simple("HELP");
    reply.simple("    Print this help.");
}

fn command_all(cx: &mut Sessional<'_>, args: Args<'_>) -> CommandResult {
    if args.len() > 1 {
        let word = text(args.get(1));
        return Err(CommandError::new(format!("ERR unknown subcommand '{word}'. Try COMMAND HELP.")));
    }
    cx.reply.array(all().len());
    all().iter().for_each(|command| write_info(&mut cx.reply, command));
    Ok(Outcome::Unchanged)
}

fn command_count(cx: &mut Sessional<'_>, _: Args<'_>) -> CommandResult {
    cx.reply.integer(all().len() as i64);
    Ok(Outcome::Unchanged)
}

/// `name` or `container|subcommand`.
fn named(name: &[u8]) -> Option<&'static Command> {
    match name.iter().position(|&byte| byte == b'|') {
        None => find(name),
        Some(bar) => find(&name[..bar])?.subcommand(&name[bar + 1..]),
    }
}

fn command_info(cx: &mut Sessional<'_>, args: Args<'_>) -> CommandResult {
    if args.len() == 2 {
        cx.reply.array(all().len());
        all().iter().for_each(|command| write_info(&mut cx.reply, command));
        return Ok(Outcome::Unchanged);
    }
    cx.reply.array(args.len() - 2);
    for name in args.from(2) {
        match named(name) {
            Some(command) => write_info(&mut cx.reply, command),
            None => cx.reply.null_array(),
        }
    }
    Ok(Outcome::Unchanged)
}

fn write_info(reply: &mut ReplyWriter<'_>, command: &Command) {
    let spec = command.spec;
    reply.array(10);
    reply.bulk_str(command.full_name);
    reply.integer(spec.arity.into());
    let flags: Vec<&str> =
        flag::NAMES.iter().filter(|(bit, _)| spec.flags & bit != 0).map(|(_, name)| *name).collect();
    reply.set(flags.len());
    flags.iter().for_each(|name| reply.simple(name));
    let (first, last, step) = key_positions(spec.keys);
    reply.integer(first);
    reply.integer(last);
    reply.integer(step);
    let categories = spec.categories();
    reply.set(categories.len());
    categories.iter().for_each(|name| reply.simple(&format!("@{name}")));
    reply.array(0);
    write_key_specs(reply, spec.keys);
    reply.array(command.subcommands.len());
    command.subcommands.iter().for_each(|sub| write_info(reply, sub));
}

fn key_positions(keys: Keys) -> (i64, i64, i64) {
    match keys {
        Keys::None => (0, 0, 0),
        Keys::At(specs) => {
            let first = specs.iter().map(|spec| spec.first).min().unwrap_or_default();
            let last = match specs {
                [one] => one.last.into(),
                // A range that ends at the last argument ends behind all others.
                several => several
                    .iter()
                    .map(|spec| i64::from(spec.last))
                    .max_by_key(|last| *last as u64)
                    .unwrap_or(0),
            };
            (first.into(), last, specs.first().map_or(0, |spec| spec.step.into()))
        }
        Keys::Counted { fixed: 0, .. } => (0, 0, 0),
        Keys::Counted { fixed, .. } => (fixed.into(), fixed.into(), 1),
    }
}

fn write_key_specs(reply: &mut ReplyWriter<'_>, keys: Keys) {
    match keys {
        Keys::None => reply.array(0),
        Keys::At(specs) => {
            reply.array(specs.len());
            specs.iter().for_each(|spec| write_range_spec(reply, spec));
        }
        Keys::Counted { fixed, count, usage } => {
            reply.array(1 + usize::from(fixed != 0));
            if fixed != 0 {
                let usage = super::KeyUse::OverwriteUpdate;
                write_range_spec(reply, &KeySpec { first: fixed, last: fixed as i16, step: 1, usage });
            }
            write_spec(
                reply,
                usage.flags(),
                count.into(),
                "keynum",
                &[("keynumidx", 0), ("firstkey", 1), ("keystep", 1)],
            );
        }
    }
}

fn write_range_spec(reply: &mut ReplyWriter<'_>, spec: &KeySpec) {
    // The last key counts from the first one, or from the end where it is negative.
    let last =
        if spec.last < 0 { i64::from(spec.last) } else { i64::from(spec.last) - i64::from(spec.first) };
    let find = [("lastkey", last), ("keystep", spec.step.into()), ("limit", 0)];
    write_spec(reply, spec.usage.flags(), spec.first.into(), "range", &find);
}

fn write_spec(reply: &mut ReplyWriter<'_>, flags: &[&str], index: i64, kind: &str, find: &[(&str, i64)]) {
    reply.map(3);
    reply.bulk_str("flags");
    reply.set(flags.len());
    flags.iter().for_each(|name| reply.simple(name));
    for (role, kind) in [("begin_search", "index"), ("find_keys", kind)] {
        reply.bulk_str(role);
        reply.map(2);
        reply.bulk_str("type");
        reply.bulk_str(kind);
        reply.bulk_str("spec");
        let fields = if role == "begin_search" { &[("index", index)][..] } else { find };
        reply.map(fields.len());
        for (name, value) in fields {
            reply.bulk_str(name);
            reply.integer(*value);
        }
    }
}

fn command_docs(cx: &mut Sessional<'_>, args: Args<'_>) -> CommandResult {
    let wanted: Vec<&Command> =
        if args.len() == 2 { all().to_vec() } else { args.from(2).filter_map(named).collect() };
    cx.reply.map(wanted.len());
    wanted.iter().for_each(|command| write_docs(&mut cx.reply, command));
    Ok(Outcome::Unchanged)
}

fn write_docs(reply: &mut ReplyWriter<'_>, command: &Command) {
    let spec = command.spec;
    reply.bulk_str(command.full_name);
    let group = match spec.group {
        Group::SortedSet => "sorted-set".to_owned(),
        group => format!("{group:?}").to_lowercase(),
    };
    reply.map(3 + usize::from(!command.subcommands.is_empty()));
    for (field, value) in [("summary", spec.summary), ("since", spec.since), ("group", &group)] {
        reply.bulk_str(field);
        reply.bulk_str(value);
    }
    if !command.subcommands.is_empty() {
        reply.bulk_str("subcommands");
        reply.map(command.subcommands.len());
        command.subcommands.iter().for_each(|sub| write_docs(reply, sub));
    }
}

fn command_list(cx: &mut Sessional<'_>, args: Args<'_>) -> CommandResult {
    let wanted: Box<dyn Fn(&Command) -> bool> = match args.len() {
        2 => Box::new(|_| true),
        5 if args.is(2, "filterby") => {
            let value = text(args.get(4)).to_lowercase();
            match text(args.get(3)).to_lowercase().as_str() {
                "module" => Box::new(|_| false),
                "aclcat" => Box::new(move |command| command.spec.categories().contains(&value.as_str())),
                "pattern" => Box::new(move |command| {
                    redkeep_resp::glob::matches(value.as_bytes(), command.full_name.as_bytes())
                }),
                _ => return Err(CommandError::SYNTAX),
            }
        }
        _ => return Err(CommandError::SYNTAX),
    };
    let mut names = Vec::new();
    for command in all() {
        names.extend(
            std::iter::once(command).chain(&command.subcommands).filter(|c| wanted(c)).map(|c| c.full_name),
        );
    }
    cx.reply.array(names.len());
    names.iter().for_each(|name| cx.reply.bulk_str(name));
    Ok(Outcome::Unchanged)
}

fn command_getkeys(cx: &mut Sessional<'_>, args: Args<'_>) -> CommandResult {
    let words: Vec<&[u8]> = args.from(2).collect();
    let inner = OwnedArgs::from_parts(&words);
    let inner = inner.as_args();
    let command =
        crate::dispatch::resolve(inner).ok_or(CommandError::new("ERR Invalid command specified"))?;
    if !command.spec.accepts(inner.len()) {
        return Err(CommandError::new("ERR Invalid number of arguments specified for command"));
    }
    let mut keys = Vec::new();
    let found = command.spec.for_each_key(inner, |i| keys.push(i));
    if matches!(command.spec.keys, Keys::None) {
        return Err(CommandError::new("ERR The command has no key arguments"));
    }
    if found.is_err() {
        return Err(CommandError::new("ERR Invalid arguments specified for command"));
    }
    cx.reply.array(keys.len());
    keys.iter().for_each(|&i| cx.reply.bulk(inner.get(i)));
    Ok(Outcome::Unchanged)
}

fn command_help(cx: &mut Sessional<'_>, _: Args<'_>) -> CommandResult {
    help(
        &mut cx.reply,
        "COMMAND",
        &[
            ("(no subcommand)", "Details of all commands."),
            ("COUNT", "The number of commands."),
            ("DOCS [<command-name> ...]", "Documentation of these commands, or of all."),
            ("GETKEYS <full-command>", "The keys of a whole command."),
            ("INFO [<command-name> ...]", "Details of these commands, or of all."),
            ("LIST [FILTERBY (MODULE|ACLCAT|PATTERN) <value>]", "Names of commands."),
        ],
    );
    Ok(Outcome::Unchanged)
}
