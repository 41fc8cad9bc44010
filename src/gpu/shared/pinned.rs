//! CUDA's memory to the host's and back through a few pieces of page-locked memory. The card copies to and from those
//! by itself, so that one piece is on its way while the host copies another; none is allocated after the first time.
//!
//! All copies are asked for on the stream of whoever has the memory: nothing else runs there while rows cross, and a
//! second stream in a context makes cudarc record events at every use of every slice, also of candle's. What was asked
//! for is waited for by events of our own, since cudarc records those of page-locked memory only where there are
//! several streams.

#![allow(unsafe_code, reason = "page-locked memory comes with whatever is in it")]

use super::cuda::{Outcome, failed};
use crate::gpu::upload::Unwritten;
use crate::{Error, Result};
use cudarc::driver::{CudaEvent, CudaSlice, CudaStream, CudaView, DriverError, PinnedHostSlice};
use rayon::prelude::*;
use std::ops::Range;
use std::sync::Arc;

/// Numbers of a piece: long enough that asking for a copy costs little beside it.
const PIECE: usize = 1 << 19;

/// Pieces that are on their way at most.
const SLOTS: usize = 4;

/// Numbers that one thread copies at a time.
const NUMBERS: usize = 1 << 15;

/// Page-locked memory for rows that cross between CUDA and the host, whatever their number.
pub struct PinnedRows {
    stream: Arc<CudaStream>,
    slots: [Slot; SLOTS],
    /// The slot that was used longest ago.
    oldest: usize,
}

/// Room for a piece.
struct Slot {
    memory: PinnedHostSlice<f32>,
    /// Recorded behind the copy that uses the memory.
    done: CudaEvent,
}

/// What CUDA's driver says.
type Driven<T> = std::result::Result<T, DriverError>;

impl Slot {
    fn new(stream: &Arc<CudaStream>) -> Driven<Self> {
        let context = stream.context();
        let done = context.new_event(None)?;
        // Cached by the host, which reads it too: no flags.
        // SAFETY: what is in it is numbers whatever the bits, and is overwritten here before anything reads it.
        let mut memory = unsafe { context.alloc_pinned_with_flags::<f32>(PIECE, 0) }?;
        memory.as_mut_slice()?.fill(0.0);
        Ok(Slot { memory, done })
    }

    /// The first `numbers` numbers, once no copy uses them.
    fn idle(&mut self, numbers: usize) -> Driven<&mut [f32]> {
        self.done.synchronize()?;
        let memory = self.memory.as_mut_slice()?;
        let numbers = numbers.min(memory.len());
        Ok(&mut memory[..numbers])
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        // The card may not use it once it is freed. Where CUDA fails the card does nothing any more.
        let _ = self.done.synchronize();
    }
}

fn lost(error: DriverError) -> Error {
    Error::DeviceLost(format!("rows between CUDA and the host: {error}"))
}

fn outside(numbers: usize, room: usize) -> Error {
    Error::Internal(format!("{numbers} numbers to or from {room} of CUDA's"))
}

/// Which of `numbers` numbers are piece `k`.
fn piece(k: usize, numbers: usize) -> Range<usize> {
    k * PIECE..((k + 1) * PIECE).min(numbers)
}

impl PinnedRows {
    /// Room for the pieces. `stream` is that on which the rows are made and their gradient is used.
    ///
    /// # Errors
    /// In words, why there is no page-locked memory.
    pub fn new(stream: &Arc<CudaStream>) -> Outcome<Self> {
        let slot = || Slot::new(stream).map_err(|e| failed("page-locked memory")(&e));
        let slots = [slot()?, slot()?, slot()?, slot()?];
        Ok(PinnedRows { stream: stream.clone(), slots, oldest: 0 })
    }

