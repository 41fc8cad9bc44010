//! How generated motion of a head compares with filmed motion: how fast it moves and turns, at which frequencies, how it follows
//! the sound, how the eyes blink, and whether it jumps, repeats itself or goes where the head never was.

use super::landmarks::correlation;
use super::series::quantile;
use data_utils::face::blinks::blink_frames;

/// Numbers of a pose: a rotation and a translation, three each.
pub const POSE: usize = 6;
/// Frames of a window of the spectra.
const WINDOW: usize = 128;
/// Frames a second.
const RATE: f64 = 25.0;
/// Bands of the spectra, Hz.
const BANDS: [[f64; 2]; 6] = [[0.0, 0.5], [0.5, 1.0], [1.0, 2.0], [2.0, 4.0], [4.0, 8.0], [8.0, 12.6]];
/// Motion that comes again is looked for from this many frames on, in pieces of this length.
const REPEATS_FROM: usize = 250;
const PIECE: usize = 50;

/// Motion of a head: a row for each of consecutive frames.
#[derive(Debug, Clone, Default)]
pub struct MotionTrack {
    /// Rotation vector and translation, in any unit that both of two compared tracks share.
    pub poses: Vec<[f64; POSE]>,
    /// How far the eyes are closed, 0..1.
    pub closed: Vec<f32>,
    /// The loudness heard in each frame.
    pub loudness: Vec<f64>,
}

/// How generated motion compares with filmed motion. Ratios are generated over filmed.
#[derive(Debug, Clone, PartialEq)]
pub struct MotionScore {
    /// Root mean square of the speed along each axis.
    pub speed: [f64; POSE],
    /// The ratio of an axis and a band that is farthest from 1, of amplitudes of the speed.
    pub speed_spectrum: f64,
    /// The same of the acceleration.
    pub acceleration_spectrum: f64,
    /// Correlation of the speed of turning with the loudness, filmed and generated.
    pub follows: [f64; 2],
    /// Blinks a minute, filmed and generated.
    pub blinks: [f64; 2],
    /// Frames in which a blink is more than half closed, filmed and generated.
    pub blink_frames: [f64; 2],
    /// Share of the frames in which an axis is outside the 1st to 99th of a hundred of what was filmed, the worst axis.
    pub outside: f64,
    /// The fastest frame over the fastest filmed one, the worst axis.
    pub jump: f64,
    /// The highest correlation of two seconds of turning with another two seconds, at least ten seconds later.
    pub repeat: f64,
}

impl MotionScore {
    /// Compares generated with filmed motion; `None` where one of them is shorter than a window of the spectra.
    pub fn of(filmed: &MotionTrack, generated: &MotionTrack) -> Option<Self> {
        let enough = |track: &MotionTrack| track.poses.len() > WINDOW + 2;
        if !enough(filmed) || !enough(generated) {
            return None;
        }
        let axis = |track: &MotionTrack, k: usize| track.poses.iter().map(|p| p[k]).collect::<Vec<f64>>();
        let speed = |track: &MotionTrack, k: usize| differences(&axis(track, k));
        let acceleration = |track: &MotionTrack, k: usize| differences(&speed(track, k));
        let worst = |of: &dyn Fn(&MotionTrack, usize) -> Vec<f64>| {
            let ratios = (0..POSE).flat_map(|k| {
                let (a, b) = (spectrum(&of(filmed, k)), spectrum(&of(generated, k)));
                a.into_iter().zip(b).map(|(a, b)| (b / a.max(1e-30)).sqrt())
            });
            ratios.max_by(|a, b| a.ln().abs().total_cmp(&b.ln().abs())).unwrap_or(1.0)
        };
        let outside = |k: usize| {
            let values = axis(filmed, k);
            let [low, high] = [0.01, 0.99].map(|share| quantile(&values, share).unwrap_or(0.0));
            let out = axis(generated, k).into_iter().filter(|x| !(low..=high).contains(x)).count();
            out as f64 / generated.poses.len() as f64
        };
        let fastest =
            |track: &MotionTrack, k: usize| speed(track, k).into_iter().fold(0.0, |m: f64, v| m.max(v.abs()));
        let both = |of: &dyn Fn(&MotionTrack) -> f64| [of(filmed), of(generated)];
        Some(MotionScore {
            speed: std::array::from_fn(|k| rms(&speed(generated, k)) / rms(&speed(filmed, k)).max(1e-12)),
            speed_spectrum: worst(&speed),
            acceleration_spectrum: worst(&acceleration),
            follows: both(&follows),
            blinks: both(&|track| {
                blink_frames(&track.closed).len() as f64 / (track.closed.len() as f64 / RATE / 60.0)
            }),
            blink_frames: both(&|track| blink_length(&track.closed)),
            outside: (0..POSE).map(outside).fold(0.0, f64::max),
            jump: (0..POSE)
                .map(|k| fastest(generated, k) / fastest(filmed, k).max(1e-12))
                .fold(0.0, f64::max),
            repeat: repeat(generated),
        })
    }
}

