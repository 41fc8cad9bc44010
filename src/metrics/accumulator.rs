//! How good drawn frames are: against what was filmed, or against the voice that they say.

use super::landmarks::{Landmarks68, correlation, mouth_distance, mouth_opening};
use super::lip_report;
use super::lip_track::{COLUMNS, LipTrack};
use super::lpips::Lpips;
use super::lpips::device::DeviceLpips;
use super::mouth_crop::MouthCrop;
use super::planes::{masked_planes, part_mask};
use super::psnr::psnr_masked;
use super::report::{Column, Figure, Mean, Report};
use super::seam::seam_error;
use super::ssim::ssim;
use crate::Result;
use crate::gpu::Gpu;
use candle_core::Device;
use data_utils::audio::Sound;
use data_utils::dataset::{Dataset, Part};
use data_utils::face::FaceModels;
use image::RgbImage;
use std::path::Path;

/// Quieter than the loudest frame by this much counts as silence, dB.
const SILENCE_BELOW_DB: f32 = 40.0;
/// Quieter than this is silence beside anything, dB of full scale.
const SILENT_DB: f32 = -70.0;
const NO_LANDMARKER: &str = "give --face_landmarker";
const NO_LPIPS: &str = "give --lpips_weights";

/// The networks that metrics are taken with, those that were given.
pub struct MetricModels {
    faces: Option<FaceModels>,
    lpips: Option<Lpips>,
    /// The same on the GPU.
    device_lpips: Option<DeviceLpips>,
}

impl MetricModels {
    /// Opens MediaPipe's face landmarker and LPIPS weights where paths are given; LPIPS runs on `gpu` where there is one.
    ///
    /// # Errors
    /// [`crate::Error::Input`] when a file cannot be read or is another model, [`crate::Error::DeviceLost`] when the GPU goes
    /// away.
    pub fn open(
        face_landmarker: Option<&Path>,
        lpips_weights: Option<&Path>,
        gpu: Option<&Gpu>,
    ) -> Result<Self> {
        let lpips = lpips_weights.map(|path| Lpips::open(&[path], &Device::Cpu)).transpose()?;
        let device_lpips = lpips.as_ref().zip(gpu).map(|(lpips, gpu)| DeviceLpips::upload(gpu, lpips));
        Ok(MetricModels {
            faces: face_landmarker.map(FaceModels::open).transpose()?,
            device_lpips: device_lpips.transpose()?,
            lpips,
        })
    }

    /// Scores each frame against the frame of the dataset it redraws.
    pub fn against_truth<'a>(&'a self, dataset: &'a Dataset, part: Part) -> MetricAccumulator<'a> {
        MetricAccumulator { truth: Some((dataset, part)), ..MetricAccumulator::new(self) }
    }

    /// LPIPS of two planar pictures of `[rows, columns]`, on the GPU where they fit it; none without weights.
    ///
    /// # Errors
    /// Those of the network.
    pub fn lpips_of(&self, a: &[f32], b: &[f32], size: [usize; 2]) -> Result<Option<f64>> {
        match self.device_lpips.as_ref().filter(|device| device.fits(size)) {
            Some(device) => device.distance(a, b, size).map(Some),
            None => self.lpips.as_ref().map(|lpips| lpips.distance(a, b, size)).transpose(),
        }
    }

    /// Scores how the lips follow a voice.
    pub fn of_voice(&self, sound: Option<&Sound>) -> MetricAccumulator<'_> {
        MetricAccumulator { loudness: sound.map(Sound::loudness_per_frame), ..MetricAccumulator::new(self) }
    }
}

/// What is measured of a face.
struct Face {
    points: Landmarks68,
    /// In the columns of a [`LipTrack`].
    lips: [f32; COLUMNS.len()],
}

