//! Point clouds and meshes in PLY: ascii and binary of both byte orders in, binary little endian out.
//!
//! What is read: `x y z`; `nx ny nz` where all three are there; `red green blue` (also `r g b` and `diffuse_red …`; bytes,
//! words, or floats of 0 to 1 or 255), else
//! the first harmonic `f_dc_0..2` of a Gaussian cloud as the colour it shows; the triangles of element `face`
//! (polygons are fanned). Everything else is skipped. Every count is held against the bytes that are really
//! there before memory is taken for it.

use crate::error::{Error, Problem, Result};
use crate::media::files;
use ply_rs::parser::{Parser, Reader};
use ply_rs::ply::{
    ElementDef, Encoding, Property, PropertyAccess, PropertyAccessResult, PropertyType, ScalarType,
};
use std::io::Cursor;
use std::path::Path;

/// Largest file read, bytes: 50 million points with normals and colours.
const MAX_FILE: u64 = 1 << 31;
/// Most points of a cloud.
const MAX_POINTS: usize = 50_000_000;
/// Longest header, bytes.
const MAX_HEADER: usize = 64 << 10;
/// What programs call the colour of a point.
const COLORS: [[&str; 3]; 4] = [
    ["red", "green", "blue"],
    ["diffuse_red", "diffuse_green", "diffuse_blue"],
    ["r", "g", "b"],
    ["vertex_red", "vertex_green", "vertex_blue"],
];
/// Value of the constant spherical harmonic (3DGS, Kerbl et al. 2023): colour = 0.5 + `SH_0` · f_dc.
const SH_0: f32 = 0.282_094_8;

/// Points of a surface, as many normals and colours as points where there are any, and the triangles between.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PointCloud {
    /// Places in the world, `[points, 3]`.
    pub positions: Vec<[f32; 3]>,
    /// Unit normals, `[points, 3]`; zero where the file has none for a point.
    pub normals: Option<Vec<[f32; 3]>>,
    /// RGB, `[points, 3]`.
    pub colors: Option<Vec<[u8; 3]>>,
    /// Triangles as indices of points.
    pub faces: Vec<[u32; 3]>,
}

impl PointCloud {
    /// # Errors
    /// [`Error::Internal`] when normals or colours are not as many as points.
    pub(super) fn check(&self) -> Result<()> {
        let points = self.positions.len();
        let fits = |count: Option<usize>| count.is_none_or(|count| count == points);
        if fits(self.normals.as_ref().map(Vec::len)) && fits(self.colors.as_ref().map(Vec::len)) {
            return Ok(());
        }
        Err(Error::Internal(format!("a cloud of {points} points with another number of normals or colours")))
    }
}

/// Reads a cloud of at least one point.
///
/// # Errors
/// [`Error::Input`] for a file that is no PLY, that ends early or declares more than it holds, without positions,
/// with positions that are not finite, or with a triangle that names a point the file does not have.
pub fn read_points(path: &Path) -> Result<PointCloud> {
    let bytes = files::read_bounded(path, MAX_FILE)?;
    parse(&bytes).map_err(|(expected, found)| {
        Problem::new(path.display(), expected, found, "export the cloud again").into()
    })
}

type Fault = (String, String);

fn fault(expected: impl Into<String>, found: impl Into<String>) -> Fault {
    (expected.into(), found.into())
}

fn parse(bytes: &[u8]) -> std::result::Result<PointCloud, Fault> {
    let head = &bytes[..bytes.len().min(MAX_HEADER)];
    const END: &[u8] = b"end_header";
    if !head.starts_with(b"ply") || !head.windows(END.len()).any(|w| w == END) {
        return Err(fault("a PLY header (\"ply\" … \"end_header\")", "something else"));
    }
    let mut reader = Reader::new(Cursor::new(bytes));
    let header = Parser::<Vertex>::new()
        .read_header(&mut reader)
        .map_err(|e| fault("a PLY header", one_line(&e.to_string())))?;

    let mut cloud: Option<PointCloud> = None;
    let mut faces: Option<Vec<Face>> = None;
    for element in header.elements.values() {
        let left = bytes.len() - (reader.get_ref().position() as usize).min(bytes.len());
        fits(element, header.encoding, left)?;
        let broken = |e: ply_rs::parser::ParseError| {
            fault(format!("{} elements \"{}\"", element.count, element.name), one_line(&e.to_string()))
        };
        match element.name.as_str() {
            "vertex" => {
                let vertices = Parser::<Vertex>::new()
                    .read_payload_for_element(&mut reader, element, &header)
                    .map_err(broken)?;
                cloud = Some(gather(element, &vertices)?);
            }
            "face" => {
                faces = Some(
                    Parser::<Face>::new()
                        .read_payload_for_element(&mut reader, element, &header)
                        .map_err(broken)?,
                );
            }
            // Elements after the two we know need not be read at all.
            _ if cloud.is_some() && (faces.is_some() || !header.elements.contains_key("face")) => break,
            _ => {
                Parser::<Skipped>::new()
                    .read_payload_for_element(&mut reader, element, &header)
                    .map_err(broken)?;
            }
        }
    }
    let mut cloud = cloud.ok_or_else(|| fault("an element \"vertex\"", "none"))?;
    cloud.faces = triangles(&faces.unwrap_or_default(), cloud.positions.len())?;
    Ok(cloud)
}

