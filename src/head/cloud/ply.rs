//! The cloud as a PLY of Gaussians that viewers open.
//!
//! The writer's layout is the one that SIBR's Gaussian viewer reads by position, not by name (3DGS, Kerbl et al.
//! 2023): binary little endian, the count on the third line, then per surfel as f32 `x y z nx ny nz f_dc_0..2
//! f_rest_* opacity scale_0..2 rot_0..3`. `f_rest` holds all of R, then G, then B; opacity is a logit, scales
//! are ln, rotations (w, x, y, z). The third scale is ln(1e-6), so that 3DGS viewers show discs, and the comment
//! `SplatRenderMode: 2dgs` tells the viewers that know discs. Embeddings are no part of the file; a cloud that is
//! read back has zeros there.
//!
//! The reader goes by name, takes any order and any number type, two scales or three.

use crate::head::cloud::quaternion;
use crate::head::cloud::surfels::{Cloud, EMBEDDING};
use crate::{Error, Result};
use data_utils::media::files;
use std::io::Read;
use std::path::Path;

/// ln(1e-6), the thickness of a disc.
pub const FLAT: f32 = -13.815_511;
/// Longest header that is read.
const HEADER_LIMIT: u64 = 64 * 1024;
/// The comment of files that hold discs.
const DISCS: &str = "SplatRenderMode: 2dgs";

/// Writes `cloud` to `path` as a whole or not at all, with `comments`, lines of printable ASCII, in its header.
///
/// # Errors
/// [`Error::Input`] when the place cannot be written to, [`Error::Internal`] when the cloud's arrays disagree.
pub fn write(path: &Path, cloud: &Cloud, comments: &[String]) -> Result<()> {
    let (n, bands) = (cloud.len(), cloud.bands());
    if cloud.positions.len() != n * 3
        || cloud.rotations.len() != n * 4
        || cloud.log_scales.len() != n * 2
        || cloud.harmonics.len() != n * bands * 3
    {
        return Err(Error::Internal(format!("arrays of a cloud of {n} surfels disagree")));
    }
    files::write_atomic(path, |out| {
        out.write_all(header(n, bands, comments).as_bytes())?;
        let mut row: Vec<f32> = Vec::with_capacity(14 + 3 * bands);
        for i in 0..n {
            let harmonics = &cloud.harmonics[i * bands * 3..(i + 1) * bands * 3];
            row.clear();
            row.extend(&cloud.positions[i * 3..i * 3 + 3]);
            row.extend([0.0; 3]);
            row.extend(&harmonics[..3]);
            for channel in 0..3 {
                row.extend((1..bands).map(|band| harmonics[band * 3 + channel]));
            }
            row.push(cloud.opacity_logits[i]);
            row.extend(&cloud.log_scales[i * 2..i * 2 + 2]);
            row.push(FLAT);
            row.extend(&cloud.rotations[i * 4..i * 4 + 4]);
            for value in &row {
                out.write_all(&value.to_le_bytes())?;
            }
        }
        Ok(())
    })
}

fn header(n: usize, bands: usize, comments: &[String]) -> String {
    // SIBR skips two lines and takes the count from the third, so the comment comes after it.
    let mut text = format!("ply\nformat binary_little_endian 1.0\nelement vertex {n}\ncomment {DISCS}\n");
    comments.iter().for_each(|comment| text += &format!("comment {comment}\n"));
    let rest = (0..3 * (bands - 1)).map(|k| format!("f_rest_{k}"));
    let names = ["x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2"].map(String::from).into_iter();
    let tail =
        ["opacity", "scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"].map(String::from);
    for name in names.chain(rest).chain(tail) {
        text += &format!("property float {name}\n");
    }
    text + "end_header\n"
}