    /// Writes rows to `to`.
    ///
    /// # Errors
    /// [`Error::DeviceLost`] when CUDA fails, [`Error::Internal`] when there is no room for so many.
    pub fn fill(&mut self, rows: &CudaView<'_, f32>, to: &mut Unwritten<'_>) -> Result<()> {
        let numbers = rows.len();
        let pieces = numbers.div_ceil(PIECE);
        // As many pieces are on their way from the card as there are slots.
        for k in 0..pieces + SLOTS {
            let slot = &mut self.slots[k % SLOTS];
            if let Some(arrived) = k.checked_sub(SLOTS).filter(|arrived| *arrived < pieces) {
                to.write(slot.idle(piece(arrived, numbers).len()).map_err(lost)?)?;
            }
            if k < pieces {
                let part = piece(k, numbers);
                let room = slot.idle(part.len()).map_err(lost)?;
                let part = rows.try_slice(part).ok_or_else(|| outside(numbers, rows.len()))?;
                self.stream.memcpy_dtoh(&part, room).map_err(lost)?;
                slot.done.record(&self.stream).map_err(lost)?;
            }
        }
        Ok(())
    }

    /// Writes a gradient to `to` from its number `first` on; what is asked for on the stream afterwards sees it there.
    ///
    /// # Errors
    /// As [`PinnedRows::fill`].
    pub fn take(&mut self, gradient: &[f32], to: &mut CudaSlice<f32>, first: usize) -> Result<()> {
        let room = to.len();
        if first.checked_add(gradient.len()).is_none_or(|end| end > room) {
            return Err(outside(gradient.len(), room.saturating_sub(first)));
        }
        for (k, part) in gradient.chunks(PIECE).enumerate() {
            let slot = &mut self.slots[self.oldest];
            self.oldest = (self.oldest + 1) % SLOTS;
            let memory = slot.idle(part.len()).map_err(lost)?;
            copy(part, memory);
            let at = first + k * PIECE;
            let mut there =
                to.try_slice_mut(at..at + part.len()).ok_or_else(|| outside(gradient.len(), room))?;
            self.stream.memcpy_htod(&*memory, &mut there).map_err(lost)?;
            slot.done.record(&self.stream).map_err(lost)?;
        }
        Ok(())
    }
}

/// Copies with all threads.
fn copy(source: &[f32], to: &mut [f32]) {
    to.par_chunks_mut(NUMBERS).zip(source.par_chunks(NUMBERS)).for_each(|(to, part)| {
        to.copy_from_slice(part);
    });
}

#[cfg(test)]
mod tests {
    use super::super::CudaRows;
    use super::super::cuda::tests::{both, read_back};
    use super::*;
    use crate::gpu::Gpu;
    use crate::gpu::buffers::numbers;
    use std::time::Instant;

    /// Rows as wgpu sees them after they have come through page-locked memory.
    fn uploaded(gpu: &Gpu, pinned: &mut PinnedRows, rows: &CudaSlice<f32>) -> Vec<f32> {
        let view = rows.as_view();
        let loan = gpu.upload_with(4 * view.len(), |to| pinned.fill(&view, to)).expect("uploaded");
        read_back(gpu, &loan, rows.len())
    }

    /// What wgpu has, on CUDA after it has gone through page-locked memory in `parts` parts.
    fn taken(
        gpu: &Gpu,
        pinned: &mut PinnedRows,
        buffer: &wgpu::Buffer,
        count: usize,
        parts: usize,
    ) -> CudaSlice<f32> {
        let mut there = pinned.stream.alloc_zeros::<f32>(count).expect("memory of CUDA's");
        let each = count.div_ceil(parts);
        gpu.fetch(buffer, 4 * count, |at, data| {
            let here = numbers(data);
            here.chunks(each)
                .enumerate()
                .try_for_each(|(k, part)| pinned.take(part, &mut there, at / 4 + k * each))
        })
        .expect("read back");
        there
    }

    fn bits(values: &[f32]) -> Vec<u32> {
        values.iter().map(|v| v.to_bits()).collect()
    }

