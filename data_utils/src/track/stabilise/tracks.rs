//! The alternative to Lucas–Kanade: dense optical flow from the reference frame to every frame. It is slower and as good
//! on skin, and it does not need initial poses that are nearly right.

use super::super::flow::{CELL, Flow, Raft, SIDES};
use super::super::pose::{Lens, Pose};
use super::patches::Patch;
use super::register::{Shift, Shifts};
use crate::error::{Error, Result};
use image::RgbImage;
use rayon::prelude::*;

/// Margin around the patches in the network's input, pixels.
const MARGIN: f64 = 24.0;
/// Largest difference between flow and predicted movement that is accepted, pixels.
const FARTHEST: f64 = 48.0;
/// Distance between the nine points of a patch at which the flow is read, pixels: its middle and eight around it.
const AROUND: f64 = 6.0;

/// Follows patches by optical flow.
#[derive(Clone, Copy)]
pub struct FlowTracker<'a> {
    /// The network.
    pub network: &'a Raft,
    /// Reads a frame in colour; may be called from many threads.
    pub read: &'a (dyn Fn(usize) -> Result<RgbImage> + Sync),
}

impl std::fmt::Debug for FlowTracker<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FlowTracker").finish_non_exhaustive()
    }
}

/// Where each patch is in each frame, pixels from the edge.
pub(super) type Tracks = Vec<Vec<Option<[f64; 2]>>>;

/// The part of a picture that the network gets: its corner and its sides.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Window {
    corner: [i64; 2],
    sides: [u32; 2],
}

impl Window {
    /// A window around points, with sides that the network accepts.
    fn around(places: &[[f64; 2]]) -> Self {
        let range = |k: usize| {
            let (low, high) =
                places.iter().fold((f64::MAX, f64::MIN), |(l, h), p| (l.min(p[k]), h.max(p[k])));
            let side = (((high - low + 2.0 * MARGIN) / f64::from(CELL)).ceil() as u32).saturating_mul(CELL);
            let side = side.clamp(SIDES[0], SIDES[1]);
            (((low + high - f64::from(side)) / 2.0).round() as i64, side)
        };
        let (x, y) = (range(0), range(1));
        Window { corner: [x.0, y.0], sides: [x.1, y.1] }
    }

    /// The same window moved by whole pixels.
    fn moved(&self, by: [f64; 2]) -> (Self, [f64; 2]) {
        let by = by.map(f64::round);
        let corner = [self.corner[0] + by[0] as i64, self.corner[1] + by[1] as i64];
        (Window { corner, ..*self }, by)
    }

    /// The window of a picture; outside, the border is repeated.
    fn cut(&self, picture: &RgbImage) -> RgbImage {
        let last = [picture.width(), picture.height()].map(|v| i64::from(v) - 1);
        let at = |v: u32, k: usize| (i64::from(v) + self.corner[k]).clamp(0, last[k].max(0)) as u32;
        RgbImage::from_fn(self.sides[0], self.sides[1], |x, y| *picture.get_pixel(at(x, 0), at(y, 1)))
    }
}

impl FlowTracker<'_> {
    /// Follows patches of frame `reference` through the `seen` frames; the window moves with the head.
    pub(super) fn follow(
        &self,
        patches: &[Patch],
        reference: usize,
        poses: &[Pose],
        lens: &Lens,
        seen: &[bool],
        size: [u32; 2],
    ) -> Result<Tracks> {
        let pose = poses.get(reference).ok_or_else(|| Error::Internal(format!("no frame {reference}")))?;
        let project = |pose: &Pose| -> Vec<[f64; 2]> {
            patches.iter().map(|p| lens.project(pose.to_camera(p.center()))).collect()
        };
        let first = project(pose);
        let window = Window::around(&first);
        let source = self.network.source(&window.cut(&(self.read)(reference)?))?;
        let middle = |places: &[[f64; 2]]| -> [f64; 2] {
            [0, 1].map(|k| places.iter().map(|p| p[k]).sum::<f64>() / places.len().max(1) as f64)
        };
        let from = middle(&first);
        (0..poses.len())
            .into_par_iter()
            .map(|i| {
                if seen.get(i) != Some(&true) {
                    return Ok(vec![None; patches.len()]);
                }
                let now = middle(&project(&poses[i]));
                let (there, by) = window.moved([now[0] - from[0], now[1] - from[1]]);
                let flow = self.network.flow(&source, &there.cut(&(self.read)(i)?))?;
                let place = |p: &[f64; 2]| {
                    let moved = mean_flow(&flow, &window, *p);
                    let at = [p[0] + by[0] + moved[0], p[1] + by[1] + moved[1]];
                    let inside = (0..2).all(|k| at[k] >= 1.0 && at[k] <= f64::from(size[k]) - 1.0);
                    (inside && moved[0].hypot(moved[1]) < FARTHEST).then_some(at)
                };
                Ok(first.iter().map(place).collect())
            })
            .collect()
    }
}

/// The flow of a patch around a point of the reference frame, pixels from the edge.
fn mean_flow(flow: &Flow, window: &Window, place: [f64; 2]) -> [f64; 2] {
    let mut sum = [0.0; 2];
    for k in 0..9 {
        let [dx, dy] = [k % 3, k / 3].map(|v| (f64::from(v) - 1.0) * AROUND);
        let column = place[0] - 0.5 + dx - window.corner[0] as f64;
        let row = place[1] - 0.5 + dy - window.corner[1] as f64;
        let moved = flow.at(column, row);
        (0..2).for_each(|k| sum[k] += moved[k] / 9.0);
    }
    sum
}

/// Differences between the tracks and the predicted positions of the patches, for patches that are visible.
pub(super) fn shifts(
    tracks: &Tracks,
    patches: &[Patch],
    poses: &[Pose],
    lens: &Lens,
    size: [u32; 2],
) -> Shifts {
    let one = |(patch, at, pose): (&Patch, &Option<[f64; 2]>, &Pose)| {
        let at = (*at)?;
        patch.land(pose, lens, size)?;
        let put = lens.project(pose.to_camera(patch.center()));
        Some(Shift { by: [at[0] - put[0], at[1] - put[1]], worth: [1.0, 0.0, 1.0] })
    };
    let row = |(row, pose): (&Vec<Option<[f64; 2]>>, &Pose)| {
        patches.iter().zip(row).map(|(patch, at)| one((patch, at, pose))).collect()
    };
    tracks.par_iter().zip(poses).map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_holds_all_places_and_goes_with_the_head() {
        let window = Window::around(&[[100.0, 90.0], [300.0, 200.0]]);
        assert_eq!(window.sides, [248, 160]);
        assert!(window.corner[0] <= 76 && window.corner[0] + 248 >= 324);
        let (there, by) = window.moved([-120.4, 7.6]);
        assert_eq!((by, there.corner), ([-120.0, 8.0], [window.corner[0] - 120, window.corner[1] + 8]));
        // Outside, the border is repeated.
        let picture = RgbImage::from_fn(40, 40, |x, y| image::Rgb([x as u8, y as u8, 0]));
        let outside = Window { corner: [-20, 30], sides: [128, 128] };
        let cut = outside.cut(&picture);
        assert_eq!((cut.get_pixel(0, 0).0, cut.get_pixel(30, 127).0), ([0, 30, 0], [10, 39, 0]));
        assert_eq!(Window::around(&[[50.0, 50.0]]).sides, [SIDES[0]; 2]);
    }
}
