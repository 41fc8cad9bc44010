//! The picture of a frame.

use std::borrow::Cow;

/// A drawn picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FramePicture {
    /// Width and height, pixels.
    pub size: [usize; 2],
    /// RGB, `[rows, columns, 3]`; RGBA with straight alpha, `[rows, columns, 4]`, where it is transparent.
    pub pixels: Vec<u8>,
}

impl FramePicture {
    /// Whether it is transparent.
    pub fn has_alpha(&self) -> bool {
        self.pixels.len() == 4 * self.size[0] * self.size[1]
    }

    /// RGB; over black where it is transparent.
    pub fn rgb(&self) -> Cow<'_, [u8]> {
        if !self.has_alpha() {
            return Cow::Borrowed(&self.pixels);
        }
        let over = |value: u8, alpha: u8| ((u16::from(value) * u16::from(alpha) + 127) / 255) as u8;
        let pixels = self.pixels.as_chunks::<4>().0.iter();
        pixels
            .flat_map(|[red, green, blue, alpha]| [red, green, blue].map(|value| over(*value, *alpha)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transparent_picture_is_black_where_nothing_is() {
        let plain = FramePicture { size: [2, 1], pixels: vec![1, 2, 3, 4, 5, 6] };
        assert!(!plain.has_alpha() && *plain.rgb() == [1, 2, 3, 4, 5, 6]);
        let clear = FramePicture { size: [2, 1], pixels: vec![200, 100, 50, 255, 200, 100, 50, 0] };
        assert!(clear.has_alpha() && *clear.rgb() == [200, 100, 50, 0, 0, 0]);
    }
}