    #[test]
    fn page_locked_pieces_carry_the_bits_that_shared_memory_does() {
        let Some((gpu, stream)) = both() else { return };
        let mut pinned = PinnedRows::new(&stream).expect("page-locked memory");
        // Rows of sixteen frames of 24,000 surfels; every slot and one number more; fewer than a piece.
        for count in [16 * 24_000 * 26, SLOTS * PIECE + 1, PIECE, 7, 1] {
            let mut shared = CudaRows::new(&gpu, &stream, count).expect("shared memory");
            for round in 0..3_u32 {
                // Whatever the bits are: also what is no number.
                let number = |i: usize| f32::from_bits((i as u32 + round).wrapping_mul(2_654_435_761));
                let here: Vec<f32> = (0..count).map(number).collect();
                let rows = stream.clone_htod(&here).expect("memory of CUDA's");
                shared.write(&rows.as_view()).expect("written by CUDA");
                let expected = bits(&read_back(&gpu, &shared.rows().values, count));
                assert!(expected == bits(&here), "{count} numbers shared");
                assert!(bits(&uploaded(&gpu, &mut pinned, &rows)) == expected, "{count} numbers up");

                let back: Vec<f32> = here.iter().rev().copied().collect();
                gpu.queue.write_buffer(&shared.rows().gradients, 0, bytemuck::cast_slice(&back));
                gpu.queue.submit([]);
                gpu.finish().expect("written by wgpu");
                let expected = stream.clone_dtoh(&shared.read().expect("a copy")).expect("read by CUDA");
                let parts = round as usize + 1;
                let found = taken(&gpu, &mut pinned, &shared.rows().gradients, count, parts);
                let found = stream.clone_dtoh(&found).expect("read by CUDA");
                assert!(bits(&expected) == bits(&back), "{count} gradients shared");
                assert!(bits(&found) == bits(&expected), "{count} gradients down in {parts} parts");
            }
        }
    }

    #[test]
    fn how_long_rows_take() {
        let Some((gpu, stream)) = both() else { return };
        let mut pinned = PinnedRows::new(&stream).expect("page-locked memory");
        let (count, times) = (16 * 24_000 * 26, 30);
        let rows = stream.alloc_zeros::<f32>(count).expect("memory of CUDA's");
        let buffer = gpu.storage(4 * count as u64);
        let took = |what: &str, work: &mut dyn FnMut()| {
            // Memory is touched and pools are filled first.
            work();
            let (made, start) = (gpu.buffers_made(), Instant::now());
            (0..times).for_each(|_| work());
            stream.synchronize().expect("done");
            gpu.finish().expect("done");
            assert_eq!(gpu.buffers_made(), made, "buffers are used again");
            let each = start.elapsed().as_secs_f64() * 1e3 / f64::from(times);
            eprintln!("{} MB {what}: {each:.2} ms", 4 * count / 1_000_000);
        };
        took("up through a slice", &mut || {
            let here = stream.clone_dtoh(&rows).expect("read by CUDA");
            drop(gpu.upload(&[here.as_slice()]).expect("uploaded"));
        });
        took("up through page-locked pieces", &mut || {
            let view = rows.as_view();
            drop(gpu.upload_with(4 * count, |to| pinned.fill(&view, to)).expect("uploaded"));
        });
        took("down through a slice", &mut || {
            drop(stream.clone_htod(&read_back(&gpu, &buffer, count)).expect("memory of CUDA's"));
        });
        took("down through page-locked pieces", &mut || {
            drop(taken(&gpu, &mut pinned, &buffer, count, 1));
        });
    }

    #[test]
    fn more_or_fewer_than_there_is_room_for_are_refused() {
        let Some((gpu, stream)) = both() else { return };
        let mut pinned = PinnedRows::new(&stream).expect("page-locked memory");
        let rows = stream.alloc_zeros::<f32>(PIECE + 10).expect("memory of CUDA's");
        for bytes in [4 * (PIECE + 9), 4 * (PIECE + 11), 4] {
            let refused = gpu.upload_with(bytes, |to| pinned.fill(&rows.as_view(), to));
            assert_eq!(refused.expect_err("refused").exit_code(), 1, "{bytes} bytes");
        }
        assert_eq!(uploaded(&gpu, &mut pinned, &rows).len(), PIECE + 10, "and nothing else is spoiled");
        let mut there = stream.alloc_zeros::<f32>(10).expect("memory of CUDA's");
        assert!(pinned.take(&[0.0; 11], &mut there, 0).is_err());
        assert!(
            pinned.take(&[0.0; 2], &mut there, 9).is_err() && pinned.take(&[0.0], &mut there, 11).is_err()
        );
        assert!(pinned.take(&[0.0; 1], &mut there, usize::MAX).is_err());
        pinned.take(&[1.0; 2], &mut there, 8).expect("room");
        let found = stream.clone_dtoh(&there).expect("read by CUDA");
        assert_eq!(found, [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0]);
    }
}
