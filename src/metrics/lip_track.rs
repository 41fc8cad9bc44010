//! What lips do in each frame of a film, as numbers, and files of them.

use crate::{Error, Result};
use data_utils::audio::FRAME_RATE;
use data_utils::face::Landmarks;
use data_utils::face::blendshapes::NAMES;
use data_utils::formats::npy;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// What is measured: opening and width of the lips over the distance of the outer corners of the eyes, then MediaPipe's
/// blendshapes.
pub const COLUMNS: [&str; 6] = ["open", "width", "jawOpen", "mouthPucker", "mouthFunnel", "mouthClose"];
/// The opening's place.
pub const OPEN: usize = 0;
/// The width's place.
pub const WIDTH: usize = 1;
/// The pucker's place.
pub const PUCKER: usize = 3;

/// Landmarks of the outer corners of the eyes, the inner edges of the lips in the middle, the corners of the lips.
const EYES: [usize; 2] = [33, 263];
const INNER_LIPS: [usize; 2] = [13, 14];
const LIP_CORNERS: [usize; 2] = [61, 291];
/// The file that says what the columns are, beside the tracks.
const DESCRIPTION: &str = "lips.json";

/// The numbers of each frame, 25 a second; not a number where no face was found or a column was not measured.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LipTrack {
    /// In the order of [`COLUMNS`].
    pub frames: Vec<[f32; COLUMNS.len()]>,
}

/// What `lips.json` says.
#[derive(Debug, Default, Deserialize)]
struct Description {
    columns: Vec<String>,
    #[serde(default)]
    clips: BTreeMap<String, Clip>,
}

#[derive(Debug, Deserialize)]
struct Clip {
    #[serde(default)]
    sound_later_s: f64,
}

impl LipTrack {
    /// The numbers of one face; `blendshapes` are MediaPipe's 52.
    pub fn measure(face: &Landmarks, blendshapes: &[f32]) -> [f32; COLUMNS.len()] {
        let distance = |[i, j]: [usize; 2]| match (face.points.get(i), face.points.get(j)) {
            (Some(a), Some(b)) => (a[0] - b[0]).hypot(a[1] - b[1]),
            _ => f32::NAN,
        };
        let eyes = distance(EYES);
        std::array::from_fn(|column| match column {
            OPEN => distance(INNER_LIPS) / eyes,
            WIDTH => distance(LIP_CORNERS) / eyes,
            _ => {
                let at = NAMES.iter().position(|name| *name == COLUMNS[column]);
                at.and_then(|at| blendshapes.get(at)).copied().unwrap_or(f32::NAN)
            }
        })
    }

    /// Adds a frame; none where no face was found.
    pub fn push(&mut self, frame: Option<[f32; COLUMNS.len()]>) {
        self.frames.push(frame.unwrap_or([f32::NAN; COLUMNS.len()]));
    }

    /// Frames without a face.
    pub fn missing(&self) -> usize {
        self.frames.iter().filter(|frame| frame[OPEN].is_nan()).count()
    }

    /// A column with the frames without a face filled by the one before (at the beginning by the one after); `None` when it was
    /// never measured.
    pub fn column(&self, column: usize) -> Option<Vec<f64>> {
        let values = || self.frames.iter().map(|frame| f64::from(frame[column]));
        let mut last = values().find(|v| v.is_finite())?;
        let fill = |v: f64| {
            if v.is_finite() {
                last = v;
            }
            last
        };
        Some(values().map(fill).collect())
    }

    /// The track as it would be if it began `seconds` later, between frames linear, ends held; negative for earlier.
    pub fn later(&self, seconds: f64) -> LipTrack {
        let by = seconds * f64::from(FRAME_RATE);
        let last = self.frames.len().saturating_sub(1);
        let at = |i: usize| {
            let from = (i as f64 - by).clamp(0.0, last as f64);
            let (low, part) = (from as usize, from.fract() as f32);
            let (a, b) = (self.frames[low], self.frames[(low + 1).min(last)]);
            std::array::from_fn(|k| if part == 0.0 { a[k] } else { a[k] * (1.0 - part) + b[k] * part })
        };
        LipTrack { frames: (0..self.frames.len()).map(at).collect() }
    }

