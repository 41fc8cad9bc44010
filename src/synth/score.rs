//! Scores of a performance: against what was filmed, or against the voice that drives it.

use super::perform::Finished;
use crate::Result;
use crate::metrics::landmarks::{correlation, landmark_distance};
use crate::metrics::lpips::Lpips;
use crate::metrics::report::{Cell, Report};
use crate::metrics::{psnr, ssim};
use data_utils::audio::Sound;
use data_utils::dataset::{Dataset, Part};
use data_utils::face::{FaceModels, Landmarks};
use image::RgbImage;
use std::path::Path;

/// Quieter than the loudest frame by this much counts as silence, dB.
const SILENCE_BELOW_DB: f32 = 40.0;
const NO_LANDMARKER: &str = "give --face_landmarker";
const NO_LPIPS: &str = "give --lpips_weights";

/// The networks scores are taken with, those that were given.
pub struct Judge {
    faces: Option<FaceModels>,
    lpips: Option<Lpips>,
}

impl Judge {
    /// Opens MediaPipe's face landmarker and LPIPS weights where paths are given.
    ///
    /// # Errors
    /// [`crate::Error::Input`] when a file cannot be read or is another model.
    pub fn open(face_landmarker: Option<&Path>, lpips_weights: Option<&Path>) -> Result<Self> {
        Ok(Judge {
            faces: face_landmarker.map(FaceModels::open).transpose()?,
            lpips: lpips_weights.map(Lpips::open).transpose()?,
        })
    }

    /// Scores each frame against the frame of the dataset it redraws.
    pub fn against_truth<'a>(&'a self, dataset: &'a Dataset, part: Part) -> Scorer<'a> {
        Scorer { judge: self, truth: Some((dataset, part)), loudness: None, ..Scorer::empty(self) }
    }

    /// Scores how the lips follow a voice.
    pub fn of_voice(&self, sound: Option<&Sound>) -> Scorer<'_> {
        Scorer { loudness: sound.map(Sound::loudness_per_frame), ..Scorer::empty(self) }
    }
}

/// Sees one frame after the other and sums up.
pub struct Scorer<'a> {
    judge: &'a Judge,
    truth: Option<(&'a Dataset, Part)>,
    loudness: Option<Vec<f32>>,
    psnr: Vec<f64>,
    ssim: Vec<f64>,
    lpips: Vec<f64>,
    landmark_distance: Vec<f64>,
    /// Mouth opening in the drawn frames, and in the filmed ones.
    openings: Vec<(f64, Option<f64>)>,
    frames: usize,
    last: [Option<Landmarks>; 2],
    unseen: usize,
}

impl<'a> Scorer<'a> {
    fn empty(judge: &'a Judge) -> Self {
        Scorer {
            judge,
            truth: None,
            loudness: None,
            psnr: Vec::new(),
            ssim: Vec::new(),
            lpips: Vec::new(),
            landmark_distance: Vec::new(),
            openings: Vec::new(),
            frames: 0,
            last: [None, None],
            unseen: 0,
        }
    }

    /// Takes in a finished frame.
    ///
    /// # Errors
    /// Those of reading the filmed frame and of the networks.
    pub fn see(&mut self, finished: &Finished<'_>) -> Result<()> {
        self.frames += 1;
        let [width, height] = finished.size;
        let drawn = RgbImage::from_raw(width as u32, height as u32, finished.picture.to_vec());
        let drawn_face = match (&self.judge.faces, &drawn) {
            (Some(faces), Some(picture)) => find(faces, picture, &mut self.last[0])?,
            _ => None,
        };
        let mut truth_face = None;
        if let Some((dataset, part)) = self.truth {
            let filmed = dataset.pixels(finished.frame.source)?;
            let mask: Vec<f32> = filmed.part_mask(part).iter().map(|m| f32::from(u8::from(*m))).collect();
            let planes = |rgb: &[u8]| -> Vec<f32> {
                let n = mask.len();
                (0..3 * n).map(|i| f32::from(rgb[i % n * 3 + i / n]) / 255.0 * mask[i % n]).collect()
            };
            let (a, b) = (planes(finished.picture), planes(&filmed.rgb));
            self.psnr.push(psnr::masked(&a, &b, &mask));
            self.ssim.push(ssim::metric(&a, &b, width, height));
            if let Some(lpips) = &self.judge.lpips {
                self.lpips.push(lpips.distance(&a, &b, width, height)?);
            }
            if let Some(faces) = &self.judge.faces {
                let picture = RgbImage::from_raw(width as u32, height as u32, filmed.rgb.clone());
                if let Some(picture) = picture {
                    truth_face = find(faces, &picture, &mut self.last[1])?;
                }
            }
        }
        match (&drawn_face, &truth_face) {
            (Some(drawn), Some(truth)) => {
                self.landmark_distance.push(landmark_distance(&drawn.ibug68(), &truth.ibug68()));
            }
            (None, _) if self.judge.faces.is_some() => self.unseen += 1,
            _ => {}
        }
        if let Some(face) = &drawn_face {
            self.openings.push((face.mouth_opening().into(), truth_face.map(|f| f.mouth_opening().into())));
        } else {
            self.openings.push((f64::NAN, None));
        }
        Ok(())
    }

