//! ICT-FaceKit (ICT-VGL/ICT-FaceKit, MIT licence) as a face model: a folder with `ict_compact.npz` (mean
//! `[vertices, 3]`, id `[100, vertices, 3]`, exp `[53, vertices, 3]`, centimetres) and `mp468_to_ict.npz` (tri and bary
//! `[468, 3]`: the triangle of that mesh, and the place in it, of each MediaPipe landmark; mp_tri `[n, 3]`).

use super::math::V3;
use super::mobility;
use super::model::{Basis, FaceModel, POINTS};
use crate::error::{Error, Result};
use crate::formats::npy::NpyArray;
use crate::formats::npz;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Names of the two files.
pub(super) const FACE: &str = "ict_compact.npz";
pub(super) const ANCHORS: &str = "mp468_to_ict.npz";
/// Standard deviations of the coefficients; a coefficient of 1 is a blendshape at full strength.
const IDENTITY: f64 = 0.3;
const EXPRESSION: f64 = 0.25;
/// The model's unit, metres.
const UNIT: f64 = 0.01;

impl FaceModel {
    /// Reads ICT-FaceKit from its folder.
    ///
    /// # Errors
    /// [`Error::Input`] when a file is missing, damaged, or holds arrays of other shapes.
    pub fn ict(folder: &Path) -> Result<Self> {
        let face = Arrays::open(folder.join(FACE), &["mean", "id", "exp"])?;
        let anchors = Arrays::open(folder.join(ANCHORS), &["tri", "bary", "mp_tri"])?;
        let mean = face.get("mean", &[None, Some(3)])?;
        let vertices = mean.shape[0];
        let places = Places::read(&anchors, vertices)?;
        let modes = |name: &str, deviation: f64| -> Result<Basis> {
            let array = face.get(name, &[None, Some(vertices), Some(3)])?;
            let count = array.shape[0];
            let size = vertices * 3;
            let moved: Vec<Vec<V3>> =
                array.data.chunks_exact(size.max(1)).map(|mode| places.of(mode, deviation * UNIT)).collect();
            Basis::new(count, (0..POINTS).flat_map(|p| moved.iter().map(move |m| m[p])).collect())
        };
        let expression = modes("exp", EXPRESSION)?;
        let triangles = anchors.get("mp_tri", &[None, Some(3)])?;
        let triangles: Vec<[u32; 3]> =
            triangles.data.chunks_exact(3).map(|t| [t[0] as u32, t[1] as u32, t[2] as u32]).collect();
        if triangles.as_flattened().iter().any(|i| *i as usize >= POINTS) {
            return Err(anchors.refuse("triangles between 468 landmarks", "an index beyond them".into()));
        }
        Ok(FaceModel {
            name: "ICT-FaceKit".into(),
            mean: places.of(&mean.data, UNIT),
            identity: modes("id", IDENTITY)?,
            expression_names: (0..expression.modes()).map(|i| format!("ict_{i}")).collect(),
            expression,
            rigidity: (0..POINTS).map(mobility::rigidity).collect(),
            stable: mobility::stable(),
            triangles,
        })
    }
}

/// Arrays of one archive, and its name for errors.
struct Arrays {
    path: PathBuf,
    arrays: BTreeMap<String, NpyArray>,
}

impl Arrays {
    fn open(path: PathBuf, names: &[&str]) -> Result<Self> {
        let arrays = npz::read_named(&path, names)?;
        Ok(Arrays { path, arrays })
    }

    fn refuse(&self, expected: impl Into<String>, found: String) -> Error {
        Error::input(self.path.display(), expected, found, "use the published ICT-FaceKit, reduced again")
    }

    /// The array `name`, finite, with the lengths that are given.
    fn get(&self, name: &str, shape: &[Option<usize>]) -> Result<&NpyArray> {
        let expected = || format!("finite numbers `{name}` of shape {shape:?}");
        let array = self.arrays.get(name).ok_or_else(|| self.refuse(expected(), "no such array".into()))?;
        let fits = array.shape.len() == shape.len()
            && array.shape.iter().zip(shape).all(|(a, b)| *a > 0 && b.is_none_or(|b| b == *a));
        if !fits || array.data.iter().any(|v| !v.is_finite()) {
            return Err(
                self.refuse(expected(), format!("shape {:?}, or numbers that are not finite", array.shape))
            );
        }
        Ok(array)
    }
}

