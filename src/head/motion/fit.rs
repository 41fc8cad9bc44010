//! Motion from a clip.

use super::blinks::Blinks;
use super::generator::MotionGenerator;
use super::series::{Basis, stretch};
use super::{HEARD_AT, INPUTS, Motion, ORDER};
use crate::Camera;
use crate::head::field::{EXPRESSION, squashed};
use crate::metrics::landmarks::correlation;
use crate::metrics::series::quantile;
use data_utils::linear::{Cholesky, Ridge};

/// Fewer consecutive frames than this are too few to learn from.
const LEAST_FRAMES: usize = 100;
/// Penalties of the regressions: of motion, small, since it is smooth and its spectrum must stay; of loudness, for each row.
const PENALTY: f64 = 1e-3;
const LOUDNESS_PENALTY: f64 = 0.01;
/// Frames of motion that are made to find the liveliness, and the steps of the search.
const TRIED: usize = 6000;
const SEARCH: usize = 10;
/// Most of the livelier that a louder sound makes the head.
const MOST: f64 = 0.9;
/// Least and most by which chance is made stronger in the end.
const GAIN: [f64; 2] = [0.5, 2.0];
const GAIN_STEPS: usize = 3;
/// Damping that is tried until motion comes to rest, and the frames it may take to.
const DAMPING: [f64; 8] = [1.0, 0.999, 0.998, 0.995, 0.99, 0.98, 0.95, 0.9];
const SETTLES_IN: usize = 4000;

/// A clip, as motion is learned from it. Rows belong to frames one by one.
#[derive(Debug, Clone, Copy)]
pub struct MotionFrames<'a> {
    /// Runs of consecutive frames, first and one past the last.
    pub runs: &'a [[usize; 2]],
    /// The camera of each frame.
    pub cameras: &'a [Camera],
    /// Its upper-face blendshapes, 0..1.
    pub expressions: &'a [[f32; EXPRESSION]],
    /// How loud each frame is, dB.
    pub loudness: &'a [f32],
    /// The means over the steps of each frame's audio row, `[frames, channels]`.
    pub audio: &'a [f32],
}

