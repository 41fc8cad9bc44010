//! What crosses is the same by every bridge, to the bit.

use super::*;
use crate::Error;
use crate::gpu::Choice;
use crate::gpu::buffers::append;
use crate::train::step::Clock;

fn gpu() -> Gpu {
    Gpu::open(Choice::Any).expect("a device").expect("a GPU, or Mesa's software one")
}

fn read(gpu: &Gpu, buffer: &wgpu::Buffer, numbers: usize) -> Vec<f32> {
    let mut out = Vec::new();
    let encoder = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    gpu.submit_and_read(encoder, &[(buffer, 4 * numbers as u64)], |_, data| append(&mut out, data))
        .expect("read back");
    out
}

/// Rows as a device gets them, frame by frame, and what it gives back: each number doubled.
fn doubled(gpu: &Gpu, frames: usize, rows: Rows<'_>) -> Result<Vec<f32>> {
    let double = |seen: &[f32]| seen.iter().map(|v| 2.0 * v).collect::<Vec<f32>>();
    match rows {
        Rows::Host(_, rows) => {
            let each = rows.numbers() / frames;
            let mut seen = Vec::new();
            for frame in 0..frames {
                let loan = gpu.upload_with(4 * each, |to| rows.fill(frame * each, to))?;
                seen.extend(read(gpu, &loan, each));
            }
            for (frame, part) in seen.chunks(each).enumerate() {
                rows.take(frame * each, &double(part))?;
            }
            Ok(seen)
        }
        Rows::Shared(_, shared) => {
            let seen = read(gpu, &shared.values, shared.numbers as usize);
            gpu.queue.write_buffer(&shared.gradients, 0, bytemuck::cast_slice(&double(&seen)));
            gpu.queue.submit([]);
            gpu.finish()?;
            Ok(seen)
        }
        Rows::None => Err(Error::Internal("no rows".into())),
    }
}

/// What the device saw, and what came back.
fn crossed(gpu: &Gpu, bridge: &mut dyn Bridge, packed: &Tensor) -> (Vec<f32>, Tensor) {
    let frames = packed.dims()[0];
    let mut seen = Vec::new();
    let mut look = |rows: Rows<'_>| {
        seen = doubled(gpu, frames, rows)?;
        Ok(Looked { finite: true, ..Looked::default() })
    };
    let (looked, gradient) =
        bridge.cross(packed, &DeltaLayout::packed(4), &mut Clock::start(), &mut look).expect("they cross");
    assert!(looked.finite, "what the look says comes back");
    (seen, gradient)
}

/// `[frames, surfels, columns]`, each number another.
fn packed(shape: [usize; 3], device: &Device) -> Tensor {
    let numbers: usize = shape.iter().product();
    let values: Vec<f32> = (0..numbers).map(|i| i as f32 - 1e4).collect();
    Tensor::from_vec(values, shape.as_slice(), device).expect("a tensor")
}

fn numbers(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().and_then(|t| t.to_vec1()).expect("numbers")
}

fn assert_crosses(gpu: &Gpu, bridge: &mut dyn Bridge, packed: &Tensor, what: &str) {
    let (seen, gradient) = crossed(gpu, bridge, packed);
    let expected = numbers(packed);
    assert!(seen == expected, "{what}: rows");
    assert!(gradient.device().same_device(packed.device()) && gradient.shape() == packed.shape());
    assert!(numbers(&gradient).iter().zip(&expected).all(|(g, v)| *g == 2.0 * v), "{what}: gradient");
}

/// Asserts that rows cross, from the whole of a tensor, from a part of one and where they do not lie in a row, and that
/// what fails on the other side ends the crossing.
fn assert_bridge(gpu: &Gpu, bridge: &mut dyn Bridge, device: &Device) {
    let whole = packed([3, 700, 26], device);
    assert_crosses(gpu, bridge, &whole, "the whole");
    assert_crosses(gpu, bridge, &whole.narrow(0, 1, 2).expect("a part"), "a part");
    assert_crosses(gpu, bridge, &whole.transpose(1, 2).expect("askew"), "askew");
    let refused = |_: Rows<'_>| Err(Error::DeviceLost("nobody looks".into()));
    let layout = DeltaLayout::packed(4);
    let error = bridge.cross(&whole, &layout, &mut Clock::start(), &mut { refused }).expect_err("refused");
    assert_eq!(error.exit_code(), 3);
    // Who looks must give the whole gradient back.
    let half = |rows: Rows<'_>| match rows {
        Rows::Host(_, rows) => rows.take(0, &vec![0.0; rows.numbers() / 2]).map(|()| Looked::default()),
        _ => Err(Error::Internal("half of what is shared".into())),
    };
    assert!(bridge.cross(&whole, &layout, &mut Clock::start(), &mut { half }).is_err());
    assert_crosses(gpu, bridge, &whole, "once more");
}

#[test]
fn rows_of_the_cpu_cross() {
    assert_bridge(&gpu(), &mut HostBridge, &Device::Cpu);
    assert_bridge(&gpu(), &mut *between(&Device::Cpu, &gpu()), &Device::Cpu);
}

#[cfg(all(feature = "cuda", target_os = "linux"))]
#[test]
fn rows_of_cuda_cross_whatever_the_way() {
    let card = Device::cuda_if_available(0).ok().filter(Device::is_cuda);
    let (Some(device), Some(gpu)) = (card, Gpu::open(Choice::Hardware).ok().flatten()) else {
        eprintln!("skipped: no card that both CUDA and Vulkan drive");
        return;
    };
    assert_bridge(&gpu, &mut HostBridge, &device);
    for share in [false, true] {
        assert_bridge(&gpu, &mut cuda::CudaBridge::new(gpu.clone(), share), &device);
    }
    // More than all pieces of page-locked memory together.
    let many = packed([5, 24_000, 26], &device);
    let (seen, gradient) = crossed(&gpu, &mut cuda::CudaBridge::new(gpu.clone(), true), &many);
    let (seen_pinned, gradient_pinned) = crossed(&gpu, &mut cuda::CudaBridge::new(gpu.clone(), false), &many);
    assert!(seen == seen_pinned && numbers(&gradient) == numbers(&gradient_pinned));
}
