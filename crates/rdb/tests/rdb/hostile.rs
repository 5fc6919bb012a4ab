//! Damaged and malicious bytes give errors: no panic, no memory for what is not there.

use crate::assemble::{entry_of, file_of, listpack, string, ziplist};
use crate::golden::REDIS_7_0_15;
use crate::model::sample_file;
use crate::said::read;
use proptest::prelude::*;
use redkeep_rdb::{ErrorKind, Limits, Reader, SliceReader, WriterOptions, restore};

/// What the smallest tables and nodes take, and small change.
const FIXED: usize = 16 * 1024;
/// A compressed string may stand for 88 times its length, and vectors double.
const PER_BYTE: usize = 2 * redkeep_rdb::lzf::MAX_EXPANSION;

/// Reads the bytes whole, in pieces and as a payload; gives whether the file was accepted.
fn survive(bytes: &[u8]) -> bool {
    crate::measured::forget();
    let whole = SliceReader::new(bytes, Limits::default()).try_for_each(|item| item.map(drop));
    let mut reader = Reader::new(Limits::default());
    let pieces: Result<(), _> = bytes.chunks(61).try_for_each(|piece| {
        reader.feed(piece);
        while reader.next()?.is_some() {}
        Ok(())
    });
    if let Err(error) = &pieces {
        assert_eq!(reader.next().map(drop).as_ref(), Err(error), "an error stays");
    }
    assert_eq!(pieces.and_then(|()| reader.finish()), whole);
    let largest = crate::measured::largest();
    assert!(largest <= FIXED + PER_BYTE * bytes.len(), "{largest} bytes at once for {}", bytes.len());
    if let Err(error) = &whole {
        assert!(error.offset <= bytes.len() as u64, "{error}");
    }
    whole.is_ok()
}

/// A file of about a kilobyte with every type in its small and its large form.
fn sample() -> Vec<u8> {
    let mut records = b"\xfa\x09redis-ver\x067.0.15\xf5\x05#!lua\xfe\x00\xfb\x0a\x01".to_vec();
    let packed = listpack(&[b"\x81a", b"\x07", b"\x83two", b"\xdf\xff"]);
    let old = ziplist(&[b"\x01a", b"\xf3", b"\x03two", b"\xfe\x80"]);
    for (value_type, value) in [
        (0, b"\x05hello".to_vec()),
        (0, b"\xc3\x05\x14\x00z\xe0\x0a\x00".to_vec()),
        (1, b"\x03\x01a\xc0\x07\x01a".to_vec()),
        (2, b"\x02\x01a\xc0\x07".to_vec()),
        (3, b"\x02\x01a\x031.5\x01b\xfe".to_vec()),
        (4, b"\x02\x01a\x01b\x01c\xc0\xff".to_vec()),
        (5, b"\x01\x01aabcdefgh".to_vec()),
        (9, string(b"\x02\x01a\x02\x03bc...\x01d\x01\x00e\xff")),
        (10, string(&old)),
        (11, string(b"\x02\0\0\0\x03\0\0\0\xff\xff\x05\0\x07\0")),
        (12, string(&old)),
        (13, string(&old)),
        (14, [b"\x02", &string(&old)[..], &string(&old)].concat()),
        (16, string(&packed)),
        (17, string(&packed)),
        (18, [b"\x02\x01\x01p\x02", &string(&packed)[..]].concat()),
        (20, string(&packed)),
    ] {
        records.extend_from_slice(b"\xfc\x02\0\0\0\0\0\0\0");
        records.extend_from_slice(&entry_of(value_type, &value));
    }
    records
}

#[test]
fn the_sample_itself_is_sound() {
    assert!(survive(&file_of(10, &sample())));
    assert!(survive(&sample_file(WriterOptions::default())));
}

#[test]
fn a_flipped_byte_anywhere_is_noticed() {
    for file in [&file_of(10, &sample()), REDIS_7_0_15] {
        for place in 0..file.len() {
            for flip in [0x01, 0x80, 0xff] {
                let mut bad = file.to_vec();
                bad[place] ^= flip;
                assert!(!survive(&bad), "byte {place} ^ {flip:#x}");
            }
        }
    }
}

#[test]
fn every_value_of_every_byte_without_a_checksum_to_help() {
    let sound = sample();
    for place in 0..sound.len() {
        for value in [0, 1, 2, 3, 0x3f, 0x40, 0x7f, 0x80, 0x81, 0xc0, 0xc3, 0xfa, 0xfc, 0xfe, 0xff] {
            let mut records = sound.clone();
            records[place] = value;
            survive(&file_of(4, &records));
        }
    }
}

#[test]
fn truncated_at_every_length() {
    for file in [&file_of(10, &sample()), &file_of(3, &sample()), REDIS_7_0_15] {
        for len in 0..file.len() {
            let error = read(&file[..len]).unwrap_err();
            assert_eq!((error.kind, error.offset), (ErrorKind::Truncated, len as u64));
            assert!(!survive(&file[..len]));
        }
    }
}

#[test]
fn announced_sizes_are_not_believed() {
    let huge = b"\x81\x00\x00\x00\xff\xff\xff\xff\xff";
    let large = b"\x80\x1f\xff\xff\xff";
    for value_type in (0..=25).filter(|code| *code != 8) {
        for len in [&huge[..], large] {
            survive(&file_of(10, &entry_of(value_type, len)));
            survive(&file_of(10, &entry_of(value_type, &[len, &[7; 200]].concat())));
        }
    }
    // A compressed string that claims half a gigabyte.
    survive(&file_of(10, &entry_of(0, b"\xc3\x05\x80\x1f\xff\xff\xff\x00z\xe0\x0a\x00")));
    // Blobs whose own headers claim more than there is.
    survive(&file_of(10, &entry_of(16, &string(b"\xff\xff\xff\x7f\xff\xff\xff"))));
    survive(&file_of(10, &entry_of(11, &string(b"\x08\0\0\0\xff\xff\xff\x7f"))));
    survive(&file_of(10, &entry_of(13, &string(b"\xff\xff\xff\x7f\x0a\0\0\0\xff\xff\xff"))));
}

#[test]
fn payloads_of_every_type_and_any_content() {
    for value_type in 0..=u8::MAX {
        for fill in 0..=u8::MAX {
            let mut payload = vec![fill; 40];
            payload[0] = value_type;
            payload.extend_from_slice(b"\x0a\x00");
            let checksum = redkeep_rdb::Crc64::of(&payload);
            payload.extend_from_slice(&checksum.to_le_bytes());
            let _ = restore(&payload, &Limits::default());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn random_records(records in proptest::collection::vec(prop_oneof![any::<u8>(), 0u8..26, 240u8..=255], 0..120)) {
        survive(&file_of(4, &records));
        survive(&file_of(10, &records));
    }

    #[test]
    fn random_damage(places in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut records = sample();
        for (place, value) in places {
            *place.get_mut(&mut records) = value;
        }
        survive(&file_of(4, &records));
    }
}
