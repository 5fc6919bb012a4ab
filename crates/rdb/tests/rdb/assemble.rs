//! Files, values and blobs assembled by hand.

use redkeep_rdb::{Crc64, RdbError};

use crate::model::Model;
use crate::said::{Said, read};

/// A file of these records, with header, end and checksum.
pub(crate) fn file_of(version: u32, records: &[u8]) -> Vec<u8> {
    let mut file = format!("REDIS{version:04}").into_bytes();
    file.extend_from_slice(records);
    seal(file, version)
}

/// Adds the end, and the checksum where the version has one.
pub(crate) fn seal(mut file: Vec<u8>, version: u32) -> Vec<u8> {
    file.push(0xff);
    if version >= 5 {
        let checksum = Crc64::of(&file);
        file.extend_from_slice(&checksum.to_le_bytes());
    }
    file
}

/// One entry with the key `k`: its type, key and value.
pub(crate) fn entry_of(value_type: u8, value: &[u8]) -> Vec<u8> {
    let mut record = vec![value_type, 1, b'k'];
    record.extend_from_slice(value);
    record
}

/// The only value in a file that has nothing but one entry of this type and these bytes.
pub(crate) fn value_of(version: u32, value_type: u8, value: &[u8]) -> Result<Model, RdbError> {
    let said = read(&file_of(version, &entry_of(value_type, value)))?;
    match &said[..] {
        [Said::Entry(key, _, value), Said::End] if key == b"k" => Ok(value.clone()),
        other => panic!("one entry was expected, not {other:?}"),
    }
}

/// A plain string as it stands in a file: length and bytes.
pub(crate) fn string(bytes: &[u8]) -> Vec<u8> {
    let mut out = match bytes.len() {
        len @ 0..0x40 => vec![len as u8],
        len @ 0x40..0x4000 => vec![0x40 | (len >> 8) as u8, len as u8],
        len => [&[0x80][..], &(len as u32).to_be_bytes()].concat(),
    };
    out.extend_from_slice(bytes);
    out
}

/// A ziplist of entries whose encoding byte and data are given.
pub(crate) fn ziplist(entries: &[&[u8]]) -> Vec<u8> {
    let mut blob = vec![0; 10];
    let mut last = 10;
    for entry in entries {
        let previous = blob.len() - last;
        last = blob.len();
        blob.push(previous as u8);
        blob.extend_from_slice(entry);
    }
    blob.push(0xff);
    let total = blob.len() as u32;
    blob[..4].copy_from_slice(&total.to_le_bytes());
    blob[4..8].copy_from_slice(&(last as u32).to_le_bytes());
    blob[8..10].copy_from_slice(&(entries.len() as u16).to_le_bytes());
    blob
}

/// A listpack of short entries whose encoding byte and data are given.
pub(crate) fn listpack(entries: &[&[u8]]) -> Vec<u8> {
    let mut blob = vec![0; 6];
    for entry in entries {
        blob.extend_from_slice(entry);
        blob.push(entry.len() as u8);
    }
    blob.push(0xff);
    let total = blob.len() as u32;
    blob[..4].copy_from_slice(&total.to_le_bytes());
    blob[4..6].copy_from_slice(&(entries.len() as u16).to_le_bytes());
    blob
}
