//! The terms that compare patches by LPIPS, on the GPU. Twin of [`super::super::patches`].

use super::pass::LossPass;
use super::targets::DeviceTargets;
use crate::gpu::shaders::Reduce;
use crate::gpu::uniforms::uniform;
use crate::gpu::{Gpu, PooledBuffer, Recorder, append};
use crate::loss::patches::{PatchNetwork, Patches};
use crate::metrics::lpips::device::LpipsPass;
use crate::{Error, Result};

/// Threads of a workgroup, each with one pixel.
const PIXELS: u64 = 256;

uniform! {
    /// See `shaders/shared/patches.wgsl`.
    PatchFormat {
        patches: u32,
        side: u32,
        mean_red: f32,
        mean_green: f32,
        mean_blue: f32,
        deviation_red: f32,
        deviation_green: f32,
        deviation_blue: f32,
    }
}

/// The distances of patches, once the stages have run.
pub struct PatchPass {
    pass: LpipsPass,
    patches: Patches,
    /// Needed until the stages have run.
    _scratch: [PooledBuffer; 2],
}

impl PatchPass {
    /// The buffer to read back, with its bytes.
    pub fn source(&self) -> (&wgpu::Buffer, u64) {
        self.pass.source()
    }

    /// The terms of each of `frames` frames, by their numbers in [`crate::loss::TERMS`], from the bytes that were read back.
    pub fn values(&self, frames: usize, data: &[u8]) -> Vec<Vec<(usize, f32)>> {
        let mut sums = Vec::new();
        append(&mut sums, data);
        let values: Vec<f32> = self.pass.distances(&sums).into_iter().map(|v| v as f32).collect();
        (0..frames).map(|frame| self.patches.of_frame(frame, &values)).collect()
    }
}

/// Records the comparison of patches of the composites in `images`, and adds the gradient to that of their colour. Comes between
/// [`super::record`] and [`LossPass::add_alpha`]. Nothing where there are no patches.
///
/// # Errors
/// [`crate::Error::Internal`] when the network is not on the GPU or a shader is missing.
pub fn record_patches(
    recorder: &mut Recorder<'_>,
    gpu: &Gpu,
    network: &PatchNetwork,
    patches: Patches,
    loss: &LossPass,
    targets: &DeviceTargets,
    images: &wgpu::Buffer,
) -> Result<Option<PatchPass>> {
    let (count, side) = (patches.patches.len(), patches.side);
    if count == 0 {
        return Ok(None);
    }
    let missing = || Error::Internal("LPIPS weights that were not uploaded".into());
    let lpips = network.device.as_ref().ok_or_else(missing)?;
    let [mean, deviation] = lpips.normalization();
    let format = PatchFormat {
        patches: count as u32,
        side: side as u32,
        mean_red: mean[0],
        mean_green: mean[1],
        mean_blue: mean[2],
        deviation_red: deviation[0],
        deviation_green: deviation[1],
        deviation_blue: deviation[2],
    };
    let format = gpu.uniform_as_storage(&format.words());
    let places: Vec<u32> = patches
        .patches
        .iter()
        .flat_map(|patch| [patch.frame, patch.corner[0], patch.corner[1], 0].map(|v| v as u32))
        .collect();
    let places = gpu.uniform_as_storage(&places);
    let weights: Vec<u32> = patches.patches.iter().map(|patch| patch.weight.to_bits()).collect();
    let pixels = (count * side * side) as u64;
    let input = gpu.storage(2 * 16 * pixels);
    let buffers: [(u32, &wgpu::Buffer); 6] =
        [(0, &loss.params), (1, &format), (2, &places), (3, &targets.planes), (4, images), (5, &input)];
    recorder.stage("lpips_crop", Reduce::Threads, vec![], &buffers, pixels.div_ceil(PIXELS))?;
    let weights = gpu.uniform_as_storage(&weights);
    let pass = lpips.record(recorder, input, Some(weights), count, [side, side])?;
    let buffers: [(u32, &wgpu::Buffer); 6] = [
        (0, &loss.params),
        (1, &format),
        (2, &places),
        (3, &targets.planes),
        (4, pass.gradient()),
        (5, &loss.upstream.buffer),
    ];
    recorder.stage("lpips_scatter", Reduce::Threads, vec![], &buffers, pixels.div_ceil(PIXELS))?;
    Ok(Some(PatchPass { pass, patches, _scratch: [format, places] }))
}
