//! The field on the rasterizer's device against the CPU.

use super::*;
use crate::gpu::Restrictions;
use crate::gpu::append;
use crate::gpu::{Choice, Gpu};
use crate::gpu::{Recorder, Timing};

fn gpu(restrictions: Restrictions) -> Gpu {
    let found = Gpu::restricted(Choice::Any, restrictions).expect("a device");
    found.expect("these tests need a GPU, or Mesa's lavapipe (Debian: mesa-vulkan-drivers)")
}

fn norm(v: impl Iterator<Item = f32>) -> f64 {
    v.map(|x| f64::from(x).powi(2)).sum::<f64>().sqrt()
}

/// ‖a − b‖ / ‖b‖. The largest difference would not do: a ReLU that opens on one device and not on the other, for a number
/// next to 0, moves the gradient of a whole row.
fn apart(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    norm(a.iter().zip(b).map(|(x, y)| x - y)) / norm(b.iter().copied()).max(1e-12)
}

fn flat(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn read(gpu: &Gpu, buffer: &wgpu::Buffer, count: usize) -> Vec<f32> {
    let mut out = Vec::new();
    let encoder = gpu.device.create_command_encoder(&Default::default());
    gpu.submit_and_read(encoder, &[(buffer, 4 * count as u64)], |_, data| append(&mut out, data)).unwrap();
    out
}

/// The planes' values, or gradients, one after the other.
fn planes(f: &Field, tensors: &[Tensor]) -> Vec<f32> {
    let count = 3 * f.config().plane_resolutions.len();
    tensors[..count].iter().flat_map(flat).collect()
}

/// What a device says and finds for a field, places and a gradient: rows, gradients of the other parameters, planes and
/// embedding after a step of Adam that shows their gradients.
struct Found {
    packed: Vec<f32>,
    rest: Vec<Vec<f32>>,
    learned: Learned<Vec<f32>>,
}

fn run(gpu: &Gpu, f: &Field, at: &[f32], e: &Tensor, c: &[Conditions], g: &Tensor) -> Found {
    let values: Vec<Tensor> = f.parameters().iter().map(|(_, v)| v.as_tensor().clone()).collect();
    let (planes, embedding) = (planes(f, &values), flat(e));
    let zeros = [vec![0.0; planes.len()], vec![0.0; embedding.len()]];
    let learned = Learned {
        planes: [&planes, &zeros[0], &zeros[0]].map(Vec::as_slice),
        embedding: [&embedding, &zeros[1], &zeros[1]].map(Vec::as_slice),
    };
    let mut there = DeviceField::new(gpu, f, &learned).unwrap();
    let places = gpu.upload(&[at]).unwrap();
    let mut recorder = Recorder::new(gpu, Timing::Off);
    there.record_forward(&mut recorder, f, c, &places).unwrap();
    recorder.submit().unwrap();
    let deltas = there.deltas().unwrap();
    let packed = read(gpu, &deltas.values, g.elem_count());
    gpu.queue.write_buffer(&deltas.gradients, 0, bytemuck::cast_slice(&flat(g)));
    let mut recorder = Recorder::new(gpu, Timing::Off);
    there.record_backward(&mut recorder).unwrap();
    let mut sums = Vec::new();
    recorder.submit_and_read(&[there.sums().unwrap()], |_, data| append(&mut sums, data)).unwrap();
    let rest = there.gradients(f, &sums).unwrap().iter().map(flat).collect();
    // The first moments, 0 before, are a tenth of the gradients afterwards.
    let rates = LearnRates {
        planes: RATES[0],
        embedding: RATES[1],
        plane_corrections: CORRECTIONS,
        embedding_corrections: CORRECTIONS,
    };
    let mut recorder = Recorder::new(gpu, Timing::Off);
    let lent = there.record_adam(&mut recorder, &rates).unwrap();
    recorder.submit().unwrap();
    drop(lent);
    Found { packed, rest, learned: there.get().unwrap() }
}

/// Learning rates of planes and embedding, and 1 − βᵗ.
const RATES: [f32; 2] = [0.02, 0.01];
const CORRECTIONS: [f32; 2] = [0.1, 0.001];

/// How far the numbers of `learned`, which were `before`, are from where their moments say they go.
fn astray([now, first, second]: &[Vec<f32>; 3], before: &[f32], rate: f32) -> f32 {
    let moments = first.iter().zip(second);
    let step = |(m, v): (&f32, &f32)| rate * (m / CORRECTIONS[0]) / ((v / CORRECTIONS[1]).sqrt() + 1e-15);
    let steps = before.iter().zip(moments).map(|(b, moments)| b - step(moments));
    now.iter().zip(steps).fold(0.0, |worst: f32, (now, there)| worst.max((now - there).abs()))
}

fn ten(moments: &[f32]) -> Vec<f32> {
    moments.iter().map(|m| 10.0 * m).collect()
}

#[test]
fn poison_in_one_surfel_s_gradient_leaves_the_embedding_of_the_others_alone() {
    let gpu = gpu(Restrictions::default());
    let (config, rows, ill) = (small(), 90, 17);
    let f = field(config.clone(), DType::F32);
    let (at, c, e) = (places(rows), conditions(&config, 2), embedding(&config, rows, DType::F32));
    let columns = f.layout().columns;
    let with = |value: f32| {
        let mut g = flat(&weights(&[2, rows, columns], DType::F32));
        g[ill * columns..(ill + 1) * columns].fill(value);
        run(&gpu, &f, &at, &e, &c, &Tensor::from_vec(g, (2, rows, columns), &Device::Cpu).unwrap())
    };
    let well = with(0.0);
    let width = config.embedding;
    for poison in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, 1e-40] {
        let found = with(poison);
        let pairs = found.learned.embedding[1].chunks(width).zip(well.learned.embedding[1].chunks(width));
        for (row, (a, b)) in pairs.enumerate().filter(|(row, _)| *row != ill) {
            assert_eq!(a, b, "surfel {row} beside {poison}");
        }
        let finite = found.rest.iter().flatten().all(|v| v.is_finite());
        assert_eq!(finite, poison == 1e-40, "{poison} is seen in the sums over all surfels");
        assert!(found.learned.planes[1].iter().all(|v| v.is_finite()), "planes have bounds");
    }
}