/// Learns how a person moves. `None` when there are too few consecutive frames, or the head does not move.
pub fn fit(frames: &MotionFrames<'_>) -> Option<Motion> {
    let runs: Vec<[usize; 2]> = frames.runs.iter().copied().filter(|[a, b]| b - a > 2 * ORDER).collect();
    let count: usize = runs.iter().map(|[a, b]| b - a).sum();
    if count < LEAST_FRAMES {
        return None;
    }
    let mut shapes: Vec<Vec<[f32; EXPRESSION]>> =
        runs.iter().map(|[a, b]| frames.expressions[*a..*b].iter().map(stretch).collect()).collect();
    let blinks = Blinks::take(&mut shapes, squashed);
    let cameras: Vec<Camera> =
        runs.iter().flat_map(|[a, b]| frames.cameras[*a..*b].iter().copied()).collect();
    let basis = Basis::of(&cameras, &shapes.concat());
    let d = basis.width();
    let (loudness, loudness_weights) = loudness(frames, &runs)?;
    let series: Vec<Vec<f64>> = cameras
        .iter()
        .zip(shapes.iter().flatten())
        .map(|(camera, shape)| basis.numbers(camera, shape))
        .collect();

    let (mut x, mut y, mut first) = (Vec::new(), Vec::new(), 0);
    for [a, b] in &runs {
        let (own, loud) = (&series[first..first + b - a], &loudness[first..first + b - a]);
        for t in ORDER..own.len() {
            x.extend((1..=ORDER).flat_map(|k| own[t - k].iter().map(|v| *v as f32)));
            x.extend(inputs(|at| loud[at], t, loud.len()).map(|v| v as f32));
            y.extend(own[t].iter().map(|v| *v as f32));
        }
        first += b - a;
    }
    let drivers = ORDER * d + INPUTS;
    let ridge = Ridge::fit(&x, drivers, &y, d, PENALTY)?;
    // Motion that swings for ever, as a made-up head's, is damped until it comes to rest.
    let fading = DAMPING.iter().map(|factor| damped(ridge.weights(), d, *factor));
    let start: Vec<f64> = (1..=ORDER).flat_map(|k| series[ORDER - k].clone()).collect();
    let weights = fading.into_iter().find(|weights| settles(weights, &start, d))?;
    let left: Vec<f64> = x
        .chunks_exact(drivers)
        .zip(y.chunks_exact(d))
        .flat_map(|(x, y)| {
            let own: Vec<f64> = x.iter().map(|v| f64::from(*v)).collect();
            let found = follow(&own, &weights, d);
            y.iter().zip(found).map(|(y, found)| f64::from(*y) - found).collect::<Vec<f64>>()
        })
        .collect();
    let rows = left.len() / d;
    let mut covariance = vec![0.0; d * d];
    for row in left.chunks_exact(d) {
        for i in 0..d {
            (0..=i).for_each(|j| covariance[i * d + j] += row[i] * row[j] / rows as f64);
        }
    }
    (0..d).for_each(|i| covariance[i * d + i] += 1e-9);
    let mut noise = Cholesky::new(covariance, d)?.lower().to_vec();
    (0..d).for_each(|i| noise[i * d + i + 1..(i + 1) * d].fill(0.0));
    let limits =
        (0..d).flat_map(|k| limits_of(&series.iter().map(|row| row[k]).collect::<Vec<f64>>())).collect();
    let mut motion =
        Motion { basis, weights, noise, start, limits, loudness: loudness_weights, liveliness: 0.0, blinks };
    let own = follows(&series, &loudness);
    motion.liveliness = liveliness(&motion, &loudness, own);
    // Limits and louder and quieter parts change how fast the head is.
    let filmed = speeds(&series);
    for _ in 0..GAIN_STEPS {
        let made = speeds(&tried(&motion, &loudness));
        for ((row, filmed), made) in motion.noise.chunks_exact_mut(d).zip(&filmed).zip(made) {
            let gain = (filmed / made.max(1e-9)).clamp(GAIN[0], GAIN[1]);
            row.iter_mut().for_each(|v| *v *= gain);
        }
    }
    Some(motion)
}

/// Root mean square of how fast each number changes.
fn speeds(series: &[Vec<f64>]) -> Vec<f64> {
    let mut sums = vec![0.0; series.first().map_or(0, Vec::len)];
    for pair in series.windows(2) {
        sums.iter_mut().zip(pair[0].iter().zip(&pair[1])).for_each(|(sum, (a, b))| *sum += (b - a).powi(2));
    }
    sums.iter().map(|sum| (sum / series.len().max(1) as f64).sqrt()).collect()
}

/// Motion for the clip's own loudness, again and again.
fn tried(motion: &Motion, loudness: &[f64]) -> Vec<Vec<f64>> {
    let mut generator = MotionGenerator::new(motion, 1);
    let heard = |t: usize| loudness[t % loudness.len()];
    (0..TRIED).map(|t| generator.next_numbers(motion, inputs(heard, t, TRIED), heard(t))).collect()
}

