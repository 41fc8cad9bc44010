//! A training step on the GPU against the CPU: field, activation, drawing, loss, their backward passes, and Adam. On whatever
//! adapter there is; a machine without any fails.

mod common;

use common::branches::{
    Case, NO_RATES, Outcome, RATES, STATIC, case, differences, load, outcome, parameters, step,
};
use common::goals::WEIGHTS;
use common::twins::{ADAPTER, open};
use surfeltalk::composite::cpu::{HeadImages, compose};
use surfeltalk::composite::torso_layer::torso_layer;
use surfeltalk::composite::{
    Background, BackgroundPlate, Composition, DeviceTorso, Layers, Patch, Picture, PixelFormat, Seam,
};
use surfeltalk::gpu::Restrictions;
use surfeltalk::head::backend::{
    Backend, BranchMoments, CpuBackend, GpuBackend, Output, RenderRequest, StepInputs, StepTargets,
};
use surfeltalk::head::cloud::density::{DensityOptions, DensityStats, decide};
use surfeltalk::loss::{LossTerms, Weights};
use surfeltalk::raster::Outputs;

fn gpu() -> GpuBackend {
    GpuBackend::new(ADAPTER.clone())
}

/// An adapter on which derivatives of windows of two frames go together and not of three.
fn lesser([width, height]: [u64; 2]) -> GpuBackend {
    let binding_bytes = Some((36 * width * height * 5 / 2).max(1 << 20));
    GpuBackend::new(open(Restrictions { binding_bytes, default_limits: true, without_subgroups: true }))
}

fn assert_twins(backend: &mut dyn Backend, case: &Case) {
    for (has_field, weights) in [(true, WEIGHTS), (false, STATIC)] {
        let found = outcome(backend, case, has_field, &weights);
        let expected = outcome(&mut CpuBackend::new(), case, has_field, &weights);
        let faults = differences(&found, &expected, case.branch.cloud.len());
        assert!(faults.is_empty(), "with the field {has_field}:\n{}", faults.join("\n"));
    }
}

#[test]
fn a_training_step_is_the_cpu_s() {
    assert_twins(&mut gpu(), &case(1, 200, 3, [133, 97]));
    assert_twins(&mut gpu(), &case(2, 300, 1, [64, 48]));
}

#[test]
fn an_adapter_with_the_least_limits_and_groups_of_frames_takes_the_same_step() {
    let size = [170, 131];
    assert_twins(&mut lesser(size), &case(3, 200, 5, size.map(|side| side as u32)));
}

/// A case in which LPIPS compares patches, which overlap in part, and its weights.
fn with_patches(mut case: Case) -> (Case, Weights) {
    case.patch_side = Some(33);
    (case, Weights { lpips: 0.5, lpips_lips: 0.3, ..WEIGHTS })
}

#[test]
fn a_step_that_compares_patches_by_lpips_is_the_cpu_s() {
    // The lesser one holds the network's weights, and two frames of four.
    for (mut backend, size) in [(gpu(), [100, 81]), (lesser([256, 240]), [256, 240])] {
        let (case, weights) = with_patches(case(14, 200, 4, size));
        let found = outcome(&mut backend, &case, true, &weights);
        let expected = outcome(&mut CpuBackend::new(), &case, true, &weights);
        let faults = differences(&found, &expected, case.branch.cloud.len());
        assert!(faults.is_empty(), "{}", faults.join("\n"));
        for outcome in [&found, &expected] {
            assert!(outcome.terms.lpips > 1e-3 && outcome.terms.lpips_lips > 1e-3, "{:?}", outcome.terms);
        }
        // The comparison notices a weight that is wrong.
        let other = Weights { lpips: 0.6, ..weights };
        let faults =
            differences(&outcome(&mut backend, &case, true, &other), &expected, case.branch.cloud.len());
        assert!(faults.iter().any(|fault| fault.starts_with("gradient")), "{faults:?}");
    }
}

