//! The band along a mask's edge, in which labels cannot be trusted.

use crate::Result;
use crate::loss::BackgroundSample;
use data_utils::dataset::{Dataset, FramePixels};

/// How much a mask counts in the band along its edge.
pub(super) const EDGE_CONFIDENCE: f32 = 0.1;

/// The band along a mask's edge in which labels flicker and hair is half transparent. There a step compares the head over
/// the filmed background with the filmed frame, so that the image decides what is head and what is background. If the band
/// were cut out by its labels and composited over any colour, a seam would be learned: dark where the labels lay further in,
/// of the background's colour where they lay further out.
#[derive(Debug, Clone, Default)]
pub struct EdgeBand {
    margin: usize,
    /// `[rows, columns, 3]`; empty without a plate.
    plate: Vec<u8>,
}

impl EdgeBand {
    /// A band of `margin` pixels on either side of the edge. Without a background plate there is none.
    ///
    /// # Errors
    /// Those of reading the plate.
    pub fn of(dataset: &Dataset, margin: usize) -> Result<Self> {
        let plate = match dataset.has_background() && margin > 0 {
            true => dataset.background()?.into_raw(),
            false => Vec::new(),
        };
        Ok(EdgeBand { margin, plate })
    }

    /// What is behind the head in the band: the plate towards the background, the filmed clothes on the clothes' side. The
    /// head's own side of the edge to the clothes belongs to the head, which hides what is behind.
    pub(super) fn background(&self, pixels: &FramePixels, mask: &[f32]) -> Vec<BackgroundSample> {
        let width = pixels.width as usize;
        if self.plate.len() != 3 * mask.len() {
            return Vec::new();
        }
        // What stands in a pixel: a bit for head, free background and clothes.
        let kind = |(mask, label): (&f32, &u8)| match (*mask > 0.0, *label == 0) {
            (true, _) => HEAD,
            (false, true) => FREE,
            (false, false) => CLOTHES,
        };
        let kinds: Vec<u8> = mask.iter().zip(&pixels.labels).map(kind).collect();
        let near = widened(&kinds, width, self.margin);
        let color = |bytes: &[u8], at: usize| std::array::from_fn(|c| f32::from(bytes[3 * at + c]) / 255.0);
        let behind = |at: usize| {
            let (here, near) = (kinds[at], near[at]);
            let between = here == HEAD && near & FREE != 0 && near & CLOTHES == 0;
            match here {
                _ if between => Some(color(&self.plate, at)),
                FREE if near & HEAD != 0 => Some(color(&self.plate, at)),
                CLOTHES if near & HEAD != 0 => Some(color(&pixels.rgb, at)),
                _ => None,
            }
        };
        (0..mask.len()).filter_map(|at| Some(BackgroundSample { pixel: at, color: behind(at)? })).collect()
    }
}

/// What stands in a pixel, a bit each.
const HEAD: u8 = 1;
const FREE: u8 = 2;
const CLOTHES: u8 = 4;

/// The bits of every pixel and of those up to `margin` columns and up to `margin` rows away.
fn widened(bits: &[u8], width: usize, margin: usize) -> Vec<u8> {
    if width == 0 {
        return Vec::new();
    }
    let gather = |to: &mut [u8], from: &[u8]| to.iter_mut().zip(from).for_each(|(t, f)| *t |= f);
    let mut along = bits.to_vec();
    for (to, from) in along.chunks_exact_mut(width).zip(bits.chunks_exact(width)) {
        for by in 1..=margin.min(width - 1) {
            gather(&mut to[by..], from);
            gather(to, &from[by..]);
        }
    }
    let rows: Vec<&[u8]> = along.chunks_exact(width).collect();
    let mut out = along.clone();
    for (row, to) in out.chunks_exact_mut(width).enumerate() {
        let around = row.saturating_sub(margin)..(row + margin + 1).min(rows.len());
        rows[around].iter().for_each(|from| gather(to, from));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::planes::part_mask;
    use data_utils::dataset::{Label, Part};

    #[test]
    fn a_widened_mask_reaches_exactly_the_margin() {
        let (w, h) = (9usize, 7usize);
        for margin in [0, 1, 2, 3, 20] {
            let mut mask = vec![0; w * h];
            mask[2 * w + 3] = 1;
            mask[6 * w + 8] = 4;
            let wide = widened(&mask, w, margin);
            for (at, value) in wide.iter().enumerate() {
                let near =
                    |r: usize, c: usize| (at / w).abs_diff(r) <= margin && (at % w).abs_diff(c) <= margin;
                let expected = u8::from(near(2, 3)) + 4 * u8::from(near(6, 8));
                assert_eq!(*value, expected, "margin {margin} pixel {at}");
            }
        }
    }

    #[test]
    fn along_the_edge_the_background_is_the_plate_or_the_clothes() {
        // A row: background, background, head, head, head, clothes, clothes.
        let labels = vec![0, 0, Label::HEAD, Label::HEAD, Label::HEAD, Label::TORSO, Label::TORSO];
        let pixels = FramePixels { width: 7, height: 1, rgb: vec![51; 21], labels };
        let mask = part_mask(&pixels, Part::Head);
        let edge = EdgeBand { margin: 1, plate: vec![255; 21] };
        let found: Vec<(usize, f32)> =
            edge.background(&pixels, &mask).iter().map(|sample| (sample.pixel, sample.color[0])).collect();
        assert_eq!(found, [(1, 1.0), (2, 1.0), (5, 0.2)]);
        assert!(EdgeBand::default().background(&pixels, &mask).is_empty());
    }
}
