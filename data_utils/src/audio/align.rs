//! How two recordings of the same scene lie in time: by the correlation of their loudness, and then of their samples.

use super::{SAMPLE_RATE, Sound};
use realfft::RealFftPlanner;

/// Samples for each value of a loudness curve: 10 ms.
const HOP: usize = SAMPLE_RATE as usize / 100;
/// Least correlation of the loudness of two recordings of the same scene.
const LEAST_LIKENESS: f32 = 0.3;
/// The best place must be this much better than any other.
const LEAST_LEAD: f32 = 1.3;
/// Places this close to the best one are the same, curve values.
const SAME: usize = 30;

/// Where one recording lies in another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Alignment {
    /// Samples at 16 kHz by which `other` has to be moved later.
    pub shift: i64,
    /// Correlation of the loudness there.
    pub likeness: f32,
}

/// How much later `other` has to be played to lie on `reference`, both at 16 kHz; nothing where they are not alike.
pub fn align(reference: &Sound, other: &Sound) -> Option<Alignment> {
    let (a, b) = (curve(&reference.samples), curve(&other.samples));
    let correlation = correlate(&a, &b)?;
    let best = (0..correlation.len()).max_by(|i, j| correlation[*i].total_cmp(&correlation[*j]))?;
    let energy = |c: &[f32]| c.iter().map(|v| v * v).sum::<f32>();
    let likeness = correlation[best] / (energy(&a) * energy(&b)).sqrt().max(1e-9);
    let distant = |i: &usize| i.abs_diff(best).min(correlation.len() - i.abs_diff(best)) > SAME;
    let second = (0..correlation.len()).filter(distant).map(|i| correlation[i]).fold(0.0, f32::max);
    if likeness < LEAST_LIKENESS || correlation[best] < LEAST_LEAD * second {
        return None;
    }
    let steps =
        if best > correlation.len() / 2 { best as i64 - correlation.len() as i64 } else { best as i64 };
    Some(Alignment { shift: refine(&reference.samples, &other.samples, steps * HOP as i64), likeness })
}

/// Loudness over time in dB, its floor cut off and its mean removed.
fn curve(samples: &[f32]) -> Vec<f32> {
    let level = |part: &[f32]| {
        let power = part.iter().map(|s| s * s).sum::<f32>() / part.len() as f32;
        10.0 * (power + 1e-10).log10()
    };
    let mut levels: Vec<f32> = samples.chunks(HOP).map(level).collect();
    let top = levels.iter().copied().fold(f32::MIN, f32::max);
    levels.iter_mut().for_each(|level| *level = level.max(top - 50.0));
    let mean = levels.iter().sum::<f32>() / levels.len().max(1) as f32;
    levels.iter_mut().for_each(|level| *level -= mean);
    levels
}

/// Correlation for every shift of `b`, negative ones from the end.
fn correlate(a: &[f32], b: &[f32]) -> Option<Vec<f32>> {
    let length = (a.len() + b.len()).next_power_of_two().max(2);
    let mut planner = RealFftPlanner::<f32>::new();
    let (forward, inverse) = (planner.plan_fft_forward(length), planner.plan_fft_inverse(length));
    let spectrum = |values: &[f32]| {
        let mut padded = values.to_vec();
        padded.resize(length, 0.0);
        let mut spectrum = forward.make_output_vec();
        forward.process(&mut padded, &mut spectrum).ok().map(|()| spectrum)
    };
    let (mut product, other) = (spectrum(a)?, spectrum(b)?);
    product.iter_mut().zip(&other).for_each(|(a, b)| *a *= b.conj());
    // The ends of a real signal's spectrum are real.
    let last = product.len() - 1;
    (product[0].im, product[last].im) = (0.0, 0.0);
    let mut correlation = inverse.make_output_vec();
    inverse.process(&mut product, &mut correlation).ok()?;
    correlation.iter_mut().for_each(|v| *v /= length as f32);
    Some(correlation)
}

/// The best shift within a hop on either side, by the samples of the loudest second that both have.
fn refine(a: &[f32], b: &[f32], rough: i64) -> i64 {
    let window = SAMPLE_RATE as usize;
    let reach = HOP as i64;
    let start = |at: usize| i64::try_from(at).unwrap_or(i64::MAX) - rough;
    let fits = |at: &usize| start(*at) >= reach && start(*at) + window as i64 + reach <= b.len() as i64;
    let energy = |at: &usize| a[*at..at + window].iter().map(|s| f64::from(s * s)).sum::<f64>();
    let places = (0..a.len().saturating_sub(window)).step_by(window / 2).filter(fits);
    let Some(at) = places.max_by(|i, j| energy(i).total_cmp(&energy(j))) else { return rough };
    let product = |shift: i64| {
        let from = (start(at) - shift) as usize;
        a[at..at + window]
            .iter()
            .zip(&b[from..from + window])
            .map(|(x, y)| f64::from(x * y))
            .sum::<f64>()
            .abs()
    };
    let best = (-reach..=reach).max_by(|i, j| product(*i).total_cmp(&product(*j)));
    rough + best.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A voice without any period: bursts of noise of random lengths.
    fn voice(seed: u64, seconds: usize) -> Vec<f32> {
        let mut state = seed;
        let mut random = move || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 40) as f32 / (1u64 << 24) as f32
        };
        let mut samples = Vec::new();
        while samples.len() < seconds * SAMPLE_RATE as usize {
            let (loud, length) = (random() > 0.4, 800 + (random() * 6000.0) as usize);
            samples.extend((0..length).map(|_| (random() - 0.5) * if loud { 0.5 } else { 0.002 }));
        }
        samples
    }

    #[test]
    fn a_second_microphone_is_put_where_the_first_one_hears_the_same() {
        let scene = voice(1, 30);
        let sound = |samples: &[f32]| Sound { samples: samples.to_vec(), rate: SAMPLE_RATE };
        // The camera's microphone is quieter and noisy, the other one was switched on 3.21 s later.
        let noise = voice(2, 31);
        let camera: Vec<f32> = scene.iter().zip(&noise).map(|(s, n)| 0.2 * s + 0.01 * n).collect();
        let found = align(&sound(&camera), &sound(&scene[51_360..])).expect("alike");
        assert_eq!(found.shift, 51_360);
        let found = align(&sound(&camera[51_360..]), &sound(&scene)).expect("alike");
        assert_eq!(found.shift, -51_360);
        assert_eq!(align(&sound(&scene), &sound(&voice(7, 30))), None);
        assert_eq!(align(&sound(&scene), &sound(&[0.0; 16_000])), None);
    }
}
