use super::*;
use crate::head::cloud::surfels::EMBEDDING;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

fn random(seed: u64, n: usize) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..n).map(|_| rng.next_u32() as f32 / u32::MAX as f32 * 2.0 - 1.0).collect()
}

fn cloud(n: usize, sh_degree: usize) -> Cloud {
    Cloud {
        sh_degree,
        positions: random(1, n * 3),
        rotations: random(2, n * 4),
        log_scales: random(3, n * 2),
        opacity_logits: random(4, n),
        harmonics: random(5, n * 3 * (sh_degree + 1).pow(2)),
        embedding: random(6, n * EMBEDDING),
        mouth: crate::head::cloud::Mouth::default(),
    }
}

fn gradients(rows: usize, floats: usize) -> SurfelGradients {
    SurfelGradients {
        positions: random(11, rows * 3),
        rotations: random(12, rows * 4),
        scales: random(13, rows * 2),
        opacities: random(14, rows),
        colors: random(15, rows * floats),
        attention: random(16, rows * 4),
        screen: Vec::new(),
    }
}

/// Σ activated · gradient in f64, written apart from the code under test. Parameters are one flat list:
/// positions, rotations, log-scales, logits, harmonics of the cloud, then the deltas.
fn pairing(
    x: &[f64],
    n: usize,
    bands: usize,
    drawn: usize,
    frames: usize,
    l: &DeltaLayout,
    g: &SurfelGradients,
) -> f64 {
    let (p, rest) = x.split_at(n * 3);
    let (q, rest) = rest.split_at(n * 4);
    let (s, rest) = rest.split_at(n * 2);
    let (o, rest) = rest.split_at(n);
    let (h, d) = rest.split_at(n * bands * 3);
    let mut sum = 0.0;
    for f in 0..frames {
        for i in 0..n {
            let row = f * n + i;
            let delta = |c: usize| d[row * l.width + c];
            for k in 0..3 {
                sum += (p[i * 3 + k] + delta(l.position.start + k)) * g.positions[row * 3 + k] as f64;
            }
            let raw: Vec<f64> = (0..4).map(|k| q[i * 4 + k] + delta(l.rotation.start + k)).collect();
            let length = raw.iter().map(|v| v * v).sum::<f64>().sqrt();
            for (k, component) in raw.iter().enumerate() {
                sum += component / length * g.rotations[row * 4 + k] as f64;
            }
            for k in 0..2 {
                sum += (s[i * 2 + k] + delta(l.log_scale.start + k)).exp() * g.scales[row * 2 + k] as f64;
            }
            sum += g.opacities[row] as f64 / (1.0 + (-(o[i] + delta(l.opacity.start))).exp());
            for k in 0..drawn * 3 {
                let moved = if k < l.harmonics.len() { delta(l.harmonics.start + k) } else { 0.0 };
                sum += (h[i * bands * 3 + k] + moved) * g.colors[row * drawn * 3 + k] as f64;
            }
            for k in 0..4 {
                sum += delta(l.attention.start + k) * g.attention[row * 4 + k] as f64;
            }
        }
    }
    sum
}

#[test]
fn every_gradient_agrees_with_central_differences() {
    // Bands drawn below the ones stored, deltas below the ones drawn: all three differ.
    let (n, frames, degree, drawn) = (5, 3, 2, 4);
    let (cloud, layout) = (cloud(n, degree), DeltaLayout::packed(1));
    let values = random(7, frames * n * layout.width);
    let deltas = Deltas { layout: &layout, frames, values: &values };
    let activated = activate(&cloud, 1, Some(&deltas)).expect("activated");
    let g = gradients(frames * n, drawn * 3);
    let back = activate_vjp(&cloud, Some(&deltas), &activated, &g).expect("gradients");
    let found: Vec<f32> =
        [back.positions, back.rotations, back.log_scales, back.opacity_logits, back.harmonics, back.deltas]
            .concat();
    let at: Vec<f64> = [
        &cloud.positions[..],
        &cloud.rotations,
        &cloud.log_scales,
        &cloud.opacity_logits,
        &cloud.harmonics,
        &values,
    ]
    .concat()
    .iter()
    .map(|&v| v as f64)
    .collect();
    assert_eq!(found.len(), at.len());
    for k in 0..at.len() {
        let value = |h: f64| {
            let mut x = at.clone();
            x[k] += h;
            pairing(&x, n, 9, drawn, frames, &layout, &g)
        };
        let expected = (value(1e-5) - value(-1e-5)) / 2e-5;
        let error = (found[k] as f64 - expected).abs();
        assert!(error <= 1e-4 * expected.abs().max(0.1), "parameter {k}: {} against {expected}", found[k]);
    }
}

