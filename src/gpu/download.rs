//! What the device has, part by part: while one is taken, the next are on their way.

use super::buffers::{Asked, Loan, Use, ask};
use super::context::Gpu;
use super::upload::PART;
use crate::{Error, Result};

/// A part on its way to the host.
struct Coming {
    first: usize,
    bytes: usize,
    staging: Loan,
    asked: Asked,
    submission: wgpu::SubmissionIndex,
}

impl Gpu {
    /// Reads the first `bytes`, a multiple of 4, of `buffer`. `take` gets each part in its order, and where its first
    /// byte was.
    ///
    /// # Errors
    /// Those of `take`, after which nothing more is taken; [`Error::DeviceLost`] when the device is gone,
    /// [`Error::Internal`] when it was asked for nonsense.
    pub(crate) fn fetch(
        &self,
        buffer: &wgpu::Buffer,
        bytes: usize,
        mut take: impl FnMut(usize, &[u8]) -> Result<()>,
    ) -> Result<()> {
        let coming: Vec<Coming> = (0..bytes)
            .step_by(PART)
            .map(|first| self.ask_for(buffer, first, PART.min(bytes - first)))
            .collect();
        self.check()?;
        let mut taken = Ok(());
        for Coming { first, bytes, staging, asked, submission } in coming {
            if taken.is_ok() {
                self.mapped(&asked, Some(submission))?;
                taken = match staging.get_mapped_range(0..bytes as u64) {
                    Ok(view) => take(first, &view),
                    Err(e) => Err(Error::DeviceLost(format!("reading back: {e}"))),
                };
            }
            // Also what nobody takes any more: who lends it next maps it again.
            staging.unmap();
        }
        taken
    }

    fn ask_for(&self, buffer: &wgpu::Buffer, first: usize, bytes: usize) -> Coming {
        let staging = self.pool.take(Use::ReadBack, bytes as u64);
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        encoder.copy_buffer_to_buffer(buffer, first as u64, &staging, 0, bytes as u64);
        let submission = self.queue.submit([encoder.finish()]);
        let asked = ask(&staging, wgpu::MapMode::Read, bytes as u64);
        Coming { first, bytes, staging, asked, submission }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::Choice;
    use crate::gpu::buffers::append;
    use std::time::Instant;

    fn gpu() -> Gpu {
        Gpu::open(Choice::Any).expect("a device").expect("a GPU, or Mesa's software one")
    }

    /// Numbers, each another.
    fn some(count: usize) -> Vec<f32> {
        (0..count).map(|i| i as f32).collect()
    }

    fn fetched(gpu: &Gpu, buffer: &wgpu::Buffer, count: usize) -> (Vec<f32>, Vec<usize>) {
        let (mut out, mut firsts) = (Vec::new(), Vec::new());
        gpu.fetch(buffer, 4 * count, |first, data| {
            assert_eq!(first, 4 * out.len(), "parts come in order");
            firsts.push(first);
            append(&mut out, data);
            Ok(())
        })
        .expect("fetched");
        (out, firsts)
    }

    #[test]
    fn what_went_in_parts_comes_back_in_parts() {
        let gpu = gpu();
        let part = PART / 4;
        for (count, parts) in [(1, 1), (part, 1), (part + 1, 2), (3 * part, 3), (5 * part / 2, 3)] {
            let values = some(count);
            // However it is written.
            for step in [count, part / 3 + 1] {
                let write = |to: &mut crate::gpu::upload::Unwritten<'_>| {
                    assert_eq!(to.numbers(), count);
                    values.chunks(step).try_for_each(|chunk| to.write(chunk))
                };
                let loan = gpu.upload_with(4 * count, write).expect("uploaded");
                let (found, firsts) = fetched(&gpu, &loan, count);
                assert!(found == values, "{count} numbers by {step}");
                assert_eq!(firsts.len(), parts);
            }
        }
        let bytes: Vec<u8> = (0..PART + 3).map(|i| (i % 251) as u8).collect();
        let loan = gpu.upload(&[&bytes[..7], &bytes[7..]]).expect("uploaded");
        let mut found = Vec::new();
        gpu.fetch(&loan, PART + 4, |_, data| {
            found.extend_from_slice(data);
            Ok(())
        })
        .expect("fetched");
        assert!(found[..PART + 3] == bytes);
        gpu.fetch(&loan, 0, |_, _| Err(Error::Internal("a part of nothing".into()))).expect("nothing");
    }

    #[test]
    fn what_fails_leaves_nothing_behind() {
        let gpu = gpu();
        let count = 3 * PART / 4;
        let values = some(count);
        let go = || {
            let loan = gpu.upload(&[values.as_slice()]).expect("uploaded");
            assert!(fetched(&gpu, &loan, count).0 == values);
            loan
        };
        let loan = go();
        let made = gpu.buffers_made();
        for room in [1, PART / 4 + 1, count] {
            let few = gpu.upload_with(4 * count, |to| to.write(&values[..room - 1]));
            assert_eq!(few.expect_err("too few").exit_code(), 1);
            let many = gpu
                .upload_with(4 * room, |to| to.write(&values[..room - 1]).and_then(|()| to.write(&[0.0; 2])));
            assert_eq!(many.expect_err("too many").exit_code(), 1);
        }
        for part in 0..3 {
            let mut taken = 0;
            let failed = gpu.fetch(&loan, 4 * count, |first, _| {
                taken += 1;
                if first == part * PART { Err(Error::DeviceLost("elsewhere".into())) } else { Ok(()) }
            });
            assert_eq!((failed.expect_err("it fails").exit_code(), taken), (3, part + 1));
        }
        drop(loan);
        drop(go());
        // Those of other sizes that were too few or too many.
        assert!(gpu.buffers_made() - made <= 4, "{} more", gpu.buffers_made() - made);
    }

    #[test]
    fn how_long_rows_take() {
        let gpu = gpu();
        let (count, times) = (16 * 24_000 * 26, 10);
        let values = some(count);
        let loan = gpu.upload(&[values.as_slice()]).expect("uploaded");
        let mut out: Vec<f32> = Vec::with_capacity(count);
        let mut took = |what: &str, work: &mut dyn FnMut(&mut Vec<f32>)| {
            let mut best = f64::INFINITY;
            for _ in 0..times {
                out.clear();
                let start = Instant::now();
                work(&mut out);
                gpu.finish().expect("done");
                best = best.min(start.elapsed().as_secs_f64() * 1e3);
            }
            eprintln!("{} MB {what}: {best:.2} ms on {}", 4 * count / 1_000_000, gpu.name());
        };
        took("up", &mut |_| drop(gpu.upload(&[values.as_slice()]).expect("uploaded")));
        took("back at once", &mut |out| {
            let encoder = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            gpu.submit_and_read(encoder, &[(&loan, 4 * count as u64)], |_, data| append(out, data))
                .expect("read");
        });
        took("back in parts", &mut |out| {
            let take = |_, data: &[u8]| {
                append(out, data);
                Ok(())
            };
            gpu.fetch(&loan, 4 * count, take).expect("fetched");
        });
        assert!(out == values);
    }
}
