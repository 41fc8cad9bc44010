//! The network from rows of speech features to phone classes and curves of the lips, and its training.

use super::phones::{CLASSES, CURVES};
use super::random::Random;
use candle_core::{D, DType, Device, Result, Tensor, Var};
use candle_nn::optim::{AdamW, Optimizer, ParamsAdamW};
use std::collections::HashMap;

/// Values of a row.
pub const FEATURES: usize = 192;
/// Rows that are looked at: the one asked about and those before it.
pub const ROWS: usize = 5;
/// Widths of the layers.
const HIDDEN: [usize; 2] = [128, 32];
const BATCH: usize = 256;
const LEARNING_RATE: f64 = 2e-3;
const DROPOUT: f64 = 0.2;
/// Share of a class's probability that is spread over all.
const SMOOTHING: f64 = 0.05;
/// How much the curves count beside the classes.
const CURVE_WEIGHT: f64 = 6.0;

/// Rows of many sounds, one after the other.
#[derive(Default)]
pub struct Examples {
    /// `[n, 192]`.
    pub features: Vec<f32>,
    /// For each row the first row of its sound.
    pub first: Vec<usize>,
    pub classes: Vec<u32>,
    /// `[n, 4]`.
    pub curves: Vec<f32>,
}

impl Examples {
    pub fn len(&self) -> usize {
        self.classes.len()
    }

    /// What the network sees for a row: the four before it, the first of the sound repeated, and itself.
    fn window(&self, row: usize, to: &mut Vec<f32>) {
        for back in (0..ROWS).rev() {
            let at = row.saturating_sub(back).max(self.first[row]);
            to.extend_from_slice(&self.features[at * FEATURES..(at + 1) * FEATURES]);
        }
    }

    fn inputs(&self, rows: &[usize]) -> Result<Tensor> {
        let mut windows = Vec::with_capacity(rows.len() * ROWS * FEATURES);
        rows.iter().for_each(|row| self.window(*row, &mut windows));
        Tensor::from_vec(windows, (rows.len(), ROWS * FEATURES), &Device::Cpu)
    }

    /// Mean and deviation of each of the 192 values.
    fn moments(&self) -> [Vec<f32>; 2] {
        let count = self.len().max(1) as f64;
        let (mut sum, mut square) = (vec![0.0f64; FEATURES], vec![0.0f64; FEATURES]);
        for row in self.features.chunks_exact(FEATURES) {
            for ((s, q), v) in sum.iter_mut().zip(&mut square).zip(row) {
                *s += f64::from(*v);
                *q += f64::from(*v).powi(2);
            }
        }
        let deviation = |(s, q): (&f64, &f64)| (q / count - (s / count).powi(2)).max(1e-12).sqrt() as f32;
        let deviation = sum.iter().zip(&square).map(deviation).collect();
        [sum.iter().map(|s| (s / count) as f32).collect(), deviation]
    }
}

/// Weight `[outputs, inputs]` and bias of each layer.
pub struct Network(Vec<(Var, Var)>);

impl Network {
    fn new(random: &mut Random) -> Result<Self> {
        let widths = [ROWS * FEATURES, HIDDEN[0], HIDDEN[1], CLASSES.len() + CURVES];
        let layer = |(k, pair): (usize, &[usize])| {
            let (inputs, outputs) = (pair[0], pair[1]);
            let gain = if k == 0 { 2.0 } else { 1.0 };
            let scale = (gain / inputs as f64).sqrt();
            let weight: Vec<f32> = (0..inputs * outputs).map(|_| (scale * random.normal()) as f32).collect();
            let weight = Var::from_tensor(&Tensor::from_vec(weight, (outputs, inputs), &Device::Cpu)?)?;
            Ok((weight, Var::zeros(outputs, DType::F32, &Device::Cpu)?))
        };
        widths.windows(2).enumerate().map(layer).collect::<Result<_>>().map(Network)
    }

    fn layer(&self, k: usize, x: &Tensor) -> Result<Tensor> {
        let (weight, bias) = &self.0[k];
        x.matmul(&weight.t()?)?.broadcast_add(bias)
    }

    /// Classes as logits `[n, 36]`, and curves `[n, 4]`; `mask` is what is left of the first layer.
    fn forward(&self, x: &Tensor, mask: Option<&Tensor>) -> Result<(Tensor, Tensor)> {
        let mut x = self.layer(0, x)?.relu()?;
        if let Some(mask) = mask {
            x = (x * mask)?;
        }
        let x = self.layer(2, &self.layer(1, &x)?.tanh()?)?;
        Ok((x.narrow(1, 0, CLASSES.len())?, x.narrow(1, CLASSES.len(), CURVES)?))
    }

