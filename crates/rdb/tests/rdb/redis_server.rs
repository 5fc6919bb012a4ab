//! Real Redis loads what we write, and we load what it writes.
//!
//! Needs `redis-server` on the PATH; without it the tests say so and do nothing.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::model::{Model, every_kind};
use crate::round_trip::{encodings, model};
use crate::said::{Said, read, read_pieces};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use redkeep_rdb::opcodes::ValueType;
use redkeep_rdb::{Attributes, Encoder, ErrorKind, Limits, Writer, WriterOptions, dump, restore};
use redkeep_store::value::EncodingLimits;

const START_TIMEOUT: Duration = Duration::from_secs(20);
/// In milliseconds since 1970; far in the future.
const EXPIRES_AT: u64 = 4_000_000_000_123;

/// A redis-server on a free port of the loopback, ended when dropped.
struct Redis {
    child: Child,
    link: BufReader<TcpStream>,
}

#[derive(Debug, PartialEq)]
enum Reply {
    Bulk(Option<Vec<u8>>),
    Status(String),
    Error(String),
    Integer(i64),
    Array(Vec<Reply>),
}

impl Redis {
    /// Starts one that loads `dump.rdb` from `dir`, if there is one. `None` if there is no redis-server.
    fn start(dir: &Path) -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--daemonize", "no"])
            .args(["--sanitize-dump-payload", "yes", "--logfile", "redis.log", "--dir"])
            .arg(dir)
            .stdout(Stdio::null())
            .spawn();
        let mut child = match child {
            Ok(child) => child,
            Err(error) => {
                println!("skipped: redis-server cannot be started: {error}");
                return None;
            }
        };
        let begun = Instant::now();
        let log = || std::fs::read_to_string(dir.join("redis.log")).unwrap_or_default();
        loop {
            if let Ok(link) = TcpStream::connect(("127.0.0.1", port)) {
                let mut redis = Redis { child, link: BufReader::new(link) };
                while matches!(redis.call(&[b"PING"]), Reply::Error(loading) if loading.starts_with("LOADING"))
                {
                    std::thread::sleep(Duration::from_millis(20));
                }
                return Some(redis);
            }
            if let Some(status) = child.try_wait().unwrap() {
                panic!("redis-server ended with {status}:\n{}", log());
            }
            assert!(begun.elapsed() < START_TIMEOUT, "redis-server does not answer:\n{}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn call(&mut self, args: &[&[u8]]) -> Reply {
        let mut request = format!("*{}\r\n", args.len()).into_bytes();
        for arg in args {
            request.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
            request.extend_from_slice(arg);
            request.extend_from_slice(b"\r\n");
        }
        self.link.get_mut().write_all(&request).unwrap();
        self.reply()
    }

    fn reply(&mut self) -> Reply {
        let mut line = String::new();
        self.link.read_line(&mut line).unwrap();
        let (kind, rest) = line.trim_end().split_at(1);
        match kind {
            "+" => Reply::Status(rest.to_owned()),
            "-" => Reply::Error(rest.to_owned()),
            ":" => Reply::Integer(rest.parse().unwrap()),
            "*" => Reply::Array((0..rest.parse().unwrap()).map(|_| self.reply()).collect()),
            "$" if rest == "-1" => Reply::Bulk(None),
            "$" => {
                let mut bulk = vec![0; rest.parse::<usize>().unwrap() + 2];
                self.link.read_exact(&mut bulk).unwrap();
                bulk.truncate(bulk.len() - 2);
                Reply::Bulk(Some(bulk))
            }
            other => panic!("a reply of an unknown kind: {other:?}"),
        }
    }

    fn ok(&mut self, args: &[&[u8]]) {
        let reply = self.call(args);
        assert!(
            !matches!(reply, Reply::Error(_)),
            "{:?} for {:?}",
            reply,
            args[0].escape_ascii().to_string()
        );
    }

    fn bulk(&mut self, args: &[&[u8]]) -> Option<Vec<u8>> {
        match self.call(args) {
            Reply::Bulk(bulk) => bulk,
            other => panic!("a string was expected, not {other:?}"),
        }
    }

    fn bulks(&mut self, args: &[&[u8]]) -> Vec<Vec<u8>> {
        let Reply::Array(elements) = self.call(args) else { panic!("an array was expected") };
        let bulk = |reply| match reply {
            Reply::Bulk(Some(bulk)) => bulk,
            other => panic!("a string was expected, not {other:?}"),
        };
        elements.into_iter().map(bulk).collect()
    }

    fn pairs(&mut self, args: &[&[u8]]) -> Vec<(Vec<u8>, Vec<u8>)> {
        self.bulks(args).chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect()
    }

    /// What stands under `key`, as the commands of its type tell.
    fn model(&mut self, key: &[u8]) -> Model {
        let Reply::Status(kind) = self.call(&[b"TYPE", key]) else { panic!("TYPE replies a status") };
        match kind.as_str() {
            "string" => Model::String(self.bulk(&[b"GET", key]).unwrap()),
            "list" => Model::List(self.bulks(&[b"LRANGE", key, b"0", b"-1"])),
            "set" => Model::Set(self.bulks(&[b"SMEMBERS", key]).into_iter().collect::<BTreeSet<_>>()),
            "hash" => Model::Hash(self.pairs(&[b"HGETALL", key]).into_iter().collect::<BTreeMap<_, _>>()),
            "zset" => {
                let bits =
                    |score: &[u8]| std::str::from_utf8(score).unwrap().parse::<f64>().unwrap().to_bits();
                let pairs = self.pairs(&[b"ZRANGE", key, b"0", b"-1", b"WITHSCORES"]);
                Model::SortedSet(pairs.into_iter().map(|(member, score)| (member, bits(&score))).collect())
            }
            other => panic!("no model for a {other}"),
        }
    }

    /// Puts `model` under `key` by commands.
    fn put(&mut self, key: &[u8], model: &Model) {
        match model {
            Model::String(bytes) => self.ok(&[b"SET", key, bytes]),
            Model::List(elements) => elements.iter().for_each(|element| self.ok(&[b"RPUSH", key, element])),
            Model::Set(members) => members.iter().for_each(|member| self.ok(&[b"SADD", key, member])),
            Model::Hash(pairs) => {
                pairs.iter().for_each(|(field, value)| self.ok(&[b"HSET", key, field, value]));
            }
            Model::SortedSet(pairs) => {
                for (member, score) in pairs {
                    self.ok(&[b"ZADD", key, f64::from_bits(*score).to_string().as_bytes(), member]);
                }
            }
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn our_file(options: WriterOptions) -> Vec<u8> {
    let limits = EncodingLimits::default();
    let mut writer = Writer::new(options);
    writer.information(&redkeep_rdb::Information { redis_version: "7.0.15", ..Default::default() });
    writer.function(b"#!lua name=mylib\nredis.register_function('answer', function() return 42 end)");
    writer.select_db(0);
    writer.resize_db(every_kind().len() as u64, 0);
    for (key, model) in every_kind() {
        writer.entry(key.as_bytes(), &Attributes::default(), model.build(&limits).as_ref());
    }
    writer.select_db(9);
    writer.resize_db(1, 1);
    let attributes = Attributes { expire_ms: Some(EXPIRES_AT), idle_seconds: Some(77), freq: None };
    writer.entry(b"expiring", &attributes, Model::string(b"v").build(&limits).as_ref());
    writer.finish()
}

#[test]
fn redis_loads_what_we_write() {
    for (compression, checksum) in [(true, true), (false, false)] {
        let dir = tempfile::tempdir().unwrap();
        let file = our_file(WriterOptions { compression, checksum });
        std::fs::write(dir.path().join("dump.rdb"), file).unwrap();
        let Some(mut redis) = Redis::start(dir.path()) else { return };
        assert_eq!(redis.call(&[b"DBSIZE"]), Reply::Integer(every_kind().len() as i64));
        for (key, model) in every_kind() {
            assert_eq!(redis.model(key.as_bytes()), model, "{key}");
        }
        assert_eq!(redis.call(&[b"FCALL", b"answer", b"0"]), Reply::Integer(42));
        redis.ok(&[b"SELECT", b"9"]);
        assert_eq!(redis.call(&[b"PEXPIRETIME", b"expiring"]), Reply::Integer(EXPIRES_AT as i64));
    }
}

#[test]
fn we_load_what_redis_writes() {
    for compression in [&b"yes"[..], b"no"] {
        let dir = tempfile::tempdir().unwrap();
        let Some(mut redis) = Redis::start(dir.path()) else { return };
        redis.ok(&[b"CONFIG", b"SET", b"rdbcompression", compression]);
        for (key, model) in every_kind() {
            redis.put(key.as_bytes(), &model);
        }
        redis.ok(&[b"FUNCTION", b"LOAD", b"#!lua name=l\nredis.register_function('f', function() end)"]);
        redis.ok(&[b"SELECT", b"9"]);
        redis.ok(&[b"SET", b"expiring", b"v", b"PXAT", EXPIRES_AT.to_string().as_bytes()]);
        redis.ok(&[b"SAVE"]);
        let file = std::fs::read(dir.path().join("dump.rdb")).unwrap();
        let said = read(&file).unwrap();
        let expires = Attributes { expire_ms: Some(EXPIRES_AT), ..Attributes::default() };
        for (key, model) in every_kind() {
            let entry = Said::Entry(key.into(), Attributes::default(), model);
            assert!(said.contains(&entry), "{key}");
        }
        assert!(said.contains(&Said::Entry(b"expiring".to_vec(), expires, Model::string(b"v"))));
        assert!(said.contains(&Said::ResizeDb(every_kind().len() as u64, 0)));
        assert!(
            said.iter().any(|said| matches!(said, Said::Function(source) if source.starts_with(b"#!lua")))
        );
        assert_eq!(read_pieces(file.chunks(1000)), Ok(said));
    }
}

#[test]
fn the_usage_that_eviction_policies_keep_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let Some(mut redis) = Redis::start(dir.path()) else { return };
    let saved = |redis: &mut Redis| {
        redis.ok(&[b"SET", b"k", b"v"]);
        redis.ok(&[b"SAVE"]);
        let said = read(&std::fs::read(dir.path().join("dump.rdb")).unwrap()).unwrap();
        let attributes = said.iter().find_map(|said| match said {
            Said::Entry(_, attributes, _) => Some(*attributes),
            _ => None,
        });
        attributes.unwrap()
    };
    redis.ok(&[b"CONFIG", b"SET", b"maxmemory-policy", b"allkeys-lru"]);
    assert!(matches!(saved(&mut redis), Attributes { idle_seconds: Some(0..3), freq: None, .. }));
    redis.ok(&[b"CONFIG", b"SET", b"maxmemory-policy", b"allkeys-lfu"]);
    assert!(matches!(saved(&mut redis), Attributes { idle_seconds: None, freq: Some(1..), .. }));
}

#[test]
fn a_stream_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let Some(mut redis) = Redis::start(dir.path()) else { return };
    redis.ok(&[b"XADD", b"s", b"*", b"field", b"value"]);
    redis.ok(&[b"SAVE"]);
    let error = read(&std::fs::read(dir.path().join("dump.rdb")).unwrap()).unwrap_err();
    assert!(
        matches!(error.kind, ErrorKind::UnsupportedType(ValueType::Stream2 | ValueType::Stream3)),
        "{error}"
    );
}

#[test]
fn payloads_go_both_ways() {
    let dir = tempfile::tempdir().unwrap();
    let Some(mut redis) = Redis::start(dir.path()) else { return };
    for (key, model) in every_kind() {
        let mut payload = Vec::new();
        let built = model.build(&EncodingLimits::default());
        dump(&mut payload, &mut Encoder::new(true), built.as_ref());
        redis.ok(&[b"RESTORE", key.as_bytes(), b"0", &payload]);
        assert_eq!(redis.model(key.as_bytes()), model, "{key}");
        let theirs = redis.bulk(&[b"DUMP", key.as_bytes()]).unwrap();
        let loaded = restore(&theirs, &Limits::default()).unwrap();
        assert_eq!(Model::of(&loaded), model, "{key}");
    }
}

#[test]
fn random_payloads_go_both_ways() {
    let dir = tempfile::tempdir().unwrap();
    let Some(redis) = Redis::start(dir.path()) else { return };
    let redis = RefCell::new(redis);
    let mut runner =
        TestRunner::new(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) });
    let outcome = runner.run(&(model(), encodings()), |(model, encodings)| {
        let mut redis = redis.borrow_mut();
        let mut payload = Vec::new();
        dump(&mut payload, &mut Encoder::new(true), model.build(&encodings).as_ref());
        redis.ok(&[b"RESTORE", b"k", b"0", &payload, b"REPLACE"]);
        prop_assert_eq!(redis.model(b"k"), model.clone());
        let theirs = redis.bulk(&[b"DUMP", b"k"]).unwrap();
        prop_assert_eq!(Model::of(&restore(&theirs, &Limits::default()).unwrap()), model);
        Ok(())
    });
    outcome.unwrap();
}

