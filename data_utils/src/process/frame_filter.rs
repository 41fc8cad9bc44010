//! `frames.json`: which frames of a clip are used, and why the others are not.

use crate::error::{Error, Result};
use crate::media::files;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Name of the file.
pub const FILE: &str = "frames.json";
/// Largest such file, bytes.
const MAX_BYTES: u64 = 64 << 20;

/// Why a frame is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FrameFault {
    /// The picture is black.
    Black,
    /// No face is found.
    NoFace,
    /// The face is too small.
    SmallFace,
    /// A second person is in the picture.
    SecondPerson,
    /// The frame belongs to a shorter shot before or after a cut.
    OtherShot,
    /// Something covers the mouth.
    MouthCovered,
}

impl FrameFault {
    /// The fault in words.
    pub fn words(self) -> &'static str {
        match self {
            FrameFault::Black => "black",
            FrameFault::NoFace => "no face",
            FrameFault::SmallFace => "face too small",
            FrameFault::SecondPerson => "second person",
            FrameFault::OtherShot => "another shot",
            FrameFault::MouthCovered => "mouth covered",
        }
    }
}

/// A frame that is not used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExcludedFrame {
    /// Its number.
    pub frame: usize,
    /// Why.
    pub reason: FrameFault,
}

/// Which frames are used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameFilter {
    /// How many frames there are.
    pub count: usize,
    /// Those that are not used.
    #[serde(rename = "left_out")]
    pub excluded: Vec<ExcludedFrame>,
    /// Frames before which there is a cut to the next shot that is used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cuts: Vec<usize>,
}

impl FrameFilter {
    /// Excludes every frame that has a fault.
    pub fn of(faults: &[Option<FrameFault>]) -> FrameFilter {
        let excluded = faults.iter().enumerate();
        let excluded =
            excluded.filter_map(|(frame, fault)| fault.map(|reason| ExcludedFrame { frame, reason }));
        FrameFilter { count: faults.len(), excluded: excluded.collect(), cuts: Vec::new() }
    }

    /// Reads `frames.json`.
    ///
    /// # Errors
    /// [`Error::Input`] when it is missing or damaged.
    pub fn read(dir: &Path) -> Result<FrameFilter> {
        let path = dir.join(FILE);
        let bytes = files::read_bounded(&path, MAX_BYTES)?;
        let refuse = |found: String| {
            let remedy = "run process again with --task 6 --redo";
            Error::input(path.display(), "which frames are used", found, remedy)
        };
        let filter: FrameFilter = serde_json::from_slice(&bytes).map_err(|e| refuse(e.to_string()))?;
        match filter.excluded.iter().find(|e| e.frame >= filter.count) {
            Some(e) => Err(refuse(format!("frame {} of a clip with {} frames", e.frame, filter.count))),
            None => Ok(filter),
        }
    }

    /// The bytes of `frames.json`.
    ///
    /// # Errors
    /// [`Error::Internal`] when they cannot be written as JSON.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        serde_json::to_vec_pretty(self).map_err(|e| Error::Internal(format!("{FILE}: {e}")))
    }

    /// Whether each frame is used.
    pub fn used(&self) -> Vec<bool> {
        let mut used = vec![true; self.count];
        self.excluded.iter().filter(|e| e.frame < self.count).for_each(|e| used[e.frame] = false);
        used
    }

    /// The faults of the clip in one line: `3 no face (12-14), 1 black (40)`.
    pub fn summary(&self) -> String {
        let mut kinds: Vec<FrameFault> = self.excluded.iter().map(|e| e.reason).collect();
        kinds.sort_unstable();
        kinds.dedup();
        let part = |kind: FrameFault| {
            let ids: Vec<usize> =
                self.excluded.iter().filter(|e| e.reason == kind).map(|e| e.frame).collect();
            format!("{} {} ({})", ids.len(), kind.words(), ranges(&ids))
        };
        kinds.into_iter().map(part).collect::<Vec<_>>().join(", ")
    }
}

/// Sorted numbers as `3-7,9`.
fn ranges(ids: &[usize]) -> String {
    let range = |run: &[usize]| match run {
        [one] => one.to_string(),
        _ => format!("{}-{}", run[0], run[run.len() - 1]),
    };
    ids.chunk_by(|a, b| a + 1 == *b).map(range).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_names_each_fault_with_its_frames() {
        let mut faults = vec![None; 42];
        faults[12..15].fill(Some(FrameFault::NoFace));
        faults[20] = Some(FrameFault::NoFace);
        faults[40] = Some(FrameFault::Black);
        let filter = FrameFilter::of(&faults);
        assert_eq!(filter.summary(), "1 black (40), 4 no face (12-14,20)");
        assert_eq!(filter.used().iter().filter(|u| **u).count(), 37);
    }

    #[test]
    fn what_was_written_is_read_and_damage_is_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        let put = |bytes: &[u8]| std::fs::write(dir.path().join(FILE), bytes).expect("written");
        let filter = FrameFilter::of(&[None, Some(FrameFault::Black)]);
        put(&filter.to_json().expect("JSON"));
        assert_eq!(FrameFilter::read(dir.path()).expect("read"), filter);
        for damaged in [r#"{"count": 2"#, r#"{"count": 1, "left_out": [{"frame": 1, "reason": "black"}]}"#] {
            put(damaged.as_bytes());
            assert_eq!(FrameFilter::read(dir.path()).expect_err("refused").exit_code(), 2);
        }
    }
}
