//! Shader sources: one file per stage, put together from shared parts.
//!
//! A line `//#import name` stands for the file `shaders/shared/name.wgsl`, once: a second import of the same name is
//! empty. `reduce` stands for the file that fits the adapter.
//!
//! A stage may be put together from [`Part`]s, functions that its caller chooses. The line `//#parts` stands for their texts
//! and the constant `PARTS`, their number (at least 1). The rest of a line `//#each …` is repeated for each of them, with
//! `NAME` and `INDEX` replaced.

use crate::{Error, Result};

/// How sums over the pixels of a tile are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reduce {
    /// With subgroup operations.
    Subgroups,
    /// With barriers only.
    Threads,
}

/// A function that is put into a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Part {
    /// Its name.
    pub name: &'static str,
    /// Its WGSL text, with what else it declares.
    pub text: &'static str,
}

/// A stage and the parts that are put into it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shader {
    /// The stage.
    pub stage: &'static str,
    /// The parts, in order; none for most stages.
    pub parts: Vec<Part>,
}

impl From<&'static str> for Shader {
    fn from(stage: &'static str) -> Self {
        Shader { stage, parts: Vec::new() }
    }
}

/// Names and texts of the files of some folders of `shaders/`.
macro_rules! files {
    ($($folder:literal: $($name:literal)*;)*) => {
        &[$($(($name, include_str!(concat!("../../shaders/", $folder, "/", $name, ".wgsl")))),*),*]
    };
}

/// Stages: the name of file and entry point, and the text.
pub const STAGES: &[(&str, &str)] = files! {
    "raster": "project" "prefix_sum" "emit_pairs" "sort_tiles" "blend" "blend_backward" "sum_pairs" "project_backward";
    "loss": "composite_background" "composite_background_backward" "pixel_terms" "ssim" "ssim_backward"
        "gradient_difference" "normal_consistency" "normal_consistency_backward" "embedding_smoothness";
    "field": "activate" "activate_backward" "sample_planes" "sample_planes_backward" "dense" "dense_backward" "sum_pieces"
        "attend" "attend_backward" "normalise" "normalise_backward" "scale_backward" "heads" "heads_backward"
        "hidden_backward" "sum_frames";
    "optim": "adam" "adam_planes" "adam_rows";
    "lpips": "lpips_conv" "lpips_pool" "lpips_pool_backward" "lpips_tap" "lpips_crop" "lpips_scatter";
    "composite": "torso_layer" "composite" "seam_rows" "seam_columns" "pack_picture";
};

/// Render passes: the name of the file.
const RENDERS: &[(&str, &str)] = files! { "composite": "show_picture"; };

/// Parts that stages import.
const SHARED: &[(&str, &str)] = files! {
    "shared": "grid" "field" "planes" "fixed" "block" "norm" "adam" "learn" "places" "raw" "raw_rows" "constants" "params"
        "surfels" "geometry" "harmonics" "splat" "intersect" "tile" "staging" "workgroup_scan" "work" "rect" "seen" "blocks"
        "drawn" "upstream" "range" "block_pairs" "saved" "targets" "background_sample" "window" "normal_consistency" "slot"
        "reduce_subgroups" "reduce_threads" "composite_params" "seam" "lpips_pool" "patches";
};

/// The whole source of a stage without parts.
///
/// # Errors
/// As [`source_with`].
pub fn source(stage: &str, reduce: Reduce) -> Result<String> {
    source_with(stage, &[], reduce)
}

/// The whole source of a stage with parts.
///
/// # Errors
/// [`Error::Internal`] when a file that is named does not exist.
pub fn source_with(stage: &str, parts: &[Part], reduce: Reduce) -> Result<String> {
    let mut out = String::new();
    expand(text_of(STAGES, stage)?, parts, reduce, &mut Vec::new(), &mut out)?;
    Ok(out)
}

/// The whole source of a render pass.
///
/// # Errors
/// As [`source_with`].
pub(crate) fn render_source(name: &str) -> Result<String> {
    let mut out = String::new();
    expand(text_of(RENDERS, name)?, &[], Reduce::Threads, &mut Vec::new(), &mut out)?;
    Ok(out)
}

/// What Chromium's compiler (Tint) wants before a source with subgroup operations, and naga 30 does not read: the
/// extension's name, and that reductions inside loops whose bounds it cannot prove to be uniform are ours to answer for.
const BROWSER_SUBGROUPS: &str = "enable subgroups;\ndiagnostic(off, subgroup_uniformity);\n";

/// The whole source of a stage as a browser takes it.
///
/// # Errors
/// As [`source_with`].
pub fn browser_source(stage: &str, parts: &[Part], reduce: Reduce) -> Result<String> {
    let text = source_with(stage, parts, reduce)?;
    // A directive that nothing needs would ask the device for a feature that it may lack.
    Ok(if text.contains("subgroup_") { format!("{BROWSER_SUBGROUPS}{text}") } else { text })
}

/// Writes the texts of the parts and their number.
fn write_parts(parts: &[Part], out: &mut String) {
    // An array needs at least one element.
    out.push_str(&format!("const PARTS: u32 = {}u;\n", parts.len().max(1)));
    parts.iter().for_each(|part| out.push_str(part.text));
}

/// Repeats a line for each part.
fn write_each(line: &str, parts: &[Part], out: &mut String) {
    for (index, part) in parts.iter().enumerate() {
        out.push_str(&line.replace("NAME", part.name).replace("INDEX", &format!("{index}u")));
        out.push('\n');
    }
}

fn text_of(files: &'static [(&str, &str)], name: &str) -> Result<&'static str> {
    let found = files.iter().find(|(n, _)| *n == name);
    found.map(|(_, text)| *text).ok_or_else(|| Error::Internal(format!("there is no shader file {name}")))
}

fn expand(text: &str, parts: &[Part], reduce: Reduce, seen: &mut Vec<&str>, out: &mut String) -> Result<()> {
    for line in text.lines() {
        if line == "//#parts" {
            write_parts(parts, out);
            continue;
        }
        if let Some(each) = line.trim_start().strip_prefix("//#each ") {
            write_each(each, parts, out);
            continue;
        }
        let Some(import) = line.strip_prefix("//#import ") else {
            out.push_str(line);
            out.push('\n');
            continue;
        };
        let name = match (import.trim(), reduce) {
            ("reduce", Reduce::Subgroups) => "reduce_subgroups",
            ("reduce", Reduce::Threads) => "reduce_threads",
            (other, _) => other,
        };
        let (name, text) = SHARED
            .iter()
            .find(|(n, _)| *n == name)
            .ok_or_else(|| Error::Internal(format!("there is no shader file shared/{name}")))?;
        if !seen.contains(name) {
            seen.push(name);
            expand(text, parts, reduce, seen, out)?;
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "shaders_tests.rs"]
mod tests;
