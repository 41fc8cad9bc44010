//! Files of other programs and people, which are not part of this repository.

#![allow(clippy::unwrap_used)] // a test that cannot go on says so by panicking

#[path = "../../tests/common/real_data.rs"]
mod real_data;

use data_utils::audio::features::{AudioFeatures, AudioKind};
use data_utils::audio::{self, FRAME_RATE};
use data_utils::formats::weights;
use real_data::{Outcome, data, program};
use std::process::Command;

fn voices_are_as_long_as_ffprobe_says() -> Outcome {
    let ffprobe = program("ffprobe")?;
    for entry in std::fs::read_dir(data("voices")?).unwrap() {
        let path = entry.unwrap().path();
        let sound = audio::load(&path).unwrap();
        assert_eq!(sound.loudness_per_frame().len(), sound.video_frames());
        let probe = Command::new(ffprobe)
            .args(["-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0"])
            .arg(&path)
            .output()
            .unwrap();
        let seconds: f64 = String::from_utf8_lossy(&probe.stdout).trim().parse().unwrap();
        let difference = sound.samples.len() as f64 / f64::from(sound.rate) - seconds;
        println!("{}: {seconds:.3} s, difference {difference:+.5} s", path.display());
        assert!(difference.abs() <= 1.0 / f64::from(FRAME_RATE), "{}", path.display());
    }
    Ok(())
}

fn weights_of_published_models_are_read() -> Outcome {
    let lpips = weights::read(&data("models/lpips_squeeze_full.pt")?).unwrap();
    assert_eq!(lpips.len(), 66);
    assert_eq!(lpips["lins.0.model.1.weight"].dims(), [1, 64, 1, 1]);
    let heads = weights::read(&data("models/lpips_lin_v0.1_squeeze.pth")?).unwrap();
    assert_eq!(heads.len(), 7);
    // The same heads, once in a legacy file and once in a zip archive.
    for (i, (name, head)) in heads.iter().enumerate() {
        let full = &lpips[&format!("lins.{i}.model.1.weight")];
        let flat = |t: &candle_core::Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(flat(head), flat(full), "{name}");
    }
    let flow = weights::read(&data("models/raft-small.pth")?).unwrap();
    assert!(flow.keys().all(|name| name.starts_with("module.")), "{:?}", flow.keys().next());
    let poses = weights::read(&data("formats/gdg8_track_params.pt")?).unwrap();
    assert_eq!(poses["euler"].dims(), [10_035, 3]);
    assert_eq!(poses["focal"].elem_count(), 1);
    Ok(())
}

fn published_deepspeech_features_are_read_and_another_vocabulary_is_refused() -> Outcome {
    let features =
        AudioFeatures::read(&data("formats/tfg_01531454_deepspeech.npy")?, AudioKind::DeepSpeech).unwrap();
    assert_eq!((features.rows, features.channels, features.width), (490, 29, 16));
    let other = AudioFeatures::read(&data("formats/ian_16sec_eo.npy")?, AudioKind::DeepSpeech).unwrap_err();
    assert!(other.to_string().contains("[392, 16, 44]"), "{other}");
    Ok(())
}

real_data::test_main!(
    voices_are_as_long_as_ffprobe_says,
    weights_of_published_models_are_read,
    published_deepspeech_features_are_read_and_another_vocabulary_is_refused,
);
