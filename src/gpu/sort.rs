//! Radix sort of (key, value) pairs on the device; `shaders/shared/radix.wgsl` tells how.

use super::buffers::Loan;
use super::context::Gpu;
use super::kernels::{Groups, Recorder};
use super::shaders::Reduce;
use crate::Result;

/// Pairs that one workgroup sorts at a time.
const BLOCK: u64 = 1024;

/// How many pairs there are.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Length {
    /// This many.
    Known(u32),
    /// As many as `work.pairs` says, at most this many.
    Counted(u32),
}

/// Bytes of the device's `Work` before the workgroups of the sort.
const SORT_GROUPS: u64 = 8;

/// Sorts `pairs` by the low `bits` of their keys, stably; what the passes need besides lives until they have run.
pub(crate) fn sort(
    recorder: &mut Recorder<'_>,
    gpu: &Gpu,
    mut pairs: [Loan; 2],
    bits: u32,
    length: Length,
    work: &wgpu::Buffer,
    keep: &mut Vec<Loan>,
) -> Result<[Loan; 2]> {
    let (most, counted) = match length {
        Length::Known(n) => (n, 0),
        Length::Counted(n) => (n, 1),
    };
    let blocks = u64::from(most).div_ceil(BLOCK).max(1);
    let groups = match length {
        Length::Known(_) => Groups::Count(blocks),
        Length::Counted(_) => Groups::Indirect(work, SORT_GROUPS),
    };
    let table = gpu.storage(256 * blocks * 4);
    let totals = gpu.storage(256 * 4);
    for pass in 0..bits.div_ceil(8) {
        let constants = gpu.uniform(&[8 * pass, most, counted, blocks as u32]);
        let [from, to] = &pairs;
        let any = Reduce::Threads;
        let buffers: [(u32, &wgpu::Buffer); 4] = [(0, &constants), (1, work), (2, from), (3, &table)];
        recorder.stage("radix_count", any, vec![], &buffers, groups)?;
        let buffers: [(u32, &wgpu::Buffer); 4] = [(0, &constants), (1, work), (2, &table), (3, &totals)];
        recorder.stage("radix_scan", any, vec![], &buffers, Groups::Count(256))?;
        let buffers: [(u32, &wgpu::Buffer); 6] =
            [(0, &constants), (1, work), (2, from), (3, to), (4, &table), (5, &totals)];
        recorder.stage("radix_scatter", any, vec![], &buffers, groups)?;
        pairs.swap(0, 1);
        keep.push(constants);
    }
    keep.extend([table, totals]);
    Ok(pairs)
}
