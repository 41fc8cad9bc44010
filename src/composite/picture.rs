//! Pixel formats: the bytes of a finished picture.
//!
//! YCbCr is BT.709 in limited range, as the video writer declares it: with R, G, B in 0..1,
//! Y = 16 + 219·(0.2126 R + 0.7152 G + 0.0722 B), Cb = 128 + 224·(B − Y')/1.8556, Cr = 128 + 224·(R − Y')/1.5748
//! (ITU-R BT.709-6, §3). Colour differences are of the mean of 2 × 2 pixels. An odd side is made even by its last row or
//! column once more, because video halves the colour.

use rayon::prelude::*;

/// How the bytes of a picture are arranged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PixelFormat {
    /// Red, green, blue, and an alpha that they are not multiplied by, 255 wherever there is a background: `[rows, columns, 4]`.
    #[default]
    Rgba8,
    /// Red, green, blue: `[rows, columns, 3]`.
    Rgb8,
    /// A plane of Y, then one of Cb and one of Cr of half the sides: 1.5 bytes a pixel.
    I420,
    /// A plane of Y, then one of Cb and Cr in turn of half the sides: 1.5 bytes a pixel.
    Nv12,
}

impl PixelFormat {
    /// The size of the picture that comes out of one of `size` = [width, height]: even where the colour is halved.
    pub fn size(self, size: [usize; 2]) -> [usize; 2] {
        match self {
            PixelFormat::Rgba8 | PixelFormat::Rgb8 => size,
            PixelFormat::I420 | PixelFormat::Nv12 => size.map(|side| side.next_multiple_of(2)),
        }
    }

    /// Bytes of a picture of `size` = [width, height].
    pub fn bytes(self, size: [usize; 2]) -> usize {
        let pixels: usize = self.size(size).iter().product();
        match self {
            PixelFormat::Rgba8 => 4 * pixels,
            PixelFormat::Rgb8 => 3 * pixels,
            PixelFormat::I420 | PixelFormat::Nv12 => pixels / 2 * 3,
        }
    }
}

/// A finished picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Width and height in pixels, as [`PixelFormat::size`] makes them.
    pub size: [usize; 2],
    /// How the bytes are arranged.
    pub format: PixelFormat,
    /// The bytes, [`PixelFormat::bytes`] of them.
    pub bytes: Vec<u8>,
}

impl Picture {
    /// RGB, `[rows, columns, 3]`; YCbCr is converted back, with the colour of 2 × 2 pixels the same.
    pub fn to_rgb(&self) -> Vec<u8> {
        let [width, height] = self.size;
        let (luma, chroma) = self.bytes.split_at((width * height).min(self.bytes.len()));
        match self.format {
            PixelFormat::Rgb8 => self.bytes.clone(),
            PixelFormat::Rgba8 => {
                self.bytes.as_chunks::<4>().0.iter().flat_map(|p| [p[0], p[1], p[2]]).collect()
            }
            PixelFormat::I420 | PixelFormat::Nv12 => {
                let at = |x: usize, y: usize, k: usize| {
                    let i = y / 2 * (width / 2) + x / 2;
                    chroma[if self.format == PixelFormat::I420 {
                        k * width * height / 4 + i
                    } else {
                        2 * i + k
                    }]
                };
                let pixel =
                    |i: usize| rgb_of(luma[i], at(i % width, i / width, 0), at(i % width, i / width, 1));
                (0..width * height).flat_map(pixel).collect()
            }
        }
    }
}

/// Weights of red, green and blue in luma (BT.709).
const LUMA: [f32; 3] = [0.2126, 0.7152, 0.0722];
/// 2·(1 − weight of blue), 2·(1 − weight of red).
const CB_SPAN: f32 = 1.8556;
const CR_SPAN: f32 = 1.5748;

/// 0..1 to 0..255, rounded; what lies outside is clipped, and what is no number is 0.
pub fn to_byte(value: f32) -> u8 {
    (value.clamp(0.0, 1.0) * 255.0 + 0.5) as u8
}

fn luma([r, g, b]: [f32; 3]) -> f32 {
    LUMA[0] * r + LUMA[1] * g + LUMA[2] * b
}

