//! From parameters and deltas to drawn surfels on the GPU, and gradients back; twin of `head/cloud/activate.rs`.

use super::device_cloud::DeviceCloud;
use super::uniforms::{ABSENT, RowUniform};
use crate::gpu::Gpu;
use crate::gpu::PooledBuffer;
use crate::gpu::Recorder;
use crate::gpu::shaders::Reduce;
use crate::head::cloud::delta_layout::DeltaLayout;
use crate::head::field::DeviceDeltas;
use crate::raster::Outputs;
use crate::raster::gpu::Inputs;
use crate::raster::gpu::backward::GradientBuffers;
use crate::{Error, Result};
use std::ops::Range;

/// What is added to the surfels, with the meaning of its columns; nothing where they are drawn as they are.
pub(super) type Deltas<'a> = Option<(&'a DeltaLayout, &'a DeviceDeltas)>;

/// Records the activation of a cloud for some frames, and its backward pass.
pub(super) struct Activation<'a> {
    gpu: &'a Gpu,
    cloud: &'a DeviceCloud,
    deltas: Deltas<'a>,
    words: RowUniform,
    /// Whether deltas have numbers that mean nothing, whose gradient is 0.
    gaps: bool,
}

/// The uniforms of a group of frames. They must live until the recording is submitted.
pub(super) struct Group {
    forward: PooledBuffer,
    backward: PooledBuffer,
    /// Stand for deltas and their gradient where there are none; a buffer that is written may not be bound twice.
    none: [PooledBuffer; 2],
    /// Bytes of the deltas' gradient to clear first.
    clear: u64,
    groups: [u64; 2],
    /// Whether its first frame is the first of the batch.
    first: bool,
}

impl<'a> Activation<'a> {
    /// For `frames` frames drawn with harmonics of degree `sh_degree`. `rest` is the weight of |displacement| of each surfel
    /// in each frame, per coordinate.
    ///
    /// # Errors
    /// [`Error::Internal`] when deltas do not belong to the surfels and frames, or the layout to the cloud.
    pub(super) fn new(
        gpu: &'a Gpu,
        cloud: &'a DeviceCloud,
        deltas: Deltas<'a>,
        frames: usize,
        sh_degree: usize,
        outputs: &Outputs,
        rest: f32,
    ) -> Result<Self> {
        let (n, stored, drawn) = (cloud.surfels, cloud.harmonics_width, 3 * (sh_degree + 1).pow(2));
        if drawn > stored {
            return Err(Error::Internal(format!(
                "{drawn} floats of harmonics drawn where a surfel has {stored}"
            )));
        }
        let mut words = RowUniform {
            surfels: n as u32,
            stored: stored as u32,
            drawn: drawn as u32,
            attends: outputs.attention.into(),
            first_of_mouth: cloud.first_of_mouth as u32,
            rest,
            ..Self::columns(deltas.map(|(layout, _)| layout))
        };
        let mut gaps = false;
        if let Some((layout, deltas)) = deltas {
            layout.check(stored / 3)?;
            let expected = (frames * n * layout.width) as u64;
            if deltas.len != expected {
                let found = deltas.len;
                return Err(Error::Internal(format!("{found} floats of deltas where {expected} belong")));
            }
            gaps = layout.columns() < layout.width || cloud.first_of_mouth < n;
        } else {
            words.rest = 0.0;
        }
        if outputs.attention && words.attention == ABSENT {
            return Err(Error::Internal(
                "the attention image is wanted but the deltas have no attention".into(),
            ));
        }
        Ok(Activation { gpu, cloud, deltas, words, gaps })
    }

    /// Where the columns of a row are.
    fn columns(layout: Option<&DeltaLayout>) -> RowUniform {
        let Some(l) = layout else {
            let [position, rotation, log_scale, opacity, harmonics, attention] = [ABSENT; 6];
            return RowUniform {
                position,
                rotation,
                log_scale,
                opacity,
                harmonics,
                attention,
                ..RowUniform::default()
            };
        };
        let start = |columns: &Range<usize>| if columns.is_empty() { ABSENT } else { columns.start as u32 };
        RowUniform {
            width: l.width as u32,
            position: start(&l.position),
            rotation: start(&l.rotation),
            log_scale: start(&l.log_scale),
            opacity: start(&l.opacity),
            harmonics: start(&l.harmonics),
            attention: start(&l.attention),
            added: l.harmonics.len() as u32,
            ..RowUniform::default()
        }
    }

    /// Uniforms for the frames of `inputs`.
    pub(super) fn group(&self, inputs: &Inputs) -> Group {
        let (gpu, n, first) = (self.gpu, self.cloud.surfels, inputs.frames.start == 0);
        let words = RowUniform {
            copies: inputs.copies(),
            first_row: if self.deltas.is_some() { (inputs.frames.start * n) as u32 } else { 0 },
            fresh: first.into(),
            ..self.words
        };
        let rows = u64::from(words.copies) * n as u64;
        let per_row = rows.div_ceil(256);
        let per_surfel = (n as u64).div_ceil(256);
        let groups = [
            per_row + (rows * u64::from(words.drawn)).div_ceil(256),
            per_surfel + (n as u64 * u64::from(words.stored)).div_ceil(256),
        ];
        let constants = |geometry: u64| {
            gpu.uniform_as_storage(&RowUniform { geometry_groups: geometry as u32, ..words }.words())
        };
        let clear = if self.gaps && first { self.deltas.map_or(0, |(_, deltas)| 4 * deltas.len) } else { 0 };
        Group {
            forward: constants(per_row),
            backward: constants(per_surfel),
            none: [gpu.storage(4), gpu.storage(4)],
            clear,
            groups,
            first,
        }
    }

    /// Records what makes the surfels of `inputs`.
    ///
    /// # Errors
    /// [`Error::Internal`] when the shader is missing.
    pub(super) fn forward(&self, recorder: &mut Recorder<'_>, inputs: &Inputs, group: &Group) -> Result<()> {
        let values = self.deltas.map_or(&group.none[0], |(_, deltas)| &deltas.values);
        let buffers: [(u32, &wgpu::Buffer); 6] = [
            (0, &group.forward),
            (1, self.cloud.geometry()),
            (2, self.cloud.harmonics()),
            (3, values),
            (4, &inputs.surfels),
            (5, &inputs.colors),
        ];
        recorder.stage("activate", Reduce::Threads, vec![], &buffers, group.groups[0])
    }

    /// Records what takes the gradients of drawn surfels to those of parameters and deltas.
    ///
    /// # Errors
    /// [`Error::Internal`] when the shader is missing.
    pub(super) fn backward(
        &self,
        recorder: &mut Recorder<'_>,
        group: &Group,
        gradients: &GradientBuffers,
    ) -> Result<()> {
        if group.first {
            recorder.clear(&self.cloud.not_finite, 4);
        }
        let [none, other] = &group.none;
        let (values, of_deltas) = self.deltas.map_or((none, other), |(_, d)| (&d.values, &d.gradients));
        recorder.clear(of_deltas, group.clear);
        let buffers: [(u32, &wgpu::Buffer); 8] = [
            (0, &group.backward),
            (1, self.cloud.geometry()),
            (2, values),
            (3, &gradients.surfels),
            (4, &gradients.colors),
            (5, of_deltas),
            (6, &self.cloud.gradients),
            (7, &self.cloud.not_finite),
        ];
        recorder.stage("activate_backward", Reduce::Threads, vec![], &buffers, group.groups[1])
    }
}
