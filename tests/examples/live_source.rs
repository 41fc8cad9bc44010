//! A live voice: `cargo run --release --example live_source -- HEAD VOICE`.
//!
//! Plays a sound file as a microphone would give it, 20 ms at a time at the pace of the clock, and takes each frame as soon
//! as it is there. Prints how late the frames were: a frame is due when its sound begins, and can be drawn `LOOK_AHEAD`
//! samples later at the earliest.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use surfeltalk::head::Head;
use surfeltalk::head::backend::CpuBackend;
use surfeltalk::live::frame_renderer::FrameOptions;
use surfeltalk::live::performance::{Performance, PerformanceOptions};

const PIECE: Duration = Duration::from_millis(20);
const FRAME: Duration = Duration::from_millis(40);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [head, voice] = &arguments[..] else {
        return Err("expected HEAD VOICE".into());
    };
    let head = Arc::new(Head::from_bytes(&std::fs::read(head)?)?);
    let voice = data_utils::audio::load(Path::new(voice))?;

    // One frame at a time: a live voice has no frames to wait for.
    let frames = FrameOptions { batch: 1, ..FrameOptions::default() };
    let options = PerformanceOptions { frames, ..PerformanceOptions::default() };
    let mut performance = Performance::new(&head, Box::new(CpuBackend::new()), options)?;

    let start = Instant::now();
    let mut late = Vec::new();
    let piece = voice.rate as usize / 50;
    for (number, samples) in voice.samples.chunks(piece).enumerate() {
        // The microphone has a piece once it was spoken.
        let spoken = start + PIECE * (number as u32 + 1);
        std::thread::sleep(spoken.saturating_duration_since(Instant::now()));
        performance.push_audio(samples, voice.rate)?;
        while let Some(frame) = performance.next_frame()? {
            late.push(start.elapsed().saturating_sub(FRAME * frame.number as u32));
        }
    }
    performance.finish()?;
    while let Some(frame) = performance.next_frame()? {
        late.push(start.elapsed().saturating_sub(FRAME * frame.number as u32));
    }
    late.sort();
    println!(
        "{} frames, {:.0} ms (median) and {:.0} ms (longest) after their sound; {:.0} ms are the look-ahead",
        late.len(),
        late.get(late.len() / 2).map_or(0.0, |l| l.as_secs_f64() * 1e3),
        late.last().map_or(0.0, |l| l.as_secs_f64() * 1e3),
        Performance::LOOK_AHEAD as f64 / 16.0,
    );
    Ok(())
}
