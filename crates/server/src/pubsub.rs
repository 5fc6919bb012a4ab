//! Publish and subscribe: who listens to which channel and pattern.
//!
//! A published message is written once for each protocol and put into the mailboxes of its subscribers.

use std::sync::Arc;
use std::time::Instant;

use hashbrown::HashMap;
use parking_lot::RwLock;
use redkeep_resp::{Protocol, ReplyWriter, glob};

use crate::client::Client;
use crate::config::OutputLimit;

type Subscribers = HashMap<Box<[u8]>, Vec<Arc<Client>>, foldhash::fast::RandomState>;

#[derive(Default)]
struct Tables {
    channels: Subscribers,
    patterns: Subscribers,
}

/// What a client may subscribe to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A channel by its name.
    Channel,
    /// All channels whose names match a glob pattern.
    Pattern,
}

/// All subscriptions of a server.
#[derive(Default)]
pub struct PubSub {
    tables: RwLock<Tables>,
}

impl Tables {
    fn of(&mut self, kind: Kind) -> &mut Subscribers {
        match kind {
            Kind::Channel => &mut self.channels,
            Kind::Pattern => &mut self.patterns,
        }
    }
}

impl PubSub {
    /// `client` subscribes; it must not be subscribed to the same already.
    pub fn subscribe(&self, kind: Kind, name: &[u8], client: &Arc<Client>) {
        self.tables.write().of(kind).entry(name.into()).or_default().push(client.clone());
    }

    /// Takes back [`subscribe`](Self::subscribe).
    pub fn unsubscribe(&self, kind: Kind, name: &[u8], client: &Arc<Client>) {
        let mut tables = self.tables.write();
        let table = tables.of(kind);
        if let Some(clients) = table.get_mut(name) {
            clients.retain(|other| other.id != client.id);
            if clients.is_empty() {
                table.remove(name);
            }
        }
    }

    /// Delivers `message` to the subscribers of `channel`. Returns how many there were.
    pub fn publish(&self, channel: &[u8], message: &[u8], limit: &OutputLimit) -> usize {
        let tables = self.tables.read();
        let mut receivers = 0;
        let now = Instant::now();
        if let Some(clients) = tables.channels.get(channel) {
            let push = Push::new(&[b"message", channel, message]);
            clients.iter().for_each(|client| push.deliver(client, limit, now));
            receivers += clients.len();
        }
        for (pattern, clients) in &tables.patterns {
            if glob::matches(pattern, channel) {
                let push = Push::new(&[b"pmessage", pattern, channel, message]);
                clients.iter().for_each(|client| push.deliver(client, limit, now));
                receivers += clients.len();
            }
        }
        receivers
    }

    /// The channels with subscribers whose names match `pattern`, if given.
    pub fn channels(&self, pattern: Option<&[u8]>) -> Vec<Box<[u8]>> {
        let tables = self.tables.read();
        let wanted = |name: &[u8]| pattern.is_none_or(|pattern| glob::matches(pattern, name));
        tables.channels.keys().filter(|name| wanted(name)).cloned().collect()
    }

    /// How many subscribe to `channel` by its name.
    pub fn subscribers(&self, channel: &[u8]) -> usize {
        self.tables.read().channels.get(channel).map_or(0, Vec::len)
    }

    /// How many patterns are subscribed to.
    pub fn patterns(&self) -> usize {
        self.tables.read().patterns.len()
    }

    /// How many channels are subscribed to.
    pub fn channel_count(&self) -> usize {
        self.tables.read().channels.len()
    }
}

/// A push message in both protocols.
struct Push {
    resp2: Vec<u8>,
    resp3: Vec<u8>,
}

impl Push {
    fn new(parts: &[&[u8]]) -> Self {
        let encode = |protocol| {
            let mut bytes = Vec::with_capacity(32 + parts.iter().map(|part| part.len() + 16).sum::<usize>());
            let mut writer = ReplyWriter::new(&mut bytes, protocol);
            writer.push(parts.len());
            parts.iter().for_each(|part| writer.bulk(part));
            bytes
        };
        Push { resp2: encode(Protocol::Resp2), resp3: encode(Protocol::Resp3) }
    }

    fn deliver(&self, client: &Client, limit: &OutputLimit, now: Instant) {
        let bytes = match client.protocol() {
            Protocol::Resp2 => &self.resp2,
            Protocol::Resp3 => &self.resp3,
        };
        client.deliver(bytes, limit, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_LIMIT: OutputLimit = OutputLimit { hard: 0, soft: 0, soft_seconds: 0 };

    fn client(id: u64) -> Arc<Client> {
        Client::new(id, String::new(), String::new(), Instant::now())
    }

    fn mail(client: &Client) -> String {
        let mut out = Vec::new();
        client.take_mail(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn messages_reach_channels_and_patterns_in_their_protocol() {
        let (pubsub, one, two) = (PubSub::default(), client(1), client(2));
        two.set_protocol(Protocol::Resp3);
        pubsub.subscribe(Kind::Channel, b"news", &one);
        pubsub.subscribe(Kind::Pattern, b"n*", &two);
        assert_eq!(pubsub.publish(b"news", b"hi", &NO_LIMIT), 2);
        assert_eq!(mail(&one), "*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$2\r\nhi\r\n");
        assert_eq!(mail(&two), ">4\r\n$8\r\npmessage\r\n$2\r\nn*\r\n$4\r\nnews\r\n$2\r\nhi\r\n");
        pubsub.unsubscribe(Kind::Channel, b"news", &one);
        assert_eq!(pubsub.publish(b"news", b"hi", &NO_LIMIT), 1);
        assert!(pubsub.channels(None).is_empty());
    }
}
