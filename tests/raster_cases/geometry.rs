//! Discs edge-on, tiny, at one depth, at the near plane; images of odd sizes.

use crate::common::scene::{Scene, random_gradients, random_scene};
use crate::{assert_finite, draw, go_back, gradients, images};
use surfeltalk::raster::ImageGradients;

/// One disc at depth 2 on the axis of a 33 × 33 camera, facing it.
fn one_disc() -> Scene<f64> {
    let mut scene = random_scene(1, 1, 33, 33);
    scene.positions = vec![0.0, 0.0, 2.0];
    scene.rotations = vec![1.0, 0.0, 0.0, 0.0];
    scene.scales = vec![0.2, 0.1];
    scene.opacities = vec![0.8];
    scene.settings.background = [0.0; 7];
    scene
}

const MIDDLE: usize = 16 * 33 + 16;

#[test]
fn a_disc_facing_the_camera_has_the_closed_form() {
    let scene = one_disc();
    let drawn = draw(&scene);
    let view = scene.cameras[0];
    for row in 0..33 {
        for column in 0..33 {
            let (x, y) = ((column as f64 - 16.0) / view.fx * 2.0, (row as f64 - 16.0) / view.fy * 2.0);
            let disc = (x / 0.2_f64).powi(2) + (y / 0.1_f64).powi(2);
            let low_pass = 2.0 * ((column as f64 - 16.0).powi(2) + (row as f64 - 16.0).powi(2));
            let alpha = 0.8 * (-0.5 * disc.min(low_pass)).exp();
            let alpha = if alpha < 1.0 / 255.0 { 0.0 } else { alpha };
            let at = row * 33 + column;
            assert!((drawn.alpha[at] - alpha).abs() < 1e-12, "{row} {column}");
            assert!((drawn.depth[at] - 2.0 * alpha).abs() < 1e-12);
            assert!((drawn.normal[2 * 33 * 33 + at] + alpha).abs() < 1e-12, "faces the camera: −z");
        }
    }
    assert!((drawn.median[MIDDLE] - 2.0).abs() < 1e-12);
    assert_eq!(drawn.distortion[MIDDLE], 0.0, "one surfel has nothing to be far from");
}

#[test]
fn an_edge_on_disc_is_a_line_one_filter_wide() {
    let mut scene = one_disc();
    // 89.95 degrees about the y axis.
    let half = (89.95_f64 / 2.0).to_radians();
    scene.rotations = vec![half.cos(), 0.0, half.sin(), 0.0];
    let drawn = draw(&scene);
    assert!((drawn.alpha[MIDDLE] - 0.8).abs() < 1e-3);
    assert!(drawn.alpha[MIDDLE + 4] == 0.0, "nothing beside the line");
    assert!(drawn.alpha[MIDDLE + 33] > 0.1, "something along the line");
    let upstream = random_gradients(3, &drawn);
    assert_finite(gradients(&go_back(&scene, &drawn, &upstream)), "an edge-on disc");
    let single = scene.cast::<f32>();
    let drawn_single = draw(&single);
    for (a, b) in drawn_single.alpha.iter().zip(&drawn.alpha) {
        assert!((f64::from(*a) - b).abs() < 1e-5);
    }
}

#[test]
fn a_disc_seen_exactly_from_its_plane_is_not_drawn() {
    let mut scene = one_disc();
    let half = 0.5_f64.sqrt();
    scene.rotations = vec![half, 0.0, half, 0.0];
    scene.positions = vec![0.0, 0.0, 2.0];
    let drawn = draw(&scene);
    assert_finite(images(&drawn), "a disc without a side");
    assert!(drawn.alpha.iter().all(|&a| a < 0.81));
    assert_finite(gradients(&go_back(&scene, &drawn, &random_gradients(3, &drawn))), "a disc without a side");
}

#[test]
fn a_disc_smaller_than_a_pixel_is_a_filter_wide() {
    for scale in [1e-3, 1e-6, 1e-12] {
        let mut scene = one_disc().cast::<f32>();
        scene.scales = vec![scale, scale];
        let drawn = draw(&scene);
        assert!((drawn.alpha[MIDDLE] - 0.8).abs() < 1e-6, "{scale}");
        let beside = 0.8 * (-1.0_f32).exp();
        assert!((drawn.alpha[MIDDLE + 1] - beside).abs() < 1e-6, "{scale}");
        let back = go_back(&scene, &drawn, &random_gradients(3, &drawn));
        assert_finite(gradients(&back), "a disc smaller than a pixel");
        assert!(back.opacities[0] != 0.0);
    }
}

#[test]
fn a_disc_without_area_is_not_drawn() {
    for scales in [[0.0, 0.0], [0.0, 0.1], [0.1, 0.0]] {
        let mut scene = one_disc();
        scene.scales = scales.to_vec();
        let drawn = draw(&scene);
        assert!(drawn.alpha.iter().all(|&a| a == 0.0));
        let back = go_back(&scene, &drawn, &random_gradients(3, &drawn));
        assert!(gradients(&back).iter().all(|g| g.iter().all(|&v| v == 0.0)));
    }
}

