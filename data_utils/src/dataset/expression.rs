//! The 22 numbers a frame's upper face is driven by, from whatever the dataset has.
//!
//! In this order: browDownL, browDownR, browInnerUp, browOuterUpL, browOuterUpR, cheekPuff, cheekSquintL,
//! cheekSquintR, eyeBlinkL, eyeBlinkR, eyeLookDownL/R, eyeLookInL/R, eyeLookOutL/R, eyeLookUpL/R, eyeSquintL/R,
//! eyeWideL, eyeWideR: the first 22 columns of `bs.npy` (MediaPipe's 52 without `_neutral`).
//!
//! * `bs.npy`, `[rows, ≥ 22]`: clip(0, 2) / 2 (SyncGaussianTalker).
//! * `au.csv` of OpenFace, names with or without leading spaces: AU45 (blink) goes to both eyeBlink columns as
//!   clip(0, 2) / 2, as every system of the field scales it; the others, whose intensity runs to 5, as
//!   clip(0, 5) / 10, so that a full action unit equals a full blendshape: AU04 browDown, AU01 browInnerUp,
//!   AU02 browOuterUp, AU06 cheekSquint, AU07 eyeSquint, AU05 eyeWide, left and right alike.
//! * neither: zeros.
//!
//! Row i of `bs.npy` belongs to frame number i; rows of `au.csv` go to frames by their columns `frame` and `timestamp`.

use super::check::Findings;
use super::rows::enough_rows;
use crate::error::{Problem, Result};
use crate::formats::npy;
use crate::media::files;
use std::path::Path;

/// Numbers of one frame.
pub const COLUMNS: usize = 22;

/// Where the expression of a dataset comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpressionSource {
    /// `bs.npy`.
    Blendshapes,
    /// `au.csv`.
    ActionUnits,
    /// Nothing: all zeros.
    Zeros,
}

/// OpenFace's columns and where they go: name, columns of ours, clip, divisor.
const ACTION_UNITS: [(&str, &[usize], f32, f32); 7] = [
    ("AU45_r", &[8, 9], 2.0, 2.0),
    ("AU04_r", &[0, 1], 5.0, 10.0),
    ("AU01_r", &[2], 5.0, 10.0),
    ("AU02_r", &[3, 4], 5.0, 10.0),
    ("AU06_r", &[6, 7], 5.0, 10.0),
    ("AU07_r", &[18, 19], 5.0, 10.0),
    ("AU05_r", &[20, 21], 5.0, 10.0),
];

/// Mark of an `au.csv` that was derived from blendshapes.
const DERIVED: &str = " derived";

/// OpenFace's action units as text (`au.csv`) from rows of MediaPipe's 52 blendshapes as `bs.npy` has them: the inverse
/// of what reading them back does, left and right averaged, and AU25 (lips part) as five times jawOpen.
pub fn units_of_blendshapes(rows: &[Vec<f32>]) -> String {
    const JAW_OPEN: usize = 24;
    let mut text = String::from("frame, timestamp, confidence, success");
    ACTION_UNITS.iter().for_each(|(name, ..)| text.push_str(&format!(", {name}")));
    text.push_str(&format!(", AU25_r,{DERIVED}\n"));
    for (index, row) in rows.iter().enumerate() {
        text.push_str(&format!("{}, {:.3}, 1, 1", index + 1, index as f64 / 25.0));
        for (_, columns, most, divisor) in ACTION_UNITS {
            let mean = columns.iter().filter_map(|c| row.get(*c)).sum::<f32>() / columns.len() as f32;
            text.push_str(&format!(", {:.4}", (mean / 2.0 * divisor).clamp(0.0, most)));
        }
        let jaw = row.get(JAW_OPEN).copied().unwrap_or(0.0);
        text.push_str(&format!(", {:.4}, 1\n", (5.0 * jaw).clamp(0.0, 5.0)));
    }
    text
}