#[test]
fn frames_smaller_than_the_network_takes_are_refused() {
    for mut backend in [Box::new(gpu()) as Box<dyn Backend>, Box::new(CpuBackend::new())] {
        let (case, weights) = with_patches(case(15, 40, 1, [40, 31]));
        load(backend.as_mut(), &case);
        let error = step(backend.as_mut(), &case, true, &weights, &RATES, None).expect_err("refused");
        assert!(error.exit_code() == 2 && error.to_string().contains("40 × 31"), "{error}");
    }
}

#[test]
fn pairs_that_do_not_fit_at_first_are_drawn_again() {
    let mut case = case(4, 500, 2, [130, 130]);
    case.branch.cloud.log_scales.fill(1.1);
    case.branch.cloud.opacity_logits.fill(-4.5);
    let found = outcome(&mut gpu(), &case, true, &WEIGHTS);
    let expected = outcome(&mut CpuBackend::new(), &case, true, &WEIGHTS);
    let faults = differences(&found, &expected, case.branch.cloud.len());
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_comparison_detects_each_wrong_array() {
    let case = case(5, 150, 2, [64, 48]);
    let surfels = case.branch.cloud.len();
    let expected = outcome(&mut CpuBackend::new(), &case, true, &WEIGHTS);
    let fresh = || outcome(&mut CpuBackend::new(), &case, true, &WEIGHTS);
    assert!(differences(&fresh(), &expected, surfels).is_empty());
    let detected = |what: &str, change: &dyn Fn(&mut Outcome)| {
        let mut wrong = fresh();
        change(&mut wrong);
        assert!(!differences(&wrong, &expected, surfels).is_empty(), "{what}");
    };
    for (k, (name, _)) in
        expected.gradients.iter().enumerate().filter(|(_, (_, g))| g.iter().any(|v| v.abs() > 1e-3))
    {
        detected(name, &|wrong| wrong.gradients[k].1.iter_mut().for_each(|g| *g *= 1.01));
    }
    let other = Weights { embedding: 1.2 * WEIGHTS.embedding, ..WEIGHTS };
    let other = outcome(&mut CpuBackend::new(), &case, true, &other);
    let faults = differences(&other, &expected, surfels);
    assert!(faults.iter().any(|fault| fault.contains("embedding")), "{faults:?}");
    detected("screen", &|wrong| wrong.screen.iter_mut().for_each(|g| *g *= 1.01));
    detected("l1", &|wrong| wrong.terms.l1 *= 1.01);
    let before = parameters(&case.branch);
    for (k, (name, values)) in before.iter().enumerate().filter(|(_, (_, values))| values.len() > 200) {
        detected(name, &|wrong| wrong.after[k].1 = values.clone());
    }
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

#[test]
fn the_same_step_gives_the_same_bits_and_targets_uploaded_before_are_the_same_targets() {
    let case = case(6, 400, 2, [100, 80]);
    let mut backend = gpu();
    let mut run = |gpu: bool| {
        load(&mut backend, &case);
        let device = gpu.then(|| ADAPTER.clone());
        let found = step(&mut backend, &case, true, &WEIGHTS, &RATES, device.as_ref()).expect("a step");
        (found.terms, parameters(backend.read_state().expect("read back").0))
    };
    let first = run(true);
    for gpu in [true, false] {
        let again = run(gpu);
        assert!(first.0 == again.0);
        for ((name, a), (_, b)) in first.1.iter().zip(&again.1) {
            assert!(bits(a) == bits(b), "{name}");
        }
    }
}

#[test]
fn gradients_are_those_of_finite_differences() {
    let mut case = case(7, 120, 2, [64, 48]);
    // Normal consistency takes alpha for a constant, so it is no derivative.
    let weights = Weights { normal: 0.0, ..WEIGHTS };
    let found = outcome(&mut gpu(), &case, true, &weights);
    let before = case.branch.cloud.clone();
    // Along the signs of the gradient, so that every number counts.
    for (array, bound) in [("cloud.opacity_logits", 0.03), ("cloud.harmonics", 0.01)] {
        let step_size = 2e-3;
        let (_, gradient) = found.gradients.iter().find(|(name, _)| name == array).expect("an array");
        let mut loss = |side: f32| -> f64 {
            case.branch.cloud = before.clone();
            let cloud = &mut case.branch.cloud;
            let values = match array {
                "cloud.harmonics" => &mut cloud.harmonics,
                _ => &mut cloud.opacity_logits,
            };
            for (v, g) in values.iter_mut().zip(gradient) {
                *v += side * step_size * if *g == 0.0 { 0.0 } else { g.signum() };
            }
            let mut backend = gpu();
            load(&mut backend, &case);
            let found = step(&mut backend, &case, true, &weights, &NO_RATES, None).expect("a step");
            f64::from(LossTerms::mean(&found.terms).total)
        };
        let expected: f64 = gradient.iter().map(|g| f64::from(g.abs())).sum();
        let measured = (loss(1.0) - loss(-1.0)) / (2.0 * f64::from(step_size));
        eprintln!("{array}: {measured:.6} where {expected:.6} belongs");
        assert!((measured / expected - 1.0).abs() < bound, "{array}: {measured} and {expected}");
    }
}

#[test]
fn nothing_is_learned_from_a_step_that_is_not_finite() {
    for mut backend in [Box::new(gpu()) as Box<dyn Backend>, Box::new(CpuBackend::new())] {
        let mut case = case(8, 60, 2, [48, 48]);
        case.branch.cloud.log_scales[2] = f32::NAN;
        load(backend.as_mut(), &case);
        for has_field in [false, true] {
            let weights = if has_field { WEIGHTS } else { STATIC };
            let found = step(backend.as_mut(), &case, has_field, &weights, &RATES, None).expect("a step");
            assert!(!found.finite, "{}, with the field {has_field}", backend.name());
        }
        let (branch, moments) = backend.read_state().expect("read back");
        for ((name, a), (_, b)) in parameters(branch).iter().zip(&parameters(&case.branch)) {
            assert!(bits(a) == bits(b), "{name}");
        }
        let steps = moments.expect("the state of Adam").arrays().iter().map(|(_, adam)| adam.steps).max();
        assert_eq!(steps, Some(0));
        case.branch.cloud.log_scales[2] = -2.0;
        load(backend.as_mut(), &case);
        let found = step(backend.as_mut(), &case, true, &WEIGHTS, &RATES, None).expect("a step");
        assert!(found.finite, "a fault is forgotten");
    }
}

#[test]
fn frames_are_drawn_as_on_the_cpu() {
    let case = case(9, 200, 3, [70, 50]);
    for has_field in [true, false] {
        let draw = |backend: &mut dyn Backend| {
            backend.load_state(&case.branch, None).expect("loaded");
            let request = RenderRequest {
                conditions: if has_field { &case.conditions } else { &[] },
                cameras: &case.scene.cameras,
                background: [0.2; 7],
                outputs: Outputs { attention: has_field, ..Outputs::default() },
                output: Output::Planes,
            };
            backend.render(&request).expect("drawn").wait().expect("images").planes
        };
        let (found, expected) = (draw(&mut gpu()), draw(&mut CpuBackend::new()));
        for (a, b) in [(&found.color, &expected.color), (&found.attention, &expected.attention)] {
            assert_eq!(a.len(), b.len());
            let worst = a.iter().zip(b).fold(0.0f32, |m, (a, b)| m.max((a - b).abs()));
            assert!(worst < 2e-3, "{worst}, with the field {has_field}");
        }
    }
}

/// Layers of bytes that differ from pixel to pixel.
struct Scenery {
    size: [usize; 2],
    plate: BackgroundPlate,
    torso: Vec<u8>,
    occlusion: Vec<u8>,
    mask: Vec<u8>,
}

impl Scenery {
    fn new(size: [usize; 2]) -> Self {
        let bytes = |count: usize| (0..count).map(|i| (i * 167 % 251) as u8).collect::<Vec<u8>>();
        let pixels = size[0] * size[1];
        Scenery {
            size,
            plate: BackgroundPlate::new(bytes(3 * pixels)),
            torso: bytes(4 * pixels / 2),
            occlusion: bytes(pixels / 2),
            mask: bytes(pixels),
        }
    }

    fn layers(&self) -> Layers<'_> {
        let [width, height] = self.size.map(|side| side as u32);
        let lower = |bytes| Patch { corner: [0, height / 2], size: [width, height / 2], bytes };
        Layers {
            background: Background::Plate(&self.plate),
            torso: Some(lower(&self.torso)),
            occlusion: Some(lower(&self.occlusion)),
            mask: Some(&self.mask),
        }
    }
}

/// Pictures of several requests in flight at once, and what the planes of the same frames give when they are composed on the
/// host.
fn pictures(backend: &mut dyn Backend, case: &Case, format: PixelFormat) -> [Vec<Picture>; 2] {
    let cameras = &case.scene.cameras;
    let scenery = Scenery::new([cameras[0].width as usize, cameras[0].height as usize]);
    let layers = vec![scenery.layers(); cameras.len()];
    let composition = Composition { frames: &layers, seam: Seam::new(5).expect("odd"), format, torso: None };
    backend.load_state(&case.branch, None).expect("loaded");
    let request = |output| RenderRequest {
        conditions: &case.conditions,
        cameras,
        background: [0.0; 7],
        outputs: Outputs { attention: true, ..Outputs::default() },
        output,
    };
    let mut pending: Vec<_> = (0..3)
        .map(|_| backend.render(&request(Output::Pictures(&composition))).expect("in flight"))
        .collect();
    let planes = backend.render(&request(Output::Planes)).expect("in flight").wait().expect("planes").planes;
    let last = pending.pop().expect("three").wait().expect("pictures");
    for mut earlier in pending {
        let start = std::time::Instant::now();
        let images = loop {
            match earlier.try_take() {
                Some(images) => break images.expect("pictures"),
                None => assert!(start.elapsed().as_secs() < 120, "it never ends"),
            }
            std::thread::yield_now();
        };
        assert!(images.pictures == last.pictures, "the same request gives the same bytes");
        assert!(earlier.try_take().is_none(), "images are taken once");
    }
    assert_eq!(last.planes.attention, planes.attention);
    let pixels = scenery.size[0] * scenery.size[1];
    let composed = (0..cameras.len())
        .map(|k| {
            let head = HeadImages {
                size: scenery.size,
                color: &planes.color[3 * k * pixels..][..3 * pixels],
                alpha: &planes.alpha[k * pixels..][..pixels],
            };
            compose(&head, &layers[k], composition.seam, format).expect("composed")
        })
        .collect();
    [last.pictures, composed]
}

#[test]
fn pictures_are_the_planes_put_together_on_every_backend() {
    let size = [70, 50];
    for format in [PixelFormat::Rgb8, PixelFormat::I420] {
        let backends: [Box<dyn Backend>; 3] =
            [Box::new(gpu()), Box::new(lesser([70, 50])), Box::new(CpuBackend::new())];
        for mut backend in backends {
            let [found, expected] = pictures(backend.as_mut(), &case(12, 200, 3, size), format);
            assert_pictures(&found, &expected);
        }
    }
}

#[test]
fn pictures_whose_pairs_do_not_fit_at_first_are_drawn_again() {
    let mut case = case(13, 500, 2, [130, 130]);
    case.branch.cloud.log_scales.fill(1.1);
    case.branch.cloud.opacity_logits.fill(-4.5);
    let [found, expected] = pictures(&mut gpu(), &case, PixelFormat::Rgba8);
    assert_pictures(&found, &expected);
    let [_, on_host] = pictures(&mut CpuBackend::new(), &case, PixelFormat::Rgba8);
    let same = found.iter().zip(&on_host).flat_map(|(a, b)| a.bytes.iter().zip(&b.bytes));
    assert!(same.clone().all(|(a, b)| a.abs_diff(*b) <= 3), "{:?}", same.map(|(a, b)| a.abs_diff(*b)).max());
}

fn request<'a>(case: &'a Case, output: Output<'a>) -> RenderRequest<'a> {
    RenderRequest {
        conditions: &case.conditions,
        cameras: &case.scene.cameras,
        background: [0.0; 7],
        outputs: Outputs { attention: true, ..Outputs::default() },
        output,
    }
}

fn over<'a>(frames: &'a [Layers<'a>], torso: Option<&'a DeviceTorso>) -> Composition<'a> {
    Composition { frames, seam: Seam::default(), format: PixelFormat::Rgb8, torso }
}

