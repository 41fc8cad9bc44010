//! Stages 8 and 9: the pose of the head in every frame. A face model is fitted to the landmarks of the whole clip, the
//! poses are stabilized by following the picture, and the initial cloud of the head is made.

use super::context::Context;
use super::frame_filter::FrameFilter;
use super::frames::read_frame;
use super::landmarks;
use super::masks::read_labels;
use super::options::Options;
use super::options::SIDE;
use super::overlay::Overlay;
use super::pose_choice::{Choice, ChosenPoses, FittedClip};
use super::pose_figures::{PoseFigures, places};
use super::track_params::{self, Motion, TrackParams};
use crate::dataset::Label;
use crate::error::{Error, Result};
use crate::face::FaceModels;
use crate::formats::ply;
use crate::track::flow::Raft;
use crate::track::stabilise::{reference_frame, still_skin};
use crate::track::surface::{View, fuse};
use crate::track::{
    FaceModel, FitOptions, FlowTracker, FrameLandmarks, Head, Mesh, Pictures, StabiliseOptions, fit,
    open_model,
};
use image::imageops;

/// Grey frames that are kept in memory while poses are stabilized, bytes.
const BUDGET: u64 = 400 << 20;
/// Hair below this landmark, the tip of the nose, is not followed.
const NOSE: usize = 1;
/// Range of turning or nodding that determines the focal length, degrees.
const SHOWS_FOCAL: f64 = 50.0;
/// Steps of the progress.
const STEPS: usize = 5;

/// The face model to fit: that of the folder given, otherwise MediaPipe's canonical face.
///
/// # Errors
/// [`Error::Input`] when the folder holds no model that is known.
pub fn face_model(options: &Options, models: &FaceModels) -> Result<FaceModel> {
    match &options.face_model {
        Some(folder) => open_model(folder, models.canonical()),
        None => FaceModel::canonical(models.canonical()),
    }
}

/// Writes `track_params.json`, `fused.ply`, `3dmm_render.mp4` and the report's pictures of the fit.
///
/// # Errors
/// What reading landmarks, frames and labels fails with.
pub fn run(context: &Context) -> Result<String> {
    let (dir, size) = (context.dir(), [SIDE; 2]);
    let faces = landmarks::read(dir)?;
    let model = face_model(context.options, context.models()?)?;
    let marks: Vec<FrameLandmarks> = faces.iter().map(|f| f.as_ref().map(places)).collect();
    let progress = context.progress("pose", STEPS);
    let filter = FrameFilter::read(dir)?;
    let options = FitOptions { cuts: filter.cuts.clone(), ..FitOptions::new(size) };
    let mut found = fit(&model, &marks, &options)?;
    progress.note(1, "face model fitted");

    let mesh = Mesh { vertices: found.mean_face(&model), triangles: model.triangles.clone() };
    let reference = reference_frame(&found.poses, &found.seen);
    let Some((reference, view)) = reference.and_then(|i| Some((i, marks.get(i)?.as_ref()?))) else {
        return Err(Error::Internal("no frame with a face".into()));
    };
    let still = still_skin(view, &model.triangles, size);
    let lowest = view.get(NOSE).map_or(0.0, |p| p[1]);
    let labels = read_labels(dir, reference)?;
    let above = |at: usize| ((at / SIDE as usize) as f64) < lowest;
    let hair: Vec<bool> =
        labels.iter().enumerate().map(|(at, l)| l & Label::HEAD != 0 && above(at)).collect();
    let read = |index: usize| read_frame(dir, index).map(|p| imageops::grayscale(&p));
    let pictures = Pictures::new(faces.len(), size, BUDGET, &read);
    let before = found.poses.clone();
    let options = StabiliseOptions { cuts: filter.cuts, ..StabiliseOptions::default() };
    let wanted = !context.options.use_3dmm;
    let network = context.options.flow.as_deref().filter(|_| wanted).map(Raft::open).transpose()?;
    let color = |index: usize| read_frame(dir, index);
    let flow = network.as_ref().map(|network| FlowTracker { network, read: &color });
    let clip = FittedClip {
        pictures: &pictures,
        head: Head { mesh: &mesh, reference, still: &still, hair: Some(&hair) },
        lens: &found.lens,
        seen: &found.seen,
        landmarks: &marks,
        poses: &before,
        flow: flow.as_ref(),
    };
    let ChosenPoses { choice, poses, residuals } = if wanted { clip.choose(&options)? } else { clip.keep()? };
    progress.note(2, choice.words(!wanted));
    let held_out = if choice == Choice::Landmarks { None } else { clip.held_out(choice, &options)? };
    found.poses = poses;
    drop(pictures);
    progress.note(3, "jitter measured on other skin");

    let cloud = fuse(&mesh, &found.poses, &found.lens, &found.seen, size, &|index| {
        let head = read_labels(dir, index)?.iter().map(|l| l & Label::HEAD != 0).collect();
        Ok(View { picture: read_frame(dir, index)?, head })
    })?;
    context.make("fused.ply", |path| ply::write_points(path, &cloud))?;
    progress.note(4, "cloud made");
    Overlay { model: &model, fit: &found, before: &before, reference }.write(context)?;
    let [first, second] = &residuals;
    let mut params = TrackParams::of(&model, &found, size, [first.as_ref(), second.as_ref()]);
    params.held_out_residual = held_out.map(|both| both.each_ref().map(Motion::of));
    context.put(track_params::FILE, &params.to_json()?)?;
    let result =
        format!("{}; {}", words(&params, cloud.positions.len()), PoseFigures::of(&params, &faces)?.words());
    Ok(match choice {
        Choice::SkinAndHair => result,
        Choice::Landmarks if !wanted => result,
        _ => format!("{}; {result}", choice.words(false)),
    })
}

/// The result in one line.
fn words(params: &TrackParams, points: usize) -> String {
    let [median, ..] = params.landmark_error;
    let mut stabilized = match &params.stabilized_residual {
        Some(after) => format!(", stabilized to {}", after.words()),
        None => String::new(),
    };
    if let Some([before, after]) = &params.held_out_residual {
        let ([was_x, was_y], [x, y]) = (before.frame_to_frame, after.frame_to_frame);
        stabilized.push_str(&format!(
            " (on skin that was not followed {x:.3} / {y:.3} from frame to frame, before {was_x:.3} / {was_y:.3})"
        ));
    }
    format!(
        "{}: stable landmarks {median:.2} px off (median), residual motion of the face {}{stabilized}; {}; {points} points",
        params.model,
        params.fit_residual.words(),
        focal(params),
    )
}

/// The focal length and how certain it is. A head that turns little looks almost the same through a short lens from
/// nearby and through a long lens from far away.
fn focal(params: &TrackParams) -> String {
    let deviation = params.focal_deviation * 100.0;
    let turns = |k: usize| {
        let seen = params.euler.iter().zip(&params.seen).filter(|(_, seen)| **seen);
        let range = seen.fold((f64::MAX, f64::MIN), |(l, h), (e, _)| (l.min(e[k]), h.max(e[k])));
        (range.1 - range.0).to_degrees().max(0.0)
    };
    let (nods, turns) = (turns(0), turns(1));
    let value = format!("focal length {:.0} px ± {deviation:.0} %", params.focal);
    if nods.max(turns) >= SHOWS_FOCAL {
        return value;
    }
    format!(
        "{value}, mostly assumed: the head nods over {nods:.0} and turns over {turns:.0} degrees, and less than \
         {SHOWS_FOCAL:.0} do not show it"
    )
}
