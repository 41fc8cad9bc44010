//! What stands behind the head: the background types of `--background_type`.
//!
//! Pictures are `[rows, columns, 3]` row-major; out come f32 in 0..1.

use crate::{Error, Result};
use std::fmt;
use std::str::FromStr;

/// A kind of background. The names are SyncGaussianTalker's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum BackgroundType {
    /// White.
    White,
    /// Black.
    Black,
    /// The static plate, `bc.jpg`.
    Scene,
    /// One colour for each frame, drawn from the seed.
    Random,
    /// The torso of the source frame, black around it.
    Torso,
    /// The torso of the source frame over the plate.
    #[default]
    BgWithTorso,
    /// The source frame as it was filmed: the head is put back into the video.
    Gt,
}

const NAMES: [(&str, BackgroundType); 7] = [
    ("white", BackgroundType::White),
    ("black", BackgroundType::Black),
    ("scene", BackgroundType::Scene),
    ("random", BackgroundType::Random),
    ("torso", BackgroundType::Torso),
    ("bg_w_torso", BackgroundType::BgWithTorso),
    ("gt", BackgroundType::Gt),
];

impl fmt::Display for BackgroundType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = NAMES.iter().find(|(_, kind)| kind == self).map_or("", |(name, _)| name);
        f.write_str(name)
    }
}

impl FromStr for BackgroundType {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let known = NAMES.iter().find(|(name, _)| *name == text.replace('-', "_"));
        known.map(|(_, kind)| *kind).ok_or_else(|| {
            let names: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
            let expected = format!("one of {}", names.join(", "));
            Error::input("--background_type", expected, format!("{text:?}"), "choose one of these")
        })
    }
}

/// Which pictures of the source frame a background is made of. Those it does not need may be absent.
#[derive(Debug, Clone, Copy, Default)]
pub struct Plates<'a> {
    /// The static plate as RGB.
    pub scene: Option<&'a [u8]>,
    /// The torso as RGBA, straight alpha.
    pub torso: Option<&'a [u8]>,
    /// The frame as it was filmed, RGB.
    pub original: Option<&'a [u8]>,
}

impl BackgroundType {
    /// Whether it wants [`Plates::scene`].
    pub fn needs_scene(self) -> bool {
        matches!(self, BackgroundType::Scene | BackgroundType::BgWithTorso)
    }

    /// Whether it wants [`Plates::torso`].
    pub fn needs_torso(self) -> bool {
        matches!(self, BackgroundType::Torso | BackgroundType::BgWithTorso)
    }

    /// Whether it wants [`Plates::original`].
    pub fn needs_original(self) -> bool {
        self == BackgroundType::Gt
    }

    /// Whether the clothes of the source frame are in it.
    pub fn shows_clothes(self) -> bool {
        self.needs_torso() || self.needs_original()
    }

    /// Whether the camera may lag behind the source frame (`--smooth_coef`). Against the room it may not: the
    /// head would slide over a plate that stands still (SyncGaussianTalker forces 1 there as well).
    pub fn allows_lag(self) -> bool {
        !self.needs_scene()
    }

    /// Paints the background of output frame `frame`, `size` = [width, height].
    ///
    /// # Errors
    /// [`Error::Internal`] when a plate it needs is absent or of another size.
    pub fn paint(self, size: [usize; 2], plates: &Plates<'_>, frame: u64, seed: u64) -> Result<Vec<f32>> {
        let pixels = size[0] * size[1];
        let plate = |name: &str, plate: Option<&'_ [u8]>, channels: usize| match plate {
            Some(bytes) if bytes.len() == pixels * channels => Ok(()),
            Some(bytes) => Err(Error::Internal(format!("{name}: {} bytes for {size:?}", bytes.len()))),
            None => Err(Error::Internal(format!("background {self} without its {name}"))),
        };
        let flat = |color: [f32; 3]| std::iter::repeat_n(color, pixels).flatten().collect();
        let unit = |bytes: &[u8]| bytes.iter().map(|b| f32::from(*b) / 255.0).collect();
        let mut image: Vec<f32> = match self {
            BackgroundType::White => flat([1.0; 3]),
            BackgroundType::Black | BackgroundType::Torso => flat([0.0; 3]),
            BackgroundType::Random => flat(color_of(seed, frame)),
            BackgroundType::Scene | BackgroundType::BgWithTorso => {
                plate("scene", plates.scene, 3)?;
                unit(plates.scene.unwrap_or_default())
            }
            BackgroundType::Gt => {
                plate("original frame", plates.original, 3)?;
                unit(plates.original.unwrap_or_default())
            }
        };
        if self.needs_torso() {
            plate("torso", plates.torso, 4)?;
            let torso = plates.torso.unwrap_or_default().chunks_exact(4);
            for (to, rgba) in image.chunks_exact_mut(3).zip(torso) {
                let alpha = f32::from(rgba[3]) / 255.0;
                for (to, value) in to.iter_mut().zip(rgba) {
                    *to += (f32::from(*value) / 255.0 - *to) * alpha;
                }
            }
        }
        Ok(image)
    }
}

