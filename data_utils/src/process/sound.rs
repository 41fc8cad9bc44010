//! Stage 1: the sound of the video and its features.

use super::context::Context;
use super::frames;
use super::lip_offset::lip_offset;
use super::options::ShiftSound;
use crate::audio::align::align;
use crate::audio::ave::AveEncoder;
use crate::audio::features::{AudioFeatures, AudioKind};
use crate::audio::listen::Loudness;
use crate::audio::{self, SAMPLE_RATE, SAMPLES_PER_FRAME, Sound};
use crate::error::{Error, Result};
use candle_core::Device;
use rayon::prelude::*;
use std::path::Path;

/// Name of the sound.
const SOUND: &str = "aud.wav";

/// Offsets between lips and voice that nobody sees, seconds.
const UNSEEN: f64 = 0.1;
/// Differences of length that are not worth telling, seconds.
const UNHEARD: f64 = 0.1;
/// Frames whose lips are looked at for the offset.
const LOOKS: usize = 750;

/// Writes `aud.wav`, exactly as long as the frames.
///
/// # Errors
/// [`Error::Input`] when the sound cannot be read, or a separate recording does not belong to the video.
pub fn run(context: &Context) -> Result<String> {
    if context.is_kept(SOUND) {
        return Ok("changed or put in by hand".into());
    }
    let options = context.options;
    let info = context.tools()?.probe(&options.video)?;
    let frames = frames::count(context.dir())?;
    let filmed = (!info.sound.is_empty()).then(|| audio::load_film(&options.video, &info)).transpose()?;
    let (mut sound, mut notes) = match (&options.audio, filmed) {
        (Some(path), filmed) => separate(path, filmed.map(|(sound, _)| sound).as_ref())?,
        (None, Some(filmed)) => filmed,
        (None, None) => (Sound { samples: Vec::new(), rate: SAMPLE_RATE }, Vec::new()),
    };
    let is_silence = options.audio.is_none() && info.sound.is_empty();
    let later = match options.shift_sound {
        ShiftSound::Seconds(seconds) => seconds,
        ShiftSound::Auto => match lip_offset(&openings(context, frames)?, &sound) {
            Some(late) => -late,
            None => {
                notes.push("how it lies to the lips cannot be told, so it is not moved".into());
                0.0
            }
        },
    };
    if later != 0.0 {
        shift(&mut sound.samples, (later * f64::from(SAMPLE_RATE)).round() as i64);
        let way = if later > 0.0 { "later" } else { "earlier" };
        notes.push(format!("moved {:.2} s {way}", later.abs()));
    }
    notes.extend(fit(&mut sound.samples, frames * SAMPLES_PER_FRAME).filter(|_| !is_silence));
    if !is_silence {
        notes.extend(Loudness::of(&sound).faults());
    }
    context.make(SOUND, |path| audio::write_wav(path, &sound))?;
    let seconds = sound.samples.len() as f64 / f64::from(SAMPLE_RATE);
    let notes: String = notes.iter().map(|note| format!("; {note}")).collect();
    Ok(format!("{seconds:.2} seconds{}{notes}", if is_silence { " of silence" } else { "" }))
}

/// A recording of its own, moved to where the video's own sound is the same.
fn separate(path: &Path, filmed: Option<&Sound>) -> Result<(Sound, Vec<String>)> {
    let (mut sound, mut notes) = audio::load_with_notes(path)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    match filmed {
        None => notes.push(format!("{name} begins with the video, which has no sound to compare it with")),
        Some(filmed) => {
            let found = align(filmed, &sound).ok_or_else(|| {
                Error::input(
                    path.display(),
                    "a recording of the same scene as the video's own sound",
                    "one whose loudness goes another way",
                    "name the right file, or mux it into the video yourself",
                )
            })?;
            shift(&mut sound.samples, found.shift);
            let (seconds, likeness) = (found.shift as f64 / f64::from(SAMPLE_RATE), found.likeness);
            notes.push(format!("{name} begins {seconds:+.3} s after the video (correlation {likeness:.2})"));
        }
    }
    Ok((sound, notes))
}

/// How far the mouth is open in the first frames; as before where no face is seen.
fn openings(context: &Context, frames: usize) -> Result<Vec<f32>> {
    let (dir, models) = (context.dir(), context.models()?);
    let progress = context.progress("lips", frames.min(LOOKS));
    let mut openings: Vec<f32> = Vec::new();
    for start in (0..frames.min(LOOKS)).step_by(frames::AT_ONCE) {
        let part: Vec<Option<f32>> = (start..frames.min(LOOKS).min(start + frames::AT_ONCE))
            .into_par_iter()
            .map(|index| {
                let face = models.landmarks(&frames::read_frame(dir, index)?)?;
                Ok(face.map(|face| face.mouth_opening()))
            })
            .collect::<Result<_>>()?;
        for opening in part {
            openings.push(opening.or(openings.last().copied()).unwrap_or(0.0));
        }
        progress.update(openings.len() as u64);
    }
    Ok(openings)
}

/// What there is to say of the offset between the lips of all frames and `aud.wav`.
///
/// # Errors
/// [`Error::Input`] when the sound cannot be read.
pub fn offset_note(context: &Context, openings: &[f32]) -> Result<Option<String>> {
    let path = context.dir().join(SOUND);
    if !path.is_file() {
        return Ok(None);
    }
    let late = lip_offset(openings, &audio::load(&path)?).filter(|late| late.abs() > UNSEEN);
    Ok(late.map(offset_words))
}

/// An offset in words, with what mends it.
pub fn offset_words(late: f64) -> String {
    let way = if late > 0.0 { "later" } else { "earlier" };
    format!("the sound comes {:.2} s {way} than the lips; --shift_sound auto --redo mends that", late.abs())
}

/// Moves samples later, or earlier for a negative count.
fn shift(samples: &mut Vec<f32>, later: i64) {
    let count = usize::try_from(later.unsigned_abs()).unwrap_or(usize::MAX);
    if later > 0 {
        samples.splice(0..0, std::iter::repeat_n(0.0, count));
    } else {
        samples.drain(..count.min(samples.len()));
    }
}

/// Cuts samples, or continues them with silence, to a length; what is worth telling of it.
fn fit(samples: &mut Vec<f32>, length: usize) -> Option<String> {
    let before = samples.len();
    samples.resize(length, 0.0);
    let seconds = (before as f64 - length as f64) / f64::from(SAMPLE_RATE);
    if seconds < -UNHEARD {
        Some(format!("it ends {:.2} s before the picture: silence is put after it", -seconds))
    } else if seconds > UNHEARD {
        Some(format!("it goes on {seconds:.2} s after the picture, which is left out"))
    } else {
        None
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sound_gets_exactly_the_length_of_the_frames_and_what_was_filled_is_said() {
        let mut samples = vec![1.0; 16_000];
        shift(&mut samples, 1600);
        assert_eq!((samples.len(), samples[1599], samples[1600]), (17_600, 0.0, 1.0));
        shift(&mut samples, -3200);
        assert_eq!((samples.len(), samples[0]), (14_400, 1.0));
        shift(&mut samples, -99_999);
        assert!(samples.is_empty());
        let mut samples = vec![1.0; 16_000];
        assert_eq!(fit(&mut samples, 16_640), None);
        assert_eq!((samples.len(), samples[16_639]), (16_640, 0.0));
        assert!(fit(&mut samples, 640).expect("told").contains("1.00 s after the picture"));
        assert!(fit(&mut samples, 64_000).expect("told").contains("3.96 s before the picture"));
    }
}
