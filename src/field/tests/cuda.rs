//! The field on a CUDA card against the CPU, and how long its parts take there. Skipped, and said so, where there is none.

use super::*;
use std::time::Instant;

fn card() -> Option<Device> {
    let device = Device::cuda_if_available(0).ok().filter(Device::is_cuda);
    if device.is_none() {
        eprintln!("skipped: no CUDA card");
    }
    device
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
        assert!(difference(&a.embedding, &on(&Device::Cpu, &b.embedding)) < 1e-3);
        for (((name, _), x), (y, z)) in
            here.parameters().iter().zip(&a.parameters).zip(b.parameters.iter().zip(&again.parameters))
        {
            let d = difference(x, &on(&Device::Cpu, y));
            assert!(d < 2e-3, "{name}: {d}");
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
        time(&device, "whole way there", || drop(f.infer(&prepared, &e, &c).unwrap()));
        time(&device, "whole step", || drop(f.step(&prepared, &e, &c, |_| Ok(g.clone())).unwrap()));
    }
}
