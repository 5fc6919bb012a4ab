use super::*;
use crate::up::layout::{Layout, tests::args};
use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    sync::{Mutex, PoisonError},
};

/// Runs a cluster of one server and one sentinel whose executable is a shell script with these two
/// commands, on a runtime of its own.
fn with_cluster<F: Future<Output = ()>>(
    server: &str,
    sentinel: &str,
    test: impl FnOnce(Supervisor, PathBuf) -> F,
) {
    // A process that is forked while another test writes its script keeps that script busy.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);

    let dir = tempfile::tempdir().expect("a directory");
    let script = dir.path().join("script");
    fs::write(&script, format!("#!/bin/sh\ncase $1 in\nserver) {server};;\nsentinel) {sentinel};;\nesac\n"))
        .expect("written");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("made executable");
    let layout = Layout::new(&args(6379, 0, 1)).expect("a good layout");
    let cluster = dir.path().join("cluster");
    let directory = Directory::open(&cluster, layout).expect("a new cluster");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut supervisor = Supervisor::new(&script, &directory);
        supervisor.keep(layout.members());
        test(supervisor, cluster).await;
    });
}

/// Longer than anything here may take, and shorter than any patience with a process.
const SOON: Duration = Duration::from_secs(8);

#[test]
fn who_ends_is_reported_and_started_again() {
    with_cluster("exec sleep 100", "exit 3", |mut supervisor, _| async move {
        let mut reports = Vec::new();
        while reports.len() < 3 {
            let report = timeout(SOON, supervisor.report()).await.expect("a report");
            reports.push(match report {
                Report::Ended(member, status, delay) => (member.kind, status.code(), delay.as_secs()),
                Report::Restarted(member) => (member.kind, None, 0),
                Report::NotStarted(..) => panic!("{report:?}"),
            });
        }
        // The second time it is waited for twice as long.
        let sentinel = Kind::Sentinel;
        assert_eq!(reports, [(sentinel, Some(3), 1), (sentinel, None, 0), (sentinel, Some(3), 2)]);
        timeout(SOON, supervisor.stop(std::future::pending())).await.expect("an end");
    });
}

#[test]
fn sentinels_stop_before_servers() {
    // Each writes its end into the cluster's folder. The sentinel takes its time.
    let ends = |delay| {
        format!(
            "trap 'sleep {delay}; echo $1 >> $(dirname $2)/../ends; exit' TERM; while :; do sleep 0.05; done"
        )
    };
    with_cluster(&ends("0"), &ends("0.5"), |supervisor, cluster| async move {
        // The traps must be set before the signal comes.
        sleep(Duration::from_millis(500)).await;
        timeout(SOON, supervisor.stop(std::future::pending())).await.expect("an end");
        let ends = fs::read_to_string(cluster.join("ends")).expect("written");
        assert_eq!(ends, "sentinel\nserver\n");
    });
}

#[test]
fn who_does_not_stop_is_killed() {
    let deaf = "trap '' TERM; while :; do sleep 0.05; done";
    with_cluster(deaf, deaf, |supervisor, _| async move {
        sleep(Duration::from_millis(300)).await;
        let impatience = sleep(Duration::from_millis(200));
        timeout(SOON, supervisor.stop(impatience)).await.expect("an end");
    });
}
