//! Smooth subdivision of a mesh: midpoints are moved towards the tangent planes of their end points (Boubekeur & Alexa,
//! "Phong Tessellation", 2008). The points of the coarse mesh stay where they are.

use super::super::depth::Mesh;
use super::super::math::{V3, add, dot, scale, sub};
use super::normals::normals;
use std::collections::BTreeMap;

/// How far a midpoint is moved towards the planes, 0..1.
const SHARE: f64 = 0.75;

/// Divides each triangle into four.
pub(super) fn subdivide(mesh: &Mesh) -> Mesh {
    let normals = normals(mesh);
    let mut vertices = mesh.vertices.clone();
    let mut middles: BTreeMap<(u32, u32), u32> = BTreeMap::new();
    let mut middle = |a: u32, b: u32| -> u32 {
        *middles.entry((a.min(b), a.max(b))).or_insert_with(|| {
            let [i, j] = [a.min(b), a.max(b)].map(|v| v as usize);
            let flat = scale(add(mesh.vertices[i], mesh.vertices[j]), 0.5);
            let onto = |k: usize| -> V3 {
                sub(flat, scale(normals[k], dot(sub(flat, mesh.vertices[k]), normals[k])))
            };
            let curved = scale(add(onto(i), onto(j)), 0.5);
            vertices.push(add(scale(flat, 1.0 - SHARE), scale(curved, SHARE)));
            vertices.len() as u32 - 1
        })
    };
    let mut triangles = Vec::with_capacity(mesh.triangles.len() * 4);
    for [a, b, c] in &mesh.triangles {
        let (ab, bc, ca) = (middle(*a, *b), middle(*b, *c), middle(*c, *a));
        triangles.extend([[*a, ab, ca], [ab, *b, bc], [ca, bc, *c], [ab, bc, ca]]);
    }
    Mesh { vertices, triangles }
}
