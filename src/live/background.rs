//! What is behind the head: the background types of `--background_type`, and the layers that each is made of.

use crate::composite::{Background, BackgroundPlate, Layers, Patch};
use crate::head::{Branch, Head};
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
    /// The torso that the head's own branch draws for the pose of the head, over the plate.
    DrawnTorso,
    /// The source frame as it was filmed: the head is put back into the video.
    Gt,
    /// The source frame with its face taken out and the torso over it (DEGSTalk): hair, ears and all around the face are the
    /// frame's, face and mouth are drawn.
    Hair,
}

const NAMES: [(&str, BackgroundType); 9] = [
    ("white", BackgroundType::White),
    ("black", BackgroundType::Black),
    ("scene", BackgroundType::Scene),
    ("random", BackgroundType::Random),
    ("torso", BackgroundType::Torso),
    ("bg_w_torso", BackgroundType::BgWithTorso),
    ("drawn_torso", BackgroundType::DrawnTorso),
    ("gt", BackgroundType::Gt),
    ("hair", BackgroundType::Hair),
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

/// What takes the place of the room behind the person (`--background`); [`BackgroundType`] then says whether the torso is
/// shown with the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Backdrop {
    /// What the background type has.
    #[default]
    Own,
    /// One colour, RGB.
    Color([u8; 3]),
    /// A still picture of the frame's size: [`BackgroundLayers::scene`].
    Picture,
    /// Nothing: pictures have an alpha.
    Transparent,
}

impl Backdrop {
    /// Whether it can stand behind a background type: those that are a place or a torso, not those that are a colour or a frame.
    pub fn goes_with(self, kind: BackgroundType) -> bool {
        use BackgroundType::{BgWithTorso, DrawnTorso, Scene, Torso};
        self == Backdrop::Own || matches!(kind, Scene | Torso | BgWithTorso | DrawnTorso)
    }

    /// Whether it wants [`BackgroundLayers::scene`].
    pub fn needs_scene(self, kind: BackgroundType) -> bool {
        match self {
            Backdrop::Own => kind.needs_scene(),
            Backdrop::Picture => true,
            Backdrop::Color(_) | Backdrop::Transparent => false,
        }
    }

    /// Whether the camera may lag behind the source frame, see [`BackgroundType::allows_lag`].
    pub fn allows_lag(self, kind: BackgroundType) -> bool {
        kind.allows_lag() && self != Backdrop::Picture
    }
}

/// Which pictures of the source frame a background is made of. Those it does not need may be absent.
#[derive(Debug, Clone, Copy, Default)]
pub struct BackgroundLayers<'a> {
    /// The static plate.
    pub scene: Option<&'a BackgroundPlate>,
    /// The torso as RGBA, straight alpha.
    pub torso: Option<Patch<'a>>,
    /// The frame as it was filmed, RGB; for [`BackgroundType::Hair`] with its face taken out.
    pub original: Option<&'a [u8]>,
}

impl BackgroundType {
    /// Whether it wants [`BackgroundLayers::scene`].
    pub fn needs_scene(self) -> bool {
        matches!(self, BackgroundType::Scene | BackgroundType::BgWithTorso | BackgroundType::DrawnTorso)
    }

    /// Whether it wants [`BackgroundLayers::torso`].
    pub fn needs_torso(self) -> bool {
        matches!(self, BackgroundType::Torso | BackgroundType::BgWithTorso | BackgroundType::DrawnTorso)
    }

    /// Whether the torso is drawn by a branch of the head, not taken from the source frame.
    pub fn draws_torso(self) -> bool {
        self == BackgroundType::DrawnTorso
    }

    /// The branch of a head that draws the torso.
    ///
    /// # Errors
    /// [`Error::Input`] for a head without one.
    pub fn torso_of(self, head: &Head) -> Result<&Branch> {
        head.torso().ok_or_else(|| {
            let remedy = "train one beside it with `train --part torso`, or choose another background";
            let found = "a head without one";
            Error::input(format!("background_type {self}"), "a head with a torso branch", found, remedy)
        })
    }

    /// Whether it wants [`BackgroundLayers::original`].
    pub fn needs_original(self) -> bool {
        matches!(self, BackgroundType::Gt | BackgroundType::Hair)
    }

    /// Whether the person stands before the filmed room in it, so that it can be compared with the filmed frame.
    pub fn is_as_filmed(self) -> bool {
        self == BackgroundType::BgWithTorso || self.needs_original()
    }

    /// Whether the clothes of the source frame are in it.
    pub fn shows_clothes(self) -> bool {
        self.needs_torso() || self.needs_original()
    }

    /// Whether the camera may lag behind the source frame (`--smooth_coef`). Against the room it may not: the
    /// head would slide over a plate that stands still (SyncGaussianTalker forces 1 there as well). A drawn torso lags with it.
    pub fn allows_lag(self) -> bool {
        !self.needs_scene() || self.draws_torso()
    }

