//! A head that speaks and waits without an end, frame by frame: sound and picture of the same 40 ms. It knows no clock and no
//! network; who calls it decides when a frame is due.
//!
//! All times are samples of one count at 16 kHz, from the first frame on. A frame is 640 samples.

use super::picture::FramePicture;
use super::queue::{Mark, Speech, SpeechQueue};
use crate::head::Head;
use crate::head::backend::Backend;
use crate::live::frame_renderer::RenderedFrame;
use crate::live::performance::{Performance, PerformanceOptions};
use crate::{Error, Result};
use data_utils::audio::{SAMPLE_RATE, SAMPLES_PER_FRAME};
use std::collections::VecDeque;
use std::sync::Arc;

const FRAME: u64 = SAMPLES_PER_FRAME as u64;
/// Samples over which a voice that is cut fades out, 5 ms, so that it does not click.
const FADE: usize = 80;
/// Pieces of sound after which a frame must have come.
const MOST_PIECES: usize = 1 + (Performance::LOOK_AHEAD / SAMPLES_PER_FRAME + 1) * 2;

/// 40 ms of a head: sound, picture and what began or ended in them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SpokenFrame {
    /// The first sample that is heard with it.
    pub position: u64,
    /// 640 samples, full scale ±1.
    pub sound: Vec<f32>,
    /// The picture; `None` when it was passed over.
    pub picture: Option<Arc<FramePicture>>,
    /// Marks with their samples.
    pub events: Vec<Event>,
    /// Whether something is said in it.
    pub is_speaking: bool,
}

/// Something that begins or ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The sample at which it does.
    pub position: u64,
    /// What it is.
    pub mark: Mark,
}

/// A head that is never silent for want of a frame.
pub struct Speaker {
    performance: Performance,
    queue: SpeechQueue,
    /// The samples from [`Speaker::position`] on that were pushed.
    sound: VecDeque<f32>,
    /// One past the last sample that was pushed.
    pushed: u64,
    /// One past the last sample in which something is said.
    spoken: u64,
    marks: VecDeque<Event>,
    /// The next frame.
    next: u64,
}

impl Speaker {
    /// A head that waits. Frames are drawn one at a time, since a live voice has none to wait for.
    ///
    /// # Errors
    /// Those of [`Performance::new`].
    pub fn new(head: &Arc<Head>, backend: Box<dyn Backend>, mut options: PerformanceOptions) -> Result<Self> {
        options.frames.batch = 1;
        Ok(Speaker {
            performance: Performance::new(head, backend, options)?,
            queue: SpeechQueue::default(),
            sound: VecDeque::new(),
            pushed: 0,
            spoken: 0,
            marks: VecDeque::new(),
            next: 0,
        })
    }

    /// The first sample of the next frame.
    pub fn position(&self) -> u64 {
        self.next * FRAME
    }

    /// Whether something is being said or waits to be.
    pub fn is_speaking(&self) -> bool {
        self.queue.has_speech() || self.spoken > self.position()
    }

    /// Samples of speech that wait to be said.
    pub fn waiting(&self) -> u64 {
        self.queue.waiting() as u64 + self.spoken.saturating_sub(self.position())
    }

    /// Says something behind what waits already; in the next frame, when nothing does.
    ///
    /// # Errors
    /// Those of [`Performance::restart_voice`].
    pub fn say(&mut self, speech: Speech) -> Result<()> {
        if !self.is_speaking() {
            self.forget_ahead()?;
        }
        self.queue.push(speech);
        Ok(())
    }

    /// Takes samples of a live voice, 16 kHz, full scale ±1, and gives how many older ones were dropped since they came
    /// faster than they were heard.
    pub fn hear(&mut self, samples: &[f32]) -> usize {
        self.queue.push_live(samples)
    }