/// Reads a cloud that any program of the 3DGS or 2DGS family wrote. Of an ellipsoid (three scales and no tag for
/// discs) the two longest axes become the disc.
///
/// # Errors
/// [`Error::Input`] saying what is missing, of another kind, or longer or shorter than declared.
pub fn read(path: &Path) -> Result<Cloud> {
    let fail = |e: std::io::Error| Error::io(path, "a readable PLY file", &e);
    let mut file = data_utils::media::files::open_plain(path).map_err(fail)?;
    let length = file.metadata().map_err(fail)?.len();
    let mut start = Vec::new();
    (&file).take(HEADER_LIMIT).read_to_end(&mut start).map_err(fail)?;
    let wrong = |expected: &str, found: String| {
        Error::input(path.display(), expected, found, "check that this is a whole PLY of Gaussians")
    };
    let header = Header::parse(&start).map_err(|(expected, found)| wrong(&expected, found))?;
    // The count is held against the file's real length before any memory follows it.
    let body = length.saturating_sub(header.bytes as u64);
    if (header.count as u64).checked_mul(header.stride as u64) != Some(body) {
        let expected = format!("{} surfels of {} bytes", header.count, header.stride);
        return Err(wrong(&expected, format!("{body} bytes after the header")));
    }
    let mut data = start.split_off(header.bytes);
    file.read_to_end(&mut data).map_err(fail)?;
    if data.len() as u64 != body {
        return Err(wrong("a file that nobody is writing to", format!("{} of {body} bytes", data.len())));
    }
    let columns =
        Columns::find(&header).map_err(|name| wrong(&format!("a property `{name}`"), "none".into()))?;
    let sh_degree = match columns.rest.len() {
        0 => 0,
        9 => 1,
        24 => 2,
        45 => 3,
        other => return Err(wrong("0, 9, 24 or 45 properties f_rest_*", other.to_string())),
    };
    let cloud = columns.cloud(&data, &header, sh_degree);
    let arrays =
        [&cloud.positions, &cloud.rotations, &cloud.log_scales, &cloud.opacity_logits, &cloud.harmonics];
    if arrays.iter().any(|values| values.iter().any(|v| !v.is_finite())) {
        return Err(wrong("finite numbers", "a number that is infinite or NaN".into()));
    }
    Ok(cloud)
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    I8,
    U8,
    I16,
    U16,
    I32,
    U32,
    F32,
    F64,
}

impl Kind {
    fn named(name: &str) -> Option<Kind> {
        Some(match name {
            "char" | "int8" => Kind::I8,
            "uchar" | "uint8" => Kind::U8,
            "short" | "int16" => Kind::I16,
            "ushort" | "uint16" => Kind::U16,
            "int" | "int32" => Kind::I32,
            "uint" | "uint32" => Kind::U32,
            "float" | "float32" => Kind::F32,
            "double" | "float64" => Kind::F64,
            _ => return None,
        })
    }

    fn bytes(self) -> usize {
        match self {
            Kind::I8 | Kind::U8 => 1,
            Kind::I16 | Kind::U16 => 2,
            Kind::I32 | Kind::U32 | Kind::F32 => 4,
            Kind::F64 => 8,
        }
    }

    fn value(self, bytes: &[u8]) -> f32 {
        let first = |n: usize| -> [u8; 8] { std::array::from_fn(|k| if k < n { bytes[k] } else { 0 }) };
        let [a, b, c, d, ..] = first(self.bytes());
        match self {
            Kind::I8 => a as i8 as f32,
            Kind::U8 => a as f32,
            Kind::I16 => i16::from_le_bytes([a, b]) as f32,
            Kind::U16 => u16::from_le_bytes([a, b]) as f32,
            Kind::I32 => i32::from_le_bytes([a, b, c, d]) as f32,
            Kind::U32 => u32::from_le_bytes([a, b, c, d]) as f32,
            Kind::F32 => f32::from_le_bytes([a, b, c, d]),
            Kind::F64 => f64::from_le_bytes(first(8)) as f32,
        }
    }
}

struct Header {
    /// Length of the header itself.
    bytes: usize,
    count: usize,
    stride: usize,
    /// Name, kind and offset of each property.
    properties: Vec<(String, Kind, usize)>,
    discs: bool,
}

