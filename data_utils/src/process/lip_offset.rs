//! How much later the voice comes than the lips that say it: by the correlation of the mouth's opening with the energy of
//! the voice between 500 and 3000 Hz, where vowels have it.
//!
//! Measured on nine recordings of known offset of 7 to 60 s: on the five whose correlation passes the test below the
//! offset was within a frame on four and 2.2 frames off on one, on the others nothing is said.

use crate::audio::{SAMPLE_RATE, SAMPLES_PER_FRAME, Sound};
use realfft::RealFftPlanner;

/// Largest offset that is looked for, frames.
const REACH: usize = 15;
/// Frames over which slow changes are removed: turns of the head, and how loud somebody speaks.
const SLOW: usize = 25;
/// Length of the transform, and samples beyond a frame on either side that it sees.
const WINDOW: usize = 1024;
const BEYOND: usize = (WINDOW - SAMPLES_PER_FRAME) / 2;
/// Energy below the loud frames' by more than this is all the same, dB.
const RANGE: f32 = 35.0;
/// Least correlation, and how much better it must be than anywhere else.
const LEAST_LIKENESS: f64 = 0.25;
const LEAST_LEAD: f64 = 1.8;
/// Offsets this close to the best one are the same, frames.
const SAME: usize = 4;
/// Least number of frames.
const LEAST_FRAMES: usize = 150;

/// Seconds by which the sound is later than the lips, negative where it is earlier; nothing where that cannot be told.
/// `openings` has a number for each frame.
pub fn lip_offset(openings: &[f32], sound: &Sound) -> Option<f64> {
    let frames = openings.len().min(sound.samples.len() / SAMPLES_PER_FRAME);
    if frames < LEAST_FRAMES || sound.rate != SAMPLE_RATE {
        return None;
    }
    let openings = without_slow_changes(&openings[..frames]);
    let voice = without_slow_changes(&vowels(&sound.samples, frames)?);
    let likeness: Vec<f64> = (0..=2 * REACH)
        .map(|k| {
            let (late, early) = (k.saturating_sub(REACH), REACH.saturating_sub(k));
            correlation(&openings[early..frames - late], &voice[late..frames - early])
        })
        .collect();
    let best = (0..likeness.len()).max_by(|i, j| likeness[*i].total_cmp(&likeness[*j]))?;
    let others = (0..likeness.len()).filter(|i| i.abs_diff(best) > SAME).map(|i| likeness[i]);
    if likeness[best] < LEAST_LIKENESS || likeness[best] < LEAST_LEAD * others.fold(0.0, f64::max) {
        return None;
    }
    // The top of the parabola through the best value and its neighbours.
    let part = match (best.checked_sub(1).map(|i| likeness[i]), likeness.get(best + 1)) {
        (Some(before), Some(after)) => 0.5 * (before - after) / (before - 2.0 * likeness[best] + after),
        _ => return None,
    };
    Some((best as f64 - REACH as f64 + part) / 25.0)
}

/// Energy of each frame between 500 and 3000 Hz, dB.
fn vowels(samples: &[f32], frames: usize) -> Option<Vec<f32>> {
    let transform = RealFftPlanner::<f32>::new().plan_fft_forward(WINDOW);
    let band = |hertz: usize| hertz * WINDOW / SAMPLE_RATE as usize;
    let mut spectrum = transform.make_output_vec();
    let mut levels = Vec::with_capacity(frames);
    for frame in 0..frames {
        let mut part: Vec<f32> = (0..WINDOW)
            .map(|i| {
                let at = (frame * SAMPLES_PER_FRAME + i).checked_sub(BEYOND);
                let turn = std::f32::consts::TAU * i as f32 / WINDOW as f32;
                at.and_then(|at| samples.get(at)).copied().unwrap_or(0.0) * (0.5 - 0.5 * turn.cos())
            })
            .collect();
        transform.process(&mut part, &mut spectrum).ok()?;
        let power: f32 = spectrum[band(500)..band(3000)].iter().map(|c| c.norm_sqr()).sum();
        levels.push(10.0 * (power + 1e-6).log10());
    }
    let mut sorted = levels.clone();
    sorted.sort_by(f32::total_cmp);
    let floor = sorted[sorted.len() * 95 / 100] - RANGE;
    levels.iter_mut().for_each(|level| *level = level.max(floor));
    Some(levels)
}

/// Each value less the mean of those around it.
fn without_slow_changes(values: &[f32]) -> Vec<f64> {
    let half = SLOW / 2;
    let value = |i: usize| f64::from(values[i]);
    (0..values.len())
        .map(|i| {
            let around = i.saturating_sub(half)..(i + half + 1).min(values.len());
            let count = around.len() as f64;
            value(i) - around.map(value).sum::<f64>() / count
        })
        .collect()
}

fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
    let (mean_a, mean_b) = (mean(a), mean(b));
    let sum =
        |f: &dyn Fn(f64, f64) -> f64| a.iter().zip(b).map(|(a, b)| f(a - mean_a, b - mean_b)).sum::<f64>();
    let (product, own_a, own_b) = (sum(&|a, b| a * b), sum(&|a, _| a * a), sum(&|_, b| b * b));
    if own_a * own_b > 0.0 { product / (own_a * own_b).sqrt() } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Openings of a mouth that says syllables of random lengths, and the voice that goes with them, later by `late`
    /// frames.
    fn talking(late: i64, frames: usize) -> (Vec<f32>, Sound) {
        let mut state = 3u64;
        let mut random = move || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 40) as f32 / (1u64 << 24) as f32
        };
        let mut openings = Vec::new();
        while openings.len() < frames {
            let (height, length) = (random() * random(), 2 + (random() * 6.0) as usize);
            openings.extend(
                (0..length).map(|i| height * ((i as f32 + 0.5) / length as f32 * std::f32::consts::PI).sin()),
            );
        }
        openings.truncate(frames);
        let samples = (0..frames * SAMPLES_PER_FRAME).map(|i| {
            let frame = (i / SAMPLES_PER_FRAME) as i64 - late;
            let opening = usize::try_from(frame).ok().and_then(|f| openings.get(f)).copied().unwrap_or(0.0);
            (0.003 + 0.3 * opening) * (std::f32::consts::TAU * 900.0 * i as f32 / 16_000.0).sin()
        });
        let sound = Sound { samples: samples.collect(), rate: SAMPLE_RATE };
        (openings, sound)
    }

    #[test]
    fn a_voice_that_comes_late_or_early_is_measured() {
        for late in [-6, 0, 6, 10] {
            let (openings, sound) = talking(late, 400);
            let found = lip_offset(&openings, &sound).expect("told");
            assert!((found - late as f64 * 0.04).abs() < 0.02, "{late} frames: {found} s");
        }
    }

    #[test]
    fn nothing_is_said_about_a_voice_of_somebody_else_or_too_few_frames() {
        let (openings, sound) = talking(0, 400);
        let other: Vec<f32> = openings.iter().rev().copied().collect();
        assert_eq!(lip_offset(&other, &sound), None);
        assert_eq!(lip_offset(&openings[..100], &sound), None);
        assert_eq!(lip_offset(&vec![0.2; 400], &sound), None);
    }
}