    /// Forgets all that is to be said, and gives the sample from which on the head is silent.
    ///
    /// # Errors
    /// Those of [`Performance::restart_voice`].
    pub fn interrupt(&mut self) -> Result<u64> {
        let was_speaking = self.is_speaking();
        self.queue.clear();
        let cut = self.forget_ahead()?;
        if was_speaking {
            self.marks.push_back(Event { position: cut, mark: Mark::Cut });
        }
        Ok(cut)
    }

    /// Forgets the sound that no frame was made for, and gives its first sample. Of a voice that is cut the first milliseconds
    /// are kept and fade out.
    fn forget_ahead(&mut self) -> Result<u64> {
        let cut = self.performance.restart_voice()? as u64 * FRAME;
        let kept = usize::try_from(cut - self.position()).map_err(|_| Error::Internal("a cut".into()))?;
        let mut tail: Vec<f32> = Vec::new();
        if self.spoken > cut {
            tail.extend(self.sound.iter().skip(kept).take(FADE));
            let length = tail.len() as f32;
            tail.iter_mut().enumerate().for_each(|(k, sample)| *sample *= 1.0 - k as f32 / length);
        }
        self.sound.truncate(kept);
        self.marks.retain(|event| event.position < cut);
        self.pushed = cut;
        self.spoken = self.spoken.min(cut);
        if !tail.is_empty() {
            self.push(&tail)?;
        }
        Ok(cut)
    }

    /// The next frame; without `draw` its picture is passed over, where it is not being drawn already.
    ///
    /// # Errors
    /// Those of the performance.
    pub fn next_frame(&mut self, draw: bool) -> Result<SpokenFrame> {
        for _ in 0..MOST_PIECES {
            if !draw && self.performance.skip_frame() {
                return Ok(self.frame(None));
            }
            let drawn =
                if draw || self.performance.is_drawing() { self.performance.next_frame()? } else { None };
            if let Some(drawn) = drawn {
                return Ok(self.frame(Some(drawn)));
            }
            self.push_piece()?;
        }
        Err(Error::Internal("no frame after a second of sound".into()))
    }

    /// Starts to draw the next frame: the heads of several sessions are drawn together on a GPU, which works on one while the
    /// next is prepared.
    ///
    /// # Errors
    /// As [`Speaker::next_frame`].
    pub fn start_frame(&mut self) -> Result<()> {
        for _ in 0..MOST_PIECES {
            if self.performance.start_frame()? {
                return Ok(());
            }
            self.push_piece()?;
        }
        Err(Error::Internal("no frame after a second of sound".into()))
    }

    /// Takes from the queue what is missing of a frame's sound.
    fn push_piece(&mut self) -> Result<()> {
        // A fade-out may have left a part of a frame.
        let over = (self.pushed % FRAME) as usize;
        let piece = self.queue.take(SAMPLES_PER_FRAME - over);
        let events =
            piece.marks.into_iter().map(|(at, mark)| Event { position: self.pushed + at as u64, mark });
        self.marks.extend(events);
        if piece.spoken > 0 {
            self.spoken = self.pushed + piece.spoken as u64;
        }
        self.push(&piece.samples)
    }

    fn push(&mut self, samples: &[f32]) -> Result<()> {
        self.performance.push_audio(samples, SAMPLE_RATE)?;
        self.sound.extend(samples);
        self.pushed += samples.len() as u64;
        Ok(())
    }

    fn frame(&mut self, drawn: Option<RenderedFrame>) -> SpokenFrame {
        let position = self.position();
        self.next += 1;
        let end = self.position();
        let count = self.sound.len().min(SAMPLES_PER_FRAME);
        let later = self.marks.iter().position(|event| event.position >= end).unwrap_or(self.marks.len());
        SpokenFrame {
            position,
            sound: self.sound.drain(..count).collect(),
            picture: drawn.map(|frame| Arc::new(FramePicture { size: frame.size, pixels: frame.picture })),
            events: self.marks.drain(..later).collect(),
            is_speaking: self.spoken > position,
        }
    }
}

#[cfg(test)]
#[path = "speaker_tests.rs"]
mod tests;
