//! The Basel Face Model of 2009 (Paysan et al., "A 3D Face Model for Pose and Illumination Invariant Face
//! Recognition", AVSS 2009) with the expressions and the markup that talking-head trackers use beside it: a folder with
//! `01_MorphableModel.mat` (shapeMU `[3·V, 1]`, shapePC `[3·V, modes]`, shapeEV `[modes, 1]`, micrometres) and three
//! dicts of arrays: `exp_info.npy` (mu_exp `[3·n]`, base_exp `[modes, 3·n]`, sig_exp `[modes]`), `topology_info.npy`
//! (sub_inds `[n]`: the vertices that the expressions move) and `keys_info.npy` (keyinds `[68]`: the iBUG points among
//! those).
//!
//! MediaPipe's 468 landmarks are placed on it by the 51 iBUG points inside the face, which both models have: MediaPipe's
//! canonical face is warped until these points coincide (an affine map, then a smooth Gaussian process), and each
//! landmark is assigned the vertex nearest to its warped position.

use super::math::{Cholesky, V3, add, dot, length, scale, sub};
use super::mobility;
use super::model::{Basis, FaceModel, POINTS};
use crate::error::{Error, Result};
use crate::face::{CanonicalFace, ibug};
use crate::formats::npy::NpyArray;
use crate::formats::{mat, npy_dict};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Names of the files.
pub(super) const SHAPE: &str = "01_MorphableModel.mat";
const OTHERS: [&str; 3] = ["exp_info.npy", "topology_info.npy", "keys_info.npy"];
/// The model's unit, metres.
const UNIT: f64 = 1e-6;
/// Identity modes that are used; as many as other trackers for talking heads use.
const IDENTITY_MODES: usize = 100;
/// iBUG points inside the face: those of the jaw are not the same points of the skin.
const INNER: std::ops::Range<usize> = 17..68;
/// Length scale of the warp of the canonical face, metres, and the share of its variance that counts as noise.
const BEND: f64 = 0.04;
const NOISE: f64 = 0.01;

/// Arrays of one file.
struct Arrays {
    path: PathBuf,
    arrays: BTreeMap<String, NpyArray>,
}

impl Arrays {
    fn refuse(&self, expected: impl Into<String>, found: impl Into<String>) -> Error {
        let remedy = "use the published BFM-2009 with the npy files of the tracker it came with";
        Error::input(self.path.display(), expected, found, remedy)
    }

    /// The array `name`, checked: finite values, and a length that `count` accepts.
    fn get(&self, name: &str, count: impl Fn(usize) -> bool) -> Result<&NpyArray> {
        let array = self.arrays.get(name).ok_or_else(|| self.refuse(format!("an array `{name}`"), "none"))?;
        if !count(array.data.len()) || array.data.iter().any(|v| !v.is_finite()) {
            let found = format!("shape {:?}, or numbers that are not finite", array.shape);
            return Err(self.refuse(format!("finite numbers `{name}` that fit the other arrays"), found));
        }
        Ok(array)
    }

    /// Indices below `end`.
    fn indices(&self, name: &str, count: impl Fn(usize) -> bool, end: usize) -> Result<Vec<usize>> {
        let array = self.get(name, count)?;
        let fits = |v: &f32| *v >= 0.0 && v.fract() == 0.0 && (*v as usize) < end;
        if !array.data.iter().all(fits) {
            return Err(self.refuse(format!("indices `{name}` below {end}"), "others"));
        }
        Ok(array.data.iter().map(|v| *v as usize).collect())
    }
}

impl FaceModel {
    /// The files of a folder that [`FaceModel::bfm`] reads.
    pub(super) fn bfm_files() -> impl Iterator<Item = &'static str> {
        std::iter::once(SHAPE).chain(OTHERS)
    }

    /// Reads BFM-2009 from its folder; `face` is MediaPipe's canonical face.
    ///
    /// # Errors
    /// [`Error::Input`] when a file is missing, damaged, names code, or holds arrays that do not fit each other.
    pub fn bfm(folder: &Path, face: &CanonicalFace) -> Result<Self> {
        let shape = folder.join(SHAPE);
        let arrays = mat::read_named(&shape, &["shapeMU", "shapePC", "shapeEV"])?;
        let shape = Arrays { path: shape, arrays };
        let [moves, topology, keys] = OTHERS.map(|name| {
            let path = folder.join(name);
            npy_dict::read(&path).map(|arrays| Arrays { path, arrays })
        });
        let (moves, topology, keys) = (moves?, topology?, keys?);

        let mean = shape.get("shapeMU", |n| n > 0 && n.is_multiple_of(3))?;
        let vertices = mean.data.len() / 3;
        let deviations = shape.get("shapeEV", |n| n > 0)?;
        let modes = deviations.data.len();
        let people = shape.get("shapePC", |n| n == 3 * vertices * modes)?;
        let kept = topology.indices("sub_inds", |n| n > 0 && n <= vertices, vertices)?;
        let rest = moves.get("mu_exp", |n| n == 3 * kept.len())?;
        let strengths = moves.get("sig_exp", |n| n > 0)?;
        let expressions = strengths.data.len();
        let faces = moves.get("base_exp", |n| n == 3 * kept.len() * expressions)?;
        let markup = keys.indices("keyinds", |n| n == INNER.end, kept.len())?;

        let at = |values: &[f32], from: usize| -> V3 { [0, 1, 2].map(|k| f64::from(values[from + k])) };
        let surface: Vec<V3> = kept
            .iter()
            .enumerate()
            .map(|(p, v)| scale(add(at(&mean.data, 3 * v), at(&rest.data, 3 * p)), UNIT))
            .collect();
        let places = places(face, &surface, &markup)?;
        let used = modes.min(IDENTITY_MODES);
        let identity = places.iter().flat_map(|p| {
            let v = kept[*p];
            (0..used).map(move |m| {
                let unit = UNIT * f64::from(deviations.data[m]);
                [0, 1, 2].map(|k| f64::from(people.data[(3 * v + k) * modes + m]) * unit)
            })
        });
        let row = 3 * kept.len();
        let expression = places.iter().flat_map(|p| {
            (0..expressions).map(move |m| {
                let from = m * row + 3 * p;
                scale(at(&faces.data, from), UNIT * f64::from(strengths.data[m]))
            })
        });
        let expression = Basis::new(expressions, expression.collect())?;
        Ok(FaceModel {
            name: "BFM-2009".into(),
            mean: places.iter().map(|p| surface[*p]).collect(),
            identity: Basis::new(used, identity.collect())?,
            expression_names: (0..expression.modes()).map(|i| format!("bfm_{i}")).collect(),
            expression,
            rigidity: (0..POINTS).map(mobility::rigidity).collect(),
            stable: mobility::stable(),
            triangles: face.triangles.clone(),
        })
    }
}

