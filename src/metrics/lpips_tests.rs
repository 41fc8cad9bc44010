use super::*;
use candle_core::DType;
use serde_json::Value;
use std::path::PathBuf;

const GOLDEN: &str = include_str!("../../tests/data/lpips_golden.json");
const TRAINED: &str = include_str!("../../tests/data/lpips_golden_trained.json");

/// splitmix64 of (stream, index), the upper 24 bits as a float in 0..1; as in `tests/data/lpips_golden.py`.
fn uniform(stream: u64, index: u64) -> f64 {
    let mut z = ((stream << 32) + index).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 40) as f64 / (1u64 << 24) as f64
}

fn picture(stream: u64, height: usize, width: usize) -> Vec<f32> {
    (0..3 * height * width)
        .map(|i| {
            let (c, r, k) = (i / (height * width), i / width % height, i % width);
            let smooth = ((r * 3 + k * 5 + c * 40) % 200) as f64 / 200.0;
            (0.7 * smooth + 0.3 * uniform(stream, i as u64)) as f32
        })
        .collect()
}

pub(super) fn pair(height: usize, width: usize) -> (Vec<f32>, Vec<f32>) {
    let (a, other) = (picture(1001, height, width), picture(1002, height, width));
    let b = a.iter().zip(&other).map(|(&a, &b)| (0.7 * a as f64 + 0.3 * b as f64) as f32).collect();
    (a, b)
}

/// The tensors of a network in the order in which it first uses them, with their shapes.
fn shapes(network: &str) -> Vec<(String, Vec<usize>)> {
    let mut out = Vec::new();
    let conv = |out: &mut Vec<(String, Vec<usize>)>, name: &str, dims: [usize; 3]| {
        out.push((format!("features.{name}.weight"), vec![dims[0], dims[1], dims[2], dims[2]]));
        out.push((format!("features.{name}.bias"), vec![dims[0]]));
    };
    let head = |out: &mut Vec<(String, Vec<usize>)>, tap: usize, channels: usize| {
        out.push((format!("lin{tap}.model.1.weight"), vec![1, channels, 1, 1]));
    };
    match network {
        "squeeze" => {
            conv(&mut out, "0", [64, 3, 3]);
            head(&mut out, 0, 64);
            let mut input = 64;
            let taps: [&[(usize, usize, usize)]; 6] = [
                &[(3, 16, 64), (4, 16, 64)],
                &[(6, 32, 128), (7, 32, 128)],
                &[(9, 48, 192)],
                &[(10, 48, 192)],
                &[(11, 64, 256)],
                &[(12, 64, 256)],
            ];
            for (tap, fires) in taps.iter().enumerate() {
                for (i, inner, outer) in fires.iter() {
                    conv(&mut out, &format!("{i}.squeeze"), [*inner, input, 1]);
                    conv(&mut out, &format!("{i}.expand1x1"), [*outer, *inner, 1]);
                    conv(&mut out, &format!("{i}.expand3x3"), [*outer, *inner, 3]);
                    input = 2 * outer;
                }
                head(&mut out, tap + 1, input);
            }
        }
        "alex" => {
            let layers =
                [(0, 64, 3, 11), (3, 192, 64, 5), (6, 384, 192, 3), (8, 256, 384, 3), (10, 256, 256, 3)];
            for (tap, (i, o, input, side)) in layers.into_iter().enumerate() {
                conv(&mut out, &i.to_string(), [o, input, side]);
                head(&mut out, tap, o);
            }
        }
        _ => {
            let taps: [(usize, &[usize]); 5] = [
                (64, &[0, 2]),
                (128, &[5, 7]),
                (256, &[10, 12, 14]),
                (512, &[17, 19, 21]),
                (512, &[24, 26, 28]),
            ];
            let mut input = 3;
            for (tap, (channels, indices)) in taps.into_iter().enumerate() {
                for i in indices {
                    conv(&mut out, &i.to_string(), [channels, input, 3]);
                    input = channels;
                }
                head(&mut out, tap, channels);
            }
        }
    }
    out
}

fn formula(network: &str) -> BTreeMap<String, Tensor> {
    let make = |(n, (name, dims)): (usize, (String, Vec<usize>))| {
        let value = |u: f64| match dims.len() {
            4 if name.starts_with("lin") => u,
            4 => (2.0 * u - 1.0) * (6.0 / (dims[1] * dims[2] * dims[3]) as f64).sqrt(),
            _ => 0.2 * u - 0.1,
        };
        let count: usize = dims.iter().product();
        let values: Vec<f32> = (0..count).map(|i| value(uniform(n as u64 + 1, i as u64)) as f32).collect();
        (name, Tensor::from_vec(values, dims.as_slice(), &Device::Cpu).expect("a tensor"))
    };
    shapes(network).into_iter().enumerate().map(make).collect()
}

pub(super) fn network(name: &str) -> Lpips {
    Lpips::from_tensors(&formula(name), "a formula", &Device::Cpu).expect("a network")
}

fn number(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}

