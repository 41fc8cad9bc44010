//! `--background` and `--format` of `render`: what stands behind the person, and the file that can hold it.

use super::output;
use crate::live::background::{Backdrop, BackgroundType};
use crate::{Error, Result};
use data_utils::media::pictures::decode_picture;
use data_utils::media::{Encoder, Ffmpeg, files};
use image::RgbImage;
use std::path::Path;

/// Largest file of a background picture, bytes.
const MAX_FILE: u64 = 256 << 20;
/// What `--background` takes.
const CHOICES: &str = "a PNG or JPEG picture, a colour such as #00ff00, or none";

/// The files a video can be written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum VideoKind {
    /// MP4 where ffmpeg is, else AVI; without a background WebM where ffmpeg is, else PNG files
    #[default]
    Auto,
    /// H.264 and AAC, by ffmpeg
    Mp4,
    /// Motion-JPEG and PCM
    Avi,
    /// VP9 and Opus, by ffmpeg, with alpha where there is no background
    Webm,
    /// A folder of PNG files and the sound beside it, with alpha where there is no background
    Png,
}

/// What `--background` asks for.
pub struct NamedBackground {
    pub backdrop: Backdrop,
    /// Where it is a picture.
    pub picture: Option<RgbImage>,
}

impl NamedBackground {
    /// Reads what was named, to stand behind `kind`.
    ///
    /// # Errors
    /// [`Error::Input`] for what is neither a picture, a colour nor `none`, and for a background type that has no room in it.
    pub fn open(named: Option<&str>, kind: BackgroundType) -> Result<Self> {
        let Some(named) = named else {
            return Ok(NamedBackground { backdrop: Backdrop::Own, picture: None });
        };
        let (backdrop, picture) = match named {
            "none" => (Backdrop::Transparent, None),
            color if color.starts_with('#') => (Backdrop::Color(color_of(color)?), None),
            path => (Backdrop::Picture, Some(picture(Path::new(path))?)),
        };
        if !backdrop.goes_with(kind) {
            return Err(Error::input(
                "--background",
                "--background_type bg_w_torso or torso (head and torso before it), or scene (the head alone)",
                format!("--background_type {kind}, which is a background of its own"),
                "leave out one of the two",
            ));
        }
        Ok(NamedBackground { backdrop, picture })
    }
}

fn color_of(text: &str) -> Result<[u8; 3]> {
    let digits: Option<Vec<u8>> =
        text[1..].chars().map(|c| c.to_digit(16).and_then(|v| u8::try_from(v).ok())).collect();
    match digits.as_deref() {
        Some([r, g, b]) => Ok([r * 17, g * 17, b * 17]),
        Some([r, s, g, h, b, c]) => Ok([16 * r + s, 16 * g + h, 16 * b + c]),
        _ => Err(Error::input("--background", CHOICES, format!("{text:?}"), "write the colour as #rrggbb")),
    }
}

/// A picture as RGB; what of it is transparent is black.
fn picture(path: &Path) -> Result<RgbImage> {
    let refuse = |found: String| {
        Error::input(format!("--background {}", path.display()), CHOICES, found, "name one of these")
    };
    if !path.is_file() {
        return Err(refuse("no such file".into()));
    }
    let mut rgba = decode_picture(&files::read_bounded(path, MAX_FILE)?).map_err(refuse)?.into_rgba8();
    for pixel in rgba.pixels_mut() {
        let alpha = u16::from(pixel.0[3]);
        pixel.0[..3].iter_mut().for_each(|v| *v = (u16::from(*v) * alpha / 255) as u8);
    }
    Ok(image::DynamicImage::ImageRgba8(rgba).into_rgb8())
}

