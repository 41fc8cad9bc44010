use super::*;
use crate::formats::npy;
use std::path::PathBuf;

/// Size of the pictures of tests/data/make_raft.py, and how far the second is moved.
const WIDTH: usize = 160;
const HEIGHT: usize = 128;
const MOVED: [f64; 2] = [3.0, -2.0];
/// Values of one flow in the golden data: that of the cells, and as many of the pixels.
const VALUES: usize = 2 * 16 * 20;

/// `count` numbers in [0, 1), as tests/data/make_raft.py makes them.
fn unit(name: &str, count: usize) -> Vec<f32> {
    let seed =
        name.bytes().fold(0xcbf2_9ce4_8422_2325u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    let value = |i: u64| {
        let x = seed.wrapping_add(i.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((x ^ (x >> 31)) >> 40) as f32 / (1u64 << 24) as f32
    };
    (0..count as u64).map(value).collect()
}

/// Blurred noise, and the same moved.
fn pictures() -> [RgbImage; 2] {
    let (room, reach) = (8, 2);
    let (w, h) = (WIDTH + 2 * room, HEIGHT + 2 * room);
    let noise: Vec<i64> = unit("picture", 3 * w * h).iter().map(|u| (u * 256.0) as i64).collect();
    let smooth = |x: usize, y: usize, k: usize| {
        let window = (0..25).map(|i| noise[((y + i / 5 - reach) * w + x + i % 5 - reach) * 3 + k]);
        (window.sum::<i64>() * 3 / 25 - 255).clamp(0, 255) as u8
    };
    [[0.0, 0.0], MOVED].map(|[dx, dy]| {
        RgbImage::from_fn(WIDTH as u32, HEIGHT as u32, |x, y| {
            let place = |v: u32, d: f64| (i64::from(v) + room as i64 - d as i64) as usize;
            image::Rgb([0, 1, 2].map(|k| smooth(place(x, dx), place(y, dy), k)))
        })
    })
}

/// Shapes of all tensors of the published file.
fn shapes() -> Vec<(String, [usize; 3])> {
    let mut all = Vec::new();
    for (net, out) in [("fnet", 128), ("cnet", 160)] {
        all.push((format!("{net}.conv1"), [32, 3, 7]));
        for (name, from, to) in [
            ("layer1.0", 32, 32),
            ("layer1.1", 32, 32),
            ("layer2.0", 32, 64),
            ("layer2.1", 64, 64),
            ("layer3.0", 64, 96),
            ("layer3.1", 96, 96),
        ] {
            all.push((format!("{net}.{name}.conv1"), [to / 4, from, 1]));
            all.push((format!("{net}.{name}.conv2"), [to / 4, to / 4, 3]));
            all.push((format!("{net}.{name}.conv3"), [to, to / 4, 1]));
            if from != to {
                all.push((format!("{net}.{name}.downsample.0"), [to, from, 1]));
            }
        }
        all.push((format!("{net}.conv2"), [out, 96, 1]));
    }
    for (name, shape) in [
        ("encoder.convc1", [96, 196, 1]),
        ("encoder.convf1", [64, 2, 7]),
        ("encoder.convf2", [32, 64, 3]),
        ("encoder.conv", [80, 128, 3]),
        ("gru.convz", [96, 242, 3]),
        ("gru.convr", [96, 242, 3]),
        ("gru.convq", [96, 242, 3]),
        ("flow_head.conv1", [128, 96, 3]),
        ("flow_head.conv2", [2, 128, 3]),
    ] {
        all.push((format!("update_block.{name}"), shape));
    }
    all
}

fn made(prefix: &str) -> BTreeMap<String, Tensor> {
    let mut tensors = BTreeMap::new();
    for (name, [to, from, side]) in shapes() {
        let less = if name == "update_block.flow_head.conv2" { 0.25 } else { 1.0f32 };
        let fan = from * side * side;
        let parts = [
            (format!("{name}.weight"), vec![to, from, side, side], (2.0 * (6.0 / fan as f64).sqrt()) as f32),
            (format!("{name}.bias"), vec![to], 0.2),
        ];
        for (name, shape, scale) in parts {
            let values =
                unit(&name, shape.iter().product()).iter().map(|u| (u - 0.5) * (scale * less)).collect();
            let tensor = Tensor::from_vec::<_, f32>(values, shape, &Device::Cpu).expect("a tensor");
            tensors.insert(format!("{prefix}{name}"), tensor);
        }
    }
    tensors
}

fn golden(part: usize) -> Vec<f32> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/raft.npy");
    npy::read(Path::new(path)).expect("golden data").data[part * VALUES..(part + 1) * VALUES].to_vec()
}

fn flow(network: &Raft) -> Flow {
    let [first, second] = pictures();
    network.flow(&network.source(&first).expect("a source"), &second).expect("a flow")
}

/// Largest difference of a flow from PyTorch's, in pixels: at the cells, and at every eighth pixel.
fn off(flow: &Flow, part: usize) -> [f32; 2] {
    let most = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    let pixels: Vec<[f64; 2]> =
        (0..VALUES / 2).map(|i| flow.at((i % 20 * 8) as f64, (i / 20 * 8) as f64)).collect();
    let planes: Vec<f32> = (0..2).flat_map(|k| pixels.iter().map(move |p| p[k] as f32)).collect();
    assert_eq!(flow.values.len(), VALUES);
    [8.0 * most(&flow.values, &golden(part)), most(&planes, &golden(part + 1))]
}

#[test]
fn flow_is_pytorchs_for_made_up_weights() {
    for prefix in ["module.", ""] {
        let network = Raft::from_tensors(Path::new("made up"), &made(prefix)).expect("the layout");
        let off = off(&flow(&network), 0);
        println!(
            "off by {off:?} px, cells and pixels, of {:.1}",
            golden(1).iter().fold(0f32, |m, v| m.max(v.abs()))
        );
        assert!(off.iter().all(|v| *v < 0.01), "{off:?}");
    }
}

#[test]
#[ignore = "needs ../shared/data/models/raft-small.pth; SURFELTALK_DATA_DIR names `data`"]
fn the_published_weights_find_how_a_picture_moved() {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let folder = std::env::var_os("SURFELTALK_DATA_DIR").map_or(beside, PathBuf::from);
    let path = folder.join("models/raft-small.pth");
    let found = flow(&Raft::open(&path).expect("the network"));
    let off = off(&found, 2);
    println!("off by {off:?} px");
    assert!(off.iter().all(|v| *v < 0.01), "{off:?}");
    for (column, row) in [(40.0, 40.0), (80.0, 64.0), (120.0, 90.0)] {
        let [x, y] = found.at(column, row);
        assert!((x - MOVED[0]).hypot(y - MOVED[1]) < 0.25, "{x} {y}");
    }
}

#[test]
fn any_number_of_threads_gives_the_same_flow() {
    let network = Raft::from_tensors(Path::new("made up"), &made("")).expect("the layout");
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        pool.install(|| flow(&network))
    };
    assert_eq!(on(1), on(3));
}

#[test]
fn other_networks_and_sizes_are_refused() {
    let mut tensors = made("module.");
    let network = Raft::from_tensors(Path::new("x.pth"), &tensors).expect("the layout");
    for (width, height) in [(120, 160), (160, 132), (0, 0), (2048, 128)] {
        assert_eq!(network.source(&RgbImage::new(width, height)).expect_err("refused").exit_code(), 2);
    }
    let source = network.source(&pictures()[0]).expect("a source");
    assert_eq!(network.flow(&source, &RgbImage::new(128, 128)).expect_err("another size").exit_code(), 2);
    let bias = tensors.remove("module.update_block.gru.convq.bias").expect("it was there");
    let error = Raft::from_tensors(Path::new("x.pth"), &tensors).expect_err("refused");
    assert!(error.exit_code() == 2 && error.to_string().contains("gru.convq.bias"), "{error}");
    let broken = (bias * f64::NAN).expect("numbers");
    tensors.insert("module.update_block.gru.convq.bias".into(), broken);
    assert_eq!(Raft::from_tensors(Path::new("x.pth"), &tensors).expect_err("not numbers").exit_code(), 2);
}
