//! What is behind a head in a session: its own room, a colour, a picture, or nothing.

use super::heads::ServedHead;
use crate::live::background::{self, BackgroundType};
use crate::live::frame_renderer::FrameOptions;
use crate::live::performance::PerformanceOptions;
use crate::live::plate_source::{BeforePicture, ClipPlates, PlateSource};
use crate::{Error, Result};
use image::RgbImage;
use std::sync::Arc;

/// What is behind a head.
#[derive(Debug, Clone, PartialEq)]
pub enum Backdrop {
    /// What the head brings along.
    Own(BackgroundType),
    /// One colour behind head and torso.
    Color([u8; 3]),
    /// A picture behind head and torso, of any size.
    Picture(Arc<RgbImage>),
    /// Nothing behind head and torso: pictures have alpha.
    Transparent,
}

impl Default for Backdrop {
    fn default() -> Self {
        Backdrop::Own(BackgroundType::default())
    }
}

impl Backdrop {
    /// The backdrop of a name: a background type of `render` that needs no filmed frames, `transparent`, or a colour as `#rrggbb`
    /// (`#` may be left out).
    ///
    /// # Errors
    /// [`Error::Input`] for another name.
    pub fn parse(name: &str) -> Result<Self> {
        if name == "transparent" {
            return Ok(Backdrop::Transparent);
        }
        let digits = name.strip_prefix('#').unwrap_or(name);
        if digits.len() == 6 && digits.bytes().all(|c| c.is_ascii_hexdigit()) {
            let value = u32::from_str_radix(digits, 16).map_err(|e| Error::Internal(e.to_string()))?;
            let [_, color @ ..] = value.to_be_bytes();
            return Ok(Backdrop::Color(color));
        }
        match name.parse() {
            // Filmed frames, and another colour in each frame, are not for live pictures.
            Ok(
                BackgroundType::Gt
                | BackgroundType::Hair
                | BackgroundType::Random
                | BackgroundType::DrawnTorso,
            )
            | Err(_) => Err(Error::input(
                "the background",
                "white, black, scene, torso, bg_w_torso, transparent, a colour as #rrggbb, or the id of an uploaded picture",
                format!("{name:?}"),
                "choose one of these",
            )),
            Ok(own) => Ok(Backdrop::Own(own)),
        }
    }

    /// Whether pictures have alpha.
    pub fn is_transparent(&self) -> bool {
        *self == Backdrop::Transparent
    }

    /// How a head is drawn before it, one frame at a time. A head that has a torso branch is drawn with that one.
    ///
    /// # Errors
    /// [`Error::Input`] for a head without its clip.
    pub(super) fn options(&self, head: &ServedHead) -> Result<PerformanceOptions> {
        let mut frames = FrameOptions { batch: 1, ..FrameOptions::default() };
        let mut plates = None;
        match self {
            Backdrop::Own(own) => frames.background = *own,
            Backdrop::Transparent => frames.backdrop = background::Backdrop::Transparent,
            Backdrop::Color(color) => frames.backdrop = background::Backdrop::Color(*color),
            Backdrop::Picture(picture) => {
                frames.backdrop = background::Backdrop::Picture;
                let clip = Arc::new(ClipPlates::new(Arc::clone(&head.head))?);
                plates = Some(Arc::new(BeforePicture::new(clip, picture)) as Arc<dyn PlateSource>);
            }
        }
        if frames.background == BackgroundType::BgWithTorso && head.head.torso().is_some() {
            frames.background = BackgroundType::DrawnTorso;
        }
        Ok(PerformanceOptions { frames, plates, ..PerformanceOptions::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::super::picture::FramePicture;
    use super::super::speaker::Speaker;
    use super::*;
    use crate::head::backend::CpuBackend;
    use image::Rgb;

    #[test]
    fn names_are_read_and_others_refused() {
        assert_eq!(Backdrop::parse("#0a80Ff").expect("a colour"), Backdrop::Color([10, 128, 255]));
        assert_eq!(Backdrop::parse("0a80ff").expect("a colour"), Backdrop::Color([10, 128, 255]));
        assert_eq!(Backdrop::parse("white").expect("a name"), Backdrop::Own(BackgroundType::White));
        assert!(Backdrop::parse("transparent").expect("a name").is_transparent());
        for wrong in ["", "gt", "random", "#12345", "#12345g", "blue", "é12345", "../etc/passwd"] {
            let error = Backdrop::parse(wrong).expect_err(wrong).to_string();
            assert!(error.contains("#rrggbb"), "{error}");
        }
    }

    #[test]
    fn each_backdrop_is_seen_behind_the_same_head() {
        let sample = Arc::new(crate::sample::trained().expect("the sample head"));
        let head = ServedHead::new("sample", sample, true).expect("a head");
        let drawn = |backdrop: &Backdrop| -> Arc<FramePicture> {
            let options = backdrop.options(&head).expect("options");
            let mut speaker =
                Speaker::new(&head.head, Box::new(CpuBackend::new()), options).expect("a speaker");
            speaker.next_frame(true).expect("a frame").picture.expect("a picture")
        };
        let at = |picture: &FramePicture, x: usize, y: usize| {
            let channels = picture.pixels.len() / (256 * 256);
            picture.pixels[channels * (256 * y + x)..][..channels].to_vec()
        };
        let red = drawn(&Backdrop::Color([200, 20, 30]));
        let picture = drawn(&Backdrop::Picture(Arc::new(RgbImage::from_pixel(90, 60, Rgb([20, 200, 30])))));
        let clear = drawn(&Backdrop::Transparent);
        assert!(!red.has_alpha() && clear.has_alpha());
        assert_eq!(at(&red, 3, 3), [200, 20, 30]);
        assert!(at(&picture, 3, 3).iter().zip([20, 200, 30]).all(|(a, b)| a.abs_diff(b) < 2));
        assert_eq!(at(&clear, 3, 3), [0; 4]);
        // The face is the same before all of them.
        let face = at(&clear, 128, 110);
        assert!(face[3] > 250, "{face:?}");
        for other in [&red, &picture] {
            let apart = at(other, 128, 110).iter().zip(&face).map(|(a, b)| a.abs_diff(*b)).max();
            assert!(apart.is_some_and(|apart| apart <= 6), "{:?} {face:?}", at(other, 128, 110));
        }
    }
}
