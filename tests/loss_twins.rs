//! The loss on the GPU, from the drawing to the gradients of the surfels, against the CPU. On whatever adapter there is; a
//! machine without any fails.

mod common;

use common::compare::gradient_difference;
use common::device::{Scored, score_scene};
use common::goals::{WEIGHTS, random_targets};
use common::scene::{ALL, Random, Scene};

use common::twins::{gpu, gradients, open, scene, seen_from, with_copies};
use surfeltalk::gpu::Restrictions;
use surfeltalk::loss::embedding_loss::embedding_loss;
use surfeltalk::loss::gpu::{DeviceNeighbors, DeviceTargets, EmbeddingBuffers, record_embedding};
use surfeltalk::loss::neighbors::NeighborGraph;
use surfeltalk::loss::{BackgroundSample, Composite, LossTerms, Target, Weights, image_loss};
use surfeltalk::raster::cpu::CpuRasterizer;
use surfeltalk::raster::gpu::GpuRasterizer;
use surfeltalk::raster::{Outputs, Rasterizer};

fn targets(scene: &Scene<f32>) -> Vec<Target> {
    random_targets(scene, 3)
}

/// The terms, each frame's error, what came back.
type Outcome = (LossTerms, Vec<f32>, Scored);

fn on_the_device(
    rasterizer: &GpuRasterizer,
    scene: &Scene<f32>,
    targets: &[Target],
    weights: &Weights,
) -> Outcome {
    let scored = score_scene(rasterizer, scene, targets, weights).expect("a scored batch");
    let errors = scored.scores.iter().map(LossTerms::hardness).collect();
    (LossTerms::mean(&scored.scores), errors, scored)
}

fn one_after_another(scene: &Scene<f32>, targets: &[Target], weights: &Weights) -> Outcome {
    let cpu = CpuRasterizer::new();
    let (batch, cameras, mut settings) = (scene.batch(), &scene.cameras, scene.settings);
    settings.outputs = weights.outputs();
    let drawn = cpu.forward(&batch, cameras, &settings).expect("the CPU draws");
    let over: [f32; 3] = std::array::from_fn(|k| settings.background[k]);
    let composite = Composite::new(&drawn, over, targets);
    let mut loss = image_loss(&drawn, &composite, cameras, targets, weights).expect("a loss");
    let upstream = &mut loss.gradients;
    upstream.alpha.resize(drawn.alpha.len(), 0.0);
    composite.add_alpha_gradient(targets, &upstream.color, &mut upstream.alpha);
    let gradients = cpu.backward(&batch, cameras, &settings, &drawn, upstream).expect("a way back");
    (loss.terms, loss.hardness, Scored { scores: Vec::new(), gradients, radii: drawn.radii })
}

/// What differs by more than rounding, in words.
fn differences(found: &Outcome, expected: &Outcome) -> Vec<String> {
    let mut faults = Vec::new();
    let near = |a: f32, b: f32| (a - b).abs() <= 2e-4 * b.abs().max(0.05);
    for ((name, a), (_, b)) in found.0.named().zip(expected.0.named()) {
        if !near(a, b) {
            faults.push(format!("{name}: {a} where {b} belongs"));
        }
    }
    if found.1.len() != expected.1.len() || found.1.iter().zip(&expected.1).any(|(a, b)| !near(*a, *b)) {
        faults.push(format!("errors {:?} where {:?} belong", found.1, expected.1));
    }
    let radii = found.2.radii.iter().zip(&expected.2.radii).filter(|(a, b)| a.abs_diff(**b) > 1).count();
    if found.2.radii.len() != expected.2.radii.len() || radii * 100 > found.2.radii.len() {
        faults.push(format!("{radii} radii"));
    }
    let surfels = expected.2.gradients.opacities.len();
    for ((name, a), (_, b)) in gradients(&found.2.gradients).into_iter().zip(gradients(&expected.2.gradients))
    {
        if a.len() != b.len() {
            faults.push(format!("{name}: {} numbers where {} belong", a.len(), b.len()));
        } else if !a.is_empty() {
            let rows = if name == "screen" { expected.2.radii.len() } else { surfels };
            let difference = gradient_difference(a, b, a.len() / rows, &vec![true; rows]);
            eprintln!("{name:10} L2 {:.1e}, p95 {:.1e}", difference.relative, difference.p95);
            if !(difference.relative <= 3e-3 && difference.p95 <= 3e-3) {
                faults.push(format!("gradient of {name}: {difference:?}"));
            }
        }
    }
    faults
}

