//! Meshes in binary glTF 2.0, out only: one mesh with a colour a vertex, shown as filmed (`KHR_materials_unlit`). y is up and the
//! front looks along +z, as the format asks.

use super::ply::PointCloud;
use crate::error::{Error, Result};
use crate::media::files;
use serde_json::{Value, json};
use std::path::Path;

/// glTF 2.0 §4.4: the header, and the kinds of a chunk.
const MAGIC: &[u8; 4] = b"glTF";
const VERSION: u32 = 2;
const JSON: &[u8; 4] = b"JSON";
const BINARY: &[u8; 4] = b"BIN\0";
/// §5.1 and §5.11: what an accessor's numbers are, and what a view of the buffer is for.
const UNSIGNED_SHORT: u32 = 5123;
const UNSIGNED_INT: u32 = 5125;
const FLOAT: u32 = 5126;
const ARRAY: u32 = 34962;
const ELEMENT_ARRAY: u32 = 34963;

/// Writes a mesh of at least one triangle; the file appears as a whole or not at all. Colours are taken for sRGB and become linear,
/// as the format has them.
///
/// # Errors
/// [`Error::Internal`] when there is no triangle, or normals or colours are not as many as points; [`Error::Input`] when the place
/// cannot be written to or the mesh is larger than the format can hold (4 GiB).
pub fn write(path: &Path, mesh: &PointCloud) -> Result<()> {
    mesh.check()?;
    if mesh.faces.is_empty() {
        return Err(Error::Internal("a glTF mesh without a triangle".into()));
    }
    let mut parts = Parts::default();
    let positions = mesh.positions.iter().flatten().flat_map(|v| v.to_le_bytes()).collect();
    let mut attributes =
        json!({ "POSITION": parts.add(positions, mesh.positions.len(), FLOAT, "VEC3", ARRAY) });
    let bound = |pick: fn(f32, f32) -> f32| {
        mesh.positions.iter().copied().reduce(|a, b| std::array::from_fn(|c| pick(a[c], b[c])))
    };
    parts.accessors[0]["min"] = json!(bound(f32::min));
    parts.accessors[0]["max"] = json!(bound(f32::max));
    if let Some(normals) = &mesh.normals {
        let bytes = normals.iter().flatten().flat_map(|v| v.to_le_bytes()).collect();
        attributes["NORMAL"] = parts.add(bytes, normals.len(), FLOAT, "VEC3", ARRAY).into();
    }
    if let Some(colors) = &mesh.colors {
        let bytes = colors.iter().flat_map(|[r, g, b]| [linear(*r), linear(*g), linear(*b), u16::MAX]);
        let bytes = bytes.flat_map(u16::to_le_bytes).collect();
        attributes["COLOR_0"] = parts.add(bytes, colors.len(), UNSIGNED_SHORT, "VEC4", ARRAY).into();
    }
    let faces = mesh.faces.iter().flatten().flat_map(|at| at.to_le_bytes()).collect();
    let faces = parts.add(faces, 3 * mesh.faces.len(), UNSIGNED_INT, "SCALAR", ELEMENT_ARRAY);
    let document = json!({
        "asset": { "version": "2.0", "generator": "surfeltalk" },
        "scene": 0,
        "scenes": [{ "nodes": [0] }],
        "nodes": [{ "mesh": 0, "name": "head" }],
        "meshes": [{ "primitives": [{ "attributes": attributes, "indices": faces, "material": 0 }] }],
        "materials": [{
            "pbrMetallicRoughness": { "metallicFactor": 0.0, "roughnessFactor": 1.0 },
            "extensions": { "KHR_materials_unlit": {} },
            "doubleSided": true
        }],
        "extensionsUsed": ["KHR_materials_unlit"],
        "buffers": [{ "byteLength": parts.bytes.len() }],
        "bufferViews": parts.views,
        "accessors": parts.accessors,
    });
    let mut document = document.to_string().into_bytes();
    document.resize(document.len().next_multiple_of(4), b' ');
    let total = u32::try_from(12 + 8 + document.len() + 8 + parts.bytes.len()).map_err(|_| {
        Error::input(
            path.display(),
            "a mesh of less than 4 GiB",
            "a larger one",
            "export it with fewer voxels",
        )
    })?;
    files::write_atomic(path, |out| {
        out.write_all(MAGIC)?;
        out.write_all(&VERSION.to_le_bytes())?;
        out.write_all(&total.to_le_bytes())?;
        for (kind, bytes) in [(JSON, &document), (BINARY, &parts.bytes)] {
            out.write_all(&(bytes.len() as u32).to_le_bytes())?;
            out.write_all(kind)?;
            out.write_all(bytes)?;
        }
        Ok(())
    })
}

