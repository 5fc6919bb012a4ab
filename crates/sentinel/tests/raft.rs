//! Groups of members over a network in memory and real directories: beginning, electing, failing, coming back.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod raft_support;

use std::time::Duration;

use raft_support::{Cluster, Weather, address, public_id, put};
use redkeep_sentinel::raft::{Delivery, GroupError, OpenError, Role, Standing};
use tokio::time::{Instant, timeout};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_find_each_other_and_any_of_them_takes_proposals() {
    let cluster = Cluster::started(3).await;
    for number in 1..=3 {
        assert_eq!(cluster.put(number, "key", &number.to_string()).await.map(|_| ()), Ok(()));
    }
    for number in 1..=3 {
        cluster.group(number).read_index().await.unwrap();
        assert_eq!(cluster.group(number).state().entries["key"], "3");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn listed_peers_need_no_hellos() {
    let mut cluster = Cluster::new();
    cluster.bootstrap.settle_ms = 3_600_000;
    cluster.bootstrap.peers = (1..=3).map(address).collect();
    for number in 1..=3 {
        cluster.start(number).await;
    }
    let deadline = Instant::now() + raft_support::PATIENCE;
    while cluster.sentinels.values().any(|it| it.group.leader().is_none()) {
        assert!(Instant::now() < deadline, "{}", cluster.describe());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    cluster.put(2, "key", "value").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_alone_begins_only_when_allowed() {
    let mut cluster = Cluster::new();
    cluster.start(1).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(cluster.group(1).leadership().standing, Standing::Searching);
    assert_eq!(cluster.put(1, "key", "value").await, Err(GroupError::NoLeader));
    cluster.group(1).allow_alone(true);
    cluster.settle(1).await;
    cluster.put(1, "key", "value").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_leader_is_replaced_and_comes_back_with_its_state() {
    let mut cluster = Cluster::started(3).await;
    let first = cluster.leader().unwrap();
    cluster.put(first, "before", "1").await.unwrap();
    let node = cluster.group(first).me().node;
    cluster.stop(first).await;
    let began = Instant::now();
    let survivor = *cluster.sentinels.keys().next().unwrap();
    cluster.put_surely(survivor, "after", "2").await;
    assert!(began.elapsed() < Duration::from_secs(3), "a new leader took {:?}", began.elapsed());
    assert_ne!(cluster.leader(), Some(first));

    cluster.start(first).await;
    assert_eq!(cluster.group(first).me().node, node, "the same directory is the same voter");
    assert_eq!(
        cluster.group(first).state().entries["before"],
        "1",
        "what was committed is there before a leader is"
    );
    cluster.settle(3).await;
    assert_eq!(cluster.agree().await.entries["after"], "2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_restart_at_once_and_keep_their_state() {
    let mut cluster = Cluster::started(3).await;
    cluster.put(1, "key", "value").await.unwrap();
    let group = cluster.group(1).group_id();
    for number in 1..=3 {
        cluster.stop(number).await;
    }
    for number in 1..=3 {
        cluster.start(number).await;
    }
    cluster.settle(3).await;
    assert_eq!(cluster.group(2).group_id(), group);
    cluster.group(3).read_index().await.unwrap();
    assert_eq!(cluster.group(3).state().entries["key"], "value");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_minority_commits_nothing() {
    let cluster = Cluster::started(5).await;
    let old = cluster.leader().unwrap();
    let beside = cluster.follower();
    let minority = [address(old), address(beside)];
    let majority: Vec<_> = (1..=5).map(address).filter(|it| !minority.contains(it)).collect();
    cluster.net.partition(&[&minority, &majority]);

    let (lost, refused) = tokio::join!(cluster.put(old, "lost", "1"), async {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        (
            cluster.put(old, "lost", "2").await,
            cluster.put(beside, "lost", "3").await,
            cluster.group(old).read_index().await,
        )
    });
    assert!(lost.is_err());
    assert_eq!(refused.0, Err(GroupError::NoQuorum), "a leader that nobody hears says so");
    assert!(refused.1.is_err());
    assert!(refused.2.is_err(), "a read barrier needs a majority");

    let through = majority[0].port;
    cluster.put_surely(through, "kept", "1").await;
    assert!(!cluster.group(old).state().entries.contains_key("kept"));
    cluster.net.heal();
    cluster.settle(5).await;
    let state = cluster.agree().await;
    assert_eq!(state.entries["kept"], "1");
    assert!(!state.entries.contains_key("lost"), "{state:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wiped_sentinel_comes_back_as_another_voter() {
    let mut cluster = Cluster::started(3).await;
    cluster.put(1, "key", "value").await.unwrap();
    let wiped = cluster.follower();
    let before = cluster.group(wiped).me();
    cluster.stop(wiped).await;
    std::fs::remove_dir_all(cluster.dir(wiped)).unwrap();
    cluster.start(wiped).await;
    let after = cluster.group(wiped).me();
    assert_eq!(before.public_id, after.public_id);
    assert_ne!(before.node, after.node);
    cluster.settle(3).await;
    let voters = cluster.group(wiped).status().voters;
    assert!(voters.contains(&after) && !voters.contains(&before), "{voters:?}");
    assert_eq!(cluster.agree().await.entries["key"], "value");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_later_sentinel_becomes_a_voter() {
    let mut cluster = Cluster::started(3).await;
    cluster.put(1, "key", "value").await.unwrap();
    cluster.start(4).await;
    cluster.settle(4).await;
    assert_eq!(cluster.group(4).group_id(), cluster.group(1).group_id());
    cluster.group(4).read_index().await.unwrap();
    assert_eq!(cluster.group(4).state().entries["key"], "value");
}

/// Forgets one of three through another, and checks that it knows, stays out, and stays out after a restart.
async fn forget_one(which: impl Fn(&Cluster) -> u16) {
    let mut cluster = Cluster::started(3).await;
    let forgotten = which(&cluster);
    let through = if forgotten == 1 { 2 } else { 1 };
    assert!(matches!(cluster.group(through).forget(public_id(9)).await, Err(GroupError::Refused(_))));
    cluster.group(through).forget(public_id(forgotten)).await.unwrap();
    for _ in 0..2 {
        cluster
            .until("it knows that it is forgotten", |cluster| {
                let leadership = cluster.group(forgotten).leadership();
                matches!(leadership.standing, Standing::Forgotten(_)) && leadership.role != Role::Leader
            })
            .await;
        assert_eq!(cluster.group(forgotten).group_id(), None);
        let outside = cluster.put(forgotten, "key", "from outside").await;
        assert!(outside.is_err(), "{outside:?} {forgotten} {}", cluster.describe());
        cluster.put_surely(through, "key", "from inside").await;
        assert_eq!(cluster.group(through).status().voters.len(), 2);
        cluster.stop(forgotten).await;
        cluster.start(forgotten).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forgotten_follower_stays_out() {
    forget_one(Cluster::follower).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forgotten_leader_stays_out() {
    forget_one(|cluster| cluster.leader().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_voter_stays() {
    let mut cluster = Cluster::new();
    cluster.start(1).await;
    cluster.group(1).allow_alone(true);
    cluster.settle(1).await;
    assert!(matches!(cluster.group(1).forget(public_id(1)).await, Err(GroupError::Refused(_))));
    cluster.put(1, "key", "value").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_live_member_is_not_replaced_by_its_double() {
    let cluster = Cluster::started(3).await;
    cluster.put(1, "key", "value").await.unwrap();
    let mut double = cluster.group(cluster.follower()).me();
    double.node ^= 1;
    let outcome = cluster.group(1).add_member(double).await;
    assert!(matches!(outcome, Err(GroupError::Refused(_))), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_address_is_committed() {
    let mut cluster = Cluster::started(3).await;
    let moved = cluster.follower();
    cluster.stop(moved).await;
    cluster.start_at(moved, address(1000 + moved)).await;
    cluster.settle(3).await;
    cluster
        .until("all know the new address", |cluster| {
            let known = |it: &raft_support::Sentinel| {
                it.group.status().voters.iter().any(|member| member.address == address(1000 + moved))
            };
            cluster.sentinels.values().all(known)
        })
        .await;
    cluster.put(moved, "key", "value").await.unwrap();
    assert_eq!(cluster.agree().await.entries["key"], "value");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lagging_member_gets_a_snapshot_and_says_that_it_missed_commands() {
    let mut cluster = Cluster::started(3).await;
    let away = cluster.follower();
    let leader = cluster.leader().unwrap();
    cluster.net.partition(&[&[], &[address(away)]]);
    let mut events = cluster.group(away).events();
    let big = "x".repeat(4000);
    for round in 0..12 {
        let mut writes = tokio::task::JoinSet::new();
        for number in 0..100 {
            let (group, write) =
                (cluster.group(leader).clone(), put(format!("{round}/{number}"), big.clone()));
            writes.spawn(async move { group.propose(write).await });
        }
        for outcome in writes.join_all().await {
            outcome.unwrap();
        }
    }
    let purged = cluster.group(leader).status().snapshot_index;
    assert!(purged > 500, "no snapshot was made: {}", cluster.describe());
    cluster.net.heal();
    cluster.settle(3).await;
    assert!(cluster.agree().await.entries.len() > 1000);
    assert!(cluster.group(away).status().snapshot_index > 0);
    let mut missed = false;
    while let Ok(Some(delivery)) = timeout(Duration::from_millis(200), events.next()).await {
        missed |= matches!(delivery, Delivery::Missed);
    }
    assert!(missed);

    cluster.stop(away).await;
    cluster.start(away).await;
    assert!(cluster.group(away).state().entries.len() > 1000, "snapshot and log are on disk");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_member_delivers_every_command_in_order() {
    let cluster = Cluster::started(3).await;
    let mut streams: Vec<_> = cluster.sentinels.values().map(|it| it.group.events()).collect();
    for number in 0..20 {
        cluster.put_surely(1 + number % 3, "key", &number.to_string()).await;
    }
    let state = cluster.agree().await;
    assert!(state.writes.len() >= 20);
    for events in &mut streams {
        let mut last = 0;
        for _ in 0..state.writes.len() {
            match timeout(Duration::from_secs(5), events.next()).await.unwrap().unwrap() {
                Delivery::Command(command) => {
                    assert!(command.index > last);
                    last = command.index;
                }
                Delivery::Missed => panic!("twenty commands fit into the backlog"),
            }
        }
    }
    cluster.group(1).shutdown().await;
    assert!(cluster.group(1).events().next().await.is_none());
    assert!(matches!(cluster.put(1, "key", "late").await, Err(GroupError::Stopped(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lossy_network_loses_no_answered_write() {
    let cluster = Cluster::started(3).await;
    cluster.net.weather(Weather { loss: 5, delay_ms: 10 });
    let mut answered = Vec::new();
    for number in 0..40u16 {
        let key = format!("key{number}");
        if cluster.put(1 + number % 3, &key, "value").await.is_ok() {
            answered.push(key);
        }
    }
    cluster.net.weather(Weather::default());
    cluster.settle(3).await;
    let state = cluster.agree().await;
    assert!(answered.len() > 10, "only {} of 40 were answered", answered.len());
    for key in answered {
        assert!(state.entries.contains_key(&key), "{key} was answered and is lost");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_that_are_too_long_are_refused_and_garbage_is_answered() {
    let cluster = Cluster::started(3).await;
    let long = "x".repeat(redkeep_sentinel::raft::MAX_COMMAND_BYTES);
    for number in 1..=3 {
        assert!(matches!(cluster.put(number, "key", &long).await, Err(GroupError::Refused(_))));
    }
    for garbage in [&b""[..], b"\x01", b"\xff\xff\xff", &[1; 100]] {
        assert!(!cluster.group(1).handle(garbage.to_vec().into()).await.is_empty());
    }
    cluster.put_surely(1, "key", "value").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_has_one_member_at_a_time() {
    let mut cluster = Cluster::new();
    cluster.start(1).await;
    let options = redkeep_sentinel::raft::GroupOptions {
        dir: cluster.dir(1),
        public_id: public_id(1),
        address: address(2),
        timings: cluster.timings.clone(),
        bootstrap: cluster.bootstrap.clone(),
        transport: cluster.transport(2),
    };
    let second = redkeep_sentinel::raft::Group::<raft_support::Table>::open(options.clone()).await;
    assert!(matches!(second, Err(OpenError::Locked(_))));
    cluster.stop(1).await;
    redkeep_sentinel::raft::Group::<raft_support::Table>::open(options).await.unwrap().shutdown().await;
}
