//! What the CPU rasterizer does at the edges: of geometry, of image sizes, of numbers, of what callers ask.

mod common;

use common::scene::{ALL, Random, Scene, camera, random_gradients, random_scene};
use surfeltalk::raster::cpu::CpuRasterizer;
use surfeltalk::raster::{
    Colors, ImageGradients, Outputs, RasterSettings, Rasterizer, Real, Rendered, SurfelGradients,
};

fn draw<R: Real>(scene: &Scene<R>) -> Rendered<R> {
    CpuRasterizer::new().forward(&scene.batch(), &scene.cameras, &scene.settings).expect("a forward pass")
}

fn go_back<R: Real>(
    scene: &Scene<R>,
    drawn: &Rendered<R>,
    upstream: &ImageGradients<R>,
) -> SurfelGradients<R> {
    CpuRasterizer::new()
        .backward(&scene.batch(), &scene.cameras, &scene.settings, drawn, upstream)
        .expect("a backward pass")
}

fn images<R>(r: &Rendered<R>) -> [&Vec<R>; 7] {
    [&r.color, &r.attention, &r.alpha, &r.depth, &r.median, &r.normal, &r.distortion]
}

fn gradients<R>(g: &SurfelGradients<R>) -> [&Vec<R>; 7] {
    [&g.positions, &g.rotations, &g.scales, &g.opacities, &g.colors, &g.attention, &g.screen]
}

fn assert_finite<R: Real>(arrays: [&Vec<R>; 7], what: &str) {
    for (k, array) in arrays.iter().enumerate() {
        assert!(array.iter().all(|v| v.is_finite()), "{what}: array {k} has a number that is none");
    }
}

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

/// The slots of a surfel: a name, numbers per surfel and where they are.
fn slots(scene: &mut Scene<f32>) -> [(&'static str, usize, &mut Vec<f32>); 6] {
    [
        ("positions", 3, &mut scene.positions),
        ("rotations", 4, &mut scene.rotations),
        ("scales", 2, &mut scene.scales),
        ("opacities", 1, &mut scene.opacities),
        ("colors", 3, &mut scene.colors),
        ("attention", 4, scene.attention.get_or_insert_default()),
    ]
}

#[test]
fn a_surfel_with_a_number_that_is_none_is_left_out() {
    let clean = random_scene(8, 12, 48, 40).cast::<f32>();
    let poisoned = 5;
    let mut without = clean.clone();
    without.opacities[poisoned] = 0.0;
    let expected = draw(&without);
    let upstream = random_gradients(2, &expected);
    let expected_back = go_back(&without, &expected, &upstream);
    for poison in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN] {
        for slot in 0..6 {
            for component in 0..slots(&mut clean.clone())[slot].1 {
                let mut scene = clean.clone();
                let (name, width, values) = &mut slots(&mut scene)[slot];
                values[poisoned * *width + component] = poison;
                let what = format!("{poison} in {name} {component}");
                let drawn = draw(&scene);
                assert_eq!(images(&drawn), images(&expected), "{what}");
                assert_eq!(drawn.radii[poisoned], 0, "{what}");
                let back = go_back(&scene, &drawn, &upstream);
                assert_eq!(gradients(&back), gradients(&expected_back), "{what}");
            }
        }
    }
}

#[test]
fn extreme_numbers_make_no_infinities() {
    let clean = random_scene(8, 12, 48, 40).cast::<f32>();
    let poisoned = 5;
    for poison in [0.0, -0.0, 1e-45, -1e-45, 1e-38, 1e-20, 1e6, -1e6, 1e12, -1e12, 9e14, 1.1e15] {
        for slot in 0..6 {
            for component in 0..slots(&mut clean.clone())[slot].1 {
                let mut scene = clean.clone();
                let (name, width, values) = &mut slots(&mut scene)[slot];
                values[poisoned * *width + component] = poison;
                let what = format!("{poison} in {name} {component}");
                let drawn = draw(&scene);
                assert_finite(images(&drawn), &what);
                let back = go_back(&scene, &drawn, &random_gradients(2, &drawn));
                assert_finite(gradients(&back), &what);
            }
        }
    }
}

#[test]
fn a_camera_with_a_number_that_is_none_sees_the_background() {
    for poison in [f64::NAN, f64::INFINITY, 0.0] {
        let mut scene = random_scene(8, 12, 20, 20);
        scene.cameras[0].fx = poison;
        let drawn = draw(&scene);
        assert_finite(images(&drawn), "a poisoned camera");
        assert!(drawn.alpha.iter().all(|&a| a == 0.0));
        assert_finite(gradients(&go_back(&scene, &drawn, &random_gradients(1, &drawn))), "a poisoned camera");
    }
}

