//! Motion for a sound, frame by frame.

use super::blinks::FRAMES;
use super::{INPUTS, Motion, ORDER};
use crate::Camera;
use crate::head::chance::normal;
use crate::head::field::EXPRESSION;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// How fast the liveliness of the head follows the loudness, per frame.
const FOLLOWS: f64 = 0.5;
/// From this part of the way from the middle to a limit on, motion is slowed so that it never gets there.
const KNEE: f64 = 0.75;
/// Intervals between blinks vary by this factor around those of the clip.
const VARIES: [f64; 2] = [0.8, 1.2];

/// Goes from frame to frame.
#[derive(Debug, Clone)]
pub struct MotionGenerator {
    random: ChaCha8Rng,
    /// The last frames, the latest first, `[ORDER, d]`.
    past: Vec<f64>,
    loudness: f64,
    blink: Option<(usize, usize)>,
    /// Frames until the next blink.
    until_blink: usize,
}

impl MotionGenerator {
    /// Begins as the clip does. The same seed gives the same motion to the same sound.
    pub fn new(motion: &Motion, seed: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let until_blink = (unit(&mut random) * interval(motion, &mut random) as f64) as usize;
        MotionGenerator { random, past: motion.start.clone(), loudness: 0.0, blink: None, until_blink }
    }

    /// The numbers of the next frame, within the motion's limits. `inputs` are the changes of the loudness around it and `loudness`
    /// is the loudness in it, in deviations from the clip's mean.
    pub fn next_numbers(&mut self, motion: &Motion, inputs: [f64; INPUTS], loudness: f64) -> Vec<f64> {
        let d = motion.width();
        self.loudness += FOLLOWS * (loudness - self.loudness);
        let lively = motion.lively(self.loudness);
        let chance: Vec<f64> = (0..d).map(|_| lively * normal(|| unit(&mut self.random))).collect();
        let mut next: Vec<f64> =
            (0..d).map(|k| (0..=k).map(|j| motion.noise[k * d + j] * chance[j]).sum()).collect();
        let drivers = self.past.iter().chain(&inputs);
        for (driver, weights) in drivers.zip(motion.weights.chunks_exact(d)) {
            next.iter_mut().zip(weights).for_each(|(to, weight)| *to += driver * weight);
        }
        self.past.rotate_right(d);
        self.past[..d].copy_from_slice(&next);
        debug_assert_eq!(self.past.len(), ORDER * d, "as many frames are remembered");
        next.iter().zip(motion.limits.as_chunks::<2>().0).map(|(x, limits)| within(*x, *limits)).collect()
    }

    /// What a blink adds to the stretched blendshapes in this frame; nothing between blinks.
    pub fn next_blink(&mut self, motion: &Motion) -> [f32; EXPRESSION] {
        let count = motion.blinks.count();
        if count == 0 {
            return [0.0; EXPRESSION];
        }
        if self.until_blink == 0 {
            let which = (unit(&mut self.random) * count as f64) as usize;
            self.blink = Some((which.min(count - 1), 0));
            self.until_blink = interval(motion, &mut self.random);
        }
        self.until_blink -= 1;
        let Some((which, frame)) = self.blink else { return [0.0; EXPRESSION] };
        self.blink = (frame + 1 < FRAMES).then_some((which, frame + 1));
        motion.blinks.at(which, frame)
    }

    /// The camera and the blendshapes of the next frame, with the lens of `lens`; see [`MotionGenerator::next_numbers`].
    pub fn next_frame(
        &mut self,
        motion: &Motion,
        inputs: [f64; INPUTS],
        loudness: f64,
        lens: &Camera,
    ) -> (Camera, [f32; EXPRESSION]) {
        let numbers = self.next_numbers(motion, inputs, loudness);
        let blink = self.next_blink(motion);
        (motion.basis.camera(&numbers, lens), motion.basis.expression(&numbers, &blink))
    }
}

/// A number kept between its limits: as it is near the middle, slowed towards them.
fn within(x: f64, [low, high]: [f64; 2]) -> f64 {
    let (middle, half) = ((low + high) / 2.0, ((high - low) / 2.0).max(1e-9));
    let part = (x - middle) / half;
    if part.abs() <= KNEE {
        return x;
    }
    let beyond = (part.abs() - KNEE) / (1.0 - KNEE);
    middle + half * part.signum() * (KNEE + (1.0 - KNEE) * beyond.tanh())
}

/// Frames from one blink to the next.
fn interval(motion: &Motion, random: &mut ChaCha8Rng) -> usize {
    let intervals = &motion.blinks.intervals;
    let at = ((unit(random) * intervals.len() as f64) as usize).min(intervals.len().saturating_sub(1));
    let factor = VARIES[0] + (VARIES[1] - VARIES[0]) * unit(random);
    ((intervals.get(at).copied().unwrap_or(100.0) * factor).round() as usize).max(FRAMES + 1)
}

/// 0 to 1, without 1.
fn unit(random: &mut ChaCha8Rng) -> f64 {
    (random.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_number_passes_its_limits_and_the_middle_is_left_alone() {
        let limits = [-1.0, 3.0];
        assert_eq!(within(1.4, limits), 1.4);
        for x in [-50.0, -1.0, 2.6, 3.0, 99.0] {
            assert!((-1.0..=3.0).contains(&within(x, limits)), "{x}");
        }
        let steps: Vec<f64> = (0..100).map(|k| within(f64::from(k) * 0.1 - 4.0, limits)).collect();
        assert!(steps.windows(2).all(|pair| pair[1] >= pair[0]), "order stays");
    }
}
