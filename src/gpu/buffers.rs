//! Buffers on the device: pooled, filled from slices, read back.

use super::context::Gpu;
use super::upload::Unwritten;
use crate::{Error, Result};
use rayon::prelude::*;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};

/// What a buffer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Use {
    /// Read and written by kernels.
    Storage,
    /// Constants of a dispatch.
    Uniform,
    /// Read by the host.
    ReadBack,
    /// Written by the host, for the device to copy from.
    Upload,
}

impl Use {
    fn flags(self) -> wgpu::BufferUsages {
        use wgpu::BufferUsages as U;
        match self {
            Use::Storage => U::STORAGE | U::COPY_DST | U::COPY_SRC,
            Use::Uniform => U::UNIFORM | U::COPY_DST,
            Use::ReadBack => U::MAP_READ | U::COPY_DST,
            Use::Upload => U::MAP_WRITE | U::COPY_SRC,
        }
    }
}

/// Loans after which a buffer that nobody asked for is given back to the device, once another one has to be made: about
/// a hundred steps. A cloud that grows would otherwise leave buffers of all its sizes behind.
const KEPT_FOR: u64 = 4096;

/// Buffers that nobody uses now, by use and size, each with the number of loans when it came back.
#[derive(Debug, Default)]
struct Shelf {
    buffers: BTreeMap<(Use, u64), Vec<(wgpu::Buffer, u64)>>,
    loans: u64,
    made: u64,
}

impl Shelf {
    /// Forgets what nobody asked for in a long time.
    fn tidy(&mut self) {
        let loans = self.loans;
        self.buffers.retain(|_, buffers| {
            buffers.retain(|(_, since)| since + KEPT_FOR > loans);
            !buffers.is_empty()
        });
    }
}

/// Buffers by use and size that nobody uses now. In the steady state no buffer is made.
#[derive(Debug, Clone)]
pub(crate) struct Pool {
    device: wgpu::Device,
    shelf: Arc<Mutex<Shelf>>,
}

/// A buffer on loan; dropping it puts it back. Its content is whatever its last user left.
#[derive(Debug)]
pub struct Loan {
    buffer: Option<wgpu::Buffer>,
    key: (Use, u64),
    shelf: Arc<Mutex<Shelf>>,
}

impl Pool {
    pub(crate) fn new(device: wgpu::Device) -> Self {
        Pool { device, shelf: Arc::default() }
    }

    /// A buffer of at least `bytes`.
    pub(crate) fn take(&self, usage: Use, bytes: u64) -> Loan {
        let key = (usage, size_class(bytes));
        let mut shelf = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        shelf.loans += 1;
        // The one that came back last: others grow old.
        let found = shelf.buffers.get_mut(&key).and_then(Vec::pop);
        let buffer = match found {
            Some((buffer, _)) => buffer,
            None => {
                shelf.made += 1;
                shelf.tidy();
                self.device.create_buffer(&wgpu::BufferDescriptor {
                    label: None,
                    size: key.1,
                    usage: usage.flags(),
                    mapped_at_creation: false,
                })
            }
        };
        drop(shelf);
        Loan { buffer: Some(buffer), key, shelf: self.shelf.clone() }
    }

    /// Buffers made so far.
    pub(crate) fn made(&self) -> u64 {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner).made
    }

    /// Bytes of the buffers that nobody uses.
    pub(crate) fn idle_bytes(&self) -> u64 {
        let shelf = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        shelf.buffers.iter().map(|((_, bytes), buffers)| bytes * buffers.len() as u64).sum()
    }

    /// Forgets buffers that nobody uses.
    pub(crate) fn trim(&self) {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner).buffers.clear();
    }
}

/// Sizes come in eighths of a power of two, so that counts which change a little every time find a buffer again.
pub(crate) fn size_class(bytes: u64) -> u64 {
    let bytes = bytes.max(256);
    let step = (bytes.next_power_of_two() / 16).max(256);
    bytes.div_ceil(step) * step
}

impl Deref for Loan {
    type Target = wgpu::Buffer;

    fn deref(&self) -> &wgpu::Buffer {
        self.buffer.as_ref().expect("the buffer is there until the loan is dropped")
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        if let Some(buffer) = self.buffer.take() {
            let mut shelf = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
            let loans = shelf.loans;
            shelf.buffers.entry(self.key).or_default().push((buffer, loans));
        }
    }
}

