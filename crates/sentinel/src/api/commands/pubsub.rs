//! Subscribing to events, and the one channel on which a sentinel takes messages.

use std::collections::BTreeSet;

use super::{Call, CommandSpec, Flag, Outcome};
use crate::api::session::MAX_SUBSCRIPTIONS;
use crate::core::hello::CHANNEL;
use crate::core::node::Input;

pub(super) const COMMANDS: &[CommandSpec] = &[
    CommandSpec::new("subscribe", -2, PUBSUB, "Listen for messages published to channels", subscribe),
    CommandSpec::new(
        "psubscribe",
        -2,
        PUBSUB,
        "Listen for messages to channels that match patterns",
        psubscribe,
    ),
    CommandSpec::new("unsubscribe", -1, PUBSUB, "Stop listening to channels", unsubscribe),
    CommandSpec::new("punsubscribe", -1, PUBSUB, "Stop listening to patterns", punsubscribe),
    CommandSpec::new("publish", 3, &[Flag::PubSub, Flag::Fast], "Post an announcement", publish),
];

const PUBSUB: &[Flag] = &[Flag::PubSub, Flag::Subscriber];

fn subscribe(call: &mut Call<'_, '_>) -> Outcome {
    add(call, "subscribe", |call| &mut call.session.channels)
}

fn psubscribe(call: &mut Call<'_, '_>) -> Outcome {
    add(call, "psubscribe", |call| &mut call.session.patterns)
}

fn unsubscribe(call: &mut Call<'_, '_>) -> Outcome {
    remove(call, "unsubscribe", |call| &mut call.session.channels)
}

fn punsubscribe(call: &mut Call<'_, '_>) -> Outcome {
    remove(call, "punsubscribe", |call| &mut call.session.patterns)
}

type Topics = for<'c> fn(&'c mut Call<'_, '_>) -> &'c mut BTreeSet<Vec<u8>>;

fn add(call: &mut Call<'_, '_>, kind: &str, topics: Topics) -> Outcome {
    if call.session.subscriptions() + call.args.len() > MAX_SUBSCRIPTIONS {
        return call.error("ERR too many subscriptions");
    }
    for topic in &call.args[1..] {
        topics(call).insert(topic.to_vec());
        confirm(call, kind, Some(topic));
    }
    Outcome::Done
}

fn remove(call: &mut Call<'_, '_>, kind: &str, topics: Topics) -> Outcome {
    let named = &call.args[1..];
    let all: Vec<Vec<u8>> = if named.is_empty() {
        topics(call).iter().cloned().collect()
    } else {
        named.iter().map(|topic| topic.to_vec()).collect()
    };
    if all.is_empty() {
        confirm(call, kind, None);
    }
    for topic in all {
        topics(call).remove(&topic);
        confirm(call, kind, Some(&topic));
    }
    Outcome::Done
}

fn confirm(call: &mut Call<'_, '_>, kind: &str, topic: Option<&[u8]>) {
    let count = i64::try_from(call.session.subscriptions()).unwrap_or(i64::MAX);
    call.reply.push(3);
    call.reply.bulk_str(kind);
    match topic {
        Some(topic) => call.reply.bulk(topic),
        None => call.reply.null(),
    }
    call.reply.integer(count);
}

fn publish(call: &mut Call<'_, '_>) -> Outcome {
    if call.args[1] != CHANNEL.as_bytes() {
        return call.error("ERR Only HELLO messages are accepted by Sentinel instances.");
    }
    // When the main loop is behind, the announcement is lost; the next one comes in two seconds.
    drop(call.api.shared.inputs.try_send(Input::Hello(call.text(2).into_owned())));
    call.reply.integer(1);
    Outcome::Done
}
