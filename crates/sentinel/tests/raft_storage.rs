//! The member's directory: openraft's own certification of it, crashes at every byte, damage, and the files of released
//! versions.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod raft_support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use openraft::storage::{RaftLogStorage, RaftLogStorageExt, RaftStateMachine};
use openraft::testing::{StoreBuilder, Suite, log_id};
use openraft::{
    CommittedLeaderId, Entry, EntryPayload, LogId, Membership, RaftLogReader, RaftSnapshotBuilder,
    SnapshotMeta, StorageError, StoredMembership, Vote,
};
use raft_support::{Table, Write, address, public_id, put};
use redkeep_sentinel::raft::bootstrap::{Binding, Promise};
use redkeep_sentinel::raft::storage::frame::{self, Kind};
use redkeep_sentinel::raft::storage::{LogStore, Payload, StateStore, Storage, Types};
use redkeep_sentinel::raft::{GroupId, Member, NodeId, OpenError, codec};
use tempfile::TempDir;

type Opened = Storage<Table>;

struct Builder;

impl StoreBuilder<Types, LogStore, StateStore<Table>, TempDir> for Builder {
    async fn build(&self) -> Result<(TempDir, LogStore, StateStore<Table>), StorageError<NodeId>> {
        let dir = tempfile::tempdir().unwrap();
        let storage = Opened::open(dir.path()).unwrap();
        Ok((dir, storage.log, storage.state))
    }
}

#[test]
fn openraft_certifies_the_storage() {
    Suite::test_all(Builder).unwrap();
}

fn entry(term: u64, index: u64, write: &Write) -> Entry<Types> {
    let payload = EntryPayload::Normal(Payload::from(codec::encode(write).unwrap()));
    Entry { log_id: log_id(term, 7, index), payload }
}

fn member(number: u16) -> Member {
    Member { node: number.into(), public_id: public_id(number), address: address(number) }
}

/// Closes everything, as a member does when it stops.
async fn close(storage: Opened) {
    let Storage { dir, log, mut writer_gone, .. } = storage;
    drop(log);
    writer_gone.wait().await;
    drop(dir);
}

async fn entries(log: &mut LogStore) -> Vec<Entry<Types>> {
    log.try_get_log_entries(0..).await.unwrap()
}

/// A directory with a vote and three records of entries; gives the path of its log.
async fn written(dir: &Path) -> PathBuf {
    let mut storage = Opened::open(dir).unwrap();
    storage.log.save_vote(&Vote::new_committed(3, 7)).await.unwrap();
    for index in 1..=3 {
        storage.log.blocking_append([entry(3, index, &put(format!("key{index}"), "value"))]).await.unwrap();
    }
    close(storage).await;
    dir.join("log")
}

/// Where each record of the file begins, and its end.
fn records(bytes: &[u8]) -> Vec<usize> {
    let scan = frame::scan(Path::new("log"), Kind::Log, bytes).unwrap();
    let ends = scan.payloads.iter().map(|payload| payload.end + 1);
    [frame::HEADER_BYTES].into_iter().chain(ends).collect()
}

#[tokio::test]
async fn a_log_cut_anywhere_in_its_last_record_keeps_the_rest_and_goes_on() {
    let origin = tempfile::tempdir().unwrap();
    let whole = fs::read(written(origin.path()).await).unwrap();
    let starts = records(&whole);
    let last = starts[starts.len() - 2];
    for length in last..whole.len() {
        let dir = tempfile::tempdir().unwrap();
        fs::copy(origin.path().join("identity"), dir.path().join("identity")).unwrap();
        fs::write(dir.path().join("log"), &whole[..length]).unwrap();
        let mut storage = Opened::open(dir.path()).unwrap();
        assert_eq!(storage.log.read_vote().await.unwrap(), Some(Vote::new_committed(3, 7)));
        assert_eq!(entries(&mut storage.log).await.len(), 2, "cut to {length}");
        storage.log.blocking_append([entry(4, 3, &put("again", "value"))]).await.unwrap();
        close(storage).await;
        let mut storage = Opened::open(dir.path()).unwrap();
        assert_eq!(entries(&mut storage.log).await[2].log_id, log_id(4, 7, 3));
        close(storage).await;
    }
}