/// The encoder for a kind of file, over a background or without one.
///
/// # Errors
/// [`Error::Input`] for a file without alpha where one is needed, and for one that takes an ffmpeg that is not there.
pub fn encoder(kind: VideoKind, backdrop: Backdrop) -> Result<Encoder> {
    let is_transparent = backdrop == Backdrop::Transparent;
    let webm = || Ffmpeg::find().and_then(|found| found.writes_webm().map(|()| found));
    let missing = |format: &str, why: String| {
        let remedy = "install ffmpeg, or choose --format png or avi";
        Error::input(format!("--format {format}"), "an ffmpeg that can write it", why, remedy)
    };
    match kind {
        VideoKind::Mp4 | VideoKind::Avi if is_transparent => Err(Error::input(
            "--background none",
            "a file that holds an alpha: --format webm or png",
            format!("--format {}, which holds none", if kind == VideoKind::Mp4 { "mp4" } else { "avi" }),
            "leave out --format, or give --background a colour such as #00ff00",
        )),
        VideoKind::Auto if is_transparent => Ok(match webm() {
            Ok(found) => Encoder::Webm(found),
            Err(why) => {
                output::note(format!("{why}; the frames are written as PNG files with alpha"));
                Encoder::Frames
            }
        }),
        VideoKind::Auto => Encoder::from_environment(),
        VideoKind::Mp4 => {
            let found = Ffmpeg::find().and_then(|found| found.writes_mp4().map(|()| found));
            found.map(Encoder::Ffmpeg).map_err(|why| missing("mp4", why))
        }
        VideoKind::Avi => Ok(Encoder::Embedded("--format avi".into())),
        VideoKind::Webm => webm().map(Encoder::Webm).map_err(|why| missing("webm", why)),
        VideoKind::Png => Ok(Encoder::Frames),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(named: &str, kind: BackgroundType) -> String {
        match NamedBackground::open(Some(named), kind) {
            Err(error) if error.exit_code() == 2 => error.to_string(),
            other => panic!("{:?}", other.map(|found| found.backdrop)),
        }
    }

    #[test]
    fn a_background_is_a_colour_nothing_or_a_picture() {
        let kind = BackgroundType::default();
        let open = |named| NamedBackground::open(Some(named), kind).unwrap().backdrop;
        assert_eq!(open("none"), Backdrop::Transparent);
        assert_eq!(open("#00ff00"), Backdrop::Color([0, 255, 0]));
        assert_eq!(open("#FA0"), Backdrop::Color([255, 170, 0]));
        for (named, word) in [
            ("#00ff0", "#rrggbb"),
            ("#ggg", "#rrggbb"),
            ("green", "no such file"),
            ("#", "#rrggbb"),
            ("#äöü", "#rrggbb"),
        ] {
            let said = refused(named, kind);
            assert!(said.contains(word) && said.contains("none"), "{said}");
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("room.png");
        std::fs::write(&path, "no picture").unwrap();
        assert!(refused(path.to_str().unwrap(), kind).contains("neither a JPEG nor a PNG"));
        image::RgbaImage::from_pixel(4, 2, image::Rgba([200, 100, 0, 128])).save(&path).unwrap();
        let found = NamedBackground::open(path.to_str(), kind).unwrap();
        assert_eq!(found.picture.unwrap().get_pixel(0, 0).0, [100, 50, 0]);
    }

    #[test]
    fn a_background_type_that_is_one_itself_takes_no_other() {
        for kind in [BackgroundType::Gt, BackgroundType::White, BackgroundType::Random] {
            assert!(refused("none", kind).contains("leave out one"), "{kind}");
        }
    }

    #[test]
    fn files_without_an_alpha_are_refused_where_one_is_needed() {
        for kind in [VideoKind::Mp4, VideoKind::Avi] {
            let error = encoder(kind, Backdrop::Transparent).unwrap_err();
            assert!(error.exit_code() == 2 && error.to_string().contains("webm or png"), "{error}");
        }
        assert!(encoder(VideoKind::Auto, Backdrop::Transparent).unwrap().keeps_alpha());
        assert!(matches!(encoder(VideoKind::Avi, Backdrop::Own), Ok(Encoder::Embedded(_))));
    }
}
