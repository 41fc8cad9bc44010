//! The optimiser's side of the field: Adam for each of its named parameters and for the embedding of the surfels. On the
//! CPU over slices, elsewhere with tensors where the field is, so that nothing visits the host.

use super::adam::{Adam, BETA1, BETA2, EPSILON, corrections};
use crate::head::Branch;
use crate::head::field::{Field, FieldGradients, LearnRates, Learned};
use crate::{Error, Result};
use candle_core::{Device, Tensor, Var};

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

/// Adam for the embedding and every parameter of a field, each where it is.
#[derive(Debug)]
pub struct FieldMoments {
    /// Of the field's parameters.
    names: Vec<String>,
    embedding: Embedding,
    /// Those on the host, by their number among the field's.
    host: Vec<(usize, Adam)>,
    /// The others: planes, and the rest.
    device: Vec<Flat>,
}

#[derive(Debug)]
enum Embedding {
    Host(Adam),
    Device(Flat),
}

/// Several parameters, one after the other in one tensor, on the field's device.
#[derive(Debug)]
struct Flat {
    /// Which of the field's parameters, and how many numbers each has.
    members: Vec<(usize, usize)>,
    /// Whether these are planes.
    planes: bool,
    /// The parameters, once a step was taken.
    values: Option<Tensor>,
    first: Tensor,
    second: Tensor,
    steps: u64,
}

impl FieldMoments {
    /// Fresh moments for the field of `head` and its embedding.
    ///
    /// # Errors
    /// [`Error::Internal`] when the field's device fails.
    pub fn new(head: &Branch) -> Result<Self> {
        Self::with(&head.field, head.cloud.embedding.len(), Device::is_cpu)
    }

    fn with(field: &Field, embedding: usize, on_host: impl Fn(&Device) -> bool) -> Result<Self> {
        let names: Vec<String> = field.parameters().iter().map(|(name, _)| name.clone()).collect();
        let (mut host, mut planes, mut rest) = (Vec::new(), Vec::new(), Vec::new());
        for (i, (name, var)) in field.parameters().iter().enumerate() {
            let count = var.elem_count();
            match (on_host(var.device()), name.starts_with(PLANES)) {
                (true, _) => host.push((i, Adam::new(count))),
                (false, true) => planes.push((i, count)),
                (false, false) => rest.push((i, count)),
            }
        }
        let groups = [(planes, true), (rest, false)].into_iter().filter(|(members, _)| !members.is_empty());
        let device = groups.map(|(members, planes)| Flat::new(members, planes, field.device()));
        let embedding = match on_host(field.device()) {
            true => Embedding::Host(Adam::new(embedding)),
            false => Embedding::Device(Flat::new(vec![(0, embedding)], false, field.device())?),
        };
        Ok(FieldMoments { names, embedding, host, device: device.collect::<Result<_>>()? })
    }

    /// One step of every parameter and of the embedding.
    ///
    /// # Errors
    /// [`Error::Internal`] when the field's device fails.
    pub fn step(&mut self, head: &mut Branch, gradients: &FieldGradients, rates: &FieldRates) -> Result<()> {
        let of_embedding = gradients.embedding.flatten_all()?.detach();
        match &mut self.embedding {
            Embedding::Host(adam) => {
                adam.step(&mut head.cloud.embedding, &of_embedding.to_vec1()?, &[rates.embedding]);
                head.embedding_changed()?;
            }
            Embedding::Device(flat) => {
                let shape = head.embedding().shape().clone();
                flat.values = Some(head.embedding().flatten_all()?.detach());
                head.set_embedding(flat.step(&of_embedding, rates.embedding)?.reshape(shape)?);
            }
        }
        let rate = |planes: bool| if planes { rates.planes } else { rates.other };
        for (i, adam) in &mut self.host {
            let (name, var) = &head.field.parameters()[*i];
            step_on_host(var, adam, &gradients.parameters[*i], rate(name.starts_with(PLANES)))?;
        }
        for flat in &mut self.device {
            flat.step_parameters(&head.field, gradients, rate(flat.planes))?;
        }
        Ok(())
    }

    /// One step of the parameters after the planes, which are on the host.
    ///
    /// # Errors
    /// [`Error::Internal`] when there are not as many gradients.
    pub fn step_rest(&mut self, field: &Field, gradients: &[Tensor], rate: f32) -> Result<()> {
        let rest: Vec<_> =
            self.host.iter_mut().filter(|(i, _)| !self.names[*i].starts_with(PLANES)).collect();
        if rest.len() != gradients.len() {
            return Err(Error::Internal(format!(
                "{} gradients for {} parameters",
                gradients.len(),
                rest.len()
            )));
        }
        for ((i, adam), gradient) in rest.into_iter().zip(gradients) {
            step_on_host(&field.parameters()[*i].1, adam, gradient, rate)?;
        }
        Ok(())
    }

