//! What host and device share agrees.

use super::uniforms::*;
use crate::gpu::shaders::{Reduce, source};
use crate::gpu::uniforms::assert_layout;
use crate::head::field::attention::NORM_EPSILON;
use crate::head::field::heads::{DRIVES, HEADS};
use crate::head::field::{Layout, TOKENS};

#[test]
fn structs_are_laid_out_the_same_on_the_host() {
    for stage in
        ["sample_planes", "sample_planes_backward", "attend", "attend_backward", "heads", "heads_backward"]
    {
        assert_layout(stage, "FieldParams", FieldUniform::MEMBERS);
    }
    assert_layout("hidden_backward", "FieldParams", FieldUniform::MEMBERS);
    assert_layout("dense", "DenseParams", DenseUniform::MEMBERS);
    assert_layout("dense_backward", "ProductParams", ProductUniform::MEMBERS);
    assert_layout("sum_pieces", "PieceParams", PieceUniform::MEMBERS);
    for stage in ["normalise", "normalise_backward"] {
        assert_layout(stage, "NormParams", NormUniform::MEMBERS);
    }
    assert_layout("scale_backward", "ScaleParams", ScaleUniform::MEMBERS);
    assert_layout("sum_frames", "FrameParams", FrameUniform::MEMBERS);
    for stage in ["adam_planes", "adam_rows"] {
        assert_layout(stage, "LearnParams", LearnUniform::MEMBERS);
    }
}

#[test]
fn constants_are_the_same_on_the_host() {
    let says = |stage: &str, what: &str| source(stage, Reduce::Threads).expect("a source").contains(what);
    assert!(says("heads", &format!("const TOKENS: u32 = {TOKENS}u;")));
    assert!(says("heads", &format!("const HEADS: u32 = {HEADS}u;")));
    assert!(says("heads", &format!("const GEOMETRY: u32 = {}u;", Layout::new(1).harmonics.start)));
    assert!(says("heads", &format!("const DRIVES: u32 = {}u;", DRIVES.len())));
    assert!(says("normalise", &format!("const NORM_EPSILON: f32 = {NORM_EPSILON:e};")));
    assert!(!says("heads", "const HEADS: u32 = 4u;"));
    assert!(says("dense", &format!("const ABSENT: u32 = {ABSENT:#x}u;")));
    for (name, value) in [("ADD", ADD), ("MASK", MASK), ("KEEP", KEEP), ("MASK_KEPT", MASK_KEPT)] {
        assert!(value != NOTHING && says("dense", &format!("const {name}: u32 = {value}u;")), "{name}");
    }
    for stage in ["dense", "dense_backward"] {
        assert!(says(stage, &format!("const BLOCK: u32 = {BLOCK}u;")));
        assert!(says(stage, &format!("const DEPTH: u32 = {DEPTH}u;")));
    }
    assert!(says("normalise", &format!("const LANES: u32 = {LANES}u;")));
    assert!(says("scale_backward", &format!("const COLUMNS: u32 = {COLUMNS}u;")));
    assert!(says("sample_planes", &format!("@workgroup_size({THREADS})")));
    let starts = Layout::new(1).heads().map(|(_, range)| range.start);
    assert_eq!(starts, [0, 3, 7, 9, 10], "head_of() in shared/field.wgsl");
}
