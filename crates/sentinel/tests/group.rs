//! Sentinels as a group: state that outlives restarts, operators that speak to each of them, and foreign sentinels.

#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

mod instances;

use std::process::{Command, Stdio};
use std::time::Duration;

use instances::cluster::{Cluster, NAME, PATIENCE, local, settings};
use instances::{ask, available, eventually, free_port};
use redkeep_sentinel::{Addr, Sentinel, Settings};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_group_decided_outlives_its_restart() {
    if !available() {
        return;
    }
    let mut cluster = Cluster::start(1000).await;
    let old = cluster.master();
    cluster.redis_at(&old).kill();
    let new = cluster.failed_over(&old).await;
    let places: Vec<_> = cluster.sentinels.iter().map(|sentinel| sentinel.local_addr().unwrap()).collect();
    let ids: Vec<_> = cluster.sentinels.iter().map(Sentinel::id).collect();
    for sentinel in cluster.sentinels.drain(..) {
        sentinel.shutdown().await;
    }
    for place in places {
        // The configuration still names the dead master.
        let builder = Sentinel::builder().listen(place).dir(cluster.dir.path());
        let sentinel = builder.monitor(NAME, old.clone(), settings(1000)).start().await.unwrap();
        assert_eq!(sentinel.master_addr(NAME), Some(new.clone()), "from the first moment");
        cluster.sentinels.push(sentinel);
    }
    cluster.settled().await;
    assert_eq!(cluster.sentinels.iter().map(Sentinel::id).collect::<Vec<_>>(), ids);
    assert_eq!(cluster.master(), new);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scripts_that_speak_to_each_sentinel_in_turn_succeed() {
    if !available() {
        return;
    }
    let cluster = Cluster::start(60_000).await;
    let port = free_port().to_string();
    let each = |words: Vec<String>| {
        let sentinels = &cluster.sentinels;
        async move {
            for sentinel in sentinels {
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                let reply = ask_patiently(&local(sentinel), &words).await;
                assert!(reply.is_ok(), "{words:?}: {reply:?}");
            }
        }
    };
    let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
    each(words(&format!("SENTINEL MONITOR other 127.0.0.1 {port} 2"))).await;
    each(words("SENTINEL SET other down-after-milliseconds 500 quorum 3")).await;
    each(words("SENTINEL REMOVE other")).await;
    for sentinel in &cluster.sentinels {
        assert_eq!(sentinel.master_addr("other"), None);
    }
}

async fn ask_patiently(addr: &Addr, words: &[&str]) -> redkeep_resp::frame::Frame {
    let mut client = instances::connect(addr).await.unwrap();
    tokio::time::timeout(PATIENCE, client.call(words)).await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sentinel_that_comes_later_is_taken_in() {
    if !available() {
        return;
    }
    let mut cluster = Cluster::start(1000).await;
    let builder = Cluster::builder(cluster.dir.path());
    let late = builder.monitor(NAME, cluster.master(), settings(1000)).start().await.unwrap();
    eventually("it is a voter", PATIENCE, || async {
        let status = cluster.sentinels[0].group().status();
        status.voters.iter().any(|voter| voter.public_id == late.id())
    })
    .await;
    cluster.sentinels.push(late);
    let old = cluster.master();
    cluster.redis_at(&old).kill();
    cluster.failed_over(&old).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_sentinels_of_three_check_their_quorum() {
    if !available() {
        return;
    }
    let mut cluster = Cluster::start(500).await;
    let check = ["SENTINEL", "CKQUORUM", NAME];
    let reply = ask(&local(&cluster.sentinels[0]), &check).await.unwrap();
    assert_eq!(
        reply.as_str(),
        Some("OK 3 usable Sentinels. Quorum and failover authorization can be reached")
    );
    cluster.sentinels.pop().unwrap().shutdown().await;
    cluster.sentinels.pop().unwrap().shutdown().await;
    eventually("one is too few", PATIENCE, || async {
        let reply = ask(&local(&cluster.sentinels[0]), &check).await.unwrap();
        reply.as_error().is_some_and(|error| error.starts_with("NOQUORUM 1 usable Sentinels. "))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_sentinels_are_followed_and_not_disturbed() {
    if !available() {
        return;
    }
    let mut cluster = Cluster::start(1000).await;
    let old = cluster.master();
    let foreign = RedisSentinel::start(cluster.dir.path(), &old);
    eventually("the foreign sentinel is known", PATIENCE, || async {
        let reply = ask(&local(&cluster.sentinels[0]), &["SENTINEL", "SENTINELS", NAME]).await;
        reply.and_then(|reply| reply.into_array()).is_some_and(|others| others.len() == 3)
    })
    .await;
    // Two of its announcements at least, so that all know what it is.
    tokio::time::sleep(Duration::from_secs(5)).await;
    cluster.redis_at(&old).kill();
    let since = std::time::Instant::now();
    let new = cluster.failed_over(&old).await;
    assert!(since.elapsed() > Duration::from_secs(1), "the decision was not ours");
    let theirs = ask(&foreign.addr, &["SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME]).await.unwrap();
    assert_eq!(theirs.into_array().unwrap()[1].as_int(), Some(i64::from(new.port)));
}

/// A redis-sentinel with quorum 1 and down-after 1000, which so decides alone. Killed when dropped.
struct RedisSentinel {
    child: std::process::Child,
    addr: Addr,
}

impl RedisSentinel {
    fn start(dir: &std::path::Path, master: &Addr) -> Self {
        let addr = Addr::new("127.0.0.1", free_port());
        let conf = dir.join("foreign.conf");
        let Settings { quorum, .. } = Settings::new(1);
        let text = format!(
            "port {}\ndir {}\nsentinel monitor {NAME} {} {} {quorum}\nsentinel down-after-milliseconds {NAME} 1000\n",
            addr.port,
            dir.display(),
            master.host,
            master.port,
        );
        std::fs::write(&conf, text).unwrap();
        let mut command = Command::new("redis-server");
        command.arg(conf).arg("--sentinel").stdout(Stdio::null()).stderr(Stdio::null());
        Self { child: command.spawn().unwrap(), addr }
    }
}

impl Drop for RedisSentinel {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}
