//! Writing a dataset folder in the layout that SyncTalk's preprocessing leaves behind.
//!
//! Pictures first, in any order and from any thread; [`DatasetWriter::finish`] writes `transforms_*.json` last, so
//! a folder that was not finished does not open as a dataset.

use super::landmarks::Points68;
use super::masks::Label;
use super::transforms::{self, Entry, Transforms};
use crate::audio::{self, Sound};
use crate::camera::Camera;
use crate::error::{Error, Result};
use crate::formats::npy;
use crate::formats::ply::{self, PointCloud};
use crate::media::files;
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder, RgbImage, RgbaImage};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// JPEG quality of the frames.
const QUALITY: u8 = 95;
/// Half the window of the blur on `*_face.png`, pixels, and its deviation (SyncTalk's `data_utils`).
const BLUR: (usize, f32) = (4, 4.0);

/// One frame to be written.
#[derive(Debug, Clone, Copy)]
pub struct FrameRecord<'a> {
    /// Number in the file names.
    pub img_id: u32,
    /// Row of the audio features.
    pub aud_id: u32,
    /// Where it is seen from; focal length and principal point are the same for all frames.
    pub camera: &'a Camera,
    /// The picture.
    pub picture: &'a RgbImage,
    /// Bits of [`Label`], `[height, width]`.
    pub labels: &'a [u8],
    /// 68 iBUG landmarks, column and row.
    pub landmarks: Option<&'a Points68>,
    /// Neck and torso alone, straight alpha.
    pub torso: Option<&'a RgbaImage>,
}

/// Writes one dataset.
#[derive(Debug)]
pub struct DatasetWriter {
    dir: PathBuf,
    background: RgbImage,
    poses: Mutex<BTreeMap<u32, (u32, Camera)>>,
}

