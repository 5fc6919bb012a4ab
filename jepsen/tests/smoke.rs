//! The harness end to end, on redis-server where it is installed: one short round, and what it reports.

use std::process::Command;

/// Whether the system under test can run here.
fn is_installed(program: &str) -> bool {
    let version = Command::new(program).arg("--version").output();
    version.is_ok_and(|output| output.status.success())
}

#[test]
fn a_killed_redis_primary_is_replaced_and_the_report_says_so() {
    if !is_installed("redis-server") || !is_installed("redis-sentinel") {
        eprintln!("redis-server is not installed: nothing to try the harness on");
        return;
    }
    let store = tempfile::tempdir().expect("a folder for the report");
    let mut harness = Command::new(env!("CARGO_BIN_EXE_redkeep-jepsen"));
    harness.args(["run", "--system", "redis", "--nemesis", "kill", "--rounds", "1", "--down-after", "1000"]);
    harness.args(["--warm-up", "1", "--after-heal", "1", "--clients", "4"]).arg("--store").arg(store.path());
    let output = harness.output().expect("the harness starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let mut reports = std::fs::read_dir(store.path()).expect("the folder is there");
    let path = reports.next().expect("one report").expect("readable").path();
    let text = std::fs::read_to_string(path).expect("the report is text");
    let report: serde_json::Value = serde_json::from_str(&text).expect("the report is JSON");
    let round = &report["rounds"][0];
    assert_eq!(round["system"], "redis");
    assert_eq!(round["error"], serde_json::Value::Null, "{text}");
    let verdict = &round["outcome"]["verdict"];
    assert!(verdict["acknowledged"].as_u64().is_some_and(|count| count > 100), "{text}");
    assert!(verdict["failover_ms"].as_f64().is_some_and(|ms| ms > 0.0), "{text}");
    assert_eq!(verdict["unexpected"], 0, "{text}");
}
