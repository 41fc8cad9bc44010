//! How the soft tissue of the face follows the jaw, the lips and the brows: smooth fields over the face at rest.
//! Millimetres, the head's frame.

use super::curve::{bell, mix, ramp};
use super::params::{FacePose, MouthPose};
use glam::{Vec3, vec3};

/// Height of the seam between the closed lips.
pub(super) const SEAM: f32 = -50.0;
/// Half the width of the mouth at rest.
pub(super) const HALF_WIDTH: f32 = 23.0;
/// Gap of the lips when `open` is 1.
pub(super) const MOST_OPEN: f32 = 20.0;
/// Way of the incisors when `jaw` is 1.
const MOST_JAW: f32 = 15.0;
/// The jaw turns about an axis along x through this height, at depth 0; the incisors are 95 in front of it.
const HINGE: f32 = -8.0;
const REACH: f32 = 95.0;

/// The fields of one frame.
#[derive(Debug, Clone, Copy)]
pub(super) struct Warp {
    pub mouth: MouthPose,
    pub face: FacePose,
    /// Gap between the lips in the middle.
    pub gap: f32,
    /// Way of the lower incisors downwards.
    pub drop: f32,
    /// Rise of the upper lip's rim in the middle.
    pub upper: f32,
}

impl Warp {
    pub(super) fn new(mouth: MouthPose, face: FacePose) -> Self {
        let gap = MOST_OPEN * mouth.open.max(0.0);
        Warp {
            mouth,
            face,
            gap,
            drop: MOST_JAW * mouth.jaw,
            upper: 0.14 * gap + 2.6 * mouth.raise - 0.5 * mouth.press,
        }
    }

    /// Fall of the lower lip's rim in the middle.
    pub(super) fn lower(&self) -> f32 {
        self.gap - self.upper
    }

    /// Where the lower jaw takes a point that is fixed to it.
    pub(super) fn jaw(&self, p: Vec3) -> Vec3 {
        let (s, c) = (self.drop / REACH).sin_cos();
        let (y, z) = (p.y - HINGE, p.z);
        vec3(p.x, HINGE + c * y - s * z, s * y + c * z)
    }

    /// Where the tongue takes a point of its back.
    pub(super) fn tongue(&self, p: Vec3) -> Vec3 {
        let front = ramp(58.0, 76.0, p.z);
        self.jaw(p + vec3(0.0, 9.0, 5.0) * self.mouth.tongue * (0.4 + 0.6 * front))
    }

    /// Where the face's tissue takes a point.
    pub(super) fn skin(&self, p: Vec3) -> Vec3 {
        let mut q = p;
        if p.y < -18.0 && p.z > 0.0 {
            q = q.lerp(self.jaw(p), self.jaw_share(p));
            q += self.lips(p);
        }
        if p.y > 2.0 && p.z > 20.0 {
            q += self.brows(p);
        }
        q
    }

    fn jaw_share(&self, p: Vec3) -> f32 {
        let below = ramp(-43.0, -61.0, p.y);
        let inside = 1.0 - ramp(44.0, 72.0, p.x.abs());
        below * inside * ramp(0.0, 52.0, p.z)
    }

    fn lips(&self, p: Vec3) -> Vec3 {
        let m = &self.mouth;
        let front = ramp(20.0, 60.0, p.z);
        let around = bell(p.x / 19.0, (p.y - SEAM) / 13.0);
        let mut d = vec3(0.0, 0.0, 5.5 * m.round * around - 1.0 * m.press * around);
        let corner = bell((p.x.abs() - HALF_WIDTH) / 13.0, (p.y - SEAM) / 12.0);
        d += vec3(0.0, 1.6 * m.width.max(0.0), -1.2 * m.width.max(0.0)) * corner;
        // The mouth becomes wider or narrower as a whole, the cheeks beside it give way.
        let wider = 0.17 * m.width - 0.25 * m.round;
        d.x += wider * p.x * bell((p.x.abs() - HALF_WIDTH).max(0.0) / 14.0, (p.y - SEAM) / 15.0);
        d.y += self.upper * bell(p.x / 15.0, (p.y + 42.0) / 9.0) * ramp(-55.0, -47.0, p.y);
        // What the lower lip does beyond following the jaw.
        let extra = self.drop - self.lower() + 1.2 * m.tuck;
        d.y += extra * bell(p.x / 17.0, (p.y + 58.0) / 8.0) * ramp(-46.0, -54.0, p.y);
        d.z -= 2.0 * m.tuck * bell(p.x / 17.0, (p.y + 58.0) / 7.0);
        // Cheeks fill when the corners spread.
        d.z += 1.5 * m.width.max(0.0) * bell((p.x.abs() - 36.0) / 12.0, (p.y + 30.0) / 12.0);
        d * front
    }

    fn brows(&self, p: Vec3) -> Vec3 {
        let f = &self.face;
        let side = usize::from(p.x < 0.0);
        let inner = bell((p.x.abs() - 16.0) / 12.0, (p.y - 35.0) / 13.0);
        let outer = bell((p.x.abs() - 44.0) / 14.0, (p.y - 37.0) / 13.0);
        let up = 6.0 * f.brow_inner * inner + 6.0 * f.brow_outer[side] * outer;
        let down = f.brow_down[side] * (4.5 * inner + 2.5 * outer);
        // Near the eye the skin hardly moves.
        let free = mix(0.15, 1.0, ramp(20.0, 30.0, p.y));
        vec3(-p.x.signum() * 2.0 * f.brow_down[side] * inner, up - down, 0.0) * free
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_face_at_rest_stays_where_it_is() {
        let warp = Warp::new(MouthPose::default(), FacePose::default());
        for p in [vec3(0.0, -80.0, 80.0), vec3(20.0, -52.0, 85.0), vec3(-40.0, 36.0, 75.0)] {
            assert!((warp.skin(p) - p).length() < 1e-4);
        }
    }

    #[test]
    fn the_chin_falls_with_the_jaw_and_the_forehead_does_not() {
        let open = MouthPose { jaw: 1.0, open: 1.0, ..MouthPose::default() };
        let warp = Warp::new(open, FacePose::default());
        let chin = vec3(0.0, -85.0, 80.0);
        assert!(warp.skin(chin).y < chin.y - 8.0);
        let forehead = vec3(0.0, 60.0, 85.0);
        assert_eq!(warp.skin(forehead), forehead);
    }
}
