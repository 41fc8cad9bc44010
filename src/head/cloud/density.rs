//! How the cloud grows and shrinks (adaptive density control, 3DGS, Kerbl et al. 2023, §5.2, on the screen
//! gradients of 2DGS).
//!
//! Three steps, each of its own: [`DensityStats`] gathers what the rasterizer saw, [`decide`] makes an
//! [`EditList`] of it and changes nothing, the list is applied to the cloud and to every array that runs along
//! with it (optimiser moments). The same inputs and seed give the same list.

use crate::head::cloud::init::logit;
use crate::head::cloud::quaternion;
use crate::head::cloud::surfels::{Cloud, EMBEDDING};
use crate::{Error, Result};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// What the surfels did on the screen since the last edit, each array `[surfels]`.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize, serde::Deserialize)]
pub struct DensityStats {
    /// Sum of the norms of the screen gradient over the views that saw the surfel.
    pub gradient: Vec<f32>,
    /// Number of those views.
    pub views: Vec<u32>,
    /// Largest screen radius, pixels.
    pub radius: Vec<u32>,
}

impl DensityStats {
    /// Nothing seen yet of `surfels` surfels.
    pub fn new(surfels: usize) -> Self {
        DensityStats { gradient: vec![0.0; surfels], views: vec![0; surfels], radius: vec![0; surfels] }
    }

    /// Adds the views of one pass: `radii` `[frames, surfels]`, 0 where a surfel is not drawn, and the
    /// densification signal `screen` `[frames, surfels, 2]`.
    ///
    /// # Errors
    /// [`Error::Internal`] when the lengths do not belong together.
    pub fn add(&mut self, radii: &[u32], screen: &[f32]) -> Result<()> {
        let n = self.gradient.len();
        if screen.len() != radii.len() * 2
            || (n == 0 && !radii.is_empty())
            || (n > 0 && !radii.len().is_multiple_of(n))
        {
            let found = format!("{} radii, {} screen gradients for {n} surfels", radii.len(), screen.len());
            return Err(Error::Internal(found));
        }
        for (row, (&radius, pull)) in radii.iter().zip(screen.chunks_exact(2)).enumerate() {
            if radius > 0 {
                let i = row % n;
                self.gradient[i] += pull[0].hypot(pull[1]);
                self.views[i] += 1;
                self.radius[i] = self.radius[i].max(radius);
            }
        }
        Ok(())
    }

    fn mean_gradient(&self, i: usize) -> f32 {
        if self.views[i] == 0 { 0.0 } else { self.gradient[i] / self.views[i] as f32 }
    }
}

/// When to grow and when to prune.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DensityOptions {
    /// Size of the initial cloud ([`crate::head::cloud::init::extent`]); world sizes below are parts of it.
    pub extent: f32,
    /// Surfels grow where the mean screen gradient reaches this; infinite turns growing off.
    pub gradient_threshold: f32,
    /// Larger than this part of the extent a surfel is split, otherwise cloned.
    pub split_scale: f32,
    /// Fainter than this a surfel goes.
    pub min_opacity: f32,
    /// Wider on the screen than this many pixels it goes; `None` lets it.
    pub max_radius: Option<u32>,
    /// Larger than this part of the extent it goes; `None` lets it.
    pub max_scale: Option<f32>,
    /// Never more surfels than this.
    pub max_points: usize,
    /// Seed of where the halves of a split land.
    pub seed: u64,
    /// Step of the training, so that each edit draws other numbers.
    pub step: u64,
}

impl Default for DensityOptions {
    /// The values of SyncGaussianTalker's coarse stage after its first 3000 steps.
    fn default() -> Self {
        DensityOptions {
            extent: 1.0,
            gradient_threshold: 0.001,
            split_scale: 0.01,
            min_opacity: 0.005,
            max_radius: Some(20),
            max_scale: Some(0.1),
            max_points: 50_000,
            seed: 0,
            step: 0,
        }
    }
}