#[test]
fn a_tile_takes_fifty_thousand_surfels() {
    let mut scene = random_scene(9, 50_000, 16, 16).cast::<f32>();
    scene.opacities.iter_mut().for_each(|o| *o = 0.006);
    scene.settings.background = [1.0; 7];
    let drawn = draw(&scene);
    assert_finite(images(&drawn), "a full tile");
    let least = drawn.alpha.iter().copied().fold(1.0_f32, f32::min);
    assert!(least > 0.8, "{least}");
    let back = go_back(&scene, &drawn, &random_gradients(1, &drawn));
    assert_finite(gradients(&back), "a full tile");
    // The brightness of everything at once is what the rays gather before the background.
    let upstream = ImageGradients { color: vec![1.0; 3 * 256], ..ImageGradients::default() };
    let gathered: f64 = go_back(&scene, &drawn, &upstream).colors.iter().map(|&v| f64::from(v)).sum();
    let alpha: f64 = drawn.alpha.iter().map(|&v| f64::from(v)).sum();
    assert!((gathered / (3.0 * alpha) - 1.0).abs() < 1e-4, "{gathered} of {alpha}");
}

#[test]
fn a_batch_is_its_frames() {
    let mut scene = random_scene(12, 40, 70, 50).cast::<f32>();
    let mut second = scene.cameras[0];
    second.camera_from_world[0][3] = 0.3;
    let views = [scene.cameras[0], second];
    scene.cameras = views.to_vec();
    let both = draw(&scene);
    let upstream = random_gradients(3, &both);
    let back = go_back(&scene, &both, &upstream);
    let half = |values: &Vec<f32>, frame: usize| {
        let n = values.len() / 2;
        values[frame * n..(frame + 1) * n].to_vec()
    };
    let mut sums = vec![0.0_f64; back.positions.len()];
    for (frame, view) in views.into_iter().enumerate() {
        scene.cameras = vec![view];
        let single = draw(&scene);
        for (image, all) in images(&single).into_iter().zip(images(&both)) {
            assert_eq!(*image, half(all, frame));
        }
        assert_eq!(single.radii, both.radii[frame * 40..(frame + 1) * 40]);
        let upstream = ImageGradients {
            color: half(&upstream.color, frame),
            attention: half(&upstream.attention, frame),
            alpha: half(&upstream.alpha, frame),
            depth: half(&upstream.depth, frame),
            median: half(&upstream.median, frame),
            normal: half(&upstream.normal, frame),
            distortion: half(&upstream.distortion, frame),
        };
        let single_back = go_back(&scene, &single, &upstream);
        assert_eq!(single_back.screen, half(&back.screen, frame));
        sums.iter_mut().zip(&single_back.positions).for_each(|(sum, v)| *sum += f64::from(*v));
    }
    for (sum, found) in sums.iter().zip(&back.positions) {
        assert!((sum - f64::from(*found)).abs() <= 1e-6 * sum.abs().max(1.0));
    }
}

#[test]
fn copies_are_drawn_each_by_its_camera() {
    let first = random_scene(13, 30, 40, 40).cast::<f32>();
    let second = random_scene(14, 30, 40, 40).cast::<f32>();
    let mut both = first.clone();
    both.copies = 2;
    both.cameras = vec![first.cameras[0]; 2];
    for slot in 0..6 {
        let more = slots(&mut second.clone())[slot].2.clone();
        slots(&mut both)[slot].2.extend(more);
    }
    let drawn = draw(&both);
    let singles = [draw(&first), draw(&second)];
    for (k, all) in images(&drawn).into_iter().enumerate() {
        assert_eq!(*all, [images(&singles[0])[k].as_slice(), images(&singles[1])[k]].concat());
    }
}

#[test]
fn the_number_of_threads_does_not_change_a_bit() {
    let scene = random_scene(15, 3000, 150, 130).cast::<f32>();
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        pool.install(|| {
            let drawn = draw(&scene);
            let back = go_back(&scene, &drawn, &random_gradients(4, &drawn));
            (images(&drawn).map(|v| bits(v)), gradients(&back).map(|v| bits(v)), drawn.radii)
        })
    };
    let one = run(1);
    for threads in [2, 3, 7] {
        assert!(run(threads) == one, "{threads} threads");
    }
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

#[test]
fn what_nobody_asks_for_is_not_made_and_changes_nothing() {
    let scene = random_scene(16, 300, 90, 70).cast::<f32>();
    let whole = draw(&scene);
    let none = Outputs::default();
    for outputs in [
        none,
        Outputs { attention: true, ..none },
        Outputs { depth: true, ..none },
        Outputs { median: true, ..none },
        Outputs { normal: true, ..none },
        Outputs { distortion: true, ..none },
    ] {
        let mut part = scene.clone();
        part.settings.outputs = outputs;
        let drawn = draw(&part);
        let wanted = [
            true,
            outputs.attention,
            true,
            outputs.depth,
            outputs.median,
            outputs.normal,
            outputs.distortion,
        ];
        for ((found, expected), wanted) in images(&drawn).into_iter().zip(images(&whole)).zip(wanted) {
            let expected = if wanted { expected.as_slice() } else { &[] };
            assert_eq!(found, expected, "{outputs:?}");
        }
    }
}