    /// Reads a track of a film, `[frames, columns]`: opening and width of the lips over the distance of the eyes, then what
    /// `lips.json` beside it names. Where that file says that the sound of the film comes late, the track is moved so that it fits
    /// the sound.
    ///
    /// # Errors
    /// [`Error::Input`] when a file cannot be read or has another shape.
    pub fn read(path: &Path) -> Result<Self> {
        let array = npy::read(path)?;
        let width = match array.shape[..] {
            [frames, width] if frames > 0 && width >= 2 => width,
            _ => {
                return Err(Error::input(
                    path.display(),
                    "lips of shape [frames, 2 or more]: opening and width over the distance of the eyes",
                    format!("shape {:?}", array.shape),
                    "name a file that `render --face_landmarker` or a tool of your own wrote",
                ));
            }
        };
        let description = Description::beside(path)?;
        let places: [Option<usize>; COLUMNS.len()] = std::array::from_fn(|k| match &description {
            Some(description) => description.columns.iter().position(|name| name == COLUMNS[k]),
            None => Some(k),
        });
        let frame = |row: &[f32]| places.map(|at| at.and_then(|at| row.get(at)).copied().unwrap_or(f32::NAN));
        let track = LipTrack { frames: array.data.chunks_exact(width).map(frame).collect() };
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let clip = description.as_ref().and_then(|d| d.clips.get(stem.as_ref()));
        Ok(match clip {
            Some(clip) if clip.sound_later_s != 0.0 => track.later(clip.sound_later_s),
            _ => track,
        })
    }

    /// Writes the track, `[frames, 6]`.
    ///
    /// # Errors
    /// [`Error::Input`] when the place cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        npy::write(path, &[self.frames.len(), COLUMNS.len()], self.frames.as_flattened())
    }
}

impl Description {
    /// The one in the folder of a track, where there is one.
    fn beside(track: &Path) -> Result<Option<Self>> {
        let path = track.with_file_name(DESCRIPTION);
        if !path.is_file() {
            return Ok(None);
        }
        let bytes = data_utils::media::files::read_bounded(&path, 1 << 20)?;
        serde_json::from_slice(&bytes).map(Some).map_err(|e| {
            let expected = r#"{"columns": [names], "clips": {name: {"sound_later_s": seconds}}}"#;
            Error::input(path.display(), expected, e.to_string(), "correct the file, or take it away")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn track(values: &[f32]) -> LipTrack {
        LipTrack { frames: values.iter().map(|v| [*v; COLUMNS.len()]).collect() }
    }

    #[test]
    fn a_track_survives_its_file() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("lips.npy");
        track(&[0.1, 0.2, 0.3]).write(&path).expect("written");
        assert_eq!(LipTrack::read(&path).expect("a track"), track(&[0.1, 0.2, 0.3]));
        npy::write(&path, &[2, 1], &[0.1, 0.2]).expect("written");
        assert_eq!(LipTrack::read(&path).expect_err("refused").exit_code(), 2);
    }

    #[test]
    fn columns_and_lag_of_a_film_are_read_beside_it() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("a.npy");
        npy::write(&path, &[3, 3], &[1.0, 10.0, 7.0, 2.0, 20.0, 8.0, 3.0, 30.0, 9.0]).expect("written");
        let json =
            r#"{"columns": ["width", "open", "mouthPucker"], "clips": {"a": {"sound_later_s": 0.02}}}"#;
        std::fs::write(dir.path().join("lips.json"), json).expect("written");
        let found = LipTrack::read(&path).expect("a track");
        assert_eq!(found.column(OPEN), Some(vec![10.0, 15.0, 25.0]));
        assert_eq!(found.column(WIDTH), Some(vec![1.0, 1.5, 2.5]));
        assert_eq!(found.column(PUCKER), Some(vec![7.0, 7.5, 8.5]));
        assert_eq!(found.column(2), None);
        std::fs::write(dir.path().join("lips.json"), "{").expect("written");
        assert!(LipTrack::read(&path).expect_err("refused").to_string().contains("lips.json"));
    }

    #[test]
    fn frames_without_a_face_hold_the_one_before() {
        let mut found = track(&[f32::NAN, 0.1, f32::NAN]);
        found.push(None);
        assert_eq!(found.missing(), 3);
        let column = found.column(OPEN).expect("a column");
        assert!(column.iter().all(|v| (v - 0.1).abs() < 1e-6) && column.len() == 4);
        assert_eq!(track(&[f32::NAN]).column(OPEN), None);
        assert_eq!(track(&[]).later(1.0), track(&[]));
    }
}