/// Takes one frame after the other and sums up.
pub struct MetricAccumulator<'a> {
    models: &'a MetricModels,
    truth: Option<(&'a Dataset, Part)>,
    /// Along the edge of which part the seam is looked at, where the room behind is the filmed one.
    seam_part: Option<Part>,
    ring: Mean,
    step: Mean,
    loudness: Option<Vec<f32>>,
    psnr: Mean,
    ssim: Mean,
    lpips: Mean,
    lmd: Mean,
    mouth: MouthCrop,
    /// Mouth opening in each drawn frame, where a face was found.
    drawn: Vec<Option<f64>>,
    /// The same in the filmed frames.
    filmed: Vec<Option<f64>>,
    /// Lips of the drawn frames and of those filmed, where a landmarker was given.
    drawn_lips: LipTrack,
    filmed_lips: LipTrack,
}

/// How loud a level is heard, as a share of full scale: the pressure to the power of 0.6 (Stevens 1955).
fn heard(db: f32) -> f64 {
    10f64.powf(0.6 * f64::from(db) / 20.0)
}

impl<'a> MetricAccumulator<'a> {
    fn new(models: &'a MetricModels) -> Self {
        MetricAccumulator {
            models,
            truth: None,
            seam_part: None,
            ring: Mean::default(),
            step: Mean::default(),
            loudness: None,
            psnr: Mean::default(),
            ssim: Mean::default(),
            lpips: Mean::default(),
            lmd: Mean::default(),
            mouth: MouthCrop::default(),
            drawn: Vec::new(),
            filmed: Vec::new(),
            drawn_lips: LipTrack::default(),
            filmed_lips: LipTrack::default(),
        }
    }

    /// Adds a drawn picture of `size` = [width, height], RGB. `index` is the frame of the dataset that it redraws; for a new
    /// voice it is not used.
    ///
    /// # Errors
    /// Those of reading the filmed frame and of the networks.
    pub fn add(&mut self, size: [usize; 2], picture: &[u8], index: usize) -> Result<()> {
        let Some((dataset, part)) = self.truth else {
            let face = self.face(size, picture)?;
            self.see(face.as_ref());
            return Ok(());
        };
        let rows_columns = [size[1], size[0]];
        let filmed = dataset.pixels(index)?;
        if let Some(part) = self.seam_part {
            let seam = seam_error(picture, &filmed.rgb, &filmed.part_mask(part), size[0]);
            seam.ring.into_iter().for_each(|v| self.ring.add(v));
            seam.step.into_iter().for_each(|v| self.step.add(v));
        }
        let mask = part_mask(&filmed, part);
        let [a, b] = [picture, &filmed.rgb].map(|rgb| masked_planes(rgb, &mask, [0.0; 3]));
        // The GPU compares the pictures while the processor looks for faces in them.
        let device = self.models.device_lpips.as_ref().filter(|device| device.fits(rows_columns));
        let pending = device.map(|device| device.submit(&a, &b, rows_columns)).transpose()?;
        let ((drawn_face, filmed_face), (psnr, ssim)) = rayon::join(
            || rayon::join(|| self.face(size, picture), || self.face(size, &filmed.rgb)),
            || rayon::join(|| psnr_masked(&a, &b, &mask), || ssim(&a, &b, rows_columns, None)),
        );
        let (drawn_face, filmed_face) = (drawn_face?, filmed_face?);
        psnr?.into_iter().for_each(|v| self.psnr.add(v));
        ssim?.into_iter().for_each(|v| self.ssim.add(v));
        let lpips = self.models.lpips.as_ref();
        let distance = match pending {
            Some(pending) => Some(pending.wait()?),
            None => lpips.map(|lpips| lpips.distance(&a, &b, rows_columns)).transpose()?,
        };
        distance.into_iter().for_each(|v| self.lpips.add(v));
        if let Some(face) = &filmed_face {
            self.mouth.add(size, picture, &filmed.rgb, &face.points, lpips)?;
        }
        self.see(drawn_face.as_ref());
        self.filmed.push(filmed_face.as_ref().map(|face| mouth_opening(&face.points)));
        self.filmed_lips.push(filmed_face.as_ref().map(|face| face.lips));
        if let (Some(drawn), Some(filmed)) = (&drawn_face, &filmed_face) {
            self.lmd.add(mouth_distance(&drawn.points, &filmed.points));
        }
        Ok(())
    }

