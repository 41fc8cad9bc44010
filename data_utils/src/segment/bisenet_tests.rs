use super::*;
use crate::formats::npy;

/// `count` numbers in [0, 1), as tests/data/make_bisenet.py makes them.
fn unit(name: &str, count: usize) -> Vec<f32> {
    let seed =
        name.bytes().fold(0xcbf2_9ce4_8422_2325u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    (0..count as u64)
        .map(|i| {
            let x = seed.wrapping_add(i.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            let x = x ^ (x >> 31);
            (x >> 40) as f32 / (1u64 << 24) as f32
        })
        .collect()
}

/// Shapes of all tensors of the published file that the network reads.
fn shapes() -> Vec<(String, Vec<usize>)> {
    let mut all: Vec<(String, Vec<usize>)> = Vec::new();
    let mut conv = |name: &str, norm: &str, [to, from, side]: [usize; 3]| {
        all.push((format!("{name}.weight"), vec![to, from, side, side]));
        if !norm.is_empty() {
            for part in ["weight", "bias", "running_mean", "running_var"] {
                all.push((format!("{norm}.{part}"), vec![to]));
            }
        }
    };
    conv("cp.resnet.conv1", "cp.resnet.bn1", [64, 3, 7]);
    let mut from = 64;
    for (k, to) in [64, 128, 256, 512].into_iter().enumerate() {
        for block in 0..2 {
            let name = format!("cp.resnet.layer{}.{block}", k + 1);
            conv(&format!("{name}.conv1"), &format!("{name}.bn1"), [to, from, 3]);
            conv(&format!("{name}.conv2"), &format!("{name}.bn2"), [to, to, 3]);
            if from != to {
                conv(&format!("{name}.downsample.0"), &format!("{name}.downsample.1"), [to, from, 1]);
            }
            from = to;
        }
    }
    for (name, from) in [("cp.arm16", 256), ("cp.arm32", 512)] {
        conv(&format!("{name}.conv.conv"), &format!("{name}.conv.bn"), [128, from, 3]);
        conv(&format!("{name}.conv_atten"), &format!("{name}.bn_atten"), [128, 128, 1]);
    }
    for (name, shape) in [
        ("cp.conv_head32", [128, 128, 3]),
        ("cp.conv_head16", [128, 128, 3]),
        ("cp.conv_avg", [128, 512, 1]),
        ("ffm.convblk", [256, 256, 1]),
        ("conv_out.conv", [256, 256, 3]),
    ] {
        conv(&format!("{name}.conv"), &format!("{name}.bn"), shape);
    }
    conv("ffm.conv1", "", [64, 256, 1]);
    conv("ffm.conv2", "", [256, 64, 1]);
    conv("conv_out.conv_out", "", [19, 256, 1]);
    all
}

fn made() -> BTreeMap<String, Tensor> {
    let tensor = |(name, shape): (String, Vec<usize>)| {
        let u = unit(&name, shape.iter().product());
        let fan: usize = shape.iter().skip(1).product();
        let scale = (2.0 * (6.0 / fan as f64).sqrt()) as f32;
        let values: Vec<f32> = u
            .into_iter()
            .map(|u| match shape.len() {
                4 => (u - 0.5) * scale,
                _ if name.ends_with("running_var") => u + 0.5,
                _ if name.ends_with("weight") => u * 0.4 + 0.8,
                _ => (u - 0.5) * 0.2,
            })
            .collect();
        (name, Tensor::from_vec(values, shape, &Device::Cpu).expect("a tensor"))
    };
    shapes().into_iter().map(tensor).collect()
}

#[test]
fn scores_and_classes_are_pytorchs() {
    let network = BiSeNet::from_tensors(Path::new("made up"), &made()).expect("the layout");
    let (width, height) = (96u32, 64u32);
    let levels = unit("picture", (width * height * 3) as usize).iter().map(|u| (u * 256.0) as u8).collect();
    let picture = RgbImage::from_raw(width, height, levels).expect("a picture");
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/bisenet.npy");
    let golden = npy::read(Path::new(path)).expect("golden data").data;
    let (scores, classes) = golden.split_at(CLASSES * 8 * 12);
    let found = network.scores(&picture).expect("scores").flatten_all().and_then(|t| t.to_vec1::<f32>());
    let found = found.expect("numbers");
    let most = scores.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    let off = found.iter().zip(scores).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    println!("scores up to {most}, off by {off}");
    assert!(found.len() == scores.len() && most > 0.1 && off < 1e-4 * most);
    let labels = network.classes(&picture).expect("classes");
    let differ = labels.iter().zip(classes).filter(|(a, b)| f32::from(**a) != **b).count();
    // Where two classes are as good as equal, rounding decides.
    assert!(labels.len() == classes.len() && differ <= 3, "{differ} pixels of another class");
    let mut kinds = labels.clone();
    kinds.sort_unstable();
    kinds.dedup();
    assert!(kinds.len() > 2, "one class everywhere proves nothing");
}

#[test]
fn a_missing_or_misshapen_tensor_is_named() {
    let mut tensors = made();
    let removed = tensors.remove("cp.arm16.bn_atten.running_var").expect("it was there");
    let error = BiSeNet::from_tensors(Path::new("x.pth"), &tensors).expect_err("refused");
    assert!(error.exit_code() == 2 && error.to_string().contains("cp.arm16.bn_atten.running_var"), "{error}");
    tensors.insert("cp.arm16.bn_atten.running_var".into(), removed.reshape((64, 2)).expect("reshaped"));
    assert!(BiSeNet::from_tensors(Path::new("x.pth"), &tensors).is_err());
}

#[test]
fn classes_become_synctalks_labels() {
    assert_eq!(label(0, true), 0);
    assert_eq!(
        [label(14, false), label(15, false), label(16, false)],
        [Label::NECK, Label::NECK, Label::TORSO]
    );
    for class in [7, 8, 9, 17, 18] {
        assert_eq!(label(class, false), Label::HEAD);
    }
    assert_eq!(label(1, false), Label::HEAD | Label::FACE);
    assert_eq!(label(11, false), Label::HEAD | Label::FACE | Label::MOUTH);
    assert_eq!(label(12, true), Label::HEAD | Label::FACE | Label::MOUTH);
}
