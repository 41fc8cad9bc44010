//! L1 between finite differences of the drawn and the filmed image, horizontal and vertical, over one and two pixels, inside
//! the part's mask: edges and texture count, an even shift of colour does not (compare the gradient difference loss of
//! Mathieu et al. 2016, eq. 6).

use crate::Result;
use crate::loss::frame::{Frame, FrameGradients, sign};
use crate::loss::term::{ImageShader, ImageTerm, Key, Kind, Phase, Stages, Term};
use crate::raster::Outputs;

pub(super) const TERM: Term = Term {
    name: "gradient",
    key: Some(Key { name: "lambda_gradient", default: 0.0 }),
    phase: Phase::Field,
    length_power: 0,
    kind: Kind::Image(ImageTerm {
        reads: Outputs::NONE,
        elements: |target, _| (12.0 * target.mask.iter().sum::<f32>()).max(1.0),
        lip_only: false,
        always_measured: false,
        cpu: value_and_gradient,
        gpu: ImageShader::Stages(Stages::GradientDifference),
    }),
};

/// Columns and rows from a pixel to those it is compared with.
const STEPS: [[usize; 2]; 4] = [[1, 0], [2, 0], [0, 1], [0, 2]];

/// The difference of a difference is that of the error image e = drawn − target: Σ |e(q) − e(p)|.
fn value_and_gradient(frame: &Frame<'_>, weight: f32, gradients: &mut FrameGradients) -> Result<f64> {
    let ([width, height], n) = (frame.size, frame.pixels());
    let (drawn, filmed, mask) = (frame.color, &frame.target.color, &frame.target.mask);
    let mut sum = 0.0f64;
    for [columns, rows] in STEPS {
        for row in 0..height.saturating_sub(rows) {
            for column in 0..width.saturating_sub(columns) {
                let p = row * width + column;
                let q = p + rows * width + columns;
                let both = mask[p] * mask[q];
                if both == 0.0 {
                    continue;
                }
                for at in [p, p + n, p + 2 * n] {
                    let there = at + q - p;
                    let difference = (drawn[there] - filmed[there]) - (drawn[at] - filmed[at]);
                    sum += f64::from(both * difference.abs());
                    let pull = weight * both * sign(difference);
                    gradients.color[there] += pull;
                    gradients.color[at] -= pull;
                }
            }
        }
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Camera;
    use crate::loss::Target;

    #[test]
    fn an_even_shift_of_colour_costs_nothing_and_an_edge_costs_its_height() {
        let n = 5 * 4;
        let target = Target { color: vec![0.25; 3 * n], mask: vec![1.0; n], ..Target::default() };
        let camera = Camera {
            camera_from_world: [[0.0; 4]; 3],
            fx: 1.0,
            fy: 1.0,
            cx: 0.0,
            cy: 0.0,
            width: 5,
            height: 4,
        };
        let value = |color: &[f32], target: &Target| {
            let frame = Frame {
                camera: &camera,
                target,
                size: [5, 4],
                color,
                alpha: &[],
                attention: &[],
                depth: &[],
                normal: &[],
                distortion: &[],
            };
            let mut gradients = FrameGradients::zeros(n, &Outputs::NONE);
            let sum = value_and_gradient(&frame, 1.0, &mut gradients).expect("a sum");
            (sum, gradients.color)
        };
        let (even, pull) = value(&vec![0.5; 3 * n], &target);
        assert!(even == 0.0 && pull.iter().all(|g| *g == 0.0));
        // Three columns of one colour, two of another: an edge across one pair over one pixel and two over two, in each row.
        let edge: Vec<f32> = (0..3 * n).map(|at| if at % 5 < 3 { 0.0 } else { 0.5 }).collect();
        assert_eq!(value(&edge, &target).0, 0.5 * 3.0 * 4.0 * 3.0);
        let half = Target { mask: (0..n).map(|at| f32::from(u8::from(at % 5 < 3))).collect(), ..target };
        assert_eq!(value(&edge, &half).0, 0.0, "pairs that leave the mask do not count");
    }
}
