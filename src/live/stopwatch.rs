//! Where the time of a performance goes.

use std::time::Duration;

/// Time spent in the parts of making frames.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FrameTimes {
    /// Waiting for the backend: field, rasterizer, composition.
    pub drawing: Duration,
    /// Waiting for torso and background plates to be decoded.
    pub plates: Duration,
}

/// Runs `work` and adds the time it took to `total`. Browsers have no clock for this; there nothing is added.
pub(super) fn timed<T>(total: &mut Duration, work: impl FnOnce() -> T) -> T {
    if cfg!(target_arch = "wasm32") {
        return work();
    }
    let start = std::time::Instant::now();
    let result = work();
    *total += start.elapsed();
    result
}
