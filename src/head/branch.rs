//! A branch: the canonical cloud and the field that moves it. A head is one or more of them.

use super::branch_settings::BranchSettings;
use crate::head::cloud::Cloud;
use crate::head::cloud::activate::{Deltas, activate};
use crate::head::cloud::surfels::EMBEDDING;
use crate::head::field::{Conditions, Field, FieldBounds, FieldGradients, Prepared};
use crate::raster::delta_layout::DeltaLayout;
use crate::raster::{RasterSettings, Rasterizer, Rendered};
use crate::{Camera, Result};
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
    /// The cloud's embedding where the field is, `[surfels, EMBEDDING]`; the cloud's own may be older while it is learned.
    embedding: Tensor,
    /// Whether that is so.
    ahead: bool,
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
        Ok(Branch { settings, cloud, field, layout, prepared, embedding, ahead: false })
    }

    /// What the field says about every surfel in each frame, `[frames, surfels, columns]`.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] when conditions do not fit the field.
    pub fn deform(&self, conditions: &[Conditions]) -> Result<Vec<f32>> {
        let packed = self.field.infer(&self.prepared, &self.embedding, conditions)?.packed;
        Ok(packed.flatten_all()?.to_vec1()?)
    }

    /// Deforms, asks `loss` for the gradient of what was said (same shape), and goes back through the field.
    ///
    /// # Errors
    /// As [`Branch::deform`], and what `loss` returns.
    pub fn field_step(
        &self,
        conditions: &[Conditions],
        loss: impl FnOnce(&Tensor) -> Result<Tensor>,
    ) -> Result<FieldGradients> {
        self.field.step(&self.prepared, &self.embedding, conditions, loss)
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
        self.ahead = false;
        Ok(())
    }

    /// Puts another embedding where the field is; the cloud keeps its own until [`Branch::fetch_embedding`].
    pub fn set_embedding(&mut self, embedding: Tensor) {
        self.embedding = embedding;
        self.ahead = true;
    }

    /// Brings the cloud's embedding up to date.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] when the field's device fails.
    pub fn fetch_embedding(&mut self) -> Result<()> {
        if std::mem::take(&mut self.ahead) {
            self.cloud.embedding = self.embedding.flatten_all()?.to_vec1()?;
        }
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

    /// To be called after positions changed: the planes are asked at the new places.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] when a position is not finite.
    pub fn places_moved(&mut self) -> Result<()> {
        self.prepared = self.field.prepare(&self.cloud.positions)?;
        Ok(())
    }

    /// To be called after surfels came and went.
    ///
    /// # Errors
    /// As [`Branch::places_moved`].
    pub fn cloud_moved(&mut self) -> Result<()> {
        self.embedding_changed()?;
        self.places_moved()
    }

    /// Draws the head, one camera for each of the conditions.
    ///
    /// # Errors
    /// Those of the field and of the rasterizer.
    pub fn draw(
        &self,
        rasterizer: &dyn Rasterizer,
        conditions: &[Conditions],
        cameras: &[Camera],
        settings: &RasterSettings,
    ) -> Result<Rendered> {
        let packed = self.deform(conditions)?;
        let deltas = self.deltas(&packed, conditions.len());
        let activated = activate(&self.cloud, self.cloud.sh_degree, Some(&deltas))?;
        rasterizer.forward(&activated.batch(), cameras, settings)
    }

    /// Draws the canonical cloud, as nothing moves it.
    ///
    /// # Errors
    /// Those of the rasterizer.
    pub fn draw_canonical(
        &self,
        rasterizer: &dyn Rasterizer,
        cameras: &[Camera],
        settings: &RasterSettings,
    ) -> Result<Rendered> {
        rasterizer.forward(&activate(&self.cloud, self.cloud.sh_degree, None)?.batch(), cameras, settings)
    }
}

fn embedding(cloud: &Cloud, field: &Field) -> Result<Tensor> {
    Ok(Tensor::from_slice(&cloud.embedding, (cloud.len(), EMBEDDING), field.device())?)
}
