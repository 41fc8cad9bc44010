//! The sound of a video as 16-bit mono, cut by video frames.

/// Mono samples, full scale at ±1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Samples<'a> {
    /// The samples.
    pub values: &'a [f32],
    /// Samples per second.
    pub rate: u32,
}

/// Samples that go with the frames of a video.
#[derive(Debug, Clone)]
pub(super) struct Track {
    samples: Vec<i16>,
    pub(super) rate: u32,
    fps: u32,
}

impl Track {
    /// The track of a sound; none for a sound without a rate.
    pub(super) fn of(sound: Samples<'_>, fps: u32) -> Option<Self> {
        let quantize = |v: &f32| (v.clamp(-1.0, 1.0) * 32767.0).round() as i16;
        let samples = sound.values.iter().map(quantize).collect();
        (sound.rate > 0).then_some(Track { samples, rate: sound.rate, fps })
    }

    /// Frames that the sound lasts: `ceil(samples · fps / rate)`.
    pub(super) fn frames(&self) -> u64 {
        (self.samples.len() as u64 * u64::from(self.fps)).div_ceil(u64::from(self.rate))
    }

    /// Samples before frame `frame`: the cut that is nearest to its time.
    pub(super) fn samples_before(&self, frame: u64) -> u64 {
        (frame * u64::from(self.rate) + u64::from(self.fps) / 2) / u64::from(self.fps)
    }

    /// The sound of frames `from..to`, little-endian, silence past its end.
    pub(super) fn bytes_of(&self, from: u64, to: u64) -> Vec<u8> {
        let samples = self.samples_before(from)..self.samples_before(to);
        let sample = |at| usize::try_from(at).ok().and_then(|at: usize| self.samples.get(at)).copied();
        samples.flat_map(|at| sample(at).unwrap_or(0).to_le_bytes()).collect()
    }
}
