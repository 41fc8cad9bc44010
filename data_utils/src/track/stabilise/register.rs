//! Finds each patch in every frame near its predicted position: Lucas–Kanade with translation, gain and offset against
//! the mean of the patch over all frames (Baker & Matthews, "Lucas-Kanade 20 Years On", 2004, inverse compositional).

use super::patches::{AREA, Landing, Patch, SIDE};
use super::pictures::{Pictures, sample};
use crate::error::Result;
use crate::track::math::Cholesky;
use crate::track::pose::{Lens, Pose};
use image::GrayImage;
use rayon::prelude::*;

/// Frames that are summed together; a constant, so that sums do not depend on the number of threads.
const GROUP: usize = 16;
/// Groups that are in memory at once.
const WAVE: usize = 16;
/// Steps of one registration, and the step in pixels at which it ends.
const STEPS: usize = 6;
const SMALL: f64 = 0.01;
/// A patch that moves farther than this, pixels, or correlates less with the picture, is lost in that frame.
const FARTHEST: f64 = 6.0;
const EXPLAINED: f64 = 0.6;
/// Least contrast of a patch, grey levels (root mean square).
const CONTRAST: f64 = 1.5;
/// Texture at which a direction of a patch has half the weight, squared grey levels.
const TEXTURE: f64 = 1500.0;

/// One patch in one frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Shift {
    /// From its predicted position to where it was found, pixels of the frame.
    pub(super) by: [f64; 2],
    /// Weight matrix of the shift: xx, xy, yy, 0..1.
    pub(super) worth: [f64; 3],
}

/// Shifts of each frame, of each patch; none where it was not found.
pub(super) type Shifts = Vec<Vec<Option<Shift>>>;

/// The mean of a patch over the frames, as a template.
struct Template {
    /// Grey minus its mean, inner pixels.
    grey: Vec<f32>,
    /// Derivatives along x and y.
    slopes: Vec<[f32; 2]>,
    factor: Cholesky,
    /// Structure tensor Σ g·gᵀ of the derivatives: xx, xy, yy.
    texture: [f64; 3],
}

/// Registers all patches in all `seen` frames.
pub(super) fn register(
    pictures: &Pictures,
    patches: &[Patch],
    poses: &[Pose],
    lens: &Lens,
    seen: &[bool],
) -> Result<Shifts> {
    let templates = templates(pictures, patches, poses, lens, seen)?;
    let size = pictures.size();
    (0..poses.len())
        .into_par_iter()
        .map(|i| {
            if !seen.get(i).copied().unwrap_or(false) {
                return Ok(vec![None; patches.len()]);
            }
            pictures.look(i, |picture| {
                let one = |(patch, template): (&Patch, &Option<Template>)| {
                    let landing = patch.land(&poses[i], lens, size)?;
                    template.as_ref()?.find(picture, &landing)
                };
                patches.iter().zip(&templates).map(one).collect()
            })
        })
        .collect()
}

fn templates(
    pictures: &Pictures,
    patches: &[Patch],
    poses: &[Pose],
    lens: &Lens,
    seen: &[bool],
) -> Result<Vec<Option<Template>>> {
    let frames: Vec<usize> = (0..poses.len()).filter(|i| seen.get(*i) == Some(&true)).collect();
    let size = pictures.size();
    let one = |group: &[usize]| -> Result<(Vec<f32>, Vec<u32>)> {
        let mut sum = vec![0f32; patches.len() * AREA];
        let mut count = vec![0u32; patches.len()];
        for i in group {
            pictures.look(*i, |picture| {
                for (p, patch) in patches.iter().enumerate() {
                    let Some(landing) = patch.land(&poses[*i], lens, size) else { continue };
                    let mut grey: Vec<f32> =
                        landing.places.iter().map(|[x, y]| sample(picture, *x, *y)).collect();
                    level(&mut grey);
                    let to = &mut sum[p * AREA..(p + 1) * AREA];
                    to.iter_mut().zip(&grey).for_each(|(s, g)| *s += g);
                    count[p] += 1;
                }
            })?;
        }
        Ok((sum, count))
    };
    let (mut sum, mut count) = (vec![0f32; patches.len() * AREA], vec![0u32; patches.len()]);
    for wave in frames.chunks(GROUP * WAVE) {
        let parts: Vec<_> = wave.par_chunks(GROUP).map(one).collect::<Result<_>>()?;
        for (part, n) in parts {
            sum.iter_mut().zip(&part).for_each(|(s, p)| *s += p);
            count.iter_mut().zip(&n).for_each(|(c, n)| *c += n);
        }
    }
    let build = |p: usize| {
        let n = count[p].max(1) as f32;
        let mean: Vec<f32> = sum[p * AREA..(p + 1) * AREA].iter().map(|s| s / n).collect();
        (count[p] > 0).then(|| Template::new(&mean)).flatten()
    };
    Ok((0..patches.len()).into_par_iter().map(build).collect())
}

