//! The GPU rasterizer against its CPU twin, on whatever adapter there is; Mesa's software Vulkan will do.
//!
//! There is no skipping: a machine without any adapter fails these tests.

mod common;

use common::compare::{gradient_difference, image_difference};
use common::scene::{Scene, camera, random_gradients, random_scene};
use std::sync::LazyLock;
use surfeltalk::Result;
use surfeltalk::gpu::context::Restrictions;
use surfeltalk::gpu::{Choice, Gpu};
use surfeltalk::raster::cpu::CpuRasterizer;
use surfeltalk::raster::gpu::GpuRasterizer;
use surfeltalk::raster::{ImageGradients, Outputs, Rasterizer, Rendered, SurfelGradients};

static ADAPTER: LazyLock<Gpu> = LazyLock::new(|| open(Restrictions::default()));

fn open(restrictions: Restrictions) -> Gpu {
    Gpu::restricted(Choice::Any, restrictions).expect("a device").expect(
        "a Vulkan, Metal or DirectX adapter; on Debian, apt-get install mesa-vulkan-drivers brings one",
    )
}

fn gpu() -> GpuRasterizer {
    GpuRasterizer::new(ADAPTER.clone())
}

type Outcome = (Rendered<f32>, SurfelGradients<f32>);

/// Forward and backward.
fn run(
    rasterizer: &dyn Rasterizer,
    scene: &Scene<f32>,
    upstream: Option<&ImageGradients<f32>>,
) -> Result<Outcome> {
    let batch = scene.batch();
    let rendered = rasterizer.forward(&batch, &scene.cameras, &scene.settings)?;
    let random = random_gradients(7, &rendered);
    let upstream = upstream.unwrap_or(&random);
    let gradients = rasterizer.backward(&batch, &scene.cameras, &scene.settings, &rendered, upstream)?;
    Ok((rendered, gradients))
}

fn images(r: &Rendered<f32>) -> [(&'static str, &Vec<f32>); 7] {
    [
        ("color", &r.color),
        ("attention", &r.attention),
        ("alpha", &r.alpha),
        ("depth", &r.depth),
        ("median", &r.median),
        ("normal", &r.normal),
        ("distortion", &r.distortion),
    ]
}

fn gradients(g: &SurfelGradients<f32>) -> [(&'static str, &Vec<f32>); 7] {
    [
        ("positions", &g.positions),
        ("rotations", &g.rotations),
        ("scales", &g.scales),
        ("opacities", &g.opacities),
        ("colors", &g.colors),
        ("attention", &g.attention),
        ("screen", &g.screen),
    ]
}

/// What differs between two outcomes by more than rounding, in words.
///
/// A ray whose surfel is drawn with alpha 1/255 by one and not at all by the other, or that ends one surfel sooner,
/// differs by up to 1/255 and more; the share of such pixels is bounded instead.
fn differences(found: &Outcome, expected: &Outcome) -> Vec<String> {
    let mut faults = Vec::new();
    for ((name, a), (_, b)) in images(&found.0).into_iter().zip(images(&expected.0)) {
        if a.len() != b.len() {
            faults.push(format!("{name}: {} numbers where {} belong", a.len(), b.len()));
        } else if !a.is_empty() {
            let difference = image_difference(a, b, &vec![true; a.len()]);
            eprintln!("{name:10} max {:.1e}, 99.9 % {:.1e}", difference.max, difference.p999);
            let (max, p999) = if matches!(name, "median" | "depth") { (3.0, 1e-3) } else { (2e-2, 1e-4) };
            if !(difference.max <= max && difference.p999 <= p999) {
                faults.push(format!("{name}: {difference:?}"));
            }
        }
    }
    // Discs that reach behind the eye have radii without meaning, too large for f32 to count in ones.
    let off = |(a, b): &(&u32, &u32)| f64::from(a.abs_diff(**b)) > 1.0 + 1e-3 * f64::from(**b);
    let wrong = found.0.radii.iter().zip(&expected.0.radii).filter(off).count();
    if found.0.radii.len() != expected.0.radii.len() || wrong * 1000 > expected.0.radii.len() {
        faults.push(format!("{wrong} radii"));
    }
    for ((name, a), (_, b)) in gradients(&found.1).into_iter().zip(gradients(&expected.1)) {
        if a.len() != b.len() {
            faults.push(format!("{name}: {} numbers where {} belong", a.len(), b.len()));
        } else if !a.is_empty() {
            let surfels = if name == "screen" { expected.0.radii.len() } else { expected.1.opacities.len() };
            let difference = gradient_difference(a, b, a.len() / surfels, &vec![true; surfels]);
            // Where nearly all gradients are zero, such as those of the scales under a median depth, the quantile
            // compares rounding with rounding.
            let tiny = a.iter().zip(b.iter()).all(|(a, b)| (a - b).abs() < 1e-4);
            eprintln!("{name:10} L2 {:.1e}, p95 {:.1e}", difference.relative, difference.p95);
            if !(difference.relative <= 2e-3 && (difference.p95 <= 2e-3 || tiny)) {
                faults.push(format!("gradient of {name}: {difference:?}"));
            }
        }
    }
    faults
}

fn assert_twins(scene: &Scene<f32>) -> Outcome {
    let expected = run(&CpuRasterizer::new(), scene, None).expect("the CPU draws");
    let found = run(&gpu(), scene, None).expect("the GPU draws");
    let faults = differences(&found, &expected);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    found
}

fn scene(seed: u64, surfels: usize, width: u32, height: u32) -> Scene<f32> {
    random_scene(seed, surfels, width, height).cast()
}

/// The scene from several cameras.
fn seen_from(mut scene: Scene<f32>, cameras: usize) -> Scene<f32> {
    let first = scene.cameras[0];
    scene.cameras = (0..cameras)
        .map(|i| {
            let mut camera = first;
            camera.camera_from_world[0][3] += 0.05 * i as f64;
            camera.camera_from_world[1][3] -= 0.03 * i as f64;
            camera.cx += 3.0 * i as f64;
            camera
        })
        .collect();
    scene
}

/// As many copies as cameras, each a little different.
fn with_copies(mut scene: Scene<f32>) -> Scene<f32> {
    let n = scene.cameras.len();
    scene.copies = n;
    let vary = |values: &mut Vec<f32>, by: f32| {
        let one = values.clone();
        *values = (0..n).flat_map(|c| one.iter().map(move |v| v * (1.0 + by * c as f32))).collect();
    };
    vary(&mut scene.positions, 0.01);
    vary(&mut scene.rotations, 0.0);
    vary(&mut scene.scales, 0.05);
    vary(&mut scene.opacities, -0.02);
    vary(&mut scene.colors, 0.03);
    if let Some(attention) = &mut scene.attention {
        vary(attention, 0.02);
    }
    scene
}

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
        for ((name, a), (_, b)) in gradients(&again.1).into_iter().zip(gradients(&first.1)) {
            assert!(a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits()), "{name}");
        }
        for ((name, a), (_, b)) in images(&again.0).into_iter().zip(images(&first.0)) {
            assert!(a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits()), "{name}");
        }
    }
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
    let expected = run(&CpuRasterizer::new(), &scene, None).expect("the CPU draws");
    let found = run(&lesser, &scene, None).expect("the lesser adapter draws");
    let faults = differences(&found, &expected);
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
