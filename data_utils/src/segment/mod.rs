//! Segmentation of a frame into head, neck, torso and background, without a network.
//!
//! [`Segmenter::learn`] learns from a clip once: the background as a [`plate`], and the colours of the person, of skin,
//! hair and clothes. [`Segmenter::labels`] then segments one frame, independently of all others, by graph cuts ([`cut`])
//! between those models along the picture's edges ([`person`], [`body`]), with the face's landmarks ([`regions`]) as
//! constraints.

pub mod bisenet;
pub mod body;
pub mod color;
pub mod cut;
pub mod evidence;
pub mod hairline;
pub mod person;
pub mod plate;
pub mod regions;
pub mod shapes;
pub mod still;

use crate::dataset::{Label, grow};
use crate::error::{Error, Result};
use crate::face::Landmarks;
use body::{BodyColors, BodyGatherer};
use color::{Histogram, Lab};
use evidence::BackgroundEvidence;
use image::RgbImage;
use person::{PersonColors, Priors, Trimap};
use plate::Plate;
use rayon::prelude::*;
use regions::FaceFrame;
use still::StillEdges;

/// Frames a clip is learned from, evenly spread; 64 frames of 512² take 50 MB.
const SAMPLES: usize = 64;
/// Rounds of segmenting the samples and learning from the result; the known background grows in each.
const ROUNDS: usize = 12;
/// Weight of the usual place of a person while the background is learned, and afterwards.
const PLACE: [f32; 2] = [0.6, 0.3];
/// Pixels around the person that are not counted as free, in a picture of 512.
const AROUND: f32 = 6.0;

/// The frames of a clip.
pub struct Clip<'a> {
    /// The face of each frame; none for frames that are not used.
    pub faces: &'a [Option<Landmarks>],
    /// Reads a frame; all have one size.
    pub read: &'a (dyn Fn(usize) -> Result<RgbImage> + Sync),
}

/// What was learned about a clip.
#[derive(Debug, Clone)]
pub struct Segmenter {
    plate: Plate,
    /// The background at half the size.
    coarse: Plate,
    colors: PersonColors,
    edges: StillEdges,
    /// At half the size; see [`Known::mirrored`].
    mirrored: Vec<f32>,
    body: BodyColors,
}

/// What is computed from one frame before it is segmented.
struct FrameFeatures {
    lab: Lab,
    face: Landmarks,
    frame: FaceFrame,
    trimap: Trimap,
}

impl FrameFeatures {
    /// None where the landmarks are no face.
    fn of(picture: &RgbImage, face: &Landmarks) -> Option<FrameFeatures> {
        let frame = FaceFrame::of(face)?;
        let lab = Lab::of(picture);
        let trimap = Trimap::of(face, &frame, lab.width, lab.height);
        Some(FrameFeatures { lab, face: face.clone(), frame, trimap })
    }
}

/// A frame that is learned from.
struct Sample {
    picture: RgbImage,
    /// The picture at half the size.
    small: RgbImage,
    view: FrameFeatures,
}

