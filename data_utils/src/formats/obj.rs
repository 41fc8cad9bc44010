//! Meshes in Wavefront OBJ, out only. Colours follow the position of a vertex, 0 to 1, as MeshLab and Blender read them.

use super::ply::PointCloud;
use crate::error::Result;
use crate::media::files;
use std::path::Path;

/// Writes a mesh; the file appears as a whole or not at all.
///
/// # Errors
/// [`crate::Error::Internal`] when normals or colours are not as many as points; [`crate::Error::Input`] when the place cannot be
/// written to.
pub fn write(path: &Path, mesh: &PointCloud) -> Result<()> {
    mesh.check()?;
    files::write_atomic(path, |out| {
        writeln!(out, "# surfeltalk: x right, y up, face towards +z")?;
        for (at, [x, y, z]) in mesh.positions.iter().enumerate() {
            write!(out, "v {x} {y} {z}")?;
            match mesh.colors.as_ref().map(|colors| colors[at].map(|c| f32::from(c) / 255.0)) {
                Some([r, g, b]) => writeln!(out, " {r:.4} {g:.4} {b:.4}")?,
                None => writeln!(out)?,
            }
        }
        for [x, y, z] in mesh.normals.iter().flatten() {
            writeln!(out, "vn {x:.5} {y:.5} {z:.5}")?;
        }
        for face in &mesh.faces {
            let [a, b, c] = face.map(|at| at + 1);
            match mesh.normals {
                Some(_) => writeln!(out, "f {a}//{a} {b}//{b} {c}//{c}")?,
                None => writeln!(out, "f {a} {b} {c}")?,
            }
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_triangle_is_written_with_colours_and_normals() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("mesh.obj");
        let mut mesh = PointCloud {
            positions: vec![[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.5, 0.0]],
            faces: vec![[0, 1, 2]],
            ..PointCloud::default()
        };
        write(&path, &mesh).expect("written");
        let text = std::fs::read_to_string(&path).expect("text");
        assert_eq!(text.lines().skip(1).collect::<Vec<_>>(), ["v 0 0 0", "v 1 0 0", "v 0 1.5 0", "f 1 2 3"]);
        mesh.colors = Some(vec![[255, 0, 51]; 3]);
        mesh.normals = Some(vec![[0.0, 0.0, 1.0]; 3]);
        write(&path, &mesh).expect("written");
        let text = std::fs::read_to_string(&path).expect("text");
        assert!(text.contains("v 0 1.5 0 1.0000 0.0000 0.2000\n"), "{text}");
        assert!(
            text.contains("vn 0.00000 0.00000 1.00000\n") && text.ends_with("f 1//1 2//2 3//3\n"),
            "{text}"
        );
        mesh.normals = Some(vec![]);
        assert!(write(&path, &mesh).is_err());
    }
}