/// Where a row of the edited cloud comes from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Origin {
    /// It is the old row.
    Kept,
    /// It is a copy of a row that stays.
    Cloned,
    /// It is one of two that take the place of a row: moved by `offset` in the world, 1.6 times smaller.
    Split {
        /// From the centre of the old row, units of the dataset.
        offset: [f32; 3],
    },
}

/// How many surfels an edit made and took away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EditCounts {
    /// Copied.
    pub cloned: usize,
    /// Split in two.
    pub split: usize,
    /// Gone because too faint.
    pub faint: usize,
    /// Gone because too large, on the screen or in the world.
    pub large: usize,
    /// Gone because a parameter was infinite or NaN.
    pub broken: usize,
}

/// The rows of the edited cloud: kept ones in their old order, then clones, then halves; those of the inside of the mouth last.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct EditList {
    /// Old row and what became of it, one for each new row.
    pub rows: Vec<(u32, Origin)>,
    /// What was done.
    pub counts: EditCounts,
    /// Rows before the edit.
    before: usize,
    /// Rows of the inside of the mouth after it; they are the last.
    mouth: usize,
}

/// A half is this much smaller than the whole (3DGS: 0.8 times the number of parts).
const SHRINK: f32 = 1.6;

/// Decides what to clone, split and prune. When more want to grow than `max_points` leaves room for, the
/// steepest do.
///
/// # Errors
/// [`Error::Internal`] when the statistics belong to another cloud.
pub fn decide(cloud: &Cloud, stats: &DensityStats, options: &DensityOptions) -> Result<EditList> {
    let n = cloud.len();
    if stats.gradient.len() != n || cloud.log_scales.len() != n * 2 || n > u32::MAX as usize {
        return Err(Error::Internal(format!("statistics of {} surfels for {n}", stats.gradient.len())));
    }
    let mut counts = EditCounts::default();
    let faintest = logit(options.min_opacity.clamp(0.0, 1.0));
    let size = |i: usize| cloud.log_scales[i * 2].max(cloud.log_scales[i * 2 + 1]).exp();
    let mut stays = vec![true; n];
    for (i, stay) in stays.iter_mut().enumerate() {
        let wide = options.max_radius.is_some_and(|limit| stats.radius[i] > limit);
        let big = options.max_scale.is_some_and(|limit| size(i) > limit * options.extent);
        let count = match () {
            () if !is_finite(cloud, i) => &mut counts.broken,
            () if cloud.opacity_logits[i] < faintest => &mut counts.faint,
            () if wide || big => &mut counts.large,
            () => continue,
        };
        *count += 1;
        *stay = false;
    }

    let staying = stays.iter().filter(|&&s| s).count();
    let mut growing: Vec<usize> = (0..n)
        .filter(|&i| stays[i] && stats.views[i] > 0 && stats.mean_gradient(i) >= options.gradient_threshold)
        .collect();
    growing.sort_by(|&a, &b| stats.mean_gradient(b).total_cmp(&stats.mean_gradient(a)).then(a.cmp(&b)));
    // A clone adds one; a split adds two and takes one.
    growing.truncate(options.max_points.saturating_sub(staying));
    growing.sort_unstable();
    let (split, cloned): (Vec<usize>, Vec<usize>) =
        growing.into_iter().partition(|&i| size(i) > options.split_scale * options.extent);
    split.iter().for_each(|&i| stays[i] = false);
    (counts.cloned, counts.split) = (cloned.len(), split.len());

    let mut random = ChaCha8Rng::seed_from_u64(options.seed);
    random.set_stream(options.step);
    let mut rows: Vec<(u32, Origin)> =
        (0..n).filter(|&i| stays[i]).map(|i| (i as u32, Origin::Kept)).collect();
    rows.extend(cloned.iter().map(|&i| (i as u32, Origin::Cloned)));
    for &i in &split {
        for _ in 0..2 {
            rows.push((i as u32, Origin::Split { offset: in_disc(cloud, i, &mut random) }));
        }
    }
    let first_of_mouth = cloud.first_of_mouth() as u32;
    // The sort keeps the order within either.
    rows.sort_by_key(|(source, _)| *source >= first_of_mouth);
    let mouth = rows.iter().filter(|(source, _)| *source >= first_of_mouth).count();
    Ok(EditList { rows, counts, before: n, mouth })
}

