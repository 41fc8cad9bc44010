//! The optimiser's side of the field: Adam for each of its named parameters, on the host whatever the field's
//! device, so that a checkpoint is the same everywhere.

use super::adam::Adam;
use crate::Result;
use crate::field::{Field, FieldGradients};
use candle_core::Tensor;

/// Names of the tri-planes begin so; they learn at a rate of their own.
const PLANES: &str = "planes.";

/// Adam for every parameter of a field, in the field's order.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldMoments {
    adams: Vec<(String, Adam)>,
}

impl FieldMoments {
    /// Fresh moments for `field`.
    pub fn new(field: &Field) -> Self {
        let adam = |(name, var): &(String, candle_core::Var)| (name.clone(), Adam::new(var.elem_count()));
        FieldMoments { adams: field.parameters().iter().map(adam).collect() }
    }

    /// One step of every parameter: planes at `grid_rate`, the rest at `rate`.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] when the field's device fails.
    pub fn step(
        &mut self,
        field: &Field,
        gradients: &FieldGradients,
        grid_rate: f32,
        rate: f32,
    ) -> Result<()> {
        let pairs = field.parameters().iter().zip(&gradients.parameters);
        for ((name, adam), ((_, var), gradient)) in self.adams.iter_mut().zip(pairs) {
            let mut values: Vec<f32> = var.flatten_all()?.to_vec1()?;
            let gradient: Vec<f32> = gradient.flatten_all()?.to_vec1()?;
            let rate = if name.starts_with(PLANES) { grid_rate } else { rate };
            adam.step(&mut values, &gradient, &[rate]);
            var.set(&Tensor::from_vec(values, var.shape(), var.device())?)?;
        }
        Ok(())
    }

    /// Every state with the name of its parameter, for checkpoints.
    pub fn arrays_mut(&mut self) -> impl Iterator<Item = (String, &mut Adam)> {
        self.adams.iter_mut().map(|(name, adam)| (format!("field.{name}"), adam))
    }
}
