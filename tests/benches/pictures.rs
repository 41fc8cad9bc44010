//! How fast drawn frames become pictures on the host: `cargo bench --bench pictures`.
//!
//! Printed are frames a second at 512 × 512 for planes that are waited for and put together on the host, for pictures that are
//! put together where they are drawn, one request after the other, and for the same with two requests in flight.

#[path = "../common/speaking_head.rs"]
mod speaking_head;

use speaking_head::speaking_head;
use std::collections::VecDeque;
use std::time::Instant;
use surfeltalk::composite::cpu::{HeadImages, compose};
use surfeltalk::composite::{Background, BackgroundPlate, Composition, Layers, Patch, PixelFormat, Seam};
use surfeltalk::gpu::{Choice, Gpu};
use surfeltalk::head::backend::{Backend, CpuBackend, GpuBackend, Output, RenderRequest};
use surfeltalk::head::field::Conditions;
use surfeltalk::raster::Outputs;
use surfeltalk::{Camera, Error, Result};

const SIDE: usize = 512;
const SURFELS: usize = 24_000;
/// Frames of a request.
const BATCH: usize = 8;
/// Requests of a measurement.
const REQUESTS: usize = 6;

fn main() -> Result<()> {
    let torso = [90_u8, 80, 70, 255].repeat(SIDE * SIDE / 2);
    let occlusion = vec![40; SIDE * SIDE / 2];
    let plate = BackgroundPlate::new(vec![120; 3 * SIDE * SIDE]);
    let lower = |bytes| Patch { corner: [0, SIDE as u32 / 2], size: [SIDE as u32, SIDE as u32 / 2], bytes };
    let layers = Layers {
        torso: Some(lower(&torso)),
        occlusion: Some(lower(&occlusion)),
        ..Layers::on(Background::Plate(&plate))
    };
    let frames = [layers; BATCH];
    if let Some(gpu) = Gpu::open(Choice::Any)? {
        measure(&mut GpuBackend::new(gpu), &frames)?;
    }
    measure(&mut CpuBackend::new(), &frames)
}

fn measure(backend: &mut dyn Backend, frames: &[Layers<'_>]) -> Result<()> {
    println!("{SURFELS} surfels, {SIDE} × {SIDE}, {BATCH} frames a request, on {}:", backend.name());
    let head = speaking_head(SURFELS, SIDE as u32);
    backend.load_state(&head.branches[0], None)?;
    let clip = head.clip.as_ref().ok_or_else(|| Error::Internal("a head without a clip".into()))?;
    let cameras: Vec<Camera> = (0..BATCH).map(|k| clip.frames[k % clip.frames.len()].camera).collect();
    let field = &head.branches[0].settings.field;
    let conditions: Vec<Conditions> = cameras
        .iter()
        .map(|camera| Conditions {
            audio: vec![0.1; 8 * field.audio_channels * field.audio_width],
            expression: vec![0.2; 22],
            camera: camera.token(),
            frame: 0.0,
        })
        .collect();
    for (seam, format) in [(0, PixelFormat::Rgb8), (7, PixelFormat::Rgb8), (0, PixelFormat::I420)] {
        let composition = Composition { frames, seam: Seam::new(seam)?, format, torso: None };
        let request = |output| RenderRequest {
            conditions: &conditions,
            cameras: &cameras,
            background: [0.0; 7],
            outputs: Outputs::default(),
            output,
        };
        let pixels = SIDE * SIDE;
        let on_host = rate(&mut || {
            for _ in 0..REQUESTS {
                let planes = backend.render(&request(Output::Planes))?.wait()?.planes;
                for (k, layers) in frames.iter().enumerate() {
                    let head = HeadImages {
                        size: [SIDE; 2],
                        color: &planes.color[3 * k * pixels..][..3 * pixels],
                        alpha: &planes.alpha[k * pixels..][..pixels],
                    };
                    compose(&head, layers, composition.seam, format)?;
                }
            }
            Ok(())
        })?;
        let mut pictures = |in_flight: usize| {
            rate(&mut || {
                let mut pending = VecDeque::new();
                for _ in 0..REQUESTS {
                    pending.push_back(backend.render(&request(Output::Pictures(&composition)))?);
                    if pending.len() == in_flight {
                        pending.pop_front().map_or(Ok(()), |images| images.wait().map(drop))?;
                    }
                }
                pending.into_iter().try_for_each(|images| images.wait().map(drop))
            })
        };
        let (one, two) = (pictures(1)?, pictures(2)?);
        println!(
            "  seam {seam}, {format:?}: {on_host:.2} frames a second by planes, {one:.2} by pictures ({:.2} times), {two:.2} with two \
             requests in flight ({:.2} times)",
            one / on_host,
            two / on_host
        );
    }
    Ok(())
}

/// Frames a second, the better of two runs after one to warm up.
fn rate(run: &mut dyn FnMut() -> Result<()>) -> Result<f64> {
    run()?;
    let mut best = f64::INFINITY;
    for _ in 0..2 {
        let start = Instant::now();
        run()?;
        best = best.min(start.elapsed().as_secs_f64());
    }
    Ok((REQUESTS * BATCH) as f64 / best)
}
