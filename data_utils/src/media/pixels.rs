//! The layouts of pixels that a video can be written from.

/// How the bytes of one frame lie in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PixelFormat {
    /// Red, green, blue, one byte each: `[rows, columns, 3]`.
    #[default]
    Rgb24,
    /// Red, green, blue and an alpha that is ignored: `[rows, columns, 4]`.
    Rgba8,
    /// Planes of BT.709 in the limited range: Y `[rows, columns]`, then U and V `[rows / 2, columns / 2]`; even
    /// sides only.
    Yuv420p,
}

impl PixelFormat {
    /// Bytes of a frame.
    pub fn frame_bytes(self, [width, height]: [usize; 2]) -> usize {
        match self {
            PixelFormat::Rgb24 => 3 * width * height,
            PixelFormat::Rgba8 => 4 * width * height,
            PixelFormat::Yuv420p => width * height + 2 * (width / 2) * (height / 2),
        }
    }

    /// ffmpeg's name.
    pub(super) fn name(self) -> &'static str {
        match self {
            PixelFormat::Rgb24 => "rgb24",
            PixelFormat::Rgba8 => "rgba",
            PixelFormat::Yuv420p => "yuv420p",
        }
    }

    /// The frame with even sides: the last row and column are repeated where a side is odd, because video codecs
    /// halve the colour.
    pub(super) fn pad_to_even(self, pixels: Vec<u8>, [width, height]: [usize; 2]) -> Vec<u8> {
        let bytes = match self {
            PixelFormat::Rgb24 => 3,
            PixelFormat::Rgba8 => 4,
            PixelFormat::Yuv420p => return pixels,
        };
        if width.is_multiple_of(2) && height.is_multiple_of(2) {
            return pixels;
        }
        let mut padded = Vec::with_capacity((width + 1) * (height + 1) * bytes);
        for y in 0..height.next_multiple_of(2) {
            let row = &pixels[y.min(height - 1) * width * bytes..][..width * bytes];
            padded.extend_from_slice(row);
            if width % 2 == 1 {
                padded.extend_from_slice(&row[(width - 1) * bytes..]);
            }
        }
        padded
    }

    /// The frame as [`PixelFormat::Rgb24`].
    pub(super) fn into_rgb(self, pixels: Vec<u8>, size: [usize; 2]) -> Vec<u8> {
        match self {
            PixelFormat::Rgb24 => pixels,
            PixelFormat::Rgba8 => {
                pixels.as_chunks::<4>().0.iter().flat_map(|[r, g, b, _]| [*r, *g, *b]).collect()
            }
            PixelFormat::Yuv420p => rgb_of_planes(&pixels, size),
        }
    }
}

/// BT.709, limited range (ITU-R BT.709-6 §3: Y 16..235, chroma 16..240 around 128).
fn rgb_of_planes(planes: &[u8], [width, height]: [usize; 2]) -> Vec<u8> {
    let (luma, chroma) = planes.split_at(width * height);
    let (blue, red) = chroma.split_at(chroma.len() / 2);
    let mut rgb = Vec::with_capacity(3 * width * height);
    for (at, y) in luma.iter().enumerate() {
        let half = (at / width / 2) * (width / 2) + at % width / 2;
        let y = (f32::from(*y) - 16.0) * (255.0 / 219.0);
        let [u, v] = [blue[half], red[half]].map(|c| (f32::from(c) - 128.0) * (255.0 / 224.0));
        rgb.extend([y + 1.5748 * v, y - 0.1873 * u - 0.4681 * v, y + 1.8556 * u].map(|c| c.round() as u8));
    }
    rgb
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_sides_are_padded_with_what_is_beside_them() {
        let rgb: Vec<u8> = (0..3 * 3 * 3).collect();
        let padded = PixelFormat::Rgb24.pad_to_even(rgb.clone(), [3, 3]);
        assert_eq!(padded.len(), 4 * 4 * 3);
        assert_eq!(padded[..12], [0, 1, 2, 3, 4, 5, 6, 7, 8, 6, 7, 8]);
        assert_eq!(padded[36..], padded[24..36]);
        assert_eq!(PixelFormat::Rgb24.pad_to_even(rgb[..12].to_vec(), [2, 2]), rgb[..12]);
    }

    #[test]
    fn every_format_becomes_rgb() {
        let rgba = vec![1, 2, 3, 255, 4, 5, 6, 0];
        assert_eq!(PixelFormat::Rgba8.into_rgb(rgba, [2, 1]), [1, 2, 3, 4, 5, 6]);
        // White, black and the primary red of BT.709 (63, 102, 240).
        let planes = |y, u, v| PixelFormat::Yuv420p.into_rgb(vec![y, y, y, y, u, v], [2, 2])[..3].to_vec();
        assert_eq!(planes(235, 128, 128), [255, 255, 255]);
        assert_eq!(planes(16, 128, 128), [0, 0, 0]);
        let red = planes(63, 102, 240);
        assert!(red[0] >= 253 && red[1] <= 2 && red[2] <= 2, "{red:?}");
    }
}
