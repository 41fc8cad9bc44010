//! What is wrong with a dataset, gathered before anything is refused, so that one run names all of it.
//!
//! A fault that many frames share is one line: `ori_imgs/{3,7,9-12}.jpg: …`.

use crate::error::{Error, Problem, Result};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// Largest side of a picture, pixels.
pub(super) const MAX_SIDE: u32 = 8192;

/// Everything found wrong so far.
#[derive(Default)]
pub(super) struct Findings {
    rows: Vec<Row>,
    internal: Option<Error>,
}

struct Row {
    /// Place, with `{}` where the frame's number goes.
    at: String,
    expected: String,
    found: String,
    remedy: String,
    ids: Vec<u32>,
}

impl Findings {
    /// Notes a fault of the whole dataset.
    pub(super) fn push(&mut self, problem: Problem) {
        let Problem { at, expected, found, remedy } = problem;
        self.rows.push(Row { at, expected, found, remedy, ids: Vec::new() });
    }

    /// Notes a fault of frame `id`; `at` has `{}` where the number goes.
    pub(super) fn frame(&mut self, at: &str, id: u32, expected: &str, found: &str, remedy: &str) {
        let same = |r: &&mut Row| r.at == at && r.expected == expected && r.found == found;
        if let Some(row) = self.rows.iter_mut().find(same) {
            row.ids.push(id);
        } else {
            self.rows.push(Row {
                at: at.into(),
                expected: expected.into(),
                found: found.into(),
                remedy: remedy.into(),
                ids: vec![id],
            });
        }
    }

    /// The value, or nothing and one more finding.
    pub(super) fn take<T>(&mut self, result: Result<T>) -> Option<T> {
        match result {
            Ok(value) => return Some(value),
            Err(Error::Input(problem)) => self.push(problem),
            Err(Error::Inputs(problems)) => problems.into_iter().for_each(|p| self.push(p)),
            Err(other) => self.internal = self.internal.take().or(Some(other)),
        }
        None
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.internal.is_none()
    }

    /// Nothing when nothing was found; otherwise the error that lists it all.
    pub(super) fn into_result(self) -> Result<()> {
        if let Some(error) = self.internal {
            return Err(error);
        }
        let mut problems: Vec<Problem> = self
            .rows
            .into_iter()
            .map(|r| Problem::new(r.at.replace("{}", &ranges(&r.ids)), r.expected, r.found, r.remedy))
            .collect();
        match problems.len() {
            0 => Ok(()),
            1 => Err(Error::Input(problems.remove(0))),
            _ => Err(Error::Inputs(problems)),
        }
    }
}

/// `7`, or `{3,7,9-12}`.
pub(super) fn ranges(ids: &[u32]) -> String {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    ids.dedup();
    let parts: Vec<String> = ids
        .chunk_by(|a, b| a + 1 == *b)
        .map(|run| match run {
            [one] => one.to_string(),
            _ => format!("{}-{}", run[0], run[run.len() - 1]),
        })
        .collect();
    if let ([_], [one]) = (ids.as_slice(), parts.as_slice()) {
        one.clone()
    } else {
        format!("{{{}}}", parts.join(","))
    }
}

/// Width and height of a JPEG or PNG by its first bytes, after a look at its last ones: a picture whose end is
/// missing is refused without decoding it. What is wrong is said in a few words.
pub(super) fn picture_size(path: &Path) -> std::result::Result<[u32; 2], String> {
    let mut file = File::open(path).map_err(|e| io_words(&e))?;
    let length = file.metadata().map_err(|e| io_words(&e))?.len();
    let mut head = Vec::new();
    // Enough for a PNG and for a JPEG without embedded pictures; those with them are read further on.
    for most in [4 << 10, 1 << 20] {
        file.seek(SeekFrom::Start(0)).map_err(|e| io_words(&e))?;
        head.clear();
        (&file).take(most).read_to_end(&mut head).map_err(|e| io_words(&e))?;
        if size_of(&head).is_some() {
            break;
        }
    }
    let size = size_of(&head).ok_or_else(|| {
        if length == 0 { "an empty file".to_string() } else { "neither a JPEG nor a PNG".to_string() }
    })?;
    let mut tail = Vec::new();
    file.seek(SeekFrom::Start(length.saturating_sub(1 << 10))).map_err(|e| io_words(&e))?;
    file.take(1 << 10).read_to_end(&mut tail).map_err(|e| io_words(&e))?;
    if !has_end(&head, &tail) {
        return Err("a picture cut short".into());
    }
    if size.iter().any(|&s| s == 0 || s > MAX_SIDE) {
        return Err(format!("{}×{} pixels", size[0], size[1]));
    }
    Ok(size)
}

/// Whether the last bytes of a picture hold the mark that ends it.
pub(super) fn has_end(head: &[u8], tail: &[u8]) -> bool {
    let mark: &[u8] = if head.starts_with(PNG) { b"IEND" } else { &[0xff, 0xd9] };
    tail.windows(mark.len()).any(|w| w == mark)
}

/// First bytes of every PNG.
pub(super) const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

fn size_of(head: &[u8]) -> Option<[u32; 2]> {
    if head.starts_with(PNG) {
        let word = |at: usize| Some(u32::from_be_bytes(head.get(at..at + 4)?.try_into().ok()?));
        return Some([word(16)?, word(20)?]);
    }
    if !head.starts_with(&[0xff, 0xd8]) {
        return None;
    }
    // JPEG: segments of marker, length, body, until a start of frame (ITU-T T.81, B.2.2).
    let mut at = 2;
    loop {
        let [0xff, marker] = *head.get(at..at + 2)? else { return None };
        if marker == 0xff {
            at += 1;
            continue;
        }
        if matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc) {
            let side = |at: usize| Some(u16::from_be_bytes([*head.get(at)?, *head.get(at + 1)?]) as u32);
            return Some([side(at + 7)?, side(at + 5)?]);
        }
        at += 2 + u16::from_be_bytes([*head.get(at + 2)?, *head.get(at + 3)?]) as usize;
    }
}

fn io_words(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "no such file".into(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_a_row_are_one_range() {
        assert_eq!(ranges(&[7]), "7");
        assert_eq!(ranges(&[12, 3, 7, 9, 10, 11]), "{3,7,9-12}");
    }

    #[test]
    fn the_same_fault_of_many_frames_is_one_problem_and_two_faults_are_two() {
        let mut findings = Findings::default();
        (3..6).for_each(|id| findings.frame("parsing/{}.png", id, "a picture", "no such file", "make it"));
        findings.push(Problem::new("bc.jpg", "a picture", "an empty file", "make it"));
        let Err(Error::Inputs(problems)) = findings.into_result() else { panic!("two problems expected") };
        assert_eq!(problems.len(), 2);
        assert_eq!(problems[0].at, "parsing/{3-5}.png");
    }

    #[test]
    fn sizes_come_from_the_header_and_a_cut_tail_is_seen() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let picture = image::RgbImage::from_fn(37, 21, |x, y| image::Rgb([x as u8 * 5, y as u8 * 9, 80]));
        for name in ["a.png", "a.jpg"] {
            let path = dir.path().join(name);
            picture.save(&path).expect("saved");
            assert_eq!(picture_size(&path), Ok([37, 21]), "{name}");
            let bytes = std::fs::read(&path).expect("read");
            for cut in [0, 1, 10, 30, bytes.len() / 2, bytes.len() - 12] {
                std::fs::write(&path, &bytes[..cut]).expect("written");
                assert!(picture_size(&path).is_err(), "{name} cut at {cut}");
            }
        }
    }
}
