//! PING, ECHO, AUTH, HELLO, SELECT, QUIT, RESET.

use redkeep_resp::{Protocol, REDIS_VERSION};

use super::parse::{database, integer, text};
use super::{Args, CommandResult, CommandSpec, Group, Outcome, Sessional, clients, command, flag, unwatch};
use crate::error::CommandError;
use crate::session::ReplyMode;

const FAST: u32 = flag::FAST;
const ANYTIME: u32 = flag::LOADING | flag::STALE;

pub(super) const COMMANDS: &[CommandSpec] = &[
    command("ping", -1, Group::Connection)
        .flags(FAST)
        .doc("1.0.0", "Returns the server's liveliness response.")
        .sessional(ping),
    command("echo", 2, Group::Connection)
        .flags(FAST | ANYTIME)
        .doc("1.0.0", "Returns the given string.")
        .sessional(echo),
    command("auth", -2, Group::Connection)
        .flags(FAST | ANYTIME | flag::NOSCRIPT | flag::NO_AUTH | flag::ALLOW_BUSY)
        .doc("1.0.0", "Authenticates the connection.")
        .sessional(auth),
    command("hello", -1, Group::Connection)
        .flags(FAST | ANYTIME | flag::NOSCRIPT | flag::NO_AUTH | flag::ALLOW_BUSY)
        .doc("6.0.0", "Handshakes with the server.")
        .sessional(hello),
    command("select", 2, Group::Connection)
        .flags(FAST | ANYTIME)
        .doc("1.0.0", "Changes the selected database.")
        .sessional(select),
    command("quit", -1, Group::Connection)
        .flags(FAST | ANYTIME | flag::NOSCRIPT | flag::NO_AUTH | flag::UNQUEUED | flag::ALLOW_BUSY)
        .doc("1.0.0", "Closes the connection.")
        .sessional(quit),
    command("reset", 1, Group::Connection)
        .flags(FAST | ANYTIME | flag::NOSCRIPT | flag::NO_AUTH | flag::UNQUEUED | flag::ALLOW_BUSY)
        .doc("6.2.0", "Resets the connection.")
        .sessional(reset),
    clients::CLIENT,
];

fn ping(cx: &mut Sessional<'_>, args: Args<'_>) -> CommandResult {
    if args.len() > 2 {
        return Err(CommandError::wrong_arity("ping"));
    }
    let message = (args.len() == 2).then(|| args.get(1));
    if cx.session.subscriptions() > 0 && cx.session.protocol == Protocol::Resp2 {
        cx.reply.array(2);
        cx.reply.bulk(b"pong");
        cx.reply.bulk(message.unwrap_or_default());
    } else {
        match message {
            Some(message) => cx.reply.bulk(message),
            None => cx.reply.pong(),
        }
    }
    Ok(Outcome::Unchanged)
}

fn echo(cx: &mut Sessional<'_>, args: Args<'_>) -> CommandResult {
    cx.reply.bulk(args.get(1));
    Ok(Outcome::Unchanged)
}

fn auth(cx: &mut Sessional<'_>, args: Args<'_>) -> CommandResult {
    let (user, password) = match args.len() {
        2 => (&b"default"[..], args.get(1)),
        3 => (args.get(1), args.get(2)),
        _ => return Err(CommandError::SYNTAX),
    };
    if args.len() == 2 && cx.settings.requirepass.is_empty() {
        return Err(CommandError::new(
            "ERR AUTH <password> called without any password configured for the default user. \
             Are you sure your configuration is correct?",
        ));
    }
    authenticate(cx, user, password)?;
    cx.reply.ok();
    Ok(Outcome::Unchanged)
}

fn authenticate(cx: &mut Sessional<'_>, user: &[u8], password: &[u8]) -> Result<(), CommandError> {
    let expected = cx.settings.requirepass.as_bytes();
    if user != b"default" || !(expected.is_empty() || same_secret(password, expected)) {
        return Err(CommandError::WRONG_PASS);
    }
    cx.session.authenticated = true;
    Ok(())
}

