//! Colours of a made-up person.

use glam::{Vec3, vec3};

/// Colours of one person, sRGB 0..1.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Palette {
    pub skin: Vec3,
    pub blush: Vec3,
    pub lips: Vec3,
    pub hair: Vec3,
    pub shine: Vec3,
    pub iris: Vec3,
    pub wool: Vec3,
    /// Backdrop at the top and at the bottom.
    pub backdrop: [Vec3; 2],
}

impl Palette {
    /// Seed 0 is the talker of the demo; others change hair, eyes, wool and backdrop.
    pub(in super::super) fn new(seed: u64) -> Self {
        let hairs = [
            (vec3(0.36, 0.19, 0.11), vec3(0.68, 0.41, 0.23)),
            (vec3(0.17, 0.12, 0.11), vec3(0.40, 0.29, 0.25)),
            (vec3(0.60, 0.42, 0.23), vec3(0.90, 0.72, 0.45)),
            (vec3(0.50, 0.18, 0.08), vec3(0.86, 0.42, 0.19)),
        ];
        let irises =
            [vec3(0.23, 0.50, 0.42), vec3(0.38, 0.22, 0.11), vec3(0.25, 0.46, 0.66), vec3(0.42, 0.40, 0.18)];
        let wools = [
            (vec3(0.13, 0.40, 0.42), [vec3(0.96, 0.88, 0.78), vec3(0.88, 0.72, 0.62)]),
            (vec3(0.72, 0.32, 0.22), [vec3(0.80, 0.88, 0.90), vec3(0.58, 0.70, 0.74)]),
            (vec3(0.80, 0.62, 0.24), [vec3(0.84, 0.84, 0.92), vec3(0.62, 0.64, 0.78)]),
        ];
        let (hair, shine) = hairs[(seed % 4) as usize];
        let (wool, backdrop) = wools[(seed % 3) as usize];
        Palette {
            skin: vec3(0.93, 0.75, 0.645),
            blush: vec3(0.93, 0.52, 0.46),
            lips: vec3(0.80, 0.36, 0.36),
            hair,
            shine,
            iris: irises[(seed % 4) as usize],
            wool,
            backdrop,
        }
    }
}
