//! Trains the network that tells curves of the lips and phones from speech features, `data_utils/weights/speech_lips.safetensors`,
//! on speech that espeak-ng makes, which says by itself which phone it is in.
//!
//! ```text
//! apt install libespeak-ng1 espeak-ng-data fortunes fortunes-{br,cs,de,es,it,pl,ru}
//! cargo run --release --example train_lips -- speech_lips.safetensors [minutes] [seed] [folder of fortunes]
//! ```
//!
//! No recording of a person is used. 30 minutes of speech, each twice: as it is, and in a room with noise.

mod augment;
mod espeak;
mod network;
mod phones;
mod random;
mod texts;

use data_utils::audio::features::AudioFeatures;
use data_utils::audio::resample::Resampler;
use data_utils::audio::{FRAME_RATE, SAMPLE_RATE, Sound};
use espeak::{Espeak, Voice};
use network::{Examples, FEATURES, Network};
use random::Random;
use std::error::Error;
use std::path::PathBuf;

const STEPS: usize = 2500;
/// Seconds of silence before and after a text at most.
const LONGEST_PAUSE: f64 = 1.5;
/// Of the sounds, every so many is only for the score.
const HELD_OUT: usize = 20;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let to = PathBuf::from(
        arguments.first().ok_or("usage: train_lips OUT [minutes] [seed] [folder of fortunes]")?,
    );
    let number = |k: usize, usual: u64| arguments.get(k).map_or(Ok(usual), |text| text.parse());
    let (minutes, seed) = (number(1, 30)?, number(2, 1)?);
    let folder = arguments.get(3).map_or("/usr/share/games/fortunes", String::as_str);
    let texts = texts::Texts::read(folder.as_ref());
    if texts.len() == 0 {
        return Err(format!("no texts in {folder}: install the packages fortunes and fortunes-de").into());
    }
    println!("{} texts", texts.len());
    let mut random = Random::new(seed);
    let mut espeak = Espeak::open()?;
    let [mut training, mut held_out] = [Examples::default(), Examples::default()];
    let (mut seconds, mut sounds) = (0.0, 0);
    while seconds < 60.0 * minutes as f64 {
        let (text, name) = texts.pick(|count| random.below(count));
        let between =
            |random: &mut Random, low: i32, high: i32| low + random.below((high - low) as usize) as i32;
        let voice = Voice {
            name,
            speed: between(&mut random, 125, 250),
            pitch: between(&mut random, 15, 85),
            range: between(&mut random, 30, 75),
        };
        let spoken = espeak.say(text, &voice)?;
        // Silence before and after, which lips hear more of than speech has by itself.
        let pauses = [(); 2].map(|()| LONGEST_PAUSE * random.unit());
        let rate = f64::from(espeak.rate());
        let length = spoken.samples.len() as f64 / rate;
        let phones = spoken.phones(espeak.rate()).into_iter().map(|(at, name)| (at + pauses[0], name));
        let end = (pauses[0] + length, String::new());
        let phones: Vec<_> = phones.chain([end]).collect();
        let segments = phones::segments(&phones, pauses[0] + length + pauses[1]);
        let [before, after] = pauses.map(|pause| vec![0.0; (pause * rate) as usize]);
        let sound = [before, spoken.samples, after].concat();
        let mut resampler = Resampler::new(espeak.rate())?;
        let samples = [resampler.push(&sound)?, resampler.finish()?].concat();
        let to = if sounds % HELD_OUT == HELD_OUT - 1 { &mut held_out } else { &mut training };
        for samples in [augment::augment(&samples, &mut random), samples] {
            add(to, Sound { samples, rate: SAMPLE_RATE }, &segments)?;
        }
        seconds += length;
        sounds += 1;
    }
    println!("{sounds} sounds, {:.1} minutes, {} rows", seconds / 60.0, training.len());
    let network =
        Network::train(&training, STEPS, &mut random, |step, loss| println!("step {step}: loss {loss:.3}"))?;
    for (name, examples) in [("training", &training), ("held-out", &held_out)] {
        let (right, error) = network.score(examples)?;
        println!(
            "{name} sounds: {:.1} % of rows in the right class, rms error of the curves {:.3}",
            100.0 * right,
            error.sqrt()
        );
    }
    candle_core::safetensors::save(&network.tensors()?, &to)?;
    println!("written to {}", to.display());
    Ok(())
}

/// Adds the rows of a sound.
fn add(examples: &mut Examples, sound: Sound, segments: &[phones::Segment]) -> Result<(), Box<dyn Error>> {
    let features = AudioFeatures::speech(&sound)?;
    let first = examples.len();
    for (row, values) in features.values.chunks_exact(features.channels).enumerate() {
        let (class, curves) = phones::lips(segments, row as f64 / f64::from(FRAME_RATE));
        examples.features.extend_from_slice(&values[..FEATURES]);
        examples.first.push(first);
        examples.classes.push(class as u32);
        examples.curves.extend(curves);
    }
    Ok(())
}
