//! Dense optical flow by RAFT-small (Teed & Deng, "RAFT: Recurrent All-Pairs Field Transforms for Optical Flow", ECCV
//! 2020, arXiv:2003.12039), with the published weights `raft-small.pth`.
//!
//! Both pictures are encoded as features at 1/8 of their size; every feature of the first is correlated with every one
//! of the second (`correlation`); starting from zero flow, a recurrent network reads the correlations around where the
//! flow leads and corrects it, twelve times.

mod convolution;
mod correlation;
mod encoder;
#[cfg(test)]
mod tests;

use crate::error::{Error, Result};
use crate::formats::weights;
use crate::network::{Conv, Named};
use candle_core::{Device, Tensor};
use convolution::conv;
use correlation::{CHANNELS, Pyramid};
use encoder::Encoder;
use image::RgbImage;
use std::collections::BTreeMap;
use std::path::Path;

/// Pixels along a side of a feature cell.
pub const CELL: u32 = 8;
/// Least and most pixels of a side: the coarsest correlation needs two cells, and memory grows with the fourth power.
pub const SIDES: [u32; 2] = [128, 1024];
/// Corrections of the flow.
const ROUNDS: usize = 12;
/// Channels of the features, of the recurrent state and of the constant context.
const FEATURES: usize = 128;
const HIDDEN: usize = 96;
const CONTEXT: usize = 64;
/// Channels of the motion features.
const MOTION: usize = 82;
/// Prefixes of tensor names: in the published file, in SyncTalk's fine-tuned one, and in plain ones.
const PREFIXES: [&str; 3] = ["module.", "net_C.", ""];

/// The network.
#[derive(Debug, Clone)]
pub struct Raft {
    features: Encoder,
    context: Encoder,
    compared: Conv,
    moved: [Conv; 2],
    motion: Conv,
    /// Update, reset and candidate of the gated recurrent unit.
    gates: [Conv; 3],
    head: [Conv; 2],
}

/// The encoded picture that flows start from.
#[derive(Debug, Clone)]
pub struct Source {
    /// Features, `[128, cells]`, columns fastest.
    features: Tensor,
    hidden: Tensor,
    context: Tensor,
    /// Columns and rows of cells.
    cells: [usize; 2],
}

/// The flow from one picture to another.
#[derive(Debug, Clone, PartialEq)]
pub struct Flow {
    /// Columns and rows of cells.
    cells: [usize; 2],
    /// Movement in cells along x, then along y, `[2, rows, columns]`.
    values: Vec<f32>,
}

impl Raft {
    /// Reads `raft-small.pth` (or the same tensors as safetensors).
    ///
    /// # Errors
    /// [`Error::Input`] when the file is damaged, names code, or holds another network.
    pub fn open(path: &Path) -> Result<Raft> {
        Raft::from_tensors(path, &weights::read(path)?)
    }

    /// The network of tensors by their names; `origin` names their file in errors.
    ///
    /// # Errors
    /// [`Error::Input`] when a tensor is missing, has another shape, or numbers that are none.
    pub fn from_tensors(origin: &Path, tensors: &BTreeMap<String, Tensor>) -> Result<Raft> {
        let begins = |p: &&str| tensors.keys().any(|name| name.starts_with(&format!("{p}fnet.")));
        let prefix = PREFIXES.into_iter().find(begins).unwrap_or_default();
        let named = Named { tensors, origin, published: "raft-small.pth" };
        let update = |name: &str, shape: [usize; 3], relu: bool| {
            conv(&named, &format!("{prefix}update_block.{name}"), shape, 1, relu)
        };
        let gate = |name: &str| update(name, [HIDDEN, HIDDEN + CONTEXT + MOTION, 3], false);
        Ok(Raft {
            features: Encoder::new(&named, &format!("{prefix}fnet"), FEATURES, true)?,
            context: Encoder::new(&named, &format!("{prefix}cnet"), HIDDEN + CONTEXT, false)?,
            compared: update("encoder.convc1", [96, CHANNELS, 1], true)?,
            moved: [
                update("encoder.convf1", [64, 2, 7], true)?,
                update("encoder.convf2", [32, 64, 3], true)?,
            ],
            motion: update("encoder.conv", [MOTION - 2, 128, 3], true)?,
            gates: [gate("gru.convz")?, gate("gru.convr")?, gate("gru.convq")?],
            head: [
                update("flow_head.conv1", [128, HIDDEN, 3], true)?,
                update("flow_head.conv2", [2, 128, 3], false)?,
            ],
        })
    }

    /// Encodes the picture that flows start from.
    ///
    /// # Errors
    /// [`Error::Input`] for sides that are no multiples of 8 from 128 to 1024.
    pub fn source(&self, picture: &RgbImage) -> Result<Source> {
        let x = planes(picture)?;
        let features = flat(&self.features.forward(&x)?)?;
        let context = self.context.forward(&x)?;
        Ok(Source {
            features,
            hidden: context.narrow(1, 0, HIDDEN)?.tanh()?,
            context: context.narrow(1, HIDDEN, CONTEXT)?.relu()?,
            cells: [picture.width(), picture.height()].map(|v| (v / CELL) as usize),
        })
    }

