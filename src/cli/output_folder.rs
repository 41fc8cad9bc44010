//! The folder that a video goes to. A video of another voice, of other settings, or changed by hand is never replaced
//! unasked: the new one goes to a folder with a number of its own.

use crate::live::attention::CHANNELS;
use crate::{Error, Result};
use data_utils::media::frame_file;
use data_utils::workspace::{Ledger, Lock, Origin, remove_temporaries_of};
use std::path::{Path, PathBuf};

/// Endings of videos, with ffmpeg and without, with an alpha, and of the sound beside PNG files.
const ENDINGS: [&str; 4] = ["mp4", "avi", "webm", "wav"];
/// The folder of PNG files in place of a video.
pub const FRAMES: &str = "frames";
/// The scores beside a video.
pub const METRICS: &str = "metrics.json";
/// Opening, width and shapes of the drawn lips, frame by frame.
pub const LIPS: &str = "lips.npy";
/// How the drawn lips follow filmed ones.
pub const LIP_METRICS: &str = "lip_metrics.json";
/// Folders of one name that are looked at.
const MOST: usize = 10_000;

/// Where a video should go.
#[derive(Debug, Clone, Copy)]
pub struct Destination<'a> {
    /// The folder.
    pub folder: &'a Path,
    /// Whether it must be this folder; otherwise a number is added to its name where it holds something else.
    pub exact: bool,
    /// Whether what it holds may be replaced.
    pub overwrite: bool,
}

/// A folder that one video has for itself until this value is dropped.
#[derive(Debug)]
pub struct OutputFolder {
    path: PathBuf,
    request: String,
    _lock: Lock,
}

impl OutputFolder {
    /// Takes a folder for the video that is described by `request`, a hash over everything that decides its content. A
    /// folder that already holds that very video is taken again.
    ///
    /// # Errors
    /// [`Error::Input`] when another run works there, or an exact folder holds something else.
    pub fn claim(destination: Destination, request: String) -> Result<OutputFolder> {
        let Destination { folder, exact, overwrite } = destination;
        for number in 1..=MOST {
            let path = numbered(folder, number);
            let lock = Lock::acquire(&path, "render")?;
            let held = other_content(&path, &request)?;
            let Some(held) = held.filter(|_| !(overwrite && number == 1)) else {
                remove_temporaries_of(&path)?;
                return Ok(OutputFolder { path, request, _lock: lock });
            };
            if exact {
                return Err(Error::input(
                    path.display(),
                    "a folder without another video",
                    held,
                    "add --overwrite to replace it, or name another folder with --out",
                ));
            }
        }
        Err(Error::input(
            folder.display(),
            "fewer folders of that name",
            MOST.to_string(),
            "name one with --out",
        ))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Records the files that were written.
    ///
    /// # Errors
    /// [`Error::Input`] when the folder cannot be written to.
    pub fn record<'a>(&self, files: impl IntoIterator<Item = &'a Path>) -> Result<()> {
        let mut ledger = Ledger::new("render", self.request.clone());
        let names: Vec<String> = files
            .into_iter()
            .filter_map(|path| Some(path.strip_prefix(&self.path).ok()?.to_string_lossy().into_owned()))
            .collect();
        ledger.record(&self.path, names.iter().map(String::as_str))?;
        ledger.write(&self.path)
    }
}

/// The name of a voice's folder: that of its file without the ending. A name that would lead elsewhere is not used.
pub fn voice_name(voice: &Path) -> String {
    match voice.file_stem().map(|stem| stem.to_string_lossy().into_owned()) {
        Some(name) if !matches!(name.as_str(), "" | "." | "..") => name,
        _ => "voice".into(),
    }
}

/// `folder`, `folder_2`, `folder_3`, …
fn numbered(folder: &Path, number: usize) -> PathBuf {
    match folder.file_name() {
        Some(name) if number > 1 => {
            let mut name = name.to_owned();
            name.push(format!("_{number}"));
            folder.with_file_name(name)
        }
        _ => folder.to_owned(),
    }
}

