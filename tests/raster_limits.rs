//! What the GPU rasterizer does at its limits: poison, overflow, long lists, lesser adapters, lost devices. On whatever
//! adapter there is; Mesa's software Vulkan will do, and a machine without any fails.

mod common;

use common::twins::{ADAPTER, assert_twins, compared, gpu, gradients, images, open, run, scene, seen_from};
use surfeltalk::cli::device::Device;
use surfeltalk::gpu::Restrictions;
use surfeltalk::raster::gpu::GpuRasterizer;
use surfeltalk::raster::{Outputs, Rasterizer};

#[test]
fn poison_hides_its_surfel_and_no_other() {
    let clean = scene(12, 50, 48, 48);
    let without_first = {
        let mut scene = clean.clone();
        scene.opacities[0] = 0.0;
        run(&gpu(), &scene, None).expect("the GPU draws")
    };
    let rasterizer = gpu();
    for poison in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 3e38] {
        for (slot, width) in [3, 4, 2, 1, 3, 4].into_iter().enumerate() {
            for component in 0..width {
                let mut scene = clean.clone();
                let values = match slot {
                    0 => &mut scene.positions,
                    1 => &mut scene.rotations,
                    2 => &mut scene.scales,
                    3 => &mut scene.opacities,
                    4 => &mut scene.colors,
                    _ => scene.attention.get_or_insert_default(),
                };
                values[component] = poison;
                let what = format!("{poison} in slot {slot}, {component}");
                let found = run(&rasterizer, &scene, None).expect("the GPU draws");
                for ((name, a), (_, b)) in images(&found.0).into_iter().zip(images(&without_first.0)) {
                    assert_eq!(a, b, "{name} with {what}");
                }
                for ((name, a), (_, b)) in gradients(&found.1).into_iter().zip(gradients(&without_first.1)) {
                    let width = a.len() / if name == "screen" { found.0.radii.len() } else { clean.surfels };
                    assert!(a[..width].iter().all(|v| v.is_finite()), "{name} with {what}");
                    same_bits(&format!("{name} with {what}"), &a[width..], &b[width..]);
                }
            }
        }
    }
}

#[test]
fn a_poisoned_camera_sees_the_background() {
    for poison in [f64::NAN, f64::INFINITY] {
        let clean = seen_from(scene(12, 50, 48, 48), 2);
        let expected = run(&gpu(), &clean, None).expect("the GPU draws");
        for slot in 0..5 {
            let mut scene = clean.clone();
            let camera = &mut scene.cameras[0];
            match slot {
                0 => camera.fx = poison,
                1 => camera.fy = poison,
                2 => camera.cx = poison,
                3 => camera.camera_from_world[0][0] = poison,
                _ => camera.camera_from_world[2][3] = poison,
            }
            let found = run(&gpu(), &scene, None).expect("the GPU draws");
            let (first, second) = found.0.alpha.split_at(48 * 48);
            assert!(first.iter().all(|&a| a == 0.0), "{poison} in slot {slot}");
            assert_eq!(second, &expected.0.alpha[48 * 48..], "{poison} in slot {slot}");
            for (name, values) in gradients(&found.1) {
                assert!(values.iter().all(|v| v.is_finite()), "{name} with {poison} in slot {slot}");
            }
        }
    }
}

#[test]
fn the_same_batch_gives_the_same_bits() {
    let scene = seen_from(scene(13, 500, 100, 80), 2);
    let rasterizer = gpu();
    let first = run(&rasterizer, &scene, None).expect("the GPU draws");
    for _ in 0..3 {
        let again = run(&rasterizer, &scene, None).expect("the GPU draws");
        for ((name, a), (_, b)) in images(&again.0).into_iter().zip(images(&first.0)) {
            same_bits(name, a, b);
        }
        for ((name, a), (_, b)) in gradients(&again.1).into_iter().zip(gradients(&first.1)) {
            same_bits(name, a, b);
        }
    }
}

fn same_bits(name: &str, a: &[f32], b: &[f32]) {
    assert_eq!(a.len(), b.len(), "{name}");
    let off: Vec<_> = (0..a.len()).filter(|&i| a[i].to_bits() != b[i].to_bits()).collect();
    let first: Vec<_> = off.iter().take(5).map(|&i| (i, a[i], b[i])).collect();
    assert!(off.is_empty(), "{} of {} {name}: {first:?}", off.len(), a.len());
}

#[test]
fn pairs_that_do_not_fit_are_drawn_again_with_more_room() {
    // Every disc covers every tile: far more pairs than a fresh rasterizer makes room for.
    let mut scene = scene(14, 700, 130, 130);
    scene.scales.fill(3.0);
    scene.opacities.fill(0.01);
    scene.settings.outputs = Outputs { attention: true, ..Outputs::default() };
    assert_twins(&scene);
}

#[test]
fn a_tile_with_fifty_thousand_surfels_is_drawn() {
    let mut scene = scene(15, 50_000, 16, 16);
    scene.opacities.fill(0.005);
    scene.settings.outputs = Outputs::default();
    assert_twins(&scene);
}

