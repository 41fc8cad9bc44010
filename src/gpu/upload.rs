//! From the host to the device, chunk by chunk: while one is copied, the next is written. Nothing here waits.

use super::device::Gpu;
use super::pool::PooledBuffer;
use crate::{Error, Result};
use rayon::prelude::*;

/// Bytes that go between the host and the device at a time: long enough that a submission costs little beside it.
pub(super) const CHUNK: usize = 8 << 20;

/// The unwritten rest of a staging upload. Bytes are written from front to back.
#[derive(Debug)]
pub struct StagingWriter<'a> {
    gpu: &'a Gpu,
    to: &'a wgpu::Buffer,
    /// The chunk that is being written.
    chunk: Option<StagingChunk>,
    /// Bytes that are submitted.
    submitted: u64,
    /// Bytes to be written.
    left: usize,
}

/// Mapped memory that the device will copy from.
#[derive(Debug)]
struct StagingChunk {
    staging: PooledBuffer,
    view: wgpu::BufferViewMut,
    written: usize,
    bytes: usize,
}

impl Gpu {
    /// A buffer that holds slices one after another.
    ///
    /// # Errors
    /// [`crate::Error::DeviceLost`] when the device is gone or out of memory.
    pub fn upload<T: bytemuck::NoUninit>(&self, parts: &[&[T]]) -> Result<PooledBuffer> {
        let bytes = parts.iter().map(|p| size_of_val(*p)).sum::<usize>();
        let write = |to: &mut StagingWriter<'_>| {
            parts.iter().try_for_each(|part| to.write_bytes(bytemuck::cast_slice(part)))
        };
        self.upload_with(bytes, write)
    }

    /// A buffer of `bytes` that `fill` writes to, all of it.
    ///
    /// # Errors
    /// That of `fill`, [`Error::Internal`] when it leaves something unwritten, [`Error::DeviceLost`] when the device is
    /// gone.
    pub(crate) fn upload_with(
        &self,
        bytes: usize,
        fill: impl FnOnce(&mut StagingWriter<'_>) -> Result<()>,
    ) -> Result<PooledBuffer> {
        let buffer = self.storage(bytes as u64);
        if bytes > 0 {
            let mut to = StagingWriter { gpu: self, to: &buffer, chunk: None, submitted: 0, left: bytes };
            fill(&mut to)?;
            if to.left > 0 {
                return Err(Error::Internal(format!("{} bytes of an upload are unwritten", to.left)));
            }
        }
        Ok(buffer)
    }
}

impl StagingWriter<'_> {
    /// Floats that there is room for.
    pub fn floats(&self) -> usize {
        self.left / 4
    }

    /// Writes floats behind those written before, with all threads.
    ///
    /// # Errors
    /// [`Error::Internal`] when there is no room for them, [`Error::DeviceLost`] when the device is gone.
    pub fn write(&mut self, floats: &[f32]) -> Result<()> {
        self.write_bytes(bytemuck::cast_slice(floats))
    }

    /// The same for bytes.
    pub(crate) fn write_bytes(&mut self, mut bytes: &[u8]) -> Result<()> {
        if bytes.len() > self.left {
            let (bytes, left) = (bytes.len(), self.left);
            return Err(Error::Internal(format!("{bytes} bytes to write where {left} are left")));
        }
        while !bytes.is_empty() {
            let chunk = match &mut self.chunk {
                Some(chunk) => chunk,
                None => self.chunk.insert(StagingChunk::new(self.gpu, self.left.min(CHUNK))?),
            };
            let (now, later) = bytes.split_at(bytes.len().min(chunk.bytes - chunk.written));
            copy(chunk.view.slice(chunk.written..chunk.written + now.len()), now);
            chunk.written += now.len();
            self.left -= now.len();
            bytes = later;
            if chunk.written == chunk.bytes {
                self.submit();
            }
        }
        Ok(())
    }

    /// Submits the copy of a chunk that is written.
    fn submit(&mut self) {
        let Some(StagingChunk { staging, view, bytes, .. }) = self.chunk.take() else { return };
        drop(view);
        staging.unmap();
        let mut encoder = self.gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        encoder.copy_buffer_to_buffer(&staging, 0, self.to, self.submitted, whole_words(bytes));
        self.gpu.queue.submit([encoder.finish()]);
        self.submitted += bytes as u64;
        staging.recycle_upload();
    }
}

impl Drop for StagingWriter<'_> {
    fn drop(&mut self) {
        // A chunk is left where writing failed.
        if let Some(StagingChunk { staging, view, .. }) = self.chunk.take() {
            drop(view);
            staging.unmap();
            staging.recycle_upload();
        }
    }
}

