//! What was counted and measured while sessions were drawn.

use std::time::Duration;

/// Delays kept for the percentiles.
const DELAYS: usize = 1024;

/// What was counted and measured.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    /// Pictures drawn.
    pub drawn: u64,
    /// Pictures passed over, since they would have come too late.
    pub skipped: u64,
    /// Seconds of drawing.
    pub seconds: f64,
    /// Sessions opened.
    pub opened: u64,
    /// Sessions refused.
    pub refused: u64,
    /// How long after it was due each of the last frames was there, seconds.
    delays: Vec<f64>,
    next_delay: usize,
}

impl Figures {
    pub(super) fn add_delay(&mut self, delay: Duration) {
        let seconds = delay.as_secs_f64();
        if self.delays.len() < DELAYS {
            self.delays.push(seconds);
        } else {
            self.delays[self.next_delay] = seconds;
            self.next_delay = (self.next_delay + 1) % DELAYS;
        }
    }

    /// The delay that so large a share (0..1) of the last frames stayed below, seconds.
    pub fn delay(&self, share: f64) -> f64 {
        let mut sorted = self.delays.clone();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len().saturating_sub(1);
        sorted.get((share * last as f64).round() as usize).copied().unwrap_or(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_last_frames() {
        let mut figures = Figures::default();
        assert_eq!(figures.delay(0.5), 0.0);
        (0..DELAYS).for_each(|_| figures.add_delay(Duration::from_secs(9)));
        (0..DELAYS).for_each(|k| figures.add_delay(Duration::from_millis(k as u64)));
        assert!((figures.delay(0.5) - 0.512).abs() < 0.002);
        assert!((figures.delay(0.99) - 1.013).abs() < 0.002);
    }
}
