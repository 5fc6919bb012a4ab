//! The floors of the house: which crate may import which.
//!
//! Cargo's edges are the architecture, so they are checked where cargo keeps them. A crate stands on a floor and imports
//! only from floors strictly below; two crates of one floor do not know each other (server and sentinel meet only on the
//! wire). Tools and tests stand outside the house: they may look in, nobody inside may lean on them.

use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::Finding;
use crate::shell;

const RULE: &str = "floors";

const FLOORS: &[(&str, u8)] = &[
    ("redkeep-resp", 1),
    ("redkeep-store", 2),
    ("redkeep-rdb", 3),
    ("redkeep-replication", 4),
    ("redkeep-server", 5),
    ("redkeep-sentinel", 5),
    ("redkeep", 6),
];

const OUTSIDE: &[&str] = &["redkeep-jepsen", "redkeep-tests", "xtask"];

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    /// Only dependencies inside the workspace have one.
    path: Option<String>,
}

/// Findings for every edge that the floors do not allow and every package without a floor.
pub(super) fn check(root: &Path) -> Result<Vec<Finding>> {
    let mut cargo = shell::cargo();
    cargo.current_dir(root).args(["metadata", "--no-deps", "--format-version", "1"]);
    let metadata: Metadata = serde_json::from_str(&shell::output(&mut cargo)?).context("cargo metadata")?;
    let mut findings = Vec::new();
    for package in &metadata.packages {
        for (name, message) in violations(package) {
            findings.push(locate(root, package, name, message));
        }
    }
    Ok(findings)
}

/// The faults of one package: the name its manifest uses, and what is wrong with it.
fn violations(package: &Package) -> Vec<(&str, String)> {
    if OUTSIDE.contains(&package.name.as_str()) {
        return Vec::new();
    }
    let Some(floor) = floor_of(&package.name) else {
        return vec![(&package.name, "this package has no floor: give it one in xtask".to_owned())];
    };
    let inside = package.dependencies.iter().filter(|dependency| dependency.path.is_some());
    inside
        .filter_map(|dependency| {
            let name = dependency.name.as_str();
            let message = match floor_of(name) {
                Some(below) if below < floor => return None,
                Some(other) => {
                    format!("{} stands on floor {floor} and {name} on floor {other}", package.name)
                }
                None => format!("{} is part of the house and {name} stands outside of it", package.name),
            };
            Some((name, message))
        })
        .collect()
}

fn floor_of(package: &str) -> Option<u8> {
    FLOORS.iter().find(|(name, _)| *name == package).map(|(_, floor)| *floor)
}

/// Points at the manifest's line that names the dependency.
fn locate(root: &Path, package: &Package, name: &str, message: String) -> Finding {
    let manifest = Path::new(&package.manifest_path);
    let text = std::fs::read_to_string(manifest).unwrap_or_default();
    let line = text.lines().position(|line| line.contains(name)).map_or(1, |index| index + 1);
    let path = manifest.strip_prefix(root).unwrap_or(manifest).to_string_lossy().into_owned();
    Finding { path, line, rule: RULE, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, imports: &[&str]) -> Package {
        let dependency = |name: &&str| Dependency { name: (*name).to_owned(), path: Some("..".to_owned()) };
        Package {
            name: name.to_owned(),
            manifest_path: String::new(),
            dependencies: imports.iter().map(dependency).collect(),
        }
    }

    #[test]
    fn only_floors_below_may_be_imported() {
        assert!(violations(&package("redkeep-server", &["redkeep-store", "redkeep-resp"])).is_empty());
        assert_eq!(violations(&package("redkeep-server", &["redkeep-sentinel"])).len(), 1);
        assert_eq!(violations(&package("redkeep-store", &["redkeep-rdb"])).len(), 1);
        assert_eq!(violations(&package("redkeep", &["redkeep-jepsen"])).len(), 1);
    }

    #[test]
    fn what_stands_outside_is_free_and_what_has_no_floor_is_found() {
        assert!(violations(&package("redkeep-jepsen", &["redkeep-server"])).is_empty());
        assert_eq!(violations(&package("redkeep-new", &[])).len(), 1);
    }

    #[test]
    fn crates_from_a_registry_are_no_concern_of_the_floors() {
        let mut tokio = package("redkeep-store", &["tokio"]);
        tokio.dependencies[0].path = None;
        assert!(violations(&tokio).is_empty());
    }
}
