//! Edges that stay where they are although the head moves. Such an edge belongs to the background, whatever its colour.

use super::color::{Lab, distance2};
use super::regions;
use crate::face::Landmarks;
use image::RgbImage;
use rayon::prelude::*;

/// Share of the frames in which a pixel must look as usual, and the largest difference that counts as usual, grey
/// levels.
const SHARE: f32 = 0.85;
const STILL: u8 = 4;
/// Least difference in as many frames that the pixel would show if it moved with the head, grey levels.
const CHANGED: u8 = 12;
/// Largest distance of a colour from the usual one at which it is still background, L*a*b*.
const ALIKE: f32 = 8.0;

/// Corners of the eyes and the bridge of the nose.
const STABLE: [usize; 7] = [33, 133, 362, 263, 168, 6, 197];

/// Edges of the background.
#[derive(Debug, Clone)]
pub struct StillEdges {
    /// True at the pixels of such edges, `[height, width]`.
    edges: Vec<bool>,
    /// The median of the frames.
    usual: Lab,
}

impl StillEdges {
    /// Finds the edges in frames of one size, given the place of the head in each, pixels; see [`place`].
    pub fn learn(frames: &[RgbImage], places: &[[f32; 2]]) -> StillEdges {
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
        let moves = moves(places);
        // The value of the pixel in each frame if the median picture moved with the head.
        let changes = |at: usize| {
            let (x, y) = ((at % width) as isize, (at / width) as isize);
            let shown = moves.iter().filter_map(|[dx, dy]| {
                let (x, y) = (x - dx, y - dy);
                let inside = x >= 0 && y >= 0 && x < width as isize && y < height as isize;
                inside.then(|| colors[y as usize * width + x as usize])
            });
            let off = |c: [u8; 3]| (0..3).map(|k| c[k].abs_diff(colors[at][k])).max().unwrap_or(0);
            let mut off: Vec<u8> = shown.map(off).collect();
            quantile(&mut off, SHARE) >= CHANGED
        };
        let edges: Vec<bool> = (0..count).into_par_iter().map(|at| still[at] && changes(at)).collect();
        let mut picture = RgbImage::new(width as u32, height as u32);
        picture.pixels_mut().zip(&colors).for_each(|(p, c)| p.0 = *c);
        StillEdges { edges, usual: Lab::of(&picture) }
    }

    /// Whether a pixel that has this colour now shows such an edge.
    pub fn seen(&self, at: usize, color: [f32; 3]) -> bool {
        self.edges[at] && distance2(color, self.usual.pixels[at]) < ALIKE * ALIKE
    }
}

/// The place of a head by landmarks that neither speech nor expression moves: corners of the eyes and the bridge of the nose.
pub fn place(face: &Landmarks) -> [f32; 2] {
    let known: Vec<[f32; 2]> = STABLE.iter().filter_map(|i| regions::point(face, *i)).collect();
    [0, 1].map(|k| known.iter().map(|p| p[k]).sum::<f32>() / known.len().max(1) as f32)
}

/// How far the head is from its median place in each frame, pixels.
fn moves(places: &[[f32; 2]]) -> Vec<[isize; 2]> {
    let middle = [0, 1].map(|k| {
        let mut values: Vec<f32> = places.iter().map(|p| p[k]).collect();
        values.sort_by(f32::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(0.0)
    });
    places.iter().map(|p| [0, 1].map(|k| (p[k] - middle[k]).round() as isize)).collect()
}

fn quantile(values: &mut [u8], share: f32) -> u8 {
    let at = ((values.len() as f32 * share) as usize).min(values.len().saturating_sub(1));
    if values.is_empty() { 0 } else { *values.select_nth_unstable(at).1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mouth_that_opens_does_not_move_the_head() {
        let mut face = Landmarks { points: vec![[10.0, 30.0, 0.0]; 478], score: 1.0 };
        let before = place(&face);
        face.points[152][1] = 60.0;
        assert_eq!(place(&face), before);
        face.points.iter_mut().for_each(|p| p[0] += 4.0);
        assert_eq!(place(&face), [before[0] + 4.0, before[1]]);
    }

    #[test]
    fn a_pillar_stands_still_and_a_head_does_not() {
        let face = |x: f32| [x, 20.0];
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
        let faces: Vec<[f32; 2]> = places.iter().map(|x| face(*x as f32)).collect();
        let found = StillEdges::learn(&frames, &faces);
        let lab = Lab::of(&frames[0]);
        let seen: Vec<usize> = (0..60).filter(|x| found.seen(20 * 60 + x, lab.pixels[20 * 60 + x])).collect();
        // The pillar's edge, from as far away as the head moves; nothing of the head, little of the plain wall.
        assert!(
            seen.contains(&49) && seen.contains(&50) && seen.iter().all(|x| (46..54).contains(x)),
            "{seen:?}"
        );
        // Something before it hides it.
        assert!(!found.seen(20 * 60 + 49, [90.0, 0.0, 0.0]));
        // A head that rests has still edges too.
        let rested = StillEdges::learn(&vec![frame(20); 32], &vec![face(20.0); 32]);
        assert!((0..2400).all(|at| !rested.edges[at]));
    }
}
