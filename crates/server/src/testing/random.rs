//! Commands made up at random, from few keys and values, so that they meet each other.

use fastrand::Rng;

/// Templates: `{k}` is a key, `{v}` a value, `{n}` an integer, `{f}` a number, `{i}` an index, `{o}` an option of SET,
/// `{c}` a condition of EXPIRE. Nothing here depends on the time or on an order that servers may choose.
const TEMPLATES: &[&str] = &[
    "SET {k} {v}",
    "SET {k} {n}",
    "SET {k} {v} {o}",
    "SET {k} {v} {o} {o}",
    "SETNX {k} {v}",
    "SETEX {k} 0 {v}",
    "GETSET {k} {v}",
    "GET {k}",
    "GETDEL {k}",
    "GETEX {k} {o}",
    "MGET {k} {k} {k}",
    "MSET {k} {v} {k} {n}",
    "MSETNX {k} {v} {k} {n}",
    "APPEND {k} {v}",
    "STRLEN {k}",
    "SETRANGE {k} {i} {v}",
    "GETRANGE {k} {i} {i}",
    "INCR {k}",
    "DECR {k}",
    "INCRBY {k} {n}",
    "DECRBY {k} {n}",
    "INCRBYFLOAT {k} {f}",
    "INCRBYFLOAT {k} {f}",
    "SET {k} {f}",
    "LCS {k} {k}",
    "LCS {k} {k} IDX WITHMATCHLEN",
    "LCS {k} {k} IDX MINMATCHLEN {i}",
    "DEL {k} {k}",
    "EXISTS {k} {k}",
    "TYPE {k}",
    "RENAME {k} {k}",
    "RENAMENX {k} {k}",
    "COPY {k} {k}",
    "COPY {k} {k} REPLACE",
    "COPY {k} {k} DB {i}",
    "MOVE {k} {i}",
    "SELECT {i}",
    "EXPIREAT {k} {t} {c}",
    "PEXPIREAT {k} {t} {c}",
    "EXPIRE {k} -1 {c}",
    "PERSIST {k}",
    "EXPIRETIME {k}",
    "PEXPIRETIME {k}",
    "SWAPDB {i} {i}",
    "RPUSH list {v}",
];

/// A command.
pub(super) fn command(random: &mut Rng) -> String {
    let mut rest = random.choice(TEMPLATES).copied().unwrap_or_default();
    let mut line = String::new();
    while let Some((before, after)) = rest.split_once('{') {
        let (kind, after) = after.split_once('}').expect("templates close their braces");
        line.push_str(before);
        line.push_str(&word(random, kind));
        rest = after;
    }
    line + rest
}

fn word(random: &mut Rng, kind: &str) -> String {
    let mut one_of = |words: &[&str]| words[random.usize(..words.len())].to_string();
    match kind {
        "k" => one_of(&["a", "b", "c", "list"]),
        "o" => one_of(&[
            "NX",
            "XX",
            "GET",
            "KEEPTTL",
            "EXAT 4000000000",
            "PXAT 4000000000001",
            "PERSIST",
            "EX 0",
        ]),
        "c" => one_of(&["", "NX", "XX", "GT", "LT", "NX XX"]),
        "t" => {
            one_of(&["1", "0", "-5", "4000000000", "4000000001", "4000000000000", "x", "9223372036854775807"])
        }
        "i" => one_of(&["0", "1", "2", "-1", "-2", "5", "9", "-9", "x"]),
        "n" => match random.u32(..8) {
            0 => i64::MAX.to_string(),
            1 => i64::MIN.to_string(),
            2 => "x".into(),
            3 => random.i64(..).to_string(),
            _ => random.i32(-20..20).to_string(),
        },
        "f" => match random.u32(..4) {
            0 => format!("{}", random.i32(-1000..1000) as f64 / 100.0),
            1 => {
                format!("{:e}", f64::from_bits(random.u64(..) & !(0x7ff << 52) | random.u64(950..1150) << 52))
            }
            2 => format!("{}.{}", random.i64(..), random.u32(..)),
            _ => format!("{}e{}", random.u64(..), random.i32(-40..40)),
        },
        _ => (0..random.usize(..9)).map(|_| char::from(random.u8(b'a'..=b'c'))).collect::<String>() + "x",
    }
}
