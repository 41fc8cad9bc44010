//! From the device to the host by a blocking wait. For training and for tests; frames come back through
//! [`super::readback_ring`].

use super::device::Gpu;
use super::map::MapRequest;
use super::pool::BufferUse;
use crate::{Error, Result};

impl Gpu {
    /// Submits `encoder` and reads the first `bytes` of each of `sources`, one after another.
    ///
    /// # Errors
    /// [`Error::DeviceLost`] when the device is gone, [`Error::Internal`] when it was asked for something invalid.
    pub(crate) fn submit_and_read(
        &self,
        mut encoder: wgpu::CommandEncoder,
        sources: &[(&wgpu::Buffer, u64)],
        mut take: impl FnMut(usize, &[u8]),
    ) -> Result<()> {
        let total = sources.iter().map(|s| s.1).sum();
        if total == 0 {
            self.queue.submit([encoder.finish()]);
            return self.wait_idle();
        }
        let staging = self.pool.acquire(BufferUse::ReadBack, total);
        let mut at = 0;
        for (buffer, bytes) in sources.iter().filter(|s| s.1 > 0) {
            encoder.copy_buffer_to_buffer(buffer, 0, &staging, at, *bytes);
            at += bytes;
        }
        self.queue.submit([encoder.finish()]);
        self.check()?;
        let mapping = MapRequest::new(&staging, wgpu::MapMode::Read, total.max(4));
        self.wait_mapped(&mapping, None)?;
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::device::Choice;

    #[test]
    fn threads_that_read_back_at_the_same_time_each_get_their_own_bytes() {
        let gpu = Gpu::open(Choice::Any).expect("a device").expect("a GPU, or Mesa's software one");
        // A thread's answer may be taken along by another thread's poll; it must still arrive.
        std::thread::scope(|scope| {
            for thread in 0..4_u32 {
                let gpu = &gpu;
                scope.spawn(move || {
                    for round in 0..300 {
                        let values = [thread, round, thread ^ round];
                        let buffer = gpu.upload(&[&values[..]]).expect("uploaded");
                        let encoder = gpu.device.create_command_encoder(&Default::default());
                        let mut found = Vec::new();
                        let sources = [(&*buffer, 12)];
                        gpu.submit_and_read(encoder, &sources, |_, data| found = data.to_vec())
                            .expect("read");
                        assert_eq!(found, bytemuck::cast_slice::<u32, u8>(&values), "{thread} {round}");
                    }
                });
            }
        });
    }
}
