//! However a file arrives, the same comes out.

use crate::assemble::{entry_of, file_of, listpack, string, ziplist};
use crate::model::sample_file;
use crate::said::{read, read_pieces};
use proptest::prelude::*;
use redkeep_rdb::{Item, Limits, Reader, WriterOptions};

/// A file with a unit of every kind and every way a unit can be cut, yet short.
fn short_file() -> Vec<u8> {
    let records = [
        &b"\xfa\x01a\x01b\xf7\x05\x02\x01\x01\x05\x03abcd\x04abcdefgh\x05\x02hi\x00\xf5\x03lib"[..],
        b"\xfe\x03\xfb\x40\x46\x00\xfc\x02\0\0\0\0\0\0\0\xf8\x41\x00",
        &entry_of(0, b"\xc3\x05\x14\x00z\xe0\x0a\x00"),
        &entry_of(4, b"\x02\x01a\xc1\x39\x30\x01c\x80\0\0\0\x03xyz"),
        &entry_of(3, b"\x02\x01a\x031.5\x01b\xfe"),
        &entry_of(5, b"\x01\x01aabcdefgh"),
        &entry_of(14, &[b"\x01", &string(&ziplist(&[b"\x01a", b"\xf3"]))[..]].concat()),
        &entry_of(18, &[b"\x02\x01\x01p\x02", &string(&listpack(&[b"\x81a", b"\x07"]))[..]].concat()),
        &entry_of(16, &string(&listpack(&[b"\x81a", b"\x07"]))),
        &entry_of(2, b"\x00"),
    ];
    file_of(10, &records.concat())
}

#[test]
fn cut_at_every_byte() {
    let file = short_file();
    let whole = read(&file).unwrap();
    assert_eq!(whole.len(), 12);
    for cut in 0..=file.len() {
        let (first, second) = file.split_at(cut);
        assert_eq!(read_pieces([first, second]), Ok(whole.clone()), "cut at {cut}");
    }
    for len in 1..40 {
        assert_eq!(read_pieces(file.chunks(len)), Ok(whole.clone()), "pieces of {len}");
    }
}

#[test]
fn cut_at_every_byte_through_large_values() {
    let file = sample_file(WriterOptions::default());
    let whole = read(&file).unwrap();
    for len in [1, 3, 1000, 65536] {
        assert_eq!(read_pieces(file.chunks(len)), Ok(whole.clone()), "pieces of {len}");
    }
}

#[test]
fn feeding_what_is_missing_and_no_more_gets_to_the_end_exactly() {
    let file = short_file();
    let mut reader = Reader::new(Limits::default());
    let mut at = 0;
    while !reader.is_done() {
        while reader.next().unwrap().is_some() {}
        let missing = reader.missing();
        assert!(missing > 0 || reader.is_done());
        reader.feed(&file[at..at + missing]);
        at += missing;
    }
    assert_eq!(at, file.len());
    assert_eq!(reader.offset(), file.len() as u64);
}

#[test]
fn what_follows_the_file_is_left_alone() {
    let mut stream = short_file();
    let len = stream.len();
    stream.extend_from_slice(b"*1\r\n$4\r\nPING\r\n");
    let mut reader = Reader::new(Limits::default());
    for piece in stream.chunks(7) {
        reader.feed(piece);
        while reader.next().unwrap().is_some() {}
    }
    assert_eq!((reader.is_done(), reader.missing(), reader.offset()), (true, 0, len as u64));
    assert_eq!(reader.version(), Some(10));
    assert_eq!(reader.skipped_empty(), 1);
    assert_eq!(reader.into_unread(), b"*1\r\n$4\r\nPING\r\n");
    let mut whole = redkeep_rdb::SliceReader::new(&stream, Limits::default());
    assert!(matches!(whole.by_ref().last(), Some(Ok(Item::End))));
    assert_eq!(whole.unread(), b"*1\r\n$4\r\nPING\r\n");
}

#[test]
fn a_long_string_in_small_pieces_costs_no_more_than_its_length() {
    // A compressed field stands before a long value: were it expanded anew for each piece, this would take hours.
    let mut field = vec![0xc3, 0x80];
    let mut packed = vec![0, b'z'];
    packed.extend(std::iter::repeat_n([0xe0, 0xff, 0], 4000).flatten());
    field.extend_from_slice(&(packed.len() as u32).to_be_bytes());
    field.push(0x80);
    field.extend_from_slice(&(1 + 4000 * 264u32).to_be_bytes());
    field.extend_from_slice(&packed);
    let value = string(&vec![b'v'; 1 << 20]);
    let file = file_of(10, &entry_of(4, &[&[1], &field[..], &value].concat()));
    assert_eq!(read_pieces(file.chunks(16)), read(&file));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn random_cuts(cuts in proptest::collection::vec(0usize..300, 0..8)) {
        let file = short_file();
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut % file.len()).chain([0, file.len()]).collect();
        cuts.sort_unstable();
        let pieces = cuts.windows(2).map(|cut| &file[cut[0]..cut[1]]);
        prop_assert_eq!(read_pieces(pieces), read(&file));
    }
}
