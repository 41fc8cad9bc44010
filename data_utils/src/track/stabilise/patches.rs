//! Patches of the head that are followed through the clip: small squares of the reference view, placed on the surface.

use super::super::depth::{DepthMap, Mesh};
use super::super::math::{V3, add, cross, dot, scale, sub, unit};
use super::super::mobility;
use super::super::pose::{Lens, Pose};

/// Pixels along a side of a patch, odd.
pub(super) const SIDE: usize = 19;
/// Pixels in a patch.
pub(super) const AREA: usize = SIDE * SIDE;
/// Distance of neighbouring patches, pixels, for a head of the usual size.
const STEP: usize = 8;
/// One in so many is taken in the hair, along each axis: there is more hair than skin, and it moves by itself.
const HAIR_EVERY: usize = 2;
/// Largest movement of a landmark with the face at which patches are placed there, metres.
const STILL: f64 = 0.0095;
/// Share of a patch that must lie on such skin.
const MOST: f64 = 0.85;
/// Least cosine of the angle between normal and view at which a patch is placed.
const FACING: f64 = 0.35;
/// Standard deviation of the depth of a patch on the face and in the hair, metres.
const FACE_DEPTH: f64 = 0.004;
const HAIR_DEPTH: f64 = 0.03;
/// The head behind the mesh, for hair: middle and half axes of an ellipsoid, metres.
const SKULL: (V3, V3) = ([0.0, 0.02, -0.05], [0.085, 0.125, 0.1]);
/// Contours of the eyes and brows, where the skin moves although landmarks nearby do not.
const EYES: [&[usize]; 2] = [
    &[
        33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7, 247, 30, 29, 27, 28, 56,
        190, 25, 110, 24, 23, 22, 26, 112, 243, 130,
    ],
    &[
        263, 466, 388, 387, 386, 385, 384, 398, 362, 382, 381, 380, 374, 373, 390, 249, 467, 260, 259, 257,
        258, 286, 414, 255, 339, 254, 253, 252, 256, 341, 463, 359,
    ],
];

/// Every so many patches along each axis one measures, where some are held out; patches nearer to it than so many steps share
/// more than their rims with it, and are left out.
const JUDGE_EVERY: usize = 4;
const JUDGE_APART: usize = 2;

/// One patch.
#[derive(Debug, Clone)]
pub(super) struct Patch {
    /// Its middle in the reference view, steps across and down.
    at: [usize; 2],
    /// Its pixels on the surface, in the world, `[SIDE, SIDE]`.
    points: Vec<V3>,
    /// Away from the reference camera, unit.
    along: V3,
    /// Towards the reference camera's side of the surface, unit.
    normal: V3,
    /// How far it was moved along `along`, metres.
    pub(super) depth: f64,
    /// Standard deviation of that.
    pub(super) depth_deviation: f64,
    /// True on the face, false in the hair.
    pub(super) face: bool,
}

/// A patch projected into a frame: the position of each of its pixels, and image pixels per pixel of the patch.
pub(super) struct Landing {
    pub(super) places: Vec<[f64; 2]>,
    pub(super) across: [f64; 2],
    pub(super) down: [f64; 2],
}

impl Patch {
    /// The middle of the patch.
    pub(super) fn center(&self) -> V3 {
        add(self.points[AREA / 2], scale(self.along, self.depth))
    }

    /// Where its middle was placed, on the surface.
    pub(super) fn place(&self) -> V3 {
        self.points[AREA / 2]
    }

    /// The direction in which its depth moves it.
    pub(super) fn along(&self) -> V3 {
        self.along
    }

    /// Projects it; none where it is seen from behind, edge-on, or outside the image.
    pub(super) fn land(&self, pose: &Pose, lens: &Lens, size: [u32; 2]) -> Option<Landing> {
        let center = pose.to_camera(self.center());
        let normal = super::super::math::apply(&pose.rotation, self.normal);
        if center[2] <= 0.0 || -dot(normal, unit(center)) < FACING {
            return None;
        }
        let shift = scale(self.along, self.depth);
        let mut places = Vec::with_capacity(AREA);
        for point in &self.points {
            let p = pose.to_camera(add(*point, shift));
            let [x, y] = lens.project(p);
            let inside = p[2] > 0.0 && x >= 1.0 && y >= 1.0;
            if !inside || x > f64::from(size[0]) - 1.0 || y > f64::from(size[1]) - 1.0 {
                return None;
            }
            places.push([x, y]);
        }
        let middle = SIDE / 2;
        let per = |a: usize, b: usize| [0, 1].map(|k| (places[b][k] - places[a][k]) / (SIDE - 1) as f64);
        let across = per(middle * SIDE, middle * SIDE + SIDE - 1);
        let down = per(middle, (SIDE - 1) * SIDE + middle);
        Some(Landing { places, across, down })
    }
}

/// Patches to fit poses to, and patches of the face to measure them by that show other skin.
pub(super) fn split(all: &[Patch]) -> (Vec<Patch>, Vec<Patch>) {
    let is_judge = |p: &Patch| p.face && p.at.iter().all(|v| v % JUDGE_EVERY == JUDGE_EVERY / 2);
    let judges: Vec<Patch> = all.iter().filter(|p| is_judge(p)).cloned().collect();
    let apart = |a: &Patch, b: &Patch| (0..2).any(|k| a.at[k].abs_diff(b.at[k]) >= JUDGE_APART);
    let fitted = all.iter().filter(|p| judges.iter().all(|judge| apart(p, judge))).cloned().collect();
    (fitted, judges)
}

