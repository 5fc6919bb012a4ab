//! What a client is, and the list of all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use redkeep_resp::Protocol;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Most clients at once; Redis's `maxclients`.
pub(crate) const MAX_CLIENTS: usize = 10_000;
/// Most channels and patterns of one client.
pub(crate) const MAX_SUBSCRIPTIONS: usize = 1024;

/// One client's state, owned by its connection.
pub(crate) struct Session {
    pub(crate) client: Arc<Client>,
    pub(crate) protocol: Protocol,
    pub(crate) authenticated: bool,
    pub(crate) channels: BTreeSet<Vec<u8>>,
    pub(crate) patterns: BTreeSet<Vec<u8>>,
}

impl Session {
    pub(crate) fn subscriptions(&self) -> usize {
        self.channels.len() + self.patterns.len()
    }
}

/// What other clients may see of one, and do to it.
pub(crate) struct Client {
    pub(crate) id: u64,
    pub(crate) addr: String,
    pub(crate) local_addr: String,
    pub(crate) since: Instant,
    pub(crate) shown: Mutex<Shown>,
    /// Ends the connection.
    pub(crate) kill: Notify,
}

/// The changing part of a client's line in CLIENT LIST.
pub(crate) struct Shown {
    pub(crate) name: String,
    pub(crate) last_command: String,
    pub(crate) last_active: Instant,
    pub(crate) channels: usize,
    pub(crate) patterns: usize,
    pub(crate) protocol: Protocol,
}

impl Client {
    /// Its line in CLIENT LIST.
    pub(crate) fn line(&self) -> String {
        let shown = self.shown.lock();
        let flags = if shown.channels + shown.patterns > 0 { "P" } else { "N" };
        let resp = match shown.protocol {
            Protocol::Resp2 => 2,
            Protocol::Resp3 => 3,
        };
        format!(
            "id={} addr={} laddr={} fd=-1 name={} age={} idle={} flags={flags} db=0 sub={} psub={} ssub=0 multi=-1 \
             cmd={} user=default redir=-1 resp={resp}",
            self.id,
            self.addr,
            self.local_addr,
            shown.name,
            self.since.elapsed().as_secs(),
            shown.last_active.elapsed().as_secs(),
            shown.channels,
            shown.patterns,
            shown.last_command,
        )
    }

    pub(crate) fn is_subscriber(&self) -> bool {
        let shown = self.shown.lock();
        shown.channels + shown.patterns > 0
    }
}

/// All clients.
#[derive(Default)]
pub(crate) struct Clients {
    last_id: AtomicU64,
    connected: Mutex<BTreeMap<u64, Arc<Client>>>,
}

impl Clients {
    /// Takes a client in; `None` if there are too many.
    pub(crate) fn enter(&self, addr: String, local_addr: String) -> Option<Arc<Client>> {
        let id = self.last_id.fetch_add(1, Ordering::Relaxed) + 1;
        let now = Instant::now();
        let shown = Shown {
            name: String::new(),
            last_command: "NULL".to_owned(),
            last_active: now,
            channels: 0,
            patterns: 0,
            protocol: Protocol::Resp2,
        };
        let shown = Mutex::new(shown);
        let client = Arc::new(Client { id, addr, local_addr, since: now, shown, kill: Notify::new() });
        let mut connected = self.connected.lock();
        if connected.len() >= MAX_CLIENTS {
            return None;
        }
        connected.insert(id, Arc::clone(&client));
        Some(client)
    }

    pub(crate) fn leave(&self, id: u64) {
        self.connected.lock().remove(&id);
    }

    pub(crate) fn count(&self) -> usize {
        self.connected.lock().len()
    }

    pub(crate) fn all(&self) -> Vec<Arc<Client>> {
        self.connected.lock().values().cloned().collect()
    }
}
