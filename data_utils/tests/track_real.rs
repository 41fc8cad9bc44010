//! Real clips: what the fit and the stabiliser reach. Skipped, and said so, where the clips are not there.

use data_utils::face::FaceModels;
use data_utils::formats::npy;
use data_utils::track::stabilise::{jitter, reference_frame, still_skin};
use data_utils::track::{
    FaceModel, FitOptions, FrameLandmarks, Head, Lens, Mesh, Pictures, Pose, StabiliseOptions, fit, stabilise,
};
use std::path::{Path, PathBuf};
use std::time::Instant;

fn present(name: &str) -> Option<PathBuf> {
    if std::env::var("CLIP").is_ok_and(|c| ["may13s", "anchor50s"].contains(&name) && c != name) {
        return None;
    }
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
    if std::env::var("ONLY").as_deref() != Ok("ict")
        && let Some(path) = present("models/face_landmarker.task")
    {
        let task = FaceModels::open(&path).expect("networks");
        models.push(FaceModel::canonical(task.canonical()).expect("a model"));
    }
    if std::env::var("ONLY").as_deref() != Ok("free")
        && let Some(folder) = present("models/ict_facekit")
    {
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
            let mut o = FitOptions::new([512, 512]);
            if let Ok(v) = std::env::var("TT") {
                let v: f64 = v.parse().unwrap();
                o.turn_deviation *= v;
                o.shift_deviation = o.shift_deviation.map(|x| x * v);
            }
            if let Ok(v) = std::env::var("KF") {
                o.key_frames = v.parse().unwrap();
            }
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
            if found.errors.stable_median > most {
                println!("TOO FAR");
            }
        }
    }
}

/// Grey frames of a clip, read from its folder.
fn grey(clip: &Path) -> impl Fn(usize) -> data_utils::Result<image::GrayImage> + Sync + use<> {
    let folder = clip.join("ori_imgs");
    move |i| Ok(image::open(folder.join(format!("{i}.jpg"))).expect("a frame").to_luma8())
}

fn canonical() -> Option<FaceModel> {
    let task = FaceModels::open(&present("models/face_landmarker.task")?).expect("networks");
    Some(FaceModel::canonical(task.canonical()).expect("a model"))
}

/// Where hair is in a frame: the head of the parsing above the ears, outside of the face.
fn hair(clip: &Path, frame: usize, points: &[[f64; 2]]) -> Vec<bool> {
    let parsing = image::open(clip.join(format!("parsing/{frame}.png"))).expect("parsing").to_rgb8();
    let lowest = points[1][1];
    parsing.enumerate_pixels().map(|(_, y, p)| p.0 == [0, 0, 255] && f64::from(y) < lowest).collect()
}

#[test]
fn jitter_of_the_reference_poses_is_what_their_notes_say() {
    let Some(model) = canonical() else { return };
    for name in ["may13s", "anchor50s"] {
        let Some(clip) = present(name) else { continue };
        let dataset = data_utils::dataset::Dataset::open(&clip, &Default::default()).expect("a dataset");
        let poses: Vec<Pose> = dataset.frames.iter().map(|f| Pose::from_camera(&f.camera)).collect();
        let camera = dataset.frames[0].camera;
        let lens = Lens { focal: camera.fx, center: [camera.cx + 0.5, camera.cy + 0.5] };
        let cloud = dataset.initial_points().expect("a cloud");
        let vertices = cloud.positions.iter().map(|p| p.map(f64::from)).collect();
        let mesh = Mesh { vertices, triangles: cloud.faces };
        let seen = vec![true; poses.len()];
        let reference = reference_frame(&poses, &seen).expect("a frame");
        let points = landmarks(&clip)[reference].clone().expect("a face");
        let still = still_skin(&points, &model.triangles, [512, 512]);
        let read = grey(&clip);
        let pictures = Pictures::new(poses.len(), [512, 512], 512 << 20, &read);
        let head = Head { mesh: &mesh, reference, still: &still, hair: None };
        let start = Instant::now();
        let found = jitter(&pictures, &head, &lens, &seen, &poses).expect("a number");
        println!("{name}, reference poses: {:?}, {:.1} s", found.jitter, start.elapsed().as_secs_f64());
    }
}

#[test]
fn heads_of_real_clips_are_steadied() {
    for name in ["may13s", "anchor50s"] {
        let Some(clip) = present(name) else { continue };
        for model in models() {
            let marks = landmarks(&clip);
            let found = fit(&model, &marks, &FitOptions::new([512, 512])).expect("a fit");
            let mut poses = found.poses.clone();
            let mesh = Mesh { vertices: found.mean_face(&model), triangles: model.triangles.clone() };
            let reference = reference_frame(&poses, &found.seen).expect("a frame");
            let points = marks[reference].clone().expect("a face");
            let still = still_skin(&points, &model.triangles, [512, 512]);
            let hair = hair(&clip, reference, &points);
            let read = grey(&clip);
            let pictures = Pictures::new(poses.len(), [512, 512], 512 << 20, &read);
            let head = Head { mesh: &mesh, reference, still: &still, hair: Some(&hair) };
            for hold_out in [false, true] {
                let start = Instant::now();
                poses.clone_from(&found.poses);
                let options = StabiliseOptions { hold_out, ..StabiliseOptions::default() };
                let done = stabilise(&pictures, &head, &found.lens, &found.seen, &mut poses, &options)
                    .expect("steadied");
                println!(
                    "{name}, {}, held out {hold_out}: {:.1} s",
                    model.name,
                    start.elapsed().as_secs_f64()
                );
                println!(
                    "  patches {:?}\n  before {:?}\n  after {:?}",
                    done.patches, done.before.jitter, done.after.jitter
                );
            }
        }
    }
}