    /// The layers behind the head in output frame `frame`, before `backdrop`.
    ///
    /// # Errors
    /// [`Error::Internal`] when a plate it needs is absent.
    pub fn layers<'a>(
        self,
        backdrop: Backdrop,
        plates: &BackgroundLayers<'a>,
        frame: u64,
        seed: u64,
    ) -> Result<Layers<'a>> {
        let absent = |name: &str| Error::Internal(format!("background {self} without its {name}"));
        let own = || match self {
            BackgroundType::White => Ok(Background::Color([1.0; 3])),
            BackgroundType::Black | BackgroundType::Torso => Ok(Background::Color([0.0; 3])),
            BackgroundType::Random => Ok(Background::Color(color_of(seed, frame))),
            BackgroundType::Scene | BackgroundType::BgWithTorso | BackgroundType::DrawnTorso => {
                plates.scene.map(Background::Plate).ok_or_else(|| absent("scene"))
            }
            BackgroundType::Gt | BackgroundType::Hair => {
                plates.original.map(Background::Frame).ok_or_else(|| absent("original frame"))
            }
        };
        let background = match backdrop {
            Backdrop::Own => own()?,
            Backdrop::Color(rgb) => Background::Color(rgb.map(|v| f32::from(v) / 255.0)),
            Backdrop::Picture => Background::Plate(plates.scene.ok_or_else(|| absent("picture"))?),
            Backdrop::Transparent => Background::Transparent,
        };
        let torso = match self.needs_torso() {
            true => Some(plates.torso.ok_or_else(|| absent("torso"))?),
            false => None,
        };
        Ok(Layers { torso, ..Layers::on(background) })
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

    use crate::composite::cpu::{HeadImages, compose};
    use crate::composite::{PixelFormat, Seam};

    /// The background alone, behind a head of which nothing shows.
    fn painted(kind: BackgroundType, plates: &BackgroundLayers<'_>) -> Vec<u8> {
        let head = HeadImages { size: [2, 1], color: &[0.0; 6], alpha: &[0.0; 2] };
        let layers = kind.layers(Backdrop::Own, plates, 0, 0).unwrap();
        compose(&head, &layers, Seam::default(), PixelFormat::Rgb8).unwrap().bytes
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
        let scene = BackgroundPlate::new([10, 20, 30, 40, 50, 60]);
        let plates = BackgroundLayers {
            scene: Some(&scene),
            torso: Some(Patch::whole([2, 1], &[200, 100, 50, 255, 9, 9, 9, 0])),
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
    fn a_backdrop_takes_the_place_of_the_room_and_leaves_the_torso() {
        let scene = BackgroundPlate::new([10, 20, 30, 40, 50, 60]);
        let plates = BackgroundLayers {
            scene: Some(&scene),
            torso: Some(Patch::whole([2, 1], &[200, 100, 50, 255, 9, 9, 9, 0])),
            original: None,
        };
        let head = HeadImages { size: [2, 1], color: &[0.0; 6], alpha: &[0.0; 2] };
        let painted = |kind: BackgroundType, backdrop| {
            let layers = kind.layers(backdrop, &plates, 0, 0).unwrap();
            compose(&head, &layers, Seam::default(), PixelFormat::Rgba8).unwrap().bytes
        };
        let green = Backdrop::Color([0, 255, 0]);
        assert_eq!(painted(BackgroundType::BgWithTorso, green), [200, 100, 50, 255, 0, 255, 0, 255]);
        assert_eq!(painted(BackgroundType::Scene, green), [0, 255, 0, 255].repeat(2));
        let nothing = Backdrop::Transparent;
        assert_eq!(painted(BackgroundType::BgWithTorso, nothing), [200, 100, 50, 255, 0, 0, 0, 0]);
        let picture = Backdrop::Picture;
        assert_eq!(painted(BackgroundType::Torso, picture), [200, 100, 50, 255, 40, 50, 60, 255]);
        assert!(!nothing.goes_with(BackgroundType::Gt) && !green.goes_with(BackgroundType::White));
        assert!(!picture.allows_lag(BackgroundType::Torso) && nothing.allows_lag(BackgroundType::Torso));
    }

    #[test]
    fn random_is_one_colour_a_frame_and_the_same_for_the_same_seed() {
        let color = |frame, seed| {
            let layers = BackgroundType::Random
                .layers(Backdrop::Own, &BackgroundLayers::default(), frame, seed)
                .unwrap();
            let Background::Color(color) = layers.background else { panic!("{layers:?}") };
            color
        };
        assert_eq!(color(3, 1), color(3, 1));
        assert_ne!(color(3, 1), color(4, 1));
        assert_ne!(color(3, 1), color(3, 2));
        assert!(color(3, 1).iter().all(|v| (0.0..=1.0).contains(v)));
    }

    #[test]
    fn a_missing_plate_is_an_error_not_a_black_picture() {
        for kind in
            [BackgroundType::Scene, BackgroundType::Torso, BackgroundType::BgWithTorso, BackgroundType::Gt]
        {
            assert!(kind.layers(Backdrop::Own, &BackgroundLayers::default(), 0, 0).is_err(), "{kind}");
        }
    }

    #[test]
    fn a_camera_may_not_lag_in_front_of_a_still_room() {
        let lagging: Vec<_> =
            NAMES.iter().filter(|(_, kind)| !kind.allows_lag()).map(|(name, _)| *name).collect();
        assert_eq!(lagging, ["scene", "bg_w_torso"]);
    }
}