#[test]
fn without_deltas_there_is_one_copy() {
    let cloud = cloud(4, 3);
    let a = activate(&cloud, 3, None).expect("activated");
    assert_eq!((a.copies, a.attention.len()), (1, 0));
    assert_eq!(a.positions, cloud.positions);
    assert_eq!(a.harmonics, cloud.harmonics);
    assert!(a.batch().attention.is_none());
    for q in a.rotations.chunks_exact(4) {
        assert!((q.iter().map(|v| v * v).sum::<f32>() - 1.0).abs() < 1e-5);
    }
}

#[test]
fn zero_deltas_change_nothing() {
    let (cloud, layout) = (cloud(4, 1), DeltaLayout::packed(4));
    let values = vec![0.0; 2 * 4 * layout.width];
    let still = activate(&cloud, 1, None).expect("activated");
    let moved = activate(&cloud, 1, Some(&Deltas { layout: &layout, frames: 2, values: &values }))
        .expect("activated");
    assert_eq!(moved.positions[..12], still.positions);
    assert_eq!(moved.rotations[16..], still.rotations);
    assert_eq!(moved.harmonics[48..], still.harmonics);
}

#[test]
fn columns_left_out_stay_as_they_are() {
    let (cloud, mut layout) = (cloud(3, 0), DeltaLayout::packed(1));
    (layout.rotation, layout.harmonics) = (0..0, 0..0);
    let values = random(9, 3 * layout.width);
    let deltas = Deltas { layout: &layout, frames: 1, values: &values };
    let moved = activate(&cloud, 0, Some(&deltas)).expect("activated");
    let still = activate(&cloud, 0, None).expect("activated");
    assert_eq!(moved.rotations, still.rotations);
    assert_eq!(moved.harmonics, still.harmonics);
    assert_ne!(moved.positions, still.positions);
    let back = activate_vjp(&cloud, Some(&deltas), &moved, &gradients(3, 3)).expect("gradients");
    assert!(
        back.deltas.chunks(layout.width).all(|row| row[3..7].iter().chain(&row[10..13]).all(|&v| v == 0.0))
    );
}

#[test]
fn an_empty_cloud_is_drawn_as_nothing() {
    let cloud = Cloud { sh_degree: 3, ..Cloud::default() };
    let layout = DeltaLayout::packed(16);
    let deltas = Deltas { layout: &layout, frames: 2, values: &[] };
    let activated = activate(&cloud, 3, Some(&deltas)).expect("activated");
    assert_eq!((activated.copies, activated.surfels), (2, 0));
    activate_vjp(&cloud, Some(&deltas), &activated, &SurfelGradients::default()).expect("gradients");
}

#[test]
fn wrong_lengths_are_our_fault_and_said() {
    let (cloud, layout) = (cloud(3, 1), DeltaLayout::packed(4));
    let deltas = Deltas { layout: &layout, frames: 1, values: &[0.0; 5] };
    assert_eq!(activate(&cloud, 1, Some(&deltas)).expect_err("refused").exit_code(), 1);
    assert_eq!(activate(&cloud, 2, None).expect_err("refused").exit_code(), 1);
    let too_many = DeltaLayout::packed(9);
    let values = vec![0.0; 3 * too_many.width];
    assert!(activate(&cloud, 1, Some(&Deltas { layout: &too_many, frames: 1, values: &values })).is_err());
    let activated = activate(&cloud, 1, None).expect("activated");
    let short = SurfelGradients { positions: vec![0.0; 4], ..SurfelGradients::default() };
    assert!(activate_vjp(&cloud, None, &activated, &short).is_err());
}
