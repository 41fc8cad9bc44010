//! Statements about generated motion.

use super::generator::MotionGenerator;
use super::*;
use crate::Camera;
use crate::head::RigidPose;
use crate::head::archive::Archive;
use crate::head::field::EXPRESSION;
use crate::metrics::motion::{MotionScore, MotionTrack};
use glam::{DQuat, DVec3};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

const LENS: Camera = Camera {
    camera_from_world: [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 2.0]],
    fx: 100.0,
    fy: 100.0,
    cx: 31.5,
    cy: 31.5,
    width: 64,
    height: 64,
};

/// A film: sway by chance, livelier where it is loud, with a blink every two and a half seconds.
struct Film {
    cameras: Vec<Camera>,
    expressions: Vec<[f32; EXPRESSION]>,
    loudness: Vec<f32>,
    audio: Vec<f32>,
}

impl Film {
    fn new(frames: usize) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let mut chance = move || f64::from(random.next_u32()) / f64::from(u32::MAX) - 0.5;
        let (mut place, mut speed) = ([0.0; 6], [0.0; 6]);
        let mut film = Film { cameras: vec![], expressions: vec![], loudness: vec![], audio: vec![] };
        for t in 0..frames {
            // Words of half a second and pauses, now and then a long one.
            let word = (t / 12) % 2 == 0 && (t / 100) % 4 != 3;
            let loud = if word { 1.0 + 0.3 * chance() } else { -1.0 };
            for k in 0..6 {
                speed[k] = 0.9 * speed[k] - 0.01 * place[k] + (0.25 + 0.08 * loud) * chance();
                place[k] += speed[k];
            }
            let rotation =
                DQuat::from_scaled_axis(DVec3::from_array(std::array::from_fn(|k| 0.02 * place[k])));
            let away = DVec3::new(0.0, 0.0, 2.0);
            let translation = away + 0.01 * DVec3::new(place[3], place[4], place[5]);
            film.cameras.push(RigidPose { rotation, translation }.put_into(&LENS));
            let lid = [0.3, 0.8, 0.9, 0.6, 0.3].get(t % 62).copied().unwrap_or(0.1);
            let brow = 0.3 + 0.01 * place[0] as f32;
            film.expressions.push(std::array::from_fn(|k| if LIDS.contains(&k) { lid } else { brow }));
            film.loudness.push((20.0 * loud - 40.0) as f32);
            film.audio.extend([loud as f32, (0.5 * loud + 0.1 * chance()) as f32]);
        }
        film
    }

    fn motion(&self, frames: usize) -> Option<Motion> {
        fit(&MotionFrames {
            runs: &[[0, frames]],
            cameras: &self.cameras,
            expressions: &self.expressions,
            loudness: &self.loudness,
            audio: &self.audio,
        })
    }

    fn loudness(&self, motion: &Motion, t: usize) -> f64 {
        let at = t % self.cameras.len();
        motion.loudness_of(&self.audio[2 * at..2 * at + 2])
    }
}

fn add(track: &mut MotionTrack, motion: &Motion, camera: &Camera, face: &[f32; EXPRESSION], loudness: f64) {
    let numbers = motion.basis.numbers(camera, &[0.0; EXPRESSION]);
    track.poses.push(std::array::from_fn(|k| numbers[k]));
    track.closed.push(face[LIDS[0]]);
    track.loudness.push(loudness);
}

/// Motion for the film's sound, which goes on from its beginning; silence where `heard` says so.
fn generate(
    film: &Film,
    motion: &Motion,
    frames: usize,
    seed: u64,
    heard: impl Fn(usize) -> bool,
) -> MotionTrack {
    let mut generator = MotionGenerator::new(motion, seed);
    let loud = |t: usize| if heard(t) { film.loudness(motion, t) } else { -2.0 };
    let mut track = MotionTrack::default();
    for t in 0..frames {
        let at = |offset: isize| loud(t.saturating_add_signed(offset));
        let inputs = std::array::from_fn(|k| at(HEARD_AT[k + 1]) - at(HEARD_AT[k]));
        let (camera, face) = generator.next_frame(motion, inputs, loud(t), &LENS);
        add(&mut track, motion, &camera, &face, loud(t));
    }
    track
}

