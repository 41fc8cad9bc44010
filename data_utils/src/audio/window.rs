//! The rows of audio features that the network sees for a video frame: eight of them, the frame's own among them.

use super::SAMPLES_PER_FRAME;
use super::kind::AudioKind;
use crate::error::{Error, Result};
use std::collections::VecDeque;

/// Rows in a window.
pub const WINDOW_ROWS: usize = 8;

/// Which rows a window holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowShape {
    /// Rows before the frame's own, at most seven.
    pub rows_before: usize,
    /// Whether the first and the last row go on beyond the ends of the voice; zeros otherwise.
    pub repeats_ends: bool,
}

impl WindowShape {
    /// What the programs of the field use: `[frame − 4, frame + 4)` and zeros.
    pub const CENTRED: WindowShape = WindowShape { rows_before: 4, repeats_ends: false };

    /// The shape for features of this kind. A row of speech features reaches far ahead by itself, so its window is
    /// `[frame − 6, frame + 2)`: centred ones followed other voices no better (r .604 against .594) and came 80 ms later.
    pub const fn of(kind: AudioKind) -> Self {
        match kind {
            AudioKind::Speech => WindowShape { rows_before: 6, repeats_ends: true },
            AudioKind::Ave | AudioKind::Mel | AudioKind::DeepSpeech | AudioKind::Hubert => Self::CENTRED,
        }
    }

    /// Samples at 16 kHz that the last row of a window lies beyond the row of its frame.
    pub const fn look_ahead(self) -> usize {
        self.rows_after() * SAMPLES_PER_FRAME
    }

    const fn rows_after(self) -> usize {
        WINDOW_ROWS - 1 - self.rows_before
    }

    /// The window of `frame`, `[8, row_len]`, out of `rows` rows. `row` gives those that are kept.
    pub(super) fn window<'a>(
        self,
        frame: usize,
        row_len: usize,
        rows: usize,
        row: impl Fn(usize) -> Option<&'a [f32]>,
    ) -> Vec<f32> {
        let mut window = vec![0.0; WINDOW_ROWS * row_len];
        for (place, to) in window.chunks_exact_mut(row_len.max(1)).enumerate() {
            let at = match frame.saturating_add(place).checked_sub(self.rows_before) {
                at if !self.repeats_ends => at,
                at => Some(at.unwrap_or(0).min(rows.saturating_sub(1))),
            };
            if let Some(from) = at.and_then(&row) {
                to.copy_from_slice(from);
            }
        }
        window
    }
}

/// Rows of audio features in the order they are spoken: all at once, or pushed as they come.
#[derive(Debug, Clone)]
pub struct AudioRows {
    row_len: usize,
    shape: WindowShape,
    /// Rows before the first one kept.
    dropped: usize,
    rows: VecDeque<Box<[f32]>>,
    is_closed: bool,
}

impl AudioRows {
    /// No rows yet; each will have `row_len` values (channels · width), and windows will have this shape.
    pub fn new(row_len: usize, shape: WindowShape) -> Self {
        AudioRows { row_len, shape, dropped: 0, rows: VecDeque::new(), is_closed: false }
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

    /// Forgets the rows from number `row` on; others may come in their place.
    pub fn truncate(&mut self, row: usize) {
        self.rows.truncate(row.saturating_sub(self.dropped));
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
        if !self.is_closed && frame.saturating_add(self.shape.rows_after()) >= self.len() {
            return None;
        }
        let row = |at: usize| self.rows.get(at.checked_sub(self.dropped)?).map(|row| &**row);
        Some(self.shape.window(frame, self.row_len, self.len(), row))
    }

    /// Forgets the rows that windows of `frame` and later ones do not hold.
    pub fn drop_before(&mut self, frame: usize) {
        let row = frame.saturating_sub(self.shape.rows_before);
        // The last row may have to be repeated.
        while self.dropped < row && self.rows.len() > 1 {
            self.rows.pop_front();
            self.dropped += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::features::AudioFeatures;

    #[test]
    fn rows_that_were_forgotten_are_replaced_by_those_that_come_next() {
        let mut rows = AudioRows::new(1, WindowShape::CENTRED);
        rows.push(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).unwrap();
        rows.drop_before(1);
        rows.truncate(2);
        assert_eq!(rows.len(), 2);
        rows.push(&[7.0, 8.0, 9.0]).unwrap();
        assert_eq!(rows.window(1).unwrap(), [0.0, 0.0, 0.0, 1.0, 2.0, 7.0, 8.0, 9.0]);
    }

    #[test]
    fn a_window_waits_for_its_rows_and_is_filled_with_zeros_beyond_the_ends() {
        let mut rows = AudioRows::new(1, WindowShape::CENTRED);
        rows.push(&[1.0, 2.0, 3.0]).unwrap();
        assert!(rows.window(0).is_none());
        rows.push(&[4.0, 5.0]).unwrap();
        assert_eq!(rows.window(0).unwrap(), [0.0, 0.0, 0.0, 0.0, 1.0, 2.0, 3.0, 4.0]);
        assert!(rows.window(2).is_none());
        rows.close();
        assert_eq!(rows.window(4).unwrap(), [1.0, 2.0, 3.0, 4.0, 5.0, 0.0, 0.0, 0.0]);
        assert_eq!(rows.window(usize::MAX).unwrap(), [0.0; 8]);
        rows.drop_before(6);
        assert_eq!((rows.len(), rows.window(4).unwrap()[..3].to_vec()), (5, vec![0.0, 0.0, 3.0]));
        assert!(rows.push(&[6.0]).is_err(), "closed");
    }

    #[test]
    fn rows_of_another_length_are_refused() {
        assert!(AudioRows::new(0, WindowShape::CENTRED).push(&[]).is_err());
        let mut audio = AudioRows::new(3, WindowShape::CENTRED);
        assert!(audio.push(&[0.0; 7]).is_err());
        audio.close();
        assert!(audio.push(&[0.0; 3]).is_err());
    }

    #[test]
    fn a_window_may_lie_further_back_and_go_on_beyond_the_ends() {
        let mut rows = AudioRows::new(1, WindowShape::of(AudioKind::Speech));
        rows.push(&[1.0]).unwrap();
        assert!(rows.window(0).is_none());
        rows.push(&[2.0, 3.0]).unwrap();
        assert_eq!(rows.window(0).unwrap(), [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 2.0]);
        assert_eq!(rows.window(1).unwrap(), [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 2.0, 3.0]);
        assert!(rows.window(2).is_none());
        rows.close();
        assert_eq!(rows.window(2).unwrap(), [1.0, 1.0, 1.0, 1.0, 1.0, 2.0, 3.0, 3.0]);
        rows.drop_before(1000);
        assert_eq!(rows.window(1000).unwrap(), [3.0; 8]);
    }

    #[test]
    fn rows_of_a_voice_give_the_windows_training_saw() {
        for kind in [AudioKind::Mel, AudioKind::Speech] {
            let (rows, channels, width) = (9, 3, 2);
            let values = (0..rows * channels * width).map(|i| i as f32).collect();
            let features = AudioFeatures { kind, rows, channels, width, values };
            let mut audio = AudioRows::new(channels * width, WindowShape::of(kind));
            audio.push(&features.values).unwrap();
            audio.close();
            for frame in 0..rows + 9 {
                assert_eq!(audio.window(frame).unwrap(), features.window(frame), "{kind:?} {frame}");
                audio.drop_before(frame);
            }
        }
    }
}