/// Pictures over torsos that the same branch drew: on the device where they stay there, and as bytes on the host.
fn pictures_over_torsos(backend: &mut GpuBackend, case: &Case) -> [Vec<Picture>; 2] {
    let cameras = &case.scene.cameras;
    let size = [cameras[0].width as usize, cameras[0].height as usize];
    backend.load_state(&case.branch, None).expect("loaded");
    let layers = vec![Layers::on(Background::Color([0.1, 0.5, 0.9])); cameras.len()];
    let torso = DeviceTorso::new(backend.gpu().expect("a GPU"), size, cameras.len());
    let drawn = backend.render(&request(case, Output::Torso(&torso))).expect("in flight");
    let mut compose = || {
        let composition = over(&layers, Some(&torso));
        backend
            .render(&request(case, Output::Pictures(&composition)))
            .expect("in flight")
            .wait()
            .expect("pictures")
    };
    // In flight before anyone knows whether the torsos are whole.
    let first = compose().pictures;
    let on_device = if drawn.wait().expect("torsos").drawn_again { compose().pictures } else { first };
    let planes =
        backend.render(&request(case, Output::Planes)).expect("in flight").wait().expect("planes").planes;
    let pixels = size[0] * size[1];
    let torsos: Vec<_> = (0..cameras.len())
        .map(|k| {
            torso_layer(
                &planes.color[3 * k * pixels..][..3 * pixels],
                &planes.alpha[k * pixels..][..pixels],
                &planes.attention[4 * k * pixels..][..4 * pixels],
            )
        })
        .collect();
    let patched: Vec<Layers<'_>> = torsos
        .iter()
        .map(|(torso, occlusion)| Layers {
            torso: Some(Patch::whole(size, torso)),
            occlusion: Some(Patch::whole(size, occlusion)),
            ..layers[0]
        })
        .collect();
    let composition = over(&patched, None);
    let on_host = backend.render(&request(case, Output::Pictures(&composition))).expect("in flight");
    [on_device, on_host.wait().expect("pictures").pictures]
}

