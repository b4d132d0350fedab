//! `docs/DEPENDENCIES.md` names every direct dependency, and no other.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The crates of a section of `Cargo.toml`, including target-specific ones.
fn declared(manifest: &str, section: &str) -> BTreeSet<String> {
    let mut is_inside = false;
    let mut crates = BTreeSet::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            is_inside = line == format!("[{section}]")
                || (line.starts_with("[target.") && line.ends_with(&format!("'.{section}]")));
        } else if let Some((name, _)) = line.split_once(" = ").filter(|_| is_inside) {
            crates.insert(name.to_owned());
        }
    }
    crates
}

/// The names between backticks.
fn named(text: &str) -> BTreeSet<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn every_direct_dependency_has_its_reason_and_no_other_is_named() {
    let (manifest, page) = (read("Cargo.toml"), read("docs/DEPENDENCIES.md"));
    let direct = declared(&manifest, "dependencies");
    assert!(direct.len() > 30, "found only {direct:?}");
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    let explained: BTreeSet<String> = rows.flat_map(|row| named(row.split('|').nth(1).unwrap())).collect();
    assert_eq!(explained, direct, "left: docs/DEPENDENCIES.md, right: Cargo.toml");

    let for_tests =
        page.lines().skip_while(|line| !line.starts_with("For tests only:")).take_while(|line| !line.is_empty());
    let for_tests = named(&for_tests.collect::<Vec<_>>().join(" "));
    for name in declared(&manifest, "dev-dependencies").difference(&direct) {
        assert!(for_tests.contains(name), "docs/DEPENDENCIES.md does not say what tests need `{name}` for");
    }
}
