//! The head file: everything a voice needs, as bytes.
//!
//! One safetensors file of named arrays. The first branch has no prefix, as files of version 1 had only one; the others are
//! behind `branch1.`, `branch2.`, …; the clip is behind `clip.` and may be absent.

use super::archive::Archive;
use super::branch::Branch;
use super::clip::Clip;
use crate::{Error, Result};
use candle_core::Device;
use data_utils::dataset::Part;

/// Version of the format that is written. A file without a version is of version 1: one branch, no clip.
pub const VERSION: u32 = 2;
/// More branches than any head has.
const MOST_BRANCHES: usize = 16;
const FORMAT: &str = "format";

/// What a file says of itself.
#[derive(serde::Serialize, serde::Deserialize)]
struct Format {
    version: u32,
    branches: usize,
    clip: bool,
}

/// A talking head, as its file holds it.
pub struct Head {
    /// What is drawn, each branch over the one before; at least one.
    pub branches: Vec<Branch>,
    /// Poses, voice levels, background and torsos of the clip it was trained on; `None` in files of version 1 and in those
    /// written while training goes on.
    pub clip: Option<Clip>,
}

impl Head {
    /// The first branch, whose settings name the part and the audio feature of the head.
    ///
    /// # Errors
    /// [`Error::Internal`] for a head without branches, which no file holds.
    pub fn first(&self) -> Result<&Branch> {
        self.branches.first().ok_or_else(|| Error::Internal("a head without a branch".into()))
    }

    /// The branch that draws neck and clothes for any pose of the head, where one was trained.
    pub fn torso(&self) -> Option<&Branch> {
        self.branches.iter().find(|branch| branch.settings.part == Part::Torso)
    }

    /// Reads a head file of this version or an earlier one.
    ///
    /// # Errors
    /// [`Error::Input`] when the bytes are damaged, of another kind, or of a later version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        from_bytes(bytes, "the head file")
    }

    /// The bytes of a head file.
    ///
    /// # Errors
    /// [`Error::Internal`] when the head has no branch or its parameters cannot be read.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        to_bytes(&self.branches.iter().collect::<Vec<_>>(), self.clip.as_ref())
    }
}

/// [`Head::from_bytes`] with the name of the file for errors.
pub(super) fn from_bytes(bytes: &[u8], at: &str) -> Result<Head> {
    let mut archive = Archive::from_bytes(bytes, at)?;
    let format = match archive.has_text(FORMAT) {
        false => Format { version: 1, branches: 1, clip: false },
        true => serde_json::from_str(&archive.take_text(at, FORMAT)?).map_err(|e| {
            Error::input(at, "a head file", e.to_string(), "use a file that surfeltalk wrote")
        })?,
    };
    if format.version > VERSION {
        return Err(Error::input(
            at,
            format!("a head file of version {VERSION} or earlier"),
            format!("version {}", format.version),
            "update surfeltalk",
        ));
    }
    if !(1..=MOST_BRANCHES).contains(&format.branches) {
        let expected = format!("1 to {MOST_BRANCHES} branches");
        let remedy = "use a file that surfeltalk wrote";
        return Err(Error::input(at, expected, format.branches.to_string(), remedy));
    }
    let branches = (0..format.branches)
        .map(|k| Branch::restore(&mut archive, &prefix(k), at, &Device::Cpu))
        .collect::<Result<_>>()?;
    let clip = format.clip.then(|| Clip::restore(&mut archive, at)).transpose()?;
    Ok(Head { branches, clip })
}

/// [`Head::to_bytes`] of borrowed parts.
pub(super) fn to_bytes(branches: &[&Branch], clip: Option<&Clip>) -> Result<Vec<u8>> {
    let mut archive = Archive::default();
    for (k, branch) in branches.iter().enumerate() {
        branch.store(&mut archive, &prefix(k))?;
    }
    if let Some(clip) = clip {
        clip.store(&mut archive);
    }
    let format = Format { version: VERSION, branches: branches.len(), clip: clip.is_some() };
    let format = serde_json::to_string(&format).map_err(|e| Error::Internal(e.to_string()))?;
    archive.put_text(FORMAT, format);
    archive.to_bytes()
}

fn prefix(branch: usize) -> String {
    if branch == 0 { String::new() } else { format!("branch{branch}.") }
}
