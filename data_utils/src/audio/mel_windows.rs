//! Rows of features made from 16 mel columns (0.2 s) around each video frame: the columns themselves, or what the audio-visual
//! encoder makes of them.
//!
//! The rows are the same however the samples are cut up: mel rows bit for bit, AVE rows up to the order of sums inside
//! matrix products, which depends on how many windows are encoded together.

use super::ave::{self, AveEncoder};
use super::kind::AudioKind;
use super::mel::{self, BANDS, MelStream};
use super::{SAMPLE_RATE, video_frames};
use crate::error::Result;

/// Samples beyond the first one of a frame that the centre of the last column of its row may lie: 9 columns for a mel
/// row, which starts at column `round(3.2·j − 6.4)`; 8.6 for an AVE row, which starts at `floor(3.2·(j − 2))`.
const MEL_ROW: usize = 1800;
const AVE_ROW: usize = 1720;

/// Samples beyond the first one of a frame that must have come before its mel row is known.
pub(super) const MEL_LOOK_AHEAD: usize = mel::LOOK_AHEAD + MEL_ROW;
/// The same of its AVE row.
pub(super) const AVE_LOOK_AHEAD: usize = mel::LOOK_AHEAD + AVE_ROW;

/// Rows of features of a voice that is still coming.
pub(super) struct MelWindowStream {
    mel: MelStream,
    /// Without one the rows are mel windows.
    encoder: Option<AveEncoder>,
    /// The columns from number `first` on, `[n, 80]`; those before are needed no more.
    columns: Vec<f32>,
    first: usize,
    samples: u64,
    /// Windows that rows were made from.
    windows: usize,
    /// Rows given so far, and the last one of them.
    rows: u64,
    last: Vec<f32>,
}

impl MelWindowStream {
    /// Mel windows of 16 columns centred on each video frame, `[80, 16]`, divided by 4 to lie in −1..1; silence beyond
    /// the ends. For frame `j` the window starts at column `round(3.2·j − 6.4)`.
    pub(super) fn mel() -> Self {
        MelWindowStream {
            mel: MelStream::default(),
            encoder: None,
            columns: Vec::new(),
            first: 0,
            samples: 0,
            windows: 0,
            rows: 0,
            last: Vec::new(),
        }
    }

    /// AVE features as SyncTalk makes them: one window for each video frame, starting with the frame, moved back
    /// inside where it would pass the end; the first feature two times more in front and the last one as often as
    /// frames are left, which centres feature `j` on video frame `j`.
    pub(super) fn ave(encoder: AveEncoder) -> Self {
        MelWindowStream { encoder: Some(encoder), ..MelWindowStream::mel() }
    }

    /// What the rows are.
    pub(super) fn kind(&self) -> AudioKind {
        if self.encoder.is_some() { AudioKind::Ave } else { AudioKind::Mel }
    }

    /// Values of a row: channels · width.
    pub(super) fn row_len(&self) -> usize {
        self.kind().channels() * self.kind().width()
    }

    /// Takes in samples at 16 kHz, full scale at ±1, and gives the rows that became ready, `[n, row_len]`.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] when the device fails.
    pub(super) fn push(&mut self, samples: &[f32]) -> Result<Vec<f32>> {
        self.samples += samples.len() as u64;
        let columns = self.mel.push(samples)?;
        self.columns.extend(columns);
        let mut ready = Vec::new();
        while self.start(self.windows) + ave::WINDOW as i64 <= self.received() as i64 {
            // As many windows as have come, up to one batch.
            let mut count = 1;
            while count < ave::BATCH
                && self.start(self.windows + count) + ave::WINDOW as i64 <= self.received() as i64
            {
                count += 1;
            }
            ready.extend(self.windows(count)?);
        }
        let kept = self.start(self.windows).min(self.received() as i64 - ave::WINDOW as i64);
        let behind = usize::try_from(kept).unwrap_or(0).saturating_sub(self.first);
        self.columns.drain(..behind * BANDS);
        self.first += behind;
        self.take(ready, u64::MAX)
    }

    /// Gives the remaining rows: in all one per video frame. The stream then begins anew.
    ///
    /// # Errors
    /// As [`MelWindowStream::push`].
    pub(super) fn finish(&mut self) -> Result<Vec<f32>> {
        let columns = self.mel.finish()?;
        self.columns.extend(columns);
        let frames = video_frames(self.samples, SAMPLE_RATE);
        let end = match self.encoder {
            // One window makes three rows in the beginning, and each one later.
            Some(_) => ave::window_count(self.received()).min(frames.saturating_sub(2).max(1) as usize),
            None => frames as usize,
        };
        let mut rest = Vec::new();
        while frames > 0 && self.windows < end {
            rest.extend(self.windows((end - self.windows).min(ave::BATCH))?);
        }
        let mut rest = self.take(rest, frames)?;
        while self.rows < frames {
            rest.extend_from_slice(&self.last);
            self.rows += 1;
        }
        let encoder = self.encoder.take();
        *self = MelWindowStream { encoder, ..MelWindowStream::mel() };
        Ok(rest)
    }

    /// Columns that came so far.
    fn received(&self) -> usize {
        self.first + self.columns.len() / BANDS
    }

    /// The first column of a window of the kind.
    fn start(&self, window: usize) -> i64 {
        match self.encoder {
            Some(_) => ave::window_start(window) as i64,
            // 3.2·(j − 2) rounded, in fifths of a column.
            None => (16 * (window as i64 - 2) + 2).div_euclid(5),
        }
    }

    /// The rows of the next `count` windows.
    fn windows(&mut self, count: usize) -> Result<Vec<f32>> {
        let mut windows = Vec::with_capacity(count * BANDS * ave::WINDOW);
        for window in self.windows..self.windows + count {
            let end = self.received().max(ave::WINDOW) as i64 - ave::WINDOW as i64;
            let (start, scale) = match self.encoder {
                Some(_) => (self.start(window).min(end), 1.0),
                None => (self.start(window), 0.25),
            };
            let columns: Vec<Option<&[f32]>> =
                (start..).take(ave::WINDOW).map(|at| self.column(at)).collect();
            windows.extend((0..BANDS).flat_map(|band| {
                columns.iter().map(move |column| column.map_or(mel::SILENCE, |column| column[band]) * scale)
            }));
        }
        let is_first = self.windows == 0;
        self.windows += count;
        let Some(encoder) = &self.encoder else { return Ok(windows) };
        let rows = encoder.encode(windows)?;
        Ok(if is_first { [rows[..ave::FEATURES].repeat(2), rows].concat() } else { rows })
    }

    /// Column `at`, none beyond the ends of the sound.
    fn column(&self, at: i64) -> Option<&[f32]> {
        let at = usize::try_from(at).ok()?.checked_sub(self.first)?;
        self.columns.get(at * BANDS..)?.get(..BANDS)
    }

    /// Counts rows that are given, at most `frames` in all, and keeps the last one.
    fn take(&mut self, mut rows: Vec<f32>, frames: u64) -> Result<Vec<f32>> {
        let row_len = self.row_len();
        let count = (rows.len() / row_len).min((frames - self.rows.min(frames)) as usize);
        rows.truncate(count * row_len);
        if let Some(last) = rows.len().checked_sub(row_len) {
            self.last = rows[last..].to_vec();
        }
        self.rows += count as u64;
        Ok(rows)
    }
}

#[cfg(test)]
#[path = "mel_windows_tests.rs"]
pub(in crate::audio) mod tests;
