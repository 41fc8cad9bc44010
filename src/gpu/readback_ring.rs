//! A ring of read-back slots: copies are submitted, and their bytes taken when the device has made them. Nothing waits
//! unless it is told to (compare `gpu_readback_belt.rs` of Rerun's renderer).

use super::device::Gpu;
use super::map::MapRequest;
use super::pool::{BufferUse, PooledBuffer};
use crate::{Error, Result};
use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Slots for read-backs in flight. Cheap to clone; clones share the slots.
#[derive(Debug, Clone)]
pub struct ReadbackRing {
    gpu: Gpu,
    /// Each read-back in flight holds a clone.
    in_flight: Arc<()>,
    slots: usize,
}

/// A read-back in flight. Dropped before its bytes are taken, it gives its slot back.
///
/// As a future it ends when the bytes can be taken; see [`Gpu::poll`] for who must poll the device.
#[derive(Debug)]
pub struct PendingReadback {
    gpu: Gpu,
    staging: PooledBuffer,
    mapping: MapRequest,
    /// Bytes of each source.
    sizes: Vec<u64>,
    submission: wgpu::SubmissionIndex,
    _slot: Arc<()>,
}

impl ReadbackRing {
    /// A ring of `slots`; their memory is made when first used.
    pub fn new(gpu: &Gpu, slots: usize) -> Self {
        ReadbackRing { gpu: gpu.clone(), in_flight: Arc::new(()), slots: slots.max(1) }
    }

    /// Slots that no read-back holds.
    pub fn free_slots(&self) -> usize {
        self.slots.saturating_sub(self.held())
    }

    /// Read-backs in flight: holders of the count beside the rings themselves.
    fn held(&self) -> usize {
        Arc::strong_count(&self.in_flight) - 1
    }

    /// Submits `encoder` and a copy of a part of each of `sources`: bytes from one multiple of 4 to another.
    ///
    /// # Errors
    /// [`Error::Internal`] when no slot is free, [`Error::DeviceLost`] when the device is gone.
    pub fn submit(
        &self,
        mut encoder: wgpu::CommandEncoder,
        sources: &[(&wgpu::Buffer, Range<u64>)],
    ) -> Result<PendingReadback> {
        if self.free_slots() == 0 {
            return Err(Error::Internal(format!("all {} read-back slots are in flight", self.slots)));
        }
        let sizes: Vec<u64> = sources.iter().map(|(_, part)| part.end - part.start).collect();
        let total = sizes.iter().sum::<u64>().max(4);
        let staging = self.gpu.pool.acquire(BufferUse::ReadBack, total);
        let mut at = 0;
        for ((buffer, part), bytes) in sources.iter().zip(&sizes).filter(|(_, bytes)| **bytes > 0) {
            encoder.copy_buffer_to_buffer(buffer, part.start, &staging, at, *bytes);
            at += bytes;
        }
        let submission = self.gpu.queue.submit([encoder.finish()]);
        self.gpu.check()?;
        let mapping = MapRequest::new(&staging, wgpu::MapMode::Read, total);
        let (gpu, _slot) = (self.gpu.clone(), self.in_flight.clone());
        Ok(PendingReadback { gpu, staging, mapping, sizes, submission, _slot })
    }
}

impl PendingReadback {
    /// Whether the bytes can be taken; does not wait.
    ///
    /// # Errors
    /// [`Error::DeviceLost`] when the device is gone, [`Error::Internal`] when it was asked for something invalid.
    pub fn is_ready(&self) -> Result<bool> {
        self.gpu.poll()?;
        self.mapping.outcome().transpose().map(|outcome| outcome.is_some())
    }

    /// Waits until the bytes can be taken, and not for what was submitted later.
    ///
    /// # Errors
    /// As [`PendingReadback::is_ready`]; in a browser [`Error::Internal`] unless they can be taken already.
    pub fn wait(&self) -> Result<()> {
        self.gpu.wait_mapped(&self.mapping, Some(self.submission.clone()))
    }

