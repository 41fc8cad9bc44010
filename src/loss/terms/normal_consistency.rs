//! Normal consistency (2DGS, Huang et al. 2024, eq. 14): alpha − N·n, N the drawn normal and n the unit normal of the surface
//! that the expected depth describes. Alpha counts as a constant where it stands alone. The border and pixels that nothing
//! covers count as 0.

use crate::Result;
use crate::loss::frame::{Frame, FrameGradients};
use crate::loss::term::{ImageShader, ImageTerm, Key, Kind, Phase, Stages, Term};
use crate::raster::Outputs;

pub(super) const TERM: Term = Term {
    name: "normal",
    key: Some(Key { name: "lambda_normal", default: 0.1 }),
    phase: Phase::Surface,
    length_power: 0,
    kind: Kind::Image(ImageTerm {
        reads: Outputs { depth: true, normal: true, ..Outputs::NONE },
        elements: |_, [width, height]| (width * height) as f32,
        lip_only: false,
        always_measured: false,
        cpu: value_and_gradient,
        gpu: ImageShader::Stages(Stages::NormalConsistency),
    }),
};

/// Below this alpha a pixel's depth means nothing.
const ALPHA_MIN: f32 = 0.05;

fn value_and_gradient(frame: &Frame<'_>, weight: f32, gradients: &mut FrameGradients) -> Result<f64> {
    let Frame { camera, normal, depth, alpha, size: [w, h], .. } = *frame;
    let n = w * h;
    let ray = |x: usize, y: usize| -> [f32; 3] {
        [((x as f64 - camera.cx) / camera.fx) as f32, ((y as f64 - camera.cy) / camera.fy) as f32, 1.0]
    };
    let z: Vec<f32> =
        depth.iter().zip(alpha).map(|(d, a)| if *a > ALPHA_MIN { d / a } else { 0.0 }).collect();
    let mut d_z = vec![0.0f32; n];
    let mut sum = 0.0f64;
    for y in 1..h.saturating_sub(1) {
        for x in 1..w.saturating_sub(1) {
            let at = y * w + x;
            let near = [at - 1, at + 1, at - w, at + w];
            if alpha[at] <= ALPHA_MIN || near.iter().any(|i| alpha[*i] <= ALPHA_MIN) {
                continue;
            }
            let rays = [ray(x - 1, y), ray(x + 1, y), ray(x, y - 1), ray(x, y + 1)];
            let point = |k: usize| rays[k].map(|c| c * z[near[k]]);
            let (across, down) = (sub(point(1), point(0)), sub(point(3), point(2)));
            // Down × across looks at the camera: x right, y down, z away from it.
            let normal_of_depth = cross_product(down, across);
            let length = dot(normal_of_depth, normal_of_depth).sqrt();
            if length < 1e-20 {
                continue;
            }
            let surface = normal_of_depth.map(|c| c / length);
            let drawn = [normal[at], normal[n + at], normal[2 * n + at]];
            sum += f64::from(alpha[at] - dot(drawn, surface));
            for (c, component) in surface.iter().enumerate() {
                gradients.normal[c * n + at] -= weight * component;
            }
            // d(−N·v/|v|)/dv = −(N − (N·u)u)/|v|
            let along = dot(drawn, surface);
            let d_cross: [f32; 3] =
                std::array::from_fn(|c| -weight * (drawn[c] - along * surface[c]) / length);
            let d_down = cross_product(across, d_cross);
            let d_across = cross_product(d_cross, down);
            d_z[near[1]] += dot(d_across, rays[1]);
            d_z[near[0]] -= dot(d_across, rays[0]);
            d_z[near[3]] += dot(d_down, rays[3]);
            d_z[near[2]] -= dot(d_down, rays[2]);
        }
    }
    for at in 0..n {
        if d_z[at] != 0.0 {
            gradients.depth[at] += d_z[at] / alpha[at];
            gradients.alpha[at] -= d_z[at] * z[at] / alpha[at];
        }
    }
    Ok(sum)
}

fn sub(a: [f32; 3], b: [f32; 3]) -> [f32; 3] {
    std::array::from_fn(|k| a[k] - b[k])
}

fn dot(a: [f32; 3], b: [f32; 3]) -> f32 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

