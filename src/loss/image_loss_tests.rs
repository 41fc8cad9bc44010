//! Statements about the terms over images.

use super::*;
use crate::loss::term::ImageTerm;
use crate::loss::terms::image_terms;
use crate::loss::{BackgroundSample, MouthLabel};
use data_utils::dataset::Rect;

/// Numbers in 0..1 whose neighbours have nothing to do with each other.
fn noise(n: usize, seed: u32) -> Vec<f32> {
    let mix = |i: u32| {
        let mut z = i.wrapping_mul(2_654_435_761).wrapping_add(seed.wrapping_mul(40_503));
        z = (z ^ (z >> 15)).wrapping_mul(0x85eb_ca6b);
        z = (z ^ (z >> 13)).wrapping_mul(0xc2b2_ae35);
        ((z ^ (z >> 16)) >> 8) as f32 / (1u32 << 24) as f32
    };
    (0..n as u32).map(mix).collect()
}

fn case() -> (Rendered, Vec<Camera>, Vec<Target>, Weights) {
    let (w, h) = (24usize, 20usize);
    let n = w * h;
    let rendered = Rendered {
        frames: 2,
        width: w,
        height: h,
        color: noise(6 * n, 1),
        attention: noise(8 * n, 2),
        alpha: noise(2 * n, 3).iter().map(|a| 0.2 + 0.6 * a).collect(),
        depth: noise(2 * n, 4).iter().map(|a| 1.0 + 0.02 * a).collect(),
        median: Vec::new(),
        normal: noise(6 * n, 5),
        distortion: noise(2 * n, 6),
        radii: Vec::new(),
        state: Box::new(()),
    };
    let camera_from_world = [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]];
    let camera = Camera {
        camera_from_world,
        fx: 40.0,
        fy: 40.0,
        cx: 11.5,
        cy: 9.5,
        width: w as u32,
        height: h as u32,
    };
    let target = |seed| Target {
        color: noise(3 * n, seed),
        mask: noise(n, seed + 1).iter().map(|v| v.round()).collect(),
        mask_confidence: noise(n, seed + 3),
        background: (0..n / 3)
            .map(|k| BackgroundSample { pixel: 2 * k, color: [0.3, 0.9, k as f32 / n as f32] })
            .collect(),
        audio_mask: noise(n, seed + 2).iter().map(|v| *v > 0.4).collect(),
        expression_mask: noise(n, seed + 2).iter().map(|v| *v > 0.6).collect(),
        lips: Some(Rect { row0: 8, row1: 14, col0: 6, col1: 16 }),
        eyes: Some(Rect { row0: 2, row1: 9, col0: 3, col1: 20 }),
        mouth: noise(n, seed + 3)
            .iter()
            .map(|v| match () {
                () if *v > 0.6 => MouthLabel::Inside,
                () if *v > 0.3 => MouthLabel::Outside,
                () => MouthLabel::Unknown,
            })
            .collect(),
        lip_only: false,
    };
    let weights = Weights {
        l1: 0.8,
        dssim: 0.2,
        lips: 0.4,
        eyes: 0.3,
        gradient: 0.2,
        mask: 0.1,
        mouth: 0.3,
        normal: 0.0,
        distortion: 0.3,
        attention_audio: 0.4,
        attention_expression: 0.4,
        ..Weights::ZERO
    };
    let lips = Target { lip_only: true, ..target(20) };
    (rendered, vec![camera; 2], vec![target(10), lips], weights)
}

fn loss_of(rendered: &Rendered, cameras: &[Camera], targets: &[Target], weights: &Weights) -> Loss {
    let composite = Composite::new(rendered, [0.2, 0.4, 0.6], targets);
    let mut loss = image_loss(rendered, &composite, cameras, targets, weights).expect("a loss");
    let ImageGradients { color, alpha, .. } = &mut loss.gradients;
    composite.add_alpha_gradient(targets, color, alpha);
    loss
}

type Pick = fn(&mut Rendered) -> &mut Vec<f32>;

#[test]
fn gradients_agree_with_central_differences_of_the_total() {
    let (mut rendered, cameras, targets, weights) = case();
    let loss = loss_of(&rendered, &cameras, &targets, &weights);
    let n = 24 * 20;
    let cases: [(Pick, &Vec<f32>, usize); 4] = [
        (|r| &mut r.color, &loss.gradients.color, 6 * n),
        (|r| &mut r.alpha, &loss.gradients.alpha, 2 * n),
        (|r| &mut r.attention, &loss.gradients.attention, 8 * n),
        (|r| &mut r.distortion, &loss.gradients.distortion, 2 * n),
    ];
    for (kind, (pick, gradient, len)) in cases.into_iter().enumerate() {
        assert_eq!(gradient.len(), len);
        for at in (0..len).step_by(len / 23) {
            let h = 2e-3f32;
            let before = pick(&mut rendered)[at];
            let mut at_value = |v: f32| {
                pick(&mut rendered)[at] = v;
                f64::from(loss_of(&rendered, &cameras, &targets, &weights).terms.total)
            };
            let slope = ((at_value(before + h) - at_value(before - h)) / f64::from(2.0 * h)) as f32;
            at_value(before);
            assert!(
                (slope - gradient[at]).abs() < 0.05 * slope.abs() + 1e-4,
                "image {kind} at {at}: {} against {slope}",
                gradient[at]
            );
        }
    }
}