    /// Gives the bytes of each source to `take`, with its number, and the slot back.
    ///
    /// # Errors
    /// [`Error::Internal`] when the bytes cannot be taken yet, [`Error::DeviceLost`] when the device is gone.
    pub fn take(self, mut take: impl FnMut(usize, &[u8])) -> Result<()> {
        match self.mapping.outcome() {
            Some(outcome) => outcome?,
            None => return Err(Error::Internal("a read-back was taken before it was ready".into())),
        }
        let total = self.sizes.iter().sum::<u64>().max(4);
        let view = self
            .staging
            .get_mapped_range(0..total)
            .map_err(|e| Error::DeviceLost(format!("reading back: {e}")))?;
        let mut at = 0;
        for (i, bytes) in self.sizes.iter().enumerate() {
            take(i, &view[at..at + *bytes as usize]);
            at += *bytes as usize;
        }
        Ok(())
    }
}

impl Future for PendingReadback {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.gpu.poll()?;
        Pin::new(&mut self.mapping).poll(context)
    }
}

impl Drop for PendingReadback {
    fn drop(&mut self) {
        // Mapped or about to be: the buffer's next user maps it again.
        self.staging.unmap();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::device::Choice;

    fn ring(slots: usize) -> (Gpu, ReadbackRing) {
        let gpu = Gpu::open(Choice::Any).expect("a device").expect("a GPU, or Mesa's software one");
        let ring = ReadbackRing::new(&gpu, slots);
        (gpu, ring)
    }

    fn request(gpu: &Gpu, ring: &ReadbackRing, values: &[u32]) -> Result<PendingReadback> {
        let buffer = gpu.upload(&[values])?;
        let encoder = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        ring.submit(encoder, &[(&buffer, 0..4 * values.len() as u64), (&buffer, 0..4)])
    }

    fn taken(pending: PendingReadback) -> [Vec<u8>; 2] {
        let mut found = [Vec::new(), Vec::new()];
        pending.take(|i, data| found[i] = data.to_vec()).expect("taken");
        found
    }

    #[test]
    fn several_read_backs_are_in_flight_and_come_in_their_order() {
        let (gpu, ring) = ring(3);
        let values: Vec<Vec<u32>> = (0..3).map(|k| (0..1000).map(|i| 1000 * k + i).collect()).collect();
        for _ in 0..3 {
            let pending: Vec<_> = values.iter().map(|v| request(&gpu, &ring, v).expect("a slot")).collect();
            assert_eq!(ring.free_slots(), 0);
            let full = request(&gpu, &ring, &values[0]).expect_err("no slot is free");
            assert!(full.to_string().contains("all 3 read-back slots"), "{full}");
            for (pending, values) in pending.into_iter().zip(&values) {
                pending.wait().expect("done");
                assert!(pending.is_ready().expect("a device"));
                assert_eq!(
                    taken(pending),
                    [bytemuck::cast_slice::<u32, u8>(values), bytemuck::cast_slice(&values[..1])]
                );
            }
            assert_eq!(ring.free_slots(), 3);
        }
    }

    #[test]
    fn bytes_are_taken_by_polling_alone_and_by_awaiting() {
        let (gpu, ring) = ring(1);
        let pending = request(&gpu, &ring, &[7, 8]).expect("a slot");
        let start = std::time::Instant::now();
        while !pending.is_ready().expect("a device") {
            assert!(start.elapsed().as_secs() < 60, "polling never ends");
            std::thread::yield_now();
        }
        assert_eq!(taken(pending)[1], 7_u32.to_le_bytes());
        let mut pending = request(&gpu, &ring, &[9]).expect("a slot");
        gpu.wait_idle().expect("idle");
        pollster::block_on(&mut pending).expect("mapped");
        assert_eq!(taken(pending)[0], 9_u32.to_le_bytes());
    }

    #[test]
    fn a_read_back_that_is_dropped_gives_its_slot_back() {
        let (gpu, ring) = ring(1);
        drop(request(&gpu, &ring, &[1]).expect("a slot"));
        assert_eq!(ring.free_slots(), 1);
        let pending = request(&gpu, &ring, &[2]).expect("a slot");
        pending.wait().expect("done");
        assert_eq!(taken(pending)[0], 2_u32.to_le_bytes());
    }

    #[test]
    fn a_lost_device_ends_a_read_back() {
        let (gpu, ring) = ring(2);
        let pending = request(&gpu, &ring, &[1; 1000]).expect("a slot");
        gpu.destroy();
        let outcome = pending.wait().and_then(|()| request(&gpu, &ring, &[2]).map(drop));
        assert_eq!(outcome.expect_err("the device is gone").exit_code(), 3);
    }
}