fn luma_byte(rgb: [f32; 3]) -> u8 {
    (16.0 + 219.0 * luma(rgb) + 0.5) as u8
}

fn chroma_bytes(rgb: [f32; 3]) -> [u8; 2] {
    let y = luma(rgb);
    [(rgb[2] - y) / CB_SPAN, (rgb[0] - y) / CR_SPAN].map(|v| (128.0 + 224.0 * v + 0.5) as u8)
}

fn rgb_of(y: u8, cb: u8, cr: u8) -> [u8; 3] {
    let luma = (f32::from(y) - 16.0) / 219.0;
    let [blue, red] = [(cb, CB_SPAN), (cr, CR_SPAN)].map(|(v, span)| (f32::from(v) - 128.0) / 224.0 * span);
    let green = -(LUMA[0] * red + LUMA[2] * blue) / LUMA[1];
    [red, green, blue].map(|difference| to_byte(luma + difference))
}

/// A premultiplied pixel as bytes of straight colour and alpha; where nothing is covered all are 0.
fn straight([r, g, b, covered]: [f32; 4]) -> [u8; 4] {
    let alpha = to_byte(covered);
    if alpha == 0 {
        return [0; 4];
    }
    let [r, g, b] = [r, g, b].map(|v| to_byte(v / covered));
    [r, g, b, alpha]
}

/// Puts a picture together row by row, with all threads: `row` writes row `y` as premultiplied RGB and coverage, 0..1, clipped
/// here.
pub(super) fn pack(
    size: [usize; 2],
    format: PixelFormat,
    row: impl Fn(usize, &mut [[f32; 4]]) + Sync,
) -> Picture {
    let [width, height] = size;
    let mut picture = Picture { size: format.size(size), format, bytes: vec![0; format.bytes(size)] };
    if width * height == 0 {
        return picture;
    }
    let new_row = || vec![[0.0_f32; 4]; width];
    match format {
        PixelFormat::Rgba8 => {
            picture.bytes.par_chunks_exact_mut(4 * width).enumerate().for_each_init(
                new_row,
                |rgb, (y, to)| {
                    row(y, rgb);
                    for (to, rgb) in to.as_chunks_mut::<4>().0.iter_mut().zip(&*rgb) {
                        *to = straight(*rgb);
                    }
                },
            );
        }
        PixelFormat::Rgb8 => {
            picture.bytes.par_chunks_exact_mut(3 * width).enumerate().for_each_init(
                new_row,
                |rgb, (y, to)| {
                    row(y, rgb);
                    for (to, [r, g, b, _]) in to.as_chunks_mut::<3>().0.iter_mut().zip(&*rgb) {
                        *to = [to_byte(*r), to_byte(*g), to_byte(*b)];
                    }
                },
            );
        }
        PixelFormat::I420 | PixelFormat::Nv12 => pack_halved(&mut picture, size, &row),
    }
    picture
}

