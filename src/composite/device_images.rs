//! Where drawn frames lie on a device.

/// Frames that the rasterizer drew on black, on the device.
#[derive(Debug, Clone, Copy)]
pub struct DeviceImages<'a> {
    /// Holds colour `[frames, 3, rows, columns]` and alpha `[frames, rows, columns]`.
    pub buffer: &'a wgpu::Buffer,
    /// Where the colour begins, in floats.
    pub at_color: u32,
    /// Where alpha begins, in floats.
    pub at_alpha: u32,
}