/// Whether an `au.csv` was written by [`units_of_blendshapes`].
pub fn is_derived(text: &str) -> bool {
    text.lines().next().is_some_and(|l| l.ends_with(DERIVED))
}

/// Expressions of all rows and their source, for frames numbered up to `last`.
pub(super) fn read(
    dir: &Path,
    last: u32,
    findings: &mut Findings,
    notes: &mut Vec<String>,
) -> (Vec<[f32; COLUMNS]>, ExpressionSource) {
    let (blendshapes, units) = (dir.join("bs.npy"), dir.join("au.csv"));
    let (name, rows, source) = if blendshapes.exists() {
        ("bs.npy", findings.take(from_blendshapes(&blendshapes)), ExpressionSource::Blendshapes)
    } else if units.exists() {
        notes.push("no bs.npy: expression from au.csv".into());
        ("au.csv", findings.take(from_action_units(&units, notes)), ExpressionSource::ActionUnits)
    } else {
        notes.push("no bs.npy and no au.csv: expression is zero, so blinks cannot be driven".into());
        return (Vec::new(), ExpressionSource::Zeros);
    };
    let rows = rows.unwrap_or_default();
    if !rows.is_empty() {
        enough_rows(name, rows.len(), last, findings, notes);
    }
    (rows, source)
}

fn from_blendshapes(path: &Path) -> Result<Vec<[f32; COLUMNS]>> {
    let array = npy::read(path)?;
    let refuse = |expected: &str, found: String| {
        Problem::new(
            path.display(),
            expected,
            found,
            "run the expression step of preprocessing again, or remove the file",
        )
    };
    let &[rows, columns] = array.shape.as_slice() else {
        return Err(refuse("2 axes (frames, 52)", format!("shape {:?}", array.shape)).into());
    };
    if columns < COLUMNS || rows == 0 {
        return Err(
            refuse("at least one row of 22 or more columns", format!("shape {:?}", array.shape)).into()
        );
    }
    if let Some(at) = array.data.iter().position(|v| !v.is_finite()) {
        return Err(refuse("finite numbers", format!("{} in row {}", array.data[at], at / columns)).into());
    }
    let row = |r: &[f32]| std::array::from_fn(|c| r[c].clamp(0.0, 2.0) / 2.0);
    Ok(array.data.chunks_exact(columns).map(row).collect())
}

/// One face of an `au.csv` in one frame.
struct Row {
    /// Where it belongs: number of the frame, seconds.
    frame: Option<f32>,
    time: Option<f32>,
    /// How sure OpenFace is of it; 0 where it says that it failed.
    confidence: f32,
    values: [f32; COLUMNS],
}

