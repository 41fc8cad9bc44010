//! Stage 6: the face in every frame, and which frames no head can learn from. Stage 7: expression in time.

use super::filter::{self, Fault, Seen};
use super::frames::{self, AT_ONCE};
use super::smooth::{bridged, smoothed};
use super::stage::Context;
use crate::dataset::{expression_units, is_derived_units};
use crate::error::{Error, Result};
use crate::face::{LANDMARKS, Landmarks, blendshapes};
use crate::files;
use crate::formats::npy;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Name of the file that says which frames are used.
pub const VERDICTS: &str = "frames.json";
/// Largest such file, bytes.
const MAX_BYTES: u64 = 64 << 20;
/// The least share of frames that must be good.
const LEAST_GOOD: f64 = 0.5;

/// Which frames are used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdicts {
    /// How many frames there are.
    pub count: usize,
    /// Those left out, and why.
    pub left_out: Vec<LeftOut>,
}

/// A frame that is not used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Its number.
    pub frame: usize,
    /// Why.
    pub reason: Fault,
}

impl Verdicts {
    /// Reads `frames.json`.
    ///
    /// # Errors
    /// [`Error::Input`] when it is not there or not whole.
    pub fn read(dir: &Path) -> Result<Verdicts> {
        let path = dir.join(VERDICTS);
        let bytes = files::read_bounded(&path, MAX_BYTES)?;
        let verdicts: Verdicts = serde_json::from_slice(&bytes).map_err(|e| {
            Error::input(path.display(), "which frames are used", e.to_string(), "remove it and run again")
        })?;
        if verdicts.left_out.iter().any(|l| l.frame >= verdicts.count) {
            return Err(Error::input(
                path.display(),
                "frames of the clip",
                "one beyond",
                "remove it and run again",
            ));
        }
        Ok(verdicts)
    }

    /// Whether each frame is used.
    pub fn good(&self) -> Vec<bool> {
        let mut good = vec![true; self.count];
        self.left_out.iter().for_each(|l| good[l.frame] = false);
        good
    }
}

