//! A request to map a buffer: answered by a callback, and awaited, polled or waited for.

use crate::{Error, Result};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

/// A mapping that was asked for. As a future it ends when the buffer is mapped; something must poll the device for that,
/// which a browser does by itself and [`super::Gpu::poll`] does elsewhere.
#[derive(Debug)]
pub(crate) struct MapRequest(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    outcome: Option<std::result::Result<(), wgpu::BufferAsyncError>>,
    waker: Option<Waker>,
}

impl MapRequest {
    /// Asks for the first `bytes` of `buffer`.
    pub(super) fn new(buffer: &wgpu::Buffer, mode: wgpu::MapMode, bytes: u64) -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let answer = state.clone();
        buffer.map_async(mode, 0..bytes, move |outcome| {
            let mut state = answer.lock().unwrap_or_else(PoisonError::into_inner);
            state.outcome = Some(outcome);
            if let Some(waker) = state.waker.take() {
                waker.wake();
            }
        });
        MapRequest(state)
    }

    /// Whether the buffer is mapped; nothing while that is not known.
    pub(super) fn outcome(&self) -> Option<Result<()>> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = state.outcome.clone();
        outcome.map(|outcome| outcome.map_err(|e| Error::DeviceLost(format!("mapping a buffer: {e}"))))
    }
}

impl Future for MapRequest {
    type Output = Result<()>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(outcome) = self.outcome() {
            return Poll::Ready(outcome);
        }
        self.0.lock().unwrap_or_else(PoisonError::into_inner).waker = Some(context.waker().clone());
        // The answer may have come in between.
        self.outcome().map_or(Poll::Pending, Poll::Ready)
    }
}
