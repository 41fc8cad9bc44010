//! Stage 3: labels of every frame. Stage 4: the background plate. Stage 5: torso, face masks, and the frames on the
//! plate.

use super::context::Context;
use super::frames::{self, AT_ONCE, jpeg};
use super::landmarks;
use super::torso::torso;
use crate::dataset::{Label, grow, write::face_picture};
use crate::error::{Error, Result};
use crate::face::Landmarks;
use crate::media::pictures::read_picture;
use crate::segment::bisenet::BiSeNet;
use crate::segment::plate::Plate;
use crate::segment::{Clip, Segmenter};
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder, RgbImage};
use rayon::prelude::*;
use std::path::Path;

/// Most frames that the plate is made from.
const SAMPLES: usize = 96;
/// Pixels around the person that are not used as background, since traces of hair would show in the plate.
const AROUND: usize = 4;
/// Name of the background plate.
const PLATE: &str = "bc.jpg";
/// JPEG quality of the plate.
const QUALITY: u8 = 98;

/// Frames that are used, with their faces.
fn used(faces: &[Option<Landmarks>]) -> Vec<(usize, &Landmarks)> {
    faces.iter().enumerate().filter_map(|(i, f)| f.as_ref().map(|f| (i, f))).collect()
}

/// Name of the label map of a frame.
fn labels_name(index: usize) -> String {
    format!("parsing/{index}.png")
}

/// Writes `parsing/{i}.png` and `parsing/{i}_face.png`, and `teeth_mask/{i}.npy` where asked for.
///
/// # Errors
/// What reading frames and landmarks fails with.
pub fn parsing(context: &Context) -> Result<String> {
    let dir = context.dir();
    let faces = landmarks::read(dir)?;
    let read = |index: usize| frames::read_frame(dir, index);
    let wants_teeth = context.options.teeth_mask;
    let names = |index: usize| {
        (labels_name(index), format!("parsing/{index}_face.png"), format!("teeth_mask/{index}.npy"))
    };
    let is_done = |index: usize| {
        let (colors, portrait, teeth) = names(index);
        context.is_done(&colors) && context.is_done(&portrait) && (!wants_teeth || context.is_done(&teeth))
    };
    let used = used(&faces);
    let todo: Vec<&(usize, &Landmarks)> = used.iter().filter(|(index, _)| !is_done(*index)).collect();
    if todo.is_empty() {
        return Ok(format!("{} label maps that were there", used.len()));
    }
    // The network where its weights are given, otherwise a model learned from the clip itself.
    let network = context.options.parsing.as_deref().map(BiSeNet::open).transpose()?;
    let segmenter = match network {
        Some(_) => None,
        None => Some(Segmenter::learn(&Clip { faces: &faces, read: &read })?),
    };
    let label = |picture: &RgbImage, face: &Landmarks| match (&network, &segmenter) {
        (Some(network), _) => network.labels(picture, face),
        (None, Some(segmenter)) => segmenter.labels(picture, face),
        (None, None) => Err(Error::Internal("neither a network nor a model of the clip".into())),
    };
    let progress = context.progress("parsing", todo.len());
    let mut done = 0;
    for batch in todo.chunks(AT_ONCE) {
        batch.par_iter().try_for_each(|(index, face)| {
            let (colors, portrait, teeth) = names(*index);
            let picture = read(*index)?;
            let size = picture.dimensions();
            let labels = label(&picture, face)?
                .ok_or_else(|| Error::Internal(format!("frame {index} was judged good and has no face")))?;
            let shades = face_picture(&labels, picture.width() as usize);
            context.put(&portrait, &png(&shades, size, ExtendedColorType::Rgb8)?)?;
            if wants_teeth {
                context.put(&teeth, &mouth_file(&labels, size))?;
            }
            let plain = Label::HEAD | Label::NECK | Label::TORSO;
            let pixels: Vec<u8> = labels.iter().flat_map(|l| Label::to_color(l & plain)).collect();
            context.put(&colors, &png(&pixels, size, ExtendedColorType::Rgb8)?)
        })?;
        done += batch.len();
        progress.update(done as u64);
    }
    let how = if network.is_some() { "the network" } else { "clean plate, colours and graph cuts" };
    Ok(format!("{} label maps by {how}", used.len()))
}

/// The inside of the mouth as NumPy stores `bool[height, width]`.
fn mouth_file(labels: &[u8], (width, height): (u32, u32)) -> Vec<u8> {
    let mut header = format!("{{'descr': '|b1', 'fortran_order': False, 'shape': ({height}, {width}), }}");
    let unpadded = 10 + header.len() + 1;
    header.push_str(&" ".repeat(unpadded.next_multiple_of(64) - unpadded));
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(labels.iter().map(|l| u8::from(l & Label::MOUTH != 0)));
    bytes
}

