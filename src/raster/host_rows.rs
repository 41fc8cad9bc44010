//! Rows that come by way of the host, and their gradient that goes there, part by part.

use crate::gpu::upload::Unwritten;
use crate::{Error, Result};
use rayon::prelude::*;

/// Who has rows, and wants their gradient. Numbers are counted through `[frames, surfels, layout.width]`.
///
/// Each part is written straight into memory that the device copies from, and taken straight from where the device
/// copied it to: whoever has rows elsewhere needs no room for all of them on the host.
pub trait HostRows {
    /// Numbers of the rows, and of their gradient.
    fn numbers(&self) -> usize;

    /// Writes the rows from number `first` on, as many numbers as `to` has room for.
    ///
    /// # Errors
    /// Whatever keeps the rows from coming; the look that wanted them ends with it.
    fn fill(&mut self, first: usize, to: &mut Unwritten<'_>) -> Result<()>;

    /// Takes the gradient from number `first` on. Parts come in order, each once.
    ///
    /// # Errors
    /// Whatever keeps the gradient from going on; the look it is of ends with it.
    fn take(&mut self, first: usize, gradient: &[f32]) -> Result<()>;
}

/// Rows that lie on the host; the gradient is added to the end of another array.
#[derive(Debug)]
pub struct Slices<'a> {
    rows: &'a [f32],
    gradient: &'a mut Vec<f32>,
    /// Numbers that the gradient had before.
    before: usize,
}

impl<'a> Slices<'a> {
    /// Rows whose gradient goes to the end of `gradient`.
    pub fn new(rows: &'a [f32], gradient: &'a mut Vec<f32>) -> Self {
        let before = gradient.len();
        Slices { rows, gradient, before }
    }
}

/// Numbers that one thread copies at a time.
const NUMBERS: usize = 1 << 15;

impl HostRows for Slices<'_> {
    fn numbers(&self) -> usize {
        self.rows.len()
    }

    fn fill(&mut self, first: usize, to: &mut Unwritten<'_>) -> Result<()> {
        let part = self.rows.get(first..).and_then(|rows| rows.get(..to.numbers()));
        let outside = || Error::Internal(format!("rows from {first} of {} on", self.rows.len()));
        to.write(part.ok_or_else(outside)?)
    }

    fn take(&mut self, first: usize, gradient: &[f32]) -> Result<()> {
        let taken = self.gradient.len() - self.before;
        if first != taken || gradient.len() > self.rows.len() - taken {
            return Err(Error::Internal(format!("gradients from {first} on where {taken} were taken")));
        }
        // Without writing zeros first.
        self.gradient.par_extend(gradient.par_iter().with_min_len(NUMBERS).copied());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gradients_go_behind_what_was_there_in_order_and_once() {
        let rows: Vec<f32> = (0..3 * NUMBERS + 7).map(|i| i as f32).collect();
        let mut gradient = vec![-1.0];
        let mut slices = Slices::new(&rows, &mut gradient);
        assert_eq!(slices.numbers(), rows.len());
        slices.take(0, &rows[..NUMBERS]).expect("the first part");
        assert!(slices.take(0, &rows[..1]).is_err() && slices.take(NUMBERS + 1, &rows[..1]).is_err());
        slices.take(NUMBERS, &rows[NUMBERS..]).expect("the rest");
        assert_eq!(slices.take(rows.len(), &[0.0]).expect_err("too many").exit_code(), 1);
        assert!(gradient[0] == -1.0 && gradient[1..] == rows);
    }
}
