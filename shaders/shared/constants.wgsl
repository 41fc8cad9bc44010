// The numbers every backend shares; a test holds them against src/raster/constants.rs, which explains them.
const TILE: u32 = 16u;
const NEAR: f32 = 0.2;
const FAR: f32 = 100.0;
const ALPHA_CAP: f32 = 0.99;
const ALPHA_MIN: f32 = 1.0 / 255.0;
const TRANSMITTANCE_MIN: f32 = 1e-4;
const MEDIAN_TRANSMITTANCE: f32 = 0.5;
const CUTOFF: f32 = 3.0;
const FILTER_SIZE: f32 = 0.707106;
const FILTER_INVERSE_SQUARE: f32 = 2.0;
const HALF_BOX_SQUARED_MIN: f32 = 1e-4;
const MAGNITUDE_MAX: f32 = 1e15;