/// The buffer so far, and what the document says of it. All parts are multiples of four bytes.
#[derive(Default)]
struct Parts {
    bytes: Vec<u8>,
    views: Vec<Value>,
    accessors: Vec<Value>,
}

impl Parts {
    /// Adds `count` elements and gives the number of their accessor.
    fn add(&mut self, bytes: Vec<u8>, count: usize, number: u32, shape: &str, purpose: u32) -> usize {
        self.views.push(json!({
            "buffer": 0, "byteOffset": self.bytes.len(), "byteLength": bytes.len(), "target": purpose
        }));
        let mut accessor = json!({
            "bufferView": self.views.len() - 1, "componentType": number, "count": count, "type": shape
        });
        if number == UNSIGNED_SHORT {
            accessor["normalized"] = true.into();
        }
        self.accessors.push(accessor);
        self.bytes.extend(bytes);
        self.accessors.len() - 1
    }
}

/// sRGB to linear light (IEC 61966-2-1), 0 to 65535.
fn linear(byte: u8) -> u16 {
    let value = f64::from(byte) / 255.0;
    let light = if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) };
    (65535.0 * light).round() as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn triangle() -> PointCloud {
        PointCloud {
            positions: vec![[0.0, 0.0, 0.5], [1.0, 0.0, 0.0], [0.0, 1.5, 0.0]],
            normals: Some(vec![[0.0, 0.0, 1.0]; 3]),
            colors: Some(vec![[255, 0, 188]; 3]),
            faces: vec![[0, 1, 2]],
        }
    }

    #[test]
    fn the_chunks_are_as_long_as_they_say_and_hold_what_the_document_names() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("mesh.glb");
        write(&path, &triangle()).expect("written");
        let file = std::fs::read(&path).expect("bytes");
        let word = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().expect("four bytes")) as usize;
        assert_eq!((&file[..4], word(4), word(8)), (MAGIC.as_slice(), 2, file.len()));
        let length = word(12);
        assert_eq!((length % 4, &file[16..20]), (0, JSON.as_slice()));
        let document: Value = serde_json::from_slice(&file[20..20 + length]).expect("a document");
        let binary = 20 + length;
        assert_eq!(&file[binary + 4..binary + 8], BINARY);
        assert_eq!(binary + 8 + word(binary), file.len());
        assert_eq!(document["buffers"][0]["byteLength"], word(binary));
        assert_eq!(document["accessors"][0]["min"], json!([0.0, 0.0, 0.0]));
        assert_eq!(document["accessors"][0]["max"], json!([1.0, 1.5, 0.5]));
        let indices = &document["accessors"][3];
        assert_eq!((&indices["count"], &indices["componentType"]), (&json!(3), &json!(UNSIGNED_INT)));
        let last = &document["bufferViews"][3];
        assert_eq!(last["byteOffset"].as_u64().zip(last["byteLength"].as_u64()), Some((96, 12)));
        assert_eq!(&file[file.len() - 12..], [0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0]);
    }

    #[test]
    fn colours_become_linear_light() {
        assert_eq!([0, 188, 255].map(linear), [0, 32957, 65535], "188 is light of 0.50289");
    }

    #[test]
    fn a_mesh_of_nothing_is_our_fault() {
        let folder = tempfile::tempdir().expect("a folder");
        let mesh = PointCloud { faces: vec![], ..triangle() };
        assert!(matches!(write(&folder.path().join("mesh.glb"), &mesh), Err(Error::Internal(_))));
    }
}