fn differences(values: &[f64]) -> Vec<f64> {
    values.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

fn rms(values: &[f64]) -> f64 {
    (values.iter().map(|v| v * v).sum::<f64>() / values.len().max(1) as f64).sqrt()
}

/// The correlation of the speed of turning with the loudness; 0 where one of them never changes.
fn follows(track: &MotionTrack) -> f64 {
    let loudness = track.loudness.get(1..).unwrap_or_default();
    correlation(&turning(track), loudness).ok().flatten().unwrap_or(0.0)
}

/// The speed of turning.
fn turning(track: &MotionTrack) -> Vec<f64> {
    let pairs = track.poses.windows(2);
    pairs.map(|pair| (0..3).map(|k| (pair[1][k] - pair[0][k]).powi(2)).sum::<f64>().sqrt()).collect()
}

/// Power in each band (Welch 1967: Hann windows, half of each in the next).
fn spectrum(values: &[f64]) -> [f64; BANDS.len()] {
    let mut power = vec![0.0; WINDOW / 2 + 1];
    let hann = |i: usize| 0.5 - 0.5 * (std::f64::consts::TAU * i as f64 / (WINDOW - 1) as f64).cos();
    let windows = values.windows(WINDOW).step_by(WINDOW / 2);
    let count = windows.len().max(1) as f64;
    for window in windows {
        for (k, to) in power.iter_mut().enumerate() {
            let step = std::f64::consts::TAU * k as f64 / WINDOW as f64;
            let (mut re, mut im) = (0.0, 0.0);
            for (i, value) in window.iter().enumerate() {
                let (sin, cos) = (step * i as f64).sin_cos();
                re += value * hann(i) * cos;
                im -= value * hann(i) * sin;
            }
            *to += (re * re + im * im) / count;
        }
    }
    BANDS.map(|[from, to]| {
        let within = |k: &usize| (from..to).contains(&(*k as f64 * RATE / WINDOW as f64));
        (0..power.len()).filter(within).map(|k| power[k]).sum()
    })
}

/// Mean number of frames in which a blink is more than half closed.
fn blink_length(closed: &[f32]) -> f64 {
    let peaks = blink_frames(closed);
    let length = |peak: &usize| {
        let near = &closed[peak.saturating_sub(10)..(peak + 11).min(closed.len())];
        let open = near.iter().copied().fold(f32::INFINITY, f32::min);
        let half = (closed[*peak] + open) / 2.0;
        let before = closed[..*peak].iter().rev().take_while(|v| **v > half).count();
        let after = closed[*peak..].iter().take_while(|v| **v > half).count();
        (before + after) as f64
    };
    peaks.iter().map(length).sum::<f64>() / peaks.len().max(1) as f64
}

/// The highest correlation of a piece of turning with a later one.
fn repeat(track: &MotionTrack) -> f64 {
    let speeds: Vec<[f64; 3]> =
        track.poses.windows(2).map(|p| std::array::from_fn(|k| p[1][k] - p[0][k])).collect();
    let piece = |from: usize| speeds[from..from + PIECE].as_flattened();
    let power = |v: &[f64]| v.iter().map(|x| x * x).sum::<f64>();
    let mut most = 0.0f64;
    // Pieces are compared every half second with all later ones.
    for from in (0..speeds.len().saturating_sub(PIECE)).step_by(PIECE / 4) {
        for other in from + REPEATS_FROM..speeds.len().saturating_sub(PIECE) {
            let (a, b) = (piece(from), piece(other));
            let product: f64 = a.iter().zip(b).map(|(x, y)| x * y).sum();
            most = most.max(product / (power(a) * power(b)).sqrt().max(1e-30));
        }
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;

    fn track(frames: usize, of: impl Fn(usize) -> f64) -> MotionTrack {
        MotionTrack {
            poses: (0..frames).map(|t| std::array::from_fn(|k| of(t) * (1.0 + k as f64))).collect(),
            closed: (0..frames).map(|t| [0.3, 0.9, 0.8, 0.2].get(t % 100).copied().unwrap_or(0.05)).collect(),
            loudness: (0..frames).map(|t| (t as f64 * 0.3).sin()).collect(),
        }
    }

    /// Slow motion without period.
    fn wander(t: usize) -> f64 {
        let t = t as f64;
        (t * 0.11).sin() + 0.5 * (t * 0.173 + (t * 0.013).cos()).sin() + 0.2 * (t * 0.71).sin()
    }

    #[test]
    fn filmed_motion_is_as_good_as_itself() {
        let filmed = track(1000, wander);
        let score = MotionScore::of(&filmed, &filmed).expect("long enough");
        assert!(score.speed.iter().all(|r| (r - 1.0).abs() < 1e-9));
        assert_eq!((score.speed_spectrum, score.acceleration_spectrum), (1.0, 1.0));
        assert_eq!(score.blinks[0], score.blinks[1]);
        assert_eq!(score.blinks[0], 15.0, "one in four seconds");
        assert_eq!(score.blink_frames[0], 2.0);
        assert!(score.outside <= 0.02 && score.jump == 1.0);
    }

    #[test]
    fn a_still_head_a_wild_one_and_a_loop_are_told() {
        let filmed = track(1000, wander);
        let score =
            |of: &dyn Fn(usize) -> f64| MotionScore::of(&filmed, &track(1000, of)).expect("long enough");
        assert!(score(&|t| 0.5 * wander(t)).speed[0] < 0.51);
        let wild = score(&|t| 2.0 * wander(t));
        assert!(wild.outside > 0.2 && wild.jump > 1.9);
        assert!(score(&|t| wander(t % 300)).repeat > 0.999, "the same again after twelve seconds");
        let trembling = score(&|t| wander(t) + if t % 2 == 0 { 0.1 } else { -0.1 });
        assert!(trembling.acceleration_spectrum > 1.5, "{}", trembling.acceleration_spectrum);
        assert!(MotionScore::of(&filmed, &track(100, wander)).is_none());
    }
}
