//! Warps a frame to the reference pose, so that a person can see what [`super::Jitter`] measures.

use super::super::depth::{DepthMap, Mesh};
use super::super::pose::{Lens, Pose};
use super::patches::back;
use image::{Rgb, RgbImage};

/// `picture`, taken at `pose`, warped to how the face is seen from `reference`; grey where there is no face.
pub fn warp_to_pose(picture: &RgbImage, mesh: &Mesh, reference: &Pose, pose: &Pose, lens: &Lens) -> RgbImage {
    let (width, height) = picture.dimensions();
    let map = DepthMap::new(mesh, reference, lens, [width, height]);
    RgbImage::from_fn(width, height, |x, y| {
        let at = y as usize * map.width + x as usize;
        let depth = f64::from(map.depth[at]);
        let place = depth
            .is_finite()
            .then(|| lens.project(pose.to_camera(back(reference, lens, [x as usize, y as usize], depth))));
        place.and_then(|[x, y]| between(picture, x, y)).unwrap_or(Rgb([128; 3]))
    })
}

/// Bilinear interpolation; positions are counted from the edge. None outside.
fn between(picture: &RgbImage, x: f64, y: f64) -> Option<Rgb<u8>> {
    let (x, y) = (x - 0.5, y - 0.5);
    let (width, height) = (f64::from(picture.width()), f64::from(picture.height()));
    if !(x >= 0.0 && y >= 0.0 && x < width - 1.0 && y < height - 1.0) {
        return None;
    }
    let (fx, fy) = (x.fract(), y.fract());
    let color = |dx: u32, dy: u32| picture.get_pixel(x as u32 + dx, y as u32 + dy).0.map(f64::from);
    let [a, b, c, d] = [color(0, 0), color(1, 0), color(0, 1), color(1, 1)];
    let mix = |k: usize| (a[k] * (1.0 - fx) + b[k] * fx) * (1.0 - fy) + (c[k] * (1.0 - fx) + d[k] * fx) * fy;
    Some(Rgb([0, 1, 2].map(|k| mix(k).round() as u8)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_face_that_moved_is_seen_where_it_was() {
        let corner = |x: f64, y: f64| [x, y, 0.0];
        let mesh = Mesh {
            vertices: vec![corner(-0.2, 0.2), corner(0.2, 0.2), corner(-0.2, -0.2), corner(0.2, -0.2)],
            triangles: vec![[0, 2, 1], [1, 2, 3]],
        };
        let lens = Lens { focal: 64.0, center: [32.0, 32.0] };
        let reference = Pose {
            rotation: [[1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, -1.0]],
            translation: [0.0, 0.0, 1.0],
        };
        // Five pixels to the right.
        let pose = Pose { translation: [5.0 / 64.0, 0.0, 1.0], ..reference };
        let picture = RgbImage::from_fn(64, 64, |x, y| Rgb([4 * x as u8, 3 * y as u8, 7]));
        let seen = warp_to_pose(&picture, &mesh, &reference, &pose, &lens);
        assert_eq!(seen.get_pixel(30, 28).0, [4 * 35, 3 * 28, 7]);
        assert_eq!(seen.get_pixel(2, 2).0, [128; 3]);
    }
}