    /// The flow from the picture of `from` to `to`, a picture of the same size.
    ///
    /// # Errors
    /// [`Error::Input`] for a picture of another size.
    pub fn flow(&self, from: &Source, to: &RgbImage) -> Result<Flow> {
        let [columns, rows] = from.cells;
        if [to.width(), to.height()].map(|v| (v / CELL) as usize) != from.cells {
            let found = format!("{} × {}", to.width(), to.height());
            let expected = format!("{columns} × {rows} cells of {CELL} pixels");
            return Err(Error::input("a picture", expected, found, "cut both pictures to one size"));
        }
        let pyramid =
            Pyramid::new(&from.features, &flat(&self.features.forward(&planes(to)?)?)?, from.cells)?;
        let mut hidden = from.hidden.clone();
        let mut values = vec![0f32; 2 * columns * rows];
        for _ in 0..ROUNDS {
            let seen = Tensor::from_vec(pyramid.around(&values), (1, CHANNELS, rows, columns), &Device::Cpu)?;
            let flow = Tensor::from_slice(&values, (1, 2, rows, columns), &Device::Cpu)?;
            let moved = self.moved[1].forward(&self.moved[0].forward(&flow)?)?;
            let both = Tensor::cat(&[&self.compared.forward(&seen)?, &moved], 1)?;
            let input = Tensor::cat(&[&from.context, &self.motion.forward(&both)?, &flow], 1)?;
            hidden = self.remember(&hidden, &input)?;
            let step = self.head[1].forward(&self.head[0].forward(&hidden)?)?;
            let step = step.flatten_all()?.to_vec1::<f32>()?;
            values.iter_mut().zip(&step).for_each(|(v, s)| *v += s);
        }
        Ok(Flow { cells: from.cells, values })
    }

    /// The gated recurrent unit: h ← (1 − z)·h + z·q.
    fn remember(&self, hidden: &Tensor, input: &Tensor) -> Result<Tensor> {
        let both = Tensor::cat(&[hidden, input], 1)?;
        let z = candle_nn::ops::sigmoid(&self.gates[0].forward(&both)?)?;
        let r = candle_nn::ops::sigmoid(&self.gates[1].forward(&both)?)?;
        let q = self.gates[2].forward(&Tensor::cat(&[&(r * hidden)?, input], 1)?)?.tanh()?;
        Ok((hidden + (z * (q - hidden)?)?)?)
    }
}

impl Flow {
    /// The flow at the centre of pixel (column, row) of the first picture, pixels along x and y; bilinear between cells,
    /// corners aligned.
    pub fn at(&self, column: f64, row: f64) -> [f64; 2] {
        let [columns, rows] = self.cells;
        let place = |at: f64, cells: usize| {
            let last = (cells * CELL as usize - 1) as f64;
            let v = at.clamp(0.0, last) * (cells - 1) as f64 / last;
            let low = (v as usize).min(cells.saturating_sub(2));
            (low, v - low as f64)
        };
        let ((x, fx), (y, fy)) = (place(column, columns), place(row, rows));
        [0, 1].map(|k| {
            let cell = |dx: usize, dy: usize| {
                let at = (k * rows + (y + dy).min(rows - 1)) * columns + (x + dx).min(columns - 1);
                self.values.get(at).map_or(0.0, |v| f64::from(*v))
            };
            let top = cell(0, 0) * (1.0 - fx) + cell(1, 0) * fx;
            let bottom = cell(0, 1) * (1.0 - fx) + cell(1, 1) * fx;
            f64::from(CELL) * (top * (1.0 - fy) + bottom * fy)
        })
    }
}

/// `[1, 3, height, width]`, −1 to 1.
fn planes(picture: &RgbImage) -> Result<Tensor> {
    let (width, height) = picture.dimensions();
    let fits = |v: u32| v.is_multiple_of(CELL) && (SIDES[0]..=SIDES[1]).contains(&v);
    if !fits(width) || !fits(height) {
        let expected = format!("sides from {} to {}, multiples of {CELL}", SIDES[0], SIDES[1]);
        return Err(Error::input("a picture", expected, format!("{width} × {height}"), "cut or pad it"));
    }
    let values: Vec<f32> =
        (0..3).flat_map(|k| picture.pixels().map(move |p| 2.0 * (f32::from(p.0[k]) / 255.0) - 1.0)).collect();
    Ok(Tensor::from_vec(values, (1, 3, height as usize, width as usize), &Device::Cpu)?)
}

/// `[1, channels, rows, columns]` as `[channels, cells]`.
fn flat(x: &Tensor) -> Result<Tensor> {
    Ok(x.squeeze(0)?.flatten_from(1)?)
}