/// Reads the label map of a frame.
pub fn read_labels(dir: &Path, index: usize) -> Result<Vec<u8>> {
    let path = dir.join(labels_name(index));
    let refuse = |found: String| {
        Error::input(
            path.display(),
            "a label map",
            found,
            "mend the file, or run process again with --task 3 --redo",
        )
    };
    let picture = read_picture(&path)?.to_rgb8();
    let labels: Option<Vec<u8>> = picture.pixels().map(|p| Label::of_color(p.0)).collect();
    labels.ok_or_else(|| refuse("colours that are no labels".into()))
}

/// Writes `bc.jpg`: the median of each pixel over the frames in which it is free, extrapolated smoothly elsewhere.
///
/// # Errors
/// What reading frames and labels fails with.
pub fn background(context: &Context) -> Result<String> {
    if context.is_kept(PLATE) {
        return Ok("changed or put in by hand".into());
    }
    let dir = context.dir();
    let faces = landmarks::read(dir)?;
    let used = used(&faces);
    let count = used.len().min(SAMPLES);
    let chosen: Vec<usize> = (0..count).map(|k| used[k * used.len() / count].0).collect();
    let samples: Vec<(RgbImage, Vec<bool>)> = chosen
        .par_iter()
        .map(|index| {
            let picture = frames::read_frame(dir, *index)?;
            let person: Vec<bool> = read_labels(dir, *index)?.iter().map(|l| *l != 0).collect();
            let free = grow(&person, picture.width() as usize, AROUND).iter().map(|p| !p).collect();
            Ok((picture, free))
        })
        .collect::<Result<_>>()?;
    let Some((width, height)) = samples.first().map(|s| s.0.dimensions()) else {
        return Err(Error::Internal("no frame is used".into()));
    };
    let (pictures, free): (Vec<RgbImage>, Vec<Vec<bool>>) = samples.into_iter().unzip();
    let plate = Plate::learn(&pictures, &free, width, height);
    context.put(PLATE, &jpeg(&plate.picture, QUALITY)?)?;
    let seen = plate.known.iter().filter(|k| **k).count() as f64 / plate.known.len().max(1) as f64;
    Ok(format!("{:.0} % of the background is seen in some frame", 100.0 * seen))
}

/// Writes `gt_imgs/{i}.jpg`, `torso_imgs/{i}.png` and `face_mask/{i}.png`.
///
/// # Errors
/// What reading frames and labels fails with.
pub fn torsos(context: &Context) -> Result<String> {
    let dir = context.dir();
    let faces = landmarks::read(dir)?;
    let path = dir.join(PLATE);
    let plate = read_picture(&path)?.to_rgb8();
    let used = used(&faces);
    let progress = context.progress("torso", used.len());
    let mut done = 0;
    for batch in used.chunks(AT_ONCE) {
        batch.par_iter().try_for_each(|(index, _)| {
            let (composed, body, mask) = (
                format!("gt_imgs/{index}.jpg"),
                format!("torso_imgs/{index}.png"),
                format!("face_mask/{index}.png"),
            );
            if [&composed, &body, &mask].into_iter().all(|name| context.is_done(name)) {
                return Ok(());
            }
            let mut picture = frames::read_frame(dir, *index)?;
            let labels = read_labels(dir, *index)?;
            if plate.dimensions() != picture.dimensions() {
                return Err(Error::input(
                    path.display(),
                    format!("a picture of {}×{}, the frames' size", picture.width(), picture.height()),
                    format!("{}×{}", plate.width(), plate.height()),
                    "mend the file, or run process again with --task 4 --redo",
                ));
            }
            for ((pixel, behind), label) in picture.pixels_mut().zip(plate.pixels()).zip(&labels) {
                if *label == 0 {
                    *pixel = *behind;
                }
            }
            let size = picture.dimensions();
            context.put(&composed, &jpeg(&picture, frames::QUALITY)?)?;
            let rgba = torso(&picture, &plate, &labels);
            context.put(&body, &png(rgba.as_raw(), size, ExtendedColorType::Rgba8)?)?;
            let head: Vec<u8> =
                labels.iter().flat_map(|l| [if l & Label::HEAD != 0 { 255 } else { 0 }; 3]).collect();
            context.put(&mask, &png(&head, size, ExtendedColorType::Rgb8)?)
        })?;
        done += batch.len();
        progress.update(done as u64);
    }
    Ok(format!("{} frames", used.len()))
}

/// Pixels as the bytes of a PNG file.
fn png(pixels: &[u8], (width, height): (u32, u32), color: ExtendedColorType) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    PngEncoder::new(&mut bytes)
        .write_image(pixels, width, height, color)
        .map_err(|e| Error::Internal(format!("a picture as PNG: {e}")))?;
    Ok(bytes)
}
