//! Constants of the stages, as the shaders declare them; a test compares the two.

use crate::gpu::uniforms::uniform;

pub(super) use crate::gpu::uniforms::ABSENT;

/// What becomes of a product in stage `dense`.
pub(super) const NOTHING: u32 = 0;
pub(super) const ADD: u32 = 1;
pub(super) const MASK: u32 = 2;
pub(super) const KEEP: u32 = 3;
pub(super) const MASK_KEPT: u32 = 4;
/// Side of the tiles of products, and how many numbers they are deep.
pub(super) const BLOCK: u32 = 64;
pub(super) const DEPTH: u32 = 16;
/// Threads of a row of layer norm, and columns of a workgroup of its scale's gradient.
pub(super) const LANES: u32 = 16;
pub(super) const COLUMNS: u32 = 64;
/// Threads of a workgroup.
pub(super) const THREADS: usize = 256;

uniform! {
    /// See `shaders/shared/field.wgsl`.
    FieldUniform {
        surfels: u32,
        frames: u32,
        first_frame: u32,
        channels: u32,
        scales: u32,
        side_0: u32,
        side_1: u32,
        side_2: u32,
        side_3: u32,
        embedding: u32,
        heads: u32,
        share: f32,
        fresh: u32,
        hidden: u32,
        outputs: u32,
        columns: u32,
        last: u32,
        last_bias: u32,
        drives: u32,
        last_back: u32,
        drives_back: u32,
        frame: u32,
        reach: f32,
        low_0: f32,
        low_1: f32,
        low_2: f32,
        high_0: f32,
        high_1: f32,
        high_2: f32,
    }
}

uniform! {
    /// See `shaders/field/dense.wgsl`.
    DenseUniform {
        rows: u32,
        frames: u32,
        inner: u32,
        columns: u32,
        matrix: u32,
        matrix_frame: u32,
        bias: u32,
        bias_frame: u32,
        from_frame: u32,
        other_frame: u32,
        purpose: u32,
        relu: u32,
    }
}

uniform! {
    /// See `shaders/field/dense_backward.wgsl`.
    ProductUniform {
        rows: u32,
        frames: u32,
        piece: u32,
        pieces: u32,
        left: u32,
        left_start: u32,
        left_row: u32,
        right: u32,
        right_start: u32,
        right_row: u32,
        left_frame: u32,
    }
}

uniform! {
    /// See `shaders/field/sum_pieces.wgsl`.
    PieceUniform {
        count: u32,
        results: u32,
        pieces: u32,
        first: u32,
        stride: u32,
        fresh: u32,
    }
}

uniform! {
    /// See `shaders/shared/norm.wgsl`.
    NormUniform {
        rows: u32,
        width: u32,
        scale: u32,
        shift: u32,
        relu: u32,
    }
}

uniform! {
    /// See `shaders/field/scale_backward.wgsl`.
    ScaleUniform {
        rows: u32,
        width: u32,
        piece: u32,
        pieces: u32,
    }
}

uniform! {
    /// See `shaders/field/sum_frames.wgsl`.
    FrameUniform {
        count: u32,
        frames: u32,
        fresh: u32,
    }
}

uniform! {
    /// See `shaders/shared/learn.wgsl`.
    LearnUniform {
        count: u32,
        rate: f32,
        correction1: f32,
        correction2: f32,
        width: u32,
        row: u32,
        start: u32,
    }
}