impl DatasetWriter {
    /// Starts a dataset in `dir`, which is made, with the background plate all frames have (`bc.jpg`). An older
    /// dataset there is no longer one until [`DatasetWriter::finish`].
    ///
    /// # Errors
    /// [`Error::Input`] when the place cannot be written to.
    pub fn create(dir: &Path, background: &RgbImage) -> Result<Self> {
        std::fs::create_dir_all(dir).map_err(|e| Error::io(dir, "a place to write to", &e))?;
        for name in ["transforms_train.json", "transforms_val.json"] {
            let path = dir.join(name);
            match std::fs::remove_file(&path) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::io(&path, "a file that may be replaced", &e));
                }
                _ => {}
            }
        }
        let writer =
            DatasetWriter { dir: dir.into(), background: background.clone(), poses: Mutex::default() };
        writer.jpeg("bc.jpg", background)?;
        Ok(writer)
    }

    /// Writes the files of one frame: picture, landmarks, parsing with its face, face mask, torso, and the picture
    /// on the background plate (`gt_imgs`). May be called from many threads.
    ///
    /// # Errors
    /// [`Error::Internal`] when sizes or cameras disagree, [`Error::Input`] when the place cannot be written to.
    pub fn frame(&self, frame: &FrameRecord) -> Result<()> {
        let FrameRecord { img_id: id, picture, labels, .. } = *frame;
        let (width, height) = self.background.dimensions();
        let fits = picture.dimensions() == (width, height)
            && labels.len() == width as usize * height as usize
            && frame.torso.is_none_or(|t| t.dimensions() == (width, height))
            && (frame.camera.width, frame.camera.height) == (width, height);
        if !fits {
            return Err(Error::Internal(format!("frame {id} has another size than the background")));
        }
        self.pose(frame)?;
        self.jpeg(&format!("ori_imgs/{id}.jpg"), picture)?;
        if let Some(points) = frame.landmarks {
            let text: String = points.iter().map(|p| format!("{:.6} {:.6}\n", p[0], p[1])).collect();
            self.put(&format!("ori_imgs/{id}.lms"), text.as_bytes())?;
        }
        let colors: Vec<u8> = labels.iter().flat_map(|l| Label::to_color(*l)).collect();
        self.png(&format!("parsing/{id}.png"), &colors, ExtendedColorType::Rgb8)?;
        let face = face_picture(labels, width as usize);
        self.png(&format!("parsing/{id}_face.png"), &face, ExtendedColorType::Rgb8)?;
        let head: Vec<u8> =
            labels.iter().flat_map(|l| [if l & Label::HEAD != 0 { 255 } else { 0 }; 3]).collect();
        self.png(&format!("face_mask/{id}.png"), &head, ExtendedColorType::Rgb8)?;
        if let Some(torso) = frame.torso {
            self.png(&format!("torso_imgs/{id}.png"), torso.as_raw(), ExtendedColorType::Rgba8)?;
        }
        let mut composed = picture.clone();
        for ((pixel, behind), label) in composed.pixels_mut().zip(self.background.pixels()).zip(labels) {
            if *label == 0 {
                *pixel = *behind;
            }
        }
        self.jpeg(&format!("gt_imgs/{id}.jpg"), &composed)
    }

    /// Writes `bs.npy`: MediaPipe's 52 without `_neutral` and a zero at the end, a row for each frame number.
    ///
    /// # Errors
    /// [`Error::Input`] when the place cannot be written to.
    pub fn blendshapes(&self, rows: &[[f32; 52]]) -> Result<()> {
        npy::write(&self.dir.join("bs.npy"), &[rows.len(), 52], rows.as_flattened())
    }

    /// Writes `aud.wav`.
    ///
    /// # Errors
    /// As [`audio::write_wav`].
    pub fn sound(&self, sound: &Sound) -> Result<()> {
        audio::write_wav(&self.dir.join("aud.wav"), sound)
    }

    /// Writes `fused.ply`, in the unit of the cameras.
    ///
    /// # Errors
    /// As [`ply::write_points`].
    pub fn points(&self, cloud: &PointCloud) -> Result<()> {
        ply::write_points(&self.dir.join("fused.ply"), cloud)
    }

    /// Writes the poses: the first 10/11 of the frames for training, the rest held out.
    ///
    /// # Errors
    /// [`Error::Internal`] without any frame, [`Error::Input`] when the place cannot be written to.
    pub fn finish(self) -> Result<()> {
        let poses = self.poses.into_inner().unwrap_or_else(PoisonError::into_inner);
        let poses: Vec<(u32, u32, Camera)> =
            poses.iter().map(|(id, (row, camera))| (*id, *row, *camera)).collect();
        write_transforms(&self.dir, &poses).map(drop)
    }

    fn pose(&self, frame: &FrameRecord) -> Result<()> {
        let mut poses = self.poses.lock().unwrap_or_else(PoisonError::into_inner);
        let inner = |c: &Camera| [c.fx, c.fy, c.cx, c.cy];
        let other = poses.first_key_value().map_or(frame.camera, |(_, (_, camera))| camera);
        if inner(other) != inner(frame.camera) || frame.camera.fx != frame.camera.fy {
            return Err(Error::Internal(format!(
                "frame {} has another focal length or centre",
                frame.img_id
            )));
        }
        match poses.insert(frame.img_id, (frame.aud_id, *frame.camera)) {
            Some(_) => Err(Error::Internal(format!("frame {} written twice", frame.img_id))),
            None => Ok(()),
        }
    }

    fn jpeg(&self, name: &str, picture: &RgbImage) -> Result<()> {
        let mut bytes = Vec::new();
        let encoder = JpegEncoder::new_with_quality(&mut bytes, QUALITY);
        self.encoded(
            name,
            encoder.write_image(picture, picture.width(), picture.height(), ExtendedColorType::Rgb8),
            &bytes,
        )
    }

    fn png(&self, name: &str, pixels: &[u8], color: ExtendedColorType) -> Result<()> {
        let (width, height) = self.background.dimensions();
        let mut bytes = Vec::new();
        let done = PngEncoder::new(&mut bytes).write_image(pixels, width, height, color);
        self.encoded(name, done, &bytes)
    }

    fn encoded(&self, name: &str, done: image::ImageResult<()>, bytes: &[u8]) -> Result<()> {
        done.map_err(|e| Error::Internal(format!("{name}: {e}")))?;
        self.put(name, bytes)
    }

    /// Writes a file of a frame as a whole or not at all, without waiting for the disk: thousands of waits would
    /// take longer than making the pictures, and pictures that a power cut tore are seen when the dataset is opened.
    fn put(&self, name: &str, bytes: &[u8]) -> Result<()> {
        files::write_bytes_fast(&self.dir.join(name), bytes)
    }
}

