//! Rooms and noise, so that the network does not rely on clean speech.

use super::random::Random;

/// Samples a second.
const RATE: f64 = 16_000.0;

/// A sound at another level, half of the time in a room, mostly with noise from white to brown, 10 to 40 dB below it.
pub fn augment(samples: &[f32], random: &mut Random) -> Vec<f32> {
    let gain = 10f64.powf(-random.unit());
    let mut sound: Vec<f64> = samples.iter().map(|s| gain * f64::from(*s)).collect();
    if random.unit() < 0.5 {
        sound = in_room(&sound, random);
    }
    if random.unit() < 0.8 {
        let noise = noise(sound.len(), random);
        let power = |values: &[f64]| values.iter().map(|v| v * v).sum::<f64>() / values.len().max(1) as f64;
        let below = 10.0 + 30.0 * random.unit();
        let scale = (power(&sound) / power(&noise).max(1e-12)).sqrt() * 10f64.powf(-below / 20.0);
        sound.iter_mut().zip(noise).for_each(|(s, n)| *s += scale * n);
    }
    sound.iter().map(|s| *s as f32).collect()
}

/// Noise whose spectrum falls more or less: white noise through a leaky sum.
fn noise(count: usize, random: &mut Random) -> Vec<f64> {
    let keep = 1.0 - 10f64.powf(-3.0 * random.unit());
    let mut sum = 0.0;
    (0..count)
        .map(|_| {
            sum = keep * sum + random.normal();
            sum
        })
        .collect()
}

/// A few dozen echoes that die away within .1 to .5 s.
fn in_room(sound: &[f64], random: &mut Random) -> Vec<f64> {
    let time = 0.1 + 0.4 * random.unit();
    let loud = 0.05 + 0.25 * random.unit();
    let mut out = sound.to_vec();
    for _ in 0..40 {
        let delay = time * random.unit();
        let gain = loud * random.normal() * 10f64.powf(-3.0 * delay / time);
        let samples = 1 + (delay * RATE) as usize;
        out.iter_mut().skip(samples).zip(sound).for_each(|(to, from)| *to += gain * from);
    }
    out
}