fn filmed(film: &Film, motion: &Motion) -> MotionTrack {
    let mut track = MotionTrack::default();
    for (t, (camera, face)) in film.cameras.iter().zip(&film.expressions).enumerate() {
        add(&mut track, motion, camera, face, film.loudness(motion, t));
    }
    track
}

#[test]
fn generated_motion_is_as_fast_as_filmed_and_follows_the_sound_as_much() {
    let film = Film::new(1500);
    let motion = film.motion(1500).expect("motion");
    let score = MotionScore::of(&filmed(&film, &motion), &generate(&film, &motion, 6000, 5, |_| true));
    let score = score.expect("long enough");
    assert!(score.speed.iter().all(|r| (0.85..1.15).contains(r)), "{score:?}");
    assert!((0.7..1.4).contains(&score.speed_spectrum), "{score:?}");
    assert!((0.7..1.4).contains(&score.acceleration_spectrum), "{score:?}");
    assert!((score.follows[0] - score.follows[1]).abs() < 0.1 && score.follows[0] > 0.1, "{score:?}");
    assert!((score.blinks[1] / score.blinks[0] - 1.0).abs() < 0.2, "{score:?}");
    assert!((score.blink_frames[1] / score.blink_frames[0] - 1.0).abs() < 0.2, "{score:?}");
    assert!(score.outside < 1e-9 && score.jump < 1.5 && score.repeat < 0.95, "{score:?}");
}

#[test]
fn a_silent_head_moves_less_and_speech_begins_without_a_jump() {
    let film = Film::new(1500);
    let motion = film.motion(1500).expect("motion");
    // Silence and speech, forty seconds each.
    let track = generate(&film, &motion, 8000, 5, |t| (t / 1000) % 2 == 1);
    let speed =
        |t: usize| (0..6).map(|k| (track.poses[t + 1][k] - track.poses[t][k]).powi(2)).sum::<f64>().sqrt();
    let mean = |of: &dyn Fn(usize) -> bool| {
        let chosen: Vec<f64> = (0..7999).filter(|t| of(*t)).map(speed).collect();
        chosen.iter().sum::<f64>() / chosen.len() as f64
    };
    let speaking = |t: usize| (t / 1000) % 2 == 1;
    assert!(mean(&|t| !speaking(t)) < 0.9 * mean(&speaking));
    assert!(mean(&|t| !speaking(t)) > 0.0, "nor is it still");
    let begins = (1..8).map(|k| speed(1000 * k)).fold(0.0, f64::max);
    let fastest = (0..7999).map(speed).fold(0.0, f64::max);
    assert!(begins < fastest, "{begins} of {fastest}");
}

#[test]
fn a_seed_is_a_motion_and_a_file_keeps_it() {
    let film = Film::new(400);
    let motion = film.motion(400).expect("motion");
    let of = |motion: &Motion, seed| generate(&film, motion, 100, seed, |_| true).poses;
    assert_eq!(of(&motion, 1), of(&motion, 1));
    assert_ne!(of(&motion, 1), of(&motion, 2));
    let mut archive = Archive::default();
    motion.store(&mut archive);
    let restored = Motion::restore(&mut archive, "a file").expect("restored").expect("motion");
    assert_eq!(restored, motion);
    assert!(Motion::restore(&mut Archive::default(), "a file").expect("a file without").is_none());
    let mut damaged = Archive::default();
    motion.store(&mut damaged);
    damaged.put_f64("motion.weights", &[2], vec![f64::NAN, 1.0]);
    assert_eq!(Motion::restore(&mut damaged, "a file").expect_err("damaged").exit_code(), 2);
}

#[test]
fn too_short_a_film_teaches_nothing() {
    let film = Film::new(400);
    assert!(film.motion(90).is_none());
    let still = Film { cameras: vec![LENS; 400], ..Film::new(400) };
    // A head that never moves has motion that is no motion, not numbers that are none.
    let moved = still.motion(400).map(|motion| generate(&still, &motion, 50, 1, |_| true).poses);
    assert!(moved.is_none_or(|poses| poses.as_flattened().iter().all(|v| v.is_finite())));
}
