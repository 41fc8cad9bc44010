//! From parameters to what is drawn, and gradients back.
//!
//! A raw parameter of a frame is the cloud's own plus that frame's delta (GaussianTalker, Cho et al. 2024); then
//! quaternions are normalised, scales are eˣ, opacities the logistic function (3DGS, Kerbl et al. 2023, §4).
//! Harmonics and positions are drawn as they are; attention weights come from the deltas alone. Arrays are
//! frame-major, then surfel, then component. Sums over frames run in frame order, so results do not depend
//! on the number of threads.

use crate::head::cloud::delta_layout::DeltaLayout;
use crate::head::cloud::quaternion::{normalized, normalized_vjp};
use crate::head::cloud::surfels::Cloud;
use crate::raster::{Behind, Colors, SurfelBatch, SurfelGradients};
use crate::{Error, Result};
use rayon::prelude::*;
use std::ops::Range;

/// What the inside of the mouth shows in the attention image: its last channel, which is the frame's elsewhere, tells where the
/// mouth is seen.
pub const MOUTH_ATTENTION: [f32; 4] = [0.0, 0.0, 0.0, 1.0];

/// What the field says about each surfel in each frame.
#[derive(Debug, Clone, Copy)]
pub struct Deltas<'a> {
    /// Meaning of the columns.
    pub layout: &'a DeltaLayout,
    /// Number of frames.
    pub frames: usize,
    /// `[frames, surfels, layout.width]`.
    pub values: &'a [f32],
}

/// A cloud ready to be drawn: one copy, or one for each frame of the deltas.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Activated {
    /// Number of copies.
    pub copies: usize,
    /// Surfels in one copy.
    pub surfels: usize,
    /// Degree of the harmonics drawn.
    pub sh_degree: usize,
    /// `[copies, surfels, 3]`.
    pub positions: Vec<f32>,
    /// Unit quaternions (w, x, y, z), `[copies, surfels, 4]`.
    pub rotations: Vec<f32>,
    /// Standard deviations, `[copies, surfels, 2]`.
    pub scales: Vec<f32>,
    /// 0..1, `[copies, surfels]`.
    pub opacities: Vec<f32>,
    /// `[copies, surfels, (sh_degree + 1)², 3]`.
    pub harmonics: Vec<f32>,
    /// `[copies, surfels, 4]`; empty without deltas that carry them.
    pub attention: Vec<f32>,
    /// Which surfels are drawn behind the others.
    pub behind: Option<Behind>,
}

impl Activated {
    /// The same arrays as the rasterizer takes them.
    pub fn batch(&self) -> SurfelBatch<'_> {
        SurfelBatch {
            surfels: self.surfels,
            copies: self.copies,
            positions: &self.positions,
            rotations: &self.rotations,
            scales: &self.scales,
            opacities: &self.opacities,
            colors: Colors::Harmonics { degree: self.sh_degree, coefficients: &self.harmonics },
            attention: (!self.attention.is_empty()).then_some(self.attention.as_slice()),
            behind: self.behind,
        }
    }
}

/// Gradients with respect to the fields of [`Cloud`] (summed over frames) and to the packed deltas.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RawGradients {
    /// `[surfels, 3]`.
    pub positions: Vec<f32>,
    /// With respect to the quaternions as they are stored, `[surfels, 4]`.
    pub rotations: Vec<f32>,
    /// `[surfels, 2]`.
    pub log_scales: Vec<f32>,
    /// `[surfels]`.
    pub opacity_logits: Vec<f32>,
    /// As [`Cloud::harmonics`]; zero in bands above the degree that was drawn.
    pub harmonics: Vec<f32>,
    /// `[frames, surfels, layout.width]`; empty without deltas.
    pub deltas: Vec<f32>,
}

