//! What a client is: database, user, protocol, transaction, subscriptions.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use redkeep_replication::core::replica_session;
use redkeep_resp::Protocol;

use crate::client::{Client, ClientKind, WrittenUpTo};
use crate::commands::OwnedArgs;
use crate::engine::Engine;
use crate::observers::{WatchFlag, WatchedKey};
use crate::pubsub::Kind;
use crate::transaction::Transaction;

/// Whether replies are sent (`CLIENT REPLY`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyMode {
    /// Yes.
    On,
    /// No.
    Off,
    /// Not for the command after this one.
    SkipNext,
    /// Not for this command.
    Skip,
}

/// Where requests come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A client.
    Client,
    /// The primary that this replica follows.
    Primary,
}

/// The keys that a connection watches.
#[derive(Default)]
pub struct Watch {
    /// Set when one of them is touched.
    pub flag: Arc<WatchFlag>,
    /// The keys.
    pub keys: Vec<WatchedKey>,
}

/// The state of one connection.
pub struct Session {
    /// What others know of it.
    pub client: Arc<Client>,
    /// Where its requests come from.
    pub origin: Origin,
    /// Number of the selected database.
    pub db: usize,
    /// The protocol of its replies.
    pub protocol: Protocol,
    /// Whether it may execute commands.
    pub authenticated: bool,
    /// The transaction begun by MULTI.
    pub transaction: Option<Box<Transaction>>,
    /// What it watches.
    pub watch: Option<Box<Watch>>,
    /// Channels it subscribes to.
    pub channels: BTreeSet<Box<[u8]>>,
    /// Patterns it subscribes to.
    pub patterns: BTreeSet<Box<[u8]>>,
    /// A request that waits for the gate and is no longer in the read buffer.
    pub parked: Option<OwnedArgs>,
    /// The client's, at hand.
    pub written_up_to: Arc<WrittenUpTo>,
    /// Whether replies are sent.
    pub reply_mode: ReplyMode,
    /// What it said by REPLCONF, if it did.
    pub replica: Option<Box<replica_session::Session>>,
}

impl Session {
    /// A new connection's.
    pub fn new(client: Arc<Client>, origin: Origin, authenticated: bool) -> Self {
        let written_up_to = client.written_up_to.clone();
        Session {
            client,
            origin,
            db: 0,
            protocol: Protocol::Resp2,
            authenticated,
            transaction: None,
            watch: None,
            channels: BTreeSet::new(),
            patterns: BTreeSet::new(),
            parked: None,
            written_up_to,
            reply_mode: ReplyMode::On,
            replica: None,
        }
    }

    /// Whether commands are executed at once and answered, with no state that changes their meaning.
    #[inline]
    pub fn is_plain(&self) -> bool {
        self.authenticated
            && self.transaction.is_none()
            && self.reply_mode == ReplyMode::On
            && (self.subscriptions() == 0 || self.protocol == Protocol::Resp3)
    }

    /// Channels and patterns together.
    pub fn subscriptions(&self) -> usize {
        self.channels.len() + self.patterns.len()
    }

    /// The names of one kind that it subscribes to.
    pub fn subscribed(&mut self, kind: Kind) -> &mut BTreeSet<Box<[u8]>> {
        match kind {
            Kind::Channel => &mut self.channels,
            Kind::Pattern => &mut self.patterns,
        }
    }

    /// Ends MULTI.
    pub fn end_transaction(&mut self) {
        self.transaction = None;
        self.client.queued.store(u32::MAX, Ordering::Relaxed);
    }

    /// Selects a database.
    pub fn select(&mut self, db: usize) {
        self.db = db;
        self.client.db.store(db, Ordering::Relaxed);
    }

    /// Changes the protocol.
    pub fn set_protocol(&mut self, protocol: Protocol) {
        self.protocol = protocol;
        self.client.set_protocol(protocol);
    }

    /// Subscribes; false if it was already.
    pub fn subscribe(&mut self, engine: &Engine, kind: Kind, name: &[u8]) -> bool {
        let new = self.subscribed(kind).insert(name.into());
        if new {
            engine.pubsub.subscribe(kind, name, &self.client);
            self.count_subscriptions();
        }
        new
    }

    /// Unsubscribes; false if it was not subscribed.
    pub fn unsubscribe(&mut self, engine: &Engine, kind: Kind, name: &[u8]) -> bool {
        let was = self.subscribed(kind).remove(name);
        if was {
            engine.pubsub.unsubscribe(kind, name, &self.client);
            self.count_subscriptions();
        }
        was
    }

    fn count_subscriptions(&self) {
        self.client.channels.store(self.channels.len() as u32, Ordering::Relaxed);
        self.client.patterns.store(self.patterns.len() as u32, Ordering::Relaxed);
        let kind = if self.subscriptions() > 0 { ClientKind::Pubsub } else { ClientKind::Normal };
        self.client.set_kind(kind);
    }

    /// Ends its subscriptions. What it watched is returned, to be taken from the shards.
    pub fn leave(&mut self, engine: &Engine) -> Option<Watch> {
        for kind in [Kind::Channel, Kind::Pattern] {
            for name in std::mem::take(self.subscribed(kind)) {
                engine.pubsub.unsubscribe(kind, &name, &self.client);
            }
        }
        self.count_subscriptions();
        self.watch.take().map(|watch| *watch)
    }
}