#[test]
fn the_background_shines_through_what_is_left() {
    let mut scene = random_scene(17, 50, 40, 40);
    let behind = draw(&scene);
    let background = std::mem::take(&mut scene.settings.background);
    let black = draw(&scene);
    for (at, (found, over_black)) in behind.color.iter().zip(&black.color).enumerate() {
        let expected = over_black + (1.0 - black.alpha[at % 1600]) * background[at / 1600];
        assert!((found - expected).abs() < 1e-12);
    }
}

#[test]
fn ready_colours_and_constant_harmonics_agree() {
    let scene = random_scene(18, 50, 40, 40);
    let mut harmonics = scene.clone();
    harmonics.degree = Some(0);
    harmonics.colors = scene.colors.iter().map(|c| (c - 0.5) / 0.282_094_791_773_878_14).collect();
    for (a, b) in draw(&scene).color.iter().zip(&draw(&harmonics).color) {
        assert!((a - b).abs() < 1e-12);
    }
}

#[test]
fn slices_of_wrong_length_are_refused() {
    let scene = random_scene(19, 10, 20, 20).cast::<f32>();
    let rasterizer = CpuRasterizer::new();
    let refused = |scene: &Scene<f32>| {
        let outcome = rasterizer.forward(&scene.batch(), &scene.cameras, &scene.settings);
        outcome.err().expect("an error").exit_code() == 1
    };
    for slot in 0..6 {
        let mut short = scene.clone();
        slots(&mut short)[slot].2.pop();
        assert!(refused(&short), "slot {slot}");
    }
    assert!(refused(&Scene { copies: 3, ..scene.clone() }));
    assert!(refused(&Scene { attention: None, ..scene.clone() }));
    let mut sizes = scene.clone();
    sizes.cameras.push(camera(21, 20));
    assert!(refused(&sizes));
    let mut batch = scene.batch();
    batch.colors = Colors::Harmonics { degree: 4, coefficients: &scene.colors };
    assert!(rasterizer.forward(&batch, &scene.cameras, &scene.settings).is_err());
}

#[test]
fn going_back_from_other_images_is_refused() {
    let scene = random_scene(19, 10, 20, 20).cast::<f32>();
    let rasterizer = CpuRasterizer::new();
    let refused = |settings: &RasterSettings<f32>, drawn: &Rendered<f32>, upstream: &ImageGradients<f32>| {
        rasterizer.backward(&scene.batch(), &scene.cameras, settings, drawn, upstream).is_err()
    };
    let drawn = draw(&scene);
    let upstream = random_gradients(1, &drawn);
    assert!(!refused(&scene.settings, &drawn, &upstream));
    let color_only = RasterSettings { outputs: Outputs::default(), ..scene.settings };
    assert!(refused(&color_only, &drawn, &upstream), "other settings");
    let short = ImageGradients { color: vec![0.0; 7], ..ImageGradients::default() };
    assert!(refused(&scene.settings, &drawn, &short), "a short gradient");
    let mut elsewhere = draw(&scene);
    elsewhere.state = Box::new(());
    assert!(refused(&scene.settings, &elsewhere, &upstream), "another backend's images");
    let plain = Scene { settings: color_only, ..scene.clone() };
    let plain_drawn = draw(&plain);
    let median = ImageGradients { median: vec![0.0; 400], ..ImageGradients::default() };
    assert!(refused(&color_only, &plain_drawn, &median), "a gradient for an image that was not drawn");
}

#[test]
fn empty_gradients_are_zero() {
    let scene = random_scene(20, 30, 40, 40);
    let drawn = draw(&scene);
    let back = go_back(&scene, &drawn, &ImageGradients::default());
    assert!(gradients(&back).iter().all(|g| g.iter().all(|&v| v == 0.0)));
    let mut random = Random(3);
    let color: Vec<f64> = drawn.color.iter().map(|_| random.uniform(-1.0, 1.0)).collect();
    let zeros = |n: usize| vec![0.0; n];
    let explicit = ImageGradients {
        color: color.clone(),
        attention: zeros(4 * 1600),
        alpha: zeros(1600),
        depth: zeros(1600),
        median: zeros(1600),
        normal: zeros(3 * 1600),
        distortion: zeros(1600),
    };
    let implied = ImageGradients { color, ..ImageGradients::default() };
    let (a, b) = (go_back(&scene, &drawn, &explicit), go_back(&scene, &drawn, &implied));
    assert_eq!(gradients(&a), gradients(&b));
}

#[test]
fn the_settings_start_with_colour_on_black() {
    let settings = RasterSettings::<f32>::default();
    assert_eq!((settings.background, settings.outputs), ([0.0; 7], Outputs::default()));
    assert_ne!(settings.outputs, ALL);
}
