//! Three sentinels in one process, watching one real redis-server with two replicas.

use std::time::Duration;

use redkeep_sentinel::core::event::Kind;
use redkeep_sentinel::{Addr, EventStream, Sentinel, SentinelBuilder, Settings};

use super::{Redis, ask, eventually};

/// The master's name.
pub const NAME: &str = "mymaster";
/// What a busy machine may take for anything that is quick on a quiet one.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Servers and sentinels.
pub struct Cluster {
    pub redis: Vec<Redis>,
    pub sentinels: Vec<Sentinel>,
    /// The sentinels' directories.
    pub dir: tempfile::TempDir,
}

/// Settings for a test: quorum 2.
pub fn settings(down_after_ms: u64) -> Settings {
    Settings { down_after_ms, failover_timeout_ms: 10_000, ..Settings::new(2) }
}

impl Cluster {
    /// Starts all of it, and waits until the sentinels are a group.
    pub async fn start(down_after_ms: u64) -> Self {
        Self::start_with(&[], settings(down_after_ms), |builder| builder).await
    }

    /// The same with further arguments to the servers, and sentinels made otherwise.
    pub async fn start_with(
        args: &[&str],
        settings: Settings,
        make: impl Fn(SentinelBuilder) -> SentinelBuilder,
    ) -> Self {
        let master = Redis::start_with(None, args);
        let at = master.addr.clone();
        let replicas = [Redis::start_with(Some(&at), args), Redis::start_with(Some(&at), args)];
        let dir = tempfile::tempdir().unwrap();
        let mut sentinels = Vec::new();
        for _ in 0..3 {
            let builder = Self::builder(dir.path()).monitor(NAME, at.clone(), settings.clone());
            sentinels.push(make(builder).start().await.unwrap());
        }
        let redis = [master].into_iter().chain(replicas).collect();
        let cluster = Self { redis, sentinels, dir };
        cluster.settled().await;
        cluster
    }

    /// A sentinel that keeps its state below `dir`.
    pub fn builder(dir: &std::path::Path) -> SentinelBuilder {
        let builder = Sentinel::builder().listen("127.0.0.1:0".parse().unwrap());
        builder.dir(dir).settle(Duration::from_millis(500))
    }

    /// Waits until every sentinel knows two replicas and two other sentinels, and one leads.
    pub async fn settled(&self) {
        eventually("the sentinels know each other", PATIENCE, || async {
            for sentinel in &self.sentinels {
                if counts(sentinel).await != Some((2, 2)) {
                    return false;
                }
            }
            self.leader().is_some()
        })
        .await;
    }

    /// The sentinel that leads.
    pub fn leader(&self) -> Option<usize> {
        self.sentinels.iter().position(Sentinel::is_leader)
    }

    /// Where the first sentinel sees the master.
    pub fn master(&self) -> Addr {
        self.sentinels[0].master_addr(NAME).unwrap()
    }

    /// The server at an address.
    pub fn redis_at(&mut self, addr: &Addr) -> &mut Redis {
        self.redis.iter_mut().find(|redis| redis.addr == *addr).unwrap()
    }

    /// Waits until all sentinels name one master that is not `old`, and it takes writes.
    pub async fn failed_over(&self, old: &Addr) -> Addr {
        eventually("all sentinels name another master", PATIENCE, || async {
            let named: Vec<_> = self.sentinels.iter().map(|sentinel| sentinel.master_addr(NAME)).collect();
            named.iter().all(|addr| *addr == named[0] && addr.as_ref() != Some(old))
        })
        .await;
        let new = self.master();
        eventually("it takes writes", PATIENCE, || async {
            ask(&new, &["SET", "key", "value"]).await.is_some_and(|reply| reply.is_ok())
        })
        .await;
        new
    }
}

/// Where a sentinel listens.
pub fn local(sentinel: &Sentinel) -> Addr {
    Addr::new("127.0.0.1", sentinel.local_addr().unwrap().port())
}

/// How many replicas and other sentinels a sentinel knows.
pub async fn counts(sentinel: &Sentinel) -> Option<(i64, i64)> {
    let fields = ask(&local(sentinel), &["SENTINEL", "MASTER", NAME]).await?.into_pairs()?;
    let number = |name: &str| fields.iter().find(|(field, _)| field.as_str() == Some(name))?.1.as_int();
    Some((number("num-slaves")?, number("num-other-sentinels")?))
}

/// Waits for an event and gives its payload.
pub async fn heard(events: &mut EventStream, kind: Kind) -> String {
    let waiting = async {
        loop {
            let event = events.next().await.expect("the sentinel runs");
            if event.kind == kind {
                return event.payload();
            }
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("no {}", kind.channel()))
}
