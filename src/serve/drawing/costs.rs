//! What drawing costs, as measured, and who may still come in.

use std::collections::HashMap;
use std::time::Duration;

/// Share of the drawing thread's time that may be given away.
const CAPACITY: f64 = 0.85;
/// How much of a new measurement counts.
const NEW: f64 = 0.1;

/// Seconds that a frame of each head takes, a moving mean.
#[derive(Debug, Clone, Default)]
pub struct Costs(HashMap<String, f64>);

impl Costs {
    /// Counts a frame of a head.
    pub fn add(&mut self, head: &str, time: Duration) {
        let seconds = time.as_secs_f64();
        match self.0.get_mut(head) {
            Some(mean) => *mean += NEW * (seconds - *mean),
            None => {
                self.0.insert(head.to_owned(), seconds);
            }
        }
    }

    /// Seconds that a frame of this head takes; 0 when none was drawn.
    pub fn of(&self, head: &str) -> f64 {
        self.0.get(head).copied().unwrap_or(0.0)
    }

    /// Share of a second that a session of this head takes, at `rate` frames a second. A head that alone takes more than
    /// there is counts as what there is: it is drawn as often as it can be.
    pub fn load(&self, head: &str, rate: f64) -> f64 {
        (self.of(head) * rate).min(CAPACITY)
    }

    /// Whether a session of `head` fits beside sessions that take `taken` of a second.
    pub fn fits(&self, head: &str, rate: f64, taken: f64) -> bool {
        taken + self.load(head, rate) <= CAPACITY + 1e-9
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_fit_as_long_as_their_frames_do() {
        let mut costs = Costs::default();
        (0..100).for_each(|_| costs.add("a", Duration::from_millis(8)));
        assert!((costs.load("a", 25.0) - 0.2).abs() < 1e-6);
        let count = (0..100).take_while(|k| costs.fits("a", 25.0, 0.2 * f64::from(*k))).count();
        assert_eq!(count, 4);
    }

    #[test]
    fn a_head_that_is_too_slow_alone_may_still_be_spoken_with_by_one() {
        let mut costs = Costs::default();
        costs.add("slow", Duration::from_millis(100));
        assert!(costs.fits("slow", 25.0, 0.0));
        assert!(!costs.fits("slow", 25.0, costs.load("slow", 25.0)));
    }
}
