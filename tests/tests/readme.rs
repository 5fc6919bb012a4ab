//! What the README tells people to type works as it stands there.
//!
//! Blocks whose fence says `checked` are run. Their well-known ports are replaced by free ones, `target/release/redkeep`
//! by the binary under test, and the cluster that `cargo run --release` starts is started here.

use std::fs;
use std::path::Path;
use std::process::Command;

use redkeep_tests::{Cluster, free_port, needs, redkeep, run, source_root};

fn readme() -> String {
    fs::read_to_string(source_root().join("README.md")).expect("there is a README")
}

/// The checked blocks of a language, in order.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language} checked\n");
    let blocks = text.split(&fence).skip(1);
    blocks.map(|rest| rest.split_once("```").expect("a block ends").0.to_owned()).collect()
}

/// Runs a block of shell lines, which stop at the first that fails, and returns what they printed.
#[track_caller]
fn shell(script: &str, dir: &Path) -> String {
    let script = script.replace("target/release/redkeep", &redkeep().to_string_lossy());
    let (status, printed) = run(Command::new("sh").args(["-euc", &script]).current_dir(dir));
    assert!(status.success(), "{script}\n{printed}");
    printed
}

#[test]
fn the_way_to_use_a_cluster() {
    needs!("redis-cli", "redis-py");
    let text = readme();
    assert!(text.contains("\n    cargo run --release\n"));
    let dir = tempfile::tempdir().unwrap();
    let cluster = Cluster::up(dir.path());
    let at_our_ports = |script: &str| {
        let known = (26_379..26_382).zip(&cluster.sentinels).chain((6_379..6_382).zip(&cluster.servers));
        known
            .fold(script.to_owned(), |script, (port, ours): (u16, &u16)| {
                // In two steps, since one of ours may look like one that is still to be replaced.
                script.replace(&port.to_string(), &format!("@{}@", ours))
            })
            .replace('@', "")
    };
    let printed = shell(&at_our_ports(&blocks(&text, "sh")[0]), dir.path());
    assert!(printed.starts_with("OK\nhello\n127.0.0.1\n"), "{printed}");
    assert!(printed.contains("mymaster: quorum 2 of 3\n"), "{printed}");

    let script = at_our_ports(&blocks(&text, "python")[0]);
    let (status, printed) =
        run(Command::new("python3").arg("-c").arg(script + "print(primary.get('greeting'))\n"));
    assert!(status.success() && printed == "b'hello'\n", "{printed}");
}

#[test]
fn the_way_to_start_servers() {
    needs!("redis-cli");
    let text = readme();
    let blocks = blocks(&text, "sh");
    assert_eq!(blocks.len(), 2, "a new block needs a test");
    let dir = tempfile::tempdir().unwrap();
    let script =
        blocks[1].replace("7000", &free_port().to_string()).replace("7001", &free_port().to_string());
    let printed = shell(&format!("exec 3>&1\n{}wait\n", quiet_servers(&script)), dir.path());
    assert_eq!(printed, "OK\n1\nv\n");
}

/// The servers' log goes to a file, so that what the clients print stands alone.
fn quiet_servers(script: &str) -> String {
    script.replace(" &\n", " >log.txt 2>&1 &\n")
}

#[test]
fn the_example_is_one_that_is_compiled() {
    let library = fs::read_to_string(source_root().join("crates/server/src/lib.rs")).unwrap();
    let doc: String = library
        .lines()
        .filter_map(|line| line.strip_prefix("//!"))
        .map(|line| format!("{}\n", line.trim_start()))
        .collect();
    for block in blocks(&readme(), "rust") {
        assert!(doc.contains(&block), "not in the documentation of redkeep-server:\n{block}");
    }
}

#[test]
fn links_lead_somewhere() {
    let text = readme();
    let targets: Vec<&str> =
        text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(to, _)| to).collect();
    assert!(targets.len() > 5);
    for target in targets.into_iter().filter(|target| !target.contains("://")) {
        assert!(source_root().join(target).exists(), "{target}");
    }
}
