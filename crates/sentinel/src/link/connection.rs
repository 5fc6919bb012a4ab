//! The connection for commands: requests out, replies back in the same order.

use std::collections::VecDeque;
use std::time::Duration;

use redkeep_resp::client::{Client, ClientError};
use redkeep_resp::frame::Frame;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use super::replies::{Expected, read};
use super::requests::write;
use super::{Backoff, LinkContext, Order, connect, loss_of};
use crate::core::detector::Loss;
use crate::core::node::{LinkEvent, LinkId, Target};

/// How a connection ended.
enum End {
    /// The other side, or the way to it.
    Lost(Loss),
    /// Our own doubts.
    Distrusted,
    /// Nobody wants it any more.
    Closed,
}

/// How long a connection that broke while we wrote is read for what the other side said before.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// How a connection was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Welcome {
    Awaited,
    /// An error came instead, as from a server that has as many clients as it takes: it is alive, and ends the connection.
    Refused,
    Given,
}

impl Welcome {
    fn hear(&mut self, expected: Expected, reply: &Frame) {
        if reply.as_error().is_none() {
            *self = Self::Given;
        } else if *self == Self::Awaited && expected == Expected::Handshake {
            *self = Self::Refused;
        }
    }

    /// Reads what came before the connection broke, if nothing was read yet.
    async fn last_words(&mut self, client: &mut Client, expected: &mut VecDeque<Expected>) {
        if *self == Self::Awaited
            && let Some(expected) = expected.pop_front()
            && let Ok(Ok(reply)) = timeout(LAST_WORDS, client.receive()).await
        {
            self.hear(expected, &reply);
        }
    }

    /// A server that turns clients away and then ends the connection is not one that has died.
    fn loss_of(self, error: &ClientError) -> Loss {
        match self {
            Self::Refused => Loss::Silent,
            Self::Awaited | Self::Given => loss_of(error),
        }
    }
}

/// Keeps one link connected until its orders end.
pub(super) async fn run(id: LinkId, target: Target, mut orders: mpsc::Receiver<Order>, context: LinkContext) {
    let mut backoff = Backoff::new();
    loop {
        let mut connected_at = None;
        let loss = match connect(&target, &context, "cmd").await {
            Err(error) => {
                tracing::trace!(link = id.0, %error, "cannot connect");
                loss_of(&error)
            }
            Ok((client, skipped)) => {
                connected_at = Some(Instant::now());
                match serve(id, &target, client, skipped, &mut orders, &context).await {
                    End::Lost(loss) => loss,
                    End::Distrusted => Loss::Silent,
                    End::Closed => return,
                }
            }
        };
        if context.events.send((id, LinkEvent::Lost(loss))).await.is_err() {
            return;
        }
        backoff.wait(connected_at).await;
    }
}

async fn serve(
    id: LinkId,
    target: &Target,
    mut client: Client,
    skipped: usize,
    orders: &mut mpsc::Receiver<Order>,
    context: &LinkContext,
) -> End {
    // The node does not send before it hears of this connection: what waits here was meant for an earlier one.
    while orders.try_recv().is_ok() {}
    let local_host = client.stream().local_ip().map(|ip| ip.to_string()).unwrap_or_default();
    if context.events.send((id, LinkEvent::Connected { local_host })).await.is_err() {
        return End::Closed;
    }
    let mut welcome = Welcome::Awaited;
    let mut expected: VecDeque<Expected> = std::iter::repeat_n(Expected::Handshake, skipped).collect();
    loop {
        tokio::select! {
            order = orders.recv() => {
                let request = match order {
                    None => return End::Closed,
                    Some(Order::Reconnect) => return End::Distrusted,
                    Some(Order::Send(request)) => request,
                };
                if let Err(error) = write(&mut client, target, &request, context, &mut expected).await {
                    welcome.last_words(&mut client, &mut expected).await;
                    return End::Lost(welcome.loss_of(&error));
                }
            }
            reply = client.receive() => {
                let event = match reply {
                    Err(error) => {
                        tracing::debug!(link = id.0, %error, "link lost");
                        return End::Lost(welcome.loss_of(&error));
                    }
                    Ok(reply) => match expected.pop_front() {
                        Some(expected) => {
                            welcome.hear(expected, &reply);
                            read(expected, reply)
                        }
                        None => return End::Lost(Loss::Silent),
                    },
                };
                if let Some(event) = event
                    && context.events.send((id, event)).await.is_err()
                {
                    return End::Closed;
                }
            }
        }
    }
}

/// Sends what was encoded of one request.
pub(super) async fn send_all(client: &mut Client, commands: &[Vec<String>]) -> Result<(), ClientError> {
    for command in commands {
        client.send(command).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_turns_clients_away_is_not_dead() {
        let full = Frame::Error("ERR max number of clients reached".to_owned());
        let mut welcome = Welcome::Awaited;
        assert_eq!(welcome.loss_of(&ClientError::Closed), Loss::Reset);
        welcome.hear(Expected::Handshake, &full);
        assert_eq!(welcome.loss_of(&ClientError::Closed), Loss::Silent);
    }

    #[test]
    fn who_has_answered_and_then_ends_the_connection_may_be() {
        let mut welcome = Welcome::Awaited;
        welcome.hear(Expected::Handshake, &Frame::Error("NOPERM".to_owned()));
        welcome.hear(Expected::Pong, &Frame::Simple("PONG".into()));
        assert_eq!(welcome.loss_of(&ClientError::Closed), Loss::Reset);
    }
}
