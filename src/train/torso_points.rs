//! Where the surfels of a torso start: on a plane that faces the camera at the depth of the head, one for each pixel that shows
//! neck or clothes in most frames. Clothes come first; the neck is the layer behind them.

use crate::head::cloud::init::{self, InitOptions, Points};
use crate::head::cloud::{Cloud, Mouth};
use crate::{Camera, Error, Result};
use data_utils::dataset::{Dataset, Label};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Frames that are looked at, evenly spread over the training frames.
const LOOKED_AT: usize = 24;
/// Share of these frames in which a pixel must show a layer for a surfel to start there.
const OFTEN: f64 = 0.3;
/// The neck is sorted so much farther away than it lies, as a part of the torso's extent.
const DEPTH_OFFSET: f32 = 0.3;
/// Depth over which first positions are spread, as a part of the distance of the plane, so that no two lie at the same depth.
const SPREAD: f64 = 0.002;

/// Points of the two layers of a torso, in the world of [`Camera::at_origin`].
#[derive(Debug, Default)]
pub(super) struct TorsoPoints {
    pub(super) clothes: Layer,
    pub(super) neck: Layer,
}

/// Points of a layer: places, and the mean colour that was seen there.
#[derive(Debug, Default)]
pub(super) struct Layer {
    pub(super) positions: Vec<[f32; 3]>,
    pub(super) colors: Vec<[u8; 3]>,
}

/// How often a pixel showed a layer, and the sum of its colours.
#[derive(Clone, Copy, Default)]
struct Seen {
    count: u32,
    color: [u32; 3],
}

impl TorsoPoints {
    /// The points of a dataset's training frames.
    ///
    /// # Errors
    /// [`Error::Input`] when no torso is seen; those of reading frames.
    pub(super) fn of(dataset: &Dataset, seed: u64) -> Result<Self> {
        let frames: Vec<usize> = dataset.train_indices().collect();
        let Some(first) = frames.first() else { return Ok(TorsoPoints::default()) };
        let camera = dataset.frames[*first].camera;
        let count = LOOKED_AT.min(frames.len());
        let pixels = (camera.width * camera.height) as usize;
        let (mut clothes, mut neck) = (vec![Seen::default(); pixels], vec![Seen::default(); pixels]);
        for k in 0..count {
            let index = frames[k * frames.len() / count];
            let (torso, labels) = (dataset.torso(index)?, &dataset.pixels(index)?.labels);
            for ((at, pixel), label) in torso.pixels().enumerate().zip(labels) {
                if pixel.0[3] < 128 {
                    continue;
                }
                let seen = if label & Label::TORSO != 0 { &mut clothes[at] } else { &mut neck[at] };
                seen.count += 1;
                (0..3).for_each(|c| seen.color[c] += u32::from(pixel.0[c]));
            }
        }
        let depths = frames.iter().map(|index| dataset.frames[*index].camera.camera_from_world[2][3]);
        let depth = depths.sum::<f64>() / frames.len() as f64;
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut layer = |seen: &[Seen]| Layer::of(seen, count, &camera, depth, &mut random);
        let points = TorsoPoints { clothes: layer(&clothes), neck: layer(&neck) };
        match points.clothes.positions.is_empty() {
            false => Ok(points),
            true => Err(Error::input(
                dataset.dir().display(),
                "frames in which neck and clothes are seen",
                "none: no pixel is labelled torso",
                "a torso cannot be trained on this clip; leave --part torso away",
            )),
        }
    }

    /// The cloud that training starts from: `most` surfels at most, the two layers by their areas.
    ///
    /// # Errors
    /// Those of [`init::from_points`].
    pub(super) fn cloud(&self, options: &InitOptions) -> Result<Cloud> {
        let (clothes, neck) = (self.clothes.positions.len(), self.neck.positions.len());
        let of_neck = options.max_points * neck / (clothes + neck).max(1);
        let of_clothes = (options.max_points - of_neck).max(1);
        let mut cloud = self.clothes.cloud(&InitOptions { max_points: of_clothes, ..*options })?;
        if of_neck > 0 {
            let neck = self.neck.cloud(&InitOptions { max_points: of_neck, ..*options })?;
            let depth_offset = DEPTH_OFFSET * init::extent(&cloud.positions);
            let behind = Mouth { surfels: neck.len(), depth_offset };
            cloud.append(Cloud { mouth: behind, ..neck });
        }
        Ok(cloud)
    }

