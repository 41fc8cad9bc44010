use super::*;
use crate::track::math::length;
use image::{Rgb, RgbImage};

const SIZE: [u32; 2] = [200, 200];

/// A ball of 8 cm, coarse, and its front half as the face.
fn face() -> Mesh {
    Mesh::sheet(13, 0.1, |x, y| (0.08f64.powi(2) - x * x - y * y).sqrt() - 0.03)
}

fn camera() -> (Pose, Lens) {
    let rotation = [[1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, -1.0]];
    (Pose { rotation, translation: [0.0, 0.0, 0.6] }, Lens { focal: 450.0, center: [100.0, 100.0] })
}

/// Red on the left, green on the right; the head is a disc.
fn view() -> View {
    let head = |x: u32, y: u32| (f64::from(x) - 99.5).hypot(f64::from(y) - 90.0) < 70.0;
    View {
        picture: RgbImage::from_fn(SIZE[0], SIZE[1], |x, _| {
            Rgb(if x < 100 { [200, 10, 0] } else { [10, 200, 0] })
        }),
        head: (0..SIZE[0] * SIZE[1]).map(|i| head(i % SIZE[0], i / SIZE[0])).collect(),
    }
}

#[test]
fn the_cloud_is_dense_coloured_and_as_large_as_the_silhouette() {
    let (pose, lens) = camera();
    let cloud = fuse(&face(), &[pose; 3], &lens, &[true; 3], SIZE, &|_| Ok(view())).expect("a cloud");
    let (points, normals, colors) =
        (cloud.positions, cloud.normals.expect("normals"), cloud.colors.expect("colours"));
    let used = cloud.faces.iter().flatten().map(|i| *i as usize + 1).max().expect("triangles");
    assert!(used >= FACE_POINTS && points.len() > used + 3000, "{used} of {}", points.len());
    for (p, n) in points[..used].iter().zip(&normals) {
        let p = [p[0], p[1], p[2] + 0.03].map(f64::from);
        // Smooth: the dense points lie on the ball of the coarse ones.
        assert!((length(p) - 0.08).abs() < 0.0006, "{}", length(p));
        let along: f64 = (0..3).map(|k| p[k] / length(p) * f64::from(n[k])).sum();
        assert!(along > 0.93, "{along}");
    }
    for (p, c) in points.iter().zip(&colors).take(used).filter(|(p, _)| p[0].abs() > 0.002) {
        assert_eq!(*c, if p[0] < 0.0 { [200, 10, 0] } else { [10, 200, 0] }, "{p:?}");
    }
    let outline = points[used..].iter().map(|p| {
        let [x, y] = lens.project(pose.to_camera(p.map(f64::from)));
        (x - 100.0).hypot(y - 90.5)
    });
    let widest = outline.fold(0.0, f64::max);
    assert!((66.0..72.5).contains(&widest), "{widest}");
    // Nothing of the shell stands before the face.
    let before =
        points[used..].iter().filter(|p| p[2] > 0.045 && f64::from(p[0]).hypot(f64::from(p[1])) < 0.02);
    assert_eq!(before.count(), 0);
}

#[test]
fn a_face_without_triangles_and_a_small_view_are_refused() {
    let (pose, lens) = camera();
    let bare = Mesh { vertices: vec![[0.0; 3]; 3], triangles: Vec::new() };
    assert!(fuse(&bare, &[pose], &lens, &[true], SIZE, &|_| Ok(view())).is_err());
    let beyond = Mesh { vertices: vec![[0.0; 3]; 3], triangles: vec![[0, 1, 3]] };
    assert!(fuse(&beyond, &[pose], &lens, &[true], SIZE, &|_| Ok(view())).is_err());
    let small = |_| Ok(View { picture: RgbImage::new(3, 3), head: vec![true; 9] });
    assert!(fuse(&face(), &[pose], &lens, &[true], SIZE, &small).is_err());
    assert!(fuse(&face(), &[pose], &lens, &[false], SIZE, &|_| Ok(view())).is_err());
}
