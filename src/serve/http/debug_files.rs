//! Pictures and sounds of SyncTalk_2D's debug switches: kept in a folder that the command line names, and in none otherwise.

use crate::Result;
use crate::serve::speech::wav;
use data_utils::audio::Sound;
use data_utils::media::files::write_bytes_fast;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The most files that are kept while the server runs.
const MOST: u32 = 20_000;

/// What is kept.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct Switches {
    pub(super) enabled: bool,
    pub(super) save_frames: bool,
    pub(super) save_audio: bool,
}

/// The switches and the folder.
pub(super) struct DebugSettings {
    switches: Mutex<Switches>,
    folder: Option<PathBuf>,
    files: Arc<AtomicU32>,
}

impl DebugSettings {
    pub(super) fn new(folder: Option<PathBuf>) -> Self {
        DebugSettings { switches: Mutex::default(), folder, files: Arc::default() }
    }

    pub(super) fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    pub(super) fn get(&self) -> Switches {
        *self.switches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set(&self, switches: Switches) {
        *self.switches.lock().unwrap_or_else(PoisonError::into_inner) = switches;
    }

    /// Where a stream's files go; nothing when none are kept. `kind` is text or audio, `id` a session's name.
    pub(super) fn files(&self, kind: &str, id: &str) -> Option<DebugFiles> {
        let switches = self.get();
        let folder = self.folder.clone().filter(|_| switches.enabled)?;
        Some(DebugFiles {
            switches,
            folder,
            name: format!("{kind}_{id}"),
            count: 0,
            files: Arc::clone(&self.files),
        })
    }
}

/// The files of one stream.
pub(super) struct DebugFiles {
    switches: Switches,
    folder: PathBuf,
    name: String,
    count: u32,
    files: Arc<AtomicU32>,
}

impl DebugFiles {
    /// Keeps a sound as a WAV file; `kind` is tts or upload.
    ///
    /// # Errors
    /// [`crate::Error::Input`] when it cannot be written.
    pub(super) fn save_sound(&self, kind: &str, sound: &Sound) -> Result<()> {
        if !self.switches.save_audio || !self.may_save() {
            return Ok(());
        }
        self.save(&format!("audio/{kind}_{}.wav", self.name), &wav(sound))
    }

    /// Keeps a picture; a folder that is full ends no stream.
    pub(super) fn save_frame(&mut self, jpeg: &[u8]) {
        if !self.switches.save_frames || !self.may_save() {
            return;
        }
        let path = format!("frames/{}_{:04}.jpg", self.name, self.count);
        self.count += 1;
        if let Err(error) = self.save(&path, jpeg) {
            tracing::warn!(%error, "a debug picture was not kept");
        }
    }

    fn may_save(&self) -> bool {
        self.files.fetch_add(1, Ordering::Relaxed) < MOST
    }

    fn save(&self, path: &str, bytes: &[u8]) -> Result<()> {
        let path = self.folder.join(path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)
                .map_err(|e| crate::Error::io(parent, "a folder to write to", &e))?;
        }
        write_bytes_fast(&path, bytes)
    }
}
