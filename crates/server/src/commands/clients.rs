//! CLIENT: what connections are called, who is connected, and who has to go.

use std::fmt::Write as _;
use std::sync::atomic::Ordering;

use super::parse::{integer, text};
use super::{Args, CommandResult, CommandSpec, Group, Outcome, Sessional, command, flag};
use crate::client::{Client, ClientKind};
use crate::error::CommandError;
use crate::session::ReplyMode;

const OWN: u32 = flag::NOSCRIPT | flag::LOADING | flag::STALE;
const OTHERS: u32 = OWN | flag::ADMIN;

pub(super) const CLIENT: CommandSpec = command("client", -2, Group::Connection)
    .doc("2.4.0", "A container for client connection commands.")
    .subcommands(&[
        command("getname", 2, Group::Connection)
            .flags(OWN)
            .doc("2.6.9", "Returns the name of the connection.")
            .sessional(getname),
        command("setname", 3, Group::Connection)
            .flags(OWN)
            .doc("2.6.9", "Sets the connection name.")
            .sessional(setname),
        command("setinfo", 4, Group::Connection)
            .flags(OWN)
            .doc("7.2.0", "Sets information specific to the client or connection.")
            .sessional(setinfo),
        command("id", 2, Group::Connection)
            .flags(OWN)
            .doc("5.0.0", "Returns the unique client ID of the connection.")
            .sessional(id),
        command("info", 2, Group::Connection)
            .flags(OWN)
            .doc("6.2.0", "Returns information about the connection.")
            .sessional(info),
        command("list", -2, Group::Connection)
            .flags(OTHERS)
            .doc("2.4.0", "Lists open connections.")
            .sessional(list),
        command("kill", -3, Group::Connection)
            .flags(OTHERS)
            .doc("2.4.0", "Terminates open connections.")
            .sessional(kill),
        command("reply", 3, Group::Connection)
            .flags(OWN)
            .doc("3.2.0", "Instructs the server whether to reply to commands.")
            .sessional(reply),
        command("help", 2, Group::Connection)
            .flags(flag::LOADING | flag::STALE)
            .doc("5.0.0", "Returns helpful text about the different subcommands.")
            .sessional(help),
    ]);

/// A name that can be shown in `CLIENT LIST` without breaking its format.
pub(super) fn checked_label(word: &[u8], what: &str) -> Result<String, CommandError> {
    if word.iter().all(|byte| (b'!'..=b'~').contains(byte)) {
        return Ok(text(word));
    }
    Err(CommandError::new(format!("ERR {what} cannot contain spaces, newlines or special characters.")))
}

fn getname(cx: &mut Sessional<'_>, _: Args<'_>) -> CommandResult {
    let name = cx.session.client.labels.lock().name.clone();
    if name.is_empty() {
        cx.reply.null()
    } else {
        cx.reply.bulk_str(&name)
    }
    Ok(Outcome::Unchanged)
}

fn setname(cx: &mut Sessional<'_>, args: Args<'_>) -> CommandResult {
    cx.session.client.labels.lock().name = checked_label(args.get(2), "Client names")?;
    cx.reply.ok();
    Ok(Outcome::Unchanged)
}

fn setinfo(cx: &mut Sessional<'_>, args: Args<'_>) -> CommandResult {
    let option = text(args.get(2)).to_lowercase();
    let value = checked_label(args.get(3), &option)?;
    let mut labels = cx.session.client.labels.lock();
    match option.as_str() {
        "lib-name" => labels.lib_name = value,
        "lib-ver" => labels.lib_ver = value,
        _ => {
            return Err(CommandError::new(format!("ERR Unrecognized option '{}'", text(args.get(2)))));
        }
    }
    drop(labels);
    cx.reply.ok();
    Ok(Outcome::Unchanged)
}

fn id(cx: &mut Sessional<'_>, _: Args<'_>) -> CommandResult {
    cx.reply.integer(cx.session.client.id as i64);
    Ok(Outcome::Unchanged)
}