    /// Planes and embedding with their moments, for who learns them elsewhere.
    ///
    /// # Errors
    /// [`Error::Internal`] when they are not on the host.
    pub fn learned(&self, head: &Branch) -> Result<Learned<Vec<f32>>> {
        let Embedding::Host(own) = &self.embedding else {
            return Err(Error::Internal("moments that are not on the host".into()));
        };
        let mut learned = Learned::default();
        learned.planes[0] = head.field.plane_values()?;
        learned.embedding = [head.cloud.embedding.clone(), own.first.clone(), own.second.clone()];
        for (_, adam) in self.host.iter().filter(|(i, _)| self.names[*i].starts_with(PLANES)) {
            let [_, first, second] = &mut learned.planes;
            first.extend_from_slice(&adam.first);
            second.extend_from_slice(&adam.second);
        }
        Ok(learned)
    }

    /// Steps that the moments of planes and embedding have seen.
    pub fn learned_steps(&self) -> [u64; 2] {
        let planes = self.host.iter().find(|(i, _)| self.names[*i].starts_with(PLANES));
        let embedding = match &self.embedding {
            Embedding::Host(adam) => adam.steps,
            Embedding::Device(flat) => flat.steps,
        };
        [planes.map_or(0, |(_, adam)| adam.steps), embedding]
    }

    /// Takes planes, embedding and their moments back after so many steps.
    ///
    /// # Errors
    /// [`Error::Internal`] when there are not as many numbers.
    pub fn take(&mut self, learned: Learned<Vec<f32>>, steps: [u64; 2], head: &mut Branch) -> Result<()> {
        let Learned { planes: [values, first, second], embedding: [own, own_first, own_second] } = learned;
        let mut at = 0;
        for (i, adam) in self.host.iter_mut().filter(|(i, _)| self.names[*i].starts_with(PLANES)) {
            let var = &head.field.parameters()[*i].1;
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
        self.embedding = Embedding::Host(Adam { first: own_first, second: own_second, steps: steps[1] });
        head.cloud.embedding = own;
        head.embedding_changed()
    }

    /// Every state with the name of its parameter, for checkpoints.
    ///
    /// # Errors
    /// [`Error::Internal`] when the field's device fails.
    pub fn arrays(&self) -> Result<Vec<(String, Adam)>> {
        let mut fields: Vec<(usize, Adam)> = self.host.clone();
        for flat in &self.device {
            fields.extend(flat.members.iter().map(|(i, _)| *i).zip(flat.to_host()?));
        }
        fields.sort_by_key(|(i, _)| *i);
        let own = match &self.embedding {
            Embedding::Host(adam) => adam.clone(),
            Embedding::Device(flat) => flat.to_host()?.into_iter().next().unwrap_or_default(),
        };
        let named = fields.into_iter().map(|(i, adam)| (format!("field.{}", self.names[i]), adam));
        Ok(std::iter::once((EMBEDDING.to_owned(), own)).chain(named).collect())
    }

    /// Takes what [`FieldMoments::arrays`] gave, in its order.
    ///
    /// # Errors
    /// [`Error::Internal`] when counts disagree or the field's device fails.
    pub fn set(&mut self, arrays: Vec<Adam>) -> Result<()> {
        let mut arrays = arrays.into_iter();
        let wrong = || Error::Internal("moments of another field".into());
        let own = arrays.next().ok_or_else(wrong)?;
        let mut fields: Vec<Adam> = arrays.collect();
        if fields.len() != self.names.len() {
            return Err(wrong());
        }
        for flat in &mut self.device {
            let adams: Vec<&Adam> = flat.members.iter().map(|(i, _)| &fields[*i]).collect();
            flat.load(&adams)?;
        }
        self.host.iter_mut().for_each(|(i, adam)| *adam = std::mem::take(&mut fields[*i]));
        match &mut self.embedding {
            Embedding::Host(adam) => *adam = own,
            Embedding::Device(flat) => flat.load_one(&own)?,
        }
        Ok(())
    }

    /// Lets `edit` change the embedding's state, as surfels come and go.
    ///
    /// # Errors
    /// What `edit` returns; [`Error::Internal`] when the field's device fails.
    pub fn edit_embedding(&mut self, edit: impl FnOnce(&mut Adam) -> Result<()>) -> Result<()> {
        match &mut self.embedding {
            Embedding::Host(adam) => edit(adam),
            Embedding::Device(flat) => {
                let mut adam = flat.to_host()?.into_iter().next().unwrap_or_default();
                edit(&mut adam)?;
                flat.load_one(&adam)
            }
        }
    }
}

fn step_on_host(var: &Var, adam: &mut Adam, gradient: &Tensor, rate: f32) -> Result<()> {
    let mut values: Vec<f32> = var.flatten_all()?.to_vec1()?;
    let gradient: Vec<f32> = gradient.flatten_all()?.to_vec1()?;
    adam.step(&mut values, &gradient, &[rate]);
    Ok(var.set(&Tensor::from_vec(values, var.shape(), var.device())?)?)
}

impl Flat {
    fn new(members: Vec<(usize, usize)>, planes: bool, device: &Device) -> Result<Self> {
        let count: usize = members.iter().map(|(_, count)| count).sum();
        let zeros = || Tensor::zeros(count, candle_core::DType::F32, device);
        Ok(Flat { members, planes, values: None, first: zeros()?, second: zeros()?, steps: 0 })
    }

