//! What the stages of the network on the GPU are told.

use crate::gpu::uniforms::uniform;

uniform! {
    /// See `shaders/lpips/lpips_conv.wgsl`.
    ConvParams {
        pixels: u32,
        out_rows: u32,
        out_columns: u32,
        in_rows: u32,
        in_columns: u32,
        in_quads: u32,
        out_quads: u32,
        side: u32,
        stride: u32,
        padding: u32,
        kernel: u32,
        bias: u32,
        centre_in: u32,
        centre_out: u32,
        across: u32,
        down: u32,
        slices: u32,
        keep: u32,
        rectify: u32,
    }
}

uniform! {
    /// See `shaders/shared/lpips_pool.wgsl`.
    PoolParams {
        pictures: u32,
        in_rows: u32,
        in_columns: u32,
        out_rows: u32,
        out_columns: u32,
        quads: u32,
        side: u32,
        keep: u32,
    }
}

uniform! {
    /// See `shaders/lpips/lpips_tap.wgsl`.
    TapParams {
        pairs: u32,
        plane: u32,
        quads: u32,
        head: u32,
        sums: u32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::uniforms::assert_layout;

    #[test]
    fn structs_are_laid_out_as_the_shaders_declare_them() {
        assert_layout("lpips_conv", "ConvParams", ConvParams::MEMBERS);
        assert_layout("lpips_pool", "PoolParams", PoolParams::MEMBERS);
        assert_layout("lpips_pool_backward", "PoolParams", PoolParams::MEMBERS);
        assert_layout("lpips_tap", "TapParams", TapParams::MEMBERS);
    }
}