    /// The scores so far.
    pub fn report(&self) -> Report {
        let mut report = Report::default();
        let landmarks = |values: &[f64]| mean(values, if self.judge.faces.is_some() { "no face found" } else { NO_LANDMARKER });
        report.put("frames", Cell::Value(self.frames as f64));
        if self.truth.is_some() {
            report.put("psnr_db", mean(&self.psnr, "no frames"));
            report.put("ssim", mean(&self.ssim, "no frames"));
            report.put("lpips", mean(&self.lpips, NO_LPIPS));
            report.put("landmark_distance_px", landmarks(&self.landmark_distance));
            let pairs: (Vec<f64>, Vec<f64>) =
                self.openings.iter().filter_map(|(drawn, truth)| truth.map(|t| (*drawn, t))).unzip();
            report.put("mouth_opening_correlation", landmarks_correlation(self.judge, &pairs.0, &pairs.1));
        }
        if let Some(loudness) = &self.loudness {
            let seen: (Vec<f64>, Vec<f64>) = self
                .openings
                .iter()
                .zip(loudness)
                .filter(|((opening, _), _)| opening.is_finite())
                .map(|((opening, _), db)| (*opening, f64::from(*db)))
                .unzip();
            report.put("mouth_loudness_correlation", landmarks_correlation(self.judge, &seen.0, &seen.1));
            let loudest = loudness.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let quiet: Vec<f64> = self
                .openings
                .iter()
                .zip(loudness)
                .filter(|((opening, _), db)| opening.is_finite() && **db < loudest - SILENCE_BELOW_DB)
                .map(|((opening, _), _)| *opening)
                .collect();
            report.put("mouth_opening_in_silence", mean(&quiet, "no silence, or no landmarks"));
            let spoken: Vec<f64> = self
                .openings
                .iter()
                .zip(loudness)
                .filter(|((opening, _), db)| opening.is_finite() && **db >= loudest - SILENCE_BELOW_DB)
                .map(|((opening, _), _)| *opening)
                .collect();
            report.put("mouth_opening_in_speech", mean(&spoken, "no landmarks"));
        }
        if self.unseen > 0 {
            report.put("frames_without_a_face", Cell::Value(self.unseen as f64));
        }
        report
    }
}

fn landmarks_correlation(judge: &Judge, a: &[f64], b: &[f64]) -> Cell {
    if judge.faces.is_none() {
        return Cell::Absent(NO_LANDMARKER.into());
    }
    correlation(a, b).map_or_else(|| Cell::Absent("nothing moves".into()), Cell::Value)
}

fn mean(values: &[f64], why_not: &str) -> Cell {
    let finite: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    if finite.is_empty() {
        Cell::Absent(why_not.into())
    } else {
        Cell::Value(finite.iter().sum::<f64>() / finite.len() as f64)
    }
}

/// The face in a frame, looked for near where it was.
fn find(faces: &FaceModels, picture: &RgbImage, last: &mut Option<Landmarks>) -> Result<Option<Landmarks>> {
    let near = match last.take() {
        Some(last) => faces.landmarks_near(picture, &last)?,
        None => None,
    };
    let found = match near {
        Some(face) => Some(face),
        None => faces.landmarks(picture)?,
    };
    *last = found.clone();
    Ok(found)
}