/// The landmarks of all frames, those of frames without a face bridged; none for frames that are left out.
///
/// # Errors
/// [`Error::Input`] when files are missing or do not fit each other.
pub fn read(dir: &Path) -> Result<Vec<Option<Landmarks>>> {
    let verdicts = Verdicts::read(dir)?;
    let path = dir.join("landmarks478.npy");
    let array = npy::read(&path)?;
    if array.shape != [verdicts.count, LANDMARKS, 3] {
        let expected = format!("shape [{}, {LANDMARKS}, 3]", verdicts.count);
        return Err(Error::input(
            path.display(),
            expected,
            format!("{:?}", array.shape),
            "run the same command again",
        ));
    }
    let faces = array.data.chunks_exact(LANDMARKS * 3).zip(verdicts.good());
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
    let mut progress = context.progress("landmarks", count);
    let mut seen: Vec<Seen> = Vec::with_capacity(count);
    let mut points: Vec<Option<Vec<f32>>> = Vec::with_capacity(count);
    let mut scores: Vec<Option<Vec<f32>>> = Vec::with_capacity(count);
    for start in (0..count).step_by(AT_ONCE) {
        let part: Vec<_> = (start..count.min(start + AT_ONCE))
            .into_par_iter()
            .map(|index| {
                let picture = frames::read_frame(dir, index)?;
                let face = models.landmarks(&picture)?;
                let scores = face.as_ref().map(|f| models.blendshapes(f)).transpose()?;
                let others = models.faces(&picture)?;
                Ok((Seen::of(&picture, face.as_ref(), &others), face, scores))
            })
            .collect::<Result<_>>()?;
        for (what, face, score) in part {
            seen.push(what);
            points.push(face.map(|f| f.points.into_flattened()));
            scores.push(score);
        }
        progress.update(seen.len() as u64, String::new);
    }
    progress.finish();
    let left_out = filter::faults(&seen);
    let verdicts = Verdicts {
        count,
        left_out: left_out
            .iter()
            .enumerate()
            .filter_map(|(frame, fault)| fault.map(|reason| LeftOut { frame, reason }))
            .collect(),
    };
    let bad = verdicts.left_out.len();
    let good = count - bad;
    if (good as f64) < LEAST_GOOD * count as f64 || good < frames::LEAST_FRAMES {
        let why = filter::summary(&verdicts);
        let least = format!("mostly good frames, {} at least", frames::LEAST_FRAMES);
        let remedy = "cut the bad parts out, or record again";
        return Err(Error::input(
            context.options.video.display(),
            least,
            format!("{good} of {count} ({why})"),
            remedy,
        ));
    }
    // Places where there was no face lie on a line between their neighbours, so that the arrays are whole.
    let none = || Error::Internal("no frame has a face".into());
    let points = bridged(&points).ok_or_else(none)?;
    let scores = bridged(&scores).ok_or_else(none)?;
    for (index, row) in smoothed(&points, &verdicts.good()).iter().enumerate() {
        if left_out[index].is_none() {
            let lines = landmarks(row).ibug68().map(|p| format!("{:.6} {:.6}\n", p[0], p[1]));
            frames::put(&dir.join("ori_imgs").join(format!("{index}.lms")), lines.concat().as_bytes())?;
        }
    }
    npy::write(&dir.join("landmarks478.npy"), &[count, LANDMARKS, 3], &points.concat())?;
    npy::write(&dir.join("bs_raw.npy"), &[count, blendshapes::NAMES.len()], &scores.concat())?;
    let json = serde_json::to_vec_pretty(&verdicts).map_err(|e| Error::Internal(e.to_string()))?;
    files::write_bytes(&dir.join(VERDICTS), &json)?;
    Ok(format!(
        "{good} of {count} frames are good{}",
        if bad > 0 { format!(" ({})", filter::summary(&verdicts)) } else { String::new() }
    ))
}

/// Writes `bs.npy`, and `au.csv` where the user has none: MediaPipe's 52 without `_neutral`, a zero at the end, and
/// smoothed by Savitzky and Golay's filter of 5 frames and order 3, as SyncTalk stores them.
///
/// # Errors
/// [`Error::Input`] when `bs_raw.npy` is not what the stage before wrote.
pub fn expression(context: &Context) -> Result<String> {
    let dir = context.dir();
    let verdicts = Verdicts::read(dir)?;
    let path = dir.join("bs_raw.npy");
    let raw = npy::read(&path)?;
    let columns = blendshapes::NAMES.len();
    if raw.shape != [verdicts.count, columns] {
        let expected = format!("shape [{}, {columns}]", verdicts.count);
        return Err(Error::input(
            path.display(),
            expected,
            format!("{:?}", raw.shape),
            "run the same command again",
        ));
    }
    let rows: Vec<Vec<f32>> =
        raw.data.chunks_exact(columns).map(|r| r[1..].iter().copied().chain([0.0]).collect()).collect();
    let rows = smoothed(&rows, &vec![true; rows.len()]);
    npy::write(&dir.join("bs.npy"), &[rows.len(), columns], &rows.concat())?;
    let units = dir.join("au.csv");
    let mut note = "";
    let ours = match files::read_bounded(&units, MAX_BYTES) {
        Ok(bytes) => is_derived_units(&String::from_utf8_lossy(&bytes)),
        Err(_) => !units.exists(),
    };
    if !ours {
        note = "; au.csv is the user's own";
    } else {
        files::write_bytes(&units, expression_units(&rows).as_bytes())?;
    }
    let blinks = rows.windows(2).filter(|w| (w[0][8] + w[0][9]) < 0.8 && (w[1][8] + w[1][9]) >= 0.8).count();
    Ok(format!("{} rows, {blinks} blinks{note}", rows.len()))
}