/// Activates `cloud` with harmonics up to `sh_degree` (at most the cloud's), moved by `deltas` where given.
///
/// # Errors
/// [`Error::Internal`] when lengths or the layout disagree with the cloud.
pub fn activate(cloud: &Cloud, sh_degree: usize, deltas: Option<&Deltas<'_>>) -> Result<Activated> {
    check(cloud, sh_degree, deltas)?;
    let n = cloud.len();
    let copies = deltas.map_or(1, |d| d.frames);
    let floats = 3 * (sh_degree + 1).pow(2);
    let rows = copies * n;
    let attends = deltas.is_some_and(|d| !d.layout.attention.is_empty());
    let raw = Raw { cloud, deltas, n, first_of_mouth: cloud.first_of_mouth() };
    let mut out = Activated {
        copies,
        surfels: n,
        sh_degree,
        positions: vec![0.0; rows * 3],
        rotations: vec![0.0; rows * 4],
        scales: vec![0.0; rows * 2],
        opacities: vec![0.0; rows],
        harmonics: vec![0.0; rows * floats],
        attention: vec![0.0; if attends { rows * 4 } else { 0 }],
        behind: cloud.behind(),
    };
    out.positions
        .par_chunks_exact_mut(3)
        .enumerate()
        .for_each(|(row, p)| p.copy_from_slice(&raw.position(row)));
    out.rotations
        .par_chunks_exact_mut(4)
        .enumerate()
        .for_each(|(row, q)| q.copy_from_slice(&normalized(raw.rotation(row))));
    out.scales.par_chunks_exact_mut(2).enumerate().for_each(|(row, s)| {
        let raw = raw.log_scale(row);
        s.copy_from_slice(&raw.map(f32::exp));
    });
    out.opacities.par_iter_mut().enumerate().for_each(|(row, o)| *o = logistic(raw.opacity(row)));
    out.harmonics.par_chunks_exact_mut(floats).enumerate().for_each(|(row, h)| raw.harmonics(row, h));
    if let Some(d) = deltas.filter(|_| attends) {
        out.attention
            .par_chunks_exact_mut(4)
            .zip(d.values.par_chunks_exact(d.layout.width))
            .enumerate()
            .for_each(|(row, (a, delta))| match raw.is_mouth(row) {
                true => a.copy_from_slice(&MOUTH_ATTENTION),
                false => a.copy_from_slice(&delta[d.layout.attention.clone()]),
            });
    }
    Ok(out)
}

/// Takes gradients with respect to `activated` (what [`activate`] made of the same cloud and deltas) back to the
/// parameters and deltas. An empty gradient array counts as zero.
///
/// # Errors
/// [`Error::Internal`] when lengths disagree.
pub fn activate_vjp(
    cloud: &Cloud,
    deltas: Option<&Deltas<'_>>,
    activated: &Activated,
    gradients: &SurfelGradients,
) -> Result<RawGradients> {
    check(cloud, activated.sh_degree, deltas)?;
    let n = cloud.len();
    let copies = deltas.map_or(1, |d| d.frames);
    let floats = 3 * (activated.sh_degree + 1).pow(2);
    let rows = copies * n;
    let fits = |values: &[f32], stride: usize| values.is_empty() || values.len() == rows * stride;
    let raw = Raw { cloud, deltas, n, first_of_mouth: cloud.first_of_mouth() };
    let back = Back { raw, activated, gradients, floats };
    if activated.copies != copies
        || activated.surfels != n
        || !(fits(&gradients.positions, 3)
            && fits(&gradients.rotations, 4)
            && fits(&gradients.scales, 2)
            && fits(&gradients.opacities, 1)
            && fits(&gradients.colors, floats)
            && fits(&gradients.attention, 4))
    {
        return Err(Error::Internal("gradients do not belong to the activated cloud".into()));
    }

    let stored = 3 * cloud.bands();
    let mut out = RawGradients {
        positions: vec![0.0; n * 3],
        rotations: vec![0.0; n * 4],
        log_scales: vec![0.0; n * 2],
        opacity_logits: vec![0.0; n],
        harmonics: vec![0.0; n * stored],
        deltas: vec![0.0; deltas.map_or(0, |d| rows * d.layout.width)],
    };
    sum_frames(&mut out.positions, 3, copies, |row| back.position(row));
    sum_frames(&mut out.rotations, 4, copies, |row| back.rotation(row));
    sum_frames(&mut out.log_scales, 2, copies, |row| back.log_scale(row));
    sum_frames(&mut out.opacity_logits, 1, copies, |row| [back.opacity(row)]);
    out.harmonics.par_chunks_exact_mut(stored).enumerate().for_each(|(i, sum)| {
        for frame in 0..copies {
            sum.iter_mut().zip(back.harmonics(frame * n + i)).for_each(|(s, g)| *s += g);
        }
    });
    if let Some(d) = deltas {
        let l = d.layout;
        out.deltas.par_chunks_exact_mut(l.width.max(1)).enumerate().for_each(|(row, delta)| {
            put(delta, &l.position, || back.position(row));
            put(delta, &l.log_scale, || back.log_scale(row));
            if back.raw.is_mouth(row) {
                return;
            }
            put(delta, &l.rotation, || back.rotation(row));
            put(delta, &l.opacity, || [back.opacity(row)]);
            delta[l.harmonics.clone()].iter_mut().zip(back.harmonics(row)).for_each(|(d, g)| *d = *g);
            put(delta, &l.attention, || four(&gradients.attention, row));
        });
    }
    Ok(out)
}

/// The raw parameters of row `frame · n + surfel`.
struct Raw<'a> {
    cloud: &'a Cloud,
    deltas: Option<&'a Deltas<'a>>,
    n: usize,
    first_of_mouth: usize,
}