impl Gpu {
    /// A buffer on loan for kernels.
    pub(crate) fn storage(&self, bytes: u64) -> Loan {
        self.pool.take(Use::Storage, bytes)
    }

    /// A buffer of constants.
    pub(crate) fn uniform(&self, words: &[u32]) -> Loan {
        let loan = self.pool.take(Use::Uniform, 4 * words.len() as u64);
        self.queue.write_buffer(&loan, 0, bytemuck::cast_slice(words));
        loan
    }

    /// A buffer of constants on which whole branches of a shader depend. Read as storage: Mesa's lavapipe would compile
    /// the shader anew with the values of a uniform buffer at every dispatch, and keep all that.
    pub(crate) fn branching(&self, words: &[u32]) -> Loan {
        let loan = self.storage(4 * words.len() as u64);
        self.queue.write_buffer(&loan, 0, bytemuck::cast_slice(words));
        loan
    }

    /// A buffer that holds slices one after another.
    ///
    /// # Errors
    /// As [`Gpu::submit_and_read`].
    pub fn upload<T: bytemuck::NoUninit>(&self, parts: &[&[T]]) -> Result<Loan> {
        let bytes = parts.iter().map(|p| size_of_val(*p)).sum::<usize>();
        self.upload_with(bytes, |to| parts.iter().try_for_each(|part| to.bytes(bytemuck::cast_slice(part))))
    }

    /// A buffer of `bytes` that `fill` writes to, all of it.
    ///
    /// # Errors
    /// As [`Gpu::submit_and_read`], that of `fill`, and [`Error::Internal`] when it leaves something unwritten.
    pub(crate) fn upload_with(
        &self,
        bytes: usize,
        fill: impl FnOnce(&mut Unwritten<'_>) -> Result<()>,
    ) -> Result<Loan> {
        let loan = self.storage(bytes as u64);
        if bytes > 0 {
            let mut to = Unwritten::new(self, &loan, bytes);
            fill(&mut to)?;
            to.end()?;
        }
        Ok(loan)
    }

    /// Submits `encoder` and reads the first `bytes` of each of `sources`, one after another.
    ///
    /// # Errors
    /// [`Error::DeviceLost`] when the device is gone, [`Error::Internal`] when it was asked for nonsense.
    pub(crate) fn submit_and_read(
        &self,
        mut encoder: wgpu::CommandEncoder,
        sources: &[(&wgpu::Buffer, u64)],
        mut take: impl FnMut(usize, &[u8]),
    ) -> Result<()> {
        let total = sources.iter().map(|s| s.1).sum();
        if total == 0 {
            self.queue.submit([encoder.finish()]);
            return self.finish();
        }
        let staging = self.pool.take(Use::ReadBack, total);
        let mut at = 0;
        for (buffer, bytes) in sources.iter().filter(|s| s.1 > 0) {
            encoder.copy_buffer_to_buffer(buffer, 0, &staging, at, *bytes);
            at += bytes;
        }
        self.queue.submit([encoder.finish()]);
        self.check()?;
        self.map(&staging, wgpu::MapMode::Read, total.max(4))?;
        {
            let view = staging
                .get_mapped_range(0..total.max(4))
                .map_err(|e| Error::DeviceLost(format!("reading back: {e}")))?;
            let mut at = 0;
            for (i, &(_, bytes)) in sources.iter().enumerate() {
                take(i, &view[at..at + bytes as usize]);
                at += bytes as usize;
            }
        }
        staging.unmap();
        Ok(())
    }

    /// Waits until the host can use the first `bytes` of a buffer, and not for work that does not touch it.
    pub(super) fn map(&self, buffer: &wgpu::Buffer, mode: wgpu::MapMode, bytes: u64) -> Result<()> {
        self.mapped(&ask(buffer, mode, bytes), None)
    }

    /// Waits until the host can use what it asked for, where it must wait for `submission`, which uses it.
    pub(super) fn mapped(&self, asked: &Asked, submission: Option<wgpu::SubmissionIndex>) -> Result<()> {
        self.look()?;
        let outcome = match asked.try_recv() {
            Ok(outcome) => outcome,
            Err(_) => {
                self.wait_for(submission)?;
                asked.recv().map_err(|e| Error::DeviceLost(e.to_string()))?
            }
        };
        outcome.map_err(|e| Error::DeviceLost(e.to_string()))
    }
}

/// Where it will be said that the host can use a buffer.
pub(super) type Asked = mpsc::Receiver<std::result::Result<(), wgpu::BufferAsyncError>>;

/// Asks for the first `bytes` of a buffer.
pub(super) fn ask(buffer: &wgpu::Buffer, mode: wgpu::MapMode, bytes: u64) -> Asked {
    let (sender, receiver) = mpsc::channel();
    buffer.map_async(mode, 0..bytes, move |outcome| {
        // Nobody listens any more only where an error has been returned already.
        let _ = sender.send(outcome);
    });
    receiver
}

/// Numbers of four bytes, little-endian, that one thread copies at a time.
const WORDS: usize = 1 << 15;

/// Adds what was read back to the end of `to`, with all threads and without writing zeros first.
pub(crate) fn append<T: Word>(to: &mut Vec<T>, data: &[u8]) {
    let (words, _) = data.as_chunks::<4>();
    to.par_extend(words.par_iter().with_min_len(WORDS).map(|b| T::of_le(*b)));
}

/// Adds what was read back, number by number.
pub(crate) fn add(to: &mut [f32], data: &[u8]) {
    let (words, _) = data.as_chunks::<4>();
    to.par_iter_mut()
        .with_min_len(WORDS)
        .zip(words.par_iter())
        .for_each(|(to, b)| *to += f32::from_le_bytes(*b));
}

/// What was read back as numbers, where it lies; copied only where it lies askew.
pub(crate) fn numbers(data: &[u8]) -> Cow<'_, [f32]> {
    match bytemuck::try_cast_slice(data) {
        Ok(numbers) => Cow::Borrowed(numbers),
        Err(_) => Cow::Owned(data.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect()),
    }
}

