//! Surfels that a GPU keeps, and the same on the CPU, step by step.

use super::compare::gradient_difference;
use super::goals::{WEIGHTS, random_targets};
use super::scene::{Random, Scene};
use super::twins::{scene, seen_from};
use surfeltalk::head::cloud::Cloud;
use surfeltalk::head::cloud::activate::{Deltas, activate, activate_vjp};
use surfeltalk::loss::{Composite, LossTerms, Target, Weights, image_loss};
use surfeltalk::raster::cpu::CpuRasterizer;
use surfeltalk::raster::delta_layout::DeltaLayout;
use surfeltalk::raster::gpu::GpuRasterizer;
use surfeltalk::raster::keep::Staged;
use surfeltalk::raster::keep::{DeviceDeltas, Keeper, Kept, Look, Looked, Rates};
use surfeltalk::raster::{RasterSettings, Rasterizer};

/// Nobody attends, as in the static stage.
pub const STATIC: Weights = Weights { attention_audio: 0.0, attention_expression: 0.0, ..WEIGHTS };

/// By how much rows are pulled to rest.
pub const REST: f32 = 3e-5;

/// Rates that differ.
pub const RATES: Rates = Rates {
    // After one step.
    corrections: [1.0 - 0.9, 1.0 - 0.999],
    position: 1e-3,
    rotation: 2e-3,
    scaling: 3e-3,
    opacity: 4e-2,
    feature: 5e-3,
    higher: 6e-4,
};

/// A cloud, what is seen of it, and rows.
pub struct Case {
    pub cloud: Cloud,
    pub scene: Scene<f32>,
    pub targets: Vec<Target>,
    pub layout: DeltaLayout,
    pub rows: Vec<f32>,
    /// Of the harmonics drawn.
    pub degree: usize,
}

/// `frames` frames of a cloud of degree 2, drawn up to degree 1.
pub fn case(seed: u64, surfels: usize, frames: usize, [width, height]: [u32; 2]) -> Case {
    let scene = seen_from(scene(seed, surfels, width, height), frames);
    let mut random = Random(seed + 100);
    let mut small = |count: usize, size: f64| -> Vec<f32> {
        (0..count).map(|_| random.uniform(-size, size) as f32).collect()
    };
    let layout = DeltaLayout::packed(4);
    let mut rows = small(frames * surfels * layout.width, 0.03);
    for row in rows.chunks_exact_mut(layout.width) {
        row[layout.attention.clone()].iter_mut().for_each(|a| *a = 0.25 + 5.0 * *a);
    }
    let cloud = Cloud {
        sh_degree: 2,
        // Not normalised.
        rotations: scene.rotations.iter().map(|v| 1.7 * v).collect(),
        log_scales: scene.scales.iter().map(|v| v.ln()).collect(),
        opacity_logits: scene.opacities.iter().map(|o| (o / (1.0 - o)).ln()).collect(),
        harmonics: small(27 * surfels, 0.4),
        positions: scene.positions.clone(),
        embedding: Vec::new(),
    };
    let targets = random_targets(&scene, 3);
    Case { cloud, scene, targets, layout, rows, degree: 1 }
}

pub fn kept(cloud: &Cloud) -> Kept<Vec<f32>> {
    let Cloud { sh_degree, positions, rotations, log_scales, opacity_logits, harmonics, .. } = cloud.clone();
    let parameters = [positions, rotations, log_scales, opacity_logits, harmonics];
    let zeros = parameters.clone().map(|values| vec![0.0; values.len()]);
    Kept { sh_degree, parameters, first: zeros.clone(), second: zeros }
}

pub fn view(kept: &Kept<Vec<f32>>) -> Kept<&[f32]> {
    Kept {
        sh_degree: kept.sh_degree,
        parameters: std::array::from_fn(|k| kept.parameters[k].as_slice()),
        first: std::array::from_fn(|k| kept.first[k].as_slice()),
        second: std::array::from_fn(|k| kept.second[k].as_slice()),
    }
}

pub fn put(keeper: &mut dyn Keeper, kept: &Kept<Vec<f32>>) {
    keeper.put(&view(kept)).expect("kept");
}

