//! A small made-up dataset: a ball of a head that turns, on a neck, on shoulders.
#![allow(dead_code)] // each test file takes what it needs

use data_utils::audio::Sound;
use data_utils::camera::Camera;
use data_utils::dataset::write::{DatasetWriter, FrameRecord};
use data_utils::dataset::{Label, Points68};
use data_utils::formats::ply::PointCloud;
use image::{Rgb, RgbImage, Rgba, RgbaImage};
use rayon::prelude::*;
use std::path::Path;
use tempfile::TempDir;

pub const WIDTH: u32 = 48;
pub const HEIGHT: u32 = 40;
pub const FRAMES: u32 = 22;

/// A camera 0.7 before the origin, turned by a little more in each frame.
pub fn camera(id: u32) -> Camera {
    let (s, c) = (0.02 * f64::from(id) - 0.2).sin_cos();
    let pose = [[c, 0.0, s, 0.7 * s], [0.0, 1.0, 0.0, 0.0], [-s, 0.0, c, 0.7 * c], [0.0, 0.0, 0.0, 1.0]];
    Camera::from_opengl(&pose, 100.0, 24.0, 20.0, [WIDTH, HEIGHT])
}

/// A ball of a head on a neck on shoulders: label of a pixel of frame `id`.
pub fn label(x: u32, y: u32, id: u32) -> u8 {
    let (dx, dy) = (f64::from(x) - 23.5, f64::from(y) - 14.0);
    match dx.hypot(dy) {
        d if d < 4.0 && id % 2 == 1 => Label::HEAD | Label::FACE | Label::MOUTH,
        d if d < 8.0 => Label::HEAD | Label::FACE,
        d if d < 12.0 && dy < -8.0 => Label::HEAD | Label::HAIR,
        d if d < 12.0 => Label::HEAD,
        _ if y > 32 => Label::TORSO,
        _ if dx.abs() < 4.0 && y > 14 => Label::NECK,
        _ => 0,
    }
}

pub fn labels(id: u32) -> Vec<u8> {
    (0..WIDTH * HEIGHT).map(|i| label(i % WIDTH, i / WIDTH, id)).collect()
}

pub fn picture(id: u32) -> RgbImage {
    RgbImage::from_fn(WIDTH, HEIGHT, |x, y| match label(x, y, id) {
        0 => Rgb([20, 60, 120]),
        l if l & Label::HEAD != 0 => Rgb([200, 150, 120]),
        _ => Rgb([90, 60 + 3 * id as u8, 50]),
    })
}

pub fn landmarks(id: u32) -> Points68 {
    std::array::from_fn(|i| {
        let (s, c) = (i as f32 * 0.37 + id as f32 * 0.01).sin_cos();
        [23.5 + 7.0 * c, 14.0 + 7.0 * s]
    })
}

pub fn torso(id: u32) -> RgbaImage {
    let alpha = |x, y| if label(x, y, id) & (Label::TORSO | Label::NECK) != 0 { 255 } else { 0 };
    RgbaImage::from_fn(WIDTH, HEIGHT, |x, y| {
        let p = picture(id)[(x, y)].0;
        if alpha(x, y) == 0 { Rgba([0; 4]) } else { Rgba([p[0], p[1], p[2], 255]) }
    })
}

pub fn cloud() -> PointCloud {
    let at = |i: usize| std::array::from_fn(|k| ((i * (7 + 4 * k)) % 31) as f32 / 31.0 * 0.12 - 0.06);
    PointCloud {
        positions: (0..200).map(at).collect(),
        normals: Some(vec![[0.0, 0.0, 1.0]; 200]),
        colors: Some((0..200).map(|i| [i as u8, 100, 50]).collect()),
        faces: vec![[0, 1, 2], [5, 4, 3]],
    }
}

pub fn background() -> RgbImage {
    RgbImage::from_pixel(WIDTH, HEIGHT, Rgb([20, 60, 120]))
}

pub fn write(dir: &Path) {
    let writer = DatasetWriter::create(dir, &background()).expect("a writer");
    (0..FRAMES).into_par_iter().for_each(|id| {
        let record = FrameRecord {
            img_id: id,
            aud_id: id,
            camera: &camera(id),
            picture: &picture(id),
            labels: &labels(id),
            landmarks: Some(&landmarks(id)),
            torso: Some(&torso(id)),
        };
        writer.frame(&record).expect("a frame");
    });
    let rows: Vec<[f32; 52]> =
        (0..FRAMES).map(|i| std::array::from_fn(|c| (i * 52 + c as u32) as f32 / 1144.0)).collect();
    writer.blendshapes(&rows).expect("bs.npy");
    writer.points(&cloud()).expect("fused.ply");
    let samples = (0..FRAMES * 640).map(|i| (i as f32 * 0.3).sin() * 0.2).collect();
    writer.sound(&Sound { samples, rate: 16_000 }).expect("aud.wav");
    writer.finish().expect("transforms");
}

pub fn made() -> TempDir {
    let dir = tempfile::tempdir().expect("a temporary folder");
    write(dir.path());
    dir
}

/// A copy that may be broken.
pub fn copied(from: &Path) -> TempDir {
    fn copy(from: &Path, to: &Path) {
        for entry in std::fs::read_dir(from).expect("a folder").map(|e| e.expect("an entry")) {
            let target = to.join(entry.file_name());
            if entry.path().is_dir() {
                std::fs::create_dir(&target).expect("a folder");
                copy(&entry.path(), &target);
            } else {
                std::fs::copy(entry.path(), &target).expect("copied");
            }
        }
    }
    let dir = tempfile::tempdir().expect("a temporary folder");
    copy(from, dir.path());
    dir
}
