//! Writes a clip as a complete dataset in the normal layout.

use super::clip::SampleClip;
use super::element::Label;
use super::landmarks::landmarks;
use super::params::Params;
use super::render::{Region, TalkerFrame, backdrop, draw, render_frame};
use super::scene::{Talker, TalkerSurfels, camera};
use crate::raster::{RasterSettings, Rasterizer};
use crate::{Error, Result};
use data_utils::audio::write_wav;
use data_utils::dataset::write::{DatasetWriter, FrameRecord};
use data_utils::formats::ply::PointCloud;
use image::{Rgba, RgbaImage};
use rayon::prelude::*;
use std::path::Path;

/// Smallest and largest pictures that make sense.
const SIZES: std::ops::RangeInclusive<u32> = 32..=2048;

/// Writes everything a training needs into `dir`: pictures of `size` × `size`, masks, torso, landmarks, cameras,
/// blendshapes, the initial cloud, the backdrop and the sound. The first 10/11 of the frames are for training.
///
/// # Errors
/// [`Error::Input`] for a size out of bounds or a place that cannot be written to; those of the rasterizer.
pub fn write_dataset(
    dir: &Path,
    talker: &Talker,
    clip: &SampleClip,
    size: u32,
    rasterizer: &dyn Rasterizer,
) -> Result<()> {
    check_size(size)?;
    let plate = backdrop(talker, size);
    let writer = DatasetWriter::create(dir, &plate)?;
    clip.params.par_iter().enumerate().try_for_each(|(i, params)| {
        let surfels = talker.surfels(params);
        let frame = draw(&surfels, params, size, &plate, rasterizer)?;
        let torso = torso(&surfels, params, size, rasterizer)?;
        let id = u32::try_from(i).map_err(|_| Error::Internal("more frames than numbers".into()))?;
        writer.frame(&FrameRecord {
            img_id: id,
            aud_id: id,
            camera: &camera(params, size),
            picture: &frame.rgb,
            labels: &labels(&frame),
            landmarks: Some(&landmarks(params, size)),
            torso: Some(&torso),
        })
    })?;
    writer.blendshapes(&clip.blendshapes())?;
    writer.points(&points(talker))?;
    write_wav(&dir.join("aud.wav"), &clip.sound)?;
    writer.finish()
}

/// Ground truth of a clip, drawn: one frame after the other is handed to `take` with its number, in order.
///
/// # Errors
/// As [`write_dataset`], and what `take` returns.
pub fn truth(
    talker: &Talker,
    clip: &SampleClip,
    size: u32,
    rasterizer: &dyn Rasterizer,
    mut take: impl FnMut(usize, TalkerFrame) -> Result<()>,
) -> Result<()> {
    check_size(size)?;
    let plate = backdrop(talker, size);
    for (i, params) in clip.params.iter().enumerate() {
        take(i, render_frame(talker, params, size, &plate, rasterizer)?)?;
    }
    Ok(())
}

fn check_size(size: u32) -> Result<()> {
    if SIZES.contains(&size) {
        return Ok(());
    }
    Err(Error::input(
        "the size of the talker's pictures",
        format!("{} to {} pixels", SIZES.start(), SIZES.end()),
        size.to_string(),
        "choose another size",
    ))
}

/// The writer's label bits of every pixel.
pub(super) fn labels(frame: &TalkerFrame) -> Vec<u8> {
    use data_utils::dataset::Label as Bits;
    let bits = |(region, face): (&Region, &bool)| match region {
        Region::Background => 0,
        Region::Head if *face => Bits::HEAD | Bits::FACE,
        Region::Head => Bits::HEAD,
        Region::Neck => Bits::NECK,
        Region::Torso => Bits::TORSO,
    };
    frame.regions.iter().zip(&frame.face).map(bits).collect()
}

/// Neck and clothes alone, straight alpha; where the head hides them they are still there.
fn torso(all: &TalkerSurfels, params: &Params, size: u32, rasterizer: &dyn Rasterizer) -> Result<RgbaImage> {
    let body = only(all, |label| matches!(label, Label::Neck | Label::Torso));
    let drawn =
        rasterizer.forward(&body.batch(false), &[camera(params, size)], &RasterSettings::default())?;
    let pixels = (size * size) as usize;
    if drawn.color.len() != 3 * pixels || drawn.alpha.len() != pixels {
        return Err(Error::Internal("the rasterizer drew another size than asked for".into()));
    }
    Ok(RgbaImage::from_fn(size, size, |column, row| {
        let i = (row * size + column) as usize;
        let alpha = drawn.alpha[i];
        if alpha < 0.5 / 255.0 {
            return Rgba([0; 4]);
        }
        let straight =
            |k: usize| (drawn.color[k * pixels + i] / alpha * 255.0).round().clamp(0.0, 255.0) as u8;
        Rgba([straight(0), straight(1), straight(2), (alpha * 255.0).round().clamp(0.0, 255.0) as u8])
    }))
}