#[test]
fn listpack_links_agree_with_redis_where_they_widen() {
    let dir = tempfile::tempdir().unwrap();
    let Some(mut redis) = Redis::start(dir.path()) else { return };
    redis.ok(&[b"CONFIG", b"SET", b"list-max-listpack-size", b"-5"]);
    // Strings of these lengths have entries of 127, 128 and then 16382 to 16384 bytes, around the limits of the links.
    for len in [125, 126, 16_377, 16_378, 16_379] {
        let model = Model::List(vec![vec![b'x'; len], b"1".to_vec(), b"-1".to_vec()]);
        redis.put(b"theirs", &model);
        let theirs = redis.bulk(&[b"DUMP", b"theirs"]).unwrap();
        let loaded = restore(&theirs, &Limits::default()).unwrap();
        assert_eq!(Model::of(&loaded), model, "{len}");
        let limits = EncodingLimits { list_max_listpack_size: -5, ..EncodingLimits::default() };
        let mut payload = Vec::new();
        dump(&mut payload, &mut Encoder::new(true), model.build(&limits).as_ref());
        redis.ok(&[b"RESTORE", b"ours", b"0", &payload, b"REPLACE"]);
        assert_eq!(redis.model(b"ours"), model, "{len}");
        redis.ok(&[b"DEL", b"theirs"]);
    }
}
