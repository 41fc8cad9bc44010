//! The field on a CUDA card against the CPU, and how long its parts take there. Skipped, and said so, where there is none.

use super::*;
use crate::head::field::tensor_rows::TensorRows;
use std::time::Instant;

fn card() -> Option<Device> {
    let device = Device::cuda_if_available(0).ok().filter(Device::is_cuda);
    if device.is_none() {
        eprintln!("skipped: no CUDA card");
    }
    device
}

/// ‖a − b‖ / ‖b‖. The largest difference would not do: a ReLU that opens on one device and not on the other, for a number
/// next to 0, moves the gradient of a whole row.
fn apart(a: &Tensor, b: &Tensor) -> f64 {
    let (a, b) = (values(&on(&Device::Cpu, a)), values(&on(&Device::Cpu, b)));
    let norm = |v: &mut dyn Iterator<Item = f64>| v.map(|x| x * x).sum::<f64>().sqrt();
    norm(&mut a.iter().zip(&b).map(|(x, y)| x - y)) / norm(&mut b.iter().copied()).max(1e-12)
}

fn on(device: &Device, tensor: &Tensor) -> Tensor {
    tensor.to_device(device).unwrap()
}

#[test]
fn a_card_says_and_learns_what_the_cpu_does() {
    let Some(device) = card() else { return };
    for (layers, frames, rows) in [(1, 1, 1), (2, 3, 300), (1, 2, 5000)] {
        let config = FieldConfig { layers, ..FieldConfig::default() };
        let bounds = FieldBounds::around(&places(rows.max(50))).unwrap();
        let here = Field::new(config.clone(), &bounds, 3, &Device::Cpu).unwrap();
        let there = Field::new(config.clone(), &bounds, 3, &device).unwrap();
        let (prepared, c) = (here.prepare(&places(rows)).unwrap(), conditions(&config, frames));
        let e = embedding(&config, rows, DType::F32);
        let g = weights(&[frames, rows, here.layout().columns], DType::F32);
        let a = here.infer(&prepared, &e, &c).unwrap().packed;
        let b = there.infer(&prepared, &on(&device, &e), &c).unwrap().packed;
        assert!(difference(&a, &on(&Device::Cpu, &b)) < 1e-4, "{frames} frames of {rows}");
        let a = here.step(&prepared, &e, &c, |_| Ok(g.clone())).unwrap();
        let step = || there.step(&prepared, &on(&device, &e), &c, |_| Ok(on(&device, &g))).unwrap();
        let (b, again) = (step(), step());
        let d = apart(&b.embedding, &a.embedding);
        assert!(d < 1e-2, "embedding: {d}, {frames} frames of {rows}");
        eprintln!("{frames} frames of {rows}: embedding {d:.1e}");
        for (((name, _), x), (y, z)) in
            here.parameters().iter().zip(&a.parameters).zip(b.parameters.iter().zip(&again.parameters))
        {
            let d = apart(y, x);
            assert!(d < 1e-2, "{name}: {d}, {frames} frames of {rows}");
            assert_eq!(values(&on(&Device::Cpu, y)), values(&on(&Device::Cpu, z)), "{name} twice");
        }
    }
}

/// Milliseconds of `work`, the middle of some runs.
fn time(device: &Device, what: &str, mut work: impl FnMut()) {
    let mut times: Vec<f64> = (0..12)
        .map(|_| {
            device.synchronize().unwrap();
            let start = Instant::now();
            work();
            device.synchronize().unwrap();
            start.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    eprintln!("  {what:28} {:8.3} ms", times[times.len() / 2]);
}

#[test]
fn how_long_the_parts_of_a_step_take() {
    let Some(device) = card() else { return };
    let rows = 24_000;
    let config = FieldConfig::default();
    let bounds = FieldBounds::around(&places(rows)).unwrap();
    let f = Field::new(config.clone(), &bounds, 3, &device).unwrap();
    let prepared = f.prepare(&places(rows)).unwrap();
    let e = on(&device, &embedding(&config, rows, DType::F32));
    for frames in [1, 4, 16] {
        eprintln!("{frames} frames of {rows} surfels");
        let c = conditions(&config, frames);
        let g = on(&device, &weights(&[frames, rows, f.layout().columns], DType::F32));
        time(&device, "places laid onto planes", || drop(f.planes.lay(&prepared).unwrap()));
        let laid = f.planes.lay(&prepared).unwrap();
        time(&device, "samples", || drop(f.planes.samples(&laid).unwrap()));
        let samples = f.planes.samples(&laid).unwrap();
        let features = f.planes.features(&samples).unwrap();
        let of_features = features.ones_like().unwrap();
        time(&device, "planes' gradients", || {
            drop(f.planes.backward_laid(&laid, &samples, &of_features).unwrap())
        });
        time(&device, "tokens and folding", || drop(f.fold(&c).unwrap()));
        let folded = f.fold(&c).unwrap();
        time(&device, "and back", || {
            let all: Vec<Tensor> = folded.tensors().iter().map(|t| t.flatten_all().unwrap()).collect();
            drop(Tensor::cat(&all, 0).unwrap().backward().unwrap());
        });
        let by_hand = TensorRows::new(&f, rows, frames).unwrap();
        time(&device, "constants", || drop(TensorRows::new(&f, rows, frames).unwrap()));
        time(&device, "rows", || drop(by_hand.forward(&features, &e, &folded).unwrap()));
        let (_, trace) = by_hand.forward(&features, &e, &folded).unwrap();
        time(&device, "rows back", || drop(by_hand.backward(&trace, &folded, &g).unwrap()));
        time(&device, "whole way there", || drop(f.infer(&prepared, &e, &c).unwrap()));
        time(&device, "whole step", || drop(f.step(&prepared, &e, &c, |_| Ok(g.clone())).unwrap()));
    }
}