#[test]
fn torsos_that_stay_on_the_device_are_those_that_go_over_the_host() {
    let [found, expected] = pictures_over_torsos(&mut gpu(), &case(14, 200, 3, [70, 50]));
    assert_pictures(&found, &expected);
    // Groups of frames of a device with the least limits have one layer.
    let [found, expected] = pictures_over_torsos(&mut lesser([70, 50]), &case(14, 200, 3, [70, 50]));
    assert_pictures(&found, &expected);
    // Pairs that do not fit at first.
    let mut dense = case(13, 500, 2, [130, 130]);
    dense.branch.cloud.log_scales.fill(1.1);
    dense.branch.cloud.opacity_logits.fill(-4.5);
    let [found, expected] = pictures_over_torsos(&mut gpu(), &dense);
    assert_pictures(&found, &expected);
}

#[test]
fn torsos_on_a_device_are_refused_where_they_do_not_fit() {
    let case = case(15, 50, 2, [32, 32]);
    let mut backend = gpu();
    backend.load_state(&case.branch, None).expect("loaded");
    let torso = DeviceTorso::new(backend.gpu().expect("a GPU"), [32, 32], 3);
    let layers = vec![Layers::on(Background::Color([0.0; 3])); 2];
    let composition = over(&layers, Some(&torso));
    let mut cpu = CpuBackend::new();
    cpu.load_state(&case.branch, None).expect("loaded");
    for backend in [&mut backend as &mut dyn Backend, &mut cpu] {
        assert!(backend.render(&request(&case, Output::Pictures(&composition))).is_err());
    }
}

