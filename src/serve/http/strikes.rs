//! How often requests named no token or a wrong one: so many a second are answered one by one, the others are told to wait. Who
//! names the token is never told so.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Wrong requests that are answered in a window of time.
const MOST: u32 = 500;
const WINDOW: Duration = Duration::from_secs(5);

/// Counts wrong requests.
#[derive(Debug, Default)]
pub(super) struct Strikes(Mutex<Option<(Instant, u32)>>);

impl Strikes {
    /// Counts one more; false when there were too many of late.
    pub(super) fn add(&self) -> bool {
        let mut strikes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let (_, count) = match &mut *strikes {
            Some(strikes) if now.duration_since(strikes.0) < WINDOW => strikes,
            other => other.insert((now, 0)),
        };
        *count = count.saturating_add(1);
        *count <= MOST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_in_a_short_time_are_told_to_wait() {
        let strikes = Strikes::default();
        assert_eq!((0..2 * MOST).filter(|_| strikes.add()).count(), MOST as usize);
        if let Some((start, _)) = &mut *strikes.0.lock().expect("strikes") {
            *start -= WINDOW;
        }
        assert!(strikes.add());
    }
}
