//! What a run will do, decided before anything is touched: which stages run, which files are kept since they were
//! changed or put in by hand, and whether a file would be lost, which is refused by name.

use super::digests::Digests;
use super::journal;
use super::manifest::{Group, Manifest, Record};
use super::options::Options;
use super::stage::{Stage, wanted};
use crate::dataset::is_derived_units;
use crate::error::{Error, Result};
use crate::media::files;
use crate::workspace::{Origin, digest_text};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Files of the report, which every complete run writes.
pub const REPORT_FILES: [&str; 4] =
    ["report.html", "report/crop.png", "report/masks.png", "report/torso.png"];
/// How many files a refusal names.
const NAMED: usize = 4;
/// Largest `au.csv` whose origin is looked at, bytes.
const MAX_UNITS: u64 = 64 << 20;

/// What a run will do.
pub struct Plan {
    /// The stages to be looked at, in order.
    pub steps: Vec<Step>,
    /// Whether the video, or how it is cropped, is not what it was.
    pub crop_changes: bool,
}

/// What a run will do about one stage.
pub struct Step {
    /// Its place in the table.
    pub index: usize,
    /// Whether it runs even when nothing has changed.
    pub redo: bool,
    /// Whether it is here only since it follows what it reads; it does nothing once its files were invalidated.
    pub follows: bool,
    /// Its outputs that were changed or put in by hand and stay as they are.
    pub kept: BTreeSet<String>,
}

/// Decides what to do.
///
/// # Errors
/// [`Error::Input`] when a file that process did not make, or that was changed by hand, would be lost or no longer fit.
pub fn plan(
    stages: &[Stage],
    options: &Options,
    manifest: &Manifest,
    ownership: &Ownership,
    digests: &mut Digests,
) -> Result<Plan> {
    let wanted = wanted(stages, options.tasks);
    let mut changing: BTreeSet<&str> = BTreeSet::new();
    let (mut steps, mut foreign, mut changed) = (Vec::new(), Vec::new(), Vec::new());
    for (index, stage) in stages.iter().enumerate() {
        let record = manifest.stages.get(stage.name);
        let follows = stage.follows && record.is_some_and(|r| all_there(&options.dir, r));
        if wanted[index] || follows {
            let upstream = |e: &Stage| changing.contains(e.name) && stage.reads_from(e);
            if stages[..index].iter().any(upstream)
                || record.map(|r| &r.key) != Some(&digests.work(stage)?.key)
            {
                changing.insert(stage.name);
            }
        }
        let mut fits = true;
        for what in stage.fits {
            fits &= if what.starts_with('@') {
                let now = &digests.group(what)?.files;
                record.and_then(|r| r.inputs.get(*what)).is_none_or(|before| before == now)
            } else {
                manifest.stages.contains_key(*what) && !changing.contains(what)
            };
        }
        // A stage that is not to run has nothing to lose, unless what its files belong to changes.
        let concerned = stage.fits.iter().any(|what| changing.contains(what));
        if !(wanted[index] || follows || concerned) {
            continue;
        }
        let redo = options.redo && stage.is_asked(options.tasks);
        let mut kept = BTreeSet::new();
        for pattern in stage.outputs {
            let group = digests.group(pattern)?.clone();
            for (name, hash) in &group.each {
                // A crop may be the video itself.
                if redo || options.dir.join(name) == options.video {
                    continue;
                }
                let stays = match ownership.origin(pattern, name, hash, &group)? {
                    Origin::Ours | Origin::Missing => continue,
                    Origin::Changed => fits,
                    Origin::Foreign => {
                        stage.accepts.contains(pattern) || fits && stage.fits.contains(&"frames")
                    }
                };
                match (stays, ownership.is_known(name)) {
                    (true, _) => drop(kept.insert(name.clone())),
                    (false, true) => changed.push(name.clone()),
                    (false, false) => foreign.push(name.clone()),
                }
            }
        }
        if wanted[index] || follows {
            steps.push(Step { index, redo, follows: !wanted[index], kept });
        }
    }
    let whole = options.redo && options.tasks[0] == 0;
    if manifest.stages.is_empty() && !whole {
        foreign.extend(REPORT_FILES.iter().filter(|n| options.dir.join(n).exists()).map(|n| (*n).to_owned()));
    }
    refuse(&options.dir, &foreign, &changed)?;
    Ok(Plan { steps, crop_changes: changing.contains("crop") })
}