/// The sum of one term over the first frame, and its gradients.
fn sum_of(
    term: &ImageTerm,
    rendered: &Rendered,
    cameras: &[Camera],
    targets: &[Target],
) -> (f64, FrameGradients) {
    let n = 24 * 20;
    let frame = Frame {
        camera: &cameras[0],
        target: &targets[0],
        size: [24, 20],
        color: &rendered.color[..3 * n],
        alpha: &rendered.alpha[..n],
        attention: &rendered.attention[..4 * n],
        depth: &rendered.depth[..n],
        normal: &rendered.normal[..3 * n],
        distortion: &rendered.distortion[..n],
    };
    let mut gradients = FrameGradients::zeros(n, &Weights::new([1.0; TERMS.len()]).outputs());
    let sum = (term.cpu)(&frame, 1.0, &mut gradients).expect("a sum");
    (sum, gradients)
}

/// Where a term's gradient, made larger by a part `planted`, and central differences of its sum disagree, and how many of
/// the gradients that were compared were not 0.
fn faults(name: &str, term: &ImageTerm, planted: f32) -> (Vec<String>, usize) {
    let (mut rendered, cameras, targets, _) = case();
    let (_, gradients) = sum_of(term, &rendered, &cameras, &targets);
    let images: [(Pick, &Vec<f32>); 6] = [
        (|r| &mut r.color, &gradients.color),
        (|r| &mut r.alpha, &gradients.alpha),
        (|r| &mut r.attention, &gradients.attention),
        (|r| &mut r.distortion, &gradients.distortion),
        (|r| &mut r.normal, &gradients.normal),
        (|r| &mut r.depth, &gradients.depth),
    ];
    let (mut faults, mut not_zero) = (Vec::new(), 0);
    for (kind, (pick, gradient)) in images.into_iter().enumerate() {
        // Normal consistency takes alpha for a constant; its own test knows that.
        if kind == 1 && name == "normal" {
            continue;
        }
        for at in (0..gradient.len()).step_by(gradient.len() / 37) {
            // Depths of neighbours lie close together, and so do the places where one of many differences is 0.
            let h = if kind == 5 || name == "gradient" { 2e-4f32 } else { 2e-3 };
            let before = pick(&mut rendered)[at];
            let mut at_value = |v: f32| {
                pick(&mut rendered)[at] = v;
                sum_of(term, &rendered, &cameras, &targets).0
            };
            let slope = ((at_value(before + h) - at_value(before - h)) / f64::from(2.0 * h)) as f32;
            at_value(before);
            let found = gradient[at] * (1.0 + planted);
            not_zero += usize::from(found != 0.0);
            if (slope - found).abs() >= 0.05 * slope.abs() + 1e-3 {
                faults.push(format!("image {kind} at {at}: {found} against {slope}"));
            }
        }
    }
    (faults, not_zero)
}

#[test]
fn the_gradient_of_each_term_agrees_with_central_differences_and_a_wrong_one_does_not() {
    for (_, term, image) in image_terms() {
        let (found, not_zero) = faults(term.name, image, 0.0);
        assert!(found.is_empty(), "{}: {found:?}", term.name);
        assert!(not_zero > 0, "{}: no gradient was looked at", term.name);
        let (found, _) = faults(term.name, image, 0.2);
        assert!(!found.is_empty(), "{}: a gradient that is 20 % too large was not noticed", term.name);
    }
}

#[test]
fn where_the_lips_count_alone_nothing_else_is_pulled() {
    let (rendered, cameras, targets, weights) = case();
    let loss =
        image_loss(&rendered, &Composite::new(&rendered, [0.2; 3], &targets), &cameras, &targets, &weights);
    let ImageGradients { color, alpha, attention, distortion, .. } = loss.expect("a loss").gradients;
    let n = 24 * 20;
    let pulled = |at: &usize| color[3 * n + at] != 0.0;
    let lips = |at: &usize| (8..14).contains(&(at / 24)) && (6..16).contains(&(at % 24));
    assert!((0..n).all(|at| pulled(&at) == lips(&at)));
    // The last attention channel tells where the inside of the mouth is seen, which belongs to the lips.
    let of_mouth = &attention[7 * n..];
    assert!(of_mouth.iter().any(|g| *g != 0.0) && (0..n).all(|at| lips(&at) || of_mouth[at] == 0.0));
    for (gradient, planes, looked_at) in [(&alpha, 1, 1), (&attention, 4, 3), (&distortion, 1, 1)] {
        let (whole, alone) = gradient.split_at(planes * n);
        assert!(whole.iter().any(|g| *g != 0.0) && alone[..looked_at * n].iter().all(|g| *g == 0.0));
    }
}

#[test]
fn a_perfect_picture_has_no_colour_loss() {
    let (mut rendered, cameras, targets, weights) = case();
    rendered.alpha.fill(1.0);
    rendered.color = targets.iter().flat_map(|t| t.color.clone()).collect();
    let terms = loss_of(&rendered, &cameras, &targets, &weights).terms;
    assert!(
        terms.l1 == 0.0
            && terms.lips == 0.0
            && terms.eyes == 0.0
            && terms.gradient == 0.0
            && terms.dssim.abs() < 1e-5
    );
}
