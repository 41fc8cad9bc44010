//! How a cloud starts: from points, one surfel each.
//!
//! Scales follow 3DGS (Kerbl et al. 2023, §5.1): the root of the mean squared distance to the three nearest
//! points, the same along both tangents. Discs lie on the surface where the points have normals or triangles.
//! All lengths are in the unit of the points, and every bound is relative to the size of the cloud, so metres
//! and decimetres start alike.

use crate::head::cloud::quaternion;
use crate::head::cloud::surfels::{Cloud, EMBEDDING};
use crate::{Error, Result};
use data_utils::formats::ply::PointCloud;
use kiddo::{ImmutableKdTree, SquaredEuclidean};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use rayon::prelude::*;
use std::collections::HashSet;
use std::num::NonZero;

/// Value of the first spherical harmonic, 1 / (2√π).
pub const SH_C0: f32 = 0.282_094_8;
/// Smallest and largest starting scale, as a part of [`extent`].
const SCALE_RANGE: [f32; 2] = [1e-4, 0.1];
/// Scale, in the unit of the points, where they say nothing about a size (one point, or all in one place).
const SCALE_OF_NOTHING: f32 = 0.01;

/// The points a cloud starts from.
#[derive(Debug, Clone, Copy, Default)]
pub struct Points<'a> {
    /// Where they are.
    pub positions: &'a [[f32; 3]],
    /// Surface normals of any length, one per point; zero where there is none.
    pub normals: Option<&'a [[f32; 3]]>,
    /// RGB, one per point.
    pub colors: Option<&'a [[u8; 3]]>,
    /// Triangles as indices into the points; they give normals when [`Points::normals`] is absent.
    pub faces: &'a [[u32; 3]],
}

impl<'a> From<&'a PointCloud> for Points<'a> {
    fn from(cloud: &'a PointCloud) -> Self {
        Points {
            positions: &cloud.positions,
            normals: cloud.normals.as_deref(),
            colors: cloud.colors.as_deref(),
            faces: &cloud.faces,
        }
    }
}

/// What the cloud starts with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InitOptions {
    /// Degree of the spherical harmonics, 0..=3.
    pub sh_degree: usize,
    /// Points above this number are thinned out, evenly in space.
    pub max_points: usize,
    /// Opacity of every surfel, in 0..1 without the ends.
    pub opacity: f32,
    /// Seed of the thinning.
    pub seed: u64,
}

impl Default for InitOptions {
    fn default() -> Self {
        InitOptions { sh_degree: 3, max_points: 50_000, opacity: 0.1, seed: 0 }
    }
}

/// One surfel for each point, or for `max_points` of them spread evenly in space. Embeddings are zero.
///
/// # Errors
/// [`Error::Input`] when there is no point, one is not finite, or an option is out of range;
/// [`Error::Internal`] when normals, colours or faces do not belong to the points.
pub fn from_points(points: &Points<'_>, options: &InitOptions) -> Result<Cloud> {
    check(points, options)?;
    let normals = match points.normals {
        Some(normals) => Some(normals.to_vec()),
        None if points.faces.is_empty() => None,
        None => Some(vertex_normals(points.positions, points.faces)),
    };
    let chosen = spread(points.positions, options.max_points, options.seed);
    let positions: Vec<[f32; 3]> = chosen.iter().map(|&i| points.positions[i as usize]).collect();
    let scales = neighbour_scales(&positions)?;

    let (n, bands) = (positions.len(), (options.sh_degree + 1).pow(2));
    let mut cloud = Cloud {
        sh_degree: options.sh_degree,
        positions: positions.into_iter().flatten().collect(),
        rotations: Vec::with_capacity(n * 4),
        log_scales: scales.iter().flat_map(|s| [s.ln(); 2]).collect(),
        opacity_logits: vec![logit(options.opacity); n],
        harmonics: vec![0.0; n * bands * 3],
        embedding: vec![0.0; n * EMBEDDING],
        mouth: crate::head::cloud::Mouth::default(),
    };
    for (row, &source) in chosen.iter().enumerate() {
        let normal = normals.as_ref().map_or([0.0; 3], |normals| normals[source as usize]);
        cloud.rotations.extend(quaternion::facing(normal));
        if let Some(colors) = points.colors {
            for (channel, &value) in colors[source as usize].iter().enumerate() {
                cloud.harmonics[row * bands * 3 + channel] = (value as f32 / 255.0 - 0.5) / SH_C0;
            }
        }
    }
    Ok(cloud)
}

/// Size of a cloud: the distance from the mean position within which 99 of 100 surfels lie. `positions` is
/// `[n, 3]`; 0 for an empty cloud. Learning rates and density control are measured by it.
pub fn extent(positions: &[f32]) -> f32 {
    let n = positions.len() / 3;
    if n == 0 {
        return 0.0;
    }
    let mut mean = [0.0f64; 3];
    for p in positions.chunks_exact(3) {
        (0..3).for_each(|k| mean[k] += p[k] as f64 / n as f64);
    }
    let mut distances: Vec<f64> = positions
        .chunks_exact(3)
        .map(|p| (0..3).map(|k| (p[k] as f64 - mean[k]).powi(2)).sum::<f64>().sqrt())
        .collect();
    distances.sort_by(f64::total_cmp);
    distances[(n * 99).div_ceil(100) - 1] as f32
}

/// Logit of a probability.
pub fn logit(p: f32) -> f32 {
    (p / (1.0 - p)).ln()
}

