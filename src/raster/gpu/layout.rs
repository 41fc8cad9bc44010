//! What the host writes for the device, laid out as `shaders/shared/params.wgsl` declares it; a test compares the two.

use crate::Camera;
pub(super) use crate::gpu::uniforms::ABSENT;
use crate::gpu::uniforms::uniform;
use crate::raster::ImageGradients;
use crate::raster::Outputs;

uniform! {
    /// See the shader.
    Params {
        surfels: u32,
        frames: u32,
        copies: u32,
        instances: u32,
        width: u32,
        height: u32,
        tiles_x: u32,
        tiles_y: u32,
        functions: u32,
        attention: u32,
        pairs_max: u32,
        at_color: u32,
        at_attention: u32,
        at_alpha: u32,
        at_depth: u32,
        at_median: u32,
        at_normal: u32,
        at_distortion: u32,
        slot_first: u32,
        slot_count: u32,
        slot_width: u32,
        background_samples: u32,
        behind_first: u32,
        behind_offset: f32,
        background_0: f32,
        background_1: f32,
        background_2: f32,
        background_3: f32,
        background_4: f32,
        background_5: f32,
        background_6: f32,
    }
}

uniform! {
    /// See the shader.
    CameraUniform {
        r00: f32,
        r01: f32,
        r02: f32,
        r10: f32,
        r11: f32,
        r12: f32,
        r20: f32,
        r21: f32,
        r22: f32,
        t0: f32,
        t1: f32,
        t2: f32,
        x: f32,
        y: f32,
        z: f32,
        fx: f32,
        fy: f32,
        cx: f32,
        cy: f32,
        padding: f32,
    }
}

impl CameraUniform {
    pub(super) fn new(camera: &Camera) -> Self {
        let m = camera.camera_from_world.map(|row| row.map(|v| v as f32));
        let [x, y, z] = camera.center().map(|v| v as f32);
        CameraUniform {
            r00: m[0][0],
            r01: m[0][1],
            r02: m[0][2],
            r10: m[1][0],
            r11: m[1][1],
            r12: m[1][2],
            r20: m[2][0],
            r21: m[2][1],
            r22: m[2][2],
            t0: m[0][3],
            t1: m[1][3],
            t2: m[2][3],
            x,
            y,
            z,
            fx: camera.fx as f32,
            fy: camera.fy as f32,
            cx: camera.cx as f32,
            cy: camera.cy as f32,
            padding: 0.0,
        }
    }
}

/// Images of a batch, one after another in one buffer: color, attention, alpha, depth, median, normal, distortion.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Images {
    /// Channels of each, 0 where it is missing.
    pub(super) channels: [u32; 7],
}

impl Images {
    /// Those that are drawn.
    pub(crate) fn drawn(outputs: &Outputs) -> Self {
        let Outputs { attention, depth, median, normal, distortion } = *outputs;
        let one = |wanted: bool, channels: u32| if wanted { channels } else { 0 };
        Images {
            channels: [
                3,
                one(attention, 4),
                1,
                one(depth, 1),
                one(median, 1),
                one(normal, 3),
                one(distortion, 1),
            ],
        }
    }

    /// Those that have gradients.
    pub(super) fn with_gradients(g: &ImageGradients<f32>) -> Self {
        let one = |image: &[f32], channels: u32| if image.is_empty() { 0 } else { channels };
        Images {
            channels: [
                one(&g.color, 3),
                one(&g.attention, 4),
                one(&g.alpha, 1),
                one(&g.depth, 1),
                one(&g.median, 1),
                one(&g.normal, 3),
                one(&g.distortion, 1),
            ],
        }
    }

    /// Channels in all.
    pub(crate) fn total(&self) -> u32 {
        self.channels.iter().sum()
    }

    /// Writes where each starts, with `pixels` numbers per channel.
    pub(super) fn place(&self, params: &mut Params, pixels: u32) {
        let mut at = 0;
        let mut next = |channels: u32| {
            let here = if channels == 0 { ABSENT } else { at };
            at += channels * pixels;
            here
        };
        params.at_color = next(self.channels[0]);
        params.at_attention = next(self.channels[1]);
        params.at_alpha = next(self.channels[2]);
        params.at_depth = next(self.channels[3]);
        params.at_median = next(self.channels[4]);
        params.at_normal = next(self.channels[5]);
        params.at_distortion = next(self.channels[6]);
    }
}
