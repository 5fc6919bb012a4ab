//! Replies, as the node understands them.

use redkeep_resp::frame::Frame;

use crate::core::info::Role;
use crate::core::node::{LinkEvent, Pong};

/// What the next reply answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    /// AUTH, CLIENT SETNAME, or a part of a transaction: only failures are of interest, to the log.
    Handshake,
    Pong,
    Info,
    Acknowledgement,
    Group,
    Transaction,
    Role,
}

/// What a reply means; `None` if nothing that the node must hear.
pub(super) fn read(expected: Expected, reply: Frame) -> Option<LinkEvent> {
    match expected {
        Expected::Handshake => {
            if let Some(error) = reply.as_error() {
                tracing::debug!(error, "refused");
            }
            None
        }
        Expected::Pong => Some(LinkEvent::Pong(pong(&reply))),
        Expected::Info => Some(LinkEvent::Info(text(&reply))),
        Expected::Acknowledgement => Some(LinkEvent::Acknowledged),
        Expected::Group => Some(group(reply)),
        Expected::Transaction => Some(LinkEvent::Followed(transaction(reply))),
        Expected::Role => role(reply).map(LinkEvent::Role),
    }
}

fn pong(reply: &Frame) -> Pong {
    match (reply.as_str(), reply.as_error()) {
        (Some("PONG"), _) => Pong::Pong,
        (_, Some(error)) if error.starts_with("LOADING") || error.starts_with("MASTERDOWN") => Pong::Alive,
        (_, Some(error)) if error.starts_with("BUSY") => Pong::Busy,
        _ => Pong::Unacceptable,
    }
}

fn text(reply: &Frame) -> Option<String> {
    reply.as_bytes().map(|bytes| String::from_utf8_lossy(bytes).into_owned())
}

/// `[group id or nothing, …]` from one of ours. A sentinel that does not know the subcommand is a foreign one; any other
/// error leaves the question open.
fn group(reply: Frame) -> LinkEvent {
    if let Some(error) = reply.as_error() {
        let unknown = error.to_ascii_lowercase().contains("unknown");
        return if unknown { LinkEvent::Group(None) } else { LinkEvent::Acknowledged };
    }
    let items = reply.into_array().unwrap_or_default();
    match items.first().and_then(Frame::as_str) {
        Some("") => LinkEvent::Group(Some(None)),
        Some(id) => id.parse().map_or(LinkEvent::Acknowledged, |id| LinkEvent::Group(Some(Some(id)))),
        None => LinkEvent::Acknowledged,
    }
}

/// It counts that the role was taken; that an instance without a configuration file cannot rewrite it does not.
fn transaction(reply: Frame) -> Result<(), String> {
    if let Some(error) = reply.as_error() {
        return Err(error.to_owned());
    }
    let results = reply.into_array().unwrap_or_default();
    match results.first() {
        Some(first) => first.as_error().map_or(Ok(()), |error| Err(error.to_owned())),
        None => Err("the transaction was not executed".to_owned()),
    }
}

fn role(reply: Frame) -> Option<Role> {
    match reply.into_array()?.first()?.as_str()? {
        "master" => Some(Role::Master),
        "slave" => Some(Role::Replica),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> Frame {
        Frame::Error(text.to_owned())
    }

    #[test]
    fn only_a_live_server_says_pong_loading_or_masterdown() {
        assert_eq!(pong(&Frame::Simple("PONG".into())), Pong::Pong);
        assert_eq!(pong(&error("LOADING Redis is loading the dataset in memory")), Pong::Alive);
        assert_eq!(pong(&error("MASTERDOWN Link with MASTER is down")), Pong::Alive);
        assert_eq!(pong(&error("BUSY Redis is busy running a script.")), Pong::Busy);
        assert_eq!(pong(&error("NOAUTH Authentication required.")), Pong::Unacceptable);
    }

    #[test]
    fn a_sentinel_that_does_not_know_the_question_is_foreign() {
        let foreign = error("ERR unknown subcommand 'GROUP'. Try SENTINEL HELP.");
        assert_eq!(group(foreign), LinkEvent::Group(None));
        assert_eq!(group(error("NOAUTH Authentication required.")), LinkEvent::Acknowledged);
        let of = |id: &str| group(Frame::Array(vec![Frame::Bulk(id.to_owned().into())]));
        assert_eq!(of(""), LinkEvent::Group(Some(None)));
        let id = "ab".repeat(20);
        assert_eq!(of(&id), LinkEvent::Group(Some(id.parse().ok())));
        assert_eq!(of("nonsense"), LinkEvent::Acknowledged);
    }

    #[test]
    fn a_transaction_succeeds_with_its_first_command() {
        let ok = Frame::Simple("OK".into());
        let no_file = error("ERR The server is running without a config file");
        assert_eq!(transaction(Frame::Array(vec![ok.clone(), no_file.clone()])), Ok(()));
        assert!(transaction(Frame::Array(vec![no_file, ok])).is_err());
        assert!(transaction(error("EXECABORT")).is_err());
        assert!(transaction(Frame::Null).is_err());
    }
}