fn check(points: &Points<'_>, options: &InitOptions) -> Result<()> {
    let n = points.positions.len();
    let at = "the initial cloud";
    if n == 0 {
        return Err(Error::input(
            at,
            "at least one point",
            "none",
            "give a cloud with points, or none at all",
        ));
    }
    if n > u32::MAX as usize {
        return Err(Error::input(at, "fewer than 2^32 points", format!("{n}"), "thin the cloud out"));
    }
    if let Some(i) = points.positions.iter().position(|p| !p.iter().all(|v| v.is_finite())) {
        let found = format!("{:?} at point {i}", points.positions[i]);
        return Err(Error::input(at, "finite positions", found, "repair the cloud"));
    }
    if options.max_points == 0 {
        return Err(Error::input("--max_points", "at least 1", "0", "allow some surfels"));
    }
    if options.sh_degree > 3 {
        let found = options.sh_degree.to_string();
        return Err(Error::input("sh_degree", "0, 1, 2 or 3", found, "choose one of these"));
    }
    if !(options.opacity > 0.0 && options.opacity < 1.0) {
        let found = options.opacity.to_string();
        return Err(Error::input("init_opacity", "a number between 0 and 1", found, "0.1 is usual"));
    }
    let normals = points.normals.is_some_and(|v| v.len() != n);
    let colors = points.colors.is_some_and(|v| v.len() != n);
    if normals || colors || points.faces.iter().flatten().any(|&i| i as usize >= n) {
        return Err(Error::Internal("normals, colours or faces that do not belong to the points".into()));
    }
    Ok(())
}

/// Area-weighted normals of the vertices of a triangle mesh, not normalised.
fn vertex_normals(positions: &[[f32; 3]], faces: &[[u32; 3]]) -> Vec<[f32; 3]> {
    let mut normals = vec![[0.0f32; 3]; positions.len()];
    for face in faces {
        let [a, b, c] = face.map(|i| positions[i as usize]);
        let (u, v): ([f32; 3], [f32; 3]) =
            (std::array::from_fn(|k| b[k] - a[k]), std::array::from_fn(|k| c[k] - a[k]));
        let cross = [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]];
        for &i in face {
            (0..3).for_each(|k| normals[i as usize][k] += cross[k]);
        }
    }
    normals
}

/// Indices of at most `limit` points, ascending. Thinning goes from coarse to fine: the first point of a shuffled
/// order in every newly filled cell of a 1³, 2³, 4³, … grid, until the limit is reached, which keeps the spacing
/// even where the points were dense.
fn spread(positions: &[[f32; 3]], limit: usize, seed: u64) -> Vec<u32> {
    let mut order: Vec<u32> = (0..positions.len() as u32).collect();
    if positions.len() <= limit {
        return order;
    }
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    for i in (1..order.len()).rev() {
        let j = random.next_u64() % (i as u64 + 1);
        order.swap(i, j as usize);
    }
    let (low, high) = bounds(positions);
    let side = (0..3).map(|k| high[k] - low[k]).fold(f32::MIN_POSITIVE, f32::max);
    let mut chosen = Vec::with_capacity(limit);
    // Finer than 2^20 cells a side, f32 positions can no longer be told apart.
    for level in 0..=20 {
        let cells = (1u32 << level) as f32;
        let cell = |i: u32| -> [u32; 3] {
            let p = positions[i as usize];
            std::array::from_fn(|k| ((p[k] - low[k]) / side * cells).min(cells - 1.0) as u32)
        };
        let mut filled: HashSet<[u32; 3]> = chosen.iter().map(|&i| cell(i)).collect();
        let mut rest = Vec::with_capacity(order.len());
        for &i in &order {
            if chosen.len() < limit && filled.insert(cell(i)) { chosen.push(i) } else { rest.push(i) }
        }
        order = rest;
        if chosen.len() == limit {
            break;
        }
    }
    // Points in the same place: any of them will do.
    chosen.extend(order.iter().take(limit - chosen.len()));
    chosen.sort_unstable();
    chosen
}

fn bounds(positions: &[[f32; 3]]) -> ([f32; 3], [f32; 3]) {
    positions.iter().fold(([f32::INFINITY; 3], [f32::NEG_INFINITY; 3]), |(low, high), p| {
        (std::array::from_fn(|k| low[k].min(p[k])), std::array::from_fn(|k| high[k].max(p[k])))
    })
}

fn neighbour_scales(positions: &[[f32; 3]]) -> Result<Vec<f32>> {
    let flat: Vec<f32> = positions.iter().flatten().copied().collect();
    let size = extent(&flat);
    if size <= 0.0 {
        return Ok(vec![SCALE_OF_NOTHING; positions.len()]);
    }
    let tree: ImmutableKdTree<f32, 3> = ImmutableKdTree::new_from_slice(positions)
        .map_err(|e| Error::Internal(format!("k-d tree of the initial cloud: {e}")))?;
    // Four, because the nearest point to a point is itself.
    let four = NonZero::new(4usize).expect("four is not zero");
    let scale = |(i, p): (usize, &[f32; 3])| {
        let found = tree.query(p).nearest_n::<SquaredEuclidean<f32>>(four).execute();
        let others = found.iter().filter(|r| r.item as usize != i).take(3);
        let (sum, count) = others.fold((0.0f32, 0u32), |(s, c), r| (s + r.distance, c + 1));
        (sum / count.max(1) as f32).sqrt().clamp(SCALE_RANGE[0] * size, SCALE_RANGE[1] * size)
    };
    Ok(positions.par_iter().enumerate().map(scale).collect())
}

#[cfg(test)]
#[path = "init_tests.rs"]
mod tests;
