//! A frame as the cloud's colours and outline are taken from it.

use image::RgbImage;

/// One frame, for colours and silhouettes.
#[derive(Debug, Clone)]
pub struct View {
    /// The picture.
    pub picture: RgbImage,
    /// Pixels of the head with its hair, `[height, width]`.
    pub head: Vec<bool>,
}