/// Subtracts the mean.
fn level(grey: &mut [f32]) {
    let mean = grey.iter().sum::<f32>() / grey.len().max(1) as f32;
    grey.iter_mut().for_each(|g| *g -= mean);
}

/// Indices of the pixels that have neighbours on all sides.
fn inner() -> impl Iterator<Item = usize> {
    (1..SIDE - 1).flat_map(|y| (1..SIDE - 1).map(move |x| y * SIDE + x))
}

impl Template {
    /// None for a patch without texture.
    fn new(mean: &[f32]) -> Option<Self> {
        let mut grey: Vec<f32> = inner().map(|at| mean[at]).collect();
        level(&mut grey);
        let energy = grey.iter().map(|g| f64::from(g * g)).sum::<f64>() / grey.len() as f64;
        let slope =
            |at: usize| [(mean[at + 1] - mean[at - 1]) / 2.0, (mean[at + SIDE] - mean[at - SIDE]) / 2.0];
        let slopes: Vec<[f32; 2]> = inner().map(slope).collect();
        let mut matrix = vec![0.0; 16];
        let mut texture = [0.0; 3];
        for (t, s) in grey.iter().zip(&slopes) {
            let row = [-f64::from(s[0]), -f64::from(s[1]), f64::from(*t), 1.0];
            for a in 0..4 {
                (0..=a).for_each(|b| matrix[a * 4 + b] += row[a] * row[b]);
            }
            texture[0] += row[0] * row[0];
            texture[1] += row[0] * row[1];
            texture[2] += row[1] * row[1];
        }
        (0..4).for_each(|k| matrix[k * 4 + k] += 1e-3);
        let factor = Cholesky::new(matrix, 4)?;
        (energy.sqrt() > CONTRAST).then_some(Template { grey, slopes, factor, texture })
    }

    /// The shift of the patch in a picture from its predicted position.
    fn find(&self, picture: &GrayImage, landing: &Landing) -> Option<Shift> {
        // In pixels of the patch.
        let mut by = [0.0; 2];
        let moved = |by: [f64; 2]| [0, 1].map(|k| landing.across[k] * by[0] + landing.down[k] * by[1]);
        for _ in 0..STEPS {
            let [dx, dy] = moved(by);
            let mut right = [0.0; 4];
            for ((at, t), s) in inner().zip(&self.grey).zip(&self.slopes) {
                let [x, y] = landing.places[at];
                let e = f64::from(sample(picture, x + dx, y + dy) - t);
                right[0] -= e * f64::from(s[0]);
                right[1] -= e * f64::from(s[1]);
                right[2] += e * f64::from(*t);
                right[3] += e;
            }
            self.factor.solve(&mut right);
            // The first two are the shift of the picture against the template.
            let gain = (1.0 + right[2]).clamp(0.5, 2.0);
            let step = [right[0] / gain, right[1] / gain];
            by = [by[0] + step[0], by[1] + step[1]];
            let far = by[0].hypot(by[1]);
            if far.is_nan() || far > FARTHEST {
                return None;
            }
            if step[0].hypot(step[1]) < SMALL {
                break;
            }
        }
        let [dx, dy] = moved(by);
        (self.explained(picture, landing, [dx, dy]) > EXPLAINED)
            .then(|| Shift { by: [dx, dy], worth: self.worth() })
    }