fn cross_product(a: [f32; 3], b: [f32; 3]) -> [f32; 3] {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Camera;
    use crate::loss::target::Target;

    fn camera(w: u32, h: u32) -> Camera {
        let camera_from_world = [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]];
        Camera { camera_from_world, fx: 40.0, fy: 40.0, cx: 4.0, cy: 4.5, width: w, height: h }
    }

    /// The mean over a frame of 9 × 10 pixels, and its gradients.
    fn mean(normal: &[f32], depth: &[f32], alpha: &[f32]) -> (f32, FrameGradients) {
        let target = Target {
            color: Vec::new(),
            mask: Vec::new(),
            mask_confidence: Vec::new(),
            audio_mask: Vec::new(),
            expression_mask: Vec::new(),
            background: Vec::new(),
            lips: None,
            eyes: None,
            mouth: Vec::new(),
            lip_only: false,
        };
        let frame = Frame {
            camera: &camera(9, 10),
            target: &target,
            size: [9, 10],
            color: &[],
            alpha,
            attention: &[],
            depth,
            normal,
            distortion: &[],
        };
        let mut gradients =
            FrameGradients::zeros(90, &Outputs { depth: true, normal: true, ..Outputs::NONE });
        let sum = value_and_gradient(&frame, 1.0 / 90.0, &mut gradients).expect("a sum");
        ((sum / 90.0) as f32, gradients)
    }

    /// A tilted plane z = 2 + 0.3 x seen with alpha 0.8.
    fn plane(w: usize, h: usize) -> (Vec<f32>, Vec<f32>) {
        let alpha = vec![0.8f32; w * h];
        let depth = (0..w * h).map(|i| 0.8 * 2.0 / (1.0 - 0.3 * ((i % w) as f32 - 4.0) / 40.0)).collect();
        (depth, alpha)
    }

    #[test]
    fn discs_that_lie_on_the_surface_cost_nothing() {
        let (depth, alpha) = plane(9, 10);
        let l = (1.0f32 + 0.09).sqrt();
        let unit = [0.3 / l, 0.0, -1.0 / l];
        let normal: Vec<f32> = unit.iter().flat_map(|c| vec![0.8 * c; 90]).collect();
        let (found, _) = mean(&normal, &depth, &alpha);
        assert!(found.abs() < 1e-5, "{found}");
        let turned: Vec<f32> = [0.0, 0.0, -1.0].iter().flat_map(|c| vec![0.8 * c; 90]).collect();
        assert!(mean(&turned, &depth, &alpha).0 > 0.01);
    }

    #[test]
    fn gradients_agree_with_central_differences() {
        let (mut depth, mut alpha) = plane(9, 10);
        let mut normal: Vec<f32> = (0..270).map(|i| 0.3 * ((i * 37 % 100) as f32 / 50.0 - 1.0)).collect();
        for i in 0..90 {
            depth[i] += 0.02 * ((i * 53 % 17) as f32 / 17.0);
            alpha[i] += 0.1 * ((i * 29 % 13) as f32 / 13.0);
        }
        let (_, found) = mean(&normal, &depth, &alpha);
        // Alpha also enters the value directly, as a constant: take that part away.
        let value = |n: &[f32], d: &[f32], a: &[f32], fixed: &[f32]| {
            let z: Vec<f32> = d.iter().zip(a).zip(fixed).map(|((d, a), f)| d / a * f).collect();
            f64::from(mean(n, &z, fixed).0)
        };
        let fixed = alpha.clone();
        for at in [22usize, 40, 41, 55] {
            let h = 4e-3f32;
            let mut slope = |which: usize| {
                let target = match which {
                    0 => &mut normal[at],
                    1 => &mut depth[at],
                    _ => &mut alpha[at],
                };
                let keep = *target;
                *target = keep + h;
                let up = value(&normal, &depth, &alpha, &fixed);
                match which {
                    0 => normal[at] = keep - h,
                    1 => depth[at] = keep - h,
                    _ => alpha[at] = keep - h,
                }
                let down = value(&normal, &depth, &alpha, &fixed);
                match which {
                    0 => normal[at] = keep,
                    1 => depth[at] = keep,
                    _ => alpha[at] = keep,
                }
                ((up - down) / f64::from(2.0 * h)) as f32
            };
            for (which, got) in [(0, found.normal[at]), (1, found.depth[at]), (2, found.alpha[at])] {
                let want = slope(which);
                assert!(
                    (got - want).abs() < 2e-2 * want.abs() + 2e-5,
                    "{which} at {at}: {got} against {want}"
                );
            }
        }
    }
}
