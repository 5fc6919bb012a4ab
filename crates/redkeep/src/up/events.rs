//! What the sentinels see, told in sentences.
//!
//! One sentinel is listened to; when it goes, the next. Events between the two are missed, for pub/sub
//! keeps nothing.

use crate::link::Link;
use anyhow::{Context as _, Result};
use redkeep_resp::{frame::Frame, net::Address};
use std::time::Duration;
use tokio::{sync::mpsc, time::sleep};

/// Events that wait to be printed; the listener waits when there is no room, and the sentinel keeps
/// the rest, within its own limit for a subscriber.
const EVENTS: usize = 256;

/// Between two sentinels, when one cannot be reached.
const NEXT_SENTINEL_AFTER: Duration = Duration::from_millis(500);

/// How long a sentinel may take to answer.
const ANSWER_PATIENCE: Duration = Duration::from_secs(1);

/// Starts to listen. Each item of the channel is a line to print. Listening ends when the channel is
/// dropped.
pub(crate) fn listen(sentinels: Vec<Address>) -> mpsc::Receiver<String> {
    let (lines, receiver) = mpsc::channel(EVENTS);
    tokio::spawn(async move {
        let mut heard_by = None;
        for sentinel in sentinels.iter().cycle() {
            // An error means that this sentinel is gone, of which the supervisor tells.
            let _ = follow(sentinel, &lines, &mut heard_by).await;
            tokio::select! {
                () = sleep(NEXT_SENTINEL_AFTER) => {}
                () = lines.closed() => return,
            }
        }
    });
    receiver
}

/// Passes on what one sentinel tells, until it is gone or nobody listens.
async fn follow<'a>(
    sentinel: &'a Address,
    lines: &mpsc::Sender<String>,
    heard_by: &mut Option<&'a Address>,
) -> Result<()> {
    let mut client = Link::open(sentinel, ANSWER_PATIENCE).await?.into_client();
    client.send(&["PSUBSCRIBE", "*"]).await?;
    if heard_by.is_some_and(|before| before != sentinel) {
        lines.send(format!("listening to the sentinel at {sentinel} now")).await?;
    }
    *heard_by = Some(sentinel);
    loop {
        let message = tokio::select! {
            message = client.receive() => message?,
            () = lines.closed() => return Ok(()),
        };
        if let Some((event, details)) = event_of(message)
            && let Some(line) = tell(&event, &details)
        {
            lines.send(line).await.context("nobody listens")?;
        }
    }
}

/// Event and details of a `pmessage`; the answer to the subscription has neither.
fn event_of(message: Frame) -> Option<(String, String)> {
    let parts = message.into_array()?;
    let [kind, _pattern, channel, payload] = &parts[..] else {
        return None;
    };
    (kind.as_str() == Some("pmessage")).then_some(())?;
    Some((channel.as_str()?.to_owned(), payload.as_str()?.to_owned()))
}

/// A sentence for an event, or none where it says nothing to a person.
fn tell(event: &str, details: &str) -> Option<String> {
    let words: Vec<&str> = details.split(' ').collect();
    if let ("+switch-master", [_name, old_ip, old_port, new_ip, new_port, ..]) = (event, &words[..]) {
        return Some(format!("the primary is {new_ip}:{new_port} now, it was {old_ip}:{old_port}"));
    }
    // "<type> <name> <ip> <port> [@ <master> <ip> <port>]"
    let who = match &words[..] {
        ["master", _name, ip, port, ..] => format!("the primary {ip}:{port}"),
        ["slave", _name, ip, port, ..] => format!("the replica {ip}:{port}"),
        ["sentinel", _id, ip, port, ..] => format!("the sentinel {ip}:{port}"),
        _ => details.to_owned(),
    };
    let sentence = match event {
        "+monitor" | "+new-epoch" | "+config-update-from" | "+vote-for-leader" | "__sentinel__:hello" => {
            return None;
        }
        "+slave-reconf-sent" | "+slave-reconf-inprog" => return None,
        step if step.starts_with("+failover-state-") => return None,
        "+sdown" => format!("{who} does not answer"),
        "-sdown" => format!("{who} answers again"),
        "+odown" => format!("{who} is down, enough sentinels agree"),
        "-odown" => format!("{who} is not down any more, the sentinels agree"),
        "+slave" => format!("{who} has been found"),
        "+sentinel" => format!("{who} has joined"),
        "+reboot" => format!("{who} was started again"),
        "+try-failover" => format!("a failover begins: {who} is to be replaced"),
        "+elected-leader" => "a sentinel has been elected to lead the failover".to_owned(),
        "+selected-slave" => format!("{who} has been chosen to be the primary"),
        "+promoted-slave" => format!("{who} has been made the primary"),
        "+slave-reconf-done" => format!("{who} follows the new primary"),
        "+convert-to-slave" => format!("{who} was a primary and is made a replica"),
        "+role-change" | "-role-change" if details.ends_with("slave") => {
            format!("{who} says that it is a replica")
        }
        "+role-change" | "-role-change" => format!("{who} says that it is a primary"),
        "+failover-end" => "the failover is complete".to_owned(),
        "+tilt" => "a sentinel does not trust its clock and waits".to_owned(),
        "-tilt" => "a sentinel trusts its clock again".to_owned(),
        _ => format!("{event} {details}"),
    };
    Some(sentence)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_become_sentences() {
        let told = |event: &str, details: &str| tell(event, details).expect("a sentence");
        assert_eq!(
            told("+switch-master", "mymaster 127.0.0.1 6379 127.0.0.1 6380"),
            "the primary is 127.0.0.1:6380 now, it was 127.0.0.1:6379"
        );
        assert_eq!(
            told("+sdown", "master mymaster 127.0.0.1 6379"),
            "the primary 127.0.0.1:6379 does not answer"
        );
        assert_eq!(
            told("-sdown", "slave 127.0.0.1:6380 127.0.0.1 6380 @ mymaster 127.0.0.1 6379"),
            "the replica 127.0.0.1:6380 answers again"
        );
        assert_eq!(
            told("+odown", "master m 10.0.0.1 1 #quorum 2/2"),
            "the primary 10.0.0.1:1 is down, enough sentinels agree"
        );
        assert_eq!(told("+something-new", "a b"), "+something-new a b");
        let (role, says) =
            ("slave 127.0.0.1:1 127.0.0.1 1 @ m 127.0.0.1 2 new reported role is", "says that it is a");
        for (reported, shown) in [("slave", "replica"), ("master", "primary")] {
            let details = format!("{role} {reported}");
            assert_eq!(told("+role-change", &details), format!("the replica 127.0.0.1:1 {says} {shown}"));
        }
        assert_eq!(tell("+new-epoch", "3"), None);
        assert_eq!(tell("+failover-state-select-slave", "master m 127.0.0.1 1"), None);
    }

    #[test]
    fn only_messages_are_events() {
        let frame =
            |words: &[&str]| Frame::Array(words.iter().map(|word| Frame::Simple((*word).into())).collect());
        let event = event_of(frame(&["pmessage", "*", "+tilt", "#tilt mode entered"]));
        assert_eq!(event, Some(("+tilt".into(), "#tilt mode entered".into())));
        assert_eq!(event_of(frame(&["psubscribe", "*", "1"])), None);
        assert_eq!(event_of(frame(&["message", "a", "b", "c"])), None);
        assert_eq!(event_of(Frame::Null), None);
    }
}