    /// Squared correlation of the template with the picture at this shift.
    fn explained(&self, picture: &GrayImage, landing: &Landing, [dx, dy]: [f64; 2]) -> f64 {
        let mut seen: Vec<f32> = inner()
            .map(|at| sample(picture, landing.places[at][0] + dx, landing.places[at][1] + dy))
            .collect();
        level(&mut seen);
        let product = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| f64::from(x * y)).sum::<f64>();
        let both = product(&seen, &self.grey);
        let scale = product(&seen, &seen) * product(&self.grey, &self.grey);
        if both > 0.0 && scale > 0.0 { both * both / scale } else { 0.0 }
    }

    /// G·(G + τ)⁻¹ of the texture G: near 1 along directions with texture, near 0 along others.
    fn worth(&self) -> [f64; 3] {
        let [a, b, c] = self.texture;
        let (p, q) = (a + TEXTURE, c + TEXTURE);
        let determinant = p * q - b * b;
        // I − τ·(G + τ)⁻¹
        [1.0 - TEXTURE * q / determinant, TEXTURE * b / determinant, 1.0 - TEXTURE * p / determinant]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn landing(x: f64, y: f64) -> Landing {
        let half = (SIDE / 2) as f64;
        let place = |k: usize| [x + (k % SIDE) as f64 - half, y + (k / SIDE) as f64 - half];
        Landing { places: (0..AREA).map(place).collect(), across: [1.0, 0.0], down: [0.0, 1.0] }
    }

    /// A smooth pattern, brighter or darker, shifted by parts of pixels.
    fn picture(dx: f64, dy: f64, gain: f64) -> GrayImage {
        GrayImage::from_fn(64, 64, |x, y| {
            let (x, y) = (f64::from(x) - dx, f64::from(y) - dy);
            let v = (x * 0.35).sin() * 30.0 + (y * 0.28 + x * 0.1).cos() * 25.0 + (x * y * 0.01).sin() * 10.0;
            image::Luma([(120.0 + gain * v).round() as u8])
        })
    }

    #[test]
    fn a_shift_is_found_whatever_the_light() {
        let still = picture(0.0, 0.0, 1.0);
        let at = landing(32.0, 32.0);
        let mean: Vec<f32> = at.places.iter().map(|[x, y]| sample(&still, *x, *y)).collect();
        let template = Template::new(&mean).expect("texture");
        for (dx, dy, gain) in [(0.0, 0.0, 1.0), (0.4, -0.7, 1.3), (1.8, 1.2, 0.7), (-2.5, 0.3, 1.0)] {
            let found = template.find(&picture(dx, dy, gain), &at).expect("found");
            let off = (found.by[0] - dx).hypot(found.by[1] - dy);
            assert!(off < 0.03, "{dx} {dy} {gain}: {:?}", found.by);
            assert!(found.worth[0] > 0.7 && found.worth[2] > 0.7, "{:?}", found.worth);
        }
        assert_eq!(template.find(&GrayImage::new(64, 64), &at), None);
        assert_eq!(template.find(&picture(15.0, 20.0, -1.0), &at), None);
    }

    #[test]
    fn an_edge_is_worth_nothing_along_itself() {
        let mean: Vec<f32> = (0..AREA).map(|k| if k % SIDE < SIDE / 2 { 10.0 } else { 90.0 }).collect();
        let worth = Template::new(&mean).expect("texture").worth();
        assert!(worth[0] > 0.9 && worth[1].abs() < 0.01 && worth[2] < 0.01, "{worth:?}");
        assert!(Template::new(&[50.0; AREA]).is_none());
    }
}