/// The two formats whose colour is halved: two rows at a time.
fn pack_halved(picture: &mut Picture, size: [usize; 2], row: &(impl Fn(usize, &mut [[f32; 4]]) + Sync)) {
    let [width, height] = picture.size;
    let (luma, chroma) = picture.bytes.split_at_mut(width * height);
    let new_rows = || [vec![[0.0_f32; 4]; width], vec![[0.0_f32; 4]; width]];
    let write = |rows: &mut [Vec<[f32; 4]>; 2], k: usize, luma: &mut [u8], chroma: [&mut [u8]; 2]| {
        for (j, rgb) in rows.iter_mut().enumerate() {
            row((2 * k + j).min(size[1] - 1), &mut rgb[..size[0]]);
            rgb[width - 1] = rgb[size[0] - 1];
            for (to, rgb) in luma[j * width..][..width].iter_mut().zip(rgb.iter_mut()) {
                *rgb = rgb.map(|v| if v > 0.0 { v.min(1.0) } else { 0.0 });
                *to = luma_byte([rgb[0], rgb[1], rgb[2]]);
            }
        }
        let step = if chroma[1].is_empty() { 2 } else { 1 };
        for x in 0..width / 2 {
            let corners = [rows[0][2 * x], rows[0][2 * x + 1], rows[1][2 * x], rows[1][2 * x + 1]];
            let mean = std::array::from_fn(|c| corners.iter().map(|rgb| rgb[c]).sum::<f32>() * 0.25);
            let [cb, cr] = chroma_bytes(mean);
            chroma[0][step * x] = cb;
            if step == 2 { chroma[0][2 * x + 1] = cr } else { chroma[1][x] = cr }
        }
    };
    let luma = luma.par_chunks_exact_mut(2 * width).enumerate();
    if picture.format == PixelFormat::Nv12 {
        let rows = luma.zip(chroma.par_chunks_exact_mut(width));
        rows.for_each_init(new_rows, |rows, ((k, luma), chroma)| write(rows, k, luma, [chroma, &mut []]));
    } else {
        let (cb, cr) = chroma.split_at_mut(width * height / 4);
        let rows = luma.zip(cb.par_chunks_exact_mut(width / 2)).zip(cr.par_chunks_exact_mut(width / 2));
        rows.for_each_init(new_rows, |rows, (((k, luma), cb), cr)| write(rows, k, luma, [cb, cr]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_rounded_and_clipped() {
        assert_eq!([-1.0, 0.0, 0.5, 1.0, 9.0, f32::NAN].map(to_byte), [0, 0, 128, 255, 255, 0]);
    }

    #[test]
    fn known_colours_have_the_codes_of_bt_709() {
        // White, black, and the primaries of 8-bit BT.709 video (ITU-R BT.709-6, table 4, limited range).
        let codes = |rgb: [f32; 3]| {
            let [cb, cr] = chroma_bytes(rgb);
            [luma_byte(rgb), cb, cr]
        };
        assert_eq!(codes([1.0; 3]), [235, 128, 128]);
        assert_eq!(codes([0.0; 3]), [16, 128, 128]);
        assert_eq!(codes([1.0, 0.0, 0.0]), [63, 102, 240]);
        assert_eq!(codes([0.0, 1.0, 0.0]), [173, 42, 26]);
        assert_eq!(codes([0.0, 0.0, 1.0]), [32, 240, 118]);
    }

    #[test]
    fn planes_are_where_players_look_for_them_also_with_odd_sides() {
        // Left column red, the others green; three columns and three rows become four.
        let row = |_: usize, rgb: &mut [[f32; 4]]| {
            rgb.copy_from_slice(&[[1.0, 0.0, 0.0, 1.0], [1.0, 0.0, 0.0, 1.0], [0.0, 1.0, 0.0, 1.0]]);
        };
        let i420 = pack([3, 3], PixelFormat::I420, row);
        assert_eq!(i420.size, [4, 4]);
        assert_eq!(i420.bytes[..16], [63, 63, 173, 173].repeat(4));
        assert_eq!(i420.bytes[16..], [102, 42, 102, 42, 240, 26, 240, 26]);
        let nv12 = pack([3, 3], PixelFormat::Nv12, row);
        assert_eq!(nv12.bytes[..16], i420.bytes[..16]);
        assert_eq!(nv12.bytes[16..], [102, 240, 42, 26, 102, 240, 42, 26]);
        assert_eq!(nv12.to_rgb(), i420.to_rgb());
        let rgba = pack([3, 3], PixelFormat::Rgba8, row);
        assert_eq!(rgba.bytes[..12], [255, 0, 0, 255, 255, 0, 0, 255, 0, 255, 0, 255]);
        assert_eq!(pack([3, 3], PixelFormat::Rgb8, row).bytes, rgba.to_rgb());
    }

    #[test]
    fn a_flat_picture_comes_back_from_its_planes() {
        for rgb in [[0.1, 0.7, 0.3], [0.9, 0.2, 0.5], [0.4, 0.4, 0.4]] {
            let flat = |_: usize, to: &mut [[f32; 4]]| to.fill([rgb[0], rgb[1], rgb[2], 1.0]);
            for format in [PixelFormat::I420, PixelFormat::Nv12] {
                let back = pack([6, 4], format, flat).to_rgb();
                assert!(back.chunks_exact(3).all(|p| (0..3).all(|k| p[k].abs_diff(to_byte(rgb[k])) <= 2)));
            }
        }
    }
}
