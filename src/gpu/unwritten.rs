//! Memory of the device's that the host sees and only writes, from front to back.

use crate::{Error, Result};
use rayon::prelude::*;

/// What is left to be written of memory on its way to the device. It is never read: that is slow, where it can be done.
#[derive(Debug)]
pub struct Unwritten<'a>(wgpu::WriteOnly<'a, [u8]>);

impl<'a> Unwritten<'a> {
    pub(super) fn new(memory: wgpu::WriteOnly<'a, [u8]>) -> Self {
        Unwritten(memory)
    }

    /// Numbers that there is room for.
    pub fn numbers(&self) -> usize {
        self.0.len() / 4
    }

    /// Writes numbers behind those written before, with all threads.
    ///
    /// # Errors
    /// [`Error::Internal`] when there is no room for them.
    pub fn write(&mut self, numbers: &[f32]) -> Result<()> {
        self.bytes(bytemuck::cast_slice(numbers))
    }

    /// The same for bytes.
    pub(super) fn bytes(&mut self, bytes: &[u8]) -> Result<()> {
        let room = self.0.len();
        match self.0.split_off(..bytes.len()) {
            Some(here) => {
                write(here, bytes);
                Ok(())
            }
            None => Err(Error::Internal(format!("{} bytes to write where {room} are left", bytes.len()))),
        }
    }

    /// Makes sure that all is written.
    pub(super) fn end(&self) -> Result<()> {
        match self.0.len() {
            0 => Ok(()),
            left => Err(Error::Internal(format!("{left} bytes on their way to the device are unwritten"))),
        }
    }
}

/// Bytes that one thread copies at a time.
pub(super) const PIECE: usize = 1 << 17;

/// Copies to the device's memory with all threads: first touches of fresh pages cost more than the copying.
fn write(to: wgpu::WriteOnly<'_, [u8]>, source: &[u8]) {
    let (pieces, mut rest) = to.into_chunks::<PIECE>();
    let pieces: Vec<wgpu::WriteOnly<'_, [u8; PIECE]>> = pieces.into_iter().collect();
    rest.copy_from_slice(&source[PIECE * pieces.len()..]);
    pieces.into_par_iter().zip(source.par_chunks(PIECE)).for_each(|(piece, part)| {
        wgpu::WriteOnly::<[u8]>::from(piece).copy_from_slice(part);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_copied_to_their_places() {
        let source: Vec<u8> = (0..5 * PIECE / 2).map(|i| (i % 251) as u8).collect();
        let mut written = vec![0; source.len()];
        write(wgpu::WriteOnly::from(written.as_mut_slice()), &source);
        assert_eq!(written, source);
    }

    #[test]
    fn numbers_stand_one_behind_another_and_no_more_than_there_is_room_for() {
        let mut written = [0_u8; 20];
        let mut to = Unwritten::new(wgpu::WriteOnly::from(written.as_mut_slice()));
        to.write(&[1.0, 2.0]).expect("room");
        assert!(to.numbers() == 3 && to.end().is_err());
        assert_eq!(to.write(&[0.0; 4]).expect_err("no room").exit_code(), 1);
        to.write(&[]).expect("nothing");
        to.write(&[3.0, 4.0, 5.0]).expect("room");
        assert!(to.numbers() == 0 && to.end().is_ok() && to.write(&[6.0]).is_err());
        assert_eq!(bytemuck::pod_collect_to_vec::<u8, f32>(&written), [1.0, 2.0, 3.0, 4.0, 5.0]);
    }
}
