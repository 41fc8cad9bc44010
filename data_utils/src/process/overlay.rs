//! Draws the fitted face over the frames: a video to check the poses by, and sheets for the report.

use super::context::Context;
use super::frames::{AT_ONCE, read_frame};
use super::sheets::{self, chosen};
use crate::error::{Error, Result};
use crate::media::files;
use crate::track::stabilise::warp_to_pose;
use crate::track::{FaceModel, Fit, Lens, Mesh, Pose};
use image::{Rgb, RgbImage};
use rayon::prelude::*;
use std::path::Path;

/// Name of the video.
pub const VIDEO: &str = "3dmm_render.mp4";
/// Names of the pictures.
pub const PICTURES: [&str; 4] =
    ["report/mesh.png", "report/extremes.png", "report/still.png", "report/mean.png"];
/// Colour of the edges, and its opacity.
const EDGE: [u8; 3] = [60, 255, 90];
const COVER: f32 = 0.55;
/// Frames averaged for `mean.png`.
const AVERAGED: usize = 96;

/// The fitted face, ready to be drawn over frames.
pub struct Overlay<'a> {
    /// The model.
    pub model: &'a FaceModel,
    /// Expressions, and the poses that are kept.
    pub fit: &'a Fit,
    /// The poses before they were stabilized.
    pub before: &'a [Pose],
    /// The frame to whose pose others are warped.
    pub reference: usize,
}

impl Overlay<'_> {
    /// Writes the video and the pictures.
    ///
    /// # Errors
    /// What reading frames and writing files fails with.
    pub fn write(&self, context: &Context) -> Result<()> {
        let dir = context.dir();
        let draw = |index: usize, picture: &mut RgbImage| -> Result<()> {
            self.draw(index, picture);
            Ok(())
        };
        let good: Vec<usize> = (0..self.fit.seen.len()).filter(|i| self.fit.seen[*i]).collect();
        let spread = chosen(&good);
        context.put(PICTURES[0], &sheets::sheet(dir, &spread, &draw)?)?;
        context.put(PICTURES[1], &sheets::sheet(dir, &self.extremes(&good), &draw)?)?;
        let mesh = Mesh { vertices: self.fit.mean_face(self.model), triangles: self.model.triangles.clone() };
        let poses = &self.fit.poses;
        let Some(reference) = poses.get(self.reference) else {
            return Err(Error::Internal(format!("no frame {}", self.reference)));
        };
        let still = sheets::sheet(dir, &spread, &|index, picture| {
            *picture = warp_to_pose(picture, &mesh, reference, &poses[index], &self.fit.lens);
            Ok(())
        })?;
        context.put(PICTURES[2], &still)?;
        context.put(PICTURES[3], &self.mean(dir, &mesh, &good)?)?;
        self.video(context)
    }

    /// Draws the face of a frame over it.
    fn draw(&self, index: usize, picture: &mut RgbImage) {
        if let (Some(pose), Some(expression)) = (self.fit.poses.get(index), self.fit.expression.get(index)) {
            let face = self.fit.face(self.model, expression);
            edges(picture, &face, &self.model.triangles, pose, &self.fit.lens);
        }
    }

    /// The frames with the smallest and the largest value of each angle and each coordinate of the head's position.
    fn extremes(&self, good: &[usize]) -> Vec<usize> {
        let value = |i: usize, k: usize| match k {
            0..3 => self.fit.poses[i].euler()[k],
            _ => self.fit.poses[i].translation[k - 3],
        };
        (0..6)
            .flat_map(|k| {
                let by = |a: &usize, b: &usize| value(*a, k).total_cmp(&value(*b, k));
                [good.iter().copied().min_by(by), good.iter().copied().max_by(by)]
            })
            .flatten()
            .collect()
    }

    /// The mean of many frames as PNG: unchanged, warped to one pose by the poses of the fit, and by the stabilized poses.
    fn mean(&self, dir: &Path, mesh: &Mesh, good: &[usize]) -> Result<Vec<u8>> {
        let count = AVERAGED.min(good.len());
        let frames: Vec<usize> = (0..count).map(|k| good[k * good.len() / count]).collect();
        let lens = &self.fit.lens;
        let side = super::options::SIDE;
        let mut sums = vec![[0u32; 3]; (3 * side * side) as usize];
        for part in frames.chunks(AT_ONCE) {
            let views: Vec<[RgbImage; 3]> = part
                .par_iter()
                .map(|i| {
                    let picture = read_frame(dir, *i)?;
                    let still = |poses: &[Pose]| {
                        warp_to_pose(&picture, mesh, &poses[self.reference], &poses[*i], lens)
                    };
                    let [before, after] = [still(self.before), still(&self.fit.poses)];
                    Ok([picture, before, after])
                })
                .collect::<Result<_>>()?;
            for view in &views {
                let pixels = view.iter().flat_map(|v| v.pixels());
                for (sum, pixel) in sums.iter_mut().zip(pixels) {
                    (0..3).for_each(|k| sum[k] += u32::from(pixel.0[k]));
                }
            }
        }
        let whole = RgbImage::from_fn(3 * side, side, |x, y| {
            let at = (x / side * side * side + y * side + x % side) as usize;
            Rgb(sums[at].map(|s| (s / count.max(1) as u32) as u8))
        });
        files::png(&whole)
    }

    /// Writes `3dmm_render.mp4`: every frame with the face drawn over it, and the sound.
    fn video(&self, context: &Context) -> Result<()> {
        let dir = context.dir();
        let count = self.fit.poses.len();
        let progress = context.progress("pose check", count);
        let mut drawn = (0..count.div_ceil(AT_ONCE)).flat_map(|part| {
            let range = part * AT_ONCE..count.min((part + 1) * AT_ONCE);
            progress.update(range.start as u64);
            let draw = |index: usize| -> Result<RgbImage> {
                let mut picture = read_frame(dir, index)?;
                self.draw(index, &mut picture);
                Ok(picture)
            };
            range.into_par_iter().map(draw).collect::<Vec<_>>()
        });
        let size = [super::options::SIDE; 2];
        let sound = dir.join("aud.wav");
        context.make(VIDEO, |path| {
            context.tools()?.write_frames(&mut drawn, crate::audio::FRAME_RATE, size, &sound, path)
        })
    }
}

