//! Memory while a branch is trained on the GPU. Alone in its process, which is what it measures.

mod common;

use common::branches::{RATES, STATIC, case, load, step};
use common::goals::WEIGHTS;
use common::memory::resident;
use common::twins::ADAPTER;
use surfeltalk::head::backend::GpuBackend;

/// MiB that 240 steps of either stage may take beyond the first 60. Where the driver compiled a shader at each step and kept
/// it, they took 324.
const GROWTH: f64 = 24.0;

#[test]
fn steps_without_end_take_no_memory_without_end() {
    let case = case(1, 60, 2, [32, 32]);
    let mut backend = GpuBackend::new(ADAPTER.clone());
    load(&mut backend, &case);
    let mut steps = |count: usize| {
        for _ in 0..count {
            for (has_field, weights) in [(false, STATIC), (true, WEIGHTS)] {
                step(&mut backend, &case, has_field, &weights, &RATES, Some(&ADAPTER)).expect("a step");
            }
        }
        resident()
    };
    let first = steps(60);
    let last = steps(240);
    eprintln!("{first:.1} MiB after 60 steps of either stage, {last:.1} after 300");
    assert!(last < first + GROWTH, "{first} MiB became {last}");
}