    /// One step of the parameters of a field.
    fn step_parameters(&mut self, field: &Field, gradients: &FieldGradients, rate: f32) -> Result<()> {
        if self.values.is_none() {
            let flat = self.members.iter().map(|(i, _)| Ok(field.parameters()[*i].1.flatten_all()?.detach()));
            self.values = Some(Tensor::cat(&flat.collect::<Result<Vec<_>>>()?, 0)?);
        }
        let flat = self.members.iter().map(|(i, _)| Ok(gradients.parameters[*i].flatten_all()?.detach()));
        let gradient = Tensor::cat(&flat.collect::<Result<Vec<_>>>()?, 0)?;
        let values = self.step(&gradient, rate)?;
        let mut at = 0;
        for (i, count) in &self.members {
            let var = &field.parameters()[*i].1;
            var.set(&values.narrow(0, at, *count)?.reshape(var.shape())?)?;
            at += count;
        }
        Ok(())
    }

    /// [`Adam::step`] with tensors; the new values.
    fn step(&mut self, gradient: &Tensor, rate: f32) -> Result<Tensor> {
        let Some(values) = &self.values else {
            return Err(Error::Internal("a step of Adam without parameters".into()));
        };
        self.steps += 1;
        let [c1, c2] = corrections(self.steps).map(f64::from);
        let [keep1, keep2] = [BETA1, BETA2].map(f64::from);
        let [new1, new2] = [BETA1, BETA2].map(|beta| f64::from(1.0 - beta));
        self.first = ((&self.first * keep1)? + (gradient * new1)?)?;
        self.second = ((&self.second * keep2)? + (gradient.sqr()? * new2)?)?;
        let length = ((&self.second / c2)?.sqrt()? + f64::from(EPSILON))?;
        let way = ((&self.first * (f64::from(rate) / c1))? / length)?;
        let values = (values - way)?;
        self.values = Some(values.clone());
        Ok(values)
    }

    fn to_host(&self) -> Result<Vec<Adam>> {
        let (first, second): (Vec<f32>, Vec<f32>) = (self.first.to_vec1()?, self.second.to_vec1()?);
        let mut at = 0;
        let part = |&(_, count): &(usize, usize)| {
            let here = at..at + count;
            at += count;
            Adam { first: first[here.clone()].to_vec(), second: second[here].to_vec(), steps: self.steps }
        };
        Ok(self.members.iter().map(part).collect())
    }

    /// Takes the state of one parameter, of any length.
    fn load_one(&mut self, adam: &Adam) -> Result<()> {
        self.members = vec![(0, adam.first.len())];
        self.load(&[adam])
    }

    fn load(&mut self, adams: &[&Adam]) -> Result<()> {
        let device = self.first.device().clone();
        let fits = adams.iter().zip(&self.members).all(|(adam, (_, count))| adam.first.len() == *count);
        let steps = adams.first().map_or(0, |adam| adam.steps);
        if !fits || adams.iter().any(|adam| adam.steps != steps || adam.second.len() != adam.first.len()) {
            return Err(Error::Internal("moments of another field".into()));
        }
        let tensor = |part: fn(&Adam) -> &Vec<f32>| -> Result<Tensor> {
            let all: Vec<f32> = adams.iter().flat_map(|adam| part(adam)).copied().collect();
            let count = all.len();
            Ok(Tensor::from_vec(all, count, &device)?)
        };
        (self.first, self.second) = (tensor(|a| &a.first)?, tensor(|a| &a.second)?);
        (self.steps, self.values) = (steps, None);
        Ok(())
    }
}

#[cfg(test)]
#[path = "field_moments_tests.rs"]
mod tests;
