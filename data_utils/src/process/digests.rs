//! Hashes of what stages read and write, each taken once as long as nothing writes to the files.

use super::manifest::{self, Files, Group};
use super::options::Options;
use super::stage::Stage;
use crate::error::Result;
use crate::track::model_files;
use crate::workspace::digest_text;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The hashes of a run.
pub struct Digests<'a> {
    options: &'a Options,
    known: BTreeMap<String, Group>,
}

impl<'a> Digests<'a> {
    /// Nothing is hashed yet.
    pub fn new(options: &'a Options) -> Self {
        Digests { options, known: BTreeMap::new() }
    }

    /// The files of a pattern, or an external input such as `@video`.
    ///
    /// # Errors
    /// [`crate::Error::Input`] when one of them cannot be read.
    pub fn group(&mut self, pattern: &str) -> Result<&Group> {
        if !self.known.contains_key(pattern) {
            let group = self.take(pattern)?;
            self.known.insert(pattern.to_owned(), group);
        }
        Ok(&self.known[pattern])
    }

    /// Counts and hashes of patterns.
    ///
    /// # Errors
    /// As [`Digests::group`].
    pub fn of(&mut self, patterns: &[&str]) -> Result<BTreeMap<String, Files>> {
        let files = |p: &&str| Ok(((*p).to_owned(), self.group(p)?.files.clone()));
        patterns.iter().map(files).collect()
    }

    /// Something was written to the files of these patterns.
    pub fn forget(&mut self, patterns: &[&str]) {
        patterns.iter().for_each(|p| drop(self.known.remove(*p)));
    }

    /// Inputs and options of a stage, and the hash over both and its version: the same work has the same key.
    ///
    /// # Errors
    /// As [`Digests::group`].
    pub fn work(&mut self, stage: &Stage) -> Result<Work> {
        let inputs = self.of(stage.inputs)?;
        let options: BTreeMap<String, String> =
            (stage.options)(self.options).into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
        let mut text = format!("{} {}\n", stage.name, stage.version);
        inputs.iter().for_each(|(name, files)| text.push_str(&format!("{name} {}\n", files.sha256)));
        options.iter().for_each(|(name, value)| text.push_str(&format!("{name}={value}\n")));
        Ok(Work { key: digest_text(&text), inputs, options })
    }

    fn take(&self, pattern: &str) -> Result<Group> {
        let external = match pattern {
            "@video" => vec![self.options.video.clone()],
            "@landmarker" => vec![self.options.landmarker.clone()],
            "@parsing" => self.options.parsing.iter().cloned().collect(),
            "@audio" => self.options.audio.iter().cloned().collect(),
            "@flow" => self.options.flow.iter().cloned().collect(),
            "@face_model" => self.options.face_model.as_deref().map(model_files).unwrap_or_default(),
            _ => return manifest::digest(&self.options.dir, pattern),
        };
        let names: Vec<String> = external.iter().map(|p: &PathBuf| p.display().to_string()).collect();
        manifest::digest_all(&names, &external)
    }
}

/// What decides the result of a stage.
pub struct Work {
    /// Hash over all of it.
    pub key: String,
    /// What the stage reads, by pattern.
    pub inputs: BTreeMap<String, Files>,
    /// Options that matter to it.
    pub options: BTreeMap<String, String>,
}
