//! LPIPS of a pair of pictures: its distance, and with its gradient, both with copies to and from the host.

use super::common::lpips::made_up_lpips;
use super::common::scene::Random;
use super::median;
use std::time::Instant;
use surfeltalk::Result;
use surfeltalk::gpu::Gpu;
use surfeltalk::metrics::lpips::device::DeviceLpips;

/// Prints milliseconds, medians of `runs` after `warm_up`.
pub(super) fn measure(gpu: &Gpu, runs: usize, warm_up: usize) -> Result<()> {
    let lpips = made_up_lpips();
    let device = DeviceLpips::upload(gpu, &lpips)?;
    println!("\n{}: LPIPS with SqueezeNet; milliseconds", gpu.name());
    for side in [64, 96, 512] {
        let mut random = Random(3);
        let mut picture =
            || (0..3 * side * side).map(|_| random.uniform(0.0, 1.0) as f32).collect::<Vec<_>>();
        let (a, b, size) = (picture(), picture(), [side, side]);
        let mut walls = [Vec::new(), Vec::new()];
        for run in 0..runs {
            let start = Instant::now();
            device.distance(&a, &b, size)?;
            let distance = start.elapsed();
            device.distance_and_gradient(&a, &b, size)?;
            let both = start.elapsed() - distance;
            if run >= warm_up {
                walls[0].push(distance.as_secs_f64() * 1e3);
                walls[1].push(both.as_secs_f64() * 1e3);
            }
        }
        let [distance, both] = walls.map(median);
        println!("  {side:4} × {side:<4} distance {distance:9.3}, with its gradient {both:9.3}");
    }
    Ok(())
}
