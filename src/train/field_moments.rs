//! The optimiser's side of the field: Adam for each of its named parameters and for the embedding of the surfels.

use super::adam::{Adam, corrections};
use crate::head::Branch;
use crate::head::field::{Field, FieldGradients, LearnRates, Learned};
use crate::{Error, Result};
use candle_core::{Tensor, Var};

/// Names of the tri-planes begin so; they learn at a rate of their own.
const PLANES: &str = "planes.";
/// The embedding's name among the arrays.
pub(super) const EMBEDDING: &str = "cloud.embedding";

/// Learning rates of a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FieldRates {
    /// Of the tri-planes.
    pub planes: f32,
    /// Of the field's other parameters.
    pub other: f32,
    /// Of the embedding.
    pub embedding: f32,
}

impl FieldRates {
    /// For planes and embedding, after so many steps of either.
    pub(super) fn on_device(&self, steps: [u64; 2]) -> LearnRates {
        let [plane_corrections, embedding_corrections] = steps.map(corrections);
        LearnRates {
            planes: self.planes,
            embedding: self.embedding,
            plane_corrections,
            embedding_corrections,
        }
    }
}

/// Adam for the embedding and every parameter of a field.
#[derive(Debug)]
pub struct FieldMoments {
    embedding: Adam,
    /// With their names, in the order of [`Field::parameters`]: planes first.
    parameters: Vec<(String, Adam)>,
}

impl FieldMoments {
    /// Fresh moments for the field of `head` and its embedding.
    pub fn new(head: &Branch) -> Self {
        let parameters = head.field.parameters().iter();
        let parameters = parameters.map(|(name, var)| (name.clone(), Adam::new(var.elem_count()))).collect();
        FieldMoments { embedding: Adam::new(head.cloud.embedding.len()), parameters }
    }

    /// One step of every parameter and of the embedding.
    ///
    /// # Errors
    /// [`Error::Internal`] when candle fails.
    pub fn step(&mut self, head: &mut Branch, gradients: &FieldGradients, rates: &FieldRates) -> Result<()> {
        let of_embedding: Vec<f32> = gradients.embedding.flatten_all()?.to_vec1()?;
        self.embedding.step(&mut head.cloud.embedding, &of_embedding, &[rates.embedding]);
        head.embedding_changed()?;
        let parameters = self.parameters.iter_mut().zip(head.field.parameters());
        for (((name, adam), (_, var)), gradient) in parameters.zip(&gradients.parameters) {
            let rate = if name.starts_with(PLANES) { rates.planes } else { rates.other };
            step_parameter(var, adam, gradient, rate)?;
        }
        Ok(())
    }

    /// Planes with their moments, and the others.
    fn split(&mut self) -> (&mut [(String, Adam)], &mut [(String, Adam)]) {
        let planes = self.parameters.iter().take_while(|(name, _)| name.starts_with(PLANES)).count();
        self.parameters.split_at_mut(planes)
    }

    /// One step of the parameters after the planes.
    ///
    /// # Errors
    /// [`Error::Internal`] when there are not as many gradients.
    pub fn step_rest(&mut self, field: &Field, gradients: &[Tensor], rate: f32) -> Result<()> {
        let (planes, rest) = self.split();
        if rest.len() != gradients.len() {
            let (found, expected) = (gradients.len(), rest.len());
            return Err(Error::Internal(format!("{found} gradients for {expected} parameters")));
        }
        let parameters = &field.parameters()[planes.len()..];
        for (((_, adam), (_, var)), gradient) in rest.iter_mut().zip(parameters).zip(gradients) {
            step_parameter(var, adam, gradient, rate)?;
        }
        Ok(())
    }

    /// Planes and embedding with their moments, for who learns them elsewhere.
    ///
    /// # Errors
    /// [`Error::Internal`] when candle fails.
    pub fn learned(&mut self, head: &Branch) -> Result<Learned<Vec<f32>>> {
        let mut learned = Learned::default();
        learned.planes[0] = head.field.plane_values()?;
        let own = &self.embedding;
        learned.embedding = [head.cloud.embedding.clone(), own.first.clone(), own.second.clone()];
        for (_, adam) in self.split().0 {
            let [_, first, second] = &mut learned.planes;
            first.extend_from_slice(&adam.first);
            second.extend_from_slice(&adam.second);
        }
        Ok(learned)
    }

    /// Steps that the moments of planes and embedding have seen.
    pub fn learned_steps(&self) -> [u64; 2] {
        [self.parameters.first().map_or(0, |(_, adam)| adam.steps), self.embedding.steps]
    }

    /// Takes planes, embedding and their moments back after so many steps.
    ///
    /// # Errors
    /// [`Error::Internal`] when there are not as many numbers.
    pub fn take(&mut self, learned: Learned<Vec<f32>>, steps: [u64; 2], head: &mut Branch) -> Result<()> {
        let Learned { planes: [values, first, second], embedding: [own, own_first, own_second] } = learned;
        let mut at = 0;
        for ((_, adam), (_, var)) in self.split().0.iter_mut().zip(head.field.parameters()) {
            let here = at..at + var.elem_count();
            at = here.end;
            let part = |of: &[f32]| of.get(here.clone()).map(<[f32]>::to_vec);
            let (Some(values), Some(first), Some(second)) = (part(&values), part(&first), part(&second))
            else {
                return Err(Error::Internal(format!("{} numbers of planes came back", values.len())));
            };
            var.set(&Tensor::from_vec(values, var.shape(), var.device())?)?;
            *adam = Adam { first, second, steps: steps[0] };
        }
        self.embedding = Adam { first: own_first, second: own_second, steps: steps[1] };
        head.cloud.embedding = own;
        head.embedding_changed()
    }

    /// Every state with the name of its parameter, for checkpoints.
    pub fn arrays(&self) -> Vec<(String, Adam)> {
        let named = self.parameters.iter().map(|(name, adam)| (format!("field.{name}"), adam.clone()));
        std::iter::once((EMBEDDING.to_owned(), self.embedding.clone())).chain(named).collect()
    }

    /// Takes what [`FieldMoments::arrays`] gave, in its order.
    ///
    /// # Errors
    /// [`Error::Internal`] when counts disagree.
    pub fn set(&mut self, arrays: Vec<Adam>) -> Result<()> {
        if arrays.len() != 1 + self.parameters.len() {
            return Err(Error::Internal("moments of another field".into()));
        }
        let all = std::iter::once(&mut self.embedding).chain(self.parameters.iter_mut().map(|(_, a)| a));
        all.zip(arrays).for_each(|(to, adam)| *to = adam);
        Ok(())
    }

    /// Lets `edit` change the embedding's state, as surfels come and go.
    ///
    /// # Errors
    /// What `edit` returns.
    pub fn edit_embedding(&mut self, edit: impl FnOnce(&mut Adam) -> Result<()>) -> Result<()> {
        edit(&mut self.embedding)
    }
}

fn step_parameter(var: &Var, adam: &mut Adam, gradient: &Tensor, rate: f32) -> Result<()> {
    let mut values: Vec<f32> = var.flatten_all()?.to_vec1()?;
    let gradient: Vec<f32> = gradient.flatten_all()?.to_vec1()?;
    adam.step(&mut values, &gradient, &[rate]);
    Ok(var.set(&Tensor::from_vec(values, var.shape(), var.device())?)?)
}

#[cfg(test)]
#[path = "field_moments_tests.rs"]
mod tests;
