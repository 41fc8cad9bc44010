//! How fast a head speaks, and how long a frame waits for its sound: `cargo bench --bench performance`.
//!
//! And what it brings to draw several frames at once, as a server with several sessions could.
//!
//! Sound comes in pieces of 20 ms as from a microphone, but as fast as it is taken. Printed are frames a second, the time from
//! the piece that completes a frame's sound to the finished frame, and how much sound beyond its beginning a frame waited for.

#[path = "../common/speaking_head.rs"]
mod speaking_head;

use speaking_head::{speaking_head, spoken};
use std::sync::Arc;
use std::time::{Duration, Instant};
use surfeltalk::Result;
use surfeltalk::head::Head;
use surfeltalk::head::backend::{Backend, CpuBackend};
use surfeltalk::live::frame_renderer::FrameOptions;
use surfeltalk::live::performance::{Performance, PerformanceOptions};

/// Samples of 20 ms at 16 kHz.
const PIECE: usize = 320;
/// Samples of a frame at 16 kHz.
const FRAME: usize = 640;

fn main() -> Result<()> {
    for (surfels, size) in [(12_000, 192), (24_000, 512)] {
        measure(surfels, size, Box::new(CpuBackend::new()))?;
    }
    let sample = Arc::new(surfeltalk::sample::trained()?);
    for (name, head) in [("sample head", &sample), ("24000 surfels, 512×512", &speaking_head(24_000, 512))] {
        for batch in [1, 2, 4, 8] {
            println!("{name}, {batch} frames at once: {:.2} ms a frame", together(head, batch)?);
        }
    }
    Ok(())
}

/// Milliseconds a frame when so many are drawn at once.
fn together(head: &Arc<Head>, batch: usize) -> Result<f64> {
    let sound = spoken("Hello there, papa!", 3).sound;
    let frames = FrameOptions { batch, ..FrameOptions::default() };
    let options = PerformanceOptions { frames, ..PerformanceOptions::default() };
    let mut performance = Performance::new(head, Box::new(CpuBackend::new()), options)?;
    performance.push_audio(&sound.samples, sound.rate)?;
    performance.finish()?;
    // The first ones load plates.
    for _ in 0..8 {
        performance.next_frame()?;
    }
    let (start, mut made) = (Instant::now(), 0);
    while performance.next_frame()?.is_some() {
        made += 1;
    }
    Ok(1e3 * start.elapsed().as_secs_f64() / f64::from(made.max(1)))
}

fn measure(surfels: usize, size: u32, backend: Box<dyn Backend>) -> Result<()> {
    let device = backend.name();
    let head = speaking_head(surfels, size);
    let sound = spoken("Hello there, papa!", 3).sound;
    let frames = FrameOptions { batch: 1, ..FrameOptions::default() };
    let options = PerformanceOptions { frames, ..PerformanceOptions::default() };
    let mut performance = Performance::new(&head, backend, options)?;
    let (mut made, mut waits, mut ahead) = (0usize, Vec::new(), Vec::new());
    let start = Instant::now();
    for (k, piece) in sound.samples.chunks(PIECE).enumerate() {
        performance.push_audio(piece, sound.rate)?;
        let pushed = Instant::now();
        while let Some(frame) = performance.next_frame()? {
            waits.push(pushed.elapsed());
            ahead.push(((k + 1) * PIECE).saturating_sub(frame.number * FRAME));
            made += 1;
        }
    }
    performance.finish()?;
    while performance.next_frame()?.is_some() {
        made += 1;
    }
    let seconds = start.elapsed().as_secs_f64();
    waits.sort();
    let median = waits.get(waits.len() / 2).copied().unwrap_or(Duration::ZERO);
    let most = ahead.iter().max().copied().unwrap_or(0);
    println!("{surfels} surfels, {size}×{size} on {device}:");
    println!("  {:.1} frames a second", made as f64 / seconds);
    println!(
        "  {:.1} ms from the last sound that a frame needs to the finished frame (median)",
        1e3 * median.as_secs_f64()
    );
    println!(
        "  a frame waited for at most {:.1} ms of sound beyond its beginning, {:.1} ms of them look-ahead",
        most as f64 / 16.0,
        Performance::LOOK_AHEAD as f64 / 16.0
    );
    Ok(())
}
