//! Whether an MP4 file that another program wrote is whole: its boxes fill the file, its index is there, and all its
//! frames lie in it. A program that ran out of disk space may end as if all were well.

use super::files::open_plain;
use super::mp4_boxes::{boxes, child, descendant, read_index, timescale, top_boxes, u32_at, u64_at};
use std::path::Path;

/// What a whole file holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Contents {
    /// Frames of the first video track.
    pub(super) frames: u64,
    /// Length of the first sound track, seconds.
    pub(super) sound: Option<f64>,
}

/// What a file holds, or what is missing of it in a few words.
pub(super) fn contents(path: &Path) -> Result<Contents, String> {
    let mut file = open_plain(path).map_err(|e| e.to_string())?;
    let length = file.metadata().map_err(|e| e.to_string())?.len();
    let (top, end) = top_boxes(&mut file, length).map_err(|e| e.to_string())?;
    if length == 0 {
        return Err("an empty file".into());
    }
    if end != length {
        return Err(format!("a file cut short after {end} of {length} bytes"));
    }
    let data: Vec<[u64; 2]> = top.iter().filter(|b| &b.name == b"mdat").map(|b| b.body).collect();
    let index = read_index(&mut file, length).map_err(|e| e.to_string())?;
    let index = index.ok_or("a file without an index")?;
    let mut contents = Contents { frames: 0, sound: None };
    for (_, track) in boxes(&index).filter(|(name, _)| name == b"trak") {
        let kind = descendant(track, &[b"mdia", b"hdlr"]).and_then(|handler| handler.get(8..12));
        let is_video = kind == Some(b"vide");
        if !is_video && kind != Some(b"soun") {
            continue;
        }
        let samples = samples(track, &data).ok_or("frames that lie outside the file")?;
        if is_video && contents.frames == 0 {
            contents.frames = samples;
        } else if !is_video && contents.sound.is_none() {
            contents.sound = seconds(track);
        }
    }
    Ok(contents)
}

/// How many samples a track has, when all of them lie in the file's data.
fn samples(track: &[u8], data: &[[u64; 2]]) -> Option<u64> {
    let table = descendant(track, &[b"mdia", b"minf", b"stbl"])?;
    let sizes = child(table, b"stsz")?;
    let (fixed, count) = (u32_at(sizes, 4)?, u32_at(sizes, 8)? as usize);
    let size = |at: usize| match fixed {
        0 => u32_at(sizes, at.checked_mul(4)?.checked_add(12)?),
        fixed => Some(fixed),
    };
    let offsets: Vec<u64> = match (child(table, b"stco"), child(table, b"co64")) {
        (Some(box_), _) => {
            (0..u32_at(box_, 4)? as usize).map_while(|k| u32_at(box_, 8 + 4 * k)).map(u64::from).collect()
        }
        (None, Some(box_)) => (0..u32_at(box_, 4)? as usize).map_while(|k| u64_at(box_, 8 + 8 * k)).collect(),
        (None, None) => return None,
    };
    // Runs of chunks with the same number of samples, each from its first chunk on, counted from 1.
    let runs = child(table, b"stsc")?;
    let run = |k: usize| Some((u32_at(runs, 8 + 12 * k)? as usize, u32_at(runs, 12 + 12 * k)? as usize));
    let (mut at, mut current) = (0, 0);
    for (chunk, offset) in offsets.iter().enumerate() {
        while run(current + 1).is_some_and(|(first, _)| first <= chunk + 1)
            && current + 1 < u32_at(runs, 4)? as usize
        {
            current += 1;
        }
        let (_, each) = run(current)?;
        let mut end = *offset;
        for _ in 0..each {
            end = end.checked_add(u64::from(size(at)?))?;
            at += 1;
        }
        if !data.iter().any(|[start, stop]| start <= offset && end <= *stop) {
            return None;
        }
    }
    (at == count).then_some(count as u64)
}

/// Length of a track, seconds.
fn seconds(track: &[u8]) -> Option<f64> {
    let header = descendant(track, &[b"mdia", b"mdhd"])?;
    let ticks = match header.first()? {
        1 => u64_at(header, 24)?,
        _ => u64::from(u32_at(header, 16)?),
    };
    Some(ticks as f64 / f64::from(timescale(header)?))
}