fn assert_pictures(found: &[Picture], expected: &[Picture]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!((found.size, found.format), (expected.size, expected.format));
        let worst = found.bytes.iter().zip(&expected.bytes).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(worst <= Some(1), "{worst:?}");
    }
}

#[test]
fn density_control_edits_parameters_and_moments_alike() {
    let mut case = case(10, 100, 1, [48, 48]);
    case.branch.cloud.opacity_logits[3] = -9.0;
    let mut stats = DensityStats::new(100);
    (stats.gradient[7], stats.views[7], stats.gradient[8], stats.views[8]) = (1.0, 1, 1.0, 1);
    let options = DensityOptions { max_scale: None, ..DensityOptions::default() };
    let edits = decide(&case.branch.cloud, &stats, &options).expect("a list");
    assert_eq!((edits.counts.faint, edits.counts.cloned + edits.counts.split), (1, 2));
    let run = |backend: &mut dyn Backend| {
        load(backend, &case);
        step(backend, &case, false, &STATIC, &RATES, None).expect("a step");
        backend.edit(&edits).expect("edited");
        assert!(backend.edit(&edits).is_err(), "the list was made for another cloud");
        let (branch, moments) = backend.read_state().expect("read back");
        let arrays = moments.expect("the state of Adam").arrays();
        let moments: Vec<usize> =
            arrays.iter().map(|(_, adam)| adam.first.iter().filter(|m| **m == 0.0).count()).collect();
        (parameters(branch).into_iter().map(|(_, values)| values.len()).collect::<Vec<_>>(), moments)
    };
    assert_eq!(run(&mut CpuBackend::new()).0, run(&mut gpu()).0);
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let case = case(11, 40, 2, [48, 48]);
    for mut backend in [Box::new(gpu()) as Box<dyn Backend>, Box::new(CpuBackend::new())] {
        assert!(backend.read_state().is_err(), "nothing was loaded");
        let take = |backend: &mut dyn Backend| step(backend, &case, true, &WEIGHTS, &RATES, None);
        assert!(take(backend.as_mut()).is_err(), "nothing was loaded");
        backend.load_state(&case.branch, None).expect("loaded");
        assert_eq!(take(backend.as_mut()).expect_err("no state of Adam").exit_code(), 1);
        load(backend.as_mut(), &case);
        let targets = StepTargets::prepare(None, case.targets.clone(), &WEIGHTS, [48, 48]).expect("targets");
        let whole = || StepInputs {
            conditions: &case.conditions,
            cameras: &case.scene.cameras,
            background: [0.0; 3],
            targets: &targets,
            weights: &WEIGHTS,
            sh_degree: 1,
            rest_weight: 0.0,
            statistics: false,
            patches: None,
            rates: &RATES,
        };
        assert!(backend.train_step(&StepInputs { conditions: &case.conditions[1..], ..whole() }).is_err());
        assert!(backend.train_step(&StepInputs { cameras: &case.scene.cameras[1..], ..whole() }).is_err());
        assert!(backend.train_step(&StepInputs { sh_degree: 3, ..whole() }).is_err());
        assert!(
            backend.train_step(&StepInputs { conditions: &[], ..whole() }).is_err(),
            "attention without a field"
        );
        assert!(backend.train_step(&whole()).expect("a step").finite);
    }
    assert!(StepTargets::prepare(Some(&ADAPTER), case.targets.clone(), &WEIGHTS, [48, 47]).is_err());
}

#[test]
fn more_surfels_than_the_device_has_room_for_are_refused_before_anything_is_allocated() {
    let restrictions = Restrictions { binding_bytes: Some(1 << 20), ..Restrictions::default() };
    let mut backend = GpuBackend::new(open(restrictions));
    let many = case(12, 20_000, 1, [16, 16]);
    let moments = BranchMoments::new(&many.branch);
    let error = backend.load_state(&many.branch, Some(&moments)).expect_err("refused");
    assert_eq!(error.exit_code(), 2);
    assert!(error.to_string().contains("--max_points"), "{error}");
}
