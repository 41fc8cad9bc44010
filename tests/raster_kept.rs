//! Surfels that are kept on the GPU against the CPU: activated, drawn, scored, gone back through and stepped. On whatever
//! adapter there is; a machine without any fails.

mod common;

use common::goals::WEIGHTS;
use common::kept::{
    Case, RATES, STATIC, case, differences, kept, look, look_at, on_the_device, on_the_host, put, terms, view,
};
use common::twins::{gpu, open};
use surfeltalk::gpu::context::Restrictions;
use surfeltalk::head::cloud::Cloud;
use surfeltalk::loss::{Target, Weights};
use surfeltalk::raster::Rasterizer;
use surfeltalk::raster::delta_layout::DeltaLayout;
use surfeltalk::raster::gpu::GpuRasterizer;
use surfeltalk::raster::keep::{DeviceDeltas, Look};

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
    let goals = case.targets.clone();
    // Together, and where only two frames go together and the goals are brought again.
    let binding_bytes = Some(36 * 64 * 48 * 5 / 2);
    let lesser = GpuRasterizer::new(open(Restrictions { binding_bytes, ..Restrictions::default() }));
    for (rasterizer, again) in [(gpu(), false), (lesser, true)] {
        let mut keeper = rasterizer.keeper().expect("the GPU keeps");
        put(&mut *keeper, &kept(&case.cloud));
        let stage = |goals: &[Target]| rasterizer.stage(goals, &WEIGHTS, [64, 48]);
        let plain = look(&mut *keeper, &case, Some(&case.rows), &WEIGHTS);
        let staged = stage(&goals).expect("staged");
        assert!(staged.is_some());
        let found = look_at(&mut *keeper, &case, staged, Some(&case.rows), &WEIGHTS);
        assert!(found.0.scores == plain.0.scores && found.1 == plain.1);
        // What was staged is what counts, where it is not brought again; so the comparison can fail.
        let other = [1, 2, 0].map(|k: usize| goals[k].clone());
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
    let goals = case.targets.clone();
    let whole = Look {
        cameras: &case.scene.cameras,
        background: [0.0; 7],
        goals: &goals,
        weights: &WEIGHTS,
        degree: 1,
        rest: 0.0,
        statistics: false,
    };
    let mut refused = |look: &Look<'_>, layout: &DeltaLayout, rows: &[f32]| {
        let deltas = DeviceDeltas::upload(rasterizer.gpu(), rows).expect("uploaded");
        keeper.look(look, None, Some((layout, &deltas)), None).expect_err("refused").exit_code()
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
