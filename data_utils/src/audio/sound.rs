//! Mono sound, and how samples and video frames go together.

use crate::media::Samples;

/// Samples per second of every loaded voice.
pub const SAMPLE_RATE: u32 = 16_000;
/// Video frames per second, everywhere in the product.
pub const FRAME_RATE: u32 = 25;
/// Samples of one video frame at [`SAMPLE_RATE`].
pub const SAMPLES_PER_FRAME: usize = (SAMPLE_RATE / FRAME_RATE) as usize;
/// What silence is as loudness, in dB of full scale.
pub const SILENCE_DB: f32 = -100.0;
/// The longest voice accepted, in seconds.
pub const LONGEST: u32 = 4 * 60 * 60;

/// Video frames that `samples` at `rate` Hz last: `ceil(samples · 25 / rate)`.
pub const fn video_frames(samples: u64, rate: u32) -> u64 {
    let rate = if rate == 0 { 1 } else { rate as u64 };
    (samples * FRAME_RATE as u64).div_ceil(rate)
}

/// Mono sound.
#[derive(Debug, Clone, PartialEq)]
pub struct Sound {
    /// Samples, full scale at ±1.
    pub samples: Vec<f32>,
    /// Samples per second.
    pub rate: u32,
}

impl Sound {
    /// What a video is given of it.
    pub fn samples(&self) -> Samples<'_> {
        Samples { values: &self.samples, rate: self.rate }
    }

    /// How many video frames the sound lasts: `ceil(samples · 25 / rate)`.
    pub fn video_frames(&self) -> usize {
        video_frames(self.samples.len() as u64, self.rate) as usize
    }

    /// The sound of `frames` video frames from number `first` on; shorter where the sound ends before.
    pub fn cut(&self, first: usize, frames: usize) -> Sound {
        let (start, end) = (self.frame_start(first), self.frame_start(first.saturating_add(frames)));
        Sound { samples: self.samples[start..end].to_vec(), rate: self.rate }
    }

    /// The root mean square of each video frame's samples in dB of full scale, at least [`SILENCE_DB`];
    /// one value per video frame.
    pub fn loudness_per_frame(&self) -> Vec<f32> {
        (0..self.video_frames())
            .map(|frame| {
                let part = &self.samples[self.frame_start(frame)..self.frame_start(frame + 1)];
                let power =
                    part.iter().map(|&s| f64::from(s) * f64::from(s)).sum::<f64>() / part.len().max(1) as f64;
                (10.0 * power.log10()).max(f64::from(SILENCE_DB)) as f32
            })
            .collect()
    }

    /// The first sample of a video frame, the end of the sound for frames beyond it.
    fn frame_start(&self, frame: usize) -> usize {
        let at = (frame as u64).saturating_mul(u64::from(self.rate)) / u64::from(FRAME_RATE);
        usize::try_from(at).unwrap_or(usize::MAX).min(self.samples.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn video_frames_round_up() {
        let frames = |n| Sound { samples: vec![0.0; n], rate: SAMPLE_RATE }.video_frames();
        assert_eq!([frames(0), frames(1), frames(640), frames(641), frames(16_000)], [0, 1, 1, 2, 25]);
    }

    #[test]
    fn a_cut_holds_whole_video_frames_and_ends_with_the_sound() {
        let sound = Sound { samples: (0..2000).map(|i| i as f32).collect(), rate: SAMPLE_RATE };
        assert_eq!(sound.cut(1, 1).samples, sound.samples[640..1280]);
        assert_eq!(sound.cut(2, usize::MAX).samples, sound.samples[1280..]);
        assert!(sound.cut(9, 1).samples.is_empty());
    }

    #[test]
    fn loudness_is_the_rms_of_each_frame() {
        let mut samples = vec![0.5; 640];
        samples.extend(vec![0.0; 640]);
        samples.extend((0..100).map(|i| if i % 2 == 0 { 0.1 } else { -0.1 }));
        let loudness = Sound { samples, rate: SAMPLE_RATE }.loudness_per_frame();
        assert_eq!(loudness.len(), 3);
        assert!((loudness[0] + 6.0206).abs() < 1e-3, "{loudness:?}");
        assert_eq!(loudness[1], SILENCE_DB);
        assert!((loudness[2] + 20.0).abs() < 1e-3, "{loudness:?}");
    }
}
