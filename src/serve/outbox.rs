//! Frames on their way from the thread that draws to one reader. Sound is never lost; pictures that nobody takes are.

use super::speaker::SpokenFrame;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use tokio::sync::Notify;

/// Pictures that wait for a reader.
pub const PICTURES: usize = 4;
/// Frames that wait for a reader, 10 seconds; with more the reader is taken for gone.
const FRAMES: usize = 250;

/// The frames of one session that wait for its reader.
#[derive(Debug, Default)]
pub struct Outbox {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    frames: VecDeque<SpokenFrame>,
    is_closed: bool,
    /// Why it was closed, when that was no wish of the reader.
    fault: Option<String>,
    dropped: u64,
}

impl Outbox {
    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Adds a frame, and drops the oldest picture where too many wait. False when nobody will read any more.
    pub fn push(&self, frame: SpokenFrame) -> bool {
        let is_open = self.with(|state| {
            if state.is_closed {
                return false;
            }
            state.frames.push_back(frame);
            let pictures = state.frames.iter().filter(|frame| frame.picture.is_some()).count();
            if pictures > PICTURES
                && let Some(oldest) = state.frames.iter_mut().find(|frame| frame.picture.is_some())
            {
                oldest.picture = None;
                state.dropped += 1;
            }
            if state.frames.len() > FRAMES {
                state.frames.clear();
                state.is_closed = true;
                state.fault = Some("nothing was read for 10 seconds".into());
            }
            !state.is_closed
        });
        self.changed.notify_one();
        is_open
    }

    /// Whether frames that must not be lost can be added.
    pub fn has_room(&self) -> bool {
        self.with(|state| state.frames.len() < PICTURES)
    }

    /// The next frame; `None` at the end.
    pub async fn next(&self) -> Option<SpokenFrame> {
        loop {
            let changed = self.changed.notified();
            let (frame, is_closed) = self.with(|state| (state.frames.pop_front(), state.is_closed));
            if frame.is_some() || is_closed {
                return frame;
            }
            changed.await;
        }
    }

    /// Ends it: frames that wait can still be taken, none are added.
    pub fn close(&self, fault: Option<String>) {
        self.with(|state| {
            state.is_closed = true;
            if state.fault.is_none() {
                state.fault = fault;
            }
        });
        self.changed.notify_one();
    }

    /// Whether it has ended.
    pub fn is_closed(&self) -> bool {
        self.with(|state| state.is_closed)
    }

    /// Why it ended before its time.
    pub fn fault(&self) -> Option<String> {
        self.with(|state| state.fault.clone())
    }

    /// Pictures that were dropped.
    pub fn dropped(&self) -> u64 {
        self.with(|state| state.dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::super::picture::FramePicture;
    use super::*;
    use std::sync::Arc;

    fn frame(number: u64) -> SpokenFrame {
        let picture = FramePicture { size: [1, 1], pixels: vec![0; 3] };
        SpokenFrame { position: 640 * number, picture: Some(Arc::new(picture)), ..SpokenFrame::default() }
    }

    #[test]
    fn a_slow_reader_loses_old_pictures_and_no_sound() {
        let outbox = Outbox::default();
        assert!((0..10).all(|k| outbox.push(frame(k))));
        assert_eq!(outbox.dropped(), 6);
        let frames: Vec<SpokenFrame> =
            (0..10).map(|_| pollster::block_on(outbox.next()).expect("a frame")).collect();
        assert!(frames.iter().enumerate().all(|(k, frame)| frame.position == 640 * k as u64));
        let drawn: Vec<bool> = frames.iter().map(|frame| frame.picture.is_some()).collect();
        assert_eq!(drawn, [[false; 6].as_slice(), &[true; 4]].concat());
    }

    #[test]
    fn a_reader_that_never_reads_ends_the_session() {
        let outbox = Outbox::default();
        let taken = (0..1000).take_while(|k| outbox.push(frame(*k))).count();
        assert_eq!(taken, FRAMES);
        assert!(outbox.fault().expect("a reason").contains("10 seconds"));
        assert_eq!(pollster::block_on(outbox.next()), None);
    }
}