/// Loudness of the frames of `runs`, mean 0 and deviation 1, as the audio rows tell it, and the weights that do.
fn loudness(frames: &MotionFrames<'_>, runs: &[[usize; 2]]) -> Option<(Vec<f64>, Vec<f64>)> {
    let channels = frames.audio.len() / frames.loudness.len().max(1);
    let measured: Vec<f32> = runs.iter().flat_map(|[a, b]| frames.loudness[*a..*b].iter().copied()).collect();
    let audio: Vec<f32> =
        runs.iter().flat_map(|[a, b]| frames.audio[a * channels..b * channels].iter().copied()).collect();
    let n = measured.len() as f64;
    let mean = measured.iter().map(|v| f64::from(*v)).sum::<f64>() / n;
    let deviation =
        (measured.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / n).sqrt().max(1e-6);
    let means: Vec<f64> = (0..channels)
        .map(|c| audio.iter().skip(c).step_by(channels).map(|v| f64::from(*v)).sum::<f64>() / n)
        .collect();
    let centred: Vec<f32> =
        audio.iter().zip(means.iter().cycle()).map(|(v, mean)| (f64::from(*v) - mean) as f32).collect();
    let target: Vec<f32> = measured.iter().map(|v| ((f64::from(*v) - mean) / deviation) as f32).collect();
    let square: f64 = centred.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / channels.max(1) as f64;
    let ridge = Ridge::fit(&centred, channels, &target, 1, (LOUDNESS_PENALTY * square).max(1e-6))?;
    let found = ridge.apply(&centred);
    // A regression is flatter than what it follows.
    let scale = 1.0 / (found.iter().map(|v| v * v).sum::<f64>() / n).sqrt().max(0.2);
    let mut weights: Vec<f64> = ridge.weights().iter().map(|w| w * scale).collect();
    weights.push(-weights.iter().zip(&means).map(|(w, mean)| w * mean).sum::<f64>());
    Some((found.iter().map(|v| v * scale).collect(), weights))
}

/// How the loudness changes around frame `t` of `len`.
pub(super) fn inputs(loudness: impl Fn(usize) -> f64, t: usize, len: usize) -> [f64; INPUTS] {
    let at = |offset: isize| loudness(t.saturating_add_signed(offset).min(len - 1));
    std::array::from_fn(|k| at(HEARD_AT[k + 1]) - at(HEARD_AT[k]))
}

/// The 1st and the 99th of a hundred.
fn limits_of(values: &[f64]) -> [f64; 2] {
    [0.01, 0.99].map(|share| quantile(values, share).unwrap_or(0.0))
}

/// The weights of the frame k before made smaller by `factor` to the power k (bandwidth expansion, Makhoul 1975).
fn damped(weights: &[f64], d: usize, factor: f64) -> Vec<f64> {
    let factors = (1..=ORDER).flat_map(|k| std::iter::repeat_n(factor.powi(k as i32), d * d));
    weights
        .iter()
        .zip(factors.chain(std::iter::repeat(1.0)))
        .map(|(weight, factor)| weight * factor)
        .collect()
}

/// What drivers add up to.
fn follow(drivers: &[f64], weights: &[f64], d: usize) -> Vec<f64> {
    let mut next = vec![0.0; d];
    for (driver, weights) in drivers.iter().zip(weights.chunks_exact(d)) {
        next.iter_mut().zip(weights).for_each(|(to, weight)| *to += driver * weight);
    }
    next
}

/// Whether motion comes to rest by itself where nothing drives it.
fn settles(weights: &[f64], start: &[f64], d: usize) -> bool {
    let mut past = start.to_vec();
    let size = |past: &[f64]| past.iter().map(|v| v * v).sum::<f64>();
    for _ in 0..SETTLES_IN {
        let next = follow(&past, weights, d);
        past.rotate_right(d);
        past[..d].copy_from_slice(&next);
    }
    size(&past) < 0.1 * size(start).max(1.0)
}

/// The correlation of the speed of the rotation with the loudness.
fn follows(series: &[Vec<f64>], loudness: &[f64]) -> f64 {
    let speed =
        series.windows(2).map(|pair| (0..3).map(|k| (pair[1][k] - pair[0][k]).powi(2)).sum::<f64>().sqrt());
    correlation(&speed.collect::<Vec<_>>(), &loudness[1..]).ok().flatten().unwrap_or(0.0)
}

/// The liveliness with which generated motion follows the clip's loudness as the clip's own does.
fn liveliness(motion: &Motion, loudness: &[f64], own: f64) -> f64 {
    let heard: Vec<f64> = (0..TRIED).map(|t| loudness[t % loudness.len()]).collect();
    let found = |liveliness: f64| follows(&tried(&Motion { liveliness, ..motion.clone() }, loudness), &heard);
    let (mut low, mut high) = (-MOST, MOST);
    for _ in 0..SEARCH {
        let middle = (low + high) / 2.0;
        if found(middle) < own { low = middle } else { high = middle }
    }
    (low + high) / 2.0
}