#[tokio::test]
async fn a_flipped_byte_is_an_error_that_names_file_and_offset() {
    let dir = tempfile::tempdir().unwrap();
    let path = written(dir.path()).await;
    let whole = fs::read(&path).unwrap();
    let starts = records(&whole);
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        fs::write(&path, &damaged).unwrap();
        match Opened::open(dir.path()).err().unwrap() {
            OpenError::Corrupt { file, offset, .. } => {
                let start = starts.iter().rev().find(|&&start| start <= at).copied().unwrap_or(0);
                assert_eq!((file.as_path(), offset as usize), (path.as_path(), start), "byte {at}");
            }
            other => panic!("byte {at}: {other}"),
        }
    }
}

#[tokio::test]
async fn the_other_files_are_whole_or_an_error() {
    let dir = tempfile::tempdir().unwrap();
    close(filled(dir.path()).await).await;
    for name in ["identity", "binding", "snapshot"] {
        let path = dir.path().join(name);
        let whole = fs::read(&path).unwrap();
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            let error =
                Opened::open(dir.path()).err().unwrap_or_else(|| panic!("{name} cut to {length} is read"));
            assert!(error.to_string().contains(name), "{error}");
        }
        fs::write(&path, &whole).unwrap();
    }
    fs::remove_file(dir.path().join("identity")).unwrap();
    assert!(matches!(Opened::open(dir.path()), Err(OpenError::Corrupt { .. })), "a log without its voter");
}

#[tokio::test]
async fn a_bound_directory_without_its_log_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let log = written(dir.path()).await;
    fs::rename(&log, dir.path().join("elsewhere")).unwrap();
    close(Opened::open(dir.path()).unwrap()).await;
    let storage = Opened::open(dir.path()).unwrap();
    storage.binding_file.write(&Binding::Joined(GroupId::from_bytes([1; 20]))).unwrap();
    close(storage).await;
    fs::remove_file(&log).unwrap();
    let Err(OpenError::Corrupt { file, .. }) = Opened::open(dir.path()) else {
        panic!("it may have voted, and does not know for whom")
    };
    assert_eq!(file, log);
    assert!(!log.exists(), "nothing is made in its place");
}

#[tokio::test]
async fn a_log_that_is_mostly_dead_is_rewritten() {
    let dir = tempfile::tempdir().unwrap();
    let mut storage = Opened::open(dir.path()).unwrap();
    let long = "x".repeat(10_000);
    for index in 1..=100 {
        storage.log.blocking_append([entry(1, index, &put("key", long.clone()))]).await.unwrap();
        if index > 5 {
            storage.log.purge(log_id(1, 7, index - 5)).await.unwrap();
        }
    }
    storage.log.save_vote(&Vote::new(9, 7)).await.unwrap();
    close(storage).await;
    let length = fs::metadata(dir.path().join("log")).unwrap().len();
    assert!(length < 400_000, "{length} bytes for five entries");
    let mut storage = Opened::open(dir.path()).unwrap();
    let state = storage.log.get_log_state().await.unwrap();
    assert_eq!(state.last_purged_log_id, Some(log_id(1, 7, 95)));
    assert_eq!(state.last_log_id, Some(log_id(1, 7, 100)));
    assert_eq!(entries(&mut storage.log).await.len(), 5);
    assert_eq!(storage.log.read_vote().await.unwrap(), Some(Vote::new(9, 7)));
    close(storage).await;
}

#[tokio::test]
async fn a_slow_snapshot_does_not_replace_a_newer_one() {
    let dir = tempfile::tempdir().unwrap();
    let mut storage = Opened::open(dir.path()).unwrap();
    storage.state.apply([entry(1, 1, &put("key", "old"))]).await.unwrap();
    let mut slow = storage.state.get_snapshot_builder().await;
    let (meta, data) = snapshot();
    storage.state.install_snapshot(&meta, Box::new(Cursor::new(data))).await.unwrap();
    slow.build_snapshot().await.unwrap();
    assert_eq!(storage.state.get_current_snapshot().await.unwrap().unwrap().meta, meta);
    close(storage).await;
}

// The files of version 1, as they are kept in the repository.

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/raft-v1");
const FILES: [&str; 4] = ["identity", "binding", "log", "snapshot"];
const GOLDEN_NODE: NodeId = 0x0123_4567_89ab_cdef;

fn promise() -> Promise {
    let members = BTreeSet::from([Member { node: GOLDEN_NODE, ..member(1) }, member(2), member(3)]);
    Promise { group: GroupId::from_bytes([0xab; 20]), members }
}