fn only(all: &TalkerSurfels, keep: impl Fn(Label) -> bool) -> TalkerSurfels {
    let mut out = TalkerSurfels::default();
    for (i, label) in all.labels.iter().enumerate().filter(|(_, l)| keep(**l)) {
        out.positions.extend(&all.positions[3 * i..3 * i + 3]);
        out.rotations.extend(&all.rotations[4 * i..4 * i + 4]);
        out.scales.extend(&all.scales[2 * i..2 * i + 2]);
        out.opacities.push(all.opacities[i]);
        out.colors.extend(&all.colors[3 * i..3 * i + 3]);
        out.memberships.extend(&all.memberships[4 * i..4 * i + 4]);
        out.labels.push(*label);
    }
    out
}

/// The head and the neck at rest as a cloud with normals and colours, metres: what a tracker's mesh would be.
fn points(talker: &Talker) -> PointCloud {
    let all = only(&talker.surfels(&Params::default()), |label| label != Label::Torso);
    let vertex = |v: &[f32]| [v[0], v[1], v[2]];
    let normal = |q: &[f32]| {
        let (w, x, y, z) = (q[0], q[1], q[2], q[3]);
        // Third column of the rotation, facing away from the inside of the head.
        [2.0 * (x * z + w * y), 2.0 * (y * z - w * x), 1.0 - 2.0 * (x * x + y * y)]
    };
    let positions: Vec<[f32; 3]> = all.positions.chunks_exact(3).map(vertex).collect();
    let normals = all
        .rotations
        .chunks_exact(4)
        .zip(&positions)
        .map(|(q, p)| {
            let n = normal(q);
            let outwards = n[0] * p[0] + n[1] * p[1] + n[2] * p[2] >= 0.0;
            n.map(|v| if outwards { v } else { -v })
        })
        .collect();
    let colors = all.colors.chunks_exact(3).map(|c| vertex(c).map(|v| (v * 255.0).round() as u8)).collect();
    PointCloud { positions, normals: Some(normals), colors: Some(colors), faces: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::super::sentences::Sentence;
    use super::*;
    use crate::raster::cpu::CpuRasterizer;
    use data_utils::dataset::{Dataset, Label as Bits, OpenOptions};

    #[test]
    fn what_is_written_opens_as_a_dataset() {
        let dir = tempfile::tempdir().unwrap();
        let talker = Talker::new(0);
        let mut clip = SampleClip::speak(&[Sentence::from_phonemes("M AA1 M").unwrap()], 3).unwrap();
        // Five frames are enough to see every file; the sound goes with them.
        clip.params.truncate(5);
        clip.sound.samples.truncate(5 * 640);
        let rasterizer = CpuRasterizer::<f32>::new();
        write_dataset(dir.path(), &talker, &clip, 64, &rasterizer).unwrap();
        let read = Dataset::open(dir.path(), &OpenOptions::default()).unwrap();
        assert_eq!(read.frames.len(), 5);
        for (frame, params) in read.frames.iter().zip(&clip.params) {
            let expected = camera(params, 64);
            let rows = frame.camera.camera_from_world.iter().flatten();
            for (a, b) in rows.zip(expected.camera_from_world.iter().flatten()) {
                assert!((a - b).abs() < 1e-9);
            }
            let shapes = params.blendshapes();
            for (a, b) in frame.expression.iter().zip(shapes) {
                assert!((a - b.clamp(0.0, 2.0) / 2.0).abs() < 1e-6);
            }
            let points = frame.landmarks.expect("landmarks were written");
            assert!((points[30][0] - landmarks(params, 64)[30][0]).abs() < 1e-3);
        }
        let pixels = read.pixels(2).unwrap();
        for bit in [Bits::HEAD, Bits::NECK, Bits::TORSO, Bits::FACE] {
            assert!(pixels.labels.iter().filter(|l| **l & bit != 0).count() > 30, "{bit}");
        }
        assert!(pixels.labels.iter().filter(|l| **l == 0).count() > 500);
        assert!(read.initial_points().unwrap().positions.len() > 8_000);
        assert!(read.has_torsos());
    }

    #[test]
    fn a_silly_size_is_refused_before_anything_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let talker = Talker::new(0);
        let clip = SampleClip::speak(&[Sentence::from_phonemes("AA1").unwrap()], 0).unwrap();
        let rasterizer = CpuRasterizer::<f32>::new();
        for size in [0, 7, 100_000] {
            let error = write_dataset(dir.path(), &talker, &clip, size, &rasterizer).unwrap_err();
            assert_eq!(error.exit_code(), 2);
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn the_cloud_is_the_head_and_its_normals_look_outwards() {
        let cloud = points(&Talker::new(0));
        let normals = cloud.normals.as_ref().expect("the cloud has normals");
        let nose = cloud.positions.iter().enumerate().filter(|(_, p)| p[2] > 0.09);
        let facing = nose.clone().filter(|(i, _)| normals[*i][2] > 0.0).count();
        assert!(facing > 10 && facing == nose.count());
        assert!(cloud.positions.iter().all(|p| p.iter().all(|v| v.abs() < 0.25)));
    }
}
