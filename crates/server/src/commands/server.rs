//! The server itself: INFO, CONFIG, SAVE, SHUTDOWN, TIME.

use super::parse::text;
use super::{
    Args, CommandResult, CommandSpec, Group, Outcome, Sessional, Suspension, command, flag, introspection,
};
use crate::config::SetError;
use crate::error::CommandError;
use crate::info;

const ANYTIME: u32 = flag::LOADING | flag::STALE;
const ADMIN: u32 = flag::ADMIN | flag::NOSCRIPT;

pub(super) const COMMANDS: &[CommandSpec] = &[
    command("info", -1, Group::Server)
        .flags(ANYTIME | flag::DANGEROUS)
        .doc("1.0.0", "Returns information and statistics about the server.")
        .sessional(info_command),
    command("time", 1, Group::Server)
        .flags(ANYTIME | flag::FAST)
        .doc("2.6.0", "Returns the server time.")
        .sessional(time),
    command("save", 1, Group::Server)
        .flags(ADMIN | flag::NO_MULTI)
        .doc("1.0.0", "Synchronously saves the database to disk.")
        .sessional(save),
    command("bgsave", -1, Group::Server)
        .flags(ADMIN)
        .doc("1.0.0", "Asynchronously saves the database to disk.")
        .sessional(bgsave),
    command("lastsave", 1, Group::Server)
        .flags(ANYTIME | flag::FAST | flag::ADMIN)
        .doc("1.0.0", "Returns the Unix timestamp of the last successful save to disk.")
        .sessional(lastsave),
    command("shutdown", -1, Group::Server)
        .flags(ADMIN | ANYTIME | flag::NO_MULTI | flag::ALLOW_BUSY)
        .doc("1.0.0", "Saves the database to disk and shuts down the server.")
        .sessional(shutdown),
    introspection::COMMAND,
    command("config", -2, Group::Server)
        .doc("2.0.0", "A container for server configuration commands.")
        .subcommands(&[
            command("get", -3, Group::Server)
                .flags(ADMIN | ANYTIME)
                .doc("2.0.0", "Returns the effective values of configuration parameters.")
                .sessional(config_get),
            command("set", -4, Group::Server)
                .flags(ADMIN | ANYTIME)
                .doc("2.0.0", "Sets configuration parameters in-flight.")
                .sessional(config_set),
            command("rewrite", 2, Group::Server)
                .flags(ADMIN | ANYTIME)
                .doc("2.8.0", "Persists the effective configuration to file.")
                .sessional(config_rewrite),
            command("resetstat", 2, Group::Server)
                .flags(ADMIN | ANYTIME)
                .doc("2.0.0", "Resets the server's statistics.")
                .sessional(config_resetstat),
            command("help", 2, Group::Server)
                .flags(ANYTIME)
                .doc("5.0.0", "Returns helpful text about the different subcommands.")
                .sessional(config_help),
        ]),
];

fn info_command(cx: &mut Sessional<'_>, args: Args<'_>) -> CommandResult {
    let sections: Vec<String> = args.from(1).map(|name| text(name).to_lowercase()).collect();
    let rendered = info::render(cx.engine, cx.settings, cx.hold, &sections);
    cx.reply.verbatim("txt", rendered.as_bytes());
    Ok(Outcome::Unchanged)
}

fn time(cx: &mut Sessional<'_>, _: Args<'_>) -> CommandResult {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    cx.reply.array(2);
    cx.reply.bulk_integer(now.as_secs() as i64);
    cx.reply.bulk_integer(now.subsec_micros().into());
    Ok(Outcome::Unchanged)
}

fn save(cx: &mut Sessional<'_>, _: Args<'_>) -> CommandResult {
    if cx.engine.persistence.is_saving() {
        return Err(CommandError::new("ERR Background save already in progress"));
    }
    Ok(Outcome::Suspend(Suspension::Save))
}

fn bgsave(cx: &mut Sessional<'_>, args: Args<'_>) -> CommandResult {
    let schedule = args.len() == 2 && args.is(1, "schedule");
    if args.len() > 1 && !schedule {
        return Err(CommandError::SYNTAX);
    }
    if cx.engine.persistence.is_saving() {
        if !schedule {
            return Err(CommandError::new("ERR Background save already in progress"));
        }
        cx.engine.persistence.schedule();
        cx.reply.simple("Background saving scheduled");
        return Ok(Outcome::Unchanged);
    }
    cx.engine.persistence.schedule();
    cx.reply.simple("Background saving started");
    Ok(Outcome::Unchanged)
}

