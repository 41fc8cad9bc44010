//! Which frames a step looks at: every frame once per epoch in a shuffled order, and between them frames
//! whose mouth and eyes are drawn worst, and frames spread evenly over what is rare, such as mouths wide open.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// How fast a frame's remembered error follows the last one seen.
const MEMORY: f32 = 0.5;

/// A seeded sampler whose whole state can be saved.
#[derive(Debug, Clone)]
pub struct Sampler {
    rng: ChaCha8Rng,
    order: Vec<u32>,
    next: usize,
    errors: Vec<f32>,
    hard_share: f64,
    /// Values and frames of each measure, ascending.
    measures: Vec<Vec<(f32, u32)>>,
    even_share: f64,
}

/// Everything that decides what a [`Sampler`] draws next.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct SamplerState {
    /// Position in the random stream.
    pub word_position: u128,
    /// The epoch's order.
    pub order: Vec<u32>,
    /// Place in that order.
    pub next: usize,
    /// Remembered error of each frame.
    pub errors: Vec<f32>,
}

impl Sampler {
    /// A sampler over `frames` frames; a share `hard_share` (0..1) of the draws goes to hard frames.
    pub fn new(frames: usize, hard_share: f64, seed: u64) -> Self {
        Sampler {
            rng: ChaCha8Rng::seed_from_u64(seed),
            order: Vec::new(),
            next: 0,
            errors: vec![0.0; frames],
            hard_share,
            measures: Vec::new(),
            even_share: 0.0,
        }
    }

    /// A share `share` (0..1) of the draws goes to frames spread evenly over the range of a measure, however rare its values
    /// are. Each measure has a value for each frame; a value that is not finite leaves the frame out.
    #[must_use]
    pub fn spread_over(self, measures: &[Vec<f32>], share: f64) -> Self {
        let sorted = |values: &Vec<f32>| {
            let pairs = values.iter().zip(0..self.errors.len() as u32).filter(|(value, _)| value.is_finite());
            let mut pairs: Vec<(f32, u32)> = pairs.map(|(value, frame)| (*value, frame)).collect();
            pairs.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            pairs
        };
        let measures = measures.iter().map(sorted).filter(|pairs| !pairs.is_empty()).collect();
        Sampler { measures, even_share: share, ..self }
    }

    /// A frame whose value of a measure is nearest to a level between its rarest 100th on either side.
    fn draw_evenly(&mut self) -> usize {
        let measure = ((self.unit() * self.measures.len() as f64) as usize).min(self.measures.len() - 1);
        let part = self.unit() as f32;
        let values = &self.measures[measure];
        let (low, high) = (values[values.len() / 100].0, values[values.len() - 1 - values.len() / 100].0);
        let level = low + part * (high - low);
        let above = values.partition_point(|(value, _)| *value < level).min(values.len() - 1);
        let below = above.saturating_sub(1);
        let nearest = if level - values[below].0 < values[above].0 - level { below } else { above };
        values[nearest].1 as usize
    }

    /// The next frame, an index below `frames`.
    pub fn draw(&mut self) -> usize {
        if !self.measures.is_empty() && self.even_share > 0.0 && self.unit() < self.even_share {
            return self.draw_evenly();
        }
        let total: f64 = self.errors.iter().map(|e| f64::from(*e)).sum();
        if total > 0.0 && self.unit() < self.hard_share {
            let mut left = self.unit() * total;
            for (index, error) in self.errors.iter().enumerate() {
                left -= f64::from(*error);
                if left < 0.0 {
                    return index;
                }
            }
        }
        if self.next >= self.order.len() {
            self.order = (0..self.errors.len() as u32).collect();
            for last in (1..self.order.len()).rev() {
                let other = (self.unit() * (last + 1) as f64) as usize;
                self.order.swap(last, other);
            }
            self.next = 0;
        }
        self.next += 1;
        self.order[self.next - 1] as usize
    }

    /// Remembers how badly a frame was drawn; any non-negative measure, the same for all frames.
    pub fn observe(&mut self, frame: usize, error: f32) {
        if error.is_finite() && error >= 0.0 {
            let seen = &mut self.errors[frame];
            *seen = if *seen == 0.0 { error } else { *seen * (1.0 - MEMORY) + error * MEMORY };
        }
    }

    /// A uniform number in 0..1, for choices that belong to the same stream.
    pub fn unit(&mut self) -> f64 {
        (self.rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// What to save.
    pub fn state(&self) -> SamplerState {
        SamplerState {
            word_position: self.rng.get_word_pos(),
            order: self.order.clone(),
            next: self.next,
            errors: self.errors.clone(),
        }
    }

    /// The same sampler where `state` was taken, or nothing when that belongs to another number of frames.
    pub fn resume(mut self, state: SamplerState) -> Option<Self> {
        let frames = self.errors.len();
        let fits = state.errors.len() == frames && state.order.iter().all(|i| (*i as usize) < frames);
        self.rng.set_word_pos(state.word_position);
        fits.then(|| Sampler { order: state.order, next: state.next, errors: state.errors, ..self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_frame_is_seen_once_an_epoch() {
        let mut sampler = Sampler::new(50, 0.0, 1);
        for _ in 0..3 {
            let mut seen: Vec<usize> = (0..50).map(|_| sampler.draw()).collect();
            seen.sort_unstable();
            assert_eq!(seen, (0..50).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_worst_frame_is_drawn_most_often() {
        let mut sampler = Sampler::new(20, 0.5, 2);
        (0..20).for_each(|i| sampler.observe(i, if i == 7 { 1.0 } else { 0.01 }));
        let sevens = (0..2000).filter(|_| sampler.draw() == 7).count();
        assert!(sevens > 700 && sevens < 1200, "{sevens}");
    }

    #[test]
    fn rare_frames_are_drawn_as_often_as_the_measure_is_wide() {
        let opening: Vec<f32> =
            (0..1000).map(|i| if i < 950 { 0.0 } else { (i - 949) as f32 / 50.0 }).collect();
        let measures = [opening.clone(), vec![f32::NAN; 1000]];
        let mut sampler = Sampler::new(1000, 0.0, 4).spread_over(&measures, 1.0);
        let wide = (0..2000).filter(|_| opening[sampler.draw()] > 0.5).count();
        assert!((700..1300).contains(&wide), "{wide}");
    }

    #[test]
    fn a_resumed_sampler_draws_what_the_first_would_have_drawn() {
        let mut sampler = Sampler::new(30, 0.3, 3);
        for i in 0..17 {
            let frame = sampler.draw();
            sampler.observe(frame, i as f32);
        }
        let mut again = Sampler::new(30, 0.3, 3).resume(sampler.state()).expect("same frames");
        assert!((0..100).all(|_| again.draw() == sampler.draw()));
        assert!(Sampler::new(31, 0.3, 3).resume(sampler.state()).is_none());
    }
}