/// Writes the poses of a dataset, frame number, row of the audio features and camera by rising number, all cameras
/// with one focal length and centre: the first 10/11 for training, the rest held out. How many each are.
///
/// # Errors
/// [`Error::Internal`] without any frame, [`Error::Input`] when the place cannot be written to.
pub fn write_transforms(dir: &Path, poses: &[(u32, u32, Camera)]) -> Result<[usize; 2]> {
    let Some((_, _, camera)) = poses.first() else {
        return Err(Error::Internal("a dataset without frames".into()));
    };
    let entry = |(id, row, camera): &(u32, u32, Camera)| Entry {
        img_id: *id,
        aud_id: Some(*row),
        transform_matrix: camera.to_opengl().iter().map(|r| r.to_vec()).collect(),
    };
    let mut entries: Vec<Entry> = poses.iter().map(entry).collect();
    let held_out = entries.split_off((entries.len() * 10 / 11).max(1));
    let counts = [entries.len(), held_out.len()];
    // The training file is what makes the folder a dataset, so it comes last.
    for (name, frames) in [("transforms_val.json", held_out), ("transforms_train.json", entries)] {
        let whole = Transforms { focal_len: camera.fx, cx: camera.cx + 0.5, cy: camera.cy + 0.5, frames };
        transforms::write(&dir.join(name), &whole)?;
    }
    Ok(counts)
}

/// The portrait mask: FACE blue on white, blurred 9×9, borders mirrored, `[height, width, 3]`.
pub fn face_picture(labels: &[u8], width: usize) -> Vec<u8> {
    let (radius, deviation) = BLUR;
    let height = labels.len().checked_div(width).unwrap_or(0);
    let mut kernel: Vec<f32> =
        (0..=2 * radius).map(|i| (-((i as f32 - radius as f32) / deviation).powi(2) / 2.0).exp()).collect();
    let sum: f32 = kernel.iter().sum();
    kernel.iter_mut().for_each(|k| *k /= sum);
    let mirrored = |i: usize, k: usize, length: usize| {
        // Position i + k − radius, reflected about the first and last pixel until it is inside.
        let mut at = i as isize + k as isize - radius as isize;
        let last = length as isize - 1;
        while last > 0 && (at < 0 || at > last) {
            at = if at < 0 { -at } else { 2 * last - at };
        }
        if last > 0 { at as usize } else { 0 }
    };
    let share: Vec<f32> = labels.iter().map(|l| if l & Label::FACE != 0 { 1.0 } else { 0.0 }).collect();
    let blurred = |source: &[f32], at: &dyn Fn(usize, usize, usize) -> usize| -> Vec<f32> {
        (0..source.len())
            .map(|i| {
                kernel
                    .iter()
                    .enumerate()
                    .map(|(k, weight)| weight * source[at(i / width, i % width, k)])
                    .sum()
            })
            .collect()
    };
    let rows = blurred(&share, &|y, x, k| y * width + mirrored(x, k, width));
    let both = blurred(&rows, &|y, x, k| mirrored(y, k, height) * width + x);
    let shade = |face: f32| (255.0 * (1.0 - face)).round().clamp(0.0, 255.0) as u8;
    both.into_iter().flat_map(|face| [shade(face), shade(face), 255]).collect()
}