/// Refuses an element that cannot be in the bytes that are left.
fn fits(element: &ElementDef, encoding: Encoding, left: usize) -> std::result::Result<(), Fault> {
    let bytes_of = |t: &ScalarType| match (encoding, t) {
        // A digit and what parts it from the next one.
        (Encoding::Ascii, _) => 2,
        (_, ScalarType::Char | ScalarType::UChar) => 1,
        (_, ScalarType::Short | ScalarType::UShort) => 2,
        (_, ScalarType::Int | ScalarType::UInt | ScalarType::Float) => 4,
        (_, ScalarType::Double) => 8,
    };
    let smallest: usize = element
        .properties
        .values()
        .map(|p| match &p.data_type {
            PropertyType::Scalar(t) => bytes_of(t),
            PropertyType::List(count, _) => bytes_of(count),
        })
        .sum();
    // The last line of an ascii file may lack its end.
    let slack = usize::from(encoding == Encoding::Ascii);
    let fitting = (left + slack).checked_div(smallest).unwrap_or(0).min(MAX_POINTS);
    if element.count > fitting {
        return Err(fault(
            format!("{} elements \"{}\", as the header says", element.count, element.name),
            format!("{left} bytes, room for {fitting}"),
        ));
    }
    Ok(())
}

fn gather(element: &ElementDef, vertices: &[Vertex]) -> std::result::Result<PointCloud, Fault> {
    if vertices.is_empty() {
        return Err(fault("at least one point", "none"));
    }
    let has = |names: [&str; 3]| names.iter().all(|n| element.properties.contains_key(*n));
    if !has(["x", "y", "z"]) {
        let names: Vec<&str> = element.properties.keys().map(String::as_str).collect();
        return Err(fault("properties x, y, z", names.join(", ")));
    }
    if let Some(i) = vertices.iter().position(|v| v.position.iter().any(|c| !c.is_finite())) {
        return Err(fault("finite positions", format!("{:?} at point {i}", vertices[i].position)));
    }
    let normals = has(["nx", "ny", "nz"]).then(|| vertices.iter().map(|v| unit(v.normal)).collect());
    let color = |c: f32| (c.clamp(0.0, 1.0) * 255.0).round() as u8;
    let colors = if COLORS.iter().any(|names| has(*names)) {
        // Some programs write floats of 0 to 255.
        let is_large = vertices.iter().any(|v| v.color.iter().any(|c| *c > 1.5));
        let scale = if is_large { 1.0 / 255.0 } else { 1.0 };
        Some(vertices.iter().map(|v| v.color.map(|c| color(c * scale))).collect())
    } else if has(["f_dc_0", "f_dc_1", "f_dc_2"]) {
        Some(vertices.iter().map(|v| v.harmonic.map(|c| color(0.5 + SH_0 * c))).collect())
    } else {
        None
    };
    Ok(PointCloud {
        positions: vertices.iter().map(|v| v.position).collect(),
        normals,
        colors,
        faces: Vec::new(),
    })
}

fn unit(n: [f32; 3]) -> [f32; 3] {
    let length = n.iter().map(|c| c * c).sum::<f32>().sqrt();
    if length.is_finite() && length > 1e-12 { n.map(|c| c / length) } else { [0.0; 3] }
}

fn triangles(faces: &[Face], points: usize) -> std::result::Result<Vec<[u32; 3]>, Fault> {
    let mut out = Vec::with_capacity(faces.len());
    for (i, face) in faces.iter().enumerate() {
        if let Some(&index) = face.indices.iter().find(|&&index| index as usize >= points) {
            return Err(fault(
                format!("triangles of the {points} points"),
                format!("a face {i} that names point {index}"),
            ));
        }
        if let [first, rest @ ..] = face.indices.as_slice() {
            out.extend(rest.windows(2).map(|w| [*first, w[0], w[1]]));
        }
    }
    Ok(out)
}

