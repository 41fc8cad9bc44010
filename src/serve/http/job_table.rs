//! Jobs by their names.

use super::reply::{Answer, Fault};
use super::video_file::VideoFile;
use axum::http::StatusCode;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::AbortHandle;

/// Jobs that may wait or be worked on.
const MOST_OPEN: usize = 8;
/// How long a finished video is kept, and how many of them.
const KEPT: Duration = Duration::from_secs(3600);
const MOST_KEPT: usize = 32;

/// All jobs by their names.
#[derive(Default)]
pub(super) struct Jobs {
    all: Mutex<BTreeMap<String, Job>>,
    /// One job is worked on at a time.
    pub(super) turn: Arc<tokio::sync::Mutex<()>>,
}

struct Job {
    state: State,
    done: Arc<AtomicU64>,
    total: u64,
    created: Instant,
    work: Option<AbortHandle>,
}

impl Job {
    fn is_open(&self) -> bool {
        matches!(self.state, State::Pending | State::Processing)
    }
}

/// How far a job is.
#[derive(Clone)]
pub(super) enum State {
    Pending,
    Processing,
    Completed(Arc<VideoFile>),
    Failed(String),
}

impl Jobs {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Job>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set(&self, id: &str, state: State) {
        if let Some(job) = self.lock().get_mut(id) {
            job.state = state;
        }
    }

    /// Makes a place for a new job; forgets old videos, the oldest first.
    pub(super) fn add(&self, id: &str, total: u64) -> Answer<Arc<AtomicU64>> {
        let mut all = self.lock();
        all.retain(|_, job| job.is_open() || job.created.elapsed() < KEPT);
        while all.len() >= MOST_KEPT {
            let finished = all.iter().filter(|(_, job)| !job.is_open());
            let Some(oldest) = finished.min_by_key(|(_, job)| job.created).map(|(id, _)| id.clone()) else {
                break;
            };
            all.remove(&oldest);
        }
        if all.values().filter(|job| job.is_open()).count() >= MOST_OPEN {
            return Err(Fault::new(StatusCode::SERVICE_UNAVAILABLE, "too many jobs wait"));
        }
        let done = Arc::<AtomicU64>::default();
        let job = Job {
            state: State::Pending,
            done: Arc::clone(&done),
            total,
            created: Instant::now(),
            work: None,
        };
        all.insert(id.to_owned(), job);
        Ok(done)
    }

    /// Jobs that wait or are worked on.
    pub(super) fn open_count(&self) -> usize {
        self.lock().values().filter(|job| job.is_open()).count()
    }

    /// The names of all.
    pub(super) fn ids(&self) -> Vec<String> {
        self.lock().keys().cloned().collect()
    }

    /// What works on a job, so that it can be given up.
    pub(super) fn set_work(&self, id: &str, work: AbortHandle) {
        if let Some(job) = self.lock().get_mut(id) {
            job.work = Some(work);
        }
    }

    /// How far a job is.
    pub(super) fn state(&self, id: &str) -> Answer<State> {
        self.lock().get(id).map(|job| job.state.clone()).ok_or_else(missing)
    }

    /// Forgets a job, and gives it up when it is being worked on.
    pub(super) fn remove(&self, id: &str) -> Answer<()> {
        let job = self.lock().remove(id).ok_or_else(missing)?;
        if let Some(work) = job.work {
            work.abort();
        }
        Ok(())
    }

    /// A job as JSON.
    pub(super) fn json(&self, id: &str) -> Answer<Value> {
        let all = self.lock();
        let job = all.get(id).ok_or_else(missing)?;
        let done = job.done.load(Ordering::Relaxed);
        let (status, error) = match &job.state {
            State::Pending => ("pending", None),
            State::Processing => ("processing", None),
            State::Completed(_) => ("completed", None),
            State::Failed(error) => ("failed", Some(error.clone())),
        };
        let progress = (100 * done).checked_div(job.total).unwrap_or(0);
        Ok(
            json!({"id": id, "status": status, "frames": done, "total": job.total, "progress": progress, "error": error}),
        )
    }
}

fn missing() -> Fault {
    Fault::missing("there is no such job; finished ones are kept for an hour")
}
