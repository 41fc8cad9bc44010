//! Which frames of a dataset can be learned from: all files of each frame are decoded once, on all threads, before
//! training begins. What was found is kept by size and time of the files, outside the dataset, so that the next run need
//! not decode them again.

use super::folder::FrameMeta;
use super::masks::Label;
use super::pixels::Store;
use crate::error::{Error, Problem};
use crate::media::files;
use crate::workspace::digest_text;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// A frame whose label map has fewer pixels of a head than this share of the picture shows nobody.
const LEAST_HEAD: f64 = 5e-4;
/// Largest file of earlier findings that is read, bytes.
const MAX_BYTES: u64 = 64 << 20;
/// Files of a frame.
const FILES: [&str; 4] = ["parsing/{}.png", "parsing/{}_face.png", "torso_imgs/{}.png", "teeth_mask/{}.npy"];

/// Why nothing can be learned from a frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum FrameFault {
    /// A file of it cannot be read: the file, what was expected, what was found.
    Unreadable(String, String, String),
    /// Its label map shows nobody.
    NoHead,
}

/// What an earlier run found, by frame: the files' sizes and times, and the fault.
#[derive(Default, Serialize, Deserialize)]
struct Known {
    frames: BTreeMap<u32, (String, Option<FrameFault>)>,
}

/// The fault of each frame; none for good ones.
pub(super) fn faults(store: &Store, frames: &[FrameMeta]) -> Vec<Option<FrameFault>> {
    let path = cache_path(&store.dir);
    let known = path.as_deref().map(read).unwrap_or_default();
    let found: Vec<(String, Option<FrameFault>)> = frames
        .par_iter()
        .map(|frame| {
            let state = state(store, frame.img_id);
            match known.frames.get(&frame.img_id).filter(|(before, _)| *before == state) {
                Some(known) => known.clone(),
                None => (state, fault(store, frame)),
            }
        })
        .collect();
    let now = Known { frames: frames.iter().map(|f| f.img_id).zip(found.iter().cloned()).collect() };
    if let (Some(path), true) = (path, now.frames != known.frames) {
        // Without it the next run decodes the frames again.
        let _ = serde_json::to_vec(&now).map(|bytes| files::write_bytes_fast(&path, &bytes));
    }
    found.into_iter().map(|(_, fault)| fault).collect()
}

fn fault(store: &Store, frame: &FrameMeta) -> Option<FrameFault> {
    let unreadable = |error: Error| match error {
        Error::Input(Problem { at, expected, found, .. }) => FrameFault::Unreadable(at, expected, found),
        other => FrameFault::Unreadable(frame.img_id.to_string(), "a frame".into(), other.to_string()),
    };
    let pixels = match store.decode(frame.img_id, frame.landmarks.as_ref()) {
        Ok(pixels) => pixels,
        Err(error) => return Some(unreadable(error)),
    };
    let torso = store.dir.join("torso_imgs").join(format!("{}.png", frame.img_id));
    if let Some(Err(error)) = torso.exists().then(|| store.open(&torso)) {
        return Some(unreadable(error));
    }
    let head = pixels.labels.iter().filter(|label| **label & Label::HEAD != 0).count();
    ((head as f64) < LEAST_HEAD * pixels.labels.len() as f64).then_some(FrameFault::NoHead)
}

/// Sizes and times of all files of a frame, and the size it is handed out in, as a hash.
fn state(store: &Store, id: u32) -> String {
    let others = FILES.iter().map(|name| store.dir.join(name.replace("{}", &id.to_string())));
    let part = |path: PathBuf| {
        let data = std::fs::metadata(path).ok()?;
        let time = data.modified().ok()?.duration_since(UNIX_EPOCH).ok()?.as_nanos();
        Some((data.len(), time))
    };
    let parts: Vec<_> = std::iter::once(store.picture(id)).chain(others).map(part).collect();
    digest_text(&format!("{parts:?} {:?} {:?}", store.stored, store.size))
}

fn read(path: &Path) -> Known {
    let bytes = files::read_bounded(path, MAX_BYTES).unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or_default()
}

/// Where findings about a dataset are kept: in the user's folder for such files.
fn cache_path(dir: &Path) -> Option<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let cache = variable("XDG_CACHE_HOME")
        .or_else(|| variable("LOCALAPPDATA"))
        .or_else(|| Some(variable("HOME")?.join(".cache")))?;
    let dir = std::fs::canonicalize(dir).ok()?;
    let name = digest_text(&dir.to_string_lossy());
    Some(cache.join("surfeltalk").join("frames").join(format!("{}.json", name.get(..32)?)))
}
