//! LPIPS on the GPU. Twin of [`Lpips`].

use super::packed::Packed;
use super::schedule::{Operand, Schedule};
use super::{Backbone, Lpips, check_picture};
use crate::gpu::shaders::Reduce;
use crate::gpu::{Gpu, PendingReadback, PooledBuffer, ReadbackRing, Recorder, Timing, append, size_class};
use crate::{Error, Result};
use rayon::prelude::*;

/// Bytes from one dispatch's parameters to the next: what every device can bind at.
const PARAMS_BYTES: usize = 256;

/// A network on the GPU.
#[derive(Debug)]
pub struct DeviceLpips {
    gpu: Gpu,
    backbone: Backbone,
    packed: Packed,
    forward: PooledBuffer,
    backward: PooledBuffer,
    mean: [f32; 3],
    deviation: [f32; 3],
    ring: ReadbackRing,
}

/// What [`DeviceLpips::record`] recorded.
#[derive(Debug)]
pub(crate) struct LpipsPass {
    schedule: Schedule,
    sums: PooledBuffer,
    /// Gradients after so many steps; the first are those of the input.
    gradients: Vec<PooledBuffer>,
    /// Needed until the recording is submitted.
    _scratch: Vec<PooledBuffer>,
}

/// Distances that are being computed.
#[derive(Debug)]
pub struct PendingDistance {
    pass: LpipsPass,
    readback: PendingReadback,
}

/// Read-backs of distances in flight.
const IN_FLIGHT: usize = 64;

impl DeviceLpips {
    /// Uploads the weights of a network.
    ///
    /// # Errors
    /// [`Error::Input`] when they do not fit the device, [`Error::DeviceLost`] when it goes away.
    pub fn upload(gpu: &Gpu, lpips: &Lpips) -> Result<Self> {
        let packed = Packed::new(&lpips.stages, &lpips.heads)?;
        let [mean, deviation] = lpips.normalization()?;
        let bytes = size_class(4 * packed.forward.len() as u64);
        if bytes > gpu.binding_limit() {
            let expected = format!("weights of at most {} bytes on {}", gpu.binding_limit(), gpu.name());
            return Err(Error::input(
                "LPIPS",
                expected,
                format!("{bytes} bytes"),
                "use SqueezeNet's weights",
            ));
        }
        Ok(DeviceLpips {
            gpu: gpu.clone(),
            backbone: lpips.backbone,
            forward: gpu.upload(&[&packed.forward])?,
            backward: gpu.upload(&[&packed.backward])?,
            mean,
            deviation,
            ring: ReadbackRing::new(gpu, IN_FLIGHT),
            packed,
        })
    }

    /// Which network it is.
    pub fn backbone(&self) -> Backbone {
        self.backbone
    }

    /// Mean and standard deviation the network expects of RGB in −1..1.
    pub(crate) fn normalization(&self) -> [[f32; 3]; 2] {
        [self.mean, self.deviation]
    }

    /// Whether the features of a pair of pictures of `[rows, columns]` fit the device.
    pub fn fits(&self, size: [usize; 2]) -> bool {
        Schedule::new(&self.packed, 1, size, false).is_ok_and(|schedule| {
            schedule.shapes.iter().all(|shape| size_class(shape.bytes(2)) <= self.gpu.binding_limit())
        })
    }

