//! The behaviour of both ends of a replication link, script by script; see `script` for what a script is.

use crate::link::LinkSubject;
use crate::script;
use crate::session::SessionSubject;

macro_rules! scripts {
    ($($kind:ident: $($name:ident)*;)*) => {
        const SCRIPTS: &[(&str, &[&str])] = &[$((stringify!($kind), &[$(stringify!($name)),*])),*];
        $(mod $kind {
            $(#[test] fn $name() { super::$kind(stringify!($name)); })*
        })*
    };
}

scripts! {
    replica_link:
        full_resync
        full_resync_with_a_mark
        partial_resync
        partial_resync_under_a_new_id
        handshake_with_password_and_address
        old_masters_know_fewer_options
        refusals_during_the_handshake
        refusals_of_psync
        snapshot_headers_that_are_none
        lost_links_are_tried_again
        silence_is_a_lost_link
        another_master_at_any_point
        loading_fails
        acknowledgements;
    replica_session:
        full_resync
        full_resync_with_a_mark
        partial_resync
        reasons_for_a_full_resync
        replconf_errors
        snapshot_only
        sync_of_old_replicas
        no_master_link
        timeouts
        snapshot_fails
        names;
}

fn replica_link(name: &str) {
    script::run("replica_link", name, LinkSubject::new(false));
    // However the bytes are cut, the same comes of them.
    if std::env::var_os("UPDATE_SCRIPTS").is_none() {
        script::run("replica_link", name, LinkSubject::new(true));
    }
}

fn replica_session(name: &str) {
    script::run("replica_session", name, SessionSubject::new());
}

#[test]
fn every_script_is_run() {
    let list = |path: std::path::PathBuf| -> Vec<String> {
        let entries = std::fs::read_dir(path).expect("the folder is there");
        let names = entries.map(|entry| entry.expect("it can be listed").file_name().into_string());
        let mut names: Vec<String> = names.collect::<Result<_, _>>().expect("names are plain text");
        names.sort();
        names
    };
    let sorted = |mut names: Vec<String>| {
        names.sort();
        names
    };
    let kinds = SCRIPTS.iter().map(|(kind, _)| kind.to_string()).collect();
    assert_eq!(list(script::folder()), sorted(kinds));
    for (kind, names) in SCRIPTS {
        let files = names.iter().map(|name| format!("{name}.txt")).collect();
        assert_eq!(list(script::folder().join(kind)), sorted(files));
    }
}
