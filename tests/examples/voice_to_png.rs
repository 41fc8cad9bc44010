//! A voice to pictures: `cargo run --release --example voice_to_png -- HEAD VOICE FOLDER`.
//!
//! HEAD is a head file (`model/xxx/point_cloud/iteration_N/head.safetensors`), VOICE a sound file. Writes one PNG a frame.

use image::ExtendedColorType::Rgb8;
use std::path::Path;
use std::sync::Arc;
use surfeltalk::head::Head;
use surfeltalk::head::backend::CpuBackend;
use surfeltalk::live::performance::{Performance, PerformanceOptions};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [head, voice, folder] = &arguments[..] else {
        return Err("expected HEAD VOICE FOLDER".into());
    };
    let head = Arc::new(Head::from_bytes(&std::fs::read(head)?)?);
    let voice = data_utils::audio::load(Path::new(voice))?;
    std::fs::create_dir_all(folder)?;

    let mut performance =
        Performance::new(&head, Box::new(CpuBackend::new()), PerformanceOptions::default())?;
    performance.push_audio(&voice.samples, voice.rate)?;
    performance.finish()?;
    while let Some(frame) = performance.next_frame()? {
        let [width, height] = frame.size.map(|n| n as u32);
        let path = Path::new(folder).join(format!("{:05}.png", frame.number));
        image::save_buffer(path, &frame.picture, width, height, Rgb8)?;
    }
    Ok(())
}