fn from_action_units(path: &Path, notes: &mut Vec<String>) -> Result<Vec<[f32; COLUMNS]>> {
    let bytes = files::read_bounded(path, 1 << 30)?;
    let text = String::from_utf8_lossy(&bytes);
    let refuse = |expected: String, found: String| {
        Problem::new(
            path.display(),
            expected,
            found,
            "run OpenFace's FeatureExtraction again, or remove the file",
        )
    };
    let mut lines = text.trim_start_matches('\u{feff}').lines().filter(|l| !l.trim().is_empty());
    let header: Vec<&str> = lines.next().unwrap_or_default().split(',').map(str::trim).collect();
    let column = |name: &str| header.iter().position(|h| *h == name);
    let blink = ACTION_UNITS[0].0;
    if column(blink).is_none() {
        return Err(refuse(format!("a column {blink}"), "none in the first line".into()).into());
    }
    let units: Vec<_> = ACTION_UNITS.iter().filter_map(|u| Some((column(u.0)?, u))).collect();
    let places = ["frame", "timestamp", "confidence", "success"].map(column);
    let mut rows: Vec<Row> = Vec::new();
    for (number, line) in lines.enumerate() {
        let cells: Vec<&str> = line.split(',').map(str::trim).collect();
        let cell = |at: usize| -> Result<f32> {
            let text = cells.get(at).copied().unwrap_or("nothing");
            match text.parse::<f32>() {
                Ok(v) if v.is_finite() => Ok(v),
                _ => Err(refuse(
                    format!("a number in column {}", header[at]),
                    format!("\"{text}\" in line {}", number + 2),
                )
                .into()),
            }
        };
        let optional = |at: Option<usize>| at.map(&cell).transpose();
        let [frame, time, confidence, success] =
            [optional(places[0])?, optional(places[1])?, optional(places[2])?, optional(places[3])?];
        let confidence =
            if success == Some(0.0) { 0.0 } else { confidence.unwrap_or(1.0).max(f32::MIN_POSITIVE) };
        // OpenFace writes "nan" or nothing sensible where it found no face.
        if confidence == 0.0 && units.iter().any(|(at, _)| cell(*at).is_err()) {
            rows.push(Row { frame, time, confidence, values: [0.0; COLUMNS] });
            continue;
        }
        let mut values = [0.0; COLUMNS];
        for &(at, (_, into, clip, divisor)) in &units {
            let value = cell(at)?.clamp(0.0, *clip) / divisor;
            into.iter().for_each(|&c| values[c] = value);
        }
        rows.push(Row { frame, time, confidence, values });
    }
    if rows.is_empty() {
        return Err(refuse("a line for each frame".into(), "the first line only".into()).into());
    }
    by_frame(rows, notes).map_err(|found| refuse("rows that belong to frames".into(), found).into())
}

/// The largest number of a frame.
const LAST_FRAME: f32 = 1e7;
/// Frames a second.
const RATE: f32 = 25.0;
/// Time between two rows that is that of our rate, seconds.
const STEP: std::ops::RangeInclusive<f32> = 0.039..=0.041;

