//! Memory while surfels are learned where they are kept. Alone in its process, which is what it measures.

mod common;

use common::goals::WEIGHTS;
use common::kept::{RATES, STATIC, case, kept, look, put};
use common::memory::resident;
use common::twins::gpu;
use surfeltalk::raster::Rasterizer;

/// MiB that 240 steps of either stage may take beyond the first 60. Where the driver compiled a shader at each step and kept
/// it, they took 324.
const GROWTH: f64 = 24.0;

#[test]
fn steps_without_end_take_no_memory_without_end() {
    let (case, rasterizer) = (case(1, 60, 2, [32, 32]), gpu());
    let mut keeper = rasterizer.keeper().expect("the GPU keeps surfels");
    put(&mut *keeper, &kept(&case.cloud));
    let mut steps = |count: usize| {
        for _ in 0..count {
            for (rows, weights) in [(None, STATIC), (Some(case.rows.as_slice()), WEIGHTS)] {
                look(&mut *keeper, &case, rows, &weights);
                keeper.step(&RATES).expect("a step");
            }
        }
        resident()
    };
    let first = steps(60);
    let last = steps(240);
    eprintln!("{first:.1} MiB after 60 steps of either stage, {last:.1} after 300");
    assert!(last < first + GROWTH, "{first} MiB became {last}");
}
