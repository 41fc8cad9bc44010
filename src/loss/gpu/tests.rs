//! The shader that is put together from terms, without a GPU.

use super::embedding::NeighborParams;
use super::in_use::{InUse, in_use, pixel_parts};
use super::patches::PatchFormat;
use super::targets::Crops;
use crate::gpu::shaders::{Part, Reduce, source_with};
use crate::gpu::uniforms::assert_layout;
use crate::loss::terms::{TERMS, Weights};
use naga::valid::{Capabilities, ValidationFlags, Validator};

/// Whether the stage with these parts is valid, or what is wrong.
fn validate(parts: &[Part]) -> Result<String, String> {
    let text = source_with("pixel_terms", parts, Reduce::Threads).expect("a source");
    let module = naga::front::wgsl::parse_str(&text).map_err(|e| e.emit_to_string(&text))?;
    let mut validator = Validator::new(ValidationFlags::all(), Capabilities::empty());
    validator.validate(&module).map_err(|e| e.emit_to_string(&text))?;
    Ok(text)
}

fn all() -> Vec<InUse> {
    in_use(&Weights::new([1.0; TERMS.len()]))
}

#[test]
fn every_choice_of_terms_gives_a_valid_shader() {
    let parts = pixel_parts(&all());
    assert!(parts.len() >= 7);
    for choice in 0..1u32 << parts.len() {
        let chosen: Vec<Part> =
            parts.iter().enumerate().filter(|(k, _)| choice & (1 << k) != 0).map(|(_, part)| *part).collect();
        let text = validate(&chosen).unwrap_or_else(|fault| panic!("{chosen:?}: {fault}"));
        for part in &parts {
            let calls = text.matches(&format!("] = {}(pixel, ", part.name)).count();
            assert_eq!(calls, usize::from(chosen.contains(part)), "{}", part.name);
        }
    }
}

#[test]
fn a_term_of_the_wrong_signature_is_refused() {
    let part = |text| Part { name: "wrong", text };
    assert!(validate(&[part("fn wrong(pixel: Pixel, weight: f32) -> f32 { return 0.0; }\n")]).is_err());
    assert!(validate(&[part("fn other(pixel: Pixel) -> f32 { return 0.0; }\n")]).is_err());
}

#[test]
fn only_terms_with_a_weight_or_always_measured_are_in_use() {
    let names = |weights: &Weights| in_use(weights).iter().map(|used| used.name).collect::<Vec<_>>();
    assert_eq!(names(&Weights::ZERO), ["l1", "lips", "eyes"]);
    let weights = Weights { dssim: 0.2, mask: 0.1, ..Weights::ZERO };
    assert_eq!(names(&weights), ["l1", "lips", "eyes", "mask", "dssim"], "those of one pixel come first");
}

#[test]
fn structs_are_laid_out_as_the_shaders_declare_them() {
    assert_layout("pixel_terms", "Crops", Crops::MEMBERS);
    assert_layout("lpips_crop", "PatchFormat", PatchFormat::MEMBERS);
    assert_layout("embedding_smoothness", "NeighborParams", NeighborParams::MEMBERS);
}