/// What four bytes can stand for.
pub(crate) trait Word: Send {
    /// From bytes, the lowest first.
    fn of_le(bytes: [u8; 4]) -> Self;
}

impl Word for f32 {
    fn of_le(bytes: [u8; 4]) -> Self {
        f32::from_le_bytes(bytes)
    }
}

impl Word for u32 {
    fn of_le(bytes: [u8; 4]) -> Self {
        u32::from_le_bytes(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::{Cow, numbers, size_class};

    #[test]
    fn what_was_read_is_appended_and_added_in_its_order() {
        let numbers: Vec<f32> = (0..3 * super::WORDS + 7).map(|i| i as f32).collect();
        let bytes: &[u8] = bytemuck::cast_slice(&numbers);
        let mut read = vec![-1.0];
        super::append(&mut read, bytes);
        assert_eq!(read[0], -1.0);
        assert_eq!(read[1..], numbers);
        super::add(&mut read[1..], bytes);
        assert!(read[1..].iter().zip(&numbers).all(|(a, b)| *a == 2.0 * b));
        let mut words: Vec<u32> = Vec::new();
        super::append(&mut words, bytes);
        assert!(words.iter().zip(&numbers).all(|(a, b)| *a == b.to_bits()) && words.len() == numbers.len());
    }

    #[test]
    fn numbers_are_where_they_were_read_or_a_copy() {
        let values = [1.5_f32, -0.0, f32::NAN, 3.0e-39];
        let bytes: &[u8] = bytemuck::cast_slice(&values);
        let bits = |numbers: &[f32]| numbers.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert!(matches!(numbers(bytes), Cow::Borrowed(found) if bits(found) == bits(&values)));
        let mut askew = vec![0_u8; bytes.len() + 4];
        let at = (1..5).find(|at| !(askew.as_ptr() as usize + at).is_multiple_of(4)).expect("one is askew");
        askew[at..at + bytes.len()].copy_from_slice(bytes);
        let found = numbers(&askew[at..at + bytes.len()]);
        assert!(matches!(found, Cow::Owned(_)) && bits(&found) == bits(&values));
    }

    #[test]
    fn a_size_class_holds_what_was_asked_and_little_more() {
        for bytes in [1_u64, 255, 256, 257, 4096, 100_000, 134_217_728, 134_217_729] {
            let class = size_class(bytes);
            assert!(class >= bytes && class.is_multiple_of(256));
            assert!(class <= bytes + (bytes / 4).max(256), "{bytes} {class}");
        }
        assert_eq!(size_class(134_217_728), 134_217_728);
    }
}
