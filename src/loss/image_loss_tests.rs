//! Statements about the terms over images.

use super::*;
use crate::loss::term::Kind;
use crate::loss::{BackgroundSample, terms};
use data_utils::dataset::Rect;

fn noise(n: usize, seed: u32) -> Vec<f32> {
    (0..n as u32)
        .map(|i| {
            ((i.wrapping_mul(2654435761).wrapping_add(seed.wrapping_mul(40503)) >> 8) % 1000) as f32 / 1000.0
        })
        .collect()
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
        lip_only: false,
    };
    let weights = Weights {
        l1: 0.8,
        dssim: 0.2,
        lips: 0.4,
        eyes: 0.3,
        mask: 0.1,
        normal: 0.0,
        distortion: 0.3,
        attention_audio: 0.4,
        attention_expression: 0.4,
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

/// The images whose gradient can be told from differences. Normal consistency takes alpha for a constant, so it has a test of
/// its own.
const IMAGES: [(&str, Pick); 6] = [
    ("color", |r| &mut r.color),
    ("alpha", |r| &mut r.alpha),
    ("attention", |r| &mut r.attention),
    ("distortion", |r| &mut r.distortion),
    ("normal", |r| &mut r.normal),
    ("depth", |r| &mut r.depth),
];

fn gradient_of<'a>(gradients: &'a ImageGradients, image: &str) -> &'a [f32] {
    match image {
        "color" => &gradients.color,
        "alpha" => &gradients.alpha,
        "attention" => &gradients.attention,
        "distortion" => &gradients.distortion,
        "normal" => &gradients.normal,
        _ => &gradients.depth,
    }
}

/// Where the gradient of the total and its central difference disagree, and how many of either were not 0.
fn faults(weights: &Weights, planted: f32) -> (Vec<String>, usize) {
    let (mut rendered, cameras, targets, _) = case();
    let loss = loss_of(&rendered, &cameras, &targets, weights);
    let (mut faults, mut not_zero) = (Vec::new(), 0);
    for (image, pick) in IMAGES {
        let gradient: Vec<f32> =
            gradient_of(&loss.gradients, image).iter().map(|g| g * (1.0 + planted)).collect();
        if gradient.is_empty() || (image == "alpha" && weights.normal > 0.0) {
            continue;
        }
        let len = gradient.len();
        assert_eq!(len, pick(&mut rendered).len());
        for at in (0..len).step_by(len / 23) {
            let h = 2e-3f32;
            let before = pick(&mut rendered)[at];
            let mut at_value = |v: f32| {
                pick(&mut rendered)[at] = v;
                f64::from(loss_of(&rendered, &cameras, &targets, weights).terms.total)
            };
            let slope = ((at_value(before + h) - at_value(before - h)) / f64::from(2.0 * h)) as f32;
            at_value(before);
            not_zero += usize::from(gradient[at] != 0.0);
            if (slope - gradient[at]).abs() >= 0.05 * slope.abs() + 1e-4 {
                faults.push(format!("{image} at {at}: {} against {slope}", gradient[at]));
            }
        }
    }
    (faults, not_zero)
}

#[test]
fn gradients_agree_with_central_differences_of_the_total() {
    let (found, _) = faults(&case().3, 0.0);
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn the_gradient_of_each_term_agrees_with_central_differences_and_a_wrong_one_does_not() {
    for (number, term) in terms::TERMS.iter().enumerate() {
        if !matches!(term.kind, Kind::Image(_)) {
            continue;
        }
        // Enough that the differences are well above rounding.
        let mut each = [0.0; TERMS.len()];
        each[number] = 20.0;
        let (found, not_zero) = faults(&Weights::new(each), 0.0);
        assert!(found.is_empty(), "{}: {found:?}", term.name);
        assert!(not_zero > 0, "{}: no gradient was looked at", term.name);
        let (found, _) = faults(&Weights::new(each), 0.2);
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
    for (gradient, planes) in [(alpha, 1), (attention, 4), (distortion, 1)] {
        let (whole, alone) = gradient.split_at(planes * n);
        assert!(whole.iter().any(|g| *g != 0.0) && alone.iter().all(|g| *g == 0.0));
    }
}

#[test]
fn a_perfect_picture_has_no_colour_loss() {
    let (mut rendered, cameras, targets, weights) = case();
    rendered.alpha.fill(1.0);
    rendered.color = targets.iter().flat_map(|t| t.color.clone()).collect();
    let terms = loss_of(&rendered, &cameras, &targets, &weights).terms;
    assert!(terms.l1 == 0.0 && terms.lips == 0.0 && terms.eyes == 0.0 && terms.dssim.abs() < 1e-5);
}
