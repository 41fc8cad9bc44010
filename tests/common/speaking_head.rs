//! A small head with a clip, for statements about performances: a shell of surfels and a field that was never trained.

use data_utils::audio::features::{AudioFeatures, AudioKind};
use data_utils::dataset::Part;
use std::sync::Arc;
use surfeltalk::Camera;
use surfeltalk::head::cloud::Cloud;
use surfeltalk::head::field::FieldConfig;
use surfeltalk::head::{Branch, BranchSettings, Clip, ClipFrame, Head, Plate, Plates, VoiceStatistics};
use surfeltalk::sample::{SampleClip, Sentence};

/// Frames of the clip.
pub const CLIP_FRAMES: u32 = 7;

/// `surfels` surfels on a sphere before cameras that turn a little, pictures of `size` pixels a side.
pub fn speaking_head(surfels: usize, size: u32) -> Arc<Head> {
    let angle = |i: usize| i as f32 * 2.399_963;
    let height = |i: usize| 1.0 - 2.0 * (i as f32 + 0.5) / surfels as f32;
    let position = |i: usize| {
        let radius = 0.3 * (1.0 - height(i).powi(2)).sqrt();
        [radius * angle(i).cos(), 0.3 * height(i), radius * angle(i).sin()]
    };
    let log_scale = (0.5 / (surfels as f32).sqrt()).ln();
    let cloud = Cloud {
        sh_degree: 1,
        positions: (0..surfels).flat_map(position).collect(),
        rotations: [1.0, 0.0, 0.0, 0.0].repeat(surfels),
        log_scales: vec![log_scale; 2 * surfels],
        opacity_logits: vec![2.0; surfels],
        harmonics: (0..12 * surfels)
            .map(|i| (i as f32 * 0.37).sin() * if i % 12 < 3 { 1.0 } else { 0.1 })
            .collect(),
        embedding: (0..32 * surfels).map(|i| (i as f32 * 0.11).cos()).collect(),
        mouth: surfeltalk::head::cloud::Mouth::default(),
    };
    let config = FieldConfig { plane_resolutions: vec![16], plane_channels: 4, ..FieldConfig::default() };
    let settings =
        BranchSettings::new(Part::Head, AudioKind::Mel, size, 5, &cloud, config).expect("settings");
    let branch = Branch::new(settings, cloud, &candle_core::Device::Cpu).expect("a branch");
    Arc::new(Head { branches: vec![branch], clip: Some(clip(size)) })
}

fn clip(size: u32) -> Clip {
    let plate = |k: u32| Plate {
        corner: [2, size / 2],
        size: [size - 4, size / 2],
        torso: [60 + 20 * k as u8, 90, 120, 255].repeat(((size - 4) * (size / 2)) as usize),
        occlusion: vec![0; ((size - 4) * (size / 2)) as usize],
    };
    let plates: Vec<Plate> = (0..CLIP_FRAMES).map(plate).collect();
    let voice = AudioFeatures::mel(&spoken("Hello there!", 4).sound).expect("features");
    Clip {
        size: [size, size],
        frames: (0..CLIP_FRAMES).map(|k| frame(k, size)).collect(),
        voice: VoiceStatistics::of(&voice),
        motion: None,
        background: Vec::new(),
        plates: Plates::compress(&plates).expect("plates"),
    }
}

fn frame(k: u32, size: u32) -> ClipFrame {
    let (s, c) = (0.02 * f64::from(k)).sin_cos();
    let center = (f64::from(size) - 1.0) / 2.0;
    let camera = Camera {
        camera_from_world: [[c, 0.0, s, 0.0], [0.0, 1.0, 0.0, 0.0], [-s, 0.0, c, 2.0]],
        fx: 2.0 * f64::from(size),
        fy: 2.0 * f64::from(size),
        cx: center,
        cy: center,
        width: size,
        height: size,
    };
    ClipFrame { img_id: k, audio_row: k, held_out: false, camera, expression: [0.1 * k as f32; 22] }
}

/// Somebody made up who says something.
pub fn spoken(text: &str, seed: u64) -> SampleClip {
    SampleClip::speak(&[Sentence::new(text).expect("known words")], seed).expect("spoken")
}
