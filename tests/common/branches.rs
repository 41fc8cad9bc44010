//! A small branch, and a training step of it on a backend.

use super::compare::gradient_difference;
use super::goals::{WEIGHTS, random_targets};
use super::lpips::made_up_lpips;
use super::scene::{Random, Scene};
use super::twins::{scene, seen_from};
use data_utils::audio::features::AudioKind;
use data_utils::dataset::Part;
use surfeltalk::Result;
use surfeltalk::gpu::Gpu;
use surfeltalk::head::backend::{
    Backend, BranchMoments, CloudRates, FieldRates, PatchInputs, Rates, StepInputs, StepOutputs, StepTargets,
};
use surfeltalk::head::cloud::{Cloud, Mouth};
use surfeltalk::head::field::{AUDIO_ROWS, Conditions, EXPRESSION, FieldConfig};
use surfeltalk::head::{Branch, BranchSettings};
use surfeltalk::loss::patches::PatchNetwork;
use surfeltalk::loss::{LossTerms, Target, Weights};

/// Nobody attends, as in the static stage.
pub const STATIC: Weights =
    Weights { mouth: 0.0, attention_audio: 0.0, attention_expression: 0.0, ..WEIGHTS };

/// Rates that differ.
pub const RATES: Rates = Rates {
    cloud: Some(CloudRates {
        position: 1e-3,
        rotation: 2e-3,
        scaling: 3e-3,
        opacity: 4e-2,
        feature: 5e-3,
        higher: 6e-4,
    }),
    field: Some(FieldRates { planes: 7e-3, other: 8e-4, embedding: 9e-3 }),
};

/// Nothing is learned.
pub const NO_RATES: Rates = Rates { cloud: None, field: None };

/// A branch, what is seen of it, and what drives it.
pub struct Case {
    pub branch: Branch,
    pub scene: Scene<f32>,
    pub targets: Vec<Target>,
    pub conditions: Vec<Conditions>,
    /// Side of the patches that LPIPS compares, with a made-up network.
    pub patch_side: Option<usize>,
}

/// `frames` frames of a cloud of degree 2.
pub fn case(seed: u64, surfels: usize, frames: usize, [width, height]: [u32; 2]) -> Case {
    let scene = seen_from(scene(seed, surfels, width, height), frames);
    let mut random = Random(seed + 100);
    let mut small = |count: usize, size: f64| -> Vec<f32> {
        (0..count).map(|_| random.uniform(-size, size) as f32).collect()
    };
    let cloud = Cloud {
        sh_degree: 2,
        // Not normalised.
        rotations: scene.rotations.iter().map(|v| 1.7 * v).collect(),
        log_scales: scene.scales.iter().map(|v| v.ln()).collect(),
        opacity_logits: scene.opacities.iter().map(|o| (o / (1.0 - o)).ln()).collect(),
        harmonics: small(27 * surfels, 0.4),
        positions: scene.positions.clone(),
        embedding: small(FieldConfig::default().embedding * surfels, 0.5),
        mouth: Mouth { surfels: surfels / 5, depth_offset: 0.4 },
    };
    let config = FieldConfig {
        plane_resolutions: vec![8, 16],
        plane_channels: 8,
        model_width: 16,
        feed_width: 24,
        head_width: 12,
        ..FieldConfig::default()
    };
    let kind = AudioKind::Mel;
    let settings = BranchSettings::new(Part::Head, kind, width.max(height), seed, &cloud, config);
    let branch =
        Branch::new(settings.expect("settings"), cloud, &candle_core::Device::Cpu).expect("a branch");
    let frame = |i: usize| Conditions {
        audio: small(AUDIO_ROWS * kind.channels() * kind.width(), 1.0),
        expression: small(EXPRESSION, 0.5).iter().map(|v| v + 0.5).collect(),
        camera: scene.cameras[i].token(),
        frame: i as f32,
    };
    let conditions = (0..frames).map(frame).collect();
    Case { branch, targets: random_targets(&scene, 3), scene, conditions, patch_side: None }
}

/// Loads the branch of a case with fresh state of Adam.
pub fn load(backend: &mut dyn Backend, case: &Case) {
    backend.load_state(&case.branch, Some(&BranchMoments::new(&case.branch))).expect("loaded");
}

/// A training step over all frames of a case, with the field or without; targets were uploaded to `gpu` before.
pub fn step(
    backend: &mut dyn Backend,
    case: &Case,
    has_field: bool,
    weights: &Weights,
    rates: &Rates,
    gpu: Option<&Gpu>,
) -> Result<StepOutputs> {
    let camera = case.scene.cameras[0];
    let size = [camera.width as usize, camera.height as usize];
    let targets = StepTargets::prepare(gpu, case.targets.clone(), weights, size)?;
    let background = case.scene.settings.background;
    let network = case.patch_side.map(|side| PatchNetwork::new(made_up_lpips(), side, backend.gpu()));
    let network = network.transpose()?;
    let dice: Vec<[f64; 2]> = (0..case.targets.len()).map(|k| [0.2 + 0.1 * k as f64, 0.7]).collect();
    backend.train_step(&StepInputs {
        conditions: if has_field { &case.conditions } else { &[] },
        cameras: &case.scene.cameras,
        background: [background[0], background[1], background[2]],
        targets: &targets,
        weights,
        sh_degree: 1,
        rest_weight: 0.02,
        statistics: true,
        patches: network.as_ref().map(|network| PatchInputs { network, dice: &dice }),
        rates,
    })
}

