//! What the node asks of a link, in RESP.

use std::collections::VecDeque;

use redkeep_resp::client::{Client, ClientError};

use super::connection::send_all;
use super::replies::Expected;
use super::{LinkContext, command_of};
use crate::core::hello::CHANNEL;
use crate::core::ids::Addr;
use crate::core::node::{Request, Target};

/// Sends one request, and notes what will come back.
pub(super) async fn write(
    client: &mut Client,
    target: &Target,
    request: &Request,
    context: &LinkContext,
    expected: &mut VecDeque<Expected>,
) -> Result<(), ClientError> {
    let named = |command: &str| command_of(target, &context.local, command);
    let commands = match request {
        Request::Ping => one(expected, Expected::Pong, vec![named("PING")]),
        Request::Info => one(expected, Expected::Info, vec![named("INFO")]),
        Request::Hello(text) => {
            one(expected, Expected::Acknowledgement, vec![named("PUBLISH"), CHANNEL.to_owned(), text.clone()])
        }
        Request::KillScript => {
            one(expected, Expected::Acknowledgement, vec![named("SCRIPT"), "KILL".to_owned()])
        }
        Request::Group => one(expected, Expected::Group, words(&["SENTINEL", "GROUP"])),
        Request::Report(down) => {
            let mut command = words(&["SENTINEL", "REPORT"]);
            command.push(context.me.to_string());
            for (name, addr) in down {
                command.extend([name.clone(), addr.host.clone(), addr.port.to_string()]);
            }
            one(expected, Expected::Acknowledgement, command)
        }
        Request::Follow(primary) => {
            let commands = follow(primary.as_ref(), named);
            // MULTI says OK, each command QUEUED.
            expected.extend(std::iter::repeat_n(Expected::Handshake, commands.len() - 2));
            expected.extend([Expected::Transaction, Expected::Role]);
            commands
        }
    };
    send_all(client, &commands).await
}

fn one(expected: &mut VecDeque<Expected>, reply: Expected, command: Vec<String>) -> Vec<Vec<String>> {
    expected.push_back(reply);
    vec![command]
}

/// One transaction, so that no client is served in between: the new role, kept in the configuration file if there is
/// one, and all clients sent away, so that they ask a sentinel where to go. Then at once how it went.
fn follow(primary: Option<&Addr>, named: impl Fn(&str) -> String) -> Vec<Vec<String>> {
    let (host, port) = match primary {
        Some(addr) => (addr.host.clone(), addr.port.to_string()),
        None => ("NO".to_owned(), "ONE".to_owned()),
    };
    let kill = |kind: &str| vec![named("CLIENT"), "KILL".to_owned(), "TYPE".to_owned(), kind.to_owned()];
    vec![
        vec![named("MULTI")],
        vec![named("SLAVEOF"), host, port],
        vec![named("CONFIG"), "REWRITE".to_owned()],
        kill("normal"),
        kill("pubsub"),
        vec![named("EXEC")],
        vec![named("ROLE")],
    ]
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_promotion_is_one_transaction() {
        let rename = |command: &str| if command == "CONFIG" { "CFG".to_owned() } else { command.to_owned() };
        let lines: Vec<String> = follow(None, rename).iter().map(|words| words.join(" ")).collect();
        assert_eq!(lines[0], "MULTI");
        assert_eq!(lines[1], "SLAVEOF NO ONE");
        assert_eq!(lines[2], "CFG REWRITE");
        assert_eq!(lines[3..5], ["CLIENT KILL TYPE normal", "CLIENT KILL TYPE pubsub"]);
        assert_eq!(lines[5..], ["EXEC", "ROLE"]);
        let lines = follow(Some(&Addr::new("10.0.0.1", 6379)), rename);
        assert_eq!(lines[1], ["SLAVEOF", "10.0.0.1", "6379"]);
    }
}
