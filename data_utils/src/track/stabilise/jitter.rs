//! The number that poses are judged by.

use super::patches::Patch;
use super::pictures::Pictures;
use super::register::register;
use crate::error::Result;
use crate::track::math::median;
use crate::track::pose::{Lens, Pose};

/// How far the face wanders in the frames once the poses are removed, pixels. Patches of still skin are averaged over
/// all frames as the poses put them there, and found again in each frame; what they move together, against their own
/// mean place, is the poses' fault.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Jitter {
    /// Deviation over time of the common motion of all patches, along x and y.
    pub common: [f64; 2],
    /// Deviation of its change from one frame to the next.
    pub frame_to_frame: [f64; 2],
    /// Median over the patches of the deviation of a single one: skin moves by itself as well.
    pub single: f64,
    /// Patches that were found in at least half of the frames.
    pub patches: usize,
}

/// What is left of the face's motion, over time and in numbers.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Wander {
    /// The numbers.
    pub jitter: Jitter,
    /// The common motion of all patches in each frame, pixels along x and y; none where nothing was found.
    pub path: Vec<Option<[f64; 2]>>,
}

impl Wander {
    /// Measures it.
    pub(super) fn of(
        pictures: &Pictures,
        patches: &[Patch],
        lens: &Lens,
        seen: &[bool],
        poses: &[Pose],
    ) -> Result<Self> {
        let shifts = register(pictures, patches, poses, lens, seen)?;
        let frames: Vec<usize> = (0..seen.len()).filter(|i| seen[*i]).collect();
        let mut paths = Vec::new();
        let path = |p: usize| -> Vec<[f64; 2]> {
            frames.iter().filter_map(|i| shifts[*i][p].map(|s| s.by)).collect()
        };
        for (p, found) in (0..patches.len()).map(|p| (p, path(p))) {
            if 2 * found.len() < frames.len() || found.is_empty() {
                continue;
            }
            let mean = [0, 1].map(|k| found.iter().map(|v| v[k]).sum::<f64>() / found.len() as f64);
            paths.push((p, mean, deviation(&found).iter().map(|v| v * v).sum::<f64>().sqrt()));
        }
        let common: Vec<Option<[f64; 2]>> = (0..seen.len())
            .map(|i| {
                let moved = |(p, mean, _): &(usize, [f64; 2], f64)| {
                    let shift = shifts[i].get(*p).copied().flatten()?;
                    Some(([shift.by[0] - mean[0], shift.by[1] - mean[1]], shift.worth))
                };
                together(paths.iter().filter_map(moved))
            })
            .collect();
        let change = |pair: &[Option<[f64; 2]>]| {
            let (a, b) = (pair[0]?, pair[1]?);
            Some([b[0] - a[0], b[1] - a[1]])
        };
        let changes: Vec<[f64; 2]> = common.windows(2).filter_map(change).collect();
        let jitter = Jitter {
            common: deviation(&common.iter().copied().flatten().collect::<Vec<_>>()),
            frame_to_frame: deviation(&changes),
            single: median(paths.iter().map(|p| p.2).collect()),
            patches: paths.len(),
        };
        Ok(Wander { jitter, path: common })
    }
}

/// The mean of shifts, each worth what its texture says along each direction: (ΣW)⁻¹·ΣW·d.
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
