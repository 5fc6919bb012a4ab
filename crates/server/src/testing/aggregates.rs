//! Commands on hashes, lists, sets and sorted sets, made up at random and compared with a real redis-server.
//!
//! They run twice: with few elements in compact encodings, and with limits so low that nearly every value is indexed.

use fastrand::Rng;

use super::Harness;
use super::redis::Redis;

/// A key is `{h}`, `{l}`, `{s}` or `{z}` by its type; `{k}` is any of them. `{e}` is an element, `{n}` an integer,
/// `{c}` a count, `{f}` a score, `{b}` a bound of scores, `{x}` one of strings, `{w}` an end, `{a}` options of ZADD,
/// `{u}` those of ZUNION, `{p}` those of LPOS, `{m}` those of a scan, `{r}` those of ZRANGE.
const TEMPLATES: &[&str] = &[
    "HSET {h} {e} {e}",
    "HSET {h} {e} {n} {e} {e} {e} {f}",
    "HSETNX {h} {e} {e}",
    "HGET {h} {e}",
    "HMGET {h} {e} {e}",
    "HDEL {h} {e} {e}",
    "HLEN {h}",
    "HEXISTS {h} {e}",
    "HSTRLEN {h} {e}",
    "HINCRBY {h} {e} {n}",
    "HINCRBYFLOAT {h} {e} {f}",
    "sorted HGETALL {h}",
    "sorted HKEYS {h}",
    "sorted HVALS {h}",
    "sorted HRANDFIELD {h} 1000",
    "sorted HSCAN {h} 0 COUNT 1000 {m}",
    "LPUSH {l} {e} {e}",
    "RPUSH {l} {e} {e} {e}",
    "LPUSHX {l} {e}",
    "RPUSHX {l} {e}",
    "LPOP {l}",
    "RPOP {l} {c}",
    "LPOP {l} {c}",
    "LLEN {l}",
    "LRANGE {l} {n} {n}",
    "LINDEX {l} {n}",
    "LSET {l} {n} {e}",
    "LINSERT {l} BEFORE {e} {e}",
    "LINSERT {l} AFTER {e} {e}",
    "LREM {l} {n} {e}",
    "LTRIM {l} {n} {n}",
    "LTRIM {l} 1 -1",
    "LPOS {l} {e} {p} {p}",
    "LMOVE {l} {l} {w} {w}",
    "RPOPLPUSH {l} {l}",
    "LMPOP 2 {l} {l} {w} COUNT {c}",
    "SADD {s} {e} {e}",
    "SADD {s} {n} {n} {n}",
    "SREM {s} {e} {n}",
    "SISMEMBER {s} {e}",
    "SMISMEMBER {s} {e} {n}",
    "SCARD {s}",
    "SMOVE {s} {s} {e}",
    "sorted SPOP {s} 1000",
    "sorted SMEMBERS {s}",
    "sorted SRANDMEMBER {s} 1000",
    "sorted SSCAN {s} 0 COUNT 1000 {m}",
    "sorted SINTER {s} {s}",
    "sorted SUNION {s} {s} {s}",
    "sorted SDIFF {s} {s} {s}",
    "SINTERSTORE {s} {s} {s}",
    "SUNIONSTORE {s} {s} {s}",
    "SDIFFSTORE {s} {s} {s}",
    "SINTERCARD 2 {s} {s} LIMIT {c}",
    "ZADD {z} {a} {f} {e}",
    "ZADD {z} {a} {a} {f} {e} {f} {e}",
    "ZADD {z} {f} {e} {f} {e}",
    "ZADD {z} INCR {a} {f} {e}",
    "ZINCRBY {z} {f} {e}",
    "ZREM {z} {e} {e}",
    "ZCARD {z}",
    "ZSCORE {z} {e}",
    "ZMSCORE {z} {e} {e}",
    "ZRANK {z} {e}",
    "ZREVRANK {z} {e}",
    "ZCOUNT {z} {b} {b}",
    "ZRANGE {z} {n} {n} {r} {r}",
    "ZRANGE {z} {b} {b} BYSCORE {r} {r}",
    "ZREVRANGE {z} {n} {n} {r}",
    "ZRANGEBYSCORE {z} {b} {b} {r}",
    "ZREVRANGEBYSCORE {z} {b} {b} {r}",
    "ZRANGESTORE {z} {z} {n} {n} {r}",
    "ZRANGESTORE {z} {z} {b} {b} BYSCORE {r}",
    "ZREMRANGEBYRANK {z} {n} {n}",
    "ZREMRANGEBYSCORE {z} {b} {b}",
    "ZPOPMIN {z} {c}",
    "ZPOPMAX {z}",
    "ZMPOP 2 {z} {z} MIN COUNT {c}",
    "ZUNION 2 {z} {z} {u} {u}",
    "ZINTER 2 {z} {z} {u} {u}",
    "ZUNION 3 {z} {s} {z} WITHSCORES",
    "ZDIFF 3 {z} {z} {s} WITHSCORES",
    "ZUNIONSTORE {z} 2 {z} {s} {u}",
    "ZINTERSTORE {z} 2 {z} {z} {u}",
    "ZDIFFSTORE {z} 2 {z} {z}",
    "ZINTERCARD 2 {z} {z} LIMIT {c}",
    "sorted ZRANDMEMBER {z} 1000",
    "sorted ZSCAN {z} 0 COUNT 1000 {m}",
    // Members with one score have an order by string.
    "ZADD lex 0 {e} 0 {e} 0 {e}",
    "ZRANGEBYLEX lex {x} {x}",
    "ZREVRANGEBYLEX lex {x} {x} LIMIT {n} {n}",
    "ZRANGE lex {x} {x} BYLEX {r} {r}",
    "ZLEXCOUNT lex {x} {x}",
    "ZREMRANGEBYLEX lex {x} {x}",
    // Keys of other types.
    "SET {k} {e}",
    "DEL {k}",
    "TYPE {k}",
    "EXPIREAT {k} 4000000000",
    "TTL nosuch",
];

