//! The surfels' own parameters on the GPU, with gradients and the state of Adam.

use super::uniforms::AdamUniform;
use crate::gpu::Gpu;
use crate::gpu::Recorder;
use crate::gpu::shaders::Reduce;
use crate::gpu::{PooledBuffer, append, size_class};
use crate::head::backend::adam::{Adam, corrections};
use crate::head::backend::rates::CloudRates;
use crate::head::cloud::Cloud;
use crate::{Error, Result};

/// Floats of a surfel's position, rotation, log-scales and opacity logit.
const WIDTHS: [usize; 4] = [3, 4, 2, 1];
/// Floats of the four together.
const GEOMETRY: usize = 10;

/// Parameters of a cloud on a device, in two buffers: positions, rotations, log-scales and opacity logits one after
/// another; and harmonics.
pub(super) struct DeviceCloud {
    gpu: Gpu,
    pub(super) surfels: usize,
    /// The first surfel of the inside of the mouth.
    pub(super) first_of_mouth: usize,
    /// Floats of a surfel's harmonics.
    pub(super) harmonics_width: usize,
    parameters: [PooledBuffer; 2],
    /// First and second moments of the two buffers; nothing where the cloud is only drawn.
    moments: Option<[[PooledBuffer; 2]; 2]>,
    /// Gradients of the last step, geometry, then harmonics.
    pub(super) gradients: PooledBuffer,
    /// One word, not 0 where a gradient is not finite.
    pub(super) not_finite: PooledBuffer,
    /// Steps that the moments have seen.
    steps: u64,
}

impl DeviceCloud {
    /// Whether the largest buffer of such a cloud fits, and if not, how many surfels would.
    ///
    /// # Errors
    /// [`Error::Input`] that names the number.
    fn check_size(gpu: &Gpu, surfels: usize, harmonics_width: usize) -> Result<()> {
        let limit = gpu.binding_limit();
        let each = 4 * (GEOMETRY + harmonics_width) as u64;
        if size_class(each * surfels as u64) <= limit {
            return Ok(());
        }
        // Sizes come in eighths of a power of two.
        let most = limit / 8 * 7 / each;
        Err(Error::input(
            format!("the memory of {}", gpu.name()),
            format!("buffers of at most {} MiB", limit >> 20),
            format!("{surfels} surfels, whose gradients take {} MiB", (each * surfels as u64) >> 20),
            format!("use --max_points {most} or fewer, or --device cpu"),
        ))
    }

    /// Uploads a cloud, and the state of Adam for it where there is one, in the order of [`Cloud::own`].
    ///
    /// # Errors
    /// [`Error::Input`] when it does not fit the device, [`Error::Internal`] when lengths disagree,
    /// [`Error::DeviceLost`] when the device goes away.
    pub(super) fn upload(gpu: &Gpu, cloud: &Cloud, moments: Option<&[Adam; 5]>) -> Result<Self> {
        let (surfels, harmonics_width) = (cloud.len(), 3 * cloud.bands());
        let parameters = cloud.own();
        let fits = |arrays: &[&[f32]; 5]| {
            let widths = WIDTHS.into_iter().chain([harmonics_width]);
            arrays.iter().zip(widths).all(|(values, width)| values.len() == surfels * width)
        };
        let arrays = moments.map(|m| {
            [m.each_ref().map(|adam| adam.first.as_slice()), m.each_ref().map(|adam| adam.second.as_slice())]
        });
        let whole = fits(&parameters) && arrays.iter().flatten().all(fits);
        let steps = moments.map_or(0, |m| m[0].steps);
        let together = moments.is_none_or(|m| m.iter().all(|adam| adam.steps == steps));
        if cloud.sh_degree > 3 || !whole || !together || u32::try_from(surfels).is_err() {
            let found = parameters.map(<[f32]>::len);
            return Err(Error::Internal(format!("arrays of {found:?} floats for {surfels} surfels")));
        }
        Self::check_size(gpu, surfels, harmonics_width)?;
        let both = |arrays: &[&[f32]; 5]| -> Result<[PooledBuffer; 2]> {
            Ok([gpu.upload(&arrays[..4])?, gpu.upload(&arrays[4..])?])
        };
        let moments = match &arrays {
            Some([first, second]) => Some([both(first)?, both(second)?]),
            None => None,
        };
        Ok(DeviceCloud {
            gpu: gpu.clone(),
            surfels,
            first_of_mouth: cloud.first_of_mouth(),
            harmonics_width,
            parameters: both(&parameters)?,
            moments,
            gradients: gpu.storage(4 * ((GEOMETRY + harmonics_width) * surfels) as u64),
            not_finite: gpu.storage(4),
            steps,
        })
    }