#[test]
fn what_does_not_fit_is_known_before_anything_is_allocated() {
    let small_room = Restrictions { binding_bytes: Some(1 << 20), ..Restrictions::default() };
    let gpu = gpu(small_room);
    let (config, rows) = (small(), 2000);
    let f = field(config.clone(), DType::F32);
    assert!(DeviceField::fits(&gpu, &f, rows, 2) && !DeviceField::fits(&gpu, &f, rows, 100));
    assert!(!DeviceField::fits(&gpu, &f, 100_000, 1));
    assert!(
        !DeviceField::fits(&gpu, &field(FieldConfig::default(), DType::F32), rows, 1),
        "its planes alone"
    );
    let planes = f.plane_values().unwrap();
    let embedding = flat(&embedding(&config, rows, DType::F32));
    let learned = Learned { planes: [planes.as_slice(); 3], embedding: [embedding.as_slice(); 3] };
    let mut there = DeviceField::new(&gpu, &f, &learned).unwrap();
    let at = gpu.upload(&[&places(rows)]).unwrap();
    let mut recorder = Recorder::new(&gpu, Timing::Off);
    let error = there.record_forward(&mut recorder, &f, &conditions(&config, 100), &at).unwrap_err();
    assert!(error.exit_code() == 2 && error.to_string().contains("--batch_size"), "{error}");
    let few = gpu.upload(&[&places(7)]).unwrap();
    let one = conditions(&config, 1);
    assert!(matches!(there.record_forward(&mut recorder, &f, &one, &few), Err(Error::Internal(_))));
    assert!(matches!(there.record_backward(&mut recorder), Err(Error::Internal(_))), "no forward pass");
    assert!(there.sums().is_err() && there.gradients(&f, &[]).is_err());
    there.record_forward(&mut recorder, &f, &conditions(&config, 2), &at).unwrap();
}

#[test]
fn the_device_says_and_learns_what_the_cpu_does() {
    let whole = gpu(Restrictions::default());
    // So little room that frames go one after the other.
    let small_room =
        Restrictions { default_limits: true, binding_bytes: Some(1 << 20), ..Restrictions::default() };
    let little = gpu(small_room);
    let plain = FieldConfig { driven_heads: false, ..small() };
    let wide =
        FieldConfig { model_width: 72, feed_width: 80, head_width: 20, layers: 1, sh_degree: 2, ..small() };
    for (gpu, config, frames, rows) in [
        (&whole, small(), 1, 1),
        (&whole, small(), 3, 130),
        (&whole, plain, 2, 65),
        (&whole, wide, 2, 200),
        (&little, small(), 5, 1000),
        (&whole, FieldConfig { audio_channels: 3, ..FieldConfig::default() }, 2, 700),
    ] {
        let what = format!("{frames} frames of {rows}, width {}", config.model_width);
        let f = field(config.clone(), DType::F32);
        let (at, c) = (places(rows), conditions(&config, frames));
        let e = embedding(&config, rows, DType::F32);
        let g = weights(&[frames, rows, f.layout().columns], DType::F32);
        let prepared = f.prepare(&at).unwrap();
        let expected = flat(&f.infer(&prepared, &e, &c).unwrap().packed);
        let gradients = f.backward(&prepared, &e, &c, &g).unwrap();
        let found = run(gpu, &f, &at, &e, &c, &g);
        assert!(apart(&found.packed, &expected) < 1e-5, "{what}: {}", apart(&found.packed, &expected));
        let first = 3 * config.plane_resolutions.len();
        let rest: Vec<Vec<f32>> = gradients.parameters[first..].iter().map(flat).collect();
        // Some are 0 but for rounding, as that of the bias before a softmax.
        let rounding = 1e-7 * norm(rest.iter().flatten().copied());
        for (((name, _), x), y) in f.parameters()[first..].iter().zip(&rest).zip(&found.rest) {
            let d = norm(y.iter().zip(x).map(|(y, x)| y - x));
            let whole = norm(x.iter().copied());
            assert!(d < 1e-4 * whole + rounding, "{what}, {name}: {d} of {whole}, rounding {rounding}");
        }
        let d = apart(&ten(&found.learned.embedding[1]), &flat(&gradients.embedding));
        assert!(d < 1e-4, "{what}, embedding: {d}");
        let d = apart(&ten(&found.learned.planes[1]), &planes(&f, &gradients.parameters));
        assert!(d < 1e-4, "{what}, planes: {d}");
        let astray = [
            astray(&found.learned.planes, &f.plane_values().unwrap(), RATES[0]),
            astray(&found.learned.embedding, &flat(&e), RATES[1]),
        ];
        assert!(astray.iter().all(|d| *d < 1e-6), "{what}, Adam: {astray:?}");
        assert!(apart(&found.learned.embedding[0], &flat(&e)) > 1e-3, "{what}: nothing was learned");
        let again = run(gpu, &f, &at, &e, &c, &g);
        assert_eq!(found.packed, again.packed, "{what}, twice");
        assert_eq!(found.rest, again.rest, "{what}, twice");
        assert_eq!(found.learned, again.learned, "{what}, twice");
    }
}