impl Raw<'_> {
    fn is_mouth(&self, row: usize) -> bool {
        row % self.n >= self.first_of_mouth
    }

    /// As [`Raw::delta`], of what the field leaves alone inside the mouth.
    fn skin_delta(&self, row: usize, columns: impl Fn(&DeltaLayout) -> &Range<usize>) -> &[f32] {
        if self.is_mouth(row) { &[] } else { self.delta(row, columns) }
    }

    fn delta(&self, row: usize, columns: impl Fn(&DeltaLayout) -> &Range<usize>) -> &[f32] {
        match self.deltas {
            Some(d) => {
                let columns = columns(d.layout);
                let start = row * d.layout.width;
                if columns.is_empty() { &[] } else { &d.values[start + columns.start..start + columns.end] }
            }
            None => &[],
        }
    }

    fn sum<const N: usize>(own: &[f32], row: usize, delta: &[f32]) -> [f32; N] {
        std::array::from_fn(|k| own[row * N + k] + delta.get(k).copied().unwrap_or(0.0))
    }

    fn position(&self, row: usize) -> [f32; 3] {
        Self::sum(&self.cloud.positions, row % self.n, self.delta(row, |l| &l.position))
    }

    fn rotation(&self, row: usize) -> [f32; 4] {
        Self::sum(&self.cloud.rotations, row % self.n, self.skin_delta(row, |l| &l.rotation))
    }

    fn log_scale(&self, row: usize) -> [f32; 2] {
        Self::sum(&self.cloud.log_scales, row % self.n, self.delta(row, |l| &l.log_scale))
    }

    fn opacity(&self, row: usize) -> f32 {
        let [logit] =
            Self::sum(&self.cloud.opacity_logits, row % self.n, self.skin_delta(row, |l| &l.opacity));
        logit
    }

    /// The first `out.len()` coefficients.
    fn harmonics(&self, row: usize, out: &mut [f32]) {
        let start = row % self.n * 3 * self.cloud.bands();
        out.copy_from_slice(&self.cloud.harmonics[start..start + out.len()]);
        out.iter_mut().zip(self.skin_delta(row, |l| &l.harmonics)).for_each(|(h, d)| *h += d);
    }
}

/// Gradients with respect to the raw parameters of row `frame · n + surfel`.
struct Back<'a> {
    raw: Raw<'a>,
    activated: &'a Activated,
    gradients: &'a SurfelGradients,
    floats: usize,
}

impl Back<'_> {
    fn position(&self, row: usize) -> [f32; 3] {
        at(&self.gradients.positions, row)
    }

    fn rotation(&self, row: usize) -> [f32; 4] {
        normalized_vjp(self.raw.rotation(row), four(&self.gradients.rotations, row))
    }

    fn log_scale(&self, row: usize) -> [f32; 2] {
        let g: [f32; 2] = at(&self.gradients.scales, row);
        std::array::from_fn(|k| g[k] * self.activated.scales[row * 2 + k])
    }

    fn opacity(&self, row: usize) -> f32 {
        let (o, [g]) = (self.activated.opacities[row], at(&self.gradients.opacities, row));
        g * o * (1.0 - o)
    }

    fn harmonics(&self, row: usize) -> &[f32] {
        let start = row * self.floats;
        self.gradients.colors.get(start..start + self.floats).unwrap_or(&[])
    }
}

fn at<const N: usize>(values: &[f32], row: usize) -> [f32; N] {
    std::array::from_fn(|k| values.get(row * N + k).copied().unwrap_or(0.0))
}

fn four(values: &[f32], row: usize) -> [f32; 4] {
    at(values, row)
}

fn put<const N: usize>(delta: &mut [f32], columns: &Range<usize>, gradient: impl FnOnce() -> [f32; N]) {
    if !columns.is_empty() {
        delta[columns.clone()].copy_from_slice(&gradient());
    }
}

fn sum_frames<const N: usize>(
    out: &mut [f32],
    stride: usize,
    frames: usize,
    gradient: impl Fn(usize) -> [f32; N] + Sync,
) {
    let n = out.len() / stride;
    out.par_chunks_exact_mut(stride).enumerate().for_each(|(i, sum)| {
        for frame in 0..frames {
            sum.iter_mut().zip(gradient(frame * n + i)).for_each(|(s, g)| *s += g);
        }
    });
}

fn logistic(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

fn check(cloud: &Cloud, sh_degree: usize, deltas: Option<&Deltas<'_>>) -> Result<()> {
    let n = cloud.len();
    if cloud.positions.len() != n * 3
        || cloud.rotations.len() != n * 4
        || cloud.log_scales.len() != n * 2
        || cloud.harmonics.len() != n * 3 * cloud.bands()
        || sh_degree > cloud.sh_degree
    {
        return Err(Error::Internal(format!("arrays of a cloud of {n} surfels disagree")));
    }
    let Some(d) = deltas else { return Ok(()) };
    d.layout.check((sh_degree + 1).pow(2).max(cloud.bands()))?;
    if d.values.len() != d.frames * n * d.layout.width {
        let (found, width) = (d.values.len(), d.layout.width);
        return Err(Error::Internal(format!("{found} delta values for {} × {n} × {width}", d.frames)));
    }
    Ok(())
}

#[cfg(test)]
#[path = "activate_tests.rs"]
mod tests;
