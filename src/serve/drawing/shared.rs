//! What the handle on the drawing thread and the thread itself both see.

use super::figures::Figures;
use super::options::SessionOptions;
use super::places::Places;
use crate::Result;
use crate::serve::command::SessionCommand;
use crate::serve::heads::ServedHead;
use crate::serve::session::Session;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// What the thread is asked to do.
pub(super) enum Command {
    Open(OpenRequest),
    Session(SessionCommand),
    /// Heads that are to be served from now on: they are drawn for the first time.
    Prepare(Vec<Arc<ServedHead>>, oneshot::Sender<Result<()>>),
    Stop,
}

/// A session that is to be opened.
pub(super) struct OpenRequest {
    /// Under which a place is kept for it.
    pub(super) key: u64,
    pub(super) head: Arc<ServedHead>,
    pub(super) options: SessionOptions,
    pub(super) id: String,
    pub(super) reply: oneshot::Sender<Result<Arc<Session>>>,
}

/// The state of the thread as others see it.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) is_ready: AtomicBool,
    pub(super) stopping: AtomicBool,
    pub(super) fault: Mutex<Option<String>>,
    pub(super) figures: Mutex<Figures>,
    pub(super) places: Mutex<Places>,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
