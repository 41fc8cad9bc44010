//! Pictures of the report: twelve frames spread over the clip, as they are, with their labels, and with the mesh.

use super::frames::read_frame;
use super::landmarks::Verdicts;
use super::masks::read_labels;
use super::pose;
use crate::camera::Camera;
use crate::dataset::Label;
use crate::error::{Error, Result};
use crate::files;
use crate::formats::ply::{self, PointCloud};
use image::codecs::png::PngEncoder;
use image::imageops::{self, FilterType};
use image::{ExtendedColorType, ImageEncoder, Rgb, RgbImage};
use std::path::Path;

/// Frames on a sheet, across and down, and the side of each.
const SHEET: [u32; 2] = [4, 3];
const SIDE: u32 = 256;
/// Share of a label's colour over the picture.
const TINT: f32 = 0.4;
/// The most triangles whose edges are drawn.
const MOST_EDGES: usize = 6000;

/// The frames that are shown.
pub fn chosen(verdicts: &Verdicts) -> Vec<usize> {
    let good: Vec<usize> =
        verdicts.good().iter().enumerate().filter_map(|(i, good)| good.then_some(i)).collect();
    let count = (SHEET[0] * SHEET[1]) as usize;
    let last = good.len().saturating_sub(1);
    (0..count).filter_map(|k| good.get(k * last / (count - 1)).copied()).collect()
}

/// Writes `report/{crop,masks,mesh}.png`.
///
/// # Errors
/// What reading the dataset fails with.
pub fn write(dir: &Path, verdicts: &Verdicts) -> Result<()> {
    let cameras = pose::read(dir)?;
    let cloud = ply::read_points(&dir.join("fused.ply"))?;
    let frames = chosen(verdicts);
    let sheet = |name: &str, draw: &dyn Fn(usize, &mut RgbImage) -> Result<()>| -> Result<()> {
        let mut whole = RgbImage::new(SHEET[0] * SIDE, SHEET[1] * SIDE);
        for (k, index) in frames.iter().enumerate() {
            let mut picture = read_frame(dir, *index)?;
            draw(*index, &mut picture)?;
            let small = imageops::resize(&picture, SIDE, SIDE, FilterType::Triangle);
            let (x, y) = (k as u32 % SHEET[0] * SIDE, k as u32 / SHEET[0] * SIDE);
            imageops::replace(&mut whole, &small, x.into(), y.into());
        }
        let mut bytes = Vec::new();
        PngEncoder::new(&mut bytes)
            .write_image(whole.as_raw(), whole.width(), whole.height(), ExtendedColorType::Rgb8)
            .map_err(|e| Error::Internal(format!("{name}.png: {e}")))?;
        files::write_bytes(&dir.join("report").join(format!("{name}.png")), &bytes)
    };
    sheet("crop", &|_, _| Ok(()))?;
    sheet("masks", &|index, picture| tint(picture, &read_labels(dir, index)?))?;
    sheet("mesh", &|index, picture| {
        if let Some(camera) = cameras.get(index) {
            mesh(picture, &cloud, camera);
        }
        Ok(())
    })
}

fn tint(picture: &mut RgbImage, labels: &[u8]) -> Result<()> {
    for (pixel, label) in picture.pixels_mut().zip(labels) {
        let color = Label::to_color(*label);
        let mixed = |p: u8, c: u8| (f32::from(p) * (1.0 - TINT) + f32::from(c) * TINT) as u8;
        pixel.0 = std::array::from_fn(|k| mixed(pixel.0[k], color[k]));
    }
    Ok(())
}

/// Draws the edges of the triangles that face the camera.
fn mesh(picture: &mut RgbImage, cloud: &PointCloud, camera: &Camera) {
    let seen: Vec<[f64; 3]> = cloud.positions.iter().map(|p| camera.project(p.map(f64::from))).collect();
    let step = cloud.faces.len().div_ceil(MOST_EDGES).max(1);
    for face in cloud.faces.iter().step_by(step) {
        let corners: Vec<[f64; 3]> = face.iter().filter_map(|i| seen.get(*i as usize).copied()).collect();
        let [a, b, c] = corners.as_slice() else { continue };
        // Counter-clockwise from outside is clockwise where rows grow downwards.
        let area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]);
        if area < 0.0 && corners.iter().all(|p| p[2] > 0.0) {
            [(a, b), (b, c), (c, a)].into_iter().for_each(|(p, q)| line(picture, p, q));
        }
    }
}

fn line(picture: &mut RgbImage, p: &[f64; 3], q: &[f64; 3]) {
    let steps = (p[0] - q[0]).abs().max((p[1] - q[1]).abs()).ceil();
    if !(0.0..4096.0).contains(&steps) {
        return;
    }
    for k in 0..=steps as usize {
        let t = k as f64 / steps.max(1.0);
        let (x, y) = (p[0] + t * (q[0] - p[0]), p[1] + t * (q[1] - p[1]));
        if x >= 0.0 && y >= 0.0 && x < f64::from(picture.width()) && y < f64::from(picture.height()) {
            picture.put_pixel(x as u32, y as u32, Rgb([60, 255, 90]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twelve_good_frames_from_first_to_last_are_shown() {
        let verdicts = Verdicts { count: 100, left_out: Vec::new() };
        let shown = chosen(&verdicts);
        assert_eq!((shown.len(), shown[0], shown[11]), (12, 0, 99));
        assert!(chosen(&Verdicts { count: 0, left_out: Vec::new() }).is_empty());
    }

    #[test]
    fn triangles_that_face_away_are_not_drawn() {
        let camera = Camera::from_opengl(
            &[[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 0.0, 1.0]],
            64.0,
            32.0,
            32.0,
            [64, 64],
        );
        let positions = vec![[-0.2, -0.2, 0.0], [0.2, -0.2, 0.0], [0.0, 0.2, 0.0]];
        let drawn = |face: [u32; 3]| {
            let cloud =
                PointCloud { positions: positions.clone(), normals: None, colors: None, faces: vec![face] };
            let mut picture = RgbImage::new(64, 64);
            mesh(&mut picture, &cloud, &camera);
            picture.pixels().filter(|p| p.0 != [0; 3]).count()
        };
        assert!(drawn([0, 1, 2]) > 30);
        assert_eq!(drawn([0, 2, 1]), 0);
    }
}
