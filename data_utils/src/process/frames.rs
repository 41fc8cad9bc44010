//! Stage 2: the frames of the crop at 25 a second. Stage 1: the sound and its features.

use super::crop::{self, RATE, SIDE};
use super::stage::Context;
use crate::audio::ave::AveEncoder;
use crate::audio::features::{AudioFeatures, AudioKind};
use crate::audio::{self, SAMPLE_RATE, Sound};
use crate::error::{Error, Result};
use candle_core::Device;
use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageEncoder, RgbImage};
use rayon::prelude::*;
use std::io::Write;
use std::path::{Path, PathBuf};

/// JPEG quality of frames, as the dataset's writer has it.
pub const QUALITY: u8 = 95;
/// Frames that are in memory at once.
pub const AT_ONCE: usize = 32;
/// The least number of frames of a dataset: three seconds.
pub const LEAST_FRAMES: usize = 75;

/// Path of a frame.
pub fn frame_path(dir: &Path, index: usize) -> PathBuf {
    dir.join("ori_imgs").join(format!("{index}.jpg"))
}

/// Reads a frame.
///
/// # Errors
/// [`Error::Input`] when it is not a picture of the size of a dataset's frames.
pub fn read_frame(dir: &Path, index: usize) -> Result<RgbImage> {
    let path = frame_path(dir, index);
    let refuse = |found: String| {
        Error::input(
            path.display(),
            format!("a picture of {SIDE}×{SIDE}"),
            found,
            "run the same command again",
        )
    };
    let picture = image::open(&path).map_err(|e| refuse(e.to_string()))?.to_rgb8();
    if picture.dimensions() != (SIDE, SIDE) {
        return Err(refuse(format!("{:?}", picture.dimensions())));
    }
    Ok(picture)
}

/// How many frames there are.
///
/// # Errors
/// [`Error::Input`] when they are not numbered from 0 without gaps.
pub fn count(dir: &Path) -> Result<usize> {
    let count = super::manifest::matching(dir, "ori_imgs/*.jpg")?.len();
    match (0..count).find(|i| !frame_path(dir, *i).is_file()) {
        None => Ok(count),
        Some(gap) => {
            let at = frame_path(dir, gap);
            Err(Error::input(
                at.display(),
                "frames without gaps",
                "no such file",
                "run the same command again",
            ))
        }
    }
}

/// Writes bytes under a final name only when they are whole; see [`crate::dataset::write`] on why without waiting
/// for the disk.
///
/// # Errors
/// [`Error::Input`] when the place cannot be written to.
pub fn put(path: &Path, bytes: &[u8]) -> Result<()> {
    let fail = |e: std::io::Error| Error::io(path, "a place to write to", &e);
    let parent = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(parent).map_err(fail)?;
    let mut file = tempfile::Builder::new().prefix(".").suffix(".tmp").tempfile_in(parent).map_err(fail)?;
    file.write_all(bytes).map_err(fail)?;
    file.persist(path).map(drop).map_err(|e| fail(e.error))
}

/// Writes a picture as JPEG.
///
/// # Errors
/// As [`put`].
pub fn put_jpeg(path: &Path, picture: &RgbImage) -> Result<()> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, QUALITY)
        .write_image(picture, picture.width(), picture.height(), ExtendedColorType::Rgb8)
        .map_err(|e| Error::Internal(format!("{}: {e}", path.display())))?;
    put(path, &bytes)
}

