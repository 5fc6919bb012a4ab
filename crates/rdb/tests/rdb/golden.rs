//! The exact bytes of small files and payloads.

use crate::assemble::{entry_of, listpack, string};
use crate::model::{Model, every_kind, sample_file};
use crate::said::{Said, read};
use std::collections::BTreeMap;

use redkeep_rdb::{
    Attributes, Encoder, Information, Limits, Loaded, ReplicationPoint, RestoreError, Writer, WriterOptions,
    dump, restore,
};
use redkeep_store::value::{EncodingLimits, ValueRef};

/// Has a function, a value of each type and encoding but streams, and two databases.
pub(crate) const REDIS_7_0_15: &[u8] = include_bytes!("data/redis-7.0.15.rdb");

const PLAIN: WriterOptions = WriterOptions { compression: false, checksum: false };

#[test]
fn a_small_file_byte_by_byte() {
    let mut writer = Writer::new(PLAIN);
    writer.aux(b"redis-ver", b"7.0.15");
    writer.function(b"#!lua");
    writer.select_db(3);
    writer.resize_db(2, 1);
    writer.entry(b"a", &Attributes::default(), ValueRef::String(b"12"));
    let attributes = Attributes { expire_ms: Some(0x0102), idle_seconds: Some(70), freq: Some(9) };
    writer.entry(b"b", &attributes, ValueRef::String(b"x"));
    let expected = b"REDIS0010\
        \xfa\x09redis-ver\x067.0.15\
        \xf5\x05#!lua\
        \xfe\x03\
        \xfb\x02\x01\
        \x00\x01a\xc0\x0c\
        \xfc\x02\x01\0\0\0\0\0\0\xf8\x40\x46\xf9\x09\x00\x01b\x01x\
        \xff\0\0\0\0\0\0\0\0";
    assert_eq!(writer.finish().escape_ascii().to_string(), expected.escape_ascii().to_string());
}

#[test]
fn the_information_fields_in_redis_order() {
    let mut writer = Writer::new(PLAIN);
    writer.information(&Information {
        redis_version: "7.0.15",
        created_seconds: 1_700_000_000,
        used_memory: 1000,
        replication: Some(ReplicationPoint { stream_db: 0, id: &"f".repeat(40), offset: 5 }),
        aof_base: true,
    });
    let said = read(&writer.finish()).unwrap();
    let fields: Vec<_> = said
        .iter()
        .filter_map(|said| match said {
            Said::Aux(key, value) => Some(format!("{}={}", key.escape_ascii(), value.escape_ascii())),
            _ => None,
        })
        .collect();
    let id = format!("repl-id={}", "f".repeat(40));
    assert_eq!(
        fields,
        [
            "redis-ver=7.0.15",
            "redis-bits=64",
            "ctime=1700000000",
            "used-mem=1000",
            "repl-stream-db=0",
            &id,
            "repl-offset=5",
            "aof-base=1"
        ]
    );
}

#[test]
fn each_type_as_redis_lays_it_out() {
    let small = EncodingLimits::default();
    let none_packed = EncodingLimits {
        hash_max_listpack_entries: 0,
        set_max_intset_entries: 0,
        set_max_listpack_entries: 0,
        zset_max_listpack_entries: 0,
        ..EncodingLimits::default()
    };
    let list = listpack(&[b"\x81a", b"\x07"]);
    let hash = listpack(&[b"\x81f", b"\x81v"]);
    let sorted = listpack(&[b"\x81m", b"\x832.5"]);
    let one_set = Model::set(&["m"]);
    let one_hash = Model::hash(&[("f", "v")]);
    let one_sorted = Model::sorted_set(&[("m", 2.5)]);
    for (model, limits, value_type, expected) in [
        (&Model::list(&["a", "7"]), &small, 18, [b"\x01\x02", &string(&list)[..]].concat()),
        (&Model::set(&["5", "-1"]), &small, 11, string(b"\x02\0\0\0\x02\0\0\0\xff\xff\x05\0")),
        (&one_set, &small, 2, b"\x01\x01m".to_vec()),
        (&one_set, &none_packed, 2, b"\x01\x01m".to_vec()),
        (&one_hash, &small, 16, string(&hash)),
        (&one_hash, &none_packed, 4, b"\x01\x01f\x01v".to_vec()),
        (&one_sorted, &small, 17, string(&sorted)),
        (&one_sorted, &none_packed, 5, [b"\x01\x01m", &2.5f64.to_le_bytes()[..]].concat()),
    ] {
        let mut out = Vec::new();
        Encoder::new(true).entry(&mut out, b"k", &Attributes::default(), model.build(limits).as_ref());
        let expected = entry_of(value_type, &expected);
        assert_eq!(out.escape_ascii().to_string(), expected.escape_ascii().to_string());
    }
}

