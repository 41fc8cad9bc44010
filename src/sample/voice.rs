//! The voice: a cascade formant synthesiser after Klatt 1980 ("Software for a cascade/parallel formant
//! synthesizer"). A train of glottal pulses and breath noise go through five resonators in a row, friction
//! noise through one of its own; the lips' radiation is a first difference. 16 kHz, mono.

use super::curve::{Chance, ramp};
use super::phonemes::Segment;
use super::speech::Speech;
use std::f32::consts::PI;

/// Samples a second.
pub const RATE: u32 = 16_000;
/// Samples between two settings of the resonators (2.5 ms).
const HOP: usize = 40;
/// Bandwidths of the five formants, Hz; the upper two formants stand still.
const BANDWIDTHS: [f32; 5] = [75.0, 95.0, 140.0, 240.0, 320.0];
const UPPER: [f32; 2] = [4050.0, 5050.0];
/// Strength of friction against the voice.
const FRICTION: f32 = 0.12;
/// Noise of a quiet room.
const ROOM: f32 = 4e-4;
/// Mean pitch, Hz.
const PITCH: f32 = 188.0;

/// Settings over time, one row per [`HOP`].
struct Tracks {
    /// Three formants, voice, breath, noise, middle and width of the noise band.
    rows: Vec<[f32; 8]>,
    pitch: Vec<f32>,
}

/// A second-order resonator; coefficients may change from sample to sample.
#[derive(Default, Clone, Copy)]
struct Resonator {
    a: f32,
    b: f32,
    c: f32,
    y1: f32,
    y2: f32,
}

impl Resonator {
    fn tune(&mut self, frequency: f32, bandwidth: f32) {
        let t = 1.0 / RATE as f32;
        self.c = -(-2.0 * PI * bandwidth * t).exp();
        self.b = 2.0 * (-PI * bandwidth * t).exp() * (2.0 * PI * frequency.min(7600.0) * t).cos();
        self.a = 1.0 - self.b - self.c;
    }

    /// As [`Resonator::tune`], with gain 1 at `frequency` instead of at 0 Hz.
    fn tune_band(&mut self, frequency: f32, bandwidth: f32) {
        self.tune(frequency, bandwidth);
        let w = 2.0 * PI * frequency.min(7600.0) / RATE as f32;
        let (re, im) =
            (1.0 - self.b * w.cos() - self.c * (2.0 * w).cos(), self.b * w.sin() + self.c * (2.0 * w).sin());
        self.a = re.hypot(im);
    }

    fn step(&mut self, x: f32) -> f32 {
        let y = self.a * x + self.b * self.y1 + self.c * self.y2;
        (self.y2, self.y1) = (self.y1, y);
        y
    }
}

/// What the segments ask for, smoothed as a vocal tract moves.
fn tracks(speech: &Speech, chance: &mut Chance) -> Tracks {
    let count = (speech.duration * RATE as f32 / HOP as f32).ceil() as usize;
    let mut rows = vec![row_of(None); count];
    let mut pitch = vec![PITCH; count];
    for t in &speech.timed {
        let mut start = t.start;
        for segment in &t.phoneme.segments {
            let end = start + segment.ms * 1e-3 * t.stretch;
            let span = hop(start).min(count)..hop(end).min(count);
            rows[span].fill(row_of(Some(segment)));
            start = end;
        }
    }
    // Silence and breath take the shape of what comes next, so that no formant sweeps in from nowhere.
    let mut next: Option<[f32; 3]> = None;
    for row in rows.iter_mut().rev() {
        let sounding = row[3] > 0.0 || row[5] > 0.0;
        if sounding {
            next = Some([row[0], row[1], row[2]]);
        } else if let Some(f) = next {
            row[..3].copy_from_slice(&f);
        }
    }
    for (column, radius) in [(0, 13), (1, 13), (2, 13), (3, 5), (4, 5), (5, 3), (6, 3), (7, 3)] {
        smooth(&mut rows, column, radius);
    }
    intonation(speech, chance, &mut pitch);
    Tracks { rows, pitch }
}

fn hop(seconds: f32) -> usize {
    (seconds * RATE as f32 / HOP as f32).round() as usize
}

