//! The rooms of the product and the order in which they may use each other.

use crate::graph::Graph;
use crate::modules::ModulePath;
use std::collections::{BTreeMap, BTreeSet};

/// Rooms of `src` by height: a room may use those below it, and one beside it that does not use it back.
const SURFELTALK: &[&[&str]] = &[
    &["gpu"],
    &["raster"],
    &["composite"],
    &["loss", "metrics", "head"],
    &["train", "live", "sample"],
    &["cli", "serve", "web"],
];

const ROOT: &str = "the crate's root";

const PROGRAM: &str = "a program";

/// The rooms of `data_utils/src`.
const DATA_UTILS: &[&[&str]] = &[
    &["error", "memory"],
    &["media", "formats", "workspace"],
    &["camera", "linear", "network"],
    &["audio"],
    &["dataset"],
    &["face"],
    &["segment", "track"],
    &["process"],
    &["cli"],
];

/// Rooms that only programs and `cli` use.
const FLAGS: &str = "data_utils/src/cli";

/// The name and height of the room of a module; programs are above all rooms.
fn room(module: &ModulePath) -> Result<(String, usize), String> {
    let (name, table, below) = match module[0].as_str() {
        "surfeltalk" => ("src", SURFELTALK, 100),
        "data_utils" => ("data_utils/src", DATA_UTILS, 0),
        _ => return Ok((PROGRAM.to_owned(), 200)),
    };
    let Some(first) = module.get(1) else { return Ok((format!("{name} {ROOT}"), below)) };
    match table.iter().position(|rooms| rooms.contains(&first.as_str())) {
        Some(height) => Ok((format!("{name}/{first}"), below + 1 + height)),
        None => Err(format!("{name}/{first} has no place in tests/architecture/rooms.rs")),
    }
}

/// What is against the order, one line each: who, whom, for what.
pub fn faults(graph: &Graph) -> Vec<String> {
    let mut faults = BTreeSet::new();
    let mut beside: BTreeMap<(String, String), String> = BTreeMap::new();
    for edge in &graph.edges {
        let (from, to) = match (room(&edge.from), room(&edge.to)) {
            (Ok(from), Ok(to)) => (from, to),
            (from, to) => {
                faults.extend([from.err(), to.err()].into_iter().flatten());
                continue;
            }
        };
        let line = format!("{} uses {} ({})", graph.files[&edge.from], to.0, edge.what);
        // The root of a library names what is in its rooms.
        let names_only = edge.re_export && edge.from.len() == 1;
        if from.1 < to.1 && !names_only {
            faults.insert(format!("an arrow runs back: {line}"));
        }
        if to.0 == FLAGS && ![FLAGS, "src/cli", PROGRAM].contains(&from.0.as_str()) {
            faults.insert(format!("a library knows of flags: {line}"));
        }
        if from.1 == to.1 && from.0 != to.0 {
            beside.entry((from.0, to.0)).or_insert(line);
        }
    }
    for ((from, to), line) in &beside {
        if let Some(back) = beside.get(&(to.clone(), from.clone()))
            && from < to
        {
            faults.insert(format!("two rooms use each other: {line}; {back}"));
        }
    }
    faults.into_iter().collect()
}