/// A colour from two numbers: SplitMix64 (Steele et al. 2014), whose every output bit depends on both.
fn color_of(seed: u64, frame: u64) -> [f32; 3] {
    let mix = |mut z: u64| {
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    let bits = mix(mix(seed).wrapping_add(frame.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15)));
    std::array::from_fn(|k| ((bits >> (16 * k)) & 0xffff) as f32 / 65535.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: [usize; 2] = [2, 1];

    fn painted(kind: BackgroundType, plates: &Plates<'_>) -> Vec<u8> {
        let image = kind.paint(SIZE, plates, 0, 0).unwrap();
        image.iter().map(|v| (v * 255.0 + 0.5) as u8).collect()
    }

    #[test]
    fn every_name_is_read_back() {
        for (name, kind) in NAMES {
            assert_eq!(name.parse::<BackgroundType>().unwrap(), kind);
            assert_eq!(kind.to_string(), name);
        }
        assert_eq!("bg-w-torso".parse::<BackgroundType>().unwrap(), BackgroundType::BgWithTorso);
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_known_ones() {
        let error = "blue".parse::<BackgroundType>().unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("bg_w_torso"), "{error}");
    }

    #[test]
    fn each_type_shows_its_own_plates() {
        let plates = Plates {
            scene: Some(&[10, 20, 30, 40, 50, 60]),
            torso: Some(&[200, 100, 50, 255, 9, 9, 9, 0]),
            original: Some(&[1, 2, 3, 4, 5, 6]),
        };
        assert_eq!(painted(BackgroundType::White, &plates), [255; 6]);
        assert_eq!(painted(BackgroundType::Black, &plates), [0; 6]);
        assert_eq!(painted(BackgroundType::Scene, &plates), [10, 20, 30, 40, 50, 60]);
        assert_eq!(painted(BackgroundType::Torso, &plates), [200, 100, 50, 0, 0, 0]);
        assert_eq!(painted(BackgroundType::BgWithTorso, &plates), [200, 100, 50, 40, 50, 60]);
        assert_eq!(painted(BackgroundType::Gt, &plates), [1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn a_half_transparent_torso_is_blended_once() {
        let plates = Plates {
            scene: Some(&[100; 6]),
            torso: Some(&[200, 200, 200, 128, 200, 200, 200, 128]),
            ..Plates::default()
        };
        assert_eq!(painted(BackgroundType::BgWithTorso, &plates), [150; 6]);
        assert_eq!(painted(BackgroundType::Torso, &plates), [100; 6]);
    }

    #[test]
    fn random_is_one_colour_a_frame_and_the_same_for_the_same_seed() {
        let paint =
            |frame, seed| BackgroundType::Random.paint(SIZE, &Plates::default(), frame, seed).unwrap();
        assert_eq!(paint(3, 1)[..3], paint(3, 1)[3..]);
        assert_eq!(paint(3, 1), paint(3, 1));
        assert_ne!(paint(3, 1), paint(4, 1));
        assert_ne!(paint(3, 1), paint(3, 2));
        assert!(paint(3, 1).iter().all(|v| (0.0..=1.0).contains(v)));
    }

    #[test]
    fn a_missing_or_wrong_plate_is_an_error_not_a_black_picture() {
        let small = Plates { scene: Some(&[0; 3]), ..Plates::default() };
        for kind in
            [BackgroundType::Scene, BackgroundType::Torso, BackgroundType::BgWithTorso, BackgroundType::Gt]
        {
            assert!(kind.paint(SIZE, &small, 0, 0).is_err(), "{kind}");
        }
    }

    #[test]
    fn a_camera_may_not_lag_in_front_of_a_still_room() {
        let lagging: Vec<_> =
            NAMES.iter().filter(|(_, kind)| !kind.allows_lag()).map(|(name, _)| *name).collect();
        assert_eq!(lagging, ["scene", "bg_w_torso"]);
    }
}
