//! The state of Adam for every parameter of a branch, and Adam's steps on the host.

use super::adam::Adam;
use super::rates::{CloudRates, FieldRates};
use crate::head::Branch;
use crate::head::cloud::Cloud;
use crate::head::cloud::activate::RawGradients;
use crate::head::cloud::density::EditList;
use crate::head::cloud::surfels::EMBEDDING;
use crate::head::field::{Field, FieldGradients};
use crate::{Error, Result};
use candle_core::{Tensor, Var};
use rayon::prelude::*;

/// Names of the tri-planes begin so; they learn at a rate of their own.
const PLANES: &str = "planes.";

/// Names of the cloud's arrays, in the order of [`Cloud::own`].
const CLOUD: [&str; 5] = ["positions", "rotations", "log_scales", "opacity_logits", "harmonics"];

/// Adam's state for a branch.
#[derive(Debug, Clone, PartialEq)]
pub struct BranchMoments {
    /// For the surfels' own parameters, in the order of [`Cloud::own`].
    pub(super) cloud: [Adam; 5],
    pub(super) embedding: Adam,
    /// For the field's parameters, with their names, in the order of [`Field::parameters`]: planes first.
    pub(super) parameters: Vec<(String, Adam)>,
}

impl BranchMoments {
    /// Fresh state for `branch`.
    pub fn new(branch: &Branch) -> Self {
        let parameters = branch.field.parameters().iter();
        BranchMoments {
            cloud: branch.cloud.own().map(|values| Adam::new(values.len())),
            embedding: Adam::new(branch.cloud.embedding.len()),
            parameters: parameters.map(|(name, var)| (name.clone(), Adam::new(var.elem_count()))).collect(),
        }
    }

    /// Every state by the name that checkpoints give it, always in the same order.
    pub fn arrays(&self) -> Vec<(String, &Adam)> {
        let cloud = CLOUD.iter().zip(&self.cloud).map(|(name, adam)| (format!("cloud.{name}"), adam));
        let field = self.parameters.iter().map(|(name, adam)| (format!("field.{name}"), adam));
        cloud.chain([("cloud.embedding".to_owned(), &self.embedding)]).chain(field).collect()
    }

    /// The same, to be changed.
    pub fn arrays_mut(&mut self) -> Vec<(String, &mut Adam)> {
        let cloud = CLOUD.iter().zip(&mut self.cloud).map(|(name, adam)| (format!("cloud.{name}"), adam));
        let field = self.parameters.iter_mut().map(|(name, adam)| (format!("field.{name}"), adam));
        cloud.chain([("cloud.embedding".to_owned(), &mut self.embedding)]).chain(field).collect()
    }

    /// The state after density control: rows of kept surfels stay, those of new ones are zero.
    ///
    /// # Errors
    /// [`Error::Internal`] when the list was made for another cloud.
    pub fn edit(&mut self, edits: &EditList, bands: usize) -> Result<()> {
        let strides = [3, 4, 2, 1, 3 * bands, EMBEDDING];
        for (adam, stride) in self.cloud.iter_mut().chain([&mut self.embedding]).zip(strides) {
            edits.apply_moments(&mut adam.first, stride)?;
            edits.apply_moments(&mut adam.second, stride)?;
        }
        Ok(())
    }

    /// One step of the surfels' own parameters.
    pub(super) fn step_cloud(&mut self, cloud: &mut Cloud, gradients: &RawGradients, rates: &CloudRates) {
        let mut bands = vec![rates.higher; 3 * cloud.bands()];
        bands[..3].fill(rates.feature);
        let [positions, rotations, log_scales, opacity_logits, harmonics] = &mut self.cloud;
        positions.step(&mut cloud.positions, &gradients.positions, &[rates.position]);
        rotations.step(&mut cloud.rotations, &gradients.rotations, &[rates.rotation]);
        log_scales.step(&mut cloud.log_scales, &gradients.log_scales, &[rates.scaling]);
        opacity_logits.step(&mut cloud.opacity_logits, &gradients.opacity_logits, &[rates.opacity]);
        harmonics.step(&mut cloud.harmonics, &gradients.harmonics, &bands);
    }

    /// One step of the field's parameters and of the embedding.
    ///
    /// # Errors
    /// [`Error::Internal`] when candle fails.
    pub(super) fn step_field(
        &mut self,
        branch: &mut Branch,
        gradients: &FieldGradients,
        rates: &FieldRates,
    ) -> Result<()> {
        let of_embedding: Vec<f32> = gradients.embedding.flatten_all()?.to_vec1()?;
        self.embedding.step(&mut branch.cloud.embedding, &of_embedding, &[rates.embedding]);
        branch.embedding_changed()?;
        let planes = self.planes();
        let (of_planes, of_rest) = gradients.parameters.split_at(planes.min(gradients.parameters.len()));
        let parameters = self.parameters.iter_mut().zip(branch.field.parameters());
        for (((_, adam), (_, var)), gradient) in parameters.zip(of_planes) {
            step_parameter(var, adam, gradient, rates.planes)?;
        }
        self.step_rest(&branch.field, of_rest, rates.other)
    }

    /// One step of the parameters after the planes.
    ///
    /// # Errors
    /// [`Error::Internal`] when there are not as many gradients.
    pub(super) fn step_rest(&mut self, field: &Field, gradients: &[Tensor], rate: f32) -> Result<()> {
        let planes = self.planes();
        let rest = &mut self.parameters[planes..];
        if rest.len() != gradients.len() {
            let (found, expected) = (gradients.len(), rest.len());
            return Err(Error::Internal(format!("{found} gradients for {expected} parameters")));
        }
        let parameters = &field.parameters()[planes..];
        let all = rest.par_iter_mut().zip(parameters).zip(gradients);
        all.try_for_each(|(((_, adam), (_, var)), gradient)| step_parameter(var, adam, gradient, rate))
    }

    /// Number of planes, which come first among the parameters.
    pub(super) fn planes(&self) -> usize {
        self.parameters.iter().take_while(|(name, _)| name.starts_with(PLANES)).count()
    }
}

fn step_parameter(var: &Var, adam: &mut Adam, gradient: &Tensor, rate: f32) -> Result<()> {
    let mut values: Vec<f32> = var.flatten_all()?.to_vec1()?;
    let gradient: Vec<f32> = gradient.flatten_all()?.to_vec1()?;
    adam.step(&mut values, &gradient, &[rate]);
    Ok(var.set(&Tensor::from_vec(values, var.shape(), var.device())?)?)
}

#[cfg(test)]
#[path = "moments_tests.rs"]
mod tests;
