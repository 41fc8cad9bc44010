//! The torso that a branch drew as a layer: on the host as bytes, on a device where it was drawn, so that nothing of it goes back
//! and forth. Twins: [`torso_layer`] and `shaders/composite/torso_layer.wgsl`.

use super::device_images::DeviceImages;

use crate::Result;
use crate::gpu::shaders::Reduce;
use crate::gpu::uniforms::uniform;
use crate::gpu::{Gpu, PooledBuffer, Recorder};
use std::ops::Range;
use std::sync::Arc;

/// The attention channel in which the neck, the layer behind the clothes, is seen.
const NECK_CHANNEL: usize = 3;

uniform! {
    /// See `shaders/composite/torso_layer.wgsl`.
    TorsoParams {
        frames: u32,
        pixels: u32,
        first: u32,
        at_color: u32,
        at_alpha: u32,
        at_attention: u32,
        neck_channel: u32,
    }
}

/// The torso of one frame, RGBA with straight alpha, and how much of the head its clothes hide, 255 for all; `[rows, columns]` of
/// a whole picture each. `color`, `[3, rows, columns]`, carries its `alpha`; `attention` has four channels.
pub fn torso_layer(color: &[f32], alpha: &[f32], attention: &[f32]) -> (Vec<u8>, Vec<u8>) {
    let pixels = alpha.len();
    let byte = |value: f32| (value.clamp(0.0, 1.0) * 255.0).round() as u8;
    let straight = |at: usize, channel: usize| byte(color[channel * pixels + at] / alpha[at].max(1e-3));
    let torso = (0..pixels)
        .flat_map(|at| [straight(at, 0), straight(at, 1), straight(at, 2), byte(alpha[at])])
        .collect();
    let neck = &attention[NECK_CHANNEL * pixels..][..pixels];
    let occlusion = alpha.iter().zip(neck).map(|(alpha, neck)| byte(alpha - neck)).collect();
    (torso, occlusion)
}

/// The torsos of some frames on a device. Cheap to clone; clones are the same.
#[derive(Debug, Clone)]
pub struct DeviceTorso {
    pub(super) size: [usize; 2],
    pub(super) frames: usize,
    pub(super) buffer: Arc<PooledBuffer>,
}

impl DeviceTorso {
    /// Room for the torsos of `frames` pictures of `size` = [width, height].
    pub fn new(gpu: &Gpu, size: [usize; 2], frames: usize) -> Self {
        let buffer = Arc::new(gpu.storage(8 * (frames * size[0] * size[1]) as u64));
        DeviceTorso { size, frames, buffer }
    }

    /// Records the writing of the torsos of `frames` from what was drawn of them. `at_attention` is where that image begins, in
    /// floats. What comes back is needed until the recording is submitted.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] when a shader is missing.
    pub fn record(
        &self,
        gpu: &Gpu,
        recorder: &mut Recorder<'_>,
        images: &DeviceImages<'_>,
        at_attention: u32,
        frames: Range<usize>,
    ) -> Result<PooledBuffer> {
        let pixels = self.size[0] * self.size[1];
        let params = TorsoParams {
            frames: frames.len() as u32,
            pixels: pixels as u32,
            first: frames.start as u32,
            at_color: images.at_color,
            at_alpha: images.at_alpha,
            at_attention,
            neck_channel: NECK_CHANNEL as u32,
        };
        let params = gpu.uniform_as_storage(&params.words());
        let buffers: [(u32, &wgpu::Buffer); 3] = [(0, &params), (1, images.buffer), (2, &self.buffer)];
        let groups = (frames.len() * pixels).div_ceil(256) as u64;
        recorder.stage("torso_layer", Reduce::Threads, vec![], &buffers, groups)?;
        Ok(params)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::uniforms::assert_layout;
    use crate::gpu::{Choice, Timing};

    #[test]
    fn clothes_hide_the_head_and_the_neck_does_not() {
        // Clothes, half clothes, neck, nothing.
        let alpha = [1.0, 0.5, 1.0, 0.0];
        let color: Vec<f32> = (0..3).flat_map(|_| alpha.map(|a| 0.4 * a)).collect();
        let attention = [[0.0; 12].as_slice(), &[0.0, 0.0, 1.0, 0.0]].concat();
        let (torso, occlusion) = torso_layer(&color, &alpha, &attention);
        assert_eq!(occlusion, [255, 128, 0, 0]);
        let alphas: Vec<u8> = torso.chunks_exact(4).map(|rgba| rgba[3]).collect();
        assert_eq!(alphas, [255, 128, 255, 0]);
        assert!(torso.chunks_exact(4).take(3).all(|rgba| rgba[..3] == [102; 3]), "colours are straight");
    }

    #[test]
    fn a_device_writes_the_layer_that_the_host_writes() {
        let gpu = Gpu::open(Choice::Any).expect("a device").expect("a GPU, or Mesa's software one");
        let (size, frames) = ([23, 17], 3);
        let pixels = size[0] * size[1];
        let noise = |count: usize, seed: usize| -> Vec<f32> {
            (0..count).map(|i| ((i * 7919 + seed * 104_729) % 1009) as f32 / 900.0 - 0.05).collect()
        };
        let (color, alpha) = (noise(3 * frames * pixels, 1), noise(frames * pixels, 2));
        let attention = noise(4 * frames * pixels, 3);
        let images = gpu.upload(&[&color[..], &alpha, &attention]).expect("uploaded");
        let [at_alpha, at_attention] = [3 * frames * pixels, 4 * frames * pixels].map(|at| at as u32);
        // The frames come behind another one, as those of a request's second group do.
        let torso = DeviceTorso::new(&gpu, size, frames + 1);
        let mut recorder = Recorder::new(&gpu, Timing::Off);
        let images = DeviceImages { buffer: &images, at_color: 0, at_alpha };
        let _params =
            torso.record(&gpu, &mut recorder, &images, at_attention, 1..frames + 1).expect("recorded");
        let mut words: Vec<u32> = Vec::new();
        let bytes = 8 * ((frames + 1) * pixels) as u64;
        gpu.submit_and_read(recorder.into_encoder(), &[(&torso.buffer, bytes)], |_, data| {
            words = data.as_chunks::<4>().0.iter().map(|b| u32::from_le_bytes(*b)).collect();
        })
        .expect("read back");
        for frame in 0..frames {
            let (rgba, occlusion) = torso_layer(
                &color[3 * frame * pixels..][..3 * pixels],
                &alpha[frame * pixels..][..pixels],
                &attention[4 * frame * pixels..][..4 * pixels],
            );
            for (at, word) in
                words[2 * (frame + 1) * pixels..][..2 * pixels].as_chunks::<2>().0.iter().enumerate()
            {
                let found = word[0].to_le_bytes();
                let near = found.iter().zip(&rgba[4 * at..]).all(|(a, b)| a.abs_diff(*b) <= 1);
                assert!(near && word[1].abs_diff(u32::from(occlusion[at])) <= 1, "{frame} {at}: {word:?}");
            }
        }
    }

    #[test]
    fn the_uniforms_are_those_of_the_shader() {
        assert_layout("torso_layer", "TorsoParams", TorsoParams::MEMBERS);
    }
}
