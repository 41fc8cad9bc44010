//! What host and device share agrees: constants and layouts.

use super::layout::{CameraUniform, Params};
use crate::gpu::shaders::{Reduce, source};
use crate::gpu::uniforms::assert_layout;
use crate::raster::constants;

fn module(stage: &str) -> naga::Module {
    naga::front::wgsl::parse_str(&source(stage, Reduce::Threads).expect("a source")).expect("a shader")
}

/// A constant's value as a number.
fn constant(module: &naga::Module, name: &str) -> Option<f64> {
    let (_, found) = module.constants.iter().find(|(_, c)| c.name.as_deref() == Some(name))?;
    match module.global_expressions[found.init] {
        naga::Expression::Literal(naga::Literal::F32(v)) => Some(f64::from(v)),
        naga::Expression::Literal(naga::Literal::U32(v)) => Some(f64::from(v)),
        _ => None,
    }
}

#[test]
fn constants_are_the_same_on_the_host() {
    let module = module("project");
    for (name, value) in [
        ("TILE", constants::TILE as f64),
        ("NEAR", constants::NEAR),
        ("FAR", constants::FAR),
        ("ALPHA_CAP", constants::ALPHA_CAP),
        ("ALPHA_MIN", constants::ALPHA_MIN),
        ("TRANSMITTANCE_MIN", constants::TRANSMITTANCE_MIN),
        ("MEDIAN_TRANSMITTANCE", constants::MEDIAN_TRANSMITTANCE),
        ("CUTOFF", constants::CUTOFF),
        ("FILTER_SIZE", constants::FILTER_SIZE),
        ("FILTER_INVERSE_SQUARE", constants::FILTER_INVERSE_SQUARE),
        ("HALF_BOX_SQUARED_MIN", constants::HALF_BOX_SQUARED_MIN),
        ("MAGNITUDE_MAX", f64::from(constants::MAGNITUDE_MAX as f32)),
    ] {
        assert_eq!(constant(&module, name), Some(value), "{name}");
    }
    assert_eq!(constant(&module, "NO_SUCH"), None);
}

#[test]
fn the_window_is_as_wide_on_the_host() {
    let module = module("ssim");
    let [window, reach, wide, tile] =
        ["WINDOW", "REACH", "WIDE", "TILE"].map(|name| constant(&module, name).expect("a number"));
    assert_eq!(window, crate::metrics::ssim::WINDOW as f64);
    assert_eq!(2.0 * reach + 1.0, window);
    assert_eq!(2.0 * reach + tile, wide);
    assert_eq!(constant(&module, "WIDE_AREA"), Some(wide * wide));
    assert_eq!(constant(&module, "ROWS_AREA"), Some(wide * tile));
}

#[test]
fn structs_are_laid_out_the_same_on_the_host() {
    assert_layout("project", "Params", Params::MEMBERS);
    assert_layout("project", "Camera", CameraUniform::MEMBERS);
}
