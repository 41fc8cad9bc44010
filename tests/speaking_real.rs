//! What a head takes with it from a real clip, and how real voices are matched.

#[path = "common/real_data.rs"]
mod real_data;

use data_utils::audio;
use data_utils::audio::features::{AudioFeatures, AudioKind};
use data_utils::dataset::{AudioChoice, Dataset, OpenOptions, Part};
use real_data::{Outcome, data};
use std::time::Instant;
use surfeltalk::head::{Clip, VoiceStatistics};
use surfeltalk::live::plate_source::{DatasetPlates, PlateRequest, PlateSource};
use surfeltalk::live::voice_match::VoiceMatch;

/// A clip's torsos after their compression are those that were filmed, to 38 dB at least, and take little room.
fn a_clip_keeps_its_torsos() -> Outcome {
    let options = OpenOptions { audio: AudioChoice::Kind(AudioKind::Mel), ..OpenOptions::default() };
    let dataset = std::sync::Arc::new(Dataset::open(&data("may13s")?, &options).expect("a dataset"));
    let start = Instant::now();
    let clip = Clip::of(&dataset, Part::Head).expect("a clip");
    let (frames, bytes) = (clip.plates.len(), clip.plates.compressed_bytes());
    println!("{frames} torsos: {:.1} MB, made in {:.1} s", bytes as f64 / 1e6, start.elapsed().as_secs_f64());
    assert!(bytes / frames < 40_000, "{bytes} bytes of {frames} frames");
    let own = DatasetPlates::new(dataset, Part::Head);
    let start = Instant::now();
    let decoded = clip.plates.decode(100).expect("a plate");
    println!("decoded in {:.2} ms", 1e3 * start.elapsed().as_secs_f64());
    let filmed =
        own.load(100, PlateRequest { torso: true, filmed: false, keep_hair: false }).expect("a plate").torso;
    assert_eq!(
        (decoded.corner, decoded.size, &decoded.occlusion),
        (filmed.corner, filmed.size, &filmed.occlusion)
    );
    let (mut error, mut count) = (0.0, 0.0);
    for (a, b) in decoded.torso.chunks_exact(4).zip(filmed.torso.chunks_exact(4)) {
        assert_eq!(a[3], b[3]);
        if b[3] > 0 {
            error += (0..3).map(|c| f64::from(a[c].abs_diff(b[c])).powi(2)).sum::<f64>();
            count += 3.0;
        }
    }
    let psnr = 10.0 * (255.0 * 255.0 * count / f64::max(error, 1e-9)).log10();
    println!("PSNR {psnr:.2} dB");
    assert!(psnr > 38.0, "{psnr} dB");
    Ok(())
}

/// Levels that are measured while a voice is spoken soon map it as those of the whole voice do. Where a voice was cut
/// together with digital silence they stay further apart: running levels leave that out, since it says nothing about the voice.
fn running_levels_come_to_those_of_the_whole_voice() -> Outcome {
    let trained = audio::load(&data("anchor50s/aud.wav")?).expect("a sound");
    let trained = VoiceStatistics::of(&AudioFeatures::mel(&trained).expect("features")).expect("levels");
    let row = AudioKind::Mel.channels() * AudioKind::Mel.width();
    for (name, bound) in [
        ("english_jfk_11s.flac", 0.03),
        ("english_musetalk_eng.wav", 0.05),
        ("french_fayu.wav", 0.1),
        ("test.wav", 0.15),
    ] {
        let voice = audio::load(&data(&format!("voices/{name}"))?).expect("a sound");
        let voice = AudioFeatures::mel(&voice).expect("features");
        let levels = VoiceStatistics::of(&voice).expect("levels");
        let width = AudioKind::Mel.width();
        let known = VoiceMatch::known(trained.clone(), width, levels, voice.rows);
        let running = VoiceMatch::running(trained.clone(), width);
        let [known, running] = [known, running].map(|mut matching| {
            let mut values = voice.values.clone();
            matching.apply(&mut values);
            values
        });
        let apart = |a: &[f32], b: &[f32]| {
            a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum::<f32>() / a.len().max(1) as f32
        };
        let later = (5 * 25 * row).min(voice.values.len() / 2);
        let (start, rest) =
            (apart(&known[..25 * row], &running[..25 * row]), apart(&known[later..], &running[later..]));
        let unmatched = apart(&known[later..], &voice.values[later..]);
        println!(
            "{name}: {start:.3} apart in the first second, {rest:.3} later; without matching {unmatched:.3}"
        );
        assert!(rest < bound, "{name}: {rest}");
    }
    Ok(())
}

real_data::test_main!(a_clip_keeps_its_torsos, running_levels_come_to_those_of_the_whole_voice);
