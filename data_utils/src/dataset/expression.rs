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
//! Row i belongs to frame number i.

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
        ("au.csv", findings.take(from_action_units(&units)), ExpressionSource::ActionUnits)
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

fn from_action_units(path: &Path) -> Result<Vec<[f32; COLUMNS]>> {
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
    let mut lines = text.lines().filter(|l| !l.trim().is_empty());
    let header: Vec<&str> = lines.next().unwrap_or_default().split(',').map(str::trim).collect();
    let column = |name: &str| header.iter().position(|h| *h == name);
    let blink = ACTION_UNITS[0].0;
    if column(blink).is_none() {
        return Err(refuse(format!("a column {blink}"), "none in the first line".into()).into());
    }
    let units: Vec<_> = ACTION_UNITS.iter().filter_map(|u| Some((column(u.0)?, u))).collect();
    let frame = column("frame");
    let mut rows: Vec<[f32; COLUMNS]> = Vec::new();
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
        // A second face in a frame has a line of its own; the first one is taken. Frames count from 1.
        if let Some(at) = frame
            && (cell(at)? as usize) <= rows.len()
        {
            continue;
        }
        let mut row = [0.0; COLUMNS];
        for &(at, (_, into, clip, divisor)) in &units {
            let value = cell(at)?.clamp(0.0, *clip) / divisor;
            into.iter().for_each(|&c| row[c] = value);
        }
        rows.push(row);
    }
    if rows.is_empty() {
        return Err(refuse("a line for each frame".into(), "the first line only".into()).into());
    }
    Ok(rows)
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
