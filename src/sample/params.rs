//! The parameters of one frame: mouth, eyes and brows, head.

use glam::{Mat3, Vec3, vec3};

/// The mouth. All zero is lips at rest, closed.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct MouthPose {
    /// The lower jaw, 0 closed .. 1 wide open.
    pub jaw: f32,
    /// Gap between the lips, 0..1.
    pub open: f32,
    /// Corners, −1 drawn together .. 1 spread.
    pub width: f32,
    /// Rounded and pushed forward, 0..1.
    pub round: f32,
    /// Lips pressed together, 0..1.
    pub press: f32,
    /// Lower lip under the upper teeth, 0..1.
    pub tuck: f32,
    /// Upper lip raised, 0..1.
    pub raise: f32,
    /// Tongue lifted, 0..1.
    pub tongue: f32,
}

impl MouthPose {
    /// The eight numbers in a fixed order.
    pub fn to_array(self) -> [f32; 8] {
        [self.jaw, self.open, self.width, self.round, self.press, self.tuck, self.raise, self.tongue]
    }

    /// From the eight numbers of [`MouthPose::to_array`].
    pub fn from_array(v: [f32; 8]) -> Self {
        let [jaw, open, width, round, press, tuck, raise, tongue] = v;
        MouthPose { jaw, open, width, round, press, tuck, raise, tongue }
    }
}

/// Eyes and brows; pairs are (left, right) from the person's point of view.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct FacePose {
    /// Lids, 0 open .. 1 closed.
    pub blink: [f32; 2],
    /// Lids wider than at rest, 0..1.
    pub wide: f32,
    /// Inner ends of the brows raised, 0..1.
    pub brow_inner: f32,
    /// Outer ends of the brows raised, 0..1.
    pub brow_outer: [f32; 2],
    /// Brows drawn down, 0..1.
    pub brow_down: [f32; 2],
    /// Gaze: to the picture's right and up, −1..1.
    pub gaze: [f32; 2],
}

/// Rotation and place of the head before the camera, relative to looking straight into it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct HeadPose {
    /// Turn to the picture's right, radians.
    pub yaw: f32,
    /// Nod upwards, radians.
    pub pitch: f32,
    /// Tilt counter-clockwise in the picture, radians.
    pub roll: f32,
    /// Shift, millimetres, x right, y up, z to the camera.
    pub shift: [f32; 3],
}

/// The head turns about this point near the top of the neck, millimetres.
const PIVOT: Vec3 = Vec3::new(0.0, -50.0, -15.0);

impl HeadPose {
    /// (R, t) so that a point of the head at rest goes to R·p + t, millimetres.
    pub(super) fn transform(&self) -> (Mat3, Vec3) {
        let r = Mat3::from_rotation_z(self.roll)
            * Mat3::from_rotation_y(self.yaw)
            * Mat3::from_rotation_x(-self.pitch);
        (r, PIVOT - r * PIVOT + vec3(self.shift[0], self.shift[1], self.shift[2]))
    }
}

/// Everything that changes from frame to frame.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Params {
    /// Driven by the sound.
    pub mouth: MouthPose,
    /// Driven by a process of its own.
    pub face: FacePose,
    /// Driven by a process of its own.
    pub head: HeadPose,
}

impl Params {
    /// The 52 blendshapes of this frame in the order of a dataset's `bs.npy`: MediaPipe's without `_neutral`,
    /// a zero at the end. Eyes, brows and jaw carry their true values, the mouth's the nearest equivalents.
    pub fn blendshapes(&self) -> [f32; 52] {
        let (m, f) = (&self.mouth, &self.face);
        let mut b = [0.0; 52];
        b[0] = f.brow_down[0];
        b[1] = f.brow_down[1];
        b[2] = f.brow_inner;
        b[3] = f.brow_outer[0];
        b[4] = f.brow_outer[1];
        b[8] = f.blink[0];
        b[9] = f.blink[1];
        let [right, up] = f.gaze;
        b[10] = (-up).max(0.0);
        b[11] = b[10];
        // The person's left eye is at the picture's right: looking there is outwards for it, inwards for the other.
        b[12] = (-right).max(0.0);
        b[13] = right.max(0.0);
        b[14] = right.max(0.0);
        b[15] = (-right).max(0.0);
        b[16] = up.max(0.0);
        b[17] = b[16];
        b[20] = f.wide;
        b[21] = f.wide;
        b[24] = m.jaw;
        b[26] = (m.jaw - m.open).max(0.0);
        b[31] = m.round * m.open;
        b[35] = m.press;
        b[36] = m.press;
        b[37] = m.round;
        b[39] = m.tuck;
        b[43] = m.width.max(0.0) * 0.5;
        b[44] = b[43];
        b[45] = m.width.max(0.0);
        b[46] = b[45];
        b[47] = m.raise;
        b[48] = m.raise;
        b
    }
}
