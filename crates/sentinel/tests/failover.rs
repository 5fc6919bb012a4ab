//! Three sentinels in one process watch one real redis-server with two replicas, and lose it.

#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

mod instances;

use std::time::Instant;

use instances::cluster::{Cluster, NAME, PATIENCE, heard, local, settings};
use instances::{
    DATA_PASSWORD, Redis, SENTINEL_PASSWORD, ask, available, connect, eventually, follows, role,
};
use redkeep_sentinel::core::event::Kind;
use redkeep_sentinel::{EventStream, Sentinel, Settings};
use rustix::process::Signal;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_master_is_replaced() {
    if !available() {
        return;
    }
    let mut cluster = Cluster::start(1000).await;
    let old = cluster.master();
    let mut events: Vec<EventStream> = cluster.sentinels.iter().map(Sentinel::events).collect();
    cluster.redis_at(&old).kill();
    let since = Instant::now();
    let new = cluster.failed_over(&old).await;
    println!("new master accepts writes after {:?}", since.elapsed());

    for events in &mut events {
        let payload = heard(events, Kind::SwitchMaster).await;
        assert_eq!(payload, format!("{NAME} {} {} {} {}", old.host, old.port, new.host, new.port));
    }
    let other =
        cluster.redis.iter().map(|redis| redis.addr.clone()).find(|addr| *addr != old && *addr != new);
    let other = other.unwrap();
    eventually("the other replica follows", PATIENCE, || follows(&other, &new)).await;

    cluster.redis_at(&old).restart(None);
    eventually("the old master is a replica", PATIENCE, || follows(&old, &new)).await;
    assert_eq!(cluster.master(), new);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_leader_of_the_sentinels_may_die_with_the_master() {
    if !available() {
        return;
    }
    let mut cluster = Cluster::start(1000).await;
    let old = cluster.master();
    let leader = cluster.leader().unwrap();
    cluster.sentinels.remove(leader).shutdown().await;
    cluster.redis_at(&old).kill();
    let since = Instant::now();
    let new = cluster.failed_over(&old).await;
    println!("without the old leader: new master accepts writes after {:?}", since.elapsed());
    let other =
        cluster.redis.iter().map(|redis| redis.addr.clone()).find(|addr| *addr != old && *addr != new);
    let other = other.unwrap();
    eventually("the other replica follows", PATIENCE, || follows(&other, &new)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_may_ask_for_a_failover() {
    if !available() {
        return;
    }
    let cluster = Cluster::start(5000).await;
    let old = cluster.master();
    let asked = (cluster.leader().unwrap() + 1) % 3;
    let reply = ask(&local(&cluster.sentinels[asked]), &["SENTINEL", "FAILOVER", NAME]).await.unwrap();
    assert!(reply.is_ok(), "{reply:?}");
    let new = cluster.failed_over(&old).await;
    for redis in cluster.redis.iter().filter(|redis| redis.addr != new) {
        eventually("everybody follows the new master", PATIENCE, || follows(&redis.addr, &new)).await;
    }
    assert_eq!(role(&new).await.map(|(kind, ..)| kind).as_deref(), Some("master"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_master_is_replaced_after_its_silence() {
    if !available() {
        return;
    }
    let cluster = Cluster::start(500).await;
    let old = cluster.master();
    let frozen = cluster.redis.iter().find(|redis| redis.addr == old).unwrap();
    frozen.signal(Signal::STOP);
    let since = Instant::now();
    let new = cluster.failed_over(&old).await;
    println!("frozen: new master accepts writes after {:?}", since.elapsed());
    assert!(since.elapsed().as_millis() > 400, "silence is given its time");
    frozen.signal(Signal::CONT);
    eventually("the old master is a replica", PATIENCE, || follows(&old, &new)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passwords_are_used_everywhere() {
    if !available() {
        return;
    }
    let args = ["--requirepass", DATA_PASSWORD, "--masterauth", DATA_PASSWORD];
    let lines = format!("requirepass {SENTINEL_PASSWORD}\nsentinel auth-pass {NAME} {DATA_PASSWORD}\n");
    let mut cluster = Cluster::start_with(&args, settings(1000), |builder| {
        builder.configure(|config| config.apply(&lines).unwrap())
    })
    .await;
    let old = cluster.master();
    let mut stranger = connect(&local(&cluster.sentinels[0])).await.unwrap();
    let refused = stranger.call(&["SENTINEL", "MASTERS"]).await.unwrap();
    assert_eq!(refused.as_error(), Some("NOAUTH Authentication required."));
    cluster.redis_at(&old).kill();
    cluster.failed_over(&old).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_sentinel_with_quorum_one_is_a_group() {
    if !available() {
        return;
    }
    let mut master = Redis::start(None);
    let replica = Redis::start(Some(&master.addr));
    eventually("the replica follows", PATIENCE, || follows(&replica.addr, &master.addr)).await;
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings { quorum: 1, ..settings(1000) };
    let sentinel =
        Cluster::builder(dir.path()).monitor(NAME, master.addr.clone(), settings).start().await.unwrap();
    eventually("it leads itself", PATIENCE, || async { sentinel.is_leader() }).await;
    eventually("it knows the replica", PATIENCE, || async {
        instances::cluster::counts(&sentinel).await == Some((1, 0))
    })
    .await;
    master.kill();
    eventually("it replaces the master", PATIENCE, || async {
        sentinel.master_addr(NAME).as_ref() == Some(&replica.addr)
    })
    .await;
    sentinel.shutdown().await;
}
