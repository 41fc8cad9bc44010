//! How well a drawn head and the frame around it agree where they meet.
//!
//! * ring: mean absolute difference from the filmed frame within [`RING`] pixels of the mask's edge, grey levels over R, G and B
//! * step: at each pixel of the edge, how much more the colour changes across it than it was filmed to: the mean of the nearby
//!   pixels inside less that of those outside, less the same of the filmed frame, without its sign; the mean over channels and edge,
//!   grey levels. Texture and a contour that was filmed count nothing, a border that the eye sees does.

use data_utils::dataset::grow;

/// Pixels on either side of the edge that the ring reaches.
pub const RING: usize = 8;
/// Pixels around one of the edge whose colours are averaged for the step.
const NEAR: usize = 6;
/// Least number of pixels on each side of the edge there.
const LEAST: u32 = 16;

/// What was measured of one frame; none where the mask has no edge.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct SeamError {
    /// Mean absolute difference in the ring.
    pub ring: Option<f64>,
    /// The step across the edge.
    pub step: Option<f64>,
}

/// Measures pictures of `width` and any height, RGB, along the edge of `mask`.
pub fn seam_error(drawn: &[u8], filmed: &[u8], mask: &[bool], width: usize) -> SeamError {
    if width == 0 || drawn.len() != 3 * mask.len() || filmed.len() != drawn.len() {
        return SeamError::default();
    }
    let outside: Vec<bool> = mask.iter().map(|inside| !inside).collect();
    let (near_in, near_out) = (grow(mask, width, RING), grow(&outside, width, RING));
    let (mut sum, mut count) = (0u64, 0u64);
    for at in (0..mask.len()).filter(|at| near_in[*at] && near_out[*at]) {
        sum += (3 * at..3 * at + 3).map(|k| u64::from(drawn[k].abs_diff(filmed[k]))).sum::<u64>();
        count += 3;
    }
    let ring = (count > 0).then(|| sum as f64 / count as f64);
    SeamError { ring, step: step(drawn, filmed, mask, width) }
}

fn step(drawn: &[u8], filmed: &[u8], mask: &[bool], width: usize) -> Option<f64> {
    let height = mask.len() / width;
    let (mut sum, mut count) = (0.0, 0u64);
    for at in 0..mask.len() {
        let (x, y) = (at % width, at / width);
        let beside = [(x + 1 < width).then_some(at + 1), (y + 1 < height).then_some(at + width)];
        if !beside.into_iter().flatten().any(|other| mask[other] != mask[at]) {
            continue;
        }
        // Difference of the two pictures, inside and outside.
        let (mut off, mut pixels) = ([[0i64; 3]; 2], [0u32; 2]);
        for v in y.saturating_sub(NEAR)..(y + NEAR + 1).min(height) {
            for u in x.saturating_sub(NEAR)..(x + NEAR + 1).min(width) {
                let (i, side) = (v * width + u, usize::from(mask[v * width + u]));
                pixels[side] += 1;
                for (channel, off) in off[side].iter_mut().enumerate() {
                    *off += i64::from(drawn[3 * i + channel]) - i64::from(filmed[3 * i + channel]);
                }
            }
        }
        if pixels.iter().all(|n| *n >= LEAST) {
            let mean = |side: usize, channel: usize| off[side][channel] as f64 / f64::from(pixels[side]);
            sum += (0..3).map(|c| (mean(1, c) - mean(0, c)).abs()).sum::<f64>() / 3.0;
            count += 1;
        }
    }
    (count > 0).then(|| sum / count as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDTH: usize = 64;

    fn mask() -> Vec<bool> {
        (0..WIDTH * 64)
            .map(|at| (20..44).contains(&(at % WIDTH)) && (16..48).contains(&(at / WIDTH)))
            .collect()
    }

    fn film() -> Vec<u8> {
        // A contour along the edge of the mask, and texture.
        let pixel = |at: usize| if mask()[at] { 150 } else { 60 } + ((at * 7 + at / WIDTH * 13) % 11) as u8;
        (0..WIDTH * 64).flat_map(|at| [pixel(at); 3]).collect()
    }

    fn inside_lighter_by(levels: u8) -> Vec<u8> {
        film().iter().enumerate().map(|(k, v)| v + if mask()[k / 3] { levels } else { 0 }).collect()
    }

    #[test]
    fn a_filmed_contour_is_no_step_and_a_lighter_face_is_one_of_its_size() {
        let same = seam_error(&film(), &film(), &mask(), WIDTH);
        assert_eq!(same, SeamError { ring: Some(0.0), step: Some(0.0) });
        let found = seam_error(&inside_lighter_by(6), &film(), &mask(), WIDTH);
        assert!((found.step.expect("a step") - 6.0).abs() < 1e-9, "{found:?}");
        // About half of the ring is inside.
        assert!((2.0..4.0).contains(&found.ring.expect("a ring")), "{found:?}");
    }

    #[test]
    fn a_picture_that_is_lighter_everywhere_has_no_step() {
        let lighter: Vec<u8> = film().iter().map(|v| v + 10).collect();
        let found = seam_error(&lighter, &film(), &mask(), WIDTH);
        assert_eq!((found.ring, found.step), (Some(10.0), Some(0.0)));
    }

    #[test]
    fn a_mask_without_an_edge_has_no_figures() {
        let all = vec![true; WIDTH * 64];
        assert_eq!(seam_error(&film(), &film(), &all, WIDTH), SeamError::default());
        assert_eq!(seam_error(&film(), &film()[3..], &mask(), WIDTH), SeamError::default());
    }
}
