//! What the CPU rasterizer does at the edges: of geometry and image sizes ([`geometry`]), of numbers ([`numbers`]), of what
//! callers ask ([`requests`]).

#[path = "../common/mod.rs"]
mod common;
mod geometry;
mod numbers;
mod requests;

use common::scene::Scene;
use surfeltalk::raster::cpu::CpuRasterizer;
use surfeltalk::raster::{ImageGradients, Rasterizer, Real, Rendered, SurfelGradients};

fn draw<R: Real>(scene: &Scene<R>) -> Rendered<R> {
    CpuRasterizer::new().forward(&scene.batch(), &scene.cameras, &scene.settings).expect("a forward pass")
}

fn go_back<R: Real>(
    scene: &Scene<R>,
    drawn: &Rendered<R>,
    upstream: &ImageGradients<R>,
) -> SurfelGradients<R> {
    CpuRasterizer::new()
        .backward(&scene.batch(), &scene.cameras, &scene.settings, drawn, upstream)
        .expect("a backward pass")
}

fn images<R>(r: &Rendered<R>) -> [&Vec<R>; 7] {
    [&r.color, &r.attention, &r.alpha, &r.depth, &r.median, &r.normal, &r.distortion]
}

fn gradients<R>(g: &SurfelGradients<R>) -> [&Vec<R>; 7] {
    [&g.positions, &g.rotations, &g.scales, &g.opacities, &g.colors, &g.attention, &g.screen]
}

fn assert_finite<R: Real>(arrays: [&Vec<R>; 7], what: &str) {
    for (k, array) in arrays.iter().enumerate() {
        assert!(array.iter().all(|v| v.is_finite()), "{what}: array {k} has a number that is none");
    }
}

/// The slots of a surfel: a name, numbers per surfel and where they are.
fn slots(scene: &mut Scene<f32>) -> [(&'static str, usize, &mut Vec<f32>); 6] {
    [
        ("positions", 3, &mut scene.positions),
        ("rotations", 4, &mut scene.rotations),
        ("scales", 2, &mut scene.scales),
        ("opacities", 1, &mut scene.opacities),
        ("colors", 3, &mut scene.colors),
        ("attention", 4, scene.attention.get_or_insert_default()),
    ]
}
