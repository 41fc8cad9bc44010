//! Composition on the host, row by row with all threads; twin of `shaders/composite/`.

use super::picture::{Picture, PixelFormat, pack};
use super::{Background, Layers, Seam};
use crate::{Error, Result};
use rayon::prelude::*;

/// A head as it was drawn on black.
#[derive(Debug, Clone, Copy)]
pub struct HeadImages<'a> {
    /// Width and height in pixels.
    pub size: [usize; 2],
    /// Its colour, which carries its alpha, `[3, rows, columns]`.
    pub color: &'a [f32],
    /// Its alpha, `[rows, columns]`.
    pub alpha: &'a [f32],
}

/// Puts a picture together.
///
/// # Errors
/// [`Error::Internal`] when images and layers are not of one size.
pub fn compose(
    head: &HeadImages<'_>,
    layers: &Layers<'_>,
    seam: Seam,
    format: PixelFormat,
) -> Result<Picture> {
    let HeadImages { size, color, alpha } = *head;
    let [width, height] = size;
    layers.check(size)?;
    for (name, found, expected) in
        [("colour", color.len(), 3 * width * height), ("alpha", alpha.len(), width * height)]
    {
        if found != expected {
            return Err(Error::Internal(format!("the {name} has {found} values, {size:?} takes {expected}")));
        }
    }
    if seam.radius() == 0 || width * height == 0 {
        return Ok(pack(size, format, |y, row| write_row(head, layers, y, row)));
    }
    let mut image = vec![[0.0; 4]; width * height];
    image.par_chunks_exact_mut(width).enumerate().for_each(|(y, row)| write_row(head, layers, y, row));
    let edge_of = match layers.mask {
        Some(mask) => mask.iter().map(|m| unit(*m)).collect(),
        None => alpha.to_vec(),
    };
    seam.apply(&mut image, &edge_of, width);
    Ok(pack(size, format, |y, row| row.copy_from_slice(&image[y * width..][..width])))
}

/// A byte as 0..1.
fn unit(byte: u8) -> f32 {
    f32::from(byte) * (1.0 / 255.0)
}

/// Row `y` before the seam: premultiplied RGB, not clipped, and how much of it is covered.
fn write_row(head: &HeadImages<'_>, layers: &Layers<'_>, y: usize, row: &mut [[f32; 4]]) {
    let [width, height] = head.size;
    let (first, pixels) = (y * width, width * height);
    let rgb_row = |rgb: &[u8], row: &mut [[f32; 4]]| {
        let rgb = rgb[3 * first..][..3 * width].as_chunks::<3>().0;
        row.iter_mut().zip(rgb).for_each(|(to, [r, g, b])| *to = [unit(*r), unit(*g), unit(*b), 1.0]);
    };
    match layers.background {
        Background::Color([r, g, b]) => row.fill([r, g, b, 1.0]),
        Background::Transparent => row.fill([0.0; 4]),
        Background::Plate(plate) => rgb_row(plate.rgb(), row),
        Background::Frame(rgb) => rgb_row(rgb, row),
    }
    if let Some(torso) = layers.torso {
        let (left, bytes) = torso.row(y, 4);
        for (to, rgba) in row[left..].iter_mut().zip(bytes.as_chunks::<4>().0) {
            let [r, g, b, alpha] = rgba.map(unit);
            for (to, value) in to.iter_mut().zip([r, g, b, 1.0]) {
                *to += (value - *to) * alpha;
            }
        }
    }
    let alpha = &head.alpha[first..][..width];
    let color: [&[f32]; 3] = std::array::from_fn(|k| &head.color[k * pixels + first..][..width]);
    let over = |row: &mut [[f32; 4]], x: usize, inside: f32| {
        let cover = inside * alpha[x].clamp(0.0, 1.0);
        let behind = 1.0 - cover;
        let [r, g, b] = color.map(|color| color[x] * inside);
        for (to, value) in row[x].iter_mut().zip([r, g, b, cover]) {
            *to = value + *to * behind;
        }
    };
    let (left, hidden) = layers.occlusion.map_or((0, &[][..]), |patch| patch.row(y, 1));
    if layers.mask.is_none() && hidden.is_empty() {
        return (0..width).for_each(|x| over(row, x, 1.0));
    }
    for x in 0..width {
        let mask = layers.mask.map_or(1.0, |mask| unit(mask[first + x]));
        let hidden = x.checked_sub(left).and_then(|x| hidden.get(x)).map_or(0.0, |byte| unit(*byte));
        over(row, x, mask * (1.0 - hidden));
    }
}