/// A command, and whether its elements come in any order.
fn command(random: &mut Rng) -> (String, bool) {
    let template = random.choice(TEMPLATES).copied().unwrap_or_default();
    let (mut rest, sorted) = template.strip_prefix("sorted ").map_or((template, false), |rest| (rest, true));
    let mut line = String::new();
    while let Some((before, after)) = rest.split_once('{') {
        let (kind, after) = after.split_once('}').expect("templates close their braces");
        line.push_str(before);
        line.push_str(&word(random, kind));
        rest = after;
    }
    (line + rest, sorted)
}

fn word(random: &mut Rng, kind: &str) -> String {
    let rarely = random.u32(..60) == 0;
    let dice = random.u32(..12);
    let mut one_of = |words: &[&str]| words[random.usize(..words.len())].to_string();
    match kind {
        "h" | "l" | "s" | "z" if !rarely => format!("{kind}{}", random.u32(..3)),
        "k" => one_of(&["h0", "h1", "l0", "l1", "s0", "s1", "z0", "z1", "lex"]),
        "h" | "l" | "s" | "z" => one_of(&["h0", "h1", "l0", "l1", "s0", "s1", "z0", "z1"]),
        "e" => match dice {
            0 => "\"\"".into(),
            1 => "x".repeat(70),
            2..6 => random.i32(-3..20).to_string(),
            _ => one_of(&[
                "a",
                "b",
                "c",
                "d",
                "e",
                "f",
                "g",
                "h",
                "i",
                "j",
                "aa",
                "ab",
                "\"\\x00\"",
                "007",
                "zz",
            ]),
        },
        "n" if rarely => one_of(&["x", "9223372036854775807", "-9223372036854775808", "1.5", "\"\""]),
        "n" => random.i32(-6..7).to_string(),
        "c" if rarely => one_of(&["x", "-1", "9223372036854775807"]),
        "c" => random.u32(..4).to_string(),
        "f" if rarely => one_of(&["inf", "-inf", "x", "nan", "1e3", "\"\""]),
        "f" => (f64::from(random.i32(-12..13)) / 4.0).to_string(),
        "b" if rarely => one_of(&["x", "(x", "nan", "((1"]),
        "b" => match dice % 5 {
            0 => one_of(&["-inf", "+inf"]),
            1 => format!("({}", random.i32(-4..5)),
            _ => (f64::from(random.i32(-8..9)) / 2.0).to_string(),
        },
        "x" => one_of(&["-", "+", "[a", "(a", "[c", "(d", "[1", "(x", "[", "x"]),
        "w" => one_of(&["LEFT", "RIGHT"]),
        "a" => one_of(&["", "", "NX", "XX", "GT", "LT", "CH"]),
        "u" => one_of(&["", "WITHSCORES", "WEIGHTS 2 0.5", "AGGREGATE MIN", "AGGREGATE MAX", "WEIGHTS 1"]),
        "p" => one_of(&["", "RANK 2", "RANK -1", "COUNT 0", "COUNT 2", "MAXLEN 3", "RANK 0"]),
        "m" => one_of(&["", "MATCH [a-c]*", "MATCH 1*", "COUNT 0"]),
        "r" => one_of(&["", "WITHSCORES", "LIMIT 1 2", "LIMIT 0 -1", "LIMIT -1 1", "REV"]),
        other => unreachable!("no template has {other}"),
    }
}

