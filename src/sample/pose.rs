//! What moves on its own while the talker speaks: the head, the lids, the brows, the eyes.

use super::curve::{Chance, mix, ramp};
use super::params::{FacePose, HeadPose};
use std::f32::consts::PI;

const DEGREE: f32 = PI / 180.0;

/// Head motion: slow sums of sines, at most 8° of yaw, 4° of pitch, 3° of roll, 3 mm of shift.
#[derive(Debug, Clone)]
pub(super) struct HeadMotion {
    /// Per channel three sines: amplitude, period in seconds, phase.
    waves: [[[f32; 3]; 3]; 6],
}

impl HeadMotion {
    pub(super) fn new(seed: u64) -> Self {
        let mut chance = Chance::new(seed, 21);
        let most = [8.0 * DEGREE, 4.0 * DEGREE, 3.0 * DEGREE, 3.0, 2.0, 3.0];
        let waves = most.map(|most| {
            [(0.56, 6.4), (0.29, 3.1), (0.15, 1.7)].map(|(share, period)| {
                [most * share, period * chance.between(0.85, 1.2), chance.between(0.0, 2.0 * PI)]
            })
        });
        HeadMotion { waves }
    }

    pub(super) fn at(&self, time: f32) -> HeadPose {
        let [yaw, pitch, roll, x, y, z] =
            self.waves.map(|w| w.iter().map(|[a, p, f]| a * (2.0 * PI * time / p + f).sin()).sum::<f32>());
        HeadPose { yaw, pitch, roll, shift: [x, y, z] }
    }
}

/// Lids, brows and gaze: events at seeded times.
#[derive(Debug, Clone)]
pub(super) struct FaceMotion {
    blinks: Vec<f32>,
    /// Middle, half length, height: inner brows, outer brows (left, right), brows down.
    brows: Vec<(f32, f32, [f32; 4])>,
    /// Times and targets of the gaze.
    looks: Vec<(f32, [f32; 2])>,
}

impl FaceMotion {
    pub(super) fn new(seed: u64, duration: f32) -> Self {
        let mut chance = Chance::new(seed, 22);
        let mut blinks = Vec::new();
        let mut t = chance.between(0.5, 1.5);
        while t < duration + 1.0 {
            blinks.push(t);
            // Now and then a double blink.
            t += if chance.unit() < 0.15 { 0.35 } else { chance.between(1.5, 3.8) };
        }
        let mut brows = Vec::new();
        let mut t = chance.between(0.2, 1.0);
        while t < duration + 1.0 {
            let half = chance.between(0.3, 0.7);
            let size = chance.between(0.4, 1.0);
            let which = chance.unit();
            let heights = if which < 0.40 {
                [size, 0.8 * size, 0.8 * size, 0.0]
            } else if which < 0.58 {
                [size, 0.0, 0.0, 0.0]
            } else if which < 0.70 {
                [0.2 * size, size, 0.1 * size, 0.0]
            } else if which < 0.82 {
                [0.2 * size, 0.1 * size, size, 0.0]
            } else {
                [0.0, 0.0, 0.0, 0.8 * size]
            };
            brows.push((t + half, half, heights));
            t += 2.0 * half + chance.between(0.1, 1.0);
        }
        let mut looks = vec![(0.0, [0.0; 2])];
        let mut t = chance.between(0.8, 1.6);
        while t < duration + 1.0 {
            let away = chance.unit() < 0.45;
            let target = [chance.sign(), 0.7 * chance.sign()].map(|v| if away { 0.75 * v } else { 0.12 * v });
            looks.push((t, target));
            t += chance.between(0.6, 1.8);
        }
        FaceMotion { blinks, brows, looks }
    }

    pub(super) fn at(&self, time: f32) -> FacePose {
        let mut face = FacePose::default();
        for start in &self.blinks {
            let t = time - start;
            let closed = ramp(0.0, 0.09, t) * (1.0 - ramp(0.13, 0.30, t));
            face.blink = face.blink.map(|b| b.max(closed));
        }
        for (middle, half, [inner, left, right, down]) in &self.brows {
            let weight = ramp(*half, 0.0, (time - middle).abs());
            face.brow_inner = face.brow_inner.max(inner * weight);
            face.brow_outer = [face.brow_outer[0].max(left * weight), face.brow_outer[1].max(right * weight)];
            face.brow_down = face.brow_down.map(|d| d.max(down * weight));
        }
        face.wide = 0.6 * face.brow_inner.min(face.brow_outer[0]);
        let next = self.looks.partition_point(|l| l.0 <= time).max(1);
        let (since, target) = self.looks[next - 1];
        let from = if next >= 2 { self.looks[next - 2].1 } else { target };
        let jump = ramp(0.0, 0.06, time - since);
        face.gaze = [mix(from[0], target[0], jump), mix(from[1], target[1], jump)];
        face
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_stays_within_its_limits() {
        for seed in 0..5 {
            let motion = HeadMotion::new(seed);
            for i in 0..2000 {
                let p = motion.at(i as f32 * 0.04);
                assert!(p.yaw.abs() <= 8.01 * DEGREE && p.pitch.abs() <= 4.01 * DEGREE);
                assert!(p.roll.abs() <= 3.01 * DEGREE && p.shift.iter().all(|s| s.abs() <= 3.01));
            }
        }
    }

    #[test]
    fn blinks_close_the_eyes_and_open_them_again() {
        let motion = FaceMotion::new(4, 20.0);
        let lids: Vec<f32> = (0..500).map(|i| motion.at(i as f32 * 0.04).blink[0]).collect();
        assert!(lids.iter().any(|v| *v > 0.95));
        let open = lids.iter().filter(|v| **v < 0.05).count();
        assert!(open > 350 && open < 490, "{open}");
    }
}