    /// Trains on examples; `say` is told how far it is.
    pub fn train(
        examples: &Examples,
        steps: usize,
        random: &mut Random,
        say: impl Fn(usize, f64),
    ) -> Result<Self> {
        let mut network = Self::new(random)?;
        let [mean, deviation] = examples.moments().map(|values| values.repeat(ROWS));
        let row = |values: &[f32]| Tensor::from_slice(values, (1, ROWS * FEATURES), &Device::Cpu);
        let (mean, deviation) = (row(&mean)?, row(&deviation)?);
        let variables = network.0.iter().flat_map(|(w, b)| [w.clone(), b.clone()]).collect();
        let mut adam = AdamW::new(
            variables,
            ParamsAdamW { lr: LEARNING_RATE, weight_decay: 0.01, ..Default::default() },
        )?;
        for step in 0..steps {
            let rows: Vec<usize> = (0..BATCH).map(|_| random.below(examples.len())).collect();
            let x = examples.inputs(&rows)?.broadcast_sub(&mean)?.broadcast_div(&deviation)?;
            let keep = |_| if random.unit() < DROPOUT { 0.0 } else { (1.0 / (1.0 - DROPOUT)) as f32 };
            let mask: Vec<f32> = (0..BATCH * HIDDEN[0]).map(keep).collect();
            let mask = Tensor::from_vec(mask, (BATCH, HIDDEN[0]), &Device::Cpu)?;
            let (logits, curves) = network.forward(&x, Some(&mask))?;
            let log = candle_nn::ops::log_softmax(&logits, D::Minus1)?;
            let classes: Vec<u32> = rows.iter().map(|row| examples.classes[*row]).collect();
            let right = log.gather(&Tensor::from_vec(classes, (BATCH, 1), &Device::Cpu)?, 1)?.mean_all()?;
            let entropy = ((right * (SMOOTHING - 1.0))? - (log.mean_all()? * SMOOTHING)?)?;
            let wanted: Vec<f32> =
                rows.iter().flat_map(|r| &examples.curves[r * CURVES..(r + 1) * CURVES]).copied().collect();
            let wanted = Tensor::from_vec(wanted, (BATCH, CURVES), &Device::Cpu)?;
            let loss = (entropy + ((curves - wanted)?.sqr()?.mean_all()? * CURVE_WEIGHT)?)?;
            let part = step as f64 / steps as f64;
            adam.set_learning_rate(0.5 * LEARNING_RATE * (1.0 + (std::f64::consts::PI * part).cos()));
            adam.backward_step(&loss)?;
            if step % 500 == 0 {
                say(step, f64::from(loss.to_scalar::<f32>()?));
            }
        }
        network.take_in(&mean, &deviation)?;
        Ok(network)
    }

    /// Makes the first layer bring its inputs to mean 0 and deviation 1 by itself.
    fn take_in(&mut self, mean: &Tensor, deviation: &Tensor) -> Result<()> {
        let (weight, bias) = &self.0[0];
        let scaled = weight.broadcast_div(deviation)?;
        let moved = (bias.as_tensor() - scaled.matmul(&mean.t()?)?.flatten_all()?)?;
        self.0[0] = (Var::from_tensor(&scaled)?, Var::from_tensor(&moved)?);
        Ok(())
    }

    /// Share of rows of the right class, and mean squared error of the curves.
    pub fn score(&self, examples: &Examples) -> Result<(f64, f64)> {
        let (mut right, mut error) = (0usize, 0.0);
        let rows: Vec<usize> = (0..examples.len()).collect();
        for rows in rows.chunks(4096) {
            let (logits, curves) = self.forward(&examples.inputs(rows)?, None)?;
            let found = logits.argmax(D::Minus1)?.to_vec1::<u32>()?;
            right += rows.iter().zip(found).filter(|(row, class)| examples.classes[**row] == *class).count();
            let curves = curves.flatten_all()?.to_vec1::<f32>()?;
            let wanted = rows.iter().flat_map(|row| &examples.curves[row * CURVES..(row + 1) * CURVES]);
            error += curves.iter().zip(wanted).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>();
        }
        let count = examples.len().max(1) as f64;
        Ok((right as f64 / count, error / (count * CURVES as f64)))
    }

    /// Named as the product reads them, kernels of 16 bits.
    pub fn tensors(&self) -> Result<HashMap<String, Tensor>> {
        let mut tensors = HashMap::new();
        for (k, (weight, bias)) in self.0.iter().enumerate() {
            tensors.insert(format!("{k}.weight"), weight.to_dtype(DType::F16)?);
            tensors.insert(format!("{k}.bias"), bias.as_tensor().clone());
        }
        Ok(tensors)
    }
}
