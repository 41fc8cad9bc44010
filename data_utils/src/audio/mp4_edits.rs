//! Edit lists of MP4 files (ISO/IEC 14496-12 §8.6.6): which part of an audio track is heard, and when.
//!
//! AAC encoders put 1024 or more samples of their own in front and say so here; without it sound would come half
//! a video frame late.

use super::error::Failure;
use crate::media::mp4_boxes::{boxes, child, read_index, timescale, u32_at, u64_at};
use std::io::{Read, Seek};

/// The audible part of one track, in seconds as fractions `(ticks, ticks per second)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Edit {
    /// Silence before the track begins.
    pub(super) wait: (u64, u32),
    /// Sound of the track to leave out at its start.
    pub(super) skip: (u64, u32),
    /// How long it is heard; to its end when `None`.
    pub(super) length: Option<(u64, u32)>,
}

impl Edit {
    /// A part of a second as samples at `rate`, rounded.
    pub(super) fn samples((ticks, per_second): (u64, u32), rate: u32) -> u64 {
        let per_second = u128::from(per_second.max(1));
        let samples = (u128::from(ticks) * u128::from(rate) + per_second / 2) / per_second;
        u64::try_from(samples).unwrap_or(u64::MAX)
    }
}

/// The edit of the track with this id; `None` when the file is no MP4 or plays the track as it is.
pub(super) fn find(file: &mut (impl Read + Seek), length: u64, track: u32) -> Result<Option<Edit>, Failure> {
    let index = read_index(file, length).map_err(|e| Failure::Unsupported(e.to_string()))?;
    let Some(index) = index else { return Ok(None) };
    let Some(movie_rate) = child(&index, b"mvhd").and_then(timescale) else { return Ok(None) };
    let trak = boxes(&index).filter(|(name, _)| name == b"trak").map(|(_, body)| body).find(|trak| {
        let id = child(trak, b"tkhd").and_then(|tkhd| match tkhd.first()? {
            1 => u32_at(tkhd, 20),
            _ => u32_at(tkhd, 12),
        });
        id == Some(track)
    });
    let Some(trak) = trak else { return Ok(None) };
    let media_rate = child(trak, b"mdia").and_then(|mdia| child(mdia, b"mdhd")).and_then(timescale);
    let edits = child(trak, b"edts").and_then(|edts| child(edts, b"elst")).and_then(entries);
    let (Some(media_rate), Some(edits)) = (media_rate, edits) else { return Ok(None) };
    // A media time of −1 means silence.
    let (silent, heard): (Vec<_>, Vec<_>) = edits.iter().partition(|(_, start)| *start < 0);
    match (silent.as_slice(), heard.as_slice()) {
        (_, []) => Ok(None),
        ([], [(length, start)]) => Ok(Some(edit(0, *length, *start, movie_rate, media_rate))),
        ([(wait, _)], [(length, start)]) if edits[0].1 < 0 => {
            Ok(Some(edit(*wait, *length, *start, movie_rate, media_rate)))
        }
        _ => Err(Failure::Unsupported(format!("an MP4 track cut from {} pieces", edits.len()))),
    }
}

fn edit(wait: u64, length: u64, start: i64, movie_rate: u32, media_rate: u32) -> Edit {
    Edit {
        wait: (wait, movie_rate),
        skip: (start.unsigned_abs(), media_rate),
        // Films written in fragments do not know their length when they begin.
        length: (length > 0).then_some((length, movie_rate)),
    }
}

/// Length and start of every entry of an `elst`.
fn entries(elst: &[u8]) -> Option<Vec<(u64, i64)>> {
    let wide = elst.first()? == &1;
    let size = if wide { 20 } else { 12 };
    let count = u32_at(elst, 4)? as usize;
    let entries: Vec<_> = elst.get(8..)?.chunks_exact(size).take(count).collect();
    (entries.len() == count).then_some(())?;
    entries
        .iter()
        .map(|entry| match wide {
            true => Some((u64_at(entry, 0)?, u64_at(entry, 8)? as i64)),
            false => Some((u64::from(u32_at(entry, 0)?), i64::from(u32_at(entry, 4)? as i32))),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn boxed(name: &[u8; 4], body: &[u8]) -> Vec<u8> {
        let mut bytes = (8 + body.len() as u32).to_be_bytes().to_vec();
        bytes.extend(name);
        bytes.extend(body);
        bytes
    }

    /// Version 0 of a header with one number after version, flags and two times.
    fn timed(name: &[u8; 4], number: u32) -> Vec<u8> {
        let mut body = vec![0u8; 12];
        body.extend(number.to_be_bytes());
        boxed(name, &body)
    }

    /// A film of one track, 1000 ticks per second, its sound 48000, with these edits.
    fn film(track: u32, edits: &[(u32, i32)]) -> Vec<u8> {
        let mut elst = vec![0u8; 4];
        elst.extend((edits.len() as u32).to_be_bytes());
        for (length, start) in edits {
            elst.extend(length.to_be_bytes());
            elst.extend(start.to_be_bytes());
            elst.extend([0, 1, 0, 0]);
        }
        let edts = boxed(b"edts", &boxed(b"elst", &elst));
        let trak =
            boxed(b"trak", &[timed(b"tkhd", track), edts, boxed(b"mdia", &timed(b"mdhd", 48_000))].concat());
        [
            boxed(b"ftyp", b"isom"),
            boxed(b"mdat", &[0; 40]),
            boxed(b"moov", &[timed(b"mvhd", 1000), trak].concat()),
        ]
        .concat()
    }

    fn find_in(bytes: &[u8], track: u32) -> Result<Option<Edit>, Failure> {
        find(&mut Cursor::new(bytes), bytes.len() as u64, track)
    }

    #[test]
    fn the_encoders_own_samples_are_left_out() {
        let edit = find_in(&film(2, &[(1502, 1024)]), 2).unwrap().unwrap();
        assert_eq!(edit, Edit { wait: (0, 1000), skip: (1024, 48_000), length: Some((1502, 1000)) });
        assert_eq!(Edit::samples(edit.skip, 44_100), 941);
        assert_eq!(Edit::samples((1502, 1000), 48_000), 72_096);
    }

    #[test]
    fn an_empty_edit_in_front_is_a_wait() {
        let edit = find_in(&film(1, &[(40, -1), (0, 2048)]), 1).unwrap().unwrap();
        assert_eq!(edit, Edit { wait: (40, 1000), skip: (2048, 48_000), length: None });
    }

    #[test]
    fn a_track_cut_from_pieces_is_left_to_others() {
        assert!(matches!(find_in(&film(1, &[(40, 0), (40, 9000)]), 1), Err(Failure::Unsupported(_))));
    }

    #[test]
    fn files_without_edits_are_played_as_they_are() {
        assert_eq!(find_in(&film(1, &[]), 1), Ok(None));
        assert_eq!(find_in(&film(1, &[(9, 9)]), 7), Ok(None));
        assert_eq!(find_in(b"RIFF....WAVE", 1), Ok(None));
        assert_eq!(find_in(b"", 1), Ok(None));
    }

    #[test]
    fn an_index_cut_anywhere_is_no_panic() {
        let film = film(1, &[(40, -1), (0, 2048)]);
        for end in 0..film.len() {
            drop(find_in(&film[..end], 1));
            let mut huge = film.clone();
            huge[end] = 0xff;
            drop(find_in(&huge, 1));
        }
    }
}
