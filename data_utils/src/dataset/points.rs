//! An initial cloud where a dataset brings none: points inside the silhouettes that all cameras see.
//!
//! The middle is the point nearest to the rays through the centres of the masks, with a weak pull to the origin
//! (trackers put the head there), which decides the depth where all cameras look the same way. A grid in the
//! sphere that the masks span is kept where nearly all views show head or neck.

use super::folder::Dataset;
use super::masks::Label;
use crate::camera::Camera;
use crate::error::{Error, Result};
use crate::formats::ply::PointCloud;
use rayon::prelude::*;

/// Views looked at, evenly over the training frames.
const VIEWS: usize = 24;
/// Points aimed at.
const POINTS: usize = 20_000;
/// Share of the views that must see head or neck at a point.
const MOST: f64 = 0.9;
/// Pull to the origin against one ray's pull to itself.
const ORIGIN: f64 = 0.01;
/// Grid cells along an edge of the cube, first try and most.
const CELLS: [usize; 2] = [48, 192];

/// One view: where it stands, which pixels show head or neck, and their colours.
struct View {
    camera: Camera,
    inside: Vec<bool>,
    rgb: Vec<u8>,
    /// Direction through the centre of the mask.
    ray: [f64; 3],
    /// Half the larger side of the mask's bounds over the focal length.
    spread: f64,
}

impl Dataset {
    /// The cloud training begins with, in the unit of the cameras.
    ///
    /// # Errors
    /// [`Error::Input`] where neither a cloud nor masks give one.
    pub fn initial_points(&self) -> Result<PointCloud> {
        match &self.cloud {
            Some(cloud) => Ok(cloud.clone()),
            None => from_masks(self),
        }
    }
}

/// About 20,000 points inside head and neck, with colours; no normals.
fn from_masks(dataset: &Dataset) -> Result<PointCloud> {
    let train = dataset.train_indices().len();
    let count = VIEWS.min(train);
    let views: Vec<Option<View>> =
        (0..count).into_par_iter().map(|k| view(dataset, k * train / count)).collect::<Result<_>>()?;
    let views: Vec<View> = views.into_iter().flatten().collect();
    let fail = |found: &str| {
        Error::input(
            dataset.dir().join("fused.ply").display(),
            "a cloud, or masks and cameras to make one from",
            found,
            "add fused.ply, or check parsing and transforms_*.json",
        )
    };
    let middle = meeting_point(&views).ok_or_else(|| fail("no mask of a head"))?;
    let depths = views.iter().map(|v| v.camera.project(middle)[2]);
    if depths.clone().any(|d| d.is_nan() || d <= 0.0) {
        return Err(fail("cameras that do not look at one place"));
    }
    let radius = 1.1 * views.iter().zip(depths).map(|(v, d)| v.spread * d).fold(0.0, f64::max);
    let mut cells = CELLS[0];
    let first = fill(&views, middle, radius, cells);
    if first.positions.is_empty() {
        return Err(fail("masks that have no place in common"));
    }
    let finer = (POINTS as f64 / first.positions.len() as f64).cbrt();
    cells = ((cells as f64 * finer).round() as usize).clamp(2, CELLS[1]);
    Ok(Some(fill(&views, middle, radius, cells)).filter(|c| !c.positions.is_empty()).unwrap_or(first))
}

