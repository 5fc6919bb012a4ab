//! Every encoding that a server ever wrote, assembled byte by byte.

use crate::assemble::{entry_of, file_of, listpack, seal, string, value_of, ziplist};
use crate::model::Model;
use crate::said::{Said, read};
use redkeep_rdb::opcodes::ValueType;
use redkeep_rdb::{Attributes, ErrorKind};

fn concat(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

fn corrupt(result: Result<Model, redkeep_rdb::RdbError>) -> String {
    match result.expect_err("this must not load").kind {
        ErrorKind::Corrupt(sentence) => sentence.to_owned(),
        other => panic!("another error: {other}"),
    }
}

#[test]
fn strings() {
    assert_eq!(value_of(1, 0, b"\x05hello"), Ok(Model::string(b"hello")));
    assert_eq!(value_of(1, 0, b"\xc1\x39\x30"), Ok(Model::string(b"12345")));
    let zeros = concat(&[b"\xc3\x05\x14\x00z\xe0\x0a\x00"]);
    assert_eq!(value_of(1, 0, &zeros), Ok(Model::string(&[b'z'; 20])));
    let long = concat(&[b"\x81\0\0\0\0\0\0\0\x03", b"abc"]);
    assert_eq!(value_of(9, 0, &long), Ok(Model::string(b"abc")));
}

#[test]
fn plain_lists_sets_and_hashes() {
    assert_eq!(value_of(1, 1, b"\x03\x01a\xc0\x07\x01a"), Ok(Model::list(&["a", "7", "a"])));
    assert_eq!(value_of(1, 2, b"\x02\x01a\xc0\x07"), Ok(Model::set(&["a", "7"])));
    assert_eq!(value_of(1, 4, b"\x02\x01a\x01b\x01c\xc0\xff"), Ok(Model::hash(&[("a", "b"), ("c", "-1")])));
}

#[test]
fn sorted_sets_with_scores_as_text_and_as_bytes() {
    let text = b"\x04\x01a\x031.5\x01b\xfe\x01c\xff\x01d\x04-1e3";
    let expected =
        Model::sorted_set(&[("a", 1.5), ("b", f64::INFINITY), ("c", f64::NEG_INFINITY), ("d", -1000.0)]);
    assert_eq!(value_of(1, 3, text), Ok(expected));
    let binary = concat(&[b"\x02\x01a", &1.5f64.to_le_bytes(), b"\x01b", &f64::INFINITY.to_le_bytes()]);
    assert_eq!(value_of(8, 5, &binary), Ok(Model::sorted_set(&[("a", 1.5), ("b", f64::INFINITY)])));
}

#[test]
fn zipmap_hash() {
    let blob = b"\x02\x01a\x02\x03bc...\x01d\x01\x00e\xff";
    assert_eq!(value_of(1, 9, &string(blob)), Ok(Model::hash(&[("a", "bc"), ("d", "e")])));
    // The first version that has them compressed what is longer than 20 bytes.
    let long = [b"\x01\x01a\x1e\x00", &[b'v'; 30][..], b"\xff"].concat();
    let packed = b"\xc3\x0c\x23\x04\x01\x01a\x1e\x00\x00v\xe0\x14\x00\x00\xff";
    let mut compressed = packed.to_vec();
    compressed[1] = (compressed.len() - 3) as u8;
    assert_eq!(long.len(), 0x23 + 1);
    compressed[2] = long.len() as u8;
    assert_eq!(value_of(2, 9, &compressed), Ok(Model::hash(&[("a", "v".repeat(30))])));
}

#[test]
fn ziplist_list_hash_and_sorted_set() {
    let list = ziplist(&[b"\x01a", b"\xf3", b"\xfe\x80", b"\xc0\x00\x80", b"\xf0\xff\xff\x7f"]);
    assert_eq!(value_of(4, 10, &string(&list)), Ok(Model::list(&["a", "2", "-128", "-32768", "8388607"])));
    let hash = ziplist(&[b"\x01a", b"\x01b", b"\x01c", b"\xf1"]);
    assert_eq!(value_of(4, 13, &string(&hash)), Ok(Model::hash(&[("a", "b"), ("c", "0")])));
    let sorted = ziplist(&[b"\x01a", b"\xf2", b"\x01b", b"\x032.5"]);
    assert_eq!(value_of(4, 12, &string(&sorted)), Ok(Model::sorted_set(&[("a", 1.0), ("b", 2.5)])));
}

#[test]
fn intset() {
    let narrow = b"\x02\0\0\0\x03\0\0\0\xff\xff\x05\0\x07\0";
    assert_eq!(value_of(4, 11, &string(narrow)), Ok(Model::set(&["-1", "5", "7"])));
    let wide = concat(&[b"\x08\0\0\0\x01\0\0\0", &i64::MIN.to_le_bytes()]);
    assert_eq!(value_of(4, 11, &string(&wide)), Ok(Model::set(&["-9223372036854775808"])));
}

#[test]
fn quicklists_of_both_kinds() {
    let (first, second) = (ziplist(&[b"\x01a", b"\x01b"]), ziplist(&[b"\x01c"]));
    let nodes = concat(&[b"\x03", &string(&first), &string(&ziplist(&[])), &string(&second)]);
    assert_eq!(value_of(7, 14, &nodes), Ok(Model::list(&["a", "b", "c"])));
    let packed = listpack(&[b"\x81a", b"\x07"]);
    let nodes = concat(&[b"\x03\x02", &string(&packed), b"\x01", b"\x05plain", b"\x02", &string(&packed)]);
    assert_eq!(value_of(10, 18, &nodes), Ok(Model::list(&["a", "7", "plain", "a", "7"])));
    let unknown = concat(&[b"\x01\x03", &string(&packed)]);
    assert!(corrupt(value_of(10, 18, &unknown)).contains("neither plain nor packed"));
}

#[test]
fn listpack_hash_sorted_set_and_set() {
    let hash = listpack(&[b"\x81a", b"\x81b", b"\x81c", b"\xdf\xff"]);
    assert_eq!(value_of(10, 16, &string(&hash)), Ok(Model::hash(&[("a", "b"), ("c", "-1")])));
    let sorted = listpack(&[b"\x81a", b"\x01", b"\x81b", b"\x832.5"]);
    assert_eq!(value_of(10, 17, &string(&sorted)), Ok(Model::sorted_set(&[("a", 1.0), ("b", 2.5)])));
    let set = listpack(&[b"\x81a", b"\xf1\x00\x80", b"\x81c"]);
    assert_eq!(value_of(11, 20, &string(&set)), Ok(Model::set(&["a", "-32768", "c"])));
}

#[test]
fn what_stands_beside_an_entry() {
    let seconds = concat(&[b"\xfd\x01\x00\x00\x00", &entry_of(0, b"\x01v")]);
    let millis = concat(&[b"\xfc\x02\0\0\0\0\0\0\0\xf8\x41\x00", &entry_of(0, b"\x01v")]);
    let freq = concat(&[b"\xf9\xc8", &entry_of(0, b"\x01v"), b"\xfc\xfe\xff\xff\xff\xff\xff\xff\xff"]);
    let records = concat(&[&seconds, &millis, &freq, &entry_of(0, b"\x01v")]);
    let said = read(&file_of(9, &records)).unwrap();
    let attributes: Vec<_> = said
        .iter()
        .filter_map(|said| match said {
            Said::Entry(_, attributes, _) => Some(*attributes),
            _ => None,
        })
        .collect();
    let none = Attributes::default();
    assert_eq!(
        attributes,
        [
            Attributes { expire_ms: Some(1000), ..none },
            Attributes { expire_ms: Some(2), idle_seconds: Some(256), ..none },
            Attributes { freq: Some(200), ..none },
            Attributes { expire_ms: Some(0), ..none },
        ]
    );
}

#[test]
fn records_beside_entries() {
    let module_aux: &[u8] =
        b"\xf7\x81\x11\x22\x33\x44\x55\x66\x77\x88\x02\x01\x01\x05\x02\x06\x03abcd\x04abcdefgh\x05\x02hi\x00";
    let records = concat(&[
        b"\xfa\x09redis-ver\x067.0.15\xfa\x0aredis-bits\xc0\x40",
        module_aux,
        b"\xf5\x05#!lua",
        b"\xfe\x03\xfb\x01\x00\xf4\x05\x01\x00",
        &entry_of(0, b"\x01v"),
        b"\xfe\x40\xc8",
    ]);
    let said = read(&file_of(10, &records)).unwrap();
    assert_eq!(
        said,
        [
            Said::Aux(b"redis-ver".to_vec(), b"7.0.15".to_vec()),
            Said::Aux(b"redis-bits".to_vec(), b"64".to_vec()),
            Said::Function(b"#!lua".to_vec()),
            Said::SelectDb(3),
            Said::ResizeDb(1, 0),
            Said::Entry(b"k".to_vec(), Attributes::default(), Model::string(b"v")),
            Said::SelectDb(200),
            Said::End,
        ]
    );
}

#[test]
fn every_version_has_its_header_and_end() {
    for version in 1..=12 {
        assert_eq!(value_of(version, 0, b"\x01v"), Ok(Model::string(b"v")));
    }
    let valkey = seal([b"VALKEY080", &entry_of(0, b"\x01v")[..]].concat(), 80);
    assert_eq!(read(&valkey).unwrap().len(), 2);
    for (magic, kind) in [
        (&b"REDIS0013"[..], ErrorKind::UnsupportedVersion(13)),
        (b"REDIS0000", ErrorKind::UnsupportedVersion(0)),
        (b"REDISxxxx", ErrorKind::BadMagic),
        (b"RODIS0009", ErrorKind::BadMagic),
        (b"*3\r\n$3\r\nS", ErrorKind::BadMagic),
    ] {
        let error = read(magic).unwrap_err();
        assert_eq!((error.kind, error.offset), (kind, 0));
    }
}

#[test]
fn a_file_without_checksum_is_accepted_and_a_wrong_one_refused() {
    let mut file = file_of(9, &entry_of(0, b"\x01v"));
    let len = file.len();
    file[len - 8..].fill(0);
    assert!(read(&file).is_ok());
    file[len - 1] = 1;
    let error = read(&file).unwrap_err();
    assert!(matches!(error.kind, ErrorKind::ChecksumMismatch { .. }));
    assert_eq!(error.offset, len as u64 - 8);
}

#[test]
fn aggregates_without_elements_are_passed_over() {
    let empty = [
        entry_of(1, b"\0"),
        entry_of(2, b"\0"),
        entry_of(4, b"\0"),
        entry_of(5, b"\0"),
        entry_of(14, &concat(&[b"\x01", &string(&ziplist(&[]))])),
        entry_of(18, &concat(&[b"\x01\x02", &string(&listpack(&[]))])),
        entry_of(16, &string(&listpack(&[]))),
        entry_of(17, &string(&listpack(&[]))),
        entry_of(10, &string(&ziplist(&[]))),
        entry_of(9, b"\x02\x00\xff"),
    ];
    let records = concat(&[b"\xfc\x02\0\0\0\0\0\0\0", &empty.concat(), &entry_of(0, b"\x01v")]);
    let file = file_of(10, &records);
    let mut reader = redkeep_rdb::SliceReader::new(&file, Default::default());
    let said: Vec<_> = reader.by_ref().map(|item| Said::of(&item.unwrap())).collect();
    // The time to live belonged to the first of them and went with it.
    let entry = Said::Entry(b"k".to_vec(), Attributes::default(), Model::string(b"v"));
    assert_eq!(said, [entry, Said::End]);
    assert_eq!(reader.skipped_empty(), empty.len() as u64);
}

#[test]
fn an_element_that_is_there_twice_is_refused() {
    assert!(corrupt(value_of(1, 2, b"\x02\x01a\x01a")).contains("twice"));
    assert!(corrupt(value_of(1, 4, b"\x02\x01a\x01b\x01a\x01c")).contains("twice"));
    assert!(corrupt(value_of(1, 3, b"\x02\x01a\x011\x01a\x012")).contains("twice"));
    let pairs = [&b"\x81a"[..], b"\x01", b"\x81a", b"\x01"];
    assert!(corrupt(value_of(10, 16, &string(&listpack(&pairs)))).contains("twice"));
    assert!(corrupt(value_of(10, 17, &string(&listpack(&pairs)))).contains("twice"));
    assert!(corrupt(value_of(11, 20, &string(&listpack(&pairs)))).contains("twice"));
}

#[test]
fn scores_that_are_no_numbers_are_refused() {
    assert!(corrupt(value_of(1, 3, b"\x01\x01a\xfd")).contains("not a number"));
    assert!(corrupt(value_of(1, 3, b"\x01\x01a\x02xx")).contains("not a number"));
    let nan = concat(&[b"\x01\x01a", &f64::NAN.to_le_bytes()]);
    assert!(corrupt(value_of(8, 5, &nan)).contains("not a number"));
    let text = listpack(&[b"\x81a", b"\x82xx"]);
    assert!(corrupt(value_of(10, 17, &string(&text))).contains("proper score"));
    let odd = listpack(&[b"\x81a"]);
    assert!(corrupt(value_of(10, 17, &string(&odd))).contains("proper score"));
}

#[test]
fn what_the_store_cannot_hold_is_named() {
    for (code, value_type) in [
        (6, ValueType::ModulePreRelease),
        (7, ValueType::Module2),
        (15, ValueType::Stream),
        (19, ValueType::Stream2),
        (21, ValueType::Stream3),
        (22, ValueType::HashExpiring),
        (24, ValueType::HashMetadata),
        (25, ValueType::HashListpackExpiring),
    ] {
        let error = value_of(10, code, b"\x00").unwrap_err();
        assert_eq!(error.kind, ErrorKind::UnsupportedType(value_type));
        assert!(error.is_unsupported());
        assert!(error.to_string().contains(value_type.name()), "{error}");
    }
    let unknown = value_of(10, 200, b"").unwrap_err();
    assert_eq!(unknown.to_string(), "unknown opcode or value type 200 (at byte 9)");
    let function = read(&file_of(10, b"\xf6")).unwrap_err();
    assert_eq!((function.kind, function.offset), (ErrorKind::PreReleaseFunction, 9));
}