fn lastsave(cx: &mut Sessional<'_>, _: Args<'_>) -> CommandResult {
    cx.reply.integer(cx.engine.persistence.last_save_seconds() as i64);
    Ok(Outcome::Unchanged)
}

fn shutdown(_: &mut Sessional<'_>, args: Args<'_>) -> CommandResult {
    let (mut save, mut now, mut force) = (None, false, false);
    for (i, word) in args.from(1).enumerate() {
        match text(word).to_lowercase().as_str() {
            "save" if save != Some(false) => save = Some(true),
            "nosave" if save != Some(true) => save = Some(false),
            "now" => now = true,
            "force" => force = true,
            "abort" if i == 0 && args.len() == 2 => {
                return Err(CommandError::new("ERR No shutdown in progress."));
            }
            _ => return Err(CommandError::SYNTAX),
        }
    }
    tracing::warn!("User requested shutdown...");
    Ok(Outcome::Suspend(Suspension::Shutdown { save, now, force }))
}

fn config_get(cx: &mut Sessional<'_>, args: Args<'_>) -> CommandResult {
    let patterns: Vec<&[u8]> = args.from(2).collect();
    let found = cx.engine.config.get(&patterns);
    cx.reply.map(found.len());
    for (name, value) in found {
        cx.reply.bulk_str(&name);
        cx.reply.bulk_str(&value);
    }
    Ok(Outcome::Unchanged)
}

fn config_set(cx: &mut Sessional<'_>, args: Args<'_>) -> CommandResult {
    if !args.len().is_multiple_of(2) {
        return Err(CommandError::wrong_arity("config|set"));
    }
    let words: Vec<String> = args.from(2).map(text).collect();
    let pairs: Vec<(String, String)> =
        words.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect();
    if let Some(folder) =
        pairs.iter().find(|(name, _)| name.eq_ignore_ascii_case("dir")).map(|(_, value)| value)
    {
        check_folder(folder)?;
    }
    let failed = |name: String, reason: &str| {
        CommandError::new(format!("ERR CONFIG SET failed (possibly related to argument '{name}') - {reason}"))
    };
    let (_, after) = cx.engine.config.set(&pairs).map_err(|error| match error {
        SetError::Unknown(name) => {
            CommandError::new(format!("ERR Unknown option or number of arguments for CONFIG SET - '{name}'"))
        }
        SetError::Immutable(name) => failed(name, "can't set immutable config"),
        SetError::Duplicate(name) => failed(name, "duplicate parameter"),
        SetError::Invalid { name, reason } => failed(name, &reason),
    })?;
    cx.engine.apply_settings(&after);
    cx.reply.ok();
    Ok(Outcome::Unchanged)
}

fn check_folder(folder: &str) -> Result<(), CommandError> {
    let problem = match std::fs::metadata(folder) {
        Ok(metadata) if metadata.is_dir() => return Ok(()),
        Ok(_) => "Not a directory".to_owned(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => "No such file or directory".to_owned(),
        Err(error) => error.to_string(),
    };
    Err(CommandError::new(format!("ERR CONFIG SET failed (possibly related to argument 'dir') - {problem}")))
}

fn config_rewrite(cx: &mut Sessional<'_>, _: Args<'_>) -> CommandResult {
    if cx.engine.config.file().is_none() {
        return Err(CommandError::new("ERR The server is running without a config file"));
    }
    match cx.engine.config.rewrite() {
        Ok(()) => cx.reply.ok(),
        Err(error) => return Err(CommandError::new(format!("ERR Rewriting config file: {error}"))),
    }
    Ok(Outcome::Unchanged)
}

fn config_resetstat(cx: &mut Sessional<'_>, _: Args<'_>) -> CommandResult {
    cx.engine.stats.reset();
    cx.reply.ok();
    Ok(Outcome::Unchanged)
}

fn config_help(cx: &mut Sessional<'_>, _: Args<'_>) -> CommandResult {
    introspection::help(
        &mut cx.reply,
        "CONFIG",
        &[
            ("GET <pattern> [<pattern> ...]", "The parameters that match, with their values."),
            ("RESETSTAT", "Set the counters of INFO back."),
            ("REWRITE", "Write the values of now to the configuration file."),
            ("SET <directive> <value> [<directive> <value> ...]", "Change parameters, all or none."),
        ],
    );
    Ok(Outcome::Unchanged)
}