impl EditList {
    /// True when the edit changes nothing.
    pub fn is_empty(&self) -> bool {
        self.counts == EditCounts::default()
    }

    /// Edits the cloud.
    ///
    /// # Errors
    /// [`Error::Internal`] when the list was made for another cloud.
    pub fn apply(&self, cloud: &mut Cloud) -> Result<()> {
        let colours = cloud.bands() * 3;
        for (array, stride) in [
            (&mut cloud.positions, 3),
            (&mut cloud.rotations, 4),
            (&mut cloud.log_scales, 2),
            (&mut cloud.opacity_logits, 1),
            (&mut cloud.harmonics, colours),
            (&mut cloud.embedding, EMBEDDING),
        ] {
            *array = self.gather(array, stride, |_| true)?;
        }
        cloud.mouth.surfels = self.mouth;
        for (row, (_, origin)) in self.rows.iter().enumerate() {
            if let Origin::Split { offset } = origin {
                (0..3).for_each(|k| cloud.positions[row * 3 + k] += offset[k]);
                (0..2).for_each(|k| cloud.log_scales[row * 2 + k] -= SHRINK.ln());
            }
        }
        Ok(())
    }

    /// Edits an array `[surfels, stride]` that runs along with the cloud, such as moments of an optimiser: kept
    /// rows stay, new rows are zero.
    ///
    /// # Errors
    /// [`Error::Internal`] when the array does not have the rows the list was made for.
    pub fn apply_moments(&self, array: &mut Vec<f32>, stride: usize) -> Result<()> {
        *array = self.gather(array, stride, |origin| matches!(origin, Origin::Kept))?;
        Ok(())
    }

    fn gather(&self, array: &[f32], stride: usize, copies: impl Fn(&Origin) -> bool) -> Result<Vec<f32>> {
        if array.len() != self.before * stride {
            let found = format!("{} values for {} rows of {stride}", array.len(), self.before);
            return Err(Error::Internal(found));
        }
        let mut out = Vec::with_capacity(self.rows.len() * stride);
        for (source, origin) in &self.rows {
            let start = *source as usize * stride;
            match copies(origin) {
                true => out.extend_from_slice(&array[start..start + stride]),
                false => out.resize(out.len() + stride, 0.0),
            }
        }
        Ok(out)
    }
}

fn is_finite(cloud: &Cloud, i: usize) -> bool {
    let finite =
        |array: &[f32], stride: usize| array[i * stride..(i + 1) * stride].iter().all(|v| v.is_finite());
    finite(&cloud.positions, 3)
        && finite(&cloud.rotations, 4)
        && finite(&cloud.log_scales, 2)
        && finite(&cloud.opacity_logits, 1)
        && finite(&cloud.harmonics, cloud.bands() * 3)
        && finite(&cloud.embedding, EMBEDDING)
}

/// A point of the disc drawn from its own Gaussian, relative to its centre.
fn in_disc(cloud: &Cloud, i: usize, random: &mut ChaCha8Rng) -> [f32; 3] {
    let q = &cloud.rotations[i * 4..i * 4 + 4];
    let [u, v, _] = quaternion::axes(quaternion::normalized([q[0], q[1], q[2], q[3]]));
    let [a, b] = normal_pair(random);
    let (a, b) = (a * cloud.log_scales[i * 2].exp(), b * cloud.log_scales[i * 2 + 1].exp());
    std::array::from_fn(|k| a * u[k] + b * v[k])
}

/// Two independent normal numbers (Box and Muller 1958).
fn normal_pair(random: &mut ChaCha8Rng) -> [f32; 2] {
    // 24 bits fit f32; the half keeps the logarithm away from zero.
    let mut uniform = || ((random.next_u32() >> 8) as f32 + 0.5) / (1u32 << 24) as f32;
    let (radius, angle) = ((-2.0 * uniform().ln()).sqrt(), std::f32::consts::TAU * uniform());
    [radius * angle.cos(), radius * angle.sin()]
}

#[cfg(test)]
#[path = "density_tests.rs"]
mod tests;