impl StagingChunk {
    fn new(gpu: &Gpu, bytes: usize) -> Result<Self> {
        // Learns which buffers the device has copied from.
        gpu.poll()?;
        let staging = gpu.pool.acquire_upload(whole_words(bytes));
        let view = staging
            .get_mapped_range_mut(0..whole_words(bytes))
            .map_err(|e| Error::DeviceLost(format!("writing to the device: {e}")))?;
        Ok(StagingChunk { staging, view, written: 0, bytes })
    }
}

/// Copies on the device come in words: bytes up to the end of the last.
fn whole_words(bytes: usize) -> u64 {
    (bytes as u64).next_multiple_of(4)
}

/// Bytes that one thread copies at a time.
const PIECE: usize = 1 << 17;

/// Copies to the device's memory with all threads: first touches of fresh pages cost more than the copying.
fn copy(to: wgpu::WriteOnly<'_, [u8]>, source: &[u8]) {
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
    use crate::gpu::device::Choice;

    #[test]
    fn pieces_are_copied_to_their_places() {
        let source: Vec<u8> = (0..5 * PIECE / 2).map(|i| (i % 251) as u8).collect();
        let mut written = vec![0; source.len()];
        copy(wgpu::WriteOnly::from(written.as_mut_slice()), &source);
        assert_eq!(written, source);
    }

    fn gpu() -> Gpu {
        Gpu::open(Choice::Any).expect("a device").expect("a GPU, or Mesa's software one")
    }

    /// Floats, each another.
    fn some(count: usize) -> Vec<f32> {
        (0..count).map(|i| i as f32).collect()
    }

    fn read_back(gpu: &Gpu, buffer: &wgpu::Buffer, bytes: usize) -> Vec<u8> {
        let encoder = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let mut found = Vec::new();
        gpu.submit_and_read(encoder, &[(buffer, bytes as u64)], |_, data| found = data.to_vec())
            .expect("read");
        found
    }

    #[test]
    fn what_was_written_in_chunks_is_on_the_device() {
        let gpu = gpu();
        let chunk = CHUNK / 4;
        for count in [1, chunk, chunk + 1, 5 * chunk / 2] {
            let values = some(count);
            // However it is written.
            for step in [count, chunk / 3 + 1] {
                let write = |to: &mut StagingWriter<'_>| {
                    assert_eq!(to.floats(), count);
                    values.chunks(step).try_for_each(|part| to.write(part))
                };
                let buffer = gpu.upload_with(4 * count, write).expect("uploaded");
                let found = read_back(&gpu, &buffer, 4 * count);
                assert!(found == bytemuck::cast_slice::<f32, u8>(&values), "{count} floats by {step}");
            }
        }
        let bytes: Vec<u8> = (0..CHUNK + 3).map(|i| (i % 251) as u8).collect();
        let buffer = gpu.upload(&[&bytes[..7], &bytes[7..]]).expect("uploaded");
        assert!(read_back(&gpu, &buffer, CHUNK + 4)[..CHUNK + 3] == bytes);
    }

    #[test]
    fn an_upload_that_fails_leaves_nothing_behind() {
        let gpu = gpu();
        let count = 3 * CHUNK / 4;
        let values = some(count);
        let upload = || {
            let buffer = gpu.upload(&[values.as_slice()]).expect("uploaded");
            assert!(read_back(&gpu, &buffer, 4 * count) == bytemuck::cast_slice::<f32, u8>(&values));
        };
        upload();
        let made = gpu.buffers_made();
        for room in [1, CHUNK / 4 + 1, count] {
            let few = gpu.upload_with(4 * count, |to| to.write(&values[..room - 1]));
            assert_eq!(few.expect_err("too few").exit_code(), 1);
            let many = gpu
                .upload_with(4 * room, |to| to.write(&values[..room - 1]).and_then(|()| to.write(&[0.0; 2])));
            assert_eq!(many.expect_err("too many").exit_code(), 1);
        }
        upload();
        // Those of other sizes that were too few or too many.
        assert!(gpu.buffers_made() - made <= 5, "{} more", gpu.buffers_made() - made);
    }

    #[test]
    fn uploads_that_the_device_has_copied_are_written_again() {
        let gpu = gpu();
        let step = |k: u32| {
            let buffer = gpu.upload(&[[k; 1000].as_slice()]).expect("uploaded");
            assert_eq!(read_back(&gpu, &buffer, 4), k.to_le_bytes());
        };
        (0..3).for_each(step);
        let made = gpu.buffers_made();
        (3..20).for_each(step);
        assert_eq!(gpu.buffers_made(), made);
    }
}
