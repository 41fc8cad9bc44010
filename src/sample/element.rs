//! What the anatomy is made of: surface elements at rest, each knowing what carries it.
//! Lengths are millimetres in the head's frame: x to the right of the picture, y up, z out of the face,
//! origin inside the skull at the height of the eyes' lower lids.

use glam::Vec3;

/// What a pixel shows; the order is that of the label channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Label {
    /// Hair, ears and scalp: head, but not face.
    Hair,
    /// Skin of the face, eyes, brows, nose.
    Face,
    /// Lips, teeth, tongue and the hollow behind them; part of the face.
    Mouth,
    /// Neck.
    Neck,
    /// Clothes.
    Torso,
}

/// One of the two sides, from the person's own point of view; the left is at +x, to the right of the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The person's left, +x.
    Left,
    /// The person's right, −x.
    Right,
}

impl Side {
    /// Both, left first, as MediaPipe's blendshapes list them.
    pub const BOTH: [Side; 2] = [Side::Left, Side::Right];

    /// +1 on the left, −1 on the right.
    pub fn sign(self) -> f32 {
        match self {
            Side::Left => 1.0,
            Side::Right => -1.0,
        }
    }

    /// Index into pairs: 0 left, 1 right.
    pub fn index(self) -> usize {
        match self {
            Side::Left => 0,
            Side::Right => 1,
        }
    }
}

/// How an element moves with the parameters.
#[derive(Debug, Clone, Copy)]
pub(super) enum Motion {
    /// With the skull: not at all in the head's frame.
    Skull,
    /// With the soft tissue of the face.
    Skin,
    /// With the lower jaw.
    Jaw,
    /// With the lower jaw, and lifted by the tongue.
    Tongue,
    /// Turning with the eyeball.
    Eye(Side),
    /// With the shoulders: still before the camera.
    Body,
    /// Between the shoulders (0) and the skull (1).
    Neck(f32),
}

/// Where an element is, and how large.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    /// A disc at rest with two tangents whose lengths are its standard deviations.
    Disc {
        /// Centre at rest.
        at: Vec3,
        /// Tangents at rest.
        tangents: [Vec3; 2],
        /// What carries it.
        motion: Motion,
    },
    /// A piece of the lips: angle around the mouth, way from the outer edge (0) over the rim (1) inwards, and
    /// standard deviations in both.
    Lip {
        /// Angle, radians; 0 is the left corner, π/2 the middle of the upper lip.
        angle: f32,
        /// Way from the outer edge.
        way: f32,
        /// Standard deviations in angle and way.
        size: [f32; 2],
    },
    /// A piece of the eyelids, as [`Place::Lip`].
    Lid {
        /// Which eye.
        side: Side,
        /// Angle; 0 is the outer corner.
        angle: f32,
        /// Way from the outer edge to the lid's margin (1).
        way: f32,
        /// Standard deviations in angle and way.
        size: [f32; 2],
    },
    /// An eyelash rooted at the lid's margin.
    Lash {
        /// Which eye.
        side: Side,
        /// Angle of the root.
        angle: f32,
        /// Standard deviations along and across, millimetres.
        size: [f32; 2],
    },
}

/// One surface element.
#[derive(Debug, Clone, Copy)]
pub(super) struct Element {
    pub place: Place,
    /// sRGB 0..1, with the light baked in.
    pub color: Vec3,
    pub opacity: f32,
    pub label: Label,
}

impl Element {
    /// A disc.
    pub(super) fn disc(at: Vec3, tangents: [Vec3; 2], motion: Motion, color: Vec3, label: Label) -> Self {
        Element { place: Place::Disc { at, tangents, motion }, color, opacity: 0.98, label }
    }

    /// The same with another opacity.
    pub(super) fn faded(self, opacity: f32) -> Self {
        Element { opacity, ..self }
    }

    /// A round disc of standard deviation `size` facing `normal`.
    pub(super) fn dot(at: Vec3, normal: Vec3, size: f32, motion: Motion, color: Vec3, label: Label) -> Self {
        let u = normal.any_orthonormal_vector();
        Element::disc(at, [u * size, normal.cross(u) * size], motion, color, label)
    }

    /// A disc stretched along `along` (its length is the standard deviation), `width` across, facing `normal`.
    pub(super) fn strand(at: Vec3, along: Vec3, normal: Vec3, width: f32, color: Vec3, label: Label) -> Self {
        let across = along.cross(normal).normalize_or(Vec3::X) * width;
        Element::disc(at, [along, across], Motion::Skull, color, label)
    }

    /// The same carried by something else.
    pub(super) fn carried(mut self, by: Motion) -> Self {
        if let Place::Disc { motion, .. } = &mut self.place {
            *motion = by;
        }
        self
    }
}

/// Normal of a surface `p(u, v)` by differences; `du` and `dv` are the steps, u × v points outwards.
pub(super) fn normal_of(p: impl Fn(f32, f32) -> Vec3, u: f32, v: f32, du: f32, dv: f32) -> Vec3 {
    let a = p(u + du, v) - p(u - du, v);
    let b = p(u, v + dv) - p(u, v - dv);
    a.cross(b).normalize_or(Vec3::Z)
}