fn membership() -> Membership<NodeId, Member> {
    let nodes: BTreeMap<NodeId, Member> = (1..=4).map(|number| (number.into(), member(number))).collect();
    Membership::new(vec![BTreeSet::from([1, 2, 3])], nodes)
}

fn snapshot() -> (SnapshotMeta<NodeId, Member>, Vec<u8>) {
    let mut table = Table::default();
    table.entries.insert("key".to_owned(), "value".to_owned());
    table.writes.push("key".to_owned());
    let meta = SnapshotMeta {
        last_log_id: Some(log_id(2, 1, 5)),
        last_membership: StoredMembership::new(
            Some(LogId::new(CommittedLeaderId::new(1, 1), 0)),
            membership(),
        ),
        snapshot_id: "5-golden".to_owned(),
    };
    (meta, codec::encode(&table).unwrap())
}

fn golden_entries() -> Vec<Entry<Types>> {
    vec![
        Entry { log_id: log_id(2, 1, 6), payload: EntryPayload::Blank },
        Entry { log_id: log_id(2, 1, 7), payload: EntryPayload::Membership(membership()) },
        entry(3, 8, &Write::Swap("key".to_owned(), "value".to_owned(), "newer".to_owned())),
    ]
}

/// Fills a directory with one of everything.
async fn filled(dir: &Path) -> Opened {
    let identity = codec::encode(&GOLDEN_NODE).unwrap();
    fs::write(dir.join("identity"), frame::file(Kind::Identity, [identity.as_slice()])).unwrap();
    let mut storage = Opened::open(dir).unwrap();
    storage.binding_file.write(&Binding::Promised(promise())).unwrap();
    let (meta, data) = snapshot();
    storage.state.install_snapshot(&meta, Box::new(Cursor::new(data))).await.unwrap();
    let log = &mut storage.log;
    log.save_vote(&Vote::new_committed(2, 1)).await.unwrap();
    log.purge(log_id(2, 1, 5)).await.unwrap();
    log.blocking_append(golden_entries()).await.unwrap();
    log.blocking_append([entry(3, 9, &put("gone", "gone"))]).await.unwrap();
    log.truncate(log_id(3, 7, 9)).await.unwrap();
    log.save_committed(Some(log_id(3, 7, 8))).await.unwrap();
    log.save_vote(&Vote::new(4, 2)).await.unwrap();
    storage
}

#[tokio::test]
async fn files_of_version_1_are_read() {
    let dir = tempfile::tempdir().unwrap();
    for name in FILES {
        fs::copy(Path::new(GOLDEN).join(name), dir.path().join(name)).unwrap();
    }
    let mut storage = Opened::open(dir.path()).unwrap();
    assert_eq!(storage.node, GOLDEN_NODE);
    assert_eq!(storage.binding, Some(Binding::Promised(promise())));
    assert_eq!(storage.log.read_vote().await.unwrap(), Some(Vote::new(4, 2)));
    assert_eq!(storage.log.read_committed().await.unwrap(), Some(log_id(3, 7, 8)));
    assert_eq!(storage.log.get_log_state().await.unwrap().last_purged_log_id, Some(log_id(2, 1, 5)));
    let entries = entries(&mut storage.log).await;
    assert_eq!(entries, golden_entries());
    assert_eq!(storage.state.get_current_snapshot().await.unwrap().unwrap().meta, snapshot().0);
    let responses = storage.state.apply(entries).await.unwrap();
    assert_eq!(codec::decode::<Option<String>>(&responses[2].0).unwrap(), Some("value".to_owned()));
    assert_eq!(storage.state.watch().borrow().state.entries["key"], "newer");
    close(storage).await;
}

/// What is written today is what the kept files hold. `REDKEEP_BLESS=1` writes them anew, which is right only before a
/// format version is released.
#[tokio::test]
async fn what_is_written_is_still_version_1() {
    let dir = tempfile::tempdir().unwrap();
    close(filled(dir.path()).await).await;
    for name in FILES {
        let kept = Path::new(GOLDEN).join(name);
        if std::env::var_os("REDKEEP_BLESS").is_some() {
            fs::create_dir_all(GOLDEN).unwrap();
            fs::copy(dir.path().join(name), &kept).unwrap();
        }
        assert_eq!(
            fs::read(dir.path().join(name)).unwrap(),
            fs::read(&kept).unwrap(),
            "the layout of '{name}'"
        );
    }
}
