//! PING, AUTH, HELLO, ROLE, QUIT, RESET, SHUTDOWN: the connection itself.

use redkeep_resp::{Protocol, REDIS_VERSION, ReplyWriter};

use super::{Call, CommandSpec, Flag, Outcome};
use crate::api::pending::Work;

pub(super) const COMMANDS: &[CommandSpec] = &[
    CommandSpec::new("ping", -1, &[Flag::Fast, Flag::Subscriber], "Ping the server", ping),
    CommandSpec::new("auth", -2, &[Flag::Fast, Flag::NoAuth], "Authenticate to the server", auth),
    CommandSpec::new("hello", -1, &[Flag::Fast, Flag::NoAuth], "Handshake with Redis", hello),
    CommandSpec::new("quit", -1, &[Flag::Fast, Flag::NoAuth, Flag::Subscriber], "Close the connection", quit),
    CommandSpec::new(
        "reset",
        1,
        &[Flag::Fast, Flag::NoAuth, Flag::Subscriber],
        "Reset the connection",
        reset,
    ),
    CommandSpec::new("role", 1, &[Flag::Fast], "Return the role of the instance", role),
    CommandSpec::new("shutdown", -1, &[Flag::Admin], "Stop the sentinel", shutdown),
];

fn ping(call: &mut Call<'_, '_>) -> Outcome {
    if call.args.len() > 2 {
        return call.wrong_arity("ping");
    }
    let message = call.args.get(1).copied();
    if call.session.subscriptions() > 0 && call.session.protocol == Protocol::Resp2 {
        call.reply.array(2);
        call.reply.bulk(b"pong");
        call.reply.bulk(message.unwrap_or_default());
    } else {
        match message {
            Some(message) => call.reply.bulk(message),
            None => call.reply.pong(),
        }
    }
    Outcome::Done
}

const WRONG_PASSWORD: &str = "WRONGPASS invalid username-password pair or user is disabled.";

fn auth(call: &mut Call<'_, '_>) -> Outcome {
    if call.args.len() > 3 {
        return call.syntax_error();
    }
    let (user, password) = match call.args {
        [_, password] => (b"default".as_slice(), *password),
        [_, user, password, ..] => (*user, *password),
        _ => return call.wrong_arity("auth"),
    };
    let open = call.api.shared.local.read().requirepass.is_none();
    if open && call.args.len() == 2 {
        return call.error(
            "ERR AUTH <password> called without any password configured for the default user. Are you sure your \
             configuration is correct?",
        );
    }
    if !authenticate(call, user, password) {
        return call.error(WRONG_PASSWORD);
    }
    call.ok()
}

/// The only user is `default`; without `requirepass` it takes any password, as Redis's `nopass` does.
fn authenticate(call: &mut Call<'_, '_>, user: &[u8], password: &[u8]) -> bool {
    let right = user == b"default"
        && match &call.api.shared.local.read().requirepass {
            None => true,
            Some(secret) => same(secret.as_bytes(), password),
        };
    if right {
        call.session.authenticated = true;
    }
    right
}

/// Compares in a time that does not tell where the difference is.
fn same(secret: &[u8], given: &[u8]) -> bool {
    let difference = secret.iter().zip(given).fold(0, |difference, (a, b)| difference | (a ^ b));
    secret.len() == given.len() && difference == 0
}

fn hello(call: &mut Call<'_, '_>) -> Outcome {
    let mut protocol = call.session.protocol;
    if let Some(version) = call.args.get(1) {
        protocol = match redkeep_resp::parse_integer(version) {
            Some(2) => Protocol::Resp2,
            Some(3) => Protocol::Resp3,
            Some(_) => return call.error("NOPROTO unsupported protocol version"),
            None => return call.error("ERR Protocol version is not an integer or out of range"),
        };
    }
    let mut name = None;
    let mut index = 2;
    while index < call.args.len() {
        let left = call.args.len() - index - 1;
        if call.is(index, "AUTH") && left >= 2 {
            let (user, password) = (call.args[index + 1], call.args[index + 2]);
            if !authenticate(call, user, password) {
                return call.error(WRONG_PASSWORD);
            }
            index += 3;
        } else if call.is(index, "SETNAME") && left >= 1 {
            name = Some(call.args[index + 1]);
            index += 2;
        } else {
            let option = call.text(index);
            return call.error(format!("ERR Syntax error in HELLO option '{option}'"));
        }
    }
    if !call.session.authenticated {
        return call.error(
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH \
             <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the \
             same time",
        );
    }
    if let Some(name) = name
        && let Err(error) = super::client::set_name(call, name)
    {
        return call.error(error);
    }
    call.session.protocol = protocol;
    greet(call, protocol);
    Outcome::Done
}

/// The greeting is the first reply in the new protocol.
fn greet(call: &mut Call<'_, '_>, protocol: Protocol) {
    let version = match protocol {
        Protocol::Resp2 => 2,
        Protocol::Resp3 => 3,
    };
    let mut greeting = Vec::new();
    let mut reply = ReplyWriter::new(&mut greeting, protocol);
    reply.map(6);
    for (field, value) in [("server", "redis"), ("version", REDIS_VERSION)] {
        reply.bulk_str(field);
        reply.bulk_str(value);
    }
    for (field, value) in
        [("proto", version), ("id", i64::try_from(call.session.client.id).unwrap_or(i64::MAX))]
    {
        reply.bulk_str(field);
        reply.integer(value);
    }
    reply.bulk_str("mode");
    reply.bulk_str("sentinel");
    reply.bulk_str("modules");
    reply.array(0);
    call.reply.raw(&greeting);
}

fn quit(call: &mut Call<'_, '_>) -> Outcome {
    call.reply.ok();
    Outcome::Close
}

fn reset(call: &mut Call<'_, '_>) -> Outcome {
    call.session.channels.clear();
    call.session.patterns.clear();
    call.session.protocol = Protocol::Resp2;
    call.session.client.shown.lock().name.clear();
    call.session.authenticated = call.api.shared.local.read().requirepass.is_none();
    call.reply.simple("RESET");
    Outcome::Done
}

fn role(call: &mut Call<'_, '_>) -> Outcome {
    let node = call.api.shared.node.lock();
    call.reply.array(2);
    call.reply.bulk_str("sentinel");
    call.reply.array(node.topology().masters.len());
    node.topology().masters.keys().for_each(|name| call.reply.bulk_str(name));
    Outcome::Done
}

/// The options speak of snapshots and replicas, which a sentinel does not have; they are understood and mean nothing.
fn shutdown(call: &mut Call<'_, '_>) -> Outcome {
    let options = &call.args[1..];
    let known = |option: &[u8]| {
        ["NOSAVE", "SAVE", "NOW", "FORCE", "ABORT"]
            .iter()
            .any(|word| option.eq_ignore_ascii_case(word.as_bytes()))
    };
    if !options.iter().all(|option| known(option)) {
        return call.syntax_error();
    }
    if options.iter().any(|option| option.eq_ignore_ascii_case(b"ABORT")) {
        return call.error("ERR No shutdown in progress.");
    }
    Outcome::later(Work::Shutdown)
}

#[cfg(test)]
mod tests {
    use super::same;

    #[test]
    fn passwords_are_the_same_as_a_whole() {
        assert!(same(b"secret", b"secret"));
        assert!(!same(b"secret", b"secre") && !same(b"secret", b"secrets") && !same(b"secret", b"Secret"));
        assert!(!same(b"", b"x") && same(b"", b""));
    }
}
