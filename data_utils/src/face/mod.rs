//! Faces in images, found and measured by MediaPipe's networks on the CPU, without MediaPipe.
//!
//! `face_landmarker.task` (Google, Apache-2.0, published with MediaPipe) is a zip archive of three TFLite
//! networks and a canonical face. [`FaceModels::landmarks`] does what MediaPipe's FaceLandmarker does in IMAGE
//! mode: detector on the whole image, a turned square around the face, landmarks in it. [`Tracker`] follows a
//! video and runs the detector only when the face is lost; MediaPipe's smoothing in VIDEO mode is left to the
//! caller, since it lags.

pub mod blendshapes;
pub mod blinks;
mod detector;
pub mod geometry;
pub mod graph;
pub mod ibug;
mod landmarks;
pub mod roi;
mod shapes;

pub use geometry::CanonicalFace;
pub use landmarks::{COUNT as LANDMARKS, Landmarks};

use crate::error::{Error, Result};
use crate::formats::tflite;
use crate::media::files::read_bounded;
use detector::Detector;
use graph::Graph;
use image::RgbImage;
use landmarks::Mesh;
use shapes::expect_shapes;
use std::io::{Cursor, Read};
use std::path::Path;

/// Largest bundle that is read; the real one has 3.8 MB.
const MAX_BYTES: u64 = 64 << 20;

/// The networks of `face_landmarker.task`; may be used by several threads at once.
#[derive(Debug)]
pub struct FaceModels {
    detector: Detector,
    mesh: Mesh,
    blendshapes: Graph,
    canonical: CanonicalFace,
}

impl FaceModels {
    /// Reads `face_landmarker.task`.
    ///
    /// # Errors
    /// [`Error::Input`] when the file is missing, is no such bundle, or a network in it is damaged or another.
    pub fn open(path: &Path) -> Result<Self> {
        let bytes = read_bounded(path, MAX_BYTES)?;
        let mut bundle = Bundle::open(&bytes, path)?;
        let (model, at) = bundle.network("face_detector.tflite")?;
        let detector = Detector::new(&model, &at)?;
        let (model, at) = bundle.network("face_landmarks_detector.tflite")?;
        let mesh = Mesh::new(&model, &at)?;
        let (model, at) = bundle.network("face_blendshapes.tflite")?;
        let blendshapes = Graph::new(&model, &at)?;
        let input = [1, blendshapes::LANDMARKS.len(), 2];
        expect_shapes(&blendshapes, &at, "blendshape network", &input, &[&[blendshapes::NAMES.len()]])?;
        let (bytes, at) = bundle.member("geometry_pipeline_metadata_landmarks.binarypb")?;
        let canonical = CanonicalFace::parse(&bytes, &at)?;
        Ok(FaceModels { detector, mesh, blendshapes, canonical })
    }

    /// The landmarks of the most certain face of an image; none where there is no face.
    ///
    /// # Errors
    /// [`Error::Input`] for an image without pixels.
    pub fn landmarks(&self, image: &RgbImage) -> Result<Option<Landmarks>> {
        Ok(self.landmarks_and_faces(image)?.0)
    }

    /// The landmarks of the most certain face of an image, and the boxes of all faces, the most certain first: left,
    /// top, right and bottom in pixels. The detector runs once for both.
    ///
    /// # Errors
    /// [`Error::Input`] for an image without pixels.
    pub fn landmarks_and_faces(&self, image: &RgbImage) -> Result<(Option<Landmarks>, Vec<[f32; 4]>)> {
        check(image)?;
        let found = self.detector.detect(image);
        let landmarks = found.region().and_then(|roi| self.mesh.read(image, &roi));
        Ok((landmarks, found.boxes()))
    }

