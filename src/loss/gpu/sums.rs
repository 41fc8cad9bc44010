//! What the stages of the loss sum up.

use super::in_use::InUse;
use crate::gpu::append;
use crate::loss::term::{ImageShader, Stages};

/// What the stages summed up, workgroup by workgroup, as it is read back.
#[derive(Default)]
pub struct LossSums([Vec<f32>; LossSums::SOURCES]);

impl LossSums {
    /// Buffers that the sums are read back from.
    pub const SOURCES: usize = 4;

    /// Takes the bytes of source `i` of [`super::LossPass::sources`].
    pub fn take(&mut self, i: usize, data: &[u8]) {
        append(&mut self.0[i], data);
    }

    /// The sums of frame `frame` of `frames`, term by term, added in the order of their workgroups.
    pub(super) fn of_frame(&self, frame: usize, frames: usize, in_use: &[InUse]) -> Vec<f64> {
        let part = |values: &[f32]| {
            let each = values.len() / frames.max(1);
            values[frame * each..(frame + 1) * each].iter().map(|v| f64::from(*v)).collect::<Vec<f64>>()
        };
        let [pixels, windows, differences, normals] = &self.0;
        let parts = in_use.iter().filter(|used| matches!(used.term.gpu, ImageShader::Pixel(_))).count();
        let mut sums = vec![0.0; parts];
        for group in part(pixels).chunks_exact(parts.max(1)) {
            sums.iter_mut().zip(group).for_each(|(sum, value)| *sum += value);
        }
        for used in &in_use[parts..] {
            let own = match used.term.gpu {
                ImageShader::Stages(Stages::NormalConsistency) => normals,
                ImageShader::Stages(Stages::GradientDifference) => differences,
                _ => windows,
            };
            sums.push(part(own).iter().sum());
        }
        sums
    }
}
