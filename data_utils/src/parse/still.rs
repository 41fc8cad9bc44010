//! Edges that stand still while the head moves: they belong to the background, whatever its colour.

use super::color::{Lab, distance2};
use super::regions::FaceFrame;
use image::RgbImage;
use rayon::prelude::*;

/// Share of the frames in which a pixel must be as usual, and by how many grey levels it may be off there.
const SHARE: f32 = 0.85;
const STILL: u8 = 4;
/// Least step of grey levels from pixel to pixel at an edge.
const STEP: f32 = 5.0;
/// How far from its median place, pixels, a head must be in at least this share of the frames: a head that rests says
/// nothing about what moves with it.
const MOVED: f32 = 2.0;
const OFTEN: f32 = 0.4;
/// How far a colour may be from the usual one to be the background still, L*a*b*.
const ALIKE: f32 = 8.0;

/// Edges of the background.
#[derive(Debug, Clone)]
pub struct StillEdges {
    /// Where they are, `[height, width]`.
    edges: Vec<bool>,
    /// The usual picture.
    usual: Lab,
}

impl StillEdges {
    /// Looks for them in frames of one size, with the face of each.
    pub fn learn(frames: &[RgbImage], faces: &[FaceFrame]) -> StillEdges {
        let (width, height) = frames.first().map_or((0, 0), |f| (f.width() as usize, f.height() as usize));
        let count = width * height;
        let (colors, still): (Vec<[u8; 3]>, Vec<bool>) = (0..count)
            .into_par_iter()
            .map(|at| {
                let mut usual = [0u8; 3];
                let mut still = true;
                for (k, usual) in usual.iter_mut().enumerate() {
                    let mut values: Vec<u8> =
                        frames.iter().filter_map(|f| f.as_raw().get(3 * at + k).copied()).collect();
                    *usual = quantile(&mut values, 0.5);
                    values.iter_mut().for_each(|v| *v = v.abs_diff(*usual));
                    still &= quantile(&mut values, SHARE) <= STILL;
                }
                (usual, still)
            })
            .unzip();
        let grey: Vec<f32> =
            colors.iter().map(|c| c.iter().map(|v| f32::from(*v)).sum::<f32>() / 3.0).collect();
        let inner = |at: usize| {
            let (x, y) = (at % width, at / width);
            x > 0 && y > 0 && x + 1 < width && y + 1 < height
        };
        let edge = |at: usize| {
            let near = [at - 1, at + 1, at - width, at + width];
            let step =
                ((grey[at + 1] - grey[at - 1]) / 2.0).hypot((grey[at + width] - grey[at - width]) / 2.0);
            still[at] && near.iter().all(|n| still[*n]) && step >= STEP
        };
        let moved = moves(faces);
        let edges = (0..count).map(|at| moved && inner(at) && edge(at)).collect();
        let mut picture = RgbImage::new(width as u32, height as u32);
        picture.pixels_mut().zip(&colors).for_each(|(p, c)| p.0 = *c);
        StillEdges { edges, usual: Lab::of(&picture) }
    }

    /// Whether such an edge is seen at a pixel that has this colour now.
    pub fn seen(&self, at: usize, color: [f32; 3]) -> bool {
        self.edges[at] && distance2(color, self.usual.pixels[at]) < ALIKE * ALIKE
    }
}

/// Whether a head is away from its usual place often enough.
fn moves(faces: &[FaceFrame]) -> bool {
    let middle = [0, 1].map(|k| {
        let mut values: Vec<f32> = faces.iter().map(|f| f.center[k]).collect();
        values.sort_by(f32::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(0.0)
    });
    let away = |f: &&FaceFrame| (f.center[0] - middle[0]).hypot(f.center[1] - middle[1]) > MOVED;
    faces.iter().filter(away).count() as f32 > OFTEN * faces.len() as f32
}

fn quantile(values: &mut [u8], share: f32) -> u8 {
    let at = ((values.len() as f32 * share) as usize).min(values.len().saturating_sub(1));
    if values.is_empty() { 0 } else { *values.select_nth_unstable(at).1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pillar_stands_still_and_a_head_does_not() {
        let face = |x: f32| FaceFrame { center: [x, 20.0], up: [0.0, -1.0], width: 10.0, height: 10.0 };
        let frame = |head: u32| {
            RgbImage::from_fn(60, 40, |x, _| {
                image::Rgb(
                    [if x.abs_diff(head) < 8 {
                        200
                    } else if x < 50 {
                        90
                    } else {
                        30
                    }; 3],
                )
            })
        };
        let places: Vec<u32> = (0..32).map(|t| 20 + t % 8).collect();
        let frames: Vec<RgbImage> = places.iter().map(|x| frame(*x)).collect();
        let faces: Vec<FaceFrame> = places.iter().map(|x| face(*x as f32)).collect();
        let found = StillEdges::learn(&frames, &faces);
        let lab = Lab::of(&frames[0]);
        let seen: Vec<usize> = (0..60).filter(|x| found.seen(20 * 60 + x, lab.pixels[20 * 60 + x])).collect();
        assert_eq!(seen, [49, 50]);
        // Something before it hides it.
        assert!(!found.seen(20 * 60 + 49, [90.0, 0.0, 0.0]));
        // A head that rests has still edges too.
        let rested = StillEdges::learn(&vec![frame(20); 32], &vec![face(20.0); 32]);
        assert!((0..2400).all(|at| !rested.edges[at]));
    }
}