    /// The landmarks of a face near where it was before; none when it is no longer there.
    ///
    /// # Errors
    /// [`Error::Input`] for an image without pixels.
    pub fn landmarks_near(&self, image: &RgbImage, previous: &Landmarks) -> Result<Option<Landmarks>> {
        check(image)?;
        Ok(self.mesh.read(image, &previous.region()))
    }

    /// The 52 expression coefficients of a face, 0..1, named by [`blendshapes::NAMES`]. The network subtracts
    /// the mean of the points and divides by their spread, so the image's size is of no account.
    ///
    /// # Errors
    /// [`Error::Internal`] for landmarks that are not 478 finite points.
    pub fn blendshapes(&self, landmarks: &Landmarks) -> Result<Vec<f32>> {
        if landmarks.points.len() != LANDMARKS
            || landmarks.points.as_flattened().iter().any(|v| !v.is_finite())
        {
            return Err(Error::Internal(format!("blendshapes of {} landmarks", landmarks.points.len())));
        }
        let mut outputs = self.blendshapes.run(|input| {
            input.iter_mut().zip(landmarks.for_blendshapes()).for_each(|(to, v)| *to = v);
        });
        outputs.pop().ok_or_else(|| Error::Internal("a blendshape network without output".into()))
    }

    /// The mean face that belongs to the landmarks.
    pub fn canonical(&self) -> &CanonicalFace {
        &self.canonical
    }
}

/// Follows one face through a video.
#[derive(Debug)]
pub struct Tracker<'a> {
    models: &'a FaceModels,
    last: Option<Landmarks>,
}

impl<'a> Tracker<'a> {
    /// A tracker that has not seen a face yet.
    pub fn new(models: &'a FaceModels) -> Self {
        Tracker { models, last: None }
    }

    /// The face in the next image: near where it last was, otherwise anywhere.
    ///
    /// # Errors
    /// [`Error::Input`] for an image without pixels.
    pub fn next(&mut self, image: &RgbImage) -> Result<Option<Landmarks>> {
        let near = match &self.last {
            Some(last) => self.models.landmarks_near(image, last)?,
            None => None,
        };
        self.last = match near {
            Some(face) => Some(face),
            None => self.models.landmarks(image)?,
        };
        Ok(self.last.clone())
    }
}

fn check(image: &RgbImage) -> Result<()> {
    if image.width() == 0 || image.height() == 0 {
        return Err(Error::input("an image", "pixels", "none", "check the image file"));
    }
    Ok(())
}

/// The members of a `.task` archive.
struct Bundle<'a> {
    archive: zip::ZipArchive<Cursor<&'a [u8]>>,
    path: &'a Path,
    /// No member is larger than the archive: they are stored, not compressed.
    limit: u64,
}

impl<'a> Bundle<'a> {
    fn open(bytes: &'a [u8], path: &'a Path) -> Result<Self> {
        let archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(|e| {
            Error::input(
                path.display(),
                "MediaPipe's face_landmarker.task, a zip archive",
                e.to_string(),
                "use the published face_landmarker.task",
            )
        })?;
        Ok(Bundle { archive, path, limit: bytes.len() as u64 })
    }

    /// A member's bytes, and how errors name it.
    fn member(&mut self, name: &str) -> Result<(Vec<u8>, String)> {
        let at = format!("{}: {name}", self.path.display());
        let refuse = |found: String| {
            Error::input(&at, "a stored member", found, "use the published face_landmarker.task")
        };
        let member = self.archive.by_name(name).map_err(|e| refuse(e.to_string()))?;
        let mut bytes = Vec::new();
        member.take(self.limit + 1).read_to_end(&mut bytes).map_err(|e| refuse(e.to_string()))?;
        if bytes.len() as u64 > self.limit {
            return Err(refuse("more bytes than the archive has".into()));
        }
        Ok((bytes, at))
    }

    fn network(&mut self, name: &str) -> Result<(tflite::Model, String)> {
        let (bytes, at) = self.member(name)?;
        Ok((tflite::parse(&bytes, &at)?, at))
    }
}
