//! What every stage may use: the options, the tools, the networks, and the one way in which it writes its files.

use super::journal::{FOLDER, Journal};
use super::message::{Listener, Message};
use super::options::Options;
use super::probe::{self, Probe};
use crate::error::{Error, Result};
use crate::face::FaceModels;
use crate::media::Ffmpeg;
use crate::media::files;
use crate::workspace::{digest_bytes, digest_file};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// What lasts for a whole run.
pub struct Resources<'a> {
    /// What was asked for.
    pub options: &'a Options,
    /// Receives messages.
    pub listener: Listener<'a>,
    tools: Option<Ffmpeg>,
    models: Option<FaceModels>,
    probe: OnceLock<Probe>,
}

impl<'a> Resources<'a> {
    /// The resources of a run; `tools` and `models` may be missing where no stage needs them.
    pub fn new(
        options: &'a Options,
        listener: Listener<'a>,
        tools: Option<Ffmpeg>,
        models: Option<FaceModels>,
    ) -> Self {
        Resources { options, listener, tools, models, probe: OnceLock::new() }
    }

    /// The programs that read and write videos.
    ///
    /// # Errors
    /// [`Error::Internal`] when the run was started without them.
    pub fn tools(&self) -> Result<&Ffmpeg> {
        self.tools.as_ref().ok_or_else(|| Error::Internal("a run without ffmpeg".into()))
    }

    /// MediaPipe's networks.
    ///
    /// # Errors
    /// [`Error::Internal`] when the run was started without them.
    pub fn models(&self) -> Result<&FaceModels> {
        self.models.as_ref().ok_or_else(|| Error::Internal("a run without face networks".into()))
    }

    /// The first look at the video, taken once.
    ///
    /// # Errors
    /// As [`probe::probe`].
    pub fn probe(&self) -> Result<&Probe> {
        if let Some(probe) = self.probe.get() {
            return Ok(probe);
        }
        let probe = probe::probe(self.tools()?, self.models()?, &self.options.video)?;
        Ok(self.probe.get_or_init(|| probe))
    }
}

/// What one stage works with.
pub struct Context<'a> {
    /// What lasts for the whole run.
    pub resources: &'a Resources<'a>,
    /// What was asked for.
    pub options: &'a Options,
    /// Files of this stage that were changed or put in by hand, relative to the dataset's folder.
    kept: &'a BTreeSet<String>,
    journal: &'a Journal,
}

impl<'a> Context<'a> {
    /// The context of a stage.
    pub fn new(resources: &'a Resources<'a>, kept: &'a BTreeSet<String>, journal: &'a Journal) -> Self {
        Context { resources, options: resources.options, kept, journal }
    }

    /// The dataset's folder.
    pub fn dir(&self) -> &Path {
        &self.options.dir
    }

    /// The programs that read and write videos.
    ///
    /// # Errors
    /// As [`Resources::tools`].
    pub fn tools(&self) -> Result<&Ffmpeg> {
        self.resources.tools()
    }

    /// MediaPipe's networks.
    ///
    /// # Errors
    /// As [`Resources::models`].
    pub fn models(&self) -> Result<&FaceModels> {
        self.resources.models()
    }

    /// Progress of `total` steps of `what`.
    pub fn progress(&self, what: &'static str, total: usize) -> Progress<'_> {
        let progress = Progress { listener: self.resources.listener, what, total: total as u64 };
        progress.update(0);
        progress
    }

    /// Whether a file was changed or put in by hand; it is then read like any other and never written.
    pub fn is_kept(&self, name: &str) -> bool {
        self.kept.contains(name)
    }

    /// Whether a file needs no work: it is kept, or was made by this work before it was interrupted.
    pub fn is_done(&self, name: &str) -> bool {
        self.is_kept(name) || self.journal.has(name) && self.dir().join(name).is_file()
    }

    /// Writes an output of the stage, as a whole or not at all; does nothing for a file that is kept.
    ///
    /// # Errors
    /// [`Error::Input`] when the place cannot be written to.
    pub fn put(&self, name: &str, bytes: &[u8]) -> Result<()> {
        if self.is_kept(name) {
            return Ok(());
        }
        self.journal.add(name, digest_bytes(bytes))?;
        files::write_bytes_fast(&self.dir().join(name), bytes)
    }

    /// As [`Context::put`] for a file that `write` makes at a path of its own.
    ///
    /// # Errors
    /// That of `write`; [`Error::Input`] when the place cannot be written to.
    pub fn make(&self, name: &str, write: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        if self.is_kept(name) {
            return Ok(());
        }
        let target = self.dir().join(name);
        let temporary = Temporary(self.dir().join(FOLDER).join(format!("new-{}", name.replace('/', "-"))));
        write(&temporary.0)?;
        let (_, hash) = digest_file(&temporary.0)?;
        self.journal.add(name, hash)?;
        let fail = |e: std::io::Error| Error::io(&target, "a place to write to", &e);
        std::fs::create_dir_all(target.parent().unwrap_or(Path::new("."))).map_err(fail)?;
        std::fs::rename(&temporary.0, &target).map_err(fail)
    }
}

/// A path that is removed when nothing was moved away from it.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // After a success it is no longer there.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Tells how far a piece of work is.
pub struct Progress<'a> {
    listener: Listener<'a>,
    what: &'static str,
    total: u64,
}

impl Progress<'_> {
    /// `done` steps are done.
    pub fn update(&self, done: u64) {
        self.note(done, "");
    }

    /// `done` steps are done, the last of which was `note`.
    pub fn note(&self, done: u64, note: &str) {
        (self.listener)(Message::Progress { what: self.what, done, total: self.total, note });
    }
}
