//! CLIENT: who is connected.

use super::{Call, CommandSpec, Flag, Outcome, help};
use crate::api::session::Client;

pub(super) const COMMANDS: &[CommandSpec] =
    &[CommandSpec::container("client", "A container for client connection commands", SUBCOMMANDS)];

const SUBCOMMANDS: &[CommandSpec] = &[
    CommandSpec::new("id", 2, &[Flag::Fast], "Return the id of the connection", id),
    CommandSpec::new("getname", 2, &[Flag::Fast], "Return the name of the connection", get_name),
    CommandSpec::new("setname", 3, &[Flag::Fast], "Name the connection", set_name_command),
    CommandSpec::new("setinfo", 4, &[Flag::Fast], "Say which library the client uses", set_info),
    CommandSpec::new("list", -2, &[Flag::Admin], "List the connections", list),
    CommandSpec::new("info", 2, &[], "Describe the connection", info),
    CommandSpec::new("kill", -3, &[Flag::Admin], "Close connections", kill),
    CommandSpec::new("no-evict", 3, &[Flag::Admin], "Understood; a sentinel evicts nobody", on_off),
    CommandSpec::new("no-touch", 3, &[Flag::Fast], "Understood; a sentinel has no keys", on_off),
    CommandSpec::new("help", 2, &[], "Show help", help_text),
];

fn help_text(call: &mut Call<'_, '_>) -> Outcome {
    help::write(
        call,
        "CLIENT",
        &[
            ("GETNAME", &["Return the name of the current connection."]),
            ("ID", &["Return the ID of the current connection."]),
            ("INFO", &["Return information about the current client connection."]),
            ("KILL <ip:port>", &["Kill connection made from <ip:port>."]),
            (
                "KILL <option> <value> [<option> <value> [...]]",
                &["Options: ID, ADDR, LADDR, TYPE, USER, SKIPME."],
            ),
            ("LIST [TYPE (NORMAL|PUBSUB)|ID <id> [...]]", &["Return information about client connections."]),
            ("NO-EVICT (ON|OFF)", &["Understood; a sentinel evicts nobody."]),
            ("NO-TOUCH (ON|OFF)", &["Understood; a sentinel has no keys."]),
            ("SETINFO <option> <value>", &["Say which library the client uses."]),
            ("SETNAME <name>", &["Assign the name <name> to the current connection."]),
        ],
    )
}

fn id(call: &mut Call<'_, '_>) -> Outcome {
    call.reply.integer(i64::try_from(call.session.client.id).unwrap_or(i64::MAX));
    Outcome::Done
}

fn get_name(call: &mut Call<'_, '_>) -> Outcome {
    let name = call.session.client.shown.lock().name.clone();
    if name.is_empty() {
        call.reply.null();
    } else {
        call.reply.bulk_str(&name);
    }
    Outcome::Done
}

fn set_name_command(call: &mut Call<'_, '_>) -> Outcome {
    match set_name(call, call.args[2]) {
        Ok(()) => call.ok(),
        Err(error) => call.error(error),
    }
}

/// Names the connection; empty: it has no name any more.
pub(super) fn set_name(call: &mut Call<'_, '_>, name: &[u8]) -> Result<(), &'static str> {
    if !name.iter().all(|byte| (b'!'..=b'~').contains(byte)) {
        return Err("ERR Client names cannot contain spaces, newlines or special characters.");
    }
    call.session.client.shown.lock().name = String::from_utf8_lossy(name).into_owned();
    Ok(())
}

fn set_info(call: &mut Call<'_, '_>) -> Outcome {
    if call.is(2, "lib-name") || call.is(2, "lib-ver") {
        return call.ok();
    }
    let option = call.text(2);
    call.error(format!("ERR Unrecognized option '{option}'"))
}

fn on_off(call: &mut Call<'_, '_>) -> Outcome {
    if call.is(2, "on") || call.is(2, "off") { call.ok() } else { call.syntax_error() }
}

fn info(call: &mut Call<'_, '_>) -> Outcome {
    let line = call.session.client.line() + "\n";
    call.reply.verbatim("txt", line.as_bytes());
    Outcome::Done
}