    /// Adds the face of a drawn picture.
    fn see(&mut self, face: Option<&Face>) {
        self.drawn.push(face.map(|face| mouth_opening(&face.points)));
        self.drawn_lips.push(face.map(|face| face.lips));
    }

    /// The voice that the dataset's own frames are said with, for what lips do in silence.
    pub fn hear(&mut self, sound: Option<&Sound>) {
        self.loudness = sound.map(Sound::loudness_per_frame);
    }

    /// Also compares drawn and filmed frames along the edge of a part: what is behind the head is the filmed room or frame.
    pub fn look_at_seam(&mut self, part: Part) {
        self.seam_part = Some(part);
    }

    /// The filmed lips of the person whose voice is said.
    pub fn against_lips(&mut self, filmed: LipTrack) {
        self.filmed_lips = filmed;
    }

    /// Whether frames are compared with filmed ones.
    pub fn has_truth(&self) -> bool {
        self.truth.is_some()
    }

    /// The lips of the drawn frames so far; none without a landmarker.
    pub fn lips(&self) -> Option<&LipTrack> {
        self.models.faces.as_ref().map(|_| &self.drawn_lips)
    }

    /// How the drawn lips follow those that were filmed, beside the row of the real video; none where there is nothing to compare.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] when figures and columns disagree.
    pub fn lip_report(&self, name: &str) -> Result<Option<Report>> {
        let Some(drawn) = self.lips().filter(|_| !self.filmed_lips.frames.is_empty()) else {
            return Ok(None);
        };
        match self.truth {
            Some(_) => lip_report::of_own_voice(name, drawn, &self.filmed_lips, self.loudness.as_deref()),
            None => lip_report::of_foreign_voice(name, drawn, &self.filmed_lips),
        }
        .map(Some)
    }

    /// The face in a picture, found without regard to the frame before, so that both sides are looked at alike.
    fn face(&self, size: [usize; 2], rgb: &[u8]) -> Result<Option<Face>> {
        let Some(faces) = &self.models.faces else { return Ok(None) };
        let picture = RgbImage::from_raw(size[0] as u32, size[1] as u32, rgb.to_vec());
        let Some(face) = picture.map(|picture| faces.landmarks(&picture)).transpose()?.flatten() else {
            return Ok(None);
        };
        let lips = LipTrack::measure(&face, &faces.blendshapes(&face)?);
        Ok(Some(Face { points: face.ibug68(), lips }))
    }

    /// The scores so far, one row called `name`.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] when figures and columns disagree.
    pub fn report(&self, name: &str) -> Result<Report> {
        if self.truth.is_some() { self.truth_report(name) } else { self.voice_report(name) }
    }

