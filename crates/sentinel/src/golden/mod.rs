//! Golden scripts: each file of `tests/scripts` is one behaviour of a whole sentinel, told in inputs and outputs.
//!
//! A script is blocks with a blank line between: what happens, a line `---`, and what the sentinel does about it. What it
//! does from time to time (PING, hello, reports, INFO) is left out unless the block asks for it with `+routine`. After
//! every line the invariants are checked. With `UPDATE_SCRIPTS=1` in the environment the expected parts are written anew.

mod render;
mod words;
mod world;

use std::fs;
use std::path::PathBuf;

use world::World;

fn run(text: &str) -> String {
    let mut world = World::default();
    let mut result = Vec::new();
    for block in text.split("\n\n") {
        let input = block.split("\n---").next().unwrap_or_default();
        let mut output = Vec::new();
        for line in input.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()) {
            output.extend(world.line(line));
        }
        let input = input.trim_end();
        let only_comments = input.lines().all(|line| line.starts_with('#'));
        result.push(match (only_comments, output.as_slice()) {
            (true, _) => input.to_owned(),
            (false, []) => format!("{input}\n---\nnothing"),
            (false, lines) => format!("{input}\n---\n{}", lines.join("\n")),
        });
    }
    result.join("\n\n").trim_end().to_owned() + "\n"
}

#[test]
fn sentinels_do_what_the_scripts_say() {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/scripts");
    let mut paths: Vec<PathBuf> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty());
    for path in paths {
        assert_eq!(path.extension().and_then(|ext| ext.to_str()), Some("txt"), "unused: {}", path.display());
        let expected = fs::read_to_string(&path).unwrap();
        let actual = run(&expected);
        if std::env::var_os("UPDATE_SCRIPTS").is_some() {
            fs::write(&path, &actual).unwrap();
        } else {
            let name = path.display();
            for (number, (said, did)) in expected.lines().zip(actual.lines()).enumerate() {
                assert_eq!(said, did, "{name}, line {}\n\n{actual}", number + 1);
            }
            assert_eq!(expected, actual, "{name}");
        }
    }
}
