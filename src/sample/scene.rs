//! From the parameters of a frame to surfels: every element is carried to its place and becomes an activated
//! disc. Output in metres in the head's frame (x right, y up, z out of the face), which is the world of the
//! talker's dataset: the head stands still and the camera moves.

use super::anatomy::{self, Palette, eyes, mouth};
use super::element::{Element, Label, Motion, Place};
use super::params::Params;
use super::warp::Warp;
use crate::Camera;
use crate::raster::{Colors, SurfelBatch};
use glam::{Mat3, Quat, Vec3, vec3};
use rayon::prelude::*;

/// Distance of the camera from the head's origin, metres.
pub const DISTANCE: f64 = 0.65;
/// Height of what the picture shows at that distance, metres.
const WINDOW: f64 = 0.385;
/// The camera looks at this height of the head at rest, millimetres.
const LOOK_AT: f32 = -26.0;

/// A made-up person: anatomy at rest. The same seed gives the same person.
pub struct Talker {
    elements: Vec<Element>,
    palette: Palette,
    seed: u64,
}

/// Activated surfels of one frame, struct-of-arrays as [`SurfelBatch`] takes them, and what each one shows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TalkerSurfels {
    /// Centres, metres, `[n, 3]`.
    pub positions: Vec<f32>,
    /// Unit quaternions (w, x, y, z), `[n, 4]`.
    pub rotations: Vec<f32>,
    /// Standard deviations, metres, `[n, 2]`.
    pub scales: Vec<f32>,
    /// Opacities 0..1, `[n]`.
    pub opacities: Vec<f32>,
    /// sRGB 0..1, `[n, 3]`.
    pub colors: Vec<f32>,
    /// What each surfel shows, `[n]`.
    pub labels: Vec<Label>,
    /// Membership in head, neck, torso and face (0 or 1), `[n, 4]`, drawn as attention to get label masks.
    pub memberships: Vec<f32>,
}

impl TalkerSurfels {
    /// Number of surfels.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// True when there is no surfel.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// As the rasterizer takes them, with the memberships in the attention channels when `labels` is set.
    pub fn batch(&self, labels: bool) -> SurfelBatch<'_> {
        SurfelBatch {
            surfels: self.len(),
            copies: 1,
            positions: &self.positions,
            rotations: &self.rotations,
            scales: &self.scales,
            opacities: &self.opacities,
            colors: Colors::Ready(&self.colors),
            attention: labels.then_some(&self.memberships),
            behind: None,
        }
    }
}

/// The camera of a frame: the head stands in the world, the camera moves around it. Square image, principal
/// point in the middle.
pub fn camera(params: &Params, size: u32) -> Camera {
    let (r, t) = params.head.transform();
    let mut pose = [[0.0; 4], [0.0; 4], [0.0; 4], [0.0, 0.0, 0.0, 1.0]];
    // camera_from_world is [R | t − look + (0, 0, −distance)] in OpenGL axes; the pose is its inverse.
    let shift = t - vec3(0.0, LOOK_AT, 0.0);
    let shift = [f64::from(shift.x) / 1e3, f64::from(shift.y) / 1e3, f64::from(shift.z) / 1e3 - DISTANCE];
    // Once more in double precision, so that the rotation is orthonormal to the last digit.
    let [yaw, pitch, roll] = [params.head.yaw, params.head.pitch, params.head.roll].map(f64::from);
    let r64 = glam::DMat3::from_rotation_z(roll)
        * glam::DMat3::from_rotation_y(yaw)
        * glam::DMat3::from_rotation_x(-pitch);
    debug_assert!((r64.as_mat3() - r).abs().determinant().abs() < 1e-3);
    for (i, row) in pose.iter_mut().take(3).enumerate() {
        let column = r64.col(i).to_array();
        row[..3].copy_from_slice(&column);
        row[3] = -(0..3).map(|k| column[k] * shift[k]).sum::<f64>();
    }
    let focal = f64::from(size) * DISTANCE / WINDOW;
    let middle = f64::from(size) / 2.0;
    Camera::from_opengl(&pose, focal, middle, middle, [size, size])
}