/// The position of each landmark on the mesh.
struct Places(Vec<([usize; 3], [f64; 3])>);

impl Places {
    fn read(anchors: &Arrays, vertices: usize) -> Result<Self> {
        let corners = anchors.get("tri", &[Some(POINTS), Some(3)])?.data.chunks_exact(3);
        let weights = anchors.get("bary", &[Some(POINTS), Some(3)])?.data.chunks_exact(3);
        let place =
            |(t, w): (&[f32], &[f32])| ([0, 1, 2].map(|k| t[k] as usize), [0, 1, 2].map(|k| f64::from(w[k])));
        let places: Vec<_> = corners.zip(weights).map(place).collect();
        let inside = places
            .iter()
            .all(|(t, w)| t.iter().all(|i| *i < vertices) && w.iter().all(|v| (-0.01..=1.01).contains(v)));
        if !inside {
            return Err(anchors.refuse(format!("places on a mesh of {vertices} vertices"), "others".into()));
        }
        Ok(Places(places))
    }

    /// The landmarks of vertex values `[vertices, 3]`, times `unit`.
    fn of(&self, values: &[f32], unit: f64) -> Vec<V3> {
        let at = |(corners, weights): &([usize; 3], [f64; 3])| {
            std::array::from_fn(|k| {
                (0..3).map(|c| f64::from(values[corners[c] * 3 + k]) * weights[c]).sum::<f64>() * unit
            })
        };
        self.0.iter().map(at).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use zip::write::{SimpleFileOptions, ZipWriter};

    fn archive(path: &Path, arrays: &[(&str, &[usize], Vec<f32>)]) {
        let mut zip = ZipWriter::new(std::fs::File::create(path).expect("a file"));
        let part = path.with_extension("part");
        for (name, shape, values) in arrays {
            crate::formats::npy::write(&part, shape, values).expect("written");
            zip.start_file(format!("{name}.npy"), SimpleFileOptions::default()).expect("an entry");
            zip.write_all(&std::fs::read(&part).expect("an array")).expect("written");
        }
        // Names are text, which the reader must be able to leave alone.
        zip.start_file("exp_names.npy", SimpleFileOptions::default()).expect("an entry");
        zip.write_all(b"not numbers").expect("written");
        zip.finish().expect("an archive");
    }

    fn write(folder: &Path, corner: f32) {
        let mean = (0..12).map(|v| v as f32).collect();
        archive(
            &folder.join(FACE),
            &[("mean", &[4, 3], mean), ("id", &[2, 4, 3], vec![1.0; 24]), ("exp", &[1, 4, 3], vec![2.0; 12])],
        );
        archive(
            &folder.join(ANCHORS),
            &[
                ("tri", &[POINTS, 3], [0.0, 1.0, corner].repeat(POINTS)),
                ("bary", &[POINTS, 3], [0.5, 0.5, 0.0].repeat(POINTS)),
                ("mp_tri", &[1, 3], vec![0.0, 1.0, 467.0]),
            ],
        );
    }

    #[test]
    fn landmarks_lie_where_their_triangles_are() {
        let folder = tempfile::tempdir().expect("a folder");
        write(folder.path(), 3.0);
        let model = FaceModel::ict(folder.path()).expect("a model");
        assert_eq!((model.identity.modes(), model.expression.modes()), (2, 1));
        for (found, expected) in model.mean[7].iter().zip([0.015, 0.025, 0.035]) {
            assert!((found - expected).abs() < 1e-9);
        }
        assert!((model.expression.of(3)[0][1] - 2.0 * EXPRESSION * UNIT).abs() < 1e-9);
        assert_eq!(model.triangles, [[0, 1, 467]]);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(FaceModel::ict(folder.path()).expect_err("nothing there").exit_code(), 2);
        write(folder.path(), 4.0);
        let message = FaceModel::ict(folder.path()).expect_err("a corner beyond the mesh").to_string();
        assert!(message.contains(ANCHORS) && message.contains("4 vertices"), "{message}");
        write(folder.path(), 3.0);
        archive(&folder.path().join(FACE), &[("mean", &[4, 3], vec![0.0; 12])]);
        let message = FaceModel::ict(folder.path()).expect_err("no modes").to_string();
        assert!(message.contains("`exp`") || message.contains("`id`"), "{message}");
    }
}
