//! What the group's tests share: a small replicated state, a network in memory that can be cut, and a cluster.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use redkeep_sentinel::raft::{
    BootstrapOptions, Group, GroupError, GroupOptions, Machine, PeerAddress, PublicId, Role, Sighting,
    Source, Standing, Timings, Transport, TransportError, TransportFuture,
};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

/// A replicated table of texts, which also remembers in which order it was written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    pub entries: BTreeMap<String, String>,
    pub writes: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Write {
    Put(String, String),
    /// Only if the key holds this.
    Swap(String, String, String),
}

pub fn put(key: impl Into<String>, value: impl Into<String>) -> Write {
    Write::Put(key.into(), value.into())
}

impl Machine for Table {
    type Command = Write;
    /// What the key held before.
    type Response = Option<String>;

    fn apply(&mut self, _index: u64, command: Write) -> Option<String> {
        let (key, value) = match command {
            Write::Put(key, value) => (key, value),
            Write::Swap(key, expected, value) => {
                let held = self.entries.get(&key).cloned();
                if held.as_ref() != Some(&expected) {
                    return held;
                }
                (key, value)
            }
        };
        self.writes.push(key.clone());
        self.entries.insert(key, value)
    }
}

type Handler = Arc<dyn Fn(Bytes) -> Pin<Box<dyn Future<Output = Bytes> + Send>> + Send + Sync>;

/// A network in memory. A cut link is silent; a sentinel that is down refuses.
#[derive(Default)]
pub struct Net {
    handlers: Mutex<BTreeMap<PeerAddress, Handler>>,
    /// Which partition a sentinel is in; 0 if it is not listed.
    side: Mutex<BTreeMap<PeerAddress, usize>>,
    weather: Mutex<Weather>,
}

#[derive(Clone, Copy, Default)]
pub struct Weather {
    /// Chance of a message to be lost, in percent; as many are lost on the way back.
    pub loss: u32,
    /// Longest delay of a message, in milliseconds.
    pub delay_ms: u64,
}

impl Net {
    pub fn weather(&self, weather: Weather) {
        *self.weather.lock() = weather;
    }

    pub fn partition(&self, sides: &[&[PeerAddress]]) {
        let mut side = self.side.lock();
        side.clear();
        for (number, members) in sides.iter().enumerate() {
            side.extend(members.iter().map(|address| (address.clone(), number)));
        }
    }

    pub fn heal(&self) {
        self.side.lock().clear();
    }

    pub fn connected(&self, one: &PeerAddress, other: &PeerAddress) -> bool {
        let side = self.side.lock();
        side.get(one).unwrap_or(&0) == side.get(other).unwrap_or(&0)
    }

    fn lost(&self) -> bool {
        fastrand::u32(0..100) < self.weather.lock().loss
    }

    async fn travel(&self, from: &PeerAddress, to: &PeerAddress) -> bool {
        let delay_ms = self.weather.lock().delay_ms;
        if delay_ms > 0 {
            sleep(Duration::from_millis(fastrand::u64(0..=delay_ms))).await;
        }
        self.connected(from, to) && !self.lost()
    }

    async fn deliver(
        &self,
        from: &PeerAddress,
        to: &PeerAddress,
        message: Bytes,
    ) -> Result<Bytes, TransportError> {
        if !self.travel(from, to).await {
            std::future::pending::<()>().await;
        }
        let handler = self.handlers.lock().get(to).cloned();
        let Some(handler) = handler else { return Err(TransportError::Unreachable("refused".to_owned())) };
        let reply =
            tokio::spawn(handler(message)).await.map_err(|error| TransportError::Lost(error.to_string()))?;
        if !self.travel(to, from).await {
            std::future::pending::<()>().await;
        }
        Ok(reply)
    }
}

struct Wire {
    net: Arc<Net>,
    from: PeerAddress,
}

impl Transport for Wire {
    fn call<'a>(&'a self, peer: &'a PeerAddress, message: Bytes, timeout: Duration) -> TransportFuture<'a> {
        Box::pin(async move {
            let delivered = tokio::time::timeout(timeout, self.net.deliver(&self.from, peer, message)).await;
            delivered.unwrap_or_else(|_| Err(TransportError::Lost("timed out".to_owned())))
        })
    }
}

pub struct Sentinel {
    pub group: Group<Table>,
    pub public_id: PublicId,
    pub address: PeerAddress,
}

/// Sentinels by number; number `n` has the public id and the port `n`.
pub struct Cluster {
    pub net: Arc<Net>,
    pub sentinels: BTreeMap<u16, Sentinel>,
    pub bootstrap: BootstrapOptions,
    pub timings: Timings,
    dirs: TempDir,
}

pub fn public_id(number: u16) -> PublicId {
    format!("{number:040x}").parse().unwrap()
}

pub fn address(number: u16) -> PeerAddress {
    PeerAddress::new("127.0.0.1", number)
}

pub const PATIENCE: Duration = Duration::from_secs(20);