#[cfg(test)]
mod tests {
    use super::super::{BackgroundPlate, Patch};
    use super::*;

    const SIZE: [usize; 2] = [4, 2];
    const PIXELS: usize = 8;

    fn planar(rgb: [f32; 3]) -> Vec<f32> {
        rgb.iter().flat_map(|v| [*v; PIXELS]).collect()
    }

    fn rgb(head: &HeadImages<'_>, layers: &Layers<'_>, seam: Seam) -> Vec<u8> {
        compose(head, layers, seam, PixelFormat::Rgb8).unwrap().bytes
    }

    #[test]
    fn constant_layers_blend_to_the_value_of_over() {
        let head =
            HeadImages { size: SIZE, color: &planar([0.5 * 0.8, 0.5 * 0.4, 0.0]), alpha: &[0.5; PIXELS] };
        let layers = Layers::on(Background::Color([0.2, 0.6, 1.0]));
        assert_eq!(rgb(&head, &layers, Seam::default()), [128; 3 * PIXELS]);
        let plate = BackgroundPlate::new([51, 153, 255].repeat(PIXELS));
        assert_eq!(rgb(&head, &Layers::on(Background::Plate(&plate)), Seam::default()), [128; 3 * PIXELS]);
        assert_eq!(
            rgb(&head, &Layers::on(Background::Frame(plate.rgb())), Seam::default()),
            [128; 3 * PIXELS]
        );
    }

    #[test]
    fn a_soft_edge_over_its_own_colour_is_no_dark_edge() {
        // Alpha runs from 0 to 1; applied twice, or blended as straight colour, the middle would darken.
        let alpha: Vec<f32> = (0..PIXELS).map(|i| i as f32 / 7.0).collect();
        let mask: Vec<u8> = alpha.iter().map(|a| (255.0 * a) as u8).collect();
        let color: Vec<f32> = (0..3).flat_map(|_| alpha.iter().map(|a| a * 0.7)).collect();
        let head = HeadImages { size: SIZE, color: &color, alpha: &alpha };
        for mask in [None, Some(&mask[..]), Some(&[255; PIXELS][..]), Some(&[0; PIXELS][..])] {
            let layers = Layers { mask, ..Layers::on(Background::Color([0.7; 3])) };
            for seam in [0, 3] {
                let image = rgb(&head, &layers, Seam::new(seam).unwrap());
                assert!(image.iter().all(|v| v.abs_diff(179) <= 1), "mask {mask:?}: {image:?}");
            }
        }
    }

    #[test]
    fn over_nothing_the_picture_keeps_its_colours_and_carries_their_alpha() {
        // A head of half alpha over a torso of half alpha on the right, over nothing on the left.
        let head = HeadImages { size: [2, 1], color: &[0.4, 0.4, 0.0, 0.0, 0.0, 0.0], alpha: &[0.5; 2] };
        let torso = Patch { corner: [1, 0], size: [1, 1], bytes: &[0, 255, 0, 128] };
        let layers = Layers { torso: Some(torso), ..Layers::on(Background::Transparent) };
        let rgba = compose(&head, &layers, Seam::default(), PixelFormat::Rgba8).unwrap().bytes;
        // Straight: the colour is not darkened by its alpha; 0.5 + 0.5 · 128/255 of the right pixel is covered.
        assert_eq!(rgba, [204, 0, 0, 128, 136, 85, 0, 192]);
        let black = rgb(&HeadImages { ..head }, &layers, Seam::default());
        assert_eq!(black, [102, 0, 0, 102, 64, 0], "other formats show black behind it");
        let none = HeadImages { size: [2, 1], color: &[0.0; 6], alpha: &[0.0; 2] };
        let empty = compose(&none, &Layers::on(Background::Transparent), Seam::default(), PixelFormat::Rgba8);
        assert_eq!(empty.unwrap().bytes, [0; 8]);
    }

    #[test]
    fn a_softened_edge_over_nothing_keeps_its_colour() {
        // One colour, from opaque to nothing: a blur of straight colours would pull black into the edge.
        let alpha: Vec<f32> = (0..40).map(|i| f32::from(u8::from(i % 20 < 10))).collect();
        let color: Vec<f32> = (0..3).flat_map(|_| alpha.iter().map(|a| a * 0.6)).collect();
        let head = HeadImages { size: [20, 2], color: &color, alpha: &alpha };
        let layers = Layers::on(Background::Transparent);
        let rgba = compose(&head, &layers, Seam::new(5).unwrap(), PixelFormat::Rgba8).unwrap().bytes;
        let soft = rgba.as_chunks::<4>().0.iter().filter(|p| (1..255).contains(&p[3])).count();
        assert!(soft >= 8, "{soft} pixels of the edge are soft");
        for pixel in rgba.as_chunks::<4>().0.iter().filter(|p| p[3] > 8) {
            assert!(pixel[..3].iter().all(|v| v.abs_diff(153) <= 1), "{pixel:?}");
        }
    }