/// The vertex of `surface` on which each landmark lies; `markup` are the iBUG points on it.
fn places(face: &CanonicalFace, surface: &[V3], markup: &[usize]) -> Result<Vec<usize>> {
    if face.vertices.len() != POINTS {
        return Err(Error::Internal(format!("a canonical face of {} points", face.vertices.len())));
    }
    let canonical: Vec<V3> = face.vertices.iter().map(|v| v.map(|c| f64::from(c) * 0.01)).collect();
    let mark = |i: usize| {
        let [a, b] = ibug::FROM_MEDIAPIPE[i].map(|l| canonical[usize::from(l)]);
        scale(add(a, b), 0.5)
    };
    let from: Vec<V3> = INNER.map(mark).collect();
    let to: Vec<V3> = markup[INNER].iter().map(|p| surface[*p]).collect();
    let bend = Bend::new(&from, &to)
        .ok_or_else(|| Error::Internal("iBUG points of a face that lie in a line".into()))?;
    let nearest = |p: &V3| {
        let goal = bend.at(*p);
        let far = |i: &usize| length(sub(surface[*i], goal));
        (0..surface.len()).min_by(|a, b| far(a).total_cmp(&far(b))).unwrap_or(0)
    };
    Ok(canonical.par_iter().map(nearest).collect())
}

/// A smooth warp of space that maps given points to others.
struct Bend {
    from: Vec<V3>,
    /// Columns of the affine part, the translation last.
    affine: [V3; 4],
    pulls: Vec<V3>,
}

impl Bend {
    fn new(from: &[V3], to: &[V3]) -> Option<Self> {
        let mut matrix = vec![0.0; 16];
        let mut right = [[0.0; 4]; 3];
        for (p, q) in from.iter().zip(to) {
            let row = [p[0], p[1], p[2], 1.0];
            for a in 0..4 {
                (0..4).for_each(|b| matrix[4 * a + b] += row[a] * row[b]);
                (0..3).for_each(|k| right[k][a] += row[a] * q[k]);
            }
        }
        let factor = Cholesky::new(matrix, 4)?;
        right.iter_mut().for_each(|r| factor.solve(r));
        let affine = std::array::from_fn(|a| [right[0][a], right[1][a], right[2][a]]);
        let mut bend = Bend { from: from.to_vec(), affine, pulls: Vec::new() };
        let n = from.len();
        let mut matrix: Vec<f64> = (0..n * n).map(|i| alike(from[i / n], from[i % n])).collect();
        (0..n).for_each(|i| matrix[i * n + i] += NOISE);
        let factor = Cholesky::new(matrix, n)?;
        let left: Vec<V3> = from.iter().zip(to).map(|(p, q)| sub(*q, bend.at(*p))).collect();
        let mut pulls = vec![[0.0; 3]; n];
        for k in 0..3 {
            let mut column: Vec<f64> = left.iter().map(|v| v[k]).collect();
            factor.solve(&mut column);
            pulls.iter_mut().zip(column).for_each(|(p, v)| p[k] = v);
        }
        bend.pulls = pulls;
        Some(bend)
    }

    fn at(&self, p: V3) -> V3 {
        let [x, y, z, shift] = self.affine;
        let moved = add(add(scale(x, p[0]), scale(y, p[1])), add(scale(z, p[2]), shift));
        self.from.iter().zip(&self.pulls).fold(moved, |sum, (f, pull)| add(sum, scale(*pull, alike(*f, p))))
    }
}

/// Correlation of the warp at two points.
fn alike(a: V3, b: V3) -> f64 {
    let offset = sub(a, b);
    (-dot(offset, offset) / (2.0 * BEND * BEND)).exp()
}

#[cfg(test)]
#[path = "bfm_tests.rs"]
mod tests;
