//! Stage 6: the face in every frame, and which frames no head can learn from. Stage 7: expression in time.

use super::context::Context;
use super::frame_faults::{FrameObservation, faults};
use super::frame_filter::{self, FrameFilter};
use super::frames::{self, AT_ONCE};
use super::shots::{list, list_used, shots, together};
use super::smooth::{interpolated, smoothed};
use super::sound;
use crate::dataset::expression_units;
use crate::error::{Error, Result};
use crate::face::blinks::blinks;
use crate::face::{LANDMARKS, Landmarks, blendshapes};
use crate::formats::npy;
use rayon::prelude::*;
use std::ops::Range;
use std::path::Path;

/// Name of the table of action units.
const UNITS: &str = "au.csv";
/// Names of the arrays: landmarks, and blendshapes before smoothing.
const POINTS: &str = "landmarks478.npy";
const SCORES: &str = "bs_raw.npy";
/// The least share of frames that must be good.
const LEAST_GOOD: f64 = 0.5;

/// The landmarks of all frames; none for frames that are not used.
///
/// # Errors
/// [`Error::Input`] when files are missing or do not fit each other.
pub fn read(dir: &Path) -> Result<Vec<Option<Landmarks>>> {
    let filter = FrameFilter::read(dir)?;
    let path = dir.join(POINTS);
    let array = npy::read(&path)?;
    if array.shape != [filter.count, LANDMARKS, 3] {
        let expected = format!("shape [{}, {LANDMARKS}, 3]", filter.count);
        return Err(Error::input(
            path.display(),
            expected,
            format!("{:?}", array.shape),
            "run process again with --task 6 --redo",
        ));
    }
    let faces = array.data.chunks_exact(LANDMARKS * 3).zip(filter.used());
    Ok(faces.map(|(values, good)| good.then(|| landmarks(values))).collect())
}

fn landmarks(values: &[f32]) -> Landmarks {
    Landmarks { points: values.chunks_exact(3).map(|p| [p[0], p[1], p[2]]).collect(), score: 1.0 }
}