fn row_of(segment: Option<&Segment>) -> [f32; 8] {
    match segment {
        None => [500.0, 1500.0, 2700.0, 0.0, 0.0, 0.0, 4000.0, 2000.0],
        Some(s) => {
            let [f1, f2, f3] = s.formants;
            [f1, f2, f3, s.voice, s.breath, s.noise, s.band[0], s.band[1]]
        }
    }
}

/// Two passes of a moving mean of ±`radius` rows.
fn smooth(rows: &mut [[f32; 8]], column: usize, radius: usize) {
    for _ in 0..2 {
        let source: Vec<f64> = std::iter::once(0.0)
            .chain(rows.iter().scan(0.0, |sum, r| {
                *sum += f64::from(r[column]);
                Some(*sum)
            }))
            .collect();
        for i in 0..rows.len() {
            let (from, to) = (i.saturating_sub(radius / 2), (i + radius / 2 + 1).min(rows.len()));
            rows[i][column] = ((source[to] - source[from]) / (to - from) as f64) as f32;
        }
    }
}

/// Pitch falls over a sentence, peaks on stressed vowels, ends low or, for a question, high.
fn intonation(speech: &Speech, chance: &mut Chance, pitch: &mut [f32]) {
    let peaks: Vec<(f32, f32)> = speech
        .timed
        .iter()
        .filter(|t| t.stressed)
        .map(|t| (0.5 * (t.start + t.end), chance.between(0.07, 0.16)))
        .collect();
    let mut wander = 0.0;
    for (i, p) in pitch.iter_mut().enumerate() {
        let time = (i * HOP) as f32 / RATE as f32;
        let mut factor = 1.0;
        if let Some(f) = speech.phrases.iter().find(|f| time >= f.start && time <= f.end) {
            let way = (time - f.start) / (f.end - f.start).max(0.1);
            factor += 0.10 - 0.20 * way;
            let ending = ramp(0.82, 1.0, way);
            factor += if f.question { 0.34 } else { -0.14 } * ending;
        }
        for (at, height) in &peaks {
            factor += height * (-0.5 * ((time - at) / 0.075).powi(2)).exp();
        }
        wander = 0.97 * wander + 0.0035 * chance.sign();
        let vibrato = 0.006 * (2.0 * PI * 5.3 * time).sin();
        *p = PITCH * (factor + wander + vibrato);
    }
}

/// Says it: samples of −1..1 at [`RATE`], as long as the speech.
pub(super) fn speak(speech: &Speech, seed: u64) -> Vec<f32> {
    let mut chance = Chance::new(seed, 12);
    let tracks = tracks(speech, &mut chance);
    let total = (speech.duration * RATE as f32).round() as usize;
    let mut tract = [Resonator::default(); 5];
    let mut glottis = Resonator::default();
    glottis.tune(0.0, 220.0);
    let mut hiss = [Resonator::default(); 2];
    let (mut phase, mut before, mut gain) = (1.0_f32, 0.0_f32, [0.0_f32; 3]);
    let mut out = Vec::with_capacity(total);
    for i in 0..total {
        let k = (i / HOP).min(tracks.rows.len().saturating_sub(1));
        let row = &tracks.rows[k];
        if i % HOP == 0 {
            for (r, (f, b)) in
                tract.iter_mut().zip([row[0], row[1], row[2], UPPER[0], UPPER[1]].into_iter().zip(BANDWIDTHS))
            {
                r.tune(f, b);
            }
            for r in &mut hiss {
                r.tune_band(row[6], row[7]);
            }
        }
        // Strengths glide over a hop so that nothing clicks.
        for (g, target) in gain.iter_mut().zip([row[3], row[4], row[5]]) {
            *g += (target - *g) * 0.02;
        }
        phase += tracks.pitch[k] / RATE as f32;
        let mut pulse = 0.0;
        if phase >= 1.0 {
            phase -= 1.0;
            pulse = 1.0 + 0.06 * chance.sign();
        }
        let noise = chance.sign();
        let open = 0.6 + 0.4 * (2.0 * PI * phase).sin();
        let source = 26.0 * gain[0] * glottis.step(pulse) + noise * (0.10 * gain[1] + 0.010 * gain[0] * open);
        let vocal = tract.iter_mut().fold(source, |x, r| r.step(x));
        let rough = noise * if gain[0] > 0.05 { open } else { 1.0 };
        let friction = hiss.iter_mut().fold(rough, |x, r| r.step(x)) * gain[2] * FRICTION;
        let sum = vocal + friction + ROOM * noise;
        out.push(sum - 0.97 * before);
        before = sum;
    }
    level(&mut out);
    out
}

