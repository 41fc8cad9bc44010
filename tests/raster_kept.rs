//! Surfels that are kept on the GPU against the CPU: activated, drawn, scored, gone back through and stepped. On whatever
//! adapter there is; a machine without any fails.

mod common;

use common::compare::gradient_difference;
use common::goals::random_targets;
use common::scene::{Random, Scene};
use common::twins::{gpu, open, scene, seen_from};
use surfeltalk::gpu::context::Restrictions;
use surfeltalk::raster::cpu::CpuRasterizer;
use surfeltalk::raster::gpu::GpuRasterizer;
use surfeltalk::raster::keep::{Keeper, Kept, Look, Looked, Rates, Rows};
use surfeltalk::raster::score::{Goal, Score, Staged, Weights};
use surfeltalk::raster::{RasterSettings, Rasterizer};
use surfeltalk::surfel::Cloud;
use surfeltalk::surfel::activate::{DeltaLayout, Deltas, activate, activate_vjp};
use surfeltalk::train::{Shown, Target, image_loss};

const WEIGHTS: Weights = Weights {
    dssim: 0.2,
    lips: 0.4,
    eyes: 0.3,
    mask: 0.1,
    normal: 0.3,
    distortion: 20.0,
    attention_audio: 0.5,
    attention_expression: 0.7,
};

/// Nobody attends, as in the static stage.
const STATIC: Weights = Weights { attention_audio: 0.0, attention_expression: 0.0, ..WEIGHTS };

/// By how much rows are pulled to rest.
const REST: f32 = 3e-5;

