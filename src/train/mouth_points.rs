//! Where the surfels of the inside of the mouth start: in a box behind the lips of the frame in which the mouth is open widest.

use super::mouth_labels::{INNER_LIPS, is_inside, opening_area};
use crate::Camera;
use crate::Result;
use crate::head::cloud::init::{self, InitOptions, Points};
use crate::head::cloud::{Cloud, Mouth};
use data_utils::dataset::Dataset;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// A mouth that never shows so many pixels, in an image whose longer side is 512, has no inside worth learning.
const SMALLEST: f32 = 20.0;
/// How far the box reaches beyond the inner lips: to either side, as a part of their width; above and below, of their height.
const WIDER: f32 = 0.1;
const TALLER: f32 = 0.3;
/// Depth of the box behind the lips, from and to, as parts of its width.
const DEPTH: [f32; 2] = [0.1, 0.35];
/// The inside of the mouth is sorted so much farther away than it lies, as a part of the head's extent: behind lips and cheeks,
/// before the back of the head.
const DEPTH_OFFSET: f32 = 0.3;

/// The inside of the mouth of `dataset`, behind the surfels of `head`, whose extent is `extent`. Nothing where landmarks are not
/// known or the mouth never opens.
///
/// # Errors
/// Those of reading a frame.
pub(super) fn mouth_cloud(
    dataset: &Dataset,
    head: &Cloud,
    extent: f32,
    options: &InitOptions,
) -> Result<Option<Cloud>> {
    let area = |index: &usize| dataset.frames[*index].landmarks.as_ref().map_or(0.0, opening_area);
    let Some(widest) = dataset.train_indices().max_by(|a, b| area(a).total_cmp(&area(b))) else {
        return Ok(None);
    };
    let scale = dataset.size[0].max(dataset.size[1]) as f32 / 512.0;
    let frame = &dataset.frames[widest];
    let (Some(landmarks), true) = (&frame.landmarks, area(&widest) >= SMALLEST * scale * scale) else {
        return Ok(None);
    };
    let lips = &landmarks[INNER_LIPS];
    let (columns, rows) = (bounds(lips, 0, WIDER), bounds(lips, 1, TALLER));
    let Some(depth) = lip_depth(head, &frame.camera, columns, rows) else { return Ok(None) };
    let width = (columns[1] - columns[0]) * depth / frame.camera.fx as f32;

    let pixels = dataset.pixels(widest)?;
    let center: [f32; 2] =
        std::array::from_fn(|k| lips.iter().map(|p| p[k]).sum::<f32>() / lips.len() as f32);
    let mut random = ChaCha8Rng::seed_from_u64(options.seed);
    let mut unit = || (random.next_u32() >> 8) as f32 / (1u32 << 24) as f32;
    let (mut positions, mut normals, mut colors) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..options.max_points {
        let [u, v, w] = std::array::from_fn(|_| unit());
        let place = [columns[0] + u * (columns[1] - columns[0]), rows[0] + v * (rows[1] - rows[0])];
        positions.push(world_point(
            &frame.camera,
            place,
            depth + width * (DEPTH[0] + w * (DEPTH[1] - DEPTH[0])),
        ));
        normals.push(std::array::from_fn(|k| -frame.camera.camera_from_world[2][k] as f32));
        colors.push(color_at(&pixels.rgb, pixels.width as usize, inside_point(lips, center, place)));
    }
    let points = Points { positions: &positions, normals: Some(&normals), colors: Some(&colors), faces: &[] };
    let cloud = init::from_points(&points, options)?;
    let mouth = Mouth { surfels: cloud.len(), depth_offset: DEPTH_OFFSET * extent };
    Ok(Some(Cloud { mouth, ..cloud }))
}

/// First and last coordinate of points, widened by a part of their distance.
fn bounds(points: &[[f32; 2]], axis: usize, wider: f32) -> [f32; 2] {
    let values = points.iter().map(|p| p[axis]);
    let (low, high) = values.fold((f32::INFINITY, f32::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
    [low - wider * (high - low), high + wider * (high - low)]
}

/// Depth of the lips: the nearest fifth of the surfels that lie in a rectangle of the image.
fn lip_depth(head: &Cloud, camera: &Camera, columns: [f32; 2], rows: [f32; 2]) -> Option<f32> {
    let projected = head.positions.chunks_exact(3).map(|p| camera.project([p[0], p[1], p[2]].map(f64::from)));
    let within = |[low, high]: [f32; 2], v: f64| (f64::from(low)..=f64::from(high)).contains(&v);
    let mut depths: Vec<f64> = projected
        .filter(|[column, row, depth]| *depth > 0.0 && within(columns, *column) && within(rows, *row))
        .map(|[.., depth]| depth)
        .collect();
    depths.sort_by(f64::total_cmp);
    depths.get(depths.len() / 5).map(|depth| *depth as f32)
}

/// The point of the world at a column, a row and a depth.
fn world_point(camera: &Camera, [column, row]: [f32; 2], depth: f32) -> [f32; 3] {
    let (depth, m) = (f64::from(depth), &camera.camera_from_world);
    let v = [
        (f64::from(column) - camera.cx) / camera.fx * depth - m[0][3],
        (f64::from(row) - camera.cy) / camera.fy * depth - m[1][3],
        depth - m[2][3],
    ];
    std::array::from_fn(|k| (0..3).map(|r| m[r][k] * v[r]).sum::<f64>() as f32)
}

/// The last point on the way from the centre of the lips to `place` that is well inside them.
fn inside_point(lips: &[[f32; 2]], center: [f32; 2], place: [f32; 2]) -> [f32; 2] {
    let along = |t: f32| std::array::from_fn(|k| center[k] + t * (place[k] - center[k]));
    let steps = (0..=8).rev().map(|step| along(step as f32 / 10.0));
    steps.into_iter().find(|point| is_inside(lips, *point)).unwrap_or(center)
}

fn color_at(rgb: &[u8], width: usize, [column, row]: [f32; 2]) -> [u8; 3] {
    let at = row.max(0.0).round() as usize * width + (column.max(0.0).round() as usize).min(width - 1);
    rgb.get(3 * at..3 * at + 3).map_or([0; 3], |c| [c[0], c[1], c[2]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_found_where_it_was_seen() {
        let camera = Camera {
            camera_from_world: [[0.8, 0.0, 0.6, 0.1], [0.0, 1.0, 0.0, -0.2], [-0.6, 0.0, 0.8, 0.5]],
            fx: 700.0,
            fy: 710.0,
            cx: 31.0,
            cy: 29.0,
            width: 64,
            height: 64,
        };
        let point = world_point(&camera, [12.0, 40.0], 0.7);
        let [column, row, depth] = camera.project(point.map(f64::from));
        assert!((column - 12.0).abs() < 1e-3 && (row - 40.0).abs() < 1e-3 && (depth - 0.7).abs() < 1e-6);
    }
}
