//! Which pixels are head, neck, torso and background, without a network for it.
//!
//! [`Parser::learn`] looks at a clip once: the background as a clean [`plate`], the colours of the person, of
//! skin, hair and clothes. [`Parser::labels`] then divides one frame, independently of all others, by graph cuts
//! ([`cut`]) between those models along the picture's edges ([`person`], [`body`]), held in place by the face's
//! landmarks ([`regions`]).

pub mod body;
pub mod color;
pub mod cut;
pub mod person;
pub mod plate;
pub mod regions;
pub mod shapes;

use crate::dataset::grow;
use crate::error::{Error, Result};
use crate::face::Landmarks;
use body::{BodyColors, BodyGatherer};
use color::{Histogram, Lab};
use image::RgbImage;
use person::{PersonColors, Trimap};
use plate::Plate;
use rayon::prelude::*;
use regions::FaceFrame;

/// Frames a clip is learned from, evenly spread; 64 frames of 512² take 50 MB.
const SAMPLES: usize = 64;
/// Rounds of dividing the samples and learning from the result; in each the background that is known grows.
const ROUNDS: usize = 8;
/// What the usual place of a person says while the background is learned, and in the end.
const PLACE: [f32; 2] = [0.6, 0.3];
/// Pixels around the person that are not counted as free, in a picture of 512.
const AROUND: f32 = 6.0;

/// The frames of a clip as the parser sees them.
pub struct Clip<'a> {
    /// The face of each frame; none where the frame is not to be learned from.
    pub faces: &'a [Option<Landmarks>],
    /// Reads a frame; all have one size.
    pub read: &'a (dyn Fn(usize) -> Result<RgbImage> + Sync),
}

/// What was learned about a clip.
#[derive(Debug, Clone)]
pub struct Parser {
    plate: Plate,
    colors: PersonColors,
    body: BodyColors,
}

/// A frame that is learned from.
struct Sample {
    picture: RgbImage,
    lab: Lab,
    face: Landmarks,
    frame: FaceFrame,
    trimap: Trimap,
}

impl Parser {
    /// Learns a clip.
    ///
    /// # Errors
    /// [`Error::Input`] when no frame has a face or sizes differ; what reading a frame fails with.
    pub fn learn(clip: &Clip) -> Result<Parser> {
        let samples = samples(clip)?;
        let Some(first) = samples.first() else {
            return Err(Error::input("the frames", "at least one with a face", "none", "use another video"));
        };
        let (width, height) = first.picture.dimensions();
        if let Some(other) = samples.iter().find(|s| s.picture.dimensions() != (width, height)) {
            let found = format!("{:?}", other.picture.dimensions());
            return Err(Error::input(
                "the frames",
                format!("{width}×{height} pixels"),
                found,
                "make the frames again",
            ));
        }
        let pictures: Vec<RgbImage> = samples.iter().map(|s| s.picture.clone()).collect();
        let mut inside: Vec<Vec<bool>> = samples.iter().map(seeds).collect();
        let mut outside: Vec<Vec<bool>> = samples.iter().map(|s| s.trimap.background.clone()).collect();
        let mut sure = Histogram::default();
        for (sample, inside) in samples.iter().zip(&inside) {
            let person = sample.lab.pixels.iter().zip(inside).filter(|(_, inside)| **inside);
            person.for_each(|(color, _)| sure.add(*color, 1.0));
        }
        let sure = sure.costs();
        let around = ((AROUND * width.max(height) as f32 / 512.0).round() as usize).max(1);
        let mut round = 0;
        let (plate, colors) = loop {
            let plate = Plate::learn(&pictures, &outside, width, height);
            let learned = samples.iter().zip(&inside).zip(&outside);
            let learned = learned.map(|((s, i), o)| (&s.lab, i.as_slice(), o.as_slice()));
            let colors = PersonColors::learn(learned, &sure);
            if round == ROUNDS {
                break (plate, colors);
            }
            let masks: Vec<Vec<bool>> = samples
                .par_iter()
                .map(|s| person::divide(&s.lab, &plate, &colors, &s.trimap, PLACE[0]))
                .collect();
            outside = masks
                .par_iter()
                .map(|m| grow(m, width as usize, around).iter().map(|v| !v).collect())
                .collect();
            inside = masks;
            round += 1;
        };
        let mut gatherer = BodyGatherer::default();
        for (sample, person) in samples.iter().zip(&inside) {
            gatherer.add(&sample.lab, person, &sample.face, &sample.frame);
        }
        Ok(Parser { plate, colors, body: gatherer.finish() })
    }

    /// The labels of one frame, bits of [`crate::dataset::Label`], `[height, width]`; none where the landmarks are
    /// no face.
    ///
    /// # Errors
    /// [`Error::Internal`] for a frame of another size than those learned from.
    pub fn labels(&self, picture: &RgbImage, face: &Landmarks) -> Result<Option<Vec<u8>>> {
        let (width, height) = self.plate.picture.dimensions();
        if picture.dimensions() != (width, height) {
            return Err(Error::Internal(format!(
                "a frame of {:?} for a plate of {width}×{height}",
                picture.dimensions()
            )));
        }
        let Some(frame) = FaceFrame::of(face) else { return Ok(None) };
        let lab = Lab::of(picture);
        let trimap = Trimap::of(face, &frame, lab.width, lab.height);
        let person = person::divide(&lab, &self.plate, &self.colors, &trimap, PLACE[1]);
        Ok(Some(self.body.divide(&lab, &person, face, &frame)))
    }

    /// The clean background.
    pub fn plate(&self) -> &Plate {
        &self.plate
    }
}

/// Frames evenly spread over those with a face.
fn samples(clip: &Clip) -> Result<Vec<Sample>> {
    let with_face: Vec<usize> = (0..clip.faces.len()).filter(|i| clip.faces[*i].is_some()).collect();
    let count = with_face.len().min(SAMPLES);
    let chosen: Vec<usize> = (0..count).map(|k| with_face[k * with_face.len() / count]).collect();
    let read = |index: &usize| -> Result<Option<Sample>> {
        let Some(face) = &clip.faces[*index] else { return Ok(None) };
        let Some(frame) = FaceFrame::of(face) else { return Ok(None) };
        let picture = (clip.read)(*index)?;
        let lab = Lab::of(&picture);
        let trimap = Trimap::of(face, &frame, lab.width, lab.height);
        Ok(Some(Sample { picture, lab, face: face.clone(), frame, trimap }))
    };
    let samples: Vec<Option<Sample>> = chosen.par_iter().map(read).collect::<Result<_>>()?;
    Ok(samples.into_iter().flatten().collect())
}

/// What is the person before anything is learned: the trimap's sure part and the hair just above the forehead.
fn seeds(sample: &Sample) -> Vec<bool> {
    let width = sample.lab.width;
    (0..sample.trimap.person.len())
        .map(|at| {
            let [right, up] = sample.frame.local([(at % width) as f32 + 0.5, (at / width) as f32 + 0.5]);
            sample.trimap.person[at] || ((0.5..0.62).contains(&up) && right.abs() < 0.3)
        })
        .collect()
}