    /// Positions and colours of both layers, as `input.ply` has them.
    pub(super) fn all(&self) -> (Vec<[f32; 3]>, Vec<[u8; 3]>) {
        let both = [&self.clothes, &self.neck];
        (
            both.iter().flat_map(|layer| layer.positions.iter().copied()).collect(),
            both.iter().flat_map(|layer| layer.colors.iter().copied()).collect(),
        )
    }
}

impl Layer {
    fn of(seen: &[Seen], frames: usize, camera: &Camera, depth: f64, random: &mut ChaCha8Rng) -> Self {
        let mut layer = Layer::default();
        let width = camera.width as usize;
        for (at, seen) in seen.iter().enumerate() {
            if f64::from(seen.count) < (OFTEN * frames as f64).max(1.0) {
                continue;
            }
            let jitter = f64::from(random.next_u32()) / f64::from(u32::MAX) - 0.5;
            let z = depth * (1.0 + SPREAD * jitter);
            let (x, y) = ((at % width) as f64, (at / width) as f64);
            let (x, y) = ((x - camera.cx) / camera.fx * z, (y - camera.cy) / camera.fy * z);
            layer.positions.push([x as f32, -y as f32, -z as f32]);
            layer.colors.push(seen.color.map(|sum| (sum / seen.count) as u8));
        }
        layer
    }

    fn cloud(&self, options: &InitOptions) -> Result<Cloud> {
        let normals = vec![[0.0, 0.0, 1.0]; self.positions.len()];
        let points = Points {
            positions: &self.positions,
            normals: Some(&normals),
            colors: Some(&self.colors),
            faces: &[],
        };
        init::from_points(&points, options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torso_starts_where_it_was_seen() {
        let camera = Camera {
            camera_from_world: [[1.0, 0.0, 0.0, 3.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 2.0]],
            fx: 50.0,
            fy: 60.0,
            cx: 3.5,
            cy: 4.5,
            width: 8,
            height: 10,
        };
        let mut seen = vec![Seen::default(); 80];
        seen[5 * 8 + 6] = Seen { count: 4, color: [40, 80, 120] };
        seen[6 * 8 + 6] = Seen { count: 1, color: [40, 80, 120] };
        let layer = Layer::of(&seen, 4, &camera, 2.0, &mut ChaCha8Rng::seed_from_u64(1));
        assert_eq!(layer.colors, [[10, 20, 30]], "what is seldom seen has no surfel");
        let [column, row, depth] = camera.at_origin().project(layer.positions[0].map(f64::from));
        assert!((column - 6.0).abs() < 1e-4 && (row - 5.0).abs() < 1e-4, "{column} {row}");
        assert!((depth - 2.0).abs() < 0.01, "{depth}");
    }

    #[test]
    fn the_neck_lies_behind_the_clothes() {
        let grid = |from: usize, to: usize| Layer {
            positions: (from..to).map(|i| [(i % 10) as f32, (i / 10) as f32, -1.0]).collect(),
            colors: vec![[9; 3]; to - from],
        };
        let points = TorsoPoints { clothes: grid(0, 75), neck: grid(75, 100) };
        let options = InitOptions { sh_degree: 0, max_points: 40, opacity: 0.5, seed: 1 };
        let cloud = points.cloud(&options).expect("a cloud");
        assert_eq!((cloud.len(), cloud.mouth.surfels), (40, 10));
        assert!(cloud.behind().expect("a layer behind").offset > 0.0);
        assert_eq!(points.all().0.len(), 100);
    }
}
