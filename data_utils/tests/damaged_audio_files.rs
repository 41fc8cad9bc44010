//! Every reader of voices and weights, given damaged files: no panic, and no memory that a lying file asks for.
//! One test alone in its process, so that the memory measured is its own.

#![allow(clippy::unwrap_used)] // a test that cannot go on says so by panicking

use data_utils::audio;
use data_utils::formats::{npy, weights};
use std::path::{Path, PathBuf};

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

/// The most memory this process ever held, in MiB, where the system tells.
fn peak_mebibytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kibibytes| kibibytes / 1024)
}

/// Damaged variants of `original` that are cheap to read, in a fixed order.
fn variants(original: &[u8]) -> Vec<Vec<u8>> {
    let mut variants = vec![vec![], vec![original[0]], vec![0; 64], vec![0xff; 64]];
    variants.extend((0..64).map(|i| original[..original.len() * i / 64].to_vec()));
    let mut wrong_start = original.to_vec();
    wrong_start[..4].copy_from_slice(b"nope");
    variants.push(wrong_start);
    // Bits flipped densely in the first bytes, where lengths and counts are, and at the end, where a zip
    // archive keeps its directory; sparsely in between.
    let length = original.len();
    let places = (0..length.min(96))
        .chain(length.saturating_sub(96)..length)
        .chain((0..200).map(|i| i * length / 200));
    for (i, place) in places.enumerate() {
        let mut flipped = original.to_vec();
        flipped[place] ^= 1 << (i % 8);
        variants.push(flipped);
    }
    // Counts of 2³¹−1 and 2³²−1 written everywhere in the header.
    for place in (0..length.min(128).saturating_sub(4)).step_by(2) {
        for count in [u32::MAX, i32::MAX as u32] {
            let mut huge = original.to_vec();
            huge[place..place + 4].copy_from_slice(&count.to_le_bytes());
            variants.push(huge);
        }
    }
    variants
}

#[test]
fn damaged_files_neither_panic_nor_take_memory() {
    type Reader = fn(&Path) -> data_utils::Result<usize>;
    let sound: Reader = |path| audio::load_native(path, audio::LONGEST).map(|sound| sound.samples.len());
    let state: Reader = |path| weights::read(path).map(|tensors| tensors.len());
    let array: Reader = |path| npy::read(path).map(|array| array.data.len());
    let dir = tempfile::tempdir().unwrap();
    for (name, reader) in [
        ("audio/voice.wav", sound),
        ("audio/voice.mp3", sound),
        ("audio/voice.m4a", sound),
        ("audio/voice.flac", sound),
        ("audio/voice_mel.npy", array),
        ("weights/zip.pth", state),
        ("weights/legacy.pth", state),
        ("weights/plain.safetensors", state),
    ] {
        let original = std::fs::read(fixture(name)).unwrap();
        let path = dir.path().join(Path::new(name).file_name().unwrap());
        let (mut read, mut refused) = (0, 0);
        for variant in variants(&original) {
            std::fs::write(&path, &variant).unwrap();
            match reader(&path) {
                Ok(_) => read += 1,
                Err(error) => {
                    assert_eq!(error.exit_code(), 2, "{name}: {error}");
                    refused += 1;
                }
            }
        }
        println!("{name}: {read} read all the same, {refused} refused");
        // Sound is read as far as it goes, as players read it.
        let least = if name.starts_with("audio/voice.") { 2 } else { 64 };
        assert!(refused >= least, "{name}: only {refused} refused");
    }
    match peak_mebibytes() {
        Some(peak) => {
            println!("peak memory {peak} MiB");
            assert!(peak < 128, "{peak} MiB");
        }
        None => println!("peak memory not compared: this system does not tell"),
    }
}