    /// Positions, `[surfels, 3]`, come first in it.
    pub(super) fn geometry(&self) -> &PooledBuffer {
        &self.parameters[0]
    }

    pub(super) fn harmonics(&self) -> &PooledBuffer {
        &self.parameters[1]
    }

    /// Floats of the two buffers.
    fn lens(&self) -> [usize; 2] {
        [GEOMETRY * self.surfels, self.harmonics_width * self.surfels]
    }

    /// Reads everything into a cloud and the state of Adam.
    ///
    /// # Errors
    /// [`Error::DeviceLost`] when the device is gone.
    pub(super) fn read(&self, cloud: &mut Cloud, moments: Option<&mut [Adam; 5]>) -> Result<()> {
        let bytes = self.lens().map(|n| 4 * n as u64);
        let mut pairs = vec![&self.parameters];
        if moments.is_some() {
            pairs.extend(self.moments.iter().flatten());
        }
        let sources: Vec<(&wgpu::Buffer, u64)> =
            pairs.into_iter().flat_map(|[a, b]| [(&**a, bytes[0]), (&**b, bytes[1])]).collect();
        let mut read: [[Vec<f32>; 5]; 3] = Default::default();
        let encoder = self.gpu.device.create_command_encoder(&Default::default());
        self.gpu.submit_and_read(encoder, &sources, |i, data| {
            let [p, q, s, o, h] = &mut read[i / 2];
            if i % 2 == 1 {
                return append(h, data);
            }
            let mut rest = data;
            for (to, width) in [p, q, s, o].into_iter().zip(WIDTHS) {
                let (here, after) = rest.split_at(4 * width * self.surfels);
                append(to, here);
                rest = after;
            }
        })?;
        let [[p, q, s, o, h], first, second] = read;
        (cloud.positions, cloud.rotations, cloud.log_scales) = (p, q, s);
        (cloud.opacity_logits, cloud.harmonics) = (o, h);
        if let (Some(moments), Some(_)) = (moments, &self.moments) {
            for (adam, (first, second)) in moments.iter_mut().zip(first.into_iter().zip(second)) {
                *adam = Adam { first, second, steps: self.steps };
            }
        }
        Ok(())
    }

    /// Records a step of Adam along the gradients of the last backward pass. The buffers returned must live until the
    /// recording is submitted.
    ///
    /// # Errors
    /// [`Error::Internal`] when there is no state of Adam.
    pub(super) fn record_adam(
        &mut self,
        recorder: &mut Recorder<'_>,
        rates: &CloudRates,
    ) -> Result<Vec<PooledBuffer>> {
        let Some([first, second]) = &self.moments else {
            return Err(Error::Internal("a step of Adam for a cloud without its state".into()));
        };
        self.steps += 1;
        let [correction1, correction2] = corrections(self.steps);
        let mut uniforms = Vec::new();
        for (k, count) in self.lens().into_iter().enumerate() {
            let words = AdamUniform {
                count: count as u32,
                surfels: self.surfels as u32,
                stored: if k == 0 { 0 } else { self.harmonics_width as u32 },
                first_gradient: if k == 0 { 0 } else { (GEOMETRY * self.surfels) as u32 },
                correction1,
                correction2,
                position: rates.position,
                rotation: rates.rotation,
                scaling: rates.scaling,
                opacity: rates.opacity,
                feature: rates.feature,
                higher: rates.higher,
            };
            uniforms.push(self.gpu.uniform_as_storage(&words.words()));
            let buffers: [(u32, &wgpu::Buffer); 5] = [
                (0, &uniforms[k]),
                (1, &self.gradients),
                (2, &self.parameters[k]),
                (3, &first[k]),
                (4, &second[k]),
            ];
            recorder.stage("adam", Reduce::Threads, vec![], &buffers, (count as u64).div_ceil(256))?;
        }
        Ok(uniforms)
    }
}