impl Header {
    /// On failure what was expected and what was found.
    fn parse(start: &[u8]) -> std::result::Result<Header, (String, String)> {
        let no =
            |expected: &str, found: &str| Err((expected.to_string(), format!("`{}`", found.escape_debug())));
        let mut header = Header { bytes: 0, count: 0, stride: 0, properties: Vec::new(), discs: false };
        let (mut number, mut format, mut element) = (0, false, false);
        loop {
            let rest = &start[header.bytes..];
            let Some(end) = rest.iter().position(|&b| b == b'\n') else {
                return no("a header that ends in `end_header`", "");
            };
            header.bytes += end + 1;
            number += 1;
            let Ok(line) = std::str::from_utf8(&rest[..end]) else { return no("a header of text", "bytes") };
            let line = line.trim_end_matches('\r');
            let words: Vec<&str> = line.split_whitespace().collect();
            match words[..] {
                ["ply"] if number == 1 => {}
                _ if number == 1 => return no("`ply` on the first line", line),
                ["format", "binary_little_endian", "1.0"] => format = true,
                ["format", ..] => return no("`format binary_little_endian 1.0`", line),
                ["comment" | "obj_info", ..] => {
                    let text = line.to_ascii_lowercase();
                    if let Some((_, mode)) = text.split_once("splatrendermode:") {
                        header.discs = mode.trim() == "2dgs";
                    }
                }
                ["element", "vertex", count] if !element => match count.parse() {
                    Ok(count) => (header.count, element) = (count, true),
                    Err(_) => return no("a number of surfels", count),
                },
                ["element", ..] => return no("one element, `vertex`", line),
                ["property", kind, name] if element => match Kind::named(kind) {
                    Some(kind) => {
                        header.properties.push((name.to_string(), kind, header.stride));
                        header.stride += kind.bytes();
                    }
                    None => return no("a number type", line),
                },
                ["end_header"] if format && element && header.stride > 0 => return Ok(header),
                [] => {}
                _ => return no("a PLY header with `format`, `element vertex` and plain properties", line),
            }
        }
    }

    fn find(&self, name: &str) -> std::result::Result<(Kind, usize), String> {
        let found = self.properties.iter().find(|(n, ..)| n == name);
        found.map(|&(_, kind, offset)| (kind, offset)).ok_or_else(|| name.to_string())
    }
}

type Column = (Kind, usize);

struct Columns {
    position: [Column; 3],
    rotation: [Column; 4],
    scale: [Column; 2],
    /// The third scale of an ellipsoid.
    thickness: Option<Column>,
    opacity: Column,
    dc: [Column; 3],
    rest: Vec<Column>,
}

impl Columns {
    fn find(header: &Header) -> std::result::Result<Columns, String> {
        let get = |name: &str| header.find(name);
        let rest = header.properties.iter().filter(|(name, ..)| name.starts_with("f_rest_")).count();
        Ok(Columns {
            position: [get("x")?, get("y")?, get("z")?],
            rotation: [get("rot_0")?, get("rot_1")?, get("rot_2")?, get("rot_3")?],
            scale: [get("scale_0")?, get("scale_1")?],
            thickness: if header.discs { None } else { get("scale_2").ok() },
            opacity: get("opacity")?,
            dc: [get("f_dc_0")?, get("f_dc_1")?, get("f_dc_2")?],
            rest: (0..rest).map(|k| get(&format!("f_rest_{k}"))).collect::<std::result::Result<_, _>>()?,
        })
    }

    fn cloud(&self, data: &[u8], header: &Header, sh_degree: usize) -> Cloud {
        let (n, bands) = (header.count, (sh_degree + 1).pow(2));
        let mut cloud = Cloud { sh_degree, embedding: vec![0.0; n * EMBEDDING], ..Cloud::default() };
        for row in data.chunks_exact(header.stride) {
            let value = |&(kind, offset): &Column| kind.value(&row[offset..]);
            cloud.positions.extend(self.position.iter().map(value));
            let (mut q, mut s) = (self.rotation.each_ref().map(value), self.scale.each_ref().map(value));
            if let Some(third) = self.thickness.as_ref().map(value) {
                (q, s) = longest_axes(q, [s[0], s[1], third]);
            }
            cloud.rotations.extend(q);
            cloud.log_scales.extend(s);
            cloud.opacity_logits.push(value(&self.opacity));
            cloud.harmonics.extend(self.dc.iter().map(value));
            for band in 0..bands - 1 {
                cloud.harmonics.extend((0..3).map(|channel| value(&self.rest[channel * (bands - 1) + band])));
            }
        }
        cloud
    }
}

/// The frame turned so that the shortest of three axes becomes the normal, and the scales of the other two.
fn longest_axes(q: [f32; 4], s: [f32; 3]) -> ([f32; 4], [f32; 2]) {
    // The axes are renamed in a circle, a turn by a third about (1, 1, 1), which keeps the frame right-handed.
    if s[2] <= s[0] && s[2] <= s[1] {
        (q, [s[0], s[1]])
    } else if s[0] <= s[1] {
        (quaternion::product(q, [0.5, 0.5, 0.5, 0.5]), [s[1], s[2]])
    } else {
        (quaternion::product(q, [0.5, -0.5, -0.5, -0.5]), [s[2], s[0]])
    }
}

#[cfg(test)]
#[path = "ply_tests.rs"]
mod tests;