impl Segmenter {
    /// Learns a clip.
    ///
    /// # Errors
    /// [`Error::Input`] when no frame has a face or sizes differ; what reading a frame fails with.
    pub fn learn(clip: &Clip) -> Result<Segmenter> {
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
                "run process again with --task 2 --redo",
            ));
        }
        let [small_width, small_height] = [width.div_ceil(2), height.div_ceil(2)];
        let (pictures, samples): (Vec<RgbImage>, Vec<(RgbImage, FrameFeatures)>) =
            samples.into_iter().map(|s| (s.picture, (s.small, s.view))).unzip();
        let (smalls, samples): (Vec<RgbImage>, Vec<FrameFeatures>) = samples.into_iter().unzip();
        let mut inside: Vec<Vec<bool>> = samples.iter().map(seeds).collect();
        let mut outside: Vec<Vec<bool>> = samples.iter().map(|s| s.trimap.background.clone()).collect();
        let (mut sure, mut chest) = (Histogram::default(), Histogram::default());
        for (sample, inside) in samples.iter().zip(&inside) {
            for at in (0..inside.len()).filter(|at| inside[*at]) {
                sure.add(sample.lab.pixels[at], 1.0);
                if sample.trimap.low[at] == 1.0 {
                    chest.add(sample.lab.pixels[at], 1.0);
                }
            }
        }
        let [sure, chest] = [sure.costs(), chest.costs()];
        let around = ((AROUND * small_width.max(small_height) as f32 / 512.0).round() as usize).max(1);
        let places: Vec<FaceFrame> = samples.iter().map(|s| s.frame).collect();
        let edges =
            StillEdges::learn(&smalls, &samples.iter().map(|s| still::place(&s.face)).collect::<Vec<_>>());
        let known = samples.iter().map(|s| (&s.lab, &s.trimap, &s.frame));
        let evidence = BackgroundEvidence::gather(known, &sure);
        let labs: Vec<&Lab> = samples.iter().map(|s| &s.lab).collect();
        let (mut round, mut mirror) = (0, None);
        let (coarse, colors) = loop {
            let plate = Plate::learn(&smalls, &outside, small_width, small_height);
            let learned = samples.iter().zip(&inside).zip(&outside);
            let learned = learned.map(|((s, i), o)| (&s.lab, &s.trimap, i.as_slice(), o.as_slice()));
            let colors = PersonColors::learn(learned, [&sure, &chest]);
            if round == ROUNDS {
                break (plate, colors);
            }
            let priors = Priors {
                plate: &plate,
                colors: &colors,
                edges: Some(&edges),
                mirrored: mirror.as_deref(),
                place: PLACE[0],
            };
            inside = samples.par_iter().map(|s| person::segment(&s.lab, &priors, &s.trimap, None)).collect();
            outside = samples
                .par_iter()
                .zip(&inside)
                .map(|(s, m)| {
                    let free = grow(m, small_width as usize, around);
                    let seen = |at: usize| s.trimap.low[at] == 0.0 && edges.seen(at, s.lab.pixels[at]);
                    (0..m.len()).map(|at| !free[at] || (!m[at] && seen(at))).collect()
                })
                .collect();
            evidence.confirm(&labs, &inside, &mut outside);
            mirror = Some(mirrored(&inside, &places, small_width as usize));
            round += 1;
        };
        let mut gatherer = BodyGatherer::default();
        for (sample, person) in samples.iter().zip(&inside) {
            gatherer.add(&sample.lab, person, &sample.face, &sample.frame);
        }
        let mut body = gatherer.finish();
        let necks: Vec<Vec<bool>> = samples
            .par_iter()
            .zip(&inside)
            .map(|(s, person)| {
                let labels = body.divide(&s.lab, person, &s.face, &s.frame);
                labels.iter().map(|l| l & Label::NECK != 0).collect()
            })
            .collect();
        body.learn_usual_neck(&necks, small_width as usize);
        let outside: Vec<Vec<bool>> = outside
            .par_iter()
            .map(|m| shapes::doubled(m, small_width as usize, width as usize, height as usize))
            .collect();
        let plate = Plate::learn(&pictures, &outside, width, height);
        let mirrored = mirror.unwrap_or_default();
        Ok(Segmenter { plate, coarse, colors, edges, mirrored, body })
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
        // At half the size first, then along the border alone.
        let small = FrameFeatures::of(&halved(picture), &half(face));
        let (Some(view), Some(small)) = (FrameFeatures::of(picture, face), small) else { return Ok(None) };
        let priors = Priors {
            plate: &self.coarse,
            colors: &self.colors,
            edges: Some(&self.edges),
            mirrored: Some(&self.mirrored),
            place: PLACE[1],
        };
        let guess = person::segment(&small.lab, &priors, &small.trimap, None);
        let guess = shapes::doubled(&guess, small.lab.width, view.lab.width, view.lab.height);
        let priors = Priors { plate: &self.plate, edges: None, mirrored: None, ..priors };
        let person = person::segment(&view.lab, &priors, &view.trimap, Some(&guess));
        Ok(Some(self.body.divide(&view.lab, &person, face, &view.frame)))
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
        let picture = (clip.read)(*index)?;
        let small = halved(&picture);
        Ok(FrameFeatures::of(&small, &half(face)).map(|view| Sample { picture, small, view }))
    };
    let samples: Vec<Option<Sample>> = chosen.par_iter().map(read).collect::<Result<_>>()?;
    Ok(samples.into_iter().flatten().collect())
}

/// How often the person covers the mirror image of each pixel, about the upright line through the usual chin; a half
/// where that lies outside of the picture. `[height, width]`.
fn mirrored(masks: &[Vec<bool>], faces: &[FaceFrame], width: usize) -> Vec<f32> {
    let count = masks.first().map_or(0, Vec::len);
    let mut chins: Vec<f32> = faces.iter().map(|f| f.pixel([0.0, -0.5])[0]).collect();
    chins.sort_by(f32::total_cmp);
    let axis = chins.get(chins.len() / 2).copied().unwrap_or(width as f32 / 2.0);
    let share = |at: usize| masks.iter().filter(|m| m[at]).count() as f32 / masks.len().max(1) as f32;
    (0..count)
        .into_par_iter()
        .map(|at| {
            let other = (2.0 * axis - (at % width) as f32 - 1.0).round();
            let inside = other >= 0.0 && other < width as f32;
            if inside { share(at - at % width + other as usize) } else { 0.5 }
        })
        .collect()
}

/// Pixels that belong to the person before anything is learned: those that the trimap is certain of, the hair just above
/// the forehead and above the hairline, and the chest.
fn seeds(sample: &FrameFeatures) -> Vec<bool> {
    let width = sample.lab.width;
    let mut seeds: Vec<bool> = (0..sample.trimap.person.len())
        .map(|at| {
            let [right, up] = sample.frame.local([(at % width) as f32 + 0.5, (at / width) as f32 + 0.5]);
            sample.trimap.person[at]
                || ((0.5..0.62).contains(&up) && right.abs() < 0.3)
                || (up < -0.73 && right.abs() < 0.9)
        })
        .collect();
    hairline::above_hairline(&sample.lab, &sample.frame).into_iter().for_each(|at| seeds[at] = true);
    seeds
}

/// The picture at half the size, each pixel the mean of four.
fn halved(picture: &RgbImage) -> RgbImage {
    let (width, height) = picture.dimensions();
    RgbImage::from_fn(width.div_ceil(2), height.div_ceil(2), |x, y| {
        let of =
            |dx: u32, dy: u32| picture.get_pixel((2 * x + dx).min(width - 1), (2 * y + dy).min(height - 1)).0;
        let four = [of(0, 0), of(1, 0), of(0, 1), of(1, 1)];
        image::Rgb(std::array::from_fn(|k| {
            (four.iter().map(|p| u32::from(p[k])).sum::<u32>().div_ceil(4)).min(255) as u8
        }))
    })
}

/// The landmarks in the picture at half the size.
fn half(face: &Landmarks) -> Landmarks {
    Landmarks { points: face.points.iter().map(|p| p.map(|v| v / 2.0)).collect(), score: face.score }
}
