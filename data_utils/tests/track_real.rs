//! A real clip: what the fit and the stabiliser reach.

#[path = "../../tests/common/real_data.rs"]
mod real_data;

use data_utils::face::FaceModels;
use data_utils::formats::npy;
use data_utils::track::stabilise::{jitter, reference_frame, still_skin};
use data_utils::track::{
    FaceModel, Fit, FitOptions, FrameLandmarks, Head, Lens, Mesh, Pictures, Pose, StabiliseOptions, fit,
    stabilise,
};
use real_data::{Missing, Outcome, data};
use std::path::Path;
use std::time::Instant;

const SIZE: [u32; 2] = [512, 512];
const BUDGET: u64 = 128 << 20;

fn landmarks(clip: &Path) -> Vec<FrameLandmarks> {
    let array = npy::read(&clip.join("landmarks478.npy")).expect("landmarks");
    let frame =
        |f: &[f32]| Some(f.chunks_exact(3).take(468).map(|p| [f64::from(p[0]), f64::from(p[1])]).collect());
    array.data.chunks_exact(478 * 3).map(frame).collect()
}

fn canonical() -> Result<FaceModel, Missing> {
    let task = FaceModels::open(&data("models/face_landmarker.task")?).expect("networks");
    Ok(FaceModel::canonical(task.canonical()).expect("a model"))
}

fn fitted(model: &FaceModel, marks: &[FrameLandmarks]) -> Fit {
    let start = Instant::now();
    let found = fit(model, marks, &FitOptions::new(SIZE)).expect("a fit");
    println!(
        "{}: {:?}; focal {:.0} px ± {:.1} %; {:.1} s",
        model.name,
        found.errors,
        found.lens.focal,
        found.focal_deviation * 100.0,
        start.elapsed().as_secs_f64(),
    );
    found
}

/// Grey frames of a clip, read from its folder.
fn grey(clip: &Path) -> impl Fn(usize) -> data_utils::Result<image::GrayImage> + Sync + use<> {
    let folder = clip.join("ori_imgs");
    move |i| Ok(image::open(folder.join(format!("{i}.jpg"))).expect("a frame").to_luma8())
}

/// Where hair is in a frame: the head of the parsing above the tip of the nose.
fn hair(clip: &Path, frame: usize, points: &[[f64; 2]]) -> Vec<bool> {
    let parsing = image::open(clip.join(format!("parsing/{frame}.png"))).expect("parsing").to_rgb8();
    let lowest = points[1][1];
    parsing.enumerate_pixels().map(|(_, y, p)| p.0 == [0, 0, 255] && f64::from(y) < lowest).collect()
}

fn ict_fits_the_landmarks_of_a_real_clip() -> Outcome {
    let clip = data("may13s")?;
    let folder = data("models/ict_facekit")?;
    let found = fitted(&FaceModel::ict(&folder).expect("ICT-FaceKit"), &landmarks(&clip));
    assert!(found.errors.stable_median < 0.36 && found.errors.all_mean < 0.68, "{:?}", found.errors);
    Ok(())
}

/// Poses of a program that warps the frames by a mesh and moves the poses to where the picture stands still; ours must
/// be as steady by the same measure.
fn a_head_of_a_real_clip_is_as_steady_as_by_other_programs() -> Outcome {
    let clip = data("may13s")?;
    let model = canonical()?;
    let marks = landmarks(&clip);
    let found = fitted(&model, &marks);
    assert!(found.errors.stable_median < 0.36, "{:?}", found.errors);
    let read = grey(&clip);
    let pictures = Pictures::new(marks.len(), SIZE, BUDGET, &read);

    let dataset = data_utils::dataset::Dataset::open(&clip, &Default::default()).expect("a dataset");
    let theirs: Vec<Pose> = dataset.frames.iter().map(|f| Pose::from_camera(&f.camera)).collect();
    let camera = dataset.frames[0].camera;
    let lens = Lens { focal: camera.fx, center: [camera.cx + 0.5, camera.cy + 0.5] };
    let cloud = dataset.initial_points().expect("a cloud");
    let vertices = cloud.positions.iter().map(|p| p.map(f64::from)).collect();
    let mesh = Mesh { vertices, triangles: cloud.faces };
    let reference = reference_frame(&theirs, &found.seen).expect("a frame");
    let still = still_skin(marks[reference].as_ref().expect("a face"), &model.triangles, SIZE);
    let head = Head { mesh: &mesh, reference, still: &still, hair: None };
    let theirs = jitter(&pictures, &head, &lens, &found.seen, &theirs).expect("a number").jitter;

    let mut poses = found.poses.clone();
    let mesh = Mesh { vertices: found.mean_face(&model), triangles: model.triangles.clone() };
    let reference = reference_frame(&poses, &found.seen).expect("a frame");
    let points = marks[reference].clone().expect("a face");
    let still = still_skin(&points, &model.triangles, SIZE);
    let hair = hair(&clip, reference, &points);
    let head = Head { mesh: &mesh, reference, still: &still, hair: Some(&hair) };
    let options = StabiliseOptions::default();
    let start = Instant::now();
    let done =
        stabilise(&pictures, &head, &found.lens, &found.seen, &mut poses, &options, None).expect("steadied");
    let (before, after) = (done.before.jitter, done.after.jitter);
    println!(
        "{:?} patches, {:.1} s\n  before {before:?}\n  after {after:?}\n  theirs {theirs:?}",
        done.patches,
        start.elapsed().as_secs_f64()
    );
    for axis in 0..2 {
        assert!(after.frame_to_frame[axis] < 0.35 * before.frame_to_frame[axis]);
        assert!(after.frame_to_frame[axis] < 1.15 * theirs.frame_to_frame[axis]);
    }
    assert!(after.common[0] < 0.1 && after.common[1] < 0.15);
    Ok(())
}

real_data::test_main!(
    ict_fits_the_landmarks_of_a_real_clip,
    a_head_of_a_real_clip_is_as_steady_as_by_other_programs,
);
