//! What deforms the canonical cloud for a frame: tri-planes and embedding ask, four tokens answer.
//! Knows candle, and no GPU API.

/// What drives one frame. The four tokens of the field are made from it.
#[derive(Debug, Clone, PartialEq)]
pub struct Conditions {
    /// Eight audio rows around the frame, `[8, channels, width]` flattened; the frame's own is row 4.
    pub audio: Vec<f32>,
    /// 22 upper-face blendshapes, 0..1.
    pub expression: Vec<f32>,
    /// The camera's twelve numbers ([`crate::Camera::token`]).
    pub camera: [f32; 12],
    /// Index of the frame the frame code is made from; 0 freezes it.
    pub frame: f32,
}
