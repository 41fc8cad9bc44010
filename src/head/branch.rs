//! A branch: the canonical cloud and the field that moves it. A head is one or more of them.

use super::branch_settings::BranchSettings;
use crate::Result;
use crate::head::cloud::Cloud;
use crate::head::cloud::activate::Deltas;
use crate::head::cloud::delta_layout::DeltaLayout;
use crate::head::cloud::surfels::EMBEDDING;
use crate::head::field::{Conditions, Field, FieldBounds, FieldGradients, Prepared};
use candle_core::{Device, Tensor};

/// Degree of the harmonics in exported PLY files, whatever the cloud has: viewers read by position and expect
/// all 62 properties.
pub const PLY_DEGREE: usize = 3;

/// One part of a talking head: a cloud of surfels in canonical space and the field that deforms it.
pub struct Branch {
    /// What must be known to use it: part, audio feature, sizes.
    pub settings: BranchSettings,
    /// The canonical surfels.
    pub cloud: Cloud,
    /// What moves them.
    pub field: Field,
    layout: DeltaLayout,
    prepared: Prepared,
    /// The cloud's embedding as a tensor, `[surfels, EMBEDDING]`.
    embedding: Tensor,
}

impl Branch {
    /// A head with a fresh field around `cloud`.
    ///
    /// # Errors
    /// [`crate::Error::Input`] when the field's sizes cannot be.
    pub fn new(settings: BranchSettings, cloud: Cloud, device: &Device) -> Result<Self> {
        let bounds = FieldBounds { min: settings.bounds[0], max: settings.bounds[1] };
        let field = Field::new(settings.field.clone(), &bounds, settings.seed, device)?;
        Self::assemble(settings, cloud, field)
    }

    pub(super) fn assemble(settings: BranchSettings, cloud: Cloud, field: Field) -> Result<Self> {
        let prepared = field.prepare(&cloud.positions)?;
        let l = field.layout();
        let layout = DeltaLayout {
            width: l.columns,
            position: l.position.clone(),
            rotation: l.rotation.clone(),
            log_scale: l.scale.clone(),
            opacity: l.opacity.clone(),
            harmonics: l.harmonics.clone(),
            attention: l.attention.clone(),
        };
        let embedding = embedding(&cloud, &field)?;
        Ok(Branch { settings, cloud, field, layout, prepared, embedding })
    }

    /// What the field says about every surfel in each frame, `[frames, surfels, columns]`.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] when conditions do not fit the field.
    pub fn deform(&self, conditions: &[Conditions]) -> Result<Vec<f32>> {
        let packed = self.field.infer(&self.prepared, &self.embedding, conditions)?.packed;
        Ok(packed.flatten_all()?.to_vec1()?)
    }

    /// Gradients of `Σ deformation · gradient` for what [`Branch::deform`] gives of the same conditions.
    ///
    /// # Errors
    /// As [`Branch::deform`].
    pub(super) fn field_backward(
        &self,
        conditions: &[Conditions],
        gradient: Vec<f32>,
    ) -> Result<FieldGradients> {
        let shape = (conditions.len(), self.cloud.len(), self.layout.width);
        let gradient = Tensor::from_vec(gradient, shape, &Device::Cpu)?;
        self.field.backward(&self.prepared, &self.embedding, conditions, &gradient)
    }

    /// A branch of its own with the same parameters.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] when candle fails.
    pub fn copy(&self) -> Result<Self> {
        Self::assemble(self.settings.clone(), self.cloud.clone(), self.field.copy()?)
    }

    /// The embedding where the field is, `[surfels, EMBEDDING]`.
    pub fn embedding(&self) -> &Tensor {
        &self.embedding
    }

    /// To be called after the cloud's embedding changed.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] when the field's device fails.
    pub fn embedding_changed(&mut self) -> Result<()> {
        self.embedding = embedding(&self.cloud, &self.field)?;
        Ok(())
    }

    /// Meaning of the columns that the field gives.
    pub fn layout(&self) -> &DeltaLayout {
        &self.layout
    }

    /// [`Branch::deform`]'s numbers with the meaning of their columns.
    pub fn deltas<'a>(&'a self, packed: &'a [f32], frames: usize) -> Deltas<'a> {
        Deltas { layout: &self.layout, frames, values: packed }
    }

    /// Adds the gradient of `weight · mean |position delta| / extent`: the field stays at rest where nothing pulls.
    pub fn add_rest_gradient(&self, packed: &[f32], weight: f32, gradient: &mut [f32]) {
        if weight == 0.0 {
            return;
        }
        let width = self.layout.width;
        let each = self.each(weight, packed.len() / width);
        for (row, out) in packed.chunks_exact(width).zip(gradient.chunks_exact_mut(width)) {
            for k in self.layout.position.clone() {
                out[k] += if row[k] > 0.0 {
                    each
                } else if row[k] < 0.0 {
                    -each
                } else {
                    0.0
                };
            }
        }
    }

    /// The size of that gradient in each coordinate of each row, for so many frames.
    pub fn rest(&self, weight: f32, frames: usize) -> f32 {
        if weight == 0.0 { 0.0 } else { self.each(weight, frames * self.cloud.len()) }
    }

    fn each(&self, weight: f32, rows: usize) -> f32 {
        weight / (self.settings.extent * (rows * 3).max(1) as f32)
    }

    /// To be called after positions changed, or surfels came and went: looks up where they lie on the planes.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] when a position is not finite.
    pub(super) fn positions_changed(&mut self) -> Result<()> {
        self.prepared = self.field.prepare(&self.cloud.positions)?;
        Ok(())
    }
}

fn embedding(cloud: &Cloud, field: &Field) -> Result<Tensor> {
    Ok(Tensor::from_slice(&cloud.embedding, (cloud.len(), EMBEDDING), field.device())?)
}