fn assert_scored(rasterizer: &GpuRasterizer, scene: &Scene<f32>, weights: &Weights) {
    let targets = targets(scene);
    let found = on_the_device(rasterizer, scene, &targets, weights);
    let faults = differences(&found, &one_after_another(scene, &targets, weights));
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_scored_batch_is_the_cpu_s() {
    assert_scored(&gpu(), &with_copies(seen_from(scene(1, 200, 133, 97), 3)), &WEIGHTS);
    assert_scored(&gpu(), &seen_from(scene(2, 200, 64, 48), 3), &WEIGHTS);
}

#[test]
fn odd_sizes_are_scored_to_the_last_pixel() {
    for (width, height) in [(1, 1), (17, 1), (5, 33), (257, 31)] {
        assert_scored(&gpu(), &scene(3, 60, width, height), &WEIGHTS);
    }
}

#[test]
fn what_has_no_weight_does_not_count() {
    let scene = scene(4, 100, 50, 40);
    let none = Weights::ZERO;
    assert_scored(&gpu(), &scene, &none);
    assert_scored(&gpu(), &scene, &Weights { l1: 1.0, ..none });
    assert_scored(&gpu(), &scene, &Weights { dssim: 1.0, ..none });
    assert_scored(&gpu(), &scene, &Weights { lips: 2.0, ..none });
    assert_scored(&gpu(), &scene, &Weights { eyes: 2.0, ..none });
    assert_scored(&gpu(), &scene, &Weights { gradient: 2.0, ..none });
    assert_scored(&gpu(), &scene, &Weights { mask: 2.0, ..none });
    assert_scored(&gpu(), &scene, &Weights { attention_audio: 2.0, ..none });
    assert_scored(&gpu(), &scene, &Weights { attention_expression: 2.0, ..none });
    assert_scored(&gpu(), &scene, &Weights { normal: 2.0, ..none });
    assert_scored(&gpu(), &scene, &Weights { distortion: 2.0, ..none });
}

#[test]
fn pairs_that_do_not_fit_are_scored_once() {
    // Every disc covers every tile: far more pairs than a fresh rasterizer makes room for.
    let mut scene = scene(5, 700, 130, 130);
    scene.scales.fill(3.0);
    scene.opacities.fill(0.01);
    assert_scored(&gpu(), &scene, &WEIGHTS);
}

#[test]
fn frames_that_do_not_fit_together_are_scored_one_group_after_another() {
    // Derivatives of windows of two frames and not of three.
    let binding_bytes = Some(36 * 130 * 97 * 5 / 2);
    let lesser = GpuRasterizer::new(open(Restrictions { binding_bytes, ..Restrictions::default() }));
    for copies in [false, true] {
        let shared = seen_from(scene(6, 200, 130, 97), 5);
        let scene = if copies { with_copies(shared) } else { shared };
        assert_scored(&lesser, &scene, &WEIGHTS);
    }
}

#[test]
fn the_same_batch_has_the_same_score_and_gradients_to_the_bit() {
    let scene = seen_from(scene(7, 500, 100, 80), 2);
    let (targets, rasterizer) = (targets(&scene), gpu());
    let first = on_the_device(&rasterizer, &scene, &targets, &WEIGHTS);
    for _ in 0..3 {
        let again = on_the_device(&rasterizer, &scene, &targets, &WEIGHTS);
        assert_eq!(again.0, first.0);
        for ((name, a), (_, b)) in
            gradients(&again.2.gradients).into_iter().zip(gradients(&first.2.gradients))
        {
            assert!(a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits()) && a.len() == b.len(), "{name}");
        }
    }
}

#[test]
fn gradients_are_those_of_finite_differences() {
    let scene = seen_from(scene(8, 120, 64, 48), 2);
    let (targets, rasterizer) = (targets(&scene), gpu());
    // Normal consistency takes alpha for a constant, so it is no derivative.
    let weights = Weights { normal: 0.0, ..WEIGHTS };
    let found = on_the_device(&rasterizer, &scene, &targets, &weights).2.gradients;
    type Array = fn(&mut Scene<f32>) -> &mut Vec<f32>;
    let arrays: [(&str, &Vec<f32>, Array, f32, f64); 3] = [
        ("colors", &found.colors, |s| &mut s.colors, 2e-3, 0.01),
        ("attention", &found.attention, |s| s.attention.get_or_insert_default(), 1e-2, 0.01),
        ("opacities", &found.opacities, |s| &mut s.opacities, 2e-3, 0.03),
    ];
    for (name, gradient, array, step, bound) in arrays {
        // Along the signs of the gradient, so that every number counts.
        let at = |side: f32| {
            let mut moved = scene.clone();
            let values = array(&mut moved).iter_mut().zip(gradient);
            values.for_each(|(v, g)| *v += side * step * g.signum());
            f64::from(on_the_device(&rasterizer, &moved, &targets, &weights).0.total)
        };
        let slope = (at(1.0) - at(-1.0)) / (2.0 * f64::from(step));
        let expected: f64 = gradient.iter().map(|g| f64::from(g.abs())).sum();
        eprintln!("{name}: {slope:.6} and {expected:.6}");
        assert!((slope / expected - 1.0).abs() < bound, "{name}: {slope} where {expected} belongs");
    }
}

