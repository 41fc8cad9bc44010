//! Batches, threads, outputs, and requests that are refused.

use crate::common::scene::{ALL, Random, Scene, camera, random_gradients, random_scene};
use crate::{draw, go_back, gradients, images, slots};
use surfeltalk::raster::cpu::CpuRasterizer;
use surfeltalk::raster::{Colors, ImageGradients, Outputs, RasterSettings, Rasterizer, Rendered};

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