    #[test]
    fn outside_the_mask_and_behind_clothes_only_the_background_shows() {
        let mut mask = [255; PIXELS];
        mask[5] = 0;
        let head = HeadImages { size: SIZE, color: &planar([1.0, 0.0, 0.0]), alpha: &[1.0; PIXELS] };
        let layers = Layers { mask: Some(&mask), ..Layers::on(Background::Color([0.0, 1.0, 0.0])) };
        let sixth_is_background = |layers: &Layers<'_>| {
            for (i, pixel) in rgb(&head, layers, Seam::default()).chunks_exact(3).enumerate() {
                assert_eq!(pixel, if i == 5 { [0, 255, 0] } else { [255, 0, 0] });
            }
        };
        sixth_is_background(&layers);
        let clothes = mask.map(|inside| 255 - inside);
        sixth_is_background(&Layers { mask: None, occlusion: Some(Patch::whole(SIZE, &clothes)), ..layers });
    }

    #[test]
    fn a_half_transparent_torso_is_blended_once() {
        let head = HeadImages { size: [2, 1], color: &[0.0; 6], alpha: &[0.0; 2] };
        let torso = [200, 200, 200, 128].repeat(2);
        let layers =
            Layers { torso: Some(Patch::whole([2, 1], &torso)), ..Layers::on(Background::Frame(&[100; 6])) };
        assert_eq!(rgb(&head, &layers, Seam::default()), [150; 6]);
        let layers =
            Layers { torso: Some(Patch::whole([2, 1], &torso)), ..Layers::on(Background::Color([0.0; 3])) };
        assert_eq!(rgb(&head, &layers, Seam::default()), [100; 6]);
    }

    #[test]
    fn a_patch_lies_where_its_corner_is() {
        let head = HeadImages { size: SIZE, color: &planar([1.0; 3]), alpha: &[1.0; PIXELS] };
        let occlusion = Patch { corner: [1, 1], size: [2, 1], bytes: &[255, 51] };
        let torso = Patch { corner: [1, 1], size: [1, 1], bytes: &[0, 102, 0, 255] };
        let layers = Layers {
            torso: Some(torso),
            occlusion: Some(occlusion),
            ..Layers::on(Background::Color([0.0; 3]))
        };
        let mut expected = [[255; 3]; PIXELS];
        (expected[5], expected[6]) = ([0, 102, 0], [204; 3]);
        assert_eq!(rgb(&head, &layers, Seam::default()), expected.as_flattened());
        let outside = Patch { corner: [3, 1], ..occlusion };
        let layers = Layers { occlusion: Some(outside), ..layers };
        assert!(compose(&head, &layers, Seam::default(), PixelFormat::Rgb8).is_err());
    }

    #[test]
    fn layers_of_another_size_are_an_error() {
        let color = planar([0.0; 3]);
        let head = HeadImages { size: SIZE, color: &color, alpha: &[0.0; PIXELS] };
        let black = Layers::on(Background::Color([0.0; 3]));
        let fails = |head: &HeadImages<'_>, layers: &Layers<'_>| {
            compose(head, layers, Seam::default(), PixelFormat::Rgba8).is_err()
        };
        assert!(!fails(&head, &black));
        assert!(fails(&HeadImages { alpha: &[0.0; PIXELS - 1], ..head }, &black));
        assert!(fails(&HeadImages { color: &color[1..], ..head }, &black));
        assert!(fails(&HeadImages { size: [4, 3], ..head }, &black));
        assert!(fails(&head, &Layers { mask: Some(&[]), ..black }));
        assert!(fails(&head, &Layers { occlusion: Some(Patch::whole(SIZE, &[0])), ..black }));
        assert!(fails(&head, &Layers { torso: Some(Patch::whole(SIZE, &[0; 3 * PIXELS])), ..black }));
        assert!(fails(&head, &Layers::on(Background::Frame(&[0; 3]))));
        assert!(fails(&head, &Layers::on(Background::Plate(&BackgroundPlate::new(vec![0; 4 * PIXELS])))));
    }
}
