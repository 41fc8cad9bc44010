//! Decoded frames kept within a budget of bytes; the least recently used one goes first.

use super::pixels::FramePixels;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

/// Shared by any number of threads. The lock is held for a look-up or an insertion only, never while decoding.
#[derive(Debug)]
pub(super) struct Cache {
    budget: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    frames: HashMap<usize, (u64, Arc<FramePixels>)>,
    /// Frame by the time of its last use.
    used: BTreeMap<u64, usize>,
    clock: u64,
    bytes: u64,
}

impl State {
    fn stamp(&mut self, index: usize) -> u64 {
        self.clock += 1;
        self.used.insert(self.clock, index);
        self.clock
    }

    fn remove(&mut self, index: usize) {
        if let Some((time, frame)) = self.frames.remove(&index) {
            self.used.remove(&time);
            self.bytes -= frame.bytes();
        }
    }
}

impl Cache {
    pub(super) fn new(budget: u64) -> Self {
        Cache { budget, state: Mutex::default() }
    }

    pub(super) fn get(&self, index: usize) -> Option<Arc<FramePixels>> {
        let mut state = self.lock();
        let (time, frame) = state.frames.get(&index)?.clone();
        state.used.remove(&time);
        let now = state.stamp(index);
        state.frames.insert(index, (now, frame.clone()));
        Some(frame)
    }

    /// Keeps a frame and lets go of others until the budget holds. A frame beyond the whole budget is not kept.
    pub(super) fn insert(&self, index: usize, frame: &Arc<FramePixels>) {
        if frame.bytes() > self.budget {
            return;
        }
        let mut state = self.lock();
        state.remove(index);
        state.bytes += frame.bytes();
        let now = state.stamp(index);
        state.frames.insert(index, (now, frame.clone()));
        while state.bytes > self.budget {
            let Some((_, &oldest)) = state.used.first_key_value() else { break };
            state.remove(oldest);
        }
    }

    /// Bytes kept now.
    pub(super) fn bytes(&self) -> u64 {
        self.lock().bytes
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // No code that can panic runs under the lock, so a poisoned state is still a whole one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(bytes: usize) -> Arc<FramePixels> {
        Arc::new(FramePixels { width: 1, height: 1, rgb: vec![0; bytes], labels: Vec::new() })
    }

    #[test]
    fn the_least_recently_used_frame_goes_first() {
        let cache = Cache::new(30);
        (0..3).for_each(|i| cache.insert(i, &frame(10)));
        assert!(cache.get(0).is_some());
        cache.insert(3, &frame(10));
        assert_eq!([0, 1, 2, 3].map(|i| cache.get(i).is_some()), [true, false, true, true]);
        assert_eq!(cache.bytes(), 30);
    }

    #[test]
    fn the_budget_holds_whatever_is_inserted() {
        let cache = Cache::new(25);
        for i in 0..100 {
            cache.insert(i % 7, &frame(1 + i % 11));
            assert!(cache.bytes() <= 25);
        }
        cache.insert(50, &frame(26));
        assert!(cache.get(50).is_none());
        let none = Cache::new(0);
        none.insert(0, &frame(1));
        assert!(none.get(0).is_none());
    }

    #[test]
    fn the_same_frame_twice_counts_once() {
        let cache = Cache::new(30);
        (0..5).for_each(|_| cache.insert(1, &frame(10)));
        assert_eq!(cache.bytes(), 10);
    }
}