/// Looks once, without rows where `rows` is nothing; what was found and the rows' gradient.
pub fn look(
    keeper: &mut dyn Keeper,
    case: &Case,
    rows: Option<&[f32]>,
    weights: &Weights,
) -> (Looked, Vec<f32>) {
    look_at(keeper, case, None, rows, weights)
}

/// The same with goals that were staged.
pub fn look_at(
    keeper: &mut dyn Keeper,
    case: &Case,
    staged: Option<Staged>,
    rows: Option<&[f32]>,
    weights: &Weights,
) -> (Looked, Vec<f32>) {
    let gpu = keeper.device().clone();
    let deltas = rows.map(|rows| DeviceDeltas::upload(&gpu, rows).expect("uploaded"));
    let goals = case.targets.clone();
    let look = Look {
        cameras: &case.scene.cameras,
        background: case.scene.settings.background,
        goals: &goals,
        weights,
        degree: case.degree,
        rest: REST,
        statistics: true,
    };
    let both = deltas.as_ref().map(|deltas| (&case.layout, deltas));
    let looked = keeper.look(&look, staged, both, None).expect("looked");
    let gradient = deltas.map_or(Vec::new(), |deltas| deltas.read_gradients(&gpu).expect("read back"));
    (looked, gradient)
}

/// Everything a look and a step give: the mean of each frame's terms, gradients of the own parameters and of the rows, the
/// densification signal, radii, parameters after a step.
pub struct Outcome {
    pub terms: [f32; 9],
    pub gradients: Vec<(&'static str, usize, Vec<f32>)>,
    pub radii: Vec<u32>,
    pub after: [Vec<f32>; 5],
}

pub const NAMES: [&str; 5] = ["positions", "rotations", "log-scales", "opacity logits", "harmonics"];

pub fn terms(scores: &[LossTerms]) -> [f32; 9] {
    let mean = |part: fn(&LossTerms) -> f32| scores.iter().map(part).sum::<f32>() / scores.len() as f32;
    [
        mean(|s| s.l1),
        mean(|s| s.dssim),
        mean(|s| s.lips),
        mean(|s| s.eyes),
        mean(|s| s.mask),
        mean(|s| s.attention_audio),
        mean(|s| s.attention_expression),
        mean(|s| s.normal),
        mean(|s| s.distortion),
    ]
}

pub fn on_the_device(
    rasterizer: &GpuRasterizer,
    case: &Case,
    rows: Option<&[f32]>,
    weights: &Weights,
) -> Outcome {
    let mut keeper = rasterizer.keeper().expect("the GPU keeps");
    put(&mut *keeper, &kept(&case.cloud));
    let (looked, of_rows) = look(&mut *keeper, case, rows, weights);
    assert!(looked.finite);
    keeper.step(&RATES).expect("a step");
    let found = keeper.get().expect("read back");
    let n = case.cloud.len();
    // The first moment of a first step is a tenth of the gradient.
    let mut gradients: Vec<(&str, usize, Vec<f32>)> = NAMES
        .iter()
        .zip(&found.first)
        .map(|(name, m)| (*name, n, m.iter().map(|m| m / (1.0 - 0.9)).collect()))
        .collect();
    gradients.push(("rows", case.scene.cameras.len() * n, of_rows));
    gradients.push(("screen", case.scene.cameras.len() * n, looked.screen));
    Outcome { terms: terms(&looked.scores), gradients, radii: looked.radii, after: found.parameters }
}

pub fn on_the_host(case: &Case, rows: Option<&[f32]>, weights: &Weights) -> Outcome {
    let cpu = CpuRasterizer::new();
    let (n, frames) = (case.cloud.len(), case.scene.cameras.len());
    let deltas = rows.map(|values| Deltas { layout: &case.layout, frames, values });
    let activated = activate(&case.cloud, case.degree, deltas.as_ref()).expect("activated");
    let settings = RasterSettings { outputs: weights.outputs(), ..case.scene.settings };
    let cameras = &case.scene.cameras;
    let drawn = cpu.forward(&activated.batch(), cameras, &settings).expect("drawn");
    let over: [f32; 3] = std::array::from_fn(|k| settings.background[k]);
    let composite = Composite::new(&drawn, over, &case.targets);
    let mut loss = image_loss(&drawn, &composite, cameras, &case.targets, weights).expect("a loss");
    let upstream = &mut loss.gradients;
    upstream.alpha.resize(drawn.alpha.len(), 0.0);
    composite.add_alpha_gradient(&case.targets, &upstream.color, &mut upstream.alpha);
    let back = cpu.backward(&activated.batch(), cameras, &settings, &drawn, upstream).expect("a way back");
    let mut raw = activate_vjp(&case.cloud, deltas.as_ref(), &activated, &back).expect("gradients");
    for (g, row) in
        raw.deltas.chunks_mut(case.layout.width).zip(rows.unwrap_or_default().chunks(case.layout.width))
    {
        for k in case.layout.position.clone() {
            g[k] += if row[k] == 0.0 { 0.0 } else { REST * row[k].signum() };
        }
    }
    let own = [raw.positions, raw.rotations, raw.log_scales, raw.opacity_logits, raw.harmonics];
    // Adam's first step (Kingma & Ba 2015), written apart from the code under test.
    let rate = |array: usize, k: usize| match array {
        0 => RATES.position,
        1 => RATES.rotation,
        2 => RATES.scaling,
        3 => RATES.opacity,
        _ if k % 27 < 3 => RATES.feature,
        _ => RATES.higher,
    };
    let before = kept(&case.cloud).parameters;
    let after = std::array::from_fn(|array| {
        let moved = before[array].iter().zip(&own[array]).enumerate().map(|(k, (p, g))| {
            let g = f64::from(*g);
            (f64::from(*p) - f64::from(rate(array, k)) * g / (g.abs() + 1e-15)) as f32
        });
        moved.collect()
    });
    let t = loss.terms;
    let terms = [
        t.l1,
        t.dssim,
        t.lips,
        t.eyes,
        t.mask,
        t.attention_audio,
        t.attention_expression,
        t.normal,
        t.distortion,
    ];
    let mut gradients: Vec<(&str, usize, Vec<f32>)> =
        NAMES.into_iter().zip(own).map(|(name, g)| (name, n, g)).collect();
    gradients.push(("rows", frames * n, raw.deltas));
    gradients.push(("screen", frames * n, back.screen));
    Outcome { terms, gradients, radii: drawn.radii, after }
}

/// What differs by more than rounding, in words.
pub fn differences(found: &Outcome, expected: &Outcome) -> Vec<String> {
    let mut faults = Vec::new();
    for (k, (a, b)) in found.terms.iter().zip(expected.terms).enumerate() {
        if (a - b).abs() > 2e-4 * b.abs().max(0.05) {
            faults.push(format!("term {k}: {a} where {b} belongs"));
        }
    }
    let radii = found.radii.iter().zip(&expected.radii).filter(|(a, b)| a.abs_diff(**b) > 1).count();
    if found.radii.len() != expected.radii.len() || radii * 100 > found.radii.len() {
        faults.push(format!("{radii} radii"));
    }
    for ((name, rows, a), (_, _, b)) in found.gradients.iter().zip(&expected.gradients) {
        if a.len() != b.len() {
            faults.push(format!("{name}: {} numbers where {} belong", a.len(), b.len()));
        } else if !a.is_empty() {
            let difference = gradient_difference(a, b, a.len() / rows, &vec![true; *rows]);
            eprintln!("{name:14} L2 {:.1e}, p95 {:.1e}", difference.relative, difference.p95);
            if !(difference.relative <= 3e-3 && difference.p95 <= 3e-3) {
                faults.push(format!("gradient of {name}: {difference:?}"));
            }
        }
    }
    for (k, (a, b)) in found.after.iter().zip(&expected.after).enumerate() {
        // A first step is as long as the rate and goes against the sign, which may differ where a gradient is nearly 0.
        let off = a.iter().zip(b).filter(|(a, b)| (*a - *b).abs() > 1e-5 * b.abs().max(0.1)).count();
        if a.len() != b.len() || off * 100 > a.len() {
            faults.push(format!("{off} of {} {} after a step", a.len(), NAMES[k]));
        }
    }
    faults
}