#[test]
fn an_adapter_without_subgroups_and_with_the_least_limits_draws_the_same() {
    let lesser = GpuRasterizer::new(open(Restrictions {
        without_subgroups: true,
        default_limits: true,
        ..Restrictions::default()
    }));
    let scene = seen_from(scene(16, 200, 70, 50), 2);
    let (_, faults) = compared(&lesser, &scene);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_tile_that_software_would_cut_short_is_refused_there_and_drawn_by_hardware() {
    let mut scene = scene(15, 60_000, 16, 16);
    scene.opacities.fill(0.005);
    if !ADAPTER.is_software() {
        scene.settings.outputs = Outputs::default();
        assert_twins(&scene);
        return;
    }
    let outcome = gpu().forward(&scene.batch(), &scene.cameras, &scene.settings);
    assert_eq!(outcome.err().expect("a refusal").exit_code(), 2);
}

#[test]
fn more_surfels_than_the_device_holds_are_refused_with_a_number_that_fits() {
    let lesser = GpuRasterizer::new(open(Restrictions { default_limits: true, ..Restrictions::default() }));
    let mut scene = scene(17, 1, 8, 8);
    let n = 2_500_000;
    scene.surfels = n;
    scene.positions = vec![0.0; 3 * n];
    scene.rotations = vec![0.0; 4 * n];
    scene.scales = vec![0.0; 2 * n];
    scene.opacities = vec![0.0; n];
    scene.colors = vec![0.0; 3 * n];
    scene.attention = Some(vec![0.0; 4 * n]);
    let error = lesser.forward(&scene.batch(), &scene.cameras, &scene.settings).err().expect("a refusal");
    assert_eq!(error.exit_code(), 2);
    assert!(error.to_string().contains("--max_points"), "{error}");
}

#[test]
fn two_million_surfels_are_drawn_where_they_fit_and_refused_where_not() {
    // Most lie beside what the camera sees; what it sees lies at the end.
    let n = 2_000_000;
    let seen = scene(21, 2000, 64, 48);
    let mut scene = seen.clone();
    scene.surfels = n;
    let far = |values: &[f32], width: usize, other: f32| {
        let mut all = vec![other; (n - seen.surfels) * width];
        all.extend_from_slice(values);
        all
    };
    scene.positions = far(&seen.positions, 3, -50.0);
    scene.rotations = far(&seen.rotations, 4, 0.5);
    scene.scales = far(&seen.scales, 2, 0.01);
    scene.opacities = far(&seen.opacities, 1, 0.9);
    scene.colors = far(&seen.colors, 3, 0.1);
    scene.attention = seen.attention.as_deref().map(|a| far(a, 4, 0.2));
    scene.settings.outputs = Outputs { attention: true, ..Outputs::default() };
    match gpu().forward(&scene.batch(), &scene.cameras, &scene.settings) {
        Ok(_) => {
            let (found, gradients) = assert_twins(&scene);
            let mut alone = seen;
            alone.settings = scene.settings;
            let expected = run(&gpu(), &alone, None).expect("the GPU draws");
            same_bits("color", &found.color, &expected.0.color);
            assert_eq!(gradients.positions.len(), 3 * n);
            assert!(gradients.positions.iter().rev().take(6000).any(|&g| g != 0.0));
        }
        Err(error) => {
            eprintln!("this adapter's buffers are too small for two million surfels");
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains("--max_points"), "{error}");
        }
    }
}

#[test]
fn in_the_steady_state_no_buffer_is_made() {
    let gpu = open(Restrictions::default());
    let rasterizer = GpuRasterizer::new(gpu.clone());
    let mut scene = scene(22, 30, 20, 20);
    let mut made = Vec::new();
    for step in 0..60 {
        // Surfels come and go a little, as in training.
        scene.opacities[0] = 0.001 * (step % 10) as f32;
        run(&rasterizer, &scene, None).expect("the GPU draws");
        made.push(gpu.buffers_made());
    }
    assert!(made[0] > 0);
    assert_eq!(made.last(), made.get(20), "{made:?}");
}

#[test]
fn a_cloud_that_grows_leaves_no_buffers_of_its_old_sizes_behind() {
    let gpu = open(Restrictions::default());
    let rasterizer = GpuRasterizer::new(gpu.clone());
    let draw = |surfels: usize| {
        let scene = scene(23, surfels, 20, 20);
        rasterizer.forward(&scene.batch(), &scene.cameras, &scene.settings).expect("the GPU draws");
    };
    draw(20_000);
    let large = gpu.idle_bytes();
    assert!(large > 20_000 * 200);
    // Long after, with the last of these the first that needs a buffer of a new size.
    (0..400).for_each(|_| draw(10));
    assert!(gpu.idle_bytes() >= large, "nothing is given back while nothing is made");
    draw(5_000);
    assert!(gpu.idle_bytes() < large / 2, "{} of {large} bytes", gpu.idle_bytes());
}

#[test]
fn a_lost_device_is_an_error_and_not_a_crash() {
    let doomed = open(Restrictions::default());
    let rasterizer = GpuRasterizer::new(doomed.clone());
    let scene = scene(18, 20, 32, 32);
    run(&rasterizer, &scene, None).expect("the GPU draws");
    doomed.destroy();
    let error = run(&rasterizer, &scene, None).err().expect("a lost device");
    assert_eq!(error.exit_code(), 3, "{error}");
}

#[test]
fn auto_takes_a_gpu_in_hardware_and_none_in_software() {
    let name = |device: Device| device.gpu().expect("no fault").map(|gpu| gpu.name());
    assert_eq!(name(Device::Auto), (!ADAPTER.is_software()).then(|| ADAPTER.name()));
    assert_eq!(name(Device::Cpu), None);
    assert_eq!(name(Device::Gpu), Some(ADAPTER.name()));
}
