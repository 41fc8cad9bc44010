//! The GPU rasterizer against its CPU twin, on whatever adapter there is; Mesa's software Vulkan will do.
//!
//! There is no skipping: a machine without any adapter fails these tests.

mod common;

use common::compare::image_difference;
use common::scene::{Scene, camera, random_gradients};
use common::twins::{assert_twins, differences, gpu, images, run, scene, seen_from, with_copies};
use surfeltalk::raster::cpu::CpuRasterizer;
use surfeltalk::raster::{Behind, ImageGradients, Outputs, Rasterizer};

#[test]
fn images_and_gradients_are_the_cpu_s() {
    let (rendered, gradients) = assert_twins(&scene(1, 300, 133, 97));
    assert!(rendered.alpha.iter().any(|&a| a > 0.5));
    assert!(gradients.positions.iter().any(|&g| g != 0.0));
}

#[test]
fn odd_sizes_are_drawn_to_the_last_pixel() {
    for (width, height) in [(1, 1), (17, 1), (1, 33), (257, 131)] {
        assert_twins(&scene(2, 60, width, height));
    }
}

#[test]
fn no_surfel_and_one_surfel_are_drawn() {
    let mut none = scene(3, 1, 20, 20);
    none.surfels = 0;
    for values in
        [&mut none.positions, &mut none.rotations, &mut none.scales, &mut none.opacities, &mut none.colors]
    {
        values.clear();
    }
    none.attention = Some(Vec::new());
    let (rendered, gradients) = run(&gpu(), &none, None).expect("nothing is drawn");
    assert_eq!(rendered.color[0], none.settings.background[0]);
    assert!(rendered.alpha.iter().all(|&a| a == 0.0));
    assert!(gradients.positions.is_empty());
    assert_twins(&scene(3, 1, 20, 20));
}

#[test]
fn a_batch_of_cameras_shares_one_copy() {
    assert_twins(&seen_from(scene(4, 200, 80, 64), 3));
}

#[test]
fn a_batch_of_copies_has_a_camera_each() {
    assert_twins(&with_copies(seen_from(scene(5, 200, 80, 64), 3)));
}

#[test]
fn harmonics_of_every_degree_are_the_cpu_s() {
    for degree in 0..=3 {
        let mut scene = seen_from(scene(6, 150, 64, 48), 2);
        let mut random = common::scene::Random(degree as u64);
        let numbers = scene.surfels * 3 * (degree + 1) * (degree + 1);
        scene.degree = Some(degree);
        scene.colors = (0..numbers).map(|_| random.uniform(-0.5, 0.5) as f32).collect();
        assert_twins(&scene);
    }
}

#[test]
fn what_was_not_asked_for_is_not_drawn() {
    for bits in 0..32_u32 {
        let on = |bit: u32| bits >> bit & 1 == 1;
        let mut scene = scene(8, 40, 33, 18);
        scene.settings.outputs =
            Outputs { attention: on(0), depth: on(1), median: on(2), normal: on(3), distortion: on(4) };
        let (rendered, _) = assert_twins(&scene);
        assert_eq!(rendered.median.is_empty(), !on(2));
    }
}

#[test]
fn each_image_alone_has_its_gradient() {
    let scene = scene(9, 120, 64, 48);
    let cpu = CpuRasterizer::new();
    let drawn = cpu.forward(&scene.batch(), &scene.cameras, &scene.settings).expect("the CPU draws");
    let all = random_gradients(3, &drawn);
    let none = ImageGradients::default;
    for only in [
        ImageGradients { color: all.color.clone(), ..none() },
        ImageGradients { attention: all.attention.clone(), ..none() },
        ImageGradients { alpha: all.alpha.clone(), ..none() },
        ImageGradients { depth: all.depth.clone(), ..none() },
        ImageGradients { median: all.median.clone(), ..none() },
        ImageGradients { normal: all.normal.clone(), ..none() },
        ImageGradients { distortion: all.distortion.clone(), ..none() },
    ] {
        let expected = run(&cpu, &scene, Some(&only)).expect("the CPU draws");
        let found = run(&gpu(), &scene, Some(&only)).expect("the GPU draws");
        let faults = differences(&found, &expected);
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }
}

#[test]
fn equal_depths_are_drawn_in_the_order_of_their_indices() {
    let mut scene = scene(10, 64, 40, 40);
    for position in scene.positions.chunks_mut(3) {
        position.copy_from_slice(&[0.0, 0.0, 3.0]);
    }
    assert_twins(&scene);
}

#[test]
fn surfels_behind_the_others_are_covered_by_them_wherever_they_lie() {
    let behind = |offset: f32| {
        let mut scene = scene(11, 200, 96, 64);
        scene.behind = Some(Behind { first: 150, offset });
        scene.settings.outputs = Outputs { attention: true, ..Outputs::NONE };
        // The last channel tells how much of them is seen.
        let weights = scene.attention.as_mut().expect("attention");
        weights.chunks_exact_mut(4).enumerate().for_each(|(i, a)| a[3] = f32::from(u8::from(i >= 150)));
        scene.settings.background = [0.0; 7];
        let (rendered, _) = assert_twins(&scene);
        rendered.attention[3 * 96 * 64..].iter().map(|v| f64::from(*v)).sum::<f64>()
    };
    let (among, covered) = (behind(0.0), behind(100.0));
    assert!(covered > 0.0 && covered < 0.8 * among, "{covered} of {among}");
}

#[test]
fn an_off_centre_principal_point_and_a_near_plane_are_honoured() {
    let mut scene = scene(11, 200, 90, 70);
    scene.cameras[0].cx = -12.5;
    scene.cameras[0].cy = 95.0;
    // Half of the discs are near the near plane or behind it.
    for (i, position) in scene.positions.chunks_mut(3).enumerate().filter(|(i, _)| i % 2 == 0) {
        position[2] = 0.1 + 0.004 * i as f32;
    }
    let expected = run(&CpuRasterizer::new(), &scene, None).expect("the CPU draws");
    let found = run(&gpu(), &scene, None).expect("the GPU draws");
    for ((name, a), (_, b)) in images(&found.0).into_iter().zip(images(&expected.0)).take(3) {
        let difference = image_difference(a, b, &vec![true; a.len()]);
        assert!(difference.p999 < 5e-3, "{name}: {difference:?}");
    }
}

#[test]
fn the_comparison_can_fail() {
    let scene = scene(20, 100, 64, 48);
    let expected = run(&CpuRasterizer::new(), &scene, None).expect("the CPU draws");
    let with = |change: &dyn Fn(&mut Scene<f32>)| {
        let mut other = scene.clone();
        change(&mut other);
        differences(&run(&gpu(), &other, None).expect("the GPU draws"), &expected)
    };
    assert!(with(&|_| ()).is_empty());
    assert!(!with(&|s| s.opacities.iter_mut().for_each(|v| *v *= 0.98)).is_empty());
    assert!(!with(&|s| s.positions.iter_mut().for_each(|v| *v *= 1.01)).is_empty());
    assert!(!with(&|s| s.colors.iter_mut().for_each(|v| *v += 0.01)).is_empty());
    assert!(!with(&|s| s.cameras = vec![camera(64, 47)]).is_empty());
}