fn list(call: &mut Call<'_, '_>) -> Outcome {
    let wanted: Box<dyn Fn(&Client) -> bool> = match call.args {
        [_, _] => Box::new(|_| true),
        [_, _, option, kind] if option.eq_ignore_ascii_case(b"TYPE") => match client_type(kind) {
            Some(kind) => Box::new(move |client| kind.holds(client)),
            None => {
                let kind = call.text(3);
                return call.error(format!("ERR Unknown client type '{kind}'"));
            }
        },
        [_, _, option, ids @ ..] if option.eq_ignore_ascii_case(b"ID") && !ids.is_empty() => {
            let ids: Option<Vec<i64>> = ids.iter().map(|id| redkeep_resp::parse_integer(id)).collect();
            let Some(ids) = ids else { return call.error("ERR Invalid client ID") };
            Box::new(move |client| ids.iter().any(|id| u64::try_from(*id) == Ok(client.id)))
        }
        _ => return call.syntax_error(),
    };
    let lines = call.api.clients.all().iter().filter(|client| wanted(client)).fold(
        String::new(),
        |mut lines, client| {
            lines.push_str(&client.line());
            lines.push('\n');
            lines
        },
    );
    call.reply.verbatim("txt", lines.as_bytes());
    Outcome::Done
}

#[derive(Clone, Copy)]
enum Type {
    Normal,
    PubSub,
    /// Links of replication, which a sentinel has none of.
    None,
}

impl Type {
    fn holds(self, client: &Client) -> bool {
        match self {
            Self::Normal => !client.is_subscriber(),
            Self::PubSub => client.is_subscriber(),
            Self::None => false,
        }
    }
}

fn client_type(word: &[u8]) -> Option<Type> {
    match word.to_ascii_lowercase().as_slice() {
        b"normal" => Some(Type::Normal),
        b"pubsub" => Some(Type::PubSub),
        b"master" | b"primary" | b"slave" | b"replica" => Some(Type::None),
        _ => None,
    }
}

type Filter = Box<dyn Fn(&Client) -> bool>;

fn kill(call: &mut Call<'_, '_>) -> Outcome {
    let me = call.session.client.id;
    let old_form = call.args.len() == 3;
    let mut filters: Vec<Filter> = Vec::new();
    let mut skip_me = !old_form;
    if old_form {
        let addr = call.text(2).into_owned();
        filters.push(Box::new(move |client| client.addr == addr));
    } else {
        if call.args.len() % 2 == 1 {
            return call.syntax_error();
        }
        for index in (2..call.args.len()).step_by(2) {
            if call.is(index, "SKIPME") && (call.is(index + 1, "yes") || call.is(index + 1, "no")) {
                skip_me = call.is(index + 1, "yes");
                continue;
            }
            match filter(call, index) {
                Ok(filter) => filters.push(filter),
                Err(error) => return call.error(error),
            }
        }
    }
    let mut killed = 0;
    let mut own = false;
    for client in call.api.clients.all() {
        if (skip_me && client.id == me) || !filters.iter().all(|filter| filter(&client)) {
            continue;
        }
        killed += 1;
        // Its own connection still gets the reply.
        if client.id == me { own = true } else { client.kill.notify_one() }
    }
    match (old_form, killed) {
        (true, 0) => return call.error("ERR No such client"),
        (true, _) => call.reply.ok(),
        (false, _) => call.reply.integer(killed),
    }
    if own { Outcome::Close } else { Outcome::Done }
}

fn filter(call: &Call<'_, '_>, index: usize) -> Result<Filter, String> {
    let value = call.text(index + 1).into_owned();
    if call.is(index, "ID") {
        let id: u64 = value.parse().map_err(|_| "ERR client-id should be greater than 0".to_owned())?;
        Ok(Box::new(move |client| client.id == id))
    } else if call.is(index, "ADDR") {
        Ok(Box::new(move |client| client.addr == value))
    } else if call.is(index, "LADDR") {
        Ok(Box::new(move |client| client.local_addr == value))
    } else if call.is(index, "USER") {
        let known = value == "default";
        if known { Ok(Box::new(|_| true)) } else { Err(format!("ERR No such user '{value}'")) }
    } else if call.is(index, "TYPE") {
        let kind =
            client_type(value.as_bytes()).ok_or_else(|| format!("ERR Unknown client type '{value}'"))?;
        Ok(Box::new(move |client| kind.holds(client)))
    } else {
        Err("ERR syntax error".to_owned())
    }
}
