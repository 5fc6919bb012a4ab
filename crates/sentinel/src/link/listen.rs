//! The connection that listens on the hello channel of an instance.

use std::time::Duration;

use redkeep_resp::client::{Client, ClientError};
use redkeep_resp::frame::Frame;
use tokio::time::{Instant, timeout};

use super::{Backoff, LinkContext, command_of, connect};
use crate::core::hello::CHANNEL;
use crate::core::node::{LinkEvent, LinkId, Target};

/// Our own hello comes back every two seconds. A channel that is silent for this long is a dead connection.
const SILENCE: Duration = Duration::from_secs(10);

/// Keeps listening until the task is ended.
pub(super) async fn run(id: LinkId, target: Target, context: LinkContext) {
    let mut backoff = Backoff::new();
    loop {
        let mut connected_at = None;
        if let Ok((client, skipped)) = connect(&target, &context, "pubsub").await {
            connected_at = Some(Instant::now());
            if let Err(error) = listen(id, &target, client, skipped, &context).await {
                tracing::trace!(link = id.0, %error, "hello channel lost");
            }
        }
        if context.events.is_closed() {
            return;
        }
        backoff.wait(connected_at).await;
    }
}

async fn listen(
    id: LinkId,
    target: &Target,
    mut client: Client,
    skipped: usize,
    context: &LinkContext,
) -> Result<(), ClientError> {
    let subscribe = command_of(target, &context.local, "SUBSCRIBE");
    client.send(&[subscribe.as_str(), CHANNEL]).await?;
    for _ in 0..skipped {
        receive(&mut client).await?;
    }
    loop {
        if let Some(text) = announcement(receive(&mut client).await?)
            && context.events.send((id, LinkEvent::Hello(text))).await.is_err()
        {
            return Ok(());
        }
    }
}

async fn receive(client: &mut Client) -> Result<Frame, ClientError> {
    timeout(SILENCE, client.receive()).await.unwrap_or(Err(ClientError::Closed))
}

fn announcement(frame: Frame) -> Option<String> {
    let [kind, channel, text] = <[Frame; 3]>::try_from(frame.into_array()?).ok()?;
    let ours = kind.as_str() == Some("message") && channel.as_str() == Some(CHANNEL);
    ours.then(|| text.as_str().map(str::to_owned)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_messages_of_the_channel_are_announcements() {
        let frame =
            |words: [&str; 3]| Frame::Array(words.map(|word| Frame::Bulk(word.to_owned().into())).into());
        assert_eq!(announcement(frame(["message", CHANNEL, "hi"])), Some("hi".to_owned()));
        assert_eq!(announcement(frame(["message", "other", "hi"])), None);
        assert_eq!(announcement(frame(["subscribe", CHANNEL, "1"])), None);
        assert_eq!(announcement(Frame::Error("NOPERM".to_owned())), None);
    }
}
