//! Statements about the head file.

use super::*;
use crate::Camera;
use crate::head::cloud::Cloud;
use crate::head::field::FieldConfig;
use candle_core::Device;
use data_utils::audio::features::{AudioFeatures, AudioKind};
use data_utils::dataset::Part;

fn branch(seed: u64) -> Branch {
    let n = 5;
    let cloud = Cloud {
        sh_degree: 0,
        positions: (0..3 * n).map(|i| (i as f32 * 0.37 + seed as f32).sin()).collect(),
        rotations: vec![0.5; 4 * n],
        log_scales: vec![-3.0; 2 * n],
        opacity_logits: vec![0.0; n],
        harmonics: vec![0.1; 3 * n],
        embedding: (0..32 * n).map(|i| (i as f32 * 0.11).cos()).collect(),
        mouth: crate::head::cloud::Mouth { surfels: 2, depth_offset: 0.1 },
    };
    let config = FieldConfig { plane_resolutions: vec![4], plane_channels: 2, ..FieldConfig::default() };
    let settings = BranchSettings::new(Part::Head, AudioKind::Mel, 64, seed, &cloud, config);
    Branch::new(settings.expect("settings"), cloud, &Device::Cpu).expect("a branch")
}

fn clip() -> Clip {
    let camera = |k: u32| Camera {
        camera_from_world: [[1.0, 0.0, 0.0, 1.0 / 3.0], [0.0, 1.0, 0.0, f64::from(k)], [0.0, 0.0, 1.0, 4.0]],
        fx: 100.1,
        fy: 99.9,
        cx: 31.5,
        cy: 23.5,
        width: 64,
        height: 48,
    };
    let frame = |k: u32| ClipFrame {
        img_id: 3 * k,
        audio_row: k + 1,
        held_out: k == 2,
        camera: camera(k),
        expression: std::array::from_fn(|i| i as f32 / 22.0),
    };
    let kind = AudioKind::Mel;
    let (channels, width) = (kind.channels(), kind.width());
    let values = (0..3 * channels * width).map(|i| (i as f32 * 0.7).sin()).collect();
    let voice = AudioFeatures { kind, rows: 3, channels, width, values };
    let plate = |k: u32| Plate {
        corner: [k, 20],
        size: [16, 8],
        torso: [40 * k as u8, 100, 200, 255].repeat(128),
        occlusion: vec![k as u8; 128],
    };
    let plates = [plate(0), Plate::default(), plate(2)];
    Clip {
        size: [64, 48],
        frames: (0..3).map(frame).collect(),
        voice: VoiceStatistics::of(&voice),
        motion: None,
        background: data_utils::media::files::png(&image::RgbImage::from_pixel(
            64,
            48,
            image::Rgb([9, 8, 7]),
        ))
        .expect("a PNG"),
        plates: Plates::compress(&plates).expect("compressed"),
    }
}

#[test]
fn a_head_of_two_branches_and_a_clip_survives_its_file() {
    let head = Head { branches: vec![branch(1), branch(2)], clip: Some(clip()) };
    let bytes = head.to_bytes().expect("bytes");
    let found = Head::from_bytes(&bytes).expect("a head");
    assert_eq!(found.clip, head.clip);
    for (a, b) in found.branches.iter().zip(&head.branches) {
        assert_eq!((&a.settings, &a.cloud.positions), (&b.settings, &b.cloud.positions));
    }
    assert_ne!(found.branches[0].cloud.positions, found.branches[1].cloud.positions);
    assert_eq!(found.to_bytes().expect("bytes"), bytes, "the same head, the same bytes");
    let clip = found.clip.expect("a clip");
    assert_eq!(clip.background().expect("a picture").get_pixel(63, 47).0, [9, 8, 7]);
    assert_eq!(clip.plates.decode(2).expect("a plate").occlusion, [2; 128]);
}

#[test]
fn a_file_of_version_1_is_one_branch_without_a_clip() {
    let mut archive = Archive::default();
    branch(3).store(&mut archive, "").expect("stored");
    let found = Head::from_bytes(&archive.to_bytes().expect("bytes")).expect("a head");
    assert_eq!(found.branches.len(), 1);
    assert!(found.clip.is_none());
}

#[test]
fn a_file_of_a_later_version_is_refused_by_its_number() {
    let mut archive = Archive::default();
    branch(3).store(&mut archive, "").expect("stored");
    archive.put_text("format", r#"{"version":99,"branches":1,"clip":false}"#.into());
    let error = Head::from_bytes(&archive.to_bytes().expect("bytes")).err().expect("refused");
    assert_eq!(error.exit_code(), 2);
    assert!(error.to_string().contains("version 99") && error.to_string().contains("update"), "{error}");
}

#[test]
fn a_clip_that_does_not_fit_together_is_refused() {
    let damage = |name: &str, values: Vec<f64>, rows: usize| {
        let mut archive = Archive::default();
        branch(1).store(&mut archive, "").expect("stored");
        clip().store(&mut archive);
        archive.put_text("format", r#"{"version":2,"branches":1,"clip":true}"#.into());
        let width = values.len() / rows.max(1);
        archive.put_f64(name, &[rows, width], values);
        Head::from_bytes(&archive.to_bytes().expect("bytes")).err().expect("refused").exit_code()
    };
    assert_eq!(damage("clip.size", vec![0.0, 48.0], 1), 2);
    assert_eq!(damage("clip.frames", vec![f64::NAN; 3 * 19], 3), 2);
    assert_eq!(damage("clip.frames", vec![0.0; 2 * 19], 2), 2);
    assert_eq!(damage("clip.plate_index", vec![1e9; 3 * 6], 3), 2);
    assert_eq!(damage("clip.plate_index", vec![0.0; 3 * 6], 3), 2);
}
