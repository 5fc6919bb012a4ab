//! SUBSCRIBE, PSUBSCRIBE, their opposites, PUBLISH, PUBSUB.

use super::{Args, CommandResult, CommandSpec, Group, Outcome, Sessional, command, flag};
use crate::pubsub::Kind;

const SUBSCRIBE: u32 = flag::PUBSUB | flag::NOSCRIPT | flag::LOADING | flag::STALE;
const PUBSUB: u32 = flag::PUBSUB | flag::LOADING | flag::STALE;

pub(super) const COMMANDS: &[CommandSpec] = &[
    command("subscribe", -2, Group::Pubsub)
        .flags(SUBSCRIBE)
        .doc("2.0.0", "Listens for messages published to channels.")
        .sessional(|cx, args| subscribe(cx, args, Kind::Channel)),
    command("psubscribe", -2, Group::Pubsub)
        .flags(SUBSCRIBE)
        .doc("2.0.0", "Listens for messages published to channels that match one or more patterns.")
        .sessional(|cx, args| subscribe(cx, args, Kind::Pattern)),
    command("unsubscribe", -1, Group::Pubsub)
        .flags(SUBSCRIBE)
        .doc("2.0.0", "Stops listening to messages posted to channels.")
        .sessional(|cx, args| unsubscribe(cx, args, Kind::Channel)),
    command("punsubscribe", -1, Group::Pubsub)
        .flags(SUBSCRIBE)
        .doc("2.0.0", "Stops listening to messages published to channels that match one or more patterns.")
        .sessional(|cx, args| unsubscribe(cx, args, Kind::Pattern)),
    command("publish", 3, Group::Pubsub)
        .flags(PUBSUB | flag::FAST)
        .doc("2.0.0", "Posts a message to a channel.")
        .sessional(publish),
    command("pubsub", -2, Group::Pubsub).doc("2.8.0", "A container for Pub/Sub commands.").subcommands(&[
        command("channels", -2, Group::Pubsub)
            .flags(PUBSUB)
            .doc("2.8.0", "Returns the active channels.")
            .sessional(channels),
        command("numsub", -2, Group::Pubsub)
            .flags(PUBSUB)
            .doc("2.8.0", "Returns a count of subscribers to channels.")
            .sessional(numsub),
        command("numpat", 2, Group::Pubsub)
            .flags(PUBSUB)
            .doc("2.8.0", "Returns a count of unique pattern subscriptions.")
            .sessional(numpat),
        command("help", 2, Group::Pubsub)
            .flags(flag::LOADING | flag::STALE)
            .doc("6.2.0", "Returns helpful text about the different subcommands.")
            .sessional(help),
    ]),
];

const fn words(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::Channel => ("subscribe", "unsubscribe"),
        Kind::Pattern => ("psubscribe", "punsubscribe"),
    }
}

fn subscribe(cx: &mut Sessional<'_>, args: Args<'_>, kind: Kind) -> CommandResult {
    for name in args.from(1) {
        cx.session.subscribe(cx.engine, kind, name);
        confirm(cx, words(kind).0, Some(name));
    }
    Ok(Outcome::Unchanged)
}

fn unsubscribe(cx: &mut Sessional<'_>, args: Args<'_>, kind: Kind) -> CommandResult {
    let word = words(kind).1;
    if args.len() > 1 {
        for name in args.from(1) {
            cx.session.unsubscribe(cx.engine, kind, name);
            confirm(cx, word, Some(name));
        }
        return Ok(Outcome::Unchanged);
    }
    let all: Vec<Box<[u8]>> = cx.session.subscribed(kind).iter().cloned().collect();
    if all.is_empty() {
        confirm(cx, word, None);
    }
    for name in all {
        cx.session.unsubscribe(cx.engine, kind, &name);
        confirm(cx, word, Some(&name));
    }
    Ok(Outcome::Unchanged)
}

fn confirm(cx: &mut Sessional<'_>, word: &str, name: Option<&[u8]>) {
    cx.reply.push(3);
    cx.reply.bulk_str(word);
    match name {
        Some(name) => cx.reply.bulk(name),
        None => cx.reply.null(),
    }
    cx.reply.integer(cx.session.subscriptions() as i64);
}

fn publish(cx: &mut Sessional<'_>, args: Args<'_>) -> CommandResult {
    let receivers = cx.engine.pubsub.publish(args.get(1), args.get(2), &cx.settings.output_limits.pubsub);
    cx.reply.integer(receivers as i64);
    // A replica's subscribers are to have the message too.
    Ok(Outcome::Announced)
}

fn channels(cx: &mut Sessional<'_>, args: Args<'_>) -> CommandResult {
    let pattern = (args.len() > 2).then(|| args.get(2));
    let channels = cx.engine.pubsub.channels(pattern);
    cx.reply.array(channels.len());
    channels.iter().for_each(|name| cx.reply.bulk(name));
    Ok(Outcome::Unchanged)
}

fn numsub(cx: &mut Sessional<'_>, args: Args<'_>) -> CommandResult {
    cx.reply.array((args.len() - 2) * 2);
    for name in args.from(2) {
        cx.reply.bulk(name);
        cx.reply.integer(cx.engine.pubsub.subscribers(name) as i64);
    }
    Ok(Outcome::Unchanged)
}

fn numpat(cx: &mut Sessional<'_>, _: Args<'_>) -> CommandResult {
    cx.reply.integer(cx.engine.pubsub.patterns() as i64);
    Ok(Outcome::Unchanged)
}

fn help(cx: &mut Sessional<'_>, _: Args<'_>) -> CommandResult {
    super::introspection::help(
        &mut cx.reply,
        "PUBSUB",
        &[
            (
                "CHANNELS [<pattern>]",
                "The channels that have subscribers, all or those matching the pattern.",
            ),
            ("NUMPAT", "The number of patterns that are subscribed to."),
            ("NUMSUB [<channel> ...]", "The number of subscribers of each channel, patterns not counted."),
        ],
    );
    Ok(Outcome::Unchanged)
}