impl Talker {
    /// The person of this seed; 0 is the talker of the demo.
    pub fn new(seed: u64) -> Self {
        Talker { elements: anatomy::build(seed), palette: Palette::new(seed), seed }
    }

    /// The seed the person was made from.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Number of surfels; the same for every frame.
    pub fn len(&self) -> usize {
        self.elements.len()
    }

    /// True when there is no surfel.
    pub fn is_empty(&self) -> bool {
        self.elements.is_empty()
    }

    /// Backdrop colours at the top and at the bottom, sRGB 0..1.
    pub(super) fn backdrop(&self) -> [Vec3; 2] {
        self.palette.backdrop
    }

    /// The surfels of a frame.
    pub fn surfels(&self, params: &Params) -> TalkerSurfels {
        let frame = Frame::new(params);
        let discs: Vec<[Vec3; 3]> = self.elements.par_iter().map(|e| frame.carry(e)).collect();
        let n = discs.len();
        let mut out = TalkerSurfels {
            positions: Vec::with_capacity(3 * n),
            rotations: Vec::with_capacity(4 * n),
            scales: Vec::with_capacity(2 * n),
            ..TalkerSurfels::default()
        };
        for (disc, element) in discs.iter().zip(&self.elements) {
            push(&mut out, disc, element);
        }
        out
    }
}

fn push(out: &mut TalkerSurfels, disc: &[Vec3; 3], element: &Element) {
    let [at, u, v] = *disc;
    let long = u.length().max(1e-4);
    let x = u / long;
    let across = v - x * v.dot(x);
    let wide = across.length().max(0.15);
    let y = across.normalize_or(x.any_orthonormal_vector());
    let q = Quat::from_mat3(&Mat3::from_cols(x, y, x.cross(y))).normalize();
    out.positions.extend((at * 1e-3).to_array());
    out.rotations.extend([q.w, q.x, q.y, q.z]);
    out.scales.extend([long.max(0.15) * 1e-3, wide * 1e-3]);
    out.opacities.push(element.opacity);
    out.colors.extend(element.color.clamp(Vec3::ZERO, Vec3::ONE).to_array());
    out.labels.push(element.label);
    let is = |l: &[Label]| f32::from(u8::from(l.contains(&element.label)));
    out.memberships.extend([
        is(&[Label::Hair, Label::Face, Label::Mouth]),
        is(&[Label::Neck]),
        is(&[Label::Torso]),
        is(&[Label::Face, Label::Mouth]),
    ]);
}

/// Everything the elements of one frame share.
pub(super) struct Frame {
    pub warp: Warp,
    gaze: Mat3,
    head_from_camera: Mat3,
    shift: Vec3,
}

impl Frame {
    pub(super) fn new(params: &Params) -> Self {
        let (r, t) = params.head.transform();
        let warp = Warp::new(params.mouth, params.face);
        Frame { warp, gaze: eyes::turn(params.face.gaze), head_from_camera: r.transpose(), shift: t }
    }

    /// What stands still before the camera, seen from the head.
    fn body(&self, p: Vec3) -> Vec3 {
        self.head_from_camera * (p - self.shift)
    }

    fn moved(&self, p: Vec3, motion: Motion) -> Vec3 {
        match motion {
            Motion::Skull => p,
            Motion::Skin => self.warp.skin(p),
            Motion::Jaw => self.warp.jaw(p),
            Motion::Tongue => self.warp.tongue(p),
            Motion::Eye(side) => {
                let middle = eyes::center(side);
                middle + self.gaze * (p - middle)
            }
            Motion::Body => self.body(p),
            Motion::Neck(head) => self.body(p).lerp(p, head),
        }
    }

