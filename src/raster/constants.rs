//! The numbers every backend shares. The thresholds are the f32 values of the published rasterizer, also where the
//! arithmetic is f64: two discs of opacity 0.99 in a row end a ray because (1 − 0.99f)² < 1e-4f, which real numbers
//! would not do.

/// Side of a tile in pixels. A surfel is drawn on whole tiles, so this is part of the picture.
pub const TILE: usize = 16;

/// Nearest depth that is drawn, of a centre and of a ray's hit.
pub const NEAR: f64 = 0.2_f32 as f64;

/// Far end of the depths that the distortion maps to 0..1.
pub const FAR: f64 = 100.0;

/// Largest alpha of one surfel on one pixel.
pub const ALPHA_CAP: f64 = 0.99_f32 as f64;

/// Smallest alpha that is drawn.
pub const ALPHA_MIN: f64 = (1.0_f32 / 255.0) as f64;

/// A ray ends before the surfel that would bring its transmittance under this.
pub const TRANSMITTANCE_MIN: f64 = 1e-4_f32 as f64;

/// The median depth is that of the last surfel met with more transmittance than this.
pub const MEDIAN_TRANSMITTANCE: f64 = 0.5;

/// A surfel reaches this many standard deviations when its tiles are chosen.
pub const CUTOFF: f64 = 3.0;

/// Standard deviation, in pixels, of the low-pass filter of 2DGS §4.2: no surfel is drawn smaller.
#[expect(
    clippy::approx_constant,
    reason = "the published rasterizer has this number, and radii depend on it"
)]
pub const FILTER_SIZE: f64 = 0.707106_f32 as f64;

/// 1 / [`FILTER_SIZE`]², as the exponent uses it.
pub const FILTER_INVERSE_SQUARE: f64 = 2.0;

/// Smallest squared half box, pixels².
pub const HALF_BOX_SQUARED_MIN: f64 = 1e-4_f32 as f64;

/// Inputs beyond this overflow f32 once they are squared and multiplied; they are treated as infinities are.
pub const MAGNITUDE_MAX: f64 = 1e15;

/// Colour channels, then attention channels, of one pass.
pub const CHANNELS: usize = 7;