fn view(dataset: &Dataset, index: usize) -> Result<Option<View>> {
    let pixels = dataset.pixels(index)?;
    let camera = dataset.frames[index].camera;
    let inside: Vec<bool> = pixels.labels.iter().map(|l| l & (Label::HEAD | Label::NECK) != 0).collect();
    let (w, h) = (pixels.width as usize, pixels.height as usize);
    let columns: Vec<usize> = (0..w).filter(|x| (0..h).any(|y| inside[y * w + x])).collect();
    let rows: Vec<usize> = (0..h).filter(|y| (0..w).any(|x| inside[y * w + x])).collect();
    let (Some(&x0), Some(&x1), Some(&y0), Some(&y1)) =
        (columns.first(), columns.last(), rows.first(), rows.last())
    else {
        return Ok(None);
    };
    let direction = [
        ((x0 + x1) as f64 / 2.0 - camera.cx) / camera.fx,
        ((y0 + y1) as f64 / 2.0 - camera.cy) / camera.fy,
        1.0,
    ];
    let m = &camera.camera_from_world;
    let world: [f64; 3] = std::array::from_fn(|k| (0..3).map(|r| m[r][k] * direction[r]).sum());
    let length = world.iter().map(|c| c * c).sum::<f64>().sqrt();
    let spread = (x1 - x0 + 1).max(y1 - y0 + 1) as f64 / 2.0 / camera.fx;
    Ok(Some(View { camera, inside, rgb: pixels.rgb.clone(), ray: world.map(|c| c / length), spread }))
}

/// Least squares: Σ |(I − d dᵀ)(p − c)|² + `ORIGIN` · n · |p|² over all rays (c, d).
fn meeting_point(views: &[View]) -> Option<[f64; 3]> {
    let n = views.len() as f64;
    let mut a = [[0.0; 3]; 3];
    let mut b = [0.0; 3];
    for view in views {
        let c = view.camera.center();
        for i in 0..3 {
            for j in 0..3 {
                let p = f64::from(i == j) - view.ray[i] * view.ray[j];
                a[i][j] += p;
                b[i] += p * c[j];
            }
        }
    }
    (0..3).for_each(|k| a[k][k] += ORIGIN * n);
    // Cramer's rule; the matrix is positive definite as soon as there is a view.
    let det = |m: &[[f64; 3]; 3]| {
        m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1]) - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0])
            + m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0])
    };
    let whole = det(&a);
    (n > 0.0 && whole.abs() > 0.0).then(|| {
        std::array::from_fn(|k| {
            let mut replaced = a;
            (0..3).for_each(|r| replaced[r][k] = b[r]);
            det(&replaced) / whole
        })
    })
}

/// The points of a grid of `cells`³ that lie in the sphere and inside nearly all masks, with their mean colour.
fn fill(views: &[View], middle: [f64; 3], radius: f64, cells: usize) -> PointCloud {
    let place = |i: usize| ((i as f64 + 0.5) / cells as f64 * 2.0 - 1.0) * radius;
    let slices: Vec<Vec<([f32; 3], [u8; 3])>> = (0..cells)
        .into_par_iter()
        .map(|z| {
            let mut kept = Vec::new();
            for (y, x) in (0..cells).flat_map(|y| (0..cells).map(move |x| (y, x))) {
                let offset = [place(x), place(y), place(z)];
                if offset.iter().map(|c| c * c).sum::<f64>() <= radius * radius {
                    let p = std::array::from_fn(|k| middle[k] + offset[k]);
                    kept.extend(color_at(views, p).map(|color| (p.map(|c| c as f32), color)));
                }
            }
            kept
        })
        .collect();
    let (positions, colors): (Vec<_>, Vec<_>) = slices.into_iter().flatten().unzip();
    PointCloud { positions, normals: None, colors: Some(colors), faces: Vec::new() }
}

fn color_at(views: &[View], p: [f64; 3]) -> Option<[u8; 3]> {
    let mut sum = [0u32; 3];
    let mut hits = 0u32;
    for view in views {
        let [column, row, depth] = view.camera.project(p);
        let (x, y) = (column.round(), row.round());
        let (w, h) = (view.camera.width, view.camera.height);
        if depth <= 0.0 || x < 0.0 || y < 0.0 || x >= f64::from(w) || y >= f64::from(h) {
            continue;
        }
        let at = y as usize * w as usize + x as usize;
        if view.inside[at] {
            hits += 1;
            (0..3).for_each(|c| sum[c] += u32::from(view.rgb[at * 3 + c]));
        }
    }
    (hits > 0 && f64::from(hits) >= MOST * views.len() as f64).then(|| sum.map(|s| (s / hits) as u8))
}