const RATES: Rates = Rates {
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
struct Case {
    cloud: Cloud,
    scene: Scene<f32>,
    targets: Vec<Target>,
    layout: DeltaLayout,
    rows: Vec<f32>,
    /// Of the harmonics drawn.
    degree: usize,
}

/// `frames` frames of a cloud of degree 2, drawn up to degree 1.
fn case(seed: u64, surfels: usize, frames: usize, [width, height]: [u32; 2]) -> Case {
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

fn kept(cloud: &Cloud) -> Kept<Vec<f32>> {
    let Cloud { sh_degree, positions, rotations, log_scales, opacity_logits, harmonics, .. } = cloud.clone();
    let parameters = [positions, rotations, log_scales, opacity_logits, harmonics];
    let zeros = parameters.clone().map(|values| vec![0.0; values.len()]);
    Kept { sh_degree, parameters, first: zeros.clone(), second: zeros }
}

fn view(kept: &Kept<Vec<f32>>) -> Kept<&[f32]> {
    Kept {
        sh_degree: kept.sh_degree,
        parameters: std::array::from_fn(|k| kept.parameters[k].as_slice()),
        first: std::array::from_fn(|k| kept.first[k].as_slice()),
        second: std::array::from_fn(|k| kept.second[k].as_slice()),
    }
}

fn put(keeper: &mut dyn Keeper, kept: &Kept<Vec<f32>>) {
    keeper.put(&view(kept)).expect("kept");
}

/// Looks once, without rows where `rows` is nothing; what was found and the rows' gradient.
fn look(keeper: &mut dyn Keeper, case: &Case, rows: Option<&[f32]>, weights: &Weights) -> (Looked, Vec<f32>) {
    look_at(keeper, case, None, rows, weights)
}

/// The same with goals that were staged.
fn look_at(
    keeper: &mut dyn Keeper,
    case: &Case,
    staged: Option<Staged>,
    rows: Option<&[f32]>,
    weights: &Weights,
) -> (Looked, Vec<f32>) {
    let goals: Vec<Goal<'_>> = case.targets.iter().map(Target::goal).collect();
    let look = Look {
        cameras: &case.scene.cameras,
        background: case.scene.settings.background,
        goals: &goals,
        weights,
        degree: case.degree,
        rest: REST,
        statistics: true,
    };
    let mut gradient = Vec::new();
    let rows = rows.map_or(Rows::None, |rows| Rows::Host(&case.layout, rows, &mut gradient));
    let looked = keeper.look(&look, staged, rows, None).expect("looked");
    (looked, gradient)
}

/// Everything a look and a step give: the mean of each frame's terms, gradients of the own parameters and of the rows, the
/// densification signal, radii, parameters after a step.
struct Outcome {
    terms: [f32; 9],
    gradients: Vec<(&'static str, usize, Vec<f32>)>,
    radii: Vec<u32>,
    after: [Vec<f32>; 5],
}

const NAMES: [&str; 5] = ["positions", "rotations", "log-scales", "opacity logits", "harmonics"];

fn terms(scores: &[Score]) -> [f32; 9] {
    let mean = |part: fn(&Score) -> f32| scores.iter().map(part).sum::<f32>() / scores.len() as f32;
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

fn on_the_device(
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

fn on_the_host(case: &Case, rows: Option<&[f32]>, weights: &Weights) -> Outcome {
    let cpu = CpuRasterizer::new();
    let (n, frames) = (case.cloud.len(), case.scene.cameras.len());
    let deltas = rows.map(|values| Deltas { layout: &case.layout, frames, values });
    let activated = activate(&case.cloud, case.degree, deltas.as_ref()).expect("activated");
    let settings = RasterSettings { outputs: weights.outputs(), ..case.scene.settings };
    let cameras = &case.scene.cameras;
    let drawn = cpu.forward(&activated.batch(), cameras, &settings).expect("drawn");
    let over: [f32; 3] = std::array::from_fn(|k| settings.background[k]);
    let shown = Shown::of(&drawn, over, &case.targets);
    let mut loss = image_loss(&drawn, &shown, cameras, &case.targets, weights).expect("a loss");
    let upstream = &mut loss.gradients;
    upstream.alpha.resize(drawn.alpha.len(), 0.0);
    shown.add_alpha_gradient(&case.targets, &upstream.color, &mut upstream.alpha);
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
fn differences(found: &Outcome, expected: &Outcome) -> Vec<String> {
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

fn assert_kept(rasterizer: &GpuRasterizer, case: &Case) {
    for (rows, weights) in [(Some(case.rows.as_slice()), WEIGHTS), (None, STATIC)] {
        let found = on_the_device(rasterizer, case, rows, &weights);
        let faults = differences(&found, &on_the_host(case, rows, &weights));
        assert!(faults.is_empty(), "rows {}:\n{}", rows.is_some(), faults.join("\n"));
    }
}

#[test]
fn kept_surfels_are_the_cpu_s() {
    assert_kept(&gpu(), &case(1, 200, 3, [133, 97]));
    assert_kept(&gpu(), &case(2, 300, 1, [64, 48]));
}

#[test]
fn an_adapter_with_the_least_limits_and_groups_of_frames_keeps_the_same() {
    // Derivatives of windows of two frames and not of three.
    let binding_bytes = Some(36 * 130 * 97 * 5 / 2);
    let restrictions = Restrictions { binding_bytes, default_limits: true, without_subgroups: true };
    assert_kept(&GpuRasterizer::new(open(restrictions)), &case(3, 200, 5, [130, 97]));
}

#[test]
fn columns_left_out_have_no_gradient_and_move_nothing() {
    let mut case = case(4, 150, 2, [64, 48]);
    (case.layout.rotation, case.layout.harmonics) = (0..0, 0..0);
    let found = on_the_device(&gpu(), &case, Some(&case.rows), &WEIGHTS);
    let faults = differences(&found, &on_the_host(&case, Some(&case.rows), &WEIGHTS));
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    let (_, _, of_rows) = &found.gradients[5];
    assert!(
        of_rows.chunks(case.layout.width).all(|row| row[3..7].iter().chain(&row[10..22]).all(|v| *v == 0.0))
    );
}

#[test]
fn what_is_wrong_is_told_apart() {
    let case = case(5, 150, 2, [64, 48]);
    let expected = on_the_host(&case, Some(&case.rows), &WEIGHTS);
    let fresh = || on_the_device(&gpu(), &case, Some(&case.rows), &WEIGHTS);
    assert!(differences(&fresh(), &expected).is_empty());
    for k in 0..7 {
        let mut wrong = fresh();
        wrong.gradients[k].2.iter_mut().for_each(|g| *g *= 1.01);
        assert!(!differences(&wrong, &expected).is_empty(), "gradient {k}");
    }
    for k in 0..5 {
        let mut wrong = fresh();
        wrong.after[k] = kept(&case.cloud).parameters[k].clone();
        assert!(!differences(&wrong, &expected).is_empty(), "parameters {k}");
    }
}

#[test]
fn the_same_look_gives_the_same_bits() {
    let case = case(6, 400, 2, [100, 80]);
    let rasterizer = gpu();
    let first = on_the_device(&rasterizer, &case, Some(&case.rows), &WEIGHTS);
    let again = on_the_device(&rasterizer, &case, Some(&case.rows), &WEIGHTS);
    let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    for ((name, _, a), (_, _, b)) in first.gradients.iter().zip(&again.gradients) {
        assert!(bits(a) == bits(b), "{name}");
    }
    assert!(first.after.iter().zip(&again.after).all(|(a, b)| bits(a) == bits(b)));
}

#[test]
fn gradients_are_those_of_finite_differences() {
    let case = case(7, 120, 2, [64, 48]);
    // Normal consistency takes alpha for a constant, so it is no derivative.
    let weights = Weights { normal: 0.0, ..WEIGHTS };
    let rasterizer = gpu();
    let loss = |cloud: &Cloud, rows: &[f32]| -> f64 {
        let mut keeper = rasterizer.keeper().expect("the GPU keeps");
        put(&mut *keeper, &kept(cloud));
        let [l1, dssim, lips, eyes, mask, audio, expression, _, distortion] =
            terms(&look(&mut *keeper, &case, Some(rows), &weights).0.scores).map(f64::from);
        let w = |v: f32| f64::from(v);
        let images = (1.0 - w(weights.dssim)) * l1 + w(weights.dssim) * dssim;
        let parts = w(weights.lips) * lips + w(weights.eyes) * eyes + w(weights.mask) * mask;
        let listens = w(weights.attention_audio) * audio + w(weights.attention_expression) * expression;
        images + parts + listens + w(weights.distortion) * distortion
    };
    let found = on_the_device(&rasterizer, &case, Some(&case.rows), &weights);
    // Along the signs of the gradient, so that every number counts.
    for (array, step, bound) in [(3, 4e-3, 0.03), (4, 2e-3, 0.01), (5, 2e-3, 0.03)] {
        let gradient = &found.gradients[array].2;
        let columns = case.layout.opacity.start..case.layout.attention.end;
        let counts = |k: usize| array != 5 || columns.contains(&(k % case.layout.width));
        let at = |side: f32| {
            let (mut cloud, mut rows) = (case.cloud.clone(), case.rows.clone());
            let values = match array {
                3 => &mut cloud.opacity_logits,
                4 => &mut cloud.harmonics,
                _ => &mut rows,
            };
            for (_, (v, g)) in values.iter_mut().zip(gradient).enumerate().filter(|(k, _)| counts(*k)) {
                *v += side * step * if *g == 0.0 { 0.0 } else { g.signum() };
            }
            loss(&cloud, &rows)
        };
        let expected: f64 =
            gradient.iter().enumerate().filter(|(k, _)| counts(*k)).map(|(_, g)| f64::from(g.abs())).sum();
        let measured = (at(1.0) - at(-1.0)) / (2.0 * f64::from(step));
        eprintln!("array {array}: {measured:.6} where {expected:.6} belongs");
        assert!((measured / expected - 1.0).abs() < bound, "array {array}: {measured} and {expected}");
    }
}

#[test]
fn what_is_not_finite_is_said_and_the_rest_is_untouched() {
    let case = case(8, 60, 2, [48, 48]);
    let rasterizer = gpu();
    let mut keeper = rasterizer.keeper().expect("the GPU keeps");
    put(&mut *keeper, &kept(&case.cloud));
    assert!(look(&mut *keeper, &case, Some(&case.rows), &WEIGHTS).0.finite);
    for poison in [f32::NAN, f32::INFINITY] {
        // The last log-scale of the last frame's last row.
        let mut rows = case.rows.clone();
        let at = rows.len() - case.layout.width + 8;
        rows[at] = poison;
        let (looked, gradient) = look(&mut *keeper, &case, Some(&rows), &WEIGHTS);
        let first = gradient.len() - case.layout.width;
        assert!(gradient[..first].iter().all(|g| g.is_finite()), "{poison}");
        assert_eq!(looked.finite, gradient[first..].iter().all(|g| g.is_finite()), "{poison}");
    }
    let mut broken = case.cloud.clone();
    broken.log_scales[2] = f32::NAN;
    put(&mut *keeper, &kept(&broken));
    assert!(!look(&mut *keeper, &case, None, &STATIC).0.finite);
    put(&mut *keeper, &kept(&case.cloud));
    assert!(look(&mut *keeper, &case, None, &STATIC).0.finite, "a fault is forgotten");
}

#[test]
fn staged_goals_are_the_same_goals() {
    let case = case(11, 150, 3, [64, 48]);
    let goals: Vec<Goal<'_>> = case.targets.iter().map(Target::goal).collect();
    // Together, and where only two frames go together and the goals are brought again.
    let binding_bytes = Some(36 * 64 * 48 * 5 / 2);
    let lesser = GpuRasterizer::new(open(Restrictions { binding_bytes, ..Restrictions::default() }));
    for (rasterizer, again) in [(gpu(), false), (lesser, true)] {
        let mut keeper = rasterizer.keeper().expect("the GPU keeps");
        put(&mut *keeper, &kept(&case.cloud));
        let stage = |goals: &[Goal<'_>]| rasterizer.stage(goals, &WEIGHTS, [64, 48]);
        let plain = look(&mut *keeper, &case, Some(&case.rows), &WEIGHTS);
        let staged = stage(&goals).expect("staged");
        assert!(staged.is_some());
        let found = look_at(&mut *keeper, &case, staged, Some(&case.rows), &WEIGHTS);
        assert!(found.0.scores == plain.0.scores && found.1 == plain.1);
        // What was staged is what counts, where it is not brought again; so the comparison can fail.
        let other = [goals[1], goals[2], goals[0]];
        let found = look_at(&mut *keeper, &case, stage(&other).expect("staged"), Some(&case.rows), &WEIGHTS);
        assert_eq!(found.0.scores == plain.0.scores, again);
        assert!(rasterizer.stage(&goals, &WEIGHTS, [64, 47]).is_err());
    }
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let case = case(9, 40, 2, [48, 48]);
    let rasterizer = gpu();
    let mut keeper = rasterizer.keeper().expect("the GPU keeps");
    assert!(keeper.get().is_err() && keeper.step(&RATES).is_err(), "nothing is kept");
    put(&mut *keeper, &kept(&case.cloud));
    assert_eq!(keeper.step(&RATES).expect_err("no gradients").exit_code(), 1);
    let goals: Vec<Goal<'_>> = case.targets.iter().map(Target::goal).collect();
    let whole = Look {
        cameras: &case.scene.cameras,
        background: [0.0; 7],
        goals: &goals,
        weights: &WEIGHTS,
        degree: 1,
        rest: 0.0,
        statistics: false,
    };
    let mut gradient = Vec::new();
    let mut refused = |look: &Look<'_>, layout: &DeltaLayout, rows: &[f32]| {
        keeper
            .look(look, None, Rows::Host(layout, rows, &mut gradient), None)
            .expect_err("refused")
            .exit_code()
    };
    assert_eq!(refused(&whole, &case.layout, &case.rows[1..]), 1);
    assert_eq!(refused(&Look { degree: 3, ..whole }, &case.layout, &case.rows), 1);
    assert_eq!(refused(&Look { goals: &goals[1..], ..whole }, &case.layout, &case.rows), 1);
    let wide = DeltaLayout::packed(16);
    assert_eq!(refused(&whole, &wide, &vec![0.0; 2 * 40 * wide.width]), 1);
    let deaf = DeltaLayout { attention: 0..0, ..case.layout.clone() };
    assert_eq!(refused(&whole, &deaf, &case.rows), 1);
    let mut short = kept(&case.cloud);
    short.first[2].pop();
    assert_eq!(keeper.put(&view(&short)).expect_err("refused").exit_code(), 1);
}

#[test]
fn more_surfels_than_the_device_has_room_for_are_refused_before_anything_is_allocated() {
    let restrictions = Restrictions { binding_bytes: Some(1 << 20), ..Restrictions::default() };
    let rasterizer = GpuRasterizer::new(open(restrictions));
    let mut keeper = rasterizer.keeper().expect("the GPU keeps");
    let many = case(10, 20_000, 1, [16, 16]);
    let error = keeper.put(&view(&kept(&many.cloud))).expect_err("refused");
    assert_eq!(error.exit_code(), 2);
    assert!(error.to_string().contains("--max_points"), "{error}");
}
