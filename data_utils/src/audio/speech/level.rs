//! One loudness for all sounds. The network's first kernels sum to zero, so it hardly hears the level, but its zeros beyond the
//! lowest and the highest band are a level of their own.

use super::spectrum::BANDS;

/// Where the loudest value so far comes to lie, in the spectrum's units of 10 dB: that of a voice close to full scale.
const LEVEL: f32 = 12.2;
/// The least level that is taken for that of a sound, about 70 dB below full scale: quieter ones are not raised further.
const LEAST: f32 = 8.0;
/// How far below the loudest value so far a value may lie: 80 dB, as the network was trained.
const RANGE: f32 = 8.0;

/// The loudest value so far.
#[derive(Debug, Clone)]
pub(super) struct Level {
    loudest: f32,
}

impl Default for Level {
    fn default() -> Self {
        Level { loudest: LEAST }
    }
}

impl Level {
    /// Brings the next row to the level of all sounds.
    pub(super) fn apply(&mut self, row: &mut [f32; BANDS]) {
        self.loudest = row.iter().copied().fold(self.loudest, f32::max);
        row.iter_mut().for_each(|v| *v = v.max(self.loudest - RANGE) + (LEVEL - self.loudest));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quieter_sound_comes_to_the_same_level_and_silence_is_not_raised() {
        let rows: Vec<[f32; BANDS]> =
            (0..20).map(|t| std::array::from_fn(|k| 14.0 + ((t * 7 + k * 3) as f32).sin())).collect();
        let levelled = |lower: f32| {
            let mut level = Level::default();
            let mut rows = rows.clone();
            for row in &mut rows {
                row.iter_mut().for_each(|v| *v -= lower);
                level.apply(row);
            }
            rows.concat()
        };
        let (loud, quiet) = (levelled(0.0), levelled(2.0));
        assert!(loud.iter().zip(&quiet).all(|(a, b)| (a - b).abs() < 1e-5));
        let mut silence = [-8.0; BANDS];
        Level::default().apply(&mut silence);
        assert_eq!(silence, [LEVEL - RANGE; BANDS]);
    }
}