#[test]
fn surfels_at_the_same_depth_keep_the_order_of_their_indices() {
    let mut scene = one_disc();
    scene.surfels = 2;
    for values in [&mut scene.positions, &mut scene.rotations, &mut scene.scales, &mut scene.opacities] {
        values.extend(values.clone());
    }
    scene.attention = Some(vec![0.0; 8]);
    scene.colors = vec![1.0, 0.0, 0.0, 0.0, 1.0, 0.0];
    let color = |scene: &Scene<f64>| {
        let drawn = draw(scene);
        [0, 1].map(|c| drawn.color[c * 33 * 33 + MIDDLE])
    };
    let [front, behind] = color(&scene);
    assert!((front - 0.8).abs() < 1e-12 && (behind - 0.16).abs() < 1e-12);
    scene.colors.rotate_left(3);
    let [behind, front] = color(&scene);
    assert!((front - 0.8).abs() < 1e-12 && (behind - 0.16).abs() < 1e-12);
}

#[test]
fn nothing_is_drawn_at_the_near_plane_or_before_it() {
    let mut scene = one_disc();
    for (depth, drawn) in [(-1.0, false), (0.0, false), (0.1, false), (0.200_000_002_9, false), (0.201, true)]
    {
        scene.positions[2] = depth;
        let radius = draw(&scene).radii[0];
        assert_eq!(radius > 0, drawn, "depth {depth}");
    }
}

#[test]
fn pixels_before_the_near_plane_are_left_out_of_a_disc_that_crosses_it() {
    let mut scene = one_disc();
    // Turned about the x axis: the upper part is nearer.
    let half = 0.6_f64;
    scene.rotations = vec![half.cos(), half.sin(), 0.0, 0.0];
    scene.positions = vec![0.0, 0.0, 0.3];
    scene.scales = vec![0.1, 0.1];
    let drawn = draw(&scene);
    let alpha = |row: usize| drawn.alpha[row * 33 + 16];
    let near = (0..33).filter(|&r| alpha(r) == 0.0).count();
    assert!(near > 0 && near < 33 && alpha(16) > 0.7);
    for at in 0..33 * 33 {
        assert!(drawn.alpha[at] == 0.0 || drawn.depth[at] / drawn.alpha[at] >= 0.2 - 1e-12);
    }
    assert_finite(gradients(&go_back(&scene, &drawn, &random_gradients(3, &drawn))), "the near plane");
}

#[test]
fn moving_the_principal_point_moves_the_image() {
    let mut scene = random_scene(5, 30, 64, 48);
    let drawn = draw(&scene);
    scene.cameras[0].cx += 16.0;
    scene.cameras[0].cy -= 16.0;
    let moved = draw(&scene);
    for row in 16..48 {
        for column in 0..48 {
            let (a, b) = (drawn.alpha[row * 64 + column], moved.alpha[(row - 16) * 64 + column + 16]);
            assert!((a - b).abs() < 1e-12, "{row} {column}");
        }
    }
}

#[test]
fn images_of_odd_sizes_are_the_corner_of_a_larger_one() {
    let large = random_scene(6, 60, 272, 144);
    let whole = draw(&large);
    for (width, height) in [(1, 1), (17, 1), (1, 31), (33, 17), (257, 131)] {
        let mut scene = large.clone();
        (scene.cameras[0].width, scene.cameras[0].height) = (width, height);
        let drawn = draw(&scene);
        assert_eq!([drawn.width, drawn.height], [width as usize, height as usize]);
        for (found, expected) in images(&drawn).into_iter().zip(images(&whole)) {
            let channels = expected.len() / (272 * 144);
            assert_eq!(found.len(), channels * drawn.width * drawn.height);
            for (at, value) in found.iter().enumerate() {
                let (channel, pixel) = (at / (drawn.width * drawn.height), at % (drawn.width * drawn.height));
                let (row, column) = (pixel / drawn.width, pixel % drawn.width);
                let other = expected[(channel * 144 + row) * 272 + column];
                assert!((value - other).abs() < 1e-9, "{width}×{height} at {row}, {column}");
            }
        }
        assert_finite(gradients(&go_back(&scene, &drawn, &random_gradients(7, &drawn))), "an odd size");
    }
}

#[test]
fn without_surfels_there_is_the_background() {
    let mut scene = random_scene(1, 0, 20, 10).cast::<f32>();
    scene.attention = Some(Vec::new());
    let drawn = draw(&scene);
    for channel in 0..3 {
        let background = scene.settings.background[channel];
        assert!(drawn.color[channel * 200..(channel + 1) * 200].iter().all(|&v| v == background));
    }
    assert!(drawn.attention.iter().all(|v| scene.settings.background[3..].contains(v)));
    assert!(drawn.alpha.iter().all(|&a| a == 0.0) && drawn.radii.is_empty());
    let back = go_back(&scene, &drawn, &random_gradients(1, &drawn));
    assert!(gradients(&back).iter().all(|g| g.is_empty()));
}

#[test]
fn without_cameras_there_is_nothing() {
    let mut scene = random_scene(1, 3, 20, 10);
    scene.cameras.clear();
    let drawn = draw(&scene);
    assert_eq!(drawn.frames, 0);
    assert!(images(&drawn).iter().all(|image| image.is_empty()));
    let back = go_back(&scene, &drawn, &ImageGradients::default());
    assert!(back.positions.iter().all(|&v| v == 0.0) && back.screen.is_empty());
}