    /// Centre and tangents (lengths are standard deviations) of an element, millimetres.
    fn carry(&self, element: &Element) -> [Vec3; 3] {
        match element.place {
            Place::Disc { at, tangents, motion } => {
                let p = self.moved(at, motion);
                let [u, v] = tangents.map(|t| self.moved(at + t, motion) - p);
                [p, u, v]
            }
            Place::Lip { angle, way, size } => {
                carry_ring(|a, w| mouth::lip(&self.warp, a, w), angle, way, size)
            }
            Place::Lid { side, angle, way, size } => {
                carry_ring(|a, w| eyes::lid(&self.warp, side, a, w), angle, way, size)
            }
            Place::Lash { side, angle, size } => {
                let [root, along] = eyes::lash(&self.warp, side, angle);
                let across = along.cross(Vec3::Z).normalize_or(Vec3::X);
                [root + along * size[0] + Vec3::Z * 0.4, along * size[0], across * size[1]]
            }
        }
    }
}

fn carry_ring(at: impl Fn(f32, f32) -> Vec3, angle: f32, way: f32, size: [f32; 2]) -> [Vec3; 3] {
    let [da, dw] = size;
    let u = (at(angle + da, way) - at(angle - da, way)) * 0.5;
    let (low, high) = ((way - dw).max(0.0), way + dw);
    let v = (at(angle, high) - at(angle, low)) * (dw / (high - low));
    // Where the ring is squeezed (closed lids, pressed lips) discs stay large enough to leave no holes.
    let floor = |t: Vec3, least: f32| t.normalize_or_zero() * t.length().max(least);
    [at(angle, way), floor(u, 0.5), floor(v, 0.45)]
}

#[cfg(test)]
mod tests {
    use super::super::params::{FacePose, HeadPose, MouthPose};
    use super::*;

    fn some() -> Params {
        Params {
            mouth: MouthPose { jaw: 0.6, open: 0.5, width: 0.3, ..MouthPose::default() },
            face: FacePose { blink: [0.4, 1.0], brow_inner: 0.5, gaze: [0.3, -0.2], ..FacePose::default() },
            head: HeadPose { yaw: 0.1, pitch: -0.05, roll: 0.02, shift: [1.0, 2.0, -1.0] },
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_person_on_any_number_of_threads() {
        let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let here = Talker::new(3).surfels(&some());
        assert_eq!(here, one.install(|| Talker::new(3).surfels(&some())));
        assert_ne!(here.colors, Talker::new(4).surfels(&some()).colors);
    }

    #[test]
    fn every_label_is_there_and_surfels_are_sound() {
        let surfels = Talker::new(0).surfels(&some());
        for label in [Label::Hair, Label::Face, Label::Mouth, Label::Neck, Label::Torso] {
            assert!(surfels.labels.iter().filter(|l| **l == label).count() > 100, "{label:?}");
        }
        assert!((10_000..=15_000).contains(&surfels.len()), "{}", surfels.len());
        let numbers = [&surfels.positions, &surfels.rotations, &surfels.scales, &surfels.colors];
        assert!(numbers.iter().all(|v| v.iter().all(|x| x.is_finite())));
        for q in surfels.rotations.chunks_exact(4) {
            assert!((q.iter().map(|v| v * v).sum::<f32>() - 1.0).abs() < 1e-4);
        }
        assert!(surfels.scales.iter().all(|s| *s > 1e-4 && *s < 0.03));
    }

    #[test]
    fn shoulders_stand_still_before_the_camera() {
        let talker = Talker::new(0);
        let seen = |params: &Params| -> Vec<[f64; 3]> {
            let (surfels, camera) = (talker.surfels(params), camera(params, 192));
            let torso = surfels.labels.iter().enumerate().filter(|(_, l)| **l == Label::Torso);
            torso
                .map(|(i, _)| {
                    let p = &surfels.positions[3 * i..3 * i + 3];
                    camera.project([p[0], p[1], p[2]].map(f64::from))
                })
                .collect()
        };
        for (a, b) in seen(&Params::default()).iter().zip(seen(&some())) {
            assert!((a[0] - b[0]).abs() < 1e-2 && (a[1] - b[1]).abs() < 1e-2);
        }
    }

    #[test]
    fn the_head_turns_to_the_pictures_right_with_positive_yaw() {
        let turned = Params { head: HeadPose { yaw: 0.1, ..HeadPose::default() }, ..Params::default() };
        let nose = |p: &Params| camera(p, 192).project([0.0, -0.02, 0.1])[0];
        assert!(nose(&turned) > nose(&Params::default()) + 2.0);
    }
}
