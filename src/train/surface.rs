//! Normals that follow from the drawn depth, and the loss that pulls the discs' own normals to them
//! (2DGS, Huang et al. 2024, eq. 14), with its gradient.

use crate::Camera;

/// Below this alpha a pixel's depth says nothing.
const ALPHA_MIN: f32 = 0.05;

/// What [`normal_consistency`] found for one frame.
pub struct NormalConsistency {
    /// Mean over the image of alpha − N·n, n the unit normal of the depth map, alpha as a constant.
    pub value: f32,
    /// With respect to Σ w·n, `[3, rows, columns]`.
    pub normal: Vec<f32>,
    /// With respect to Σ w·z, `[rows, columns]`.
    pub depth: Vec<f32>,
    /// With respect to alpha, through the expected depth, `[rows, columns]`.
    pub alpha: Vec<f32>,
}

/// How far the drawn normals (`[3, rows, columns]`, view space, facing the camera) are from those of the
/// surface that expected depth `depth / alpha` describes. The border and pixels nothing covers count as 0.
pub fn normal_consistency(
    camera: &Camera,
    normal: &[f32],
    depth: &[f32],
    alpha: &[f32],
) -> NormalConsistency {
    let (w, h) = (camera.width as usize, camera.height as usize);
    let n = w * h;
    let ray = |x: usize, y: usize| -> [f32; 3] {
        [((x as f64 - camera.cx) / camera.fx) as f32, ((y as f64 - camera.cy) / camera.fy) as f32, 1.0]
    };
    let z: Vec<f32> =
        depth.iter().zip(alpha).map(|(d, a)| if *a > ALPHA_MIN { d / a } else { 0.0 }).collect();
    let mut out =
        NormalConsistency { value: 0.0, normal: vec![0.0; 3 * n], depth: vec![0.0; n], alpha: vec![0.0; n] };
    let mut d_z = vec![0.0f32; n];
    let mut total = 0.0f64;
    let scale = 1.0 / n as f32;
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
            let cross = cross(down, across);
            let length = dot(cross, cross).sqrt();
            if length < 1e-20 {
                continue;
            }
            let surface = cross.map(|c| c / length);
            let drawn = [normal[at], normal[n + at], normal[2 * n + at]];
            total += f64::from(alpha[at] - dot(drawn, surface));
            for (c, component) in surface.iter().enumerate() {
                out.normal[c * n + at] -= scale * component;
            }
            // d(−N·v/|v|)/dv = −(N − (N·u)u)/|v|
            let along = dot(drawn, surface);
            let d_cross: [f32; 3] =
                std::array::from_fn(|c| -scale * (drawn[c] - along * surface[c]) / length);
            let d_down = self::cross(across, d_cross);
            let d_across = self::cross(d_cross, down);
            d_z[near[1]] += dot(d_across, rays[1]);
            d_z[near[0]] -= dot(d_across, rays[0]);
            d_z[near[3]] += dot(d_down, rays[3]);
            d_z[near[2]] -= dot(d_down, rays[2]);
        }
    }
    for at in 0..n {
        if d_z[at] != 0.0 {
            out.depth[at] = d_z[at] / alpha[at];
            out.alpha[at] = -d_z[at] * z[at] / alpha[at];
        }
    }
    out.value = (total / n as f64) as f32;
    out
}

fn sub(a: [f32; 3], b: [f32; 3]) -> [f32; 3] {
    std::array::from_fn(|k| a[k] - b[k])
}

fn dot(a: [f32; 3], b: [f32; 3]) -> f32 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

fn cross(a: [f32; 3], b: [f32; 3]) -> [f32; 3] {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn camera(w: u32, h: u32) -> Camera {
        let camera_from_world = [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]];
        Camera { camera_from_world, fx: 40.0, fy: 40.0, cx: 4.0, cy: 4.5, width: w, height: h }
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
        let found = normal_consistency(&camera(9, 10), &normal, &depth, &alpha);
        assert!(found.value.abs() < 1e-5, "{}", found.value);
        let turned: Vec<f32> = [0.0, 0.0, -1.0].iter().flat_map(|c| vec![0.8 * c; 90]).collect();
        assert!(normal_consistency(&camera(9, 10), &turned, &depth, &alpha).value > 0.01);
    }

    #[test]
    fn gradients_agree_with_central_differences() {
        let (mut depth, mut alpha) = plane(9, 10);
        let mut normal: Vec<f32> = (0..270).map(|i| 0.3 * ((i * 37 % 100) as f32 / 50.0 - 1.0)).collect();
        for i in 0..90 {
            depth[i] += 0.02 * ((i * 53 % 17) as f32 / 17.0);
            alpha[i] += 0.1 * ((i * 29 % 13) as f32 / 13.0);
        }
        let found = normal_consistency(&camera(9, 10), &normal, &depth, &alpha);
        // Alpha also enters the value directly, as a constant: take that part away.
        let value = |n: &[f32], d: &[f32], a: &[f32], fixed: &[f32]| {
            let z: Vec<f32> = d.iter().zip(a).zip(fixed).map(|((d, a), f)| d / a * f).collect();
            f64::from(normal_consistency(&camera(9, 10), n, &z, fixed).value)
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