fn info(cx: &mut Sessional<'_>, _: Args<'_>) -> CommandResult {
    let line = describe(&cx.session.client);
    cx.reply.verbatim("txt", format!("{line}\n").as_bytes());
    Ok(Outcome::Unchanged)
}

fn list(cx: &mut Sessional<'_>, args: Args<'_>) -> CommandResult {
    let wanted: Box<dyn Fn(&Client) -> bool> = if args.len() == 2 {
        Box::new(|_| true)
    } else if args.len() == 4 && args.is(2, "type") {
        let kind = client_kind(args.get(3))?;
        Box::new(move |client| client.kind() == kind)
    } else if args.len() > 3 && args.is(2, "id") {
        let ids = args.from(3).map(client_id).collect::<Result<Vec<_>, _>>()?;
        Box::new(move |client| ids.contains(&client.id))
    } else {
        return Err(CommandError::SYNTAX);
    };
    let mut lines = String::new();
    for client in cx.engine.clients.list().iter().filter(|client| wanted(client)) {
        lines.push_str(&describe(client));
        lines.push('\n');
    }
    cx.reply.verbatim("txt", lines.as_bytes());
    Ok(Outcome::Unchanged)
}

fn client_kind(word: &[u8]) -> Result<ClientKind, CommandError> {
    match text(word).to_lowercase().as_str() {
        "normal" => Ok(ClientKind::Normal),
        "pubsub" => Ok(ClientKind::Pubsub),
        "replica" | "slave" => Ok(ClientKind::Replica),
        _ => Err(CommandError::new(format!("ERR Unknown client type '{}'", text(word)))),
    }
}

fn client_id(word: &[u8]) -> Result<u64, CommandError> {
    let id = integer(word).ok().and_then(|id| u64::try_from(id).ok()).filter(|&id| id > 0);
    id.ok_or(CommandError::new("ERR Invalid client ID"))
}

/// One line of `CLIENT LIST`.
fn describe(client: &Client) -> String {
    let labels = client.labels.lock().clone();
    let age = client.created.elapsed();
    let idle_ms = (age.as_millis() as u64).saturating_sub(client.last_active_ms.load(Ordering::Relaxed));
    let queued = client.queued.load(Ordering::Relaxed);
    let flags = match client.kind() {
        ClientKind::Replica => "S",
        ClientKind::Pubsub => "P",
        ClientKind::Normal if queued != u32::MAX => "x",
        ClientKind::Normal if client.is_blocked() => "b",
        ClientKind::Normal => "N",
    };
    let mut line = String::new();
    let _ = write!(
        line,
        "id={} addr={} laddr={} fd=-1 name={} age={} idle={} flags={flags} db={} sub={} psub={} ssub=0 multi={} \
         qbuf=0 qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl={} oll=0 omem=0 tot-mem=0 events=r cmd={} \
         user=default redir=-1 resp={} lib-name={} lib-ver={}",
        client.id,
        client.addr,
        client.laddr,
        labels.name,
        age.as_secs(),
        idle_ms / 1000,
        client.db.load(Ordering::Relaxed),
        client.channels.load(Ordering::Relaxed),
        client.patterns.load(Ordering::Relaxed),
        if queued == u32::MAX { -1 } else { i64::from(queued) },
        client.mail_len(),
        if labels.last_command.is_empty() { "NULL" } else { labels.last_command },
        if client.protocol() == redkeep_resp::Protocol::Resp3 { 3 } else { 2 },
        labels.lib_name,
        labels.lib_ver,
    );
    line
}

/// What `CLIENT KILL` selects by; all that are given must fit.
#[derive(Default)]
struct Filter {
    id: Option<u64>,
    addr: Option<String>,
    laddr: Option<String>,
    kind: Option<ClientKind>,
    max_age: Option<u64>,
    keep_me: bool,
}