/// Compares in a time that tells nothing about where the two differ.
fn same_secret(given: &[u8], expected: &[u8]) -> bool {
    let mut difference = given.len() ^ expected.len();
    for (i, byte) in given.iter().enumerate() {
        difference |= usize::from(byte ^ expected[i % expected.len()]);
    }
    difference == 0
}

fn hello(cx: &mut Sessional<'_>, args: Args<'_>) -> CommandResult {
    let mut protocol = cx.session.protocol;
    if args.len() > 1 {
        protocol = match integer(args.get(1)) {
            Ok(2) => Protocol::Resp2,
            Ok(3) => Protocol::Resp3,
            Ok(_) => return Err(CommandError::new("NOPROTO unsupported protocol version")),
            Err(_) => {
                return Err(CommandError::new("ERR Protocol version is not an integer or out of range"));
            }
        };
    }
    let mut name = None;
    let mut i = 2;
    while i < args.len() {
        let more = args.len() - 1 - i;
        if args.is(i, "auth") && more >= 2 {
            authenticate(cx, args.get(i + 1), args.get(i + 2))?;
            i += 3;
        } else if args.is(i, "setname") && more >= 1 {
            name = Some(clients::checked_label(args.get(i + 1), "Client names")?);
            i += 2;
        } else {
            return Err(CommandError::new(format!(
                "ERR Syntax error in HELLO option '{}'",
                text(args.get(i))
            )));
        }
    }
    if !cx.session.authenticated {
        return Err(CommandError::new(
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH \
             <user> <pass> option can be used to authenticate the client and select the RESP protocol version at \
             the same time",
        ));
    }
    if let Some(name) = name {
        cx.session.client.labels.lock().name = name;
    }
    cx.session.set_protocol(protocol);
    greet(cx, protocol);
    Ok(Outcome::Unchanged)
}

fn greet(cx: &mut Sessional<'_>, protocol: Protocol) {
    let mut greeting = Vec::new();
    let mut reply = redkeep_resp::ReplyWriter::new(&mut greeting, protocol);
    reply.map(7);
    for (field, value) in [("server", "redis"), ("version", REDIS_VERSION)] {
        reply.bulk_str(field);
        reply.bulk_str(value);
    }
    reply.bulk_str("proto");
    reply.integer(if protocol == Protocol::Resp3 { 3 } else { 2 });
    reply.bulk_str("id");
    reply.integer(cx.session.client.id as i64);
    let role = if cx.engine.replication.is_replica() { "replica" } else { "master" };
    for (field, value) in [("mode", "standalone"), ("role", role)] {
        reply.bulk_str(field);
        reply.bulk_str(value);
    }
    reply.bulk_str("modules");
    reply.array(0);
    cx.reply.raw(&greeting);
}

fn select(cx: &mut Sessional<'_>, args: Args<'_>) -> CommandResult {
    let db = database(args.get(1), cx.engine.keyspace.databases())?;
    cx.session.select(db);
    cx.reply.ok();
    Ok(Outcome::Unchanged)
}

fn quit(cx: &mut Sessional<'_>, _: Args<'_>) -> CommandResult {
    cx.reply.ok();
    Ok(Outcome::Close)
}

fn reset(cx: &mut Sessional<'_>, _: Args<'_>) -> CommandResult {
    cx.session.end_transaction();
    unwatch(cx.engine, cx.session, cx.hold);
    if let Some(watch) = cx.session.leave(cx.engine) {
        super::unwatch_keys(cx.engine, &watch, cx.hold);
    }
    cx.session.select(0);
    cx.session.set_protocol(Protocol::Resp2);
    cx.session.reply_mode = ReplyMode::On;
    cx.session.authenticated = cx.settings.requirepass.is_empty();
    cx.session.client.labels.lock().name.clear();
    cx.reply.simple("RESET");
    Ok(Outcome::Unchanged)
}

#[cfg(test)]
mod tests {
    use super::same_secret;

    #[test]
    fn secrets_are_compared_whole() {
        assert!(same_secret(b"secret", b"secret"));
        for wrong in [&b""[..], b"s", b"secre", b"secrets", b"secretsecret", b"Secret"] {
            assert!(!same_secret(wrong, b"secret"));
        }
    }
}