/// One row for each frame: by time where the rows have another rate, otherwise by the frame's number, otherwise one after
/// the other. Of several faces in a frame the surest is taken; a frame without one is like the one before.
fn by_frame(rows: Vec<Row>, notes: &mut Vec<String>) -> std::result::Result<Vec<[f32; COLUMNS]>, String> {
    let mut steps: Vec<f32> =
        rows.windows(2).filter_map(|w| Some(w[1].time? - w[0].time?)).filter(|step| *step > 1e-4).collect();
    steps.sort_by(f32::total_cmp);
    let step = steps.get(steps.len() / 2).copied();
    let other = step.filter(|step| !STEP.contains(step) && steps.len() + 2 > rows.len() / 2);
    let first = rows.iter().filter_map(|row| row.frame).fold(f32::INFINITY, f32::min);
    // OpenFace counts frames from 1, some of those who write its format from 0.
    let first = if first == 0.0 { 0.0 } else { 1.0 };
    let any_good = rows.iter().any(|row| row.confidence > 0.0);
    let mut frames: Vec<Option<(f32, f32, [f32; COLUMNS])>> = Vec::new();
    let mut put = |index: usize, confidence: f32, distance: f32, values: [f32; COLUMNS]| {
        if frames.len() <= index {
            frames.resize(index + 1, None);
        }
        let better =
            |(c, d, _): &(f32, f32, _)| distance < *d - 1e-4 || distance <= *d + 1e-4 && confidence > *c;
        if (confidence > 0.0 || !any_good) && frames[index].as_ref().is_none_or(better) {
            frames[index] = Some((confidence, distance, values));
        }
    };
    for (number, row) in rows.iter().enumerate() {
        match (other, row.time, row.frame) {
            (Some(step), Some(time), _) => {
                if !(0.0..=LAST_FRAME / RATE).contains(&time) {
                    return Err(format!("the time {time} s"));
                }
                // Each row goes to all frames that lie within a step of it; the nearest row stays.
                let from = ((time - step) * RATE).ceil().max(0.0) as usize;
                for index in from..=((time + step) * RATE).floor().max(0.0) as usize {
                    put(index, row.confidence, (index as f32 / RATE - time).abs(), row.values);
                }
            }
            (_, _, Some(frame)) => {
                if !(first..=LAST_FRAME).contains(&frame) {
                    return Err(format!("frame {frame}"));
                }
                put((frame - first) as usize, row.confidence, 0.0, row.values);
            }
            _ => put(number, row.confidence, 0.0, row.values),
        }
    }
    if let Some(step) = other {
        notes.push(format!(
            "au.csv has {:.2} rows a second: each frame gets the row nearest in time",
            1.0 / step
        ));
    }
    let missing = frames.iter().filter(|row| row.is_none()).count();
    if missing > 0 {
        notes.push(format!(
            "au.csv has no face in {missing} of {} frames: they are like the ones before",
            frames.len()
        ));
    }
    let start = frames.iter().flatten().next().map_or([0.0; COLUMNS], |(_, _, values)| *values);
    let mut last = start;
    Ok(frames
        .into_iter()
        .map(|row| {
            last = row.map_or(last, |(_, _, values)| values);
            last
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(
        files: &[(&str, &str)],
        last: u32,
    ) -> (Vec<[f32; COLUMNS]>, ExpressionSource, Vec<String>, Result<()>) {
        let dir = tempfile::tempdir().expect("a temporary folder");
        for (name, text) in files {
            std::fs::write(dir.path().join(name), text).expect("written");
        }
        let (mut findings, mut notes) = (Findings::default(), Vec::new());
        let (rows, source) = read(dir.path(), last, &mut findings, &mut notes);
        (rows, source, notes, findings.into_result())
    }

    #[test]
    fn action_units_with_and_without_spaces_give_the_same_blinks() {
        let spaced = "frame, face_id, AU04_r, AU45_r\n1, 0, 2.5, 1.0\n2, 0, 0.0, 4.0\n";
        let (rows, source, notes, result) = outcome(&[("au.csv", spaced)], 1);
        result.expect("no problem");
        assert_eq!(source, ExpressionSource::ActionUnits);
        assert_eq!(
            [rows[0][8], rows[0][9], rows[1][8], rows[0][0], rows[0][1], rows[0][5]],
            [0.5, 0.5, 1.0, 0.25, 0.25, 0.0]
        );
        assert_eq!(notes, ["no bs.npy: expression from au.csv"]);
        assert_eq!(outcome(&[("au.csv", &spaced.replace(", ", ","))], 1).0, rows);
    }

    #[test]
    fn a_second_face_in_a_frame_is_not_another_frame() {
        let (rows, ..) = outcome(&[("au.csv", "frame,face_id,AU45_r\n1,0,1\n1,1,2\n2,0,2\n")], 1);
        assert_eq!(rows.iter().map(|r| r[8]).collect::<Vec<_>>(), [0.5, 1.0]);
    }

    /// The blinks of an `au.csv` with these columns, and the notes of reading it.
    fn blinks(header: &str, rows: &[String]) -> (Vec<f32>, Vec<String>) {
        let text = format!("{header}, AU45_r\n{}\n", rows.join("\n"));
        let (found, _, notes, result) = outcome(&[("au.csv", &text)], 0);
        result.expect("no problem");
        (found.iter().map(|row| row[8] * 2.0).collect(), notes[1..].to_vec())
    }

    #[test]
    fn rows_go_to_their_frames_and_not_one_after_the_other() {
        let header = "frame, face_id, timestamp, confidence, success";
        let row =
            |frame: usize, value: f32| format!("{frame}, 0, {}, 0.98, 1, {value}", (frame - 1) as f32 * 0.04);
        let value = |frame: usize| if frame.is_multiple_of(7) { 1.5 } else { frame as f32 / 100.0 };
        let all: Vec<String> = (1..=50).map(|f| row(f, value(f))).collect();
        let expected: Vec<f32> = (1..=50).map(value).collect();
        let close =
            |a: &[f32], b: &[f32]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-6);
        assert!(close(&blinks(header, &all).0, &expected));
        // Frames without a face have no row, or one that says so.
        let (held, notes) = blinks(header, &[&all[..20], &all[24..]].concat());
        let mut meant = expected.clone();
        meant[20..24].fill(expected[19]);
        assert!(close(&held, &meant) && notes[0].contains("4 of 50"), "{held:?} {notes:?}");
        let mut failed = all.clone();
        failed[20..24].iter_mut().for_each(|row| *row = row.replace(", 0.98, 1, ", ", 0.02, 0, "));
        assert!(close(&blinks(header, &failed).0, &meant));
        // Counted from 0.
        let zero: Vec<String> =
            (0..50).map(|f| format!("{f}, 0, {}, 1, 1, {}", f as f32 * 0.04, value(f + 1))).collect();
        assert!(close(&blinks(header, &zero).0, &expected));
        // A doubtful second face that is listed first.
        let mut two = Vec::new();
        for (k, row) in all.iter().enumerate() {
            two.push(format!("{}, 1, {}, 0.4, 1, 2.0", k + 1, k as f32 * 0.04));
            two.push(row.clone());
        }
        assert!(close(&blinks(header, &two).0, &expected));
    }

    #[test]
    fn rows_of_another_rate_go_to_frames_by_their_time() {
        let header = "frame, timestamp";
        let value = |row: usize| (row % 11) as f32 / 10.0;
        let rows: Vec<String> =
            (0..120).map(|r| format!("{}, {:.3}, {}", r + 1, r as f32 / 30.0, value(r))).collect();
        let (found, notes) = blinks(header, &rows);
        assert!(found.len() >= 99, "{}", found.len());
        for (frame, found) in found[..99].iter().enumerate() {
            let nearest = (frame as f32 * 1.2).round() as usize;
            assert!((found - value(nearest)).abs() < 1e-6, "frame {frame}");
        }
        assert!(notes[0].contains("30.") || notes[0].contains("29.9"), "{notes:?}");
    }

    #[test]
    fn without_either_file_the_expression_is_zero_and_says_so() {
        let (rows, source, notes, result) = outcome(&[], 9);
        result.expect("no problem");
        assert!(rows.is_empty() && source == ExpressionSource::Zeros && notes.len() == 1);
    }

    #[test]
    fn broken_files_are_refused_and_not_replaced_by_zeros() {
        for (text, said) in [
            ("", "AU45_r"),
            ("frame,AU45_r\n", "first line only"),
            ("frame,AU45_r\n1,x\n", "line 2"),
            ("frame,AU45_r\n1,inf\n", "inf"),
            ("frame,AU45_r\n1\n", "nothing"),
        ] {
            let message = outcome(&[("au.csv", text)], 0).3.expect_err("refused").to_string();
            assert!(message.contains("au.csv") && message.contains(said), "{message}");
        }
        assert!(outcome(&[("bs.npy", "no array")], 0).3.is_err());
    }

    #[test]
    fn blendshapes_are_clipped_and_halved() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let mut values = vec![0.5; 52];
        values[1] = -0.1;
        values[2] = 3.0;
        npy::write(&dir.path().join("bs.npy"), &[1, 52], &values).expect("written");
        let row = from_blendshapes(&dir.path().join("bs.npy")).expect("rows")[0];
        assert_eq!(row[..4], [0.25, 0.0, 1.0, 0.25]);
        for (shape, values) in
            [(vec![52], vec![0.0; 52]), (vec![1, 21], vec![0.0; 21]), (vec![1, 22], vec![f32::NAN; 22])]
        {
            npy::write(&dir.path().join("bs.npy"), &shape, &values).expect("written");
            assert!(from_blendshapes(&dir.path().join("bs.npy")).is_err(), "{shape:?}");
        }
    }
}