impl Filter {
    fn parse(args: Args<'_>) -> Result<Self, CommandError> {
        let mut filter = Filter { keep_me: true, ..Filter::default() };
        let mut i = 2;
        while i < args.len() {
            if i + 1 == args.len() {
                return Err(CommandError::SYNTAX);
            }
            let value = args.get(i + 1);
            match text(args.get(i)).to_lowercase().as_str() {
                "id" => {
                    let id = integer(value).ok().and_then(|id| u64::try_from(id).ok()).filter(|&id| id > 0);
                    filter.id = Some(id.ok_or(CommandError::new("ERR client-id should be greater than 0"))?);
                }
                "addr" => filter.addr = Some(text(value)),
                "laddr" => filter.laddr = Some(text(value)),
                "type" => filter.kind = Some(client_kind(value)?),
                "user" if value == b"default" => {}
                "user" => return Err(CommandError::new(format!("ERR No such user '{}'", text(value)))),
                "maxage" => filter.max_age = Some(integer(value)?.max(0) as u64),
                "skipme" if value.eq_ignore_ascii_case(b"yes") => filter.keep_me = true,
                "skipme" if value.eq_ignore_ascii_case(b"no") => filter.keep_me = false,
                _ => return Err(CommandError::SYNTAX),
            }
            i += 2;
        }
        Ok(filter)
    }

    fn fits(&self, client: &Client, own_id: u64) -> bool {
        self.id.is_none_or(|id| client.id == id)
            && self.addr.as_ref().is_none_or(|addr| client.addr == *addr)
            && self.laddr.as_ref().is_none_or(|laddr| client.laddr == *laddr)
            && self.kind.is_none_or(|kind| client.kind() == kind)
            && self.max_age.is_none_or(|age| client.created.elapsed().as_secs() >= age)
            && !(self.keep_me && client.id == own_id)
    }
}

fn kill(cx: &mut Sessional<'_>, args: Args<'_>) -> CommandResult {
    let own_id = cx.session.client.id;
    let by_address = args.len() == 3;
    let filter = if by_address {
        Filter { addr: Some(text(args.get(2))), ..Filter::default() }
    } else {
        Filter::parse(args)?
    };
    let mut killed = 0;
    let mut killed_self = false;
    for client in cx.engine.clients.list().iter().filter(|client| filter.fits(client, own_id)) {
        killed += 1;
        if client.id == own_id {
            killed_self = true;
        } else {
            client.close();
        }
    }
    if by_address {
        if killed == 0 {
            return Err(CommandError::new("ERR No such client"));
        }
        cx.reply.ok();
    } else {
        cx.reply.integer(killed);
    }
    Ok(if killed_self { Outcome::Close } else { Outcome::Unchanged })
}

fn reply(cx: &mut Sessional<'_>, args: Args<'_>) -> CommandResult {
    let mode = text(args.get(2)).to_lowercase();
    match mode.as_str() {
        "on" => {
            cx.session.reply_mode = ReplyMode::On;
            cx.reply.ok();
        }
        "off" => cx.session.reply_mode = ReplyMode::Off,
        "skip" if cx.session.reply_mode == ReplyMode::On => cx.session.reply_mode = ReplyMode::SkipNext,
        "skip" => {}
        _ => return Err(CommandError::SYNTAX),
    }
    Ok(Outcome::Unchanged)
}

fn help(cx: &mut Sessional<'_>, _: Args<'_>) -> CommandResult {
    super::introspection::help(
        &mut cx.reply,
        "CLIENT",
        &[
            ("GETNAME", "The name of this connection."),
            ("ID", "The number of this connection."),
            ("INFO", "What CLIENT LIST says of this connection."),
            ("KILL <ip:port>", "Close the connection from this address."),
            (
                "KILL <option> <value> [...]",
                "Close the connections that fit: ID, ADDR, LADDR, TYPE, USER, MAXAGE, SKIPME.",
            ),
            ("LIST [TYPE <type> | ID <id> [...]]", "All connections, one a line."),
            ("REPLY (ON|OFF|SKIP)", "Whether commands of this connection are answered."),
            ("SETINFO <option> <value>", "Name or version of the client library: LIB-NAME, LIB-VER."),
            ("SETNAME <name>", "Name this connection."),
        ],
    );
    Ok(Outcome::Unchanged)
}