/// Writes a cloud as `fused.ply` has it: binary little endian, floats x y z, nx ny nz, bytes red green blue, and
/// the triangles. The file appears as a whole or not at all.
///
/// # Errors
/// [`Error::Internal`] when normals or colours are not as many as points; [`Error::Input`] when the place cannot
/// be written to.
pub fn write_points(path: &Path, cloud: &PointCloud) -> Result<()> {
    cloud.check()?;
    files::write_atomic(path, |w| {
        let points = cloud.positions.len();
        let mut header = format!("ply\nformat binary_little_endian 1.0\nelement vertex {points}\n");
        let names = ["x", "y", "z", "nx", "ny", "nz"];
        let floats = if cloud.normals.is_some() { 6 } else { 3 };
        names[..floats].iter().for_each(|n| header += &format!("property float {n}\n"));
        if cloud.colors.is_some() {
            ["red", "green", "blue"].iter().for_each(|n| header += &format!("property uchar {n}\n"));
        }
        if !cloud.faces.is_empty() {
            header +=
                &format!("element face {}\nproperty list uchar int vertex_indices\n", cloud.faces.len());
        }
        w.write_all(header.as_bytes())?;
        w.write_all(b"end_header\n")?;
        for (i, p) in cloud.positions.iter().enumerate() {
            w.write_all(bytemuck::cast_slice(&p.map(f32::to_le_bytes)))?;
            if let Some(n) = &cloud.normals {
                w.write_all(bytemuck::cast_slice(&n[i].map(f32::to_le_bytes)))?;
            }
            if let Some(c) = &cloud.colors {
                w.write_all(&c[i])?;
            }
        }
        for f in &cloud.faces {
            w.write_all(&[3])?;
            w.write_all(bytemuck::cast_slice(&f.map(u32::to_le_bytes)))?;
        }
        Ok(())
    })
}

fn one_line(text: &str) -> String {
    let mut line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.len() > 200 {
        line = line.chars().take(200).collect::<String>() + " …";
    }
    line
}

#[derive(Default)]
struct Vertex {
    position: [f32; 3],
    normal: [f32; 3],
    color: [f32; 3],
    harmonic: [f32; 3],
}

impl PropertyAccess for Vertex {
    fn new() -> Self {
        Vertex::default()
    }

    fn set_property(&mut self, name: &str, property: Property) -> PropertyAccessResult {
        let (slot, scale) = match name {
            "x" => (&mut self.position[0], 1.0),
            "y" => (&mut self.position[1], 1.0),
            "z" => (&mut self.position[2], 1.0),
            "nx" => (&mut self.normal[0], 1.0),
            "ny" => (&mut self.normal[1], 1.0),
            "nz" => (&mut self.normal[2], 1.0),
            "f_dc_0" => (&mut self.harmonic[0], 1.0),
            "f_dc_1" => (&mut self.harmonic[1], 1.0),
            "f_dc_2" => (&mut self.harmonic[2], 1.0),
            name => match COLORS.iter().find_map(|set| set.iter().position(|n| *n == name)) {
                Some(channel) => (&mut self.color[channel], color_scale(&property)),
                None => return PropertyAccessResult::Ignored,
            },
        };
        let Some(value) = property.to_f32_lossy() else { return PropertyAccessResult::UnsupportedType };
        *slot = value * scale;
        PropertyAccessResult::Set
    }
}

/// Floats are in 0..1, integers in 0..255.
fn color_scale(property: &Property) -> f32 {
    match property {
        Property::Float(_) | Property::Double(_) => 1.0,
        Property::UShort(_) => 1.0 / 65535.0,
        _ => 1.0 / 255.0,
    }
}

#[derive(Default)]
struct Face {
    indices: Vec<u32>,
}

impl PropertyAccess for Face {
    fn new() -> Self {
        Face::default()
    }

    fn set_property(&mut self, name: &str, property: Property) -> PropertyAccessResult {
        if name != "vertex_indices" && name != "vertex_index" {
            return PropertyAccessResult::Ignored;
        }
        match property.to_u32_list() {
            Some(indices) => {
                self.indices = indices;
                PropertyAccessResult::Set
            }
            None => PropertyAccessResult::UnsupportedType,
        }
    }
}

struct Skipped;

impl PropertyAccess for Skipped {
    fn new() -> Self {
        Skipped
    }
}

#[cfg(test)]
#[path = "ply_tests.rs"]
mod tests;
