//! The measure that poses are judged by.

use super::bundle::calm;
use super::patches::Patch;
use super::pictures::Pictures;
use super::register::register;
use crate::error::Result;
use crate::track::math::median;
use crate::track::pose::{Lens, Pose};

/// The motion of the face that remains in the frames once the poses are removed, pixels. Patches of skin of the upper
/// face are averaged over all frames at the positions that the poses predict, and found again in each frame; motion
/// that all of them have in common is an error of the poses.
///
/// Skin also moves by itself: the forehead slides over the skull by two pixels when the brows are raised. So patches
/// that move by themselves have less weight, by the same rule as when the poses are fitted.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Jitter {
    /// Standard deviation over time of the common motion of all patches, along x and y.
    pub common: [f64; 2],
    /// Standard deviation of its change from one frame to the next.
    pub frame_to_frame: [f64; 2],
    /// Standard deviation of the common motion with equal weights for all patches, so that brows and forehead are in it.
    pub alike: [f64; 2],
    /// Median over the patches of the standard deviation of a single one.
    pub single: f64,
    /// Patches that were found in at least half of the frames.
    pub patches: usize,
}

/// The motion of the face that the poses leave, over time and in numbers.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ResidualMotion {
    /// The numbers.
    pub jitter: Jitter,
    /// The common motion of all patches in each frame, pixels along x and y; none where nothing was found.
    pub path: Vec<Option<[f64; 2]>>,
}

impl ResidualMotion {
    /// Measures the motion that `poses` leave.
    pub(super) fn of(
        pictures: &Pictures,
        patches: &[Patch],
        lens: &Lens,
        seen: &[bool],
        poses: &[Pose],
    ) -> Result<Self> {
        let shifts = register(pictures, patches, poses, lens, seen)?;
        let frames: Vec<usize> = (0..seen.len()).filter(|i| seen[*i]).collect();
        let path = |p: usize| -> Vec<[f64; 2]> {
            frames.iter().filter_map(|i| shifts[*i][p].map(|s| s.by)).collect()
        };
        let enough = |found: &Vec<[f64; 2]>| 2 * found.len() >= frames.len() && !found.is_empty();
        let judge = |p: usize| Some(path(p)).filter(enough).map(|found| Judge::new(p, &found));
        let judges: Vec<Judge> = (0..patches.len()).filter_map(judge).collect();
        let together = |count: &dyn Fn(&Judge) -> f64| -> Vec<Option<[f64; 2]>> {
            let moved = |i: usize, j: &Judge| {
                let shift = shifts[i].get(j.patch).copied().flatten()?;
                let by = [shift.by[0] - j.mean[0], shift.by[1] - j.mean[1]];
                Some((by, shift.worth.map(|w| w * count(j))))
            };
            (0..seen.len()).map(|i| together(judges.iter().filter_map(|j| moved(i, j)))).collect()
        };
        let (common, alike) = (together(&|j| j.calm), together(&|_| 1.0));
        let change = |pair: &[Option<[f64; 2]>]| {
            let (a, b) = (pair[0]?, pair[1]?);
            Some([b[0] - a[0], b[1] - a[1]])
        };
        let changes: Vec<[f64; 2]> = common.windows(2).filter_map(change).collect();
        let known = |path: &[Option<[f64; 2]>]| path.iter().copied().flatten().collect::<Vec<_>>();
        let jitter = Jitter {
            common: deviation(&known(&common)),
            frame_to_frame: deviation(&changes),
            alike: deviation(&known(&alike)),
            single: median(judges.iter().map(|j| j.single).collect()),
            patches: judges.len(),
        };
        Ok(ResidualMotion { jitter, path: common })
    }
}

/// A patch that was found in enough frames: its mean position, its deviation from that, and its weight.
struct Judge {
    patch: usize,
    mean: [f64; 2],
    single: f64,
    calm: f64,
}

impl Judge {
    fn new(patch: usize, found: &[[f64; 2]]) -> Self {
        let mean = [0, 1].map(|k| found.iter().map(|v| v[k]).sum::<f64>() / found.len().max(1) as f64);
        let single = deviation(found).iter().map(|v| v * v).sum::<f64>().sqrt();
        Judge { patch, mean, single, calm: calm(found) }
    }
}

/// The mean of shifts, each weighted by its texture along each direction: (ΣW)⁻¹·ΣW·d.
fn together(shifts: impl Iterator<Item = ([f64; 2], [f64; 3])>) -> Option<[f64; 2]> {
    let (mut w, mut sum) = ([0.0; 3], [0.0; 2]);
    for (d, worth) in shifts {
        (0..3).for_each(|k| w[k] += worth[k]);
        sum[0] += worth[0] * d[0] + worth[1] * d[1];
        sum[1] += worth[1] * d[0] + worth[2] * d[1];
    }
    let determinant = w[0] * w[2] - w[1] * w[1];
    (determinant > 1e-12).then(|| {
        [(w[2] * sum[0] - w[1] * sum[1]) / determinant, (w[0] * sum[1] - w[1] * sum[0]) / determinant]
    })
}

fn deviation(values: &[[f64; 2]]) -> [f64; 2] {
    let count = values.len().max(1) as f64;
    [0, 1].map(|k| {
        let mean = values.iter().map(|v| v[k]).sum::<f64>() / count;
        (values.iter().map(|v| (v[k] - mean).powi(2)).sum::<f64>() / count).sqrt()
    })
}
