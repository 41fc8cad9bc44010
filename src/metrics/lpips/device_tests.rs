//! LPIPS on the GPU against the CPU, on whatever adapter there is; a machine without any fails.

use super::*;
use crate::gpu::Choice;
use crate::metrics::lpips::tests::{network, pair};
use std::path::{Path, PathBuf};

fn adapter() -> Gpu {
    Gpu::open(Choice::Any).expect("a device").expect("an adapter")
}

/// How far a distance and a gradient are from those of the CPU: of itself, and of its length.
fn apart(found: &(f64, Vec<f32>), expected: &(f64, Vec<f32>)) -> [f64; 2] {
    assert_eq!(found.1.len(), expected.1.len());
    let length = |values: &mut dyn Iterator<Item = f32>| values.map(|v| f64::from(v).powi(2)).sum::<f64>();
    let off = length(&mut found.1.iter().zip(&expected.1).map(|(a, b)| a - b));
    let own = length(&mut expected.1.iter().copied());
    [(found.0 / expected.0 - 1.0).abs(), (off / own).sqrt()]
}

fn compare(lpips: &Lpips, size: [usize; 2]) -> [f64; 2] {
    let device = DeviceLpips::upload(&adapter(), lpips).expect("uploaded");
    let (a, b) = pair(size[0], size[1]);
    let expected = lpips.distance_and_gradient(&a, &b, size).expect("a gradient");
    let found = device.distance_and_gradient(&a, &b, size).expect("a gradient");
    assert_eq!(device.distance(&a, &b, size).expect("a distance"), found.0);
    let off = apart(&found, &expected);
    println!("{} {size:?}: distance {:.1e}, gradient {:.1e}", lpips.backbone().name(), off[0], off[1]);
    off
}

#[test]
fn every_network_agrees_with_the_cpu() {
    for (name, size) in [("squeeze", [64, 64]), ("squeeze", [47, 70]), ("alex", [64, 53]), ("vgg", [32, 37])]
    {
        let [distance, gradient] = compare(&network(name), size);
        assert!(distance < 1e-4 && gradient < 1e-3, "{name}: {distance:e} {gradient:e}");
    }
}

#[test]
#[ignore = "needs ../shared/data/models/lpips_squeeze_full.pt; SURFELTALK_SHARED_DIR names `shared`"]
fn trained_weights_agree_with_the_cpu() {
    let shared = std::env::var_os("SURFELTALK_SHARED_DIR")
        .map_or(Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let path = shared.join("data/models/lpips_squeeze_full.pt");
    let lpips = Lpips::open(&[path], &candle_core::Device::Cpu).expect("weights");
    for size in [[64, 64], [128, 96]] {
        let [distance, gradient] = compare(&lpips, size);
        assert!(distance < 1e-4 && gradient < 1e-3, "{distance:e} {gradient:e}");
    }
}

#[test]
fn the_gradient_is_that_of_finite_differences_and_a_wrong_one_is_noticed() {
    let device = DeviceLpips::upload(&adapter(), &network("squeeze")).expect("uploaded");
    let size = [40, 36];
    let (a, b) = pair(size[0], size[1]);
    let (_, gradient) = device.distance_and_gradient(&a, &b, size).expect("a gradient");
    // Along the gradient itself, so that every number counts.
    let length = gradient.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
    let step = 1e-2;
    let at = |side: f64| {
        let moved = a.iter().zip(&gradient).map(|(v, g)| v + (side * step / length * f64::from(*g)) as f32);
        device.distance(&moved.collect::<Vec<_>>(), &b, size).expect("a distance")
    };
    let slope = (at(1.0) - at(-1.0)) / (2.0 * step);
    println!("slope {slope:.6}, length of the gradient {length:.6}");
    assert!((slope / length - 1.0).abs() < 0.02, "{slope} where {length} belongs");
    assert!((slope / (1.1 * length) - 1.0).abs() > 0.05, "10 % too much was not noticed");
}

#[test]
fn several_pairs_at_once_are_each_pair_with_its_weight() {
    let (gpu, lpips) = (adapter(), network("squeeze"));
    let device = DeviceLpips::upload(&gpu, &lpips).expect("uploaded");
    let (size, plane) = ([36, 40], 36 * 40);
    let (a, b) = pair(size[0], size[1]);
    let (c, d) = pair(40, 36);
    let inputs = [[&a, &b], [&c, &d]];
    let alone = inputs.map(|[x, y]| device.distance_and_gradient(x, y, size).expect("a gradient"));
    let of = |picture: &[f32]| {
        let values = (0..4 * plane).map(|i| match i % 4 {
            3 => 0.0,
            k => (2.0 * picture[k * plane + i / 4] - 1.0 - device.mean[k]) / device.deviation[k],
        });
        values.collect::<Vec<f32>>()
    };
    let input = gpu.upload(&[&of(&a), &of(&c), &of(&b), &of(&d)].map(Vec::as_slice)).expect("uploaded");
    let weights = gpu.upload(&[&[2.0f32, 0.0]]).expect("uploaded");
    let mut recorder = Recorder::new(&gpu, Timing::Off);
    let pass = device.record(&mut recorder, input, Some(weights), 2, size).expect("recorded");
    let (mut sums, mut gradient) = (Vec::new(), Vec::<f32>::new());
    let sources = [pass.source(), (pass.gradient(), 2 * 16 * plane as u64)];
    recorder
        .submit_and_read(&sources, |i, data| match i {
            0 => append(&mut sums, data),
            _ => append(&mut gradient, data),
        })
        .expect("read back");
    let found = pass.distances(&sums);
    for (found, (expected, _)) in found.iter().zip(&alone) {
        assert!((found / expected - 1.0).abs() < 1e-5, "{found} where {expected} belongs");
    }
    let (first, second) = gradient.split_at(4 * plane);
    assert!(second.iter().all(|g| *g == 0.0), "a pair without a weight pulls nowhere");
    let first: Vec<f32> =
        (0..3 * plane).map(|i| first[4 * (i % plane) + i / plane] / device.deviation[i / plane]).collect();
    let off = apart(&(1.0, first), &(1.0, alone[0].1.clone()))[1];
    assert!(off < 1e-4, "{off}");
}

#[test]
fn equal_pictures_have_no_distance_and_black_ones_a_finite_gradient() {
    let device = DeviceLpips::upload(&adapter(), &network("alex")).expect("uploaded");
    let (a, _) = pair(64, 64);
    let (distance, gradient) = device.distance_and_gradient(&a, &a, [64, 64]).expect("a gradient");
    assert!(distance == 0.0 && gradient.iter().all(|g| *g == 0.0));
    let black = vec![0.0; 3 * 64 * 64];
    let (distance, gradient) = device.distance_and_gradient(&black, &a, [64, 64]).expect("a gradient");
    assert!(distance > 0.0 && gradient.iter().all(|g| g.is_finite()));
}

#[test]
fn small_and_misshapen_pictures_are_refused() {
    let device = DeviceLpips::upload(&adapter(), &network("squeeze")).expect("uploaded");
    let small = vec![0.5; 3 * 16 * 64];
    assert_eq!(device.distance(&small, &small, [16, 64]).expect_err("refused").exit_code(), 2);
    assert_eq!(device.distance(&small, &small, [32, 64]).expect_err("refused").exit_code(), 1);
}
