//! A frame with the mask of its head.

use image::RgbImage;

/// One frame, for colours and silhouettes.
#[derive(Debug, Clone)]
pub struct View {
    /// The picture.
    pub picture: RgbImage,
    /// Pixels of the head with its hair, `[height, width]`.
    pub head: Vec<bool>,
}
