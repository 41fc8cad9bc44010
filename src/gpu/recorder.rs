//! The recording of stages: dispatches that share a compute pass and are submitted together.

use super::device::Gpu;
use super::pipelines::Constants;
use super::shaders::{Reduce, Shader};
use crate::Result;
use std::time::Instant;

/// Time of a stage, milliseconds.
pub type StageTime = (&'static str, f64);

/// How names of what the host does begin, where that is timed too.
pub const HOST: &str = "host: ";

/// What is timed, where the device can measure it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Timing {
    /// Nothing.
    #[default]
    Off,
    /// Every stage for itself; the stages then wait for each other a little longer.
    Stages,
    /// From the start of the first stage to the end of the last, as they run untimed.
    Whole,
}

/// Stages that are recorded and then submitted together.
pub struct Recorder<'g> {
    gpu: &'g Gpu,
    /// What is recorded.
    encoder: wgpu::CommandEncoder,
    /// The pass that further stages join.
    pass: Option<wgpu::ComputePass<'static>>,
    timing: Timing,
    queries: Option<wgpu::QuerySet>,
    /// First stage of each timed pass.
    timed: Vec<&'static str>,
}

/// Passes that can be timed in one recording.
const TIMED_MAX: u32 = 128;

impl<'g> Recorder<'g> {
    /// An empty recording.
    pub fn new(gpu: &'g Gpu, timing: Timing) -> Self {
        let queries = (timing != Timing::Off && gpu.timestamps).then(|| {
            gpu.device.create_query_set(&wgpu::QuerySetDescriptor {
                label: None,
                ty: wgpu::QueryType::Timestamp,
                count: 2 * TIMED_MAX,
            })
        });
        let encoder = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        Recorder { gpu, encoder, pass: None, timing, queries, timed: Vec::new() }
    }

    /// Records one stage with its buffers, by binding.
    pub(crate) fn stage(
        &mut self,
        shader: impl Into<Shader>,
        reduce: Reduce,
        constants: Constants,
        buffers: &[(u32, &wgpu::Buffer)],
        groups: u64,
    ) -> Result<()> {
        let entries: Vec<wgpu::BindGroupEntry<'_>> = buffers
            .iter()
            .map(|&(binding, buffer)| wgpu::BindGroupEntry { binding, resource: buffer.as_entire_binding() })
            .collect();
        self.bound_stage(shader, reduce, constants, &entries, groups)
    }

    /// The same with parts of buffers.
    pub(crate) fn bound_stage(
        &mut self,
        shader: impl Into<Shader>,
        reduce: Reduce,
        constants: Constants,
        entries: &[wgpu::BindGroupEntry<'_>],
        groups: u64,
    ) -> Result<()> {
        let most = u64::from(self.gpu.limits.max_compute_workgroups_per_dimension);
        // Spread over two dimensions where one is too short.
        let rows = groups.div_ceil(most).max(1);
        let (x, y) = (groups.div_ceil(rows), rows);
        if groups == 0 {
            return Ok(());
        }
        let shader = shader.into();
        let stage = shader.stage;
        let pipeline = self.gpu.pipelines.get(shader, reduce, constants)?;
        let group = self.gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(stage),
            layout: &pipeline.get_bind_group_layout(0),
            entries,
        });
        if self.timing == Timing::Stages {
            self.pass = None;
        }
        let mut pass = match self.pass.take() {
            Some(pass) => pass,
            None => self.begin(stage),
        };
        pass.set_pipeline(&pipeline);
        pass.set_bind_group(0, &group, &[]);
        pass.dispatch_workgroups(x as u32, y as u32, 1);
        self.pass = Some(pass);
        Ok(())
    }

    fn begin(&mut self, stage: &'static str) -> wgpu::ComputePass<'static> {
        let slot = self.timed.len() as u32;
        let timestamp_writes = self.queries.as_ref().filter(|_| slot < TIMED_MAX).map(|query_set| {
            wgpu::ComputePassTimestampWrites {
                query_set,
                beginning_of_pass_write_index: Some(2 * slot),
                end_of_pass_write_index: Some(2 * slot + 1),
            }
        });
        if timestamp_writes.is_some() {
            self.timed.push(stage);
        }
        let descriptor = wgpu::ComputePassDescriptor { label: Some(stage), timestamp_writes };
        self.encoder.begin_compute_pass(&descriptor).forget_lifetime()
    }

    /// Zeroes the first bytes of a buffer.
    pub(crate) fn clear(&mut self, buffer: &wgpu::Buffer, bytes: u64) {
        self.pass = None;
        if bytes > 0 {
            self.encoder.clear_buffer(buffer, 0, Some(bytes));
        }
    }

    /// What is recorded, for passes and copies of other kinds; further stages come after them.
    pub fn encoder(&mut self) -> &mut wgpu::CommandEncoder {
        self.pass = None;
        &mut self.encoder
    }

    /// What is recorded, to be submitted by somebody else; what is timed is forgotten.
    pub fn into_encoder(mut self) -> wgpu::CommandEncoder {
        self.pass = None;
        self.encoder
    }

    /// Submits and waits for nothing; what is timed is forgotten.
    pub(crate) fn submit(self) -> Result<()> {
        let gpu = self.gpu;
        gpu.queue.submit([self.into_encoder().finish()]);
        gpu.check()
    }

    /// Submits, waits and reads back the first bytes of each source; the times where they were asked for, those of the device
    /// before those of the host.
    pub fn submit_and_read(
        mut self,
        sources: &[(&wgpu::Buffer, u64)],
        mut take: impl FnMut(usize, &[u8]),
    ) -> Result<Vec<StageTime>> {
        self.pass = None;
        let Some(queries) = self.queries.filter(|_| !self.timed.is_empty()) else {
            self.gpu.submit_and_read(self.encoder, sources, take)?;
            return Ok(Vec::new());
        };
        let count = 2 * self.timed.len() as u32;
        let bytes = u64::from(count) * 8;
        let resolved = self.gpu.device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: bytes,
            usage: wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC,
            mapped_at_creation: false,
        });
        self.encoder.resolve_query_set(&queries, 0..count, &resolved, 0);
        let mut all = vec![(&resolved, bytes)];
        all.extend_from_slice(sources);
        let mut ticks = Vec::new();
        let start = Instant::now();
        let mut waited = None;
        self.gpu.submit_and_read(self.encoder, &all, |i, data| match i {
            0 => {
                waited = Some(Instant::now());
                ticks =
                    data.chunks_exact(8).map(|b| u64::from_le_bytes(std::array::from_fn(|k| b[k]))).collect()
            }
            _ => take(i - 1, data),
        })?;
        let waited = waited.unwrap_or(start);
        let host = [("host: submits and waits", waited - start), ("host: reads back", waited.elapsed())]
            .map(|(what, time)| (what, time.as_secs_f64() * 1e3));
        let period = f64::from(self.gpu.queue.get_timestamp_period()) * 1e-6;
        let span = |from: u64, to: u64| to.saturating_sub(from) as f64 * period;
        let mut times: Vec<StageTime> = match (self.timing, ticks.first(), ticks.last()) {
            (Timing::Whole, Some(&first), Some(&last)) => vec![("all stages", span(first, last))],
            _ => self.timed.into_iter().zip(ticks.chunks_exact(2).map(|p| span(p[0], p[1]))).collect(),
        };
        times.extend(host);
        Ok(times)
    }
}
