//! The connection for commands: requests out, replies back in the same order.

use std::collections::VecDeque;

use redkeep_resp::client::{Client, ClientError};
use tokio::sync::mpsc;
use tokio::time::Instant;

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
        // What was ordered for the old connection is not for the next one.
        while orders.try_recv().is_ok() {}
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
    let local_host = client.stream().local_ip().map(|ip| ip.to_string()).unwrap_or_default();
    if context.events.send((id, LinkEvent::Connected { local_host })).await.is_err() {
        return End::Closed;
    }
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
                    return End::Lost(loss_of(&error));
                }
            }
            reply = client.receive() => {
                let event = match reply {
                    Err(error) => {
                        tracing::debug!(link = id.0, %error, "link lost");
                        return End::Lost(loss_of(&error));
                    }
                    Ok(reply) => match expected.pop_front() {
                        Some(expected) => read(expected, reply),
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