/// Commands in each run: enough for every template to meet many states.
const COMMANDS: usize = 4000;

/// Limits at which values are indexed from two elements on.
const INDEXED: &[&str] = &[
    "hash-max-listpack-entries",
    "set-max-intset-entries",
    "zset-max-listpack-entries",
    "list-max-listpack-size",
];

fn compare(redis: &Redis, indexed: bool, seed: u64) {
    let mut random = Rng::with_seed(seed);
    let (mut server, mut link, mut listener) = (Harness::new(), redis.connect(), redis.connect());
    link.call(&["FLUSHALL"], false);
    for directive in INDEXED.iter().filter(|_| indexed) {
        assert_eq!(server.run(&format!("CONFIG SET {directive} 2")), "+OK");
        assert_eq!(link.call(&["CONFIG", "SET", directive, "2"], false), "+OK");
    }
    if indexed {
        // Redis 7.0 has no packed sets but those of integers.
        assert_eq!(server.run("CONFIG SET set-max-listpack-entries 2"), "+OK");
    }
    listener.call(&["PSUBSCRIBE", "__keyevent@*"], false);
    let mut history = Vec::new();
    for _ in 0..COMMANDS {
        let (line, sorted) = command(&mut random);
        let words = redkeep_resp::inline::split_words(line.as_bytes()).expect("the quotes are balanced");
        history.push(line);
        let (ours, theirs) = (server.call("", &words, sorted), link.call(&words, sorted));
        let recent = || history[history.len().saturating_sub(10)..].join("\n");
        assert_eq!(ours, theirs, "seed {seed}, after\n{}", recent());
        assert_eq!(server.events(), listener.events(), "seed {seed}, after\n{}", recent());
    }
}

#[test]
fn random_commands_on_aggregates_agree() {
    let dir = tempfile::tempdir().expect("there is a place for files");
    let Some(redis) = Redis::start(dir.path()) else { return };
    for seed in seeds() {
        // The redis-server keeps the limits of the last runs.
        compare(&redis, false, seed);
    }
    for seed in seeds() {
        compare(&redis, true, seed);
    }
}

fn seeds() -> std::ops::Range<u64> {
    let from = |name| std::env::var(name).ok().and_then(|n| n.parse().ok());
    let first = from("REDKEEP_SEED").unwrap_or(0);
    first..first + from("REDKEEP_SEEDS").unwrap_or(1)
}
