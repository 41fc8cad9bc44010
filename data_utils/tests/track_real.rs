//! Real clips: what the fit and the stabiliser reach. Skipped, and said so, where the clips are not there.

use data_utils::face::FaceModels;
use data_utils::formats::npy;
use data_utils::track::{FaceModel, FitOptions, FrameLandmarks, fit};
use std::path::{Path, PathBuf};
use std::time::Instant;

fn present(name: &str) -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let root = std::env::var_os("SURFELTALK_SHARED_DIR").map_or(beside, PathBuf::from);
    let path = root.join("data").join(name);
    if path.exists() {
        return Some(path);
    }
    println!("skipped: no {} (name its folder with SURFELTALK_SHARED_DIR)", path.display());
    None
}

fn landmarks(clip: &Path) -> Vec<FrameLandmarks> {
    let array = npy::read(&clip.join("landmarks478.npy")).expect("landmarks");
    let frame =
        |f: &[f32]| Some(f.chunks_exact(3).take(468).map(|p| [f64::from(p[0]), f64::from(p[1])]).collect());
    array.data.chunks_exact(478 * 3).map(frame).collect()
}

fn models() -> Vec<FaceModel> {
    let mut models = Vec::new();
    if let Some(path) = present("models/face_landmarker.task") {
        let task = FaceModels::open(&path).expect("networks");
        models.push(FaceModel::canonical(task.canonical()).expect("a model"));
    }
    if let Some(folder) = present("models/ict_facekit") {
        models.push(FaceModel::ict(&folder).expect("ICT-FaceKit"));
    }
    models
}

#[test]
fn landmarks_of_real_clips_are_fitted() {
    for (name, most) in [("may13s", 0.36), ("anchor50s", 0.43)] {
        let Some(clip) = present(name) else { continue };
        for model in models() {
            let start = Instant::now();
            let mut o=FitOptions::new([512, 512]); if let Ok(v)=std::env::var("TT"){ let v:f64=v.parse().unwrap(); o.turn_deviation*=v; o.shift_deviation=o.shift_deviation.map(|x|x*v); } if let Ok(v)=std::env::var("KF"){ o.key_frames=v.parse().unwrap(); }
            let found = fit(&model, &landmarks(&clip), &o).expect("a fit");
            let depth: Vec<f64> = found.poses.iter().map(|p| p.translation[2]).collect();
            println!(
                "{name}, {}: {:?}; focal {:.0} ± {:.1} %, distance {:.3}, {:.1} s; largest identity {:.2}",
                model.name,
                found.errors,
                found.lens.focal,
                found.focal_deviation * 100.0,
                depth.iter().sum::<f64>() / depth.len() as f64,
                start.elapsed().as_secs_f64(),
                found.identity.iter().fold(0.0, |m: f64, c| m.max(c.abs())),
            );
            if found.errors.stable_median > most { println!("TOO FAR"); }
        }
    }
}