impl Cluster {
    pub fn new() -> Self {
        Self {
            net: Arc::default(),
            sentinels: BTreeMap::new(),
            bootstrap: BootstrapOptions { settle_ms: 300, peers: Vec::new() },
            timings: Timings { request_timeout_ms: 3000, ..Timings::default() },
            dirs: tempfile::tempdir().unwrap(),
        }
    }

    /// A group that has begun and has a leader.
    pub async fn started(count: u16) -> Self {
        let mut cluster = Self::new();
        for number in 1..=count {
            cluster.start(number).await;
        }
        cluster.settle(count as usize).await;
        cluster
    }

    pub fn dir(&self, number: u16) -> PathBuf {
        self.dirs.path().join(format!("redkeep-sentinel-{number}"))
    }

    pub fn transport(&self, number: u16) -> Arc<dyn Transport> {
        self.transport_from(address(number))
    }

    fn transport_from(&self, from: PeerAddress) -> Arc<dyn Transport> {
        Arc::new(Wire { net: Arc::clone(&self.net), from })
    }

    pub async fn start(&mut self, number: u16) {
        self.start_at(number, address(number)).await;
    }

    pub async fn start_at(&mut self, number: u16, address: PeerAddress) {
        let options = GroupOptions {
            dir: self.dir(number),
            public_id: public_id(number),
            address: address.clone(),
            timings: self.timings.clone(),
            bootstrap: self.bootstrap.clone(),
            transport: self.transport_from(address.clone()),
        };
        let group = Group::open(options).await.unwrap();
        let serving = group.clone();
        let handler: Handler = Arc::new(move |message| {
            let group = serving.clone();
            Box::pin(async move { group.handle(message).await })
        });
        self.net.handlers.lock().insert(address.clone(), handler);
        self.sentinels.insert(number, Sentinel { group, public_id: public_id(number), address });
    }

    pub async fn stop(&mut self, number: u16) {
        let sentinel = self.sentinels.remove(&number).unwrap();
        self.net.handlers.lock().remove(&sentinel.address);
        sentinel.group.shutdown().await;
    }

    pub fn group(&self, number: u16) -> &Group<Table> {
        &self.sentinels[&number].group
    }

    /// One round of hellos through a master that everybody on the same side reaches.
    pub fn hello(&self) {
        for one in self.sentinels.values() {
            for other in self.sentinels.values() {
                if self.net.connected(&one.address, &other.address) {
                    other.group.sighted(Sighting {
                        public_id: one.public_id,
                        address: one.address.clone(),
                        group: one.group.group_id(),
                        source: Source::Hello,
                    });
                }
            }
        }
    }

    /// Says hello until the condition holds.
    pub async fn until(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !condition(self) {
            assert!(Instant::now() < deadline, "never came: {what}\n{}", self.describe());
            self.hello();
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Until all of the running sentinels are voters of one group of `voters`, and have a leader.
    pub async fn settle(&self, voters: usize) {
        self.until(&format!("one group of {voters} voters"), |cluster| {
            let groups: BTreeSet<_> = cluster.sentinels.values().map(|it| it.group.group_id()).collect();
            groups.len() == 1
                && cluster.sentinels.values().all(|sentinel| {
                    let status = sentinel.group.status();
                    matches!(status.leadership.standing, Standing::Member(_))
                        && status.leadership.leader.is_some()
                        && status.voters.len() == voters
                        && status.learners.is_empty()
                })
        })
        .await;
    }

    pub fn leader(&self) -> Option<u16> {
        let leaders = self.sentinels.iter().filter(|(_, it)| it.group.leadership().role == Role::Leader);
        leaders.max_by_key(|(_, it)| it.group.leadership().term).map(|(number, _)| *number)
    }

    pub fn follower(&self) -> u16 {
        let leader = self.leader();
        *self.sentinels.keys().find(|&&number| Some(number) != leader).unwrap()
    }

    pub async fn put(&self, through: u16, key: &str, value: &str) -> Result<Option<String>, GroupError> {
        self.group(through).propose(put(key, value)).await
    }

    /// Puts until it succeeds; for values where a second put does not matter.
    pub async fn put_surely(&self, through: u16, key: &str, value: &str) {
        let deadline = Instant::now() + PATIENCE;
        while let Err(error) = self.put(through, key, value).await {
            assert!(Instant::now() < deadline, "never put: {error}\n{}", self.describe());
        }
    }

    /// Until all running sentinels have applied the same.
    pub async fn agree(&self) -> Arc<Table> {
        self.until("the same state everywhere", |cluster| {
            let mut applied = cluster.sentinels.values().map(|it| it.group.watch().borrow().index);
            let first = applied.next();
            applied.all(|index| Some(index) == first)
        })
        .await;
        let states: Vec<Arc<Table>> = self.sentinels.values().map(|it| it.group.state()).collect();
        assert!(states.windows(2).all(|pair| pair[0] == pair[1]), "same index, different states");
        Arc::clone(&states[0])
    }

    pub fn describe(&self) -> String {
        let lines = self.sentinels.iter().map(|(number, it)| format!("{number}: {:?}\n", it.group.status()));
        lines.collect()
    }
}
