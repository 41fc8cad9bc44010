//! What the GPU rasterizer does at its limits: poison, overflow, long lists, lesser adapters, lost devices. On whatever
//! adapter there is; Mesa's software Vulkan will do, and a machine without any fails.

mod common;

use common::scene::random_gradients;
use common::twins::{ADAPTER, assert_twins, compared, gpu, gradients, images, open, run, scene, seen_from};
use surfeltalk::cli::device::Device;
use surfeltalk::gpu::context::Restrictions;
use surfeltalk::raster::cpu::CpuRasterizer;
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
    for poison in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 3e38] {
        for slot in 0..6 {
            let mut scene = clean.clone();
            let values = match slot {
                0 => &mut scene.positions,
                1 => &mut scene.rotations,
                2 => &mut scene.scales,
                3 => &mut scene.opacities,
                4 => &mut scene.colors,
                _ => scene.attention.get_or_insert_default(),
            };
            values[0] = poison;
            let found = run(&gpu(), &scene, None).expect("the GPU draws");
            for ((name, a), (_, b)) in images(&found.0).into_iter().zip(images(&without_first.0)) {
                assert_eq!(a, b, "{name} with {poison} in slot {slot}");
            }
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
    let lesser = GpuRasterizer::new(open(Restrictions { without_subgroups: true, default_limits: true }));
    let scene = seen_from(scene(16, 200, 70, 50), 2);
    let (_, faults) = compared(&lesser, &scene);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_software_adapter_refuses_a_tile_it_would_cut_short() {
    if !ADAPTER.is_software() {
        eprintln!("skipped: what a software adapter refuses; this one is hardware");
        return;
    }
    let mut scene = scene(15, 60_000, 16, 16);
    scene.opacities.fill(0.005);
    let outcome = gpu().forward(&scene.batch(), &scene.cameras, &scene.settings);
    assert_eq!(outcome.err().expect("a refusal").exit_code(), 2);
}

#[test]
fn more_surfels_than_the_device_holds_are_refused_with_a_number_that_fits() {
    let lesser = GpuRasterizer::new(open(Restrictions { without_subgroups: false, default_limits: true }));
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
fn images_of_another_backend_are_refused() {
    let scene = scene(19, 20, 32, 32);
    let rendered =
        CpuRasterizer::new().forward(&scene.batch(), &scene.cameras, &scene.settings).expect("the CPU draws");
    let upstream = random_gradients(1, &rendered);
    let outcome = gpu().backward(&scene.batch(), &scene.cameras, &scene.settings, &rendered, &upstream);
    assert!(outcome.is_err());
}

#[test]
fn auto_takes_a_gpu_in_hardware_and_none_in_software() {
    let name = Device::Auto.rasterizer().expect("something draws").name();
    if ADAPTER.is_software() {
        assert!(name.starts_with("CPU"), "{name}");
    } else {
        assert_eq!(name, ADAPTER.name());
    }
    assert!(Device::Cpu.rasterizer().expect("the CPU draws").name().starts_with("CPU"));
    assert_eq!(Device::Gpu.rasterizer().expect("any adapter draws").name(), ADAPTER.name());
}
