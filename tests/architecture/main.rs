//! The order of the source: no arrow between rooms runs back, no two files use each other.
//!
//! Every `use` line and every path (`crate::…`, `super::…`, `data_utils::…`, a module's name) of both crates is read
//! and followed through re-exports to the file that defines the item. Tests (`#[cfg(test)]`) are left out.

mod graph;
mod known;
mod modules;
mod planted;
mod rooms;

use graph::{Graph, circles};
use known::{KNOWN_ARROWS, KNOWN_CIRCLES};
use modules::Workspace;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(root().join(path)).ok()
}

/// All Rust files below a folder, relative to the workspace.
fn files_below(folder: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open = vec![root().join(folder)];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(&dir).expect("a folder") {
            let path: PathBuf = entry.expect("an entry").path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let name = path.strip_prefix(root()).expect("inside").to_string_lossy();
                found.insert(name.replace('\\', "/"));
            }
        }
    }
    found
}

/// Both libraries and all programs.
fn workspace() -> Workspace {
    let mut workspace = Workspace::default();
    workspace.add("data_utils", "data_utils/src/lib.rs", &read);
    workspace.add("surfeltalk", "src/lib.rs", &read);
    for file in files_below("src/bin") {
        workspace.add(&format!("program {file}"), &file, &read);
    }
    workspace
}

#[test]
fn no_arrow_between_rooms_runs_back() {
    let graph = Graph::of(&workspace());
    let found = rooms::faults(&graph);
    let new = found.iter().filter(|f| !KNOWN_ARROWS.contains(&f.as_str())).map(|f| format!("new: {f}"));
    let gone = KNOWN_ARROWS.iter().filter(|k| !found.iter().any(|f| f == *k));
    let gone = gone.map(|k| format!("gone, take it from known.rs: {k}"));
    let faults: Vec<String> = new.chain(gone).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    let graph = Graph::of(&workspace());
    let found = circles(&graph);
    let known: BTreeSet<BTreeSet<String>> =
        KNOWN_CIRCLES.iter().map(|files| files.iter().map(|f| (*f).to_owned()).collect()).collect();
    let mut faults = Vec::new();
    for circle in found.difference(&known) {
        faults.push(format!("these files use each other:\n{}", graph.inside(circle).join("\n")));
    }
    for circle in known.difference(&found) {
        faults.push(format!("no longer a circle as listed, take it from known.rs: {circle:?}"));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
}

#[test]
fn every_source_file_is_part_of_a_crate() {
    let mut files = files_below("src");
    files.extend(files_below("data_utils/src"));
    let read = workspace().files;
    let lost: Vec<_> = files.difference(&read).collect();
    assert!(lost.is_empty(), "no module declares {lost:?}");
}

/// rustc drops `#[test]` functions of a target without a harness: they would never run.
#[test]
fn targets_without_a_harness_have_no_test_attributes() {
    for package in ["", "data_utils/"] {
        let manifest: toml::Table =
            read(&format!("{package}Cargo.toml")).expect("a manifest").parse().expect("TOML");
        for target in manifest["test"].as_array().expect("targets") {
            if target.get("harness").and_then(toml::Value::as_bool) != Some(false) {
                continue;
            }
            let name = target["name"].as_str().expect("a name");
            let default = format!("tests/{name}.rs");
            let path = target.get("path").and_then(toml::Value::as_str).unwrap_or(&default);
            let file = format!("{package}{path}");
            let files = match file.strip_suffix("/main.rs") {
                Some(folder) => files_below(folder),
                None => BTreeSet::from([file]),
            };
            for file in files {
                let text = read(&file).expect("a test file");
                assert!(!text.contains("#[test]"), "{file}: list the function in test_main! instead");
            }
        }
    }
}