/// Brings speech to −20 dB (RMS of the loud parts) and eases peaks.
fn level(samples: &mut [f32]) {
    let mut blocks: Vec<f32> =
        samples.chunks(400).map(|c| c.iter().map(|v| v * v).sum::<f32>() / c.len() as f32).collect();
    blocks.sort_by(f32::total_cmp);
    let loud = &blocks[blocks.len() / 2..];
    let rms = (loud.iter().sum::<f32>() / loud.len().max(1) as f32).sqrt();
    let gain = if rms > 1e-9 { 0.12 / rms } else { 0.0 };
    for s in samples {
        let v = *s * gain;
        *s = if v.abs() > 0.6 {
            v.signum() * (0.6 + 0.35 * (1.0 - (-(v.abs() - 0.6) / 0.35).exp()))
        } else {
            v
        };
    }
}

#[cfg(test)]
mod tests {
    use super::super::sentences::Sentence;
    use super::*;

    fn say(phonemes: &str) -> (Speech, Vec<f32>) {
        let speech = Speech::new(&[Sentence::from_phonemes(phonemes).unwrap()], 5).unwrap();
        let samples = speak(&speech, 5);
        (speech, samples)
    }

    /// Samples of the middle half of the n-th phoneme called `name`.
    fn part<'a>(said: &'a (Speech, Vec<f32>), name: &str) -> &'a [f32] {
        let t = said.0.timed.iter().find(|t| t.name == name).unwrap();
        let at = |share: f32| ((t.start + share * (t.end - t.start)) * RATE as f32) as usize;
        &said.1[at(0.25)..at(0.75)]
    }

    /// Mean power between two frequencies, decibels.
    fn band(samples: &[f32], low: f32, high: f32) -> f32 {
        let mut sum = 0.0;
        let mut count = 0;
        let mut f = low;
        while f <= high {
            let (mut re, mut im) = (0.0_f64, 0.0_f64);
            for (i, s) in samples.iter().enumerate() {
                let w = f64::from(2.0 * PI * f / RATE as f32) * i as f64;
                re += f64::from(*s) * w.cos();
                im += f64::from(*s) * w.sin();
            }
            sum += (re * re + im * im) / samples.len() as f64;
            count += 1;
            f += 40.0;
        }
        (10.0 * (sum / f64::from(count)).log10()) as f32
    }

    #[test]
    fn vowels_have_their_formants() {
        let said = say("AA1 SIL IY1 SIL UW1");
        let [aa, iy, uw] = ["AA", "IY", "UW"].map(|n| part(&said, n));
        assert!(band(aa, 1000.0, 1450.0) > band(aa, 1800.0, 2500.0) + 8.0);
        assert!(band(iy, 2500.0, 3100.0) > band(iy, 1000.0, 2000.0) + 8.0);
        assert!(band(uw, 250.0, 1100.0) > band(uw, 1500.0, 2300.0) + 15.0);
    }

    #[test]
    fn sibilants_hiss_where_they_should_and_below_the_vowels() {
        let said = say("AA1 S AA1 SH AA1");
        let [aa, s, sh] = ["AA", "S", "SH"].map(|n| part(&said, n));
        assert!(band(s, 5000.0, 7000.0) > band(s, 1000.0, 3000.0) + 12.0);
        assert!(band(sh, 2700.0, 4000.0) > band(sh, 5500.0, 7500.0) + 6.0);
        let power = |x: &[f32]| x.iter().map(|v| v * v).sum::<f32>() / x.len() as f32;
        assert!(power(s) < 0.3 * power(aa) && power(sh) < 0.3 * power(aa));
    }

    #[test]
    fn pauses_are_quiet_and_speech_is_loud_enough() {
        let (speech, samples) = say("HH AH L OW1 SIL DH EH1 R");
        let rms = |x: &[f32]| (x.iter().map(|v| v * v).sum::<f32>() / x.len() as f32).sqrt();
        assert!(rms(&samples[..3000]) < 2e-3);
        let loud = rms(&samples);
        assert!((0.03..0.3).contains(&loud), "{loud}");
        assert!(samples.iter().all(|v| v.abs() < 1.0));
        assert_eq!(samples.len(), (speech.duration * RATE as f32).round() as usize);
    }
}
