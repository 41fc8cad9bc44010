//! The rows of audio features that the network sees for a video frame: `[frame − 4, frame + 4)`, zeros beyond both
//! ends of the voice.

use super::SAMPLES_PER_FRAME;
use crate::error::{Error, Result};
use std::collections::VecDeque;

/// Rows in a window.
pub const WINDOW_ROWS: usize = 8;
/// Rows of a window before the frame; the frame's own row is the next one.
pub const ROWS_BEFORE: usize = 4;
/// Samples at 16 kHz that the last row of a window lies beyond the row of its frame.
pub const LOOK_AHEAD: usize = (WINDOW_ROWS - ROWS_BEFORE - 1) * SAMPLES_PER_FRAME;

/// The window of `frame`, `[8, row_len]`. `row` gives the rows that exist.
pub(super) fn around<'a>(frame: usize, row_len: usize, row: impl Fn(usize) -> Option<&'a [f32]>) -> Vec<f32> {
    let mut window = vec![0.0; WINDOW_ROWS * row_len];
    for (place, to) in window.chunks_exact_mut(row_len.max(1)).enumerate() {
        let at = frame.checked_add(place).and_then(|at| at.checked_sub(ROWS_BEFORE));
        if let Some(from) = at.and_then(&row) {
            to.copy_from_slice(from);
        }
    }
    window
}

/// Rows of audio features in the order they are spoken: all at once, or pushed as they come.
#[derive(Debug, Clone)]
pub struct AudioRows {
    row_len: usize,
    /// Rows before the first one kept.
    dropped: usize,
    rows: VecDeque<Box<[f32]>>,
    is_closed: bool,
}

impl AudioRows {
    /// No rows yet; each will have `row_len` values (channels · width).
    pub fn new(row_len: usize) -> Self {
        AudioRows { row_len, dropped: 0, rows: VecDeque::new(), is_closed: false }
    }

    /// Adds the next rows, `[n, row_len]`.
    ///
    /// # Errors
    /// [`Error::Internal`] for values that do not divide into rows, or after [`AudioRows::close`].
    pub fn push(&mut self, rows: &[f32]) -> Result<()> {
        if self.row_len == 0 || !rows.len().is_multiple_of(self.row_len) || self.is_closed {
            return Err(Error::Internal(format!(
                "{} audio values for {} rows of {}",
                rows.len(),
                if self.is_closed { "closed" } else { "open" },
                self.row_len
            )));
        }
        self.rows.extend(rows.chunks_exact(self.row_len).map(Box::from));
        Ok(())
    }

    /// Says that no more rows will come; the last frames need not wait for those after them any longer.
    pub fn close(&mut self) {
        self.is_closed = true;
    }

    /// Whether no more rows will come.
    pub fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Rows that came so far.
    pub fn len(&self) -> usize {
        self.dropped + self.rows.len()
    }

    /// Whether no row came so far.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The window of `frame`, `[8, row_len]`; `None` while rows of it are still to come.
    pub fn window(&self, frame: usize) -> Option<Vec<f32>> {
        if !self.is_closed && frame.saturating_add(WINDOW_ROWS - ROWS_BEFORE) > self.len() {
            return None;
        }
        let row = |at: usize| self.rows.get(at.checked_sub(self.dropped)?).map(|row| &**row);
        Some(around(frame, self.row_len, row))
    }

    /// Forgets the rows before number `row`, which a voice that only goes forward does not look at again.
    pub fn drop_before(&mut self, row: usize) {
        while self.dropped < row && self.rows.pop_front().is_some() {
            self.dropped += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::features::{AudioFeatures, AudioKind};

    #[test]
    fn a_window_waits_for_its_rows_and_is_filled_with_zeros_beyond_the_ends() {
        let mut rows = AudioRows::new(1);
        rows.push(&[1.0, 2.0, 3.0]).unwrap();
        assert!(rows.window(0).is_none());
        rows.push(&[4.0, 5.0]).unwrap();
        assert_eq!(rows.window(0).unwrap(), [0.0, 0.0, 0.0, 0.0, 1.0, 2.0, 3.0, 4.0]);
        assert!(rows.window(2).is_none());
        rows.close();
        assert_eq!(rows.window(4).unwrap(), [1.0, 2.0, 3.0, 4.0, 5.0, 0.0, 0.0, 0.0]);
        assert_eq!(rows.window(usize::MAX).unwrap(), [0.0; 8]);
        rows.drop_before(2);
        assert_eq!((rows.len(), rows.window(4).unwrap()[..3].to_vec()), (5, vec![0.0, 0.0, 3.0]));
        assert!(rows.push(&[6.0]).is_err(), "closed");
    }

    #[test]
    fn rows_of_another_length_are_refused() {
        assert!(AudioRows::new(0).push(&[]).is_err());
        let mut audio = AudioRows::new(3);
        assert!(audio.push(&[0.0; 7]).is_err());
        audio.close();
        assert!(audio.push(&[0.0; 3]).is_err());
    }

    #[test]
    fn rows_of_a_voice_give_the_windows_training_saw() {
        let (rows, channels, width) = (6, 3, 2);
        let values = (0..rows * channels * width).map(|i| i as f32).collect();
        let features = AudioFeatures { kind: AudioKind::Mel, rows, channels, width, values };
        let mut audio = AudioRows::new(channels * width);
        audio.push(&features.values).unwrap();
        audio.close();
        for frame in 0..rows {
            assert_eq!(audio.window(frame).unwrap(), features.window(frame));
        }
    }
}
