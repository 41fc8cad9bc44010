//! Files of other programs and people, which are not part of this repository. They are looked for in the folder
//! `data` of the one that `SURFELTALK_SHARED_DIR` names, else of `../shared` beside the workspace.

use data_utils::audio::features::{AudioFeatures, AudioKind};
use data_utils::audio::{self, FRAME_RATE};
use data_utils::formats::weights;
use std::path::PathBuf;
use std::process::Command;

/// The folder of real files, or a line that says what is skipped.
fn folder(test: &str) -> Option<PathBuf> {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let folder = std::env::var_os("SURFELTALK_SHARED_DIR").map_or(beside, PathBuf::from).join("data");
    if folder.is_dir() {
        return Some(folder);
    }
    println!(
        "{test}: skipped, {} is no folder (SURFELTALK_SHARED_DIR names the one above it)",
        folder.display()
    );
    None
}

#[test]
fn voices_are_as_long_as_ffprobe_says() {
    let Some(folder) = folder("voices") else { return };
    let mut checked = 0;
    for entry in std::fs::read_dir(folder.join("voices")).unwrap() {
        let path = entry.unwrap().path();
        let sound = audio::load(&path).unwrap();
        assert_eq!(sound.loudness_per_frame().len(), sound.video_frames());
        let probe = Command::new("ffprobe")
            .args(["-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0"])
            .arg(&path)
            .output();
        let Ok(probe) = probe else {
            println!("{}: length not compared, ffprobe is not installed", path.display());
            continue;
        };
        let seconds: f64 = String::from_utf8_lossy(&probe.stdout).trim().parse().unwrap();
        let difference = sound.samples.len() as f64 / f64::from(sound.rate) - seconds;
        println!("{}: {seconds:.3} s, difference {difference:+.5} s", path.display());
        assert!(difference.abs() <= 1.0 / f64::from(FRAME_RATE), "{}", path.display());
        checked += 1;
    }
    println!("{checked} voices compared");
}

#[test]
fn weights_of_published_models_are_read() {
    let Some(folder) = folder("weights") else { return };
    let lpips = weights::read(&folder.join("models/lpips_squeeze_full.pt")).unwrap();
    assert_eq!(lpips.len(), 66);
    assert_eq!(lpips["lins.0.model.1.weight"].dims(), [1, 64, 1, 1]);
    let heads = weights::read(&folder.join("models/lpips_lin_v0.1_squeeze.pth")).unwrap();
    assert_eq!(heads.len(), 7);
    // The same heads, once in a legacy file and once in a zip archive.
    for (i, (name, head)) in heads.iter().enumerate() {
        let full = &lpips[&format!("lins.{i}.model.1.weight")];
        let flat = |t: &candle_core::Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(flat(head), flat(full), "{name}");
    }
    let flow = weights::read(&folder.join("models/raft-small.pth")).unwrap();
    assert!(flow.keys().all(|name| name.starts_with("module.")), "{:?}", flow.keys().next());
    let poses = weights::read(&folder.join("formats/gdg8_track_params.pt")).unwrap();
    assert_eq!(poses["euler"].dims(), [10_035, 3]);
    assert_eq!(poses["focal"].elem_count(), 1);
}

#[test]
fn published_deepspeech_features_are_read_and_another_vocabulary_is_refused() {
    let Some(folder) = folder("features") else { return };
    let features =
        AudioFeatures::read(&folder.join("formats/tfg_01531454_deepspeech.npy"), AudioKind::DeepSpeech)
            .unwrap();
    assert_eq!((features.rows, features.channels, features.width), (490, 29, 16));
    let other =
        AudioFeatures::read(&folder.join("formats/ian_16sec_eo.npy"), AudioKind::DeepSpeech).unwrap_err();
    assert!(other.to_string().contains("[392, 16, 44]"), "{other}");
}
