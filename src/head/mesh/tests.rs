//! Meshes of clouds whose surface is known.

use super::*;
use std::collections::HashMap;

const RADIUS: f32 = 0.1;

/// Discs on a sphere, red on the left and green on the right.
fn sphere() -> Cloud {
    let n = 4000;
    let golden = std::f32::consts::PI * (3.0 - 5f32.sqrt());
    let mut cloud = Cloud { sh_degree: 0, ..Cloud::default() };
    for k in 0..n {
        let y = 1.0 - 2.0 * (k as f32 + 0.5) / n as f32;
        let (sin, cos) = (golden * k as f32).sin_cos();
        let ring = (1.0 - y * y).sqrt();
        let normal = glam::Vec3::new(ring * cos, y, ring * sin);
        let turn = glam::Quat::from_rotation_arc(glam::Vec3::Z, normal);
        cloud.positions.extend((RADIUS * normal).to_array());
        cloud.rotations.extend([turn.w, turn.x, turn.y, turn.z]);
        cloud.log_scales.extend([0.005f32.ln(); 2]);
        cloud.opacity_logits.push(4.0);
        let side = if normal.x < 0.0 { [1.0, -1.0, -1.0] } else { [-1.0, 1.0, -1.0] };
        cloud.harmonics.extend(side.map(|v: f32| 1.6 * v));
        cloud.embedding.extend([0.0; crate::head::cloud::surfels::EMBEDDING]);
    }
    cloud
}

/// A camera half a unit from the middle that looks at it along `direction`.
fn camera(direction: glam::DVec3) -> Camera {
    let z = direction.normalize();
    let x = z.any_orthonormal_vector();
    let y = z.cross(x);
    Camera {
        camera_from_world: [[x.x, x.y, x.z, 0.0], [y.x, y.y, y.z, 0.0], [z.x, z.y, z.z, 0.5]],
        fx: 220.0,
        fy: 220.0,
        cx: 63.5,
        cy: 63.5,
        width: 128,
        height: 128,
    }
}

/// From the eight corners of a cube and its six sides.
fn all_around() -> Vec<Camera> {
    let mut cameras = vec![];
    for k in 0..27 {
        let direction = glam::DVec3::new((k % 3) as f64, (k / 3 % 3) as f64, (k / 9) as f64) - 1.0;
        if direction != glam::DVec3::ZERO {
            cameras.push(camera(direction));
        }
    }
    cameras
}

fn options() -> MeshOptions {
    MeshOptions { resolution: 48, views: 100 }
}

/// How many triangles lie on each edge.
fn edges(mesh: &PointCloud) -> HashMap<[u32; 2], usize> {
    let mut edges = HashMap::new();
    for [a, b, c] in &mesh.faces {
        for [a, b] in [[a, b], [b, c], [c, a]] {
            *edges.entry([*a.min(b), *a.max(b)]).or_insert(0) += 1;
        }
    }
    edges
}

#[test]
fn a_head_seen_from_all_around_is_closed_and_lies_where_its_surfels_do() {
    let mesh = mesh(&sphere(), &all_around(), options(), |_, _| Ok(())).expect("a mesh");
    let edges = edges(&mesh);
    assert!(edges.values().all(|triangles| *triangles == 2), "an edge is open or shared by many");
    assert_eq!(mesh.positions.len() + mesh.faces.len() - edges.len(), 2, "one sphere, without handles");
    let voxel = 2.0 * RADIUS / 48.0;
    let (normals, colors) = (mesh.normals.expect("normals"), mesh.colors.expect("colours"));
    for ((position, normal), color) in mesh.positions.iter().zip(&normals).zip(&colors) {
        let (place, normal) = (glam::Vec3::from(*position), glam::Vec3::from(*normal));
        assert!((place.length() - RADIUS).abs() < voxel, "{} from the middle", place.length());
        let along = normal.dot(place.normalize());
        assert!(along > 0.8, "the normal at {place} is {normal}");
        let [red, green, _] = *color;
        if place.x.abs() > 0.02 {
            assert_eq!(red > green, place.x < 0.0, "colour {color:?} at {place}");
        }
    }
}

#[test]
fn where_nobody_looked_there_is_no_surface() {
    let front = [camera(-glam::DVec3::Z), camera(glam::DVec3::new(0.2, 0.0, -1.0))];
    let mesh = mesh(&sphere(), &front, options(), |_, _| Ok(())).expect("a mesh");
    let edges = edges(&mesh);
    assert!(edges.values().all(|triangles| *triangles <= 2));
    assert!(edges.values().any(|triangles| *triangles == 1), "the back is open");
    let back = mesh.positions.iter().map(|p| p[2]).fold(f32::INFINITY, f32::min);
    assert!(back > -0.06, "a surface at z = {back}, where no camera saw any");
}

#[test]
fn a_speck_that_floats_beside_the_head_is_left_out() {
    let mut cloud = sphere();
    let speck = [0.0, 0.125, 0.0];
    cloud.positions[..3].copy_from_slice(&speck);
    cloud.positions[3..6].copy_from_slice(&speck);
    cloud.rotations[4..8].copy_from_slice(&[0.5f32.sqrt(), 0.0, 0.5f32.sqrt(), 0.0]);
    let mesh = mesh(&cloud, &all_around(), options(), |_, _| Ok(())).expect("a mesh");
    assert!(mesh.positions.iter().all(|p| glam::Vec3::from(*p).length() < 0.11));
}

#[test]
fn a_head_that_no_camera_sees_is_refused_and_work_can_be_stopped() {
    let away = Camera { cx: 1e4, ..camera(glam::DVec3::Z) };
    for cameras in [vec![], vec![away]] {
        assert_eq!(mesh(&sphere(), &cameras, options(), |_, _| Ok(())).expect_err("refused").exit_code(), 2);
    }
    let stop = |_, _| Err(Error::Internal("stopped".into()));
    assert!(matches!(mesh(&sphere(), &all_around(), options(), stop), Err(Error::Internal(_))));
}

#[test]
fn the_views_stand_apart() {
    let cameras = all_around();
    let mut twice = cameras.clone();
    twice.extend(&cameras);
    assert_eq!(views::apart(&twice, 100).len(), cameras.len(), "a place is looked from once");
    let two = views::apart(&cameras, 2);
    assert!(two[0].center().iter().zip(two[1].center()).map(|(a, b)| a * b).sum::<f64>() < 0.0);
}

#[test]
fn a_head_is_a_quarter_of_a_metre_tall() {
    let mut points = PointCloud { positions: vec![[0.0, 0.2, 0.1]], ..PointCloud::default() };
    in_metres(&mut points, 0.2);
    assert_eq!(points.positions, [[0.0, 0.125, 0.0625]]);
}
