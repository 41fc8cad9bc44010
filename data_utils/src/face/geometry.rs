//! MediaPipe's canonical face: the 468 mesh landmarks of a mean face in space, its triangles, and how much each
//! landmark counts when a pose is fitted to it.
//!
//! Read from `geometry_pipeline_metadata_landmarks.binarypb`, a protocol buffer: message 1 is the mesh (3:
//! x y z u v of each vertex, 4: triangle indices), messages 2 are landmark index (1) and weight (2).

use crate::error::{Error, Result};

const VERTICES: usize = 468;
/// Numbers a vertex: place and texture coordinates.
const VERTEX: usize = 5;

/// A mean face.
#[derive(Debug, Clone, PartialEq)]
pub struct CanonicalFace {
    /// 468 vertices in centimetres: x to the left of the person (right in the image), y up, z out of the face.
    pub vertices: Vec<[f32; 3]>,
    /// Triangles, counter-clockwise seen from outside.
    pub triangles: Vec<[u32; 3]>,
    /// Landmarks that hold still when the face moves, and their weights.
    pub basis: Vec<(usize, f32)>,
}

enum Field<'a> {
    Integer(u64),
    Word([u8; 4]),
    Bytes(&'a [u8]),
}

/// The fields of a message, in order; an error where the bytes are none.
struct Fields<'a>(&'a [u8]);

struct Broken;

impl<'a> Fields<'a> {
    fn varint(&mut self) -> std::result::Result<u64, Broken> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first().ok_or(Broken)?;
            self.0 = rest;
            value |= u64::from(byte & 127) << shift;
            if byte < 128 {
                return Ok(value);
            }
        }
        Err(Broken)
    }

    fn take(&mut self, count: u64) -> std::result::Result<&'a [u8], Broken> {
        let count = usize::try_from(count).ok().filter(|n| *n <= self.0.len()).ok_or(Broken)?;
        let (head, rest) = self.0.split_at(count);
        self.0 = rest;
        Ok(head)
    }

    fn next(&mut self) -> std::result::Result<Option<(u64, Field<'a>)>, Broken> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        let field = match key & 7 {
            0 => Field::Integer(self.varint()?),
            2 => {
                let count = self.varint()?;
                Field::Bytes(self.take(count)?)
            }
            5 => Field::Word(self.take(4)?.try_into().map_err(|_| Broken)?),
            _ => return Err(Broken),
        };
        Ok(Some((key >> 3, field)))
    }
}

impl CanonicalFace {
    /// Reads it from the bytes of the metadata; `at` names the file in errors.
    ///
    /// # Errors
    /// [`Error::Input`] when the bytes are not that message, or indices lead outside the mesh.
    pub(super) fn parse(bytes: &[u8], at: &str) -> Result<Self> {
        let refuse = |found: &str| {
            Error::input(at, "a canonical face of 468 vertices", found, "check that the model file is whole")
        };
        let face = Self::fields(bytes).map_err(|Broken| refuse("bytes that are no such message"))?;
        let inside = face.triangles.as_flattened().iter().all(|i| (*i as usize) < VERTICES)
            && face.basis.iter().all(|(i, _)| *i < VERTICES);
        if face.vertices.len() != VERTICES || face.triangles.is_empty() || !inside {
            return Err(refuse(&format!("{} vertices, indices inside: {inside}", face.vertices.len())));
        }
        Ok(face)
    }

    fn fields(bytes: &[u8]) -> std::result::Result<Self, Broken> {
        let (mut numbers, mut indices, mut basis) = (Vec::new(), Vec::new(), Vec::new());
        let mut outer = Fields(bytes);
        while let Some((number, field)) = outer.next()? {
            match (number, field) {
                (1, Field::Bytes(mesh)) => {
                    let mut mesh = Fields(mesh);
                    while let Some((number, field)) = mesh.next()? {
                        match (number, field) {
                            (3, Field::Word(word)) => numbers.push(f32::from_le_bytes(word)),
                            (4, Field::Integer(i)) => indices.push(u32::try_from(i).map_err(|_| Broken)?),
                            _ => {}
                        }
                    }
                }
                (2, Field::Bytes(weighted)) => {
                    let (mut landmark, mut weight) = (0, 0.0);
                    let mut weighted = Fields(weighted);
                    while let Some((number, field)) = weighted.next()? {
                        match (number, field) {
                            (1, Field::Integer(i)) => landmark = usize::try_from(i).map_err(|_| Broken)?,
                            (2, Field::Word(word)) => weight = f32::from_le_bytes(word),
                            _ => {}
                        }
                    }
                    basis.push((landmark, weight));
                }
                _ => {}
            }
        }
        let vertices = numbers.chunks_exact(VERTEX).map(|v| [v[0], v[1], v[2]]).collect();
        let triangles = indices.chunks_exact(3).map(|t| [t[0], t[1], t[2]]).collect();
        Ok(CanonicalFace { vertices, triangles, basis })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(number: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = vec![number << 3 | 2, (body.len() & 127) as u8 | 128, (body.len() >> 7) as u8];
        bytes.extend(body);
        bytes
    }

    fn face(vertices: usize, index: u8) -> Vec<u8> {
        let mut mesh = Vec::new();
        for i in 0..vertices * VERTEX {
            mesh.push(3 << 3 | 5);
            mesh.extend((i as f32).to_le_bytes());
        }
        (0..3).for_each(|_| mesh.extend([4 << 3, index]));
        let mut bytes = message(1, &mesh);
        bytes.extend(message(2, &[1 << 3, 33, 2 << 3 | 5, 0, 0, 0, 63]));
        bytes
    }

    #[test]
    fn vertices_triangles_and_weights_are_read() {
        let face = CanonicalFace::parse(&face(VERTICES, 7), "made up").expect("a face");
        assert_eq!(face.vertices[1], [5.0, 6.0, 7.0]);
        assert_eq!(face.triangles, [[7; 3]]);
        assert_eq!(face.basis, [(33, 0.5)]);
    }

    #[test]
    fn too_few_vertices_are_refused() {
        assert!(CanonicalFace::parse(&face(100, 7), "made up").is_err());
    }

    #[test]
    fn no_truncation_is_read_as_a_face() {
        let whole = face(VERTICES, 7);
        let mesh = whole.len() - 10; // without the weights it is still a mesh
        for end in (0..mesh).step_by(97) {
            assert!(CanonicalFace::parse(&whole[..end], "made up").is_err(), "{end}");
        }
    }
}
