//! The terms over the embeddings of neighbouring surfels on the GPU. Twin of [`crate::loss::embedding_loss`].

use crate::Result;
use crate::gpu::Gpu;
use crate::gpu::PooledBuffer;
use crate::gpu::Recorder;
use crate::gpu::append;
use crate::gpu::shaders::Reduce;
use crate::gpu::uniforms::uniform;
use crate::loss::neighbors::NeighborGraph;
use crate::loss::terms::Weights;

uniform! {
    /// See `shaders/loss/embedding_smoothness.wgsl`.
    NeighborParams {
        count: u32,
        width: u32,
        row: u32,
        start: u32,
        weight: f32,
    }
}

/// Threads of a workgroup, each with one element of the embedding.
const THREADS: u64 = 256;

/// Neighbouring surfels on the GPU.
pub struct DeviceNeighbors {
    starts: PooledBuffer,
    neighbors: PooledBuffer,
    weights: PooledBuffer,
    surfels: u64,
}

impl DeviceNeighbors {
    /// Uploads a graph.
    ///
    /// # Errors
    /// [`crate::Error::DeviceLost`] when the device goes away.
    pub fn upload(gpu: &Gpu, graph: &NeighborGraph) -> Result<Self> {
        Ok(DeviceNeighbors {
            starts: gpu.upload(&[&graph.starts])?,
            neighbors: gpu.upload(&[&graph.neighbors])?,
            weights: gpu.upload(&[&graph.weights])?,
            surfels: graph.surfels() as u64,
        })
    }
}

/// Where an embedding and its gradient lie.
#[derive(Clone, Copy)]
pub struct EmbeddingBuffers<'a> {
    /// `[surfels, width]`.
    pub embedding: &'a wgpu::Buffer,
    /// Elements of a surfel's embedding.
    pub width: u32,
    /// `[surfels, row]`, the embedding's gradient from element `start` of each row on.
    pub gradients: &'a wgpu::Buffer,
    /// Elements of a row.
    pub row: u32,
    /// Where the embedding's gradient starts in a row.
    pub start: u32,
}

/// What the stages of the terms leave, once they have run.
pub struct EmbeddingPass {
    /// Number of each term in [`crate::loss::TERMS`], and its sums by workgroup.
    sums: Vec<(usize, PooledBuffer)>,
    groups: u64,
    /// Needed until the stages have run.
    _params: Vec<PooledBuffer>,
}

/// Records the stages of the terms that have a weight: each adds to the gradients.
///
/// # Errors
/// [`crate::Error::Internal`] when a shader is missing.
pub fn record_embedding(
    recorder: &mut Recorder<'_>,
    gpu: &Gpu,
    neighbors: &DeviceNeighbors,
    buffers: EmbeddingBuffers<'_>,
    weights: &Weights,
) -> Result<EmbeddingPass> {
    let EmbeddingBuffers { embedding, width, gradients, row, start } = buffers;
    let count = neighbors.surfels * u64::from(width);
    let groups = count.div_ceil(THREADS);
    let mut pass = EmbeddingPass { sums: Vec::new(), groups, _params: Vec::new() };
    for (number, weight, term) in weights.embedding_terms() {
        let params = NeighborParams { count: count as u32, width, row, start, weight };
        let params = gpu.uniform_as_storage(&params.words());
        let sums = gpu.storage(4 * groups);
        let buffers: [(u32, &wgpu::Buffer); 7] = [
            (0, &params),
            (1, &neighbors.starts),
            (2, &neighbors.neighbors),
            (3, &neighbors.weights),
            (4, embedding),
            (5, gradients),
            (6, &sums),
        ];
        recorder.stage(term.stage, Reduce::Threads, vec![], &buffers, groups)?;
        pass.sums.push((number, sums));
        pass._params.push(params);
    }
    Ok(pass)
}

impl EmbeddingPass {
    /// Buffers to read back, with their bytes.
    pub fn sources(&self) -> impl Iterator<Item = (&wgpu::Buffer, u64)> {
        self.sums.iter().map(|(_, sums)| (&**sums, 4 * self.groups))
    }

    /// The number and value of the term whose source `i` was read back as `data`.
    pub fn value(&self, i: usize, data: &[u8]) -> (usize, f32) {
        let mut sums: Vec<f32> = Vec::new();
        append(&mut sums, data);
        // Each pair is there from both ends.
        (self.sums[i].0, (0.5 * sums.iter().map(|v| f64::from(*v)).sum::<f64>()) as f32)
    }
}