    /// Records the distances of pairs of pictures of `[rows, columns]`: `input` holds the first of each pair, then the second
    /// ones, `[2 × pairs, rows, columns, 4]` as the network takes them. With `pair_weights`, what the distance of each pair
    /// counts, also the gradient with respect to the first ones.
    ///
    /// # Errors
    /// [`Error::Internal`] when the pictures are too small or a shader is missing.
    pub(crate) fn record(
        &self,
        recorder: &mut Recorder<'_>,
        input: PooledBuffer,
        pair_weights: Option<PooledBuffer>,
        pairs: usize,
        size: [usize; 2],
    ) -> Result<LpipsPass> {
        let (gpu, backward) = (&self.gpu, pair_weights.is_some());
        let schedule = Schedule::new(&self.packed, pairs, size, backward)?;
        let mut features = vec![input];
        features.extend(schedule.shapes[1..].iter().map(|shape| gpu.storage(shape.bytes(2 * pairs))));
        let gradient_bytes = |bytes: u64| if backward { bytes } else { 0 };
        let gradients: Vec<PooledBuffer> =
            schedule.shapes.iter().map(|shape| gpu.storage(gradient_bytes(shape.bytes(pairs)))).collect();
        let pair_weights = match pair_weights {
            Some(weights) => weights,
            None => gpu.uniform_as_storage(&vec![1f32.to_bits(); pairs]),
        };
        let sums = gpu.storage(4 * schedule.sums as u64);
        let mut params = vec![0u32; schedule.dispatches.len() * PARAMS_BYTES / 4];
        for (to, dispatch) in params.chunks_exact_mut(PARAMS_BYTES / 4).zip(&schedule.dispatches) {
            to[..dispatch.params.len()].copy_from_slice(&dispatch.params);
        }
        let params = gpu.uniform_as_storage(&params);
        for (number, dispatch) in schedule.dispatches.iter().enumerate() {
            let of = |operand: &Operand| match operand {
                Operand::Features(k) => &*features[*k],
                Operand::Gradient(k) => &*gradients[*k],
                Operand::Forward => &*self.forward,
                Operand::Backward => &*self.backward,
                Operand::PairWeights => &*pair_weights,
                Operand::Sums => &*sums,
            };
            let own = wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                buffer: &params,
                offset: (number * PARAMS_BYTES) as u64,
                size: std::num::NonZero::new(4 * dispatch.params.len() as u64),
            });
            let mut entries = vec![wgpu::BindGroupEntry { binding: 0, resource: own }];
            entries.extend(dispatch.operands.iter().zip(1..).map(|(operand, binding)| {
                wgpu::BindGroupEntry { binding, resource: of(operand).as_entire_binding() }
            }));
            let constants = dispatch.constants.clone();
            recorder.bound_stage(dispatch.stage, Reduce::Threads, constants, &entries, dispatch.groups)?;
        }
        let mut scratch = features;
        scratch.extend([params, pair_weights]);
        Ok(LpipsPass { schedule, sums, gradients, _scratch: scratch })
    }

    /// Starts to compute the distance of two pictures, planar `[3, rows, columns]` in 0..1.
    ///
    /// # Errors
    /// As [`Lpips::distance`], and [`Error::DeviceLost`] when the device goes away.
    pub fn submit(&self, a: &[f32], b: &[f32], size: [usize; 2]) -> Result<PendingDistance> {
        let mut recorder = Recorder::new(&self.gpu, Timing::Off);
        let pass = self.record(&mut recorder, self.input(a, b, size)?, None, 1, size)?;
        let (sums, bytes) = pass.source();
        let readback = self.ring.submit(recorder.into_encoder(), &[(sums, 0..bytes)])?;
        Ok(PendingDistance { pass, readback })
    }

    /// Distance of two pictures, planar `[3, rows, columns]` in 0..1; 0 when they are equal.
    ///
    /// # Errors
    /// As [`DeviceLpips::submit`].
    pub fn distance(&self, a: &[f32], b: &[f32], size: [usize; 2]) -> Result<f64> {
        self.submit(a, b, size)?.wait()
    }

    /// Distance of two pictures and its gradient with respect to the first, `[3, rows, columns]`.
    ///
    /// # Errors
    /// As [`DeviceLpips::submit`].
    pub fn distance_and_gradient(&self, a: &[f32], b: &[f32], size: [usize; 2]) -> Result<(f64, Vec<f32>)> {
        let plane = size[0] * size[1];
        let mut recorder = Recorder::new(&self.gpu, Timing::Off);
        let one = self.gpu.uniform_as_storage(&[1f32.to_bits()]);
        let pass = self.record(&mut recorder, self.input(a, b, size)?, Some(one), 1, size)?;
        let (mut sums, mut gradient) = (Vec::new(), Vec::new());
        let sources = [pass.source(), (pass.gradient(), 16 * plane as u64)];
        recorder.submit_and_read(&sources, |i, data| match i {
            0 => append(&mut sums, data),
            _ => append::<f32>(&mut gradient, data),
        })?;
        let of = |i: usize| 2.0 * gradient[4 * (i % plane) + i / plane] / self.deviation[i / plane];
        Ok((pass.distances(&sums)[0], (0..3 * plane).map(of).collect()))
    }

    /// Two pictures as the network takes them, `[2, rows, columns, 4]`.
    fn input(&self, a: &[f32], b: &[f32], size: [usize; 2]) -> Result<PooledBuffer> {
        let plane = size[0] * size[1];
        let mut input = vec![0.0; 2 * 4 * plane];
        for (picture, to) in [a, b].into_iter().zip(input.chunks_exact_mut((4 * plane).max(1))) {
            check_picture(picture, size)?;
            to.par_chunks_exact_mut(4).enumerate().for_each(|(at, to)| {
                for (c, to) in to.iter_mut().enumerate().take(3) {
                    *to = (2.0 * picture[c * plane + at] - 1.0 - self.mean[c]) / self.deviation[c];
                }
            });
        }
        self.gpu.upload(&[&input])
    }
}

impl LpipsPass {
    /// The buffer of sums to read back, and its bytes.
    pub(crate) fn source(&self) -> (&wgpu::Buffer, u64) {
        (&self.sums, 4 * self.schedule.sums as u64)
    }

    /// The distance of each pair, from the sums that were read back.
    pub(crate) fn distances(&self, sums: &[f32]) -> Vec<f64> {
        self.schedule.distances(sums)
    }

    /// The gradient with respect to the first pictures as the network takes them, `[pairs, rows, columns, 4]`.
    pub(crate) fn gradient(&self) -> &wgpu::Buffer {
        &self.gradients[0]
    }
}

impl PendingDistance {
    /// Waits for the distance.
    ///
    /// # Errors
    /// [`Error::DeviceLost`] when the device is gone.
    pub fn wait(self) -> Result<f64> {
        self.readback.wait()?;
        let mut sums = Vec::new();
        self.readback.take(|_, data| append(&mut sums, data))?;
        let found = self.pass.distances(&sums).first().copied();
        found.ok_or_else(|| Error::Internal("LPIPS of no pictures".into()))
    }
}

#[cfg(test)]
#[path = "device_tests.rs"]
mod tests;