    fn truth_report(&self, name: &str) -> Result<Report> {
        let network =
            self.models.lpips.as_ref().map(|l| format!(" ({})", l.backbone().name())).unwrap_or_default();
        let mut report = Report::new(vec![
            Column::new("psnr_in_mask", "PSNR in mask dB", 2),
            Column::new("ssim", "SSIM", 4),
            Column::new("lpips", &format!("LPIPS{network}"), 4),
            Column::new("lmd", "LMD px", 3),
            Column::new("mouth_correlation", "mouth r", 3),
            Column::new("without_face", "no face", 0),
            Column::new("mouth_crop_psnr", "mouth crop PSNR dB", 2),
            Column::new("mouth_crop_lpips", "LPIPS", 4),
            Column::new("mouth_crop_sharpness", "sharpness / real", 2),
            Column::new("ring_error", "ring ±8 px error", 2),
            Column::new("seam_step", "seam step", 2),
        ]);
        let pairs = self.drawn.iter().zip(&self.filmed).filter_map(|(a, b)| a.zip(*b));
        let (drawn, filmed): (Vec<f64>, Vec<f64>) = pairs.unzip();
        let no_face = if self.models.faces.is_some() { "no face found" } else { NO_LANDMARKER };
        let mut figures = vec![
            self.psnr.figure("the mask is empty"),
            self.ssim.figure("no frames"),
            self.lpips.figure(NO_LPIPS),
            self.lmd.figure(no_face),
            self.correlated(&drawn, &filmed)?,
            self.without_face(),
        ];
        let no_lpips =
            if self.models.lpips.is_some() { "the lips are too small in the picture" } else { NO_LPIPS };
        figures.extend(self.mouth.figures(no_face, no_lpips));
        let no_seam = match self.seam_part {
            Some(_) => "the part has no edge in the frames",
            None => "the background is not the filmed one",
        };
        figures.extend([self.ring.figure(no_seam), self.step.figure(no_seam)]);
        report.push(name, self.drawn.len(), figures)?;
        Ok(report)
    }

    fn voice_report(&self, name: &str) -> Result<Report> {
        let mut report = Report::new(vec![
            Column::new("mouth_loudness_correlation", "mouth–loudness r", 3),
            Column::new("opening_in_speech", "opening in speech", 4),
            Column::new("opening_in_silence", "in silence", 4),
            Column::new("movement_in_silence", "movement in silence", 4),
            Column::new("without_face", "no face", 0),
        ]);
        let Some(loudness) = &self.loudness else {
            let missing = || Figure::missing("no sound beside the features");
            let figures = vec![missing(), missing(), missing(), missing(), self.without_face()];
            report.push(name, self.drawn.len(), figures)?;
            return Ok(report);
        };
        let seen: Vec<(f64, f32)> =
            self.drawn.iter().zip(loudness).filter_map(|(opening, db)| Some(((*opening)?, *db))).collect();
        let loudest = loudness.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let silence = (loudest - SILENCE_BELOW_DB).max(SILENT_DB);
        let (quiet, spoken): (Vec<_>, Vec<_>) = seen.iter().partition(|(_, db)| *db < silence);
        let mean = |part: &[(f64, f32)], why: &str| {
            let mut mean = Mean::default();
            part.iter().for_each(|(opening, _)| mean.add(*opening));
            mean.figure(if self.models.faces.is_some() { why } else { NO_LANDMARKER })
        };
        let mut movement = Mean::default();
        for (pair, db) in self.drawn.windows(2).zip(loudness.windows(2)) {
            if let ([Some(a), Some(b)], true) = (pair, db.iter().all(|db| *db < silence)) {
                movement.add((a - b).abs());
            }
        }
        let (openings, levels): (Vec<f64>, Vec<f64>) = seen.iter().map(|(o, db)| (*o, heard(*db))).unzip();
        report.push(
            name,
            self.drawn.len(),
            vec![
                self.correlated(&openings, &levels)?,
                mean(&spoken, "no speech"),
                mean(&quiet, "no silence"),
                movement.figure(if self.models.faces.is_some() { "no silence" } else { NO_LANDMARKER }),
                self.without_face(),
            ],
        )?;
        Ok(report)
    }

    fn correlated(&self, a: &[f64], b: &[f64]) -> Result<Figure> {
        if self.models.faces.is_none() {
            return Ok(Figure::missing(NO_LANDMARKER));
        }
        Ok(correlation(a, b)?.map_or_else(|| Figure::missing("nothing moves"), Figure::new))
    }

    fn without_face(&self) -> Figure {
        if self.models.faces.is_none() {
            return Figure::missing(NO_LANDMARKER);
        }
        Figure::new(self.drawn.iter().filter(|opening| opening.is_none()).count() as f64)
    }
}
