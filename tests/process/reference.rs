//! Single stages against a dataset made by other programs from the same clip (masks by a selfie-segmentation network,
//! torsos by SyncTalk's rules): good, not perfect, so the bounds leave room.

use super::{Outcome, data};
use data_utils::dataset::Label;
use data_utils::face::{LANDMARKS, Landmarks};
use data_utils::formats::npy;
use data_utils::process::smooth::smoothed;
use data_utils::process::torso::torso;
use data_utils::segment::{Clip, Segmenter};
use image::{RgbImage, RgbaImage};
use std::path::Path;

fn picture(path: &Path) -> RgbImage {
    image::open(path).expect("a picture").to_rgb8()
}

fn labels(path: &Path) -> Vec<u8> {
    picture(path).pixels().map(|p| Label::of_color(p.0).expect("a label's colour")).collect()
}

/// Intersection over union of the pixels with any of `bits`.
fn overlap(a: &[u8], b: &[u8], bits: u8) -> f64 {
    let both = a.iter().zip(b).filter(|(a, b)| *a & bits != 0 && *b & bits != 0).count();
    let any = a.iter().zip(b).filter(|(a, b)| (*a | *b) & bits != 0).count();
    both as f64 / any.max(1) as f64
}

/// Mean overlaps of head, neck and torso over every `step`th frame.
fn masks(dir: &Path, step: usize) -> [f64; 3] {
    let points = npy::read(&dir.join("landmarks478.npy")).expect("landmarks").data;
    let face = |values: &[f32]| Landmarks {
        points: values.chunks_exact(3).map(|p| [p[0], p[1], p[2]]).collect(),
        score: 1.0,
    };
    let faces: Vec<Option<Landmarks>> = points.chunks_exact(LANDMARKS * 3).map(|v| Some(face(v))).collect();
    let read = |index: usize| Ok(picture(&dir.join(format!("ori_imgs/{index}.jpg"))));
    let segmenter = Segmenter::learn(&Clip { faces: &faces, read: &read }).expect("learned");
    let mut sums = [0.0; 3];
    let chosen: Vec<usize> = (0..faces.len()).step_by(step).collect();
    for index in &chosen {
        let face = faces[*index].as_ref().expect("a face");
        let found = segmenter.labels(&read(*index).expect("a frame"), face).expect("labels").expect("a face");
        let truth = labels(&dir.join(format!("parsing/{index}.png")));
        for (sum, label) in sums.iter_mut().zip([Label::HEAD, Label::NECK, Label::TORSO]) {
            *sum += overlap(&found, &truth, label);
        }
    }
    sums.map(|s| s / chosen.len() as f64)
}

pub fn masks_made_without_a_network_are_those_of_one() -> Outcome {
    // The other program's neck ends early beside the jaw of anchor50s, and so do the bounds.
    for (name, least) in [("anchor50s", [0.975, 0.72, 0.955]), ("may13s", [0.965, 0.945, 0.935])] {
        let dir = data(name)?;
        let found = masks(&dir, if name == "may13s" { 30 } else { 120 });
        println!("{name}: head, neck, torso {found:.4?}");
        assert!(found.iter().zip(least).all(|(f, l)| *f >= l), "{name}: {found:?}");
    }
    Ok(())
}

pub fn torsos_are_those_of_synctalks_rules() -> Outcome {
    let dir = data("may13s")?;
    let plate = picture(&dir.join("bc.jpg"));
    for index in [0, 150, 330] {
        let labels = labels(&dir.join(format!("parsing/{index}.png")));
        let composed = picture(&dir.join(format!("gt_imgs/{index}.jpg")));
        let made = torso(&composed, &plate, &labels);
        let truth: RgbaImage =
            image::open(dir.join(format!("torso_imgs/{index}.png"))).expect("a picture").to_rgba8();
        let differ = made.pixels().zip(truth.pixels()).filter(|(a, b)| a.0[3] != b.0[3]).count();
        // Colours of the two come from pictures before and after JPEG.
        let shown = || made.pixels().zip(truth.pixels()).filter(|(a, b)| a.0[3] == 255 && b.0[3] == 255);
        let off: f64 = shown()
            .map(|(a, b)| (0..3).map(|k| f64::from(a.0[k].abs_diff(b.0[k]))).sum::<f64>() / 3.0)
            .sum::<f64>()
            / shown().count() as f64;
        println!("frame {index}: {differ} pixels of other alpha, colours off by {off:.2}");
        assert!(differ == 0 && off < 3.0, "frame {index}: {differ} pixels, {off}");
    }
    Ok(())
}

pub fn smoothing_is_scipys() -> Outcome {
    let dir = data("may13s")?;
    let raw = npy::read(&dir.join("bs_raw.npy")).expect("raw");
    let truth = npy::read(&dir.join("bs.npy")).expect("smoothed").data;
    let rows: Vec<Vec<f32>> =
        raw.data.chunks_exact(52).map(|r| r[1..].iter().copied().chain([0.0]).collect()).collect();
    let good = vec![true; rows.len()];
    let off = smoothed(&rows, &good, &[])
        .concat()
        .iter()
        .zip(&truth)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max);
    println!("off by {off}");
    assert!(truth.len() == rows.len() * 52 && off < 1e-5, "{off}");
    Ok(())
}