/// Draws the edges of the triangles that face the camera.
fn edges(picture: &mut RgbImage, points: &[[f64; 3]], triangles: &[[u32; 3]], pose: &Pose, lens: &Lens) {
    let seen: Vec<Option<[f64; 2]>> = points
        .iter()
        .map(|p| {
            let p = pose.to_camera(*p);
            (p[2] > 0.0).then(|| lens.project(p))
        })
        .collect();
    let at = |i: u32| seen.get(i as usize).copied().flatten();
    let mut covered = vec![false; (picture.width() * picture.height()) as usize];
    for [a, b, c] in triangles {
        let (Some(a), Some(b), Some(c)) = (at(*a), at(*b), at(*c)) else { continue };
        // Triangles are counter-clockwise from outside, which is clockwise in an image whose rows run downwards.
        if (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]) < 0.0 {
            [(a, b), (b, c), (c, a)].into_iter().for_each(|(p, q)| line(picture, &mut covered, p, q));
        }
    }
}

/// Draws a line between two points, counted from the image's edge; pixels that are already covered stay as they are.
fn line(picture: &mut RgbImage, covered: &mut [bool], p: [f64; 2], q: [f64; 2]) {
    let steps = (p[0] - q[0]).abs().max((p[1] - q[1]).abs()).ceil();
    if !(0.0..4096.0).contains(&steps) {
        return;
    }
    for k in 0..=steps as usize {
        let t = k as f64 / steps.max(1.0);
        let (x, y) = (p[0] + t * (q[0] - p[0]), p[1] + t * (q[1] - p[1]));
        if x >= 0.0 && y >= 0.0 && x < f64::from(picture.width()) && y < f64::from(picture.height()) {
            let at = y as usize * picture.width() as usize + x as usize;
            if !std::mem::replace(&mut covered[at], true) {
                let pixel = &mut picture.get_pixel_mut(x as u32, y as u32).0;
                *pixel = std::array::from_fn(|c| {
                    (f32::from(pixel[c]) * (1.0 - COVER) + f32::from(EDGE[c]) * COVER) as u8
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn triangles_that_face_away_are_not_drawn() {
        let pose = Pose {
            rotation: [[1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, -1.0]],
            translation: [0.0, 0.0, 1.0],
        };
        let lens = Lens { focal: 64.0, center: [32.0, 32.0] };
        let points = [[-0.2, -0.2, 0.0], [0.2, -0.2, 0.0], [0.0, 0.2, 0.0]];
        let drawn = |face: [u32; 3]| {
            let mut picture = RgbImage::new(64, 64);
            edges(&mut picture, &points, &[face], &pose, &lens);
            picture.pixels().filter(|p| p.0 != [0; 3]).count()
        };
        assert!(drawn([0, 1, 2]) > 30);
        assert_eq!((drawn([0, 2, 1]), drawn([0, 1, 9])), (0, 0));
    }
}
