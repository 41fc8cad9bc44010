//! Memory of the device's that the host sees and only writes, from front to back.

use super::buffers::{Loan, Use};
use super::context::Gpu;
use crate::{Error, Result};
use rayon::prelude::*;

/// Bytes that go between the host and the device at a time: long enough that asking for it costs little beside it.
pub(super) const PART: usize = 8 << 20;

/// What is left to be written of memory on its way to the device. A part of it goes while the host writes the next.
#[derive(Debug)]
pub struct Unwritten<'a> {
    gpu: &'a Gpu,
    to: &'a wgpu::Buffer,
    /// The part that is being written.
    part: Option<Part>,
    /// Bytes that are on their way, and in what: another part waits for none of these.
    sent: (u64, Vec<Loan>),
    /// Bytes to be written.
    left: usize,
}

/// Memory that the device copies from.
#[derive(Debug)]
struct Part {
    staging: Loan,
    view: wgpu::BufferViewMut,
    written: usize,
    bytes: usize,
}

impl<'a> Unwritten<'a> {
    /// The first `bytes` of `to`.
    pub(super) fn new(gpu: &'a Gpu, to: &'a wgpu::Buffer, bytes: usize) -> Self {
        Unwritten { gpu, to, part: None, sent: (0, Vec::new()), left: bytes }
    }

    /// Numbers that there is room for.
    pub fn numbers(&self) -> usize {
        self.left / 4
    }

    /// Writes numbers behind those written before, with all threads.
    ///
    /// # Errors
    /// [`Error::Internal`] when there is no room for them, [`Error::DeviceLost`] when the device is gone.
    pub fn write(&mut self, numbers: &[f32]) -> Result<()> {
        self.bytes(bytemuck::cast_slice(numbers))
    }

    /// The same for bytes.
    pub(super) fn bytes(&mut self, mut bytes: &[u8]) -> Result<()> {
        if bytes.len() > self.left {
            let (bytes, left) = (bytes.len(), self.left);
            return Err(Error::Internal(format!("{bytes} bytes to write where {left} are left")));
        }
        while !bytes.is_empty() {
            let part = match &mut self.part {
                Some(part) => part,
                None => self.part.insert(Part::new(self.gpu, self.left.min(PART))?),
            };
            let (now, later) = bytes.split_at(bytes.len().min(part.bytes - part.written));
            write(part.view.slice(part.written..part.written + now.len()), now);
            part.written += now.len();
            self.left -= now.len();
            bytes = later;
            if part.written == part.bytes {
                self.send()?;
            }
        }
        Ok(())
    }

    /// Sends a part that is written.
    fn send(&mut self) -> Result<()> {
        let Some(Part { staging, view, bytes, .. }) = self.part.take() else { return Ok(()) };
        drop(view);
        staging.unmap();
        let mut encoder = self.gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let (first, loans) = &mut self.sent;
        encoder.copy_buffer_to_buffer(&staging, 0, self.to, *first, words(bytes));
        self.gpu.queue.submit([encoder.finish()]);
        *first += bytes as u64;
        loans.push(staging);
        Ok(())
    }

    /// Makes sure that all is written.
    pub(super) fn end(&self) -> Result<()> {
        match self.left {
            0 => Ok(()),
            left => Err(Error::Internal(format!("{left} bytes on their way to the device are unwritten"))),
        }
    }
}

impl Drop for Unwritten<'_> {
    fn drop(&mut self) {
        // A part is left where writing failed. Who lends its memory next maps it again.
        if let Some(Part { staging, view, .. }) = self.part.take() {
            drop(view);
            staging.unmap();
        }
    }
}

impl Part {
    fn new(gpu: &Gpu, bytes: usize) -> Result<Self> {
        let words = words(bytes);
        let staging = gpu.pool.take(Use::Upload, words);
        gpu.map(&staging, wgpu::MapMode::Write, words)?;
        let view = staging
            .get_mapped_range_mut(0..words)
            .map_err(|e| Error::DeviceLost(format!("writing to the device: {e}")))?;
        Ok(Part { staging, view, written: 0, bytes })
    }
}

/// Copies on the device come in words: bytes up to the end of the last.
fn words(bytes: usize) -> u64 {
    (bytes as u64).next_multiple_of(4)
}

/// Bytes that one thread copies at a time.
const PIECE: usize = 1 << 17;

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
}