/// Everything a step gives: terms, gradients by the name of their parameter, radii, densification signal, parameters after it.
pub struct Outcome {
    pub terms: LossTerms,
    pub gradients: Vec<(String, Vec<f32>)>,
    pub radii: Vec<u32>,
    pub screen: Vec<f32>,
    pub after: Vec<(String, Vec<f32>)>,
}

/// All parameters of a branch by the names of checkpoints.
pub fn parameters(branch: &Branch) -> Vec<(String, Vec<f32>)> {
    let cloud = &branch.cloud;
    let names = ["positions", "rotations", "log_scales", "opacity_logits", "harmonics"];
    let own = names.iter().zip(cloud.own()).map(|(name, values)| (format!("cloud.{name}"), values.to_vec()));
    let field = branch.field.parameters().iter().map(|(name, var)| {
        let values = var.flatten_all().and_then(|t| t.to_vec1()).expect("floats");
        (format!("field.{name}"), values)
    });
    own.chain([("cloud.embedding".to_owned(), cloud.embedding.clone())]).chain(field).collect()
}

/// One step from fresh state.
pub fn outcome(backend: &mut dyn Backend, case: &Case, has_field: bool, weights: &Weights) -> Outcome {
    load(backend, case);
    let gpu = backend.gpu().cloned();
    let found = step(backend, case, has_field, weights, &RATES, gpu.as_ref()).expect("a step");
    assert!(found.finite);
    let (branch, moments) = backend.read_state().expect("read back");
    // The first moment of a first step is a tenth of the gradient.
    let gradient = |m: &f32| m / (1.0 - 0.9);
    let arrays = moments.expect("the state of Adam").arrays();
    Outcome {
        terms: LossTerms::mean(&found.terms),
        gradients: arrays
            .into_iter()
            .map(|(name, adam)| (name, adam.first.iter().map(gradient).collect()))
            .collect(),
        radii: found.radii,
        screen: found.screen,
        after: parameters(branch),
    }
}

fn norm(values: impl Iterator<Item = f32>) -> f64 {
    values.map(|v| f64::from(v).powi(2)).sum::<f64>().sqrt()
}

/// What differs by more than rounding, in words.
pub fn differences(found: &Outcome, expected: &Outcome, surfels: usize) -> Vec<String> {
    let mut faults = Vec::new();
    for (k, (a, b)) in found.terms.each().iter().zip(expected.terms.each()).enumerate() {
        // NaN is a fault too.
        let near = (a - b).abs() <= 2e-4 * b.abs().max(0.05);
        if !near {
            faults.push(format!("term {k}: {a} where {b} belongs"));
        }
    }
    let radii = found.radii.iter().zip(&expected.radii).filter(|(a, b)| a.abs_diff(**b) > 1).count();
    if found.radii.len() != expected.radii.len() || radii * 100 > found.radii.len() {
        faults.push(format!("{radii} radii"));
    }
    let screen = |outcome: &Outcome| ("screen".to_owned(), outcome.screen.clone());
    let of = |outcome: &Outcome| [outcome.gradients.clone(), vec![screen(outcome)]].concat();
    let small = expected.gradients.iter().filter(|(name, _)| name.starts_with("field."));
    let small = norm(small.flat_map(|(_, values)| values.iter().copied()));
    for ((name, a), (other, b)) in of(found).into_iter().zip(of(expected)) {
        assert_eq!(name, other);
        if a.len() != b.len() {
            faults.push(format!("{name}: {} floats where {} belong", a.len(), b.len()));
        } else if let Some(parameter) = name.strip_prefix("field.") {
            // Some are 0 but for rounding, as that of the bias before a softmax.
            let difference = norm(a.iter().zip(&b).map(|(a, b)| a - b));
            let size = norm(b.iter().copied());
            let agrees = difference <= 3e-3 * size + 1e-5 * small;
            if !agrees {
                faults.push(format!("gradient of {parameter}: {difference} of {size}"));
            }
        } else if !a.is_empty() {
            let rows = if name == "screen" { expected.radii.len() } else { surfels };
            let difference = gradient_difference(&a, &b, a.len() / rows, &vec![true; rows]);
            eprintln!("{name:22} L2 {:.1e}, p95 {:.1e}", difference.relative, difference.p95);
            if !(difference.relative <= 3e-3 && difference.p95 <= 3e-3) {
                faults.push(format!("gradient of {name}: {difference:?}"));
            }
        }
    }
    for ((name, a), (_, b)) in found.after.iter().zip(&expected.after) {
        // A first step is as long as the rate and goes against the sign, which may differ where a gradient is nearly 0.
        let off = a.iter().zip(b).filter(|(a, b)| (*a - *b).abs() > 1e-5 * b.abs().max(0.1)).count();
        if a.len() != b.len() || off * 50 > a.len().max(50) {
            faults.push(format!("{off} of {} {name} after a step", a.len()));
        }
    }
    faults
}