#[test]
fn a_file_that_redis_7_0_15_saved() {
    let said = read(REDIS_7_0_15).unwrap();
    let functions: Vec<_> = said.iter().filter(|said| matches!(said, Said::Function(_))).collect();
    assert_eq!(functions.len(), 1);
    let none = Attributes::default();
    let in_fact: BTreeMap<_, _> = said
        .iter()
        .filter_map(|said| match said {
            Said::Entry(key, attributes, value) => {
                Some((std::str::from_utf8(key).unwrap(), (*attributes, value.clone())))
            }
            _ => None,
        })
        .collect();
    let expires = Attributes { expire_ms: Some(4_000_000_000_123), ..none };
    let expected = BTreeMap::from([
        ("string", (none, Model::string(b"hello"))),
        ("int", (none, Model::string(b"-42"))),
        ("long", (none, Model::string("lorem ipsum ".repeat(20).as_bytes()))),
        ("expiring", (expires, Model::string(b"v"))),
        ("list", (none, Model::list(&["a", "1", "-5000"]))),
        ("quicklist", (none, Model::list(&["a", "b", "3"]))),
        ("set-ints", (none, Model::set(&["1", "2", "70000"]))),
        ("set-plain", (none, Model::set(&["a", "7"]))),
        ("hash", (none, Model::hash(&[("f", "v"), ("n", "12")]))),
        ("hash-table", (none, Model::hash(&[("f", "v".repeat(65))]))),
        ("zset", (none, Model::sorted_set(&[("low", -3.0), ("m", 1.5), ("top", f64::INFINITY)]))),
        ("zset-skiplist", (none, Model::sorted_set(&[("a", 0.1), ("b", f64::NEG_INFINITY)]))),
        ("other-db", (none, Model::string(b"1"))),
    ]);
    assert_eq!(in_fact, expected);
}

#[test]
fn a_payload_that_redis_documents() {
    let payload = b"\x00\xc0\n\n\x00n\x9fWE\x0e\xaec\xbb";
    let mut out = Vec::new();
    dump(&mut out, &mut Encoder::new(true), ValueRef::String(b"10"));
    assert_eq!(out, payload);
    let Ok(Loaded::String(value)) = restore(payload, &Limits::default()) else {
        panic!("a string was expected")
    };
    assert_eq!(&*value, b"10");
}

/// The payload of this type and value.
fn payload(value_type: u8, value: &[u8], version: u16) -> Vec<u8> {
    let mut payload = [&[value_type], value, &version.to_le_bytes()[..]].concat();
    let checksum = redkeep_rdb::Crc64::of(&payload);
    payload.extend_from_slice(&checksum.to_le_bytes());
    payload
}

#[test]
fn restore_refuses_with_redis_words() {
    let limits = Limits::default();
    let refused = |bytes: &[u8]| restore(bytes, &limits).map(|_| ()).unwrap_err().to_string();
    let (damaged, bad) = ("DUMP payload version or checksum are wrong", "Bad data format");
    let good = payload(0, b"\x01v", 10);
    assert!(restore(&good, &limits).is_ok());
    for len in 0..good.len() {
        assert_eq!(refused(&good[..len]), damaged);
    }
    for place in 0..good.len() {
        let mut flipped = good.clone();
        flipped[place] ^= 1;
        assert_eq!(refused(&flipped), damaged, "byte {place}");
    }
    assert_eq!(refused(&payload(0, b"\x01v", 13)), damaged);
    assert_eq!(refused(&payload(0, b"\x02v", 10)), bad);
    assert_eq!(refused(&payload(250, b"\x01v", 10)), bad);
    assert_eq!(refused(&payload(2, b"\x00", 10)), bad);
    assert_eq!(refused(&payload(2, b"\x02\x01a\x01a", 10)), bad);
    assert_eq!(refused(&payload(15, b"\x00", 10)), bad);
    assert!(matches!(restore(b"", &limits), Err(RestoreError::VersionOrChecksum)));
}

#[test]
fn taking_in_pieces_gives_the_same_file() {
    let whole = sample_file(WriterOptions::default());
    let limits = EncodingLimits::default();
    let mut writer = Writer::new(WriterOptions::default());
    let mut file = writer.take();
    writer.information(&Information { redis_version: "7.0.15", ..Information::default() });
    writer.function(b"#!lua name=mylib\nredis.register_function('f', function() return 1 end)");
    file.extend(writer.take());
    writer.select_db(0);
    writer.resize_db(every_kind().len() as u64, 0);
    let mut elsewhere = Encoder::new(true);
    for (key, model) in every_kind() {
        let mut encoded = Vec::new();
        elsewhere.entry(&mut encoded, key.as_bytes(), &Attributes::default(), model.build(&limits).as_ref());
        writer.encoded(&encoded);
        writer.take_into(&mut file);
        assert_eq!(writer.pending(), 0);
    }
    file.extend(writer.finish());
    // Hash tables may give their elements in any order, so the files say the same without being the same.
    assert_eq!(read(&file).unwrap(), read(&whole).unwrap());
}

#[test]
fn an_output_can_pass_on_a_large_value_as_it_is_made() {
    struct Stream {
        buffer: Vec<u8>,
        most: usize,
        total: usize,
    }
    impl redkeep_rdb::Output for Stream {
        fn buffer(&mut self) -> &mut Vec<u8> {
            &mut self.buffer
        }
        fn checkpoint(&mut self) {
            self.most = self.most.max(self.buffer.len());
            self.total += self.buffer.len();
            self.buffer.clear();
        }
    }
    for key in ["set:large", "hash:large", "zset:large", "list:large"] {
        let (_, model) = every_kind().into_iter().find(|(name, _)| *name == key).unwrap();
        let built = model.build(&EncodingLimits::default());
        let mut stream = Stream { buffer: Vec::new(), most: 0, total: 0 };
        Encoder::new(false).entry(&mut stream, b"k", &Attributes::default(), built.as_ref());
        let mut whole = Vec::new();
        Encoder::new(false).entry(&mut whole, b"k", &Attributes::default(), built.as_ref());
        assert_eq!((stream.total, stream.buffer.len()), (whole.len(), 0));
        assert!(stream.most * 5 < stream.total, "{key}: {} of {}", stream.most, stream.total);
    }
}