#[test]
fn the_comparison_can_fail() {
    let scene = scene(9, 100, 64, 48);
    let targets = targets(&scene);
    let expected = one_after_another(&scene, &targets, &WEIGHTS);
    let with = |weights: Weights| differences(&on_the_device(&gpu(), &scene, &targets, &weights), &expected);
    assert!(with(WEIGHTS).is_empty());
    for other in [
        Weights { l1: 0.84, ..WEIGHTS },
        Weights { dssim: 0.22, ..WEIGHTS },
        Weights { lips: 0.45, ..WEIGHTS },
        Weights { eyes: 0.35, ..WEIGHTS },
        Weights { gradient: 0.7, ..WEIGHTS },
        Weights { mask: 0.12, ..WEIGHTS },
        Weights { normal: 0.35, ..WEIGHTS },
        Weights { distortion: 24.0, ..WEIGHTS },
        Weights { attention_audio: 0.55, ..WEIGHTS },
        Weights { attention_expression: 0.75, ..WEIGHTS },
    ] {
        assert!(with(other).iter().any(|fault| fault.starts_with("gradient")), "{other:?}");
    }
}

#[test]
fn goals_that_do_not_fit_the_frames_are_refused() {
    let scene = seen_from(scene(10, 20, 32, 32), 2);
    let targets = targets(&scene);
    let rasterizer = gpu();
    let refused = |goals: &[Target]| {
        let outcome = DeviceTargets::upload(rasterizer.gpu(), goals, &WEIGHTS, [32, 32]);
        assert_eq!(outcome.err().expect("a refusal").exit_code(), 1);
    };
    let good = targets.clone();
    let with = |change: fn(&mut Target)| {
        let mut targets = good.clone();
        change(&mut targets[1]);
        targets
    };
    refused(&with(|target| target.color.truncate(3)));
    refused(&with(|target| target.mask_confidence.clear()));
    refused(&with(|target| target.audio_mask.clear()));
    refused(&with(|target| target.background = vec![BackgroundSample { pixel: 32 * 32, color: [0.0; 3] }]));
    let outputs = Outputs { median: false, ..ALL };
    assert_eq!(WEIGHTS.outputs(), outputs, "what is scored is what is drawn");
}

#[test]
fn the_embeddings_of_neighbours_are_compared_as_on_the_cpu() {
    let (surfels, width, row, start) = (700usize, 32usize, 40usize, 5usize);
    let mut random = Random(12);
    let mut numbers =
        |count: usize| -> Vec<f32> { (0..count).map(|_| random.uniform(-1.0, 1.0) as f32).collect() };
    let (positions, embedding) = (numbers(3 * surfels), numbers(surfels * width));
    let before = numbers(surfels * row);
    let graph = NeighborGraph::new(&positions, 1.0).expect("neighbours");
    let (rasterizer, weights) = (gpu(), Weights { embedding: 3.0, ..Weights::ZERO });
    let device = rasterizer.gpu();
    let on_the_device = |graph: &NeighborGraph| {
        let neighbors = DeviceNeighbors::upload(device, graph).expect("uploaded");
        let [embedding, gradients] =
            [&embedding, &before].map(|values| device.upload(&[values]).expect("uploaded"));
        let buffers = EmbeddingBuffers {
            embedding: &embedding,
            width: width as u32,
            gradients: &gradients,
            row: row as u32,
            start: start as u32,
        };
        let mut recorder = rasterizer.recorder();
        let pass = record_embedding(&mut recorder, device, &neighbors, buffers, &weights).expect("recorded");
        let mut sources = vec![(&*gradients, 4 * before.len() as u64)];
        sources.extend(pass.sources());
        let (mut found, mut values) = (Vec::new(), Vec::new());
        recorder
            .submit_and_read(&sources, |i, data| match i {
                0 => {
                    found =
                        data.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
                }
                _ => values.push(pass.value(i - 1, data)),
            })
            .expect("read back");
        (values, found)
    };
    let mut gradient = vec![0.0; embedding.len()];
    let expected = embedding_loss(&graph, &embedding, width, &weights, &mut gradient);
    let mut rows = before.clone();
    for (row, gradient) in rows.chunks_exact_mut(row).zip(gradient.chunks_exact(width)) {
        row[start..start + width].iter_mut().zip(gradient).for_each(|(r, g)| *r += g);
    }
    let apart = |found: &(Vec<(usize, f32)>, Vec<f32>)| {
        let gradients = found.1.iter().zip(&rows).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(found.1.len() == rows.len() && found.0.len() == 1 && found.0[0].0 == expected[0].0);
        ((found.0[0].1 / expected[0].1 - 1.0).abs(), gradients)
    };
    let largest = gradient.iter().fold(0.0f32, |most, g| most.max(g.abs()));
    let good = apart(&on_the_device(&graph));
    assert!(good.0 < 1e-4 && good.1 < 1e-4 * largest.max(1.0), "{good:?}");
    // The comparison can fail: one weight is wrong.
    let mut wrong = graph.clone();
    wrong.weights[100] *= 2.0;
    let bad = apart(&on_the_device(&wrong));
    assert!(bad.1 > 10.0 * good.1, "{bad:?} and {good:?}");
}
