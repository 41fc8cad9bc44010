//! Stage 1: the sound of the video and its features.

use super::context::Context;
use super::frames;
use super::options::RATE;
use crate::audio::ave::AveEncoder;
use crate::audio::features::{AudioFeatures, AudioKind};
use crate::audio::{self, SAMPLE_RATE, Sound};
use crate::error::{Error, Result};
use candle_core::Device;
use std::path::Path;

/// Name of the sound.
const SOUND: &str = "aud.wav";

/// Writes `aud.wav`.
///
/// # Errors
/// [`Error::Input`] when the sound cannot be read.
pub fn run(context: &Context) -> Result<String> {
    if context.is_kept(SOUND) {
        return Ok("changed or put in by hand".into());
    }
    let video = &context.options.video;
    let has_sound = context.tools()?.probe(video)?.has_sound;
    let sound = if has_sound {
        audio::load(video)?
    } else {
        let samples = frames::count(context.dir())? * SAMPLE_RATE as usize / RATE as usize;
        Sound { samples: vec![0.0; samples], rate: SAMPLE_RATE }
    };
    context.make(SOUND, |path| audio::write_wav(path, &sound))?;
    let seconds = sound.samples.len() as f64 / f64::from(sound.rate.max(1));
    Ok(format!("{seconds:.2} seconds{}", if has_sound { "" } else { " of silence" }))
}

/// Writes the features of `aud.wav`, which is what every other program computes them from.
///
/// # Errors
/// [`Error::Input`] when the sound cannot be read, or features that another program makes are missing.
pub fn features(context: &Context) -> Result<String> {
    let options = context.options;
    let kind = match (options.asr, &options.ave_weights) {
        (Some(kind), _) => kind,
        (None, Some(_)) => AudioKind::Ave,
        (None, None) => AudioKind::Speech,
    };
    let name = kind.file_names()[0];
    if context.is_kept(name) {
        return Ok(format!("{} features, changed or put in by hand", kind.name()));
    }
    let sound = || audio::load(&context.dir().join(SOUND));
    match (kind, &options.ave_weights) {
        (AudioKind::Ave, Some(weights)) => {
            let encoder = AveEncoder::open(weights, &Device::Cpu)?;
            let features = AudioFeatures::ave(&sound()?, &encoder)?;
            context.make(name, |path| features.write(path))?;
        }
        (AudioKind::Ave, None) => {
            return Err(Error::input(
                "--asr ave",
                "audio_visual_encoder.pth beside the video or named with --ave_weights",
                "no such file",
                "get it as `process --check` says, or use --asr speech",
            ));
        }
        (AudioKind::Speech, _) => {
            let features = AudioFeatures::speech(&sound()?)?;
            context.make(name, |path| features.write(path))?;
        }
        (AudioKind::Mel, _) => {
            let features = AudioFeatures::mel(&sound()?)?;
            context.make(name, |path| features.write(path))?;
        }
        (AudioKind::DeepSpeech | AudioKind::Hubert, _) => {
            existing_features(context.dir(), kind)?;
        }
    }
    Ok(format!("{} features", kind.name()))
}

/// Features that another program has to have made.
///
/// # Errors
/// [`Error::Input`] when they are missing or damaged.
pub fn existing_features(dir: &Path, kind: AudioKind) -> Result<AudioFeatures> {
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