/// Writes `landmarks478.npy`, `bs_raw.npy`, `frames.json` and `ori_imgs/{i}.lms`.
///
/// # Errors
/// [`Error::Input`] when most frames are no good.
pub fn run(context: &Context) -> Result<String> {
    let dir = context.dir();
    let (count, models) = (frames::count(dir)?, context.models()?);
    let progress = context.progress("landmarks", count);
    let mut observations: Vec<FrameObservation> = Vec::with_capacity(count);
    let mut points: Vec<Option<Vec<f32>>> = Vec::with_capacity(count);
    let mut scores: Vec<Option<Vec<f32>>> = Vec::with_capacity(count);
    for start in (0..count).step_by(AT_ONCE) {
        let part: Vec<_> = (start..count.min(start + AT_ONCE))
            .into_par_iter()
            .map(|index| {
                let picture = frames::read_frame(dir, index)?;
                let (face, all) = models.landmarks_and_faces(&picture)?;
                let scores = face.as_ref().map(|f| models.blendshapes(f)).transpose()?;
                Ok((FrameObservation::of(&picture, face.as_ref(), &all), face, scores))
            })
            .collect::<Result<_>>()?;
        for (observation, face, score) in part {
            observations.push(observation);
            points.push(face.map(|f| f.points.into_flattened()));
            scores.push(score);
        }
        progress.update(observations.len() as u64);
    }
    let shots = shots(&observations);
    let used_shots = match context.options.shot {
        None => together(&observations, &shots),
        Some(number) if (1..=shots.len()).contains(&number) => vec![number - 1],
        Some(number) => {
            let found = format!("{number}, where there are {}", list(&shots));
            return Err(Error::input("--shot", "the number of a shot", found, "choose one of these"));
        }
    };
    let ranges: Vec<Range<usize>> = used_shots.iter().map(|k| shots[*k].clone()).collect();
    let mut filter = FrameFilter::of(&faults(&observations, &ranges));
    filter.cuts = ranges.windows(2).filter(|w| w[0].end == w[1].start).map(|w| w[1].start).collect();
    let used = filter.used();
    let good = count - filter.excluded.len();
    // What is used may be a small part of the video, but must be good itself.
    let filmed: usize = ranges.iter().map(Range::len).sum();
    if (good as f64) < LEAST_GOOD * filmed as f64 || good < frames::LEAST_FRAMES {
        return Err(Error::input(
            context.options.video.display(),
            format!("mostly good frames, {} at least", frames::LEAST_FRAMES),
            format!("{good} of {count} ({})", filter.summary()),
            "cut the bad parts out, or record again",
        ));
    }
    // Points and scores of frames without a face are interpolated, so that the arrays have a row for every frame.
    let none = || Error::Internal("no frame has a face".into());
    let points = interpolated(&points).ok_or_else(none)?;
    let openings: Vec<f32> = points.iter().map(|row| landmarks(row).mouth_opening()).collect();
    let scores = interpolated(&scores).ok_or_else(none)?;
    for (index, row) in smoothed(&points, &used, &filter.cuts).iter().enumerate().filter(|(i, _)| used[*i]) {
        let lines = landmarks(row).ibug68().map(|p| format!("{:.6} {:.6}\n", p[0], p[1]));
        context.put(&format!("ori_imgs/{index}.lms"), lines.concat().as_bytes())?;
    }
    let (points, scores) = (points.concat(), scores.concat());
    context.make(POINTS, |path| npy::write(path, &[count, LANDMARKS, 3], &points))?;
    context.make(SCORES, |path| npy::write(path, &[count, blendshapes::NAMES.len()], &scores))?;
    context.put(frame_filter::FILE, &filter.to_json()?)?;
    let mut excluded = match filter.excluded.len() {
        0 => String::new(),
        _ => format!(" ({})", filter.summary()),
    };
    if shots.len() > 1 {
        excluded.push_str(&format!("; {}", list_used(&shots, &used_shots)));
    }
    let note = sound::offset_note(context, &openings)?.map(|note| format!("; {note}")).unwrap_or_default();
    Ok(format!("{good} of {count} frames are good{excluded}{note}"))
}

/// Writes `bs.npy`, and `au.csv` where the user has none: MediaPipe's 52 without `_neutral`, a zero at the end, and
/// smoothed by Savitzky and Golay's filter of 5 frames and order 3, as SyncTalk stores them.
///
/// # Errors
/// [`Error::Input`] when `bs_raw.npy` is not what the stage before wrote.
pub fn expression(context: &Context) -> Result<String> {
    let dir = context.dir();
    let filter = FrameFilter::read(dir)?;
    let path = dir.join(SCORES);
    let raw = npy::read(&path)?;
    let columns = blendshapes::NAMES.len();
    if raw.shape != [filter.count, columns] {
        let expected = format!("shape [{}, {columns}]", filter.count);
        return Err(Error::input(
            path.display(),
            expected,
            format!("{:?}", raw.shape),
            "run process again with --task 6 --redo",
        ));
    }
    let rows: Vec<Vec<f32>> =
        raw.data.chunks_exact(columns).map(|r| r[1..].iter().copied().chain([0.0]).collect()).collect();
    let rows = smoothed(&rows, &vec![true; rows.len()], &filter.cuts);
    let array = rows.concat();
    context.make("bs.npy", |path| npy::write(path, &[rows.len(), columns], &array))?;
    context.put(UNITS, expression_units(&rows).as_bytes())?;
    let note = if context.is_kept(UNITS) { "; au.csv is the user's own" } else { "" };
    let closed: Vec<f32> = rows.iter().map(|row| (row[8] + row[9]) / 2.0).collect();
    let blinks = blinks(&closed);
    Ok(format!("{} rows, {blinks} blinks{note}", rows.len()))
}