/// The first file in a folder that is of another video than the one requested, or was changed since it was written.
fn other_content(folder: &Path, request: &str) -> Result<Option<String>> {
    let ledger = Ledger::read(folder).unwrap_or_default().filter(|l| l.program == "render");
    let videos = ["renders"].into_iter().chain(CHANNELS);
    let names = videos.flat_map(|name| ENDINGS.map(|ending| format!("{name}.{ending}")));
    let others = [METRICS, LIPS, LIP_METRICS].map(str::to_owned).into_iter().chain(frame_names(folder)?);
    for name in names.chain(others).filter(|name| folder.join(name).exists()) {
        let same = match &ledger {
            Some(ledger) if ledger.request == request => ledger.origin(folder, &name)? == Origin::Ours,
            _ => false,
        };
        if !same {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// The PNG files of the folder that are numbered as frames are: a video in PNG files would replace or remove them.
fn frame_names(folder: &Path) -> Result<Vec<String>> {
    let frames = folder.join(FRAMES);
    let fail = |e: std::io::Error| Error::io(&frames, "a readable folder", &e);
    let entries = match std::fs::read_dir(&frames) {
        Ok(entries) => entries,
        Err(_) if !frames.is_dir() => return Ok(Vec::new()),
        Err(e) => return Err(fail(e)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(fail)?.file_name().to_string_lossy().into_owned();
        if name.strip_suffix(".png").and_then(|n| n.parse().ok()).is_some_and(|n| frame_file(n) == name) {
            names.push(format!("{FRAMES}/{name}"));
        }
    }
    names.sort_unstable();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(folder: &Path, request: &str) -> Result<OutputFolder> {
        OutputFolder::claim(Destination { folder, exact: false, overwrite: false }, request.into())
    }

    fn write(output: &OutputFolder, text: &str) {
        let video = output.path().join("renders.mp4");
        std::fs::write(&video, text).expect("written");
        output.record([video.as_path()]).expect("recorded");
    }

    #[test]
    fn another_video_of_the_same_name_gets_a_folder_of_its_own() {
        let dir = tempfile::tempdir().expect("a folder");
        let wanted = dir.path().join("renders/output");
        let monday = claim(&wanted, "monday").expect("free");
        assert_eq!(monday.path(), wanted);
        write(&monday, "monday's video");
        drop(monday);
        let tuesday = claim(&wanted, "tuesday").expect("free");
        assert_eq!(tuesday.path(), dir.path().join("renders/output_2"));
        write(&tuesday, "tuesday's video");
        drop(tuesday);
        // The same request goes where it went before.
        for (request, place) in [("monday", "output"), ("tuesday", "output_2"), ("wednesday", "output_3")] {
            assert_eq!(claim(&wanted, request).expect("free").path(), dir.path().join("renders").join(place));
        }
        // A folder that was taken and not used leaves nothing behind.
        assert!(!dir.path().join("renders/output_3").exists());
        // What was changed by hand is nobody's to replace.
        std::fs::write(wanted.join("renders.mp4"), "cut by hand").expect("written");
        assert_eq!(claim(&wanted, "monday").expect("free").path(), dir.path().join("renders/output_3"));
        assert_eq!(std::fs::read(wanted.join("renders.mp4")).expect("there"), b"cut by hand");
    }

    #[test]
    fn a_folder_that_was_named_is_refused_when_it_holds_another_video() {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join("renders.avi"), "a video without a record").expect("written");
        let destination = Destination { folder: dir.path(), exact: true, overwrite: false };
        let error = OutputFolder::claim(destination, "r".into()).expect_err("refused");
        assert!(error.exit_code() == 2 && error.to_string().contains("renders.avi"), "{error}");
        let asked = Destination { overwrite: true, ..destination };
        assert_eq!(OutputFolder::claim(asked, "r".into()).expect("asked for").path(), dir.path());
    }

    #[test]
    fn pictures_that_a_video_in_png_files_would_replace_are_nobody_s_to_replace() {
        let dir = tempfile::tempdir().expect("a folder");
        let frames = dir.path().join(FRAMES);
        std::fs::create_dir(&frames).expect("made");
        // Names that no frame has are left alone.
        for name in ["me.png", "0.png", "notes.txt"] {
            std::fs::write(frames.join(name), "mine").expect("written");
        }
        assert_eq!(claim(dir.path(), "r").expect("free").path(), dir.path());
        std::fs::write(frames.join("00007.png"), "mine").expect("written");
        let destination = Destination { folder: dir.path(), exact: true, overwrite: false };
        let error = OutputFolder::claim(destination, "r".into()).expect_err("refused");
        assert!(error.exit_code() == 2 && error.to_string().contains("frames/00007.png"), "{error}");
    }

    #[test]
    fn two_renders_do_not_write_to_one_folder() {
        let dir = tempfile::tempdir().expect("a folder");
        let first = claim(&dir.path().join("a"), "r").expect("free");
        assert!(
            claim(&dir.path().join("a"), "r").expect_err("refused").to_string().contains("render (process")
        );
        drop(first);
    }

    #[test]
    fn what_a_killed_run_left_is_removed_and_other_files_stay() {
        let dir = tempfile::tempdir().expect("a folder");
        for name in [".aB3xYz.tmp", ".notes.tmp", "sub/.aB3xYz.tmp"] {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            std::fs::write(path, "half a video").expect("written");
        }
        drop(claim(dir.path(), "r").expect("free"));
        assert!(!dir.path().join(".aB3xYz.tmp").exists());
        assert!(dir.path().join(".notes.tmp").exists() && dir.path().join("sub/.aB3xYz.tmp").exists());
    }

    #[test]
    fn a_voice_cannot_lead_out_of_the_folder() {
        for (file, name) in [("a/hello.wav", "hello"), ("...wav", "voice"), ("..", "voice"), (".wav", ".wav")]
        {
            assert_eq!(voice_name(Path::new(file)), name);
        }
    }
}