/// Writes `ori_imgs/{i}.jpg`. What a damaged video still holds is kept.
///
/// # Errors
/// [`Error::Input`] when there are too few frames or no place to write to.
pub fn run(context: &Context) -> Result<String> {
    let options = context.options;
    let window = crop::window(context.dir())?;
    let info = context.tools.probe(&options.video)?;
    let expected = info.seconds.map_or(0, |s| (s * RATE).round() as usize);
    let mut progress = context.progress("frames", expected);
    let (mut done, mut broken) = (0, None);
    let mut stream = context.tools.window(&options.video, RATE, window, SIDE)?;
    while broken.is_none() {
        let mut batch = Vec::with_capacity(AT_ONCE);
        for frame in stream.by_ref().take(AT_ONCE) {
            match frame {
                Ok(frame) => batch.push(frame),
                Err(error) => broken = Some(error),
            }
        }
        if batch.is_empty() {
            break;
        }
        batch
            .par_iter()
            .enumerate()
            .try_for_each(|(k, frame)| put_jpeg(&frame_path(context.dir(), done + k), frame))?;
        done += batch.len();
        progress.update(done as u64, String::new);
    }
    if done < LEAST_FRAMES {
        return Err(broken.unwrap_or_else(|| {
            let least = format!("at least {LEAST_FRAMES} frames at {RATE} a second");
            Error::input(options.video.display(), least, done.to_string(), "record one to five minutes")
        }));
    }
    progress.finish();
    let missing = expected.saturating_sub(done);
    // A frame more or less is rounding.
    let damage = match missing {
        0..=2 => String::new(),
        _ => format!(", {missing} fewer than the {expected} the file promises: it is damaged or cut short"),
    };
    Ok(format!("{done} frames{damage}"))
}

/// Writes `aud.wav` and the features.
///
/// # Errors
/// [`Error::Input`] when the sound cannot be read or given features are not there.
pub fn sound(context: &Context) -> Result<String> {
    let options = context.options;
    let frames = count(context.dir())?;
    let has_sound = context.tools.probe(&options.video)?.has_sound;
    let sound = if has_sound {
        audio::load(&options.video)?
    } else {
        let samples = frames * SAMPLE_RATE as usize / RATE as usize;
        Sound { samples: vec![0.0; samples], rate: SAMPLE_RATE }
    };
    audio::write_wav(&context.dir().join("aud.wav"), &sound)?;
    let seconds = sound.samples.len() as f64 / f64::from(sound.rate.max(1));
    // What the wav holds is what everybody else will compute features from.
    let sound = audio::load(&context.dir().join("aud.wav"))?;
    let kind = match (options.asr, &options.ave_weights) {
        (Some(kind), _) => kind,
        (None, Some(_)) => AudioKind::Ave,
        (None, None) => AudioKind::Mel,
    };
    match (kind, &options.ave_weights) {
        (AudioKind::Ave, Some(weights)) => {
            let encoder = AveEncoder::open(weights, &Device::Cpu)?;
            let features = AudioFeatures::ave(&sound, &encoder)?;
            features.write(&context.dir().join(kind.file_names()[0]))?;
        }
        (AudioKind::Ave, None) => {
            return Err(Error::input(
                "--asr ave",
                "audio_visual_encoder.pth beside the video or named with --ave_weights",
                "no such file",
                "get it as `process --check` says, or use --asr mel",
            ));
        }
        (AudioKind::Mel, _) => {
            AudioFeatures::mel(&sound)?.write(&context.dir().join(kind.file_names()[0]))?
        }
        (AudioKind::DeepSpeech | AudioKind::Hubert, _) => {
            given(context.dir(), kind)?;
        }
    }
    let silent = if has_sound { "" } else { " of silence" };
    Ok(format!("{seconds:.2} seconds{silent}, {} features", kind.name()))
}

/// Features of another program that must be there already.
///
/// # Errors
/// [`Error::Input`] when they are not.
pub fn given(dir: &Path, kind: AudioKind) -> Result<AudioFeatures> {
    let stored = kind.file_names().iter().map(|n| dir.join(n)).find(|p| p.exists());
    let path = stored.ok_or_else(|| {
        Error::input(
            dir.join(kind.file_names()[0]).display(),
            format!("{} features", kind.name()),
            "no such file",
            "extract them with the program you have for them, or leave --asr out",
        )
    })?;
    AudioFeatures::read(&path, kind)
}