/// Places patches on a head seen from `pose`: where the mesh is `still` skin, and where `hair` is set (both
/// `[height, width]`).
pub(super) fn place(
    mesh: &Mesh,
    still: &[bool],
    pose: &Pose,
    lens: &Lens,
    size: [u32; 2],
    hair: Option<&[bool]>,
) -> Vec<Patch> {
    let map = DepthMap::new(mesh, pose, lens, size);
    let [width, height] = size.map(|v| v as usize);
    let half = SIDE / 2;
    let mut patches = Vec::new();
    for y in (half + 1..height.saturating_sub(half + 1)).step_by(STEP) {
        for x in (half + 1..width.saturating_sub(half + 1)).step_by(STEP) {
            let pixels = || (0..AREA).map(move |k| (y + k / SIDE - half) * width + x + k % SIDE - half);
            let covered = pixels().filter(|at| map.depth[*at].is_finite()).count();
            if covered == AREA {
                let calm = pixels().filter(|at| still.get(*at) == Some(&true)).count();
                if calm as f64 >= MOST * AREA as f64 {
                    let depth = |at: usize| Some(f64::from(map.depth[at]));
                    patches.extend(patch(pose, lens, width, pixels(), depth, true));
                }
            } else if covered == 0
                && (x / STEP + y / STEP).is_multiple_of(HAIR_EVERY)
                && (x / STEP).is_multiple_of(HAIR_EVERY)
                && hair.is_some_and(|h| pixels().all(|at| h.get(at) == Some(&true)))
            {
                let center = pixels().nth(AREA / 2).unwrap_or(0);
                let depth = skull_depth(pose, lens, [center % width, center / width]);
                patches.extend(patch(pose, lens, width, pixels(), |_| depth, false));
            }
        }
    }
    patches
}

fn patch(
    pose: &Pose,
    lens: &Lens,
    width: usize,
    pixels: impl Iterator<Item = usize> + Clone,
    depth: impl Fn(usize) -> Option<f64>,
    face: bool,
) -> Option<Patch> {
    let at = pixels.clone().nth(AREA / 2).map(|at| [at % width / STEP, at / width / STEP])?;
    let points: Vec<V3> = pixels
        .map(|at| depth(at).map(|z| back(pose, lens, [at % width, at / width], z)))
        .collect::<Option<_>>()?;
    let middle = SIDE / 2;
    let across = sub(points[middle * SIDE + SIDE - 1], points[middle * SIDE]);
    let down = sub(points[(SIDE - 1) * SIDE + middle], points[middle]);
    let camera = pose.to_world([0.0; 3]);
    let along = unit(sub(points[AREA / 2], camera));
    let normal = unit(cross(down, across));
    let normal = if dot(normal, along) > 0.0 { scale(normal, -1.0) } else { normal };
    let depth_deviation = if face { FACE_DEPTH } else { HAIR_DEPTH };
    (-dot(normal, along) > FACING).then_some(Patch {
        at,
        points,
        along,
        normal,
        depth: 0.0,
        depth_deviation,
        face,
    })
}

/// The point of the world behind the centre of a pixel, at a depth.
pub(crate) fn back(pose: &Pose, lens: &Lens, pixel: [usize; 2], depth: f64) -> V3 {
    let at = |k: usize| (pixel[k] as f64 + 0.5 - lens.center[k]) * depth / lens.focal;
    pose.to_world([at(0), at(1), depth])
}

/// Depth of the ellipsoid behind a pixel; beside it, the depth of its middle.
fn skull_depth(pose: &Pose, lens: &Lens, pixel: [usize; 2]) -> Option<f64> {
    let (middle, axes) = SKULL;
    let camera = pose.to_world([0.0; 3]);
    let ray = sub(back(pose, lens, pixel, 1.0), camera);
    let shrink = |v: V3| -> V3 { std::array::from_fn(|k| v[k] / axes[k]) };
    let (from, along) = (shrink(sub(camera, middle)), shrink(ray));
    let (a, b, c) = (dot(along, along), dot(from, along), dot(from, from) - 1.0);
    let discriminant = b * b - a * c;
    let depth = if discriminant >= 0.0 { (-b - discriminant.sqrt()) / a } else { pose.to_camera(middle)[2] };
    (depth > 0.0).then_some(depth)
}

/// Pixels of skin that hardly moves with the face, from the landmarks of one frame and the triangles between them.
pub(super) fn still_pixels(landmarks: &[[f64; 2]], triangles: &[[u32; 3]], size: [u32; 2]) -> Vec<bool> {
    let lens = Lens { focal: 1.0, center: [0.0; 2] };
    let here = Pose { rotation: [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], translation: [0.0; 3] };
    let mesh = Mesh {
        vertices: landmarks.iter().map(|p| [p[0], p[1], 1.0]).collect(),
        triangles: triangles.to_vec(),
    };
    let moves = |v: &u32| super::super::math::length(mobility::movement(*v as usize));
    let calm = |t: &[u32; 3]| {
        let eye = EYES.iter().any(|e| t.iter().all(|v| e.contains(&(*v as usize))));
        !eye && t.iter().map(moves).sum::<f64>() / 3.0 < STILL
    };
    let calm: Vec<bool> = triangles.iter().map(calm).collect();
    let map = DepthMap::new(&mesh, &here, &lens, size);
    map.triangle.iter().map(|t| calm.get(*t as usize).copied().unwrap_or(false)).collect()
}
