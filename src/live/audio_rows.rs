//! The audio window of each frame, from rows that come one after the other.

use crate::{Error, Result};
use std::collections::VecDeque;

/// Audio rows in a window: `[frame − 4, frame + 4)`.
pub const WINDOW_ROWS: usize = 8;
/// Rows of a window before the frame's own.
pub const ROWS_BEFORE: usize = 4;

/// Audio rows in the order they are spoken.
#[derive(Debug, Clone)]
pub struct AudioRows {
    row_len: usize,
    /// Rows before the first one kept.
    dropped: usize,
    rows: VecDeque<Box<[f32]>>,
    closed: bool,
}

impl AudioRows {
    /// No rows yet; each will have `row_len` values (channels · width).
    pub fn new(row_len: usize) -> Self {
        AudioRows { row_len, dropped: 0, rows: VecDeque::new(), closed: false }
    }

    /// Adds one or more rows, `[rows, row_len]`.
    ///
    /// # Errors
    /// [`Error::Internal`] for values that are no whole rows, or after [`AudioRows::close`].
    pub fn push(&mut self, rows: &[f32]) -> Result<()> {
        if self.closed || self.row_len == 0 || !rows.len().is_multiple_of(self.row_len) {
            let state = if self.closed { "closed" } else { "open" };
            let (values, row) = (rows.len(), self.row_len);
            return Err(Error::Internal(format!(
                "{values} audio values for an {state} voice of rows of {row}"
            )));
        }
        self.rows.extend(rows.chunks_exact(self.row_len).map(Box::from));
        Ok(())
    }

    /// Says that no more rows will come.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// Whether no more rows will come.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Rows that came so far, those dropped among them.
    pub fn len(&self) -> usize {
        self.dropped + self.rows.len()
    }

    /// Whether no row came so far.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Rows `[frame − 4, frame + 4)`, zeros before the start and after the end, `[8, row_len]`; `None` while rows of the window
    /// are still to come.
    pub fn window(&self, frame: usize) -> Option<Vec<f32>> {
        if !self.closed && frame.saturating_add(WINDOW_ROWS - ROWS_BEFORE) > self.len() {
            return None;
        }
        let mut window = vec![0.0; WINDOW_ROWS * self.row_len];
        for (slot, to) in window.chunks_exact_mut(self.row_len.max(1)).enumerate() {
            let row = (frame + slot).checked_sub(ROWS_BEFORE + self.dropped);
            if let Some(row) = row.and_then(|at| self.rows.get(at)) {
                to.copy_from_slice(row);
            }
        }
        Some(window)
    }

    /// Frees the rows before `row`, which will not be looked at again.
    pub fn drop_before(&mut self, row: usize) {
        while self.dropped < row && self.rows.pop_front().is_some() {
            self.dropped += 1;
        }
    }
}
