//! What deforms the canonical cloud for a frame: tri-planes and embedding ask, four tokens answer.
//! Knows candle; `gpu` alone knows the rasterizer's device.
//!
//! ```text
//! positions ─▶ tri-planes [n, 64] ┐
//! embedding ─────────────── [n, 32]┴▶ linear ▶ x [n, 64] ─┐ asks
//! audio, expression, camera, frame ▶ 4 tokens [b, 4, 64] ─┴▶ cross-attention ▶ 5 heads ▶ packed [b, n, p]
//! ```
//!
//! The columns of the packed deformation are named by [`Layout`]; everything in it is *added* to the raw
//! parameters of a surfel (quaternion, log-scale, opacity logit, harmonics), the position in units of the
//! dataset. Sizes follow SyncGaussianTalker and GaussianTalker (tri-plane, tokens, cross-attention, heads)
//! and DEGSTalk (an embedding for each surfel); where we differ, the file says so.
//!
//! Three ways through the same network, compared with each other by tests:
//! * [`Field::forward`]: candle's graph from the parameters to the packed deformation, in f32 or f64;
//! * [`Field::infer`], [`Field::backward`] and [`Field::step`]: on the CPU in f32 the rows run in small chunks over
//!   rayon with a hand-written backward (`rows`), about three times faster than the graph and the same for any number of
//!   threads;
//! * [`DeviceField`]: the rows as compute shaders where the rasterizer is.

mod attention;
mod audio_input;
mod audio_net;
mod blendshapes;
mod config;
mod deform;
mod frame_weights;
mod gpu;
mod heads;
mod matrix;
mod moments;
mod net_index;
mod params;
mod rows;
mod rows_backward;
mod rows_bridge;
mod small_nets;
mod statistics;
mod store;
mod tokens;
mod triplane;
mod triplane_graph;

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests;

pub use blendshapes::{squashed, stretched};
pub use config::{FieldBounds, FieldConfig, TokenInputs};
pub use deform::{Deformation, Field, FieldGradients};
pub use gpu::{DeviceDeltas, DeviceField, LearnRates, Learned};
pub use heads::Layout;
pub use triplane::Prepared;

/// Numbers of the expression token: the 22 upper-face blendshapes.
pub const EXPRESSION: usize = data_utils::dataset::EXPRESSION_COLUMNS;
/// Audio rows around a frame.
pub const AUDIO_ROWS: usize = 8;
/// Tokens a surfel attends to: audio, expression, camera, frame.
pub const TOKENS: usize = 4;

/// What drives one frame. The four tokens of the field are made from it.
#[derive(Debug, Clone, PartialEq)]
pub struct Conditions {
    /// Eight audio rows around the frame, `[8, channels, width]` flattened; which one is the frame's own says
    /// [`FieldConfig::audio_rows_before`].
    pub audio: Vec<f32>,
    /// 22 upper-face blendshapes, 0..1.
    pub expression: Vec<f32>,
    /// The camera's twelve numbers ([`crate::Camera::token`]).
    pub camera: [f32; 12],
    /// Index of the frame the frame code is made from; 0 freezes it.
    pub frame: f32,
}
