//! What is wrong with a recording, judged by its loudness alone.

use super::{SILENCE_DB, Sound};

/// Loudest frames below this are silence, dB of full scale.
const SILENT: f32 = -60.0;
/// Loudest frames below this are too quiet to be told from noise.
const QUIET: f32 = -42.0;
/// Share of samples at full scale from which a recording counts as clipped, and full scale.
const CLIPPED: f64 = 1e-3;
const FULL: f32 = 0.999;
/// Between the words of a clean recording it is this much quieter than in them, dB.
const LEAST_RANGE: f32 = 18.0;

/// The loudness of a recording.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Loudness {
    /// Of its loud frames, dB of full scale: the 95th of a hundred.
    pub loud: f32,
    /// Of its quiet frames: the 10th of a hundred.
    pub quiet: f32,
    /// Share of samples at full scale.
    pub clipped: f64,
}

impl Loudness {
    /// Measures a recording.
    pub fn of(sound: &Sound) -> Self {
        let mut levels = sound.loudness_per_frame();
        levels.sort_by(f32::total_cmp);
        let part = |share: f64| {
            let at = (share * levels.len().saturating_sub(1) as f64).round() as usize;
            levels.get(at).copied().unwrap_or(SILENCE_DB)
        };
        let full = sound.samples.iter().filter(|s| s.abs() >= FULL).count();
        let clipped = full as f64 / sound.samples.len().max(1) as f64;
        Loudness { loud: part(0.95), quiet: part(0.1), clipped }
    }

    /// Whether there is nothing to hear.
    pub fn is_silent(&self) -> bool {
        self.loud < SILENT
    }

    /// That there is nothing to hear, where that is so.
    pub fn silence(&self) -> Option<String> {
        self.is_silent().then(|| format!("silent ({:.0} dB at its loudest): no voice is heard", self.loud))
    }

    /// What is wrong with the recording, a few words each.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if let Some(silence) = self.silence() {
            return vec![silence];
        }
        if self.loud < QUIET {
            faults.push(format!("very quiet ({:.0} dB at its loudest)", self.loud));
        }
        if self.clipped > CLIPPED {
            faults.push(format!("clipped ({:.1} % of the samples at full scale)", 100.0 * self.clipped));
        }
        if self.loud - self.quiet < LEAST_RANGE {
            let range = self.loud - self.quiet;
            faults.push(format!(
                "never quiet (a range of {range:.0} dB): music, noise or another voice under it"
            ));
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(sample: impl Fn(usize) -> f32) -> Vec<String> {
        let samples = (0..16_000 * 4).map(sample).collect();
        Loudness::of(&Sound { samples, rate: 16_000 }).faults()
    }

    /// Words of a third of a second with pauses between them.
    fn words(i: usize) -> f32 {
        if i % 8000 < 5000 { 0.3 * (i as f32 * 0.1).sin() } else { 0.0005 * (i as f32 * 0.7).sin() }
    }

    #[test]
    fn faults_of_a_recording_are_heard_and_a_good_one_has_none() {
        assert!(faults(words).is_empty(), "{:?}", faults(words));
        let one = |sample: &dyn Fn(usize) -> f32, word: &str| {
            let found = faults(sample);
            assert!(found.len() == 1 && found[0].starts_with(word), "{word}: {found:?}");
        };
        one(&|_| 0.0, "silent");
        one(&|i| 1e-4 * (i as f32).sin(), "silent");
        one(&|i| words(i) * 0.01, "very quiet");
        one(&|i| (words(i) * 9.0).clamp(-1.0, 1.0), "clipped");
        one(&|i| words(i) + 0.2 * (i as f32 * 0.31).sin(), "never quiet");
    }
}
