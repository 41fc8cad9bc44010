//! What the columns of a row are that a field adds to a surfel.

use crate::{Error, Result};
use std::ops::Range;

/// Which columns of a packed delta row are what. An empty range leaves that parameter alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeltaLayout {
    /// Columns of one row.
    pub width: usize,
    /// 3 columns, added to the centre.
    pub position: Range<usize>,
    /// 4 columns, added to the raw quaternion before it is normalised.
    pub rotation: Range<usize>,
    /// 2 columns, added to the log-scales.
    pub log_scale: Range<usize>,
    /// 1 column, added to the opacity logit.
    pub opacity: Range<usize>,
    /// 3 columns for each of the first bands, RGB innermost, added to the harmonics.
    pub harmonics: Range<usize>,
    /// 4 columns: the attention weights themselves.
    pub attention: Range<usize>,
}

impl DeltaLayout {
    /// position 3 | rotation 4 | log-scale 2 | opacity 1 | harmonics 3 · `bands` | attention 4.
    pub fn packed(bands: usize) -> Self {
        let end = 10 + 3 * bands;
        DeltaLayout {
            width: end + 4,
            position: 0..3,
            rotation: 3..7,
            log_scale: 7..9,
            opacity: 9..10,
            harmonics: 10..end,
            attention: end..end + 4,
        }
    }

    /// Columns that mean something.
    pub(crate) fn columns(&self) -> usize {
        let geometry = [&self.position, &self.rotation, &self.log_scale, &self.opacity];
        geometry.into_iter().chain([&self.harmonics, &self.attention]).map(|c| c.len()).sum()
    }

    /// Refuses what is no layout for a cloud with so many bands.
    ///
    /// # Errors
    /// [`Error::Internal`] then.
    pub(crate) fn check(&self, bands: usize) -> Result<()> {
        let fits = |range: &Range<usize>, length: usize| {
            range.is_empty() || (range.len() == length && range.end <= self.width)
        };
        let colours = self.harmonics.is_empty()
            || (self.harmonics.len().is_multiple_of(3)
                && self.harmonics.len() <= 3 * bands
                && self.harmonics.end <= self.width);
        let all = fits(&self.position, 3)
            && fits(&self.rotation, 4)
            && fits(&self.log_scale, 2)
            && fits(&self.opacity, 1)
            && fits(&self.attention, 4);
        if colours && all {
            Ok(())
        } else {
            Err(Error::Internal(format!("delta layout {self:?} is no layout")))
        }
    }
}
