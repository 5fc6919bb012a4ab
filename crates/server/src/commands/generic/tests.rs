//! What scripts cannot say: counts, large values, and a server that follows another.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::engine::policy;
use crate::testing::Harness;

/// The cursor and the keys of a rendered reply of SCAN.
fn scanned(reply: &str) -> (String, Vec<String>) {
    let (cursor, keys) = reply.trim_matches(['[', ']']).split_once(", [").expect("a cursor and keys");
    let keys = keys.split(", ").filter(|key| !key.is_empty()).map(|key| key.trim_matches('"').to_string());
    (cursor.trim_matches('"').to_string(), keys.collect())
}

#[test]
fn a_scan_returns_every_key_that_stays_while_others_come_and_go() {
    let mut server = Harness::new();
    for n in 0..2000 {
        server.run(&format!("SET stays:{n} v"));
        server.run(&format!("SET goes:{n} v"));
    }
    let (mut seen, mut cursor, mut step) = (BTreeMap::new(), "0".to_string(), 0);
    loop {
        let (next, keys) = scanned(&server.run(&format!("SCAN {cursor} COUNT 50")));
        keys.into_iter().for_each(|key| *seen.entry(key).or_insert(0) += 1);
        for n in step * 100..step * 100 + 100 {
            server.run(&format!("SET comes:{n} v"));
            server.run(&format!("DEL goes:{n}"));
        }
        (cursor, step) = (next, step + 1);
        if cursor == "0" {
            break;
        }
    }
    assert!(step > 20, "the scan went in steps");
    assert!((0..2000).all(|n| seen.contains_key(&format!("stays:{n}"))));
}

#[test]
fn reading_commands_count_hits_and_misses_and_writing_ones_do_not() {
    let mut server = Harness::new();
    let counts = |server: &Harness| {
        let stats = &server.engine.stats;
        (stats.sum(|slot| slot.hits.get()), stats.sum(|slot| slot.misses.get()))
    };
    server.run("MSET a 1 b 2");
    for write in
        ["INCR a", "APPEND b x", "SETNX a 1", "SET a 1 NX", "DEL nothing", "EXPIRE nothing 10", "RENAME a c"]
    {
        server.run(write);
    }
    assert_eq!(counts(&server), (0, 0));
    server.run("GET c");
    server.run("MGET c b nothing");
    server.run("EXISTS c nothing");
    server.run("TTL nothing");
    assert_eq!(counts(&server), (4, 3));
    server.run("SET c v GET");
    server.run("COPY nothing x");
    assert_eq!(counts(&server), (5, 4));
}

#[test]
fn changes_are_counted_by_key() {
    let mut server = Harness::new();
    let dirty = |server: &Harness| server.engine.stats.sum(|slot| slot.dirty.get());
    server.run("MSET a 1 b 2 c 3");
    assert_eq!(dirty(&server), 3);
    server.run("DEL a b nothing");
    assert_eq!(dirty(&server), 5);
    server.run("GET c");
    server.run("DEL nothing");
    assert_eq!(dirty(&server), 5);
}

#[test]
fn large_values_and_databases_are_freed_elsewhere() {
    let mut server = Harness::new();
    let large = |server: &mut Harness, key: &str| {
        let members: Vec<String> = (0..1000).map(|n| format!("member:{n}")).collect();
        server.run(&format!("SADD {key} {}", members.join(" ")));
    };
    for key in ["unlinked", "deleted", "overwritten", "expired", "flushed", "to", "restored"] {
        large(&mut server, key);
    }
    server.run("SET small v");
    server.run("UNLINK unlinked small");
    server.run("DEL deleted");
    server.run("SET overwritten v");
    server.run("EXPIRE expired -1");
    server.run("RENAME overwritten to");
    server.run("FLUSHALL");
    let patience = Instant::now() + Duration::from_secs(20);
    while server.engine.disposal.dropped() < 6 && Instant::now() < patience {
        std::thread::yield_now();
    }
    assert_eq!((server.engine.disposal.dropped(), server.engine.disposal.pending()), (6, 0));
    assert_eq!(server.run("DBSIZE"), ":0");
}

#[test]
fn a_replica_leaves_expired_keys_to_its_primary() {
    let mut server = Harness::new();
    server.set_now(1_700_000_000_000);
    server.engine.set_policy(policy::REPLICA, true);
    server.run("MSET k v l w m x");
    assert_eq!(server.run("EXPIRE k -1"), ":1");
    assert_eq!(server.run("GETEX l EXAT 1"), "\"w\"");
    server.run("PEXPIRE m 10");
    server.set_now(1_700_000_000_011);
    for gone in ["k", "l", "m"] {
        assert_eq!(server.run(&format!("GET {gone}")), "nil");
    }
    assert_eq!(server.run("KEYS *"), "[]");
    assert_eq!(server.run("RANDOMKEY"), "nil");
    assert_eq!(server.run("DBSIZE"), ":3");
    assert!(server.effects().is_empty());
}

#[test]
fn a_random_key_is_one_that_has_not_expired() {
    let mut server = Harness::new();
    server.set_now(1_700_000_000_000);
    for n in 0..3000 {
        server.run(&format!("SET expires:{n} v PX 1"));
    }
    server.run("SET stays v");
    server.set_now(1_700_000_000_002);
    for _ in 0..5 {
        assert_eq!(server.run("RANDOMKEY"), "\"stays\"");
    }
}
