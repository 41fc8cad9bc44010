//! The head and its torso alone, with alpha, for a client that puts them over something of its own: on the host, from drawn planes.
//!
//! ```text
//! inside = 1 − occlusion
//! alpha  = inside · a + (1 − inside · a) · t          a: the head's alpha, t: the torso's
//! colour = (inside · c + (1 − inside · a) · t · torso) / alpha
//! ```
//!
//! Over any colour it is what [`super::cpu::compose`] makes on that colour, but for rounding.

use super::cpu::HeadImages;
use super::picture::to_byte;
use super::{Patch, Picture, PixelFormat};
use crate::{Error, Result};
use rayon::prelude::*;

/// Cuts a head out: RGBA, straight alpha; where nothing is, all four are 0.
///
/// # Errors
/// [`Error::Internal`] when images and patches are not of one size.
pub fn cut_out(
    head: &HeadImages<'_>,
    torso: Option<Patch<'_>>,
    occlusion: Option<Patch<'_>>,
) -> Result<Picture> {
    let HeadImages { size, color, alpha } = *head;
    let [width, height] = size;
    let pixels = width * height;
    torso.map_or(Ok(()), |torso| torso.check("torso", size, 4))?;
    occlusion.map_or(Ok(()), |patch| patch.check("occlusion", size, 1))?;
    if color.len() != 3 * pixels || alpha.len() != pixels {
        let found = format!("{} values of colour and {} of alpha", color.len(), alpha.len());
        return Err(Error::Internal(format!("{found} for a head of {size:?}")));
    }
    let mut bytes = vec![0; 4 * pixels];
    bytes.par_chunks_exact_mut((4 * width).max(1)).enumerate().for_each(|(y, row)| {
        let (left, torso) = torso.map_or((0, &[][..]), |patch| patch.row(y, 4));
        let (hidden_left, hidden) = occlusion.map_or((0, &[][..]), |patch| patch.row(y, 1));
        let at = |left: usize, x: usize| x.checked_sub(left);
        for (x, to) in row.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            let i = y * width + x;
            let torso =
                at(left, x).and_then(|x| torso.as_chunks::<4>().0.get(x)).copied().unwrap_or_default();
            let hidden = at(hidden_left, x).and_then(|x| hidden.get(x)).copied().unwrap_or_default();
            let inside = 1.0 - unit(hidden);
            let head = inside * alpha[i].clamp(0.0, 1.0);
            let behind = (1.0 - head) * unit(torso[3]);
            let whole = head + behind;
            if to_byte(whole) == 0 {
                continue;
            }
            for k in 0..3 {
                to[k] = to_byte((inside * color[k * pixels + i] + behind * unit(torso[k])) / whole);
            }
            to[3] = to_byte(whole);
        }
    });
    Ok(Picture { size, format: PixelFormat::Rgba8, bytes })
}

/// A byte as 0..1.
fn unit(byte: u8) -> f32 {
    f32::from(byte) * (1.0 / 255.0)
}

#[cfg(test)]
mod tests {
    use super::super::cpu::compose;
    use super::super::{Background, Layers, Seam};
    use super::*;

    const SIZE: [usize; 2] = [16, 4];

    #[test]
    fn over_any_colour_it_is_the_composed_picture() {
        let pixels = SIZE[0] * SIZE[1];
        let alpha: Vec<f32> = (0..pixels).map(|i| (i * 7 % 11) as f32 / 10.0).collect();
        let color: Vec<f32> =
            (0..3 * pixels).map(|i| alpha[i % pixels] * ((i * 5 % 13) as f32 / 12.0)).collect();
        let torso: Vec<u8> = (0..4 * 8 * 3).map(|i| (i * 37 % 256) as u8).collect();
        let occlusion: Vec<u8> = (0..6 * 2).map(|i| (i * 91 % 256) as u8).collect();
        let torso = Patch { corner: [5, 1], size: [8, 3], bytes: &torso };
        let occlusion = Patch { corner: [2, 2], size: [6, 2], bytes: &occlusion };
        let head = HeadImages { size: SIZE, color: &color, alpha: &alpha };
        let cut = cut_out(&head, Some(torso), Some(occlusion)).expect("a picture");
        for ground in [[0.0; 3], [1.0; 3], [0.2, 0.6, 1.0]] {
            let layers = Layers {
                torso: Some(torso),
                occlusion: Some(occlusion),
                ..Layers::on(Background::Color(ground))
            };
            let whole = compose(&head, &layers, Seam::default(), PixelFormat::Rgb8).expect("a picture");
            for (i, (cut, whole)) in cut.bytes.chunks(4).zip(whole.bytes.chunks(3)).enumerate() {
                for k in 0..3 {
                    let alpha = unit(cut[3]);
                    let over = 255.0 * (alpha * unit(cut[k]) + (1.0 - alpha) * ground[k]);
                    let apart = (over - f32::from(whole[k])).abs();
                    assert!(apart <= 1.6, "pixel {i} on {ground:?}: {over} and {}", whole[k]);
                }
            }
        }
    }

    #[test]
    fn where_nothing_is_there_is_nothing_and_sizes_are_checked() {
        let head = HeadImages { size: [2, 1], color: &[0.0; 6], alpha: &[0.0; 2] };
        assert_eq!(cut_out(&head, None, None).expect("a picture").bytes, [0; 8]);
        assert!(cut_out(&HeadImages { alpha: &[0.0], ..head }, None, None).is_err());
        let patch = Patch { corner: [1, 0], size: [2, 1], bytes: &[0; 8] };
        assert!(cut_out(&head, Some(patch), None).is_err());
    }
}
