//! Who is let in: as many live sessions as the machine draws in time, and some that are rendered for files in what time is left.

use super::costs::Costs;
use super::options::Admission;
use data_utils::audio::FRAME_RATE;
use std::collections::BTreeMap;
use std::time::Duration;

/// Sessions that are rendered for files at once. They have no time, so they take none from live ones, only memory.
const FILES: usize = 4;

/// The sessions that were let in.
#[derive(Debug, Default)]
pub(super) struct Places {
    sessions: BTreeMap<u64, Place>,
    costs: Costs,
    next_key: u64,
}

#[derive(Debug)]
struct Place {
    head: String,
    is_live: bool,
}

impl Places {
    /// Whether there is a place for a session of `head`.
    pub(super) fn has(&self, head: &str, is_live: bool, admission: Admission) -> bool {
        let Admission { most, overcommit } = admission;
        let rate = f64::from(FRAME_RATE);
        let alike = self.sessions.values().filter(|place| place.is_live == is_live);
        match is_live {
            true => {
                let (count, taken) = alike.fold((0, 0.0), |(count, taken), place| {
                    (count + 1, taken + self.costs.load(&place.head, rate))
                });
                count < most && (overcommit || self.costs.fits(head, rate, taken))
            }
            false => alike.count() < most.min(FILES),
        }
    }

    /// Keeps a place for a session of `head`, when there is one, and gives its key.
    pub(super) fn take(&mut self, head: &str, is_live: bool, admission: Admission) -> Option<u64> {
        if !self.has(head, is_live, admission) {
            return None;
        }
        let key = self.next_key;
        self.next_key += 1;
        self.sessions.insert(key, Place { head: head.to_owned(), is_live });
        Some(key)
    }

    pub(super) fn free(&mut self, key: u64) {
        self.sessions.remove(&key);
    }

    pub(super) fn count(&self) -> usize {
        self.sessions.len()
    }

    /// Counts the time of a frame.
    pub(super) fn add_cost(&mut self, head: &str, time: Duration) {
        self.costs.add(head, time);
    }

    /// Seconds that a frame of a head takes; 0 when none was drawn.
    pub(super) fn cost(&self, head: &str) -> f64 {
        self.costs.of(head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn up_to(most: usize) -> Admission {
        Admission { most, overcommit: false }
    }

    #[test]
    fn live_sessions_are_let_in_by_their_cost_and_files_beside_them() {
        let mut places = Places::default();
        (0..50).for_each(|_| places.add_cost("a", Duration::from_millis(12)));
        let live: Vec<u64> = (0..10).map_while(|_| places.take("a", true, up_to(32))).collect();
        assert_eq!(live.len(), 2, "each takes 0.3 of a second, 0.85 are given away");
        let files = (0..10).map_while(|_| places.take("a", false, up_to(32))).count();
        assert_eq!(files, FILES);
        // A file takes no time from a live session.
        places.free(live[0]);
        assert!(places.take("a", true, up_to(32)).is_some() && places.take("a", true, up_to(32)).is_none());
        assert!(places.take("a", true, Admission { most: 32, overcommit: true }).is_some());
    }

    #[test]
    fn no_more_are_let_in_than_allowed() {
        let mut places = Places::default();
        assert_eq!((0..10).map_while(|_| places.take("a", true, up_to(3))).count(), 3);
        assert_eq!((0..10).map_while(|_| places.take("a", false, up_to(3))).count(), 3);
        assert_eq!(places.count(), 6);
    }
}