/// Checks distance and gradient against one case of the golden file.
fn agrees(lpips: &Lpips, case: &Value) {
    let [height, width] = ["height", "width"].map(|k| case[k].as_u64().expect("a size") as usize);
    let (a, b) = pair(height, width);
    let expected = number(&case["distance"]);
    let plain = lpips.distance(&a, &b, [height, width]).expect("a distance");
    let (found, gradient) = lpips.distance_and_gradient(&a, &b, [height, width]).expect("a gradient");
    println!("{}: distance off by {:.1e} of itself", case["network"], (found / expected - 1.0).abs());
    assert!((found / expected - 1.0).abs() < 1e-5, "{found} against {expected}");
    assert_eq!(plain, found);
    let expected = number(&case["gradient_norm"]);
    let norm = gradient.iter().map(|&g| (g as f64).powi(2)).sum::<f64>().sqrt();
    println!("{}: length of the gradient off by {:.1e}", case["network"], (norm / expected - 1.0).abs());
    assert!((norm / expected - 1.0).abs() < 1e-4, "{norm} against {expected}");
    // Relative to the typical pixel: a pixel near zero is a difference of large ones.
    let typical = expected / (gradient.len() as f64).sqrt();
    let mut worst = 0.0f64;
    for (index, expected) in case["gradient"].as_object().expect("samples") {
        let found = gradient[index.parse::<usize>().expect("an index")] as f64;
        worst = worst.max((found - number(expected)).abs() / typical);
    }
    println!("{}: worst pixel of the gradient off by {worst:.1e} of a typical one", case["network"]);
    assert!(worst < 1e-3);
}

#[test]
fn every_network_agrees_with_pytorch() {
    let golden: Vec<Value> = serde_json::from_str(GOLDEN).expect("json");
    assert_eq!(golden.len(), 3);
    for case in &golden {
        let name = case["network"].as_str().expect("a name");
        let lpips = network(name);
        assert_eq!(lpips.backbone().name(), name);
        agrees(&lpips, case);
    }
}

#[test]
#[ignore = "needs ../shared/data/models/lpips_squeeze_full.pt; SURFELTALK_SHARED_DIR names `shared`"]
fn trained_weights_agree_with_pytorch() {
    let shared = std::env::var_os("SURFELTALK_SHARED_DIR")
        .map_or(Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let whole = shared.join("data/models/lpips_squeeze_full.pt");
    let golden: Vec<Value> = serde_json::from_str(TRAINED).expect("json");
    agrees(&Lpips::open(&[&whole], &Device::Cpu).expect("weights"), &golden[0]);
    // The heads alone are no network.
    let heads = [shared.join("data/models/lpips_lin_v0.1_squeeze.pth")];
    assert_eq!(Lpips::open(&heads, &Device::Cpu).expect_err("refused").exit_code(), 2);
}

#[test]
fn the_names_of_a_whole_state_dict_are_read_too() {
    let slice = |index: usize| {
        [(0, 1), (2, 2), (5, 3), (8, 4), (10, 5), (11, 6), (12, 7)]
            .iter()
            .rfind(|(first, _)| *first <= index)
            .map_or(0, |(_, slice)| *slice)
    };
    let renamed: BTreeMap<String, Tensor> = formula("squeeze")
        .into_iter()
        .map(|(name, tensor)| {
            let new = match (name.strip_prefix("features."), name.strip_prefix("lin")) {
                (Some(rest), _) => {
                    let index = rest.split('.').next().and_then(|i| i.parse().ok()).expect("an index");
                    format!("net.slice{}.{rest}", slice(index))
                }
                (_, Some(rest)) => format!("lins.{rest}"),
                _ => name,
            };
            (new, tensor)
        })
        .collect();
    let (a, b) = pair(40, 40);
    let value = |tensors| {
        let lpips = Lpips::from_tensors(tensors, "here", &Device::Cpu).expect("a network");
        lpips.distance(&a, &b, [40, 40]).expect("a distance")
    };
    assert_eq!(value(&renamed), value(&formula("squeeze")));
}

#[test]
fn equal_pictures_have_no_distance_and_pull_nowhere() {
    let lpips = network("squeeze");
    let a = picture(5, 40, 33);
    let (distance, gradient) = lpips.distance_and_gradient(&a, &a, [40, 33]).expect("a gradient");
    assert_eq!(distance, 0.0);
    assert!(gradient.iter().all(|&g| g == 0.0));
}

#[test]
fn a_black_picture_has_a_finite_gradient() {
    let lpips = network("alex");
    let (black, other) = (vec![0.0; 3 * 64 * 64], picture(6, 64, 64));
    let (distance, gradient) = lpips.distance_and_gradient(&black, &other, [64, 64]).expect("a gradient");
    assert!(distance.is_finite() && gradient.iter().all(|g| g.is_finite()));
}

#[test]
fn incomplete_weights_are_refused_by_name() {
    let refused = |tensors: &BTreeMap<String, Tensor>| {
        let error = Lpips::from_tensors(tensors, "some.pth", &Device::Cpu).expect_err("refused");
        assert_eq!(error.exit_code(), 2);
        error.to_string()
    };
    let mut tensors = formula("squeeze");
    tensors.remove("lin4.model.1.weight");
    let said = refused(&tensors);
    assert!(said.contains("some.pth") && said.contains("lin4.model.1.weight"), "{said}");
    let mut tensors = formula("squeeze");
    let bias = Tensor::zeros(65, DType::F32, &Device::Cpu).expect("a tensor");
    tensors.insert("features.0.bias".into(), bias);
    assert!(refused(&tensors).contains("[65]"));
    assert!(refused(&BTreeMap::new()).contains("0 tensors"));
}

#[test]
fn small_and_misshapen_pictures_are_refused() {
    let lpips = network("squeeze");
    let small = vec![0.5; 3 * 16 * 64];
    assert_eq!(lpips.distance(&small, &small, [16, 64]).expect_err("refused").exit_code(), 2);
    assert_eq!(lpips.distance(&small, &small, [32, 64]).expect_err("refused").exit_code(), 1);
}