fn refuse(dir: &Path, foreign: &[String], changed: &[String]) -> Result<()> {
    let list = |names: &[String]| {
        let more = names.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("{}{more}", names[..names.len().min(NAMED)].join(", "))
    };
    if !foreign.is_empty() {
        return Err(Error::input(
            dir.display(),
            "no files made by another program or put in by hand where process writes its own",
            list(foreign),
            "move them away, work in another folder, or add --redo to replace them",
        ));
    }
    if !changed.is_empty() {
        return Err(Error::input(
            dir.display(),
            "files that fit the frames and poses which are about to be made anew",
            format!("{}, changed by hand for the ones there are", list(changed)),
            "move them away, or add --redo to make them anew",
        ));
    }
    Ok(())
}

/// Whether all outputs of a record are there, whatever is in them.
pub fn all_there(dir: &Path, record: &Record) -> bool {
    let single = record.outputs.keys().filter(|pattern| !pattern.contains('*'));
    single.chain(record.files.keys()).all(|name| dir.join(name).is_file())
}

/// Which files process made, by the manifest and the journals of stages that were interrupted.
pub struct Ownership {
    dir: std::path::PathBuf,
    /// Hashes that process gave to each file.
    made: BTreeMap<String, BTreeSet<String>>,
    by_hand: BTreeSet<String>,
    /// Hashes of whole patterns, from manifests that do not know single files.
    patterns: BTreeMap<String, String>,
}

impl Ownership {
    /// Gathers what is known about a folder.
    ///
    /// # Errors
    /// [`Error::Input`] when a journal cannot be read.
    pub fn of(dir: &Path, stages: &[Stage], manifest: &Manifest) -> Result<Ownership> {
        let mut ownership = Ownership {
            dir: dir.to_owned(),
            made: BTreeMap::new(),
            by_hand: BTreeSet::new(),
            patterns: BTreeMap::new(),
        };
        for record in manifest.stages.values() {
            ownership.by_hand.extend(record.by_hand.iter().cloned());
            record.files.iter().for_each(|(name, hash)| ownership.add(name, hash));
            if record.files.is_empty() {
                let whole = record.outputs.iter().map(|(p, files)| (p.clone(), files.sha256.clone()));
                ownership.patterns.extend(whole);
            }
        }
        for stage in stages {
            if let Some(entries) = journal::read(dir, stage.name)? {
                for (name, hash) in entries.made.iter().chain(&entries.earlier) {
                    ownership.add(name, hash);
                    // Made anew since.
                    ownership.by_hand.remove(name);
                }
            }
        }
        Ok(ownership)
    }

    fn add(&mut self, name: &str, hash: &str) {
        self.made.entry(name.to_owned()).or_default().insert(hash.to_owned());
    }

    /// Whether process once made a file of this name, or took it over.
    pub fn is_known(&self, name: &str) -> bool {
        self.made.contains_key(name)
    }

    /// Where a file comes from that now has `hash` and belongs to the files of `pattern`.
    ///
    /// # Errors
    /// [`Error::Input`] when it cannot be read.
    pub fn origin(&self, pattern: &str, name: &str, hash: &str, group: &Group) -> Result<Origin> {
        if self.by_hand.contains(name) {
            return Ok(Origin::Changed);
        }
        if let Some(hashes) = self.made.get(name) {
            // An empty file is what a power cut leaves of one that was not on the disk yet.
            let ours = hashes.contains(hash) || hash == digest_text("");
            return Ok(if ours { Origin::Ours } else { Origin::Changed });
        }
        if let Some(before) = self.patterns.get(pattern) {
            return Ok(if *before == group.files.sha256 { Origin::Ours } else { Origin::Changed });
        }
        // Manifests of the first layout do not know about au.csv; what process wrote itself says so in its header.
        if name == "au.csv" {
            let bytes = files::read_bounded(&self.dir.join(name), MAX_UNITS)?;
            if is_derived_units(&String::from_utf8_lossy(&bytes)) {
                return Ok(Origin::Ours);
            }
        }
        Ok(Origin::Foreign)
    }
}
