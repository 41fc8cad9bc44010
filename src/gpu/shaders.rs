//! Shader sources: one file per stage, put together from shared parts.
//!
//! A line `//#import name` stands for the file `shaders/shared/name.wgsl`, once: a second import of the same name is
//! empty. `reduce` stands for the file that fits the adapter.

use crate::{Error, Result};

/// Stages, by the name of their file and of their entry point.
pub const STAGES: [&str; 35] = [
    "project",
    "prefix_sum",
    "emit_pairs",
    "sort_tiles",
    "blend",
    "blend_backward",
    "sum_pairs",
    "project_backward",
    "show_room",
    "score",
    "ssim",
    "ssim_backward",
    "add_color",
    "room_backward",
    "relief",
    "relief_backward",
    "activate",
    "activate_backward",
    "adam",
    "ask",
    "ask_backward",
    "dense",
    "dense_backward",
    "sum_pieces",
    "attend",
    "attend_backward",
    "normalise",
    "normalise_backward",
    "scale_backward",
    "heads",
    "heads_backward",
    "hidden_backward",
    "sum_frames",
    "adam_planes",
    "adam_rows",
];

/// How sums over the pixels of a tile are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reduce {
    /// With subgroup operations.
    Subgroups,
    /// With barriers only.
    Threads,
}

macro_rules! file {
    ($name:literal) => {
        ($name, include_str!(concat!("../../shaders/", $name, ".wgsl")))
    };
}

const FILES: [(&str, &str); 71] = [
    file!("project"),
    file!("prefix_sum"),
    file!("emit_pairs"),
    file!("sort_tiles"),
    file!("blend"),
    file!("blend_backward"),
    file!("sum_pairs"),
    file!("project_backward"),
    file!("show_room"),
    file!("score"),
    file!("ssim"),
    file!("ssim_backward"),
    file!("add_color"),
    file!("room_backward"),
    file!("relief"),
    file!("relief_backward"),
    file!("activate"),
    file!("activate_backward"),
    file!("adam"),
    file!("ask"),
    file!("ask_backward"),
    file!("dense"),
    file!("dense_backward"),
    file!("sum_pieces"),
    file!("attend"),
    file!("attend_backward"),
    file!("normalise"),
    file!("normalise_backward"),
    file!("scale_backward"),
    file!("heads"),
    file!("heads_backward"),
    file!("hidden_backward"),
    file!("sum_frames"),
    file!("adam_planes"),
    file!("adam_rows"),
    file!("shared/grid"),
    file!("shared/field"),
    file!("shared/planes"),
    file!("shared/fixed"),
    file!("shared/block"),
    file!("shared/norm"),
    file!("shared/adam"),
    file!("shared/learn"),
    file!("shared/places"),
    file!("shared/raw"),
    file!("shared/raw_rows"),
    file!("shared/constants"),
    file!("shared/params"),
    file!("shared/surfels"),
    file!("shared/geometry"),
    file!("shared/harmonics"),
    file!("shared/splat"),
    file!("shared/intersect"),
    file!("shared/tile"),
    file!("shared/staging"),
    file!("shared/workgroup_scan"),
    file!("shared/work"),
    file!("shared/rect"),
    file!("shared/seen"),
    file!("shared/blocks"),
    file!("shared/drawn"),
    file!("shared/upstream"),
    file!("shared/range"),
    file!("shared/block_pairs"),
    file!("shared/saved"),
    file!("shared/goal"),
    file!("shared/behind"),
    file!("shared/window"),
    file!("shared/relief"),
    file!("shared/slot"),
    file!("shared/reduce_subgroups"),
];

const REDUCE_THREADS: (&str, &str) = file!("shared/reduce_threads");

/// The whole source of a stage.
///
/// # Errors
/// [`Error::Internal`] when a file that is named does not exist.
pub fn source(stage: &str, reduce: Reduce) -> Result<String> {
    let mut out = String::new();
    expand(stage, reduce, &mut Vec::new(), &mut out)?;
    Ok(out)
}

fn expand(name: &str, reduce: Reduce, seen: &mut Vec<String>, out: &mut String) -> Result<()> {
    let text = FILES.iter().chain([&REDUCE_THREADS]).find(|(n, _)| *n == name).map(|(_, text)| *text);
    let text = text.ok_or_else(|| Error::Internal(format!("there is no shader file {name}")))?;
    for line in text.lines() {
        let Some(import) = line.strip_prefix("//#import ") else {
            out.push_str(line);
            out.push('\n');
            continue;
        };
        let name = match (import.trim(), reduce) {
            ("reduce", Reduce::Subgroups) => "shared/reduce_subgroups".to_owned(),
            ("reduce", Reduce::Threads) => "shared/reduce_threads".to_owned(),
            (other, _) => format!("shared/{other}"),
        };
        if !seen.contains(&name) {
            seen.push(name.clone());
            expand(&name, reduce, seen, out)?;
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "shaders_tests.rs"]
mod tests;
